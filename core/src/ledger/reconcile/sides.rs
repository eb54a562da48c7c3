//! The two sides of a comparison: sums of the ledger's records, and of the vendor's rows.

use std::collections::BTreeMap;

use super::amount::half_unit;
use super::vendor::{Format, Subject, VendorRow};
use crate::catalog::cost_at;
use crate::types::{Class, LedgerRecord, Tags};

/// Rows named in a difference.
const NAMED_ROWS: usize = 8;

/// A number per class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ByClass<T>([T; Class::ALL.len()]);

impl<T: Copy + Default> Default for ByClass<T> {
    fn default() -> Self {
        ByClass([T::default(); Class::ALL.len()])
    }
}

impl<T: Copy> ByClass<T> {
    pub fn get(&self, class: Class) -> T {
        self.0[class as usize]
    }

    pub fn of(&mut self, class: Class) -> &mut T {
        &mut self.0[class as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = (Class, T)> + '_ {
        Class::ALL.into_iter().zip(self.0.iter().copied())
    }
}

/// One attempt, as far as it is compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempted {
    /// Pico-USD; `None` where the cost is unknown.
    pub cost: Option<i128>,
    pub units: Vec<(Class, u64)>,
    /// What the units of a class cost, pico-USD, where these add up to the cost.
    pub parts: Option<Vec<(Class, i128)>>,
}

impl Attempted {
    /// Without the fees, where these stand apart.
    pub fn without_fees(mut self) -> Self {
        let fees = self.parts.iter_mut().flatten().filter(|(class, _)| *class >= Class::Request);
        let sum: i128 = fees.map(|(_, pico)| std::mem::take(pico)).sum();
        self.cost = self.cost.map(|cost| cost - sum);
        self
    }

    /// `None` for what no vendor can have billed: kept answers, attempts of which nothing is known.
    pub fn of(record: &LedgerRecord) -> Option<Self> {
        if record.cached || (record.cost_nanos.is_none() && record.units.is_empty()) {
            return None;
        }
        let units: Vec<(Class, u64)> = record.units.iter().map(|(class, count)| (class, count.number)).collect();
        let computed = record.price.as_ref().filter(|_| record.cost_nanos == record.computed_nanos);
        let cost = computed.and_then(|price| cost_at(&price.rates, &record.units).ok());
        let line = |(class, number, rate): (Class, u64, crate::types::Rate)| {
            (class, i128::from(number) * i128::from(rate.pico()))
        };
        let parts = cost.map(|cost| cost.lines.into_iter().map(line).collect());
        Some(Attempted { cost: record.cost_nanos.map(|nanos| i128::from(nanos) * 1000), units, parts })
    }
}

/// Sums of attempts.
#[derive(Debug, Clone, Default)]
pub(super) struct Ours {
    /// Pico-USD of the known costs.
    pub cost: i128,
    pub records: u64,
    pub unknown: u64,
    pub units: ByClass<u64>,
    /// What the units of a class cost, pico-USD; complete unless `unsplit`.
    pub parts: ByClass<i128>,
    /// Some costs are not known by class.
    pub unsplit: bool,
    /// The model's name as all of them asked for it.
    pub asked: Shared<String>,
    /// Labels that all of them have.
    pub tags: Shared<Tags>,
}

/// What is the same of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Shared<T> {
    #[default]
    Nobody,
    All(T),
    Differs,
}

impl<T: PartialEq + Clone> Shared<T> {
    fn add(&mut self, value: &T) {
        match self {
            Shared::Nobody => *self = Shared::All(value.clone()),
            Shared::All(known) if known != value => *self = Shared::Differs,
            _ => {}
        }
    }

    fn merge(&mut self, other: &Shared<T>) {
        match other {
            Shared::Nobody => {}
            Shared::All(value) => self.add(value),
            Shared::Differs => *self = Shared::Differs,
        }
    }

    pub fn one(&self) -> Option<&T> {
        if let Shared::All(value) = self { Some(value) } else { None }
    }
}

impl Shared<Tags> {
    /// Keeps the labels that are the same.
    fn intersect(&mut self, tags: &Tags) {
        match self {
            Shared::All(known) if known != tags => known.retain(|name, value| tags.get(name) == Some(value)),
            Shared::Nobody => *self = Shared::All(tags.clone()),
            _ => {}
        }
    }
}

impl Ours {
    /// Adds an attempt.
    pub fn add(&mut self, attempt: &Attempted, record: &LedgerRecord) {
        self.count(attempt, 1);
        self.asked.add(&record.model);
        self.tags.intersect(&record.tags);
    }

    /// Adds an attempt's numbers, or with -1 takes them away.
    pub fn count(&mut self, attempt: &Attempted, times: i64) {
        let add = |sum: &mut u64, number: u64| {
            *sum = if times > 0 { sum.saturating_add(number) } else { sum.saturating_sub(number) };
        };
        add(&mut self.records, 1);
        match attempt.cost {
            Some(cost) => self.cost += cost * i128::from(times),
            None => add(&mut self.unknown, 1),
        }
        attempt.units.iter().for_each(|(class, number)| add(self.units.of(*class), *number));
        match &attempt.parts {
            Some(parts) => parts.iter().for_each(|(class, pico)| *self.parts.of(*class) += pico * i128::from(times)),
            None => self.unsplit |= attempt.cost.is_some_and(|cost| cost != 0),
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Ours) {
        self.cost += other.cost;
        self.records += other.records;
        self.unknown += other.unknown;
        for (class, number) in other.units.iter() {
            *self.units.of(class) += number;
        }
        for (class, pico) in other.parts.iter() {
            *self.parts.of(class) += pico;
        }
        self.unsplit |= other.unsplit;
        self.asked.merge(&other.asked);
        if let Shared::All(tags) = &other.tags {
            self.tags.intersect(tags);
        }
    }

    /// Takes the fees out into a sum of their own: those of one class.
    pub fn take_fee(&mut self, class: Class) -> Option<Ours> {
        let number = self.units.get(class);
        // Whole nano-USD, so that both sums stay what the ledger booked.
        let pico = i128::from(super::amount::nanos(self.parts.get(class))) * 1000;
        if pico == 0 || self.unsplit {
            return None;
        }
        let mut fee = Ours { cost: pico, records: self.records, tags: self.tags.clone(), ..Ours::default() };
        (*fee.units.of(class), *fee.parts.of(class)) = (number, pico);
        self.cost -= pico;
        *self.parts.of(class) = 0;
        Some(fee)
    }
}

/// Sums of a vendor's rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Theirs {
    /// Pico-USD; `None` where only counts are told.
    pub cost: Option<i128>,
    /// The same by class, as far as rows are of one.
    pub parts: ByClass<i128>,
    /// Some money is not of a class.
    pub unsplit: bool,
    pub units: ByClass<u64>,
    /// Whether counts are told.
    pub counted: bool,
    pub requests: Option<u64>,
    /// What rounding can have changed, pico-USD.
    pub bound: i128,
    /// Report and rows, the first few.
    pub rows: Vec<(u32, u64)>,
    pub all_rows: u64,
}

impl Theirs {
    /// Adds a row of a report whose amounts have so many decimals.
    pub fn add(&mut self, row: &VendorRow, decimals: u32) {
        if let Some(pico) = row.pico {
            *self.cost.get_or_insert(0) += pico;
            self.bound += half_unit(decimals);
            match &row.subject {
                Subject::Tokens(Some(class)) | Subject::Fee(class) => *self.parts.of(row.format.fold(*class)) += pico,
                _ => self.unsplit |= pico != 0,
            }
        }
        for (class, number) in &row.units {
            let sum = self.units.of(row.format.fold(*class));
            *sum = sum.saturating_add(*number);
        }
        self.counted |= !row.units.is_empty();
        if let Some(requests) = row.requests {
            *self.requests.get_or_insert(0) += requests;
        }
        self.all_rows += 1;
        if self.rows.len() < NAMED_ROWS {
            self.rows.push((row.file, row.row));
        }
    }

    /// Takes away what single calls account for, which stand in a sum too.
    pub fn less(&mut self, calls: &Theirs, format: Format) {
        if let (Some(cost), Some(of_calls)) = (&mut self.cost, calls.cost) {
            *cost -= of_calls;
            self.bound += calls.bound;
            self.unsplit = true;
        }
        if calls.counted {
            for (class, number) in calls.units.iter() {
                let sum = self.units.of(format.fold(class));
                *sum = sum.saturating_sub(number);
            }
        }
        if let Some(requests) = &mut self.requests {
            *requests = requests.saturating_sub(calls.all_rows);
        }
    }
}

/// What several forms of reports say of one place, put together: the money of the first that tells money, the counts of one
/// that tells counts, and never two of either.
pub(super) fn together(told: &BTreeMap<Format, Theirs>) -> (Theirs, Option<Format>) {
    let money = told.iter().find(|(_, theirs)| theirs.cost.is_some());
    // A report of counts knows them better than the quantities of a bill.
    let counts = told.iter().filter(|(_, theirs)| theirs.counted);
    let counts = counts.max_by_key(|(format, theirs)| (theirs.cost.is_none(), std::cmp::Reverse(**format)));
    let mut all = money.or(counts).map(|(_, theirs)| theirs.clone()).unwrap_or_default();
    if let Some((format, theirs)) = counts
        && money.is_none_or(|(of_money, _)| of_money != format)
    {
        (all.units, all.counted, all.requests) = (theirs.units, true, theirs.requests);
    }
    (all, money.or(counts).map(|(format, _)| *format))
}
