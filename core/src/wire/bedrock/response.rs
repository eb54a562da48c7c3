//! Complete answers, and what they share with streams: blocks, reasons to end, token counts.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::errors;
use super::tools::ANSWER;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{
    AssistantMessage, ChatCompletion, Choice, Extra, FunctionCall, PromptTokensDetails, ToolCall, Usage,
};
use crate::wire::emit::NATIVE_FINISH_REASON;
use crate::wire::open::open;
use crate::wire::{Reply, WireTarget, failure, state};

open! {
    /// The body of an answer. What is not named (`metrics`, `trace`, ...) the caller gets as it is.
    Answer {
        output "output": Output,
        stop_reason "stopReason": String,
        usage "usage": Extra,
        service_tier "serviceTier": ServiceTier,
    }
}

#[derive(Deserialize)]
pub(super) struct Output {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Vec<Block>,
}

#[derive(Deserialize)]
pub(super) struct ServiceTier {
    pub r#type: String,
}

open! {
    /// One block of content.
    Block {
        text "text": String,
        call "toolUse": Call,
        reasoning "reasoningContent": Reasoning,
        cited "citationsContent": Cited,
    }
}

open! {
    /// A call of a tool; of one that runs on the server it has a type that says so.
    Call {
        id "toolUseId": String,
        name "name": String,
        input "input": Box<RawValue>,
        kind "type": String,
    }
}

open! {
    /// Reasoning, readable or not.
    Reasoning {
        text "reasoningText": ReasoningText,
        redacted "redactedContent": String,
    }
}

#[derive(Deserialize)]
pub(super) struct ReasoningText {
    #[serde(default)]
    text: String,
    signature: Option<String>,
}

open! {
    /// Text with the places it is taken from.
    Cited {
        content "content": Vec<Block>,
        citations "citations": Vec<Value>,
    }
}

impl Call {
    /// Whether the tool runs on Amazon's side, so that the caller has nothing to do.
    pub fn is_servers(&self) -> bool {
        self.kind.as_deref() == Some("server_tool_use")
    }
}

/// Name of the field, on messages and deltas, with what the answer cites, in Converse's words.
pub(super) const CITATIONS: &str = "citations";

pub(super) fn decode(reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let mut answer: Answer = serde_json::from_slice(reply.body)
        .map_err(|e| failure::not_json(reply.body, "answer of Converse", &e, target))?;
    let Some(output) = answer.output.take() else { return Err(no_answer(reply, target)) };
    let mut completion = from_answer(output, answer, target)?;
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    completion.id = header("x-amzn-requestid").unwrap_or_default().to_owned();
    Ok(completion)
}

/// JSON that is no answer: an error, as a rule.
pub(super) fn no_answer(reply: &Reply<'_>, target: &WireTarget<'_>) -> Error {
    let body: Value = serde_json::from_slice(reply.body).unwrap_or_default();
    if ["message", "Message", "__type"].iter().any(|name| body.get(name).is_some()) {
        let header = reply.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        return errors::from_body(header, 0, &body, target);
    }
    let why = format!("the answer has no `output`: {}", failure::excerpt(reply.body));
    target.at(Error::new(ErrorKind::Decode, why))
}

pub(super) fn from_answer(output: Output, answer: Answer, target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let mut read = Read::default();
    output.message.content.into_iter().for_each(|block| read.block(block));
    let (reason, native) = finish_reason(answer.stop_reason, !read.calls.is_empty(), target)?;
    let mut choice =
        Choice { message: read.into_message(target), finish_reason: Some(reason.to_owned()), ..Default::default() };
    choice.extra.insert(NATIVE_FINISH_REASON.to_owned(), native.into());
    Ok(ChatCompletion {
        object: "chat.completion".to_owned(),
        choices: vec![choice],
        usage: answer.usage.and_then(usage),
        service_tier: answer.service_tier.map(|tier| tier.r#type),
        extra: answer.extra,
        ..Default::default()
    })
}

/// A message being read from its blocks.
#[derive(Default)]
struct Read {
    text: Option<String>,
    reasoning: Option<String>,
    calls: Vec<ToolCall>,
    citations: Vec<Value>,
    state: Vec<Value>,
    unknown: Vec<Value>,
}

impl Read {
    fn block(&mut self, block: Block) {
        if let Some(text) = block.text {
            self.text.get_or_insert_default().push_str(&text);
        }
        if let Some(call) = block.call {
            self.call(call);
        }
        if let Some(reasoning) = block.reasoning {
            self.reasoning(reasoning);
        }
        if let Some(cited) = block.cited {
            cited.content.into_iter().flatten().for_each(|block| self.block(block));
            self.citations.extend(cited.citations.into_iter().flatten());
        }
        for (name, value) in block.extra {
            let block = json!({ &name: value });
            // The result of a tool of the server's: what it ran goes back with what it got.
            if name == "toolResult" { self.state.push(block) } else { self.unknown.push(block) }
        }
    }

    fn call(&mut self, call: Call) {
        if call.is_servers() {
            let input: Value = call.input.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(json!({}));
            self.state.push(server_call(call.id, call.name, call.kind, input));
            return;
        }
        let arguments = call.input.map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned());
        if call.name.as_deref() == Some(ANSWER) {
            self.text.get_or_insert_default().push_str(&arguments);
            return;
        }
        let function = FunctionCall { name: call.name.unwrap_or_default(), arguments };
        self.calls.push(ToolCall {
            id: call.id.unwrap_or_default(),
            r#type: "function".to_owned(),
            function: Some(function),
            ..Default::default()
        });
    }

    fn reasoning(&mut self, reasoning: Reasoning) {
        if let Some(said) = reasoning.text {
            self.reasoning.get_or_insert_default().push_str(&said.text);
            // Unsigned reasoning is nothing a vendor takes back.
            if let Some(signature) = said.signature {
                self.state.push(signed(said.text, signature));
            }
        }
        self.state.extend(reasoning.redacted.map(redacted));
    }

    fn into_message(self, target: &WireTarget<'_>) -> AssistantMessage {
        let mut extra = Extra::new();
        state::put(&mut extra, target, self.state);
        for (name, list) in [(CITATIONS, self.citations), ("content_blocks", self.unknown)] {
            if !list.is_empty() {
                extra.insert(name.to_owned(), Value::Array(list));
            }
        }
        AssistantMessage {
            role: "assistant".to_owned(),
            content: self.text,
            refusal: None,
            reasoning_content: self.reasoning,
            tool_calls: (!self.calls.is_empty()).then_some(self.calls),
            extra,
        }
    }
}

/// Blocks that go back word for word.
pub(super) fn signed(text: String, signature: String) -> Value {
    json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}})
}

pub(super) fn redacted(base64: String) -> Value {
    json!({"reasoningContent": {"redactedContent": base64}})
}

pub(super) fn server_call(id: Option<String>, name: Option<String>, kind: Option<String>, input: Value) -> Value {
    json!({"toolUse": {"toolUseId": id, "name": name, "type": kind, "input": input}})
}

/// Reasons to end, in OpenAI's words. Unknown ones count as `stop`.
const REASONS: &[(&str, &str)] = &[
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("tool_use", "tool_calls"),
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("guardrail_intervened", "content_filter"),
    ("content_filtered", "content_filter"),
];

/// Why the answer ended, in OpenAI's words and in Bedrock's. A tool that ran on the server is no call for the caller.
///
/// # Errors
/// `server_error` when the model wrote something that Bedrock could not read; `decode` without a reason.
pub(super) fn finish_reason(
    native: Option<String>,
    has_calls: bool,
    target: &WireTarget<'_>,
) -> Result<(&'static str, String)> {
    let Some(native) = native else {
        return Err(target.at(Error::new(ErrorKind::Decode, "the answer does not say why it ended (`stopReason`)")));
    };
    if native.starts_with("malformed_") {
        let why = format!("the model's answer was not well-formed (`{native}`); ask again");
        return Err(target.at(Error::new(ErrorKind::ServerError, why).with_code(native)));
    }
    let reason = match REASONS.iter().find(|(own, _)| *own == native) {
        Some((_, "tool_calls")) if !has_calls => "stop",
        Some((_, reason)) => reason,
        None => "stop",
    };
    Ok((reason, native))
}

/// Token counts: Bedrock counts what was read from and written to the cache beside the rest of the prompt.
pub(in crate::wire) fn usage(mut told: Extra) -> Option<Usage> {
    let mut count = |names: &[&str]| {
        let values: Vec<Value> = names.iter().filter_map(|name| told.remove(*name)).collect();
        values.iter().find_map(|value| value.as_u64().or_else(|| value.as_f64().map(|f| f as u64)))
    };
    let (input, output) = (count(&["inputTokens"]), count(&["outputTokens"]));
    let read = count(&["cacheReadInputTokens", "cacheReadInputTokenCount"]);
    let written = count(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
    let total = count(&["totalTokens"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let prompt = input.unwrap_or(0) + read.unwrap_or(0) + written.unwrap_or(0);
    let completion = output.unwrap_or(0);
    // A total that is not the sum is for the ledger to judge.
    if let Some(total) = total.filter(|total| *total != prompt + completion) {
        told.insert("totalTokens".to_owned(), total.into());
    }
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    told.retain(|_, value| !empty(value));
    let details = PromptTokensDetails { cached_tokens: read, cache_write_tokens: written, ..Default::default() };
    Some(Usage {
        prompt_tokens: prompt,
        completion_tokens: completion,
        total_tokens: prompt + completion,
        prompt_tokens_details: (read.is_some() || written.is_some()).then_some(details),
        completion_tokens_details: None,
        extra: told,
    })
}
