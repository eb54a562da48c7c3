//! Complete answers.

use super::raw::{self, Body};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatCompletion, Choice};
use crate::wire::{WireTarget, failure};

pub(super) fn decode(body: &[u8], target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let mut parsed: Body =
        serde_json::from_slice(body).map_err(|e| failure::not_json(body, "chat completion", &e, target))?;
    if let Some(error) = parsed.error.take() {
        return Err(failure::from_value(0, &serde_json::json!({ "error": error }), target));
    }
    let usage = raw::usage(&mut parsed, target.quirks);
    let Some(choices) = parsed.choices else {
        return Err(target
            .at(Error::new(ErrorKind::Decode, format!("the answer has no `choices`: {}", failure::excerpt(body)))));
    };
    let choices: Vec<Choice> =
        choices.0.into_iter().enumerate().map(|(i, c)| c.into_choice(i as u32, target.quirks)).collect();
    Ok(ChatCompletion {
        id: parsed.id.unwrap_or_default(),
        object: "chat.completion".to_owned(),
        created: parsed.created.and_then(|c| c.0).unwrap_or(0),
        model: parsed.model.unwrap_or_else(|| target.model.to_owned()),
        choices,
        usage,
        service_tier: parsed.service_tier,
        system_fingerprint: parsed.system_fingerprint,
        interfuse: None,
        extra: parsed.extra,
    })
}
