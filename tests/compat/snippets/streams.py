"""Chats, streamed."""

from __future__ import annotations

from typing import Any

from . import HI, TOLD, Sdk, chunks, says, snippet

WORDS = says("In Bern of course.", usage=TOLD)
STALLS: Any = {
    "then": {
        "headers": {"content-type": "text/event-stream"},
        "steps": [
            {
                "send": 'data: {"id":"s","object":"chat.completion.chunk","created":1,"model":"m",'
                '"choices":[{"index":0,"delta":{"content":"In "},"finish_reason":null}]}\n\n'
            },
            {"stall": True},
        ],
    }
}


@snippet(WORDS)
def chunk_by_chunk(sdk: Sdk) -> None:
    stream = sdk.open().chat.completions.create(model="m", messages=HI, stream=True)
    text = ""
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content is not None:
            text += chunk.choices[0].delta.content
    assert text == "In Bern of course."


@snippet(WORDS)
def with_its_usage(sdk: Sdk) -> None:
    stream = sdk.open().chat.completions.create(model="m", messages=HI, stream=True, stream_options={"include_usage": True})
    last = None
    for chunk in stream:
        assert chunk.object == "chat.completion.chunk"
        last = chunk
    assert last is not None and last.choices == [] and last.usage.total_tokens == 9


@snippet(WORDS)
def within_a_with(sdk: Sdk) -> None:
    with sdk.open().chat.completions.create(model="m", messages=HI, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "In Bern of course."


@snippet(STALLS)
def left_early(sdk: Sdk) -> None:
    stream = sdk.open().chat.completions.create(model="m", messages=HI, stream=True)
    for chunk in stream:
        assert chunk.choices[0].delta.content == "In "
        break
    stream.close()
    assert sdk.up.settled()[0]["client_closed_ms"] is not None


@snippet(WORDS)
def first_and_last(sdk: Sdk) -> None:
    stream = sdk.open().chat.completions.create(model="m", messages=HI, stream=True)
    assert next(stream).choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in stream if chunk.choices][-1] == "stop"


@snippet(chunks({"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "c"}}))
def several_answers_side_by_side(sdk: Sdk) -> None:
    texts = ["", ""]
    for chunk in sdk.open().chat.completions.create(model="m", messages=HI, n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == ["ac", "b"]


PIECES = chunks(
    {"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '"Bern"}'}}]},
    {"tool_calls": [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}}]},
    reason="tool_calls",
)
TOOLS: Any = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}},
    {"type": "function", "function": {"name": "time"}},
]


@snippet(PIECES)
def tool_calls_put_together(sdk: Sdk) -> None:
    calls: dict[int, Any] = {}
    for chunk in sdk.open().chat.completions.create(model="m", messages=HI, tools=TOOLS, stream=True):
        for part in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            made = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
            made["id"] += part.id or ""
            made["name"] += part.function.name or ""
            made["arguments"] += part.function.arguments or ""
    assert calls[0] == {"id": "call_1", "name": "weather", "arguments": '{"city": "Bern"}'}
    assert calls[1]["name"] == "time"


LIKELY = [{"token": "Bern", "logprob": -0.1, "bytes": None, "top_logprobs": []}]
SURE = chunks({"index": 0, "delta": {"role": "assistant", "content": "Bern"}, "logprobs": {"content": LIKELY, "refusal": None}})


@snippet(SURE)
def log_probabilities_of_a_stream(sdk: Sdk) -> None:
    stream = sdk.open().chat.completions.create(model="m", messages=HI, logprobs=True, stream=True)
    assert next(iter(stream)).choices[0].logprobs.content[0].logprob == -0.1


@snippet(WORDS)
def as_events(sdk: Sdk) -> None:
    kinds, text = [], ""
    with sdk.open().chat.completions.stream(model="m", messages=HI) as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "content.delta":
                text += event.delta
                assert event.snapshot == text
            elif event.type == "content.done":
                assert event.content == text
            elif event.type == "chunk":
                assert event.chunk.id == event.snapshot.id
    assert text == "In Bern of course."
    assert set(kinds) == {"chunk", "content.delta", "content.done"}


@snippet(WORDS)
def the_whole_of_a_stream(sdk: Sdk) -> None:
    with sdk.open().chat.completions.stream(model="m", messages=HI, stream_options={"include_usage": True}) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == "In Bern of course."
    assert (completion.object, completion.choices[0].finish_reason, completion.usage.total_tokens) == ("chat.completion", "stop", 9)
    assert completion.choices[0].message.parsed is None


@snippet(WORDS)
def read_to_its_end(sdk: Sdk) -> None:
    with sdk.open().chat.completions.stream(model="m", messages=HI) as stream:
        stream.until_done()
        assert stream.current_completion_snapshot.choices[0].message.content == "In Bern of course."


@snippet(PIECES)
def events_of_tool_calls(sdk: Sdk) -> None:
    parts, done = [], []
    with sdk.open().chat.completions.stream(model="m", messages=HI, tools=TOOLS) as stream:
        for event in stream:
            if event.type == "tool_calls.function.arguments.delta":
                parts.append((event.index, event.arguments_delta))
            elif event.type == "tool_calls.function.arguments.done":
                done.append((event.index, event.name, event.arguments))
        message = stream.get_final_completion().choices[0].message
    assert "".join(text for index, text in parts if index == 0) == '{"city": "Bern"}'
    assert done == [(0, "weather", '{"city": "Bern"}'), (1, "time", "{}")]
    assert [one.id for one in message.tool_calls] == ["call_1", "call_2"]


@snippet(SURE)
def events_of_log_probabilities(sdk: Sdk) -> None:
    with sdk.open().chat.completions.stream(model="m", messages=HI, logprobs=True) as stream:
        told = {event.type: event for event in stream}
    assert told["logprobs.content.delta"].content[0].token == "Bern"
    assert told["logprobs.content.done"].content[0].token == "Bern"


@snippet(chunks({"role": "assistant", "refusal": "I "}, {"refusal": "will not."}))
def events_of_a_refusal(sdk: Sdk) -> None:
    with sdk.open().chat.completions.stream(model="m", messages=HI) as stream:
        told = [(event.type, event.delta) for event in stream if event.type == "refusal.delta"]
        message = stream.get_final_completion().choices[0].message
    assert told == [("refusal.delta", "I "), ("refusal.delta", "will not.")] and message.refusal == "I will not."


@snippet(WORDS)
async def asyncio_chunk_by_chunk(sdk: Sdk) -> None:
    stream = await sdk.open_async().chat.completions.create(model="m", messages=HI, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]) == "In Bern of course."


@snippet(STALLS)
async def asyncio_left_early(sdk: Sdk) -> None:
    async with await sdk.open_async().chat.completions.create(model="m", messages=HI, stream=True) as stream:
        async for chunk in stream:
            assert chunk.choices[0].delta.content == "In "
            break
    assert sdk.up.settled()[0]["client_closed_ms"] is not None


@snippet(WORDS)
async def asyncio_events(sdk: Sdk) -> None:
    async with sdk.open_async().chat.completions.stream(model="m", messages=HI) as stream:
        text = "".join([event.delta async for event in stream if event.type == "content.delta"])
        completion = await stream.get_final_completion()
    assert text == completion.choices[0].message.content == "In Bern of course."
