"""Responses: dicts that are also objects."""

from __future__ import annotations

import ast
import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import interfuse
from interfuse import Record
from interfuse._openai_fields import NAMES

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


def test_what_is_left_out() -> None:
    r = record()
    assert set(r.model_dump(exclude={"usage"})) == {"id", "choices"} and r.to_dict(include=["id"]) == {"id": "x"}
    assert json.loads(r.to_json(include={"usage"}, by_alias=True)) == {"usage": {"total_tokens": 3}}
    with pytest.raises(TypeError, match="exclude_noen"):
        r.model_dump(exclude_noen=True)
    with pytest.raises(TypeError, match="own fields"):
        r.model_dump_json(exclude={"usage": {"total_tokens"}})


def test_what_was_stored_comes_back() -> None:
    r = record()
    stored: list[Any] = [interfuse.ChatCompletion.model_validate(r.to_dict()), Record.model_validate_json(r.to_json())]
    for again in stored:
        assert again == r and again.choices[0].message.content is None and again.usage.total_tokens == 3
    wrong: Any = [1]
    with pytest.raises(TypeError, match="list"):
        Record.model_validate(wrong)


def test_request_id() -> None:
    assert Record(interfuse=Record(request_id="req-1"))._request_id == "req-1"
    assert record()._request_id is None


def test_what_openai_has_not_is_extra() -> None:
    r = Record(id="x", citations=["a"], interfuse=Record())
    assert r.model_extra == {"citations": ["a"], "interfuse": {}} and r.model_fields_set == {"id", "citations", "interfuse"}
    stub = ast.parse((Path(interfuse.__file__).parent / "_responses.pyi").read_text())
    openais = {"ChatCompletion", "Choice", "AssistantMessage", "ToolCall", "FunctionCall", "Logprobs", "TokenLogprob", "Usage"}
    openais |= {"PromptTokensDetails", "CompletionTokensDetails", "ChatCompletionChunk", "ChunkChoice", "Delta", "EmbeddingResponse"}
    fields = {
        part.target.id
        for one in stub.body
        if isinstance(one, ast.ClassDef) and one.name in openais
        for part in one.body
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    }
    assert fields - NAMES == {"interfuse", "reasoning_content"}
