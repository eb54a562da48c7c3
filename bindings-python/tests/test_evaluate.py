"""Evaluations: what they give, how far they tell they are, how they are left and go on, and the command line's."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import GUARD, Start, Upstream, never, run_python

import interfuse
from interfuse._evaluating import fusions

ITEMS: Any = [{"prompt": f"How many is {n}?", "gold": str(n)} for n in range(1, 5)]
MODELS = ["up/m-a", "up/m-b"]
STOPS_WITHIN = 0.1
"""Seconds that a person who pressed Ctrl-C waits at most."""


def counts(model: str, wrong: int) -> list[dict[str, Any]]:
    """Routes: this model knows every answer but one."""
    return [
        {"when": {"model": model, "body_contains": f"is {n}?"}, "then": {"answer": str(0 if n == wrong else n)}}
        for n in range(1, 5)
    ]


def routes() -> list[dict[str, Any]]:
    return [*counts("m-a", 9), *counts("m-b", 2)]


def config(up: Upstream) -> Any:
    price = {"input": "1", "output": "1"}
    return {**up.config, "prices": {model: price for model in MODELS}}


def test_items_from_a_list_or_a_file(start: Start, tmp_path: Path) -> None:
    up = start(*routes())
    client = interfuse.Client(config(up))
    found = client.evaluate(ITEMS, models=MODELS, fusions={"both": {"mode": "vote", "pool": MODELS}})
    assert (found.planned, found.counted, found.best_single) == (4, 4, "up/m-a")
    assert [(c.name, c.right) for c in found.contenders if c.mode is None] == [("up/m-a", 4), ("up/m-b", 3)]
    assert found.stopped is None
    assert len(up.settled()) == 8
    file = tmp_path / "items.jsonl"
    file.write_text("\n\n".join(json.dumps(item) for item in ITEMS))
    page = tmp_path / "report.html"
    again = client.evaluate(file, models=MODELS, report=str(page))
    assert again.contenders[0].right == 4
    assert page.read_text() == again.to_html()
    file.write_text("{")
    with pytest.raises(interfuse.BadRequestError, match="items.jsonl: line 1"):
        client.evaluate(str(file), models=MODELS)


def test_it_is_shown_as_tables(start: Start) -> None:
    found = interfuse.Client(config(start(*routes()))).evaluate(ITEMS, models=MODELS)
    text = found.to_text(width=140)
    assert "95 % interval" in text and "●" in text and found.recommendation in text
    assert "\x1b[" in found.to_text(color=True) and "\x1b[" not in text
    assert found.to_html().startswith("<!doctype html>")
    with pytest.raises(TypeError, match="to_json"):
        found.contenders[0].to_html()
    assert "to_text" not in found.to_json()


def test_defaults_of_the_client_hold(start: Start) -> None:
    up = start({"when": {}, "then": {"answer": "1"}})
    with interfuse.Client(base_url=up.base_url, api_key="key-of-up-only", tags={"project": "trial"}, default_headers={"x-own": "yes"}) as client:
        client.evaluate(ITEMS[:1], models=["m-a"], tags={"run": "first"})
        assert up.settled()[0]["headers"]["x-own"] == "yes"
        rows = client.usage(by=["project", "run"]).rows
        assert [(row.group["project"], row.group["run"], row.attempts) for row in rows] == [("trial", "first", 1)]


def test_progress_and_the_result_at_the_end(start: Start) -> None:
    client = interfuse.Client(config(start(*routes())))
    with client.evaluate(ITEMS, models=MODELS, concurrency=1, stream=True) as events:
        seen = list(events)
    assert [(e.done, e.of) for e in seen if e.type == "progress"] == [(n, 4) for n in range(5)]
    assert seen[-1].type == "done" and seen[-1].result.counted == 4
    spent = [e.spent_nanos for e in seen if e.type == "progress"]
    assert spent == sorted(spent) and spent[0] == 0 < spent[-1]


def test_asyncio_the_same(start: Start) -> None:
    up = start(*routes())

    async def main() -> None:
        async with interfuse.AsyncClient(config(up)) as client:
            found = await client.evaluate(ITEMS, models=MODELS)
            assert found.counted == 4
            kinds = [event.type async for event in await client.evaluate(ITEMS, models=MODELS, stream=True)]
            assert kinds == ["progress"] * 5 + ["done"]

    asyncio.run(main())


def test_a_cancelled_task_leaves_a_checkpoint_to_go_on_from(start: Start, tmp_path: Path) -> None:
    up = start(*counts("m-a", 9)[:2], never("m-a"))
    kept = str(tmp_path / "run.jsonl")

    async def main() -> float:
        client = interfuse.AsyncClient(config(up))
        task = asyncio.ensure_future(client.evaluate(ITEMS, models=["up/m-a"], concurrency=1, checkpoint=kept))
        while not up.arrived(3):
            await asyncio.sleep(0.01)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(main()) < STOPS_WITHIN
    log = up.settled()
    assert len(log) == 3 and log[2]["client_closed_ms"] is not None
    other = start(*routes())
    found = interfuse.Client(config(other)).evaluate(ITEMS, models=["up/m-a"], concurrency=1, checkpoint=kept)
    assert (found.counted, found.contenders[0].right, found.unknown_calls) == (4, 4, 1)
    assert len(other.settled()) == 2, "what is done is not asked again"


def test_ctrl_c_stops_it_at_once(start: Start, tmp_path: Path) -> None:
    up = start(never("m-a"))
    source = """
import json, os, signal, sys, threading, time, interfuse
signal.signal(signal.SIGINT, signal.default_int_handler)
client = interfuse.Client(json.loads(sys.argv[1]))
pressed = []
def press():
    pressed.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.5, press).start()
try:
    client.evaluate([{"prompt": "How many?", "gold": "1"}], models=["up/m-a"], checkpoint=sys.argv[2])
except KeyboardInterrupt:
    print(time.monotonic() - pressed[0])
"""
    done = run_python(source, json.dumps(config(up)), str(tmp_path / "run.jsonl"))
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < STOPS_WITHIN


# The command line.


@pytest.fixture
def command(tmp_path: Path) -> Any:
    """Words and variables that run `interfuse eval` over four items."""

    def one(up: Upstream, *arguments: str) -> tuple[list[str], dict[str, str]]:
        clean = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN"))}
        file = tmp_path / "interfuse.json"
        file.write_text(json.dumps(config(up)))
        items = tmp_path / "items.jsonl"
        items.write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
        variables = clean | {"INTERFUSE_CONFIG": str(file), "INTERFUSE_LEDGER": "off", "COLUMNS": "100"}
        return [sys.executable, "-m", "interfuse", "eval", str(items), *arguments], variables

    return one


def run(words: list[str], variables: dict[str, str]) -> Any:
    return subprocess.run(words, env=variables, capture_output=True, text=True, timeout=GUARD, check=False)


def test_eval_prints_tables_and_a_recommendation(start: Start, command: Any, tmp_path: Path) -> None:
    up, page = start(*routes()), tmp_path / "report.html"
    done = run(*command(up, "-m", "up/m-a", "-m", "up/m-b", "--fuse", "vote", "--fuse", 'own={"mode": "auto", "pool": ["up/m-b", "up/m-a"]}', "--html", str(page)))
    assert done.returncode == 0, done.stderr
    for said in ("vote", "own (auto)", "95 % interval", "4 of 4 items", "do not fuse: use up/m-a"):
        assert said in done.stdout
    assert "4 of 4 items" in done.stderr and "\r" not in done.stderr
    assert page.read_text().startswith("<!doctype html>")
    found = json.loads(run(*command(up, "--model", "up/m-a", "--json")).stdout)
    assert (found["counted"], found["contenders"][0]["right"]) == (4, 4)


def test_eval_complains_in_one_line(start: Start, command: Any) -> None:
    up = start(*routes())
    for arguments, said in [
        (("-m", "up/m-a", "--fuse", "magic"), "neither a mode"),
        (("-m", "up/m-a", "--fuse", "[1]"), "JSON object"),
        (("-m", "up/m-a", "--judge", "up/m-a"), "takes part itself"),
        (("-m", "up/m-a", "--max-cost-usd", "much"), "max_cost_usd"),
        (("-m", "up/m-a", "-m", "up/m-a"), "there already"),
    ]:
        done = run(*command(up, *arguments))
        assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
        assert said in done.stderr, done.stderr
    assert up.settled() == []


def test_eval_on_a_terminal_rewrites_one_line(start: Start, command: Any) -> None:
    words, variables = command(start(*routes()), "-m", "up/m-a", "--concurrency", "1")
    screen, line = pty.openpty()
    with subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=line, text=True) as process:
        os.close(line)
        told = b""
        while select.select([screen], [], [], GUARD)[0]:
            try:
                more = os.read(screen, 4096)
            except OSError:  # the other end is closed
                break
            if not more:
                break
            told += more
        assert process.stdout is not None
        assert "use up/m-a" in process.stdout.read()
    os.close(screen)
    shown = told.decode()
    assert "\n" not in shown and shown.count("\r") >= 6
    assert "░" in shown and "█" * 24 in shown and "4 of 4 items" in shown


def test_eval_interrupted_goes_on_from_its_checkpoint(start: Start, command: Any, tmp_path: Path) -> None:
    up = start(*counts("m-a", 9)[:2], never("m-a"))
    asked = ("-m", "up/m-a", "--concurrency", "1", "--checkpoint", str(tmp_path / "run.jsonl"))
    words, variables = command(up, *asked)
    with subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        up.wait_for(3, lambda: process.poll() is None)
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=GUARD)
    assert (process.returncode, out) == (130, "")
    assert "interrupted after 2 of 4 items; the same command goes on from" in told
    assert up.settled()[2]["client_closed_ms"] is not None
    other = start(*routes())
    done = run(*command(other, *asked))
    assert done.returncode == 0 and "4 of 4 items" in done.stdout, done.stderr
    assert len(other.settled()) == 2


def test_fusions_as_they_are_written() -> None:
    models = ["a", "b"]
    assert fusions(["vote", "fast=auto", "vote"], models) == {
        "vote": {"mode": "vote", "pool": models},
        "fast": {"mode": "auto", "pool": models},
        "vote#2": {"mode": "vote", "pool": models},
    }
    assert fusions(['{"preset": "cheap", "extract": {"regex": "x=(.)"}}'], models) == {
        "cheap": {"preset": "cheap", "extract": {"regex": "x=(.)"}}
    }
    with pytest.raises(ValueError, match="already"):
        fusions(["x=vote", "x=auto"], models)
