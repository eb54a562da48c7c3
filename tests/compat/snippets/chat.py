"""Chats, whole."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import pickle
from typing import Any

from . import HI, TOLD, Sdk, says, snippet, whole


@snippet(says("In Bern."))
def an_answer(sdk: Sdk) -> None:
    client = sdk.open()
    completion = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Where do you live?"}])
    assert completion.choices[0].message.content == "In Bern."


@snippet(whole({"content": "In Bern."}))
def what_a_completion_has(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI)
    assert (completion.id, completion.object, completion.created, completion.model) == ("chatcmpl-1", "chat.completion", 1700000000, "m")
    choice = completion.choices[0]
    assert (choice.index, choice.finish_reason, choice.message.role, choice.message.refusal) == (0, "stop", "assistant", None)
    assert choice.message.tool_calls is None and choice.logprobs is None


@snippet(says("In Bern.", usage=TOLD))
def usage(sdk: Sdk) -> None:
    used = sdk.open().chat.completions.create(model="m", messages=HI).usage
    assert (used.prompt_tokens, used.completion_tokens, used.total_tokens) == (7, 2, 9)


@snippet(
    whole(
        {"content": "In Bern."},
        usage={
            "prompt_tokens": 70,
            "completion_tokens": 20,
            "total_tokens": 90,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 16},
        },
    )
)
def usage_in_detail(sdk: Sdk) -> None:
    used = sdk.open().chat.completions.create(model="m", messages=HI).usage
    assert used.prompt_tokens_details.cached_tokens == 64
    assert used.completion_tokens_details.reasoning_tokens == 16


@snippet(says("Arr."))
def system_and_developer(sdk: Sdk) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Talk like a pirate."},
        {"role": "user", "content": "Hello?", "name": "anna"},
    ]
    assert sdk.open().chat.completions.create(model="m", messages=messages).choices[0].message.content == "Arr."


@snippet(says("In Bern."))
def a_conversation_goes_on(sdk: Sdk) -> None:
    client, history = sdk.open(), list(HI)
    for question in ("And before?", "Why?"):
        reply = client.chat.completions.create(model="m", messages=history).choices[0].message
        history.append({"role": reply.role, "content": reply.content})
        history.append({"role": "user", "content": question})
    assert [message["role"] for message in history] == ["user", "assistant", "user", "assistant", "user"]
    client.chat.completions.create(model="m", messages=history)


@snippet(says("In Bern."), alike=False)
def a_message_is_put_back_as_it_is(sdk: Sdk) -> None:
    client = sdk.open()
    messages = [*HI]
    messages.append(client.chat.completions.create(model="m", messages=messages).choices[0].message)
    messages.append({"role": "user", "content": "Sure?"})
    client.chat.completions.create(model="m", messages=messages)
    assert sdk.up.settled()[1]["body"]["messages"][1]["content"] == "In Bern."


@snippet(says("In Bern."))
def how_to_sample(sdk: Sdk) -> None:
    sdk.open().chat.completions.create(
        model="m", messages=HI, temperature=0.2, top_p=0.9, presence_penalty=0.1, frequency_penalty=-0.1, logit_bias={"50256": -100}
    )


@snippet(says("In Bern."))
def how_long(sdk: Sdk) -> None:
    client = sdk.open()
    client.chat.completions.create(model="m", messages=HI, max_tokens=16)
    client.chat.completions.create(model="m", messages=HI, max_completion_tokens=16)


@snippet(
    whole(choices=[{"index": i, "message": {"role": "assistant", "content": f"answer {i}"}, "finish_reason": "stop"} for i in range(3)])
)
def several_answers(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI, n=3)
    assert [choice.message.content for choice in completion.choices] == ["answer 0", "answer 1", "answer 2"]


@snippet(says("In"))
def where_to_stop(sdk: Sdk) -> None:
    client = sdk.open()
    client.chat.completions.create(model="m", messages=HI, stop="Bern")
    client.chat.completions.create(model="m", messages=HI, stop=["Bern", "\n"])


@snippet(whole({"content": "In Bern."}, system_fingerprint="fp_1"))
def a_seed(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI, seed=42)
    assert completion.system_fingerprint == "fp_1"


LOGPROBS = {
    "content": [
        {"token": "Bern", "logprob": -0.1, "bytes": [66], "top_logprobs": [{"token": "Zug", "logprob": -2.5, "bytes": None}]},
        {"token": ".", "logprob": -0.2, "bytes": [46], "top_logprobs": []},
    ],
    "refusal": None,
}


@snippet(whole(choices=[{"index": 0, "message": {"role": "assistant", "content": "Bern."}, "finish_reason": "stop", "logprobs": LOGPROBS}]))
def log_probabilities(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI, logprobs=True, top_logprobs=1)
    first, second = completion.choices[0].logprobs.content
    assert (first.token, first.logprob, second.token) == ("Bern", -0.1, ".")
    assert first.top_logprobs[0].token == "Zug"


@snippet(says("In Bern."))
def what_is_only_passed_on(sdk: Sdk) -> None:
    sdk.open().chat.completions.create(
        model="m", messages=HI, user="u-1", metadata={"app": "demo"}, store=False, prompt_cache_key="k", safety_identifier="s"
    )


@snippet(whole({"content": "In Bern."}, service_tier="flex"))
def a_service_tier(sdk: Sdk) -> None:
    assert sdk.open().chat.completions.create(model="m", messages=HI, service_tier="flex").service_tier == "flex"


@snippet(says("In Bern."))
def reasoning_effort(sdk: Sdk) -> None:
    sdk.open().chat.completions.create(model="m", messages=HI, reasoning_effort="low", verbosity="low")


@snippet(says('{"city": "Bern"}'))
def json_mode(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI, response_format={"type": "json_object"})
    assert json.loads(completion.choices[0].message.content) == {"city": "Bern"}


@snippet(says('{"city": "Bern"}'))
def a_schema_written_out(sdk: Sdk) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    format_ = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    completion = sdk.open().chat.completions.create(model="m", messages=HI, response_format=format_)
    assert json.loads(completion.choices[0].message.content)["city"] == "Bern"


@snippet(says("A bear."))
def an_image_at_an_address(sdk: Sdk) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/bear.png", "detail": "low"}},
    ]
    completion = sdk.open().chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])
    assert completion.choices[0].message.content == "A bear."


@snippet(says("A dot."))
def an_image_in_the_request(sdk: Sdk) -> None:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode("utf-8")
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}]
    sdk.open().chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])


@snippet(says("A bell."))
def sound_in_the_request(sdk: Sdk) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]
    sdk.open().chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])


@snippet(whole({"content": "In Bern."}))
def as_plain_data(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI)
    for plain in (completion.model_dump(), completion.to_dict(), json.loads(completion.to_json()), json.loads(completion.model_dump_json())):
        assert plain["choices"][0]["message"]["content"] == "In Bern." and plain["usage"]["total_tokens"] == 9
    assert "refusal" not in completion.model_dump(exclude_none=True)["choices"][0]["message"]
    assert json.loads(completion.model_dump_json(indent=2, exclude_none=True))["id"] == "chatcmpl-1"
    assert type(completion.model_dump()) is dict and "choices" in completion.model_fields_set


@snippet(whole({"content": "In Bern.", "mood": "good"}, citations=["https://example.com"]))
def what_a_vendor_adds(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI)
    assert completion.citations == ["https://example.com"] and completion.choices[0].message.mood == "good"
    assert completion.model_extra["citations"] == ["https://example.com"]
    assert completion.choices[0].message.model_extra == {"mood": "good"}


@snippet(whole({"content": "In Bern."}))
def copies(sdk: Sdk) -> None:
    completion = sdk.open().chat.completions.create(model="m", messages=HI)
    for again in (copy.deepcopy(completion), pickle.loads(pickle.dumps(completion))):
        assert again == completion and again.choices[0].message.content == "In Bern."
    assert "In Bern." in repr(completion) and hasattr(completion, "usage") and not hasattr(completion, "uzage")


@snippet(whole({"content": None, "refusal": "I will not."}))
def a_refusal(sdk: Sdk) -> None:
    message = sdk.open().chat.completions.create(model="m", messages=HI).choices[0].message
    assert message.content is None and message.refusal == "I will not."


@snippet(says("In Bern."))
async def asyncio_answer(sdk: Sdk) -> None:
    client = sdk.open_async()
    completion = await client.chat.completions.create(model="m", messages=HI)
    assert completion.choices[0].message.content == "In Bern."
    await client.close()


@snippet(*({"when": {"model": f"m-{i}"}, "then": {"answer": f"answer {i}"}} for i in range(4)), alike=False)
async def asyncio_several_at_once(sdk: Sdk) -> None:
    async with sdk.open_async() as client:

        async def ask(i: int) -> Any:
            return (await client.chat.completions.create(model=f"m-{i}", messages=HI)).choices[0].message.content

        assert await asyncio.gather(*map(ask, range(4))) == [f"answer {i}" for i in range(4)]
