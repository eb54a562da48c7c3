//! Turns a scripted answer into what the connection does. The form is OpenAI's: chat completions and embeddings.

use std::fmt::Write as _;

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::script::{Answer, Break, Step, ToolCall, Usage};

/// A fixed moment, so that two runs of a script give the same bytes.
const CREATED: u64 = 1_700_000_000;

/// One thing a connection does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Send(Bytes),
    /// Waits this many milliseconds.
    Delay(u64),
    /// Waits until the client leaves.
    Stall,
    Reset,
    Close,
}

/// Content type, and what is done after the head. `serial` counts the requests.
pub(super) fn course(answer: &Answer, request: &Value, serial: usize) -> (&'static str, Vec<Action>) {
    let (kind, actions) = body(answer, request, serial);
    (kind, answer.cut_after.map_or_else(|| actions.clone(), |bytes| cut(&actions, bytes)))
}

fn body(answer: &Answer, request: &Value, serial: usize) -> (&'static str, Vec<Action>) {
    const JSON: &str = "application/json";
    const EVENTS: &str = "text/event-stream";
    if answer.says() && request["stream"] == true {
        let mut actions: Vec<Action> = chunks(answer, request, serial).iter().map(event).collect();
        if let Some(Break { after, skip, then }) = &answer.breaks {
            // The first chunk tells the role alone.
            let from = (1 + after).min(actions.len());
            let to = (from + skip).min(actions.len());
            actions.splice(from..to, then.iter().filter_map(action));
        }
        if answer.done != Some(false) {
            actions.push(event(&json!("[DONE]")));
        }
        return (EVENTS, spaced(actions, answer.chunk_delay_ms));
    }
    if answer.says() {
        return (JSON, broken(whole(answer, request, serial).to_string(), answer));
    }
    if let Some(vectors) = &answer.embeddings {
        return (JSON, vec![send(embeddings(vectors, request).to_string())]);
    }
    if let Some(json) = &answer.json {
        return (JSON, vec![send(json.to_string())]);
    }
    if let Some(items) = &answer.sse {
        let done = (answer.done == Some(true)).then(|| json!("[DONE]"));
        return (EVENTS, spaced(items.iter().chain(&done).map(event).collect(), answer.chunk_delay_ms));
    }
    if let Some(steps) = &answer.steps {
        return ("application/octet-stream", steps.iter().filter_map(action).collect());
    }
    ("text/plain; charset=utf-8", vec![send(answer.body.clone().unwrap_or_default())])
}

fn send(text: String) -> Action {
    Action::Send(Bytes::from(text))
}

fn action(step: &Step) -> Option<Action> {
    match step {
        Step::Send(text) => Some(send(text.clone())),
        Step::DelayMs(ms) => Some(Action::Delay(*ms)),
        Step::Stall(on) => on.then_some(Action::Stall),
        Step::Reset(on) => on.then_some(Action::Reset),
        Step::Close(on) => on.then_some(Action::Close),
    }
}

/// A whole answer with what happens in its midst.
fn broken(whole: String, answer: &Answer) -> Vec<Action> {
    let Some(Break { after, then, .. }) = &answer.breaks else { return vec![send(whole)] };
    let words = words(answer.answer.as_deref().unwrap_or_default()).count().max(1);
    let mut before = Bytes::from(whole);
    let rest = before.split_off(before.len() * after.min(&words) / words);
    std::iter::once(Action::Send(before)).chain(then.iter().filter_map(action)).chain([Action::Send(rest)]).collect()
}

fn whole(answer: &Answer, request: &Value, serial: usize) -> Value {
    let calls: Vec<Value> = answer.tool_calls.iter().enumerate().map(call).collect();
    let mut message = json!({"role": "assistant", "content": answer.answer});
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let mut body = envelope("chat.completion", request, serial);
    body["choices"] =
        json!([{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(answer)}]);
    if let Some(usage) = usage(answer, request) {
        body["usage"] = usage;
    }
    body
}

/// Role, one chunk per word, tool calls in pieces, finish reason, usage.
fn chunks(answer: &Answer, request: &Value, serial: usize) -> Vec<Value> {
    let chunk = |delta: Value, finish: Option<&str>| {
        let mut chunk = envelope("chat.completion.chunk", request, serial);
        chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        chunk
    };
    let mut all = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    let text = answer.answer.as_deref().unwrap_or_default();
    all.extend(words(text).map(|word| chunk(json!({"content": word}), None)));
    for (index, mut call) in answer.tool_calls.iter().enumerate().map(call).enumerate() {
        let arguments = call["function"]["arguments"].take();
        call["index"] = json!(index);
        call["function"]["arguments"] = json!("");
        all.push(chunk(json!({"tool_calls": [call]}), None));
        for piece in words(arguments.as_str().unwrap_or_default()) {
            let delta = json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
            all.push(chunk(delta, None));
        }
    }
    all.push(chunk(json!({}), Some(finish_reason(answer))));
    if let Some(usage) = usage(answer, request) {
        let mut last = envelope("chat.completion.chunk", request, serial);
        last["choices"] = json!([]);
        last["usage"] = usage;
        all.push(last);
    }
    all
}

fn envelope(object: &str, request: &Value, serial: usize) -> Value {
    json!({"id": format!("chatcmpl-{serial}"), "object": object, "created": CREATED, "model": request["model"]})
}

fn call((index, ToolCall { name, arguments, id }): (usize, &ToolCall)) -> Value {
    let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
    let id = id.clone().unwrap_or_else(|| format!("call_{index}"));
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn finish_reason(answer: &Answer) -> &str {
    let usual = if answer.tool_calls.is_empty() { "stop" } else { "tool_calls" };
    answer.finish_reason.as_deref().unwrap_or(usual)
}

/// Counted words, so that usage is a function of script and request.
fn usage(answer: &Answer, request: &Value) -> Option<Value> {
    let none = Map::new();
    let fields = match &answer.usage {
        Some(Usage::Shown(false)) => return None,
        Some(Usage::Fields(fields)) => fields,
        Some(Usage::Shown(true)) | None => &none,
    };
    let count = |name: &str, counted: usize| fields.get(name).and_then(Value::as_u64).unwrap_or(counted as u64);
    let prompt = count("prompt_tokens", words_in(&request["messages"]));
    let said = words(answer.answer.as_deref().unwrap_or_default()).count() + answer.tool_calls.len();
    let completion = count("completion_tokens", said);
    let mut usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt.saturating_add(completion)});
    for (name, value) in fields {
        usage[name.as_str()] = value.clone();
    }
    Some(usage)
}

fn embeddings(vectors: &[Vec<f64>], request: &Value) -> Value {
    // One text, or one list of tokens, is one input.
    let given = &request["input"];
    let many = given.as_array().filter(|all| !all.first().is_some_and(Value::is_number)).map_or(1, Vec::len);
    let of = |index: usize| -> Value {
        let vector = vectors.get(index).or(vectors.last()).map(Vec::as_slice).unwrap_or_default();
        if request["encoding_format"] != "base64" {
            return json!(vector);
        }
        let bytes: Vec<u8> = vector.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
        json!(base64::engine::general_purpose::STANDARD.encode(bytes))
    };
    let data: Vec<Value> =
        (0..many).map(|index| json!({"object": "embedding", "index": index, "embedding": of(index)})).collect();
    let count = words_in(given);
    json!({
        "object": "list", "data": data, "model": request["model"],
        "usage": {"prompt_tokens": count, "total_tokens": count},
    })
}

fn words_in(value: &Value) -> usize {
    match value {
        Value::String(text) => words(text).count(),
        Value::Array(items) => items.iter().map(words_in).sum(),
        Value::Object(fields) => fields.values().map(words_in).sum(),
        _ => 0,
    }
}

/// Word-ish pieces, each with the blank before it: joined they are the text again.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let end = rest[start..].find(char::is_whitespace).map_or(rest.len(), |at| start + at);
        // Blanks at the very end belong to the last word.
        let end = if rest[end..].trim().is_empty() { rest.len() } else { end };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// One server-sent event: an object of only `event`, `data` and `id` is those lines, anything else is `data`.
fn event(item: &Value) -> Action {
    let line = |text: &mut String, name: &str, value: &Value| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for line in value.split('\n') {
            let _ = writeln!(text, "{name}: {line}");
        }
    };
    let mut text = String::new();
    match item.as_object() {
        Some(fields)
            if !fields.is_empty() && fields.keys().all(|key| ["event", "data", "id"].contains(&key.as_str())) =>
        {
            for name in ["id", "event", "data"] {
                if let Some(value) = fields.get(name) {
                    line(&mut text, name, value);
                }
            }
        }
        _ => line(&mut text, "data", item),
    }
    text.push('\n');
    send(text)
}

fn spaced(actions: Vec<Action>, ms: u64) -> Vec<Action> {
    if ms == 0 {
        return actions;
    }
    let mut spaced = Vec::with_capacity(actions.len() * 2);
    for action in actions {
        if !spaced.is_empty() {
            spaced.push(Action::Delay(ms));
        }
        spaced.push(action);
    }
    spaced
}

/// The actions up to this many bytes, then a close. A body that is shorter stays as it is.
fn cut(actions: &[Action], bytes: usize) -> Vec<Action> {
    let mut left = bytes;
    let mut kept = Vec::with_capacity(actions.len());
    for action in actions {
        if let Action::Send(piece) = action {
            if piece.len() > left {
                kept.extend([Action::Send(piece.slice(..left)), Action::Close]);
                return kept;
            }
            left -= piece.len();
        }
        kept.push(action.clone());
    }
    kept
}
