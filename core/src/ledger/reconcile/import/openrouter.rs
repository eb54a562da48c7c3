//! OpenRouter: `/api/v1/activity`, answers of `/api/v1/generation`, and the list of generations as CSV.
//!
//! Checked against the published API reference and answers that users quoted in public: activity is one row per endpoint
//! and UTC day, `usage` what was taken from the credits and `byok_usage_inference` what the vendor billed the caller's own
//! key (the ledger books both); `native_tokens_prompt` includes the cached ones, `native_tokens_completion` the reasoning.
//! Whether the CSV's counts are the model's own is not documented: they count where they agree, and prove nothing where not.

use serde_json::Value;

use super::table::Line;
use super::{DAY_MS, Format, Reader, Shape, VendorRow, moment, text};
use crate::ledger::reconcile::amount::{Amount, count, count_of};
use crate::ledger::reconcile::vendor::{Named, units};
use crate::types::Class;

const PROVIDER: &str = "openrouter";

pub(super) fn is_activity(shape: &Shape<'_>) -> bool {
    let first = shape.first();
    first.get("date").is_some() && first.get("usage").is_some() && first.get("model").is_some()
}

pub(super) fn is_generation(shape: &Shape<'_>) -> bool {
    let first = shape.first();
    first.get("id").is_some_and(Value::is_string) && first.get("total_cost").is_some()
}

pub(super) fn read_activity(reader: &mut Reader, shape: &Shape<'_>) {
    each(reader, shape, Format::OpenRouterActivity, |blank, of| {
        let day = text(of, "date").as_deref().and_then(moment).ok_or("`date` is no day")?;
        let model = text(of, "model").ok_or("no `model`")?;
        let count = |name: &str| count_of(of.get(name)).map_err(|why| format!("{name}: {why}"));
        let own = Amount::of(of.get("usage").unwrap_or(&Value::Null), 0).map_err(|why| format!("usage: {why}"))?;
        let key = optional(of, "byok_usage_inference")?;
        let requests = count("requests")?.map(|requests| requests + count("byok_requests").ok().flatten().unwrap_or(0));
        let row = VendorRow {
            model: Some(Named::Id(model)),
            key: text(of, "api_key_name").or_else(|| text(of, "api_key_id")),
            from_ms: day - day.rem_euclid(DAY_MS),
            until_ms: day - day.rem_euclid(DAY_MS) + DAY_MS,
            units: units([(Class::Input, count("prompt_tokens")?), (Class::Output, count("completion_tokens")?)]),
            requests,
            pico: Some(own.pico + key.map_or(0, |key| key.pico)),
            ..blank
        };
        Ok((row, [Some(own), key]))
    });
}

pub(super) fn read_generation(reader: &mut Reader, shape: &Shape<'_>) {
    each(reader, shape, Format::OpenRouterGeneration, |blank, of| {
        let at = text(of, "created_at").as_deref().and_then(moment).ok_or("`created_at` is no moment")?;
        let count = |name: &str| count_of(of.get(name)).map_err(|why| format!("{name}: {why}"));
        let cost =
            Amount::of(of.get("total_cost").unwrap_or(&Value::Null), 0).map_err(|why| format!("total_cost: {why}"))?;
        let own_key = of.get("is_byok") == Some(&Value::Bool(true));
        let upstream = optional(of, "upstream_inference_cost")?.filter(|_| own_key);
        let prompt = count("native_tokens_prompt")?;
        let cached = count("native_tokens_cached")?.unwrap_or(0);
        let fresh =
            prompt.map(|prompt| prompt.checked_sub(cached).ok_or("more cached tokens than tokens")).transpose()?;
        let counted = prompt.is_some();
        let counts = [
            (Class::Input, fresh),
            (Class::CacheRead, Some(cached)),
            (Class::Output, count("native_tokens_completion")?),
        ];
        let row = VendorRow {
            model: text(of, "model").map(Named::Id),
            from_ms: at,
            until_ms: at + 1,
            ids: [text(of, "id"), text(of, "upstream_id"), text(of, "request_id")].into_iter().flatten().collect(),
            units: units(counts.into_iter().filter(|_| counted)),
            pico: Some(cost.pico + upstream.map_or(0, |upstream| upstream.pico)),
            ..blank
        };
        Ok((row, [Some(cost), upstream]))
    });
}

/// Reads every element.
fn each(
    reader: &mut Reader,
    shape: &Shape<'_>,
    format: Format,
    read: impl Fn(VendorRow, &Value) -> Result<(VendorRow, [Option<Amount>; 2]), String>,
) {
    for raw in &shape.data {
        let row = reader.next();
        // A single call told twice is a charge made twice, or the same answer asked for twice: the join tells which.
        if format == Format::OpenRouterActivity && reader.repeats(raw.get()) {
            continue;
        }
        let read = serde_json::from_str(raw.get())
            .map_err(|e| e.to_string())
            .and_then(|of: Value| read(reader.blank(row, format, PROVIDER, (0, 0)), &of));
        match read {
            Ok((row, amounts)) => {
                amounts.into_iter().flatten().for_each(|amount| reader.note(amount));
                reader.take(row);
            }
            Err(why) => reader.refuse(why),
        }
    }
}

fn optional(of: &Value, name: &str) -> Result<Option<Amount>, String> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Amount::of(value, 0).map(Some).map_err(|why| format!("{name}: {why}")),
    }
}

/// Whether a CSV is the list of generations.
pub(super) fn is_list(line: &Line<'_>) -> bool {
    line.has("generation_id") && line.has("cost_total")
}

/// One generation of the list.
pub(super) fn read_line(reader: &mut Reader, row: u64, line: &Line<'_>) -> Result<(), String> {
    let id = line.get("generation_id").ok_or("no `generation_id`")?;
    let at = line.get("created_at").and_then(moment).ok_or("`created_at` is no moment")?;
    let cost = Amount::parse(line.get("cost_total").ok_or("no `cost_total`")?, 0)?;
    let key = line.get("byok_usage_inference").map(|text| Amount::parse(text, 0)).transpose()?;
    reader.note(cost);
    let tokens = |name: &str| line.get(name).map(|text| count(text, 1)).transpose();
    let counts = units([(Class::Input, tokens("tokens_prompt")?), (Class::Output, tokens("tokens_completion")?)]);
    let taken = VendorRow {
        model: line.get("model_permaslug").map(|model| Named::Id(model.to_owned())),
        key: line.get("api_key_name").map(str::to_owned),
        from_ms: at,
        until_ms: at + 1,
        ids: vec![id.to_owned()],
        units: counts,
        pico: Some(cost.pico + key.map_or(0, |key| key.pico)),
        ..reader.blank(row, Format::OpenRouterGenerations, PROVIDER, (0, 0))
    };
    reader.take(taken);
    Ok(())
}
