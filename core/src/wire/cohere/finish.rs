//! Why an answer ended, in OpenAI's words, or as the error it is.

use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::wire::WireTarget;
use crate::wire::classify::VendorError;
use crate::wire::failure;

const WORDS: &[(&str, &str)] = &[
    ("COMPLETE", "stop"),
    ("STOP_SEQUENCE", "stop"),
    ("MAX_TOKENS", "length"),
    ("TOOL_CALL", "tool_calls"),
    ("ERROR_TOXIC", "content_filter"),
];

/// Words of answers that are none.
const FAILURES: &[(&str, ErrorKind)] =
    &[("ERROR", ErrorKind::ServerError), ("ERROR_LIMIT", ErrorKind::ServerError), ("TIMEOUT", ErrorKind::Timeout)];

/// OpenAI's word; an unknown one of Cohere's ends the answer without a fault.
pub(super) fn word(reason: &str, calls: bool) -> &'static str {
    match WORDS.iter().find(|(known, _)| *known == reason) {
        Some((_, word)) => word,
        None if calls => "tool_calls",
        None => "stop",
    }
}

/// The error behind a reason that is one; `said` may tell it in `error` and `error_type`.
pub(super) fn failure(reason: &str, said: &Value, target: &WireTarget<'_>) -> Option<Error> {
    let (_, kind) = FAILURES.iter().find(|(known, _)| *known == reason)?;
    let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text("error").unwrap_or_else(|| format!("the vendor ended the answer with {reason}"));
    let vendor = VendorError { message, code: text("error_type").or(Some(reason.to_owned())), ..Default::default() };
    Some(failure::of_kind(*kind, 0, vendor, target))
}
