"""Threads that share one client."""

from __future__ import annotations

import threading
from typing import Any

from conftest import GUARD, Start

import interfuse

THREADS = 64
CALLS = 8


def test_64_threads_share_a_client(start: Start) -> None:
    """Each hears the answer to its own question."""
    up = start({"then": {"capture": {"n": "number (\\d+)"}, "answer": "It is {{n}}."}})
    client = interfuse.Client(up.config)
    heard: dict[int, list[str | None]] = {}
    together = threading.Barrier(THREADS)

    def ask(thread: int) -> None:
        together.wait(GUARD)
        mine: list[str | None] = []
        for call in range(CALLS):
            messages: Any = [{"role": "user", "content": f"number {thread * CALLS + call}"}]
            if call % 4 == 3:
                # Half-read and dropped: the others must not notice.
                next(iter(client.chat(model="up/m", messages=messages, stream=True)))
            if call % 2:
                chunks = client.chat(model="up/m", messages=messages, stream=True)
                mine.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
            else:
                mine.append(client.chat(model="up/m", messages=messages).choices[0].message.content)
        heard[thread] = mine

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD)
    assert heard == {
        thread: [f"It is {thread * CALLS + call}." for call in range(CALLS)] for thread in range(THREADS)
    }
