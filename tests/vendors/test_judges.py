"""interfuse and each vendor's official SDK ask the same server and must have heard the same."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from conftest import Upstream
from dialects import Said
from judges import AWS, JUDGES, KEY, OPENAI_TOOLS, QUESTION, Heard, Judge

import interfuse

Start = Callable[[dict[str, Any]], Upstream]

TEXT = Said(pieces=("Bern ", "ist die Bundesstadt – ", "日本語 too."))
CUT = Said(pieces=("Bern is",), short=True, tokens=(9, 5))
ONE = Said(calls=(("call_1", "get_weather", {"city": "Zürich", "days": 2}),), tokens=(31, 12))
TWO = Said(
    pieces=("Let me look.",),
    calls=(("call_1", "get_weather", {"city": "Bern"}), ("call_2", "get_weather", {"city": "Genève", "days": 3})),
    tokens=(40, 20),
)
CASES = {"text": TEXT, "cut by its limit": CUT, "one call": ONE, "text and two calls": TWO}

by_judge = pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.name)


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of AWS come from the environment, as they mostly do."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", AWS["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS["secret_access_key"])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)


def client(judge: Judge, base: str) -> Any:
    providers = {judge.dialect.name: judge.provider(base)}
    return interfuse.Client(config={"providers": providers, "retries": {"max_retries": 0}})


def ask(judge: Judge, base: str, tools: bool, stream: bool) -> Heard:
    """The same question by interfuse, of which only `provider` and `model` know the vendor."""
    more: dict[str, Any] = {"tools": OPENAI_TOOLS} if tools else {}
    request: dict[str, Any] = {"model": judge.dialect.model, "provider": judge.dialect.name, "max_tokens": 1000}
    request["messages"] = [{"role": "user", "content": QUESTION}]
    with client(judge, base) as one:
        if not stream:
            answer = one.chat.completions.create(**request, **more)
            choice = answer.choices[0]
            calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or []]
            tokens = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
            assert answer.usage.total_tokens == sum(tokens)
            assert answer.id and answer.model and answer.created
            return Heard(choice.message.content or "", calls, choice.finish_reason, tokens)
        more["stream_options"] = {"include_usage": True}
        text, finish, tokens = "", "", (0, 0)
        parts: dict[int, list[str]] = {}
        for chunk in one.chat.completions.create(**request, **more, stream=True):
            if chunk.usage:
                tokens = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or []:
                    known = parts.setdefault(call.index, ["", ""])
                    known[0] += call.function.name or ""
                    known[1] += call.function.arguments or ""
        return Heard(text, [(name, json.loads(args)) for name, args in parts.values()], finish, tokens)


@by_judge
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES)
def test_both_hear_the_same(judge: Judge, case: str, stream: bool, upstream: Start) -> None:
    said = CASES[case]
    then = judge.dialect.stream(said) if stream else judge.dialect.whole(said)
    server = upstream(then)
    theirs = judge.ask(server.base_url, judge.dialect.model, bool(said.calls), stream)
    ours = ask(judge, server.base_url, bool(said.calls), stream)
    assert theirs.text == said.text, "the script is not what the vendor's SDK understands"
    assert ours == theirs
    first, second = server.log()
    assert first["path"] == second["path"], "both call the same address"


@by_judge
def test_both_are_refused_alike(judge: Judge, upstream: Start) -> None:
    for refused in judge.dialect.refusals:
        server = upstream(judge.dialect.error(refused))
        with pytest.raises(BaseException) as theirs:
            judge.ask(server.base_url, judge.dialect.model, False, False)
        assert judge.status(theirs.value) == refused.status
        with pytest.raises(interfuse.InterfuseError) as ours:
            ask(judge, server.base_url, False, False)
        error = ours.value
        assert (error.kind, error.status) == (refused.kind, refused.status), f"{refused}: {error}"
        assert refused.words in str(error)
        assert error.provider == judge.dialect.name


@by_judge
def test_both_show_the_same_key(judge: Judge, upstream: Start) -> None:
    server = upstream(judge.dialect.whole(TEXT))
    judge.ask(server.base_url, judge.dialect.model, False, False)
    ask(judge, server.base_url, False, False)
    theirs, ours = (entry["headers"] for entry in server.log())
    ids = (KEY, AWS["access_key_id"])
    # Of a signature it is the part up to the key's id; test_signatures.py has the rest.
    shown = {name: value.split("/")[0] for name, value in theirs.items() if any(id in value for id in ids)}
    if judge.name == "anthropic":
        # Newer SDKs send the key as a bearer token; the API's reference names `x-api-key`, which takes the same key.
        shown = {"x-api-key": shown["authorization"].removeprefix("Bearer ")}
    assert shown, "the SDK shows no key"
    assert {name: ours[name].split("/")[0] for name in shown} == shown


def test_the_judges_cover_the_kinds() -> None:
    covered = {refused.kind for judge in JUDGES for refused in judge.dialect.refusals}
    assert covered >= {"authentication", "context_length", "rate_limited", "overloaded", "not_found", "server_error"}
