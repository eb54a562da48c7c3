//! Ollama's `/api/chat`, read the simple way.

use interfuse::error::ErrorKind;
use serde_json::Value;

use super::{Dialect, Exchange, Said, text};

/// The dialect.
pub struct Ollama;

impl Dialect for Ollama {
    fn folder(&self) -> &'static str {
        "ollama"
    }

    fn wire(&self) -> &'static str {
        "ollama"
    }

    fn foreign(&self, exchange: &Exchange) -> Option<String> {
        let path = exchange.path();
        (path != "/api/chat").then(|| format!("no chat call: {path}"))
    }

    fn answer(&self, body: &Value) -> Said {
        said(std::slice::from_ref(body))
    }

    fn stream(&self, body: &[u8]) -> Said {
        let lines = String::from_utf8_lossy(body);
        said(&lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>())
    }

    fn kind(&self, status: u16, _body: &Value) -> Option<ErrorKind> {
        match status {
            401 => Some(ErrorKind::Authentication),
            404 => Some(ErrorKind::NotFound),
            503 => Some(ErrorKind::Overloaded),
            _ => None,
        }
    }

    fn framed(&self, lines: &str) -> Vec<u8> {
        lines.as_bytes().to_vec()
    }

    fn has_id(&self) -> bool {
        false
    }
}

fn said(lines: &[Value]) -> Said {
    let (mut answer, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    let mut said = Said { broken: true, ..Default::default() };
    for line in lines {
        let message = &line["message"];
        answer.push_str(text(message, "content"));
        thoughts.push_str(text(message, "thinking"));
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            calls.push((text(&call["function"], "name").to_owned(), call["function"]["arguments"].to_string()));
        }
        said.error |= !line["error"].is_null();
        if line["done"] == true {
            said.broken = false;
            said.completion = line["eval_count"].as_u64();
            said.prompt = said.completion.map(|_| line["prompt_eval_count"].as_u64().unwrap_or(0));
            let word = match text(line, "done_reason") {
                "length" => "length",
                _ if !calls.is_empty() => "tool_calls",
                _ => "stop",
            };
            said.finish = Some(word.to_owned());
        }
    }
    Said { text: Some(answer), reasoning: Some(thoughts), calls: Some(calls), ..said }
}
