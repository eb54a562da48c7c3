"""What openai's users look for around an answer: its headers, its status, how often it was tried, its body as text or piece
by piece."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._record import Record
from .errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    import os

Answer = TypeVar("Answer")


class Headers(dict[str, str]):
    """Headers by name, whatever its case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, other: Any = None) -> Any:
        """The header, or `other` where it is not kept."""
        return super().get(name.lower(), other)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class Response:
    """A vendor's response as far as it is kept."""

    def __init__(self, status_code: int, headers: Mapping[str, str | None], text: str) -> None:
        self.status_code = status_code
        self.headers = Headers({name: value for name, value in headers.items() if value is not None})
        self.text = text

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)

    def __repr__(self) -> str:
        return f"<Response {self.status_code}>"


class _Around(Generic[Answer]):
    """What is kept around an answer. Of the vendor's headers only the request's id is; what else it told is in the answer's
    ``interfuse``. A body is the answer in OpenAI's form, written anew; of a stream, its server-sent events."""

    status_code = 200

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._meta: dict[str, Any] = (answer.get("interfuse") if isinstance(answer, dict) else None) or {}
        self.headers = Headers({"x-request-id": self._meta["request_id"]} if self._meta.get("request_id") else {})

    @property
    def request_id(self) -> str | None:
        """The vendor's id of the request; None of a stream."""
        return self._meta.get("request_id")

    @property
    def retries_taken(self) -> int:
        """Attempts before the one that answered; 0 of a stream."""
        return max(0, len(self._meta.get("attempts") or ()) - 1)

    @property
    def elapsed(self) -> timedelta:
        """How long the call took; nothing of a stream."""
        return timedelta(milliseconds=self._meta.get("latency_ms") or 0)

    def _whole(self) -> bytes | None:
        """The body of an answer that is none of a stream."""
        return self._answer.to_json(indent=None).encode() if isinstance(self._answer, Record) else None


class RawResponse(_Around[Answer]):
    """An answer with what stands around it."""

    def parse(self) -> Answer:
        """The answer, as ``create`` returns it."""
        return self._answer

    @property
    def content(self) -> bytes:
        """The body. Raises MisuseError for a stream: ``parse()`` gives it, ``with_streaming_response`` its body."""
        whole = self._whole()
        if whole is None:
            raise MisuseError("the body of a stream comes piece by piece: parse() gives its chunks, with_streaming_response its body")
        return whole

    @property
    def text(self) -> str:
        """The body as text; as ``content``."""
        return self.content.decode()

    def json(self) -> Any:
        """The body, decoded; as ``content``."""
        return json.loads(self.content)


class _Cut:
    """Pieces of one size out of pieces as they come; None leaves them as they are."""

    def __init__(self, size: int | None) -> None:
        if size is not None and size < 1:
            raise ValueError(f"chunk_size is at least 1, not {size}")
        self._size = size
        self._held: Any = None

    def more(self, piece: Any) -> list[Any]:
        """What is whole now."""
        size = self._size
        if size is None:
            return [piece]
        held = piece if self._held is None else self._held + piece
        whole = len(held) - len(held) % size
        self._held = held[whole:]
        return [held[at : at + size] for at in range(0, whole, size)]

    def rest(self) -> list[Any]:
        """What is left at the end."""
        return [self._held] if self._held else []


def _lines(piece: bytes) -> list[str]:
    lines = piece.decode().split("\n")  # JSON may hold other characters that end a line elsewhere
    return lines if lines[-1] else lines[:-1]


_READ = "the body of this stream was read already; call read() first where it is wanted twice"


class APIResponse(_Around[Answer]):
    """An answer whose body is read when it is wanted, within the ``with`` that gave it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._content = self._whole()
        self._pieces: Iterator[bytes] | None = None
        self.is_closed = False

    def parse(self) -> Answer:
        """The answer, as ``create`` returns it; of a stream, the stream."""
        return self._answer

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The body in pieces of `chunk_size` bytes, or as they come. A stream's can be read once, unless ``read()`` kept it."""
        cut = _Cut(chunk_size)
        for piece in self._came():
            yield from cut.more(piece)
        yield from cut.rest()

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """The body as text, in pieces of `chunk_size` characters, or as they come."""
        cut = _Cut(chunk_size)
        for piece in self._came():
            yield from cut.more(piece.decode())
        yield from cut.rest()

    def iter_lines(self) -> Iterator[str]:
        """The body's lines, without their ends."""
        for piece in self._came():
            yield from _lines(piece)

    def _came(self) -> Iterator[bytes]:
        if self._content is not None:
            return iter([self._content])
        if self._pieces is not None:
            raise MisuseError(_READ)
        from ._http import events

        self._pieces = events(self._answer)  # type: ignore[arg-type]
        return self._pieces

    def read(self) -> bytes:
        """The whole body."""
        if self._content is None:
            self._content = b"".join(self._came())
        return self._content

    def text(self) -> str:
        """The whole body as text."""
        return self.read().decode()

    def json(self) -> Any:
        """The whole body, decoded. Raises ValueError for a stream's events."""
        return json.loads(self.read())

    def stream_to_file(self, file: str | os.PathLike[str]) -> None:
        """Writes the body into a file."""
        with open(file, "wb") as out:
            for piece in self.iter_bytes():
                out.write(piece)

    def close(self) -> None:
        """Ends a stream and its connection."""
        self.is_closed = True
        if not isinstance(self._answer, dict):
            self._answer.close()  # type: ignore[attr-defined]


class AsyncAPIResponse(_Around[Answer]):
    """As ``APIResponse``, for asyncio."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._content = self._whole()
        self._pieces: AsyncIterator[bytes] | None = None
        self.is_closed = False

    async def parse(self) -> Answer:
        """The answer, as ``create`` returns it; of a stream, the stream."""
        return self._answer

    async def iter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The body in pieces of `chunk_size` bytes, or as they come. A stream's can be read once, unless ``read()`` kept it."""
        cut = _Cut(chunk_size)
        async for piece in self._came():
            for one in cut.more(piece):
                yield one
        for one in cut.rest():
            yield one

    async def iter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """The body as text, in pieces of `chunk_size` characters, or as they come."""
        cut = _Cut(chunk_size)
        async for piece in self._came():
            for one in cut.more(piece.decode()):
                yield one
        for one in cut.rest():
            yield one

    async def iter_lines(self) -> AsyncIterator[str]:
        """The body's lines, without their ends."""
        async for piece in self._came():
            for line in _lines(piece):
                yield line

    async def _came(self) -> AsyncIterator[bytes]:
        if self._content is not None:
            yield self._content
            return
        if self._pieces is not None:
            raise MisuseError(_READ)
        from ._http import events_async

        self._pieces = events_async(self._answer)  # type: ignore[arg-type]
        async for piece in self._pieces:
            yield piece

    async def read(self) -> bytes:
        """The whole body."""
        if self._content is None:
            self._content = b"".join([piece async for piece in self._came()])
        return self._content

    async def text(self) -> str:
        """The whole body as text."""
        return (await self.read()).decode()

    async def json(self) -> Any:
        """The whole body, decoded. Raises ValueError for a stream's events."""
        return json.loads(await self.read())

    async def stream_to_file(self, file: str | os.PathLike[str]) -> None:
        """Writes the body into a file."""
        with open(file, "wb") as out:
            async for piece in self.iter_bytes():
                out.write(piece)

    async def close(self) -> None:
        """Ends a stream and its connection."""
        self.is_closed = True
        if not isinstance(self._answer, dict):
            await self._answer.close()  # type: ignore[attr-defined]
