//! Anthropic's Messages.

use serde_json::{Value, json};

use super::{Refusal, Said, TOKENS, named};

fn messages_finish(said: &Said) -> &'static str {
    if said.call.is_some() {
        "tool_use"
    } else if said.cut {
        "max_tokens"
    } else {
        "end_turn"
    }
}

fn message(content: Vec<Value>, finish: Option<&str>) -> Value {
    // `input_tokens` leaves out what was read from the cache and what was written to it.
    let usage = json!({"input_tokens": TOKENS.0 - 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2,
        "output_tokens": if finish.is_some() { TOKENS.1 } else { 1 }});
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": finish, "stop_sequence": null, "usage": usage})
}

pub(super) fn messages(said: &Said) -> Value {
    let mut content = vec![json!({"type": "text", "text": said.text()})];
    if let Some((id, name, _)) = said.call {
        content.push(json!({"type": "tool_use", "id": id, "name": name, "input": said.arguments()}));
    }
    json!({"json": message(content, Some(messages_finish(said)))})
}

pub(super) fn messages_stream(said: &Said) -> Value {
    let mut blocks = vec![(
        json!({"type": "text", "text": ""}),
        said.pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect::<Vec<_>>(),
    )];
    if let Some((id, name, arguments)) = said.call {
        blocks.push((
            json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
            arguments.iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect(),
        ));
    }
    let mut events =
        vec![json!({"type": "message_start", "message": message(Vec::new(), None)}), json!({"type": "ping"})];
    for (index, (block, deltas)) in blocks.into_iter().enumerate() {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let delta = json!({"stop_reason": messages_finish(said), "stop_sequence": null});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": TOKENS.1}}));
    events.push(json!({"type": "message_stop"}));
    json!({"sse": named(events)})
}

pub(super) fn messages_refusal(refusal: Refusal) -> Value {
    let (status, kind, message) = match refusal {
        Refusal::Key => (401, "authentication_error", "invalid x-api-key"),
        Refusal::Busy => (429, "rate_limit_error", "Number of requests has exceeded your rate limit"),
        Refusal::Long => (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    };
    json!({"status": status, "json": {"type": "error", "error": {"type": kind, "message": message}}})
}
