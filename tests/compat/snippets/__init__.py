"""Programs as users of openai-python write them, each a function. It runs with that package and with this one; only where the
client comes from differs: ``from interfuse import Client as OpenAI, AsyncClient as AsyncOpenAI``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

HI: Any = [{"role": "user", "content": "Where do you live?"}]
TOLD = {"prompt_tokens": 7, "completion_tokens": 2}


class Sdk:
    """The package that a snippet imports, and the server that it asks."""

    def __init__(self, name: str, up: Any) -> None:
        self.name = name
        self.module = importlib.import_module(name)
        self.url: str = up.base_url
        self.up = up
        ours = name == "interfuse"
        self.OpenAI: Any = self.module.Client if ours else self.module.OpenAI
        self.AsyncOpenAI: Any = self.module.AsyncClient if ours else self.module.AsyncOpenAI
        self.OpenAIError: Any = self.module.InterfuseError if ours else self.module.OpenAIError

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def open(self, **options: Any) -> Any:
        """A client of the server."""
        return self.OpenAI(base_url=self.url, api_key="key-1", **options)

    def open_async(self, **options: Any) -> Any:
        """The same for asyncio."""
        return self.AsyncOpenAI(base_url=self.url, api_key="key-1", **options)


class Snippet(NamedTuple):
    """One program."""

    name: str
    run: Callable[..., Any]
    routes: tuple[dict[str, Any], ...]
    alike: bool
    """Whether both packages send the same bodies."""
    ours: bool
    """Whether only this package can do it."""


ALL: list[Snippet] = []


def snippet(*routes: dict[str, Any], alike: bool = True, ours: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Notes a function as a snippet that asks a server with these routes."""

    def noted(run: Callable[..., Any]) -> Callable[..., Any]:
        assert run.__name__ not in {other.name for other in ALL}
        ALL.append(Snippet(run.__name__, run, routes, alike and not ours, ours))
        return run

    return noted


def says(text: str, **more: Any) -> dict[str, Any]:
    """A route: every model answers this."""
    return {"then": {"answer": text, **more}}


def whole(message: dict[str, Any] | None = None, *, choices: list[dict[str, Any]] | None = None, reason: str = "stop", **more: Any) -> dict[str, Any]:
    """A route: a completion written out."""
    one = {"index": 0, "message": {"role": "assistant", "content": None, **(message or {})}, "finish_reason": reason}
    made = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "m", "choices": choices or [one]}
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    return {"then": {"json": {**made, "usage": usage, **more}}}


def call(name: str, arguments: str, id: str = "call_1") -> dict[str, Any]:
    """A tool call in a message."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chunks(*deltas: dict[str, Any], reason: str = "stop", done: bool = True) -> dict[str, Any]:
    """A route: a stream of these deltas, each an object or one with ``index``, ``delta`` and more."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    choices = [{"index": 0, "finish_reason": None, **(delta if "delta" in delta else {"delta": delta})} for delta in deltas]
    for index in {choice["index"] for choice in choices}:
        choices.append({"index": index, "delta": {}, "finish_reason": reason})
    return {"then": {"sse": [{**head, "choices": [choice]} for choice in choices], "done": done}}


for _module in ("chat", "streams", "tools", "structured", "errors", "clients", "ours"):
    importlib.import_module(f"snippets.{_module}")
