//! Google's `generateContent` from both hosts, read the simple way.

use interfuse::error::ErrorKind;
use serde_json::Value;

use super::{Dialect, Exchange, Said, events, text};

/// The dialect, as one host speaks it.
pub struct Google {
    /// Folder of its recordings.
    pub folder: &'static str,
}

impl Dialect for Google {
    fn folder(&self) -> &'static str {
        self.folder
    }

    fn wire(&self) -> &'static str {
        "gemini"
    }

    fn foreign(&self, exchange: &Exchange) -> Option<String> {
        let path = exchange.path();
        if !path.is_empty() && !path.ends_with("enerateContent") {
            return Some(format!("no chat call: {path}"));
        }
        let body = String::from_utf8_lossy(&exchange.body);
        let known = ["\"candidates\"", "\"promptFeedback\"", "\"error\""].iter().any(|name| body.contains(name));
        (!known).then(|| "another interface of Google's".to_owned())
    }

    fn answer(&self, body: &Value) -> Said {
        let said = said(body.as_array().unwrap_or(&vec![body.clone()]));
        // A whole answer that neither says anything nor why is none.
        let error = said.error || (said.broken && said.text.as_deref() == Some(""));
        Said { error, ..said }
    }

    fn stream(&self, body: &[u8]) -> Said {
        // An error, or a whole answer, may stand there as plain JSON, also after events.
        let all = String::from_utf8_lossy(body);
        let bare = all.find("\n{").map(|at| at + 1).or(all.starts_with(['{', '[']).then_some(0));
        let bare: Option<Value> = bare.and_then(|at| serde_json::from_str(&all[at..]).ok());
        let mut list = events(body);
        match bare {
            Some(Value::Array(bare)) => list.extend(bare),
            bare => list.extend(bare),
        }
        said(&list)
    }

    fn kind(&self, status: u16, body: &Value) -> Option<ErrorKind> {
        let error = if body.is_array() { &body[0]["error"] } else { &body["error"] };
        match (status, text(error, "status"), text(error, "message")) {
            (400, _, m) if m.contains("API key not valid") => Some(ErrorKind::Authentication),
            (400, _, m) if m.contains("exceeds the maximum number of tokens") => Some(ErrorKind::ContextLength),
            (400, "FAILED_PRECONDITION", _) | (403, ..) => Some(ErrorKind::Permission),
            (400, ..) => Some(ErrorKind::InvalidRequest),
            (404, ..) => Some(ErrorKind::NotFound),
            (429, ..) => Some(ErrorKind::RateLimited),
            _ => None,
        }
    }

    fn framed(&self, lines: &str) -> Vec<u8> {
        lines.lines().filter(|l| !l.trim().is_empty()).map(|l| format!("data: {l}\r\n\r\n")).collect::<String>().into()
    }

    fn has_id(&self) -> bool {
        // Older models give none.
        false
    }
}

/// What the responses of one answer say together.
fn said(list: &[Value]) -> Said {
    let (mut answer, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    let (mut reason, mut blocks, mut pieces, mut ends) = ("", 0, false, 0);
    let mut said = Said::default();
    for event in list {
        let candidate = &event["candidates"][0];
        let blocked = candidate.is_null() && event["promptFeedback"].is_object();
        said.error |= event["error"].is_object() || blocked || event.get("this").is_some();
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            match part {
                part if part["functionCall"].is_object() => {
                    let call = &part["functionCall"];
                    pieces |= !call["willContinue"].is_null();
                    let arguments = if call["args"].is_null() { "{}".to_owned() } else { call["args"].to_string() };
                    calls.push((text(call, "name").to_owned(), arguments));
                }
                part if part["text"].is_null() => blocks += 1,
                part if part["thought"] == true => thoughts.push_str(text(part, "text")),
                part => answer.push_str(text(part, "text")),
            }
        }
        if let Some(new) = candidate["finishReason"].as_str() {
            reason = new;
            ends += 1;
        }
        if candidate["finishReason"] == 1 {
            reason = "STOP";
        }
        let usage = &event["usageMetadata"];
        if usage["promptTokenCount"].is_u64() {
            let count = |name: &str| usage[name].as_u64().unwrap_or(0);
            said.prompt = Some(count("promptTokenCount") + count("toolUsePromptTokenCount"));
            said.completion = Some(count("candidatesTokenCount") + count("thoughtsTokenCount"));
            said.cached = Some(count("cachedContentTokenCount"));
        }
    }
    let nothing = answer.is_empty() && calls.is_empty() && blocks == 0;
    let finish = match reason {
        "" => None,
        "MAX_TOKENS" => Some("length"),
        "SAFETY" | "RECITATION" | "PROHIBITED_CONTENT" => Some("content_filter"),
        _ if !calls.is_empty() => Some("tool_calls"),
        _ => Some("stop"),
    };
    said.error |= nothing && !matches!(reason, "" | "STOP") && finish == Some("stop");
    said.broken = finish.is_none();
    said.restless = list.len() > 1 && ends == list.len();
    said.finish = finish.map(str::to_owned);
    Said { text: Some(answer), reasoning: Some(thoughts), calls: (!pieces).then_some(calls), ..said }
}
