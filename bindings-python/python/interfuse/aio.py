"""The asyncio client: the same methods with ``await``. Importing it imports asyncio; ``import interfuse`` does not."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any

from ._bridge import bridge
from ._generic import Item, OfItems
from ._options import BaseClient, Closed, outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable, Sequence
    from decimal import Decimal
    import os
    from types import TracebackType
    from typing import Literal, Self, TypeVar, Unpack, overload

    from . import _native, types
    from ._batch import AsyncBatch, OnError, Progress, Request
    from ._responses import (
        ChatCompletion,
        ChatCompletionChunk,
        EmbeddingResponse,
        Evaluation,
        EvaluationEvent,
        Fused,
        FusionEvent,
        FusionReport,
    )
    from ._options import Timeout
    from ._parsed import AsyncChatCompletionStreamManager, ParsedChatCompletion
    from ._record import Record
    from ._tools import ToolRun
    from ._with_raw import AsyncRawCompletions, AsyncRawEmbeddings, AsyncStreamingCompletions, AsyncStreamingEmbeddings

    Form = TypeVar("Form")


class AsyncStream(OfItems[Item]):
    """Chunks or events as they come. Reading it to its end, closing it or forgetting it ends the connection."""

    def __init__(self, source: _native.Stream) -> None:
        self._source = source
        self._ready: list[Item] = []

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        while not self._ready:
            items = self._source.ready()
            if items is None:
                await bridge().ready(self._source)
            elif items:
                items.reverse()
                self._ready = items
            else:
                raise StopAsyncIteration
        return self._ready.pop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the stream and its connection; what had not been read is dropped."""
        self._source.cancel()
        self._ready.clear()

    aclose = close


class _Waiting:
    """Runs what async callables give, from the thread on which a key is asked for, in a loop that makes this client's
    calls, where they may use what belongs to that loop."""

    def __init__(self) -> None:
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, None] = weakref.WeakKeyDictionary()

    def note(self) -> None:
        """The running loop makes a call."""
        self._loops[asyncio.get_running_loop()] = None

    def __call__(self, awaitable: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await awaitable

        for loop in reversed(list(self._loops)):
            if loop.is_running():
                return asyncio.run_coroutine_threadsafe(awaited(), loop).result()
        return asyncio.run(awaited())


async def _opened(source: _native.Stream) -> AsyncStream[Any]:
    await bridge().ready(source)
    source.check()
    return AsyncStream(source)


async def _result(call: _native.Call) -> Any:
    await bridge().ready(call)
    return call.take()


class AsyncCompletions:
    """``client.chat.completions``"""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @property
    def with_raw_response(self) -> AsyncRawCompletions:
        """The same methods, which give the answer with what stands around it."""
        from ._with_raw import AsyncRawCompletions

        return AsyncRawCompletions(self)

    @property
    def with_streaming_response(self) -> AsyncStreamingCompletions:
        """The same methods for an ``async with``, which give the answer with its body, to be read as it comes."""
        from ._with_raw import AsyncStreamingCompletions

        return AsyncStreamingCompletions(self)

    if TYPE_CHECKING:

        @overload
        async def create(
            self, *, stream: Literal[False] | None = None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> ChatCompletion: ...

        @overload
        async def create(
            self, *, stream: Literal[True], timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> AsyncStream[ChatCompletionChunk]: ...

        @overload
        async def create(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            stream: Literal[False] | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ParsedChatCompletion[Form]: ...

        @overload
        async def create(
            self, *, stream: bool | None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...

    async def create(
        self, *, stream: bool | None = None, timeout: Timeout | None = None, max_reasks: int | None = None, **request: Any
    ) -> Any:
        """One answer, or with ``stream=True`` its chunks; as ``Client.chat.completions.create``."""
        client = self._client
        request = client._chat(request, timeout)
        form = request.get("response_format")
        if form is not None and not isinstance(form, dict):
            from ._structured import is_type, response_format

            if is_type(form) and not stream:
                return await self._parsed(request, max_reasks)
            if is_type(form):
                request["response_format"] = response_format(form)
        if max_reasks is not None:
            raise TypeError("max_reasks is for whole answers of a type: response_format=a type, without stream")
        if stream:
            return await _opened(client._native.chat_stream(request, False))
        return await _result(client._native.start_chat(request))

    async def _parsed(self, request: dict[str, Any], max_reasks: int | None) -> Any:
        from ._structured import asking, readers_of, run_async

        client = self._client
        course = asking(request, 1 if max_reasks is None else max_reasks, readers_of(request))
        return await run_async(course, lambda asked: _result(client._native.start_chat(asked)))

    if TYPE_CHECKING:

        @overload
        async def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            tools: Sequence[types.Tool | Callable[..., Any]] | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ParsedChatCompletion[Form]: ...

        @overload
        async def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: types.ResponseFormat | None = None,
            tools: Sequence[types.Tool | Callable[..., Any]] | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ParsedChatCompletion[None]: ...

    async def parse(self, *, timeout: Timeout | None = None, max_reasks: int | None = None, **request: Any) -> Any:
        """An answer read into a type; as ``Client.chat.completions.parse``."""
        return await self._parsed(self._client._chat(request, timeout), max_reasks)

    if TYPE_CHECKING:

        @overload
        def stream(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            tools: Sequence[types.Tool | Callable[..., Any]] | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> AsyncChatCompletionStreamManager[Form]: ...

        @overload
        def stream(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: types.ResponseFormat | None = None,
            tools: Sequence[types.Tool | Callable[..., Any]] | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> AsyncChatCompletionStreamManager[None]: ...

    def stream(self, *, timeout: Timeout | None = None, **request: Any) -> Any:
        """A stream as events; as ``Client.chat.completions.stream``."""
        from ._streaming import AsyncChatCompletionStreamManager, State

        client = self._client
        async def start(sent: dict[str, Any]) -> AsyncStream[Any]:
            return await _opened(client._native.chat_stream(sent, False))

        return AsyncChatCompletionStreamManager(State(client._chat(request, timeout)), start)


class AsyncChat:
    """``client.chat``; calling it is short for ``client.chat.completions.create``."""

    def __init__(self, client: AsyncClient) -> None:
        self.completions = AsyncCompletions(client)
        self._create = self.completions.create

    if TYPE_CHECKING:

        @overload
        async def __call__(
            self, *, stream: Literal[False] | None = None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> ChatCompletion: ...

        @overload
        async def __call__(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            stream: Literal[False] | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ParsedChatCompletion[Form]: ...

        @overload
        async def __call__(
            self, *, stream: Literal[True], timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> AsyncStream[ChatCompletionChunk]: ...

    async def __call__(self, **request: Any) -> Any:
        """The same as ``completions.create``."""
        return await self._create(**request)


class AsyncEmbeddings:
    """``client.embeddings``"""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @property
    def with_raw_response(self) -> AsyncRawEmbeddings:
        """The same methods, which give the answer with what stands around it."""
        from ._with_raw import AsyncRawEmbeddings

        return AsyncRawEmbeddings(self)

    @property
    def with_streaming_response(self) -> AsyncStreamingEmbeddings:
        """The same methods for an ``async with``, which give the answer with its body, to be read as it comes."""
        from ._with_raw import AsyncStreamingEmbeddings

        return AsyncStreamingEmbeddings(self)

    if TYPE_CHECKING:

        async def create(
            self, *, timeout: Timeout | None = None, **request: Unpack[types.EmbeddingParams]
        ) -> EmbeddingResponse: ...

    else:

        async def create(self, *, timeout=None, **request):
            """One embedding per input, in their order; as ``Client.embeddings.create``."""
            client = self._client
            return await _result(client._native.start_embeddings(client._request(request, timeout)))


class _Done:
    """What has been done already, for who awaits it."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class AsyncClient(BaseClient):
    """As ``Client``, for asyncio. May be used from several event loops, one after the other or at the same time."""

    chat: AsyncChat
    embeddings: AsyncEmbeddings
    _waits: _Waiting | None  # pyright: ignore[reportIncompatibleVariableOverride]

    def _waiting(self) -> Callable[[Any], Any]:
        return _Waiting()

    def _request(self, request: dict[str, Any], timeout: Timeout | None) -> dict[str, Any]:
        if self._waits is not None:
            self._waits.note()
        return super()._request(request, timeout)

    def _build(self) -> None:
        super()._build()
        self.chat = AsyncChat(self)
        self.embeddings = AsyncEmbeddings(self)

    async def run_tools(
        self,
        messages: str | Sequence[types.Message | Record],
        *,
        tools: Sequence[types.Tool | Callable[..., Any]],
        model: str,
        max_steps: int = 10,
        max_cost_usd: str | None = None,
        max_reasks: int = 1,
        timeout: Timeout | None = None,
        **request: Any,
    ) -> ToolRun:
        """Asks a model that may call functions, until it answers without calling any; as ``Client.run_tools``.

        tools: functions, async ones too. Calls of one answer are made at the same time, those of functions that are not async
            each in a thread of its own.
        """
        from ._structured import run_async
        from ._tools import calling, made_async

        request.update(model=model, tools=tools)
        if max_cost_usd is not None:
            request["max_cost_usd"] = max_cost_usd
        course = calling(self._chat(request, timeout), messages, max_steps, max_reasks, waits=True)
        async def step(asked: Any) -> Any:
            return await made_async(asked) if isinstance(asked, list) else await _result(self._native.start_chat(asked))

        run: ToolRun = await run_async(course, step)
        return run

    if TYPE_CHECKING:

        @overload
        async def fuse(
            self,
            prompt: str | None = None,
            *,
            stream: Literal[False] | None = None,
            timeout: Timeout | None = None,
            **request: Unpack[types.FuseParams],
        ) -> Fused: ...

        @overload
        async def fuse(
            self,
            prompt: str | None = None,
            *,
            stream: Literal[True],
            timeout: Timeout | None = None,
            **request: Unpack[types.FuseParams],
        ) -> AsyncStream[FusionEvent]: ...

    async def fuse(
        self, prompt: str | None = None, *, stream: bool | None = None, timeout: Timeout | None = None, **request: Any
    ) -> Any:
        """Asks a pool of models in parallel and has a judge combine the answers; as ``Client.fuse``."""
        request = self._fusion(prompt, request, timeout)
        if stream:
            return await _opened(self._native.fuse_stream(request, False))
        return await _result(self._native.start_fuse(request))

    async def fuse_stream(
        self, prompt: str | None = None, *, timeout: Timeout | None = None, **request: Unpack[types.FuseParams]
    ) -> AsyncStream[FusionEvent]:
        """The same as ``fuse(..., stream=True)``."""
        return await self.fuse(prompt, stream=True, timeout=timeout, **request)

    if TYPE_CHECKING:

        @overload
        async def evaluate(
            self,
            items: str | os.PathLike[str] | Sequence[types.Labelled],
            *,
            stream: Literal[False] | None = None,
            timeout: Timeout | None = None,
            **request: Unpack[types.EvaluationParams],
        ) -> Evaluation: ...

        @overload
        async def evaluate(
            self,
            items: str | os.PathLike[str] | Sequence[types.Labelled],
            *,
            stream: Literal[True],
            timeout: Timeout | None = None,
            **request: Unpack[types.EvaluationParams],
        ) -> AsyncStream[EvaluationEvent]: ...

    async def evaluate(self, items: Any, *, stream: bool | None = None, timeout: Timeout | None = None, **request: Any) -> Any:
        """Asks models and fusions the same questions and tells what each is worth; as ``Client.evaluate``."""
        request = self._evaluation(items, request, timeout)
        if stream:
            return await _opened(self._native.evaluate_stream(request, False))
        return await _result(self._native.start_evaluate(request))

    def batch(
        self,
        requests: Iterable[Request] | AsyncIterable[Request],
        *,
        concurrency: int | None = None,
        budget: str | float | Decimal | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        retry_failed: bool = False,
        ordered: bool = True,
        on_error: OnError = "column",
        progress: Progress = None,
        timeout: Timeout | None = None,
        **common: Any,
    ) -> AsyncBatch:
        """Answers many requests, a few at a time: ``async for row in client.batch(prompts, model="openai/gpt-5-mini")``; as
        ``Client.batch``. Requests may come from an async generator."""
        from ._batch import AsyncBatch, options

        given = options(self._chat(common, timeout), requests, concurrency, budget, checkpoint, retry_failed, ordered)
        return AsyncBatch(self._native.batch(given), requests, on_error, progress)

    async def rejudge(
        self,
        report: FusionReport,
        prompt: str | None = None,
        *,
        timeout: float | None = None,
        **request: Unpack[types.FuseParams],
    ) -> Fused:
        """Combines the answers that a fusion's report holds once more; as ``Client.rejudge``."""
        call = self._native.start_rejudge(report, self._fusion(prompt, request, timeout))  # type: ignore[arg-type]
        fused: Fused = await _result(call)
        return fused

    async def feedback(
        self, run_id: str, *, right: bool | None = None, answer: str | None = None, member: str | None = None
    ) -> None:
        """Tells what became of a fusion; as ``Client.feedback``."""
        await _result(self._native.start_feedback(run_id, outcome(right, answer, member)))

    async def flush(self) -> None:
        """Returns when everything booked so far is in the ledger's file for good; as ``Client.flush``."""
        await _result(self._native.start_flush())

    def close(self) -> Awaitable[None]:
        """Ends the use of this client, as ``Client.close``; awaiting it is not needed."""
        self._close()
        return _Done()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not isinstance(self._native, Closed):
                await self.flush()
        finally:
            self._close()
