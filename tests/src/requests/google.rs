//! Recorded requests of Google's `generateContent`, in OpenAI's words.

use interfuse::types::Quirks;
use interfuse::types::quirks::ToolCallIds;
use serde_json::{Map, Value, json};

use super::{Exchange, Reader, list, normal, object, take};

/// The wire.
pub(super) struct Google;

/// Settings of the answer: Google's name and OpenAI's.
const SETTINGS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("topK", "top_k"),
    ("maxOutputTokens", "max_tokens"),
    ("candidateCount", "n"),
    ("stopSequences", "stop"),
    ("seed", "seed"),
    ("presencePenalty", "presence_penalty"),
    ("frequencyPenalty", "frequency_penalty"),
    ("responseLogprobs", "logprobs"),
    ("logprobs", "top_logprobs"),
];

/// What interfuse says in place of a signature that a call of the history does not have.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Names below which names are the caller's.
const CALLERS: &[&str] = &[
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "responseFormat",
    "labels",
];

impl Reader for Google {
    fn wire(&self) -> &'static str {
        "gemini"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["enerateContent"]
    }

    fn read(&self, exchange: &Exchange, provider: &str) -> Result<Value, String> {
        let (_, model) = exchange.path().rsplit_once("/models/").ok_or("no model in its address")?;
        let model = model.split(':').next().unwrap_or_default();
        let (mut body, mut out) = (object(&camel(&exchange.request)), Map::new());
        let mut messages = Vec::new();
        if let Some(system) = take(&mut body, "systemInstruction") {
            let parts = list(&system["parts"]).iter().map(part).collect::<Result<Vec<_>, _>>()?;
            messages.push(json!({"role": "system", "content": parts}));
        }
        let mut calls = Calls::default();
        for turn in list(&take(&mut body, "contents").unwrap_or_default()) {
            match turn["role"].as_str() {
                Some("model") => messages.push(answered(turn, provider, model, &mut calls)?),
                _ => asked(turn, &mut messages, &mut calls)?,
            }
        }
        if let Some(tools) = take(&mut body, "tools") {
            out.insert("tools".into(), list(&tools).iter().flat_map(tools_of).collect());
        }
        if let Some(Value::Object(mut config)) = take(&mut body, "toolConfig") {
            if let Some(calling) = take(&mut config, "functionCallingConfig") {
                out.insert("tool_choice".into(), choice(&calling)?);
            }
            out.insert("toolConfig".into(), config.into());
        }
        if let Some(Value::Object(mut config)) = take(&mut body, "generationConfig") {
            super::rename(&mut config, &mut out, SETTINGS);
            if let Some(kinds) = take(&mut config, "responseModalities") {
                let kinds = list(&kinds).iter().filter_map(Value::as_str).map(|kind| json!(kind.to_ascii_lowercase()));
                out.insert("modalities".into(), kinds.collect());
            }
            let schema = take(&mut config, "responseSchema").or(take(&mut config, "responseJsonSchema"));
            match (config.get("responseMimeType").and_then(Value::as_str), schema) {
                (Some("application/json"), Some(schema)) => {
                    let schema = json!({"name": "answer", "schema": lower(&schema)});
                    out.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
                    config.remove("responseMimeType");
                }
                (Some("application/json"), None) => {
                    out.insert("response_format".into(), json!({"type": "json_object"}));
                    config.remove("responseMimeType");
                }
                (_, Some(_)) => return Err("a schema of an answer that is no JSON".into()),
                _ => {}
            }
            out.insert("generationConfig".into(), config.into());
        }
        out.extend(body);
        out.insert("stream".into(), exchange.path().ends_with("streamGenerateContent").into());
        out.insert("model".into(), model.into());
        out.insert("messages".into(), messages.into());
        Ok(out.into())
    }

    /// - Google reads names in both spellings, `inlineData` and `inline_data`, and words of types in both cases.
    /// - Schemas stand under one of two names, of which newer models take either: the wire writes JSON Schema for them.
    /// - An object without properties is no parameters at all.
    /// - A turn without a role is the user's, as one of role `function`; instructions have none.
    /// - `thought: false` is the default, and thoughts themselves are not sent back: what counts is their signature.
    /// - Calls that were recorded without ids are given some, so that results find them; a missing signature is said to be
    ///   missing, as Google demands.
    /// - Functions stand in one entry of the tools, before those of Google.
    /// - Where the provider's row says so, no ids are sent: the order of calls and results tells.
    fn normal(&self, body: &Value, quirks: &Quirks) -> Map<String, Value> {
        let mut body = normal::without_silent(&camel(body));
        if let Some(system) = body.get_mut("systemInstruction").and_then(Value::as_object_mut) {
            system.remove("role");
        }
        for turn in body.get_mut("contents").and_then(Value::as_array_mut).into_iter().flatten() {
            if turn["role"] != "model" {
                turn["role"] = "user".into();
            }
        }
        for parts in ["systemInstruction", "contents"] {
            let turns: Vec<&mut Value> = match body.get_mut(parts) {
                Some(Value::Array(turns)) => turns.iter_mut().collect(),
                Some(turn) => vec![turn],
                None => Vec::new(),
            };
            for turn in turns {
                if let Some(parts) = turn["parts"].as_array_mut() {
                    parts.retain(|part| part["thought"] != true || part["text"].is_null());
                    parts.iter_mut().for_each(|part| normal_part(part, quirks));
                }
            }
        }
        if let Some(turns) = body.get_mut("contents") {
            normal::merge_turns(turns, "parts");
        }
        let mut functions = Vec::new();
        let mut others = Vec::new();
        for tool in list(&body.remove("tools").unwrap_or_default()) {
            let mut tool = object(tool);
            functions
                .extend(list(&tool.remove("functionDeclarations").unwrap_or_default()).iter().map(normal_function));
            others.extend(tool.into_iter().map(|(name, value)| json!({ name: value })));
        }
        if !functions.is_empty() {
            body.insert("functions".into(), functions.into());
        }
        if !others.is_empty() {
            body.insert("tools".into(), others.into());
        }
        if let Some(config) = body.get_mut("generationConfig").and_then(Value::as_object_mut) {
            for name in ["responseSchema", "responseJsonSchema"] {
                if let Some(schema) = config.remove(name) {
                    config.insert("schema".into(), lower(&schema));
                }
            }
        }
        body
    }

    fn forget(&self, body: &mut Map<String, Value>, name: &str) {
        let google = SETTINGS.iter().find(|(_, openai)| *openai == name).map_or(name, |(google, _)| google);
        body.remove(google);
        body.get_mut("generationConfig").and_then(Value::as_object_mut).map(|config| config.remove(google));
    }
}

fn normal_part(part: &mut Value, quirks: &Quirks) {
    let Value::Object(part) = part else { return };
    if part.get("thought").is_some_and(|t| *t == false) {
        part.remove("thought");
    }
    if part.get("thoughtSignature").is_some_and(|s| s == NO_SIGNATURE) {
        part.remove("thoughtSignature");
    }
    for name in ["functionCall", "functionResponse"] {
        let Some(call) = part.get_mut(name).and_then(Value::as_object_mut) else { continue };
        let given = call.get("id").and_then(Value::as_str).is_some_and(|id| id.starts_with(GIVEN));
        if given || quirks.tool_call_ids == Some(ToolCallIds::Absent) {
            call.remove("id");
        }
        if call.get("args").is_some_and(normal::is_empty) {
            call.remove("args");
        }
    }
}

fn normal_function(function: &Value) -> Value {
    let mut function = object(function);
    let schema = function.remove("parameters").or(function.remove("parametersJsonSchema"));
    if let Some(schema) = schema.map(|schema| lower(&schema)) {
        let none = schema["type"] == "object" && schema.get("properties").is_none_or(normal::is_empty);
        if !none {
            function.insert("schema".into(), schema);
        }
    }
    function.into()
}

/// Names in the spelling with capitals, but for the caller's.
fn camel(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let mut out = String::new();
                for (place, word) in name.split('_').enumerate() {
                    match (place, word.chars().next()) {
                        (1.., Some(first)) => out.extend(first.to_uppercase().chain(word.chars().skip(1))),
                        _ => out.push_str(word),
                    }
                }
                let value = if CALLERS.contains(&out.as_str()) { value.clone() } else { camel(value) };
                (out, value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(camel).collect(),
        other => other.clone(),
    }
}

/// A schema with its types in small letters.
fn lower(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("type", Value::String(kind)) => (name.clone(), kind.to_ascii_lowercase().into()),
                _ => (name.clone(), lower(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(lower).collect(),
        other => other.clone(),
    }
}

/// How ids begin that stand for those that were not recorded.
const GIVEN: &str = "unrecorded_";

/// Calls that wait for their results.
#[derive(Default)]
struct Calls {
    open: Vec<(String, String)>,
    given: usize,
}

impl Calls {
    fn made(&mut self, call: &Value) -> String {
        let id = call["id"].as_str().map(str::to_owned).unwrap_or_else(|| {
            self.given += 1;
            format!("{GIVEN}{}", self.given)
        });
        self.open.push((id.clone(), call["name"].as_str().unwrap_or_default().to_owned()));
        id
    }

    fn answered(&mut self, result: &Value) -> Result<String, String> {
        let fits = |(id, name): &(String, String)| match result["id"].as_str() {
            Some(wanted) => wanted == id,
            None => result["name"] == *name,
        };
        let place = self.open.iter().position(fits).ok_or("the result of a call that was not made")?;
        Ok(self.open.remove(place).0)
    }
}

/// The user's side.
fn asked(turn: &Value, messages: &mut Vec<Value>, calls: &mut Calls) -> Result<(), String> {
    let mut parts = Vec::new();
    for recorded in list(&turn["parts"]) {
        let result = &recorded["functionResponse"];
        if !result.is_object() {
            parts.push(part(recorded)?);
            continue;
        }
        if !parts.is_empty() {
            return Err("the result of a call after something that is said".into());
        }
        let mut content = vec![json!({"type": "text", "text": result["response"].to_string()})];
        for part in list(&result["parts"]) {
            content.push(self::part(part)?);
        }
        messages.push(json!({"role": "tool", "tool_call_id": calls.answered(result)?, "content": content}));
    }
    if !parts.is_empty() {
        messages.push(json!({"role": "user", "content": parts}));
    }
    Ok(())
}

/// The model's side: signatures stand where interfuse keeps them, and what is no text and no call has its place in the
/// text.
fn answered(turn: &Value, provider: &str, model: &str, calls: &mut Calls) -> Result<Value, String> {
    let (mut text, mut marks, mut blocks, mut made) = (String::new(), Vec::new(), Vec::new(), Vec::new());
    let mut texts = Vec::new();
    for part in list(&turn["parts"]) {
        let signature = part["thoughtSignature"].as_str();
        if part["functionCall"].is_object() {
            let call = &part["functionCall"];
            let arguments = if call["args"].is_null() { json!({}) } else { call["args"].clone() };
            let mut out = json!({"id": calls.made(call), "type": "function",
                "function": {"name": call["name"], "arguments": arguments.to_string()}});
            if let Some(signature) = signature {
                out["extra_content"] = json!({"google": {"thought_signature": signature}});
            }
            made.push(out);
            continue;
        }
        if !made.is_empty() {
            return Err("something follows a call in the same turn".into());
        }
        match part["text"].as_str() {
            Some(_) if part["thought"] == true => {}
            Some(piece) => {
                let from = text.len();
                text.push_str(piece);
                texts.push(json!({"type": "text", "text": piece}));
                if let Some(signature) = signature {
                    marks.push(json!({"from": from, "to": text.len(), "thoughtSignature": signature}));
                }
            }
            None => {
                marks.push(json!({"at": text.len(), "block": blocks.len()}));
                blocks.push(part.clone());
            }
        }
    }
    let mut message = json!({"role": "assistant", "content": null});
    if marks.is_empty() {
        message["content"] = if texts.is_empty() { Value::Null } else { texts.into() };
    } else {
        message["content"] = text.into();
        message["provider_state"] = json!([{"provider": provider, "model": model, "blocks": marks}]);
        message["content_blocks"] = blocks.into();
    }
    if !made.is_empty() {
        message["tool_calls"] = made.into();
    }
    Ok(message)
}

/// One part of the user's.
fn part(part: &Value) -> Result<Value, String> {
    if let Some(text) = part["text"].as_str() {
        return Ok(json!({"type": "text", "text": text}));
    }
    let (blob, file) = (&part["inlineData"], &part["fileData"]);
    let mime = blob["mimeType"].as_str().or(file["mimeType"].as_str()).unwrap_or_default();
    let url = match (blob["data"].as_str(), file["fileUri"].as_str()) {
        (Some(data), _) => format!("data:{mime};base64,{}", data.replace("<base64 elided>", normal::ELIDED)),
        (_, Some(uri)) => uri.to_owned(),
        _ => return Ok(part.clone()),
    };
    Ok(match mime.split('/').next() {
        Some("image") => json!({"type": "image_url", "image_url": {"url": url}}),
        Some("video") => json!({"type": "video_url", "video_url": {"url": url}}),
        _ if url.starts_with("data:") => json!({"type": "file", "file": {"file_data": url}}),
        // Chat Completions has no place for the type of what stands elsewhere.
        _ => part.clone(),
    })
}

/// The tools of one entry.
fn tools_of(entry: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    for (name, value) in object(entry).into_iter().filter(|(_, value)| !value.is_null()) {
        if name != "functionDeclarations" {
            out.push(json!({"type": name, name: value}));
            continue;
        }
        for function in list(&value) {
            let mut rest = object(function);
            let schema = take(&mut rest, "parameters").or(take(&mut rest, "parametersJsonSchema"));
            if let Some(schema) = schema {
                rest.insert("parameters".into(), lower(&schema));
            }
            out.push(json!({"type": "function", "function": rest}));
        }
    }
    out
}

fn choice(calling: &Value) -> Result<Value, String> {
    let names = list(&calling["allowedFunctionNames"]);
    let named = |name: &Value| json!({"type": "function", "function": {"name": name}});
    let allowed = |mode: &str| {
        let tools: Vec<Value> = names.iter().map(named).collect();
        json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
    };
    Ok(match (calling["mode"].as_str().unwrap_or("AUTO"), names) {
        ("AUTO", []) => "auto".into(),
        ("NONE", _) => "none".into(),
        ("ANY", []) => "required".into(),
        ("ANY", [one]) => named(one),
        ("ANY", _) => allowed("required"),
        ("VALIDATED", [_, ..]) => allowed("auto"),
        (mode, _) => return Err(format!("a choice of tools of mode `{mode}`")),
    })
}
