"""Every snippet runs with openai's own package and with this one, against the same server; and both ask it the same."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from scripted import Start
from snippets import ALL, Sdk, Snippet

BOTH = [snippet for snippet in ALL if not snippet.ours]


def run(snippet: Snippet, package: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Runs it and gives the requests it made."""
    up = start(*snippet.routes)
    more = {"monkeypatch": monkeypatch} if "monkeypatch" in inspect.signature(snippet.run).parameters else {}
    done = snippet.run(Sdk(package, up), **more)
    if inspect.iscoroutine(done):
        asyncio.run(done)
    return up.settled()


def named(snippet: Snippet) -> str:
    return snippet.name


@pytest.mark.parametrize("snippet", BOTH, ids=named)
def test_with_openai(snippet: Snippet, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    run(snippet, "openai", start, monkeypatch)


@pytest.mark.parametrize("snippet", ALL, ids=named)
def test_with_interfuse(snippet: Snippet, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    run(snippet, "interfuse", start, monkeypatch)


@pytest.mark.parametrize("snippet", [snippet for snippet in BOTH if snippet.alike], ids=named)
def test_both_ask_the_same(snippet: Snippet, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [[sent(entry) for entry in run(snippet, package, start, monkeypatch)] for package in ("openai", "interfuse")]
    assert asked[0] == asked[1]


def sent(entry: dict[str, Any]) -> tuple[str, str, Any]:
    body = dict(entry["body"])
    # interfuse always asks for a stream's usage, for the ledger.
    body.pop("stream_options", None)
    return entry["method"], entry["path"], body


def test_there_are_enough() -> None:
    assert len(BOTH) >= 60
