//! OpenAI's two protocols: Chat Completions and Responses.

use serde_json::{Value, json};

use super::{Refusal, Said, TOKENS, named};

const TOO_LONG: &str = "This model's maximum context length is 8192 tokens. Please reduce the length of the messages.";

fn chat_usage() -> Value {
    let (prompt, completion) = TOKENS;
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

fn chat_finish(said: &Said) -> &'static str {
    if said.call.is_some() {
        "tool_calls"
    } else if said.cut {
        "length"
    } else {
        "stop"
    }
}

pub(super) fn chat(said: &Said) -> Value {
    let mut message = json!({"role": "assistant", "content": said.text()});
    if let Some((id, name, arguments)) = said.call {
        let function = json!({"name": name, "arguments": arguments.concat()});
        message["tool_calls"] = json!([{"id": id, "type": "function", "function": function}]);
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": chat_finish(said), "logprobs": null});
    json!({"json": {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
        "usage": chat_usage()}})
}

pub(super) fn chat_stream(said: &Said) -> Value {
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices,
            "usage": usage})
    };
    let delta = |delta: Value, finish: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
    };
    let mut events = vec![delta(json!({"role": "assistant", "content": ""}), None)];
    events.extend(said.pieces.iter().map(|piece| delta(json!({"content": piece}), None)));
    if let Some((id, name, arguments)) = said.call {
        let function = json!({"name": name, "arguments": ""});
        events.push(delta(
            json!({"tool_calls": [{"index": 0, "id": id, "type": "function", "function": function}]}),
            None,
        ));
        for piece in arguments {
            events.push(delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}), None));
        }
    }
    events.push(delta(json!({}), Some(chat_finish(said))));
    events.push(chunk(json!([]), chat_usage()));
    json!({"sse": events, "done": true})
}

pub(super) fn openai_refusal(refusal: Refusal) -> Value {
    let (status, code, message) = match refusal {
        Refusal::Key => (401, "invalid_api_key", "Incorrect API key provided."),
        Refusal::Busy => (429, "rate_limit_exceeded", "Rate limit reached for requests."),
        Refusal::Long => (400, "context_length_exceeded", TOO_LONG),
    };
    let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": code});
    json!({"status": status, "json": {"error": error}})
}

fn responses_items(said: &Said) -> Vec<Value> {
    let part = json!({"type": "output_text", "text": said.text(), "annotations": []});
    let status = if said.cut { "incomplete" } else { "completed" };
    let mut items =
        vec![json!({"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": [part]})];
    if let Some((id, name, arguments)) = said.call {
        items.push(json!({"id": "fc_1", "type": "function_call", "status": "completed", "call_id": id, "name": name,
            "arguments": arguments.concat()}));
    }
    items
}

pub(super) fn responses(said: &Said) -> Value {
    let (prompt, completion) = TOKENS;
    let usage = json!({"input_tokens": prompt, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": prompt + completion});
    let status = if said.cut { "incomplete" } else { "completed" };
    let details = said.cut.then(|| json!({"reason": "max_output_tokens"}));
    json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status, "error": null,
        "incomplete_details": details, "output": responses_items(said), "usage": usage})
}

pub(super) fn responses_stream(said: &Said) -> Value {
    let begun = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "in_progress",
        "output": []});
    let mut events = vec![json!({"type": "response.created", "response": begun})];
    for (place, item) in responses_items(said).into_iter().enumerate() {
        let mut empty = item.clone();
        let text = item["type"] == "message";
        empty[if text { "content" } else { "arguments" }] = if text { json!([]) } else { json!("") };
        events.push(json!({"type": "response.output_item.added", "output_index": place, "item": empty}));
        let (kind, pieces) = match said.call {
            Some((_, _, arguments)) if !text => ("response.function_call_arguments.delta", arguments.to_vec()),
            _ => ("response.output_text.delta", said.pieces.to_vec()),
        };
        for piece in pieces {
            events.push(json!({"type": kind, "item_id": item["id"], "output_index": place, "content_index": 0,
                "delta": piece}));
        }
        events.push(json!({"type": "response.output_item.done", "output_index": place, "item": item}));
    }
    let last = if said.cut { "response.incomplete" } else { "response.completed" };
    events.push(json!({"type": last, "response": responses(said)}));
    json!({"sse": named(events)})
}
