"""What users of openai's client find beside it: choosing backends, fusion, costs. Only this package does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict, Field

import interfuse

from . import HI, TOLD, Sdk, call, says, snippet, whole

PRICES = {"prices": {"up/m": {"input": "1", "output": "2"}}}
THREE = [{"when": {"model": f"m-{i}"}, "then": {"answer": text}} for i, text in enumerate(["Bern.", "Bern.", "Zurich."])]


def client_of(sdk: Sdk, **more: Any) -> Any:
    return sdk.OpenAI({**sdk.up.config, **more})


@snippet(says("In Bern."), ours=True)
def provider_and_model_in_one_word_or_two(sdk: Sdk) -> None:
    client = client_of(sdk)
    assert client.chat.completions.create(model="up/m", messages=HI).interfuse.provider == "up"
    assert client.chat.completions.create(model="m", provider="up", messages=HI).interfuse.model == "m"
    assert client.chat(model="up/m", messages=HI).choices[0].message.content == "In Bern."


class Stored(BaseModel):
    """A user's model with answers in it."""

    number: int
    answer: interfuse.ChatCompletion


@snippet(says("In Bern.", usage=TOLD), ours=True)
def an_answer_within_a_model_of_pydantic(sdk: Sdk) -> None:
    answer = client_of(sdk).chat.completions.create(model="up/m", messages=HI)
    stored = Stored(number=1, answer=answer)
    again = Stored.model_validate_json(stored.model_dump_json())
    assert stored.answer == again.answer == answer and type(stored.model_dump()["answer"]) is dict
    assert again.answer.choices[0].message.content == "In Bern." and again.answer.usage.total_tokens == 9
    assert Stored.model_json_schema()["properties"]["answer"]["type"] == "object"
    with pytest.raises(ValueError, match="answer"):
        Stored(number=1, answer=5)  # type: ignore[arg-type]


@snippet({"when": {"model": "m-a"}, "then": {"status": 503}}, {"when": {"model": "m-b"}, "then": {"answer": "In Bern."}}, ours=True)
def the_next_model_when_one_fails(sdk: Sdk) -> None:
    completion = client_of(sdk).chat.completions.create(model="up/m-a", models=["up/m-b"], messages=HI, max_retries=0)
    assert completion.interfuse.model == "m-b" and [attempt.error for attempt in completion.interfuse.attempts] == ["overloaded", None]


@snippet(says("In Bern.", usage=TOLD), ours=True)
def what_it_cost(sdk: Sdk) -> None:
    client = client_of(sdk, **PRICES)
    completion = client.chat.completions.create(model="up/m", messages=HI, tags={"project": "search"})
    assert (completion.interfuse.cost_usd, completion.interfuse.cost_nanos) == ("0.000011", 11_000)
    assert [row.cost_nanos for row in client.usage(by="project").rows] == [11_000]


@snippet(says("In Bern.", usage=TOLD), ours=True)
def what_a_stream_cost(sdk: Sdk) -> None:
    for chunk in client_of(sdk, **PRICES).chat.completions.create(model="up/m", messages=HI, stream=True):
        last = chunk
    assert last.interfuse.cost_nanos == 11_000


@snippet(says("In Bern."), ours=True)
def no_more_than_that(sdk: Sdk) -> None:
    client = client_of(sdk, **PRICES, budgets={"none": {"limit_usd": "0.000001", "of": {"project": "poor"}}})
    for request in ({"max_cost_usd": "0.000001"}, {"tags": {"project": "poor"}}):
        with pytest.raises(sdk.BudgetExceededError) as caught:
            client.chat.completions.create(model="up/m", messages=HI, **request)
        assert isinstance(caught.value, sdk.OpenAIError)
    assert sdk.up.settled() == []
    assert client.estimate(model="up/m", messages=HI).high_nanos > 0


@snippet(*THREE, ours=True)
def a_fusion_as_a_model(sdk: Sdk) -> None:
    fusion = {"pool": ["up/m-0", "up/m-1", "up/m-2"], "mode": "vote"}
    completion = client_of(sdk).chat.completions.create(model="interfuse/vote", messages=HI, fusion=fusion)
    assert completion.choices[0].message.content == "Bern." and len(completion.interfuse.fusion.members) == 3


@snippet(*THREE, ours=True)
async def asyncio_a_fusion(sdk: Sdk) -> None:
    async with sdk.AsyncOpenAI(sdk.up.config) as client:
        fused = await client.fuse("Where?", pool=["up/m-0", "up/m-1", "up/m-2"], mode="vote")
        assert fused.text == "Bern." and fused.model_dump()["report"]["mode"] == "vote"


@snippet(ours=True)
def models_with_their_prices(sdk: Sdk) -> None:
    offers = [offer for model in client_of(sdk).models.list() for offer in model.offers]
    assert any(offer.input_usd for offer in offers)


@snippet(ours=True)
def a_name_that_is_nearly_right(sdk: Sdk) -> None:
    with pytest.raises(sdk.NotFoundError, match="did you mean"):
        client_of(sdk).chat.completions.create(model="opnai/gpt-5", messages=HI)


@snippet(ours=True)
def a_query_that_can_not_be_sent(sdk: Sdk) -> None:
    with pytest.raises(sdk.UnsupportedError, match="extra_query"):
        client_of(sdk).chat.completions.create(model="up/m", messages=HI, extra_query={"a": "b"})


@dataclass
class Place:
    city: str
    people: int


class Town(TypedDict):
    city: str
    people: int


@snippet(says('{"city": "Bern", "people": 134591}'), ours=True)
def an_answer_as_a_dataclass_or_typed_dict(sdk: Sdk) -> None:
    parse = client_of(sdk).chat.completions.parse
    assert parse(model="up/m", messages=HI, response_format=Place).choices[0].message.parsed == Place("Bern", 134591)
    assert parse(model="up/m", messages=HI, response_format=Town).choices[0].message.parsed == {"city": "Bern", "people": 134591}


@snippet({"then": [says("{}", usage=TOLD)["then"], says('{"city": "Bern", "people": 134591}', usage=TOLD)["then"]]}, ours=True)
def asked_again_and_the_cost_of_it(sdk: Sdk) -> None:
    completion = client_of(sdk, **PRICES).chat.completions.create(model="up/m", messages=HI, response_format=Place, max_reasks=1)
    assert completion.choices[0].message.parsed.people == 134591
    assert (completion.interfuse.cost_nanos, len(completion.interfuse.attempts)) == (22_000, 2)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=0, le=9)


class Tree(BaseModel):
    pet: Cat = Field(description="who sits in it")
    branches: list[Tree] = []
    either: Cat | None = None
    chosen: Annotated[Cat | Bird, Field(discriminator="kind")]


class Bird(BaseModel):
    kind: Literal["bird"]


@dataclass
class Garden:
    cat: Cat
    tree: Tree | None


@snippet(says('{"cat": {"kind": "cat", "lives": 3}, "tree": null}'), ours=True)
def models_within_a_dataclass(sdk: Sdk) -> None:
    parsed = client_of(sdk).chat.completions.parse(model="up/m", messages=HI, response_format=Garden).choices[0].message.parsed
    assert parsed == Garden(Cat(kind="cat", lives=3), None)
    sent = sdk.up.settled()[0]["body"]["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["tree"] == {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}
    assert set(sent["$defs"]) == {"Cat", "Bird", "Tree"}
    tree = sent["$defs"]["Tree"]["properties"]
    assert tree["branches"] == {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    assert tree["pet"] == {**sent["$defs"]["Cat"], "description": "who sits in it"}, "beside a reference nothing may stand"
    assert tree["chosen"] == {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Bird"}]}


class Free(BaseModel):
    words: dict[str, int]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Loose(BaseModel):
    inner: list[Any]


class Pair(BaseModel):
    pair: tuple[int, str]


@snippet(ours=True)
def what_the_strict_subset_can_not_hold(sdk: Sdk) -> None:
    for kind, place in ((Free, ".words"), (Open, ""), (Loose, ".inner[]"), (Pair, ".pair")):
        with pytest.raises(sdk.SchemaError) as caught:
            client_of(sdk).chat.completions.parse(model="up/m", messages=HI, response_format=kind)
        assert caught.value.param == f"response_format{place}"


@snippet(says('{"kind": "cat", "lives": 12}'), ours=True)
def a_model_that_nothing_fits(sdk: Sdk) -> None:
    with pytest.raises(sdk.AnswerFormatError, match="lives: Input should be less than or equal to 9"):
        client_of(sdk).chat.completions.parse(model="up/m", messages=HI, response_format=Cat, max_reasks=2)
    assert len(sdk.up.settled()) == 3


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


@snippet({"then": [whole({"tool_calls": [call("weather", '{"city": "Bern"}')]})["then"], whole({"content": "Rain."})["then"]]}, ours=True)
def tools_that_are_called(sdk: Sdk) -> None:
    run = client_of(sdk, **PRICES).run_tools("How is it?", tools=[weather], model="up/m", max_steps=3, max_cost_usd="1")
    assert (run.text, run.calls[0].result, run.cost_nanos) == ("Rain.", "rain in Bern", 22_000)


@snippet({"then": [whole({"tool_calls": [call("weather", '{"city": "Bern"}')]})["then"], whole({"content": "Rain."})["then"]]}, ours=True)
async def asyncio_tools_that_are_called(sdk: Sdk) -> None:
    async def weather(city: str) -> dict[str, str]:
        return {"rain in": city}

    run = await sdk.AsyncOpenAI(sdk.up.config).run_tools(HI, tools=[weather], model="up/m")
    assert (run.text, run.steps, len(run.messages)) == ("Rain.", 2, 4)
