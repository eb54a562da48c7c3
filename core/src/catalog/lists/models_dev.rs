//! models.dev `api.json`: providers, their models, `cost` in USD per million tokens.

use serde_json::Value;

use super::{Per, Reader, priced, set};
use crate::types::{Class, LongContext, Price, Rates};

const NAMES: &[(&str, Class, Per)] = &[
    ("input", Class::Input, Per::Million),
    ("output", Class::Output, Per::Million),
    ("cache_read", Class::CacheRead, Per::Million),
    // Two spellings that occur.
    ("cache_input", Class::CacheRead, Per::Million),
    ("cached_input", Class::CacheRead, Per::Million),
    ("cache_write", Class::CacheWrite, Per::Million),
    ("reasoning", Class::Reasoning, Per::Million),
    ("input_audio", Class::InputAudio, Per::Million),
    ("output_audio", Class::OutputAudio, Per::Million),
];

pub(super) fn fits(document: &Value) -> bool {
    let providers = document.as_object();
    providers.is_some_and(|all| !all.is_empty() && all.values().all(|p| p.get("models").is_some_and(Value::is_object)))
}

pub(super) fn read(reader: &mut Reader<'_>, document: &Value) {
    for (name, provider) in document.as_object().into_iter().flatten() {
        let known = reader.provider(name);
        for (model, entry) in provider["models"].as_object().into_iter().flatten() {
            let Some(known) = &known else {
                reader.skipped += 1;
                continue;
            };
            let row = row(entry).map(|row| row.and_then(|row| priced(row, model.ends_with(":free"))));
            reader.take(&format!("{name}.models.{model}.cost"), known, model, row);
        }
    }
}

fn row(entry: &Value) -> Result<Option<Price>, String> {
    let Some(cost) = entry.get("cost").filter(|cost| cost.is_object()) else { return Ok(None) };
    let mut price = Price { source: Some("models.dev".to_owned()), ..Price::default() };
    price.as_of = entry.get("last_updated").and_then(Value::as_str).map(str::to_owned);
    set(&mut price.rates, cost, NAMES, false)?;
    for (place, tier) in cost.get("tiers").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if tier["tier"]["type"] != "context" {
            continue;
        }
        let size =
            tier["tier"]["size"].as_u64().ok_or_else(|| format!("tiers[{place}].tier.size: no number of tokens"))?;
        let mut rates = Rates::default();
        set(&mut rates, tier, NAMES, false).map_err(|why| format!("tiers[{place}].{why}"))?;
        price.long_context.push(LongContext { above_input_tokens: size, inclusive: false, rates });
    }
    if let Some(tier) = cost.get("context_over_200k").filter(|t| t.is_object() && price.long_context.is_empty()) {
        let mut rates = Rates::default();
        set(&mut rates, tier, NAMES, false).map_err(|why| format!("context_over_200k.{why}"))?;
        price.long_context.push(LongContext { above_input_tokens: 200_000, inclusive: false, rates });
    }
    Ok(Some(price))
}
