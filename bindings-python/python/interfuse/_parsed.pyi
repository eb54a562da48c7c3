"""Answers that were read into types, and the events of their streams. At run time they are records."""

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar

from ._record import Record
from ._responses import AssistantMessage, ChatCompletion, ChatCompletionChunk, Choice, FunctionCall, TokenLogprob, ToolCall

Form = TypeVar("Form")

class ParsedFunction(FunctionCall):
    """A called function with its arguments read into their type."""

    parsed_arguments: Any
    """The arguments; None where the tool has no type."""

class ParsedFunctionToolCall(ToolCall):
    """A tool call with its arguments read."""

    function: ParsedFunction | None  # pyright: ignore[reportIncompatibleVariableOverride]
    """The function and its arguments."""

class ParsedChatCompletionMessage(AssistantMessage, Generic[Form]):
    """A message with its text read into its type."""

    parsed: Form | None
    """The text as the type; None where the model refused or called tools."""
    tool_calls: list[ParsedFunctionToolCall] | None  # type: ignore[assignment]
    """Tool calls, in order."""

class ParsedChoice(Choice, Generic[Form]):
    """One answer, read."""

    message: ParsedChatCompletionMessage[Form]  # pyright: ignore[reportIncompatibleVariableOverride]
    """The message."""

class ParsedChatCompletion(ChatCompletion, Generic[Form]):
    """A chat response whose answers were read."""

    choices: list[ParsedChoice[Form]]  # type: ignore[assignment]
    """The answers."""

class ChunkEvent(Record):
    """Every chunk as it came."""

    type: Literal["chunk"]
    """Always `chunk`."""
    chunk: ChatCompletionChunk
    """The chunk."""
    snapshot: ChatCompletion
    """The answer as far as it has come; grows with the stream."""

class ContentDeltaEvent(Record):
    """New text."""

    type: Literal["content.delta"]
    """Always `content.delta`."""
    delta: str
    """The new text."""
    snapshot: str
    """All text until now."""
    parsed: None
    """Nothing; a text is read when it is whole."""

class ContentDoneEvent(Record, Generic[Form]):
    """The text is whole."""

    type: Literal["content.done"]
    """Always `content.done`."""
    content: str
    """The whole text."""
    parsed: Form | None
    """The text as the type."""

class RefusalDeltaEvent(Record):
    """New text of a refusal."""

    type: Literal["refusal.delta"]
    """Always `refusal.delta`."""
    delta: str
    """The new text."""
    snapshot: str
    """All of it until now."""

class RefusalDoneEvent(Record):
    """The refusal is whole."""

    type: Literal["refusal.done"]
    """Always `refusal.done`."""
    refusal: str
    """The whole of it."""

class FunctionToolCallArgumentsDeltaEvent(Record):
    """New text of a call's arguments."""

    type: Literal["tool_calls.function.arguments.delta"]
    """Always `tool_calls.function.arguments.delta`."""
    name: str
    """Name of the function."""
    index: int
    """Place among the calls."""
    arguments: str
    """All of them until now."""
    arguments_delta: str
    """The new text."""
    parsed_arguments: None
    """Nothing; arguments are read when they are whole."""

class FunctionToolCallArgumentsDoneEvent(Record):
    """A call's arguments are whole."""

    type: Literal["tool_calls.function.arguments.done"]
    """Always `tool_calls.function.arguments.done`."""
    name: str
    """Name of the function."""
    index: int
    """Place among the calls."""
    arguments: str
    """The arguments as the model wrote them."""
    parsed_arguments: Any
    """The same, read; None where the tool has no type."""

class LogprobsDeltaEvent(Record):
    """Log probabilities of new tokens."""

    type: Literal["logprobs.content.delta", "logprobs.refusal.delta"]
    """Of what."""
    content: list[TokenLogprob]
    """Per new token."""
    snapshot: list[TokenLogprob]
    """Per token until now."""

class LogprobsContentDoneEvent(Record):
    """Log probabilities of the whole text."""

    type: Literal["logprobs.content.done"]
    """Always `logprobs.content.done`."""
    content: list[TokenLogprob]
    """Per token."""

class LogprobsRefusalDoneEvent(Record):
    """Log probabilities of the whole refusal."""

    type: Literal["logprobs.refusal.done"]
    """Always `logprobs.refusal.done`."""
    refusal: list[TokenLogprob]
    """Per token."""

ChatCompletionStreamEvent: TypeAlias = (
    ChunkEvent
    | ContentDeltaEvent
    | ContentDoneEvent[Form]
    | RefusalDeltaEvent
    | RefusalDoneEvent
    | FunctionToolCallArgumentsDeltaEvent
    | FunctionToolCallArgumentsDoneEvent
    | LogprobsDeltaEvent
    | LogprobsContentDoneEvent
    | LogprobsRefusalDoneEvent
)
"""What a stream tells; ``type`` says which."""

class ChatCompletionStream(Generic[Form]):
    """Events of a stream."""

    @property
    def current_completion_snapshot(self) -> ChatCompletion: ...
    def __iter__(self) -> Iterator[ChatCompletionStreamEvent[Form]]: ...
    def __next__(self) -> ChatCompletionStreamEvent[Form]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def until_done(self) -> Self: ...
    def get_final_completion(self) -> ParsedChatCompletion[Form]: ...
    def close(self) -> None: ...

class ChatCompletionStreamManager(Generic[Form]):
    """Opens the stream when entered, and ends it when left."""

    def __enter__(self) -> ChatCompletionStream[Form]: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

class AsyncChatCompletionStream(Generic[Form]):
    """Events of a stream, for asyncio."""

    @property
    def current_completion_snapshot(self) -> ChatCompletion: ...
    def __aiter__(self) -> AsyncIterator[ChatCompletionStreamEvent[Form]]: ...
    async def __anext__(self) -> ChatCompletionStreamEvent[Form]: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def until_done(self) -> Self: ...
    async def get_final_completion(self) -> ParsedChatCompletion[Form]: ...
    async def close(self) -> None: ...

class AsyncChatCompletionStreamManager(Generic[Form]):
    """Opens the stream when entered, and ends it when left."""

    async def __aenter__(self) -> AsyncChatCompletionStream[Form]: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
