"""openai's own client, unmodified, on interfuse: what its users rely on."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel
from scripted import HI, Start, Upstream, answers, never, stalls

import interfuse

NOT_SENT = {"api_key": "not sent", "base_url": "http://interfuse.invalid/v1"}
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
def through(transport: Any) -> Any:
    """openai's client for a server's answers."""

    def make(up: Upstream, **config: Any) -> openai.OpenAI:
        return openai.OpenAI(**NOT_SENT, http_client=transport.Client(interfuse.Client({**up.config, **config})))

    return make


@pytest.fixture
def waiting(transport: Any) -> Any:
    """The same for asyncio."""

    def make(up: Upstream) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(**NOT_SENT, http_client=transport.AsyncClient(interfuse.AsyncClient(up.config)))

    return make


def calls(model: str) -> dict[str, Any]:
    """A route: this model calls the tool."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
    return {"when": {"model": model}, "then": {"json": {**whole, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}}}


def test_an_answer(start: Start, through: Any) -> None:
    up = start({"then": {"answer": "In Bern.", "headers": {"x-request-id": "req-7"}, "usage": {"prompt_tokens": 7, "completion_tokens": 2}}})
    answer = through(up).chat.completions.create(model="up/m", messages=HI)
    assert answer.choices[0].message.content == "In Bern."
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (7, 9)
    assert answer._request_id == "req-7"
    assert answer.model_extra["interfuse"]["provider"] == "up"
    assert [entry["headers"]["authorization"] for entry in up.settled()] == ["Bearer key-of-up-only"]


def test_a_raw_response(start: Start, through: Any) -> None:
    up = start({"then": {"answer": "In Bern.", "headers": {"x-request-id": "req-7"}}})
    raw = through(up).chat.completions.with_raw_response.create(model="up/m", messages=HI)
    assert raw.headers["x-request-id"] == "req-7"
    assert raw.parse().choices[0].message.content == "In Bern."


def test_a_stream_comes_before_its_end(start: Start, through: Any) -> None:
    up = start(answers("m-a", "In Bern of course."), stalls("m-b", "In "))
    client = through(up)
    said = client.chat.completions.create(model="up/m-a", messages=HI, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said if chunk.choices) == "In Bern of course."
    # The server sends nothing after the first chunk.
    with client.chat.completions.create(model="up/m-b", messages=HI, stream=True) as left:
        assert next(chunk.choices[0].delta.content for chunk in left if chunk.choices[0].delta.content) == "In "
    assert up.settled()[-1]["client_closed_ms"] is not None


def test_a_stream_with_its_usage(start: Start, through: Any) -> None:
    up = start({"then": {"answer": "In Bern.", "usage": {"prompt_tokens": 7, "completion_tokens": 2}}})
    asked = {"model": "up/m", "messages": HI, "stream": True}
    told = list(through(up).chat.completions.create(**asked, stream_options={"include_usage": True}))
    assert told[-1].usage.total_tokens == 9 and told[-1].choices == []
    assert all(chunk.usage is None for chunk in through(up).chat.completions.create(**asked))


def test_the_stream_helper(start: Start, through: Any) -> None:
    up = start(answers("m", "In Bern of course."))
    kinds = set()
    with through(up).chat.completions.stream(model="up/m", messages=HI) as stream:
        for event in stream:
            kinds.add(event.type)
        whole = stream.get_final_completion()
    assert whole.choices[0].message.content == "In Bern of course."
    assert {"chunk", "content.delta", "content.done"} <= kinds


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_errors_are_openais(start: Start, through: Any, status: int, kind: type[openai.APIStatusError]) -> None:
    said = {"error": {"message": "no such luck", "code": "luck", "param": "model", "type": "x"}}
    up = start({"then": {"status": status, "headers": {"x-request-id": "req-8"}, "json": said}})
    with pytest.raises(kind) as caught:
        through(up, retries={"max_retries": 0}).chat.completions.create(model="up/m", messages=HI)
    assert type(caught.value) is kind
    assert caught.value.status_code == status
    assert (caught.value.code, caught.value.request_id) == ("luck", "req-8")
    assert "no such luck" in str(caught.value)
    assert len(up.settled()) == 1, "whatever was worth trying again, interfuse tried"


def test_our_own_errors_keep_their_words(start: Start, through: Any) -> None:
    up = start(answers("m", "In Bern."))
    with pytest.raises(openai.APIStatusError) as caught:
        through(up, budgets={"none": {"limit_usd": "0"}}).chat.completions.create(model="up/m", messages=HI)
    assert caught.value.code == "budget_exceeded"
    with pytest.raises(openai.NotFoundError) as unknown:
        through(up).chat.completions.create(model="opnai/gpt-5", messages=HI)
    assert "did you mean" in str(unknown.value)
    assert up.settled() == []


def test_a_timeout(start: Start, through: Any) -> None:
    up = start(never("m"))
    with pytest.raises(openai.APITimeoutError):
        through(up).with_options(timeout=0.05, max_retries=0).chat.completions.create(model="up/m", messages=HI)
    assert up.settled()[0]["client_closed_ms"] is not None


def test_tool_calls(start: Start, through: Any) -> None:
    up = start(calls("m"))
    answer = through(up).chat.completions.create(model="up/m", messages=HI, tools=[TOOL])
    call = answer.choices[0].message.tool_calls[0]
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == ("call_1", "weather", {"city": "Bern"})
    assert up.settled()[0]["body"]["tools"] == [TOOL]


class Place(BaseModel):
    city: str
    canton: Literal["BE", "ZH"]


def test_structured_output(start: Start, through: Any) -> None:
    up = start(answers("m", '{"city": "Bern", "canton": "BE"}'))
    answer = through(up).chat.completions.parse(model="up/m", messages=HI, response_format=Place)
    assert answer.choices[0].message.parsed == Place(city="Bern", canton="BE")
    assert up.settled()[0]["body"]["response_format"]["json_schema"]["name"] == "Place"


def test_embeddings_and_models(start: Start, through: Any) -> None:
    vector = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}]}
    up = start({"then": {"json": {**vector, "usage": {"prompt_tokens": 1, "total_tokens": 1}}}})
    got = through(up).embeddings.create(model="up/e", input="Bern", encoding_format="float")
    assert got.data[0].embedding == [0.5, 1.0]
    first = next(iter(through(up).models.list()))
    assert through(up).models.retrieve(first.id).id == first.id


POOL = [
    answers("m-a", "The capital is Bern."),
    answers("m-b", "Zurich is the capital."),
    answers("m-c", "Bern, since 1848."),
]
JUDGED = {
    "consensus": [], "contradictions": ["Bern or Zurich"], "partial_coverage": [], "unique_insights": [], "blind_spots": [],
    "final": "Bern, since 1848.",
}


def test_a_fused_answer(start: Start, through: Any) -> None:
    up = start(*POOL, {"when": {"model": "j"}, "then": {"answer": json.dumps(JUDGED)}})
    fusion = {"pool": ["up/m-a", "up/m-b", "up/m-c"], "judge": "up/j", "mode": "vote"}
    answer = through(up).chat.completions.create(model="interfuse/vote", messages=HI, extra_body={"fusion": fusion})
    assert "Bern" in answer.choices[0].message.content
    report = answer.model_extra["interfuse"]["fusion"]
    assert len(report["members"]) == 3
    said = through(up).chat.completions.create(model="interfuse/vote", messages=HI, stream=True, extra_body={"fusion": fusion})
    assert "Bern" in "".join(chunk.choices[0].delta.content or "" for chunk in said if chunk.choices)


def test_openrouters_fusion_plugin(start: Start, through: Any) -> None:
    up = start(*POOL, {"when": {"model": "j"}, "then": {"answer": json.dumps(JUDGED)}})
    plugin = {"id": "fusion", "analysis_models": ["up/m-a", "up/m-b", "up/m-c"], "model": "up/j"}
    answer = through(up).chat.completions.create(model="openrouter/fusion", messages=HI, extra_body={"plugins": [plugin]})
    assert "Bern" in answer.choices[0].message.content
    asked = sorted(entry["body"]["model"] for entry in up.settled())
    assert asked[0] == "j" and set(asked) == {"j", "m-a", "m-b", "m-c"}


def test_asyncio(start: Start, waiting: Any) -> None:
    up = start(answers("m-a", "In Bern of course."), stalls("m-b", "In "), never("m-c"))

    async def main() -> None:
        async with waiting(up) as client:
            one = await client.chat.completions.create(model="up/m-a", messages=HI)
            assert one.choices[0].message.content == "In Bern of course."
            said = [c.choices[0].delta.content or "" async for c in await client.chat.completions.create(model="up/m-a", messages=HI, stream=True) if c.choices]
            assert "".join(said) == "In Bern of course."
            async with await client.chat.completions.create(model="up/m-b", messages=HI, stream=True) as left:
                assert (await anext(aiter(left))).choices[0].delta.content == "In "
            gone = asyncio.ensure_future(client.chat.completions.create(model="up/m-c", messages=HI))
            await asyncio.to_thread(up.wait_for, 4)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone

    asyncio.run(main())
    assert all(entry["client_closed_ms"] is not None for entry in up.settled()[-2:])
