"""Where a client takes its configuration from, and what it puts into each request."""

from __future__ import annotations

import gzip
import json
import pickle
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import HI, Start, answers

import interfuse


def test_config_from_dict_file_and_variable(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    up = start(answers("m-a", "In Bern."))
    file = tmp_path / "interfuse.toml"
    file.write_text(f'[providers.up]\nbase_url = "{up.base_url}"\napi_key = "k"\n')
    clients = [interfuse.Client(up.config), interfuse.Client(str(file)), interfuse.Client(file)]
    monkeypatch.setenv("INTERFUSE_CONFIG", str(file))
    clients.append(interfuse.Client())
    for client in clients:
        assert client.chat(model="up/m-a", messages=HI).choices[0].message.content == "In Bern."


def test_faults_of_a_configuration_name_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(interfuse.ConfigError) as caught:
        interfuse.Client({"providers": {"up": {"base_urll": "x"}}})
    assert caught.value.param == "providers.up.base_urll"

    file = tmp_path / "wrong.toml"
    file.write_text("[retries]\nmax_retries = 'two'\n")
    with pytest.raises(interfuse.ConfigError, match="wrong.toml") as caught:
        interfuse.Client(file)
    assert caught.value.param == "retries.max_retries"

    monkeypatch.setenv("INTERFUSE_CONFIG", str(tmp_path / "missing.toml"))
    with pytest.raises(interfuse.ConfigError, match="missing.toml"):
        interfuse.Client()


def test_server_of_ones_own(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    client = interfuse.Client(base_url=up.base_url, api_key="key-1")
    assert client.chat(model="m-a", messages=HI).choices[0].message.content == "In Bern."
    assert up.settled()[0]["headers"]["authorization"] == "Bearer key-1"
    with pytest.raises(interfuse.ConfigError, match="provider"):
        interfuse.Client(api_key="key-1")


def test_defaults_are_added_and_can_be_outranked(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    client = interfuse.Client(up.config, default_headers={"x-team": "core", "x-app": "a"}, tags={"project": "search"})
    other = client.with_options(default_headers={"x-app": "b"}, tags={"team": "core"}, max_retries=0)
    client.chat(model="up/m-a", messages=HI, extra_headers={"x-app": "mine"})
    other.chat(model="up/m-a", messages=HI)
    first, second = (request["headers"] for request in up.settled())
    assert (first["x-team"], first["x-app"]) == ("core", "mine")
    assert (second["x-team"], second["x-app"]) == ("core", "b")
    rows = client.usage(by=["project", "team"]).rows
    assert [row.group for row in rows] == [{"project": "search", "team": None}, {"project": "search", "team": "core"}]


def test_usage_counts_what_was_used(start: Start) -> None:
    up = start(answers("m-a", "In Bern.", usage={"prompt_tokens": 7, "completion_tokens": 2}))
    client = interfuse.Client(up.config)
    client.chat(model="up/m-a", messages=HI)
    report = client.usage(by=["provider"])
    assert [(row.group, row.attempts, row.prompt_tokens) for row in report.rows] == [({"provider": "up"}, 1, 7)]
    assert client.usage(until=0).total.attempts == 0


def test_pickle_has_the_configuration_and_no_secret(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    config = up.config
    config["providers"]["up"]["headers"] = {"x-api-key": "secret-2", "x-app": "a"}
    client = interfuse.Client(config, default_headers={"authorization": "secret-3"}, tags={"project": "p"}, timeout=30)
    packed = pickle.dumps(client)
    assert b"key-of-up-only" not in packed and b"secret" not in packed
    again = pickle.loads(packed)
    assert again.with_options()._defaults == {"tags": {"project": "p"}, "timeout_ms": 30_000}
    assert up.base_url in str(again._native.config()) and "x-app" in str(again._native.config())
    assert "secret" not in repr(client)


def test_closed_client() -> None:
    with interfuse.Client() as client:
        pass
    with pytest.raises(interfuse.MisuseError, match="closed"):
        client.chat(model="up/m-a", messages=HI)
    client.close()


def test_price_lists(start: Start, tmp_path: Path) -> None:
    up = start(answers("m-a", "In Bern."))
    client = interfuse.Client(up.config)
    before = client.chat(model="up/m-a", messages=HI).interfuse
    assert before is not None and before.cost_nanos is None
    entry = {"litellm_provider": "up", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"up/m-a": entry, "up/m-b": {**entry, "input_cost_per_token": -1}}))
    for source in (file, str(file), file.read_bytes()):
        loaded = client.load_prices(source)
        assert (loaded.format, loaded.rows) == ("litellm", 1) and "up/m-b" in loaded.refused[0]
    answer = client.chat(model="up/m-a", messages=HI)
    assert answer.usage is not None and answer.interfuse is not None
    assert answer.interfuse.cost_nanos == answer.usage.prompt_tokens * 1000 + answer.usage.completion_tokens * 2000
    with pytest.raises(interfuse.BadRequestError, match="price list"):
        client.load_prices(b"{}")


def test_reconcile(start: Start, tmp_path: Path) -> None:
    up = start(answers("m-a", "In Bern.", usage={"prompt_tokens": 7, "completion_tokens": 3}))
    client = interfuse.Client({**up.config, "prices": {"up/m-a": {"input": "1", "output": "2"}}})
    client.chat(model="up/m-a", messages=HI)
    day = datetime.now(timezone.utc).date().isoformat()

    def report(usage: float) -> bytes:
        row = {"date": day, "model": "m-a", "usage": usage, "prompt_tokens": 7, "completion_tokens": 3}
        return json.dumps({"data": [row]}).encode()

    agreed = client.reconcile(report(0.000013), provider="up")
    assert agreed.ok and agreed.files[0].format == "openrouter.activity"
    (tmp_path / "a.json").write_bytes(report(0.00002))
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(report(0.00002)))
    found = client.reconcile(tmp_path / "a.json", provider="up", post=True)
    assert not found.ok and found.posted == 1 and found.days[0].classes == {"price_drift": 7000}
    again = client.reconcile(str(tmp_path / "a.json.gz"), provider="up", post=True)
    assert again.ok and again.posted == 0 and again.files[0].corrections_before == 1
    total = client.usage().total
    assert (total.cost_nanos, total.corrections_nanos) == (13_000, 7_000)
    with pytest.raises(interfuse.BadRequestError, match="report 1"):
        client.reconcile(b"no report")
    with pytest.raises(interfuse.BadRequestError, match="tolerance"):
        client.reconcile(report(1), tolerance="much")


class Parts:
    """As httpx.Timeout."""

    connect, read, write, pool = 2.0, 0.2, None, None


def test_a_timeout_in_parts(start: Start) -> None:
    up = start({"when": {}, "then": {"delay_ms": 20_000, "answer": "never"}})
    for client, more in ((interfuse.Client(up.config, timeout=Parts()), {}), (interfuse.Client(up.config), {"timeout": Parts()})):
        with pytest.raises(interfuse.APITimeoutError, match="first_byte|idle"):
            client.chat(model="up/m", messages=HI, max_retries=0, **more)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="number of seconds"):
        interfuse.Client(up.config, timeout="1s")  # type: ignore[arg-type]


def test_a_query_is_refused_rather_than_sent_elsewhere(start: Start) -> None:
    up = start(answers("m", "In Bern."))
    request: Any = {"model": "up/m", "messages": HI}
    with pytest.raises(interfuse.UnsupportedError, match="base_url"):
        interfuse.Client(up.config).chat(**request, extra_query={"a": "b"})
    interfuse.Client(up.config).chat(**request, extra_query=None)
    assert [entry["body"] for entry in up.settled()] == [{"model": "m", "messages": HI}]


def test_lists() -> None:
    client = interfuse.Client({"use_environment": False})
    providers = {p.id: p for p in client.providers()}
    assert providers["openai"].key_vars == ["OPENAI_API_KEY"] and providers["openai"].key_from is None
    models = client.models.list()
    assert all(offer.provider in providers for model in models for offer in model.offers)
    assert models.data == models and client.models.retrieve(models[0].id) == models[0]
    with pytest.raises(interfuse.NotFoundError, match="nowhere"):
        client.models.retrieve("nowhere/nothing")
