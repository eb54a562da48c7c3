"""Tools."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from . import HI, Sdk, call, snippet, whole

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
            "required": ["city"],
        },
    },
}
CALLS = whole({"tool_calls": [call("weather", '{"city":"Bern"}')]}, reason="tool_calls")


@snippet(CALLS)
def a_tool_is_called(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI, tools=[WEATHER])
    assert completion.choices[0].finish_reason == "tool_calls"
    tool_call = completion.choices[0].message.tool_calls[0]
    assert (tool_call.id, tool_call.type, tool_call.function.name) == ("call_1", "function", "weather")
    assert json.loads(tool_call.function.arguments) == {"city": "Bern"}


@snippet({"then": [CALLS["then"], whole({"content": "It rains."})["then"]]}, alike=False)
def its_result_goes_back(sdk: Sdk) -> None:
    client, messages = sdk.open(), list(HI)
    message = client.chat.completions.create(model="m", messages=messages, tools=[WEATHER]).choices[0].message
    messages.append(message)
    for tool_call in message.tool_calls:
        messages.append({"role": "tool", "tool_call_id": tool_call.id, "content": json.dumps({"rain": True})})
    completion = client.chat.completions.create(model="m", messages=messages, tools=[WEATHER])
    assert completion.choices[0].message.content == "It rains."
    sent = sdk.up.settled()[1]["body"]["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "call_1"


@snippet(whole({"tool_calls": [call("weather", '{"city":"Bern"}', "a"), call("weather", '{"city":"Thun"}', "b")]}, reason="tool_calls"))
def several_at_once(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI, tools=[WEATHER], parallel_tool_calls=True)
    cities = [json.loads(one.function.arguments)["city"] for one in completion.choices[0].message.tool_calls]
    assert cities == ["Bern", "Thun"]


@snippet(CALLS)
def which_tool(sdk: Sdk) -> None:
    client = sdk.open()
    named = {"type": "function", "function": {"name": "weather"}}
    for choice in ("auto", "required", "none", named):
        client.chat.completions.create(model="m", messages=HI, tools=[WEATHER], tool_choice=choice)


class Weather(BaseModel):
    """The weather in a city."""

    city: str = Field(description="Its name")
    unit: Literal["c", "f"]


ARGUMENTS = whole({"tool_calls": [call("Weather", '{"city":"Bern","unit":"c"}')]}, reason="tool_calls")


@snippet(ARGUMENTS, alike=False)
def arguments_read_into_a_model(sdk: Sdk) -> None:
    tools = [sdk.pydantic_function_tool(Weather)]
    completion = sdk.open().chat.completions.parse(model="m", messages=HI, tools=tools)
    tool_call = completion.choices[0].message.tool_calls[0]
    assert tool_call.function.parsed_arguments == Weather(city="Bern", unit="c")
    assert tool_call.function.arguments == '{"city":"Bern","unit":"c"}'
    sent = sdk.up.settled()[0]["body"]["tools"][0]["function"]
    assert (sent["name"], sent["strict"], sent["parameters"]["required"]) == ("Weather", True, ["city", "unit"])


@snippet(ARGUMENTS, alike=False)
async def asyncio_arguments_read_into_a_model(sdk: Sdk) -> None:
    tools = [sdk.pydantic_function_tool(Weather, name="Weather", description="Tells it")]
    completion = await sdk.open_async().chat.completions.parse(model="m", messages=HI, tools=tools)
    assert completion.choices[0].message.tool_calls[0].function.parsed_arguments.city == "Bern"
