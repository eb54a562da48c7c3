//! Hugging Face: `/api/organizations/{name}/billing/usage-by-resource-group`, one sum per month and resource group.
//!
//! Checked against the types that a public client generates from the published OpenAPI document: `currency`, a list of
//! periods with `period` (the month's first moment) and `resourceGroups`, each with `inference {requestCount, costCents}`,
//! `compute.{spaces, endpoints, jobs}.costCents` and `storage` without a cost. An older form without periods cannot be
//! dated and is refused. There is nothing per model or call.

use serde_json::Value;

use super::{Format, Reader, Shape, VendorRow, moment, only_usd, text};
use crate::ledger::reconcile::amount::{Amount, count_of};
use crate::ledger::reconcile::vendor::Subject;

const PROVIDER: &str = "hf-router";
const CENTS: u32 = 2;

pub(super) fn fits(shape: &Shape<'_>) -> bool {
    shape.has("resourceGroups") || shape.has("periods")
}

pub(super) fn read(reader: &mut Reader, shape: &Shape<'_>) {
    if let Err(why) = only_usd(shape.value("currency").as_ref().and_then(Value::as_str)) {
        reader.next();
        return reader.refuse(why);
    }
    let Some(Value::Array(periods)) = shape.value("periods") else {
        reader.next();
        return reader.refuse("no `periods`: sums without their month cannot be compared");
    };
    for period in &periods {
        let Some((from, until)) = text(period, "period").as_deref().and_then(month) else {
            reader.next();
            reader.refuse("`period` is no moment");
            continue;
        };
        let groups = period.get("resourceGroups").and_then(Value::as_array);
        for group in groups.into_iter().flatten() {
            let row = reader.next();
            if reader.repeats((from, group.to_string())) {
                continue;
            }
            if let Err(why) = take(reader, row, (from, until), group) {
                reader.refuse(why);
            }
        }
        let provider = reader.provider_or(PROVIDER);
        reader.form(Format::HuggingFace);
        reader.cover(Format::HuggingFace, &provider, from, until);
    }
}

/// The month that a moment lies in.
fn month(text: &str) -> Option<(i64, i64)> {
    let at = jiff::Timestamp::from_millisecond(moment(text)?).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let first = at.date().first_of_month();
    let next = first.checked_add(jiff::Span::new().months(1)).ok()?;
    let ms = |date: jiff::civil::Date| Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond());
    Some((ms(first)?, ms(next)?))
}

fn take(reader: &mut Reader, row: u64, span: (i64, i64), group: &Value) -> Result<(), String> {
    let named = text(group, "name").or_else(|| text(group, "id"));
    let inference = group.get("inference").ok_or("no `inference`")?;
    let cents = |of: &Value| Amount::of(of.get("costCents").unwrap_or(&Value::Null), CENTS);
    let money = cents(inference).map_err(|why| format!("inference: {why}"))?;
    let blank = VendorRow {
        key: named.clone(),
        requests: count_of(inference.get("requestCount"))?,
        pico: Some(money.pico),
        ..reader.blank(row, Format::HuggingFace, PROVIDER, span)
    };
    let mut taken = vec![blank.clone()];
    for (product, of) in group.get("compute").and_then(Value::as_object).into_iter().flatten() {
        let money = cents(of).map_err(|why| format!("compute.{product}: {why}"))?;
        if money.pico != 0 {
            let subject = Subject::Other(format!("compute: {product}"));
            taken.push(VendorRow { subject, requests: None, pico: Some(money.pico), ..blank.clone() });
        }
        reader.note(money);
    }
    reader.note(money);
    taken.into_iter().for_each(|row| reader.take(row));
    Ok(())
}
