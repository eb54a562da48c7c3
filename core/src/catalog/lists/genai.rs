//! genai-prices `data.json`: providers, their models by rules on names, `prices` in USD per million tokens or per thousand,
//! each a number or `{base, tiers}`, or a list of them by date and hour; `price_variants` for lanes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Per, Reader, Rule, priced, rate};
use crate::types::{Class, Lane, LongContext, Moment, OffPeak, Price, Rates, TimeOfDay};

const NAMES: &[(&str, Class, Per)] = &[
    ("input_mtok", Class::Input, Per::Million),
    ("output_mtok", Class::Output, Per::Million),
    ("cache_read_mtok", Class::CacheRead, Per::Million),
    ("cache_write_mtok", Class::CacheWrite, Per::Million),
    ("cache_write_1h_mtok", Class::CacheWrite1h, Per::Million),
    ("output_reasoning_mtok", Class::Reasoning, Per::Million),
    ("input_audio_mtok", Class::InputAudio, Per::Million),
    ("cache_audio_read_mtok", Class::CacheReadAudio, Per::Million),
    ("output_audio_mtok", Class::OutputAudio, Per::Million),
    ("input_image_mtok", Class::InputImage, Per::Million),
    ("cache_image_read_mtok", Class::CacheReadImage, Per::Million),
    ("output_image_mtok", Class::OutputImage, Per::Million),
    ("requests_kcount", Class::Request, Per::Thousand),
    ("web_searches_kcount", Class::WebSearch, Per::Thousand),
];

/// Names of providers that are not the catalogue's.
const PROVIDERS: &[(&str, &[&str])] = &[
    ("aws", &["bedrock"]),
    ("google", &["gemini", "vertex"]),
    ("x-ai", &["xai"]),
    ("fireworks", &["fireworks-ai"]),
    ("zhipuai", &[]),
];

pub(super) fn fits(document: &Value) -> bool {
    let list = document.as_array();
    list.is_some_and(|list| list.iter().any(|p| p.get("id").is_some() && p.get("models").is_some_and(Value::is_array)))
}

pub(super) fn read(reader: &mut Reader<'_>, document: &Value) {
    for (place, provider) in document.as_array().into_iter().flatten().enumerate() {
        let name = provider["id"].as_str().unwrap_or_default();
        let ours: Vec<String> = match PROVIDERS.iter().find(|(theirs, _)| *theirs == name) {
            Some((_, ours)) => ours.iter().filter_map(|name| reader.provider(name)).collect(),
            None => reader.provider(name).into_iter().collect(),
        };
        for (number, model) in provider["models"].as_array().into_iter().flatten().enumerate() {
            let path = format!("[{place}].models[{number}] ({name}/{})", model["id"].as_str().unwrap_or_default());
            if ours.is_empty() {
                reader.skipped += 1;
                continue;
            }
            let read = row(model).and_then(|row| row.map(|row| Ok::<_, String>((rule(model)?, row))).transpose());
            match read {
                Ok(Some((rule, row))) => {
                    let row = Arc::new(row);
                    reader.rows += 1;
                    for id in &ours {
                        reader.book.ruled.entry(id.clone()).or_default().push((rule.clone(), row.clone()));
                    }
                }
                Ok(None) => reader.skipped += 1,
                Err(why) => reader.refused.push(format!("{path}: {why}")),
            }
        }
    }
}

/// Which names a row is about: its id, and what its rule says.
fn rule(model: &Value) -> Result<Rule, String> {
    let id = model["id"].as_str().ok_or("no `id`")?.to_lowercase();
    let Some(told) = model.get("match").filter(|told| !told.is_null()) else { return Ok(Rule::Equals(id)) };
    Ok(Rule::Any(vec![Rule::Equals(id), clause(told)?]))
}

fn clause(told: &Value) -> Result<Rule, String> {
    let Some((kind, of)) = told.as_object().and_then(|told| told.iter().next()) else {
        return Err("match: no rule".to_owned());
    };
    let text = || of.as_str().map(str::to_lowercase).ok_or_else(|| format!("match.{kind}: no text"));
    let list = || of.as_array().into_iter().flatten().map(clause).collect::<Result<Vec<Rule>, String>>();
    Ok(match kind.as_str() {
        "equals" => Rule::Equals(text()?),
        "starts_with" => Rule::StartsWith(text()?),
        "ends_with" => Rule::EndsWith(text()?),
        "contains" => Rule::Contains(text()?),
        "or" => Rule::Any(list()?),
        "and" => Rule::All(list()?),
        // A name followed by a date is the only form in use: `^name-\d{8}$`.
        "regex" => match text()?.strip_prefix('^').and_then(|r| r.split_once("-\\d")).filter(|(n, _)| plain(n)) {
            Some((name, _)) => Rule::StartsWith(format!("{}-20", name.replace('\\', ""))),
            None => Rule::Any(Vec::new()),
        },
        other => return Err(format!("match.{other}: not understood")),
    })
}

fn plain(pattern: &str) -> bool {
    pattern.replace("\\.", "").bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b':'))
}

fn row(model: &Value) -> Result<Option<Price>, String> {
    let mut rows: Vec<Price> = Vec::new();
    match &model["prices"] {
        Value::Array(list) => conditional(list, &mut rows)?,
        one => rows.push(from_lane(lane(one).map_err(|why| format!("prices.{why}"))?)),
    }
    for (number, variant) in model["price_variants"].as_array().into_iter().flatten().enumerate() {
        let at = |why: String| format!("price_variants[{number}].{why}");
        let when: BTreeMap<String, String> = serde_json::from_value(variant["when"].clone()).unwrap_or_default();
        let own = lane(&variant["prices"]).map_err(at)?;
        let since = variant["constraint"]["start_date"].as_str().map(Moment::parse).transpose().map_err(at)?;
        let one: Vec<(&str, &str)> = when.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let word = match one.as_slice() {
            [("processing", "batch")] => "batch",
            [("service_tier" | "speed", word)] => word,
            // Regions and the like.
            _ => continue,
        };
        // A lane holds with the rows that hold when it begins, or later.
        for row in rows.iter_mut().filter(|row| {
            since
                .as_ref()
                .is_none_or(|since| row.valid_until.as_ref().is_none_or(|until| until.unix_ms() > since.unix_ms()))
        }) {
            match word {
                "batch" => row.batch = Some(own.clone()),
                word => drop(row.service_tiers.insert(word.to_owned(), own.clone())),
            }
        }
    }
    rows.iter_mut().for_each(|row| row.source = Some("genai-prices".to_owned()));
    let Some(mut last) = rows.pop() else { return Ok(None) };
    last.history = rows;
    let free = model["id"].as_str().is_some_and(|id| id.ends_with(":free"));
    Ok(priced(last, free))
}

/// Rows by date, each until the next begins; those by hour belong to the row before them.
fn conditional(list: &[Value], rows: &mut Vec<Price>) -> Result<(), String> {
    for (number, one) in list.iter().enumerate() {
        let at = |why: String| format!("prices[{number}].{why}");
        let own = lane(&one["prices"]).map_err(at)?;
        let told = &one["constraint"];
        let hour = |name: &str| told[name].as_str().map(|text| TimeOfDay::parse(&text[..text.len().min(5)]));
        match (told["start_date"].as_str(), hour("start_time"), hour("end_time")) {
            (None, Some(from), Some(to)) => {
                let window = (from.map_err(at)?, to.map_err(at)?);
                let Some(row) = rows.last_mut() else {
                    return Err(at("hours before any row that has none".to_owned()));
                };
                match &mut row.off_peak {
                    Some(hours) if hours.rates == own.rates => hours.hours_utc.push(window),
                    Some(_) => return Err(at("two windows with different prices".to_owned())),
                    none => {
                        *none = Some(OffPeak {
                            rates: own.rates,
                            long_context: own.long_context,
                            hours_utc: vec![window],
                            peak_hours_utc: Vec::new(),
                            weekends_off_peak: false,
                            holidays: Vec::new(),
                            since: None,
                        });
                    }
                }
            }
            (Some(date), None, None) => {
                let from = Moment::parse(date).map_err(at)?;
                if let Some(before) = rows.last_mut() {
                    before.valid_until = Some(from.clone());
                }
                rows.push(Price { valid_from: Some(from), as_of: Some(date.to_owned()), ..from_lane(own) });
            }
            _ => rows.push(from_lane(own)),
        }
    }
    Ok(())
}

fn from_lane(lane: Lane) -> Price {
    Price { rates: lane.rates, long_context: lane.long_context, ..Price::default() }
}

/// Prices of one condition.
fn lane(told: &Value) -> Result<Lane, String> {
    let mut lane = Lane::default();
    let mut tiers: BTreeMap<u64, Rates> = BTreeMap::new();
    for (name, class, per) in NAMES {
        let Some(value) = told.get(*name) else { continue };
        let at = |why: String| format!("{name}: {why}");
        let base = value.get("base").unwrap_or(value);
        if let Some(rate) = rate(*class, base, *per).map_err(at)? {
            lane.rates.set(*class, rate);
        }
        for tier in value.get("tiers").and_then(Value::as_array).into_iter().flatten() {
            let start = tier["start"].as_u64().ok_or_else(|| at("a tier without `start`".to_owned()))?;
            if let Some(rate) = rate(*class, &tier["price"], *per).map_err(at)? {
                tiers.entry(start).or_default().set(*class, rate);
            }
        }
    }
    // What has no tier of its own stays as it is.
    for (above_input_tokens, own) in tiers {
        let mut rates = lane.rates.clone();
        own.iter().for_each(|(class, rate)| rates.set(class, rate));
        lane.long_context.push(LongContext { above_input_tokens, inclusive: false, rates });
    }
    Ok(lane)
}
