"""The scripted upstream for the tests of the package: a real server whose every byte a script decides."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUARD = 60.0
"""Seconds after which something hangs; nothing is measured with it."""

HI: Any = [{"role": "user", "content": "Where do you live?"}]


class Upstream:
    """One server, scripted once."""

    def __init__(self, program: Path, routes: list[dict[str, Any]]) -> None:
        self._process = subprocess.Popen([program, "--script", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"routes": routes}).encode())
        self._process.stdin.flush()
        self.root: str = json.loads(self._process.stdout.readline())["base_url"]
        self.base_url = f"{self.root}/v1"

    @property
    def config(self) -> Any:
        """Configuration of a client with this server as the provider `up`."""
        return {"providers": {"up": {"base_url": self.base_url, "api_key": "key-of-up-only"}}, "use_environment": False}

    def get(self, path: str) -> Any:
        connection = http.client.HTTPConnection(self.root.removeprefix("http://"), timeout=GUARD)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def settled(self) -> list[dict[str, Any]]:
        """The requests, once none is in flight."""
        entries: list[dict[str, Any]] = self.get("/__log?settled")
        return entries

    def arrived(self, requests: int) -> bool:
        """Whether so many requests came."""
        count: int = self.get("/__stats")["requests"]
        return count >= requests

    def wait_for(self, requests: int, still: Callable[[], bool] = lambda: True) -> None:
        """Waits until so many requests came; fails if they cannot come any more."""
        end = time.monotonic() + GUARD
        while not self.arrived(requests):
            assert still() and time.monotonic() < end, f"{requests} requests never came: {self.get('/__log')}"
            time.sleep(0.01)

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="session")
def program() -> Path:
    """The server's program, built if cargo is at hand."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    cargo = shutil.which("cargo")
    if cargo:
        subprocess.run(
            [cargo, "build", "--quiet", "--locked", "-p", "interfuse-tests", "--bin", "upstream"], cwd=ROOT, check=True
        )
    return target / "debug" / "upstream"


@pytest.fixture
def start(program: Path) -> Iterator[Callable[..., Upstream]]:
    """Starts servers: ``start({"when": ..., "then": ...}, ...)``."""
    started = []

    def one(*routes: dict[str, Any]) -> Upstream:
        started.append(Upstream(program, list(routes)))
        return started[-1]

    yield one
    for upstream in started:
        upstream.close()


Start = Callable[..., Upstream]


def answers(model: str, text: str, **more: Any) -> dict[str, Any]:
    """A route: this model answers this."""
    return {"when": {"model": model}, "then": {"answer": text, **more}}


def never(model: str) -> dict[str, Any]:
    """A route: this model never answers."""
    return {"when": {"model": model}, "then": {"delay_ms": 3_600_000, "answer": "never"}}


def stalls(model: str, text: str) -> dict[str, Any]:
    """A route: this model streams one chunk and then nothing more."""
    chunk = {"id": "s", "object": "chat.completion.chunk", "created": 1, "model": model}
    chunk["choices"] = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    steps = [{"send": f"data: {json.dumps(chunk)}\n\n"}, {"stall": True}]
    return {"when": {"model": model}, "then": {"headers": {"content-type": "text/event-stream"}, "steps": steps}}


def run_python(source: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own, with the environment's keys left out."""
    clean = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN"))}
    return subprocess.run(
        [sys.executable, "-c", source, *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
