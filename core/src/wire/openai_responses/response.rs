//! Complete answers.

use serde::Deserialize;
use serde_json::Value;

use super::items::{annotation, is_memory, remembered};
use super::raw::{self, BETWEEN_THOUGHTS, Response};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{AssistantMessage, ChatCompletion, Choice, Extra, FunctionCall, Logprobs, TokenLogprob, ToolCall};
use crate::wire::emit::NATIVE_FINISH_REASON;
use crate::wire::{WireTarget, failure, state};

pub(super) fn decode(body: &[u8], target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let mut answer: Response =
        serde_json::from_slice(body).map_err(|e| failure::not_json(body, "response", &e, target))?;
    let output = answer.output.take();
    let mut message = Collected::default();
    output.iter().flatten().for_each(|item| message.note(item));
    let end = raw::end(&mut answer, !message.calls.is_empty(), target)?;
    let Some(output) = output else {
        let why = format!("the answer has no `output`: {}", failure::excerpt(body));
        return Err(target.at(Error::new(ErrorKind::Decode, why)));
    };
    let logprobs = (!message.logprobs.is_empty())
        .then(|| Logprobs { content: Some(std::mem::take(&mut message.logprobs)), ..Default::default() });
    let mut extra = Extra::new();
    extra.insert(NATIVE_FINISH_REASON.to_owned(), end.native.into());
    Ok(ChatCompletion {
        id: answer.id.unwrap_or_default(),
        object: "chat.completion".to_owned(),
        created: answer.created_at.filter(|at| *at > 0.0).map_or(0, |at| at as u64),
        model: answer.model.unwrap_or_default(),
        choices: vec![Choice {
            index: 0,
            message: message.finish(output, target),
            finish_reason: Some(end.word.to_owned()),
            logprobs,
            extra,
        }],
        usage: answer.usage.and_then(raw::usage),
        service_tier: answer.service_tier,
        system_fingerprint: None,
        interfuse: None,
        extra: raw::said(answer.extra).collect(),
    })
}

/// The items as one message.
#[derive(Default)]
struct Collected {
    text: Option<String>,
    refusal: Option<String>,
    thoughts: Option<String>,
    calls: Vec<ToolCall>,
    annotations: Vec<Value>,
    logprobs: Vec<TokenLogprob>,
}

impl Collected {
    fn note(&mut self, item: &Value) {
        match item["type"].as_str() {
            Some("message") => item["content"].as_array().into_iter().flatten().for_each(|part| self.part(part)),
            Some("reasoning") => {
                for thought in raw::thoughts(item) {
                    let all = self.thoughts.get_or_insert_default();
                    if !all.is_empty() {
                        all.push_str(BETWEEN_THOUGHTS);
                    }
                    all.push_str(thought);
                }
            }
            _ => self.calls.extend(call(item)),
        }
    }

    fn part(&mut self, part: &Value) {
        if let Some(text) = part["text"].as_str() {
            let all = self.text.get_or_insert_default();
            let before = all.chars().count();
            all.push_str(text);
            let sources = part["annotations"].as_array().into_iter().flatten();
            self.annotations.extend(sources.map(|source| annotation(source.clone(), before)));
            self.logprobs.extend(logprobs(&part["logprobs"]));
        }
        if let Some(refusal) = part["refusal"].as_str() {
            self.refusal.get_or_insert_default().push_str(refusal);
        }
    }

    fn finish(self, output: Vec<Value>, target: &WireTarget<'_>) -> AssistantMessage {
        let (mut memory, mut others) = (Vec::new(), Vec::new());
        for item in output {
            match item["type"].as_str() {
                _ if is_memory(&item) => memory.push(remembered(item)),
                Some("message" | "function_call" | "custom_tool_call") => {}
                _ => others.push(item),
            }
        }
        let mut extra = Extra::new();
        if !self.annotations.is_empty() {
            extra.insert("annotations".into(), Value::Array(self.annotations));
        }
        if !others.is_empty() {
            extra.insert(OTHERS.into(), Value::Array(others));
        }
        state::put(&mut extra, target, memory);
        let nothing = self.calls.is_empty() && self.refusal.is_none();
        AssistantMessage {
            role: "assistant".to_owned(),
            content: self.text.or_else(|| nothing.then(String::new)),
            refusal: self.refusal,
            reasoning_content: self.thoughts,
            tool_calls: (!self.calls.is_empty()).then_some(self.calls),
            extra,
        }
    }
}

/// Field of a message with items that have no place in it (searches, code that was run, ...).
pub(super) const OTHERS: &str = "content_blocks";

/// The call that an item is.
pub(super) fn call(item: &Value) -> Option<ToolCall> {
    let word = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let mut extra = Extra::new();
    let (kind, function) = match item["type"].as_str() {
        Some("function_call") => {
            let arguments = Some(word("arguments")).filter(|a| !a.is_empty()).unwrap_or_else(|| "{}".to_owned());
            ("function", Some(FunctionCall { name: word("name"), arguments }))
        }
        Some("custom_tool_call") => {
            extra.insert("custom".into(), serde_json::json!({"name": word("name"), "input": word("input")}));
            ("custom", None)
        }
        _ => return None,
    };
    Some(ToolCall { id: word("call_id"), r#type: kind.to_owned(), function, extra })
}

/// Log probabilities of tokens; of a shape of the vendor's own there are none.
pub(super) fn logprobs(raw: &Value) -> Vec<TokenLogprob> {
    Vec::<TokenLogprob>::deserialize(raw).unwrap_or_default()
}
