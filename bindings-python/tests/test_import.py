"""Importing does next to nothing, and making a client no more than reading its configuration."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import run_python

import interfuse

WATCH = """
import json, os, sys, threading
before = set(sys.modules)
events = []
sys.addaudithook(lambda event, args: events.append(event))
asked = []
class Spy(dict):
    def __getitem__(self, name): asked.append(name); return dict.__getitem__(self, name)
    def get(self, name, other=None): asked.append(name); return dict.get(self, name, other)
os.environ = Spy(os.environ)
{statements}
tasks = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
print(json.dumps([sorted(set(sys.modules) - before), events, asked, tasks, threading.active_count()]))
"""


def watch(statements: str) -> tuple[set[str], set[str], list[str], int, int]:
    done = run_python(WATCH.replace("{statements}", statements))
    assert done.returncode == 0, done.stderr
    modules, events, asked, tasks, threads = json.loads(done.stdout)
    return set(modules), set(events), asked, tasks, threads


def test_import() -> None:
    modules, events, asked, tasks, threads = watch("import interfuse")
    heavy = {"asyncio", "typing", "ssl", "socket", "json.decoder", "inspect", "dataclasses", "subprocess", "interfuse.aio"}
    assert not modules & heavy
    assert not {e for e in events if e.startswith(("socket.", "subprocess.", "os.fork"))}
    assert asked == [] and tasks == 1 and threads == 1


def test_a_client_has_no_threads_and_no_network() -> None:
    modules, events, asked, tasks, _ = watch("import interfuse; interfuse.Client()")
    assert asked == []
    assert tasks == 1 and "asyncio" not in modules
    assert not {e for e in events if e.startswith("socket.")}


def test_the_asyncio_client_is_found_by_name() -> None:
    done = run_python(
        "import interfuse; from interfuse import AsyncClient, AsyncStream, ChatCompletion\n"
        "assert interfuse.AsyncClient is AsyncClient\n"
        "for name in ('RatelimitError', 'nothing'):\n"
        "    try: getattr(interfuse, name)\n"
        "    except AttributeError as e: print(e)"
    )
    assert done.returncode == 0, done.stderr
    assert "RatelimitError" in done.stdout and "nothing" in done.stdout


ELSEWHERE = {
    "not there": ({}, "it is not there"),
    "of another Python": ({"_native.cpython-39-x86_64-linux-gnu.so": b""}, "_native.cpython-39-x86_64-linux-gnu.so in"),
    "of another system": ({"_native.pyd": b"MZ"}, "_native.pyd in"),
    "of another processor": ({"_native.abi3.so": b"\x7fELF\x02\x01\x01" + bytes(200)}, "_native.abi3.so: "),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_compiled_half_that_is_missing_or_does_not_fit_is_told_with_the_fix(tmp_path: Path, case: str) -> None:
    files, said = ELSEWHERE[case]
    package = tmp_path / "interfuse"
    shutil.copytree(Path(interfuse.__file__).parent, package, ignore=shutil.ignore_patterns("_native.*", "__pycache__"))
    for name, content in files.items():
        (package / name).write_bytes(content)
    done = run_python("import interfuse", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    *_, last = done.stderr.strip().split("\n")
    assert last.startswith("ImportError: interfuse's compiled half cannot be loaded: ") and said in last
    assert f"{os.path.normpath(sys.executable)} -m pip install --force-reinstall" in last and "free-threaded" not in last
