"""What a scripted upstream answers: the words of a script, their check, and which route takes a request."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Required, TypedDict, Unpack

from ..errors import ConfigError


class When(TypedDict, total=False):
    """Conditions on a request; all that are given must hold."""

    provider: str
    """Name of the provider that was asked."""
    method: str
    """Exact method."""
    path: str
    """Exact path, without the query (``/v1/chat/completions``)."""
    path_ends: str
    """How the path ends."""
    model: str
    """``model`` of the body."""
    header: Mapping[str, str]
    """Exact header values, names in any case."""
    body: Any
    """A part of the body: objects may have more keys, everything else is equal."""
    body_contains: str
    """Text that occurs in the body as it was sent."""
    last_role: str
    """``role`` of the last of the body's messages."""


class ToolCall(TypedDict):
    """A tool call of the scripted model."""

    name: str
    """Name of the function."""
    arguments: Any
    """Arguments; text is sent as it is (to script a malformed one)."""
    id: NotRequired[str]
    """Identifier; ``call_<position>`` by default."""


class Step(TypedDict, total=False):
    """One step of an answer written by hand; each has one of these."""

    send: str
    """Sends text."""
    delay_ms: int
    """Waits."""
    stall: bool
    """Holds the connection until the client leaves."""
    reset: bool
    """Resets the connection."""
    close: bool
    """Closes the connection."""


class Break(TypedDict, total=False):
    """Something that happens in the midst of an answer; of a whole one at the same share of its bytes."""

    after: Required[int]
    """After this many words."""
    skip: int
    """This many events of a stream are then left out."""
    then: Sequence[Step]
    """What happens; the answer goes on after it unless it ends the connection."""


class Response(TypedDict, total=False):
    """One answer, with at most one body: ``answer`` and ``tool_calls``, ``embeddings``, ``json``, ``body``, ``sse`` or ``steps``."""

    status: int
    """HTTP status; 200 by default."""
    headers: Mapping[str, str]
    """Headers; they replace what the server would write."""
    delay_ms: int
    """Milliseconds before the head is sent."""
    answer: str
    """A whole chat completion with this text; streamed word by word if the request asks for it."""
    tool_calls: Sequence[ToolCall]
    """The same with these tool calls, alone or after ``answer``."""
    finish_reason: str
    """``stop`` or ``tool_calls`` by default."""
    usage: Mapping[str, Any] | bool
    """Fields laid over the counted ones (a word is a token); False leaves usage out."""
    embeddings: Sequence[Sequence[float]]
    """One vector for each input; the last repeats."""
    json: Any
    """A JSON document."""
    body: str
    """Text."""
    sse: Sequence[Any]
    """Events: text or JSON becomes ``data:``, an object of only ``event``, ``data`` and ``id`` those lines."""
    steps: Sequence[Step]
    """What happens after the head, by hand."""
    breaks: Break
    """With ``answer``: what happens in its midst."""
    done: bool
    """Whether a stream ends with ``data: [DONE]``; that of ``answer`` does by default, that of ``sse`` does not."""
    chunk_delay_ms: int
    """Milliseconds between the events of a stream."""
    cut_after: int
    """Closes the connection after so many bytes of the body."""


class Route(TypedDict):
    """Requests that look like ``when`` get the answers of ``then`` in order; the last one repeats."""

    when: NotRequired[When]
    then: Response | Sequence[Response]


class Condition:
    """What ``when`` gives; ``then`` completes it."""

    def __init__(self, conditions: When) -> None:
        self._when = conditions

    def then(self, *responses: Response) -> Route:
        """The answers to such requests, in order; the last one repeats."""
        return {"when": self._when, "then": list(responses)}


def when(**conditions: Unpack[When]) -> Condition:
    """Requests that look like this: ``when(model="m-a").then(error(429), answer("Bern."))``. The first that holds answers."""
    return Condition(conditions)


def answer(text: str, **more: Unpack[Response]) -> Response:
    """A model's answer, whole or streamed as the request asks. ``more``: ``usage``, ``tool_calls``, ``delay_ms``, ..."""
    made: Response = {"answer": text}
    made.update(more)
    return made


def error(
    status: int,
    message: str = "scripted error",
    *,
    code: str | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
    delay_ms: int = 0,
) -> Response:
    """A vendor's error in OpenAI's form. ``retry_after``: seconds, told in that header."""
    told = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return {
        "status": status,
        "headers": {**told, **(headers or {})},
        "delay_ms": delay_ms,
        "json": {"error": {"message": message, "type": code or "scripted", "code": code}},
    }


def embeddings(*vectors: Sequence[float], **more: Unpack[Response]) -> Response:
    """One vector for each input of the request; the last repeats."""
    made: Response = {"embeddings": vectors}
    made.update(more)
    return made


def reset() -> Response:
    """The connection is reset before anything of an answer came."""
    return {"steps": [{"reset": True}]}


_STEP = set(Step.__annotations__)
_SHAPES = {"when": set(When.__annotations__), "then": set(Response.__annotations__)}
_BODIES = ("answer", "embeddings", "json", "body", "sse", "steps")


class Script:
    """The routes, and how far each has come. Thread-safe."""

    def __init__(self, given: Sequence[Mapping[str, Any]]) -> None:
        routes: list[tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = []
        bare: list[Mapping[str, Any]] = []
        for at, one in enumerate(given):
            _known(one, {"when", "then"} if "then" in one or "when" in one else _SHAPES["then"], f"[{at}]")
            if "then" not in one:
                if "when" in one:
                    raise _refused(f"[{at}]", "`when` without `then`")
                bare.append(_checked(one, f"[{at}]"))
                continue
            then: Any = one["then"]
            listed = [then] if isinstance(then, Mapping) else list(then)
            if not listed:
                raise _refused(f"[{at}].then", "at least one answer is needed")
            _known(one.get("when", {}), _SHAPES["when"], f"[{at}].when")
            routes.append((one.get("when", {}), [_checked(each, f"[{at}].then[{n}]") for n, each in enumerate(listed)]))
        # Bare answers are those of every request that no route took.
        if bare:
            routes.append(({}, bare))
        self._routes = routes
        self._used = [0] * len(routes)
        self._lock = threading.Lock()

    def take(self, request: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]] | None:
        """The route of a request, and its answer this time."""
        for at, (conditions, then) in enumerate(self._routes):
            if all(_holds(name, wanted, request) for name, wanted in conditions.items()):
                with self._lock:
                    turn = self._used[at]
                    self._used[at] += 1
                return at, then[min(turn, len(then) - 1)]
        return None

    def __str__(self) -> str:
        return "; ".join(f"when {json.dumps(dict(conditions))}" for conditions, _ in self._routes) or "nothing"


def _holds(name: str, wanted: Any, request: Mapping[str, Any]) -> bool:
    body = request["body"]
    fields = body if isinstance(body, dict) else {}
    match name:
        case "header":
            return all(request["sent"].get(key.lower()) == value for key, value in wanted.items())
        case "body":
            return _part(wanted, body)
        case "body_contains":
            return bool(wanted in request["text"])
        case "path_ends":
            return bool(request["path"].partition("?")[0].endswith(wanted))
        case "path":
            return bool((request["path"] if "?" in wanted else request["path"].partition("?")[0]) == wanted)
        case "model":
            return bool(fields.get("model") == wanted)
        case "last_role":
            messages = fields.get("messages") or [{}]
            return bool(messages[-1].get("role") == wanted)
    return bool(request[name] == wanted)


def _part(wanted: Any, there: Any) -> bool:
    """Whether one JSON value is a part of another: objects may have more keys."""
    if isinstance(wanted, Mapping):
        return isinstance(there, dict) and all(key in there and _part(value, there[key]) for key, value in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_part, wanted, there))
    return bool(wanted == there)


def _checked(response: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    _known(response, _SHAPES["then"], at)
    said = "answer" in response or "tool_calls" in response
    bodies = [name for name in _BODIES if name in response or (name == "answer" and said)]
    if len(bodies) > 1:
        raise _refused(at, f"only one body form is possible, found {', '.join(bodies)}")
    if not said and ("usage" in response or "finish_reason" in response):
        raise _refused(at, "`finish_reason` and `usage` need `answer` or `tool_calls`")
    if "breaks" in response and "answer" not in response:
        raise _refused(at, "`breaks` needs `answer`")
    if "done" in response and not said and "sse" not in response:
        raise _refused(at, "`done` needs `sse`, `answer` or `tool_calls`")
    if "embeddings" in response and not response["embeddings"]:
        raise _refused(f"{at}.embeddings", "at least one vector is needed")
    breaks = response.get("breaks", {"after": 0})
    _known(breaks, set(Break.__annotations__), f"{at}.breaks")
    if "after" not in breaks:
        raise _refused(f"{at}.breaks", "`after` is missing")
    for name, steps in (("steps", response.get("steps", ())), ("breaks.then", breaks.get("then", ()))):
        for n, step in enumerate(steps):
            _known(step, _STEP, f"{at}.{name}[{n}]")
            if len(step) != 1:
                raise _refused(f"{at}.{name}[{n}]", "a step does one thing")
    for n, call in enumerate(response.get("tool_calls", ())):
        _known(call, set(ToolCall.__annotations__), f"{at}.tool_calls[{n}]")
        if "name" not in call or "arguments" not in call:
            raise _refused(f"{at}.tool_calls[{n}]", "`name` and `arguments` are needed")
    return response


def _known(given: Any, names: set[str], at: str) -> None:
    if not isinstance(given, Mapping):
        raise _refused(at, f"expected an object, found {type(given).__name__}")
    for name in given:
        if name not in names:
            raise _refused(f"{at}.{name}", f"unknown field; possible are {', '.join(sorted(names))}")


def _refused(at: str, why: str) -> ConfigError:
    return ConfigError(f"upstream script, at {at}: {why}", {"param": at})
