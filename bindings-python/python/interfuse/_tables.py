"""What the ledger gives, as tables: sums, and records one by one. Imported when the ledger is first asked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ._native import records_schema, usage_arrow, usage_columns, usage_csv, usage_schema, usage_text
from ._packages import brought

if TYPE_CHECKING:
    from . import _native
    from ._responses import LedgerRecord, UsageReport, UsageRow


class Table:
    """Something with rows and typed columns. ``pyarrow.table(x)``, ``polars.DataFrame(x)`` and ``pandas.DataFrame.from_arrow(x)``
    take it as it is, through the Arrow PyCapsule interface; neither package is needed for anything else."""

    def _columns(self) -> list[tuple[str, str, list[Any]]]:
        """Names, kinds (``text``, ``integer``, ``flag``, ``time`` in milliseconds, ``usd`` in billionths) and values."""
        raise NotImplementedError

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """An ``ArrowArrayStream`` in a capsule."""
        raise NotImplementedError

    def __arrow_c_schema__(self) -> object:
        """An ``ArrowSchema`` in a capsule."""
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """A pandas DataFrame. Amounts in ``..._nanos`` are integers, those in ``..._usd`` exact decimals."""
        pandas = brought("pandas", "to_pandas()", "'interfuse[pandas]'")
        frame = {}
        for name, kind, values in self._columns():
            if kind == "time":
                frame[name] = pandas.to_datetime(values, unit="ms", utc=True)
            elif kind == "usd":
                frame[name] = pandas.Series([None if v is None else Decimal(v).scaleb(-9) for v in values], dtype="object")
            else:
                dtype = {"integer": "Int64", "flag": "boolean", "text": "object"}[kind]
                complete = kind == "integer" and None not in values
                frame[name] = pandas.Series(values, dtype="int64" if complete else dtype)
        return pandas.DataFrame(frame)

    def to_polars(self) -> Any:
        """A polars DataFrame. Amounts in ``..._nanos`` are integers, those in ``..._usd`` exact decimals."""
        return brought("polars", "to_polars()", "'interfuse[polars]'").DataFrame(_Columns(self))

    def to_arrow(self) -> Any:
        """A pyarrow Table."""
        return brought("pyarrow", "to_arrow()", "pyarrow").table(self)


class _Columns:
    """A table by its columns alone: polars before 1.23 reads what also has rows as these, by the fields of the first ones."""

    def __init__(self, table: Table) -> None:
        self.__arrow_c_stream__ = table.__arrow_c_stream__


class Usage(Table):
    """What calls used and cost: ``rows``, one for each group, and their ``total``. Equal to other sums with the same rows."""

    def __init__(self, report: UsageReport) -> None:
        self._report = report

    @property
    def by(self) -> list[str]:
        """What the rows are told apart by."""
        return self._report.by

    @property
    def rows(self) -> list[UsageRow]:
        """Sums of each group."""
        return self._report.rows

    @property
    def total(self) -> UsageRow:
        """Sums of all."""
        return self._report.total

    @property
    def complete(self) -> bool:
        """Whether everything asked for was still there to be added up."""
        return self._report.complete

    @property
    def hints(self) -> list[str]:
        """Names that nothing has and that look misspelt."""
        return self._report.get("hints") or []

    def __getitem__(self, name: str) -> Any:
        return self._report[name]

    def __iter__(self) -> Iterator[UsageRow]:
        return iter(self._report.rows)

    def __len__(self) -> int:
        return len(self._report.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Usage) and self._report == other._report

    __hash__ = None  # type: ignore[assignment]

    def _columns(self) -> list[tuple[str, str, list[Any]]]:
        return usage_columns(self._report)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return usage_arrow(self._report)

    def __arrow_c_schema__(self) -> object:
        return usage_schema(self._report)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return self._report.to_dict()

    model_dump = to_dict

    def to_json(self, path: str | os.PathLike[str] | None = None, *, indent: int | None = 2) -> str:
        """JSON text, also written to `path` where that is given."""
        return _kept(json.dumps(self._report, indent=indent, ensure_ascii=False), path)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """CSV, also written to `path` where that is given. A text that begins like a formula gets an apostrophe before it."""
        return _kept(usage_csv(self._report), path)

    def to_text(self, width: int = 100, color: bool = False) -> str:
        """A table for people, with costs rounded."""
        return usage_text(self._report, width, color)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"<Usage by {self.by or 'nothing'}: {len(self.rows)} rows, {self.total.cost_usd} USD, {self.total.cost_unknown} unknown>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.to_text())


class Records(Table):
    """The ledger's records, oldest first; each ``for`` reads them anew, a few at a time."""

    def __init__(self, native: _native.Native, query: Mapping[str, Any]) -> None:
        self._native = native
        self._query = query

    def __iter__(self) -> Iterator[LedgerRecord]:
        source: Iterator[LedgerRecord] = iter(self._native.records(self._query))
        return source

    def _columns(self) -> list[tuple[str, str, list[Any]]]:
        return self._native.records_columns(self._query)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._native.records_arrow(self._query)

    def __arrow_c_schema__(self) -> object:
        return records_schema()

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """CSV as text, or into the file `path`. A text that begins like a formula gets an apostrophe before it."""
        return self._export("records_csv", path)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """One JSON object a line as text, or into the file `path`."""
        return self._export("records_json", path)

    def _export(self, format: str, path: str | os.PathLike[str] | None) -> str | None:
        request = {"format": format, "query": self._query}
        if path is None:
            return self._native.export(request).decode()
        self._native.export_file(request, os.fspath(path))
        return None


def _kept(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        from ._files import whole

        with whole(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    return text

