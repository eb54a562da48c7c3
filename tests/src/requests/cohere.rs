//! Recorded requests of Cohere's v2 chat, in OpenAI's words.

use interfuse::types::Quirks;
use serde_json::{Map, Value, json};

use super::{Exchange, Reader, normal, object, take};

/// The wire.
pub(super) struct Cohere;

/// Cohere's name and OpenAI's.
const NAMES: &[(&str, &str)] = &[("p", "top_p"), ("k", "top_k"), ("stop_sequences", "stop")];

impl Reader for Cohere {
    fn wire(&self) -> &'static str {
        "cohere"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/v2/chat"]
    }

    fn read(&self, exchange: &Exchange, _: &str) -> Result<Value, String> {
        let (mut body, mut out) = (object(&exchange.request), Map::new());
        super::rename(&mut body, &mut out, NAMES);
        let strict = take(&mut body, "strict_tools") == Some(true.into());
        if let Some(Value::Array(mut tools)) = take(&mut body, "tools") {
            for tool in tools.iter_mut().filter(|_| strict) {
                tool["function"]["strict"] = true.into();
            }
            out.insert("tools".into(), tools.into());
        }
        match take(&mut body, "tool_choice").as_ref().and_then(Value::as_str) {
            Some("REQUIRED") => out.insert("tool_choice".into(), "required".into()),
            Some("NONE") => out.insert("tool_choice".into(), "none".into()),
            _ => None,
        };
        if let Some(mut format) = take(&mut body, "response_format") {
            let schema = format.as_object_mut().and_then(|f| f.remove("json_schema").or(f.remove("schema")));
            if let Some(schema) = schema {
                format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
            }
            out.insert("response_format".into(), format);
        }
        let mut messages = take(&mut body, "messages").unwrap_or_default();
        for message in messages.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            // What is said before calls is their plan.
            if let Some(plan) = take(message, "tool_plan") {
                message.insert("reasoning_content".into(), plan);
            }
        }
        out.extend(body);
        out.insert("messages".into(), messages);
        Ok(out.into())
    }

    /// - A text is one part of text.
    /// - The message that an answer was is sent back without the places of its sources, which is told nobody: Cohere does
    ///   not read them.
    /// - An answer without text has an empty one where it calls nothing.
    fn normal(&self, body: &Value, _: &Quirks) -> Map<String, Value> {
        let mut body = normal::without_silent(body);
        for message in body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
            normal::text_as_block(&mut message["content"], |text| json!({"type": "text", "text": text}));
            if message["content"].is_null() {
                message.as_object_mut().map(|m| m.remove("content"));
            }
        }
        body
    }

    fn forget(&self, body: &mut Map<String, Value>, name: &str) {
        if let Some(name) = name.strip_prefix("messages.") {
            for message in body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
                message.as_object_mut().map(|m| m.remove(name));
            }
        }
        body.remove(NAMES.iter().find(|(_, openai)| *openai == name).map_or(name, |(cohere, _)| cohere));
    }
}
