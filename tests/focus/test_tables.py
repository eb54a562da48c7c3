"""Sums and records read by pyarrow, polars and pandas through the Arrow PyCapsule interface, and FOCUS as Parquet."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas
import polars
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
from conftest import TARGET, Write

import interfuse
from interfuse import _ledger
from interfuse._record import Record
from interfuse._tables import Usage

CALLS = 1100
"""More than one batch of records."""


def record(value: Any) -> Any:
    """JSON as the package gives it."""
    if isinstance(value, dict):
        return Record({name: record(inner) for name, inner in value.items()})
    return [record(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def usage(write: Write) -> Usage:
    file, _ = write("sums.json", format="usage_json", query={"by": ["project", "provider", "error"], "latencies": True})
    return Usage(record(json.loads(file.read_text())))


@pytest.fixture(scope="module")
def client() -> Iterator[interfuse.Client]:
    """One that has made many calls; of some nobody knows the price."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    script = {"routes": [{"when": {}, "then": {"answer": "In Bern.", "usage": usage}}]}
    with subprocess.Popen([TARGET / "debug" / "upstream", "--script", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as up:
        assert up.stdin is not None and up.stdout is not None
        up.stdin.write(json.dumps(script).encode())
        up.stdin.flush()
        base = json.loads(up.stdout.readline())["base_url"]
        config = {
            "providers": {"up": {"base_url": f"{base}/v1", "api_key": "key-of-up-only"}},
            "prices": {"up/m-a": {"input": "1", "output": "2"}},
            "use_environment": False,
        }
        client = interfuse.Client(config)
        for at in range(CALLS):
            model = "up/m-a" if at % 3 else "up/m-b"
            tags = {"project": "\u00e4\u00f6 \U0001f600" if at % 2 else "=cmd"}
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], tags=tags)
        yield client
        up.stdin.close()


def test_sums_in_pyarrow_polars_and_pandas(usage: Usage) -> None:
    table = pyarrow.table(usage)
    table.validate(full=True)
    assert table.num_rows == len(usage.rows) > 10
    assert table.schema.field("cost_usd").type == pyarrow.decimal128(38, 9)
    assert pyarrow.schema(usage) == table.schema
    assert table.column("error").null_count > 0
    told = [Decimal(row.cost_usd) for row in usage.rows]
    assert table.column("cost_usd").to_pylist() == told
    assert pyarrow.compute.sum(table.column("cost_nanos")).as_py() == usage.total.cost_nanos
    frame = polars.DataFrame(usage)
    assert frame.equals(usage.to_polars()) and frame["project"].to_list() == [row.group["project"] for row in usage.rows]
    assert frame["cost_usd"].to_list() == told and frame["latency_p50_ms"].null_count() > 0
    frame = usage.to_pandas()
    assert frame["calls"].dtype == "int64" and frame["latency_p95_ms"].dtype == "Int64"
    assert frame["cost_usd"].tolist() == told and frame["cost_nanos"].sum() == usage.total.cost_nanos
    assert frame["error"].isna().sum() == table.column("error").null_count
    assert usage.to_arrow().equals(table)


def test_records_come_in_batches_and_are_the_same_everywhere(client: interfuse.Client) -> None:
    records = client.records()
    lines = list(records)
    assert len(lines) == CALLS
    table = pyarrow.table(records)
    table.validate(full=True)
    assert table.num_rows == CALLS and table.column("id").num_chunks == 2
    assert pyarrow.schema(records) == table.schema
    assert table.column("id").to_pylist() == [line.id for line in lines]
    assert table.column("cost_nanos").to_pylist() == [line.cost_nanos for line in lines]
    assert table.column("cost_usd").to_pylist() == [None if n is None else Decimal(n).scaleb(-9) for n in table.column("cost_nanos").to_pylist()]
    assert table.column("at").cast(pyarrow.int64()).to_pylist() == [line.at_ms for line in lines]
    assert [json.loads(text) for text in table.column("tags").to_pylist()] == [line.tags for line in lines]
    assert polars.DataFrame(records).rows() == polars.from_arrow(table).rows()
    frame = records.to_pandas()
    assert list(frame.columns) == table.schema.names and len(frame) == CALLS
    assert str(frame["at"].dt.tz) == "UTC" and frame["at"].iloc[0].value // 10**6 == lines[0].at_ms
    assert pandas.isna(frame["cost_nanos"]).sum() == table.column("cost_nanos").null_count > 0
    assert frame["cached"].tolist() == [False] * CALLS


def test_nothing_is_a_table_too() -> None:
    records = interfuse.Client({"use_environment": False}).records()
    assert pyarrow.table(records).num_rows == len(polars.DataFrame(records)) == len(records.to_pandas()) == 0
    assert pyarrow.schema(records).names == list(records.to_pandas().columns)


def test_a_reader_that_fails_lets_go(client: interfuse.Client) -> None:
    def fails() -> None:
        held = [pyarrow.RecordBatchReader.from_stream(client.records()), client.records().__arrow_c_stream__()]
        raise ValueError(f"{len(held)} streams are let go with this on its way")

    for _ in range(3):
        with pytest.raises(ValueError, match="2 streams"):
            fails()
    # One that nobody takes, and one that is left half-way.
    client.records().__arrow_c_stream__()
    reader = pyarrow.RecordBatchReader.from_stream(client.records())
    assert reader.read_next_batch().num_rows > 0
    del reader
    with pytest.raises(interfuse.BadRequestError, match="did you mean"):
        pyarrow.table(client.records(where={"outcome": "fail"}))


@pytest.mark.parametrize("writer", ["pyarrow", "polars"])
def test_focus_as_parquet(write: Write, tmp_path: Path, writer: str) -> None:
    csv, told = write("focus-1.4.csv", 800, format="focus")
    to = tmp_path / "focus.parquet"
    if writer == "pyarrow":
        _ledger._parquet_writer()(str(csv), str(to))
    else:
        _ledger._with_polars(polars, str(csv), str(to))
    table = pyarrow.parquet.read_table(to)
    assert table.num_rows == told["rows"]
    billed = pyarrow.compute.sum(table.column("BilledCost")).as_py()
    assert billed == Decimal(told["cost_nanos"]) / 10**9
    assert table.schema.field("ChargePeriodStart").type == pyarrow.timestamp("ms", tz="UTC")
    unknown = {line["x_RecordId"] for line in table.select(["x_RecordId", "x_CostUnknown"]).to_pylist() if line["x_CostUnknown"]}
    assert len(unknown) == told["cost_unknown"]
    assert table.column("InvoiceId").null_count == table.num_rows


def test_a_client_writes_parquet(client: interfuse.Client, tmp_path: Path) -> None:
    told = client.ledger.export_focus(tmp_path / "october.parquet")
    out = io.BytesIO()
    client.ledger.export_focus(out, format="parquet")
    for source in (tmp_path / "october.parquet", out):
        assert pyarrow.parquet.read_table(source).num_rows == told.rows
    assert [file.name for file in tmp_path.iterdir()] == ["october.parquet"]


def test_without_a_writer_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(interfuse.PackageError, match="pip install pyarrow"):
        _ledger._parquet_writer()


def test_csv_and_json_of_sums(usage: Usage, tmp_path: Path) -> None:
    frame = pandas.read_csv(io.StringIO(usage.to_csv(tmp_path / "sums.csv")))
    assert (tmp_path / "sums.csv").read_text() == usage.to_csv()
    assert frame["calls"].sum() == usage.total.calls
    assert json.loads(usage.to_json(tmp_path / "sums.json")) == usage.to_dict()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["sums.csv", "sums.json"]
