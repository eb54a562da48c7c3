//! OpenAI: `/v1/organization/costs` and `/v1/organization/usage/completions` (and `embeddings`), pages as they come.
//!
//! Checked against the published API reference and against answers that users quoted in public: `amount.value` comes as a
//! number or as a text of many digits (also `0E-6176`); `line_item` is `MODEL, input`, `MODEL, cached input`, `MODEL,
//! output`, `MODEL, cache writes`, with ` text`, ` audio` or ` image` after the model where it has several kinds, and other
//! words for what is not tokens; `quantity` counts tokens. `input_tokens` includes the cached ones.

use serde_json::Value;

use super::{Format, Reader, Shape, VendorRow, buckets, cover, only_usd, text};
use crate::ledger::reconcile::amount::{Amount, count_of};
use crate::ledger::reconcile::vendor::{Named, Subject, units};
use crate::types::Class;

const PROVIDER: &str = "openai";

pub(super) fn fits(shape: &Shape<'_>) -> bool {
    let first = shape.first();
    first.get("start_time").is_some_and(Value::is_number) && first.get("results").is_some_and(Value::is_array)
}

pub(super) fn read(reader: &mut Reader, shape: &Shape<'_>) {
    let mut format = None;
    let times = |bucket: &Value| {
        let second = |name: &str| bucket.get(name)?.as_f64().map(|s| s as i64 * 1000);
        Some((second("start_time")?, second("end_time")?))
    };
    let spans = buckets(reader, shape, times, |reader, row, span, result| {
        let of = result.get("object").and_then(Value::as_str).unwrap_or_default();
        let found = match of {
            "organization.costs.result" => Format::OpenAiCosts,
            "organization.usage.completions.result" | "organization.usage.embeddings.result" => Format::OpenAiUsage,
            other if other.starts_with("organization.usage.") => {
                reader.skipped += 1;
                return Ok(());
            }
            _ if result.get("amount").is_some() => Format::OpenAiCosts,
            _ if result.get("input_tokens").is_some() => Format::OpenAiUsage,
            other => return Err(format!("`object` is `{other}`: neither costs nor usage of completions")),
        };
        format = Some(found);
        let blank = VendorRow { key: text(result, "api_key_id"), ..reader.blank(row, found, PROVIDER, span) };
        let row = if found == Format::OpenAiCosts { cost(reader, blank, result)? } else { usage(blank, result)? };
        reader.take(row);
        Ok(())
    });
    cover(reader, PROVIDER, format, spans);
}

fn cost(reader: &mut Reader, blank: VendorRow, result: &Value) -> Result<VendorRow, String> {
    let amount = result.get("amount").ok_or("no `amount`")?;
    only_usd(amount.get("currency").and_then(Value::as_str))?;
    let money = Amount::of(amount.get("value").ok_or("no `amount.value`")?, 0)?;
    reader.note(money);
    let (subject, model) = match text(result, "line_item") {
        None => (Subject::Tokens(None), None),
        Some(item) => line_item(&item),
    };
    let quantity = count_of(result.get("quantity")).ok().flatten();
    let class = match &subject {
        Subject::Tokens(class) => *class,
        Subject::Fee(class) => Some(*class),
        Subject::Other(_) => None,
    };
    Ok(VendorRow {
        model: model.map(Named::Id),
        subject,
        units: units(class.filter(|_| quantity.is_some()).map(|class| (class, quantity))),
        pico: Some(money.pico),
        ..blank
    })
}

/// What an item of the bill is for, and its model.
fn line_item(item: &str) -> (Subject, Option<String>) {
    let other = || (Subject::Other(item.to_owned()), None);
    // `evals | MODEL, input`: tokens that a product of the vendor's used, not a caller.
    if item.contains(" | ") {
        return other();
    }
    if item.to_lowercase().contains("web search") {
        return (Subject::Fee(Class::WebSearch), None);
    }
    let Some((model, kind)) = item.rsplit_once(", ") else { return other() };
    let (model, medium) = match model.rsplit_once(' ') {
        Some((model, medium @ ("text" | "audio" | "image"))) => (model, medium),
        _ => (model, "text"),
    };
    let class = match (kind.trim().to_lowercase().as_str(), medium) {
        ("input", "text") => Class::Input,
        ("input", "audio") | ("audio input" | "cached input", "audio") => Class::InputAudio,
        ("input" | "cached input", "image") => Class::InputImage,
        ("cached input", _) => Class::CacheRead,
        ("cache writes" | "cache write", _) => Class::CacheWrite,
        ("output", "text") => Class::Output,
        ("output", "audio") => Class::OutputAudio,
        ("output", "image") => Class::OutputImage,
        ("audio input", _) => Class::InputAudio,
        ("audio output", _) => Class::OutputAudio,
        ("image input", _) => Class::InputImage,
        ("image output", _) => Class::OutputImage,
        _ => return other(),
    };
    (Subject::Tokens(Some(class)), Some(model.to_owned()))
}

fn usage(blank: VendorRow, result: &Value) -> Result<VendorRow, String> {
    let count = |names: &[&str]| -> Result<Option<u64>, String> {
        for name in names {
            if let Some(number) = count_of(result.get(*name)).map_err(|why| format!("{name}: {why}"))? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    };
    let text_in = count(&["input_text_tokens", "input_tokens"])?.ok_or("no `input_tokens`")?;
    let cached = count(&["input_cached_text_tokens", "input_cached_tokens"])?.unwrap_or(0);
    let written = count(&["input_cache_write_tokens"])?.unwrap_or(0);
    let fresh = text_in.checked_sub(cached).and_then(|left| left.checked_sub(written));
    let fresh = fresh.ok_or("more cached tokens than tokens")?;
    let units = units([
        (Class::Input, Some(fresh)),
        (Class::CacheRead, Some(cached)),
        (Class::CacheWrite, Some(written)),
        (Class::InputAudio, count(&["input_audio_tokens"])?),
        (Class::InputImage, count(&["input_image_tokens"])?),
        (Class::Output, count(&["output_text_tokens", "output_tokens"])?),
        (Class::OutputAudio, count(&["output_audio_tokens"])?),
        (Class::OutputImage, count(&["output_image_tokens"])?),
    ]);
    let model = text(result, "model").map(Named::Id);
    Ok(VendorRow { model, units, requests: count(&["num_model_requests"])?, ..blank })
}
