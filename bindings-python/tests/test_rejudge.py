"""Stored answers: judged anew, and replayed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from conftest import Start, answers

import interfuse

QUESTION = "Why is Bern the capital of Switzerland?"
ASKED: Any = {"pool": ["up/m-a", "up/m-b"], "judge": "up/m-a", "mode": "vote"}
JUDGE = {"capture": {"best": r'"answer":"(\w+)","text":"It lies between'}}


def served(start: Start) -> Any:
    return start(
        answers("m-a", "Because Zurich did not want it at all."),
        answers("m-b", "It lies between both parts of the country."),
        {"when": {"model": "m-j"}, "then": {"answer": '{"best": "{{best}}", "reason": "It is true."}', **JUDGE}},
    )


def test_a_stored_report_is_judged_anew(start: Start) -> None:
    up = served(start)
    client = interfuse.Client(up.config)
    fused = client.fuse(QUESTION, **ASKED)
    stored = json.loads(fused.report.to_json())
    again = client.rejudge(stored, QUESTION, mode="best_of", judge="up/m-j")
    assert again.text == "It lies between both parts of the country."
    assert again.report.earlier is not None
    assert (again.report.earlier.how, again.report.earlier.run_id) == ("rejudged", fused.id)
    assert len(up.settled()) == 4, "two members, and two verdicts of the other judge"
    some = client.rejudge(stored, QUESTION, mode="vote", pool=[{"model": "up/m-b", "prior": 0.9}, "up/m-a"])
    assert (some.report.decision.members, some.report.cost.calls) == (["up/m-b"], 0)
    with pytest.raises(interfuse.BadRequestError, match="a debate asks the members again"):
        client.rejudge(fused.report, QUESTION, mode="debate")


def test_a_replay_asks_nobody(start: Start) -> None:
    up = served(start)
    fused = interfuse.Client(up.config).fuse(QUESTION, pool=["up/m-a", "up/m-b"], judge="up/m-j", mode="best_of")
    again = interfuse.replay(json.loads(fused.report.to_json()))
    assert (again.text, again.report.decision) == (fused.text, fused.report.decision)
    assert again.report.earlier is not None and not again.report.earlier.differs
    assert again.report.cost.calls == 0 and len(up.settled()) == 4
    other = json.loads(fused.report.to_json())
    other["decision"]["members"] = ["up/m-a"]
    differs = interfuse.replay(other).report.earlier
    assert differs is not None
    assert [(d.at, d.was) for d in differs.differs or []] == [("/decision/members/0", "up/m-a")]
    del other["grounds"]
    with pytest.raises(interfuse.BadRequestError, match="grounds"):
        interfuse.replay(other)


def test_rejudge_is_awaited_in_asyncio(start: Start) -> None:
    up = served(start)

    async def main() -> None:
        async with interfuse.AsyncClient(up.config) as client:
            fused = await client.fuse(QUESTION, **ASKED)
            again = await client.rejudge(fused.report, QUESTION, mode="best_of", judge="up/m-j")
            assert again.report.decision.members == ["up/m-b"]
            assert interfuse.replay(again.report).report.decision == again.report.decision

    asyncio.run(main())
