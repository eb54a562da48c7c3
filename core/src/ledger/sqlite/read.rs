//! Questions to the file. Sums are read from one index that has all they are made of; the words behind its rows are looked
//! up once for each combination.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, Rows, Statement, params};

use super::super::groups::Groups;
use super::super::question::{Column, Question};
use super::super::sums::Sums;
use super::corrections;
use super::faults::storage;
use super::rows::{self, unsigned};
use crate::error::Result;
use crate::types::{Correction, LedgerRecord, PriceRow, UsageQuery, UsageReport};

/// Records read between two looks at the file, so that a slow reader does not hold up the writer's log.
const PAGE: i64 = 1000;

/// Attempts that begin within the same quarter of an hour are in the same hour, day, week and month of every time zone.
const QUARTER_MS: u64 = 15 * 60 * 1000;

/// The times asked for, as SQLite compares them: from the first to the last before the end.
fn times(question: &Question) -> (i64, i64) {
    let at = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    // Without bounds every number is meant, those above SQLite's largest included, which it sees as negative.
    (question.since_ms.map_or(i64::MIN, at), question.until_ms.map_or(i64::MAX, |until| at(until).saturating_sub(1)))
}

/// Sums over the file.
pub(super) fn usage(connection: &Connection, path: &Path, query: &UsageQuery) -> Result<UsageReport> {
    let question = Question::new(query)?;
    let mut groups = Groups::new(&question);
    sums(connection, &question, &mut groups).map_err(|why| storage(path, "read", &why))?;
    corrections(connection, path, &question)?.iter().for_each(|correction| groups.add_correction(correction));
    Ok(groups.report(true))
}

/// The corrections that a question chooses.
pub(super) fn corrections(connection: &Connection, path: &Path, question: &Question) -> Result<Vec<Correction>> {
    let mut found = corrections::read(connection, times(question)).map_err(|why| storage(path, "read", &why))?;
    found.retain(|correction| question.corrects(correction));
    Ok(found)
}

/// Adds up attempts that are alike in everything the question names before they are put into a group: those of one
/// combination of words, and of one quarter of an hour where it names times.
fn sums(connection: &Connection, question: &Question, groups: &mut Groups<'_>) -> rusqlite::Result<()> {
    if question.names(|column| *column == Column::Run) {
        return sums_by_run(connection, question, groups);
    }
    let by_time = question.names(|column| matches!(column, Column::Time(_)));
    let mut facets = connection.prepare(&format!("SELECT {}, id FROM facet ORDER BY id", words(question)))?;
    let mut facets = facets.query([])?;
    // The index has everything but ids, and has the attempts of one combination of words together.
    let mut statement = connection.prepare(&format!(
        "SELECT {SUMMED} FROM attempt INDEXED BY attempt_sums WHERE at_ms BETWEEN ?1 AND ?2 ORDER BY facet, at_ms"
    ))?;
    let (since, last) = times(question);
    let mut rows = statement.query(params![since, last])?;
    let mut current: Option<((i64, u64), LedgerRecord)> = None;
    let mut together = Sums::default();
    while let Some(row) = rows.next()? {
        let (facet, at_ms) = (row.get::<_, i64>(0)?, unsigned(row.get(1)?));
        let alike = (facet, if by_time { at_ms / QUARTER_MS } else { 0 });
        let record = match &mut current {
            Some((of, record)) if *of == alike => record,
            other => {
                let before = other.take();
                if let Some((_, before)) = &before {
                    groups.add(before, &std::mem::take(&mut together));
                }
                let mut record = match before {
                    Some(((same, _), record)) if same == facet => record,
                    _ => next_facet(&mut facets, facet)?,
                };
                record.at_ms = at_ms;
                &mut other.insert((alike, record)).1
            }
        };
        measured(row, record)?;
        together.count(record, question.latencies);
    }
    if let Some((_, last)) = current {
        groups.add(&last, &together);
    }
    Ok(())
}

/// The same where each call or fusion is a group: its ids stand with the attempts alone.
fn sums_by_run(connection: &Connection, question: &Question, groups: &mut Groups<'_>) -> rusqlite::Result<()> {
    let mut facets = Facets::new(connection)?;
    let mut statement =
        connection.prepare(&format!("SELECT {SUMMED}, run_id FROM attempt WHERE at_ms BETWEEN ?1 AND ?2"))?;
    let (since, last) = times(question);
    let mut rows = statement.query(params![since, last])?;
    while let Some(row) = rows.next()? {
        let shared = facets.get(row.get(0)?)?.clone();
        let mut record = LedgerRecord { at_ms: unsigned(row.get(1)?), run_id: row.get(9)?, ..shared };
        measured(row, &mut record)?;
        groups.add_one(&record);
    }
    Ok(())
}

/// What sums are made of.
const SUMMED: &str = "facet, at_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nanos, \
    latency_ms, ttft_ms";

/// Puts what was measured of one attempt into the record.
fn measured(row: &Row<'_>, record: &mut LedgerRecord) -> rusqlite::Result<()> {
    let number = |column| row.get::<_, Option<i64>>(column).map(|number| number.map(unsigned));
    let usage = record.usage.get_or_insert_default();
    usage.prompt_tokens = number(2)?.unwrap_or(0);
    usage.completion_tokens = number(3)?.unwrap_or(0);
    usage.prompt_tokens_details.get_or_insert_default().cached_tokens = number(4)?;
    usage.completion_tokens_details.get_or_insert_default().reasoning_tokens = number(5)?;
    record.cost_nanos = number(6)?;
    record.latency_ms = number(7)?.unwrap_or(0);
    record.ttft_ms = number(8)?;
    Ok(())
}

/// The columns of `facet`, but for words that a question does not ask for.
fn words(question: &Question) -> String {
    let named = |column: &str| match column {
        "provider" => question.names(|c| matches!(c, Column::Provider | Column::Endpoint)),
        "model" => question.names(|c| *c == Column::Model),
        "model_sent" => question.names(|c| matches!(c, Column::ModelSent | Column::ModelServed | Column::Endpoint)),
        "model_served" => question.names(|c| *c == Column::ModelServed),
        "served_by" => question.names(|c| *c == Column::ServedBy),
        "\"key\"" => question.names(|c| *c == Column::Key),
        "purpose" => question.names(|c| *c == Column::Purpose),
        "kind" => question.names(|c| *c == Column::Kind),
        "error" => question.names(|c| *c == Column::Error),
        "tags" => question.names(|c| matches!(c, Column::Tag(_))),
        // What sums ask for, too.
        _ => true,
    };
    let text = |column: &str| if matches!(column, "provider" | "model" | "model_sent") { "''" } else { "NULL" };
    let columns = rows::FACET.split(", ").map(|column| if named(column) { column } else { text(column) });
    columns.collect::<Vec<_>>().join(", ")
}

/// The next record of rows in the order of their ids that has this one, which is the last column.
fn next_facet(rows: &mut Rows<'_>, wanted: i64) -> rusqlite::Result<LedgerRecord> {
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(row.as_ref().column_count() - 1)? == wanted {
            return rows::facet(row);
        }
    }
    Err(rusqlite::Error::QueryReturnedNoRows)
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
        question: &Question,
    ) -> Result<Option<Vec<LedgerRecord>>> {
        if self.from >= self.end {
            return Ok(None);
        }
        self.read(connection, question).map(Some).map_err(|why| storage(path, "read", &why))
    }

    fn read(&mut self, connection: &Connection, question: &Question) -> rusqlite::Result<Vec<LedgerRecord>> {
        let (mut facets, mut prices) = (Facets::new(connection)?, Prices::new(connection)?);
        let mut statement = connection.prepare(&format!(
            "SELECT {} FROM attempt WHERE seq > ?1 AND seq <= ?2 AND at_ms BETWEEN ?3 AND ?4 ORDER BY seq LIMIT {PAGE}",
            rows::ATTEMPT
        ))?;
        let (since, last) = times(question);
        let mut found = statement.query(params![self.from, self.end, since, last])?;
        let (mut page, mut seen) = (Vec::new(), 0);
        while let Some(row) = found.next()? {
            (self.from, seen) = (row.get(0)?, seen + 1);
            let facet = facets.get(row.get(1)?)?;
            let price = row.get::<_, Option<i64>>(2)?.map(|id| prices.get(id)).transpose()?;
            let record = rows::attempt(row, facet, price.as_deref())?;
            if question.chooses(&record) {
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
