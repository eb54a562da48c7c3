//! OpenAI Chat Completions in the collection's layout, read the simple way.

use interfuse::error::ErrorKind;
use serde_json::Value;

use super::{Dialect, Exchange, Said, events, text};

/// The dialect, as one of its speakers has it.
pub struct OpenAiChat {
    /// Folder of the recordings.
    pub folder: &'static str,
}

impl Dialect for OpenAiChat {
    fn folder(&self) -> &'static str {
        self.folder
    }

    fn wire(&self) -> &'static str {
        "openai-chat"
    }

    fn foreign(&self, exchange: &Exchange) -> Option<String> {
        let chat = exchange.url.is_empty() || exchange.path().ends_with("/chat/completions");
        (!chat).then(|| format!("no chat call: {}", exchange.path()))
    }

    fn answer(&self, body: &Value) -> Said {
        let choice = &body["choices"][0];
        let calls = choice["message"]["tool_calls"].as_array().into_iter().flatten();
        Said {
            text: Some(content(&choice["message"])),
            calls: Some(calls.map(|c| called(&c["function"])).collect()),
            finish: choice["finish_reason"].as_str().map(str::to_owned),
            error: !body["error"].is_null(),
            ..tally(&body["usage"])
        }
    }

    fn stream(&self, body: &[u8]) -> Said {
        let (mut said, mut answer) = (Said { broken: true, ..Default::default() }, String::new());
        let mut calls: Vec<(String, String)> = Vec::new();
        for event in events(body) {
            said.error |= !event["error"].is_null();
            if event["usage"].is_object() {
                let usage = tally(&event["usage"]);
                (said.prompt, said.completion, said.cached) = (usage.prompt, usage.completion, usage.cached);
            }
            let choice = &event["choices"][0];
            answer.push_str(&content(&choice["delta"]));
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let place = call["index"].as_u64().unwrap_or(0) as usize;
                calls.resize_with(calls.len().max(place + 1), Default::default);
                let (name, arguments) = called(&call["function"]);
                calls[place].0.push_str(&name);
                calls[place].1.push_str(&arguments);
            }
            if let Some(reason) = choice["finish_reason"].as_str() {
                said.finish = Some(reason.to_owned());
                said.broken = false;
            }
        }
        Said { text: Some(answer), calls: Some(calls), ..said }
    }

    fn kind(&self, status: u16, body: &Value) -> Option<ErrorKind> {
        match (status, text(&body["error"], "code")) {
            (_, "context_length_exceeded") => Some(ErrorKind::ContextLength),
            (401, _) => Some(ErrorKind::Authentication),
            (400, "") if body["error"].is_object() => Some(ErrorKind::InvalidRequest),
            _ => None,
        }
    }
}

/// Text, or the texts of a list of blocks.
fn content(message: &Value) -> String {
    match &message["content"] {
        Value::Array(blocks) => blocks.iter().map(|block| text(block, "text")).collect(),
        _ => text(message, "content").to_owned(),
    }
}

fn called(function: &Value) -> (String, String) {
    let arguments = match &function["arguments"] {
        object @ Value::Object(_) => object.to_string(),
        _ => text(function, "arguments").to_owned(),
    };
    (text(function, "name").to_owned(), arguments)
}

fn tally(usage: &Value) -> Said {
    Said {
        prompt: usage["prompt_tokens"].as_u64(),
        completion: usage["completion_tokens"].as_u64(),
        cached: usage["prompt_tokens_details"]["cached_tokens"].as_u64(),
        ..Default::default()
    }
}
