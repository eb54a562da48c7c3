//! What a budget's sums are made of, found in the file: for a budget that is new to it, or that counts something else than
//! before.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::super::budget::{Budget, Slot, Window};
use super::super::question::word;
use super::accounts::time;
use super::rows::{self, unsigned};
use crate::types::LedgerRecord;

/// Which account an amount belongs to.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// This one.
    Account(i64),
    /// The one for this value of the budget's `each`.
    Value(Option<String>),
}

/// Sums by account and slot.
type Counted = HashMap<(Whose, i64), Slot>;

/// Counts what was held under the budget's name, and what was booked without being held, as far as it counts still. How often
/// something did not fit is not known any more.
pub(super) fn all(connection: &Connection, id: i64, budget: &Budget, since: u64) -> rusqlite::Result<Counted> {
    let mut counted = Counted::new();
    let facets = facets(connection)?;
    holds(connection, (id, budget, since), &facets, &mut counted)?;
    records(connection, (id, budget, since), &facets, &mut counted)?;
    Ok(counted)
}

fn facets(connection: &Connection) -> rusqlite::Result<HashMap<i64, LedgerRecord>> {
    // The id comes last, so that the others stand where they are looked for.
    let mut statement = connection.prepare(&format!("SELECT {}, id FROM facet", rows::FACET))?;
    let found = statement.query_map([], |row| Ok((row.get("id")?, rows::facet(row)?)))?;
    found.collect()
}

/// A record's label of a name, as a budget means it.
fn label<'a>(record: &'a LedgerRecord, purpose: &'a str, name: &str) -> Option<&'a str> {
    match name {
        "provider" => Some(&record.provider),
        "model" => Some(&record.model),
        "key" => record.key.as_deref(),
        "purpose" => Some(purpose),
        tag => record.tags.get(tag).map(String::as_str),
    }
}

/// The account of the records that share these words, if they fall under the budget.
fn whose(budget: &Budget, facet: &LedgerRecord) -> Option<Option<String>> {
    let purpose = word(facet.purpose);
    let label = |name: &str| label(facet, &purpose, name);
    budget.covers(label).then(|| budget.each.as_deref().and_then(label).map(str::to_owned))
}

struct Found {
    id: String,
    account: i64,
    at_ms: u64,
    nanos: Option<u64>,
    /// Whether its lease has ended; `None` where it is not open.
    lapsed: Option<bool>,
    /// The words of its record, and the cost.
    booked: Option<(i64, Option<u64>)>,
}

fn holds(
    connection: &Connection,
    (id, budget, since): (i64, &Budget, u64),
    facets: &HashMap<i64, LedgerRecord>,
    counted: &mut Counted,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT r.id, r.account, r.at_ms, r.nanos, h.lapsed, a.facet, a.cost_nanos FROM reservation AS r \
         LEFT JOIN held AS h ON h.id = r.id AND h.account = r.account LEFT JOIN attempt AS a ON a.id = r.id \
         WHERE r.account IN (SELECT id FROM account WHERE budget = ?1) AND r.id NOT IN (SELECT id FROM released)",
    )?;
    let found = statement.query_map([id], |row| {
        let cost = row.get::<_, Option<i64>>(6)?.map(unsigned);
        Ok(Found {
            id: row.get(0)?,
            account: row.get(1)?,
            at_ms: row.get::<_, i64>(2).map(unsigned)?,
            nanos: row.get::<_, Option<i64>>(3)?.map(unsigned),
            lapsed: row.get(4)?,
            booked: row.get::<_, Option<i64>>(5)?.map(|facet| (facet, cost)),
        })
    })?;
    let found: Vec<Found> = found.collect::<rusqlite::Result<_>>()?;
    let mut moved = connection.prepare("UPDATE held SET slot = ?3 WHERE id = ?1 AND account = ?2")?;
    for hold in found {
        let slot = budget.window.span(hold.at_ms).slot;
        let at = time(slot);
        match (hold.lapsed, hold.booked) {
            (Some(lapsed), _) => {
                moved.execute(params![hold.id, hold.account, at])?;
                let slot = counted.entry((Whose::Account(hold.account), at)).or_default();
                slot.hold(hold.nanos);
                if lapsed {
                    slot.lapse(hold.nanos);
                }
            }
            (None, Some((facet, cost))) if slot >= since => {
                if let Some(value) = facets.get(&facet).and_then(|facet| whose(budget, facet)) {
                    counted.entry((Whose::Value(value), at)).or_default().settle(hold.nanos, cost);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What was booked without being held under this budget; what it cost where that is known.
fn records(
    connection: &Connection,
    (id, budget, since): (i64, &Budget, u64),
    facets: &HashMap<i64, LedgerRecord>,
    counted: &mut Counted,
) -> rusqlite::Result<()> {
    let held = "SELECT EXISTS (SELECT 1 FROM reservation JOIN account ON account.id = account WHERE budget = ?1)";
    let held: bool = connection.query_row(held, [id], |row| row.get(0))?;
    let mut statement = connection.prepare(
        "SELECT at_ms, cost_nanos FROM attempt INDEXED BY attempt_sums \
         WHERE facet = ?1 AND at_ms >= ?2 AND cost_nanos IS NOT NULL AND (NOT ?3 OR NOT EXISTS (\
           SELECT 1 FROM reservation AS r JOIN account ON account.id = r.account WHERE r.id = attempt.id AND budget = ?4))",
    )?;
    for (facet, words) in facets {
        let Some(value) = whose(budget, words) else { continue };
        let mut rows = statement.query(params![facet, time(since), held, id])?;
        let mut slots: HashMap<i64, Slot> = HashMap::new();
        // What comes in the order of time is in the same stretch of a calendar as a rule.
        let mut stretch = (0, 0, 0);
        while let Some(row) = rows.next()? {
            let at_ms: u64 = row.get::<_, i64>(0).map(unsigned)?;
            if !matches!(budget.window, Window::Calendar(..)) || !(stretch.0..stretch.1).contains(&at_ms) {
                let span = budget.window.span(at_ms);
                stretch = (at_ms, span.until.unwrap_or(at_ms), span.slot);
            }
            let cost = row.get::<_, i64>(1).map(unsigned)?;
            slots.entry(time(stretch.2)).or_default().settle(None, Some(cost));
        }
        for (at, slot) in slots {
            counted.entry((Whose::Value(value.clone()), at)).or_default().add(&slot);
        }
    }
    Ok(())
}
