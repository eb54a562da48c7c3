//! How an account's reports can be compared: by hour, day or period, with keys or without, with models or without.

use std::collections::{BTreeMap, BTreeSet};

use super::import::{DAY_MS, HOUR_MS};
use super::names::Names;
use super::vendor::{Format, Reader, Subject};

/// Days are never longer than this where clocks change; what is longer is a period.
const LONG_DAY_MS: i64 = 25 * HOUR_MS;

/// What an account's reports allow.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub grain: Grain,
    /// Forms of its reports.
    pub formats: BTreeSet<Format>,
    /// Whether sums are told, not only single calls.
    pub sums: bool,
    /// Whether money is told by model.
    pub modelled: bool,
    /// Whether every sum is told by key.
    pub keyed: bool,
    /// Times that the reports are about, by their beginning.
    covered: BTreeMap<i64, i64>,
    /// The vendor's keys.
    pub keys: BTreeSet<String>,
}

/// The times that sums are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Grain {
    Hour,
    #[default]
    Day,
    /// Longer ones, by their beginning; days beside them.
    Periods(BTreeMap<i64, i64>),
}

impl Grain {
    /// Beginning and end of the hour, day or period that a moment lies in.
    pub fn around(&self, ms: i64) -> (i64, i64) {
        let aligned = |width: i64| (ms - ms.rem_euclid(width), ms - ms.rem_euclid(width) + width);
        match self {
            Grain::Hour => aligned(HOUR_MS),
            Grain::Day => aligned(DAY_MS),
            Grain::Periods(periods) => {
                let before = periods.range(..=ms).next_back().filter(|(_, until)| ms < **until);
                before.map_or_else(|| aligned(DAY_MS), |(from, until)| (*from, *until))
            }
        }
    }
}

impl Account {
    /// Whether the reports are about a moment, as a whole.
    pub fn covers(&self, ms: i64) -> bool {
        self.covered.range(..=ms).next_back().is_some_and(|(_, until)| ms < *until)
    }

    /// Whether the reports are about any of a time.
    pub fn touches(&self, from: i64, until: i64) -> bool {
        self.covered.range(..until).next_back().is_some_and(|(_, end)| from < *end)
    }

    /// First and last moment that any of it is about.
    pub fn span(&self) -> Option<(i64, i64)> {
        let first = self.covered.keys().next()?;
        let last = self.covered.values().max()?;
        Some((*first, *last))
    }

    fn cover(&mut self, from: i64, until: i64) {
        let (mut from, mut until) = (from, until);
        let touching: Vec<i64> =
            self.covered.range(..=until).filter(|(_, end)| **end >= from).map(|(begin, _)| *begin).collect();
        for begin in touching {
            until = until.max(self.covered.remove(&begin).unwrap_or(until));
            from = from.min(begin);
        }
        self.covered.insert(from, until);
    }

    /// Whether fees stand beside the models' rows.
    pub fn separate_fees(&self) -> bool {
        self.formats.iter().all(|format| format.separate_fees())
    }
}

/// What can be compared, by account.
pub(super) fn plan(readers: &[Reader], names: &mut Names<'_>) -> BTreeMap<String, Account> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let mut widest: BTreeMap<String, i64> = BTreeMap::new();
    let mut with_keys: BTreeSet<(String, Format)> = BTreeSet::new();
    let mut of_sums: BTreeSet<(String, Format)> = BTreeSet::new();
    let mut money: BTreeMap<String, bool> = BTreeMap::new();
    for reader in readers {
        for (format, provider, from, until) in reader.covered.iter().chain(&reader.spans) {
            let account = accounts.entry(names.account(provider)).or_default();
            account.formats.insert(*format);
            if !format.partial() {
                account.cover(*from, *until);
            }
        }
        for row in &reader.rows {
            let name = names.account(&row.provider);
            let account = accounts.entry(name.clone()).or_default();
            account.formats.insert(row.format);
            if row.is_call() {
                continue;
            }
            account.sums = true;
            if let Some(key) = &row.key {
                account.keys.insert(key.clone());
                with_keys.insert((name.clone(), row.format));
            }
            if !matches!(row.subject, Subject::Tokens(_)) {
                continue;
            }
            of_sums.insert((name.clone(), row.format));
            if row.pico.is_some() {
                *money.entry(name.clone()).or_default() |= row.model.is_some();
            }
            let width = row.until_ms - row.from_ms;
            let wide = widest.entry(name).or_default();
            *wide = (*wide).max(width);
            if width > LONG_DAY_MS {
                let periods = match std::mem::take(&mut account.grain) {
                    Grain::Periods(periods) => periods,
                    _ => BTreeMap::new(),
                };
                account.grain = Grain::Periods(periods.into_iter().chain([(row.from_ms, row.until_ms)]).collect());
            }
        }
    }
    for (name, account) in &mut accounts {
        if !matches!(account.grain, Grain::Periods(_)) && widest.get(name).is_some_and(|width| *width <= HOUR_MS) {
            account.grain = Grain::Hour;
        }
        account.modelled = money.get(name).copied().unwrap_or(true);
        // Of a form without any key nothing can be told by key.
        account.keyed = !account.keys.is_empty()
            && of_sums.iter().filter(|(of, _)| of == name).all(|told| with_keys.contains(told));
    }
    accounts
}
