"""``client.chat.completions.stream``: a stream's chunks put together, told as openai's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._record import Record
from ._structured import Parsed, is_type, read_answer, read_arguments, read_message, readers_of, response_format

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from types import TracebackType
    from typing import Self

    from .aio import AsyncStream
    from .client import Stream

_WHOLE = ("id", "created", "model", "service_tier", "system_fingerprint", "usage", "interfuse")
_TEXTS = ("content", "refusal", "reasoning_content", "arguments")


class State:
    """What has come of a stream until now."""

    def __init__(self, request: dict[str, Any]) -> None:
        """`request` is as the caller wrote it; ``sent`` is what goes out. Raises SchemaError."""
        kind = request.get("response_format")
        self._kind = kind if is_type(kind) else None
        self._readers = readers_of(request)
        self.sent = request if self._kind is None else {**request, "response_format": response_format(kind)}
        self.snapshot = Record()
        self._clear()

    def _clear(self) -> None:
        self.snapshot = Record(object="chat.completion", choices=[])
        self._told: set[tuple[int, str]] = set()

    def add(self, chunk: Any) -> list[Any]:
        """Takes a chunk in and gives the events it makes. Raises Unfit, and the errors of an answer that was cut off."""
        if (chunk.get("interfuse") or {}).get("reset"):
            self._clear()  # the answer starts anew
        for name in _WHOLE:
            if chunk.get(name) is not None:
                self.snapshot[name] = chunk[name]
        events: list[Any] = [Record(type="chunk", chunk=chunk, snapshot=self.snapshot)]
        for new in chunk.get("choices") or ():
            choice = self._choice(new["index"])
            before = len(choice["message"].get("tool_calls") or ())
            self._grow(choice, new)
            events += self._deltas(choice, new)
            calls = choice["message"].get("tool_calls") or []
            ended = new.get("finish_reason") is not None
            # A call is whole when the next begins, or its choice ends.
            for call in calls if ended else calls[: -1 if len(calls) > max(before, 1) else 0]:
                events += self._call_done(choice, call)
            if ended:
                events += self._done(choice)
        return events

    def _choice(self, index: int) -> Any:
        for choice in self.snapshot["choices"]:
            if choice["index"] == index:
                return choice
        choice = Record(index=index, message=Record(role="assistant", content=None), finish_reason=None)
        self.snapshot["choices"].append(choice)
        self.snapshot["choices"].sort(key=lambda one: one["index"])
        return choice

    def _grow(self, choice: Any, new: Any) -> None:
        message = choice["message"]
        for name, value in (new.get("delta") or {}).items():
            if name == "tool_calls":
                for part in value or ():
                    self._grow_call(message.setdefault("tool_calls", []), part)
            elif value is not None:
                _join(message, name, value)
        if new.get("finish_reason") is not None:
            choice["finish_reason"] = new["finish_reason"]
        for name, tokens in (new.get("logprobs") or {}).items():
            if tokens:
                _join(choice.setdefault("logprobs", Record(content=None, refusal=None)), name, tokens)

    def _grow_call(self, calls: list[Any], part: Any) -> None:
        call = next((call for call in calls if call["index"] == part["index"]), None)
        if call is None:
            call = Record(index=part["index"], id="", type="function", function=Record(name="", arguments=""))
            calls.append(call)
        for name, value in part.items():
            if name == "function":
                for inner, text in (value or {}).items():
                    if text is not None:
                        _join(call["function"], inner, text)
            elif value is not None:
                call[name] = value

    def _deltas(self, choice: Any, new: Any) -> list[Any]:
        message, delta = choice["message"], new.get("delta") or {}
        events = []
        if delta.get("content"):
            events.append(Record(type="content.delta", delta=delta["content"], snapshot=message["content"], parsed=None))
        if delta.get("refusal"):
            events.append(Record(type="refusal.delta", delta=delta["refusal"], snapshot=message["refusal"]))
        for part in delta.get("tool_calls") or ():
            call = next(call for call in message["tool_calls"] if call["index"] == part["index"])
            text = (part.get("function") or {}).get("arguments") or ""
            told = {"name": call["function"]["name"], "index": call["index"], "arguments": call["function"]["arguments"]}
            events.append(
                Record(type="tool_calls.function.arguments.delta", **told, arguments_delta=text, parsed_arguments=None)
            )
        for name in ("content", "refusal"):
            tokens = (new.get("logprobs") or {}).get(name)
            if tokens:
                events.append(Record(type=f"logprobs.{name}.delta", content=tokens, snapshot=choice["logprobs"][name]))
        return events

    def _call_done(self, choice: Any, call: Any) -> list[Any]:
        if not self._first(choice, f"call {call['index']}"):
            return []
        function = call["function"]
        told = {"name": function["name"], "index": call["index"], "arguments": function["arguments"]}
        parsed = read_arguments(self._readers, function) if choice.get("finish_reason") != "length" else None
        return [Record(type="tool_calls.function.arguments.done", **told, parsed_arguments=parsed)]

    def _done(self, choice: Any) -> list[Any]:
        message, logprobs = choice["message"], choice.get("logprobs") or {}
        events = []
        if message.get("content") and self._first(choice, "content"):
            fits = self._kind is not None and choice["finish_reason"] not in ("length", "content_filter")
            parsed = read_message(self._kind, message) if fits else None
            events.append(Record(type="content.done", content=message["content"], parsed=parsed))
        if message.get("refusal") and self._first(choice, "refusal"):
            events.append(Record(type="refusal.done", refusal=message["refusal"]))
        for name in ("content", "refusal"):
            if logprobs.get(name) and self._first(choice, f"logprobs {name}"):
                events.append(Record({"type": f"logprobs.{name}.done", name: logprobs[name]}))
        return events

    def _first(self, choice: Any, what: str) -> bool:
        new = (choice["index"], what) not in self._told
        self._told.add((choice["index"], what))
        return new

    def final(self) -> Any:
        """The whole answer, read into its type. Raises Unfit, and the errors of an answer that was cut off."""
        for choice in self.snapshot["choices"]:
            for call in choice["message"].get("tool_calls") or ():
                call.pop("index", None)
        return read_answer(self.snapshot, self._kind, self._readers, whole=self._kind is not None or bool(self._readers))


def _join(into: Any, name: str, value: Any) -> None:
    before = into.get(name)
    if name in _TEXTS and isinstance(before, str):
        into[name] = before + value
    elif isinstance(before, list) and isinstance(value, list):
        into[name] = before + value
    else:
        into[name] = value


class _Reading:
    """What blocking and asyncio share."""

    _state: State

    @property
    def current_completion_snapshot(self) -> Any:
        """The answer as far as it has come."""
        return self._state.snapshot

    def _took(self, chunk: Any) -> list[Any]:
        from ._forms import Unfit
        from ._structured import failed

        try:
            return self._state.add(chunk)
        except Unfit as unfit:
            raise failed(unfit, self._state.snapshot) from None

    def _ended(self) -> Any:
        from ._forms import Unfit
        from ._structured import failed

        try:
            return self._state.final()
        except Unfit as unfit:
            raise failed(unfit, self._state.snapshot) from None


class ChatCompletionStream(_Reading):
    """Events of a stream. Each has a ``type``: ``chunk``, ``content.delta``, ``content.done``, ``refusal.delta``,
    ``refusal.done``, ``tool_calls.function.arguments.delta``, ``tool_calls.function.arguments.done``,
    ``logprobs.content.delta``, ``logprobs.content.done``, ..."""

    def __init__(self, state: State, stream: Stream[Any]) -> None:
        self._state = state
        self._stream = stream
        self._events = self._all()

    def _all(self) -> Iterator[Any]:
        for chunk in self._stream:
            yield from self._took(chunk)

    def __iter__(self) -> Iterator[Any]:
        return self._events

    def __next__(self) -> Any:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def until_done(self) -> Self:
        """Reads the stream to its end."""
        for _ in self._events:
            pass
        return self

    def get_final_completion(self) -> Any:
        """The whole answer; reads what has not been read."""
        self.until_done()
        return self._ended()

    def close(self) -> None:
        """Ends the stream and its connection."""
        self._stream.close()


class ChatCompletionStreamManager:
    """Opens the stream when entered, and ends it when left."""

    def __init__(self, state: State, start: Callable[[dict[str, Any]], Stream[Any]]) -> None:
        self._state = state
        self._start = start
        self._stream: ChatCompletionStream | None = None

    def __enter__(self) -> ChatCompletionStream:
        self._stream = ChatCompletionStream(self._state, self._start(self._state.sent))
        return self._stream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._stream is not None:
            self._stream.close()


class AsyncChatCompletionStream(_Reading):
    """As ``ChatCompletionStream``, for asyncio."""

    def __init__(self, state: State, stream: AsyncStream[Any]) -> None:
        self._state = state
        self._stream = stream
        self._events = self._all()

    async def _all(self) -> AsyncIterator[Any]:
        async for chunk in self._stream:
            for event in self._took(chunk):
                yield event

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._events

    async def __anext__(self) -> Any:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def until_done(self) -> Self:
        """Reads the stream to its end."""
        async for _ in self._events:
            pass
        return self

    async def get_final_completion(self) -> Any:
        """The whole answer; reads what has not been read."""
        await self.until_done()
        return self._ended()

    async def close(self) -> None:
        """Ends the stream and its connection."""
        await self._stream.close()


class AsyncChatCompletionStreamManager:
    """Opens the stream when entered, and ends it when left."""

    def __init__(self, state: State, start: Callable[[dict[str, Any]], Awaitable[AsyncStream[Any]]]) -> None:
        self._state = state
        self._start = start
        self._stream: AsyncChatCompletionStream | None = None

    async def __aenter__(self) -> AsyncChatCompletionStream:
        self._stream = AsyncChatCompletionStream(self._state, await self._start(self._state.sent))
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            await self._stream.close()
