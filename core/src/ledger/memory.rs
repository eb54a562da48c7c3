//! A ledger in memory, of bounded size: the latest records whole, older ones as sums.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use super::LedgerStore;
use super::budget::{Accounts, Budget, Hold, Reserving, Standing};
use super::groups::{Booked, Groups};
use super::question::Question;
use super::row::{Names, Row};
use super::sums::Sums;
use crate::error::Result;
use crate::types::{Correction, LedgerRecord, UsageQuery, UsageReport};

/// Keeps the latest records; what no longer fits is folded into sums of those that are alike in everything one may ask
/// for but time and run, so that totals stay exact while times of old records are lost.
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

/// What folded records are told apart by: records without all the rest.
struct Group {
    provider: Arc<str>,
    model: Arc<str>,
    model_sent: Arc<str>,
    rest: LedgerRecord,
}

impl Group {
    fn of(row: Row) -> Self {
        let (provider, model, model_sent) = (row.provider, row.model, row.model_sent);
        let LedgerRecord {
            model_served, served_by, key, purpose, kind, outcome, error, confidence, cached, tags, ..
        } = row.rest;
        let rest = LedgerRecord {
            model_served,
            served_by,
            key,
            purpose,
            kind,
            outcome,
            error,
            confidence,
            cached,
            tags,
            ..LedgerRecord::default()
        };
        Group { provider, model, model_sent, rest }
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.rest == other.rest
            && (&self.provider, &self.model, &self.model_sent) == (&other.provider, &other.model, &other.model_sent)
    }
}

impl Eq for Group {}

impl std::hash::Hash for Group {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let rest = &self.rest;
        (&self.provider, &self.model, &self.model_sent, &rest.model_served, &rest.served_by, &rest.key).hash(state);
        (rest.purpose, rest.kind.map(|kind| kind as u8), rest.outcome, rest.error, rest.confidence).hash(state);
        (rest.cached, &rest.tags).hash(state);
    }
}

impl Booked for Group {
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
        None
    }

    fn at_ms(&self) -> Option<u64> {
        None
    }

    fn rest(&self) -> &LedgerRecord {
        &self.rest
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
        self.folded_until_ms = self.folded_until_ms.max(Some(row.rest.at_ms));
        self.folded.entry(Group::of(row)).or_default().add(&sums);
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
        let question = Question::new(query)?;
        let state = self.lock();
        let mut groups = Groups::new(&question);
        for (group, sums) in &state.folded {
            groups.add(group, sums);
        }
        state.records.iter().for_each(|row| groups.add_one(row));
        state.corrections.iter().for_each(|correction| groups.add_correction(correction));
        let complete = !(question.timed() || question.latencies) || state.reaches(query.since_ms);
        Ok(groups.report(complete))
    }

    fn records(&self, query: &UsageQuery, each: &mut dyn FnMut(&LedgerRecord) -> Result<()>) -> Result<bool> {
        let question = Question::new(query)?;
        // Copied first: whoever is told of a record may take long, or book one.
        let (chosen, complete): (Vec<_>, _) = {
            let state = self.lock();
            let chosen = state.records.iter().filter(|row| question.chooses(*row)).map(Row::record).collect();
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
        let question = Question::new(query)?;
        let chosen: Vec<Correction> = {
            let state = self.lock();
            state.corrections.iter().filter(|c| question.corrects(c)).cloned().collect()
        };
        chosen.iter().try_for_each(each)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::types::{Outcome, PriceRow, Usage};

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
