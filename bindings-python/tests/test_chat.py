"""One blocking answer, its stream, and what a caller can put into a request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import HI, Start, answers, never, stalls

import interfuse


def test_answer(start: Start) -> None:
    up = start(answers("m-a", "In Bern.", usage={"prompt_tokens": 7, "completion_tokens": 2}))
    client = interfuse.Client(up.config)
    r = client.chat.completions.create(model="up/m-a", messages=HI, temperature=0.5, extra_body={"top_k": 3})
    assert r.choices[0].message.content == "In Bern."
    assert r.choices[0].finish_reason == "stop"
    assert r.usage is not None and r.usage.total_tokens == 9
    assert r.interfuse is not None and r.interfuse.provider == "up"
    assert r.interfuse.cost_usd is None, "a price nobody told is unknown, not 0"
    (request,) = up.settled()
    assert request["body"] == {"model": "m-a", "messages": HI, "temperature": 0.5, "top_k": 3}


def test_short_form_and_reply_put_back(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    client = interfuse.Client(up.config)
    first = client.chat(model="up/m-a", messages=HI)
    client.chat(model="up/m-a", messages=[*HI, first.choices[0].message, {"role": "user", "content": "And you?"}])
    told = up.settled()[1]["body"]["messages"]
    assert [m["content"] for m in told] == ["Where do you live?", "In Bern.", "And you?"]


def test_stream(start: Start) -> None:
    up = start(answers("m-a", "In Bern of course."))
    with interfuse.Client(up.config) as client:
        stream = client.chat.completions.create(model="up/m-a", messages=HI, stream=True)
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "In Bern of course."
    assert chunks[-1].interfuse is not None and chunks[-1].interfuse.provider == "up"
    assert list(stream) == [], "it has ended"


def test_failure_of_a_stream_comes_when_it_is_made(start: Start) -> None:
    up = start({"when": {"model": "m-a"}, "then": {"status": 401, "json": {"error": {"message": "no"}}}})
    with pytest.raises(interfuse.AuthenticationError):
        interfuse.Client(up.config).chat(model="up/m-a", messages=HI, stream=True)


def test_half_read_stream_that_is_dropped_closes_its_socket(start: Start) -> None:
    up = start(stalls("m-a", "In "))
    client = interfuse.Client(up.config)
    for chunk in client.chat(model="up/m-a", messages=HI, stream=True):
        assert chunk.choices[0].delta.content == "In "
        break
    (request,) = up.settled()
    assert request["client_closed_ms"] is not None


def test_closed_stream_closes_its_socket_and_says_so(start: Start) -> None:
    up = start(stalls("m-a", "In "))
    stream = interfuse.Client(up.config).chat(model="up/m-a", messages=HI, stream=True)
    with stream:
        assert next(stream).choices[0].delta.content == "In "
    (request,) = up.settled()
    assert request["client_closed_ms"] is not None
    with pytest.raises(interfuse.CallCancelledError):
        next(stream)


def test_stream_cut_half_way_carries_what_had_come(start: Start) -> None:
    up = start(answers("m-a", "In Bern of course.", cut_after=400))
    stream = interfuse.Client(up.config).chat(model="up/m-a", messages=HI, stream=True)
    with pytest.raises(interfuse.StreamInterruptedError) as caught:
        list(stream)
    assert caught.value.partial is not None and "In Bern of course.".startswith(caught.value.partial.text)


def test_timeout_in_seconds(start: Start) -> None:
    up = start(never("m-a"))
    with pytest.raises(TimeoutError) as caught:
        interfuse.Client(up.config).chat(model="up/m-a", messages=HI, timeout=0.2)
    assert isinstance(caught.value, interfuse.APITimeoutError)
    with pytest.raises(ValueError, match="seconds"):
        interfuse.Client(up.config, timeout=0)


def test_sixteen_threads(start: Start) -> None:
    up = start(*(answers(f"m-{i}", f"answer {i}") for i in range(16)))
    client = interfuse.Client(up.config)
    barrier = threading.Barrier(16)

    def ask(i: int) -> list[str | None]:
        barrier.wait()
        return [client.chat(model=f"up/m-{i}", messages=HI).choices[0].message.content for _ in range(20)]

    with ThreadPoolExecutor(16) as threads:
        for i, got in enumerate(threads.map(ask, range(16))):
            assert got == [f"answer {i}"] * 20
    assert len(up.settled()) == 320
