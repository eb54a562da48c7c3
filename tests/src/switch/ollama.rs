//! Ollama's own API: one JSON object per line.

use serde_json::{Value, json};

use super::{Refusal, Said, TOKENS};

fn ollama_line(message: Value) -> Value {
    json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false})
}

fn ollama_last(said: &Said, message: Value) -> Value {
    let mut line = ollama_line(message);
    let told = json!({"done": true, "done_reason": if said.cut { "length" } else { "stop" },
        "prompt_eval_count": TOKENS.0, "eval_count": TOKENS.1});
    for (name, value) in told.as_object().into_iter().flatten() {
        line[name] = value.clone();
    }
    line
}

fn ollama_calls(said: &Said) -> Value {
    let call =
        |(_, name, _): (&str, &str, [&str; 2])| json!([{"function": {"name": name, "arguments": said.arguments()}}]);
    said.call.map_or(Value::Null, call)
}

pub(super) fn ollama(said: &Said) -> Value {
    let mut message = json!({"role": "assistant", "content": said.text()});
    if said.call.is_some() {
        message["tool_calls"] = ollama_calls(said);
    }
    json!({"json": ollama_last(said, message)})
}

pub(super) fn ollama_stream(said: &Said) -> Value {
    let message = |text: &str| json!({"role": "assistant", "content": text});
    let mut lines: Vec<Value> = said.pieces.iter().map(|piece| ollama_line(message(piece))).collect();
    if said.call.is_some() {
        lines.push(ollama_line(json!({"role": "assistant", "content": "", "tool_calls": ollama_calls(said)})));
    }
    lines.push(ollama_last(said, message("")));
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    json!({"body": body, "headers": {"content-type": "application/x-ndjson"}})
}

pub(super) fn ollama_refusal(refusal: Refusal) -> Value {
    let (status, message) = match refusal {
        Refusal::Key => (401, "unauthorized"),
        Refusal::Busy => (429, "too many requests"),
        Refusal::Long => (400, "the input length exceeds the context length"),
    };
    json!({"status": status, "json": {"error": message}})
}
