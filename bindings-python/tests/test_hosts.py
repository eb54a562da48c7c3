"""The programs that host a client: servers that load it before they fork, pools of processes however they are started, uvloop,
the end of an interpreter while calls are pending, interpreters within one."""

from __future__ import annotations

import http.client
import importlib
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import GUARD, HI, Start, answers, never, run_python, stalls

import interfuse

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

APP = """
import json, os
import interfuse
client = interfuse.Client(json.loads(os.environ["CONFIG"]))
hi = [{"role": "user", "content": "hi"}]
# Before the fork: connections, threads and the ledger's file are there.
first = client.chat(model="up/m-a", messages=hi).choices[0].message.content
half = client.chat(model="up/m-s", messages=hi, stream=True)
next(half)
def app(environ, start_response):
    said = client.chat(model="up/m-a", messages=hi).choices[0].message.content
    streamed = "".join(c.choices[0].delta.content or "" for c in client.chat(model="up/m-a", messages=hi, stream=True) if c.choices)
    start_response("200 OK", [("content-type", "application/json"), ("connection", "close")])
    return [json.dumps([os.getpid(), os.getppid(), first, said, streamed]).encode()]
"""


@contextmanager
def gunicorn(folder: Path, config: Any, *options: str) -> Iterator[tuple[str, int]]:
    """A server that has loaded APP before it forks its workers; its address and process id."""
    (folder / "served.py").write_text(APP)
    command = [sys.executable, "-m", "gunicorn", "--preload", "--bind", "127.0.0.1:0", "--no-control-socket", *options, "served:app"]
    environment = {**os.environ, "CONFIG": json.dumps(config), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        told = []
        for line in server.stderr:
            told.append(line)
            if "Listening at: http://" in line:
                break
        else:
            raise AssertionError("".join(told))
        reader = threading.Thread(target=lambda: told.extend(server.stderr or ()), daemon=True)
        reader.start()
        try:
            yield line.split("http://")[1].split()[0], server.pid
        finally:
            server.terminate()
            code = server.wait(GUARD)
            reader.join(GUARD)
        assert code == 0 and "ERROR" not in "".join(told), "".join(told)


def served(address: str) -> Any:
    """What APP says."""
    with closing(http.client.HTTPConnection(address, timeout=GUARD)) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 200
        return json.loads(answer.read())


@needs_fork
@pytest.mark.parametrize("worker", [["--worker-class", "sync"], ["--worker-class", "gthread", "--threads", "4"]], ids=lambda w: w[1])
def test_gunicorn_that_loads_the_program_before_it_forks(start: Start, tmp_path: Path, worker: list[str]) -> None:
    up = start(answers("m-a", "In Bern."), stalls("m-s", "In "))
    config = {**up.config, "ledger": {"path": str(tmp_path / "calls.db")}}
    with gunicorn(tmp_path, config, "--workers", "3", *worker) as (address, parent):
        with ThreadPoolExecutor(8) as threads:
            said = list(threads.map(served, [address] * 24))
    assert all(one[1:] == [parent, "In Bern.", "In Bern.", "In Bern."] for one in said)
    assert parent not in {one[0] for one in said}
    # What every worker booked is in the one file, with what was asked before the fork.
    assert interfuse.Client(config).usage(where={"outcome": "ok"}).total.attempts == 1 + 2 * len(said)


def _asked(client: interfuse.Client, number: int) -> str | None:
    return client.chat(model="up/m-a", messages=[{"role": "user", "content": f"number {number}"}]).choices[0].message.content


NUMBERS: Any = {"when": {"model": "m-a"}, "then": {"capture": {"n": "number (\\d+)"}, "answer": "It is {{n}}."}}


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_pool_of_processes(start: Start, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client travels to them by pickle, so without its key, which they find themselves."""
    up = start(NUMBERS)
    monkeypatch.setenv("UP_KEY", "key-of-up-only")
    client = interfuse.Client({"providers": {"up": {"base_url": up.base_url, "api_key_env": "UP_KEY"}}})
    assert _asked(client, 1) == "It is 1."
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        calls = [pool.submit(_asked, client, number) for number in range(8)]
        assert [call.result(GUARD) for call in calls] == [f"It is {number}." for number in range(8)]
    assert _asked(client, 2) == "It is 2."
    assert {entry["headers"]["authorization"] for entry in up.settled()} == {"Bearer key-of-up-only"}


def _refused(client: interfuse.Client) -> None:
    client.chat(model="up/m-a", messages=HI)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_error_comes_home_from_a_pool_as_it_was(start: Start, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {"status": 429, "headers": {"retry-after": "0", "x-request-id": "req-9"}, "json": {"error": {"message": "slow", "code": "rpm"}}}
    up = start({"when": {}, "then": slow})
    monkeypatch.setenv("UP_KEY", "key-of-up-only")
    client = interfuse.Client({"providers": {"up": {"base_url": up.base_url, "api_key_env": "UP_KEY"}}}, max_retries=1)
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool, pytest.raises(interfuse.RateLimitError) as caught:
        pool.submit(_refused, client).result(GUARD)
    error = caught.value
    assert (error.message, error.code, error.request_id, error.provider) == ("slow", "rpm", "req-9", "up")
    assert [attempt.status for attempt in error.attempts] == [429, 429]


@needs_fork
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_processes_of_celery(start: Start) -> None:
    """Celery's workers are processes of billiard, which forks them while the parent's own calls are under way."""
    billiard: Any = importlib.import_module("billiard")
    up = start(NUMBERS, never("m-n"))
    client = interfuse.Client(up.config)

    def ask() -> None:
        with suppress(interfuse.APIConnectionError):  # once the server ends
            client.chat(model="up/m-n", messages=HI)

    pending = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for thread in pending:
        thread.start()
    up.wait_for(len(pending))
    pool = billiard.Pool(2, initializer=_worker, initargs=(client,))
    try:
        # More tasks than two workers take at once, so that each makes several; and a worker that is replaced.
        assert pool.map_async(_task, range(16)).get(GUARD) == [f"It is {number}." for number in range(16)]
        assert _asked(client, 99) == "It is 99."
    finally:
        pool.terminate()
        pool.join()


_of_worker: list[interfuse.Client] = []


def _worker(client: interfuse.Client) -> None:
    _of_worker.append(client)


def _task(number: int) -> str | None:
    return _asked(_of_worker[0], number)


@needs_fork
def test_forks_while_threads_make_calls(start: Start) -> None:
    """Whatever lock a thread holds at that moment, the child does not wait for it."""
    up = start(NUMBERS)
    client = interfuse.Client(up.config)
    stop = threading.Event()
    failed: list[BaseException] = []

    def busy(thread: int) -> None:
        number = thread
        while not stop.is_set():
            try:
                assert _asked(client, number) == f"It is {number}."
            except BaseException as error:
                failed.append(error)
                return
            number += 8

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        for child in range(20):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # "this process is multi-threaded": that is the point
                pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    signal.alarm(int(GUARD))
                    code = 0 if _asked(client, child) == f"It is {child}." else 2
                finally:
                    os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(GUARD)
    assert failed == []


def test_64_threads_with_a_loop_each(start: Start) -> None:
    import asyncio

    up = start(NUMBERS)
    client = interfuse.AsyncClient(up.config)

    async def ask(number: int) -> str | None:
        messages: Any = [{"role": "user", "content": f"number {number}"}]
        text = ""
        async for chunk in await client.chat(model="up/m-a", messages=messages, stream=True):
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        assert text == (await client.chat(model="up/m-a", messages=messages)).choices[0].message.content
        return text

    together = threading.Barrier(64)

    def thread(number: int) -> str | None:
        together.wait(GUARD)
        return asyncio.run(ask(number))

    with ThreadPoolExecutor(64) as threads:
        assert list(threads.map(thread, range(64))) == [f"It is {number}." for number in range(64)]


ENDS = {
    "by itself": "asyncio.run(main())",
    "by sys.exit within the loop": "async def ends():\n    await main()\n    sys.exit(3)\nasyncio.run(ends())",
    "by sys.exit, the loop never closed": "loop = asyncio.new_event_loop(); loop.run_until_complete(main()); sys.exit(3)",
    "by an error": "async def ends():\n    await main()\n    raise LookupError\nasyncio.run(ends())",
    "of uvloop": "import uvloop\nuvloop.run(main())",
    "of uvloop, never closed": "import uvloop\nloop = uvloop.new_event_loop(); loop.run_until_complete(main()); sys.exit(3)",
}

PENDING = """
import asyncio, interfuse, json, sys, threading
config, calls = json.loads(sys.argv[1]), 100
hi = [{"role": "user", "content": "hi"}]
client, blocking = interfuse.AsyncClient(config), interfuse.Client(config)
tasks = []
async def main():
    tasks.extend(asyncio.ensure_future(client.chat(model="up/m-n", messages=hi)) for _ in range(calls))
    stream = await client.chat(model="up/m-s", messages=hi, stream=True)
    await anext(stream)
    tasks.append(asyncio.ensure_future(anext(stream)))
    threading.Thread(target=lambda: blocking.chat(model="up/m-n", messages=hi), daemon=True).start()
    await asyncio.sleep(0.2)
    print("pending", sum(not task.done() for task in tasks), flush=True)
"""


@pytest.mark.parametrize("end", ENDS)
def test_an_interpreter_ends_while_calls_are_pending(start: Start, end: str) -> None:
    up = start(never("m-n"), stalls("m-s", "In "))
    done = run_python(PENDING + ENDS[end], json.dumps(up.config))
    assert done.stdout == "pending 101\n", done.stderr
    assert done.returncode == {"sys.exit": 3, "never closed": 3, "error": 1}.get(next((w for w in ("sys.exit", "never closed", "error") if w in end), ""), 0)
    assert "panicked" not in done.stderr and "Fatal" not in done.stderr
    assert all(entry["client_closed_ms"] is not None for entry in up.settled()), "its connections ended with it"


INTERPRETERS = """
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
import interfuse, json, sys
own = interpreters.create()
program = f"import sys; sys.path[:] = {sys.path!r}; import interfuse"
try: failed = (getattr(interpreters, "exec", None) or interpreters.run_string)(own, program)
except Exception as error: print(error)
else: print(failed.formatted)
client = interfuse.Client(json.loads(sys.argv[1]))
print(client.chat(model="up/m-a", messages=[{"role": "user", "content": "number 5"}]).choices[0].message.content)
"""


def test_an_interpreter_within_one_is_refused_and_the_main_one_goes_on(start: Start) -> None:
    done = run_python(INTERPRETERS, json.dumps(start(NUMBERS).config))
    assert done.returncode == 0 and "ImportError" in done.stdout and "WSGIApplicationGroup" in done.stdout, done.stderr
    assert done.stdout.endswith("It is 5.\n")


def _key() -> str:
    return "key-of-up-only"


def _clients(up: Any) -> dict[str, Callable[[], Any]]:
    config = up.config
    return {
        "blocking": lambda: interfuse.Client(config, tags={"project": "p"}),
        "asyncio": lambda: interfuse.AsyncClient(config, tags={"project": "p"}),
        "derived": lambda: interfuse.Client(config).with_options(tags={"project": "p"}),
        "callable": lambda: interfuse.Client({**config, "providers": {"up": {"base_url": up.base_url, "api_key": _key}}}, tags={"project": "p"}),
    }


@pytest.mark.parametrize("kind", ["blocking", "asyncio", "derived", "callable"])
def test_a_clients_configuration_pickles_without_its_keys(start: Start, kind: str) -> None:
    up = start(answers("m-a", "In Bern."))
    client = _clients(up)[kind]()
    packed = pickle.dumps(client)
    assert b"key-of-up-only" not in packed
    again = pickle.loads(packed)
    assert type(again) is type(client) and again._defaults == client._defaults == {"tags": {"project": "p"}}
    assert again._native.config()["providers"]["up"]["base_url"] == up.base_url


def test_what_calls_give_pickles(start: Start, tmp_path: Path) -> None:
    up = start(answers("m-a", "In Bern.", usage={"prompt_tokens": 7, "completion_tokens": 2}), stalls("m-s", "In "))
    client = interfuse.Client({**up.config, "prices": {"up/m-a": {"input": "1", "output": "2"}}})
    fused = client.fuse("Where?", pool=["up/m-a", "up/m-a"], mode="vote")
    answer = client.chat(model="up/m-a", messages=HI)
    given: list[Any] = [answer, fused, client.usage(by=["provider"]), client.estimate(model="up/m-a", messages=HI), client.models.list()[0]]
    given += [client.explain(model="up/m-a", messages=HI), client.run_tools("Where?", tools=[_named], model="up/m-a")]
    given.append(next(client.chat(model="up/m-a", messages=HI, stream=True)))
    for value in given:
        again = pickle.loads(pickle.dumps(value))
        assert again == value and type(again) is type(value)
    assert pickle.loads(pickle.dumps(fused)).to_text() == fused.to_text()
    raw = client.chat.completions.with_raw_response.create(model="up/m-a", messages=HI)
    assert pickle.loads(pickle.dumps(raw)).parse() == raw.parse()
    # What holds a connection stays where it is.
    with client.chat(model="up/m-s", messages=HI, stream=True) as stream, pytest.raises(TypeError, match="pickle"):
        pickle.dumps(stream)


def _named(city: str) -> str:
    return city
