"""Signatures of AWS requests: botocore signs the request that interfuse sent, at the same time, and must get the same."""

from __future__ import annotations

import json
from typing import Any, Callable

import dialects
import judges
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import Upstream

import interfuse

MODELS = [
    "amazon.nova-lite-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3",
]


@pytest.mark.parametrize("token", [None, "a-session-token/+="], ids=["long-term", "session"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", MODELS)
def test_botocore_signs_alike(
    model: str, stream: bool, token: str | None, upstream: Callable[[dict[str, Any]], Upstream],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = judges.AWS
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["secret_access_key"])
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    else:
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    said = dialects.Said(pieces=("Grüezi.",))
    server = upstream(dialects.bedrock_stream(said) if stream else dialects.bedrock_whole(said))
    providers = {"bedrock": {"base_url": server.base_url, "credentials": {}, "vars": {"region": judges.REGION}}}
    with interfuse.Client(config={"providers": providers}) as client:
        request: dict[str, Any] = {"model": model, "provider": "aws"}
        request["messages"] = [{"role": "user", "content": "Grüezi – 日本語"}]
        if stream:
            assert list(client.chat.completions.create(**request, stream=True))
        else:
            assert client.chat.completions.create(**request).choices[0].message.content == "Grüezi."

    (sent,) = server.log()
    headers = sent["headers"]
    scheme, fields = headers["authorization"].split(" ", 1)
    assert scheme == "AWS4-HMAC-SHA256"
    ours = dict(part.strip().split("=", 1) for part in fields.split(","))
    signed = ours["SignedHeaders"].split(";")
    assert "host" in signed and "x-amz-date" in signed and ("x-amz-security-token" in signed) == bool(token)

    # botocore takes the time from its own clock; here it takes the one that was sent.
    auth = SigV4Auth(Credentials(keys["access_key_id"], keys["secret_access_key"], token), "bedrock", judges.REGION)
    body = json.dumps(sent["body"], separators=(",", ":"), ensure_ascii=False).encode()
    assert len(body) == int(headers["content-length"]), "the body can be told from its JSON"
    again = AWSRequest(method="POST", url=server.base_url + sent["path"], data=body)
    for name in signed:
        if name not in ("host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"):
            again.headers[name] = headers[name]
    again.headers["host"] = headers["host"]
    again.headers["X-Amz-Date"] = headers["x-amz-date"]
    again.context["timestamp"] = headers["x-amz-date"]
    if token:
        again.headers["X-Amz-Security-Token"] = token
    if "x-amz-content-sha256" in signed:
        again.headers["X-Amz-Content-SHA256"] = headers["x-amz-content-sha256"]
    canonical = auth.canonical_request(again)
    assert auth.signature(auth.string_to_sign(again, canonical), again) == ours["Signature"]
