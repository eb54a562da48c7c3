//! Cohere's chat.

use serde_json::{Value, json};

use super::{Refusal, Said, TOKENS, named};

fn cohere_finish(said: &Said) -> &'static str {
    if said.call.is_some() {
        "TOOL_CALL"
    } else if said.cut {
        "MAX_TOKENS"
    } else {
        "COMPLETE"
    }
}

fn cohere_usage() -> Value {
    let (prompt, completion) = TOKENS;
    json!({"billed_units": {"input_tokens": prompt - 4, "output_tokens": completion},
        "tokens": {"input_tokens": prompt, "output_tokens": completion}})
}

fn cohere_call(call: (&str, &str), arguments: &str) -> Value {
    json!({"id": call.0, "type": "function", "function": {"name": call.1, "arguments": arguments}})
}

pub(super) fn cohere(said: &Said) -> Value {
    let mut message = json!({"role": "assistant", "content": [{"type": "text", "text": said.text()}]});
    if let Some((id, name, arguments)) = said.call {
        message["tool_calls"] = json!([cohere_call((id, name), &arguments.concat())]);
    }
    json!({"json": {"id": "c-1", "finish_reason": cohere_finish(said), "message": message, "usage": cohere_usage()}})
}

pub(super) fn cohere_stream(said: &Said) -> Value {
    let event = |kind: &str, message: Value| json!({"type": kind, "index": 0, "delta": {"message": message}});
    let mut events = vec![
        json!({"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant", "content": []}}}),
        event("content-start", json!({"content": {"type": "text", "text": ""}})),
    ];
    events.extend(said.pieces.iter().map(|piece| event("content-delta", json!({"content": {"text": piece}}))));
    events.push(json!({"type": "content-end", "index": 0}));
    if let Some((id, name, arguments)) = said.call {
        events.push(event("tool-call-start", json!({"tool_calls": cohere_call((id, name), "")})));
        for piece in arguments {
            events.push(event("tool-call-delta", json!({"tool_calls": {"function": {"arguments": piece}}})));
        }
        events.push(json!({"type": "tool-call-end", "index": 0}));
    }
    let delta = json!({"finish_reason": cohere_finish(said), "usage": cohere_usage()});
    events.push(json!({"type": "message-end", "delta": delta}));
    json!({"sse": named(events)})
}

pub(super) fn cohere_refusal(refusal: Refusal) -> Value {
    let (status, message) = match refusal {
        Refusal::Key => (401, "invalid api token"),
        Refusal::Busy => (429, "You are using a Trial key, which is limited to 20 API calls / minute."),
        Refusal::Long => (400, "too many tokens: size limit exceeded by 1000 tokens."),
    };
    json!({"status": status, "json": {"id": "e-1", "message": message}})
}
