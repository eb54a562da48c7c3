//! A record as rows, and back.

use std::collections::HashMap;

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Row, Statement, params};
use serde::{Deserialize, Serialize};

use crate::types::{LedgerRecord, PriceRow};

/// How many combinations of words and prices are known without looking; more means that some word is made up each time.
const KNOWN: usize = 8192;

const ADD_ATTEMPT: &str = "INSERT INTO attempt (id, run_id, parent, at_ms, facet, attempt, request_id, response_id, \
    prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nanos, computed_nanos, price, latency_ms, \
    ttft_ms, usage, units, flags) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) \
    ON CONFLICT (id) DO NOTHING";
const ADD_FACET: &str = "INSERT INTO facet (hash, provider, model, model_sent, model_served, served_by, \"key\", purpose, \
    kind, outcome, error, cost_source, confidence, cached, first, tags) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT (hash) DO NOTHING";
const ADD_PRICE: &str = "INSERT INTO price (hash, price) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING";

/// Columns of `facet`, as [`facet`] reads them.
pub(super) const FACET: &str = "provider, model, model_sent, model_served, served_by, \"key\", purpose, kind, outcome, \
    error, cost_source, confidence, cached, first, tags";
/// Columns of `attempt`, as [`attempt`] reads them.
pub(super) const ATTEMPT: &str = "seq, facet, price, id, run_id, parent, at_ms, attempt, request_id, response_id, usage, \
    cost_nanos, computed_nanos, units, flags, latency_ms, ttft_ms";

/// Numbers above SQLite's largest come back as they were, though SQLite itself sees them as negative.
pub(super) fn signed(number: u64) -> i64 {
    number as i64
}

pub(super) fn unsigned(number: i64) -> u64 {
    number as u64
}

/// The prepared statements of the writer, and the rows of words and prices that it knows to be there.
pub(super) struct Rows<'c> {
    add_attempt: Statement<'c>,
    facets: Shared<'c>,
    prices: Shared<'c>,
}

impl<'c> Rows<'c> {
    pub fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Rows {
            add_attempt: connection.prepare(ADD_ATTEMPT)?,
            facets: Shared::new(connection, ADD_FACET, "SELECT id FROM facet WHERE hash = ?1")?,
            prices: Shared::new(connection, ADD_PRICE, "SELECT id FROM price WHERE hash = ?1")?,
        })
    }

    /// Adds a record, in the transaction that runs; one that is there already is left as it is.
    pub fn add(&mut self, record: &LedgerRecord) -> rusqlite::Result<()> {
        let facet = Facet::of(record);
        let facet = self.facets.id(&facet, |add, hash, _| {
            add.execute(params![
                hash,
                facet.provider,
                facet.model,
                facet.model_sent,
                facet.model_served,
                facet.served_by,
                facet.key,
                word(&facet.purpose)?,
                facet.kind.as_ref().map(word).transpose()?,
                word(&facet.outcome)?,
                facet.error.map(|error| error.as_str()),
                facet.cost_source.as_ref().map(word).transpose()?,
                word(&facet.confidence)?,
                facet.cached,
                facet.first,
                json(&facet.tags)?,
            ])
        })?;
        let price = match &record.price {
            None => None,
            Some(price) => Some(self.prices.id(price, |add, hash, text| add.execute(params![hash, text]))?),
        };
        let usage = record.usage.as_ref();
        let details = usage.and_then(|usage| usage.prompt_tokens_details.as_ref());
        let reasoning = usage.and_then(|usage| usage.reasoning_tokens());
        self.add_attempt.execute(params![
            record.id,
            record.run_id,
            record.parent,
            signed(record.at_ms),
            facet,
            record.attempt,
            record.request_id,
            record.response_id,
            usage.map(|usage| signed(usage.prompt_tokens)),
            usage.map(|usage| signed(usage.completion_tokens)),
            details.and_then(|details| details.cached_tokens).map(signed),
            reasoning.map(signed),
            record.cost_nanos.map(signed),
            record.computed_nanos.map(signed),
            price,
            signed(record.latency_ms),
            record.ttft_ms.map(signed),
            usage.map(json).transpose()?,
            (!record.units.is_empty()).then(|| json(&record.units)).transpose()?,
            (!record.flags.is_empty()).then(|| json(&record.flags)).transpose()?,
        ])?;
        Ok(())
    }

    /// Forgets which rows are there: those of the latest transaction are not.
    pub fn forget(&mut self) {
        self.facets.known.clear();
        self.prices.known.clear();
    }
}

/// Rows that many attempts share, each found by the hash of its text.
struct Shared<'c> {
    add: Statement<'c>,
    find: Statement<'c>,
    known: HashMap<String, i64>,
}

impl<'c> Shared<'c> {
    fn new(connection: &'c Connection, add: &str, find: &str) -> rusqlite::Result<Self> {
        Ok(Shared { add: connection.prepare(add)?, find: connection.prepare(find)?, known: HashMap::new() })
    }

    /// The row of a value, which `add` adds with its hash and text where there is none.
    fn id(
        &mut self,
        value: &impl Serialize,
        add: impl FnOnce(&mut Statement<'c>, &[u8], &str) -> rusqlite::Result<usize>,
    ) -> rusqlite::Result<i64> {
        let text = json(value)?;
        if let Some(id) = self.known.get(&text) {
            return Ok(*id);
        }
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        add(&mut self.add, hash.as_ref(), &text)?;
        let id = self.find.query_row([hash.as_ref()], |row| row.get(0))?;
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(text, id);
        Ok(id)
    }
}

/// What many attempts share; everything that one groups by is here, except ids and times.
#[derive(Serialize)]
struct Facet<'a> {
    provider: &'a str,
    model: &'a str,
    model_sent: &'a str,
    model_served: &'a Option<String>,
    served_by: &'a Option<String>,
    key: &'a Option<String>,
    purpose: crate::types::Purpose,
    kind: Option<crate::types::AttemptKind>,
    outcome: crate::types::Outcome,
    error: Option<crate::types::ErrorKind>,
    cost_source: Option<crate::types::CostSource>,
    confidence: crate::types::Confidence,
    cached: bool,
    /// They begin calls.
    first: bool,
    tags: &'a crate::types::Tags,
}

impl<'a> Facet<'a> {
    fn of(record: &'a LedgerRecord) -> Self {
        Facet {
            provider: &record.provider,
            model: &record.model,
            model_sent: &record.model_sent,
            model_served: &record.model_served,
            served_by: &record.served_by,
            key: &record.key,
            purpose: record.purpose,
            kind: record.kind,
            outcome: record.outcome,
            error: record.error,
            cost_source: record.cost_source,
            confidence: record.confidence,
            cached: record.cached,
            first: record.parent.is_none(),
            tags: &record.tags,
        }
    }
}

/// What many attempts share, as a record that has nothing else.
pub(super) fn facet(row: &Row<'_>) -> rusqlite::Result<LedgerRecord> {
    Ok(LedgerRecord {
        provider: row.get(0)?,
        model: row.get(1)?,
        model_sent: row.get(2)?,
        model_served: row.get(3)?,
        served_by: row.get(4)?,
        key: row.get(5)?,
        purpose: known(row, 6)?.unwrap_or_default(),
        kind: known(row, 7)?,
        outcome: known(row, 8)?.unwrap_or_default(),
        error: known(row, 9)?,
        cost_source: known(row, 10)?,
        confidence: known(row, 11)?.unwrap_or_default(),
        cached: row.get(12)?,
        // Which one it follows, each attempt knows itself.
        parent: (!row.get::<_, bool>(13)?).then(String::new),
        tags: parsed(row, 14)?.unwrap_or_default(),
        ..LedgerRecord::default()
    })
}

/// The whole record of an attempt whose shared words and price are these.
pub(super) fn attempt(row: &Row<'_>, facet: &LedgerRecord, price: Option<&PriceRow>) -> rusqlite::Result<LedgerRecord> {
    Ok(LedgerRecord {
        id: row.get(3)?,
        run_id: row.get(4)?,
        parent: row.get(5)?,
        at_ms: unsigned(row.get(6)?),
        attempt: row.get(7)?,
        request_id: row.get(8)?,
        response_id: row.get(9)?,
        usage: parsed(row, 10)?,
        cost_nanos: row.get::<_, Option<i64>>(11)?.map(unsigned),
        computed_nanos: row.get::<_, Option<i64>>(12)?.map(unsigned),
        units: parsed(row, 13)?.unwrap_or_default(),
        flags: parsed(row, 14)?.unwrap_or_default(),
        latency_ms: unsigned(row.get(15)?),
        ttft_ms: row.get::<_, Option<i64>>(16)?.map(unsigned),
        price: price.cloned(),
        ..facet.clone()
    })
}

/// A value that stands in a column as JSON text.
pub(super) fn parsed<T: for<'de> Deserialize<'de>>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    text(row, column)?.map(|text| serde_json::from_str(text).map_err(|why| unreadable(column, why))).transpose()
}

/// A value that stands in a column as a word.
pub(super) fn known<T: for<'de> Deserialize<'de>>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let read = |word: &str| serde_json::from_str(&json(&word)?).map_err(|why| unreadable(column, why));
    text(row, column)?.map(read).transpose()
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r str>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        value => value.as_str().map(Some).map_err(|why| unreadable(column, why)),
    }
}

fn unreadable(column: usize, why: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why))
}

/// The word of an enum's value.
pub(super) fn word(value: &impl Serialize) -> rusqlite::Result<String> {
    let word = serde_json::to_value(value).map_err(unwritable)?;
    Ok(word.as_str().unwrap_or_default().to_owned())
}

pub(super) fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(unwritable)
}

fn unwritable(why: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(why))
}
