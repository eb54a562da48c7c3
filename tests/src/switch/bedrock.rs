//! Amazon's Converse.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Refusal, Said, TOKENS};
use crate::native::bedrock::frame;

fn finish(said: &Said) -> &'static str {
    if said.call.is_some() {
        "tool_use"
    } else if said.cut {
        "max_tokens"
    } else {
        "end_turn"
    }
}

fn converse_usage() -> Value {
    let (prompt, completion) = TOKENS;
    json!({"inputTokens": prompt, "outputTokens": completion, "totalTokens": prompt + completion})
}

pub(super) fn converse(said: &Said) -> Value {
    let mut content = vec![json!({"text": said.text()})];
    if let Some((id, name, _)) = said.call {
        content.push(json!({"toolUse": {"toolUseId": id, "name": name, "input": said.arguments()}}));
    }
    json!({"json": {"output": {"message": {"role": "assistant", "content": content}}, "metrics": {"latencyMs": 5},
        "stopReason": finish(said), "usage": converse_usage()}})
}

pub(super) fn converse_stream(said: &Said) -> Value {
    let mut events = vec![("messageStart", json!({"role": "assistant"}))];
    for piece in said.pieces {
        events.push(("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": piece}})));
    }
    events.push(("contentBlockStop", json!({"contentBlockIndex": 0})));
    if let Some((id, name, arguments)) = said.call {
        let start = json!({"toolUse": {"toolUseId": id, "name": name}});
        events.push(("contentBlockStart", json!({"contentBlockIndex": 1, "start": start})));
        for piece in arguments {
            let delta = json!({"toolUse": {"input": piece}});
            events.push(("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": delta})));
        }
        events.push(("contentBlockStop", json!({"contentBlockIndex": 1})));
    }
    events.push(("messageStop", json!({"stopReason": finish(said)})));
    events.push(("metadata", json!({"usage": converse_usage(), "metrics": {"latencyMs": 5}})));
    let frames = events.iter().map(|(name, payload)| {
        let headers = json!({":event-type": name, ":content-type": "application/json", ":message-type": "event"});
        frame(&headers, payload.to_string().as_bytes())
    });
    json!({"body_base64": BASE64.encode(frames.collect::<Vec<_>>().concat()),
        "headers": {"content-type": "application/vnd.amazon.eventstream"}})
}

pub(super) fn converse_refusal(refusal: Refusal) -> Value {
    let (status, kind, message) = match refusal {
        Refusal::Key => (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
        Refusal::Busy => (429, "ThrottlingException", "Too many requests, please wait before trying again."),
        Refusal::Long => (400, "ValidationException", "Input is too long for requested model."),
    };
    json!({"status": status, "headers": {"x-amzn-errortype": format!("{kind}:http://internal.amazon.com/")},
        "json": {"message": message}})
}
