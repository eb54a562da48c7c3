//! Errors as Google tells them: `{"error": {code, message, status, details}}`, sometimes in a list, sometimes in the
//! middle of a stream.

use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::wire::classify::{self, VendorError};
use crate::wire::{WireTarget, failure};

/// Statuses and reasons that say more than the HTTP status.
const KINDS: &[(&str, ErrorKind)] = &[
    ("API_KEY_INVALID", ErrorKind::Authentication),
    ("UNAUTHENTICATED", ErrorKind::Authentication),
    // A place or an account from which the service may not be used.
    ("FAILED_PRECONDITION", ErrorKind::Permission),
    ("ABORTED", ErrorKind::ServerError),
];

/// The error behind a status outside 200..300.
pub(super) fn from_body(status: u16, body: &[u8], target: &WireTarget<'_>) -> Error {
    match serde_json::from_slice::<Value>(body).ok().as_ref().and_then(inner) {
        Some(error) => from_object(status, error, target),
        None => failure::from_body(status, body, target),
    }
}

/// The object that tells the error, in a body or a list of one.
pub(super) fn inner(body: &Value) -> Option<&Value> {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    body.get("error").filter(|e| e.is_object())
}

/// A typed error; `status` is 0 when it came inside a 200.
pub(super) fn from_object(status: u16, error: &Value, target: &WireTarget<'_>) -> Error {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let details: Vec<&Value> = error.get("details").and_then(Value::as_array).into_iter().flatten().collect();
    let reason = details.iter().find_map(|d| d.get("reason").and_then(Value::as_str));
    let number = error.get("code").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    // Inside a 200 the vendor's own number stands for the status.
    let status = if status == 0 { number.filter(|n| (400..600).contains(n)).unwrap_or(0) } else { status };
    let message = text("message").filter(|m| !m.is_empty());
    let vendor = VendorError {
        message: message.map_or_else(|| failure::excerpt(error.to_string().as_bytes()), str::to_owned),
        code: reason.or(text("status")).map(str::to_owned),
        ..Default::default()
    };
    let told = [reason, text("status")].into_iter().flatten();
    let kind = told.filter_map(|word| KINDS.iter().find(|(known, _)| *known == word)).map(|(_, kind)| *kind).next();
    let kind = match kind {
        // Google says "exceeded your current quota" of a minute as of a day.
        None if status == 429 => quota(&vendor.message, &details),
        // A condition that another request of the moment changed.
        None if status == 0 || status == 412 => ErrorKind::ServerError,
        None => classify::kind(status, &vendor),
        Some(kind) => kind,
    };
    let after = retry_after_ms(&vendor.message, &details);
    let mut out = failure::of_kind(kind, status, vendor, target);
    if kind.retryable() {
        out.body_mut().retry_after_ms = after;
    }
    out
}

/// Whether a quota comes back by waiting a moment, or not at all.
fn quota(message: &str, details: &[&Value]) -> ErrorKind {
    let violations = details.iter().filter_map(|d| d.get("violations").and_then(Value::as_array)).flatten();
    let spent = violations.clone().any(|v| {
        v.get("quotaId").and_then(Value::as_str).is_some_and(|id| id.contains("PerDay"))
            || v.get("quotaValue").is_some_and(|n| n == 0 || n == "0")
    });
    let text = message.to_ascii_lowercase();
    if spent || text.contains("limit: 0,") || text.contains("credits are depleted") {
        ErrorKind::InsufficientCredits
    } else {
        ErrorKind::RateLimited
    }
}

/// From `RetryInfo.retryDelay` (`"34.4s"`), or from the text.
fn retry_after_ms(message: &str, details: &[&Value]) -> Option<u64> {
    let told = details.iter().find_map(|d| d.get("retryDelay").and_then(Value::as_str));
    let told = told.or_else(|| {
        let (_, after) = message.split_once("retry in ")?;
        after.split_whitespace().next().map(|word| word.trim_end_matches('.'))
    })?;
    let (number, scale) = match told.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (told.strip_suffix('s')?, 1000.0),
    };
    let ms = number.parse::<f64>().ok()? * scale;
    (ms.is_finite() && ms >= 0.0).then_some(ms.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Quirks;
    use serde_json::json;

    fn error(status: u16, body: Value) -> Error {
        let quirks = Quirks::default();
        from_body(status, body.to_string().as_bytes(), &WireTarget { provider: "gemini", model: "m", quirks: &quirks })
    }

    #[test]
    fn reasons_and_quotas_tell_the_kind() {
        let quota = |id: &str| {
            json!({"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED",
                "details": [{"violations": [{"quotaId": id}]}, {"retryDelay": "34.4s"}]}})
        };
        let e = error(429, quota("RequestsPerMinute"));
        assert_eq!((e.kind(), e.body().retry_after_ms), (ErrorKind::RateLimited, Some(34_400)));
        assert_eq!(e.body().code.as_deref(), Some("RESOURCE_EXHAUSTED"));
        let e = error(429, quota("RequestsPerDay"));
        assert_eq!((e.kind(), e.body().retry_after_ms), (ErrorKind::InsufficientCredits, None));

        let key = json!([{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}]);
        assert_eq!(error(400, key).kind(), ErrorKind::Authentication);
        let place = json!({"error": {"code": 400, "message": "User location is not supported", "status": "FAILED_PRECONDITION"}});
        assert_eq!(error(400, place).kind(), ErrorKind::Permission);
        let long = json!({"error": {"code": 400, "message": "The input token count (12) exceeds the maximum number of tokens allowed (8).", "status": "INVALID_ARGUMENT"}});
        assert_eq!(error(400, long).kind(), ErrorKind::ContextLength);
        let text = json!({"error": {"code": 429, "message": "Slow down.\nPlease retry in 1.5s.", "status": "RESOURCE_EXHAUSTED"}});
        assert_eq!(error(429, text).body().retry_after_ms, Some(1500));
    }
}
