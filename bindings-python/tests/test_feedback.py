"""Feedback, and calibrations: what is learnt, where it lasts, what is refused."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Start, answers, run_python

import interfuse

# Everyone is waited for, and a judge that is a coin is not asked: what was learnt decides.
ASKED: Any = {"pool": ["up/m-a", "up/m-b"], "mode": "best_of", "judge": {"model": "up/m-j", "trust": 0.5}}
QUESTION = "Which city is the capital of Switzerland?\nA. Zurich\nB. Bern"
ITEMS: Any = [{"prompt": "How many?", "gold": "4", "answers": {"a": "The answer is 4.", "b": f"The answer is {n % 2 + 4}."}} for n in range(8)]


def test_feedback_moves_the_fusions_that_follow(start: Start) -> None:
    up = start(answers("m-a", "The answer is (A)."), answers("m-b", "The answer is (B)."))
    client = interfuse.Client(up.config)
    first = client.fuse(QUESTION, **ASKED)
    assert first.report.decision.members == ["up/m-a"]
    client.feedback(first.id, answer="B")
    assert client.fuse(QUESTION, **ASKED).report.decision.members == ["up/m-b"]
    with pytest.raises(interfuse.NotFoundError, match="waits for feedback"):
        client.feedback(first.id, right=True)
    with pytest.raises(interfuse.BadRequestError, match="outcome"):
        client.feedback(first.id)


def test_processes_share_what_they_learn(start: Start, tmp_path: Path) -> None:
    up = start(answers("m-a", "The answer is (A)."), answers("m-b", "The answer is (B)."))
    config = {**up.config, "fusion": {"memory": str(tmp_path / "memory.json")}}
    client = interfuse.Client(config)
    source = """
import json, sys, interfuse
client = interfuse.Client(json.loads(sys.argv[1]))
for _ in range(10):
    client.feedback(client.fuse(sys.argv[2], **json.loads(sys.argv[3])).id, answer="B")
"""
    done = run_python(source, json.dumps(config), QUESTION, json.dumps(ASKED))
    assert done.returncode == 0, done.stderr
    assert client.fuse(QUESTION, **ASKED).report.decision.members == ["up/m-b"], "a client that was there before"
    kept = json.loads((tmp_path / "memory.json").read_text())
    assert kept["members"]["up/m-a"] == {"right": 0, "seen": 10}
    (tmp_path / "memory.json").write_text("my notes")
    with pytest.raises(interfuse.StorageError, match=r"fusion\.memory"):
        interfuse.Client(config)


def test_feedback_is_awaited_in_asyncio(start: Start, tmp_path: Path) -> None:
    up = start(answers("m-a", "The answer is (A)."), answers("m-b", "The answer is (B)."))

    async def main() -> None:
        async with interfuse.AsyncClient({**up.config, "fusion": {"memory": str(tmp_path / "memory.json")}}) as client:
            first = await client.fuse(QUESTION, **ASKED)
            await client.feedback(first.id, member="up/m-b")
            assert (await client.fuse(QUESTION, **ASKED)).report.decision.members == ["up/m-b"]
            with pytest.raises(interfuse.NotFoundError):
                await client.feedback(first.id, right=False)

    asyncio.run(main())


def test_what_was_learnt_survives_a_process_that_is_killed(start: Start, tmp_path: Path) -> None:
    up = start(answers("m-a", "The answer is (A)."), answers("m-b", "The answer is (B)."))
    config = {**up.config, "fusion": {"memory": str(tmp_path / "memory.json")}}
    source = """
import json, sys, interfuse
client = interfuse.Client(json.loads(sys.argv[1]))
while True:
    client.feedback(client.fuse(sys.argv[2], **json.loads(sys.argv[3])).id, answer="B")
    print("told", flush=True)
"""
    told = 0
    for _ in range(5):
        arguments = [sys.executable, "-c", source, json.dumps(config), QUESTION, json.dumps(ASKED)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "told\n"
            process.kill()
            told += 1 + len(process.stdout.readlines())
        seen = json.loads((tmp_path / "memory.json").read_text())["members"]["up/m-a"]["seen"]
        # What was told is there, and perhaps one more whose word did not come.
        assert told <= seen <= told + 1
        told = seen
    client = interfuse.Client(config)
    client.feedback(client.fuse(QUESTION, **ASKED).id, answer="B")
    assert json.loads((tmp_path / "memory.json").read_text())["members"]["up/m-a"]["seen"] == told + 1


def test_calibrate_from_a_list_or_a_file(tmp_path: Path) -> None:
    found = interfuse.calibrate(ITEMS)
    assert (found.counted, found.models[0].model, found.models[0].right) == (8, "a", 8)
    file = tmp_path / "items.jsonl"
    file.write_text("\n".join(json.dumps(item) for item in ITEMS))
    assert interfuse.calibrate(file) == found
    assert found.advice in found.to_text()
    with pytest.raises(interfuse.BadRequestError, match="cannot be read"):
        interfuse.calibrate(str(tmp_path / "none.jsonl"))
