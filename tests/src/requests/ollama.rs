//! Recorded requests of Ollama's own chat, in OpenAI's words.

use interfuse::types::Quirks;
use serde_json::{Map, Value, json};

use super::{Exchange, Reader, list, normal, object, take};

/// The wire.
pub(super) struct Ollama;

/// Options that OpenAI has too.
const OPTIONS: &[(&str, &str)] = &[
    ("num_predict", "max_tokens"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("seed", "seed"),
    ("stop", "stop"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("top_k", "top_k"),
];

impl Reader for Ollama {
    fn wire(&self) -> &'static str {
        "ollama"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/api/chat"]
    }

    fn read(&self, exchange: &Exchange, _: &str) -> Result<Value, String> {
        let (mut body, mut out, mut messages) = (object(&exchange.request), Map::new(), Vec::new());
        let mut open: Vec<(String, String)> = Vec::new();
        for message in list(&take(&mut body, "messages").unwrap_or_default()) {
            messages.push(said(message, &mut open, messages.len())?);
        }
        if let Some(Value::Object(mut options)) = take(&mut body, "options") {
            super::rename(&mut options, &mut out, OPTIONS);
            out.insert("options".into(), options.into());
        }
        match take(&mut body, "format") {
            Some(Value::String(word)) if word == "json" => {
                out.insert("response_format".into(), json!({"type": "json_object"}));
            }
            Some(schema) => {
                let schema = json!({"name": "answer", "schema": schema});
                out.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
            }
            None => {}
        }
        match take(&mut body, "think") {
            Some(Value::Bool(thinks)) => {
                out.insert("reasoning_effort".into(), if thinks { "medium" } else { "none" }.into());
            }
            Some(level) => {
                out.insert("reasoning_effort".into(), level);
            }
            None => {}
        }
        let stream = take(&mut body, "stream").is_none_or(|stream| stream == true);
        out.extend(body);
        out.insert("stream".into(), stream.into());
        out.insert("messages".into(), messages.into());
        Ok(out.into())
    }

    /// - `stream: true` is the default here.
    /// - Calls were recorded without ids, which older servers do not know; interfuse sends them so that results find their
    ///   calls. Their type is always `function`.
    /// - The text of a message without text is empty.
    fn normal(&self, body: &Value, _: &Quirks) -> Map<String, Value> {
        let stream = body["stream"] != false;
        let mut body = normal::without_silent(body);
        body.insert("stream".into(), stream.into());
        for message in body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(message) = message.as_object_mut() else { continue };
            message.remove("tool_call_id");
            message.entry("content").or_insert_with(|| "".into());
            message.retain(|_, value| !normal::is_empty(value));
            for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
                *call = json!({"function": call["function"]});
            }
        }
        body
    }
}

fn said(message: &Value, open: &mut Vec<(String, String)>, place: usize) -> Result<Value, String> {
    let mut message = object(message);
    if let Some(thoughts) = take(&mut message, "thinking") {
        message.insert("reasoning_content".into(), thoughts);
    }
    if let Some(Value::Array(mut calls)) = take(&mut message, "tool_calls") {
        for (index, call) in calls.iter_mut().enumerate() {
            let id = call["id"].as_str().map_or_else(|| format!("call_{place}_{index}"), str::to_owned);
            let name = call["function"]["name"].clone();
            open.push((id.clone(), name.as_str().unwrap_or_default().to_owned()));
            let arguments = call["function"]["arguments"].to_string();
            *call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        }
        if !calls.is_empty() {
            message.insert("tool_calls".into(), calls.into());
        }
    }
    if message["role"] == "tool" && !message.contains_key("tool_call_id") {
        let name = take(&mut message, "tool_name").unwrap_or_default();
        let place = open.iter().position(|(_, called)| name == *called);
        let (id, _) = open.remove(place.ok_or("the result of a call that was not made")?);
        message.insert("tool_call_id".into(), id.into());
    }
    if let Some(Value::Array(images)) = take(&mut message, "images") {
        let mut parts = vec![json!({"type": "text", "text": message["content"]})];
        parts.extend(images.iter().filter_map(Value::as_str).map(|data| {
            let data = data.replace("<base64 elided>", normal::ELIDED);
            json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}})
        }));
        message.insert("content".into(), parts.into());
    }
    Ok(message.into())
}
