"""What a client says of its ledger: sums, records, exports, the page."""

from __future__ import annotations

import csv
import datetime
import io
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import HI, Start, answers

import interfuse

USAGE = {"prompt_tokens": 7, "completion_tokens": 2}
PRICES = {"prices": {"up/m-a": {"input": "1", "output": "2"}}}


@pytest.fixture
def client(start: Start) -> interfuse.Client:
    up = start(answers("m-a", "In Bern.", usage=USAGE), answers("m-c", "Bern."), {"when": {"model": "m-b"}, "then": {"status": 500, "json": {}}})
    client = interfuse.Client(up.config | PRICES, max_retries=0)
    for project in ("search", "search", "=cmd"):
        client.chat.completions.create(model="up/m-a", messages=HI, tags={"project": project})
    # Of this one nobody knows the price.
    client.chat.completions.create(model="up/m-c", messages=HI)
    with pytest.raises(interfuse.InternalServerError):
        client.chat.completions.create(model="up/m-b", messages=HI, tags={"team": "core"})
    return client


def test_sums_by_anything(client: interfuse.Client) -> None:
    sums = client.usage(["project", "outcome"], latencies=True)
    told = [(row.group["project"], row.group["outcome"], row.calls, row.cost_nanos) for row in sums]
    assert told == [(None, "failed", 1, 0), (None, "ok", 1, 0), ("=cmd", "ok", 1, 11_000), ("search", "ok", 2, 22_000)]
    assert sums.total.cost_usd == "0.000033" and sums.total.cost_unknown == 1 and sums.total.latency_p50_ms is not None
    assert sums.by == ["project", "outcome"] and sums["total"] == sums.total and len(sums) == 4 and sums.complete
    assert client.usage("endpoint").rows[0].group == {"endpoint": "up/m-a"}
    assert client.usage("modle").hints == ["no attempt has a tag `modle`; did you mean `model`?"]
    assert "in the sum" in str(sums) and "0.000033" in repr(sums)
    assert sums == client.usage(["project", "outcome"], latencies=True) and sums != client.usage()
    with pytest.raises(interfuse.BadRequestError, match="did you mean `failed`"):
        client.usage(where={"outcome": "fail"})


def test_times_in_every_form(client: interfuse.Client) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    for since in ("1d", "24h", (now - day).isoformat(), now - day, (now - day).date(), (now - day).timestamp()):
        assert client.usage(since=since).total.attempts == 5, since
        assert client.usage(until=since).total.attempts == 0, since
    assert client.usage(since=now + day).total.attempts == 0
    rows = client.usage("day", time_zone="Pacific/Kiritimati").rows
    assert {row.group["day"] for row in rows} <= {str((now + n * day).date()) for n in (0, 1)}
    with pytest.raises(interfuse.BadRequestError, match="7d"):
        client.usage(since="yesterday")
    with pytest.raises(interfuse.BadRequestError, match="Europe/Berlin"):
        client.usage(time_zone="Europe/Berln")


def test_records_one_by_one(client: interfuse.Client, tmp_path: Path) -> None:
    records = client.records()
    told = [(record.model, record.outcome, record.cost_nanos) for record in records]
    assert told == [("up/m-a", "ok", 11_000)] * 3 + [("up/m-c", "ok", None), ("up/m-b", "failed", 0)]
    assert len(list(records)) == 5, "each loop reads anew"
    assert [record.tags for record in client.records(where={"team": "core"})] == [{"team": "core"}]
    for record in records:
        assert record.provider == "up"
        break
    text = records.to_csv()
    assert text is not None
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["cost_usd"] for row in rows] == ["0.000011"] * 3 + ["", "0"]
    assert json.loads(rows[2]["tags"]) == {"project": "=cmd"}
    assert records.to_json(tmp_path / "records.jsonl") is None
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["ok", "ok", "ok", "ok", "failed"]
    with pytest.raises(interfuse.BadRequestError):
        list(client.records(where={"outcome": "fail"}))


def test_focus(client: interfuse.Client, tmp_path: Path) -> None:
    told = client.ledger.export_focus(tmp_path / "focus.csv")
    assert (told.attempts, told.rows, told.cost_nanos, told.cost_unknown, told.complete) == (5, 8, 33_000, 1, True)
    with open(tmp_path / "focus.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["SkuMeter"] for row in rows[:2]] == ["Input Tokens", "Output Tokens"]
    assert rows[0]["PricingQuantity"] == "0.000007" and rows[0]["ListCost"] == "0.000007"
    assert rows[4]["x_Project"] == "'=cmd" and "ProviderName" not in rows[0]
    text, binary = io.StringIO(), io.BytesIO()
    client.ledger.export_focus(text, "1.2", where={"project": "search"})
    client.ledger.export_focus(binary, version="1.3")
    assert "ProviderName" in text.getvalue() and len(text.getvalue().splitlines()) == 5
    assert b"HostProviderName" in binary.getvalue()
    with pytest.raises(interfuse.BadRequestError, match=r"1\.1"):
        client.ledger.export_focus(tmp_path / "focus.csv", version="1.1")  # type: ignore[arg-type]
    with pytest.raises(interfuse.StorageError, match="nowhere"):
        client.ledger.export_focus(tmp_path / "nowhere" / "focus.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["focus.csv"]


def test_who_is_billed_is_configured(start: Start) -> None:
    up = start(answers("m-a", "In Bern.", usage=USAGE))
    billing = {"up": {"account_id": "org-1", "sub_account_id": "p-1"}}
    client = interfuse.Client(up.config | PRICES | {"ledger": {"billing": billing}})
    client.chat.completions.create(model="up/m-a", messages=HI)
    out = io.StringIO()
    client.ledger.export_focus(out)
    row = next(csv.DictReader(io.StringIO(out.getvalue())))
    assert (row["BillingAccountId"], row["SubAccountId"], row["SubAccountType"]) == ("org-1", "p-1", "Project")
    assert "key-of-up-only" not in out.getvalue()
    with pytest.raises(interfuse.ConfigError, match="ledger.billing.nobody"):
        interfuse.Client(up.config | {"ledger": {"billing": {"nobody": {}}}})


def test_the_page(client: interfuse.Client, tmp_path: Path) -> None:
    page: Any = client.usage_html()
    assert page.startswith("<!doctype html>") and "<script" not in page and "search" in page
    assert client.usage_html(tmp_path / "page.html", where={"project": "search"}) is None
    assert "project = search" in (tmp_path / "page.html").read_text()


async def _async_too(start: Start) -> None:
    up = start(answers("m-a", "In Bern.", usage=USAGE))
    async with interfuse.AsyncClient(up.config) as client:
        await client.chat.completions.create(model="up/m-a", messages=HI)
        assert client.usage("model").total.calls == len(list(client.records())) == 1


def test_the_asyncio_client_has_the_same(start: Start) -> None:
    import asyncio

    asyncio.run(_async_too(start))
