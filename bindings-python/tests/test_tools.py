"""Functions as tools, and the loop that calls them."""

from __future__ import annotations

import asyncio
import functools
import json
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, TypedDict, cast

import pytest
from conftest import HI, Start, Upstream, answers

import interfuse


class Unit(Enum):
    C = "celsius"
    F = "fahrenheit"


@dataclass
class Spot:
    name: str
    height: float = 0.0


def weather(city: str, day: date, unit: Unit = Unit.C, *, near: list[Spot] | None = None) -> dict[str, Any]:
    """The weather of a day.

    Only of days to come.

    Args:
        city: Name of the city,
            in its own language.
        day (date): When.
        unit: Of the temperature.

    Returns:
        What it will be like.
    """
    return {"city": city, "day": day, "unit": unit, "near": near, "degrees": 7.5}


def numpys(a: int, b: Literal["x", "y"]) -> int:
    """Adds.

    Parameters
    ----------
    a : int
        The first.
    b
        The second.

    Returns
    -------
    int
        The sum.
    """
    return a


def sphinxs(a: int, b: dict[str, int]) -> None:
    """Adds.

    :param a: the first
    :param dict b: the second,
        with names
    :returns: nothing
    """


def ours(a: Annotated[int, "of the annotation"], b) -> None:  # type: ignore[no-untyped-def]
    """Adds.

    a: not this one, since the annotation tells.
    b: anything.
    """


def function_of(tool: Any) -> Any:
    assert tool["type"] == "function"
    return tool["function"]


def test_a_function_is_told_by_its_signature_and_docstring() -> None:
    told = function_of(interfuse.function_tool(weather))
    assert (told["name"], told["description"]) == ("weather", "The weather of a day.\n\nOnly of days to come.")
    assert "strict" not in told, "an argument with a default may be left out, which strict knows not"
    parameters = told["parameters"]
    assert parameters["required"] == ["city", "day"] and parameters["additionalProperties"] is False
    spots = {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Spot"}}, {"type": "null"}]}
    assert parameters["properties"] == {
        "city": {"type": "string", "description": "Name of the city, in its own language."},
        "day": {"type": "string", "format": "date", "description": "When."},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Of the temperature."},
        "near": spots,
    }
    assert parameters["$defs"]["Spot"]["required"] == ["name"]


@pytest.mark.parametrize(
    ("function", "described", "strict"),
    [
        (numpys, {"a": "The first.", "b": "The second."}, True),
        (sphinxs, {"a": "the first", "b": "the second, with names"}, None),
        (ours, {"a": "of the annotation", "b": "anything."}, None),
    ],
)
def test_docstrings_of_every_school(function: Callable[..., Any], described: dict[str, str], strict: bool | None) -> None:
    told = function_of(interfuse.function_tool(function))
    assert told["description"] == "Adds."
    assert {name: part["description"] for name, part in told["parameters"]["properties"].items()} == described
    assert told.get("strict") == strict


def test_types_methods_and_what_can_not_be_told() -> None:
    class Adder:
        def add(self, a: int) -> int:
            """Adds one."""
            return a + 1

        def __call__(self, b: int) -> int:
            return b

    told = function_of(interfuse.function_tool(Adder().add, name="add_one"))
    assert told["name"] == "add_one" and list(told["parameters"]["properties"]) == ["a"]
    assert list(function_of(interfuse.function_tool(functools.partial(numpys, 1)))["parameters"]["properties"]) == ["b"]
    assert list(function_of(interfuse.function_tool(Adder(), name="call"))["parameters"]["properties"]) == ["b"]
    typed = function_of(interfuse.pydantic_function_tool(Spot, description="A spot."))
    assert (typed["name"], typed["description"], typed["strict"]) == ("Spot", "A spot.", True)
    assert typed["parameters"]["required"] == ["name", "height"]

    def many(*numbers: int) -> None: ...
    def raw(data: bytes) -> None: ...

    with pytest.raises(interfuse.SchemaError, match="by name") as caught:
        interfuse.function_tool(many)
    assert caught.value.param == "many.numbers"
    with pytest.raises(interfuse.SchemaError, match="bytes"):
        interfuse.function_tool(raw)
    with pytest.raises(TypeError, match="a tool is"):
        interfuse.function_tool("weather")


def test_a_plain_call_takes_functions_too(start: Start) -> None:
    up = start(answers("m", "", tool_calls=[{"name": "Spot", "arguments": {"name": "Eiger", "height": 3967}}]))
    client = interfuse.Client(up.config)
    request: Any = {"model": "up/m", "messages": HI, "tools": [weather, Spot]}
    client.chat(**request)
    sent = up.settled()[0]["body"]["tools"]
    assert [tool["function"]["name"] for tool in sent] == ["weather", "Spot"]
    call = cast(Any, client.chat.completions.parse(**request)).choices[0].message.tool_calls[0]
    assert call.function.parsed_arguments == Spot("Eiger", 3967.0)


def turns(*calls: Any, last: str = "It will rain.") -> dict[str, Any]:
    """A route: these calls, turn by turn, and then an answer."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    made = [{"answer": "", "tool_calls": one if isinstance(one, list) else [one], "usage": usage} for one in calls]
    return {"when": {"model": "m"}, "then": [*made, {"answer": last, "usage": usage}]}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def priced(up: Upstream) -> Any:
    return {**up.config, "prices": {"up/m": {"input": "1", "output": "2"}}}


def told(up: Upstream, at: int) -> list[Any]:
    """What tools said in a request."""
    messages = up.settled()[at]["body"]["messages"]
    return [message["content"] for message in messages if message["role"] == "tool"]


def test_the_loop(start: Start) -> None:
    near = [{"name": "Eiger"}]
    up = start(turns(call("weather", city="Bern", day="2026-11-28", near=near), [call("numpys", a=3, b="x"), call("note", text="dry")]))
    client = interfuse.Client(priced(up))

    def note(text: str) -> None: ...

    run = client.run_tools("Will it rain?", tools=[weather, numpys, note], model="up/m", temperature=0.0)
    assert (run.text, run.steps) == ("It will rain.", 3)
    assert (run.cost_nanos, run.cost_usd) == (60_000, "0.00006") and client.usage().total.cost_nanos == 60_000
    first = {"city": "Bern", "day": "2026-11-28", "unit": "celsius", "near": [{"name": "Eiger", "height": 0.0}], "degrees": 7.5}
    assert json.loads(told(up, 1)[0]) == first and told(up, 2)[1:] == ["3", "null"]
    assert [(one.name, one.error) for one in run.calls] == [("weather", None), ("numpys", None), ("note", None)]
    assert [message["role"] for message in run.messages] == ["user", "assistant", "tool", "assistant", "tool", "tool", "assistant"]
    assert run.completion is not None and run.completion.interfuse is not None and run.completion.interfuse.cost_nanos == 20_000
    ids = [message["tool_call_id"] for message in up.settled()[2]["body"]["messages"] if message["role"] == "tool"]
    assert ids == ["call_0", "call_0", "call_1"]
    again = client.run_tools([*run.messages, {"role": "user", "content": "Sure?"}], tools=[numpys], model="up/m")
    assert again.steps == 1 and len(up.settled()[3]["body"]["messages"]) == 8
    assert json.loads(run.to_json())["text"] == "It will rain."


def test_what_goes_wrong_is_told_to_the_model(start: Start) -> None:
    def breaks(text: str) -> None:
        raise KeyError(text)

    wrong = [call("breaks", text="no"), call("numpys", a="3", c=1), call("nothing"), {"name": "numpys", "arguments": '{"a": '}]
    up = start(turns(wrong))
    run = interfuse.Client(up.config).run_tools(HI, tools=[breaks, numpys], model="up/m")
    said = told(up, 1)
    assert said[0] == "error: KeyError: 'no'"
    assert all(part in said[1] for part in ('a: "3" is no integer', "b: it is missing", "c: there is no such argument"))
    assert "there is no tool 'nothing'; there are breaks, numpys" in said[2]
    assert "not JSON" in said[3]
    assert [one.result for one in run.calls] == [None] * 4 and all(one.error for one in run.calls)
    assert run.text == "It will rain." and run.cost_nanos is None, "a price nobody told is unknown"


def test_it_ends_at_its_last_step(start: Start) -> None:
    up = start(turns(*[call("numpys", a=1, b="x")] * 5))
    client = interfuse.Client(priced(up))
    with pytest.raises(interfuse.MaxStepsError, match="2 steps") as caught:
        client.run_tools(HI, tools=[numpys], model="up/m", max_steps=2)
    error = pickle.loads(pickle.dumps(caught.value))
    assert issubclass(type(error), interfuse.BudgetExceededError) and len(error.attempts) == 2
    run = error.run
    assert (run.steps, run.cost_nanos, error.cost_nanos, len(run.calls)) == (2, 40_000, 40_000, 2)
    assert [message["role"] for message in run.messages] == ["user", "assistant", "tool", "assistant", "tool"]
    assert len(up.settled()) == 2
    with pytest.raises(ValueError, match="max_steps"):
        client.run_tools(HI, tools=[numpys], model="up/m", max_steps=0)


def test_it_ends_at_its_budget(start: Start) -> None:
    big = {"prompt_tokens": 1000, "completion_tokens": 100}
    up = start({"when": {"model": "m"}, "then": {"answer": "", "tool_calls": [call("numpys", a=1, b="x")], "usage": big}})
    client = interfuse.Client(priced(up))
    with pytest.raises(interfuse.BudgetExceededError) as caught:
        client.run_tools(HI, tools=[numpys], model="up/m", max_cost_usd="0.003", max_completion_tokens=100)
    run = caught.value.run
    assert type(caught.value) is interfuse.BudgetExceededError and run is not None
    assert run.cost_nanos is not None and run.cost_nanos <= 3_000_000
    assert (run.steps, caught.value.cost_nanos) == (len(up.settled()), run.cost_nanos) and run.steps in (1, 2)
    assert client.usage().total.cost_nanos == run.cost_nanos


def test_a_failure_on_the_way_has_what_was_done(start: Start) -> None:
    failing = {"status": 400, "json": {"error": {"message": "no more"}}}
    up = start({"when": {"model": "m"}, "then": [{"answer": "", "tool_calls": [call("numpys", a=1, b="x")]}, failing]})
    with pytest.raises(interfuse.BadRequestError, match="no more") as caught:
        interfuse.Client(up.config).run_tools(HI, tools=[numpys], model="up/m")
    assert caught.value.run is not None and caught.value.run.steps == 1 and len(caught.value.attempts) == 2
    with pytest.raises(interfuse.BadRequestError) as plain:
        interfuse.Client(up.config).chat(model="up/m", messages=HI)
    assert plain.value.run is None


def test_what_is_no_function_is_refused_before_anything_is_sent(start: Start) -> None:
    up = start(turns())
    client = interfuse.Client(up.config)

    async def waits() -> None: ...

    def hides() -> Any:
        return waits()

    wrong: list[Any] = [{"type": "function", "function": {"name": "f"}}, Spot]
    for tool in wrong:
        with pytest.raises(TypeError, match="has none"):
            client.run_tools(HI, tools=[tool], model="up/m")
    with pytest.raises(ValueError, match="two tools"):
        client.run_tools(HI, tools=[numpys, numpys], model="up/m")
    with pytest.raises(TypeError, match="AsyncClient"):
        client.run_tools(HI, tools=[waits], model="up/m")
    assert up.settled() == []
    late = start(turns(call("hides")))
    with pytest.raises(TypeError, match="AsyncClient"):
        interfuse.Client(late.config).run_tools(HI, tools=[hides], model="up/m")


class Rain(TypedDict):
    rain: bool


def test_the_last_answer_is_read_into_a_type(start: Start) -> None:
    up = start({"when": {"model": "m"}, "then": [{"answer": "", "tool_calls": [call("numpys", a=1, b="x")]}, {"answer": "no"}, {"answer": '{"rain": true}'}]})
    run = interfuse.Client(up.config).run_tools(HI, tools=[numpys], model="up/m", response_format=Rain)
    assert (run.parsed, run.steps, len(up.settled())) == ({"rain": True}, 2, 3)


def test_asyncio_calls_at_the_same_time(start: Start) -> None:
    up = start(turns([call("first"), call("second"), call("third")]))

    async def main() -> None:
        second_ran = asyncio.Event()

        async def first() -> str:
            await second_ran.wait()
            return "one"

        async def second() -> int:
            second_ran.set()
            return 2

        def third() -> bool:
            return threading.current_thread() is threading.main_thread()

        run = await interfuse.AsyncClient(up.config).run_tools(HI, tools=[first, second, third], model="up/m")
        assert [one.result for one in run.calls] == ["one", "2", "false"]

        async def breaks() -> None:
            raise ValueError("no")

        again = start(turns(call("breaks")))
        run = await interfuse.AsyncClient(again.config).run_tools(HI, tools=[breaks], model="up/m")
        assert run.calls[0].error == "ValueError: no"

    asyncio.run(main())
    assert told(up, 1) == ["one", "2", "false"]


def test_a_cancelled_task_ends_its_tool(start: Start) -> None:
    up = start(turns(call("waits")))

    async def main() -> list[str]:
        began, ended = asyncio.Event(), []

        async def waits() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        task = asyncio.ensure_future(interfuse.AsyncClient(up.config).run_tools(HI, tools=[waits], model="up/m"))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return ended

    assert asyncio.run(main()) == ["ended"]
    assert len(up.settled()) == 1
