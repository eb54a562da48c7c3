"""Keys from callables: asked before every request, on a thread that may wait, and never told."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import pytest
from conftest import GUARD, HI, Start, answers, run_python

import interfuse


def rotating() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"key-number-{next(numbers)}"


def sent(up: Any, header: str = "authorization") -> list[str]:
    return [request["headers"][header] for request in up.settled()]


def test_each_request_carries_the_key_of_its_moment(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    key = rotating()
    providers = {"up": {"base_url": up.base_url, "api_key": key}}
    for client in (
        interfuse.Client({"use_environment": False}, providers=providers),
        interfuse.Client({"use_environment": False, "providers": providers}),
        interfuse.Client({"use_environment": False}, provider="up", base_url=up.base_url, api_key=key),
    ):
        client.chat(model="m-a", messages=HI, provider="up")
        client.with_options(timeout=GUARD).chat(model="m-a", messages=HI, provider="up")
    assert sent(up) == [f"Bearer key-number-{n}" for n in range(1, 7)]
    assert providers["up"]["api_key"] is key, "what the caller gave is left as it was"


def test_a_refused_key_is_asked_for_once_more(start: Start) -> None:
    refused = {"status": 401, "json": {"error": {"message": "key-number-1 is not known"}}}
    up = start({"when": {"header": {"authorization": "Bearer key-number-2"}}, "then": {"answer": "ok"}}, {"then": refused})
    client = interfuse.Client(providers={"up": {"base_url": up.base_url, "api_key": rotating()}})
    assert client.chat(model="up/m", messages=HI).choices[0].message.content == "ok"
    with pytest.raises(interfuse.AuthenticationError) as told:
        client.chat(model="up/m", messages=HI)
    assert "key-number" not in str(told.value) and "key-number" not in str(told.value.body)


def test_what_the_callable_raises_or_gives_wrongly_is_an_authentication_error(start: Start) -> None:
    up = start(answers("m-a", "never"))

    def closed() -> str:
        raise OSError("the vault is closed")

    for function, told in ((closed, "OSError: the vault is closed"), (lambda: None, "a str, not NoneType"), (lambda: "", "no key")):
        client = interfuse.Client(providers={"up": {"base_url": up.base_url, "api_key": function}})
        with pytest.raises(interfuse.AuthenticationError, match=told) as error:
            client.chat(model="up/m-a", messages=HI)
        assert error.value.provider == "up"
        assert client.usage().total.cost_unknown == 0
    assert up.settled() == []


def test_async_callables_run_in_the_loop_of_the_call(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    numbers, loops = count(1), []

    async def key() -> str:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return f"key-number-{next(numbers)}"

    client = interfuse.AsyncClient(providers={"up": {"base_url": up.base_url, "api_key": key}})

    async def main() -> asyncio.AbstractEventLoop:
        await client.chat(model="up/m-a", messages=HI)
        await client.with_options(timeout=GUARD).chat(model="up/m-a", messages=HI)
        async for _ in await client.chat(model="up/m-a", messages=HI, stream=True):
            pass
        return asyncio.get_running_loop()

    first, second = asyncio.run(main()), asyncio.run(main())
    assert sent(up) == [f"Bearer key-number-{n}" for n in range(1, 7)]
    assert loops == [first] * 3 + [second] * 3


def test_sync_callables_do_not_hold_up_the_loop(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    go, threads = threading.Event(), []

    def key() -> str:
        threads.append(threading.current_thread())
        assert go.wait(GUARD)
        return "key-of-up"

    async def main() -> None:
        client = interfuse.AsyncClient(providers={"up": {"base_url": up.base_url, "api_key": key}})
        call = asyncio.ensure_future(client.chat(model="up/m-a", messages=HI))
        while not threads:
            await asyncio.sleep(0.01)
        go.set()
        await call

    asyncio.run(main())
    assert threads[0] is not threading.main_thread()
    assert sent(up) == ["Bearer key-of-up"]


def test_an_async_callable_needs_the_async_client() -> None:
    async def key() -> str:
        return "key"

    with pytest.raises(interfuse.ConfigError, match="providers.openai.api_key: .*AsyncClient"):
        interfuse.Client(providers={"openai": {"api_key": key}})
    client = interfuse.Client(providers={"openai": {"api_key": lambda: key()}})
    with pytest.raises(interfuse.AuthenticationError, match="AsyncClient"):
        client.chat(model="openai/gpt-5-mini", messages=HI)


def test_ctrl_c_while_a_callable_waits(start: Start) -> None:
    up = start(answers("m-a", "never"))
    waiting, go = threading.Event(), threading.Event()

    def key() -> str:
        waiting.set()
        go.wait(GUARD)
        return "key-of-up"

    def interrupt() -> None:
        waiting.wait(GUARD)
        os.kill(os.getpid(), signal.SIGINT)

    client = interfuse.Client(providers={"up": {"base_url": up.base_url, "api_key": key}})
    thread = threading.Thread(target=interrupt)
    # A process that was started in the background ignores the signal from its beginning.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            client.chat(model="up/m-a", messages=HI)
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join(GUARD)
    go.set()
    assert up.settled() == []


class Frozen(NamedTuple):
    """As botocore's frozen credentials."""

    access_key: str
    secret_key: str
    token: str | None
    account_id: str | None


class Session:
    """As boto3's session, as far as it is used."""

    region_name = "eu-west-1"

    def __init__(self) -> None:
        self._numbers = count(1)

    def get_credentials(self) -> Session:
        return self

    def get_frozen_credentials(self) -> Frozen:
        return Frozen(f"AKID{next(self._numbers)}", "a-secret-of-the-account", "a-session", "123456789012")


def test_keys_of_an_aws_account(start: Start) -> None:
    body = {"embedding": [0.5], "inputTextTokenCount": 1}
    up = start({"then": {"json": body}})
    numbers = count(3)

    def keys() -> dict[str, Any]:
        return {"AccessKeyId": f"AKID{next(numbers)}", "SecretAccessKey": "a-secret-of-the-account", "SessionToken": "a-session"}

    for credentials, region in ((Session(), {}), (keys, {"vars": {"region": "eu-west-1"}})):
        given = {"base_url": up.root, "credentials": credentials, **region}
        client = interfuse.Client({"use_environment": False}, providers={"bedrock": given})
        for _ in range(2):
            client.embeddings.create(model="bedrock/amazon.titan-embed-text-v2:0", input="hello")
    signed = sent(up)
    assert [s.split("/")[0] for s in signed] == [f"AWS4-HMAC-SHA256 Credential=AKID{n}" for n in (1, 2, 3, 4)]
    assert all("/eu-west-1/bedrock/" in s for s in signed)
    assert set(sent(up, "x-amz-security-token")) == {"a-session"}


def test_an_access_token_goes_as_one_whatever_the_header_for_keys_is(start: Start) -> None:
    up = start(answers("gpt-mine", "ok"))
    tokens = iter(("token-number-1", "token-number-2"))
    azure = {"base_url": up.root, "credentials": lambda: next(tokens)}
    client = interfuse.Client({"use_environment": False}, providers={"azure": azure})
    for _ in range(2):
        assert client.chat(model="gpt-mine", messages=HI, provider="azure").choices[0].message.content == "ok"
    assert sent(up) == ["Bearer token-number-1", "Bearer token-number-2"]
    assert not any("api-key" in request["headers"] for request in up.settled())


def test_a_key_of_text_laid_over_a_callable_replaces_it(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    config = {"use_environment": False, "providers": {"up": {"base_url": up.base_url, "api_key": rotating()}}}
    interfuse.Client(config, providers={"up": {"api_key": "key-of-text"}}).chat(model="up/m-a", messages=HI)
    interfuse.Client(config, providers={"up": {"api_key": lambda: "key-of-another"}}).chat(model="up/m-a", messages=HI)
    assert sent(up) == ["Bearer key-of-text", "Bearer key-of-another"]


def test_credentials_that_are_none_are_refused() -> None:
    with pytest.raises(interfuse.ConfigError, match="providers.bedrock.credentials: .*not int"):
        interfuse.Client(providers={"bedrock": {"credentials": 5}})


def test_a_pickled_client_leaves_its_callables_behind(start: Start) -> None:
    up = start(answers("m-a", "never"))
    client = interfuse.Client({"use_environment": False}, providers={"up": {"base_url": up.base_url, "api_key": rotating()}})
    twin = pickle.loads(pickle.dumps(client))
    assert [p.key_from for p in client.providers() if p.id == "up"] == ["callable"]
    assert [p.key_from for p in twin.providers() if p.id == "up"] == [None]


def test_clients_without_callables_load_nothing_for_them() -> None:
    source = "import sys, interfuse; interfuse.Client({'providers': {'openai': {'api_key': 'k'}}}); print('interfuse._keys' in sys.modules)"
    assert run_python(source).stdout.strip() == "False"
