"""Requests of httpx and of httpx2, answered in this process. What vendors' clients make of them, tests/compat shows."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from conftest import HI, Start, answers, never, run_python, stalls

import interfuse


@pytest.fixture(params=["httpx", "httpx2"])
def through(request: pytest.FixtureRequest) -> Any:
    """The library's module, and interfuse's for it."""
    import importlib

    return importlib.import_module(request.param), importlib.import_module(f"interfuse.{request.param}")


CHAT = "http://interfuse.invalid/v1/chat/completions"


def events(text: str) -> list[Any]:
    """What server-sent events say."""
    data = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert data.pop() == "[DONE]"
    return [json.loads(one) for one in data]


def test_an_answer_with_its_request_id(start: Start, through: Any) -> None:
    up = start({"when": {"model": "m-a"}, "then": {"answer": "In Bern.", "headers": {"x-request-id": "req-7"}}})
    with through[1].Client(interfuse.Client(up.config)) as http:
        answer = http.post(CHAT, json={"model": "up/m-a", "messages": HI}, headers={"authorization": "Bearer not sent"})
    assert answer.status_code == 200 and answer.headers["x-request-id"] == "req-7"
    assert answer.json()["choices"][0]["message"]["content"] == "In Bern."
    assert answer.json()["interfuse"]["provider"] == "up"
    assert [entry["headers"]["authorization"] for entry in up.settled()] == ["Bearer key-of-up-only"]


def test_a_stream_comes_as_it_comes_and_closing_it_ends_it(start: Start, through: Any) -> None:
    up = start(answers("m-a", "In Bern of course."), stalls("m-b", "In "))
    with through[1].Client(interfuse.Client(up.config)) as http:
        whole = http.post(CHAT, json={"model": "up/m-a", "messages": HI, "stream": True})
        assert whole.headers["content-type"] == "text/event-stream"
        said = [chunk["choices"][0]["delta"].get("content") or "" for chunk in events(whole.text) if chunk["choices"]]
        assert "".join(said) == "In Bern of course."
        # The server sends nothing after the first chunk: only an answer that is not collected first shows it.
        with http.stream("POST", CHAT, json={"model": "up/m-b", "messages": HI, "stream": True}) as left:
            assert '"In "' in next(left.iter_text())
    assert up.settled()[-1]["client_closed_ms"] is not None


def test_for_asyncio(start: Start, through: Any) -> None:
    up = start(answers("m-a", "In Bern."), stalls("m-b", "In "), never("m-c"))

    async def main() -> None:
        async with through[1].AsyncClient(interfuse.AsyncClient(up.config)) as http:
            one = await http.post(CHAT, json={"model": "up/m-a", "messages": HI})
            assert one.json()["choices"][0]["message"]["content"] == "In Bern."
            whole = await http.post(CHAT, json={"model": "up/m-a", "messages": HI, "stream": True})
            assert len(events(whole.text)) > 1
            async with http.stream("POST", CHAT, json={"model": "up/m-b", "messages": HI, "stream": True}) as left:
                assert '"In "' in await anext(left.aiter_text())
            gone = asyncio.ensure_future(http.post(CHAT, json={"model": "up/m-c", "messages": HI}))
            await asyncio.to_thread(up.wait_for, 4)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone

    asyncio.run(main())
    assert all(entry["client_closed_ms"] is not None for entry in up.settled()[-2:])


def test_errors_are_told_as_a_vendor_tells_them(start: Start, through: Any) -> None:
    slow = {"status": 429, "headers": {"retry-after": "0"}, "json": {"error": {"message": "slow down", "code": "rpm"}}}
    up = start({"when": {"model": "m-a"}, "then": slow}, never("m-b"))
    client = interfuse.Client({**up.config, "budgets": {"none": {"limit_usd": "0"}}}, max_retries=0)
    with through[1].Client(interfuse.Client(up.config, max_retries=0)) as http:
        full = http.post(CHAT, json={"model": "up/m-a", "messages": HI})
        assert full.status_code == 429 and full.headers["x-should-retry"] == "false"
        assert full.json()["error"] == {"message": "slow down", "type": "rate_limited", "code": "rpm", "param": None}
        for method, path, body, status in [
            ("POST", CHAT, b"{", 400),
            ("POST", CHAT, b"[]", 400),
            ("POST", "http://interfuse.invalid/v1/images/generations", b"{}", 404),
            ("GET", "http://interfuse.invalid/v1/models/none/such", b"", 404),
        ]:
            refused = http.request(method, path, content=body)
            assert (refused.status_code, refused.headers["x-should-retry"]) == (status, "false"), path
            assert refused.json()["error"]["message"]
        with pytest.raises(through[0].ReadTimeout):
            http.post(CHAT, json={"model": "up/m-b", "messages": HI}, timeout=0.05)
    with through[1].Client(client) as http:
        assert http.post(CHAT, json={"model": "up/m-a", "messages": HI}).json()["error"]["code"] == "budget_exceeded"
    assert len(up.settled()) == 2


def test_a_stream_that_is_cut_ends_with_its_error(start: Start, through: Any) -> None:
    chunk = {"id": "s", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": "In "}}]}
    cut = {"headers": {"content-type": "text/event-stream"}, "steps": [{"send": f"data: {json.dumps(chunk)}\n\n"}, {"reset": True}]}
    up = start({"then": cut})
    with through[1].Client(interfuse.Client(up.config)) as http:
        text = http.post(CHAT, json={"model": "up/m", "messages": HI, "stream": True}).text
    *_, last = text.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["type"] == "interrupted"


def test_embeddings_and_models(start: Start, through: Any) -> None:
    vector = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}]}
    up = start({"then": {"json": {**vector, "usage": {"prompt_tokens": 1, "total_tokens": 1}}}})
    with through[1].Client(interfuse.Client(up.config)) as http:
        got = http.post("http://interfuse.invalid/v1/embeddings", json={"model": "up/e", "input": "Bern"}).json()
        assert got["data"][0]["embedding"] == [0.5, 1.0]
        listed = http.get("http://interfuse.invalid/v1/models").json()["data"]
        first = http.get(f"http://interfuse.invalid/v1/models/{listed[0]['id']}").json()
    assert first == listed[0] and first["owned_by"] == first["id"].split("/")[0]
    assert len(up.settled()) == 1, "models are the catalogue's; nobody is asked"


OLD = """
import sys, types
class BaseTransport:
    def handle_request(self, method: bytes, url: tuple, headers: list, stream: object, extensions: dict) -> tuple: ...
library, case = sys.argv[1:]
old, older = types.ModuleType(library), types.ModuleType(library)
old.__version__, old.AsyncByteStream, old.BaseTransport = "0.19.0", object, BaseTransport
older.__version__ = "0.1"
sys.modules[library] = {"none": None, "old": old, "older": older}[case]
import importlib, interfuse
try:
    importlib.import_module(f"interfuse.{library}")
except interfuse.PackageError as error:
    assert isinstance(error, ImportError) and isinstance(error, interfuse.InterfuseError)
    print(error.name, error)
"""


@pytest.mark.parametrize(("library", "least"), [("httpx", "0.20"), ("httpx2", "2.0")])
@pytest.mark.parametrize(
    ("case", "said"), [("none", "None in sys.modules"), ("old", "0.19.0 is installed"), ("older", "0.1 is installed")]
)
def test_what_is_missing_or_too_old_is_named(library: str, least: str, case: str, said: str) -> None:
    ran = run_python(OLD, library, case)
    assert ran.returncode == 0 and ran.stdout.startswith(f"{library} interfuse.{library}"), ran.stderr
    assert said in ran.stdout and f"pip install '{library}>={least}'" in ran.stdout
    assert "openai 2 has httpx, openai 3 httpx2" in ran.stdout


def test_importing_interfuse_imports_neither() -> None:
    assert not {"httpx", "httpx2"} & set(run_python("import sys, interfuse; print(*sys.modules)").stdout.split())
