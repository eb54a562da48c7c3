//! Records as lines of CSV or JSON.

use std::io::Write;

use super::csv::{Cell, Csv};
use super::{Tally, time, unwritten};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::LedgerStore;
use crate::ledger::question::word;
use crate::money::NanoUsd;
use crate::types::{Exported, LedgerRecord, UsageQuery};

/// Headings, and the cell of each.
type Heading = (&'static str, for<'r> fn(&'r LedgerRecord) -> Cell<'r>);

const COLUMNS: &[Heading] = &[
    ("id", |r| Cell::Text(&r.id)),
    ("run_id", |r| Cell::Text(&r.run_id)),
    ("parent", |r| r.parent.as_deref().into()),
    ("at", |r| Cell::Plain(time(r.at_ms))),
    ("purpose", |r| Cell::Plain(word(r.purpose).into_owned())),
    ("provider", |r| Cell::Text(&r.provider)),
    ("model", |r| Cell::Text(&r.model)),
    ("model_sent", |r| Cell::Text(&r.model_sent)),
    ("model_served", |r| r.model_served.as_deref().into()),
    ("served_by", |r| r.served_by.as_deref().into()),
    ("key", |r| r.key.as_deref().into()),
    ("request_id", |r| r.request_id.as_deref().into()),
    ("response_id", |r| r.response_id.as_deref().into()),
    ("attempt", |r| Cell::Plain(r.attempt.to_string())),
    ("kind", |r| Cell::of(r.kind.map(word))),
    ("outcome", |r| Cell::Plain(word(r.outcome).into_owned())),
    ("error", |r| Cell::of(r.error)),
    ("prompt_tokens", |r| Cell::of(r.usage.as_ref().map(|u| u.prompt_tokens))),
    ("completion_tokens", |r| Cell::of(r.usage.as_ref().map(|u| u.completion_tokens))),
    ("cached_tokens", |r| Cell::of(r.usage.as_ref().and_then(|u| u.cached_tokens()))),
    ("reasoning_tokens", |r| Cell::of(r.usage.as_ref().and_then(|u| u.reasoning_tokens()))),
    ("cost_usd", |r| usd(r.cost_nanos)),
    ("cost_source", |r| Cell::of(r.cost_source.map(word))),
    ("confidence", |r| Cell::Plain(word(r.confidence).into_owned())),
    ("computed_usd", |r| usd(r.computed_nanos)),
    ("price", |r| r.price.as_ref().map(|price| price.id.as_str()).into()),
    ("latency_ms", |r| Cell::Plain(r.latency_ms.to_string())),
    ("ttft_ms", |r| Cell::of(r.ttft_ms)),
    ("cached", |r| Cell::Plain(r.cached.to_string())),
];

/// These hold JSON, which has commas and quotes.
const LISTS: [&str; 3] = ["units", "flags", "tags"];

fn usd(nanos: Option<u64>) -> Cell<'static> {
    Cell::of(nanos.and_then(NanoUsd::from_nanos))
}

/// A line for each record.
pub(super) fn csv(store: &dyn LedgerStore, query: &UsageQuery, out: &mut dyn Write) -> Result<Exported> {
    let mut csv = Csv::new(out, COLUMNS.iter().map(|(name, _)| *name).chain(LISTS))?;
    let mut tally = Tally::default();
    let complete = store.records(query, &mut |record| {
        tally.count(record, 1);
        let texts = [json(&record.units)?, json(&record.flags)?, json(&record.tags)?];
        let empty = |text: &str| matches!(text, "{}" | "[]");
        let lists = texts.iter().map(|text| if empty(text) { Cell::None } else { Cell::Text(text) });
        csv.row(COLUMNS.iter().map(|(_, cell)| cell(record)).chain(lists))
    })?;
    Ok(tally.exported(complete))
}

/// A JSON object for each record, one a line.
pub(super) fn lines(store: &dyn LedgerStore, query: &UsageQuery, out: &mut dyn Write) -> Result<Exported> {
    let mut tally = Tally::default();
    let complete = store.records(query, &mut |record| {
        tally.count(record, 1);
        let mut line = json(record)?;
        line.push('\n');
        out.write_all(line.as_bytes()).map_err(|e| unwritten(&e))
    })?;
    Ok(tally.exported(complete))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| {
        Error::new(ErrorKind::Internal, format!("a record is no JSON text: {e}; please report this defect"))
    })
}
