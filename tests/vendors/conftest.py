"""The scripted upstream for the judges."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Upstream:
    """A server that answers by script."""

    def __init__(self, script: dict[str, Any]) -> None:
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        program = [str(target / "debug" / "upstream"), "--script", "-"]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(script) + "\n")
        self.process.stdin.flush()
        self.base_url: str = json.loads(self.process.stdout.readline())["base_url"]

    def log(self) -> list[dict[str, Any]]:
        """Every request so far."""
        with urllib.request.urlopen(f"{self.base_url}/__log?settled") as answer:
            entries: list[dict[str, Any]] = json.load(answer)
        return entries

    def stop(self) -> None:
        """Ends it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def upstream() -> Iterator[Callable[[dict[str, Any]], Upstream]]:
    """Starts servers that give one answer to everything."""
    started: list[Upstream] = []

    def start(then: dict[str, Any]) -> Upstream:
        server = Upstream({"routes": [{"then": then}]})
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
