"""The official SDKs, each asked the same thing: how its vendor's words are meant to be read.

A judge gives `Heard`, in OpenAI's words for why an answer ended; what a vendor's field means is taken from the SDK's own
types and helpers, not from interfuse.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable

import dialects
from dialects import Dialect

Json = dict[str, Any]

QUESTION = "What is the capital of Switzerland?"
TOOL = {
    "name": "get_weather",
    "description": "The weather of the next days.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
OPENAI_TOOLS: list[Any] = [{"type": "function", "function": TOOL}]
KEY = "key-for-the-test-0123456789"
REGION = "us-east-1"
AWS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}


@dataclass
class Heard:
    """What a client made of an answer."""

    text: str
    calls: list[tuple[str, Json]]
    finish: str
    tokens: tuple[int, int]


@dataclass(frozen=True)
class Judge:
    """One SDK: `ask(base_url, model, tools, stream)`; failures raise, and `status` reads the status of such an exception."""

    name: str
    dialect: Dialect
    ask: Callable[[str, str, bool, bool], Heard]
    status: Callable[[BaseException], int]
    provider: Callable[[str], Json]
    """interfuse's configuration of the same backend."""


def from_openai_chunks(chunks: Any) -> Heard:
    text, finish, tokens = "", "", (0, 0)
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        if chunk.usage:
            tokens = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                known = calls.setdefault(call.index, ["", ""])
                known[0] += call.function.name or ""
                known[1] += call.function.arguments or ""
    return Heard(text, [(name, json.loads(args)) for name, args in calls.values()], finish, tokens)


def from_openai(answer: Any) -> Heard:
    choice = answer.choices[0]
    arguments = lambda a: json.loads(a) if isinstance(a, str) else a  # noqa: E731
    calls = [(c.function.name, arguments(c.function.arguments)) for c in choice.message.tool_calls or []]
    usage = answer.usage
    return Heard(choice.message.content or "", calls, choice.finish_reason, (usage.prompt_tokens, usage.completion_tokens))


def like_openai(client: Any, model: str, tools: bool, stream: bool, **more: Any) -> Heard:
    """The clients that are generated from the same template as OpenAI's."""
    if tools:
        more["tools"] = OPENAI_TOOLS
    if stream:
        more["stream"] = True
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    answer = client.chat.completions.create(model=model, messages=messages, **more)
    return from_openai_chunks(answer) if stream else from_openai(answer)


WITH_USAGE = {"stream_options": {"include_usage": True}}


def openai(base: str, model: str, tools: bool, stream: bool) -> Heard:
    import openai

    client = openai.OpenAI(api_key=KEY, base_url=f"{base}/v1", max_retries=0)
    return like_openai(client, model, tools, stream, **(WITH_USAGE if stream else {}))


def azure(base: str, model: str, tools: bool, stream: bool) -> Heard:
    import openai

    client = openai.AzureOpenAI(api_key=KEY, azure_endpoint=base, api_version="2024-10-21", max_retries=0)
    return like_openai(client, model, tools, stream, **(WITH_USAGE if stream else {}))


def groq(base: str, model: str, tools: bool, stream: bool) -> Heard:
    import groq

    return like_openai(groq.Groq(api_key=KEY, base_url=base, max_retries=0), model, tools, stream)


def hugging_face(base: str, model: str, tools: bool, stream: bool) -> Heard:
    import huggingface_hub

    client = huggingface_hub.InferenceClient(base_url=f"{base}/v1", api_key=KEY)
    return like_openai(client, model, tools, stream, **(WITH_USAGE if stream else {}))


def mistral(base: str, model: str, tools: bool, stream: bool) -> Heard:
    from mistralai.client import Mistral

    client = Mistral(api_key=KEY, server_url=base)
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    more: Json = {"tools": OPENAI_TOOLS} if tools else {}
    if stream:
        return from_openai_chunks(event.data for event in client.chat.stream(model=model, messages=messages, **more))
    return from_openai(client.chat.complete(model=model, messages=messages, **more))


def anthropic(base: str, model: str, tools: bool, stream: bool) -> Heard:
    import anthropic

    client = anthropic.Anthropic(api_key=KEY, base_url=base, max_retries=0)
    more: Json = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": QUESTION}]}
    if tools:
        more["tools"] = [{"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["parameters"]}]
    if stream:
        with client.messages.stream(**more) as events:
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**more)
    text = "".join(block.text for block in answer.content if block.type == "text")
    calls = [(block.name, dict(block.input)) for block in answer.content if block.type == "tool_use"]
    finish = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}[str(answer.stop_reason)]
    usage = answer.usage
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Heard(text, calls, finish, (prompt, usage.output_tokens))


def gemini(base: str, model: str, tools: bool, stream: bool) -> Heard:
    from google import genai
    from google.genai import types

    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=base, api_version="v1beta"))
    function = types.FunctionDeclaration(
        name=str(TOOL["name"]), description=str(TOOL["description"]), parameters_json_schema=TOOL["parameters"]
    )
    off = types.AutomaticFunctionCallingConfig(disable=True)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[function])] if tools else None, automatic_function_calling=off
    )
    if stream:
        answers = list(client.models.generate_content_stream(model=model, contents=QUESTION, config=config))
    else:
        answers = [client.models.generate_content(model=model, contents=QUESTION, config=config)]
    text, calls, finish = "", [], ""
    for answer in answers:
        candidate = answer.candidates[0]
        for part in candidate.content.parts or []:
            text += part.text or ""
            if part.function_call:
                calls.append((part.function_call.name, dict(part.function_call.args)))
        finish = candidate.finish_reason.name if candidate.finish_reason else finish
    usage = answers[-1].usage_metadata
    completion = usage.candidates_token_count + usage.thoughts_token_count
    finish = "tool_calls" if calls else {"STOP": "stop", "MAX_TOKENS": "length"}[finish]
    return Heard(text, calls, finish, (usage.prompt_token_count, completion))


def cohere(base: str, model: str, tools: bool, stream: bool) -> Heard:
    import cohere

    client = cohere.ClientV2(api_key=KEY, base_url=base)
    more: Json = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
    if tools:
        more["tools"] = OPENAI_TOOLS
    words = {"COMPLETE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}
    if not stream:
        answer = client.chat(**more)
        text = "".join(part.text for part in answer.message.content or [] if part.type == "text")
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in answer.message.tool_calls or []]
        tokens = answer.usage.tokens
        return Heard(text, calls, words[answer.finish_reason], (int(tokens.input_tokens), int(tokens.output_tokens)))
    text, finish, counted = "", "", (0, 0)
    parts: dict[int, list[str]] = {}
    for event in client.chat_stream(**more):
        if event.type == "content-delta":
            text += event.delta.message.content.text or ""
        elif event.type == "tool-call-start":
            parts[event.index] = [event.delta.message.tool_calls.function.name, ""]
        elif event.type == "tool-call-delta":
            parts[event.index][1] += event.delta.message.tool_calls.function.arguments
        elif event.type == "message-end":
            finish = words[event.delta.finish_reason]
            tokens = event.delta.usage.tokens
            counted = (int(tokens.input_tokens), int(tokens.output_tokens))
    return Heard(text, [(name, json.loads(args)) for name, args in parts.values()], finish, counted)


def bedrock_client(base: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "bedrock-runtime",
        endpoint_url=base,
        region_name=REGION,
        aws_access_key_id=AWS["access_key_id"],
        aws_secret_access_key=AWS["secret_access_key"],
        config=Config(retries={"max_attempts": 1, "mode": "standard"}),
    )


def bedrock(base: str, model: str, tools: bool, stream: bool) -> Heard:
    client = bedrock_client(base)
    more: Json = {"modelId": model, "messages": [{"role": "user", "content": [{"text": QUESTION}]}]}
    if tools:
        spec = {"name": TOOL["name"], "description": TOOL["description"], "inputSchema": {"json": TOOL["parameters"]}}
        more["toolConfig"] = {"tools": [{"toolSpec": spec}]}
    words = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
    if not stream:
        answer = client.converse(**more)
        content = answer["output"]["message"]["content"]
        text = "".join(block.get("text", "") for block in content)
        calls = [(b["toolUse"]["name"], b["toolUse"]["input"]) for b in content if "toolUse" in b]
        usage = answer["usage"]
        return Heard(text, calls, words[answer["stopReason"]], (usage["inputTokens"], usage["outputTokens"]))
    text, finish, counted = "", "", (0, 0)
    parts: dict[int, list[str]] = {}
    for event in client.converse_stream(**more)["stream"]:
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            parts[start["contentBlockIndex"]] = [start["start"]["toolUse"]["name"], ""]
        elif "contentBlockDelta" in event:
            delta = event["contentBlockDelta"]["delta"]
            text += delta.get("text", "")
            if "toolUse" in delta:
                parts[event["contentBlockDelta"]["contentBlockIndex"]][1] += delta["toolUse"]["input"]
        elif "messageStop" in event:
            finish = words[event["messageStop"]["stopReason"]]
        elif "metadata" in event:
            usage = event["metadata"]["usage"]
            counted = (usage["inputTokens"], usage["outputTokens"])
    return Heard(text, [(name, json.loads(args)) for name, args in parts.values()], finish, counted)


def status_code(error: BaseException) -> int:
    """Of the clients that call it `status_code`, on the exception or on its response."""
    own = getattr(error, "status_code", None)
    return int(own if own is not None else error.response.status_code)  # type: ignore[attr-defined]


JUDGES = [
    Judge("openai", dialects.OPENAI, openai, status_code, lambda base: {"base_url": f"{base}/v1", "api_key": KEY}),
    Judge(
        "openai.AzureOpenAI",
        dialects.AZURE,
        azure,
        status_code,
        lambda base: {"base_url": base, "api_key": KEY, "vars": {"api_version": "2024-10-21"}},
    ),
    Judge("anthropic", dialects.ANTHROPIC, anthropic, status_code, lambda base: {"base_url": base, "api_key": KEY}),
    Judge(
        "google-genai",
        dialects.GEMINI,
        gemini,
        lambda e: int(e.code),  # type: ignore[attr-defined]
        lambda base: {"base_url": f"{base}/v1beta", "api_key": KEY},
    ),
    Judge("cohere", dialects.COHERE, cohere, status_code, lambda base: {"base_url": base, "api_key": KEY}),
    Judge(
        "boto3",
        dialects.BEDROCK,
        bedrock,
        lambda e: int(e.response["ResponseMetadata"]["HTTPStatusCode"]),  # type: ignore[attr-defined]
        lambda base: {"base_url": base, "credentials": {}, "vars": {"region": REGION}},
    ),
    Judge("mistralai", dialects.MISTRAL, mistral, status_code, lambda base: {"base_url": f"{base}/v1", "api_key": KEY}),
    Judge("groq", dialects.GROQ, groq, status_code, lambda base: {"base_url": f"{base}/openai/v1", "api_key": KEY}),
    Judge(
        "huggingface_hub",
        dialects.HUGGING_FACE,
        hugging_face,
        status_code,
        lambda base: {"base_url": f"{base}/v1", "api_key": KEY},
    ),
]
