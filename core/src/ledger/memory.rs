//! A ledger in memory, of bounded size: the latest records whole, older ones as sums.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use super::LedgerStore;
use super::budget::{Accounts, Budget, Hold, Reserving, Standing};
use super::row::{Names, Row};
use crate::error::Result;
use crate::money::NanoUsd;
use crate::types::{Correction, LedgerRecord, Outcome, Purpose, UsageQuery, UsageReport, UsageRow};

/// Keeps the latest records; what no longer fits is folded into sums per provider, model, purpose, outcome and tags,
/// so that totals stay exact while times of old records are lost.
pub struct MemoryLedger {
    max_records: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: Names,
    records: VecDeque<Row>,
    folded: HashMap<Group, Sums>,
    /// Time of the latest folded record.
    folded_until_ms: Option<u64>,
    accounts: Accounts,
    /// Corrections, none of which is ever folded, and their ids.
    corrections: Vec<Correction>,
    corrected: HashSet<String>,
}

/// Sums over attempts.
#[derive(Default, Clone, Copy)]
pub(super) struct Sums {
    attempts: u64,
    failed: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    cost_nanos: u64,
    cost_unknown: u64,
    corrections_nanos: i64,
}

impl Sums {
    pub(super) fn of(record: &LedgerRecord) -> Self {
        Sums {
            attempts: 1,
            failed: u64::from(record.outcome != Outcome::Ok),
            prompt_tokens: record.usage.as_ref().map_or(0, |u| u.prompt_tokens),
            completion_tokens: record.usage.as_ref().map_or(0, |u| u.completion_tokens),
            cost_nanos: record.cost_nanos.unwrap_or(0),
            cost_unknown: u64::from(record.cost_nanos.is_none()),
            corrections_nanos: 0,
        }
    }

    pub(super) fn add(&mut self, other: Sums) {
        self.attempts += other.attempts;
        self.failed += other.failed;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
        self.cost_unknown += other.cost_unknown;
        self.corrections_nanos = self.corrections_nanos.saturating_add(other.corrections_nanos);
    }

    pub(super) fn row(self, group: BTreeMap<String, Option<String>>) -> UsageRow {
        UsageRow {
            group,
            attempts: self.attempts,
            failed: self.failed,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            cost_nanos: self.cost_nanos,
            cost_usd: NanoUsd::from_nanos(self.cost_nanos).unwrap_or(NanoUsd::MAX).to_string(),
            cost_unknown: self.cost_unknown,
            corrections_nanos: self.corrections_nanos,
        }
    }
}

/// Name of a serde enum's value.
pub(super) fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What folded records are told apart by.
#[derive(PartialEq, Eq, Hash)]
struct Group {
    provider: Arc<str>,
    model: Arc<str>,
    purpose: Purpose,
    outcome: Outcome,
    tags: BTreeMap<String, String>,
}

impl Group {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "provider" => Some(self.provider.to_string()),
            "model" => Some(self.model.to_string()),
            "purpose" => Some(word(self.purpose)),
            "outcome" => Some(word(self.outcome)),
            tag => self.tags.get(tag).cloned(),
        }
    }
}

/// A record's value of a name: one of the built-in columns, else the tag of that name.
fn value_of(row: &Row, name: &str) -> Option<String> {
    match name {
        "provider" => Some(row.provider.to_string()),
        "model" => Some(row.model.to_string()),
        "purpose" => Some(word(row.rest.purpose)),
        "outcome" => Some(word(row.rest.outcome)),
        "run_id" => Some(row.run_id()),
        tag => row.rest.tags.get(tag).cloned(),
    }
}

/// A correction's value of a name; of what it does not know it has none.
fn value_of_correction(correction: &Correction, name: &str) -> Option<String> {
    match name {
        "provider" => Some(correction.provider.clone()),
        "model" => correction.model.clone(),
        "key" => correction.key.clone(),
        "purpose" | "outcome" | "run_id" => None,
        tag => correction.tags.get(tag).cloned(),
    }
}

impl State {
    /// Whether every record since then is still whole.
    fn reaches(&self, since_ms: Option<u64>) -> bool {
        self.folded_until_ms.is_none_or(|folded| since_ms.is_some_and(|since| since > folded))
    }

    /// Adds a record to the sums that stay of it.
    fn fold(&mut self, row: Row) {
        let sums = Sums::of(&row.rest);
        let Row { provider, model, rest, .. } = row;
        self.folded_until_ms = self.folded_until_ms.max(Some(rest.at_ms));
        let LedgerRecord { purpose, outcome, tags, .. } = rest;
        self.folded.entry(Group { provider, model, purpose, outcome, tags }).or_default().add(sums);
    }
}

impl MemoryLedger {
    /// A ledger that keeps at most `max_records` whole records.
    pub fn new(max_records: usize) -> Self {
        MemoryLedger { max_records, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Sums stay sums after a panic elsewhere.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl LedgerStore for MemoryLedger {
    fn record(&self, record: LedgerRecord) -> Result<()> {
        let mut state = self.lock();
        let State { names, records, accounts, .. } = &mut *state;
        accounts.settle(&record.id, record.cost_nanos);
        let mut newest = Some(Row::new(record, records.back(), names));
        // Room is made first, so that the queue never needs more than it may hold.
        if state.records.len() >= self.max_records
            && let Some(oldest) = state.records.pop_front().or_else(|| newest.take())
        {
            state.fold(oldest);
        }
        state.records.extend(newest);
        Ok(())
    }

    fn usage(&self, query: &UsageQuery) -> Result<UsageReport> {
        let state = self.lock();
        let timed = query.since_ms.is_some() || query.until_ms.is_some();
        let mut groups: BTreeMap<BTreeMap<String, Option<String>>, Sums> = BTreeMap::new();
        let mut total = Sums::default();
        let mut add = |value: &dyn Fn(&str) -> Option<String>, sums: Sums| {
            if query.filter.iter().any(|(name, want)| value(name).as_ref() != Some(want)) {
                return;
            }
            let group = query.by.iter().map(|name| (name.clone(), value(name))).collect();
            groups.entry(group).or_default().add(sums);
            total.add(sums);
        };
        if !timed {
            for (group, sums) in &state.folded {
                add(&|name| group.value(name), *sums);
            }
        }
        for row in state.records.iter().filter(|row| in_time(query, row)) {
            add(&|name| value_of(row, name), Sums::of(&row.rest));
        }
        for correction in state.corrections.iter().filter(|c| at_in_time(query, c.at_ms)) {
            let sums = Sums { corrections_nanos: correction.delta_nanos, ..Sums::default() };
            add(&|name| value_of_correction(correction, name), sums);
        }
        let complete = !timed || state.reaches(query.since_ms);
        Ok(UsageReport {
            rows: groups.into_iter().map(|(group, sums)| sums.row(group)).collect(),
            total: total.row(BTreeMap::new()),
            complete,
        })
    }

    fn records(&self, query: &UsageQuery, each: &mut dyn FnMut(&LedgerRecord) -> Result<()>) -> Result<bool> {
        // Copied first: whoever is told of a record may take long, or book one.
        let (chosen, complete): (Vec<_>, _) = {
            let state = self.lock();
            let chosen = state.records.iter().filter(|row| chooses(query, row)).map(Row::record).collect();
            (chosen, state.reaches(query.since_ms))
        };
        chosen.iter().try_for_each(each)?;
        Ok(complete)
    }

    fn reserve(&self, hold: Hold) -> Reserving {
        Reserving::Done(Ok(self.lock().accounts.reserve(&hold)))
    }

    fn release(&self, id: &str) -> Result<()> {
        self.lock().accounts.release(id);
        Ok(())
    }

    fn standings(&self, budgets: &[Arc<Budget>], now_ms: u64) -> Result<Vec<Vec<Standing>>> {
        Ok(self.lock().accounts.standings(budgets, now_ms))
    }

    fn correct(&self, corrections: &[Correction]) -> Result<u64> {
        let mut state = self.lock();
        let before = state.corrections.len();
        for correction in corrections {
            if state.corrected.insert(correction.id.clone()) {
                state.corrections.push(correction.clone());
            }
        }
        Ok((state.corrections.len() - before) as u64)
    }

    fn corrections(&self, query: &UsageQuery, each: &mut dyn FnMut(&Correction) -> Result<()>) -> Result<()> {
        let chosen: Vec<Correction> = {
            let state = self.lock();
            let fits = |c: &&Correction| {
                let values =
                    || query.filter.iter().all(|(name, want)| value_of_correction(c, name).as_ref() == Some(want));
                at_in_time(query, c.at_ms) && values()
            };
            state.corrections.iter().filter(fits).cloned().collect()
        };
        chosen.iter().try_for_each(each)
    }
}

fn in_time(query: &UsageQuery, row: &Row) -> bool {
    at_in_time(query, row.rest.at_ms)
}

fn at_in_time(query: &UsageQuery, at_ms: u64) -> bool {
    query.since_ms.is_none_or(|since| at_ms >= since) && query.until_ms.is_none_or(|until| at_ms < until)
}

/// Whether a question is about this record.
fn chooses(query: &UsageQuery, row: &Row) -> bool {
    in_time(query, row) && query.filter.iter().all(|(name, want)| value_of(row, name).as_ref() == Some(want))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PriceRow, Usage};

    fn record(at_ms: u64, project: &str, cost: Option<u64>) -> LedgerRecord {
        LedgerRecord {
            id: at_ms.to_string(),
            run_id: "r".into(),
            at_ms,
            provider: "p".into(),
            model: "m".into(),
            model_sent: "m".into(),
            attempt: 1,
            outcome: if cost.is_some() { Outcome::Ok } else { Outcome::Failed },
            usage: Some(Usage { prompt_tokens: 10, completion_tokens: 1, total_tokens: 11, ..Default::default() }),
            cost_nanos: cost,
            computed_nanos: cost,
            price: cost.map(|_| PriceRow { id: "p/m@2026-01-01".into(), ..Default::default() }),
            latency_ms: 1,
            tags: BTreeMap::from([("project".to_owned(), project.to_owned())]),
            ..LedgerRecord::default()
        }
    }

    fn all(ledger: &MemoryLedger) -> Vec<LedgerRecord> {
        let mut records = Vec::new();
        let each = &mut |record: &LedgerRecord| {
            records.push(record.clone());
            Ok(())
        };
        ledger.records(&UsageQuery::default(), each).unwrap();
        records
    }

    #[test]
    fn records_come_back_as_they_were_booked() {
        let ledger = MemoryLedger::new(3);
        let ids = ["0192F3A4-5B6C-7D8E-9F01-23456789ABCD", "0192f3a4-5b6c-7d8e-9f01-23456789abcd", "run 7"];
        let booked: Vec<_> =
            ids.iter().map(|id| LedgerRecord { run_id: (*id).into(), ..record(1, "a", Some(1)) }).collect();
        booked.iter().for_each(|record| ledger.record(record.clone()).unwrap());
        assert_eq!(all(&ledger), booked);
        let by_run = UsageQuery { by: vec!["run_id".into()], ..Default::default() };
        let runs = ledger.usage(&by_run).unwrap().rows;
        assert_eq!(runs.iter().filter_map(|row| row.group["run_id"].as_deref()).collect::<Vec<_>>(), ids);
    }

    #[test]
    fn records_are_read_by_time_and_label_and_whether_any_is_gone_is_told() {
        let ledger = MemoryLedger::new(3);
        for (at, project) in [(1, "a"), (2, "b"), (3, "a")] {
            ledger.record(record(at, project, Some(1))).unwrap();
        }
        let read = |query: &UsageQuery| {
            let mut times = Vec::new();
            let complete = ledger.records(query, &mut |record: &LedgerRecord| {
                times.push(record.at_ms);
                Ok(())
            });
            (times, complete.unwrap())
        };
        let of_a = UsageQuery { filter: BTreeMap::from([("project".into(), "a".into())]), ..Default::default() };
        assert_eq!(read(&of_a), (vec![1, 3], true));
        assert_eq!(read(&UsageQuery { since_ms: Some(2), until_ms: Some(3), ..Default::default() }), (vec![2], true));
        ledger.record(record(4, "a", None)).unwrap();
        assert_eq!(read(&of_a), (vec![3, 4], false));
        assert_eq!(read(&UsageQuery { since_ms: Some(2), ..Default::default() }), (vec![2, 3, 4], true));
    }

    #[test]
    fn corrections_are_kept_once_and_summed_beside_the_cost() {
        let ledger = MemoryLedger::new(8);
        ledger.record(record(1, "a", Some(5))).unwrap();
        let correction = |id: &str, at_ms, project: &str, delta_nanos| Correction {
            id: id.into(),
            at_ms,
            provider: "p".into(),
            model: Some("m".into()),
            tags: BTreeMap::from([("project".to_owned(), project.to_owned())]),
            delta_nanos,
            ..Correction::default()
        };
        let posted = [correction("x", 1, "a", 3), correction("y", 2, "b", -4)];
        assert_eq!(ledger.correct(&posted).unwrap(), 2);
        assert_eq!(ledger.correct(&posted).unwrap(), 0);
        let by_project = UsageQuery { by: vec!["project".into()], ..Default::default() };
        let report = ledger.usage(&by_project).unwrap();
        let rows: Vec<_> = report.rows.iter().map(|r| (r.attempts, r.cost_nanos, r.corrections_nanos)).collect();
        assert_eq!(rows, [(1, 5, 3), (0, 0, -4)]);
        assert_eq!((report.total.cost_nanos, report.total.corrections_nanos), (5, -1));
        let read = |query: UsageQuery| {
            let mut ids = Vec::new();
            let each = &mut |correction: &Correction| {
                ids.push(correction.id.clone());
                Ok(())
            };
            ledger.corrections(&query, each).unwrap();
            ids
        };
        assert_eq!(read(UsageQuery::default()), ["x", "y"]);
        assert_eq!(read(UsageQuery { since_ms: Some(2), ..Default::default() }), ["y"]);
        let of_a = BTreeMap::from([("project".into(), "a".into())]);
        assert_eq!(read(UsageQuery { filter: of_a, ..Default::default() }), ["x"]);
    }

    #[test]
    fn a_ledger_may_keep_nothing_but_sums() {
        let ledger = MemoryLedger::new(0);
        ledger.record(record(1, "a", Some(5))).unwrap();
        ledger.record(record(2, "a", Some(7))).unwrap();
        assert_eq!(all(&ledger), []);
        assert_eq!(ledger.usage(&UsageQuery::default()).unwrap().total.cost_nanos, 12);
    }

    #[test]
    fn folding_keeps_totals_and_says_what_times_it_lost() {
        let ledger = MemoryLedger::new(2);
        for (at, project, cost) in [(1, "a", Some(5)), (2, "b", Some(7)), (3, "a", None), (4, "a", Some(1))] {
            ledger.record(record(at, project, cost)).unwrap();
        }
        let by =
            |names: &[&str]| UsageQuery { by: names.iter().map(|n| (*n).to_owned()).collect(), ..Default::default() };
        let report = ledger.usage(&by(&["project"])).unwrap();
        let rows: Vec<_> = report
            .rows
            .iter()
            .map(|r| (r.group["project"].clone().unwrap(), r.attempts, r.cost_nanos, r.cost_unknown))
            .collect();
        assert_eq!(rows, [("a".to_owned(), 3, 6, 1), ("b".to_owned(), 1, 7, 0)]);
        assert_eq!((report.total.attempts, report.total.failed, report.total.prompt_tokens), (4, 1, 40));
        assert_eq!(report.total.cost_usd, "0.000000013");
        assert!(report.complete);

        let late = ledger.usage(&UsageQuery { since_ms: Some(3), ..by(&[]) }).unwrap();
        assert_eq!((late.total.attempts, late.complete), (2, true));
        assert!(!ledger.usage(&UsageQuery { since_ms: Some(1), ..by(&[]) }).unwrap().complete);

        let filtered = UsageQuery {
            filter: BTreeMap::from([("project".to_owned(), "b".to_owned())]),
            ..by(&["provider", "team"])
        };
        let report = ledger.usage(&filtered).unwrap();
        assert_eq!(report.rows.len(), 1);
        assert_eq!((report.rows[0].group["team"].clone(), report.rows[0].cost_nanos), (None, 7));
    }
}
