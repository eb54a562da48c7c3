//! Recorded Chat Completions: they are read as they stand.

use interfuse::types::Quirks;
use interfuse::types::quirks::ToolCallIds;
use serde_json::{Map, Value};

use super::{Exchange, Reader, normal};

/// The wire.
pub(super) struct OpenAiChat;

/// Fields that are interfuse's own in a request, whatever a vendor means by them; `stream_options`, which interfuse asks
/// for by itself.
const OWN: &[&str] = &["provider", "models", "stream_options"];

/// Names of reasoning at one vendor or another.
const REASONING: &[&str] = &["reasoning_content", "reasoning", "reasoning_details"];

impl Reader for OpenAiChat {
    fn wire(&self) -> &'static str {
        "openai-chat"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/chat/completions"]
    }

    fn read(&self, exchange: &Exchange, _: &str) -> Result<Value, String> {
        Ok(exchange.request.clone())
    }

    /// Reasoning goes back only under the names that the provider's row knows, and nothing goes back that it says is refused.
    /// A tool without its type is a function. Without interfuse's own fields, `stream: false`, the name of the output limit, the provider's names for fields,
    /// and `developer` where only `system` is known. An empty name of a model, or no messages, stand for what a recorded
    /// request left out. Ids of calls in a form of the vendor's own are told by their order.
    fn normal(&self, body: &Value, quirks: &Quirks) -> Map<String, Value> {
        let Value::Object(fields) = normal::plain(body) else { return Map::new() };
        let mut out = Map::new();
        for (name, value) in fields {
            let renamed = quirks.rename.iter().find(|(_, to)| **to == name).map(|(from, _)| from.clone());
            let name = match name.as_str() {
                "max_completion_tokens" => "max_tokens".to_owned(),
                "stream" if value == false => continue,
                "model" if value == "" => continue,
                "messages" if normal::is_empty(&value) => continue,
                own if OWN.contains(&own) => continue,
                _ => renamed.unwrap_or(name),
            };
            out.insert(name, value);
        }
        for tool in out.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(tool) = tool.as_object_mut().filter(|tool| tool.contains_key("function")) {
                tool.entry("type").or_insert_with(|| "function".into());
            }
        }
        let mut ids: Vec<Value> = Vec::new();
        let mut place = |id: &mut Value| {
            let place = ids.iter().position(|known| known == id).unwrap_or_else(|| {
                ids.push(id.clone());
                ids.len() - 1
            });
            *id = place.into();
        };
        for message in out.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
            if quirks.tool_call_ids == Some(ToolCallIds::Alnum9) {
                message.get_mut("tool_call_id").into_iter().for_each(&mut place);
                let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
                calls.filter_map(|call| call.get_mut("id")).for_each(&mut place);
            }
            if let Some(fields) = message.as_object_mut() {
                let mut known = quirks.reasoning_fields.iter().chain(&quirks.echo).peekable();
                let told = known.peek().is_some();
                let known: Vec<&String> = known.collect();
                let unknown = |name: &&&str| told && !known.iter().any(|known| known == *name);
                REASONING.iter().filter(unknown).for_each(|name| drop(fields.remove(*name)));
                quirks.drop_message_fields.iter().for_each(|name| drop(fields.remove(name)));
            }
            if quirks.developer_role == Some(false) && message["role"] == "developer" {
                message["role"] = "system".into();
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::compare;

    #[test]
    fn a_difference_is_seen() {
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "top_k": 4});
        let with = |quirks: &str| {
            let quirks = serde_json::from_str(quirks).unwrap_or_default();
            compare(&OpenAiChat, &body, body.clone(), "p", &quirks)
        };
        assert_eq!(with("{}"), Ok((Vec::new(), false)));
        assert_eq!(with(r#"{"drop": ["top_k"]}"#), Ok((Vec::new(), true)));
        assert_eq!(with(r#"{"set": {"a": 1}}"#), Ok((vec!["a: nothing is written as 1.0".to_owned()], false)));
    }
}
