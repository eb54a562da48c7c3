//! Errors as Ollama tells them: `{"error": text}`.

use crate::error::{Error, ErrorKind};
use crate::wire::{WireTarget, failure};

/// The error behind a status outside 200..300.
pub(super) fn from_body(status: u16, body: &[u8], target: &WireTarget<'_>) -> Error {
    let mut error = failure::from_body(status, body, target);
    // `"x" does not support tools` (thinking, images, ...): another model may.
    if error.kind() == ErrorKind::InvalidRequest && error.message().contains("does not support") {
        error.body_mut().kind = ErrorKind::Unsupported;
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
        let target = WireTarget { provider: "ollama", model: "m", quirks: &quirks };
        let kind =
            |status, text: &str| from_body(status, format!(r#"{{"error": "{text}"}}"#).as_bytes(), &target).kind();
        assert_eq!(kind(404, "model 'x' not found"), ErrorKind::NotFound);
        assert_eq!(kind(400, "registry/x does not support tools"), ErrorKind::Unsupported);
        assert_eq!(kind(400, "the input length exceeds the context length"), ErrorKind::ContextLength);
        assert_eq!(kind(401, "unauthorized"), ErrorKind::Authentication);
        assert_eq!(kind(500, "llama runner process has terminated"), ErrorKind::ServerError);
        assert_eq!(kind(503, "server busy, please try again"), ErrorKind::Overloaded);
    }
}
