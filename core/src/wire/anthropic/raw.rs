//! Answers and events as they come, and the words for why one ended.

use serde_json::Value;

use super::tools::ANSWER;
use crate::types::Extra;
use crate::wire::open::open;

open! {
    /// A message, whole or as it begins.
    Message {
        r#type "type": String,
        id "id": String,
        model "model": String,
        content "content": Vec<Value>,
        stop_reason "stop_reason": String,
        stop_sequence "stop_sequence": Value,
        stop_details "stop_details": Value,
        usage "usage": Extra,
        error "error": Value,
    }
    skips "role"
}

open! {
    /// An event of a stream.
    Event {
        r#type "type": String,
        index "index": u64,
        message "message": Message,
        content_block "content_block": Value,
        delta "delta": Fresh,
        usage "usage": Extra,
        error "error": Value,
    }
}

open! {
    /// What is new in a block or in the message.
    Fresh {
        text "text": String,
        thinking "thinking": String,
        signature "signature": String,
        partial_json "partial_json": String,
        citation "citation": Value,
        content "content": Value,
        stop_reason "stop_reason": String,
        stop_sequence "stop_sequence": Value,
        stop_details "stop_details": Value,
    }
    skips "type"
}

/// Why a message ended.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    pub reason: Option<String>,
    pub sequence: Option<Value>,
    pub details: Option<Value>,
}

/// The vendor's words and OpenAI's; any other word is a plain end.
const REASONS: &[(&str, &str)] = &[
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("tool_use", "tool_calls"),
    ("refusal", "content_filter"),
];

impl Stopped {
    /// The reason in OpenAI's words. `called` says whether tools of the caller's were called: the answer's own tool is none.
    pub fn word(&self, called: bool) -> Option<&'static str> {
        let reason = self.reason.as_deref()?;
        match REASONS.iter().find(|(theirs, _)| *theirs == reason) {
            Some((_, "tool_calls")) if !called => Some("stop"),
            Some((_, word)) => Some(word),
            None => Some("stop"),
        }
    }

    /// Why the model refused, where it says so.
    pub fn refusal(&self) -> Option<String> {
        self.details.as_ref()?.get("explanation")?.as_str().map(str::to_owned)
    }

    /// What belongs beside the reason.
    pub fn beside(self) -> Extra {
        let mut extra = Extra::new();
        extra.extend(self.sequence.map(|s| ("stop_sequence".to_owned(), s)));
        extra.extend(self.details.map(|d| ("stop_details".to_owned(), d)));
        extra
    }
}

/// Whether a block is a call of a tool of the caller's.
pub(super) fn is_call(block: &Value) -> bool {
    block["type"] == "tool_use" && block["name"] != ANSWER
}

/// Whether a block is the answer in the form asked for.
pub(super) fn is_answer(block: &Value) -> bool {
    block["type"] == "tool_use" && block["name"] == ANSWER
}

/// A source of text as OpenAI tells it, with the span of the answer that rests on it (in characters); other sources than
/// pages of the web keep the vendor's type.
pub(super) fn annotation(citation: Value, span: (usize, usize)) -> Value {
    let Value::Object(mut citation) = citation else { return citation };
    let kind = match citation.remove("type") {
        Some(Value::String(kind)) if kind != "web_search_result_location" => kind,
        _ => "url_citation".to_owned(),
    };
    let mut inside = Extra::new();
    inside.insert("start_index".into(), span.0.into());
    inside.insert("end_index".into(), span.1.into());
    inside.extend(citation);
    let mut out = Extra::new();
    out.insert("type".into(), kind.clone().into());
    out.insert(kind, Value::Object(inside));
    Value::Object(out)
}

/// What the vendor says beyond what has a place; what it says nothing about is left out.
pub(super) fn said(extra: Extra) -> impl Iterator<Item = (String, Value)> {
    extra.into_iter().filter(|(_, value)| !value.is_null())
}
