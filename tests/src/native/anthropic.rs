//! Anthropic Messages, read the simple way.

use interfuse::error::ErrorKind;
use serde_json::Value;

use super::{Dialect, Exchange, Said, events, text};

/// The dialect.
pub struct Anthropic;

impl Dialect for Anthropic {
    fn folder(&self) -> &'static str {
        "anthropic"
    }

    fn wire(&self) -> &'static str {
        "anthropic"
    }

    fn foreign(&self, exchange: &Exchange) -> Option<String> {
        if !exchange.url.is_empty() && !exchange.path().ends_with("/messages") {
            return Some(format!("no chat call: {}", exchange.path()));
        }
        let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
        let is_message = matches!(body["type"].as_str(), Some("message" | "error"));
        (exchange.category() == "chat" && !is_message).then(|| "no message".to_owned())
    }

    fn answer(&self, body: &Value) -> Said {
        let mut said = Said { error: body["type"] == "error", ..tally(&body["usage"]) };
        let blocks = body["content"].as_array().cloned().unwrap_or_default();
        let of = |kind: &str| blocks.iter().filter(|b| b["type"] == kind).cloned().collect::<Vec<_>>();
        said.text = Some(of("text").iter().map(|b| text(b, "text")).collect());
        said.reasoning = Some(of("thinking").iter().map(|b| text(b, "thinking")).collect());
        said.calls =
            Some(of("tool_use").iter().map(|b| (text(b, "name").to_owned(), b["input"].to_string())).collect());
        said.finish = finish(&body["stop_reason"]);
        said
    }

    fn stream(&self, body: &[u8]) -> Said {
        let events = events(body);
        let (mut answer, mut reasoning, mut stop) = (String::new(), String::new(), Value::Null);
        let mut usage = Value::Null;
        let mut calls: Vec<(Value, String, String)> = Vec::new();
        let (mut first, mut open, mut spliced) = (Value::Null, 0, false);
        for event in &events {
            let (block, delta) = (&event["content_block"], &event["delta"]);
            match text(event, "type") {
                "message_start" if first.is_null() || first != event["message"]["id"] => {
                    spliced |= open > 0;
                    first = event["message"]["id"].clone();
                    usage = event["message"]["usage"].clone();
                }
                "content_block_stop" => open -= 1,
                "content_block_start" => {
                    open += 1;
                    answer.push_str(text(block, "text"));
                    reasoning.push_str(text(block, "thinking"));
                    if block["type"] == "tool_use" {
                        let whole = block["input"].as_object().is_some_and(|i| !i.is_empty());
                        let input = if whole { block["input"].to_string() } else { String::new() };
                        calls.push((event["index"].clone(), text(block, "name").to_owned(), input));
                    }
                }
                "content_block_delta" => {
                    answer.push_str(text(delta, "text"));
                    reasoning.push_str(text(delta, "thinking"));
                    for call in calls.iter_mut().rev().filter(|c| c.0 == event["index"]).take(1) {
                        call.2.push_str(text(delta, "partial_json"));
                    }
                }
                "message_delta" => {
                    stop = delta["stop_reason"].clone();
                    for (name, value) in event["usage"].as_object().into_iter().flatten().filter(|(_, v)| !v.is_null())
                    {
                        usage[name] = value.clone();
                    }
                }
                _ => {}
            }
        }
        let calls = calls.into_iter().map(|(_, name, input)| {
            let input = if input.is_empty() { "{}".to_owned() } else { input };
            (name, input)
        });
        Said {
            text: Some(answer),
            reasoning: Some(reasoning),
            calls: Some(calls.collect()),
            finish: finish(&stop),
            error: spliced || events.iter().any(|e| e["type"] == "error"),
            broken: !events.iter().any(|e| e["type"] == "message_stop"),
            ..tally(&usage)
        }
    }

    fn ends(&self, payload: &Value) -> bool {
        payload["type"] == "message_stop"
    }

    fn kind(&self, status: u16, body: &Value) -> Option<ErrorKind> {
        let message = text(&body["error"], "message");
        match (status, text(&body["error"], "type")) {
            _ if body["error"]["details"]["error_code"] == "enforced_spend_limit_reached" => {
                Some(ErrorKind::InsufficientCredits)
            }
            (_, "authentication_error") => Some(ErrorKind::Authentication),
            (_, "not_found_error") => Some(ErrorKind::NotFound),
            (_, "overloaded_error") => Some(ErrorKind::Overloaded),
            (_, "rate_limit_error") => Some(ErrorKind::RateLimited),
            (_, "permission_error") => Some(ErrorKind::Permission),
            (_, "invalid_request_error") if message.contains("prompt is too long") => Some(ErrorKind::ContextLength),
            (_, "invalid_request_error") if message.contains("credit balance") => Some(ErrorKind::InsufficientCredits),
            (_, "invalid_request_error") if message.contains("content filtering") => Some(ErrorKind::ContentFiltered),
            (400, "invalid_request_error") => Some(ErrorKind::InvalidRequest),
            _ => None,
        }
    }
}

fn finish(stop: &Value) -> Option<String> {
    let word = match stop.as_str()? {
        "tool_use" => "tool_calls",
        "max_tokens" | "model_context_window_exceeded" => "length",
        "refusal" => "content_filter",
        _ => "stop",
    };
    Some(word.to_owned())
}

fn tally(usage: &Value) -> Said {
    let count = |name: &str| usage[name].as_u64();
    let cached = count("cache_read_input_tokens").unwrap_or(0);
    let written = count("cache_creation_input_tokens").unwrap_or(0);
    Said {
        prompt: count("input_tokens").map(|n| n + cached + written),
        completion: count("output_tokens"),
        cached: count("cache_read_input_tokens"),
        ..Default::default()
    }
}
