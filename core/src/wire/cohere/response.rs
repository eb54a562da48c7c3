//! Complete answers.

use serde::Deserialize;
use serde_json::Value;

use super::raw::{self, Block, Body, Call, Message};
use super::{finish, raw::cite};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{AssistantMessage, ChatCompletion, Choice, Extra};
use crate::wire::emit::NATIVE_FINISH_REASON;
use crate::wire::{WireTarget, failure};

pub(super) fn decode(body: &[u8], target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let parsed: Body = serde_json::from_slice(body).map_err(|e| failure::not_json(body, "chat answer", &e, target))?;
    let message = match parsed.message {
        Some(message @ Value::Object(_)) => {
            Message::deserialize(message).map_err(|e| failure::not_json(body, "chat answer", &e, target))?
        }
        // An error in place of an answer.
        Some(Value::String(text)) => {
            return Err(failure::from_value(
                0,
                &serde_json::json!({"message": text, "error_type": parsed.extra.get("error_type")}),
                target,
            ));
        }
        _ => {
            let why = format!("the answer has no `message`: {}", failure::excerpt(body));
            return Err(target.at(Error::new(ErrorKind::Decode, why)));
        }
    };
    if let Some(reason) = &parsed.finish_reason
        && let Some(error) = finish::failure(reason, &Value::Object(parsed.extra.clone()), target)
    {
        return Err(error);
    }
    let message = message.into_message();
    let calls = message.tool_calls.is_some();
    let mut extra = Extra::new();
    let finish_reason = parsed.finish_reason.map(|reason| {
        let word = finish::word(&reason, calls).to_owned();
        extra.insert(NATIVE_FINISH_REASON.to_owned(), Value::String(reason));
        word
    });
    let logprobs = raw::logprobs(parsed.logprobs.iter().flatten());
    Ok(ChatCompletion {
        id: parsed.id.unwrap_or_default(),
        object: "chat.completion".to_owned(),
        choices: vec![Choice { index: 0, message, finish_reason, logprobs, extra }],
        usage: parsed.usage.and_then(raw::usage),
        extra: parsed.extra,
        ..Default::default()
    })
}

impl Message {
    fn into_message(self) -> AssistantMessage {
        let mut extra = self.extra;
        let (mut text, mut thoughts, mut rest) = (None::<String>, String::new(), Vec::new());
        for block in self.content.into_iter().flatten() {
            match block {
                Block { text: Some(new), .. } => text.get_or_insert_default().push_str(&new),
                Block { thinking: Some(new), .. } => thoughts.push_str(&new),
                Block { r#type, extra: mut other, .. } => {
                    other.extend(r#type.map(|t| ("type".to_owned(), Value::String(t))));
                    rest.push(Value::Object(other));
                }
            }
        }
        if !rest.is_empty() {
            extra.insert("content_blocks".to_owned(), Value::Array(rest));
        }
        // The plan is told before the calls, as thoughts are.
        thoughts.push_str(&self.tool_plan.unwrap_or_default());
        cite(&mut extra, self.citations.unwrap_or_default());
        let calls: Vec<_> = self.tool_calls.into_iter().flatten().map(Call::into_call).collect();
        AssistantMessage {
            role: "assistant".to_owned(),
            content: text,
            refusal: None,
            reasoning_content: (!thoughts.is_empty()).then_some(thoughts),
            tool_calls: (!calls.is_empty()).then_some(calls),
            extra,
        }
    }
}
