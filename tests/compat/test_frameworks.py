"""What others built on openai's client, unmodified, on interfuse: instructor, LangChain, LlamaIndex."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import instructor
import openai
import pytest
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI as LlamaOpenAI
from pydantic import BaseModel, field_validator
from scripted import Start, Upstream, answers

import interfuse

NOT_SENT = {"api_key": "not sent", "base_url": "http://interfuse.invalid/v1"}


def both(transport: Any, up: Upstream) -> tuple[Any, Any]:
    """The transport for blocking calls and the one for asyncio."""
    # These clients know models by their vendors' names; the provider is said once.
    blocking = interfuse.Client(up.config, provider="up", max_retries=0)
    return transport.Client(blocking), transport.AsyncClient(interfuse.AsyncClient(up.config, provider="up", max_retries=0))


class Place(BaseModel):
    city: str
    population: int

    @field_validator("population")
    @classmethod
    def plausible(cls, count: int) -> int:
        if count < 1000:
            raise ValueError("that is a village")
        return count


def structured(call: dict[str, Any]) -> dict[str, Any]:
    """An answer that calls instructor's tool."""
    function = {"name": "Place", "arguments": json.dumps(call)}
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {"json": {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}}


def test_instructor_asks_again(start: Start, transport: Any) -> None:
    up = start({"then": [structured({"city": "Bern", "population": 7}), structured({"city": "Bern", "population": 134591})]})
    http, _ = both(transport, up)
    client = instructor.from_openai(openai.OpenAI(**NOT_SENT, http_client=http))
    place = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Bern?"}], response_model=Place, max_retries=2
    )
    assert place.model_dump() == {"city": "Bern", "population": 134591}
    assert len(up.settled()) == 2 and "village" in json.dumps(up.settled()[1]["body"])


def test_langchain(start: Start, transport: Any) -> None:
    up = start(answers("m", "In Bern of course."))
    http, waiting = both(transport, up)
    chat = ChatOpenAI(model="m", **NOT_SENT, http_client=http, http_async_client=waiting)
    assert chat.invoke("Where?").content == "In Bern of course."
    assert "".join(str(chunk.content) for chunk in chat.stream("Where?")) == "In Bern of course."

    async def main() -> None:
        assert (await chat.ainvoke("Where?")).content == "In Bern of course."
        assert "".join([str(chunk.content) async for chunk in chat.astream("Where?")]) == "In Bern of course."

    asyncio.run(main())
    assert len(up.settled()) == 4


def test_langchain_calls_tools_and_hears_errors(start: Start, transport: Any) -> None:
    up = start({"then": [structured({"city": "Bern", "population": 134591}), {"status": 429, "json": {"error": {"message": "slow down"}}}]})
    http, _ = both(transport, up)
    chat = ChatOpenAI(model="m", **NOT_SENT, http_client=http)
    asked = chat.with_structured_output(Place, method="function_calling").invoke("Bern?")
    assert asked == Place(city="Bern", population=134591)
    with pytest.raises(openai.RateLimitError, match="slow down"):
        chat.invoke("Where?")


def test_llama_index(start: Start, transport: Any) -> None:
    up = start(answers("gpt-4o-mini", "In Bern of course."))
    http, waiting = both(transport, up)
    llm = LlamaOpenAI(model="gpt-4o-mini", api_key="not sent", api_base=NOT_SENT["base_url"], http_client=http, async_http_client=waiting)
    asked = [ChatMessage(role="user", content="Where?")]
    assert llm.chat(asked).message.content == "In Bern of course."
    assert [part.delta for part in llm.stream_chat(asked) if part.delta]
    assert asyncio.run(llm.achat(asked)).message.content == "In Bern of course."
    assert len(up.settled()) == 3


def test_a_fused_answer_in_langchain(start: Start, transport: Any) -> None:
    up = start(answers("m-a", "Bern."), answers("m-b", "Bern."), answers("m-c", "Zurich."))
    client = interfuse.Client({**up.config, "pools": {"three": {"pool": ["up/m-a", "up/m-b", "up/m-c"]}}})
    fusion = {"pool": "three", "mode": "vote"}
    chat = ChatOpenAI(model="interfuse/vote", **NOT_SENT, http_client=transport.Client(client), extra_body={"fusion": fusion})
    assert chat.invoke("Where?").content == "Bern."
