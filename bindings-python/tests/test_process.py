"""Ctrl-C, fork and the end of the process; more of the programs around it in test_hosts.py."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import GUARD, HI, Start, answers, never, run_python, stalls

import interfuse

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

CALLS = {
    "chat": "client.chat(model='up/m-a', messages=HI)",
    "fuse": "client.fuse('hi', pool=['up/m-a', 'up/m-a'], judge='up/m-a')",
    "stream": "list(client.chat(model='up/m-b', messages=HI, stream=True))",
}

INTERRUPTED = """
import interfuse, json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
HI = [{"role": "user", "content": "hi"}]
client = interfuse.Client(json.loads(sys.argv[1]))
try:
    print("started", flush=True)
    CALL
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_the_call(start: Start, call: str) -> None:
    up = start(never("m-a"), stalls("m-b", "In "))
    program = [sys.executable, "-c", INTERRUPTED.replace("CALL", CALLS[call]), json.dumps(up.config)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "started\n"
        up.wait_for(1, lambda: process.poll() is None)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        # The program still runs, so it was the call that closed these.
        assert all(request["client_closed_ms"] is not None for request in up.settled())
        process.communicate(timeout=GUARD)
    assert process.returncode == 0


@needs_fork
def test_a_forked_child_has_its_own_connections(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    client = interfuse.Client(up.config)

    def ask() -> str | None:
        return client.chat(model="up/m-a", messages=HI).choices[0].message.content

    assert ask() == "In Bern."
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # "this process is multi-threaded": that is the point
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.alarm(int(GUARD))
                code = 0 if ask() == ask() == "In Bern." else 2
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        assert ask() == "In Bern.", "the parent is unharmed"


@needs_fork
def test_asyncio_in_a_forked_child(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    done = run_python(
        "import asyncio, interfuse, json, os, signal, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "client = interfuse.AsyncClient(json.loads(sys.argv[1]))\n"
        "ask = lambda: asyncio.run(client.chat(model='up/m-a', messages=[{'role': 'user', 'content': 'x'}]))\n"
        "ask()\n"
        "pid = os.fork()\n"
        "signal.alarm(60)\n"
        "ask()\n"
        "sys.exit(0 if pid == 0 else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n",
        json.dumps(up.config),
    )
    assert done.returncode == 0, done.stderr


def test_process_ends_with_blocking_calls_in_daemon_threads(start: Start) -> None:
    up = start(never("m-a"), stalls("m-b", "In "))
    done = run_python(
        "import interfuse, json, sys, threading, time\n"
        "client = interfuse.Client(json.loads(sys.argv[1]))\n"
        "HI = [{'role': 'user', 'content': 'hi'}]\n"
        "def chat(): client.chat(model='up/m-a', messages=HI)\n"
        "def stream(): list(client.chat(model='up/m-b', messages=HI, stream=True))\n"
        "for target in (chat, stream) * 8: threading.Thread(target=target, daemon=True).start()\n"
        "time.sleep(0.3)\n"
        "half = client.chat(model='up/m-b', messages=HI, stream=True)\n"
        "print(next(half).choices[0].delta.content)\n",
        json.dumps(up.config),
    )
    assert (done.returncode, done.stdout) == (0, "In \n"), done.stderr


class TwoEach:
    """A server that answers two requests on each connection and then closes it without a word."""

    def __init__(self) -> None:
        self.connections = 0
        self.closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = "http://{}:{}/v1".format(*self._listener.getsockname())
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        message = {"index": 0, "message": {"role": "assistant", "content": "In Bern."}, "finish_reason": "stop"}
        body = json.dumps({"id": "x", "choices": [message]})
        while True:
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection, connection.makefile("rb") as lines:
                for _ in range(2):
                    length = 0
                    while (line := lines.readline().lower()) not in (b"\r\n", b""):
                        if line.startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    lines.read(length)
                    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            self.closed.set()


def test_blocking_calls_in_a_row_share_a_connection_and_notice_when_it_was_closed() -> None:
    server = TwoEach()
    client = interfuse.Client(base_url=server.base_url, api_key="k", max_retries=0)
    for _ in range(3):
        for _ in range(2):
            assert client.chat(model="m", messages=HI).choices[0].message.content == "In Bern."
        assert server.closed.wait(GUARD)
        server.closed.clear()
    assert server.connections == 3


def test_blocking_calls_side_by_side(start: Start) -> None:
    up = start(answers("m-a", "In Bern.", delay_ms=200))
    client = interfuse.Client(up.config)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(client.chat, model="up/m-a", messages=HI) for _ in range(8)]
        assert {call.result(GUARD).choices[0].message.content for call in asked} == {"In Bern."}
    # All at once: had one waited for another, fewer connections would have done.
    assert up.get("/__stats")["connections"] >= 8


LOGGED = """
import interfuse, json, sys
client = interfuse.Client(json.loads(sys.argv[1]))
client.chat(model="up/m-a", messages=[{"role": "user", "content": "a secret question"}])
try:
    client.chat(model="up/none", messages=[{"role": "user", "content": "hi"}], max_retries=0)
except interfuse.InterfuseError:
    pass
"""


@pytest.mark.parametrize(("level", "lines"), [("debug", ["debug", "info"]), ("INFO", ["info"]), ("error", []), ("off", []), ("", [])])
def test_the_log_goes_where_the_environment_says(start: Start, level: str, lines: list[str]) -> None:
    refused = {"when": {"model": "none"}, "then": {"status": 404, "json": {"error": {"message": "no"}}}}
    up = start(refused, answers("m-a", "In Bern."))
    run = run_python(LOGGED, json.dumps(up.config), INTERFUSE_LOG=level)
    assert run.returncode == 0, run.stderr
    told = run.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == [f"interfuse {name}" for name in lines], run.stderr
    assert all("provider=up" in line for line in told) and "secret" not in run.stderr


def test_a_level_of_the_log_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERFUSE_LOG", "loud")
    with pytest.raises(interfuse.ConfigError, match="INTERFUSE_LOG.* not `loud`"):
        interfuse.Client({"use_environment": False})
