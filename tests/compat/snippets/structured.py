"""Answers read into pydantic's models. The schemas that are sent differ in titles only, which the tests look at."""

from __future__ import annotations

from enum import Enum
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from . import HI, Sdk, says, snippet, whole


class Step(BaseModel):
    explanation: str
    output: str


class Kind(str, Enum):
    EASY = "easy"
    HARD = "hard"


class Solution(BaseModel):
    """How it is solved."""

    steps: list[Step]
    kind: Kind
    by: Literal["hand", "machine"]
    note: str | None = Field(default=None, description="Anything else")
    first: Step


SOLVED = '{"steps":[{"explanation":"add","output":"2"}],"kind":"easy","by":"hand","note":null,"first":{"explanation":"add","output":"2"}}'


def untitled(schema: object) -> object:
    """A schema without what says nothing to a model."""
    if isinstance(schema, dict):
        return {name: untitled(inner) for name, inner in schema.items() if name != "title" or not isinstance(inner, str)}
    return [untitled(inner) for inner in schema] if isinstance(schema, list) else schema


@snippet(says(SOLVED), alike=False)
def an_answer_as_a_model(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.parse(model="m", messages=HI, response_format=Solution)
    solution = completion.choices[0].message.parsed
    assert isinstance(solution, Solution) and solution.steps[0].output == "2" and solution.kind is Kind.EASY
    sent = sdk.up.settled()[0]["body"]["response_format"]
    assert (sent["type"], sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("json_schema", "Solution", True)
    schema = untitled(sent["json_schema"]["schema"])
    step = {
        "type": "object",
        "properties": {"explanation": {"type": "string"}, "output": {"type": "string"}},
        "required": ["explanation", "output"],
        "additionalProperties": False,
    }
    assert schema == {
        "type": "object",
        "description": "How it is solved.",
        "properties": {
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}},
            "kind": {"$ref": "#/$defs/Kind"},
            "by": {"type": "string", "enum": ["hand", "machine"]},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Anything else"},
            "first": {"$ref": "#/$defs/Step"},
        },
        "required": ["steps", "kind", "by", "note", "first"],
        "additionalProperties": False,
        "$defs": {"Step": step, "Kind": {"type": "string", "enum": ["easy", "hard"]}},
    }


@snippet(says(SOLVED), alike=False)
def the_model_beside_its_text(sdk: Sdk) -> None:
    message = sdk.open().chat.completions.parse(model="m", messages=HI, response_format=Solution).choices[0].message
    assert message.content == SOLVED and message.refusal is None
    if message.parsed:
        assert message.parsed.model_dump()["kind"] == "easy"
    assert message.to_dict()["parsed"]["by"] == "hand"


@snippet(whole({"refusal": "I will not."}), alike=False)
def a_refusal_instead(sdk: Sdk) -> None:
    message = sdk.open().chat.completions.parse(model="m", messages=HI, response_format=Solution).choices[0].message
    if message.refusal:
        assert message.refusal == "I will not."
    assert message.parsed is None


@snippet(whole({"content": '{"steps":['}, reason="length"), alike=False)
def cut_off(sdk: Sdk) -> None:
    with pytest.raises(sdk.LengthFinishReasonError) as caught:
        sdk.open().chat.completions.parse(model="m", messages=HI, response_format=Solution, max_completion_tokens=3)
    assert caught.value.completion.choices[0].message.content == '{"steps":['


@snippet(whole({"content": '{"steps":['}, reason="content_filter"), alike=False)
def filtered(sdk: Sdk) -> None:
    with pytest.raises(sdk.ContentFilterFinishReasonError):
        sdk.open().chat.completions.parse(model="m", messages=HI, response_format=Solution)


@snippet(says(SOLVED), alike=False)
def a_stream_as_a_model(sdk: Sdk) -> None:
    with sdk.open().chat.completions.stream(model="m", messages=HI, response_format=Solution) as stream:
        done = [event.parsed for event in stream if event.type == "content.done"]
        completion = stream.get_final_completion()
    assert done[0].first.output == "2" and completion.choices[0].message.parsed == done[0]


@snippet(says(SOLVED), alike=False)
async def asyncio_an_answer_as_a_model(sdk: Sdk) -> None:
    completion = await sdk.open_async().chat.completions.parse(model="m", messages=HI, response_format=Solution)
    assert completion.choices[0].message.parsed.by == "hand"


@snippet(says(SOLVED), alike=False)
async def asyncio_a_stream_as_a_model(sdk: Sdk) -> None:
    async with sdk.open_async().chat.completions.stream(model="m", messages=HI, response_format=Solution) as stream:
        await stream.until_done()
        assert (await stream.get_final_completion()).choices[0].message.parsed.kind is Kind.EASY
