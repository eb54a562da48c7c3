//! What a vendor wants back word for word in the next turn (signed thinking, encrypted reasoning, thought signatures):
//! kept on the message as `provider_state`, sent back to that vendor alone.
//!
//! `"provider_state": [{"provider": "anthropic", "model": "...", "blocks": [...]}]`. What a block is, only its wire knows.

use serde_json::{Value, json};

use super::WireTarget;
use crate::types::Extra;

/// Name of the field, on messages and deltas.
pub const FIELD: &str = "provider_state";

/// Puts the blocks on a message or delta, after those that are there.
pub fn put(extra: &mut Extra, target: &WireTarget<'_>, blocks: Vec<Value>) {
    if blocks.is_empty() {
        return;
    }
    let new = json!({"provider": target.provider, "model": target.model, "blocks": blocks});
    match extra.get_mut(FIELD) {
        Some(Value::Array(all)) => all.push(new),
        _ => {
            extra.insert(FIELD.to_owned(), Value::Array(vec![new]));
        }
    }
}

/// The blocks of a message that came from this provider, in their order.
pub fn blocks<'a>(extra: &'a Extra, target: &'a WireTarget<'_>) -> impl Iterator<Item = &'a Value> {
    blocks_of(extra, target, |_| true)
}

/// The blocks of a message that came from this provider and a model that `known` accepts, in their order: where one
/// provider serves the models of many vendors, each takes back only its own.
pub fn blocks_of<'a>(
    extra: &'a Extra,
    target: &'a WireTarget<'_>,
    known: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = &'a Value> {
    let text = |part: &'a Value, name: &str| part.get(name).and_then(Value::as_str);
    extra
        .get(FIELD)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(move |part| text(part, "provider") == Some(target.provider))
        .filter(move |part| known(text(part, "model").unwrap_or_default()))
        .filter_map(|part| part.get("blocks").and_then(Value::as_array))
        .flatten()
}
