"""The page in a real browser without a network, light and dark, narrow and wide: nothing is asked of anybody, nothing goes
wrong, charts are drawn, and words stay in their frames and off each other. Screenshots are kept in target/pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TARGET, Write
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# What overlaps, leaves its card or the page, is drawn without area, or is too faint to read; run in the page.
FAULTS = """() => {
  const faults = [], box = (e) => e.getBoundingClientRect(), shown = (e) => box(e).width > 0 && box(e).height > 0
  const wide = document.documentElement.clientWidth
  if (document.documentElement.scrollWidth > wide) faults.push(`the page scrolls sideways: ${document.documentElement.scrollWidth} > ${wide}`)
  const inside = (inner, outer, what) => {
    const [a, b] = [box(inner), box(outer)]
    if (a.left < b.left - 0.5 || a.right > b.right + 0.5 || a.top < b.top - 0.5 || a.bottom > b.bottom + 0.5) {
      faults.push(`${what} leaves its frame: "${inner.textContent}" ${JSON.stringify(a)} in ${JSON.stringify(b)}`)
    }
  }
  for (const e of document.querySelectorAll('.card span, .card td, .card th, .card p, .card h2, .card h3, .card li, .card svg')) {
    // What rolls in a window of its own may be wider than that.
    if (shown(e) && !e.closest('.if-scroll')) inside(e, e.closest('.card'), e.tagName)
  }
  const off = (list, what) => {
    const seen = [...list].filter(shown)
    seen.forEach((a, i) => seen.slice(i + 1).forEach((b) => {
      const [x, y] = [box(a), box(b)]
      if (x.left < y.right && y.left < x.right && x.top < y.bottom && y.top < x.bottom) faults.push(`${what} overlap: "${a.textContent}" and "${b.textContent}"`)
    }))
  }
  for (const plot of document.querySelectorAll('.plot')) {
    off(plot.querySelectorAll('.below span, .scale span'), 'words of a chart')
    const drawn = plot.querySelector('.drawing')
    const area = [...drawn.querySelectorAll('rect')].reduce((sum, r) => sum + box(r).width * box(r).height, 0)
    if (box(drawn).width < 150 || box(drawn).height < 100) faults.push('a chart is small')
    if (area < 200) faults.push(`a chart is empty: ${area}`)
    for (const r of drawn.querySelectorAll('rect')) {
      const [a, b] = [box(r), box(drawn)]
      if (a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1) faults.push('a bar leaves its chart')
    }
  }
  for (const legend of document.querySelectorAll('.legend')) off(legend.querySelectorAll('li'), 'entries of a legend')
  const light = (c) => {
    const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  for (const e of document.querySelectorAll('h1, h2, h3, p, td, th, .legend span, .legend b, .scale span, .below span')) {
    const ground = getComputedStyle(e.closest('.card') ?? document.body).backgroundColor
    const [a, b] = [light(getComputedStyle(e).color), light(ground)]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (shown(e) && contrast < 4.3) faults.push(`"${e.textContent}" is faint: ${contrast.toFixed(1)}`)
  }
  return faults
}"""


def _program() -> str:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "no browser: apt-get install chromium, or name one in CHROMIUM"
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # The browser's own sandbox does not start for root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=_program(), args=arguments)
        yield browser
        browser.close()


def _pages(write: Write) -> dict[str, Path]:
    where = {"project": "search", "provider": "groq"}
    return {
        "month": write("month.html", format="html")[0],
        "day": write("day.html", 40_000, format="html", query={"since": "1d", "time_zone": "Europe/Berlin"})[0],
        "few": write("few.html", 60, format="html", query={"where": where})[0],
        "none": write("none.html", format="html", query={"since": "2027-01-01"})[0],
    }


@pytest.fixture(scope="module")
def pages(write: Write) -> dict[str, Path]:
    return _pages(write)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("name", ["month", "day", "few", "none"])
def test_the_page_is_whole_and_readable(browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=True)
    context.set_offline(True)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(pages[name].as_uri())
    faults = page.evaluate(FAULTS)
    kept = TARGET / "pages"
    kept.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=kept / f"{name}-{width}-{scheme}.png", full_page=True)
    charts = page.locator(".plot").count()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    assert faults == []
    assert charts == (0 if name == "none" else {"month": 4, "day": 4, "few": 4}[name])
    assert (sum(map(int, ground[4:-1].split(","))) > 384) == (scheme == "light")
