//! Recorded requests of Anthropic Messages, in OpenAI's words.

use base64::Engine as _;
use interfuse::types::Quirks;
use serde_json::{Map, Value, json};

use super::{Exchange, Reader, list, normal, object, take};

/// The wire.
pub(super) struct Anthropic;

impl Reader for Anthropic {
    fn wire(&self) -> &'static str {
        "anthropic"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/messages", ":rawPredict", ":streamRawPredict"]
    }

    fn read(&self, exchange: &Exchange, provider: &str) -> Result<Value, String> {
        let (mut body, mut out, mut messages) = (object(&exchange.request), Map::new(), Vec::new());
        if let Some(system) = take(&mut body, "system") {
            messages.push(json!({"role": "system", "content": content(&system)?}));
        }
        for turn in list(&take(&mut body, "messages").unwrap_or_default()) {
            match turn["role"].as_str() {
                Some("assistant") => messages.push(answered(turn, provider, exchange.model())?),
                Some("user") => asked(turn, &mut messages)?,
                role => messages.push(json!({"role": role, "content": content(&turn["content"])?})),
            }
        }
        if let Some(tools) = take(&mut body, "tools") {
            out.insert("tools".into(), list(&tools).iter().map(tool).collect());
        }
        if let Some(choice) = take(&mut body, "tool_choice") {
            if choice["disable_parallel_tool_use"] == true {
                out.insert("parallel_tool_calls".into(), false.into());
            }
            let choice = match choice["type"].as_str() {
                Some("any") => json!("required"),
                Some("tool") => json!({"type": "function", "function": {"name": choice["name"]}}),
                _ => choice["type"].clone(),
            };
            out.insert("tool_choice".into(), choice);
        }
        if let Some(Value::Object(mut config)) = take(&mut body, "output_config") {
            if let Some(format) = take(&mut config, "format") {
                let schema = json!({"name": "answer", "schema": format["schema"]});
                out.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
            }
            out.insert("output_config".into(), config.into());
        }
        if let Some(metadata) = take(&mut body, "metadata") {
            out.insert("user".into(), metadata["user_id"].clone());
        }
        if let Some(tier) = take(&mut body, "service_tier") {
            out.insert("service_tier".into(), if tier == "standard_only" { json!("default") } else { tier });
        }
        super::rename(&mut body, &mut out, &[("stop_sequences", "stop")]);
        // All else has the same name, or goes through untouched.
        out.extend(body);
        out.insert("messages".into(), messages.into());
        Ok(out.into())
    }

    /// - A text is one block of text.
    /// - Blank texts are left out, and the beginning of an answer loses its white space at the end: the vendor refuses both.
    /// - Results of tools stand first in their turn, as the vendor demands.
    /// - `temperature: 1` and `strict: false` are defaults.
    /// - Arguments are an object, and say so; where the model is held to them, one without other fields.
    fn normal(&self, body: &Value, _: &Quirks) -> Map<String, Value> {
        let mut body = normal::without_silent(body);
        let block = |text: &str| json!({"type": "text", "text": text});
        let blank =
            |block: &Value| block["type"] == "text" && block["text"].as_str().is_some_and(|t| t.trim().is_empty());
        if let Some(system) = body.get_mut("system") {
            normal::text_as_block(system, block);
        }
        if body.get("temperature").is_some_and(|t| *t == 1.0) {
            body.remove("temperature");
        }
        for tool in body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
            if tool["strict"] == false {
                tool.as_object_mut().map(|tool| tool.remove("strict"));
            }
            let held = tool["strict"] == true;
            if let Some(schema) = tool.get_mut("input_schema").and_then(Value::as_object_mut) {
                schema.entry("type").or_insert_with(|| "object".into());
                if held {
                    schema.entry("additionalProperties").or_insert(false.into());
                }
            }
        }
        let Some(turns) = body.get_mut("messages") else { return body };
        for turn in turns.as_array_mut().into_iter().flatten() {
            normal::text_as_block(&mut turn["content"], block);
            let Some(blocks) = turn["content"].as_array_mut() else { continue };
            blocks.retain(|block| !blank(block));
            for result in blocks.iter_mut().filter(|block| block["type"] == "tool_result") {
                normal::text_as_block(&mut result["content"], block);
            }
        }
        normal::merge_turns(turns, "content");
        for turn in turns.as_array_mut().into_iter().flatten() {
            let user = turn["role"] == "user";
            if let Some(blocks) = turn["content"].as_array_mut() {
                blocks.sort_by_key(|block| user && block["type"] != "tool_result");
            }
        }
        if let Some(last) = turns.as_array_mut().and_then(|t| t.last_mut()).filter(|t| t["role"] == "assistant")
            && let Some(text) = last["content"].as_array_mut().and_then(|b| b.last_mut()).map(|b| &mut b["text"])
            && let Some(trimmed) = text.as_str().map(|t| t.trim_end().to_owned())
        {
            *text = trimmed.into();
        }
        body
    }

    fn forget(&self, body: &mut Map<String, Value>, name: &str) {
        match name {
            "tools.function.strict" => {
                for tool in body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
                    tool.as_object_mut().map(|tool| tool.remove("strict"));
                }
            }
            name => {
                body.remove(name);
            }
        }
    }
}

/// The user's side: results of tools, and what is said.
fn asked(turn: &Value, messages: &mut Vec<Value>) -> Result<(), String> {
    if turn["content"].is_string() {
        messages.push(json!({"role": "user", "content": turn["content"]}));
        return Ok(());
    }
    let mut parts = Vec::new();
    for block in list(&turn["content"]) {
        if block["type"] != "tool_result" {
            parts.push(part(block)?);
            continue;
        }
        let mut result = object(block);
        let mut message = json!({"role": "tool", "tool_call_id": take(&mut result, "tool_use_id")});
        message["content"] = content(&take(&mut result, "content").unwrap_or_default())?;
        result.remove("type");
        for (name, value) in result {
            message[name] = value;
        }
        messages.push(message);
    }
    if !parts.is_empty() {
        messages.push(json!({"role": "user", "content": parts}));
    }
    Ok(())
}

/// The model's side: what only the vendor reads goes back as it came, before the text and the calls.
fn answered(turn: &Value, provider: &str, model: &str) -> Result<Value, String> {
    if turn["content"].is_string() {
        return Ok(turn.clone());
    }
    let (mut own, mut parts, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for block in list(&turn["content"]) {
        match block["type"].as_str() {
            Some("tool_use") => {
                let mut call = object(block);
                let function = json!({"name": call.remove("name"), "arguments": block["input"].to_string()});
                call.remove("input");
                call.insert("type".into(), "function".into());
                call.insert("function".into(), function);
                calls.push(Value::Object(call));
            }
            _ if !calls.is_empty() => return Err("something follows a call in the same turn".into()),
            Some("text") => parts.push(part(block)?),
            // In its place, in the vendor's words.
            _ if !parts.is_empty() => parts.push(block.clone()),
            _ => own.push(block.clone()),
        }
    }
    let state = json!([{"provider": provider, "model": model, "blocks": own}]);
    let mut message = json!({"role": "assistant", "content": parts});
    if !own.is_empty() {
        message["provider_state"] = state;
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Ok(message)
}

fn content(content: &Value) -> Result<Value, String> {
    match content {
        Value::Array(blocks) => blocks.iter().map(part).collect::<Result<Vec<_>, _>>().map(Value::from),
        other => Ok(other.clone()),
    }
}

/// One block; what OpenAI has no part for stays as it is.
fn part(block: &Value) -> Result<Value, String> {
    let mut rest = object(block);
    let source = block["source"].clone();
    let word = |name: &str| source[name].as_str().unwrap_or_default();
    let data =
        |media: &str, data: &str| format!("data:{media};base64,{}", data.replace("<base64 elided>", normal::ELIDED));
    let url = match source["type"].as_str() {
        Some("base64") => data(word("media_type"), word("data")),
        Some("url") => word("url").to_owned(),
        Some("text") => {
            let text = base64::engine::general_purpose::STANDARD.encode(word("data"));
            data(word("media_type"), &text)
        }
        _ => return Ok(block.clone()),
    };
    rest.remove("source");
    match block["type"].as_str() {
        Some("image") => {
            rest.insert("type".into(), "image_url".into());
            rest.insert("image_url".into(), json!({"url": url}));
        }
        Some("document") => {
            let mut file = json!({"file_data": url});
            if let Some(title) = take(&mut rest, "title") {
                file["filename"] = title;
            }
            rest.insert("type".into(), "file".into());
            rest.insert("file".into(), file);
        }
        _ => return Ok(block.clone()),
    }
    Ok(rest.into())
}

fn tool(tool: &Value) -> Value {
    if tool["type"].as_str().is_some_and(|kind| kind != "custom") {
        return tool.clone();
    }
    let mut rest = object(tool);
    let mut function = Map::new();
    super::rename(
        &mut rest,
        &mut function,
        &[("name", "name"), ("description", "description"), ("input_schema", "parameters"), ("strict", "strict")],
    );
    rest.insert("type".into(), "function".into());
    rest.insert("function".into(), function.into());
    rest.into()
}
