"""The testing kit: scripted answers and cassettes, as a user's tests would have them. Needs no other server than its own."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import HI, ROOT, run_python

import interfuse
from interfuse import testing
from interfuse.testing import answer, embeddings, error, reset, when

KEY = "sk-canary/4f1d+0c9e8b7a"


def said(client: interfuse.Client, model: str, **more: Any) -> str:
    text = client.chat.completions.create(model=model, messages=HI, **more).choices[0].message.content
    assert isinstance(text, str)
    return text


def streamed(client: interfuse.Client, model: str) -> list[str]:
    chunks = client.chat.completions.create(model=model, messages=HI, stream=True)
    return [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]


def lab(up: testing.Upstream, key: str = KEY) -> dict[str, Any]:
    return {"providers": {"lab": {"base_url": up.base_url, "api_key": key}}, "retries": {"base_ms": 1, "max_ms": 1}}


def post(url: str, headers: dict[str, str], body: Any) -> bytes:
    """A request by hand."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=60)
    try:
        connection.request("POST", f"{where.path}?{where.query}", json.dumps(body), headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_bare_answers_come_in_order_and_the_last_repeats() -> None:
    with testing.Upstream(answer("One."), answer("Two.")) as up:
        client = up.client()
        assert [said(client, "up/m") for _ in range(3)] == ["One.", "Two.", "Two."]
        assert [(r.provider, r.model, r.path, r.route) for r in up.requests] == [("up", "m", "/v1/chat/completions", 0)] * 3
        assert up.requests[0].body["messages"] == HI
        assert up.requests[0].headers["authorization"] == "[scrubbed]" and "key-of-up" not in repr(up.requests)


def test_a_fault_then_an_answer_with_its_price() -> None:
    bern = answer("Bern.", usage={"prompt_tokens": 1000, "completion_tokens": 10})
    route = when(model="m-a").then(error(429, "slow down", retry_after=0), bern)
    with testing.Upstream(route, answer("Rome."), prices={"up/m-a": {"input": "3", "output": "100"}}) as up:
        client = up.client()
        made = client.chat.completions.create(model="up/m-a", messages=HI)
        assert made.choices[0].message.content == "Bern." and made.interfuse is not None
        assert made.interfuse.cost_usd == "0.004"
        assert [a.status for a in made.interfuse.attempts] == [429, None]
        assert said(client, "up/other") == "Rome."


def test_errors_have_status_code_and_headers() -> None:
    with testing.Upstream(error(429, "slow down", code="too_fast", retry_after=7)) as up:
        with pytest.raises(interfuse.RateLimitError, match="slow down") as caught:
            said(up.client(max_retries=0), "up/m")
        assert caught.value.retry_after == 7 and caught.value.code == "too_fast"


def test_several_providers_and_a_fallback() -> None:
    dead = when(provider="a").then(reset())
    with testing.Upstream(dead, answer("Bern.", delay_ms=1), providers=("a", "b")) as up:
        made = up.client().chat.completions.create(model="a/m", models=["b/m"], messages=HI)
        assert made.choices[0].message.content == "Bern."
        assert {r.provider for r in up.requests} == {"a", "b"} and up.requests[-1].provider == "b"


def test_a_catalogue_name_is_led_here_too() -> None:
    with testing.Upstream(answer("Bern."), providers=["openai", "groq"]) as up:
        assert said(up.client(), "openai/gpt-5-mini") == "Bern."
        assert said(up.client(), "openai/gpt-oss-120b", provider="groq") == "Bern."
        assert [r.provider for r in up.requests] == ["openai", "groq"]


def test_streams_break_where_the_script_says() -> None:
    broken = answer("one two three four", breaks={"after": 2, "then": [{"reset": True}]})
    with testing.Upstream(when(model="whole").then(answer(" one  two\n", chunk_delay_ms=1)), broken) as up:
        client = up.client(max_retries=0)
        assert streamed(client, "up/whole") == [" one", "  two\n"]
        with pytest.raises(interfuse.StreamInterruptedError) as caught:
            streamed(client, "up/broken")
        assert caught.value.partial is not None and caught.value.partial.text == "one two"


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_may_be_cut(stream: bool) -> None:
    with testing.Upstream(answer("one two three", cut_after=150)) as up:
        with pytest.raises(interfuse.APIConnectionError):
            client = up.client(max_retries=0)
            streamed(client, "up/m") if stream else said(client, "up/m")


def test_a_stalled_answer_ends_when_its_client_leaves() -> None:
    with testing.Upstream({"steps": [{"stall": True}]}) as up:
        with pytest.raises(interfuse.APITimeoutError):
            up.client().chat.completions.create(model="up/m", messages=HI, timeout=0.2)
        assert len(up.requests) == 1
    assert not [t for t in threading.enumerate() if t.name == "interfuse-testing"]


def test_tool_calls_whole_and_streamed() -> None:
    with testing.Upstream(answer("", tool_calls=[{"name": "f", "arguments": {"city": "Bern and Rome"}}])) as up:
        client = up.client()
        [call] = client.chat.completions.create(model="up/m", messages=HI).choices[0].message.tool_calls or []
        assert call.function is not None
        assert json.loads(call.function.arguments) == {"city": "Bern and Rome"}
        chunks = client.chat.completions.create(model="up/m", messages=HI, stream=True)
        deltas = [d for chunk in chunks for choice in chunk.choices for d in choice.delta.tool_calls or []]
        pieces = [d.function.arguments or "" for d in deltas if d.function is not None]
        assert json.loads("".join(pieces)) == {"city": "Bern and Rome"} and len(pieces) > 2


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings(form: Any) -> None:
    with testing.Upstream(embeddings([1, 0.5], [2, 0])) as up:
        made = up.client().embeddings.create(model="up/e", input=["a", "b", "c"], encoding_format=form)
        vectors = [each.embedding for each in made.data]
        expected: list[Any] = [[1, 0.5], [2, 0], [2, 0]] if form == "float" else ["AACAPwAAAD8=", "AAAAQAAAAAA=", "AAAAQAAAAAA="]
        assert vectors == expected


def test_what_no_route_takes_fails_and_says_what_was_scripted() -> None:
    with testing.Upstream(when(model="m-a", last_role="user").then(answer("Bern."))) as up:
        with pytest.raises(interfuse.NotFoundError) as caught:
            said(up.client(), "up/m-b")
        assert caught.value.code == "script_without_route" and up.requests[0].route is None
        for told in ("model m-b", "provider up", "Where do you live?", '{"model": "m-a", "last_role": "user"}'):
            assert told in str(caught.value)
    with testing.Upstream(answer("Bern.")) as up, pytest.raises(interfuse.NotFoundError, match="is a chat completion"):
        up.client().embeddings.create(model="up/m", input="x")


@pytest.mark.parametrize(
    ("conditions", "model", "holds"),
    [
        ({"path_ends": "/completions"}, "m", True),
        ({"path": "/v1/completions"}, "m", False),
        ({"method": "POST", "provider": "up"}, "m", True),
        ({"body": {"model": "m", "messages": [{"role": "user"}]}}, "m", True),
        ({"body": {"messages": []}}, "m", False),
        ({"body_contains": "do you live"}, "m", True),
        ({"header": {"Content-Type": "application/json"}}, "m", True),
        ({"header": {"x-mine": "1"}}, "m", False),
        ({"last_role": "tool"}, "m", False),
    ],
)
def test_conditions(conditions: Any, model: str, holds: bool) -> None:
    with testing.Upstream(when(**conditions).then(answer("yes")), answer("no")) as up:
        assert said(up.client(), f"up/{model}") == ("yes" if holds else "no")


@pytest.mark.parametrize(
    ("script", "at", "why"),
    [
        ({"anser": "x"}, "[0].anser", "unknown field"),
        ({"when": {"modle": "x"}, "then": {}}, "[0].when.modle", "unknown field"),
        ({"when": {}, "then": []}, "[0].then", "at least one"),
        ({"when": {}}, "[0]", "without `then`"),
        ({"then": [{}, {"json": 1, "body": "x"}]}, "[0].then[1]", "only one body"),
        ({"json": 1, "usage": False}, "[0]", "need `answer`"),
        ({"steps": [{"sleep": 1}]}, "[0].steps[0].sleep", "unknown field"),
        ({"steps": [{"send": "x", "close": True}]}, "[0].steps[0]", "one thing"),
        ({"answer": "x", "breaks": {"skip": 1}}, "[0].breaks", "`after`"),
        ({"tool_calls": [{"name": "f"}]}, "[0].tool_calls[0]", "`arguments`"),
        ({"embeddings": []}, "[0].embeddings", "at least one"),
    ],
)
def test_a_script_that_is_not_understood_is_refused(script: Any, at: str, why: str) -> None:
    with pytest.raises(interfuse.ConfigError, match=why) as caught:
        testing.Upstream(script)
    assert caught.value.param == at


def test_asyncio() -> None:
    async def ask() -> list[str | None]:
        with testing.Upstream(answer("Bern.", delay_ms=5)) as up:
            async with up.async_client() as client:
                made = await asyncio.gather(*(client.chat.completions.create(model="up/m", messages=HI) for _ in range(20)))
            return [each.choices[0].message.content for each in made]

    assert asyncio.run(ask()) == ["Bern."] * 20


def test_a_cassette_is_recorded_once_and_replayed_without_the_provider(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"

    def talk(tape: testing.Cassette) -> list[Any]:
        with tape as options:
            client = interfuse.Client(**options)
            made: list[Any] = [said(client, "lab/m"), said(client, "lab/m"), streamed(client, "lab/m")]
            made.append(client.embeddings.create(model="lab/e", input=["a"]).data[0].embedding)
            with pytest.raises(interfuse.BadRequestError, match="too odd"):
                said(client, "lab/odd")
            return made

    routes = when(path_ends="/embeddings").then(embeddings([0.25])), when(model="odd").then(error(400, "too odd"))
    with testing.Upstream(*routes, answer("One."), answer("Zwölf."), answer("a b ç")) as up:
        tape = testing.cassette(file, config=lab(up))
        assert tape.mode == "record"
        first = talk(tape)
        assert first == ["One.", "Zwölf.", ["a", " b", " ç"], [0.25]]
        assert up.requests[0].headers["authorization"] == "[scrubbed]" and len(up.requests) == 5
        config = lab(up)
    # The provider is gone, and nobody has a key.
    tape = testing.cassette(file)
    assert tape.mode == "replay" and talk(tape) == first and tape.unexpected == []
    assert talk(testing.cassette(file, mode="replay", config=config)) == first
    document = json.loads(file.read_text("utf-8"))
    assert len(document["interactions"]) == 5 and "Zwölf." in file.read_text("utf-8")
    assert sum("pieces" in one["response"] for one in document["interactions"]) == 1
    assert len(next(one["response"]["pieces"] for one in document["interactions"] if "pieces" in one["response"])) > 1


def test_a_replay_is_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of no use here")
    file = tmp_path / "talk.json"
    with testing.Upstream(answer("One.")) as up, testing.cassette(file, config=lab(up)) as options:
        said(interfuse.Client(**options), "lab/m")
    tape = testing.cassette(file)
    with tape as options:
        client = interfuse.Client(**options)
        with pytest.raises(interfuse.NotFoundError, match="is not among its 1 requests") as caught:
            said(client, "lab/m", temperature=0.5)
        assert caught.value.code == "not_in_cassette"
        assert said(client, "lab/m") == "One."
        with pytest.raises(interfuse.NotFoundError, match="came once more"):
            said(client, "lab/m")
        with pytest.raises(interfuse.AuthenticationError):
            said(client, "openai/gpt-5-mini")
        with pytest.raises(interfuse.NotFoundError, match="is not among"):
            said(client, "ollama/a-server-of-this-machine")
    assert len(tape.unexpected) == 3 and '"temperature": 0.5' in tape.unexpected[0]


def test_modes(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    with pytest.raises(interfuse.ConfigError, match="no cassette"):
        testing.cassette(file, mode="replay")
    with pytest.raises(interfuse.ConfigError, match="no folder"):
        testing.cassette(tmp_path / "not" / "there.json")
    for text in ("{", "[]", '{"interfuse_cassette": 2}', '{"interfuse_cassette": 1, "providers": {}, "interactions": [{}]}'):
        file.write_text(text)
        with pytest.raises(interfuse.ConfigError, match="is no cassette"):
            testing.cassette(file)
    with testing.Upstream(answer("New.")) as up, testing.cassette(file, mode="record", config=lab(up)) as options:
        said(interfuse.Client(**options), "lab/m")
    assert "New." in file.read_text()


def test_a_block_that_fails_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_text("as it was")
    with testing.Upstream(answer("New.")) as up:
        with pytest.raises(ZeroDivisionError), testing.cassette(file, mode="record", config=lab(up)) as options:
            said(interfuse.Client(**options), "lab/m")
            _ = 1 / 0
    assert file.read_text() == "as it was" and [p.name for p in tmp_path.iterdir()] == ["talk.json"]


def test_a_cut_stream_is_cut_again(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"

    def talk(options: testing.ClientOptions) -> str:
        with pytest.raises(interfuse.StreamInterruptedError) as caught:
            streamed(interfuse.Client(**options, max_retries=0), "lab/m")
        assert caught.value.partial is not None
        return str(caught.value.partial.text)

    with testing.Upstream(answer("one two three", breaks={"after": 2, "then": [{"reset": True}]})) as up:
        with testing.cassette(file, config=lab(up)) as options:
            assert talk(options) == "one two"
    assert json.loads(file.read_text())["interactions"][0]["response"]["ends"] == "cut"
    with testing.cassette(file) as options:
        assert talk(options) == "one two"


def test_a_client_that_left_leaves_again(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"

    def talk(options: testing.ClientOptions) -> str | None:
        client = interfuse.Client(**options)
        with pytest.raises(interfuse.APITimeoutError):
            client.chat.completions.create(model="lab/silent", messages=HI, timeout=0.3)
        with client.chat.completions.create(model="lab/m", messages=HI, stream=True) as stream:
            for chunk in stream:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    return text
        return None

    endless = answer("one two", breaks={"after": 1, "then": [{"stall": True}]})
    with testing.Upstream(when(model="silent").then({"steps": [{"stall": True}], "delay_ms": 60_000}), endless) as up:
        with testing.cassette(file, config=lab(up)) as options:
            assert talk(options) == "one"
    silent, left = json.loads(file.read_text())["interactions"]
    assert silent["response"] is None and left["response"]["ends"] == "left"
    with testing.cassette(file) as options:
        assert talk(options) == "one"


def test_a_fusion_is_replayed(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    judge = when(model="j").then(answer("It is Bern, says everybody."))
    members = [when(model=m).then(answer(f"{m} says that it is Bern.")) for m in ("a", "b")]

    def talk(options: testing.ClientOptions) -> str:
        client = interfuse.Client(**options)
        return client.fuse("Which town?", pool=["lab/a", "lab/b"], judge="lab/j", mode="merge", seed=1).text

    with testing.Upstream(*members, judge) as up, testing.cassette(file, config=lab(up)) as options:
        first = talk(options)
    tape = testing.cassette(file)
    with tape as options:
        assert talk(options) == first
    assert tape.unexpected == []


SHARED = ROOT / "tests" / "cassettes" / "talk.json"
"""What both languages write and read."""


def shared_talk(options: testing.ClientOptions) -> list[Any]:
    client = interfuse.Client(**options, max_retries=0)
    made: list[Any] = [said(client, "lab/m"), streamed(client, "lab/m")]
    made.append(client.embeddings.create(model="lab/e", input=["a"]).data[0].embedding)
    # The last, as the client then leaves the provider alone for so long.
    with pytest.raises(interfuse.RateLimitError, match="slow down") as caught:
        said(client, "lab/busy")
    return [*made, caught.value.retry_after]


def test_a_cassette_of_another_language_is_replayed_and_recorded_alike(tmp_path: Path) -> None:
    """The same file is replayed and recorded in the other languages' tests."""
    expected = ["In Zürich.", ["In ", "Zürich."], [0.25], 7.0]
    tape = testing.cassette(SHARED, mode="replay")
    with tape as options:
        assert shared_talk(options) == expected
    assert tape.unexpected == []

    kept = json.loads(SHARED.read_text("utf-8"))
    busy = error(429, "slow down", retry_after=7, headers={"x-request-id": "r-1", "x-account": "mine"})
    whole, stream, vectors, _ = [one["response"] for one in kept["interactions"]]
    by_hand: testing.Response = {"headers": {"content-type": "application/json"}, "body": vectors["body"]}
    routes = (
        when(path_ends="/embeddings").then(by_hand),
        when(model="busy").then(busy),
        when(body={"stream": True}).then({"headers": stream["headers"], "body": "".join(stream["pieces"])}),
    )
    file = tmp_path / "talk.json"
    with testing.Upstream(*routes, {"json": whole["json"]}) as up, testing.cassette(file, config=lab(up)) as options:
        assert shared_talk(options) == expected
    made = json.loads(file.read_text("utf-8"))
    kept["providers"]["lab"]["base_url"] = made["providers"]["lab"]["base_url"]
    assert made == kept


def auth_headers() -> set[str]:
    """Every header in which a provider of the catalogue takes a credential."""
    found = {"authorization", "proxy-authorization", "cookie", "x-amz-security-token", "x-goog-user-project-token"}

    def look(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(auth := node.get("auth"), dict) and "header" in auth:
                found.add(auth["header"].lower())
            if "key_header" in node:
                found.add(node["key_header"].lower())
            for each in node.values():
                look(each)
        elif isinstance(node, list):
            for each in node:
                look(each)

    look(tomllib.loads((ROOT / "core/data/providers.toml").read_text("utf-8")))
    return found


def test_no_key_reaches_the_file_whatever_its_header(tmp_path: Path) -> None:
    names = auth_headers()
    assert {"authorization", "x-api-key", "api-key", "x-goog-api-key"} <= names
    file = tmp_path / "talk.json"
    echo = {"error": {"message": f"bad key {KEY} (sk-canary%2F4f1d%2B0c9e8b7a)"}}
    leaky = {"set-cookie": f"session={KEY}", "x-echo": KEY, "x-request-id": f"r-{KEY}", "openai-organization": "org-of-mine"}
    # A stream whose pieces end within the key.
    spread: testing.Response = {"steps": [{"send": f"data: {KEY[:9]}"}, {"delay_ms": 20}, {"send": f"{KEY[9:]}\n\n"}, {"send": "data: rest\n\n"}]}
    spread["headers"] = {"content-type": "text/event-stream"}
    plain: testing.Response = {"status": 401, "headers": leaky, "json": echo}
    escaped = '{"error": {"message": "bad key sk-canary\\/4f1d\\u002B0c9e8b7a"}}'
    odd: testing.Response = {"status": 401, "headers": {"content-type": "application/json"}, "body": escaped}
    packed: testing.Response = {"headers": {"content-encoding": "gzip"}, "body": "who knows what is in it"}
    routes = when(body_contains="stream").then(spread), when(model="odd").then(odd), when(model="packed").then(packed)
    with testing.Upstream(*routes, plain) as up:
        with testing.cassette(file, config=lab(up)) as options:
            config: Any = options["config"]
            url = config["providers"]["lab"]["base_url"]
            assert url
            for name in sorted(names):
                for value in (KEY, f"Bearer {KEY}"):
                    assert KEY.encode() in post(f"{url}/chat/completions?key={KEY}", {name: value}, {"said": KEY, "n": name})
                    assert KEY.encode() in post(f"{url}/chat/completions", {name: value}, {"stream": name})
            with pytest.raises(interfuse.AuthenticationError):
                said(interfuse.Client(**options), "lab/m")
            with pytest.raises(interfuse.AuthenticationError):
                said(interfuse.Client(**options), "lab/odd")
            with pytest.raises(interfuse.InternalServerError, match="compressed"):
                said(interfuse.Client(**options), "lab/packed")
    text = file.read_text("utf-8")
    for spelling in (KEY, KEY[9:], "0c9e8b7a", "org-of-mine", "session"):
        assert spelling not in text
    interactions = json.loads(text)["interactions"]
    assert len(interactions) == 4 * len(names) + 2
    for one in interactions:
        assert set(one["request"]) == {"method", "path", "body"}
        assert set(one["response"]["headers"]) <= {"content-type", "x-request-id"}
    assert interactions[1]["response"]["pieces"] == ["data: [scrubbed]\n\n", "data: rest\n\n"]


@pytest.mark.parametrize(("provider", "model"), [("anthropic", "claude-haiku-4.5"), ("gemini", "gemini-2.5-flash"), ("openai", "gpt-5-mini")])
def test_other_protocols_are_recorded_with_a_key_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, model: str) -> None:
    file = tmp_path / "talk.json"
    monkeypatch.setenv("A_KEY_OF_MINE", KEY)
    with testing.Upstream(error(400, f"not today, {KEY}")) as up:
        config = {"providers": {provider: {"base_url": up.base_url, "api_key_env": "A_KEY_OF_MINE"}}}
        with testing.cassette(file, config=config) as options, pytest.raises(interfuse.BadRequestError):
            said(interfuse.Client(**options), f"{provider}/{model}")
        [request] = up.requests
        assert [name for name, value in request.headers.items() if value == "[scrubbed]"]
    assert KEY not in file.read_text("utf-8") and "not today, [scrubbed]" in file.read_text("utf-8")
    with testing.cassette(file) as options, pytest.raises(interfuse.BadRequestError, match="not today"):
        said(interfuse.Client(**options), f"{provider}/{model}")


def test_keys_of_the_environment_are_found(tmp_path: Path) -> None:
    source = """
import json, sys
from interfuse import testing
tape = testing.cassette(sys.argv[1])
led = tape.options["config"]["providers"]
print(json.dumps({name: [each["base_url"].partition("/")[2].partition("/")[2].partition("/")[2], each.get("api_key_env")] for name, each in led.items()}))
tape.close()
"""
    done = run_python(source, str(tmp_path / "talk.json"), MISTRAL_API_KEY=KEY, GROQ_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    led = json.loads(done.stdout)
    assert led["mistral"] == ["mistral/v1", "MISTRAL_API_KEY"] and led["groq"] == ["groq/openai/v1", "GROQ_API_KEY"]
    assert led["ollama"] == ["ollama/v1", None], "it needs no key, and is recorded too"
    assert "openai" not in led


def test_import_costs_nothing_until_it_is_asked_for() -> None:
    done = run_python("import sys, interfuse; print([m for m in sys.modules if 'interfuse.testing' in m or m in ('http', 'ssl')])")
    assert done.stdout.strip() == "[]", done.stderr
