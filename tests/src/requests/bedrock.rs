//! Recorded requests of Bedrock's Converse, in OpenAI's words.

use interfuse::types::Quirks;
use serde_json::{Map, Value, json};

use super::{Exchange, Reader, kind, list, normal, object, take};

/// The wire.
pub(super) struct Converse;

/// Settings of the answer: Converse's name and OpenAI's.
const SETTINGS: &[(&str, &str)] =
    &[("maxTokens", "max_tokens"), ("temperature", "temperature"), ("topP", "top_p"), ("stopSequences", "stop")];

/// Converse's words for formats of documents, and their media types.
const DOCUMENTS: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

impl Reader for Converse {
    fn wire(&self) -> &'static str {
        "bedrock-converse"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/converse", "/converse-stream"]
    }

    fn read(&self, exchange: &Exchange, provider: &str) -> Result<Value, String> {
        let path = exchange.path();
        let (_, model) = path.split_once("/model/").ok_or("no model in its address")?;
        let model = model.split('/').next().unwrap_or_default();
        let model = model.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/").replace("%2f", "/");
        let (mut body, mut out, mut messages) = (object(&exchange.request), Map::new(), Vec::new());
        if let Some(system) = take(&mut body, "system").filter(|s| !normal::is_empty(s)) {
            messages.push(json!({"role": "system", "content": parts(list(&system))?}));
        }
        for turn in list(&take(&mut body, "messages").unwrap_or_default()) {
            match turn["role"].as_str() {
                Some("assistant") => messages.push(answered(turn, provider, &model)?),
                _ => asked(turn, &mut messages)?,
            }
        }
        if let Some(Value::Object(mut config)) = take(&mut body, "inferenceConfig") {
            super::rename(&mut config, &mut out, SETTINGS);
            out.insert("inferenceConfig".into(), config.into());
        }
        if let Some(config) = take(&mut body, "toolConfig") {
            out.insert("tools".into(), tools(list(&config["tools"]))?);
            let choice = &config["toolChoice"];
            match kind(choice) {
                "any" => out.insert("tool_choice".into(), "required".into()),
                "auto" => out.insert("tool_choice".into(), "auto".into()),
                "tool" => {
                    let name = &choice["tool"]["name"];
                    out.insert("tool_choice".into(), json!({"type": "function", "function": {"name": name}}))
                }
                _ => None,
            };
        }
        let schema = body.get("outputConfig").map(|config| config["textFormat"]["structure"]["jsonSchema"].clone());
        if let Some(mut schema) = schema.filter(Value::is_object) {
            normal::json_text(&mut schema["schema"]);
            out.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
            body.remove("outputConfig");
        }
        // What goes to the model itself is named as the model names it; one of Nova's fields has a common name.
        let mut own = object(&take(&mut body, "additionalModelRequestFields").unwrap_or_default());
        if let Some(nova) = take(&mut own, "inferenceConfig") {
            out.insert("top_k".into(), nova["topK"].clone());
        }
        out.extend(own);
        out.extend(body);
        out.insert("stream".into(), path.ends_with("-stream").into());
        out.insert("model".into(), model.into());
        out.insert("messages".into(), messages.into());
        Ok(out.into())
    }

    /// - `auto` is the default choice of tools, and `success` the default of a result.
    /// - A result in JSON is written as text: Chat Completions has texts.
    /// - Blank texts are left out, which Bedrock refuses.
    /// - A schema of an answer stands in a text.
    /// - A name of a document has no `_`, which only the collection's marks have, and Bedrock refuses; the format of a medium
    ///   may be said as its media type.
    fn normal(&self, body: &Value, _: &Quirks) -> Map<String, Value> {
        let mut body = normal::without_silent(body);
        if let Some(Value::Object(config)) = body.get_mut("toolConfig")
            && config.get("toolChoice").is_some_and(|choice| kind(choice) == "auto")
        {
            config.remove("toolChoice");
        }
        if let Some(config) = body.get_mut("outputConfig") {
            normal::json_text(&mut config["textFormat"]["structure"]["jsonSchema"]["schema"]);
        }
        let Some(turns) = body.get_mut("messages") else { return body };
        for turn in turns.as_array_mut().into_iter().flatten() {
            let Some(blocks) = turn["content"].as_array_mut() else { continue };
            blocks.retain(|block| !block["text"].as_str().is_some_and(|text| text.trim().is_empty()));
            for block in blocks.iter_mut() {
                if let Some(name) = block["document"]["name"].as_str().map(|name| name.replace('_', " ")) {
                    block["document"]["name"] = name.into();
                }
                if let Some(format) = block["video"]["format"].as_str().map(|f| f.replace("video/", "")) {
                    block["video"]["format"] = format.into();
                }
            }
            for result in blocks.iter_mut().filter_map(|block| block.get_mut("toolResult")?.as_object_mut()) {
                if result.get("status").is_some_and(|status| status == "success") {
                    result.remove("status");
                }
                for block in result.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
                    let mut said = block.get("text").or(block.get("json")).cloned().unwrap_or_default();
                    normal::json_text(&mut said);
                    if !said.is_null() {
                        *block = json!({"said": said});
                    }
                }
            }
        }
        normal::merge_turns(turns, "content");
        body
    }

    fn forget(&self, body: &mut Map<String, Value>, name: &str) {
        match name {
            "tools.function.strict" => {
                let config = body.get_mut("toolConfig").and_then(|c| c.get_mut("tools")?.as_array_mut());
                for tool in config.into_iter().flatten() {
                    tool.get_mut("toolSpec").and_then(Value::as_object_mut).map(|spec| spec.remove("strict"));
                }
            }
            name => {
                let converse = SETTINGS.iter().find(|(_, openai)| *openai == name).map_or(name, |(own, _)| own);
                body.remove(converse);
                body.get_mut("inferenceConfig").and_then(Value::as_object_mut).map(|config| config.remove(converse));
            }
        }
    }
}

/// The user's side: results of tools, and what is said.
fn asked(turn: &Value, messages: &mut Vec<Value>) -> Result<(), String> {
    let mut said: Vec<Value> = Vec::new();
    for block in list(&turn["content"]) {
        match kind(block) {
            "toolResult" => {
                flush(&mut said, messages)?;
                let result = &block["toolResult"];
                let content: Vec<Value> = list(&result["content"])
                    .iter()
                    .map(|block| match block.get("json") {
                        Some(json) => json!({"text": json.to_string()}),
                        None => block.clone(),
                    })
                    .collect();
                let mut message =
                    json!({"role": "tool", "tool_call_id": result["toolUseId"], "content": parts(&content)?});
                if result["status"] == "error" {
                    message["is_error"] = true.into();
                }
                messages.push(message);
            }
            "cachePoint" if said.is_empty() => match messages.last_mut() {
                Some(last) => last["cache_control"] = mark(&block["cachePoint"]),
                None => return Err("a cache point before anything".into()),
            },
            _ => said.push(block.clone()),
        }
    }
    flush(&mut said, messages)
}

fn flush(said: &mut Vec<Value>, messages: &mut Vec<Value>) -> Result<(), String> {
    if !said.is_empty() {
        messages.push(json!({"role": "user", "content": parts(&std::mem::take(said))?}));
    }
    Ok(())
}

/// The model's side: reasoning goes back as it came, before the text and the calls.
fn answered(turn: &Value, provider: &str, model: &str) -> Result<Value, String> {
    let (mut own, mut said, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    let mut message = json!({"role": "assistant"});
    for block in list(&turn["content"]) {
        match kind(block) {
            "toolUse" => {
                let call = &block["toolUse"];
                calls.push(json!({"id": call["toolUseId"], "type": "function",
                    "function": {"name": call["name"], "arguments": call["input"].to_string()}}));
            }
            "cachePoint" => message["cache_control"] = mark(&block["cachePoint"]),
            _ if !calls.is_empty() => return Err("something follows a call in the same turn".into()),
            "text" => said.push(block.clone()),
            _ if !said.is_empty() => return Err("a block of the model's own after its text".into()),
            _ => own.push(block.clone()),
        }
    }
    message["content"] = parts(&said)?;
    if !own.is_empty() {
        message["provider_state"] = json!([{"provider": provider, "model": model, "blocks": own}]);
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Ok(message)
}

fn mark(point: &Value) -> Value {
    let mut mark = json!({"type": "ephemeral"});
    if let Some(ttl) = point.get("ttl").filter(|ttl| !ttl.is_null()) {
        mark["ttl"] = ttl.clone();
    }
    mark
}

/// Blocks as parts; a cache point is a mark on the one before it.
fn parts(blocks: &[Value]) -> Result<Value, String> {
    let mut out: Vec<Value> = Vec::new();
    for block in blocks {
        match (kind(block), out.last_mut()) {
            ("cachePoint", Some(last)) => last["cache_control"] = mark(&block["cachePoint"]),
            ("cachePoint", None) => return Err("a cache point before anything".into()),
            _ => out.push(part(block)),
        }
    }
    Ok(out.into())
}

/// One block; what OpenAI has no part for stays as it is.
fn part(block: &Value) -> Value {
    let name = kind(block);
    let inner = &block[name];
    let format = inner["format"].as_str().unwrap_or_default();
    let source = |media: &str| match (inner["source"]["bytes"].as_str(), inner["source"]["s3Location"]["uri"].as_str())
    {
        (Some(bytes), _) => Some(format!("data:{media};base64,{}", bytes.replace("<base64 elided>", normal::ELIDED))),
        (_, uri) => uri.map(str::to_owned),
    };
    let known = |names: &[&str]| inner.as_object().is_some_and(|i| i.keys().all(|k| names.contains(&k.as_str())));
    match name {
        "text" => json!({"type": "text", "text": inner}),
        "image" => match source(&format!("image/{format}")) {
            Some(url) => json!({"type": "image_url", "image_url": {"url": url}}),
            None => block.clone(),
        },
        "video" => match source(&format!("video/{}", format.trim_start_matches("video/"))) {
            Some(url) => json!({"type": "video_url", "video_url": {"url": url}}),
            None => block.clone(),
        },
        "document" if known(&["format", "name", "source"]) => {
            let media = DOCUMENTS.iter().find(|(word, _)| *word == format).map(|(_, media)| media);
            match media.and_then(|media| source(media)) {
                Some(data) => {
                    let filename = format!("{}.{format}", inner["name"].as_str().unwrap_or_default());
                    json!({"type": "file", "file": {"file_data": data, "filename": filename}})
                }
                None => block.clone(),
            }
        }
        _ => block.clone(),
    }
}

fn tools(entries: &[Value]) -> Result<Value, String> {
    let mut out: Vec<Value> = Vec::new();
    for entry in entries {
        match (kind(entry), out.last_mut()) {
            ("toolSpec", _) => {
                let spec = &entry["toolSpec"];
                let mut function = json!({"name": spec["name"], "parameters": spec["inputSchema"]["json"]});
                for name in ["description", "strict"] {
                    if let Some(value) = spec.get(name).filter(|v| !v.is_null()) {
                        function[name] = value.clone();
                    }
                }
                out.push(json!({"type": "function", "function": function}));
            }
            ("systemTool", _) => out.push(json!({"type": entry["systemTool"]["name"]})),
            ("cachePoint", Some(last)) => last["cache_control"] = mark(&entry["cachePoint"]),
            (other, _) => return Err(format!("a tool of kind `{other}`")),
        }
    }
    Ok(out.into())
}
