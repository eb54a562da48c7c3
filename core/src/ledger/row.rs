//! A record as it is kept in memory: names shared, ids as numbers. Texts of its own would be small pieces all over the
//! heap, between which the allocator cannot reuse what calls leave behind.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::groups::Booked;
use crate::types::{LedgerRecord, PriceRow};

/// How many names are shared; more than that means that the names are made up.
const NAMES: usize = 1024;

/// Names of providers and models and the prices they had, each kept once.
#[derive(Default)]
pub(super) struct Names {
    names: HashSet<Arc<str>>,
    prices: HashSet<Arc<PriceRow>>,
}

impl Names {
    /// The shared name; mostly it is the one that the latest record has.
    fn share(&mut self, name: String, latest: Option<&Arc<str>>) -> Arc<str> {
        if let Some(latest) = latest.filter(|latest| ***latest == *name) {
            return latest.clone();
        }
        if let Some(known) = self.names.get(name.as_str()) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        if self.names.len() < NAMES {
            self.names.insert(name.clone());
        }
        name
    }

    /// The shared price.
    fn price(&mut self, price: PriceRow, latest: Option<&Arc<PriceRow>>) -> Arc<PriceRow> {
        if let Some(latest) = latest.filter(|latest| ***latest == price) {
            return latest.clone();
        }
        if let Some(known) = self.prices.get(&price) {
            return known.clone();
        }
        let price = Arc::new(price);
        if self.prices.len() < NAMES {
            self.prices.insert(price.clone());
        }
        price
    }
}

/// An id, as a number where it is a UUID written the usual way.
enum Id {
    Uuid(Uuid),
    Text(String),
}

impl Id {
    fn new(text: String) -> Self {
        let usual = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
        match Uuid::try_parse(&text) {
            Ok(uuid) if usual => Id::Uuid(uuid),
            _ => Id::Text(text),
        }
    }

    fn text(&self) -> String {
        match self {
            Id::Uuid(uuid) => uuid.to_string(),
            Id::Text(text) => text.clone(),
        }
    }
}

/// A record without its texts, and these.
pub(super) struct Row {
    /// Everything else; its names and ids are empty.
    pub rest: LedgerRecord,
    pub provider: Arc<str>,
    pub model: Arc<str>,
    pub model_sent: Arc<str>,
    id: Id,
    run_id: Id,
    price: Option<Arc<PriceRow>>,
}

impl Row {
    /// `latest` is the row before it.
    pub fn new(mut record: LedgerRecord, latest: Option<&Row>, names: &mut Names) -> Self {
        use std::mem::take;
        Row {
            provider: names.share(take(&mut record.provider), latest.map(|row| &row.provider)),
            model: names.share(take(&mut record.model), latest.map(|row| &row.model)),
            model_sent: names.share(take(&mut record.model_sent), latest.map(|row| &row.model_sent)),
            id: Id::new(take(&mut record.id)),
            run_id: Id::new(take(&mut record.run_id)),
            price: record.price.take().map(|p| names.price(p, latest.and_then(|row| row.price.as_ref()))),
            rest: record,
        }
    }

    /// The record as it was booked.
    pub fn record(&self) -> LedgerRecord {
        LedgerRecord {
            id: self.id.text(),
            run_id: self.run_id.text(),
            provider: self.provider.to_string(),
            model: self.model.to_string(),
            model_sent: self.model_sent.to_string(),
            price: self.price.as_deref().cloned(),
            ..self.rest.clone()
        }
    }
}

impl Booked for Row {
    fn provider(&self) -> &str {
        &self.provider
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn model_sent(&self) -> &str {
        &self.model_sent
    }

    fn run_id(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Owned(self.run_id.text()))
    }

    fn at_ms(&self) -> Option<u64> {
        Some(self.rest.at_ms)
    }

    fn rest(&self) -> &LedgerRecord {
        &self.rest
    }
}
