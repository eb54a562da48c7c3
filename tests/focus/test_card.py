"""The card of a fused answer in a real browser without a network, light and dark, narrow and wide, as a page and inside a page
of others: nothing is asked of anybody, words stay in their frames and can be read. Screenshots are kept in target/pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import TARGET
from interfuse._native import fused_html
from playwright.sync_api import Browser
from test_page import FAULTS, browser

__all__ = ["browser"]

CARD_FAULTS = FAULTS.replace("?? document.body", "?? e.closest('.interfuse-card') ?? document.body").replace("'.card", "'.if-frame").replace(", .card", ", .if-frame")

LONG = "Bern is where the federal parliament and the government sit; the constitution names no capital. " * 12
CODE = "The shortest way:\n\n```rust\nfn main() {\n    println!(\"{}\", [1, 2, 3].iter().map(|n| n * n).sum::<i32>());\n}\n```\n\nIt prints 14."


def _member(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"up/model-{number}",
        "model": f"up/model-{number}",
        "provider": "up",
        "status": "ok",
        "content": ["Bern.", LONG, CODE][number % 3],
        "usage": {"prompt_tokens": 1200, "completion_tokens": 300 + number, "total_tokens": 1500 + number},
        "cost_nanos": 1_234_000 * number,
        "start_ms": 2,
        "latency_ms": 900 + 350 * number,
        "attempts": 1,
        "prior": 0.6,
        **more,
    }


def _judge(purpose: str, start: int, took: int) -> dict[str, Any]:
    return {"purpose": purpose, "model": "up/judge", "start_ms": start, "latency_ms": took, "cost_nanos": 2_000_000}


def _fused(members: list[dict[str, Any]], **report: Any) -> dict[str, Any]:
    usable = [m for m in members if m["status"] == "ok"]
    ids = [m["id"] for m in usable]
    alike = [[1.0 if a == b else round(0.9 / (1 + abs(a - b)), 3) for b in range(len(ids))] for a in range(len(ids))]
    total = sum(m.get("cost_nanos", 0) for m in members)
    return {
        "id": "0199-run",
        "text": CODE,
        "message": {"role": "assistant", "content": CODE},
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 4800, "completion_tokens": 1234, "total_tokens": 6034},
        "report": {
            "schema": 1,
            "run_id": "0199-run",
            "mode": "auto",
            "mode_used": "best_of",
            "started_ms": 1_790_000_000_000,
            "seed": "0123456789abcdef",
            "prompt_version": 1,
            "decision": {
                "source": "member",
                "members": ids[:1],
                "method": "judge",
                "anchor": members[0]["id"],
                "swap_consistent": True,
                "why": "it names the reason, and runs as it is written",
                "evidence": [
                    {"members": [name], "prior": 0.41, "judge": 0.85 if at == 0 else 0.0, "confidence": 0.7 if at == 0 else 0.3 / len(ids)}
                    for at, name in enumerate(ids)
                ],
            },
            "members": members,
            "agreement": {"members": ids, "matrix": alike, "groups": [[name] for name in ids]} if len(ids) > 1 else None,
            "judges": [_judge("verdict", 2000, 800), _judge("verdict", 2001, 950)],
            "cost": {
                "known_nanos": total,
                "total_nanos": total,
                "by_stage": {"members": total * 2 // 3, "judge": total // 3},
                "calls": len(members) + 2,
                "unknown_calls": 0,
                "anchor_nanos": members[0].get("cost_nanos"),
                "multiple": 4.25,
                "saved_nanos": 750_000,
                "cap_nanos": 50_000_000,
            },
            "latency": {"total_ms": 3100, "members_ms": 1990, "quorum_ms": 1600, "judge_ms": 1110},
            **report,
        },
    }


def _whole() -> dict[str, Any]:
    failed = {"status": "failed", "reason": "up: HTTP 503: the server is overloaded, try again later", "content": None, "cost_nanos": 0}
    members = [_member(n) for n in range(1, 4)]
    members[1]["flags"] = ["instructs_judge"]
    members[2]["scores"] = {"correctness": 9.0, "instruction": 8.5, "completeness": 7.0}
    members += [_member(4, **failed), _member(5, status="cancelled", reason="not waited for after 1990 ms", content=None)]
    return _fused(
        members,
        analysis={
            "consensus": ["The federal authorities sit in Bern."],
            "contradictions": [
                {"topic": "whether it is a capital", "stances": [{"member": "up/model-1", "stance": "it is"}, {"member": "up/model-2", "stance": "de facto only"}]}
            ],
            "partial_coverage": [{"members": ["up/model-2"], "point": "what the constitution says"}],
            "unique_insights": [{"member": "up/model-3", "insight": "a program that shows it"}],
            "blind_spots": [],
        },
        debate=[{"member": "up/model-2", "round": 1, "saw": ["up/model-1"], "changed": True, "reason": "the year was wrong", "start_ms": 1990, "latency_ms": 400}],
        degraded=[{"step": "member", "cause": "up/model-4 gave no usable answer: the server is overloaded"}],
        warnings=["self_judge: `up/model-1` judges its own answer; judges favour their own"],
        tags={"project": "atlas"},
    )


def _hostile() -> dict[str, Any]:
    bad = "</style></article><script>document.title='stolen'</script><img src=x onerror=\"document.title='stolen'\">\u202eevil"
    unbroken = "W" * 400
    members = [_member(n, id=f"{n}{bad}", content=bad + unbroken, flags=[bad, unbroken], reason=bad) for n in range(1, 17)]
    fused = _fused(members, warnings=[bad, unbroken], tags={bad: unbroken})
    fused["text"] = bad + "\n" + unbroken
    return fused


CARDS = {"whole": _whole, "one": lambda: _fused([_member(1)]), "hostile": _hostile}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("part", [False, True], ids=["page", "part"])
@pytest.mark.parametrize("name", CARDS)
def test_the_card_is_whole_and_readable(browser: Browser, tmp_path: Path, name: str, part: bool, width: int, scheme: Any) -> None:
    html = fused_html(CARDS[name](), part)
    if part:
        html = f"<!doctype html><meta charset=utf-8><style>body{{margin:0;background:#fff}}p{{color:rgb(1,2,3)}}</style><p id=own>A notebook.</p>{html}"
    file = tmp_path / "card.html"
    file.write_text(html, encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=True)
    context.set_offline(True)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    if name == "whole":
        # What is folded is opened by a click, without a script.
        folded = page.locator("details").first
        assert folded.get_attribute("open") is None
        folded.locator("summary").click()
        assert folded.get_attribute("open") is not None
    faults = page.evaluate(CARD_FAULTS)
    kept = TARGET / "pages"
    kept.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=kept / f"card-{name}-{'part' if part else 'page'}-{width}-{scheme}.png", full_page=True)
    title = page.title()
    bars = page.locator(".if-course rect:not(.if-track)").evaluate_all("all => all.map((e) => e.getBoundingClientRect().width)")
    ground = page.evaluate("getComputedStyle(document.querySelector('.interfuse-card')).backgroundColor")
    own = page.evaluate("document.querySelector('#own') && getComputedStyle(document.querySelector('#own')).color")
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    assert faults == []
    assert title == ("" if part else "Fused answer")
    assert own == ("rgb(1, 2, 3)" if part else None)
    assert bars and all(wide > 0.5 for wide in bars)
    assert (sum(map(int, ground[4:-1].split(","))) > 384) == (scheme == "light")
