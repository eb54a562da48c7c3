"""The command line, each command as a process of its own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import GUARD, Start, Upstream, answers

import interfuse


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def one(*arguments: str, up: Upstream | None = None, stdin: str = "", **environment: str) -> Any:
        clean = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN"))}
        clean.pop("INTERFUSE_LEDGER", None)
        clean["XDG_DATA_HOME"] = str(tmp_path / "data")
        if up is not None:
            config = tmp_path / "interfuse.json"
            config.write_text(json.dumps(up.config))
            clean["INTERFUSE_CONFIG"] = str(config)
        return subprocess.run(
            [sys.executable, "-m", "interfuse", *arguments],
            env=clean | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=GUARD,
            check=False,
        )

    return one


def complaint(done: Any) -> str:
    """What a failed command said: one message, no traceback, nothing on standard output."""
    assert done.returncode != 0 and done.stdout == "" and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    return str(done.stderr)


def test_chat_streams(start: Start, run: Any) -> None:
    up = start(answers("m-a", "In Bern of course."))
    done = run("chat", "Where do you live?", "--model", "up/m-a", "--system", "Be brief.", "--temperature", "0.2", up=up)
    assert (done.returncode, done.stdout, done.stderr) == (0, "In Bern of course.\n", "")
    body = up.settled()[0]["body"]
    assert body["stream"] is True and body["temperature"] == 0.2
    assert [m["role"] for m in body["messages"]] == ["system", "user"]


def test_chat_from_standard_input_as_json(start: Start, run: Any) -> None:
    up = start(answers("m-a", "In Bern."))
    done = run("chat", "-", "--model", "up/m-a", "--json", up=up, stdin="Where?")
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "In Bern."
    assert up.settled()[0]["body"]["messages"][0]["content"] == "Where?"


def test_reconcile_says_what_differs_and_fails_where_too_much_does(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "activity.json"
    file.write_text(json.dumps({"data": [{"date": "2026-11-01", "model": "openai/gpt-4.1", "usage": 0.25, "requests": 2}]}))
    done = run("reconcile", str(file))
    assert done.returncode == 1 and done.stderr == ""
    assert "openrouter.activity" in done.stdout and "missing_local 0.25" in done.stdout
    told = json.loads(run("reconcile", str(file), "--format", "json").stdout)
    assert told["total"]["delta_nanos"] == 250_000_000 and told["posted"] == 0
    assert run("reconcile", str(file), "--tolerance", "100%").returncode == 0
    assert "ID=NAME" in complaint(run("reconcile", str(file), "--key", "x"))
    assert "missing.csv" in complaint(run("reconcile", str(tmp_path / "missing.csv")))


def test_failures_are_one_message(start: Start, run: Any, tmp_path: Path) -> None:
    up = start({"when": {}, "then": {"status": 401, "json": {"error": {"message": "wrong key"}}}})
    assert "wrong key" in complaint(run("chat", "hi", "--model", "up/m-a", up=up))
    assert "--model" in complaint(run("chat", "hi"))
    assert "empty" in complaint(run("chat", " ", "--model", "up/m-a", up=up))
    assert "OPENAI_API_KEY" in complaint(run("chat", "hi", "--model", "openai/gpt-5-mini"))
    assert "missing.toml" in complaint(run("providers", "--config", str(tmp_path / "missing.toml")))
    wrong = run("fuse", "hi", "--mode", "magic")
    assert wrong.returncode == 2 and "magic" in wrong.stderr


def test_stream_that_stops_half_way_is_no_success(start: Start, run: Any) -> None:
    up = start(answers("m-a", "In Bern of course.", cut_after=700))
    done = run("chat", "hi", "--model", "up/m-a", up=up)
    assert done.returncode == 1 and "error: " in done.stderr


def test_reader_that_leaves(start: Start, run: Any) -> None:
    program = [sys.executable, "-m", "interfuse", "providers"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_providers_and_doctor_name_variables_never_values(run: Any) -> None:
    key = "sk-a-key-that-must-not-be-printed"
    for arguments in (["providers"], ["providers", "--json"], ["doctor"]):
        done = run(*arguments, OPENAI_API_KEY=key)
        assert done.returncode == 0, done.stderr
        assert "OPENAI_API_KEY" in done.stdout and key not in done.stdout + done.stderr
    assert interfuse.__version__ in done.stdout and "local" in done.stdout


def test_models(run: Any) -> None:
    done = run("models", "--json")
    models = json.loads(done.stdout)
    assert models and all(model["offers"] for model in models)
    table = run("models", models[0]["id"])
    assert models[0]["id"] in table.stdout
    nothing = run("models", "no-such-model-anywhere")
    assert nothing.returncode == 1 and nothing.stdout == ""


def test_explain_sends_nothing(run: Any, tmp_path: Path) -> None:
    config = tmp_path / "routing.json"
    own = {name: {"base_url": "http://127.0.0.1:9/v1"} for name in ("one", "two")}
    config.write_text(json.dumps({"providers": own, "prices": {"one/m": {"input": "1", "output": "1"}}}))
    asked = ("explain", "Where?", "--model", "one/m", "--config", str(config))
    done = run(*asked)
    assert done.returncode == 0, done.stderr
    assert "policy: ordered" in done.stdout
    assert "1  one/m: about 0.001026 USD" in done.stdout
    done = run(*asked, "--provider", '{"only": ["two"]}')
    assert done.returncode == 1
    assert "one/m: only: `one` is not in `only`" in done.stdout
    assert "refused: nobody can serve `one/m`" in done.stderr
    assert json.loads(run(*asked, "--json").stdout)["order"] == ["one/m"]


def test_models_at_the_prices_of_a_list(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"groq/openai/gpt-oss-20b": {"litellm_provider": "groq", "input_cost_per_token": 0.0000777}, "x": {"litellm_provider": "groq", "input_cost_per_token": -1}}')
    done = run("models", "gpt-oss-20b", "--json", "--prices", str(file))
    offers = {offer["provider"]: offer for model in json.loads(done.stdout) for offer in model["offers"]}
    assert offers["groq"]["input_usd"] == "77.7"
    assert "refused x: input_cost_per_token" in done.stderr
    assert run("models", "--prices", str(tmp_path / "none.json")).returncode == 1


def test_local_and_version(run: Any) -> None:
    assert run("--version").stdout == f"interfuse {interfuse.__version__}\n"
    assert run("local", "status").returncode in (0, 1)
    assert run("local").returncode == 2
    assert run("nonsense").returncode == 2


def test_rejudge_and_replay_of_what_fuse_printed(run: Any, start: Start, tmp_path: Path) -> None:
    up = start(answers("m-a", "The answer is (A)."), answers("m-b", "The answer is (B)."))
    config = tmp_path / "interfuse.json"
    config.write_text(json.dumps(up.config))
    shared = ("--config", str(config), "--json")
    fused = run("fuse", "Which?\nA. Zurich\nB. Bern", "--pool", "up/m-a,up/m-b", "--mode", "vote", *shared)
    assert fused.returncode == 0, fused.stderr
    file = tmp_path / "fused.json"
    file.write_text(fused.stdout)
    again = json.loads(run("rejudge", str(file), "Which?\nA. Zurich\nB. Bern", "--mode", "vote", *shared).stdout)
    assert (again["report"]["earlier"]["how"], again["report"]["cost"]["calls"]) == ("rejudged", 0)
    assert len(up.settled()) == 2
    done = run("replay", str(file))
    assert (done.returncode, done.stderr) == (0, "") and "replayed: it is the same" in " ".join(done.stdout.split())
    other = json.loads(fused.stdout)
    other["report"]["decision"]["members"] = ["up/m-b"]
    done = run("replay", "-", "--json", stdin=json.dumps(other["report"]))
    assert done.returncode == 1 and json.loads(done.stdout)["text"] == "The answer is (A)."
    assert 'differs at /decision/members/0: was "up/m-b", is "up/m-a"' in done.stderr
    assert "is no JSON" in complaint(run("replay", "-", stdin="{"))
    assert "cannot be read" in complaint(run("replay", str(tmp_path / "none.json")))


def test_calibrate_says_whom_to_ask(run: Any, tmp_path: Path) -> None:
    right = [("a", "b"), ("b", "c"), ("a", "c")]
    items = tmp_path / "items.jsonl"
    lines = []
    for i in range(120):
        answers = {model: f"The answer is {4 if model in right[i % 3] else model}." for model in "abc"}
        lines.append(json.dumps({"prompt": "How many?", "gold": "4", "answers": answers}))
    items.write_text("\n".join(lines))
    done = run("calibrate", str(items))
    assert done.returncode == 0, done.stderr
    assert "ask these 3 in mode auto: 100.0 % right" in done.stdout
    assert "[pools.calibrated]" in done.stdout
    found = json.loads(run("calibrate", "-", "--json", stdin="\n".join(lines)).stdout)
    assert (found["counted"], len(found["pool"]), found["models"][0]["right"]) == (120, 3, 80)


def test_calibrate_without_items_says_so(run: Any, tmp_path: Path) -> None:
    assert "cannot be read" in complaint(run("calibrate", str(tmp_path / "none.jsonl")))
    assert "no item with a `gold`" in complaint(run("calibrate", "-", stdin='{"prompt": "?"}'))
    assert "line 1" in complaint(run("calibrate", "-", stdin="{"))


def attempts(path: Path) -> list[tuple[Any, ...]]:
    """What a ledger's file says, read as any other program would."""
    with closing(sqlite3.connect(path)) as ledger:
        return ledger.execute("SELECT purpose, outcome, cost_nanos IS NULL FROM attempts ORDER BY seq").fetchall()


def test_what_is_asked_is_booked_in_the_users_data_folder(start: Start, run: Any, tmp_path: Path) -> None:
    up = start(answers("m-a", "In Bern."), {"when": {}, "then": {"status": 400, "json": {"error": {"message": "no"}}}})
    ledger = tmp_path / "data" / "interfuse" / "ledger.db"
    assert run("chat", "hi", "--model", "up/m-a", up=up).returncode == 0
    assert run("chat", "hi", "--model", "up/m-b", up=up).returncode == 1
    assert run("fuse", "hi", "--pool", "up/m-a,up/m-a", "--mode", "vote", up=up).returncode == 0
    # The second member's answer may not have been needed any more.
    assert [row[:2] for row in attempts(ledger)][:3] == [("chat", "ok"), ("chat", "failed"), ("member", "ok")]
    assert len(attempts(ledger)) == 4
    assert json.loads(run("usage", "--format", "json", up=up).stdout)["total"]["attempts"] == 4
    assert run("export", "--records", "json", up=up).stdout.count("\n") == 4
    assert str(ledger) in run("doctor", up=up).stdout


def test_another_ledger_or_none(start: Start, run: Any, tmp_path: Path) -> None:
    up = start(answers("m-a", "In Bern."))
    ask = ("chat", "hi", "--model", "up/m-a")
    other = tmp_path / "other.db"
    assert run(*ask, up=up, INTERFUSE_LEDGER=str(other)).returncode == 0
    assert len(attempts(other)) == 1
    assert run(*ask, up=up, INTERFUSE_LEDGER="off").returncode == 0
    assert not (tmp_path / "data").exists()
    assert "folder" in complaint(run(*ask, up=up, INTERFUSE_LEDGER=str(tmp_path / "none" / "x.db")))


def test_a_ledger_that_nobody_asked_for_stops_no_answer(start: Start, run: Any, tmp_path: Path) -> None:
    up = start(answers("m-a", "In Bern."))
    folder = tmp_path / "data" / "interfuse"
    folder.mkdir(parents=True)
    (folder / "ledger.db").write_text("a shopping list")
    done = run("chat", "hi", "--model", "up/m-a", up=up)
    assert (done.returncode, done.stdout) == (0, "In Bern.\n") and "not booked" in done.stderr
    assert (folder / "ledger.db").read_text() == "a shopping list"


def test_usage_and_export_of_an_empty_ledger(start: Start, run: Any, tmp_path: Path) -> None:
    up = start(answers("m-a", "In Bern."))
    assert "nothing was booked" in run("usage", "--by", "project,provider", "--since", "7d", up=up).stdout
    assert json.loads(run("usage", "--format", "json", "--where", "project=x", up=up).stdout)["rows"] == []
    assert run("usage", "--format", "csv", "--by", "none", up=up).stdout.startswith("calls,attempts,failed,")
    page = tmp_path / "page.html"
    assert run("usage", "--html", str(page), up=up).stdout == f"{page}\n" and "</html>" in page.read_text()
    file = tmp_path / "october.csv"
    done = run("export", "--focus", "1.4", "-o", str(file), "--since", "2026-10-01", up=up)
    assert (done.returncode, done.stdout) == (0, "") and "0 attempts in 0 rows" in done.stderr
    assert file.read_text().startswith("BilledCost,")
    assert run("export", "--focus", "1.2", up=up).stdout.startswith("BilledCost,")
    assert run("export", "--records", "json", up=up).stdout == ""
    assert "yesterday" in complaint(run("usage", "--since", "yesterday", up=up))
    assert "NAME=VALUE" in complaint(run("usage", "--where", "project", up=up))
    assert "leave" in complaint(run("export", "--records", "csv", "--parquet", up=up))
