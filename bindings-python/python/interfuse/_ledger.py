"""``client.ledger``: what leaves the ledger for other programs."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from ._files import whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO, Literal

    from ._options import BaseClient, When
    from ._responses import Exported

    Path = str | os.PathLike[str]
    Format = Literal["focus", "usage_csv", "usage_json", "records_csv", "records_json", "html"]
    Version = Literal["1.2", "1.3", "1.4"]

DECIMALS = (
    "BilledCost ConsumedQuantity ContractedCost ContractedUnitPrice EffectiveCost ListCost ListUnitPrice "
    "PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice PricingQuantity"
).split()
TIMES = ["BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"]
FLAG = "x_CostUnknown"


class Ledger:
    """``client.ledger``"""

    def __init__(self, client: BaseClient) -> None:
        self._client = client

    def export(
        self,
        to: Path | IO[Any],
        format: Format,
        *,
        version: Version | None = None,
        since: When | None = None,
        until: When | None = None,
        where: Mapping[str, str] | None = None,
        by: str | Sequence[str] = (),
        time_zone: str | None = None,
    ) -> Exported:
        """Writes records, sums, charges or a page out of the ledger, and tells what was written.

        to: a file's path, which is there whole or, after an error, as it was before; or an open file.
        format: ``focus`` (see ``export_focus``), ``usage_csv``, ``usage_json``, ``records_csv``, ``records_json`` (an object
            a line) or ``html``.
        """
        query = self._client._query(by, since, until, where, time_zone)
        request: dict[str, Any] = {"format": format, "query": query}
        if version is not None:
            request["version"] = version
        native = self._client._native
        if isinstance(to, (str, os.PathLike)):
            return native.export_file(request, os.fspath(to))
        with tempfile.TemporaryDirectory(prefix="interfuse-") as folder:
            part = os.path.join(folder, "export")
            exported = native.export_file(request, part)
            binary = "b" in getattr(to, "mode", "") or not hasattr(to, "encoding")
            how: Any = {"mode": "rb"} if binary else {"encoding": "utf-8", "newline": ""}
            with open(part, **how) as written:
                shutil.copyfileobj(written, to)
        return exported

    def export_focus(
        self,
        to: Path | IO[Any],
        version: Version = "1.4",
        *,
        format: Literal["csv", "parquet"] | None = None,
        since: When | None = None,
        until: When | None = None,
        where: Mapping[str, str] | None = None,
        time_zone: str | None = None,
    ) -> Exported:
        """Writes the charges in the FinOps Open Cost and Usage Specification (FOCUS) and tells what was written: a row for
        each attempt and class of tokens, allocated by tags, with exact costs.

        to: a file's path, which is there whole or, after an error, as it was before; or an open file.
        version: of FOCUS.
        format: ``csv`` or ``parquet``; by default what the path ends in. Parquet needs pyarrow or polars.
        time_zone: of times in `since` and `until` that name none; UTC by default. FOCUS itself is in UTC.
        """
        parquet = format == "parquet" or (
            format is None and isinstance(to, (str, os.PathLike)) and os.fspath(to).lower().endswith(".parquet")
        )
        if format not in (None, "csv", "parquet"):
            raise ValueError(f"format is 'csv' or 'parquet', not {format!r}")
        if not parquet:
            return self.export(to, "focus", version=version, since=since, until=until, where=where, time_zone=time_zone)
        write = _parquet_writer()
        with tempfile.TemporaryDirectory(prefix="interfuse-") as folder:
            csv = os.path.join(folder, "focus.csv")
            exported = self.export(csv, "focus", version=version, since=since, until=until, where=where, time_zone=time_zone)
            if isinstance(to, (str, os.PathLike)):
                with whole(to) as part:
                    write(csv, part)
            else:
                part = os.path.join(folder, "focus.parquet")
                write(csv, part)
                with open(part, "rb") as written:
                    shutil.copyfileobj(written, to)
        return exported


def _parquet_writer() -> Any:
    """What makes Parquet of CSV, a piece at a time."""
    for name, write in (("pyarrow", _with_pyarrow), ("polars", _with_polars)):
        try:
            package = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        return lambda csv, to, write=write, package=package: write(package, csv, to)
    from ._typed_errors import PackageError

    raise PackageError("Parquet needs the package pyarrow or polars: pip install pyarrow", {"package": "pyarrow"})


def _with_pyarrow(pyarrow: Any, csv: str, to: str) -> None:
    reader, writer = importlib.import_module("pyarrow.csv"), importlib.import_module("pyarrow.parquet")
    with open(csv, encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split(",")
    types = {name: pyarrow.string() for name in names}
    types |= {name: pyarrow.decimal128(38, 15) for name in DECIMALS}
    types |= {name: pyarrow.timestamp("ms", tz="UTC") for name in TIMES}
    types[FLAG] = pyarrow.bool_()
    schema = pyarrow.schema([(name, types[name]) for name in names])
    convert = reader.ConvertOptions(column_types=schema, strings_can_be_null=True, null_values=[""])
    parse = reader.ParseOptions(newlines_in_values=True)
    with writer.ParquetWriter(to, schema, compression="zstd") as out:
        for batch in reader.open_csv(csv, parse_options=parse, convert_options=convert):
            out.write_batch(batch)


def _with_polars(polars: Any, csv: str, to: str) -> None:
    frame = polars.scan_csv(csv, infer_schema=False)
    columns = [polars.col(name).cast(polars.Decimal(38, 15)) for name in DECIMALS]
    columns += [polars.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="ms") for name in TIMES]
    columns.append((polars.col(FLAG) == "true").alias(FLAG))
    frame.with_columns(columns).sink_parquet(to, compression="zstd")
