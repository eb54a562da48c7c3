//! Answers, streams and errors of Converse in OpenAI's words. Recorded traffic is replayed by the tests' crate.

use http::HeaderMap;
use serde_json::{Value, json};

use super::request_tests::{CLAUDE, CLAUDE_4, NOVA, NOVA_2, at, tool};
use super::*;
use crate::error::ErrorKind;
use crate::types::{ChatCompletionChunk, Message};
use crate::wire::{Assembler, Frame};

#[test]
fn signed_thoughts_go_back_to_their_own_vendor() {
    let body = json!({"output": {"message": {"role": "assistant", "content": [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}}, {"text": "I look."},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 7006652.0}}}]}},
        "stopReason": "tool_use", "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 99, "cacheReadInputTokens": 4,
        "cacheReadInputTokenCount": 4, "cacheWriteInputTokens": 5, "cacheWriteInputTokenCount": 5,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 5}], "serverToolUsage": {}}, "metrics": {"latencyMs": 8}})
    .to_string();
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-requestid", "r-1".parse().unwrap());
    let reply = Reply { status: 200, headers: &headers, body: body.as_bytes() };
    let got = at(CLAUDE, |target| BedrockConverse.decode(&reply, target)).unwrap();
    let usage = got.usage.clone().unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (12, 2, 14));
    assert_eq!(usage.prompt_tokens_details.unwrap().cache_write_tokens, Some(5));
    let told = usage.extra.keys().collect::<Vec<_>>();
    assert_eq!(told, ["cacheDetails", "totalTokens"], "a total that is not the sum is kept");
    assert_eq!((got.id.as_str(), &got.extra["metrics"]["latencyMs"]), ("r-1", &json!(8)));
    let message = &got.choices[0].message;
    assert_eq!((message.content.as_deref(), message.reasoning_content.as_deref()), (Some("I look."), Some("hm")));
    assert_eq!(message.tool_calls.as_ref().unwrap()[0].function.as_ref().unwrap().arguments, "{\"x\":7006652.0}");

    let mut request = ChatRequest { reasoning_effort: Some("low".into()), ..Default::default() };
    request.tools = serde_json::from_value(json!([tool("f")])).unwrap();
    let result = json!({"role": "tool", "tool_call_id": "t", "content": "1"});
    request.messages = vec![Message::user("q"), Message::from(message), serde_json::from_value(result).unwrap()];
    let body = |model: &str| -> Value {
        let encoded = at(model, |target| BedrockConverse.encode(&request, target, false)).unwrap();
        serde_json::from_slice(&encoded.body).unwrap()
    };
    let same = body(CLAUDE_4);
    assert_eq!(same["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]["signature"], "sig");
    assert_eq!(same["messages"][1]["content"][1], json!({"reasoningContent": {"redactedContent": "cmVk"}}));
    assert_eq!(same["additionalModelRequestFields"]["thinking"]["budget_tokens"], 1024);
    assert!(!body(NOVA_2).to_string().contains("reasoningContent\""));
}

/// Chunks of a stream of events, and how it ended.
fn streamed(model: &str, events: &[(&str, Value)]) -> (Vec<ChatCompletionChunk>, Result<()>, bool) {
    let mut out = Vec::new();
    at(model, |target| {
        let mut decoder = BedrockConverse.decoder(target);
        let told = events.iter().try_for_each(|(event, data)| {
            let data = data.to_string();
            decoder.frame(Frame { event, data: data.as_bytes(), fault: event.ends_with("Exception") }, &mut out)
        });
        decoder.finish(&mut out);
        (out, told, decoder.complete())
    })
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let start = |index: u32, name: &str, kind: &str| {
        (
            "contentBlockStart",
            json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": name, "name": name, "type": kind}}}),
        )
    };
    let delta = |index: u32, delta: Value| {
        ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}))
    };
    let end = |index: u32| ("contentBlockStop", json!({"contentBlockIndex": index}));
    let events = [
        ("messageStart", json!({"role": "assistant", "p": "x"})),
        delta(0, json!({"reasoningContent": {"text": "h"}})),
        delta(0, json!({"reasoningContent": {"text": "m"}})),
        delta(0, json!({"reasoningContent": {"signature": "sig"}})),
        end(0),
        start(1, "nova_grounding", "server_tool_use"),
        delta(1, json!({"toolUse": {"input": "{\"q\":1}"}})),
        end(1),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 2, "start": {"toolResult": {"toolUseId": "nova_grounding"}}}),
        ),
        delta(2, json!({"toolResult": [{"text": "found"}]})),
        end(2),
        ("somethingNew", json!({"x": 1})),
        delta(3, json!({"text": ""})),
        delta(3, json!({"text": "Hi"})),
        end(3),
        start(4, "f", "tool_use"),
        start(5, "g", "tool_use"),
        delta(4, json!({"toolUse": {"input": "{\"x\""}})),
        delta(4, json!({"toolUse": {"input": ":1}"}})),
        end(4),
        end(5),
        ("messageStop", json!({"stopReason": "tool_use"})),
        (
            "metadata",
            json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 5}}),
        ),
    ];
    let (chunks, told, complete) = streamed(NOVA_2, &events);
    told.unwrap();
    assert!(complete);
    let mut assembler = Assembler::default();
    chunks.iter().for_each(|chunk| assembler.add(chunk));
    let got = assembler.finish();
    let message = &got.choices[0].message;
    assert_eq!((got.text(), message.reasoning_content.as_deref()), ("Hi", Some("hm")));
    let calls: Vec<_> = message.tool_calls.iter().flatten().map(|c| c.function.clone().unwrap().arguments).collect();
    assert_eq!(
        (calls, got.choices[0].finish_reason.as_deref()),
        (vec!["{\"x\":1}".to_owned(), "{}".to_owned()], Some("tool_calls"))
    );
    assert_eq!((got.usage.unwrap().total_tokens, &got.extra["metrics"]["latencyMs"]), (3, &json!(5)));
    let state = &message.extra["provider_state"][0]["blocks"];
    assert_eq!(state[0]["reasoningContent"]["reasoningText"], json!({"text": "hm", "signature": "sig"}));
    assert_eq!(state[1]["toolUse"]["input"], json!({"q": 1}));
    assert_eq!(state[2]["toolResult"], json!({"toolUseId": "nova_grounding", "content": [{"text": "found"}]}));
    // What runs on the server alone is no call of the caller's, whatever the reason says.
    let (chunks, ..) = streamed(NOVA_2, &[events[5].clone(), events[7].clone(), events[21].clone()]);
    assert_eq!(chunks.last().unwrap().choices[0].finish_reason.as_deref(), Some("stop"));
    let (.., complete) = streamed(NOVA_2, &events[..21]);
    assert!(!complete);
}

#[test]
fn json_in_place_of_a_stream_is_an_answer_or_an_error() {
    let answer = json!({"output": {"message": {"content": [{"text": "Hi"}]}}, "stopReason": "end_turn"});
    let (chunks, told, complete) = streamed(NOVA, &[("", answer)]);
    assert!(told.is_ok() && complete);
    assert_eq!(chunks.iter().map(ChatCompletionChunk::text).collect::<String>(), "Hi");
    let (_, told, complete) =
        streamed(NOVA, &[("", json!({"__type": "ThrottlingException", "message": "Too many requests"}))]);
    assert_eq!((told.unwrap_err().kind(), complete), (ErrorKind::RateLimited, false));
}

#[test]
fn errors_by_kind_with_advice() {
    let cases = [
        (403, "AccessDeniedException", "You don’t have access to the model", ErrorKind::Permission, "console"),
        (403, "UnrecognizedClientException", "The security token is invalid.", ErrorKind::Authentication, "unknown"),
        (
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
            ErrorKind::Authentication,
            "sso login",
        ),
        (
            403,
            "InvalidSignatureException",
            "Signature expired: 20260115T1 is now earlier than",
            ErrorKind::Authentication,
            "clock",
        ),
        (
            400,
            "ValidationException",
            "Invocation of model ID x with on-demand throughput isn’t supported.",
            ErrorKind::InvalidRequest,
            "profile",
        ),
        (400, "ValidationException", "The provided model identifier is invalid.", ErrorKind::NotFound, ""),
        (400, "ValidationException", "Input is too long for requested model.", ErrorKind::ContextLength, ""),
        (429, "ThrottlingException", "Too many tokens, please wait before trying again.", ErrorKind::RateLimited, ""),
        (429, "ModelNotReadyException", "not ready", ErrorKind::Overloaded, ""),
        (424, "ModelErrorException", "failed", ErrorKind::ServerError, ""),
        (408, "ModelTimeoutException", "slow", ErrorKind::Timeout, ""),
        (400, "", "what?", ErrorKind::InvalidRequest, ""),
    ];
    for (status, name, said, kind, advice) in cases {
        let body = json!({ "message": said }).to_string();
        let mut headers = HeaderMap::new();
        if !name.is_empty() {
            headers.insert("x-amzn-errortype", format!("{name}:http://internal.amazon.com/").parse().unwrap());
        }
        let reply = Reply { status, headers: &headers, body: body.as_bytes() };
        let e = at(NOVA, |target| BedrockConverse.decode_error(&reply, target));
        assert_eq!((e.kind(), e.body().status), (kind, Some(status)), "{name}: {e}");
        assert!(e.message().contains(advice) && e.message().starts_with(said), "{e}");
        assert_eq!(e.body().code.as_deref().unwrap_or_default(), name);
    }
    let daily =
        json!({"__type": "com.amazon.coral#ThrottlingException", "Message": "Too many tokens per day"}).to_string();
    let e = at(NOVA, |target| {
        BedrockConverse.decode_error(&Reply { status: 429, headers: &HeaderMap::new(), body: daily.as_bytes() }, target)
    });
    assert_eq!(
        (e.kind(), e.body().retryable, e.body().code.as_deref()),
        (ErrorKind::RateLimited, false, Some("ThrottlingException"))
    );
}

#[test]
fn a_refused_signature_does_not_repeat_the_request() {
    let body = json!({"message": "The request signature we calculated does not match the signature you provided.\n\nThe Canonical \
        String for this request should have been\n'POST\nx-amz-security-token:SECRET'"})
    .to_string();
    let e = at(NOVA, |target| {
        BedrockConverse.decode_error(&Reply { status: 403, headers: &HeaderMap::new(), body: body.as_bytes() }, target)
    });
    assert!(!e.to_string().contains("SECRET") && e.message().contains("secret key"), "{e}");
}

#[test]
fn exceptions_in_a_stream() {
    let cases = [
        ("throttlingException", ErrorKind::RateLimited),
        ("modelStreamErrorException", ErrorKind::ServerError),
        ("internalServerException", ErrorKind::ServerError),
        ("serviceUnavailableException", ErrorKind::Overloaded),
        ("validationException", ErrorKind::ContextLength),
    ];
    for (name, kind) in cases {
        let (_, told, complete) = streamed(
            NOVA,
            &[("messageStart", json!({})), (name, json!({"message": "Input is too long for requested model."}))],
        );
        let e = told.unwrap_err();
        assert_eq!((e.kind(), e.body().code.as_deref(), complete), (kind, Some(name), false));
    }
    let (_, told, _) = streamed(NOVA, &[("messageStop", json!({"stopReason": "malformed_tool_use"}))]);
    assert_eq!(told.unwrap_err().kind(), ErrorKind::ServerError);
}

#[test]
fn a_guardrail_that_stops_an_answer_is_a_content_filter() {
    let body = json!({"output": {"message": {"role": "assistant", "content": [{"text": "Sorry."}]}},
        "stopReason": "guardrail_intervened", "usage": {"inputTokens": 3, "outputTokens": 0, "totalTokens": 3},
        "trace": {"guardrail": {"actionReason": "blocked"}}})
    .to_string();
    let reply = Reply { status: 200, headers: &HeaderMap::new(), body: body.as_bytes() };
    let got = at(NOVA, |target| BedrockConverse.decode(&reply, target)).unwrap();
    assert_eq!((got.text(), got.choices[0].finish_reason.as_deref()), ("Sorry.", Some("content_filter")));
    // What the guardrail did reaches the caller.
    assert_eq!(got.extra["trace"]["guardrail"]["actionReason"], "blocked");
}
