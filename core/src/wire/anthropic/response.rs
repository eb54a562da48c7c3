//! Complete answers.

use serde_json::Value;

use super::raw::{self, Message, Stopped};
use super::usage;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{AssistantMessage, ChatCompletion, Choice, Extra, FunctionCall, ToolCall};
use crate::wire::emit::NATIVE_FINISH_REASON;
use crate::wire::{WireTarget, failure, state};

pub(super) fn decode(body: &[u8], target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let mut answer: Message =
        serde_json::from_slice(body).map_err(|e| failure::not_json(body, "message", &e, target))?;
    if let Some(error) = answer.error.take() {
        return Err(failure::from_value(0, &serde_json::json!({ "error": error }), target));
    }
    let Some(content) = answer.content.take() else {
        let message = format!("the answer has no `content`: {}", failure::excerpt(body));
        return Err(target.at(Error::new(ErrorKind::Decode, message)));
    };
    let mut message = message(content, target);
    let stopped = Stopped { reason: answer.stop_reason, sequence: answer.stop_sequence, details: answer.stop_details };
    let finish_reason = stopped.word(message.tool_calls.is_some()).map(str::to_owned);
    message.refusal = stopped.refusal();
    let native = stopped.reason.clone().map(|reason| (NATIVE_FINISH_REASON.to_owned(), Value::String(reason)));
    let extra = native.into_iter().chain(stopped.beside()).collect();
    let service_tier = answer.usage.as_mut().and_then(usage::service_tier);
    Ok(ChatCompletion {
        id: answer.id.unwrap_or_default(),
        object: "chat.completion".to_owned(),
        model: answer.model.unwrap_or_default(),
        choices: vec![Choice { index: 0, message, finish_reason, logprobs: None, extra }],
        usage: answer.usage.and_then(usage::read),
        service_tier,
        extra: raw::said(answer.extra).collect(),
        ..Default::default()
    })
}

/// The blocks as one message: text, thoughts and calls in their places, all else for the next turn.
fn message(blocks: Vec<Value>, target: &WireTarget<'_>) -> AssistantMessage {
    let (mut text, mut thoughts, mut calls) = (None::<String>, None::<String>, Vec::new());
    let (mut annotations, mut opaque) = (Vec::new(), Vec::new());
    for mut block in blocks {
        let into = text.get_or_insert_default();
        match block["type"].as_str() {
            Some("text") => {
                let start = into.chars().count();
                into.push_str(block["text"].as_str().unwrap_or_default());
                if let Value::Array(citations) = block["citations"].take() {
                    let span = (start, into.chars().count());
                    annotations.extend(citations.into_iter().map(|c| raw::annotation(c, span)));
                }
            }
            _ if raw::is_answer(&block) => into.push_str(&block["input"].to_string()),
            _ if raw::is_call(&block) => calls.push(call(block)),
            _ => {
                if let Some(thought) = block["thinking"].as_str() {
                    thoughts.get_or_insert_default().push_str(thought);
                }
                opaque.push(block);
            }
        }
    }
    let mut extra = Extra::new();
    if !annotations.is_empty() {
        extra.insert("annotations".into(), Value::Array(annotations));
    }
    state::put(&mut extra, target, opaque);
    let text = text.unwrap_or_default();
    AssistantMessage {
        role: "assistant".to_owned(),
        // Nothing but calls is no text; an empty answer is one.
        content: (!text.is_empty() || calls.is_empty()).then_some(text),
        refusal: None,
        reasoning_content: thoughts.filter(|t| !t.is_empty()),
        tool_calls: (!calls.is_empty()).then_some(calls),
        extra,
    }
}

fn call(mut block: Value) -> ToolCall {
    let word = |block: &Value, name: &str| block[name].as_str().unwrap_or_default().to_owned();
    let mut extra = Extra::new();
    if let Some(caller) = block.get_mut("caller").map(Value::take).filter(|c| !c.is_null()) {
        extra.insert("caller".into(), caller);
    }
    let arguments = if block["input"].is_null() { "{}".to_owned() } else { block["input"].to_string() };
    ToolCall {
        id: word(&block, "id"),
        r#type: "function".to_owned(),
        function: Some(FunctionCall { name: word(&block, "name"), arguments }),
        extra,
    }
}
