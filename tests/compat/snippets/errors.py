"""What goes wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from . import HI, Sdk, says, snippet

NEVER: Any = {"then": {"delay_ms": 20_000, "answer": "never"}}


def fails(status: int, **headers: str) -> dict[str, Any]:
    """A route: this status."""
    error = {"message": "no such luck", "type": "luck_error", "code": "luck", "param": "model"}
    return {"then": {"status": status, "headers": {"x-request-id": "req-8", **headers}, "json": {"error": error}}}


def raised(sdk: Sdk, kind: str, status: int) -> Any:
    with pytest.raises(getattr(sdk, kind)) as caught:
        sdk.open(max_retries=0).chat.completions.create(model="m", messages=HI)
    error = caught.value
    assert type(error).__name__ == kind
    assert isinstance(error, sdk.APIStatusError) and isinstance(error, sdk.APIError) and isinstance(error, sdk.OpenAIError)
    assert (error.status_code, error.request_id) == (status, "req-8")
    assert (error.code, error.type, error.param) == ("luck", "luck_error", "model")
    assert error.body["message"] == "no such luck" and "no such luck" in error.message and "no such luck" in str(error)
    assert error.response.status_code == status and error.response.headers["x-request-id"] == "req-8"
    return error


@snippet(fails(400))
def bad_request(sdk: Sdk) -> None:
    raised(sdk, "BadRequestError", 400)


@snippet(fails(401))
def wrong_key(sdk: Sdk) -> None:
    raised(sdk, "AuthenticationError", 401)


@snippet(fails(403))
def not_allowed(sdk: Sdk) -> None:
    raised(sdk, "PermissionDeniedError", 403)


@snippet(fails(404))
def no_such_model(sdk: Sdk) -> None:
    raised(sdk, "NotFoundError", 404)


@snippet(fails(409))
def in_conflict(sdk: Sdk) -> None:
    raised(sdk, "ConflictError", 409)


@snippet(fails(422))
def not_understood(sdk: Sdk) -> None:
    raised(sdk, "UnprocessableEntityError", 422)


@snippet(fails(429))
def too_many(sdk: Sdk) -> None:
    raised(sdk, "RateLimitError", 429)


@snippet(fails(500))
def the_server_failed(sdk: Sdk) -> None:
    raised(sdk, "InternalServerError", 500)


@snippet(fails(429))
def from_the_special_to_the_general(sdk: Sdk) -> None:
    client = sdk.open(max_retries=0)
    try:
        client.chat.completions.create(model="m", messages=HI)
    except sdk.APIConnectionError as e:
        pytest.fail(f"not reached: {e.__cause__}")
    except sdk.RateLimitError as e:
        told = f"slow down: {e.status_code}"
    except sdk.APIStatusError as e:
        pytest.fail(f"another status: {e.status_code}, {e.response}")
    assert told == "slow down: 429"


@snippet()
def nobody_there(sdk: Sdk) -> None:
    client = sdk.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="key-1", max_retries=0)
    with pytest.raises(sdk.APIConnectionError) as caught:
        client.chat.completions.create(model="m", messages=HI)
    assert isinstance(caught.value, sdk.APIError) and not isinstance(caught.value, sdk.APIStatusError)


@snippet(NEVER)
def too_slow(sdk: Sdk) -> None:
    with pytest.raises(sdk.APITimeoutError) as caught:
        sdk.open(timeout=0.2, max_retries=0).chat.completions.create(model="m", messages=HI)
    assert isinstance(caught.value, sdk.APIConnectionError)


@snippet(NEVER)
def too_slow_for_this_request(sdk: Sdk) -> None:
    with pytest.raises(sdk.APITimeoutError):
        sdk.open(max_retries=0).chat.completions.create(model="m", messages=HI, timeout=0.2)


@snippet({"then": [fails(429, **{"retry-after": "0"})["then"], fails(503, **{"retry-after": "0"})["then"], says("In Bern.")["then"]]})
def tried_again(sdk: Sdk) -> None:
    completion = sdk.open(max_retries=2).chat.completions.create(model="m", messages=HI)
    assert completion.choices[0].message.content == "In Bern."
    assert len(sdk.up.settled()) == 3


@snippet(fails(500))
def not_tried_again(sdk: Sdk) -> None:
    with pytest.raises(sdk.InternalServerError):
        sdk.open().with_options(max_retries=0).chat.completions.create(model="m", messages=HI)
    assert len(sdk.up.settled()) == 1


@snippet(fails(401))
def of_a_stream(sdk: Sdk) -> None:
    with pytest.raises(sdk.AuthenticationError):
        sdk.open(max_retries=0).chat.completions.create(model="m", messages=HI, stream=True)


@snippet({"then": {"sse": [{"id": "s", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": "In "}, "finish_reason": None}]}, {"error": {"message": "it broke", "code": 500}}]}})
def half_way(sdk: Sdk) -> None:
    stream = sdk.open(max_retries=0).chat.completions.create(model="m", messages=HI, stream=True)
    text = ""
    with pytest.raises(sdk.APIError, match="it broke"):
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    assert text == "In "


@snippet(fails(404))
async def asyncio_no_such_model(sdk: Sdk) -> None:
    with pytest.raises(sdk.NotFoundError) as caught:
        await sdk.open_async(max_retries=0).chat.completions.create(model="m", messages=HI)
    assert caught.value.request_id == "req-8"


@snippet(NEVER)
async def asyncio_cancelled(sdk: Sdk) -> None:
    client = sdk.open_async()
    task = asyncio.ensure_future(client.chat.completions.create(model="m", messages=HI))
    await asyncio.to_thread(sdk.up.wait_for, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sdk.up.settled()[0]["client_closed_ms"] is not None
