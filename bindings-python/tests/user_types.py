"""A user's program for `mypy --strict` and for nobody to run: what the types promise, and what they refuse. An expected
refusal that does not come is an unused `type: ignore`, which strict mypy reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict, assert_type

import interfuse
from interfuse import AsyncClient, ChatCompletion, ChatCompletionChunk, Client, EmbeddingResponse, Fused, Stream, types

hi: list[types.Message | interfuse.Record] = [{"role": "user", "content": "hi"}]


def blocking(client: Client) -> None:
    r = client.chat.completions.create(model="up/m", messages=hi, temperature=0.2, timeout=3.5)
    assert_type(r, ChatCompletion)
    assert_type(r.choices[0].message.content, str | None)
    assert_type(r.choices[0].finish_reason, str | None)
    assert_type(r.choices[0].message.tool_calls, list[interfuse.ToolCall] | None)
    assert_type(r._request_id, str | None)  # pyright: ignore[reportPrivateUsage]
    if r.usage is not None:
        assert_type(r.usage.prompt_tokens, int)
    if r.interfuse is not None:
        assert_type(r.interfuse.cost_nanos, int | None)
    assert_type(r.model_dump(), dict[str, Any])
    hi.append(r.choices[0].message)

    chunks = client.chat.completions.create(model="up/m", messages=hi, stream=True)
    assert_type(chunks, Stream[ChatCompletionChunk])
    for chunk in chunks:
        assert_type(chunk.choices[0].delta.content, str | None)


def keys(fetched: str) -> None:
    Client(base_url="http://localhost/v1", api_key=lambda: fetched)
    Client(providers={"openai": {"api_key": lambda: fetched}, "own": {"base_url": "http://localhost/v1"}})
    Client({"providers": {"bedrock": {"credentials": lambda: {"access_key": fetched}}}})
    Client(base_url="http://localhost/v1", api_key=lambda: 5)  # type: ignore[arg-type, return-value]


def embedding(client: Client) -> None:
    r = client.embeddings.create(model="up/m", input=["one"], encoding_format="float", timeout=3.5)
    assert_type(r, EmbeddingResponse)
    assert_type(r.data[0].embedding, list[float] | str)
    if r.usage is not None:
        assert_type(r.usage.total_tokens, int)


def fusing(client: Client) -> None:
    f = client.fuse("Which?", pool=["up/a", {"model": "up/b", "temperature": 0.7}], judge={"model": "up/j"}, mode="merge")
    assert_type(f, Fused)
    assert_type(f.text, str)
    assert_type(f.report.members[0].latency_ms, int)
    assert_type(f.report.members[0].content, str | None)
    assert_type(f.report.mode, Literal["auto", "vote", "cascade", "best_of", "merge", "debate"])
    if f.report.analysis is not None:
        assert_type(f.report.analysis.consensus, list[str])
        assert_type(f.report.analysis.contradictions[0].topic, str)
    for event in client.fuse(messages=hi, pool="trio", stream=True):
        if event.type == "member_done":
            assert_type(event.latency_ms, int)
        elif event.type == "final_delta":
            assert_type(event.text, str)
        elif event.type == "run_done":
            assert_type(event.result, Fused)


def around(client: Client) -> None:
    completions = client.chat.completions
    raw = completions.with_raw_response.create(model="up/m", messages=hi)
    assert_type(raw, interfuse.RawResponse[ChatCompletion])
    assert_type(raw.headers["x-request-id"], str)
    assert_type(completions.with_raw_response.parse(model="up/m", messages=hi, response_format=Place).parse().choices[0].message.parsed, Place | None)
    assert_type(client.embeddings.with_raw_response.create(model="up/m", input="one").parse(), EmbeddingResponse)
    with completions.with_streaming_response.create(model="up/m", messages=hi, stream=True) as response:
        assert_type(response.parse(), Stream[ChatCompletionChunk])
        for line in response.iter_lines():
            assert_type(line, str)
    completions.with_raw_response.create(model="up/m")  # type: ignore[call-overload]
    completions.with_streaming_response.stream(model="up/m", messages=hi)  # type: ignore[attr-defined]


async def around_waiting(client: AsyncClient) -> None:
    completions = client.chat.completions
    assert_type((await completions.with_raw_response.create(model="up/m", messages=hi)).parse(), ChatCompletion)
    async with completions.with_streaming_response.create(model="up/m", messages=hi) as response:
        assert_type(response, interfuse.AsyncAPIResponse[ChatCompletion])
        assert_type(await response.parse(), ChatCompletion)
        async for piece in response.iter_bytes(1024):
            assert_type(piece, bytes)


async def waiting() -> None:
    async with AsyncClient(tags={"project": "search"}, timeout=20) as client:
        r = await client.chat.completions.create(model="up/m", messages=hi)
        assert_type(r.choices[0].message.content, str | None)
        async for chunk in await client.chat(model="up/m", messages=hi, stream=True):
            assert_type(chunk, ChatCompletionChunk)
        assert_type(await client.embeddings.create(model="up/m", input="one"), EmbeddingResponse)
        assert_type(await client.fuse("Which?", pool=["up/a"]), Fused)


def evaluating(client: Client) -> None:
    found = client.evaluate("items.jsonl", models=["up/a"], fusions={"both": {"mode": "vote", "pool": ["up/a", "up/b"]}}, timeout=30)
    assert_type(found, interfuse.Evaluation)
    assert_type(found.contenders[0].accuracy, float)
    assert_type(found.best_single, str | None)
    assert_type(found.to_text(), str)
    for event in client.evaluate([{"prompt": "How many?", "gold": "4"}], models=["up/a"], stream=True):
        if event.type == "progress":
            assert_type(event.done, int)
        else:
            assert_type(event.result, interfuse.Evaluation)


def batching(client: Client) -> None:
    with client.batch(["One?", {"model": "up/b", "messages": hi}, hi], model="up/a", budget="0.5", on_error="drop") as batch:
        for row in batch:
            assert_type(row, interfuse.BatchedRow)
            assert_type(row.text, str)
            assert_type(row.response, ChatCompletion | None)
            assert_type(row.exception, interfuse.InterfuseError | None)
    assert_type(batch.report, interfuse.BatchReport | None)
    client.batch(["One?"], on_error="ignore")  # type: ignore[arg-type]


async def batching_waiting(client: AsyncClient) -> None:
    async for row in client.batch(["One?"], model="up/a", progress=lambda counts: print(counts.done)):
        assert_type(row.cost_usd, str | None)


def learning(client: Client) -> None:
    client.feedback(client.fuse("Which?").id, right=False)
    assert_type(client.rejudge(client.fuse("Which?").report, "Which?", judge="up/b"), interfuse.Fused)
    assert_type(interfuse.replay(client.fuse("Which?").report), interfuse.Fused)
    assert_type(interfuse.calibrate("answers.jsonl"), interfuse.Calibration)
    assert_type(interfuse.calibrate([{"gold": "4", "answers": {"up/a": "4"}}]).advice, str)


def listings(client: Client) -> None:
    assert_type(client.usage(by=["project"]).total.cost_nanos, int)
    assert_type(client.models.list()[0].offers[0].input_usd, str | None)
    assert_type(client.providers()[0].ready, bool)
    assert_type(client.with_options(timeout=1), Client)


def failing(client: Client) -> None:
    try:
        client.fuse("Which?")
    except interfuse.RateLimitError as e:
        assert_type(e.retry_after, float | None)
    except interfuse.AllMembersFailedError as e:
        assert_type(e.members[0].message, str)


def refused(client: Client) -> None:
    client.chat(messages=hi)  # type: ignore[call-overload]
    client.chat(model="up/m", messages=hi, temperature="hot")  # type: ignore[call-overload]
    client.chat(model="up/m", messages=[{"role": "user", "contents": "hi"}])  # type: ignore[list-item]
    client.fuse("Which?", mode="magic")  # type: ignore[call-overload]
    client.fuse("Which?", pool=["up/a"]).report.member  # type: ignore[attr-defined]
    client.evaluate([{"prompt": "How many?"}], fusions={})  # type: ignore[call-overload]
    client.embeddings.create(model="up/m")  # type: ignore[call-arg]
    client.embeddings.create(model="up/m", input="one", encoding_format="int8")  # type: ignore[arg-type]
    client.chat(model="up/m", messages=hi).choices[0].message.content.upper()  # type: ignore[union-attr]
    Client(timeout="1s")  # type: ignore[arg-type]


@dataclass
class Place:
    city: str


class Trip(TypedDict):
    days: int


def typed(client: Client) -> None:
    r = client.chat.completions.parse(model="up/m", messages=hi, response_format=Place, max_reasks=2)
    assert_type(r.choices[0].message.parsed, Place | None)
    assert_type(r.usage, interfuse.Usage | None)
    assert_type(client.chat(model="up/m", messages=hi, response_format=Trip).choices[0].message.parsed, Trip | None)
    with client.chat.completions.stream(model="up/m", messages=hi, response_format=Place) as stream:
        for event in stream:
            if event.type == "content.delta":
                assert_type(event.delta, str)
            elif event.type == "content.done":
                assert_type(event.parsed, Place | None)
        assert_type(stream.get_final_completion().choices[0].message.parsed, Place | None)


async def typed_waiting(client: AsyncClient) -> None:
    r = await client.chat.completions.create(model="up/m", messages=hi, response_format=Place)
    assert_type(r.choices[0].message.parsed, Place | None)
    async with client.chat.completions.stream(model="up/m", messages=hi, tools=[weather]) as stream:
        assert_type((await stream.get_final_completion()).choices[0].message.content, str | None)


def weather(city: str) -> str:
    return city


def tools(client: Client) -> None:
    run = client.run_tools("Where?", tools=[weather], model="up/m", max_steps=3, max_cost_usd="0.1")
    assert_type(run.text, str | None)
    assert_type(run.cost_nanos, int | None)
    client.run_tools(run.messages, tools=[weather], model="up/m")
    client.chat(model="up/m", messages=hi, tools=[interfuse.function_tool(weather)])
    client.run_tools("Where?", tools=["weather"], model="up/m")  # type: ignore[list-item]
