"""Batches: rows and their errors, requests that are pulled, budgets, checkpoints, progress, and how they are left."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Start, Upstream, never, run_python

import interfuse

USAGE = {"prompt_tokens": 10, "completion_tokens": 2}
SAYS: Any = {"when": {}, "then": {"answer": "8", "usage": USAGE}}
FAILS: Any = {"when": {"body_contains": "bad"}, "then": {"status": 401, "json": {"error": {"message": "no"}}}}


def config(up: Upstream) -> Any:
    return {**up.config, "prices": {"up/m-a": {"input": "1", "output": "10"}}}


def common(**more: Any) -> dict[str, Any]:
    return {"model": "up/m-a", "max_tokens": 10, "max_retries": 0, "progress": False, **more}


def test_rows_in_order_with_their_errors(start: Start) -> None:
    up = start(FAILS, SAYS)
    client = interfuse.Client(config(up), tags={"project": "many"})
    requests: list[Any] = ["good", "bad", [{"role": "user", "content": "good"}], {"messages": []}, 7, "good"]
    with client.batch(requests, **common()) as batch:
        assert batch.report is None
        rows = list(batch)
    assert [row.index for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row.text for row in rows[:3]] == ["8", "", "8"]
    assert rows[0].response is not None and rows[0].response.choices[0].message.content == "8"
    assert (rows[0].error, rows[0].exception, rows[0].cost_usd, rows[0].attempts) == (None, None, "0.00003", 1)
    assert rows[1].error is not None and rows[1].error.kind == "authentication"
    failure = rows[1].exception
    assert isinstance(failure, interfuse.AuthenticationError) and failure.status == 401
    assert isinstance(rows[4].exception, interfuse.BadRequestError) and "a list of messages" in str(rows[4].exception)
    report = batch.report
    assert report is not None and (report.rows, report.failed) == (6, 1)
    assert "of 6 rows answered (1 authentication, " in batch.summary() and batch.summary() in repr(batch)
    assert json.loads(json.dumps(rows[0]))["index"] == 0
    assert client.usage("project").rows[0].group["project"] == "many"


def test_on_error(start: Start) -> None:
    up = start(FAILS, SAYS)
    client = interfuse.Client(config(up))
    dropped = client.batch(["good", "bad", "good"], on_error="drop", **common())
    assert [row.index for row in dropped] == [0, 2]
    assert dropped.report is not None and dropped.report.failed == 1
    raising = client.batch(["good", "bad", "good"], on_error="raise", **common())
    assert next(raising).index == 0
    with pytest.raises(interfuse.AuthenticationError):
        next(raising)
    with pytest.raises(ValueError, match="on_error is"):
        client.batch(["good"], on_error="ignore", **common())  # type: ignore[arg-type]


def test_requests_are_pulled_as_rows_are_read(start: Start) -> None:
    up = start(SAYS)
    pulled = 0

    def requests() -> Iterator[str]:
        nonlocal pulled
        for number in range(100_000):
            pulled = number + 1
            yield str(number)

    with interfuse.Client(config(up)).batch(requests(), **common()) as batch:
        for _ in range(500):
            next(batch)
    assert 500 <= pulled <= 2000


def test_a_generator_that_fails_ends_the_batch(start: Start) -> None:
    up = start(SAYS)

    def requests() -> Iterator[str]:
        yield "good"
        raise KeyError("row")

    with pytest.raises(KeyError):
        interfuse.Client(config(up)).batch(requests(), **common()).to_list()


def test_what_is_no_list_of_requests(start: Start) -> None:
    pandas = pytest.importorskip("pandas")
    client = interfuse.Client(config(start(SAYS)))
    frame = pandas.DataFrame({"prompt": ["a", "b"]})
    wrong: list[Any] = ["a", {"messages": []}, frame]
    for given in wrong:
        with pytest.raises(TypeError, match="many requests"):
            client.batch(given, **common())
    table = client.batch(frame["prompt"], **common()).to_pandas()
    assert list(table["text"]) == ["8", "8"] and list(table["tokens_in"]) == [10, 10]
    assert list(table["cost_usd"]) == ["0.00003"] * 2


def test_columns_of_others(start: Start) -> None:
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    client = interfuse.Client(config(start(SAYS)))
    for column in (polars.Series(["a", "b"]), pyarrow.array(["a", "b"]), pyarrow.chunked_array([["a"], ["b"]])):
        assert client.batch(column, **common()).to_polars()["text"].to_list() == ["8", "8"]


def test_a_budget_is_never_passed(start: Start) -> None:
    up = start(SAYS)
    batch = interfuse.Client(config(up)).batch(["say"] * 20, budget="0.0004", concurrency=8, **common())
    refused = [row for row in batch if row.error]
    assert batch.report is not None and batch.report.spent_nanos <= 400_000
    assert batch.report.answered == len(up.settled()) and 0 < batch.report.answered < 20
    assert {type(row.exception) for row in refused} == {interfuse.BudgetExceededError}
    assert {(row.attempts, row.cost_nanos) for row in refused} == {(0, 0)}


def test_it_goes_on_after_kill(start: Start, tmp_path: Path) -> None:
    up = start({"when": {"body_contains": "row 30"}, "then": {"delay_ms": 3_600_000, "answer": "never"}}, SAYS)
    file = tmp_path / "run.jsonl"
    program = f"""
import interfuse, sys
client = interfuse.Client({config(up)!r})
for row in client.batch((f"row {{n}}" for n in range(60)), concurrency=4, checkpoint={str(file)!r}, **{common()!r}):
    print(row.index, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() not in ("29", ""):
            pass
        process.kill()
    with open(file, "a") as half:
        half.write('{"request": 5, "row": {"ind')
    asked = len(up.settled())
    second = start(SAYS)
    again = interfuse.Client(config(second)).batch([f"row {n}" for n in range(60)], checkpoint=file, **common())
    rows = again.to_list()
    assert [row.index for row in rows] == list(range(60)) and {row.text for row in rows} == {"8"}
    assert all(row.kept for row in rows[:30]) and again.report is not None
    assert again.report.kept + len(second.settled()) == 60 and asked <= again.report.kept + 4


def test_a_checkpoint_of_others_and_a_full_disk(start: Start, tmp_path: Path) -> None:
    up = start(SAYS)
    client = interfuse.Client(config(up))
    file = tmp_path / "run.jsonl"
    client.batch(["a", "b"], checkpoint=file, **common()).to_list()
    with pytest.raises(interfuse.BadRequestError, match="belongs to another batch"):
        client.batch(["x", "b"], checkpoint=file, **common()).to_list()
    # A limit on the size of files is as near to a full disk as a test may come.
    program = f"""
import interfuse, json, resource
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
batch = interfuse.Client({config(up)!r}).batch(["row"] * 40, checkpoint={str(tmp_path / "full.jsonl")!r}, concurrency=2, **{common()!r})
try:
    batch.to_list()
except interfuse.StorageError as e:
    print(json.dumps([e.param, [row.index for row in batch.partial], [row.text for row in batch.partial]]))
"""
    param, indices, texts = json.loads(run_python(program).stdout)
    assert param == "checkpoint" and indices == list(range(len(indices))) and set(texts) == {"8"}
    before = len(up.settled())
    assert len(indices) == before - 2, "what was asked was handed on"
    again = client.batch(["row"] * 40, checkpoint=tmp_path / "full.jsonl", **common())
    assert len(again.to_list()) == 40 and again.report is not None
    assert again.report.kept > 0 and len(up.settled()) == before + 40 - again.report.kept


def test_ctrl_c_keeps_what_there_was(start: Start) -> None:
    up = start({"when": {"body_contains": "last"}, "then": {"delay_ms": 3_600_000, "answer": "never"}}, SAYS)
    program = f"""
import interfuse, os, signal, threading, time
batch = interfuse.Client({config(up)!r}).batch(["one", "two", "last"], **{common()!r})
def interrupt():
    while len(batch.partial) < 2:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    batch.to_list()
except KeyboardInterrupt:
    print([row.text for row in batch.partial])
"""
    assert run_python(program).stdout.strip() == "['8', '8']"
    assert len(up.settled()) == 3, "its call was closed"


def test_progress_is_told(start: Start, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    client = interfuse.Client(config(start(SAYS)))
    told: list[Any] = []
    client.batch(["a"] * 3, **common(progress=told.append)).to_list()
    assert (told[0].done, told[0].of, told[-1].done, told[-1].spent_nanos) == (0, 3, 3, 90_000)
    client.batch(["a"] * 3, **common()).to_list()
    assert capfd.readouterr().err == ""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    client.batch(["a"] * 3, **common(progress=True)).to_list()
    assert capfd.readouterr().err.startswith("3 of 3 rows, 0.00009 USD, ")


def test_progress_by_tqdm(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    client = interfuse.Client(config(start(FAILS, SAYS)))
    client.batch(["a", "bad", "a"], **common(progress=None)).to_list()
    told = capfd.readouterr().err
    assert "3/3" in told and "1 failed, 0.00006 USD" in told


def test_asyncio(start: Start) -> None:
    up = start(FAILS, SAYS)

    async def requests() -> AsyncIterator[Any]:
        for number in range(600):
            yield "bad" if number == 3 else f"row {number}"

    async def run() -> None:
        client = interfuse.AsyncClient(config(up))
        for given in (requests(), ["a", "b", "c", "bad", *["d"] * 596]):
            batch = client.batch(given, **common())
            rows = [row async for row in batch]
            assert [row.index for row in rows] == list(range(600))
            assert [row.index for row in rows if row.error] == [3]
            assert batch.report is not None and batch.report.answered == 599
        left = client.batch(requests(), **common())
        await anext(left)
        await left.close()

        async def failing() -> AsyncIterator[Any]:
            yield "a"
            raise KeyError("row")

        with pytest.raises(KeyError):
            await client.batch(failing(), **common()).to_list()
        assert len(await client.batch(["a"], **common()).to_list()) == 1

    asyncio.run(run())


def test_asyncio_cancelled(start: Start) -> None:
    up = start(never("m-a"))

    async def run() -> None:
        batch = interfuse.AsyncClient(config(up)).batch(["a", "b"], **common())
        reading = asyncio.ensure_future(batch.to_list())
        while not up.arrived(2):
            await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        del batch

    asyncio.run(run())
    assert len(up.settled()) == 2
