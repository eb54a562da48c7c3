"""What ``interfuse eval`` reads and shows: fusions as they are written on a command line, and how far it is."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._responses import EvaluationProgress

MODES = ["auto", "vote", "cascade", "best_of", "merge", "debate"]


def fusions(given: Sequence[str], models: Sequence[str]) -> dict[str, Any]:
    """Fusions by name; one without a name is called by its mode, numbered from the second on."""
    fusions: dict[str, Any] = {}
    for text in given:
        name, equals, rest = text.partition("=")
        # An equals sign may also stand in JSON, or nowhere.
        if not equals or "{" in name:
            name, rest = "", text
        if rest.strip() in MODES:
            options: Any = {"mode": rest.strip(), "pool": list(models)}
        else:
            try:
                options = json.loads(rest)
            except ValueError as e:
                raise ValueError(f"--fuse {text}: neither a mode ({', '.join(MODES)}) nor JSON: {e}") from e
            if not isinstance(options, dict):
                raise ValueError(f"--fuse {text}: options are a JSON object")
        wanted = name.strip() or str(options.get("mode") or options.get("preset") or "auto")
        if name.strip() in fusions:
            raise ValueError(f"--fuse {text}: another fusion is called {wanted} already")
        number, unique = 1, wanted
        while unique in fusions:
            number += 1
            unique = f"{wanted}#{number}"
        fusions[unique] = options
    return fusions


class Bar:
    """How far an evaluation is, on standard error: one line that changes, or a plain line now and then when that is no
    terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._began = time.monotonic()
        self._first: int | None = None
        self._told = -1
        self._shown = 0
        self.done = self.of = 0

    def show(self, progress: EvaluationProgress) -> None:
        """Takes one event in."""
        self.done, self.of = progress.done, progress.of
        if self._first is None:
            self._first = self.done
        share = self.done / max(1, self.of)
        told = f"{self.done} of {self.of} items, {usd(progress.spent_nanos)} USD{self._left()}"
        if not self._live:
            # A line for every twentieth part.
            if int(share * 20) > self._told or self.done == self.of:
                self._told = int(share * 20)
                print(told, file=sys.stderr, flush=True)
            return
        full = round(share * 24)
        line = f"{'█' * full}{'░' * (24 - full)}  {told}"[: shutil.get_terminal_size((100, 24)).columns - 1]
        print(f"\r{line:<{self._shown}}", end="", file=sys.stderr, flush=True)
        self._shown = len(line)

    def clear(self) -> None:
        """Takes the line away."""
        if self._shown:
            print(f"\r{' ' * self._shown}\r", end="", file=sys.stderr, flush=True)
            self._shown = 0

    def _left(self) -> str:
        """How long it will take at the pace of this run."""
        made = self.done - (self._first or 0)
        if not made or self.done == self.of:
            return ""
        seconds = (time.monotonic() - self._began) / made * (self.of - self.done)
        minutes, hours = round(seconds / 60), round(seconds / 3600)
        return f", about {hours} h left" if hours > 1 else f", about {minutes} min left" if minutes > 1 else f", about {round(seconds)} s left"


def usd(nanos: int) -> str:
    """An exact amount."""
    return f"{nanos // 10**9}.{nanos % 10**9:09}".rstrip("0").rstrip(".")
