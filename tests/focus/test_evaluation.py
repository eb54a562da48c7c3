"""An evaluation's page in a real browser, as the ledger's: light and dark, narrow and wide. Screenshots are kept in
target/pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import TARGET
from playwright.sync_api import Browser
from test_page import FAULTS, browser

from interfuse import _native

__all__ = ["browser"]

# What the figures and the drawing get wrong; run in the page.
WRONG = """() => {
  const faults = [], box = (e) => e.getBoundingClientRect()
  for (const field of document.querySelectorAll('.field')) {
    const frame = box(field.closest('.card'))
    for (const e of field.querySelectorAll('.mark, .span, .y')) {
      const b = box(e)
      if (b.left < frame.left || b.right > frame.right || b.top < frame.top || b.bottom > frame.bottom) faults.push(`${e.className} ${e.textContent} leaves its frame`)
    }
    if (box(field).width < 200 || box(field).height < 150) faults.push('the drawing is small')
  }
  for (const svg of document.querySelectorAll('td svg')) if (box(svg).width < 80 || box(svg).height < 10) faults.push('an interval is small')
  const rows = [...document.querySelectorAll('tbody tr')].map(box)
  rows.slice(1).forEach((r, i) => { if (r.top < rows[i].bottom - 1) faults.push('rows overlap') })
  for (const row of document.querySelectorAll('tbody tr')) {
    const cells = [...row.children].map((c) => { const range = document.createRange(); range.selectNodeContents(c); return range.getBoundingClientRect() })
    cells.forEach((a, i) => cells.slice(i + 1).forEach((b) => {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) faults.push('cells overlap')
    }))
  }
  return faults
}"""


def contender(name: str, right: int, of: int, nanos: int, mode: str | None = None, **more: Any) -> dict[str, Any]:
    share = 100 * right / of
    row = {
        "name": name, "right": right, "accuracy": share, "low": max(0, share - 7.3), "high": min(100, share + 6.1),
        "cost_nanos": nanos, "unknown_calls": 0, "calls": 1 if mode is None else 2.43, "p50_ms": 842, "p95_ms": 12_345, "failed": 0, **more,
    }  # fmt: skip
    return row if mode is None else {**row, "mode": mode}


def against(wins: int, losses: int, of: int, low: float, high: float, p: float) -> dict[str, Any]:
    return {"wins": wins, "losses": losses, "ties": of - wins - losses, "difference": 100 * (wins - losses) / of, "low": low, "high": high, "p": p}


def evaluation(contenders: list[dict[str, Any]], of: int, **more: Any) -> dict[str, Any]:
    found = {
        "schema": 1, "planned": of, "counted": of, "unjudged": 0, "contenders": contenders, "oracle": 93.5, "headroom": 9.0,
        "spent_nanos": 1_234_567_890, "unknown_calls": 0, "recommendation": "use first", "warnings": [], **more,
    }  # fmt: skip
    return found


LONG = "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8:a-backend-of-a-very-long-name-without-a-break"
FOUND = {
    "whole": evaluation(
        [
            contender("three small ones", 186, 200, 210_000_000, "auto", against=against(21, 4, 200, 3.1, 13.9, 0.0009)),
            contender("everyone merged", 180, 200, 905_000_000, "merge", against=against(18, 7, 200, -0.2, 11.2, 0.043)),
            contender("openai/gpt-5-mini", 169, 200, 120_000_000),
            contender("anthropic/claude-haiku-4.5", 160, 200, 154_000_000, against=against(12, 21, 200, -10.1, 1.2, 0.16)),
            contender(LONG, 131, 200, 31_000_000, against=against(5, 43, 200, -26.0, -12.0, 0.0)),
        ],
        200,
        best_single="openai/gpt-5-mini",
        recommendation="use three small ones: 8.5 points more right than the best single model, openai/gpt-5-mini (95 % interval 3.1 to 13.9) at 1.8 times its cost",
    ),
    "stopped": evaluation(
        [
            contender("<b>own</b> & sons", 9, 12, 1_000, against=against(2, 1, 12, -20.0, 35.0, 1.0), unknown_calls=4, failed=3),
            contender(LONG, 8, 12, 0, unknown_calls=12),
        ],
        12,
        planned=400,
        best_single=LONG,
        unknown_calls=16,
        stopped="up to 0.5 USD more for `openai/gpt-5-mini` on top of 1.8 USD would pass the cap of 2 USD",
        warnings=["12 items are few; from 100 on this says something", f"no price is known of {LONG}: costs are too low, and a cap does not hold"],
        recommendation="do not fuse: use " + LONG,
    ),
    "nothing": evaluation([contender("openai/gpt-5-mini", 0, 1, 0)], 0, oracle=0, headroom=0, recommendation="there is nothing to compare: no item was finished"),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("evaluations")
    files = {}
    for name, found in FOUND.items():
        files[name] = folder / f"{name}.html"
        files[name].write_text(_native.evaluation_html(found))
    return files


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("name", FOUND)
def test_the_page_is_whole_and_readable(browser: Browser, drawn: dict[str, Path], name: str, width: int, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_offline(True)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(drawn[name].as_uri())
    faults = [*page.evaluate(FAULTS), *page.evaluate(WRONG)]
    kept = TARGET / "pages"
    kept.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=kept / f"evaluation-{name}-{width}-{scheme}.png", full_page=True)
    text = page.inner_text("body")
    fields, rows = page.locator(".field").count(), page.locator("tbody tr").count()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    assert faults == []
    assert rows == len(FOUND[name]["contenders"]) and fields == (1 if name == "whole" else 0)
    assert FOUND[name]["recommendation"] in text
    assert all(contender["name"] in text for contender in FOUND[name]["contenders"])
    assert (sum(map(int, ground[4:-1].split(","))) > 384) == (scheme == "light")
