//! Answers and events as they come: why one ended, what it counts.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::types::{Extra, Usage};
use crate::wire::open::open;
use crate::wire::{WireTarget, failure};

open! {
    /// An answer, as far as it has come. What only repeats the request is left out.
    Response {
        id "id": String,
        created_at "created_at": f64,
        model "model": String,
        status "status": String,
        output "output": Vec<Value>,
        usage "usage": Extra,
        error "error": Value,
        incomplete_details "incomplete_details": Value,
        service_tier "service_tier": String,
    }
    skips "object" "instructions" "tools" "tool_choice" "parallel_tool_calls" "temperature" "top_p" "truncation"
        "max_output_tokens" "max_tool_calls" "reasoning" "text" "store" "background" "user" "safety_identifier"
        "previous_response_id" "prompt_cache_key" "prompt_cache_retention" "top_logprobs" "frequency_penalty"
        "presence_penalty" "completed_at" "output_text"
}

open! {
    /// An event of a stream.
    Event {
        r#type "type": String,
        output_index "output_index": u64,
        delta "delta": Value,
        item "item": Value,
        response "response": Response,
        annotation "annotation": Value,
        logprobs "logprobs": Value,
    }
    skips "obfuscation"
}

/// Why an answer ended: OpenAI's word in Chat Completions, and the vendor's own.
#[derive(Debug)]
pub(super) struct End {
    pub word: &'static str,
    pub native: String,
}

/// Why it ended. `called` says whether it calls tools of the caller's.
///
/// # Errors
/// The vendor's, when it failed; `server_error` when it was cancelled; `decode` when it is not over.
pub(super) fn end(response: &mut Response, called: bool, target: &WireTarget<'_>) -> Result<End> {
    if let Some(error) = response.error.take() {
        return Err(failure::from_value(0, &serde_json::json!({ "error": error }), target));
    }
    let status = response.status.take().unwrap_or_else(|| "completed".to_owned());
    let unfinished = |kind: ErrorKind| {
        Err(target.at(Error::new(kind, format!("the vendor ended the answer with status `{status}`"))))
    };
    match status.as_str() {
        "failed" | "cancelled" => return unfinished(ErrorKind::ServerError),
        "queued" | "in_progress" => return unfinished(ErrorKind::Decode),
        _ => {}
    }
    let reason = response.incomplete_details.take().and_then(|d| d["reason"].as_str().map(str::to_owned));
    let word = match (status.as_str(), reason.as_deref()) {
        ("incomplete", Some("content_filter")) => "content_filter",
        ("incomplete", _) => "length",
        _ if called => "tool_calls",
        _ => "stop",
    };
    Ok(End { word, native: reason.unwrap_or(status) })
}

/// Counts under Chat Completions' names; the rules are the same.
pub(in crate::wire) fn usage(mut raw: Extra) -> Option<Usage> {
    let mut count = |name: &str| raw.remove(name).and_then(|n| n.as_u64());
    let (input, output, total) = (count("input_tokens"), count("output_tokens"), count("total_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (prompt_tokens, completion_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: total.unwrap_or(prompt_tokens + completion_tokens),
        // Realtime sessions leave out an s.
        prompt_tokens_details: details(&mut raw, "input_tokens_details")
            .or_else(|| details(&mut raw, "input_token_details")),
        completion_tokens_details: details(&mut raw, "output_tokens_details")
            .or_else(|| details(&mut raw, "output_token_details")),
        extra: said(raw).collect(),
    })
}

/// Details of counts; of a shape of the vendor's own they stay where they are.
fn details<T: DeserializeOwned>(raw: &mut Extra, name: &str) -> Option<T> {
    let read = raw.get(name).filter(|d| !d.is_null()).and_then(|d| T::deserialize(d).ok())?;
    raw.remove(name);
    Some(read)
}

/// What the vendor says beyond what has a place; what it says nothing about is left out.
pub(super) fn said(extra: Extra) -> impl Iterator<Item = (String, Value)> {
    extra.into_iter().filter(|(_, value)| !value.is_null())
}

/// Text parts of a finished reasoning item: the summary, or else the reasoning itself.
pub(super) fn thoughts(item: &Value) -> Vec<&str> {
    let texts = |field: &str| -> Vec<&str> {
        let parts = item[field].as_array().into_iter().flatten();
        parts.filter_map(|part| part["text"].as_str()).filter(|text| !text.is_empty()).collect()
    };
    let summary = texts("summary");
    if summary.is_empty() { texts("content") } else { summary }
}

/// Stands between two parts of the reasoning.
pub(super) const BETWEEN_THOUGHTS: &str = "\n\n";
