"""HTTP requests of vendors' own clients, answered in this process; no socket is involved. What ``interfuse.httpx`` and
``interfuse.httpx2`` share: it knows neither library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from ._packages import brought
from ._typed_errors import PackageError
from .errors import STATUS, InterfuseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from ._responses import ChatCompletionChunk
    from .aio import AsyncClient, AsyncStream
    from .client import Client, Stream

LEAST = {"httpx": "0.20", "httpx2": "2.0"}
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"
# interfuse made every attempt that was worth making.
FINAL = {"x-should-retry": "false"}


class Asked(NamedTuple):
    """What a request asks for."""

    operation: str
    body: dict[str, Any]


class Refused(Exception):
    """A request that is answered here with an error: its status and the error."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, "code": kind, "param": None}


def library(name: str) -> None:
    """Sees that the library is there and its transports take and give whole requests and responses. Raises PackageError."""
    least = LEAST[name]
    use = f"interfuse.{name}, which answers what is asked by {name} (openai 2 has httpx, openai 3 httpx2),"
    found = brought(name, use, f"'{name}>={least}'")
    transport = getattr(found, "BaseTransport", None)
    if transport is None or "request" not in transport.handle_request.__annotations__:
        raise PackageError(
            f"{use} needs {name} {least} or newer, and {found.__version__} is installed: pip install '{name}>={least}'",
            {"package": name},
        )


def asked(method: str, path: str, body: bytes) -> Asked:
    """What a request asks for. Raises Refused."""
    if method == "POST" and path.endswith(("/chat/completions", "/embeddings")):
        try:
            request = json.loads(body)
        except ValueError as error:
            raise Refused(400, "invalid_request", f"the request is not JSON: {error}") from None
        if not isinstance(request, dict):
            raise Refused(400, "invalid_request", "the request is no JSON object")
        return Asked("embeddings" if path.endswith("/embeddings") else "stream" if request.pop("stream", None) else "chat", request)
    if method == "GET" and path.endswith("/models"):
        return Asked("models", {})
    if method == "GET" and "/models/" in path:
        return Asked("model", {"id": unquote(path.rpartition("/models/")[2])})
    raise Refused(
        404,
        "unsupported",
        f"interfuse answers POST .../chat/completions, POST .../embeddings and GET .../models, not {method} {path}",
    )


def listed(client: Client | AsyncClient, asked: Asked) -> dict[str, Any]:
    """Models as OpenAI lists them. Raises Refused for one that there is not."""
    models = [{"id": model.id, "object": "model", "created": 0, "owned_by": model.id.partition("/")[0]} for model in client.models.list()]
    if asked.operation == "models":
        return {"object": "list", "data": models}
    for model in models:
        if model["id"] == asked.body["id"]:
            return model
    raise Refused(404, "not_found", f"there is no model {asked.body['id']!r}")


def told(result: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer."""
    ours: Mapping[str, Any] = result.get("interfuse") or {}
    request_id = ours.get("request_id")
    return {**JSON, **({"x-request-id": request_id} if request_id else {})}, encoded(result)


def failed(error: InterfuseError | Refused) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error, as a vendor would answer it."""
    if isinstance(error, Refused):
        return error.status, {**JSON, **FINAL}, encoded({"error": error.error})
    headers = {**JSON, **FINAL}
    if error.request_id:
        headers["x-request-id"] = error.request_id
    if error.retry_after is not None:
        headers["retry-after-ms"] = str(int(error.retry_after * 1000))
    return error.status or STATUS.get(error.kind, 500), headers, encoded({"error": described(error)})


def described(error: InterfuseError) -> dict[str, Any]:
    """An error as OpenAI describes one."""
    return {"message": error.message, "type": error.kind, "code": error.code or error.kind, "param": error.param}


def encoded(value: Any) -> bytes:
    """JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: Any) -> bytes:
    """A server-sent event."""
    return b"data: " + encoded(value) + b"\n\n"


def events(stream: Stream[ChatCompletionChunk]) -> Iterator[bytes]:
    """Chunks as server-sent events; a failure is the last one."""
    try:
        for chunk in stream:
            yield event(chunk)
    except InterfuseError as error:
        yield event({"error": described(error)})
        return
    yield DONE


async def events_async(stream: AsyncStream[ChatCompletionChunk]) -> AsyncIterator[bytes]:
    """The same for asyncio."""
    try:
        async for chunk in stream:
            yield event(chunk)
    except InterfuseError as error:
        yield event({"error": described(error)})
        return
    yield DONE
