//! Complete answers and error bodies.

use serde_json::Value;

use super::raw::{self, Body};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatCompletion, Choice};
use crate::wire::WireTarget;
use crate::wire::classify::{self, VendorError};

pub(super) fn decode(body: &[u8], target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let mut parsed: Body = serde_json::from_slice(body).map_err(|e| not_json(body, &e, target))?;
    if let Some(error) = parsed.error.take() {
        return Err(from_value(0, &serde_json::json!({ "error": error }), target));
    }
    let usage = raw::usage(&mut parsed, target.quirks);
    let Some(choices) = parsed.choices else {
        return Err(at(
            target,
            Error::new(ErrorKind::Decode, format!("the answer has no `choices`: {}", excerpt(body))),
        ));
    };
    let choices: Vec<Choice> =
        choices.into_iter().enumerate().map(|(i, c)| c.into_choice(i as u32, target.quirks)).collect();
    Ok(ChatCompletion {
        id: parsed.id.unwrap_or_default(),
        object: "chat.completion".to_owned(),
        created: parsed.created.map_or(0, |c| c.0),
        model: parsed.model.unwrap_or_else(|| target.model.to_owned()),
        choices,
        usage,
        service_tier: parsed.service_tier,
        system_fingerprint: parsed.system_fingerprint,
        interfuse: None,
        extra: parsed.extra,
    })
}

fn not_json(body: &[u8], why: &serde_json::Error, target: &WireTarget<'_>) -> Error {
    let what = if looks_like_html(body) { "an HTML page" } else { "no chat completion" };
    at(
        target,
        Error::new(
            ErrorKind::Decode,
            format!("the answer is {what} ({why}): {}; is the base URL right?", excerpt(body)),
        ),
    )
}

/// The error behind a status outside 200..300, whatever the body's shape.
pub(super) fn decode_error(status: u16, body: &[u8], target: &WireTarget<'_>) -> Error {
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
pub(super) fn from_value(status: u16, value: &Value, target: &WireTarget<'_>) -> Error {
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
        code: word("code").or_else(|| word("error_type")),
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

fn build(status: u16, vendor: VendorError, target: &WireTarget<'_>) -> Error {
    let mut kind = if status == 0 {
        // No number at all: the words decide, and a failure inside a 200 is the server's.
        match classify::kind(400, &vendor) {
            ErrorKind::InvalidRequest => ErrorKind::ServerError,
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
    let mut message = vendor.message;
    if kind == ErrorKind::Authentication {
        message = format!("{message} (check the key for `{}`)", target.provider);
    }
    let mut error = at(target, Error::new(kind, message));
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

pub(super) fn at(target: &WireTarget<'_>, error: Error) -> Error {
    error.with_provider(target.provider).with_model(target.model)
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
pub(super) fn excerpt(body: &[u8]) -> String {
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
