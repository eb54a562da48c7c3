//! Whether an answer obeys the schema that was asked for, where the vendor is known to ignore it.

use crate::error::{Error, ErrorKind, Result};
use crate::schema;
use crate::types::{ChatCompletion, ChatRequest, Quirks};
use crate::wire::WireTarget;

/// The field in question.
const FIELD: &str = "response_format";

/// Whether a request's answer has to be held to its schema here, because the vendor does not.
pub(super) fn applies(request: &ChatRequest, quirks: &Quirks) -> bool {
    request.response_format.is_some() && quirks.ignores.iter().any(|field| field == FIELD)
}

/// Checks every choice that came to its end.
///
/// # Errors
/// `decode`, worth another try, naming where the text departs from the schema.
pub(super) fn check(request: &ChatRequest, answer: &ChatCompletion, target: &WireTarget<'_>) -> Result<()> {
    if !applies(request, target.quirks) {
        return Ok(());
    }
    let format = request.response_format.as_ref().and_then(|f| f.json_schema.as_ref());
    let Some(wanted) = format.and_then(|f| f.schema.as_ref()) else { return Ok(()) };
    for choice in &answer.choices {
        if choice.finish_reason.as_deref() != Some("stop") {
            continue;
        }
        let text = choice.message.content.as_deref().unwrap_or_default();
        let obeys = serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"));
        if let Err(why) = obeys.and_then(|value| schema::check(&value, wanted)) {
            let why = format!(
                "the answer does not obey the schema asked for ({why}), and `{}` does not hold its models to one",
                target.provider
            );
            let mut error = target.at(Error::new(ErrorKind::Decode, why).with_param(FIELD));
            error.body_mut().retryable = true;
            return Err(error);
        }
    }
    Ok(())
}
