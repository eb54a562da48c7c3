//! Cases with a price row of their own: counts, row, amount, and how it came about.

use std::collections::BTreeMap;

use interfuse::catalog::{Catalog, Circumstances};
use interfuse::ledger::{Answer, Priced};
use interfuse::money::NanoUsd;
use interfuse::types::{Class, CostSource, Extra, Lane, Moment, Price, Quirks, UsageVector};
use interfuse::wire::usage::recognise;
use serde_json::{Map, Value, json};

use super::{Checked, Verdict};

/// Flags of the cases that have the same name here.
const FLAGS: [&str; 6] =
    ["usage_missing", "price_unknown", "cached_gt_prompt", "reasoning_gt_completion", "byok", "drift"];

pub(super) fn check(case: &Value, catalog: &Catalog) -> Result<Checked, String> {
    let name = case["id"].as_str().ok_or("a case without `id`")?.to_owned();
    let faults = compare(case, catalog).map_err(|why| format!("{name}: {why}"))?;
    let verdict = if faults.is_empty() { Verdict::Equal } else { Verdict::Different(faults.join("; ")) };
    Ok(Checked { name, verdict })
}

fn compare(case: &Value, catalog: &Catalog) -> Result<Vec<String>, String> {
    let provider = case["provider"].as_str().unwrap_or_default();
    let quirks = catalog.provider(provider).map(|row| row.quirks.clone()).unwrap_or_default();
    let row = row(case)?;
    let completed = moment(case)?;
    let (priced, units) = price(case, &quirks, row.as_ref(), completed);

    let mut faults = Vec::new();
    let mut same = |what: &str, ours: Value, theirs: Value| {
        if ours != theirs {
            faults.push(format!("{what}: ours {ours}, theirs {theirs}"));
        }
    };
    same("cost", usd(priced.exact.cost), decimal(&case["expected_usd"])?);
    let source = match priced.source {
        Some(CostSource::Provider) => "provider",
        Some(_) => "computed",
        None => "unknown",
    };
    same("cost_source", source.into(), case["cost_source"].clone());
    if let Some(computed) = case.get("computed_usd") {
        same("computed", usd(priced.exact.computed), decimal(computed)?);
    }
    if let Some(tokens) = case.get("tokens") {
        let theirs: BTreeMap<String, u64> =
            serde_json::from_value(tokens.clone()).map_err(|e| format!("tokens: {e}"))?;
        let theirs: BTreeMap<String, u64> = theirs.into_iter().filter(|(_, n)| *n > 0).collect();
        same("tokens", json!(tokens_of(&units, row.as_ref())), json!(theirs));
    }
    let fell = priced.row.as_ref().map(|row| row.fallbacks.clone()).unwrap_or_default();
    let fell: BTreeMap<_, _> = fell.into_iter().filter(|(class, _)| class != "input_image").collect();
    if priced.row.is_some() {
        same("fallback", json!(fell), case.get("fallback").cloned().unwrap_or_else(|| json!({})));
        let long = priced.row.as_ref().is_some_and(|row| row.id.contains("above_"));
        same("tier_used", json!(long), json!(case.get("tier_used").is_some_and(|t| !t.is_null())));
    }
    let flags = |list: Vec<String>| {
        let mut known: Vec<String> =
            list.into_iter().filter(|f| FLAGS.contains(&f.as_str()) || f.starts_with("rate_missing:")).collect();
        known.sort();
        json!(known)
    };
    let theirs = case.get("flags").and_then(|f| serde_json::from_value(f.clone()).ok()).unwrap_or_default();
    same("flags", flags(priced.flags.clone()), flags(theirs));
    // Cases name the row of their hour; whether the catalogue's hours choose the same one is another matter to check.
    if let (Some(kind), Some(at)) = (case["price"]["window"]["kind"].as_str(), completed)
        && let Some(hours) =
            catalog.price(provider, case["model"].as_str().unwrap_or_default()).and_then(|p| p.off_peak.as_ref())
        && hours.since.as_ref().is_none_or(|since| since.unix_ms() <= at as i64)
    {
        same("hours", json!(if hours.holds(at) { "off_peak" } else { "peak" }), json!(kind));
    }
    Ok(faults)
}

/// The counts as the wire gives them, priced as the ledger does.
fn price(case: &Value, quirks: &Quirks, row: Option<&Price>, completed: Option<u64>) -> (Priced, UsageVector) {
    let mut found = recognise(&case["usage"], quirks);
    if let (Some((_, usage)), Some(searches)) =
        (&mut found, case["response"]["groundingMetadata.webSearchQueries"].as_u64())
    {
        usage.extra.insert("web_search_queries".to_owned(), searches.into());
    }
    let response = &case["response"];
    let told = response["service_tier"].as_str().or_else(|| response["serviceTier"]["type"].as_str());
    let batch = case["request"]["processing"] == "batch";
    // A row is of the lane that served; as what it stands in ours is that lane.
    let word = |name: &str| case["usage"][name].as_str();
    let lane = word("speed").filter(|s| *s == "fast").or(told).or(word("service_tier")).or(word("serviceTier"));
    let lane = lane.filter(|tier| !matches!(*tier, "default" | "standard" | "auto"));
    let row = row.map(|row| {
        let mut row = row.clone();
        let own = Lane { rates: std::mem::take(&mut row.rates), long_context: std::mem::take(&mut row.long_context) };
        match lane {
            _ if batch => row.batch = Some(own),
            Some(tier) => drop(row.service_tiers.insert(tier.to_owned(), own)),
            None => (row.rates, row.long_context) = (own.rates, own.long_context),
        }
        row
    });
    let extra = Extra::new();
    let answer = Answer {
        usage: found.as_ref().map(|(_, usage)| usage),
        extra: &extra,
        wire: found.as_ref().map_or("", |(wire, _)| wire),
        stated: quirks.cost.as_ref(),
        target: ("case", "case"),
        circumstances: Circumstances { service_tier: told, batch, geo: None, completed_ms: completed.unwrap_or(0) },
    };
    let priced = Priced::of(&answer, row.as_ref().map(|row| (row, CostSource::Catalog)));
    let units = priced.units.clone();
    (priced, units)
}

/// The case's row in our form; none where it is in another currency, or no price at all.
fn row(case: &Value) -> Result<Option<Price>, String> {
    let Some(told) = case["price"].as_object() else { return Ok(None) };
    let currency = told.get("currency").and_then(Value::as_str).unwrap_or("USD");
    let unit = told.get("unit").and_then(Value::as_str).unwrap_or("USD");
    if currency != "USD" || !unit.starts_with("USD") {
        return Ok(None);
    }
    let mut row = Map::new();
    for (name, value) in told {
        match name.as_str() {
            "unit" | "currency" | "window" | "note" => {}
            // Ours is the fee of one.
            "request_per_1000" => {
                let pico = value.as_str().and_then(NanoUsd::pico_from_stated).ok_or("price.request_per_1000")?;
                row.insert("request".to_owned(), usd(Some(pico / 1000)));
            }
            "tiers" => drop(row.insert("long_context".to_owned(), value.clone())),
            _ if value.is_null() => {}
            _ => drop(row.insert(name.clone(), value.clone())),
        }
    }
    let row: Price = serde_json::from_value(Value::Object(row)).map_err(|e| format!("price: {e}"))?;
    let empty = row.rates.is_empty() && row.long_context.is_empty();
    Ok((!empty).then_some(row))
}

fn moment(case: &Value) -> Result<Option<u64>, String> {
    let text = case["request"]["completed_at"].as_str().or_else(|| case["price"]["as_of"].as_str());
    text.map(|text| Moment::parse(text).map(|m| m.unix_ms() as u64)).transpose()
}

/// Tokens as the cases count them: reasoning and images among the rest, where the row has no rate of their own.
fn tokens_of(units: &UsageVector, row: Option<&Price>) -> BTreeMap<&'static str, u64> {
    let own = |class| row.is_some_and(|row| row.rates.get(class).is_some());
    let mut tokens = BTreeMap::new();
    for (class, count) in units.iter().filter(|(class, count)| *class < Class::Request && count.number > 0) {
        let class = match class {
            Class::Reasoning if !own(class) => Class::Output,
            Class::InputImage if !own(class) => Class::Input,
            class => class,
        };
        *tokens.entry(class.name()).or_default() += count.number;
    }
    tokens
}

/// Exact USD, without trailing zeros.
fn usd(pico: Option<u128>) -> Value {
    let Some(pico) = pico else { return Value::Null };
    let text = format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    json!(text.trim_end_matches('0').trim_end_matches('.'))
}

/// A decimal text, without trailing zeros.
fn decimal(value: &Value) -> Result<Value, String> {
    let text = match value {
        Value::Null => return Ok(Value::Null),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => return Err(format!("{other} is no amount")),
    };
    let pico = NanoUsd::pico_from_stated(&text).ok_or_else(|| format!("`{text}` is no amount"))?;
    Ok(usd(Some(pico)))
}
