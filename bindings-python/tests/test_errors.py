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
        assert e.remedy.endswith(".") and "remedy" in vars(cls), "each kind says itself what to do"


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


@pytest.mark.parametrize(("status", "name"), [(409, "ConflictError"), (422, "UnprocessableEntityError"), (400, "BadRequestError")])
def test_openais_classes_for_what_is_one_kind_here(start: Start, status: int, name: str) -> None:
    said = {"message": "no", "type": "odd"}
    then = {"status": status, "headers": {"x-request-id": "req-9"}, "json": {"error": said}}
    up = start({"when": {}, "then": then})
    with pytest.raises(interfuse.APIStatusError) as caught:
        interfuse.Client(up.config, max_retries=0).chat(model="up/m-a", messages=HI)
    for e in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert type(e) is getattr(interfuse, name) and (e.status, e.type) == (status, "odd")
        response = e.response
        assert response is not None and response.json() == {"error": said}
        assert (response.status_code, response.headers["X-Request-Id"]) == (status, "req-9")
    assert interfuse.InternalServerError("x", {"status": 500}).response is not None
    assert interfuse.APIConnectionError("x").response is None


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
