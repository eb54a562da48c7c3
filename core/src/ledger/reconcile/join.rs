//! The join: every record and every row of a vendor to exactly one place, best first: a single call by its id, then the
//! sums of a key, model and hour or day, then the sums of an account's day.

use std::collections::{BTreeMap, HashMap};

use super::names::Names;
use super::plan::Account;
use super::sides::{Attempted, Ours, Theirs};
use super::vendor::{Format, Reader, Subject, VendorRow};
use crate::error::Result;
use crate::ledger::LedgerStore;
use crate::types::{Class, LedgerRecord, ReconcileOptions, UsageQuery};

/// Attempts so near to an edge may stand on its other side at the vendor.
const EDGE_MS: i64 = 15 * 60_000;
/// Attempts at edges that are remembered.
const EDGES: usize = 100_000;

/// Where sums are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub account: String,
    pub key: Option<String>,
    pub model: Option<String>,
    /// A fee's class, where fees stand apart.
    pub fee: Option<Class>,
    pub from: i64,
    pub until: i64,
}

/// What stands at a place.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub ours: Option<Ours>,
    pub theirs: BTreeMap<Format, Theirs>,
}

/// A call that a vendor tells singly.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub account: String,
    pub format: Format,
    pub id: String,
    pub model: Option<String>,
    pub key: Option<String>,
    pub at: i64,
    pub theirs: Theirs,
    subjects: Vec<Subject>,
    /// The record it was joined to, and what that one tells.
    pub record: Option<Box<(LedgerRecord, Attempted)>>,
}

/// An attempt near the edge of its hour or day.
#[derive(Debug, Clone)]
pub(super) struct AtEdge {
    pub home: Place,
    pub other: Place,
    /// Distance to the edge.
    pub distance: i64,
    pub attempt: Attempted,
}

/// Everything in its place.
pub(super) struct Joined {
    pub cells: BTreeMap<Place, Cell>,
    pub calls: Vec<Call>,
    /// Calls that stand in the report a second time.
    pub again: Vec<Call>,
    /// Rows that are not for tokens.
    pub others: Vec<(Place, String, Theirs)>,
    pub edges: Vec<AtEdge>,
    /// Whether every record was still there.
    pub complete: bool,
    /// Whether too many attempts stood at edges to remember all.
    pub crowded: bool,
}

/// Reads the ledger and puts everything in its place.
pub(super) fn join(
    store: &dyn LedgerStore,
    readers: &[Reader],
    accounts: &mut BTreeMap<String, Account>,
    names: &mut Names<'_>,
    options: &ReconcileOptions,
) -> Result<Joined> {
    let mut joined = Joined {
        cells: BTreeMap::new(),
        calls: Vec::new(),
        again: Vec::new(),
        others: Vec::new(),
        edges: Vec::new(),
        complete: true,
        crowded: false,
    };
    let by_id = calls(&mut joined, readers, names);
    let used = records(store, &mut joined, accounts, names, &by_id)?;
    for (name, account) in accounts.iter_mut() {
        // Keys that nobody here knows by name cannot be told apart; where some are known, the others are somebody else's.
        let known = |key: &String| options.keys.contains_key(key) || used.contains(&(name.clone(), key.clone()));
        account.keyed &= account.keys.iter().any(known);
    }
    let keyed = |account: &str| accounts.get(account).is_some_and(|account| account.keyed);
    if joined.cells.keys().any(|place| place.key.is_some() && !keyed(&place.account)) {
        let all = std::mem::take(&mut joined.cells);
        for (mut place, cell) in all {
            place.key = place.key.filter(|_| keyed(&place.account));
            let Some(ours) = cell.ours else { continue };
            joined.cells.entry(place).or_default().ours.get_or_insert_default().merge(&ours);
        }
        for edge in &mut joined.edges {
            edge.home.key = edge.home.key.take().filter(|_| keyed(&edge.home.account));
            edge.other.key = edge.home.key.clone();
        }
    }
    apart(&mut joined, accounts);
    sums(&mut joined, readers, accounts, names, options);
    Ok(joined)
}

/// The name of a vendor's key here.
fn key_here(key: Option<&String>, options: &ReconcileOptions) -> Option<String> {
    let key = key?;
    options.keys.get(key).map_or_else(|| Some(key.clone()), |name| Some(name.clone()).filter(|name| !name.is_empty()))
}

/// Collects single calls; returns where their ids lead.
fn calls(joined: &mut Joined, readers: &[Reader], names: &mut Names<'_>) -> HashMap<(String, String), usize> {
    let mut by_id: HashMap<(String, String), usize> = HashMap::new();
    for reader in readers {
        for row in reader.rows.iter().filter(|row| row.is_call()) {
            let account = names.account(&row.provider);
            let id = &row.ids[0];
            let known = by_id.get(&(account.clone(), id.clone())).copied();
            // A form may tell one call in a row per class; the same class again is the call again.
            if let Some(at) = known.filter(|at| joined.calls[*at].format == row.format)
                && !joined.calls[at].subjects.contains(&row.subject)
            {
                joined.calls[at].subjects.push(row.subject.clone());
                joined.calls[at].theirs.add(row, reader.decimals());
                continue;
            }
            let mut theirs = Theirs::default();
            theirs.add(row, reader.decimals());
            let call = Call {
                model: row.model.as_ref().map(|named| names.of(&account, named)),
                account,
                format: row.format,
                id: id.clone(),
                key: row.key.clone(),
                at: row.from_ms,
                theirs,
                subjects: vec![row.subject.clone()],
                record: None,
            };
            match known {
                // What another form tells of the same call is known already.
                Some(at) if joined.calls[at].format != row.format => {}
                Some(_) => joined.again.push(call),
                None => {
                    for id in &row.ids {
                        by_id.entry((call.account.clone(), id.clone())).or_insert(joined.calls.len());
                    }
                    joined.calls.push(call);
                }
            }
        }
    }
    by_id
}

/// Reads the ledger's records of the times in question. Returns the names of keys that they have.
fn records(
    store: &dyn LedgerStore,
    joined: &mut Joined,
    accounts: &BTreeMap<String, Account>,
    names: &mut Names<'_>,
    by_id: &HashMap<(String, String), usize>,
) -> Result<std::collections::BTreeSet<(String, String)>> {
    let mut used = std::collections::BTreeSet::new();
    let spans = accounts.values().filter_map(Account::span);
    let spans = spans.chain(joined.calls.iter().map(|call| (call.at, call.at + 1)));
    let Some((first, last)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return Ok(used) };
    let ms = |ms: i64| u64::try_from(ms).unwrap_or(0);
    // A call is told at its end; the ledger knows its beginning.
    let margin = super::import::HOUR_MS;
    let query =
        UsageQuery { since_ms: Some(ms(first - margin)), until_ms: Some(ms(last + margin)), ..Default::default() };
    let mut known: HashMap<(String, String), (String, String)> = HashMap::new();
    let mut lookup = (String::new(), String::new());
    joined.complete = store.records(&query, &mut |record| {
        let sent = (record.provider.clone(), record.model_sent.clone());
        let (account, model) = known.entry(sent).or_insert_with_key(|(provider, model)| {
            let account = names.account(provider);
            let canonical = names.model(&account, model);
            names.note_used(&account, model, &canonical);
            (account, canonical)
        });
        let Some(plan) = accounts.get(account) else { return Ok(()) };
        let Some(attempt) = Attempted::of(record) else { return Ok(()) };
        if !by_id.is_empty() {
            lookup.0.clone_from(account);
            for id in [&record.response_id, &record.request_id].into_iter().flatten() {
                lookup.1.clone_from(id);
                if let Some(at) = by_id.get(&lookup).copied()
                    && joined.calls[at].record.is_none()
                {
                    joined.calls[at].record = Some(Box::new((record.clone(), attempt)));
                    return Ok(());
                }
            }
        }
        let at = i64::try_from(record.at_ms).unwrap_or(i64::MAX);
        if let Some(key) = &record.key {
            let key = (account.clone(), key.clone());
            if !used.contains(&key) {
                used.insert(key);
            }
        }
        let (from, until) = plan.grain.around(at);
        let covered = plan.covers(at);
        let place = Place {
            account: account.clone(),
            key: record.key.clone(),
            model: Some(model.clone()),
            fee: None,
            from,
            until,
        };
        if plan.sums {
            let ended = at.saturating_add(i64::try_from(record.latency_ms).unwrap_or(0));
            let edge = EDGE_MS.min((until - from) / 12);
            let (to_next, to_last) = (until - ended, at - from);
            let other = if to_next <= edge {
                Some((until, to_next))
            } else {
                Some((from - 1, to_last)).filter(|(_, d)| *d < edge)
            };
            if let Some((moment, distance)) = other {
                let (from, until) = plan.grain.around(moment);
                if covered || plan.covers(moment) {
                    joined.crowded |= joined.edges.len() >= EDGES;
                    if joined.edges.len() < EDGES {
                        let other = Place { from, until, ..place.clone() };
                        let apart = plan.separate_fees();
                        let attempt = if apart { attempt.clone().without_fees() } else { attempt.clone() };
                        joined.edges.push(AtEdge { home: place.clone(), other, distance, attempt });
                    }
                }
            }
        }
        if covered {
            joined.cells.entry(place).or_default().ours.get_or_insert_default().add(&attempt, record);
        }
        Ok(())
    })?;
    Ok(used)
}

/// Fees of the ledger to places of their own, where the vendor bills them apart.
fn apart(joined: &mut Joined, accounts: &BTreeMap<String, Account>) {
    let mut fees: Vec<(Place, Ours)> = Vec::new();
    for (place, cell) in &mut joined.cells {
        if !accounts.get(&place.account).is_some_and(Account::separate_fees) {
            continue;
        }
        let Some(ours) = &mut cell.ours else { continue };
        for class in Class::ALL.into_iter().filter(|class| *class >= Class::Request) {
            if let Some(fee) = ours.take_fee(class) {
                fees.push((Place { model: None, fee: Some(class), ..place.clone() }, fee));
            }
        }
    }
    for (place, fee) in fees {
        joined.cells.entry(place).or_default().ours.get_or_insert_default().merge(&fee);
    }
}

/// The vendors' sums to their places.
fn sums(
    joined: &mut Joined,
    readers: &[Reader],
    accounts: &BTreeMap<String, Account>,
    names: &mut Names<'_>,
    options: &ReconcileOptions,
) {
    let place = |row: &VendorRow, names: &mut Names<'_>| {
        let account = names.account(&row.provider);
        let plan = accounts.get(&account)?;
        let (from, until) = plan.grain.around(row.from_ms);
        let model = row.model.as_ref().filter(|_| plan.modelled).map(|named| names.of(&account, named));
        let key = key_here(row.key.as_ref(), options).filter(|_| plan.keyed);
        let fee = if let Subject::Fee(class) = row.subject { Some(class) } else { None };
        Some(Place { account, key, model: model.filter(|_| fee.is_none()), fee, from, until })
    };
    for reader in readers {
        for row in reader.rows.iter().filter(|row| !row.is_call()) {
            let Some(place) = place(row, names) else { continue };
            if let Subject::Other(what) = &row.subject {
                let mut theirs = Theirs::default();
                theirs.add(row, reader.decimals());
                let what = what.clone();
                match joined.others.iter_mut().rev().take(64).find(|(at, of, _)| *at == place && *of == what) {
                    Some((_, _, sum)) => sum.add(row, reader.decimals()),
                    None => joined.others.push((place, what, theirs)),
                }
                continue;
            }
            let cell = joined.cells.entry(place).or_default();
            cell.theirs.entry(row.format).or_default().add(row, reader.decimals());
        }
    }
    // What single calls account for stands in the sums once more.
    for call in joined.calls.iter().chain(&joined.again) {
        let Some(plan) = accounts.get(&call.account).filter(|plan| plan.sums) else { continue };
        let (from, until) = plan.grain.around(call.at);
        let key = key_here(call.key.as_ref(), options).filter(|_| plan.keyed);
        let model = call.model.clone().filter(|_| plan.modelled);
        let place = Place { account: call.account.clone(), key, model, fee: None, from, until };
        for (format, theirs) in joined.cells.get_mut(&place).map(|cell| &mut cell.theirs).into_iter().flatten() {
            theirs.less(&call.theirs, *format);
        }
    }
}
