"""Answers read into types: what is asked for, what is read, what is asked for again, and at what cost."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast

import pytest
from conftest import HI, Start, Upstream, answers, stalls

import interfuse


class Canton(Enum):
    BE = "BE"
    ZH = "ZH"


@dataclass
class Place:
    """Where somebody lives."""

    city: Annotated[str, "without the canton"]
    canton: Canton
    people: int | None = None
    near: list[Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.people is not None and self.people < 0:
            raise ValueError("people are never fewer than none")


class Trip(TypedDict):
    day: date
    price: Decimal
    by: Literal["rail", "road"]
    stops: Sequence[str | int]
    note: NotRequired[str]


class Model:
    """What pydantic's models are to us: two methods."""

    def __init__(self, city: str) -> None:
        self.city = city

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        city = {"type": "string", "minLength": 2, "title": "City", "default": "Bern"}
        return {"type": "object", "title": "Model", "properties": {"city": city}}

    @classmethod
    def model_validate_json(cls, text: str) -> Model:
        if len(json.loads(text)["city"]) < 2:
            raise ValueError("city: too short")
        return cls(json.loads(text)["city"])

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {"city": self.city}


BERN = '{"city": "Bern", "canton": "BE", "people": 134591, "near": [{"city": "Thun", "canton": "BE", "people": null, "near": []}]}'
PRICED = {"prices": {"up/m": {"input": "1", "output": "2"}}}
TOLD = {"prompt_tokens": 10, "completion_tokens": 5}


def schema_sent(up: Upstream) -> Any:
    format_ = up.settled()[-1]["body"]["response_format"]
    assert format_["type"] == "json_schema" and format_["json_schema"]["strict"] is True
    return format_["json_schema"]


def test_a_dataclass(start: Start) -> None:
    up = start(answers("m", BERN))
    r = interfuse.Client(up.config).chat.completions.parse(model="up/m", messages=HI, response_format=Place)
    place = r.choices[0].message.parsed
    assert place == Place("Bern", Canton.BE, 134591, [Place("Thun", Canton.BE)])
    sent = schema_sent(up)
    assert sent["name"] == "Place" and sent["schema"]["description"] == "Where somebody lives."
    assert sent["schema"]["required"] == ["city", "canton", "people", "near"]
    assert sent["schema"]["additionalProperties"] is False
    assert sent["schema"]["properties"] == {
        "city": {"type": "string", "description": "without the canton"},
        "canton": {"type": "string", "enum": ["BE", "ZH"]},
        "people": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "near": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
    }


def test_a_typed_dict_and_a_fence_around_it(start: Start) -> None:
    text = '{"day": "2026-11-28", "price": "12.50", "by": "rail", "stops": ["Thun", 3], "note": null}'
    up = start(answers("m", f"```json\n{text}\n```"))
    r = interfuse.Client(up.config).chat(model="up/m", messages=HI, response_format=Trip)
    assert r.choices[0].message.parsed == {"day": date(2026, 11, 28), "price": Decimal("12.50"), "by": "rail", "stops": ["Thun", 3]}
    properties = schema_sent(up)["schema"]["properties"]
    assert properties["day"] == {"type": "string", "format": "date"}
    assert properties["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}, "nothing may be missing in the subset"


def test_a_model_known_by_its_methods(start: Start) -> None:
    up = start({"when": {"model": "m"}, "then": [{"answer": '{"city": "B"}'}, {"answer": '{"city": "Bern"}'}]})
    r = interfuse.Client(up.config).chat.completions.create(model="up/m", messages=HI, response_format=Model)
    assert cast(Model, r.choices[0].message.parsed).city == "Bern"
    assert schema_sent(up)["schema"] == {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "(at least 2 characters)"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    assert r.to_dict()["choices"][0]["message"]["parsed"] == {"city": "Bern"}
    assert json.loads(r.to_json())["choices"][0]["message"]["parsed"] == {"city": "Bern"}


def test_asks_again_with_what_is_wrong_and_adds_up(start: Start) -> None:
    wrong = '{"city": 7, "canton": "GE", "people": -1, "town": 1}'
    up = start({"when": {"model": "m"}, "then": [{"answer": wrong, "usage": TOLD}, {"answer": BERN, "usage": TOLD}]})
    client = interfuse.Client({**up.config, **PRICED})
    r = client.chat.completions.parse(model="up/m", messages=HI, response_format=Place, max_cost_usd="0.01", timeout=50)
    assert r.choices[0].message.parsed is not None and r.choices[0].message.parsed.city == "Bern"
    assert r.interfuse is not None
    assert (r.interfuse.cost_nanos, r.interfuse.cost_usd, len(r.interfuse.attempts)) == (40_000, "0.00004", 2)
    assert client.usage().total.cost_nanos == 40_000
    first, second = (request["body"] for request in up.settled())
    assert first["response_format"] == second["response_format"]
    assert [m["role"] for m in second["messages"]] == ["user", "assistant", "user"]
    assert second["messages"][1]["content"] == wrong
    said = second["messages"][2]["content"]
    assert all(part in said for part in ("city: 7 is no string", 'canton: "GE" is none of "BE", "ZH"', "town: there is no such field"))


@pytest.mark.parametrize("max_reasks", [0, 2])
def test_what_never_fits_is_an_error_that_tells_its_cost(start: Start, max_reasks: int) -> None:
    up = start(answers("m", '{"city": "Bern", "canton": "BE", "people": -1}', usage=TOLD))
    with pytest.raises(interfuse.AnswerFormatError, match="never fewer than none") as caught:
        interfuse.Client({**up.config, **PRICED}).chat.completions.parse(
            model="up/m", messages=HI, response_format=Place, max_reasks=max_reasks
        )
    e: interfuse.AnswerFormatError = pickle.loads(pickle.dumps(caught.value))
    assert issubclass(type(e), interfuse.APIResponseValidationError)
    assert e.problems == ["the whole: people are never fewer than none"]
    assert (e.cost_nanos, len(e.attempts), e.provider) == (20_000 * (max_reasks + 1), max_reasks + 1, "up")
    assert e.completion.choices[0].message.content == '{"city": "Bern", "canton": "BE", "people": -1}'
    assert len(up.settled()) == max_reasks + 1


def test_money_and_time_are_those_of_all_answers(start: Start) -> None:
    up = start(answers("m", "no", usage={"prompt_tokens": 1000, "completion_tokens": 450}))
    client = interfuse.Client({**up.config, **PRICED})
    with pytest.raises(interfuse.BudgetExceededError) as caught:
        # 1000 nano-USD a token of the prompt, 2000 of the answer: once it fits, twice it does not.
        client.chat.completions.parse(
            model="up/m", messages=HI, response_format=Place, max_cost_usd="0.0025", max_completion_tokens=500, max_reasks=9
        )
    assert len(up.settled()) == 1
    assert (caught.value.cost_nanos, len(caught.value.attempts)) == (1_900_000, 1), "what was paid before is told"

    slow = start(answers("m", "no", delay_ms=150))
    with pytest.raises((interfuse.APITimeoutError, interfuse.AnswerFormatError)):
        interfuse.Client(slow.config).chat.completions.parse(model="up/m", messages=HI, response_format=Place, timeout=0.4, max_reasks=99)
    assert len(slow.settled()) <= 4


def test_an_unknown_cost_leaves_nothing_of_a_cap() -> None:
    from interfuse._structured import Spent

    spent = Spent({"max_cost_usd": "1"})
    spent.add({"interfuse": {"cost_nanos": 5}})
    assert spent.left() and spent.limited({})["max_cost_usd"] == "0.999999995"
    spent.add({"interfuse": {"cost_nanos": None}})
    assert not spent.left() and spent.cost() == {"cost_nanos": None, "cost_usd": None}


def test_cut_off_filtered_and_refused(start: Start) -> None:
    def ends(model: str, reason: str, **message: Any) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": reason}
        return {"when": {"model": model}, "then": {"json": {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}}}

    up = start(ends("m-a", "length", content='{"ci'), ends("m-b", "content_filter", content='{"ci'), ends("m-c", "stop", refusal="No."))
    parse = interfuse.Client(up.config).chat.completions.parse
    with pytest.raises(interfuse.LengthFinishReasonError, match="max_completion_tokens") as cut:
        parse(model="up/m-a", messages=HI, response_format=Place)
    assert cut.value.completion.choices[0].message.content == '{"ci'
    with pytest.raises(interfuse.ContentFilterError) as filtered:
        parse(model="up/m-b", messages=HI, response_format=Place)
    assert type(filtered.value) is interfuse.ContentFilterFinishReasonError
    message = parse(model="up/m-c", messages=HI, response_format=Place).choices[0].message
    assert (message.parsed, message.refusal) == (None, "No.")
    assert len(up.settled()) == 3


@dataclass
class Free:
    words: dict[str, int]


@dataclass
class Pair:
    pair: tuple[int, str]


@dataclass
class Anything:
    inner: list[Any]


@dataclass
class Raw:
    data: bytes


class Odd(Model):
    """Written by hand."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"type": "object", "properties": {"a": {"type": "object", "patternProperties": {"^x": {"type": "string"}}}}}


@pytest.mark.parametrize(
    ("kind", "place", "what"),
    [
        (Free, "response_format.words", "any keys"),
        (Pair, "response_format.pair", "tuple"),
        (Anything, "response_format.inner[]", "any type"),
        (Raw, "response_format.data", "bytes has no JSON schema"),
        (Odd, "response_format.a", "keys by a pattern"),
        (list[int], "response_format", "no object"),
    ],
)
def test_what_the_strict_subset_can_not_hold_is_named(start: Start, kind: Any, place: str, what: str) -> None:
    up = start(answers("m", "{}"))
    with pytest.raises(interfuse.SchemaError, match=what) as caught:
        interfuse.Client(up.config).chat.completions.parse(model="up/m", messages=HI, response_format=kind)
    assert caught.value.param == place and isinstance(caught.value, interfuse.UnsupportedError)
    assert up.settled() == []


def test_a_message_put_back_is_what_the_model_wrote(start: Start) -> None:
    up = start(answers("m", BERN))
    client = interfuse.Client(up.config)
    message = client.chat.completions.parse(model="up/m", messages=HI, response_format=Place).choices[0].message
    client.chat(model="up/m", messages=[*HI, message, {"role": "user", "content": "And?"}])
    assert up.settled()[1]["body"]["messages"][1] == {"role": "assistant", "content": BERN}
    copies: tuple[Any, ...] = (pickle.loads(pickle.dumps(message)), copy.deepcopy(message), message.copy())
    for again in copies:
        assert again.parsed == message.parsed and again == message
    with pytest.raises(AttributeError):
        message.pased  # type: ignore[attr-defined]


def test_a_stream_is_read_at_its_end(start: Start) -> None:
    up = start(answers("m", BERN, usage=TOLD))
    with interfuse.Client(up.config).chat.completions.stream(model="up/m", messages=HI, response_format=Place) as stream:
        events = list(stream)
        whole = stream.get_final_completion()
    assert "".join(event.delta for event in events if event.type == "content.delta") == BERN
    (done,) = (event for event in events if event.type == "content.done")
    assert done.parsed == whole.choices[0].message.parsed == Place("Bern", Canton.BE, 134591, [Place("Thun", Canton.BE)])
    assert whole.interfuse is not None and whole.interfuse.provider == "up"
    assert (whole.object, whole.choices[0].finish_reason) == ("chat.completion", "stop")
    assert events[-1].type == "chunk" or events[-1].type == "content.done"
    assert schema_sent(up)["name"] == "Place"


def test_a_stream_that_does_not_fit_is_not_asked_for_again(start: Start) -> None:
    up = start(answers("m", "In Bern."))
    stream = interfuse.Client(up.config).chat.completions.stream(model="up/m", messages=HI, response_format=Place)
    with stream as events, pytest.raises(interfuse.AnswerFormatError, match="not JSON"):
        events.until_done()
    assert len(up.settled()) == 1


def test_a_stream_left_early_closes_its_socket(start: Start) -> None:
    up = start(stalls("m", "In "))
    with interfuse.Client(up.config).chat.completions.stream(model="up/m", messages=HI) as stream:
        assert next(event.delta for event in stream if event.type == "content.delta") == "In "
        assert stream.current_completion_snapshot.choices[0].message.content == "In "
    assert up.settled()[0]["client_closed_ms"] is not None


def test_a_stream_with_tool_calls(start: Start) -> None:
    calls = [{"name": "Place", "arguments": {"city": "Bern", "canton": "BE"}}, {"name": "other", "arguments": {"x": 1}}]
    up = start(answers("m", "", tool_calls=calls))
    tool: Any = {"type": "function", "function": {"name": "other"}}
    with interfuse.Client(up.config).chat.completions.stream(model="up/m", messages=HI, tools=[Place, tool]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        message = stream.get_final_completion().choices[0].message
    assert [(event.index, event.name) for event in done] == [(0, "Place"), (1, "other")]
    assert done[0].parsed_arguments == Place("Bern", Canton.BE) and done[1].parsed_arguments is None
    assert message.tool_calls is not None and message.tool_calls[0].function is not None
    assert message.tool_calls[0].function.parsed_arguments == Place("Bern", Canton.BE)
    assert all("index" not in call for call in message.tool_calls), "so that it can be put back"


def test_streamed_plainly_the_type_is_only_asked_for(start: Start) -> None:
    up = start(answers("m", BERN))
    client = interfuse.Client(up.config)
    request: Any = {"model": "up/m", "messages": HI, "response_format": Place, "stream": True}
    said: Any = client.chat(**request)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said if chunk.choices) == BERN
    assert schema_sent(up)["name"] == "Place"
    with pytest.raises(TypeError, match="max_reasks"):
        client.chat(max_reasks=1, **request)


def test_asyncio(start: Start) -> None:
    then = [{"answer": "no"}, {"answer": BERN}]
    up = start({"when": {"model": "m-a"}, "then": then}, answers("m-b", BERN))

    async def main() -> None:
        client = interfuse.AsyncClient(up.config)
        r = await client.chat.completions.parse(model="up/m-a", messages=HI, response_format=Place)
        assert r.choices[0].message.parsed is not None and r.choices[0].message.parsed.canton is Canton.BE
        again = await client.chat.completions.create(model="up/m-b", messages=HI, response_format=Place)
        assert again.choices[0].message.parsed == r.choices[0].message.parsed
        async with client.chat.completions.stream(model="up/m-b", messages=HI, response_format=Place) as stream:
            kinds = {event.type async for event in stream}
            whole = await stream.get_final_completion()
        assert kinds == {"chunk", "content.delta", "content.done"}
        assert whole.choices[0].message.parsed == r.choices[0].message.parsed

    asyncio.run(main())


def test_a_fused_answer_is_read(start: Start) -> None:
    up = start(*(answers(f"m-{i}", '{"city": "Bern", "canton": "BE", "people": null, "near": []}') for i in range(3)))
    fusion: Any = {"pool": [f"up/m-{i}" for i in range(3)], "mode": "vote"}
    r = interfuse.Client(up.config).chat.completions.parse(model="interfuse/vote", messages=HI, response_format=Place, fusion=fusion)
    assert r.choices[0].message.parsed == Place("Bern", Canton.BE)
