//! Request bodies: the caller's fields as they are, less what this target does not take.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::types::quirks::{Flatten, JsonSchemaForm, MaxTokens, ToolCallIds};
use crate::types::{ChatRequest, Content, ContentPart, Extra, Message, Quirks, ResponseFormat, Role, StreamOptions};
use crate::wire::fields::{self, Fields};
use crate::wire::{Encoded, WireTarget, body, call_ids, state};

pub(super) fn encode(request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
    let dropped = dropped(request, target, stream)?;
    let mut body = Vec::with_capacity(body::room(request));
    serde_json::to_writer(&mut body, &Body { request, target, stream }).map_err(|e| {
        Error::invalid_request(format!("the request cannot be written as JSON: {e}"))
            .with_provider(target.provider)
            .with_model(target.model)
    })?;
    Ok(Encoded { body, dropped, ..Default::default() })
}

/// Names of the fields set that the target refuses or ignores.
fn dropped(request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Vec<String>> {
    let quirks = target.quirks;
    let mut fields = Fields::new(request, target);
    if request.n.is_some_and(|n| quirks.max_n.is_some_and(|max| n > max)) {
        return Err(fields.refused("n", "it answers with fewer choices than asked for"));
    }
    // What is merely ignored is sent on: the server may have learnt it since. The caller is told either way.
    fields.declared(stream)?;
    Ok(fields.into_dropped())
}

struct Body<'a> {
    request: &'a ChatRequest,
    target: &'a WireTarget<'a>,
    stream: bool,
}

impl Body<'_> {
    /// Writes a field unless it is absent, refused by the target, or overridden by `extra_body`.
    fn put<M: SerializeMap, T: Serialize>(&self, map: &mut M, name: &str, value: &Option<T>) -> Result<(), M::Error> {
        match value {
            Some(value) => self.write(map, name, value),
            None => Ok(()),
        }
    }

    fn write<M: SerializeMap, T: Serialize + ?Sized>(
        &self,
        map: &mut M,
        name: &str,
        value: &T,
    ) -> Result<(), M::Error> {
        let quirks = self.target.quirks;
        if quirks.drop.iter().any(|d| d == name) {
            return Ok(());
        }
        let name = quirks.rename.get(name).map_or(name, String::as_str);
        if self.request.extra_body.as_ref().is_some_and(|b| b.contains_key(name)) {
            return Ok(());
        }
        map.serialize_entry(name, value)
    }

    fn limit<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let r = self.request;
        match self.target.quirks.max_tokens {
            Some(MaxTokens::MaxTokens) => self.put(map, "max_tokens", &r.max_tokens.or(r.max_completion_tokens)),
            Some(MaxTokens::MaxCompletionTokens) => {
                self.put(map, "max_completion_tokens", &r.max_completion_tokens.or(r.max_tokens))
            }
            Some(MaxTokens::Both) | None => {
                self.put(map, "max_tokens", &r.max_tokens)?;
                self.put(map, "max_completion_tokens", &r.max_completion_tokens)
            }
        }
    }

    fn tool_choice(&self) -> Option<Cow<'_, Value>> {
        let choice = self.request.tool_choice.as_ref()?;
        match (choice.as_str(), &self.target.quirks.tool_choice_required) {
            (Some("required"), Some(word)) => Some(Cow::Owned(Value::String(word.clone()))),
            _ => Some(Cow::Borrowed(choice)),
        }
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let r = self.request;
        let quirks = self.target.quirks;
        let mut map = s.serialize_map(None)?;
        let m = &mut map;
        self.write(m, "model", self.target.model)?;
        if needs_change(self.target) || r.messages.iter().any(brings_back) {
            let messages: Vec<_> = r.messages.iter().map(|message| changed(message, self.target)).collect();
            self.write(m, "messages", &messages)?;
        } else {
            self.write(m, "messages", &r.messages)?;
        }
        self.put(m, "temperature", &r.temperature)?;
        self.put(m, "top_p", &r.top_p)?;
        self.limit(m)?;
        self.put(m, "n", &r.n)?;
        self.put(m, "stop", &r.stop)?;
        self.put(m, "seed", &r.seed)?;
        self.put(m, "frequency_penalty", &r.frequency_penalty)?;
        self.put(m, "presence_penalty", &r.presence_penalty)?;
        self.put(m, "logprobs", &r.logprobs)?;
        self.put(m, "top_logprobs", &r.top_logprobs)?;
        self.put(m, "tools", &r.tools)?;
        self.put(m, "tool_choice", &self.tool_choice())?;
        self.put(m, "parallel_tool_calls", &r.parallel_tool_calls)?;
        match (&r.response_format, quirks.json_schema) {
            (Some(format), Some(JsonSchemaForm::ObjectSchema)) => {
                self.write(m, "response_format", &object_schema(format))?
            }
            (format, _) => self.put(m, "response_format", format)?,
        }
        self.put(m, "reasoning_effort", &r.reasoning_effort)?;
        if self.stream {
            self.write(m, "stream", &true)?;
            let asked = r.stream_options.as_ref();
            if quirks.ask_stream_usage() {
                let extra = asked.map(|o| o.extra.clone()).unwrap_or_default();
                self.write(m, "stream_options", &StreamOptions { include_usage: Some(true), extra })?;
            }
        }
        for (name, value) in &r.extra {
            self.write(m, name, value)?;
        }
        for (name, value) in fields::preset(r, self.target) {
            m.serialize_entry(name, value)?;
        }
        for (name, value) in r.extra_body.iter().flatten() {
            m.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// `{"type": "json_object", "schema": ...}` for servers that take a schema only so.
fn object_schema(format: &ResponseFormat) -> Cow<'_, ResponseFormat> {
    let Some(schema) = format.json_schema.as_ref().and_then(|j| j.schema.clone()) else { return Cow::Borrowed(format) };
    let mut extra = Extra::new();
    extra.insert("schema".into(), schema);
    Cow::Owned(ResponseFormat { r#type: "json_object".into(), json_schema: None, extra })
}

fn needs_change(target: &WireTarget<'_>) -> bool {
    let q = target.quirks;
    q.developer_role == Some(false)
        || q.flatten_content.is_some()
        || !q.drop_message_fields.is_empty()
        || q.tool_call_ids.is_some()
}

/// Fields that only interfuse puts on answers: no server knows them.
const OURS: &[&str] = &[state::FIELD, "content_blocks"];

/// Names of reasoning at one vendor or another. Who has one of these refuses the others, as a rule.
const REASONING: &[&str] = &["reasoning_content", "reasoning", "reasoning_details"];

/// Whether a message comes from an earlier answer, with more than OpenAI's messages have.
fn brings_back(message: &Message) -> bool {
    !message.extra.is_empty() && [OURS, REASONING].concat().iter().any(|name| message.extra.contains_key(*name))
}

/// Whether the target takes reasoning back under this name; of one whose names are not known that is for the caller to say.
fn knows(name: &str, quirks: &Quirks) -> bool {
    let mut known = quirks.reasoning_fields.iter().chain(&quirks.echo).peekable();
    known.peek().is_none() || known.any(|field| field == name)
}

/// A message as this target takes it.
fn changed<'a>(message: &'a Message, target: &WireTarget<'_>) -> Cow<'a, Message> {
    let q = target.quirks;
    let mut out = Cow::Borrowed(message);
    if q.developer_role == Some(false) && message.role == Role::Developer {
        out.to_mut().role = Role::System;
    }
    let flatten = match q.flatten_content {
        Some(Flatten::All) => true,
        Some(Flatten::Tool) => message.role == Role::Tool,
        None => false,
    };
    if let (true, Some(Content::Parts(parts))) = (flatten, &message.content) {
        // Only text can be joined; a message with an image is sent as it is and the server decides.
        if parts.iter().all(|p| matches!(p, ContentPart::Text(_))) {
            out.to_mut().content = message.content.as_ref().map(|c| Content::Text(c.to_text()));
        }
    }
    let foreign = REASONING.iter().filter(|name| !knows(name, q));
    for field in OURS.iter().chain(foreign).filter(|field| message.extra.contains_key(**field)) {
        out.to_mut().extra.remove(*field);
    }
    for field in &q.drop_message_fields {
        match (field.as_str(), field.strip_prefix("tool_calls.")) {
            (_, Some(field)) if message.tool_calls.iter().flatten().any(|call| call.extra.contains_key(field)) => {
                out.to_mut().tool_calls.iter_mut().flatten().for_each(|call| drop(call.extra.remove(field)));
            }
            ("name", _) if message.name.is_some() => out.to_mut().name = None,
            (field, _) if message.extra.contains_key(field) => {
                out.to_mut().extra.remove(field);
            }
            _ => {}
        }
    }
    if q.tool_call_ids == Some(ToolCallIds::Alnum9) {
        if message.tool_calls.as_ref().is_some_and(|calls| calls.iter().any(|c| !is_alnum9(&c.id))) {
            for call in out.to_mut().tool_calls.iter_mut().flatten() {
                call.id = alnum9(&call.id);
            }
        }
        if message.tool_call_id.as_ref().is_some_and(|id| !is_alnum9(id)) {
            let message = out.to_mut();
            message.tool_call_id = message.tool_call_id.as_deref().map(alnum9);
        }
    }
    out
}

fn is_alnum9(id: &str) -> bool {
    id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Nine letters and digits that depend on `id` alone, so that a call and its result keep matching.
fn alnum9(id: &str) -> String {
    if is_alnum9(id) { id.to_owned() } else { call_ids::letters([id], 9) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use serde_json::json;

    fn encoded(request: Value, quirks: Value, stream: bool) -> (Value, Vec<String>) {
        let request: ChatRequest = serde_json::from_value(request).unwrap();
        let quirks: Quirks = serde_json::from_value(quirks).unwrap();
        let target = WireTarget { provider: "p", model: "m", quirks: &quirks };
        let e = encode(&request, &target, stream).unwrap();
        (serde_json::from_slice(&e.body).unwrap(), e.dropped)
    }

    #[test]
    fn own_fields_stay_here_and_foreign_ones_go_through() {
        let (body, dropped) = encoded(
            json!({"model": "x/y", "messages": [{"role": "user", "content": "hi", "cache": 1}], "provider": "p", "models": ["z"],
                   "tags": {"a": "b"}, "timeout_ms": 5, "max_retries": 1, "top_k": 40, "temperature": 0.5,
                   "extra_body": {"temperature": 0, "new": [1]}}),
            json!({}),
            false,
        );
        assert_eq!(
            body,
            json!({"model": "m", "messages": [{"role": "user", "content": "hi", "cache": 1}], "top_k": 40, "temperature": 0, "new": [1]})
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn quirks_are_honoured() {
        let (body, dropped) = encoded(
            json!({"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                    {"role": "tool", "tool_call_id": "call_123", "content": "x"}],
                   "max_tokens": 5, "seed": 7, "tool_choice": "required"}),
            json!({"developer_role": false, "flatten_content": "all", "max_tokens": "max_completion_tokens", "drop": ["user"],
                   "rename": {"seed": "random_seed"}, "tool_choice_required": "any", "tool_call_ids": "alnum9"}),
            true,
        );
        assert_eq!(body["messages"][0], json!({"role": "system", "content": "a\nb"}));
        assert_eq!(body["messages"][1]["tool_call_id"].as_str().unwrap().len(), 9);
        assert_eq!(body["max_completion_tokens"], 5);
        assert_eq!(body["random_seed"], 7);
        assert_eq!(body["tool_choice"], "any");
        assert_eq!(body["stream_options"], json!({"include_usage": true}));
        assert!(body.get("max_tokens").is_none() && body.get("seed").is_none());
        assert!(dropped.is_empty());
    }

    #[test]
    fn an_answer_goes_back_in_the_words_of_who_gets_it() {
        let answer = json!({"role": "assistant", "content": "x", "reasoning_content": "r", "reasoning": "r",
            "reasoning_details": [], "annotations": [], "content_blocks": [], "provider_state": [],
            "tool_calls": [{"id": "call_1", "type": "function", "extra_content": {},
                "function": {"name": "f", "arguments": "{}"}}]});
        let sent = |quirks: Value| {
            let (body, dropped) = encoded(json!({"messages": [answer]}), quirks, false);
            assert!(dropped.is_empty());
            let mut fields: Vec<String> = body["messages"][0].as_object().unwrap().keys().cloned().collect();
            fields
                .extend(body["messages"][0]["tool_calls"][0].get("extra_content").map(|_| "extra_content".to_owned()));
            fields.retain(|field| !["role", "content", "tool_calls"].contains(&field.as_str()));
            fields.sort();
            fields
        };
        // Of a server of one's own nothing is known.
        assert_eq!(
            sent(json!({})),
            ["annotations", "extra_content", "reasoning", "reasoning_content", "reasoning_details"]
        );
        assert_eq!(
            sent(json!({"reasoning_fields": ["reasoning"], "echo": ["reasoning_details"]})),
            ["annotations", "extra_content", "reasoning", "reasoning_details"]
        );
        assert_eq!(
            sent(json!({"drop_message_fields": ["annotations", "tool_calls.extra_content"],
            "reasoning_fields": ["reasoning"]})),
            ["reasoning"]
        );
    }

    #[test]
    fn a_field_that_changes_the_answer_is_never_dropped_in_silence() {
        let request: ChatRequest =
            serde_json::from_value(json!({"messages": [], "response_format": {"type": "json_object"}, "seed": 1}))
                .unwrap();
        let quirks: Quirks = serde_json::from_value(json!({"ignores": ["response_format"]})).unwrap();
        let e = encode(&request, &WireTarget { provider: "p", model: "m", quirks: &quirks }, false).unwrap_err();
        assert_eq!((e.kind(), e.body().param.as_deref()), (ErrorKind::Unsupported, Some("response_format")));

        let (body, dropped) = encoded(json!({"messages": [], "seed": 1}), json!({"drop": ["seed"]}), false);
        assert_eq!((body.get("seed"), dropped), (None, vec!["seed".to_owned()]));
    }

    #[test]
    fn a_row_may_set_fields_that_the_request_does_not_say_and_drop_what_stands_in_the_address() {
        let (body, dropped) = encoded(
            json!({"messages": [], "seed": 1, "extra_body": {"mine": 1}}),
            json!({"drop": ["model", "stream"], "set": {"seed": 2, "mine": 2, "version": "v1"}}),
            true,
        );
        assert_eq!((body.get("model"), body.get("stream")), (None, None));
        assert_eq!((&body["seed"], &body["mine"], &body["version"]), (&json!(1), &json!(1), &json!("v1")));
        assert!(dropped.is_empty());
    }
}
