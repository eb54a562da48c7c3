"""Responses: dicts that are also objects."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from interfuse import Record

DATA: Any = {"id": "x", "choices": [Record(message=Record(content=None))], "usage": Record(total_tokens=3)}


def record() -> Any:
    return Record(copy.deepcopy(DATA))


def test_both_ways_of_reading() -> None:
    r = record()
    assert r.usage.total_tokens == r["usage"]["total_tokens"] == 3
    assert r.choices[0].message.content is None
    assert r.system_fingerprint is None, "a field that a vendor may leave out"
    with pytest.raises(AttributeError, match="chioces"):
        _ = r.chioces
    assert not hasattr(r, "chioces")
    assert "choices" in dir(r)


def test_writing() -> None:
    r = record()
    r.note = "mine"
    assert r["note"] == "mine"
    del r.note
    with pytest.raises(AttributeError):
        del r.note


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r)), lambda r: r.copy()])
def test_copies_stay_records(way: Any) -> None:
    again: Any = way(record())
    assert again == record() and type(again) is Record and type(again["usage"]) is Record


def test_plain_forms() -> None:
    r = record()
    assert r.model_dump() == r.to_dict() == r
    assert type(r.to_dict()["choices"][0]["message"]) is dict
    assert r.model_dump(exclude_none=True, mode="json")["choices"] == [{"message": {}}]
    assert json.loads(json.dumps(r)) == json.loads(r.model_dump_json()) == r.to_dict()


def test_request_id() -> None:
    assert Record(interfuse=Record(request_id="req-1"))._request_id == "req-1"
    assert record()._request_id is None
