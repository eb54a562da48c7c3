//! Amazon Bedrock's Converse, read the simple way: binary frames by their lengths, blocks by their names. InvokeModel,
//! whose bodies are each vendor's own, is listed and not read.

use interfuse::error::ErrorKind;
use serde_json::{Map, Value};

use super::{Dialect, Exchange, Said, text};

/// Converse and ConverseStream.
pub struct Converse;

/// InvokeModel.
pub struct Invoke;

impl Dialect for Converse {
    fn folder(&self) -> &'static str {
        "bedrock-converse"
    }

    fn wire(&self) -> &'static str {
        "bedrock-converse"
    }

    fn foreign(&self, exchange: &Exchange) -> Option<String> {
        if exchange.name.ends_with(".http.json") && !exchange.streamed && exchange.path().ends_with("/converse-stream")
        {
            // A refused stream call is plain JSON; anything else has lost its bytes to a conversion.
            return (exchange.status < 400).then(|| "binary frames that were kept as text".to_owned());
        }
        exchange.name.contains("reranking").then(|| "no chat call".to_owned())
    }

    fn answer(&self, body: &Value) -> Said {
        let mut said = Said { error: body["output"].is_null(), ..tally(&body["usage"]) };
        let (mut answer, mut reasoning, mut calls) = (String::new(), String::new(), Vec::new());
        for block in body["output"]["message"]["content"].as_array().into_iter().flatten() {
            answer.push_str(text(block, "text"));
            for cited in block["citationsContent"]["content"].as_array().into_iter().flatten() {
                answer.push_str(text(cited, "text"));
            }
            reasoning.push_str(text(&block["reasoningContent"]["reasoningText"], "text"));
            let call = &block["toolUse"];
            if call.is_object() && call["type"] != "server_tool_use" {
                calls.push((text(call, "name").to_owned(), call["input"].to_string()));
            }
        }
        said.finish = Some(finish(text(body, "stopReason"), !calls.is_empty()).to_owned());
        Said { text: Some(answer), reasoning: Some(reasoning), calls: Some(calls), ..said }
    }

    fn stream(&self, body: &[u8]) -> Said {
        let mut said = Said { broken: true, ..Default::default() };
        let (mut answer, mut reasoning, mut calls) = (String::new(), String::new(), Vec::<(String, String)>::new());
        // Block -> call.
        let mut places: Map<String, Value> = Map::new();
        for (headers, event) in frames(body) {
            let block = event["contentBlockIndex"].to_string();
            let call = &event["start"]["toolUse"];
            if call.is_object() && call["type"] != "server_tool_use" {
                places.insert(block.clone(), calls.len().into());
                calls.push((text(call, "name").to_owned(), String::new()));
            }
            let delta = &event["delta"];
            answer.push_str(text(delta, "text"));
            reasoning.push_str(text(&delta["reasoningContent"], "text"));
            if let Some(place) = places.get(&block).and_then(Value::as_u64) {
                calls[place as usize].1.push_str(text(&delta["toolUse"], "input"));
            }
            if let Some(reason) = event["stopReason"].as_str() {
                said.finish = Some(finish(reason, !calls.is_empty()).to_owned());
                said.broken = false;
            }
            if event["usage"].is_object() {
                let usage = tally(&event["usage"]);
                (said.prompt, said.completion, said.cached) = (usage.prompt, usage.completion, usage.cached);
            }
            said.error |= headers[":message-type"] != "event";
        }
        for (_, arguments) in calls.iter_mut().filter(|(_, arguments)| arguments.is_empty()) {
            arguments.push_str("{}");
        }
        Said { text: Some(answer), reasoning: Some(reasoning), calls: Some(calls), ..said }
    }

    fn kind(&self, status: u16, body: &Value) -> Option<ErrorKind> {
        match (status, text(body, "message")) {
            (403, said) if said.contains("security token") => Some(ErrorKind::Authentication),
            (404, _) => Some(ErrorKind::NotFound),
            (400, said) if said.contains("identifier is invalid") => Some(ErrorKind::NotFound),
            (400, said) if said.contains("Input Tokens Exceeded") => Some(ErrorKind::ContextLength),
            (400, _) => Some(ErrorKind::InvalidRequest),
            _ => None,
        }
    }

    /// Frames from lines of `{"headers", "payload"}`.
    fn framed(&self, lines: &str) -> Vec<u8> {
        let recorded = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        recorded.flat_map(|line| frame(&line["headers"], line["payload"].to_string().as_bytes())).collect()
    }

    /// The id stands in a header that the recordings have lost, and in no event.
    fn has_id(&self) -> bool {
        false
    }
}

impl Dialect for Invoke {
    fn folder(&self) -> &'static str {
        "bedrock-invoke"
    }

    fn wire(&self) -> &'static str {
        "bedrock-converse"
    }

    fn foreign(&self, _: &Exchange) -> Option<String> {
        Some("InvokeModel: the body is the model vendor's own".to_owned())
    }

    fn answer(&self, _: &Value) -> Said {
        Said::default()
    }

    fn stream(&self, _: &[u8]) -> Said {
        Said::default()
    }

    fn kind(&self, _: u16, _: &Value) -> Option<ErrorKind> {
        None
    }
}

fn finish(reason: &str, has_calls: bool) -> &'static str {
    match reason {
        "tool_use" if has_calls => "tool_calls",
        "max_tokens" => "length",
        "guardrail_intervened" | "content_filtered" => "content_filter",
        _ => "stop",
    }
}

fn tally(usage: &Value) -> Said {
    let count = |name: &str| usage[name].as_u64();
    let cached = count("cacheReadInputTokens");
    let written = count("cacheWriteInputTokens").unwrap_or(0);
    Said {
        prompt: count("inputTokens").map(|input| input + cached.unwrap_or(0) + written),
        completion: count("outputTokens"),
        cached,
        ..Default::default()
    }
}

/// Headers and payload of every whole frame.
fn frames(mut body: &[u8]) -> Vec<(Value, Value)> {
    let number = |at: &[u8]| at.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
    let mut out = Vec::new();
    while body.len() >= 16 && body.len() >= number(&body[..4]) {
        let (frame, rest) = body.split_at(number(&body[..4]));
        let (mut head, payload) = frame[12..frame.len() - 4].split_at(number(&frame[4..8]));
        let mut headers = Map::new();
        // All headers here are text.
        while let [length, rest @ ..] = head {
            let (name, rest) = rest.split_at(usize::from(*length));
            let (value, rest) = rest[3..].split_at(number(&rest[1..3]));
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            headers.insert(text(name), text(value).into());
            head = rest;
        }
        out.push((headers.into(), serde_json::from_slice(payload).unwrap_or_default()));
        body = rest;
    }
    out
}

/// One frame.
pub(crate) fn frame(headers: &Value, payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let mut out = ((16 + head.len() + payload.len()) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(head.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}
