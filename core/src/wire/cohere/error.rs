//! Errors as Cohere tells them: `{"id", "message"}`, sometimes with `error_type`.

use crate::error::{Error, ErrorKind};
use crate::wire::{WireTarget, failure};

/// The error behind a status outside 200..300.
pub(super) fn from_body(status: u16, body: &[u8], target: &WireTarget<'_>) -> Error {
    let mut error = failure::from_body(status, body, target);
    // A trial key's calls of a month are a quota, and waiting a moment does not bring them back.
    if error.kind() == ErrorKind::RateLimited && error.message().contains("month") {
        let told = error.body_mut();
        told.kind = ErrorKind::InsufficientCredits;
        told.retryable = told.kind.retryable();
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Quirks;

    #[test]
    fn kinds() {
        let quirks = Quirks::default();
        let target = WireTarget { provider: "cohere", model: "m", quirks: &quirks };
        let kind = |status, body: &str| from_body(status, body.as_bytes(), &target).kind();
        let month = r#"{"message": "You are using a Trial key, which is limited to 1000 API calls / month."}"#;
        let minute = r#"{"message": "You are using a Trial key, which is limited to 20 API calls / minute."}"#;
        assert_eq!(kind(429, month), ErrorKind::InsufficientCredits);
        assert_eq!(kind(429, minute), ErrorKind::RateLimited);
        assert_eq!(
            kind(400, r#"{"error_type": "TOO_MANY_TOKENS", "message": "size limit"}"#),
            ErrorKind::ContextLength
        );
        assert_eq!(kind(404, r#"{"message": "model 'x' not found"}"#), ErrorKind::NotFound);
        assert_eq!(kind(498, r#"{"message": "blocked token"}"#), ErrorKind::Authentication);
    }
}
