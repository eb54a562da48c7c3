"""What openai's users look for around an answer: ``with_raw_response`` and ``with_streaming_response``."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import HI, Start, answers, stalls

import interfuse

ANSWER = {"when": {"model": "m-a"}, "then": {"answer": "In Bern\u2028of course.", "headers": {"x-request-id": "req-7"}}}
VECTOR = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}]}
EMBEDDING = {"when": {"model": "e"}, "then": {"json": {**VECTOR, "usage": {"prompt_tokens": 1, "total_tokens": 1}}}}


@dataclass
class Place:
    city: str


def test_a_raw_response_has_its_body(start: Start) -> None:
    up = start(ANSWER, EMBEDDING, answers("m-t", '{"city": "Bern"}'), stalls("m-s", "In "))
    client = interfuse.Client(up.config)
    completions = client.chat.completions.with_raw_response
    raw = completions.create(model="up/m-a", messages=HI)
    assert (raw.status_code, raw.request_id, raw.headers.get("X-Request-Id"), raw.retries_taken) == (200, "req-7", "req-7", 0)
    assert raw.json() == raw.parse().to_dict() == json.loads(raw.text) and raw.content == raw.text.encode()
    typed = completions.parse(model="up/m-t", messages=HI, response_format=Place)
    assert typed.parse().choices[0].message.parsed == Place("Bern")
    assert typed.json()["choices"][0]["message"]["parsed"] == {"city": "Bern"}
    assert client.embeddings.with_raw_response.create(model="up/e", input="x").parse().data[0].embedding == [0.5, 1.0]
    stream = completions.create(model="up/m-s", messages=HI, stream=True)
    with pytest.raises(interfuse.MisuseError, match="with_streaming_response"):
        _ = stream.text
    with stream.parse() as chunks:
        assert next(chunks).choices[0].delta.content == "In "


def test_nothing_is_asked_before_the_with(start: Start) -> None:
    up = start(ANSWER)
    manager = interfuse.Client(up.config).chat.completions.with_streaming_response.create(model="up/m-a", messages=HI)
    assert up.settled() == []
    with manager as response:
        assert not response.is_closed and response.request_id == "req-7"
        assert response.json() == response.parse().to_dict()
    assert response.is_closed and len(up.settled()) == 1


def test_a_body_in_pieces(start: Start, tmp_path: Path) -> None:
    up = start(ANSWER, EMBEDDING)
    client = interfuse.Client(up.config)
    with client.chat.completions.with_streaming_response.create(model="up/m-a", messages=HI) as response:
        whole = response.read()
        assert b"".join(response.iter_bytes()) == whole and list(response.iter_lines()) == [whole.decode()]
        pieces = list(response.iter_bytes(10))
        assert b"".join(pieces) == whole and {len(piece) for piece in pieces[:-1]} == {10} and len(pieces[-1]) <= 10
        assert "".join(response.iter_text(7)) == response.text() == whole.decode()
        response.stream_to_file(tmp_path / "answer.json")
        with pytest.raises(ValueError, match="chunk_size"):
            list(response.iter_bytes(0))
    assert (tmp_path / "answer.json").read_bytes() == whole
    with client.embeddings.with_streaming_response.create(model="up/e", input="x") as embedded:
        assert embedded.json()["data"] == VECTOR["data"]


def said(lines: list[str]) -> str:
    """The answer that server-sent events tell."""
    data = [line.removeprefix("data: ") for line in lines if line]
    assert data.pop() == "[DONE]"
    chunks = [json.loads(one) for one in data]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


def test_a_stream_is_read_as_it_comes_and_leaving_the_with_ends_it(start: Start) -> None:
    up = start(ANSWER, stalls("m-s", "In "))
    completions = interfuse.Client(up.config).chat.completions.with_streaming_response
    with completions.create(model="up/m-a", messages=HI, stream=True) as response:
        assert said(list(response.iter_lines())) == "In Bern\u2028of course."
        with pytest.raises(interfuse.MisuseError, match="read"):
            list(response.iter_lines())
    with completions.create(model="up/m-a", messages=HI, stream=True) as response:
        assert said(response.text().split("\n")) == said(list(response.iter_lines())), "what read() kept comes again"
    # The server sends nothing after the first chunk.
    with completions.create(model="up/m-s", messages=HI, stream=True) as response:
        assert '"In "' in next(iter(response.iter_text()))
    with completions.create(model="up/m-s", messages=HI, stream=True) as response:
        assert next(response.parse()).choices[0].delta.content == "In "
    assert all(entry["client_closed_ms"] is not None for entry in up.settled()[-2:])


def test_errors_come_at_the_with(start: Start) -> None:
    up = start({"when": {}, "then": {"status": 404, "json": {"error": {"message": "no such model"}}}})
    manager = interfuse.Client(up.config).chat.completions.with_streaming_response.create(model="up/m", messages=HI)
    with pytest.raises(interfuse.NotFoundError), manager:
        raise AssertionError


def test_for_asyncio(start: Start, tmp_path: Path) -> None:
    up = start(ANSWER, EMBEDDING, stalls("m-s", "In "), answers("m-t", '{"city": "Bern"}'))

    async def main() -> None:
        client = interfuse.AsyncClient(up.config)
        completions = client.chat.completions.with_streaming_response
        async with completions.create(model="up/m-a", messages=HI) as response:
            assert await response.json() == (await response.parse()).to_dict() and response.request_id == "req-7"
            assert [line async for line in response.iter_lines()] == [await response.text()]
            assert b"".join([piece async for piece in response.iter_bytes(10)]) == await response.read()
            await response.stream_to_file(tmp_path / "answer.json")
            assert (tmp_path / "answer.json").read_bytes() == await response.read()
        async with completions.create(model="up/m-a", messages=HI, stream=True) as events:
            assert said([line async for line in events.iter_lines()]) == "In Bern\u2028of course."
            with pytest.raises(interfuse.MisuseError, match="read"):
                await events.read()
        async with completions.create(model="up/m-s", messages=HI, stream=True) as half:
            assert (await anext(await half.parse())).choices[0].delta.content == "In "
        async with completions.parse(model="up/m-t", messages=HI, response_format=Place) as typed:
            assert (await typed.parse()).choices[0].message.parsed == Place("Bern")
        async with client.embeddings.with_streaming_response.create(model="up/e", input="x") as embedded:
            assert (await embedded.json())["data"] == VECTOR["data"]
        raw = await client.embeddings.with_raw_response.create(model="up/e", input="x")
        assert raw.json()["data"] == VECTOR["data"]

    asyncio.run(main())
    assert up.settled()[2]["client_closed_ms"] is not None


def test_only_what_has_one_answer_is_offered() -> None:
    completions: Any = interfuse.Client({"use_environment": False}).chat.completions
    for around in (completions.with_raw_response, completions.with_streaming_response):
        assert not hasattr(around, "stream")
