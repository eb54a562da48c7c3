//! Cohere's `/v2/chat`, read the simple way.

use interfuse::error::ErrorKind;
use serde_json::Value;

use super::{Dialect, Exchange, Said, events, text};

/// The dialect.
pub struct Cohere;

impl Dialect for Cohere {
    fn folder(&self) -> &'static str {
        "cohere"
    }

    fn wire(&self) -> &'static str {
        "cohere"
    }

    fn foreign(&self, exchange: &Exchange) -> Option<String> {
        let path = exchange.path();
        if !path.is_empty() && path != "/v2/chat" {
            return Some(format!("no chat call: {path}"));
        }
        let body = String::from_utf8_lossy(&exchange.body);
        (exchange.status < 400 && !body.contains("\"message\"")).then(|| "no chat call".to_owned())
    }

    fn answer(&self, body: &Value) -> Said {
        let message = &body["message"];
        let blocks = |kind: &str| message["content"].as_array().into_iter().flatten().map(|b| text(b, kind)).collect();
        let thoughts: String = blocks("thinking");
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        Said {
            text: Some(blocks("text")),
            reasoning: Some(thoughts + text(message, "tool_plan")),
            calls: Some(calls.map(|c| (text(&c["function"], "name").to_owned(), arguments(&c["function"]))).collect()),
            ..ended(body)
        }
    }

    fn stream(&self, body: &[u8]) -> Said {
        let (mut answer, mut thoughts, mut end) = (String::new(), String::new(), Value::Null);
        let mut calls: Vec<(String, String)> = Vec::new();
        for event in events(body) {
            let message = &event["delta"]["message"];
            thoughts.push_str(text(message, "tool_plan"));
            thoughts.push_str(text(&message["content"], "thinking"));
            answer.push_str(text(&message["content"], "text"));
            let function = &message["tool_calls"]["function"];
            match text(&event, "type") {
                "tool-call-start" => calls.push((text(function, "name").to_owned(), String::new())),
                "message-end" => end = event["delta"].clone(),
                _ => {}
            }
            if let Some((_, told)) = calls.last_mut() {
                told.push_str(text(function, "arguments"));
            }
        }
        for (_, told) in calls.iter_mut().filter(|(_, told)| told.is_empty()) {
            told.push_str("{}");
        }
        Said { text: Some(answer), reasoning: Some(thoughts), calls: Some(calls), broken: end.is_null(), ..ended(&end) }
    }

    fn kind(&self, status: u16, body: &Value) -> Option<ErrorKind> {
        match (status, text(body, "error_type")) {
            (400, "TOO_MANY_TOKENS") => Some(ErrorKind::ContextLength),
            (401, _) => Some(ErrorKind::Authentication),
            (404, _) => Some(ErrorKind::NotFound),
            (429, _) => Some(ErrorKind::RateLimited),
            _ => None,
        }
    }
}

fn arguments(function: &Value) -> String {
    match function["arguments"].as_str() {
        None | Some("" | "null") => "{}".to_owned(),
        Some(told) => told.to_owned(),
    }
}

/// Reason and usage, as they stand in an answer and in the last event.
fn ended(end: &Value) -> Said {
    let tokens = &end["usage"]["tokens"];
    let finish = match text(end, "finish_reason") {
        "" | "ERROR" => None,
        "MAX_TOKENS" => Some("length"),
        "TOOL_CALL" => Some("tool_calls"),
        _ => Some("stop"),
    };
    Said {
        finish: finish.map(str::to_owned),
        prompt: tokens["input_tokens"].as_u64().map(|n| n + tokens["image_tokens"].as_u64().unwrap_or(0)),
        completion: tokens["output_tokens"].as_u64(),
        cached: end["usage"]["cached_tokens"].as_u64(),
        error: end["finish_reason"] == "ERROR",
        ..Default::default()
    }
}
