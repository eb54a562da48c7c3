//! Recorded requests of OpenAI's Responses, in the words of its Chat Completions.

use interfuse::types::Quirks;
use serde_json::{Map, Value, json};

use super::{Exchange, Reader, list, normal, object, take};

/// The wire.
pub(super) struct OpenAiResponses;

/// What an answer includes where nothing is stored.
const ENCRYPTED: &str = "reasoning.encrypted_content";

impl Reader for OpenAiResponses {
    fn wire(&self) -> &'static str {
        "openai-responses"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/responses"]
    }

    fn read(&self, exchange: &Exchange, provider: &str) -> Result<Value, String> {
        let (mut body, mut out, mut messages) = (object(&exchange.request), Map::new(), Vec::new());
        if let Some(instructions) = take(&mut body, "instructions") {
            messages.push(json!({"role": "system", "content": instructions}));
        }
        match take(&mut body, "input").unwrap_or_default() {
            Value::String(text) => messages.push(json!({"role": "user", "content": text})),
            items => list(&items).iter().try_for_each(|item| said(item, provider, exchange.model(), &mut messages))?,
        }
        super::rename(&mut body, &mut out, &[("max_output_tokens", "max_completion_tokens")]);
        if let Some(Value::Object(mut text)) = take(&mut body, "text") {
            super::rename(&mut text, &mut out, &[("verbosity", "verbosity")]);
            if let Some(Value::Object(mut format)) = take(&mut text, "format") {
                let kind = format.remove("type").unwrap_or_default();
                let mut response = json!({"type": kind});
                if kind == "json_schema" {
                    response["json_schema"] = format.into();
                }
                out.insert("response_format".into(), response);
            }
            if !text.is_empty() {
                out.insert("text".into(), text.into());
            }
        }
        if let Some(Value::Object(mut reasoning)) = take(&mut body, "reasoning") {
            super::rename(&mut reasoning, &mut out, &[("effort", "reasoning_effort")]);
            if !reasoning.is_empty() {
                out.insert("reasoning".into(), reasoning.into());
            }
        }
        if let Some(tools) = take(&mut body, "tools") {
            out.insert("tools".into(), list(&tools).iter().map(tool).collect());
        }
        if let Some(choice) = take(&mut body, "tool_choice") {
            let named = choice["type"] == "function";
            let choice = if named { json!({"type": "function", "function": {"name": choice["name"]}}) } else { choice };
            out.insert("tool_choice".into(), choice);
        }
        out.extend(body);
        // What the vendor takes silence for.
        out.entry("store").or_insert(true.into());
        out.insert("messages".into(), messages.into());
        Ok(out.into())
    }

    /// - A text is one message of the user's, of one part of text; an item without a type is a message.
    /// - Instructions are those of the conversation's beginning, which mean the same.
    /// - `store: true` is the vendor's default, which the reader says: interfuse's is `false`, as nobody asked to keep it.
    /// - The reasoning is asked for encrypted where nothing is stored, whether the recording did or not.
    /// - `provider` and `models` are interfuse's own fields.
    /// - Ids and states of items of an earlier answer are not sent back: only who stores answers knows them.
    /// - `strict: false` of a tool is said where the recording says nothing: Chat Completions' default, not this API's.
    fn normal(&self, body: &Value, _: &Quirks) -> Map<String, Value> {
        let mut body = normal::without_silent(body);
        body.retain(|name, value| !(name == "store" && *value == true) && name != "provider" && name != "models");
        if let Some(include) = body.get_mut("include").and_then(Value::as_array_mut) {
            include.retain(|what| what != ENCRYPTED);
            if include.is_empty() {
                body.remove("include");
            }
        }
        for tool in body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
            if tool["strict"] == false {
                tool.as_object_mut().map(|tool| tool.remove("strict"));
            }
        }
        if let Some(Value::Object(format)) = body.get_mut("text").map(|text| &mut text["format"])
            && format.get("type").is_some_and(|kind| kind == "text")
        {
            body.remove("text");
        }
        let input = body.entry("input").or_insert_with(|| json!([]));
        if let Value::String(text) = input {
            *input = json!([{"role": "user", "content": text}]);
        }
        for item in input.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            item.entry("type").or_insert_with(|| "message".into());
            item.remove("id");
            item.remove("status");
            if item["type"] != "message" {
                continue;
            }
            let kind = if item["role"] == "assistant" { "output_text" } else { "input_text" };
            if let Some(content) = item.get_mut("content") {
                normal::text_as_block(content, |text| json!({"type": kind, "text": text}));
            }
            for part in item.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(part) = part.as_object_mut() {
                    part.retain(|_, value| !normal::is_empty(value));
                }
            }
        }
        body
    }
}

/// One item, as a message or a part of the one before.
fn said(item: &Value, provider: &str, model: &str, messages: &mut Vec<Value>) -> Result<(), String> {
    match item["type"].as_str().unwrap_or("message") {
        "message" => {
            let role = item["role"].as_str().unwrap_or("user");
            let content = match &item["content"] {
                Value::Array(parts) => parts.iter().map(part).collect(),
                // One text of the system's would be taken for instructions.
                Value::String(text) if role != "user" => json!([{"type": "text", "text": text}]),
                text => text.clone(),
            };
            match messages.last_mut() {
                Some(last) if role == "assistant" && last["role"] == "assistant" && last["content"].is_null() => {
                    last["content"] = content;
                }
                _ => messages.push(json!({"role": role, "content": content})),
            }
        }
        "function_call" => {
            let call = json!({"id": item["call_id"], "type": "function",
                "function": {"name": item["name"], "arguments": item["arguments"]}});
            let message = answer(messages);
            match message["tool_calls"].as_array_mut() {
                Some(calls) => calls.push(call),
                None => message["tool_calls"] = json!([call]),
            }
        }
        "function_call_output" => {
            let content = match &item["output"] {
                Value::Array(parts) => parts.iter().map(part).collect(),
                text => text.clone(),
            };
            messages.push(json!({"role": "tool", "tool_call_id": item["call_id"], "content": content}));
        }
        "reasoning" | "compaction" => {
            let state = json!({"provider": provider, "model": model, "blocks": [item]});
            messages.push(json!({"role": "assistant", "content": null, "provider_state": [state]}));
        }
        other => return Err(format!("an item of type `{other}`")),
    }
    Ok(())
}

/// The answer that is being told.
fn answer(messages: &mut Vec<Value>) -> &mut Value {
    if messages.last().is_none_or(|last| last["role"] != "assistant") {
        messages.push(json!({"role": "assistant", "content": null}));
    }
    let last = messages.len() - 1;
    &mut messages[last]
}

fn part(part: &Value) -> Value {
    let mut rest = object(part);
    match part["type"].as_str() {
        Some("input_text" | "output_text") => {
            rest.insert("type".into(), "text".into());
            // Sources of an earlier answer say nothing in a request.
            rest.remove("annotations");
            rest.remove("logprobs");
        }
        Some("input_image") => {
            let mut image = json!({"url": rest.remove("image_url")});
            if let Some(detail) = take(&mut rest, "detail") {
                image["detail"] = detail;
            }
            rest.insert("type".into(), "image_url".into());
            rest.insert("image_url".into(), image);
        }
        Some("input_file") => {
            rest.remove("type");
            return json!({"type": "file", "file": rest});
        }
        _ => {}
    }
    rest.into()
}

fn tool(tool: &Value) -> Value {
    if tool["type"] != "function" {
        return tool.clone();
    }
    let mut function = object(tool);
    function.remove("type");
    json!({"type": "function", "function": function})
}
