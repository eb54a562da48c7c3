"""huggingface_hub's client, unmodified, on interfuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import huggingface_hub as hub
import pytest
from scripted import HI, Start, answers

import interfuse


@pytest.fixture
def put_back() -> Iterator[None]:
    """Its transport is of the whole process."""
    yield
    from huggingface_hub.utils import _http

    hub.set_client_factory(_http.default_client_factory)


def test_an_answer_and_a_stream(start: Start, transport: Any, put_back: None) -> None:
    up = start(answers("m", "In Bern of course."))
    hub.set_client_factory(lambda: transport.Client(interfuse.Client(up.config)))
    client = hub.InferenceClient(base_url="http://interfuse.invalid/v1", api_key="not sent")
    answer = client.chat.completions.create(model="up/m", messages=HI)
    assert answer.choices[0].message.content == "In Bern of course."
    said = client.chat.completions.create(model="up/m", messages=HI, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said if chunk.choices) == "In Bern of course."
    assert len(up.settled()) == 2
