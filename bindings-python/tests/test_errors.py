"""Failures: a class each, openai's names and attributes, and through pickle unharmed."""

from __future__ import annotations

import builtins
import pickle

import pytest
from conftest import HI, Start

import interfuse
from interfuse import errors


@pytest.mark.parametrize("kind", errors.BY_KIND)
def test_every_kind_has_a_class_that_pickles(kind: str) -> None:
    cls = errors.BY_KIND[kind]
    told = {"kind": kind, "provider": "up", "model": "m", "status": 400, "retry_after_ms": 1500, "retryable": True}
    error = cls("what happened", told)
    again = pickle.loads(pickle.dumps(error))
    for e in (error, again):
        assert type(e) is cls and e.kind == kind and getattr(interfuse, cls.__name__) is cls
        assert (e.message, e.provider, e.model, e.status_code, e.retry_after) == ("what happened", "up", "m", 400, 1.5)
        assert e.retryable and e.attempts == [] and e.members == [] and e.partial is None and e.body is None
        assert str(e) == "what happened (provider up, model m)"


def test_built_in_bases() -> None:
    assert issubclass(interfuse.APITimeoutError, builtins.TimeoutError)
    assert issubclass(interfuse.APIConnectionError, builtins.ConnectionError)
    assert issubclass(interfuse.ConfigError, ValueError)
    assert issubclass(interfuse.RateLimitError, interfuse.APIStatusError)


def test_vendor_error(start: Start) -> None:
    said = {"message": "temperature is too high", "code": "bad_value", "param": "temperature"}
    up = start({"when": {}, "then": {"status": 400, "headers": {"x-request-id": "req-9"}, "json": {"error": said}}})
    with pytest.raises(interfuse.BadRequestError) as caught:
        interfuse.Client(up.config).chat(model="up/m-a", messages=HI)
    e = caught.value
    assert (e.status_code, e.code, e.param, e.request_id, e.body) == (400, "bad_value", "temperature", "req-9", said)
    assert "temperature is too high" in str(e) and "provider up" in str(e)
    assert "key-of-up-only" not in repr(e) + str(e) + repr(vars(e))


def test_every_attempt_is_told(start: Start) -> None:
    up = start({"when": {}, "then": {"status": 429, "headers": {"retry-after": "0"}, "json": {"error": {"message": "slow"}}}})
    with pytest.raises(interfuse.RateLimitError) as caught:
        interfuse.Client(up.config, max_retries=1).chat(model="up/m-a", messages=HI)
    assert [a.status for a in pickle.loads(pickle.dumps(caught.value)).attempts] == [429, 429]


def test_wrong_request_names_the_place() -> None:
    client = interfuse.Client(use_environment_off())
    with pytest.raises(interfuse.BadRequestError) as caught:
        client.chat(model="up/m-a", messages=[{"role": "user", "content": "x"}], max_tokens="many")  # type: ignore[call-overload]
    assert caught.value.param == "max_tokens"


def test_text_without_meaning_is_refused() -> None:
    with pytest.raises(interfuse.BadRequestError):
        interfuse.Client(use_environment_off()).chat(model="up/m-a", messages=[{"role": "user", "content": "\ud800"}])


def test_missing_key_names_the_variable() -> None:
    with pytest.raises(interfuse.AuthenticationError, match="OPENAI_API_KEY"):
        interfuse.Client(use_environment_off()).chat(model="openai/gpt-5-mini", messages=HI)


def use_environment_off() -> dict[str, bool]:
    return {"use_environment": False}
