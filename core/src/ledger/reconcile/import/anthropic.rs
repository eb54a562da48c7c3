//! Anthropic: `/v1/organizations/usage_report/messages` and `/v1/organizations/cost_report`, pages as they come.
//!
//! Checked against the published API reference: amounts are decimal texts in cents; `cost_type` is `tokens`, `web_search`,
//! `code_execution` or newer words; `token_type` is one of five; usage has disjoint classes, written tokens by how long they
//! are kept. What the priority tier costs never appears; the default workspace and the console's key are null.

use serde_json::Value;

use super::{Format, Reader, Shape, VendorRow, buckets, cover, moment, only_usd, text};
use crate::ledger::reconcile::amount::{Amount, count_of};
use crate::ledger::reconcile::vendor::{Named, Subject, units};
use crate::types::Class;

const PROVIDER: &str = "anthropic";
/// Amounts are in cents.
const CENTS: u32 = 2;

pub(super) fn fits(shape: &Shape<'_>) -> bool {
    let first = shape.first();
    first.get("starting_at").is_some_and(Value::is_string) && first.get("results").is_some_and(Value::is_array)
}

pub(super) fn read(reader: &mut Reader, shape: &Shape<'_>) {
    let mut format = None;
    let times = |bucket: &Value| Some((moment(&text(bucket, "starting_at")?)?, moment(&text(bucket, "ending_at")?)?));
    let spans = buckets(reader, shape, times, |reader, row, span, result| {
        let found = if result.get("amount").is_some() { Format::AnthropicCost } else { Format::AnthropicUsage };
        format = Some(found);
        let blank = VendorRow {
            key: text(result, "api_key_id"),
            model: text(result, "model").map(Named::Id),
            ..reader.blank(row, found, PROVIDER, span)
        };
        match found {
            Format::AnthropicCost => {
                let row = cost(reader, blank, result)?;
                reader.take(row);
            }
            _ => usage(blank, result)?.into_iter().for_each(|row| reader.take(row)),
        }
        Ok(())
    });
    cover(reader, PROVIDER, format, spans);
}

fn cost(reader: &mut Reader, blank: VendorRow, result: &Value) -> Result<VendorRow, String> {
    only_usd(result.get("currency").and_then(Value::as_str))?;
    let amount = result.get("amount").ok_or("no `amount`")?;
    let money = Amount::of(amount, CENTS)?;
    reader.note(money);
    let described = || text(result, "description");
    let subject = match text(result, "cost_type").as_deref() {
        Some("tokens") => match text(result, "token_type").as_deref() {
            Some("uncached_input_tokens") => Subject::Tokens(Some(Class::Input)),
            Some("output_tokens") => Subject::Tokens(Some(Class::Output)),
            Some("cache_read_input_tokens") => Subject::Tokens(Some(Class::CacheRead)),
            Some("cache_creation.ephemeral_5m_input_tokens") => Subject::Tokens(Some(Class::CacheWrite5m)),
            Some("cache_creation.ephemeral_1h_input_tokens") => Subject::Tokens(Some(Class::CacheWrite1h)),
            Some(other) => return Err(format!("`token_type` `{other}` is not known")),
            None => Subject::Tokens(None),
        },
        Some("web_search") => Subject::Fee(Class::WebSearch),
        Some(other) => Subject::Other(described().unwrap_or_else(|| other.to_owned())),
        // Not grouped: everything of the day.
        None => Subject::Tokens(None),
    };
    Ok(VendorRow { subject, pico: Some(money.pico), ..blank })
}

fn usage(blank: VendorRow, result: &Value) -> Result<Vec<VendorRow>, String> {
    let count = |at: &str| count_of(result.pointer(at)).map_err(|why| format!("{at}: {why}"));
    let input = count("/uncached_input_tokens")?.ok_or("neither `amount` nor `uncached_input_tokens`")?;
    let tokens = units([
        (Class::Input, Some(input)),
        (Class::CacheRead, count("/cache_read_input_tokens")?),
        (Class::CacheWrite5m, count("/cache_creation/ephemeral_5m_input_tokens")?),
        (Class::CacheWrite1h, count("/cache_creation/ephemeral_1h_input_tokens")?),
        (Class::Output, count("/output_tokens")?),
    ]);
    let searches = count("/server_tool_use/web_search_requests")?.filter(|n| *n > 0);
    let fee = searches.map(|searches| VendorRow {
        subject: Subject::Fee(Class::WebSearch),
        units: vec![(Class::WebSearch, searches)],
        model: None,
        ..blank.clone()
    });
    Ok([VendorRow { units: tokens, ..blank }].into_iter().chain(fee).collect())
}
