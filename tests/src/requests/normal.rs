//! What a written request may say otherwise than the recorded one. This is the whole list; each rule has its reason, and the
//! readers name the rules that hold for their wire.
//!
//! For every wire:
//! - [`plain`]: null says nothing, and `1` is `1.0`.
//! - [`without_silent`]: `stream: false`, an empty list or object at the top says what its absence says.
//! - [`elided`]: media that the collection left out.
//!
//! What a wire leaves out and tells the caller (`interfuse.dropped`) is no difference.

use serde_json::{Map, Value};

/// Without nulls, and with every number in one form: no server tells them apart.
pub fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().filter(|(_, v)| !v.is_null()).map(|(name, v)| (name.clone(), plain(v))).collect()
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), Value::from),
        Value::String(text) => elided(text).into(),
        other => other.clone(),
    }
}

/// The collection's mark for media it left out is no base64 of its own: white space in it is lost, as in any base64.
fn elided(text: &str) -> String {
    text.replace("<base64 elided>", ELIDED)
}

/// Stands for media that the collection left out.
pub const ELIDED: &str = "ZWxpZGVk";

/// An object without what says nothing: `stream: false`, which is the default of all vendors but Ollama, and empty
/// lists and objects at the top.
pub fn without_silent(body: &Value) -> Map<String, Value> {
    let Value::Object(mut body) = plain(body) else { return Map::new() };
    body.retain(|name, value| !is_empty(value) && (name != "stream" || *value != false));
    body
}

/// An empty list or object.
pub fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

/// A text as the one block of text that it stands for, as vendors with blocks define it.
pub fn text_as_block(content: &mut Value, block: impl Fn(&str) -> Value) {
    if let Value::String(text) = content {
        *content = Value::Array(vec![block(text)]);
    }
}

/// Turns of one role in a row are one turn, which vendors that want roles to alternate make of them themselves. `content`
/// names the list of a turn's blocks.
pub fn merge_turns(turns: &mut Value, content: &str) {
    let Value::Array(turns) = turns else { return };
    let mut out: Vec<Value> = Vec::new();
    for mut turn in std::mem::take(turns) {
        match out.last_mut() {
            Some(last) if last["role"] == turn["role"] && last[content].is_array() => {
                let more = std::mem::take(&mut turn[content]);
                if let (Value::Array(all), Value::Array(more)) = (&mut last[content], more) {
                    all.extend(more);
                }
            }
            _ => out.push(turn),
        }
    }
    *turns = out;
}

/// JSON in a text compared as JSON: white space and the order of names say nothing.
pub fn json_text(value: &mut Value) {
    if let Some(parsed) = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        *value = plain(&parsed);
    }
}
