"""A key is shown by nothing that a program prints or logs."""

from __future__ import annotations

import io
import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
from conftest import HI, Start

import interfuse

CANARY = "canary-Qx7f3A9c1E5b2D8406zW"


def ways(base_url: str, folder: Path) -> dict[str, tuple[Any, Any]]:
    """Ways to give the key: configuration of the provider `up`, and keyword arguments."""
    file = folder / "key"
    file.write_text(CANARY)
    return {
        "api_key": ({"api_key": CANARY}, {}),
        "api_key_file": ({"api_key_file": str(file)}, {}),
        "keys": ({"keys": [{"name": "a", "api_key": CANARY}]}, {}),
        "headers": ({"api_key": "another-key", "headers": {"x-api-key": CANARY}}, {}),
        "callable": ({"api_key": lambda: CANARY}, {}),
    }


@pytest.mark.parametrize("way", ["api_key", "api_key_file", "keys", "headers", "callable"])
def test_a_key_is_told_nowhere(start: Start, tmp_path: Path, way: str) -> None:
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        up = start(
            {"when": {"model": "m-a"}, "then": {"status": 401, "json": {"error": {"message": f"bad {CANARY}", "code": CANARY}}}},
            {"when": {"model": "m-b"}, "then": {"status": 302, "headers": {"location": f"http://x/?k={CANARY}"}, "body": ""}},
            {"then": {"answer": "In Bern."}},
        )
        given, _ = ways(up.base_url, tmp_path)[way]
        config = {"use_environment": False, "providers": {"up": {"base_url": up.base_url, **given}}}
        client = interfuse.Client(config)
        for model in ("up/m-a", "up/m-b", "up/m-c"):
            try:
                answer = client.chat(model=model, messages=HI)
                told.write(f"{answer} {answer!r} {answer.model_dump()}\n")
            except interfuse.InterfuseError as error:
                told.write(f"{error} {error!r} {vars(error)} {error.args}\n")
                told.write("".join(traceback.format_exception(error)))
        told.write(f"{client} {client!r} {client.usage(by=['provider'])!r} {client.providers()!r}\n")
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(level)
    text = told.getvalue()
    assert "In Bern." in text and "***" in text
    assert CANARY not in text
    sent = json.dumps([request["headers"] for request in up.settled()])
    assert CANARY in sent, "the key was used"


def test_a_configuration_that_is_refused_does_not_tell_its_keys() -> None:
    wrong: Any = [
        {"providers": {"up": CANARY}},
        {"providers": {"up": {"base_url": "http://up", "keys": [CANARY]}}},
        {"providers": {"up": {"base_url": "http://up", "api_key": [CANARY]}}},
        {"providers": {"up": {"base_url": f"http://user:{CANARY}@up:99999/"}}},
    ]
    for config in wrong:
        with pytest.raises(interfuse.ConfigError) as caught:
            interfuse.Client(config)
        error = caught.value
        assert CANARY not in f"{error} {error!r} {vars(error)} {error.args}"


def test_what_is_too_deep_is_refused_and_not_read(start: Start) -> None:
    up = start({"then": {"answer": "In Bern."}})
    client = interfuse.Client(up.config)
    deep: Any = None
    for _ in range(100_000):
        deep = [deep]
    itself: Any = {}
    itself["x"] = [itself]
    for value in (deep, itself):
        with pytest.raises(interfuse.BadRequestError, match="deep"):
            client.chat(model="up/m", messages=HI, extra_body={"x": value})
        config: Any = {"pools": value}
        with pytest.raises(interfuse.ConfigError, match="deep"):
            interfuse.Client(config)
    assert client.chat(model="up/m", messages=HI, extra_body={"x": [[[{"y": [1]}]]]}).choices
    assert len(up.settled()) == 1
    # Taken apart step by step: Python's own way down would be deep, too.
    while deep is not None:
        deep = deep[0]
