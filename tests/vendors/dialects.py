"""What one model said, in each vendor's words: bodies for the scripted upstream.

Every function takes a `Said` and gives the `then` of a route (see tests/README.md). Written from the vendors' API
references, so that both an official SDK and interfuse have to understand it.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Then = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One answer: its text in the pieces of a stream, its tool calls, its tokens (prompt, completion)."""

    pieces: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, Json], ...] = ()
    tokens: tuple[int, int] = (11, 7)
    short: bool = False
    """Ended by the limit of tokens."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True)
class Refused:
    """One error: what kind interfuse should call it, and what happened."""

    kind: str
    status: int
    words: str = ""


@dataclass(frozen=True)
class Dialect:
    """How one vendor says things."""

    name: str
    model: str
    whole: Any
    stream: Any
    error: Any
    refusals: tuple[Refused, ...] = field(default_factory=tuple)


def halves(call: tuple[str, str, Json]) -> tuple[str, str]:
    """A call's arguments as JSON, cut where a vendor may cut them."""
    text = json.dumps(call[2])
    return text[: len(text) // 2], text[len(text) // 2 :]


# ------------------------------------------------------------------------------------- OpenAI, and who speaks like it


def openai_finish(said: Said) -> str:
    return "tool_calls" if said.calls else "length" if said.short else "stop"


def openai_usage(said: Said) -> Json:
    prompt, completion = said.tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def openai_whole(said: Said) -> Then:
    message: Json = {"role": "assistant", "content": said.text or None}
    if said.calls:
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
            for id, name, args in said.calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": openai_finish(said), "logprobs": None}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return {"json": body | {"usage": openai_usage(said)}}


def openai_stream(said: Said) -> Then:
    def chunk(delta: Json, finish: str | None = None) -> Json:
        return head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": piece}) for piece in said.pieces]
    for index, call in enumerate(said.calls):
        id, name, _ = call
        begun = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        events.append(chunk({"tool_calls": [begun]}))
        events += [chunk({"tool_calls": [{"index": index, "function": {"arguments": h}}]}) for h in halves(call)]
    events += [chunk({}, openai_finish(said)), head | {"choices": [], "usage": openai_usage(said)}]
    return {"sse": events, "done": True}


def openai_error(refused: Refused) -> Then:
    code = {"authentication": "invalid_api_key", "context_length": "context_length_exceeded"}.get(refused.kind)
    error = {"message": refused.words, "type": "invalid_request_error", "param": None, "code": code}
    return {"status": refused.status, "json": {"error": error}}


def mistral_stream(said: Said) -> Then:
    """Mistral tells each call whole, in one event, and its usage with the last one."""
    then = openai_stream(Said(said.pieces, (), said.tokens, said.short))
    *events, last, usage = then["sse"]
    calls = [
        {"index": index, "id": id, "function": {"name": name, "arguments": json.dumps(args)}}
        for index, (id, name, args) in enumerate(said.calls)
    ]
    if calls:
        last["choices"][0]["delta"] = {"tool_calls": calls}
    last["choices"][0]["finish_reason"] = openai_finish(said)
    return {"sse": [*events, last | {"usage": usage["usage"]}], "done": True}


def mistral_error(refused: Refused) -> Then:
    body: Json = {"object": "error", "message": refused.words, "type": "invalid_request", "param": None, "code": None}
    return {"status": refused.status, "json": body}


# ---------------------------------------------------------------------------------------------------------- Anthropic


def anthropic_finish(said: Said) -> str:
    return "tool_use" if said.calls else "max_tokens" if said.short else "end_turn"


def anthropic_message(said: Said, content: list[Json]) -> Json:
    prompt, completion = said.tokens
    # Three of the prompt's tokens came from the cache, and two were written to it: `input_tokens` leaves both out.
    usage = {"input_tokens": prompt - 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    return head | {"content": content, "usage": usage | {"output_tokens": completion}}


def anthropic_whole(said: Said) -> Then:
    content: list[Json] = [{"type": "text", "text": said.text}] if said.text else []
    content += [{"type": "tool_use", "id": id, "name": name, "input": args} for id, name, args in said.calls]
    return {"json": anthropic_message(said, content) | {"stop_reason": anthropic_finish(said)}}


def anthropic_stream(said: Said) -> Then:
    start = anthropic_message(said, []) | {"stop_reason": None}
    start["usage"]["output_tokens"] = 1
    events: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    blocks: list[tuple[Json, list[Json]]] = []
    if said.pieces:
        blocks.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": p} for p in said.pieces]))
    for call in said.calls:
        begun = {"type": "tool_use", "id": call[0], "name": call[1], "input": {}}
        blocks.append((begun, [{"type": "input_json_delta", "partial_json": h} for h in halves(call)]))
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": anthropic_finish(said), "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": said.tokens[1]}})
    events.append({"type": "message_stop"})
    return {"sse": [{"event": e["type"], "data": e} for e in events]}


def anthropic_error(refused: Refused) -> Then:
    types = {401: "authentication_error", 400: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}
    error = {"type": types[refused.status], "message": refused.words}
    return {"status": refused.status, "json": {"type": "error", "error": error, "request_id": "req_1"}}


# ------------------------------------------------------------------------------------------------------------- Gemini


def gemini_chunk(said: Said, parts: list[Json], finish: str | None) -> Json:
    prompt, completion = said.tokens
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    # Two of the answer's tokens were thoughts, which `candidatesTokenCount` leaves out.
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": completion - 2, "thoughtsTokenCount": 2}
    usage["totalTokenCount"] = prompt + completion
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r-1"}


def gemini_calls(said: Said) -> list[Json]:
    return [{"functionCall": {"id": id, "name": name, "args": args}} for id, name, args in said.calls]


def gemini_finish(said: Said) -> str:
    return "MAX_TOKENS" if said.short else "STOP"


def gemini_whole(said: Said) -> Then:
    parts = [{"text": said.text}] if said.text else []
    return {"json": gemini_chunk(said, parts + gemini_calls(said), gemini_finish(said))}


def gemini_stream(said: Said) -> Then:
    chunks = [gemini_chunk(said, [{"text": piece}], None) for piece in said.pieces]
    chunks.append(gemini_chunk(said, gemini_calls(said) or [{"text": ""}], gemini_finish(said)))
    # Google ends its lines with CR LF.
    body = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks)
    return {"body": body, "headers": {"content-type": "text/event-stream"}}


def gemini_error(refused: Refused) -> Then:
    status = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}[refused.status]
    error: Json = {"code": refused.status, "message": refused.words, "status": status}
    if refused.kind == "authentication":
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        error["details"] = [info | {"domain": "googleapis.com"}]
    return {"status": refused.status, "json": {"error": error}}


# ------------------------------------------------------------------------------------------------------------- Cohere


def cohere_finish(said: Said) -> str:
    return "TOOL_CALL" if said.calls else "MAX_TOKENS" if said.short else "COMPLETE"


def cohere_usage(said: Said) -> Json:
    prompt, completion = said.tokens
    billed = {"input_tokens": prompt - 4, "output_tokens": completion}
    return {"billed_units": billed, "tokens": {"input_tokens": prompt, "output_tokens": completion}}


def cohere_call(call: tuple[str, str, Json], arguments: str) -> Json:
    return {"id": call[0], "type": "function", "function": {"name": call[1], "arguments": arguments}}


def cohere_whole(said: Said) -> Then:
    message: Json = {"role": "assistant"}
    if said.text:
        message["content"] = [{"type": "text", "text": said.text}]
    if said.calls:
        message["tool_calls"] = [cohere_call(call, json.dumps(call[2])) for call in said.calls]
    return {"json": {"id": "c-1", "finish_reason": cohere_finish(said), "message": message, "usage": cohere_usage(said)}}


def cohere_stream(said: Said) -> Then:
    def event(type: str, message: Json | None = None, index: int | None = None) -> Json:
        data: Json = {"type": type}
        if index is not None:
            data["index"] = index
        if message is not None:
            data["delta"] = {"message": message}
        return data

    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    events = [event("message-start", empty) | {"id": "c-1"}]
    if said.pieces:
        events.append(event("content-start", {"content": {"type": "text", "text": ""}}, 0))
        events += [event("content-delta", {"content": {"text": piece}}, 0) for piece in said.pieces]
        events.append(event("content-end", None, 0))
    for index, call in enumerate(said.calls):
        events.append(event("tool-call-start", {"tool_calls": cohere_call(call, "")}, index))
        for half in halves(call):
            events.append(event("tool-call-delta", {"tool_calls": {"function": {"arguments": half}}}, index))
        events.append(event("tool-call-end", None, index))
    delta = {"finish_reason": cohere_finish(said), "usage": cohere_usage(said)}
    events.append({"type": "message-end", "delta": delta})
    return {"sse": [{"event": e["type"], "data": e} for e in events], "done": True}


def cohere_error(refused: Refused) -> Then:
    return {"status": refused.status, "json": {"id": "e-1", "message": refused.words}}


# ------------------------------------------------------------------------------------------------------------ Bedrock


def bedrock_finish(said: Said) -> str:
    return "tool_use" if said.calls else "max_tokens" if said.short else "end_turn"


def bedrock_usage(said: Said) -> Json:
    prompt, completion = said.tokens
    return {"inputTokens": prompt, "outputTokens": completion, "totalTokens": prompt + completion}


def bedrock_whole(said: Said) -> Then:
    content: list[Json] = [{"text": said.text}] if said.text else []
    content += [{"toolUse": {"toolUseId": id, "name": name, "input": args}} for id, name, args in said.calls]
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": bedrock_finish(said)}
    return {"json": body | {"usage": bedrock_usage(said), "metrics": {"latencyMs": 5}}}


def eventstream(kind: str, payload: Json) -> bytes:
    """One frame of `application/vnd.amazon.eventstream`: prelude, its CRC, headers, payload, CRC of all."""

    def header(name: str, value: str) -> bytes:
        return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()

    headers = header(":event-type", kind) + header(":content-type", "application/json")
    headers += header(":message-type", "event")
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))


def bedrock_stream(said: Said) -> Then:
    events: list[tuple[str, Json]] = [("messageStart", {"role": "assistant"})]
    index = 0
    if said.pieces:
        for piece in said.pieces:
            events.append(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}))
        events.append(("contentBlockStop", {"contentBlockIndex": 0}))
        index = 1
    for place, call in enumerate(said.calls, index):
        begun = {"toolUse": {"toolUseId": call[0], "name": call[1]}}
        events.append(("contentBlockStart", {"contentBlockIndex": place, "start": begun}))
        for half in halves(call):
            delta = {"toolUse": {"input": half}}
            events.append(("contentBlockDelta", {"contentBlockIndex": place, "delta": delta}))
        events.append(("contentBlockStop", {"contentBlockIndex": place}))
    events.append(("messageStop", {"stopReason": bedrock_finish(said)}))
    events.append(("metadata", {"usage": bedrock_usage(said), "metrics": {"latencyMs": 5}, "p": "abcd"}))
    body = b"".join(eventstream(kind, payload) for kind, payload in events)
    headers = {"content-type": "application/vnd.amazon.eventstream"}
    return {"body_base64": base64.b64encode(body).decode(), "headers": headers, "split": 7}


def bedrock_error(refused: Refused) -> Then:
    types = {403: "UnrecognizedClientException", 400: "ValidationException", 429: "ThrottlingException"}
    headers = {"x-amzn-errortype": f"{types[refused.status]}:http://internal.amazon.com/"}
    return {"status": refused.status, "headers": headers, "json": {"message": refused.words}}


# -------------------------------------------------------------------------------------------------------------- table

TOO_LONG = "This model's maximum context length is 8192 tokens, however you requested 9000 tokens."
OPENAI_REFUSALS = (
    Refused("authentication", 401, "Incorrect API key provided."),
    Refused("context_length", 400, TOO_LONG),
    Refused("rate_limited", 429, "Rate limit reached."),
    Refused("server_error", 500, "The server had an error."),
)

OPENAI = Dialect("openai", "gpt-5-mini", openai_whole, openai_stream, openai_error, OPENAI_REFUSALS)
AZURE = Dialect("azure", "my-deployment", openai_whole, openai_stream, openai_error, OPENAI_REFUSALS)
GROQ = Dialect("groq", "openai/gpt-oss-20b", openai_whole, openai_stream, openai_error, OPENAI_REFUSALS)
HUGGING_FACE = Dialect("hf-router", "Qwen/Qwen3-32B", openai_whole, openai_stream, openai_error, OPENAI_REFUSALS)
MISTRAL = Dialect(
    "mistral",
    "mistral-small-latest",
    openai_whole,
    mistral_stream,
    mistral_error,
    (Refused("authentication", 401, "Unauthorized"), Refused("rate_limited", 429, "Requests rate limit exceeded")),
)
ANTHROPIC = Dialect(
    "anthropic",
    "claude-haiku-4-5",
    anthropic_whole,
    anthropic_stream,
    anthropic_error,
    (
        Refused("authentication", 401, "invalid x-api-key"),
        Refused("context_length", 400, "prompt is too long: 210000 tokens > 200000 maximum"),
        Refused("rate_limited", 429, "Number of requests has exceeded your rate limit"),
        Refused("overloaded", 529, "Overloaded"),
    ),
)
GEMINI = Dialect(
    "gemini",
    "gemini-2.5-flash",
    gemini_whole,
    gemini_stream,
    gemini_error,
    (
        Refused("authentication", 400, "API key not valid. Please pass a valid API key."),
        Refused("rate_limited", 429, "Resource has been exhausted (e.g. check quota)."),
        Refused("overloaded", 503, "The model is overloaded. Please try again later."),
    ),
)
COHERE = Dialect(
    "cohere",
    "command-a-03-2025",
    cohere_whole,
    cohere_stream,
    cohere_error,
    (
        Refused("authentication", 401, "invalid api token"),
        Refused("not_found", 404, "model 'command-x' not found, make sure the correct model ID was used"),
        Refused("rate_limited", 429, "You are using a Trial key, which is limited to 20 API calls / minute."),
    ),
)
BEDROCK = Dialect(
    "bedrock",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    bedrock_whole,
    bedrock_stream,
    bedrock_error,
    (
        Refused("authentication", 403, "The security token included in the request is invalid."),
        Refused("context_length", 400, "Input is too long for requested model."),
        Refused("rate_limited", 429, "Too many requests, please wait before trying again."),
    ),
)
