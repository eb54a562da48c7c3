"""Fusion through both clients and the command line."""

from __future__ import annotations

import asyncio
import json
import pickle
from typing import Any

import pytest
from conftest import Start, Upstream, answers
from test_cli import run as run

import interfuse

ANALYSIS = {
    "consensus": ["The capital is Bern."],
    "contradictions": [],
    "partial_coverage": [],
    "unique_insights": [],
    "blind_spots": ["Switzerland names no capital in its constitution."],
}
POOL = ["up/m-a", "up/m-b"]


@pytest.fixture
def up(start: Start) -> Upstream:
    return start(
        answers("m-a", "Bern."),
        answers("m-b", "It is Bern, the federal city."),
        {"when": {"model": "m-bad"}, "then": {"status": 500, "json": {"error": {"message": "broken"}}}},
        {
            "when": {"model": "m-j", "body": {"response_format": {"type": "json_schema"}}},
            "then": {"answer": json.dumps(ANALYSIS)},
        },
        # Streamed, one reply compares, says the code it was told, and answers.
        {
            "when": {"model": "m-j", "body": {"stream": True}},
            "then": {"answer": json.dumps(ANALYSIS) + "\nANSWER {{code}}\nThe federal city is Bern.", "capture": {"code": "ANSWER ([0-9a-f]{8})"}},
        },
        answers("m-j", "The federal city is Bern."),
    )


def check(f: Any) -> None:
    assert f.text == f.message.content == "The federal city is Bern."
    assert [m.content for m in f.report.members] == ["Bern.", "It is Bern, the federal city."]
    assert all(m.latency_ms >= 0 and m.usage.completion_tokens > 0 for m in f.report.members)
    assert f.report.analysis.consensus == ["The capital is Bern."]
    assert f.report.decision.source == "merged"
    assert f.report.cost.total_usd is None, "nobody told a price"


def test_fuse(up: Upstream) -> None:
    f = interfuse.Client(up.config).fuse("What is the capital of Switzerland?", pool=POOL, judge="up/m-j", mode="merge")
    check(f)
    check(pickle.loads(pickle.dumps(f)))


def test_a_page_and_a_card(up: Upstream) -> None:
    f = interfuse.Client(up.config).fuse("What is the capital of Switzerland?", pool=POOL, judge="up/m-j", mode="merge")
    page = f.to_html()
    assert page.startswith("<!doctype html>") and "Who said what" in page and "It is Bern, the federal city." in page
    shown = f._repr_mimebundle_()
    assert shown is not None
    assert shown["text/html"].startswith('<article class="interfuse-card">') and "The federal city is Bern." in shown["text/plain"]
    chat = interfuse.Client(up.config).chat.completions.create(model="up/m-a", messages=[{"role": "user", "content": "Capital?"}])
    assert chat._repr_mimebundle_() is None
    with pytest.raises(TypeError, match="only a fusion"):
        chat.to_html()


def test_what_a_fusion_may_cost(up: Upstream) -> None:
    client = interfuse.Client({**up.config, "prices": {m: {"input": "1", "output": "10"} for m in [*POOL, "up/m-j"]}})
    told = client.estimate("Capital?", pool=POOL, judge="up/m-j", mode="merge", max_tokens=100)
    assert told.stages and told.low_nanos and told.expected_nanos and told.high_nanos
    assert [stage.stage for stage in told.stages] == ["members", "judge", "synthesis"]
    assert told.low_nanos < told.expected_nanos < told.high_nanos
    assert client.estimate(model="up/m-a", messages=[{"role": "user", "content": "Capital?"}]).stages is None


def test_stream_of_events(up: Upstream) -> None:
    client = interfuse.Client(up.config)
    events = list(client.fuse(messages=[{"role": "user", "content": "Capital?"}], pool=POOL, judge="up/m-j", mode="merge", stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "run_started" and kinds[-1] == "run_done" and kinds.count("member_done") == 2
    last = events[-1]
    assert last.type == "run_done"
    check(last.result)
    text = "".join(event.text for event in client.fuse_stream("Capital?", pool=POOL, judge="up/m-j", mode="merge") if event.type == "final_delta")
    assert text == last.result.text


def test_asyncio(up: Upstream) -> None:
    async def main() -> None:
        async with interfuse.AsyncClient(up.config) as client:
            check(await client.fuse("Capital?", pool=POOL, judge="up/m-j", mode="merge"))
            async for event in await client.fuse_stream("Capital?", pool=POOL, judge="up/m-j", mode="merge"):
                if event.type == "run_done":
                    check(event.result)

    asyncio.run(main())


def test_failures(up: Upstream) -> None:
    client = interfuse.Client(up.config, max_retries=0)
    with pytest.raises(interfuse.AllMembersFailedError) as caught:
        client.fuse("Capital?", pool=["up/m-bad", "up/m-bad"], judge="up/m-j")
    assert [member.kind for member in caught.value.members] == ["server_error", "server_error"]
    with pytest.raises(interfuse.RecursionRefusedError):
        client.fuse("Capital?", pool=POOL, judge="interfuse/merge")
    with pytest.raises(interfuse.BadRequestError):
        client.fuse("Capital?", pool=[], judge="up/m-j")


def test_timeout_is_the_deadline_of_the_whole(up: Upstream) -> None:
    client = interfuse.Client(up.config, timeout=30)
    assert client._fusion("x", {}, None) == {"prompt": "x", "deadline_ms": 30_000}
    assert client._fusion("x", {}, 2) == {"prompt": "x", "deadline_ms": 2_000}


def test_command(up: Upstream, run: Any) -> None:
    done = run("fuse", "What is the capital?", "--pool", ",".join(POOL), "--judge", "up/m-j", "--mode", "merge", up=up)
    assert done.returncode == 0, done.stderr
    for said in ("Bern.", "It is Bern, the federal city.", ANALYSIS["consensus"][0], ANALYSIS["blind_spots"][0]):
        assert said in done.stdout
    assert "The federal city is Bern." in done.stdout
    assert "answered after" in done.stderr and "\r" not in done.stderr

    done = run("fuse", "What is the capital?", "--pool", ",".join(POOL), "--judge", "up/m-j", "--mode", "merge", "--json", up=up)
    assert json.loads(done.stdout)["text"] == "The federal city is Bern."

    done = run("fuse", "What is the capital?", "--pool", "up/m-bad,up/m-bad", "--judge", "up/m-j", up=up)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("broken") >= 1
    assert "Traceback" not in done.stderr
