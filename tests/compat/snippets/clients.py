"""Clients and their options, embeddings, models."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from . import HI, Sdk, says, snippet

ANSWER = {"then": {"answer": "In Bern.", "headers": {"x-request-id": "req-7"}}}


@snippet(ANSWER)
def a_client_in_a_with(sdk: Sdk) -> None:
    with sdk.open() as client:
        client.chat.completions.create(model="m", messages=HI)
    assert sdk.up.settled()[0]["headers"]["authorization"] == "Bearer key-1"


@snippet(ANSWER)
def closed_by_hand(sdk: Sdk) -> None:
    client = sdk.open()
    client.chat.completions.create(model="m", messages=HI)
    client.close()


@snippet(ANSWER)
def the_id_of_the_request(sdk: Sdk) -> None:
    assert sdk.open().chat.completions.create(model="m", messages=HI)._request_id == "req-7"


@snippet(ANSWER)
def the_raw_response(sdk: Sdk) -> None:
    raw = sdk.open().chat.completions.with_raw_response.create(model="m", messages=HI)
    assert raw.headers.get("X-Request-ID") == "req-7" and raw.request_id == "req-7"
    assert (raw.status_code, raw.retries_taken) == (200, 0)
    assert raw.parse().choices[0].message.content == "In Bern."
    assert raw.elapsed.total_seconds() >= 0


@snippet(ANSWER)
async def asyncio_the_raw_response(sdk: Sdk) -> None:
    raw = await sdk.open_async().chat.completions.with_raw_response.create(model="m", messages=HI)
    assert raw.parse().choices[0].message.content == "In Bern."


@snippet(ANSWER)
def the_body_as_it_comes(sdk: Sdk) -> None:
    with sdk.open().chat.completions.with_streaming_response.create(model="m", messages=HI) as response:
        assert response.headers.get("X-Request-ID") == "req-7" and response.status_code == 200
        body = "".join(response.iter_text())
        assert json.loads(body)["choices"][0]["message"]["content"] == "In Bern."
    with sdk.open().chat.completions.with_streaming_response.create(model="m", messages=HI) as response:
        assert response.json()["choices"] and response.parse().choices[0].message.content == "In Bern."


@snippet(ANSWER)
def the_lines_of_a_stream(sdk: Sdk) -> None:
    with sdk.open().chat.completions.with_streaming_response.create(model="m", messages=HI, stream=True) as response:
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    chunks = [json.loads(one) for one in data]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "In Bern."


@snippet(ANSWER)
async def asyncio_the_body_as_it_comes(sdk: Sdk) -> None:
    client = sdk.open_async()
    async with client.chat.completions.with_streaming_response.create(model="m", messages=HI) as response:
        assert (await response.parse()).choices[0].message.content == "In Bern."
        assert (await response.json())["choices"]
    async with client.chat.completions.with_streaming_response.create(model="m", messages=HI, stream=True) as response:
        assert [line async for line in response.iter_lines() if line][-1] == "data: [DONE]"


@snippet(ANSWER)
def headers_of_every_request(sdk: Sdk) -> None:
    client = sdk.open(default_headers={"x-team": "core", "x-app": "a"})
    client.chat.completions.create(model="m", messages=HI, extra_headers={"x-app": "b"})
    sent = sdk.up.settled()[0]["headers"]
    assert (sent["x-team"], sent["x-app"]) == ("core", "b")


@snippet(ANSWER)
def fields_of_a_vendor(sdk: Sdk) -> None:
    sdk.open().chat.completions.create(model="m", messages=HI, extra_body={"top_k": 40, "guided": {"on": True}})
    assert sdk.up.settled()[0]["body"]["top_k"] == 40


@snippet(ANSWER)
def other_options_of_the_same_client(sdk: Sdk) -> None:
    client = sdk.open()
    other = client.with_options(timeout=20, max_retries=5, default_headers={"x-app": "b"})
    other.chat.completions.create(model="m", messages=HI)
    client.copy(timeout=5.0).chat.completions.create(model="m", messages=HI)
    assert [entry["headers"].get("x-app") for entry in sdk.up.settled()] == ["b", None]


@snippet({"then": {"delay_ms": 20_000, "answer": "never"}})
def a_timeout_in_parts(sdk: Sdk) -> None:
    client = sdk.open(timeout=httpx.Timeout(60.0, read=0.2, write=10.0, connect=2.0), max_retries=0)
    with pytest.raises(sdk.APITimeoutError):
        client.chat.completions.create(model="m", messages=HI)


@snippet(ANSWER)
def a_key_that_changes(sdk: Sdk) -> None:
    keys = iter(["key-1", "key-2"])
    client = sdk.OpenAI(base_url=sdk.url, api_key=lambda: next(keys))
    for _ in range(2):
        client.chat.completions.create(model="m", messages=HI)
    assert [entry["headers"]["authorization"] for entry in sdk.up.settled()] == ["Bearer key-1", "Bearer key-2"]


@snippet(ANSWER)
async def asyncio_a_key_that_is_fetched(sdk: Sdk) -> None:
    async def key() -> str:
        return "key-9"

    async with sdk.AsyncOpenAI(base_url=sdk.url, api_key=key) as client:
        await client.chat.completions.create(model="m", messages=HI)
    assert sdk.up.settled()[0]["headers"]["authorization"] == "Bearer key-9"


@snippet(ANSWER)
def no_key_in_its_picture(sdk: Sdk) -> None:
    client = sdk.OpenAI(base_url=sdk.url, api_key="key-very-secret")
    assert "key-very-secret" not in repr(client) and isinstance(sdk.__version__, str)


def embedded(*vectors: list[float]) -> dict[str, Any]:
    """A route: these embeddings."""
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    return {"then": {"json": {"object": "list", "model": "e", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}}}


@snippet(embedded([0.5, 1.0]))
def one_embedding(sdk: Sdk) -> None:
    response = sdk.open().embeddings.create(model="e", input="Bern", encoding_format="float")
    assert response.data[0].embedding == [0.5, 1.0] and response.usage.total_tokens == 3
    assert (response.object, response.data[0].object, response.model) == ("list", "embedding", "e")


@snippet(embedded([0.5], [1.0]))
def several_embeddings(sdk: Sdk) -> None:
    response = sdk.open().embeddings.create(model="e", input=["Bern", "Thun"], encoding_format="float", dimensions=1)
    assert [(one.index, one.embedding) for one in response.data] == [(0, [0.5]), (1, [1.0])]


@snippet(embedded([0.5]), alike=False)
def an_embedding_without_a_word_on_its_form(sdk: Sdk) -> None:
    assert sdk.open().embeddings.create(model="e", input="Bern").data[0].embedding == [0.5]


@snippet(embedded([0.5]))
async def asyncio_an_embedding(sdk: Sdk) -> None:
    response = await sdk.open_async().embeddings.create(model="e", input="Bern", encoding_format="float")
    assert response.data[0].embedding == [0.5]


KNOWN = "openai/gpt-oss-120b"
LISTED: Any = [{"id": KNOWN, "object": "model", "created": 1, "owned_by": "x"}]
MODELS = (
    {"when": {"path": "/v1/models"}, "then": {"json": {"object": "list", "data": LISTED}}},
    {"then": {"json": LISTED[0]}},
)


@snippet(*MODELS, alike=False)
def which_models(sdk: Sdk) -> None:
    client = sdk.open()
    assert KNOWN in [model.id for model in client.models.list()]
    assert any(model.id == KNOWN for model in client.models.list().data)
    assert client.models.retrieve(KNOWN).id == KNOWN


@snippet(*MODELS, alike=False)
async def asyncio_which_models(sdk: Sdk) -> None:
    client = sdk.open_async()
    assert KNOWN in [model.id async for model in client.models.list()]
    assert any(model.id == KNOWN for model in (await client.models.list()).data)


@snippet(says("In Bern."), alike=False)
def where_the_environment_says(sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", sdk.url)
    # A vendor's own model: it is named the same way for both.
    client = sdk.OpenAI()
    assert client.chat.completions.create(model="gpt-5-mini", messages=HI).choices[0].message.content == "In Bern."
    assert sdk.up.settled()[0]["headers"]["authorization"] == "Bearer key-of-the-environment"
