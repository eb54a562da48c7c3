"""Embeddings, blocking and with asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Start, never

import interfuse


def embeds(model: str, *vectors: Any) -> dict[str, Any]:
    """A route: this model gives these embeddings."""
    data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    body = {"object": "list", "model": model, "data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    return {"when": {"path": "/v1/embeddings", "model": model}, "then": {"json": body}}


def test_one_embedding_per_text(start: Start) -> None:
    up = start(embeds("m-a", [0.5, -0.25], "AACAPwAAAD8="))
    client = interfuse.Client(up.config)
    r = client.embeddings.create(model="up/m-a", input=["one", "two"], dimensions=2, extra_body={"input_type": "query"})
    assert [e.embedding for e in r.data] == [[0.5, -0.25], [1.0, 0.5]]
    assert (r.object, r.data[1].object, r.data[1].index) == ("list", "embedding", 1)
    assert r.usage is not None and r.usage.prompt_tokens == 4
    assert r.interfuse is not None and r.interfuse.provider == "up"
    (request,) = up.settled()
    assert request["body"] == {"model": "m-a", "input": ["one", "two"], "dimensions": 2, "input_type": "query"}
    assert client.usage(by=["purpose"]).rows[0].group == {"purpose": "embedding"}


def test_base64_and_the_clients_own_options(start: Start) -> None:
    up = start(embeds("m-a", [1.0, 0.5]))
    client = interfuse.Client(base_url=up.base_url, api_key="own", default_headers={"x-a": "1"}, tags={"project": "search"})
    r = client.embeddings.create(model="m-a", input="one", encoding_format="base64")
    assert r.data[0].embedding == "AACAPwAAAD8="
    (request,) = up.settled()
    assert (request["headers"]["x-a"], request["headers"]["authorization"]) == ("1", "Bearer own")
    assert client.usage(by=["project"]).rows[0].group == {"project": "search"}


def test_failures(start: Start) -> None:
    up = start(embeds("m-a", [1.0]))
    client = interfuse.Client(up.config)
    with pytest.raises(interfuse.InterfuseError, match="no `input` given") as refused:
        client.embeddings.create(model="up/m-a", input=[])
    assert refused.value.kind == "invalid_request"
    with pytest.raises(interfuse.InterfuseError) as broken:
        client.embeddings.create(model="up/m-a", input=["one", "two"])
    assert broken.value.kind == "decode"


def test_asyncio_answers_and_a_cancelled_task_closes_its_socket(start: Start) -> None:
    up = start(embeds("m-a", [0.5]), never("slow"))

    async def main() -> None:
        client = interfuse.AsyncClient(up.config)
        r = await client.embeddings.create(model="up/m-a", input="one")
        assert r.data[0].embedding == [0.5]
        task = asyncio.ensure_future(client.embeddings.create(model="up/slow", input="one"))
        await asyncio.to_thread(up.wait_for, 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert up.settled()[1]["client_closed_ms"] is not None
