"""Turns a scripted answer into what the connection does. The form is OpenAI's: chat completions and embeddings."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Action = tuple[Literal["send"], bytes] | tuple[Literal["delay"], int] | tuple[Literal["stall", "reset", "close"], None]

_CREATED = 1_700_000_000
"""A fixed moment, so that two runs of a script give the same bytes."""
_EVENT = {"event", "data", "id"}


def plan(response: Mapping[str, Any], request: Any, serial: int) -> tuple[str, bool, int, list[Action]]:
    """Content type, whether it is a stream (without a known length), the length to announce, and what to do."""
    kind, streams, actions = _body(response, request if isinstance(request, dict) else {}, serial)
    length = sum(len(sent) for name, sent in actions if name == "send" and isinstance(sent, bytes))
    if "cut_after" in response:
        actions = _cut(actions, response["cut_after"])
    return kind, streams, length, actions


def _body(response: Mapping[str, Any], request: dict[str, Any], serial: int) -> tuple[str, bool, list[Action]]:
    if "answer" in response or "tool_calls" in response:
        breaks = response.get("breaks")
        then = _steps(breaks.get("then", ())) if breaks else []
        if request.get("stream") is True:
            events = [_event(chunk) for chunk in _chunks(response, request, serial)]
            actions: list[Action] = [("send", event) for event in events]
            if breaks:
                start = 1 + breaks["after"]  # the first chunk tells the role alone
                actions[start : start + breaks.get("skip", 0)] = then
            if response.get("done") is not False:
                actions.append(("send", b"data: [DONE]\n\n"))
            return "text/event-stream", True, _spaced(actions, response)
        whole = json.dumps(_whole(response, request, serial)).encode()
        if not breaks:
            return "application/json", False, [("send", whole)]
        words = max(1, len(_words(response["answer"])))
        at = len(whole) * min(breaks["after"], words) // words
        return "application/json", False, [("send", whole[:at]), *then, ("send", whole[at:])]
    if "embeddings" in response:
        return "application/json", False, [("send", json.dumps(_embeddings(response, request)).encode())]
    if "json" in response:
        return "application/json", False, [("send", json.dumps(response["json"]).encode())]
    if "sse" in response:
        events = [_event(item) for item in response["sse"]]
        if response.get("done") is True:
            events.append(b"data: [DONE]\n\n")
        return "text/event-stream", True, _spaced([("send", event) for event in events], response)
    if "steps" in response:
        return "application/octet-stream", True, _steps(response["steps"])
    return "text/plain; charset=utf-8", False, [("send", response.get("body", "").encode())]


def _whole(response: Mapping[str, Any], request: dict[str, Any], serial: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": response.get("answer")}
    if calls := _calls(response):
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(response)}
    body = {**_envelope("chat.completion", request, serial), "choices": [choice]}
    usage = _usage(response, request)
    return body if usage is None else {**body, "usage": usage}


def _chunks(response: Mapping[str, Any], request: dict[str, Any], serial: int) -> list[dict[str, Any]]:
    """Role, one chunk per word, tool calls in pieces, finish reason, usage."""
    envelope = _envelope("chat.completion.chunk", request, serial)

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    made = [chunk({"role": "assistant", "content": ""})]
    made += [chunk({"content": word}) for word in _words(response.get("answer", ""))]
    for index, call in enumerate(_calls(response)):
        function = call["function"]
        start = {**call, "index": index, "function": {**function, "arguments": ""}}
        made.append(chunk({"tool_calls": [start]}))
        for piece in _words(function["arguments"]):
            made.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    made.append(chunk({}, _finish_reason(response)))
    usage = _usage(response, request)
    if usage is not None:
        made.append({**envelope, "choices": [], "usage": usage})
    return made


def _envelope(kind: str, request: dict[str, Any], serial: int) -> dict[str, Any]:
    return {"id": f"chatcmpl-{serial}", "object": kind, "created": _CREATED, "model": request.get("model")}


def _calls(response: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = []
    for index, call in enumerate(response.get("tool_calls", ())):
        arguments = call["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        function = {"name": call["name"], "arguments": text}
        made.append({"id": call.get("id", f"call_{index}"), "type": "function", "function": function})
    return made


def _finish_reason(response: Mapping[str, Any]) -> str:
    return str(response.get("finish_reason") or ("tool_calls" if response.get("tool_calls") else "stop"))


def _usage(response: Mapping[str, Any], request: dict[str, Any]) -> dict[str, Any] | None:
    """Counted words, so that usage is a function of script and request; fields of the script replace the counts."""
    given = response.get("usage", True)
    if given is False:
        return None
    fields = dict(given) if isinstance(given, Mapping) else {}
    prompt = fields.get("prompt_tokens", _words_in(request.get("messages")))
    said = len(_words(response.get("answer", ""))) + len(response.get("tool_calls", ()))
    completion = fields.get("completion_tokens", said)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **fields}


def _embeddings(response: Mapping[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    given = request.get("input")
    # One text, or one list of tokens, is one input.
    inputs = given if isinstance(given, list) and not (given and isinstance(given[0], int)) else [given]
    vectors = response["embeddings"]
    data = []
    for index in range(len(inputs)):
        vector: Any = [float(x) for x in vectors[min(index, len(vectors) - 1)]]
        if request.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    count = _words_in(inputs)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": request.get("model"), "usage": usage}


def _words_in(value: Any) -> int:
    if isinstance(value, str):
        return len(_words(value))
    if isinstance(value, dict):
        value = value.values()
    return sum(map(_words_in, value)) if isinstance(value, Iterable) else 0


def _words(text: str) -> list[str]:
    """Word-ish pieces, each with the blank before it: joined they are the text again."""
    return re.findall(r"\s*\S+(?:\s+\Z)?|\s+\Z", text)


def _event(item: Any) -> bytes:
    """One server-sent event."""
    fields = item if isinstance(item, Mapping) and item and _EVENT.issuperset(item) else {"data": item}
    lines = ""
    for name in ("id", "event", "data"):
        if name in fields:
            value = fields[name]
            text = value if isinstance(value, str) else json.dumps(value)
            lines += "".join(f"{name}: {line}\n" for line in text.split("\n"))
    return f"{lines}\n".encode()


def _spaced(actions: list[Action], response: Mapping[str, Any]) -> list[Action]:
    pause = response.get("chunk_delay_ms", 0)
    if not pause:
        return actions
    spaced: list[Action] = []
    for action in actions:
        spaced += [("delay", pause), action] if spaced else [action]
    return spaced


def _steps(steps: Iterable[Mapping[str, Any]]) -> list[Action]:
    made: list[Action] = []
    for step in steps:
        [(name, value)] = step.items()
        if name == "send":
            made.append(("send", value.encode()))
        elif name == "delay_ms":
            made.append(("delay", value))
        elif value and name == "stall":
            made.append(("stall", None))
        elif value and name == "reset":
            made.append(("reset", None))
        elif value and name == "close":
            made.append(("close", None))
    return made


def _cut(actions: list[Action], left: int) -> list[Action]:
    made: list[Action] = []
    for action in actions:
        if action[0] == "send":
            if len(action[1]) > left:
                return [*made, ("send", action[1][:left]), ("close", None)]
            left -= len(action[1])
        made.append(action)
    return made
