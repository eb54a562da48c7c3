"""``with_raw_response`` and ``with_streaming_response``: the same methods, with what stands around their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._raw import Answer, APIResponse, AsyncAPIResponse, RawResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType
    from typing import Literal, Unpack, overload

    from . import types
    from ._options import Timeout
    from ._parsed import ParsedChatCompletion
    from ._record import Record
    from ._responses import ChatCompletion, ChatCompletionChunk, EmbeddingResponse
    from .aio import AsyncStream
    from .client import Stream

    Form = TypeVar("Form")


class ResponseContextManager(Generic[Answer]):
    """Makes the call when entered, and ends what is left of it when left."""

    def __init__(self, call: Callable[[], Answer]) -> None:
        self._call = call
        self._response: APIResponse[Answer] | None = None

    def __enter__(self) -> APIResponse[Answer]:
        self._response = APIResponse(self._call())
        return self._response

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._response is not None:
            self._response.close()


class AsyncResponseContextManager(Generic[Answer]):
    """As ``ResponseContextManager``, for asyncio."""

    def __init__(self, call: Callable[[], Awaitable[Answer]]) -> None:
        self._call = call
        self._response: AsyncAPIResponse[Answer] | None = None

    async def __aenter__(self) -> AsyncAPIResponse[Answer]:
        self._response = AsyncAPIResponse(await self._call())
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            await self._response.close()


class _Around:
    """Around a resource."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource


class RawCompletions(_Around):
    """The methods of ``chat.completions``, which give a RawResponse."""

    if TYPE_CHECKING:

        @overload
        def create(
            self, *, stream: Literal[False] | None = None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> RawResponse[ChatCompletion]: ...

        @overload
        def create(
            self, *, stream: Literal[True], timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> RawResponse[Stream[ChatCompletionChunk]]: ...

        @overload
        def create(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> RawResponse[ParsedChatCompletion[Form]]: ...

    def create(self, **request: Any) -> Any:
        """Takes what ``chat.completions.create`` takes."""
        return RawResponse(self._resource.create(**request))

    if TYPE_CHECKING:

        @overload
        def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> RawResponse[ParsedChatCompletion[Form]]: ...

        @overload
        def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: types.ResponseFormat | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> RawResponse[ParsedChatCompletion[None]]: ...

    def parse(self, **request: Any) -> Any:
        """Takes what ``chat.completions.parse`` takes."""
        return RawResponse(self._resource.parse(**request))


class RawEmbeddings(_Around):
    """The method of ``embeddings``, which gives a RawResponse."""

    def create(
        self, *, timeout: Timeout | None = None, **request: Unpack[types.EmbeddingParams]
    ) -> RawResponse[EmbeddingResponse]:
        """Takes what ``embeddings.create`` takes."""
        return RawResponse(self._resource.create(timeout=timeout, **request))


class AsyncRawCompletions(_Around):
    """The methods of ``chat.completions``, which give a RawResponse."""

    if TYPE_CHECKING:

        @overload
        async def create(
            self, *, stream: Literal[False] | None = None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> RawResponse[ChatCompletion]: ...

        @overload
        async def create(
            self, *, stream: Literal[True], timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> RawResponse[AsyncStream[ChatCompletionChunk]]: ...

        @overload
        async def create(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> RawResponse[ParsedChatCompletion[Form]]: ...

    async def create(self, **request: Any) -> Any:
        """Takes what ``chat.completions.create`` takes."""
        return RawResponse(await self._resource.create(**request))

    if TYPE_CHECKING:

        @overload
        async def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> RawResponse[ParsedChatCompletion[Form]]: ...

        @overload
        async def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: types.ResponseFormat | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> RawResponse[ParsedChatCompletion[None]]: ...

    async def parse(self, **request: Any) -> Any:
        """Takes what ``chat.completions.parse`` takes."""
        return RawResponse(await self._resource.parse(**request))


class AsyncRawEmbeddings(_Around):
    """The method of ``embeddings``, which gives a RawResponse."""

    async def create(
        self, *, timeout: Timeout | None = None, **request: Unpack[types.EmbeddingParams]
    ) -> RawResponse[EmbeddingResponse]:
        """Takes what ``embeddings.create`` takes."""
        return RawResponse(await self._resource.create(timeout=timeout, **request))


class StreamingCompletions(_Around):
    """The methods of ``chat.completions``, for a ``with`` that gives an APIResponse."""

    if TYPE_CHECKING:

        @overload
        def create(
            self, *, stream: Literal[False] | None = None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> ResponseContextManager[ChatCompletion]: ...

        @overload
        def create(
            self, *, stream: Literal[True], timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> ResponseContextManager[Stream[ChatCompletionChunk]]: ...

        @overload
        def create(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ResponseContextManager[ParsedChatCompletion[Form]]: ...

    def create(self, **request: Any) -> Any:
        """Takes what ``chat.completions.create`` takes."""
        return ResponseContextManager(lambda: self._resource.create(**request))

    if TYPE_CHECKING:

        @overload
        def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ResponseContextManager[ParsedChatCompletion[Form]]: ...

        @overload
        def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: types.ResponseFormat | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> ResponseContextManager[ParsedChatCompletion[None]]: ...

    def parse(self, **request: Any) -> Any:
        """Takes what ``chat.completions.parse`` takes."""
        return ResponseContextManager(lambda: self._resource.parse(**request))


class StreamingEmbeddings(_Around):
    """The method of ``embeddings``, for a ``with`` that gives an APIResponse."""

    def create(
        self, *, timeout: Timeout | None = None, **request: Unpack[types.EmbeddingParams]
    ) -> ResponseContextManager[EmbeddingResponse]:
        """Takes what ``embeddings.create`` takes."""
        return ResponseContextManager(lambda: self._resource.create(timeout=timeout, **request))


class AsyncStreamingCompletions(_Around):
    """The methods of ``chat.completions``, for an ``async with`` that gives an AsyncAPIResponse."""

    if TYPE_CHECKING:

        @overload
        def create(
            self, *, stream: Literal[False] | None = None, timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> AsyncResponseContextManager[ChatCompletion]: ...

        @overload
        def create(
            self, *, stream: Literal[True], timeout: Timeout | None = None, **request: Unpack[types.ChatParams]
        ) -> AsyncResponseContextManager[AsyncStream[ChatCompletionChunk]]: ...

        @overload
        def create(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> AsyncResponseContextManager[ParsedChatCompletion[Form]]: ...

    def create(self, **request: Any) -> Any:
        """Takes what ``chat.completions.create`` takes."""
        return AsyncResponseContextManager(lambda: self._resource.create(**request))

    if TYPE_CHECKING:

        @overload
        def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: type[Form],
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> AsyncResponseContextManager[ParsedChatCompletion[Form]]: ...

        @overload
        def parse(
            self,
            *,
            model: str,
            messages: Sequence[types.Message | Record],
            response_format: types.ResponseFormat | None = None,
            max_reasks: int | None = None,
            timeout: Timeout | None = None,
            **request: Any,
        ) -> AsyncResponseContextManager[ParsedChatCompletion[None]]: ...

    def parse(self, **request: Any) -> Any:
        """Takes what ``chat.completions.parse`` takes."""
        return AsyncResponseContextManager(lambda: self._resource.parse(**request))


class AsyncStreamingEmbeddings(_Around):
    """The method of ``embeddings``, for an ``async with`` that gives an AsyncAPIResponse."""

    def create(
        self, *, timeout: Timeout | None = None, **request: Unpack[types.EmbeddingParams]
    ) -> AsyncResponseContextManager[EmbeddingResponse]:
        """Takes what ``embeddings.create`` takes."""
        return AsyncResponseContextManager(lambda: self._resource.create(timeout=timeout, **request))
