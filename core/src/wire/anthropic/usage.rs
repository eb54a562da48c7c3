//! Token counts.

use serde_json::Value;

use crate::types::{CompletionTokensDetails, Extra, PromptTokensDetails, Usage};

/// Counts in OpenAI's terms: the vendor's `input_tokens` leaves out what was read from and written to its cache. Which
/// part was written for how long stands in the details under the vendor's names. `None` where nothing is counted.
pub(in crate::wire) fn read(mut raw: Extra) -> Option<Usage> {
    let count = |raw: &mut Extra, name: &str| raw.remove(name).and_then(|n| n.as_u64());
    let input = count(&mut raw, "input_tokens");
    let output = count(&mut raw, "output_tokens");
    if input.is_none() && output.is_none() {
        return None;
    }
    let read = count(&mut raw, "cache_read_input_tokens");
    let written = count(&mut raw, "cache_creation_input_tokens");
    let prompt_tokens = input.unwrap_or(0) + read.unwrap_or(0) + written.unwrap_or(0);
    let completion_tokens = output.unwrap_or(0);
    let lifetimes = match raw.remove("cache_creation") {
        Some(Value::Object(lifetimes)) => lifetimes,
        _ => Extra::new(),
    };
    let thinking = match raw.remove("output_tokens_details") {
        Some(Value::Object(mut details)) => {
            let reasoning_tokens = count(&mut details, "thinking_tokens");
            Some(CompletionTokensDetails { reasoning_tokens, extra: details, ..Default::default() })
        }
        _ => None,
    };
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        prompt_tokens_details: (read.is_some() || written.is_some() || !lifetimes.is_empty()).then_some(
            PromptTokensDetails {
                cached_tokens: read,
                cache_write_tokens: written,
                extra: lifetimes,
                ..Default::default()
            },
        ),
        completion_tokens_details: thinking,
        extra: super::raw::said(raw).collect(),
    })
}

/// Takes the tier that served out of the counts, where the vendor tells it.
pub(super) fn service_tier(raw: &mut Extra) -> Option<String> {
    match raw.remove("service_tier") {
        Some(Value::String(tier)) => Some(tier),
        _ => None,
    }
}
