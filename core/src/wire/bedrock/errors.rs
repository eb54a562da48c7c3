//! Errors of Bedrock: exceptions named in a header, in a body or by a frame of a stream; and what to do about those
//! that puzzle everyone once.

use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::wire::classify::{self, VendorError};
use crate::wire::{Reply, WireTarget, failure};

/// Exceptions by the beginning of their names, in lower case: of a stream they come as `throttlingException`, from the
/// gateway without `Exception` at the end.
const EXCEPTIONS: &[(&str, ErrorKind)] = &[
    ("accessdenied", ErrorKind::Permission),
    ("optinrequired", ErrorKind::Permission),
    ("unrecognizedclient", ErrorKind::Authentication),
    ("invalidclienttokenid", ErrorKind::Authentication),
    ("invalidsignature", ErrorKind::Authentication),
    ("signaturedoesnotmatch", ErrorKind::Authentication),
    ("requesttimetooskewed", ErrorKind::Authentication),
    ("requestexpired", ErrorKind::Authentication),
    ("incompletesignature", ErrorKind::Authentication),
    ("missingauthenticationtoken", ErrorKind::Authentication),
    ("expiredtoken", ErrorKind::Authentication),
    ("resourcenotfound", ErrorKind::NotFound),
    ("unknownoperation", ErrorKind::NotFound),
    ("modeltimeout", ErrorKind::Timeout),
    ("throttling", ErrorKind::RateLimited),
    ("toomanyrequests", ErrorKind::RateLimited),
    ("servicequotaexceeded", ErrorKind::RateLimited),
    ("modelnotready", ErrorKind::Overloaded),
    ("serviceunavailable", ErrorKind::Overloaded),
    ("modelerror", ErrorKind::ServerError),
    ("modelstreamerror", ErrorKind::ServerError),
    ("internalserver", ErrorKind::ServerError),
    ("internalfailure", ErrorKind::ServerError),
];

/// What a message says of a request that is simply refused, in lower case.
const REFUSALS: &[(&str, ErrorKind)] = &[
    ("model identifier is invalid", ErrorKind::NotFound),
    ("reached the end of its life", ErrorKind::NotFound),
    ("on-demand throughput", ErrorKind::InvalidRequest),
];

/// What to do, by what an exception or its message says, in lower case.
const ADVICE: &[(&str, &str)] = &[
    (
        "on-demand throughput",
        "call the model by an inference profile, whose id is the model's with a region before it, such as `us.`, `eu.` \
         or `global.`",
    ),
    ("expiredtoken", "the session's credentials are over: refresh them, with `aws sso login` for instance"),
    ("security token included in the request is expired", "refresh the session, with `aws sso login` for instance"),
    ("signature expired", "this machine's clock is behind Amazon's, or the request waited for minutes: set the clock"),
    ("signature not yet current", "this machine's clock is ahead of Amazon's: set the clock"),
    ("requesttimetooskewed", "this machine's clock and Amazon's differ: set the clock"),
    (
        "signature we calculated does not match",
        "the secret key is not that of the access key, or something on the way changed the request",
    ),
    ("unrecognizedclient", "the access key is unknown, or the session token does not belong to it"),
    ("missingauthenticationtoken", "no credential arrived"),
    (
        "don't have access to the model",
        "ask for access to the model in Bedrock's console, in the region that is called",
    ),
];

/// The error behind a status outside 200..300.
pub(super) fn from_reply(reply: &Reply<'_>, target: &WireTarget<'_>) -> Error {
    let header = reply.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    match serde_json::from_slice::<Value>(reply.body) {
        Ok(body @ Value::Object(_)) => from_body(header, reply.status, &body, target),
        _ => failure::from_body(reply.status, reply.body, target),
    }
}

/// The error that a body tells; `status` is 0 inside a stream, `name` what stands beside it.
pub(super) fn from_body(name: Option<&str>, status: u16, body: &Value, target: &WireTarget<'_>) -> Error {
    let text = |field: &str| body.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = name.filter(|name| !name.is_empty()).or_else(|| text("__type")).or_else(|| text("code"));
    let name = name.map(bare);
    let said = text("message").or_else(|| text("Message")).or_else(|| text("originalMessage"));
    if said.is_none() && name.is_none() {
        return failure::from_value(status, body, target);
    }
    build(name, status, said.unwrap_or_else(|| name.unwrap_or_default()), target)
}

fn build(name: Option<&str>, status: u16, said: &str, target: &WireTarget<'_>) -> Error {
    let said = without_request(said);
    let words = straight(&format!("{} {said}", name.unwrap_or_default()));
    let kind = kind(name, status, &said, &words);
    let advice = ADVICE.iter().find(|(sign, _)| words.contains(sign));
    let message = match advice {
        Some((_, advice)) => format!("{said} ({advice})"),
        None => said,
    };
    let mut error = target.at(Error::new(kind, message));
    if status != 0 {
        error = error.with_status(status);
    }
    if let Some(name) = name {
        error = error.with_code(name);
    }
    // A quota of the account or of the day is not there again in a minute.
    if words.contains("per day") || words.contains("servicequotaexceeded") {
        error.body_mut().retryable = false;
    }
    error
}

fn kind(name: Option<&str>, status: u16, said: &str, words: &str) -> ErrorKind {
    let lower = name.unwrap_or_default().to_ascii_lowercase();
    if let Some((_, kind)) = EXCEPTIONS.iter().find(|(begin, _)| lower.starts_with(begin)) {
        return *kind;
    }
    if let Some((_, kind)) = REFUSALS.iter().find(|(sign, _)| words.contains(sign)) {
        return *kind;
    }
    let status = match (status, lower.starts_with("validation")) {
        (_, true) | (0, _) => 400,
        (status, _) => status,
    };
    classify::kind(status, &VendorError { message: said.to_owned(), ..Default::default() })
}

/// `com.amazon.coral#ValidationException:http://internal...` without what stands around the name.
fn bare(name: &str) -> &str {
    let name = name.rsplit('#').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name).trim()
}

/// A refused signature comes with the whole request that was signed, session token and all.
fn without_request(said: &str) -> String {
    let end = ["The Canonical String", "The String-to-Sign"].iter().filter_map(|sign| said.find(sign)).min();
    said[..end.unwrap_or(said.len())].trim().to_owned()
}

/// In lower case, apostrophes straight.
fn straight(text: &str) -> String {
    text.to_lowercase().replace('\u{2019}', "'")
}
