//! OpenAI's Responses API, read the simple way.

use interfuse::error::ErrorKind;
use serde_json::Value;

use super::{Dialect, Exchange, Said, events, text};

/// The dialect.
pub struct OpenAiResponses;

impl Dialect for OpenAiResponses {
    fn folder(&self) -> &'static str {
        "openai-responses"
    }

    fn wire(&self) -> &'static str {
        "openai-responses"
    }

    fn foreign(&self, exchange: &Exchange) -> Option<String> {
        let asked = exchange.url.is_empty() || exchange.path().ends_with("/responses");
        let payload = |line: &str| line.strip_prefix("data: ").map(str::to_owned);
        let broken = |json: String| json.starts_with('{') && serde_json::from_str::<Value>(&json).is_err();
        if exchange.url.is_empty() && exchange.streamed {
            let text = String::from_utf8_lossy(&exchange.body);
            return text.lines().filter_map(payload).any(broken).then(|| "a payload is no JSON".to_owned());
        }
        let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
        match (asked, body["status"].as_str()) {
            (false, _) => Some(format!("no response: {}", exchange.path())),
            (_, Some(status @ ("queued" | "in_progress"))) => Some(format!("no answer yet: {status}")),
            _ => None,
        }
    }

    fn answer(&self, body: &Value) -> Said {
        said(body)
    }

    /// The last event tells the whole answer; its items may have come before it alone.
    fn stream(&self, body: &[u8]) -> Said {
        let events = events(body);
        let is_end =
            |e: &&Value| matches!(text(e, "type"), "response.completed" | "response.incomplete" | "response.failed");
        let Some(end) = events.iter().find(is_end) else {
            let error = events.iter().any(|e| e["type"] == "error" || !e["error"].is_null());
            return Said { broken: true, error, ..Default::default() };
        };
        let mut whole = end["response"].clone();
        if whole["output"].as_array().is_none_or(Vec::is_empty) {
            let done = events.iter().filter(|e| e["type"] == "response.output_item.done");
            whole["output"] = done.map(|e| e["item"].clone()).collect();
        }
        let mut said = said(&whole);
        let deltas = |kind: &str| {
            let of_kind = events.iter().filter(|e| e["type"] == kind);
            of_kind.map(|e| text(e, "delta")).collect::<String>()
        };
        let streamed = deltas("response.output_text.delta");
        if !streamed.is_empty() {
            said.text = Some(streamed);
        }
        said.error |= events.iter().any(|e| e["type"] == "error");
        said
    }

    fn kind(&self, status: u16, body: &Value) -> Option<ErrorKind> {
        match (status, text(&body["error"], "code")) {
            (_, "invalid_api_key") => Some(ErrorKind::Authentication),
            (_, "model_not_found") => Some(ErrorKind::NotFound),
            (_, "context_length_exceeded") => Some(ErrorKind::ContextLength),
            (_, "insufficient_quota") => Some(ErrorKind::InsufficientCredits),
            (_, "rate_limit_exceeded") => Some(ErrorKind::RateLimited),
            _ => None,
        }
    }

    fn ends(&self, payload: &Value) -> bool {
        matches!(text(payload, "type"), "response.completed" | "response.incomplete" | "response.failed")
    }
}

fn said(body: &Value) -> Said {
    let items = body["output"].as_array().cloned().unwrap_or_default();
    let of = |kind: &'static str| items.iter().filter(move |i| i["type"] == kind);
    let parts = || of("message").flat_map(|i| i["content"].as_array().into_iter().flatten());
    let calls: Vec<(String, String)> = of("function_call")
        .map(|i| {
            (
                text(i, "name").to_owned(),
                Some(text(i, "arguments")).filter(|a| !a.is_empty()).unwrap_or("{}").to_owned(),
            )
        })
        .collect();
    // Which of several texts is the reasoning, and what stands between them, is the wire's choice.
    let thoughts: Vec<&Value> = of("reasoning")
        .flat_map(|i| ["summary", "content"].into_iter().flat_map(|f| i[f].as_array().into_iter().flatten()))
        .collect();
    let reasoning = match thoughts.as_slice() {
        [] => Some(String::new()),
        [one] => Some(text(one, "text").to_owned()),
        _ => None,
    };
    let custom = of("custom_tool_call").count();
    let finish = match (text(body, "status"), text(&body["incomplete_details"], "reason")) {
        ("incomplete", "content_filter") => "content_filter",
        ("incomplete", _) => "length",
        _ if custom + calls.len() > 0 => "tool_calls",
        _ => "stop",
    };
    let usage = &body["usage"];
    Said {
        text: Some(parts().map(|p| text(p, "text")).collect()),
        reasoning,
        calls: (custom == 0).then_some(calls),
        finish: Some(finish.to_owned()),
        prompt: usage["input_tokens"].as_u64(),
        completion: usage["output_tokens"].as_u64(),
        cached: usage["input_tokens_details"]["cached_tokens"].as_u64(),
        error: !body["error"].is_null() || body["status"] == "failed",
        ..Default::default()
    }
}
