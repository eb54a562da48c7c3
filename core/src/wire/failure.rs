//! Errors as vendors tell them, in whatever shape: JSON, text, an HTML page; and bodies that are not what they should be.

use serde_json::Value;

use super::WireTarget;
use super::classify::{self, VendorError};
use crate::error::{Error, ErrorKind};

/// A body that is not JSON of a `what` (`chat completion`, ...).
pub fn not_json(body: &[u8], what: &str, why: &serde_json::Error, target: &WireTarget<'_>) -> Error {
    let what = if looks_like_html(body) { "an HTML page".to_owned() } else { format!("no {what}") };
    let message = format!("the answer is {what} ({why}): {}; is the base URL right?", excerpt(body));
    target.at(Error::new(ErrorKind::Decode, message))
}

/// An event of a stream that is not JSON of a `what`.
pub fn corrupt_event(data: &[u8], what: &str, why: &serde_json::Error, target: &WireTarget<'_>) -> Error {
    let message = format!("an event of the stream is not JSON of {what} ({why}): {}", excerpt(data));
    target.at(Error::new(ErrorKind::Decode, message))
}

/// The error behind a status outside 200..300, whatever the body's shape.
pub fn from_body(status: u16, body: &[u8], target: &WireTarget<'_>) -> Error {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => from_value(status, &value, target),
        Err(_) => {
            let text = if looks_like_html(body) {
                format!("HTTP {status} with an HTML page: {}", excerpt(body))
            } else if body.is_empty() {
                format!("HTTP {status} with an empty body")
            } else {
                excerpt(body)
            };
            build(status, VendorError { message: text, ..Default::default() }, target)
        }
    }
}

/// An error as JSON; `status` is 0 when it came inside a 200.
pub fn from_value(status: u16, value: &Value, target: &WireTarget<'_>) -> Error {
    let value = value.as_array().and_then(|a| a.first()).unwrap_or(value);
    let inner = match value.get("error") {
        Some(error @ Value::Object(_)) => error,
        _ => value,
    };
    let text_at = |path: &str| path.split('.').try_fold(value, |v, key| v.get(key)).and_then(text_of);
    let message = target
        .quirks
        .error_paths
        .iter()
        .find_map(|p| text_at(p))
        .or_else(|| inner.get("message").and_then(text_of))
        .or_else(|| value.get("error").and_then(text_of))
        .or_else(|| value.get("detail").and_then(text_of))
        .unwrap_or_else(|| excerpt(value.to_string().as_bytes()));
    let word = |name: &str| {
        [inner, value].iter().find_map(|v| match v.get(name) {
            Some(Value::String(s)) if !s.is_empty() => Some(s.clone()),
            Some(Value::Number(n)) => Some(n.to_string()),
            _ => None,
        })
    };
    let error = VendorError {
        message,
        code: word("code")
            .or_else(|| word("error_type"))
            .or_else(|| inner.get("details")?.get("error_code").and_then(text_of)),
        r#type: word("type").or_else(|| word("error_type")),
        param: word("param"),
    };
    // Inside a 200 the vendor's own number stands for the status.
    let number = |v: &Value, name: &str| v.get(name).and_then(Value::as_u64).filter(|n| (400..600).contains(n));
    let status = if status != 0 {
        status
    } else {
        number(inner, "status_code").or_else(|| number(inner, "code")).or_else(|| number(inner, "status")).unwrap_or(0)
            as u16
    };
    build(status, error, target)
}

/// A typed error from what a vendor said; `status` is 0 when it came inside a 200.
pub fn build(status: u16, vendor: VendorError, target: &WireTarget<'_>) -> Error {
    let mut kind = if status == 0 {
        // No number at all: the words decide, and a failure inside a 200 is the server's unless they say whose it is.
        match classify::kind(400, &vendor) {
            ErrorKind::InvalidRequest if !blames_the_request(&vendor) => ErrorKind::ServerError,
            kind => kind,
        }
    } else {
        classify::kind(status, &vendor)
    };
    if target.quirks.bad_key_status == Some(status) && kind == ErrorKind::InvalidRequest {
        let text = vendor.message.to_ascii_lowercase();
        if text.contains("key") {
            kind = ErrorKind::Authentication;
        }
    }
    of_kind(kind, status, vendor, target)
}

/// Whether the vendor's own word says that the request was wrong.
fn blames_the_request(vendor: &VendorError) -> bool {
    let words = [&vendor.r#type, &vendor.code];
    words.into_iter().flatten().any(|word| word == "invalid_request_error" || word == "request_too_large")
}

/// An error whose kind is known already.
pub fn of_kind(kind: ErrorKind, status: u16, vendor: VendorError, target: &WireTarget<'_>) -> Error {
    let mut message = vendor.message;
    if kind == ErrorKind::Authentication {
        message = format!("{message} (check the key for `{}`)", target.provider);
    }
    let mut error = target.at(Error::new(kind, message));
    if status != 0 {
        error = error.with_status(status);
    }
    if let Some(code) = vendor.code.or(vendor.r#type) {
        error = error.with_code(code);
    }
    if let Some(param) = vendor.param {
        error = error.with_param(param);
    }
    error
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(s) if !s.is_empty() => Some(s.clone()),
        Value::Array(list) if !list.is_empty() => Some(
            list.iter()
                .filter_map(|v| v.get("msg").and_then(Value::as_str).or(v.as_str()))
                .collect::<Vec<_>>()
                .join("; "),
        )
        .filter(|s| !s.is_empty()),
        _ => None,
    }
}

fn looks_like_html(body: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&body[..body.len().min(256)]).trim_start().to_ascii_lowercase();
    head.starts_with("<!doctype html") || head.starts_with("<html")
}

/// What a page says to people, as far as that can be told without reading HTML: its text outside of tags.
fn without_tags(html: &str) -> String {
    html.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

/// The first 300 characters, on one line; of a page only its text.
pub fn excerpt(body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&body[..body.len().min(1200)]).into_owned();
    if looks_like_html(body) {
        text = without_tags(&text);
    }
    let mut out: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    if text.chars().count() > 300 {
        out.push('…');
    }
    out
}
