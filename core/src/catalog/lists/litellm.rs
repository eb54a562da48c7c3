//! LiteLLM's `model_prices_and_context_window.json`: one object, floats in USD per token. Names of prices are built of
//! parts (`input_cost_per_token` + `_above_272k_tokens` + `_priority`), and are taken apart here.

use serde_json::{Map, Value};

use super::{Per, Reader, priced, rate};
use crate::types::{Class, Lane, LongContext, OffPeak, Price, Rate, Rates, TimeOfDay};

/// What names begin with, longest first where one begins another.
const NAMES: &[(&str, Class, Per)] = &[
    ("cache_creation_input_token_cost_above_1hr", Class::CacheWrite1h, Per::One),
    ("cache_creation_input_token_cost", Class::CacheWrite, Per::One),
    ("cache_read_input_audio_token_cost", Class::CacheReadAudio, Per::One),
    ("cache_read_input_image_token_cost", Class::CacheReadImage, Per::One),
    ("cache_read_input_token_cost", Class::CacheRead, Per::One),
    ("input_cost_per_audio_token", Class::InputAudio, Per::One),
    ("input_cost_per_image_token", Class::InputImage, Per::One),
    ("input_cost_per_request", Class::Request, Per::One),
    ("input_cost_per_second", Class::Seconds, Per::Second),
    ("input_cost_per_token", Class::Input, Per::One),
    ("output_cost_per_audio_token", Class::OutputAudio, Per::One),
    ("output_cost_per_image_token", Class::OutputImage, Per::One),
    ("output_cost_per_reasoning_token", Class::Reasoning, Per::One),
    ("output_cost_per_token", Class::Output, Per::One),
];

/// Names of providers that are not the catalogue's with other letters.
const PROVIDERS: &[(&str, &str)] = &[
    ("bedrock_converse", "bedrock"),
    ("vertex_ai", "vertex"),
    ("azure_ai", "azure"),
    ("dashscope", "alibaba"),
    ("cohere_chat", "cohere"),
    ("text-completion-openai", "openai"),
    ("cloudflare", "cloudflare-workers-ai"),
];

pub(super) fn fits(document: &Value) -> bool {
    let entries = document.as_object();
    entries.is_some_and(|all| all.values().any(|entry| entry.get("litellm_provider").is_some()))
}

pub(super) fn read(reader: &mut Reader<'_>, document: &Value) {
    for (key, entry) in document.as_object().into_iter().flatten().filter(|(key, _)| *key != "sample_spec") {
        let Some((entry, named)) = entry.as_object().and_then(|e| Some((e, e.get("litellm_provider")?.as_str()?)))
        else {
            reader.skipped += 1;
            continue;
        };
        // `vertex_ai-anthropic_models` and the like.
        let name = if named.starts_with("vertex_ai") { "vertex_ai" } else { named };
        let name = PROVIDERS.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| *ours);
        let Some(provider) = reader.provider(name) else {
            reader.skipped += 1;
            continue;
        };
        let model = match key.split_once('/') {
            Some((head, rest)) if head == named || reader.provider(head).is_some_and(|p| p == provider) => rest,
            Some(("vertex_ai" | "bedrock" | "azure_ai" | "dashscope" | "cloudflare", rest)) => rest,
            _ => key,
        };
        // xAI says "at or above", the others "above".
        let row = row(entry, provider == "xai").map(|row| priced(row, model.ends_with(":free")));
        reader.take(key, &provider, model, row);
    }
}

/// Where a price belongs: class, lane, threshold.
struct Place {
    class: Class,
    per: Per,
    lane: Option<String>,
    above: Option<u64>,
}

/// Takes a name apart; `None` where it is no price of ours.
fn place(name: &str) -> Option<Place> {
    let (begin, class, per) = NAMES
        .iter()
        .find(|(begin, ..)| name.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))?;
    let mut place = Place { class: *class, per: *per, lane: None, above: None };
    let mut rest = &name[begin.len()..];
    while let Some(more) = rest.strip_prefix('_') {
        if let Some((count, after)) = more.strip_prefix("above_").and_then(|m| m.split_once("k_tokens")) {
            place.above = Some(count.parse::<u64>().ok()?.checked_mul(1000)?);
            rest = after;
            continue;
        }
        let known = more == "batches" || !more.contains('_');
        if !known || place.lane.is_some() || matches!(more, "hit" | "image" | "pixel") {
            return None;
        }
        place.lane = Some(if more == "batches" { "batch" } else { more }.to_owned());
        rest = "";
    }
    rest.is_empty().then_some(place)
}

fn row(entry: &Map<String, Value>, inclusive: bool) -> Result<Price, String> {
    let mut price = Price { source: Some("litellm".to_owned()), ..Price::default() };
    fill(&mut price, entry, inclusive)?;
    // One price where it does not depend on how much is searched.
    if let Some(sizes) = entry.get("search_context_cost_per_query").and_then(Value::as_object) {
        let at = |why: String| format!("search_context_cost_per_query: {why}");
        let sizes: Result<Vec<Option<Rate>>, String> =
            sizes.values().map(|size| rate(Class::WebSearch, size, Per::One).map_err(at)).collect();
        if let [Some(first), rest @ ..] = sizes?.as_slice()
            && rest.iter().all(|size| *size == Some(*first))
        {
            price.rates.set(Class::WebSearch, *first);
        }
    }
    for (number, tier) in entry.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let at = |why: String| format!("tiered_pricing[{number}].{why}");
        let from = tier["range"][0].as_f64().filter(|from| *from >= 0.0 && from.fract() == 0.0);
        let (Some(tier), Some(from)) = (tier.as_object(), from) else { continue };
        let mut one = Price::default();
        fill(&mut one, tier, inclusive).map_err(at)?;
        match from as u64 {
            0 => one.rates.iter().for_each(|(class, rate)| price.rates.set(class, rate)),
            above => long(&mut price.long_context, above, inclusive).rates = one.rates,
        }
    }
    if let Some(hours) = entry.get("off_peak_pricing").and_then(Value::as_object) {
        price.off_peak = Some(off_peak(hours).map_err(|why| format!("off_peak_pricing.{why}"))?);
    }
    Ok(price)
}

fn fill(price: &mut Price, entry: &Map<String, Value>, inclusive: bool) -> Result<(), String> {
    for (name, value) in entry {
        let Some(place) = place(name) else { continue };
        let Some(rate) = rate(place.class, value, place.per).map_err(|why| format!("{name}: {why}"))? else { continue };
        let lane: &mut Lane;
        let (rates, rows) = match &place.lane {
            None => (&mut price.rates, &mut price.long_context),
            Some(word) => {
                lane = match word.as_str() {
                    "batch" => price.batch.get_or_insert_default(),
                    _ => price.service_tiers.entry(word.clone()).or_default(),
                };
                (&mut lane.rates, &mut lane.long_context)
            }
        };
        match place.above {
            None => rates.set(place.class, rate),
            Some(above) => long(rows, above, inclusive).rates.set(place.class, rate),
        }
    }
    Ok(())
}

fn long(rows: &mut Vec<LongContext>, above: u64, inclusive: bool) -> &mut LongContext {
    let at = rows.iter().position(|row| row.above_input_tokens == above).unwrap_or_else(|| {
        rows.push(LongContext { above_input_tokens: above, inclusive, rates: Rates::default() });
        rows.len() - 1
    });
    &mut rows[at]
}

/// Windows on working days, and perhaps whole weekends.
fn off_peak(told: &Map<String, Value>) -> Result<OffPeak, String> {
    let mut price = Price::default();
    fill(&mut price, told, false)?;
    let (mut hours_utc, mut weekends_off_peak) = (Vec::new(), false);
    for (number, window) in told.get("windows").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let days: Vec<u64> = window["weekdays"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let texts: Vec<&str> = match &window["hours_utc"] {
            Value::String(text) => vec![text.as_str()],
            list => list.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        };
        match days.as_slice() {
            [6, 7] if texts == ["00:00-00:00"] => weekends_off_peak = true,
            [] | [1, 2, 3, 4, 5] | [1, 2, 3, 4, 5, 6, 7] => {
                for text in texts {
                    let (from, to) = text.split_once('-').ok_or_else(|| format!("windows[{number}]: `{text}`"))?;
                    hours_utc.push((TimeOfDay::parse(from)?, TimeOfDay::parse(to)?));
                }
            }
            other => return Err(format!("windows[{number}].weekdays: {other:?} is not understood")),
        }
    }
    Ok(OffPeak {
        rates: price.rates,
        long_context: price.long_context,
        hours_utc,
        peak_hours_utc: Vec::new(),
        weekends_off_peak,
        holidays: Vec::new(),
        since: None,
    })
}
