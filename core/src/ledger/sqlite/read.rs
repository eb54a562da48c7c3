//! Questions to the file. Sums are read from one index that has all they are made of; the words behind its rows are looked
//! up once for each combination.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use super::super::memory::{Sums, word};
use super::faults::storage;
use super::rows::{self, unsigned};
use crate::error::Result;
use crate::types::{LedgerRecord, PriceRow, Usage, UsageQuery, UsageReport, UsageRow};

/// Records read between two looks at the file, so that a slow reader does not hold up the writer's log.
const PAGE: i64 = 1000;

/// A record's value of a name: one of its own, else the label of that name.
fn value(record: &LedgerRecord, name: &str) -> Option<String> {
    match name {
        "provider" => Some(record.provider.clone()),
        "model" => Some(record.model.clone()),
        "purpose" => Some(word(record.purpose)),
        "outcome" => Some(word(record.outcome)),
        "run_id" => Some(record.run_id.clone()),
        tag => record.tags.get(tag).cloned(),
    }
}

/// Names whose values differ among attempts that share all their words.
fn of_each(name: &str) -> bool {
    name == "run_id"
}

/// Whether a record has what the question's filter wants.
fn wanted(query: &UsageQuery, record: &LedgerRecord) -> bool {
    query.filter.iter().all(|(name, want)| value(record, name).as_ref() == Some(want))
}

type Group = BTreeMap<String, Option<String>>;

fn group(query: &UsageQuery, record: &LedgerRecord) -> Group {
    query.by.iter().map(|name| (name.clone(), value(record, name))).collect()
}

/// The times asked for, as SQLite compares them: from the first to the last before the end.
fn times(query: &UsageQuery) -> (i64, i64) {
    let at = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    // Without bounds every number is meant, those above SQLite's largest included, which it sees as negative.
    (query.since_ms.map_or(i64::MIN, at), query.until_ms.map_or(i64::MAX, |until| at(until).saturating_sub(1)))
}

/// Sums over the file.
pub(super) fn usage(connection: &Connection, path: &Path, query: &UsageQuery) -> Result<UsageReport> {
    let groups = sums(connection, query).map_err(|why| storage(path, "read", &why))?;
    let mut total = Sums::default();
    groups.values().for_each(|sums| total.add(*sums));
    let rows: Vec<UsageRow> = groups.into_iter().map(|(group, sums)| sums.row(group)).collect();
    Ok(UsageReport { rows, total: total.row(BTreeMap::new()), complete: true })
}

fn sums(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<BTreeMap<Group, Sums>> {
    let mut groups: BTreeMap<Group, Sums> = BTreeMap::new();
    let mut facets = Facets::new(connection)?;
    // Where the words alone decide, the index has everything, and has the attempts of one combination of words together.
    let each = query.by.iter().chain(query.filter.keys()).any(|name| of_each(name));
    let mut statement = connection.prepare(match each {
        true => "SELECT facet, prompt_tokens, completion_tokens, cost_nanos, run_id FROM attempt WHERE at_ms BETWEEN ?1 AND ?2",
        false => {
            "SELECT facet, prompt_tokens, completion_tokens, cost_nanos FROM attempt INDEXED BY attempt_sums \
             WHERE at_ms BETWEEN ?1 AND ?2 ORDER BY facet"
        }
    })?;
    let (since, last) = times(query);
    let mut rows = statement.query(params![since, last])?;
    let mut current: Option<(i64, LedgerRecord)> = None;
    let mut together = Sums::default();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let record = match &mut current {
            Some((of, record)) if *of == id => record,
            other => {
                if let Some((_, before)) = other.take().filter(|_| !each) {
                    add(query, &before, std::mem::take(&mut together), &mut groups);
                }
                let read = LedgerRecord { usage: Some(Usage::default()), ..facets.get(id)?.clone() };
                &mut other.insert((id, read)).1
            }
        };
        let number = |column| row.get::<_, Option<i64>>(column).map(|number| number.map(unsigned));
        if let Some(usage) = &mut record.usage {
            usage.prompt_tokens = number(1)?.unwrap_or(0);
            usage.completion_tokens = number(2)?.unwrap_or(0);
        }
        record.cost_nanos = number(3)?;
        match each {
            false => together.add(Sums::of(record)),
            true => {
                record.run_id = row.get(4)?;
                add(query, record, Sums::of(record), &mut groups);
            }
        }
    }
    if let Some((_, last)) = current.filter(|_| !each) {
        add(query, &last, together, &mut groups);
    }
    Ok(groups)
}

/// Adds sums of attempts like this one to their group, if the question is about them.
fn add(query: &UsageQuery, of: &LedgerRecord, sums: Sums, groups: &mut BTreeMap<Group, Sums>) {
    if wanted(query, of) {
        groups.entry(group(query, of)).or_default().add(sums);
    }
}

/// A way through the file in the order of booking, page by page, up to what was there when it began.
pub(super) struct Pages {
    /// The last row seen.
    from: i64,
    /// The last row there is.
    end: i64,
}

impl Pages {
    pub fn new(connection: &Connection, path: &Path) -> Result<Self> {
        let end = connection.query_row("SELECT max(seq) FROM attempt", [], |row| row.get::<_, Option<i64>>(0));
        // Before the first row there is nothing.
        Ok(Pages { from: i64::MIN, end: end.map_err(|why| storage(path, "read", &why))?.unwrap_or(i64::MIN) })
    }

    /// The records of the next page that a question chooses; `None` after the last one.
    pub fn next(
        &mut self,
        connection: &Connection,
        path: &Path,
        query: &UsageQuery,
    ) -> Result<Option<Vec<LedgerRecord>>> {
        if self.from >= self.end {
            return Ok(None);
        }
        self.read(connection, query).map(Some).map_err(|why| storage(path, "read", &why))
    }

    fn read(&mut self, connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Vec<LedgerRecord>> {
        let (mut facets, mut prices) = (Facets::new(connection)?, Prices::new(connection)?);
        let mut statement = connection.prepare(&format!(
            "SELECT {} FROM attempt WHERE seq > ?1 AND seq <= ?2 AND at_ms BETWEEN ?3 AND ?4 ORDER BY seq LIMIT {PAGE}",
            rows::ATTEMPT
        ))?;
        let (since, last) = times(query);
        let mut found = statement.query(params![self.from, self.end, since, last])?;
        let (mut page, mut seen) = (Vec::new(), 0);
        while let Some(row) = found.next()? {
            (self.from, seen) = (row.get(0)?, seen + 1);
            let facet = facets.get(row.get(1)?)?;
            let price = row.get::<_, Option<i64>>(2)?.map(|id| prices.get(id)).transpose()?;
            let record = rows::attempt(row, facet, price.as_deref())?;
            if wanted(query, &record) {
                page.push(record);
            }
        }
        if seen < PAGE {
            self.from = self.end;
        }
        Ok(page)
    }
}

/// Rows that many attempts share, each read once.
struct Looked<'c, T> {
    find: Statement<'c>,
    read: fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    known: HashMap<i64, T>,
}

impl<T> Looked<'_, T> {
    fn get(&mut self, id: i64) -> rusqlite::Result<&mut T> {
        use std::collections::hash_map::Entry;
        match self.known.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let found = self.find.query_row([id], self.read).optional()?;
                Ok(place.insert(found.ok_or(rusqlite::Error::QueryReturnedNoRows)?))
            }
        }
    }
}

type Facets<'c> = Looked<'c, LedgerRecord>;
type Prices<'c> = Looked<'c, PriceRow>;

impl<'c> Facets<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let find = connection.prepare(&format!("SELECT {} FROM facet WHERE id = ?1", rows::FACET))?;
        Ok(Looked { find, read: rows::facet, known: HashMap::new() })
    }
}

impl<'c> Prices<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let find = connection.prepare("SELECT price FROM price WHERE id = ?1")?;
        Ok(Looked { find, read: |row| Ok(rows::parsed(row, 0)?.unwrap_or_default()), known: HashMap::new() })
    }
}
