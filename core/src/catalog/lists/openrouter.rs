//! OpenRouter `GET /api/v1/models`: decimal texts in USD per token, per request, per search.

use serde_json::Value;

use super::{Per, Reader, priced, set};
use crate::types::{Class, LongContext, OffPeak, Price, TimeOfDay};

const NAMES: &[(&str, Class, Per)] = &[("prompt", Class::Input, Per::One), ("completion", Class::Output, Per::One)];
/// A zero of these means that there is no price of its own.
const FURTHER: &[(&str, Class, Per)] = &[
    ("input_cache_read", Class::CacheRead, Per::One),
    ("input_cache_write", Class::CacheWrite, Per::One),
    ("input_cache_write_1h", Class::CacheWrite1h, Per::One),
    ("internal_reasoning", Class::Reasoning, Per::One),
    ("audio", Class::InputAudio, Per::One),
    ("audio_output", Class::OutputAudio, Per::One),
    ("input_audio_cache", Class::CacheReadAudio, Per::One),
    ("image_output", Class::OutputImage, Per::One),
    ("request", Class::Request, Per::One),
    ("web_search", Class::WebSearch, Per::One),
];

pub(super) fn fits(document: &Value) -> bool {
    let list = document.get("data").and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|model| model["pricing"].get("prompt").is_some()))
}

pub(super) fn read(reader: &mut Reader<'_>, document: &Value) {
    let provider = reader.provider("openrouter").unwrap_or_else(|| "openrouter".to_owned());
    for (place, model) in document["data"].as_array().into_iter().flatten().enumerate() {
        let path = format!("data[{place}].pricing");
        let Some(id) = model["id"].as_str() else {
            reader.refused.push(format!("data[{place}].id: no text"));
            continue;
        };
        let row = row(&model["pricing"]).map(|row| priced(row, id.ends_with(":free")));
        reader.take(&format!("{path} ({id})"), &provider, id, row.clone());
        if let (Some(slug), Ok(Some(_))) = (model["canonical_slug"].as_str().filter(|slug| *slug != id), &row) {
            reader.take(&path, &provider, slug, row);
        }
    }
}

fn row(pricing: &Value) -> Result<Price, String> {
    let mut price = Price { source: Some("openrouter".to_owned()), ..Price::default() };
    set(&mut price.rates, pricing, NAMES, false)?;
    set(&mut price.rates, pricing, FURTHER, true)?;
    for (place, other) in pricing.get("overrides").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let at = |why: String| format!("overrides[{place}].{why}");
        // What an override does not name stays as it is.
        let mut rates = price.rates.clone();
        set(&mut rates, other, NAMES, false).map_err(at)?;
        set(&mut rates, other, FURTHER, true).map_err(at)?;
        let hour = |name: &str| {
            other.get(name).and_then(Value::as_str).map(|text| TimeOfDay::parse(&text[..text.len().min(5)]))
        };
        match (other["min_prompt_tokens"].as_u64(), hour("utc_start"), hour("utc_end")) {
            (Some(above_input_tokens), None, None) => {
                price.long_context.push(LongContext { above_input_tokens, inclusive: false, rates });
            }
            (None, Some(from), Some(to)) => {
                let window = (from.map_err(at)?, to.map_err(at)?);
                let hours = OffPeak {
                    rates,
                    long_context: Vec::new(),
                    hours_utc: vec![window],
                    peak_hours_utc: Vec::new(),
                    weekends_off_peak: false,
                    holidays: Vec::new(),
                    since: None,
                };
                match &mut price.off_peak {
                    None => price.off_peak = Some(hours),
                    Some(other) if other.rates == hours.rates => other.hours_utc.push(window),
                    Some(_) => return Err(at("two windows with different prices".to_owned())),
                }
            }
            _ => return Err(at("neither a number of tokens nor hours alone".to_owned())),
        }
    }
    Ok(price)
}
