//! Who made which tool calls: a turn that brings their results goes on with the same member, who knows why it asked.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::types::{Message, Role, ToolCall};

use super::shield;

/// Turns remembered; the oldest is forgotten first.
const TURNS: usize = 4096;

/// A member as a later request may name it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub id: String,
    pub model: String,
}

/// Members by the calls they made.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    by_calls: HashMap<u64, Caller>,
    order: VecDeque<u64>,
}

impl Callers {
    pub fn remember(&mut self, calls: &[ToolCall], caller: Caller) {
        let key = key(calls);
        if self.by_calls.insert(key, caller).is_none() {
            self.order.push_back(key);
            if self.order.len() > TURNS
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_calls.remove(&oldest);
            }
        }
    }

    pub fn find(&self, calls: &[ToolCall]) -> Option<&Caller> {
        self.by_calls.get(&key(calls))
    }
}

/// Ids alone would not do: some vendors number the calls of every answer from 0.
fn key(calls: &[ToolCall]) -> u64 {
    let parts = calls.iter().flat_map(|call| {
        let function = call.function.as_ref();
        let of = |get: fn(&crate::types::FunctionCall) -> &str| function.map(get).unwrap_or_default();
        [call.id.as_str(), of(|f| &f.name), of(|f| &f.arguments)]
    });
    shield::hash(&parts.collect::<Vec<_>>())
}

/// The calls whose results the conversation ends with; `None` when it does not end so, or a result tells of a failure,
/// which others may know a way around.
pub(crate) fn answered(messages: &[Message]) -> Option<&[ToolCall]> {
    let results = messages.iter().rev().take_while(|m| m.role == Role::Tool).count();
    if results == 0 {
        return None;
    }
    let (before, results) = messages.split_at(messages.len() - results);
    if results.iter().any(failed) {
        return None;
    }
    before.last()?.tool_calls.as_deref().filter(|calls| !calls.is_empty())
}

/// Whether a tool's result looks like a failure.
fn failed(result: &Message) -> bool {
    let text = result.content.as_ref().map(crate::types::Content::to_text).unwrap_or_default();
    if let Ok(Value::Object(said)) = serde_json::from_str::<Value>(text.trim()) {
        let set =
            |name: &str| said.get(name).is_some_and(|v| !matches!(v, Value::Null | Value::Bool(false)) && v != "");
        return set("error") || set("is_error") || set("isError");
    }
    let start: String = text.trim_start().chars().take(24).collect::<String>().to_lowercase();
    ["error", "traceback", "exception", "fatal:"].iter().any(|word| start.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(value: Value) -> Vec<Message> {
        serde_json::from_value(value).unwrap()
    }

    fn calls(id: &str, arguments: &str) -> Vec<ToolCall> {
        serde_json::from_value(json!([{"id": id, "function": {"name": "look", "arguments": arguments}}])).unwrap()
    }

    fn caller(id: &str) -> Caller {
        Caller { id: id.to_owned(), model: "m".to_owned() }
    }

    #[test]
    fn callers_are_found_by_all_of_their_calls_and_the_oldest_is_forgotten() {
        let mut callers = Callers::default();
        callers.remember(&calls("call_0", "{}"), caller("a"));
        callers.remember(&calls("call_0", "{\"x\":1}"), caller("b"));
        assert_eq!(callers.find(&calls("call_0", "{}")), Some(&caller("a")));
        assert_eq!(callers.find(&calls("call_0", "{\"x\":1}")), Some(&caller("b")));
        assert_eq!(callers.find(&calls("call_1", "{}")), None);
        callers.remember(&calls("call_0", "{\"x\":1}"), caller("c"));
        assert_eq!(callers.find(&calls("call_0", "{\"x\":1}")), Some(&caller("c")), "the latest counts");
        for i in 0..TURNS {
            callers.remember(&calls(&i.to_string(), "{}"), caller("d"));
        }
        assert_eq!(callers.find(&calls("call_0", "{}")), None);
        assert_eq!((callers.by_calls.len(), callers.order.len()), (TURNS, TURNS));
    }

    #[test]
    fn only_a_turn_that_ends_in_results_goes_on() {
        let asked = json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "function": {"name": "look", "arguments": "{}"}}]});
        let with = |last: Value| messages(json!([{"role": "user", "content": "?"}, asked, last]));
        let result = |content: &str| with(json!({"role": "tool", "tool_call_id": "c1", "content": content}));
        for fine in ["Bern", "{\"error\": null, \"city\": \"Bern\"}", "no errors", "{\"error\": \"\"}"] {
            assert_eq!(answered(&result(fine)).map(<[_]>::len), Some(1), "{fine}");
        }
        for failure in [
            "Error: no such file",
            "Traceback (most recent call last):",
            "{\"error\": {\"code\": 3}}",
            "{\"isError\":true}",
        ] {
            assert_eq!(answered(&result(failure)), None, "{failure}");
        }
        assert_eq!(answered(&with(json!({"role": "user", "content": "And?"}))), None);
        assert_eq!(answered(&messages(json!([{"role": "tool", "content": "Bern"}]))), None);
        assert_eq!(answered(&[]), None);
    }
}
