"""Vendors' own clients, unmodified, on interfuse and without a server, where they use httpx:

    client = interfuse.Client()
    openai.OpenAI(api_key="not sent", http_client=interfuse.httpx.Client(client))

Models are named as in interfuse (``openai/gpt-5-mini``, ``interfuse/merge``); of the vendor's client only the body is
used and, for answers that are not streamed, its read timeout; never its key, address or headers. Retries are interfuse's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _http
from .aio import AsyncClient as Interfuse
from .client import Client as BlockingInterfuse
from .errors import DeadlineExceededError, InterfuseError

_http.library("httpx")
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ._responses import ChatCompletionChunk
    from .aio import AsyncStream
    from .client import Stream


class _Events(httpx.SyncByteStream):
    def __init__(self, stream: Stream[ChatCompletionChunk]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return _http.events(self._stream)

    def close(self) -> None:
        self._stream.close()


class _AsyncEvents(httpx.AsyncByteStream):
    def __init__(self, stream: AsyncStream[ChatCompletionChunk]) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _http.events_async(self._stream)

    async def aclose(self) -> None:
        await self._stream.close()


def _timeout(request: httpx.Request) -> float | None:
    """Seconds until an answer that is not streamed, all of which comes with its first byte."""
    seconds: float | None = request.extensions.get("timeout", {}).get("read")
    return seconds


def _refused(request: httpx.Request, error: InterfuseError | _http.Refused) -> httpx.Response:
    if isinstance(error, DeadlineExceededError) and _timeout(request) is not None:
        raise httpx.ReadTimeout(error.message, request=request) from error
    status, headers, body = _http.failed(error)
    return httpx.Response(status, headers=headers, content=body)


class Transport(httpx.BaseTransport):
    """Answers the requests of ``httpx.Client(transport=...)``."""

    def __init__(self, client: BlockingInterfuse | None = None) -> None:
        """client: who answers; by default one with every vendor's usual key variables."""
        self._client = BlockingInterfuse() if client is None else client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, as a vendor would answer it."""
        client = self._client
        try:
            asked = _http.asked(request.method, request.url.path, request.read())
            if asked.operation == "stream":
                stream = client.chat.completions.create(stream=True, **asked.body)
                return httpx.Response(200, headers=_http.EVENTS, stream=_Events(stream))
            create: Any = {"chat": client.chat.completions.create, "embeddings": client.embeddings.create}.get(asked.operation)
            result = create(timeout=_timeout(request), **asked.body) if create else _http.listed(client, asked)
        except (InterfuseError, _http.Refused) as error:
            return _refused(request, error)
        headers, body = _http.told(result)
        return httpx.Response(200, headers=headers, content=body)


class AsyncTransport(httpx.AsyncBaseTransport):
    """Answers the requests of ``httpx.AsyncClient(transport=...)``."""

    def __init__(self, client: Interfuse | None = None) -> None:
        """client: who answers; by default one with every vendor's usual key variables."""
        self._client = Interfuse() if client is None else client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request, as a vendor would answer it."""
        client = self._client
        try:
            asked = _http.asked(request.method, request.url.path, await request.aread())
            if asked.operation == "stream":
                stream = await client.chat.completions.create(stream=True, **asked.body)
                return httpx.Response(200, headers=_http.EVENTS, stream=_AsyncEvents(stream))
            create: Any = {"chat": client.chat.completions.create, "embeddings": client.embeddings.create}.get(asked.operation)
            result = await create(timeout=_timeout(request), **asked.body) if create else _http.listed(client, asked)
        except (InterfuseError, _http.Refused) as error:
            return _refused(request, error)
        headers, body = _http.told(result)
        return httpx.Response(200, headers=headers, content=body)


class Client(httpx.Client):
    """An ``httpx.Client`` whose requests interfuse answers, for ``openai.OpenAI(http_client=...)``."""

    def __init__(self, client: BlockingInterfuse | None = None, **options: Any) -> None:
        """client: who answers; by default one with every vendor's usual key variables. options: of ``httpx.Client``."""
        super().__init__(transport=Transport(client), **options)


class AsyncClient(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` whose requests interfuse answers, for ``openai.AsyncOpenAI(http_client=...)``."""

    def __init__(self, client: Interfuse | None = None, **options: Any) -> None:
        """client: who answers; by default one with every vendor's usual key variables. options: of ``httpx.AsyncClient``."""
        super().__init__(transport=AsyncTransport(client), **options)
