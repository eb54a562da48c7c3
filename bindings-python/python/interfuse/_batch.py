"""Batches: requests are put into the core as it takes them, rows come out as they are done."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sized
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from ._native import batch_text
from ._record import Record
from .errors import BY_KIND, InterfuseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from . import _native, types
    from ._responses import BatchCounts, BatchReport
    from ._responses import BatchRow as _Fields

    Request = str | types.BatchRequest | Mapping[str, Any] | Iterable[Any]
    OnError = Literal["column", "raise", "drop"]
    Progress = bool | Callable[[BatchCounts], object] | None
else:
    _Fields = Record


class BatchedRow(_Fields):
    """What became of one request. ``response`` or ``error`` is there."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """Text of the answer's first choice; empty when there is none."""
        choices = (self.get("response") or {}).get("choices")
        return (choices[0]["message"].get("content") or "") if choices else ""

    @property
    def exception(self) -> InterfuseError | None:
        """The error as the exception that the same call by itself would have raised."""
        told = self.get("error")
        return BY_KIND[told["kind"]](told["message"], told) if told else None


def options(
    common: dict[str, Any],
    requests: object,
    concurrency: int | None,
    budget: object,
    checkpoint: str | os.PathLike[str] | None,
    retry_failed: bool,
    ordered: bool,
) -> dict[str, Any]:
    """The options of a batch as the core takes them."""
    given: dict[str, Any] = {"common": common, "retry_failed": retry_failed, "ordered": ordered}
    if concurrency is not None:
        given["concurrency"] = concurrency
    if budget is not None:
        given["budget"] = str(budget)
    if checkpoint is not None:
        given["checkpoint"] = os.fspath(checkpoint)
    if isinstance(requests, Sized):
        given["total"] = len(requests)
    return given


def each(requests: Any) -> Iterator[Any]:
    """The requests one by one, also those of a column of pandas, polars or Arrow."""
    if isinstance(requests, (str, bytes, Mapping)) or hasattr(requests, "columns"):
        kind = type(requests).__name__
        raise TypeError(f"a batch takes many requests: a list, a generator or one column of a table, not a {kind}")
    if hasattr(requests, "to_pylist"):
        return (value.as_py() for value in requests)
    return iter(requests)


class _Reading:
    """What blocking and asyncio share."""

    report: BatchReport | None = None
    """What it all came to; None until the last row is read."""
    counts: BatchCounts | None = None
    """How far it was a moment ago."""
    partial: list[BatchedRow]
    """The rows that ``to_list`` has read, also where it was interrupted."""

    def __init__(self, made: tuple[_native.Feed, _native.Stream], on_error: OnError, progress: Progress) -> None:
        if on_error not in ("column", "raise", "drop"):
            raise ValueError(f"on_error is 'column', 'raise' or 'drop', not {on_error!r}")
        self._feed, self._source = made
        self._on_error = on_error
        self._show = progress if callable(progress) else None if progress is False else _Bar(progress is True).show
        self._open = True
        self._events: list[Any] = []
        self._owed = 1
        self.partial = []

    def _took(self, event: Any) -> BatchedRow | None:
        """Takes an event in; gives a row that is to be seen."""
        kind = event["type"]
        if kind == "done":
            self.report = event["report"]
        elif kind == "progress":
            self.counts = event["progress"]
            if self._show is not None:
                self._show(event["progress"])
        else:
            row = BatchedRow(event["row"])
            self._owed += 1
            failure = row.exception if self._on_error != "column" else None
            if failure is None:
                return row
            if self._on_error == "raise":
                self._stop()
                raise failure
        return None

    def _fill(self, requests: Iterator[Any]) -> None:
        """Puts in as many requests as rows were taken, and one: a slow source of requests does not keep rows back."""
        owed, self._owed = self._owed, 1
        for _ in range(min(owed, self._feed.room())):
            try:
                request = next(requests)
            except StopIteration:
                self._done()
                return
            except BaseException:
                self._stop()
                raise
            self._feed.push(request)

    def _done(self) -> None:
        """There are no more requests."""
        self._open = False
        self._feed.close()

    def _stop(self) -> None:
        self._done()
        self._source.cancel()

    def summary(self) -> str:
        """What it came to, in a line; while it goes on, how far it is."""
        if self.report is not None:
            return batch_text(self.report)
        return _line(self.counts) if self.counts is not None else "no row is done yet"

    def __repr__(self) -> str:
        return f"<interfuse.{type(self).__name__}: {self.summary()}>"


class Batch(_Reading):
    """Rows as they are done. Leaving it, closing it or forgetting it cancels what is under way."""

    def __init__(self, made: tuple[_native.Feed, _native.Stream], requests: Any, on_error: OnError, progress: Progress) -> None:
        self._requests = each(requests)
        super().__init__(made, on_error, progress)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> BatchedRow:
        while True:
            while self._events:
                row = self._took(self._events.pop())
                if row is not None:
                    return row
            if self._open and self._feed.room():
                self._fill(self._requests)
                events = self._source.ready()
                # Nothing yet, or the end, which the stream tells again.
                self._events = events[::-1] if events else []
            else:
                self._events = [next(self._source)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Cancels what is under way. What is in the checkpoint stays."""
        self._stop()

    def to_list(self) -> list[BatchedRow]:
        """The rows that were not read yet. After Ctrl-C, those that there were are in ``partial``."""
        for row in self:
            self.partial.append(row)
        return self.partial

    def to_pandas(self) -> Any:
        """The same as a pandas DataFrame, one row each."""
        return _frame("pandas", self.to_list())

    def to_polars(self) -> Any:
        """The same as a polars DataFrame, one row each."""
        return _frame("polars", self.to_list())


class AsyncBatch(_Reading):
    """As ``Batch``, for asyncio; requests may come from an async generator."""

    def __init__(self, made: tuple[_native.Feed, _native.Stream], requests: Any, on_error: OnError, progress: Progress) -> None:
        self._later = requests if isinstance(requests, AsyncIterable) else None
        self._requests = iter(()) if self._later is not None else each(requests)
        self._feeding: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._failed: list[BaseException] = []
        super().__init__(made, on_error, progress)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchedRow:
        from ._bridge import bridge

        if self._feeding is None and self._later is not None:
            work = _put(self._later, self._feed, self._source, self._room, self._failed)
            self._feeding = asyncio.ensure_future(work)
        while True:
            while self._events:
                row = self._took(self._events.pop())
                self._room.set()
                if row is not None:
                    return row
            filling = self._feeding is None and self._open and self._feed.room() > 0
            if filling:
                self._fill(self._requests)
            try:
                events = self._source.ready()
            except InterfuseError:
                if self._failed:
                    raise self._failed[0] from None
                raise
            if events:
                self._events = events[::-1]
            elif events is not None:
                raise StopAsyncIteration
            elif filling:
                # A long list of requests leaves the loop to others, too.
                await asyncio.sleep(0)
            else:
                await bridge().ready(self._source)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    async def close(self) -> None:
        """Cancels what is under way. What is in the checkpoint stays."""
        self._stop()

    def _stop(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
        super()._stop()

    def __del__(self) -> None:
        if getattr(self, "_feeding", None) is not None and not self._feeding.get_loop().is_closed():  # type: ignore[union-attr]
            self._feeding.cancel()  # type: ignore[union-attr]

    async def to_list(self) -> list[BatchedRow]:
        """The rows that were not read yet. Where that was cancelled, those that there were are in ``partial``."""
        async for row in self:
            self.partial.append(row)
        return self.partial

    async def to_pandas(self) -> Any:
        """The same as a pandas DataFrame, one row each."""
        return _frame("pandas", await self.to_list())

    async def to_polars(self) -> Any:
        """The same as a polars DataFrame, one row each."""
        return _frame("polars", await self.to_list())


async def _put(
    requests: AsyncIterable[Any],
    feed: _native.Feed,
    source: _native.Stream,
    room: asyncio.Event,
    failed: list[BaseException],
) -> None:
    """Puts requests in as there is room. Knows nothing of the batch, which may be forgotten meanwhile."""
    try:
        async for request in requests:
            while not feed.push(request):
                # The next row that is read makes room.
                room.clear()
                await room.wait()
    except asyncio.CancelledError:
        raise
    except BaseException as e:
        failed.append(e)
        source.cancel()
    finally:
        feed.close()


def _frame(package: str, rows: list[BatchedRow]) -> Any:
    from ._packages import brought

    def column(of: Callable[[BatchedRow], Any]) -> list[Any]:
        return [of(row) for row in rows]

    def answered(*names: str) -> list[Any]:
        found = []
        for row in rows:
            value: Any = row.get("response")
            for name in names:
                value = value.get(name) if value is not None else None
            found.append(value)
        return found

    return brought(package, f"to_{package}()", f"'interfuse[{package}]'").DataFrame(
        {
            "index": column(lambda row: row["index"]),
            "text": column(lambda row: row.text if row.get("response") else None),
            "error": column(lambda row: row["error"]["kind"] if row.get("error") else None),
            "message": column(lambda row: row["error"]["message"] if row.get("error") else None),
            "model": answered("interfuse", "model"),
            "provider": answered("interfuse", "provider"),
            "cost_usd": column(lambda row: row.get("cost_usd")),
            "tokens_in": answered("usage", "prompt_tokens"),
            "tokens_out": answered("usage", "completion_tokens"),
            "latency_ms": column(lambda row: row["latency_ms"]),
            "attempts": column(lambda row: row["attempts"]),
            "request_id": answered("interfuse", "request_id"),
        }
    )


def _line(counts: BatchCounts) -> str:
    from ._evaluating import usd

    of = f" of {counts.of}" if counts.of is not None else ""
    failed = f", {counts.failed} failed" if counts.failed else ""
    left = f", {counts.eta_ms / 1000:.0f} s left" if counts.eta_ms else ""
    return f"{counts.done}{of} rows{failed}, {usd(counts.spent_nanos)} USD, {counts.rows_per_s:.1f} rows/s{left}"


class _Bar:
    """How far a batch is: tqdm's bar where that is installed; else one line on a terminal, which changes every two seconds.
    Elsewhere only who asks for it is told, once at the end."""

    def __init__(self, asked: bool) -> None:
        self._asked = asked
        self._bar: Any = None
        self._told = -2.0
        self._shown = 0
        try:
            self._tqdm: Any = import_module("tqdm.auto").tqdm
        except ImportError:
            self._tqdm = None

    def show(self, counts: BatchCounts) -> None:
        """Takes one event in."""
        over = counts.of is not None and counts.done >= counts.of
        if self._tqdm is not None:
            if self._bar is None:
                self._bar = self._tqdm(total=counts.of, unit="row", initial=counts.done)
            from ._evaluating import usd

            self._bar.update(counts.done - self._bar.n)
            self._bar.set_postfix_str(f"{counts.failed} failed, {usd(counts.spent_nanos)} USD")
            if over:
                self._bar.close()
            return
        import time

        now = time.monotonic()
        if sys.stderr.isatty() and (over or now - self._told >= 2.0):
            line = _line(counts)
            print(f"\r{line:<{self._shown}}", end="\n" if over else "", file=sys.stderr, flush=True)
            self._told, self._shown = now, len(line)
        elif over and self._asked:
            print(_line(counts), file=sys.stderr, flush=True)
