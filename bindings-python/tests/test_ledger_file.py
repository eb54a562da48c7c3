"""The ledger in a file: what a process books is there for the next one, whatever becomes of the process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import GUARD, HI, Start, answers, run_python

import interfuse

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def booked_in(up: Any, path: Path) -> Any:
    return {**up.config, "ledger": {"path": str(path)}}


def rows(path: Path) -> int:
    """Attempts in the file, as another program reads them."""
    done = run_python(
        "import sqlite3, sys\nprint(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM attempts').fetchone()[0])", str(path)
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_clients_share_a_file(start: Start, tmp_path: Path) -> None:
    up, path = start(answers("m-a", "In Bern.")), tmp_path / "calls.db"
    with interfuse.Client(booked_in(up, path)) as one, interfuse.Client(booked_in(up, path)) as other:
        one.chat(model="up/m-a", messages=HI, tags={"project": "a"})
        assert other.usage(by=["project"]).rows[0].group == {"project": "a"}
        one.flush()
        assert rows(path) == 1
    assert interfuse.Client(booked_in(up, path)).usage().total.attempts == 1


def test_closing_writes_what_waits(start: Start, tmp_path: Path) -> None:
    up, path = start(answers("m-a", "In Bern.")), tmp_path / "calls.db"

    async def ask() -> None:
        async with interfuse.AsyncClient(booked_in(up, path)) as client:
            await asyncio.gather(*(client.chat(model="up/m-a", messages=HI) for _ in range(20)))
            await client.flush()
            await client.chat(model="up/m-a", messages=HI)

    asyncio.run(ask())
    assert rows(path) == 21
    client = interfuse.Client(booked_in(up, path))
    client.chat(model="up/m-a", messages=HI)
    client.close()
    client.close()
    assert rows(path) == 22
    with pytest.raises(interfuse.MisuseError):
        client.flush()


def test_the_end_of_the_process_writes_what_waits(start: Start, tmp_path: Path) -> None:
    up, path = start(answers("m-a", "In Bern.")), tmp_path / "calls.db"
    done = run_python(
        "import interfuse, json, sys\n"
        "client = interfuse.Client(json.loads(sys.argv[1]))\n"
        "for _ in range(50): client.chat(model='up/m-a', messages=[{'role': 'user', 'content': 'x'}])\n",
        json.dumps(booked_in(up, path)),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(path) == 50


@needs_fork
def test_a_forked_child_books_in_the_same_file(start: Start, tmp_path: Path) -> None:
    up, path = start(answers("m-a", "In Bern.")), tmp_path / "calls.db"
    client = interfuse.Client(booked_in(up, path))
    for turn in range(3):
        # Some of these may wait in the queue when the process forks: they are the parent's to write.
        for _ in range(5):
            client.chat(model="up/m-a", messages=HI)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.alarm(int(GUARD))
                client.chat(model="up/m-a", messages=HI)
                client.flush()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        assert client.usage().total.attempts == 6 * (turn + 1)


def test_what_is_no_ledger_is_refused(start: Start, tmp_path: Path) -> None:
    up, path = start(), tmp_path / "mine.db"
    with closing(sqlite3.connect(path)) as mine:
        mine.execute("CREATE TABLE mine (id)")
        mine.commit()
    before = path.read_bytes()
    with pytest.raises(interfuse.StorageError, match="another program"):
        interfuse.Client(booked_in(up, path))
    assert path.read_bytes() == before
    with pytest.raises(interfuse.StorageError, match="folder"):
        interfuse.Client(booked_in(up, tmp_path / "none" / "calls.db"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_spoils_no_answer(start: Start, tmp_path: Path) -> None:
    up, disk = start(answers("m-a", "In Bern.")), tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=256k none '{disk}' 2>/dev/null") != 0:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        client = interfuse.Client(booked_in(up, disk / "calls.db"))
        told = None
        for _ in range(2000):
            answer = client.chat(model="up/m-a", messages=HI, tags={"long": "x" * 500})
            assert answer.choices[0].message.content == "In Bern."
            assert answer.interfuse is not None
            told = answer.interfuse.ledger_error
            if told:
                break
        assert told and "disk is full" in told
        for again in (client.flush, client.usage):
            with pytest.raises(interfuse.StorageError, match="disk is full"):
                again()
        asked = len(up.settled())
        assert os.system(f"mount -o remount,size=16m '{disk}'") == 0
        client.flush()
        assert client.usage().total.attempts == asked
        answer = client.chat(model="up/m-a", messages=HI)
        assert answer.interfuse is not None and answer.interfuse.ledger_error is None
        client.close()
        del client
    finally:
        assert os.system(f"umount -l '{disk}'") == 0
