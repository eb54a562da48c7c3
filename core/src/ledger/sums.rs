//! Sums over attempts, and how long they took, in bounded memory.

use std::collections::BTreeMap;

use crate::money::usd;
use crate::types::{Confidence, LedgerRecord, Outcome, UsageRow};

/// What is added up.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Attempts.
    pub attempts: u64,
    /// Of these, not answered.
    pub failed: u64,
    /// Calls begun.
    pub calls: u64,
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Completion tokens.
    pub completion_tokens: u64,
    /// Of the prompt, from a cache.
    pub cached_tokens: u64,
    /// Of the completion, reasoning.
    pub reasoning_tokens: u64,
    /// Known costs.
    pub cost_nanos: u64,
    /// Of these, of attempts that did not answer.
    pub waste_nanos: u64,
    /// Of these, from counts that are estimates.
    pub estimated_nanos: u64,
    /// Attempts of unknown cost.
    pub cost_unknown: u64,
    /// What was corrected afterwards.
    pub corrections_nanos: i64,
    /// How long they took, where that is asked for.
    pub latencies: Option<Box<Latencies>>,
}

impl Sums {
    /// Of one attempt, without latencies.
    pub fn of(record: &LedgerRecord) -> Self {
        let usage = record.usage.as_ref();
        let cost = record.cost_nanos.unwrap_or(0);
        let of_cost = |counts: bool| if counts { cost } else { 0 };
        Sums {
            attempts: 1,
            failed: u64::from(record.outcome != Outcome::Ok),
            calls: u64::from(record.parent.is_none()),
            prompt_tokens: usage.map_or(0, |usage| usage.prompt_tokens),
            completion_tokens: usage.map_or(0, |usage| usage.completion_tokens),
            cached_tokens: usage.and_then(|usage| usage.cached_tokens()).unwrap_or(0),
            reasoning_tokens: usage.and_then(|usage| usage.reasoning_tokens()).unwrap_or(0),
            cost_nanos: cost,
            waste_nanos: of_cost(record.outcome != Outcome::Ok),
            estimated_nanos: of_cost(record.confidence == Confidence::Estimated),
            cost_unknown: u64::from(record.cost_nanos.is_none()),
            corrections_nanos: 0,
            latencies: None,
        }
    }

    /// Adds others to these.
    pub fn add(&mut self, other: &Sums) {
        let Sums { attempts, failed, calls, prompt_tokens, completion_tokens, .. } = *other;
        let Sums { cached_tokens, reasoning_tokens, cost_nanos, waste_nanos, estimated_nanos, cost_unknown, .. } =
            *other;
        for (sum, more) in [
            (&mut self.attempts, attempts),
            (&mut self.failed, failed),
            (&mut self.calls, calls),
            (&mut self.prompt_tokens, prompt_tokens),
            (&mut self.completion_tokens, completion_tokens),
            (&mut self.cached_tokens, cached_tokens),
            (&mut self.reasoning_tokens, reasoning_tokens),
            (&mut self.cost_nanos, cost_nanos),
            (&mut self.waste_nanos, waste_nanos),
            (&mut self.estimated_nanos, estimated_nanos),
            (&mut self.cost_unknown, cost_unknown),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.corrections_nanos = self.corrections_nanos.saturating_add(other.corrections_nanos);
        if let Some(more) = &other.latencies {
            self.latencies.get_or_insert_default().add(more);
        }
    }

    /// Adds one attempt, with its latencies where they are asked for.
    pub fn count(&mut self, record: &LedgerRecord, latencies: bool) {
        self.add(&Sums::of(record));
        if latencies {
            self.latencies.get_or_insert_default().count(record);
        }
    }

    /// The row of a report, without its group.
    pub fn row(self) -> UsageRow {
        let latencies = self.latencies.unwrap_or_default();
        UsageRow {
            group: BTreeMap::new(),
            attempts: self.attempts,
            failed: self.failed,
            calls: self.calls,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            cached_tokens: self.cached_tokens,
            reasoning_tokens: self.reasoning_tokens,
            cost_nanos: self.cost_nanos,
            cost_usd: usd(self.cost_nanos),
            waste_nanos: self.waste_nanos,
            estimated_nanos: self.estimated_nanos,
            cost_unknown: self.cost_unknown,
            corrections_nanos: self.corrections_nanos,
            latency_p50_ms: latencies.whole.at(50),
            latency_p95_ms: latencies.whole.at(95),
            ttft_p50_ms: latencies.first.at(50),
        }
    }
}

/// How long answers took.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Latencies {
    /// Whole answers.
    pub whole: Histogram,
    /// Until the first content of streamed ones.
    pub first: Histogram,
}

impl Latencies {
    /// Adds those of one attempt; of one that did not answer, or that nobody was asked for, there are none.
    pub fn count(&mut self, record: &LedgerRecord) {
        if record.outcome == Outcome::Ok && !record.cached {
            self.whole.count(record.latency_ms);
            record.ttft_ms.into_iter().for_each(|ms| self.first.count(ms));
        }
    }

    /// Adds others to these.
    pub fn add(&mut self, other: &Latencies) {
        self.whole.add(&other.whole);
        self.first.add(&other.first);
    }
}

/// Numbers by size: below 128 exactly, above in 64 steps for each doubling, so that what is read out is at most one percent
/// off and a few hundred counters hold any number of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Histogram {
    steps: BTreeMap<u16, u64>,
}

const EXACT: u64 = 128;
const STEPS: u64 = 64;

impl Histogram {
    /// Counts a number.
    pub fn count(&mut self, number: u64) {
        *self.steps.entry(step(number)).or_default() += 1;
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Histogram) {
        for (step, count) in &other.steps {
            *self.steps.entry(*step).or_default() += count;
        }
    }

    /// The number that `percent` of 100 do not exceed; `None` where there is none.
    pub fn at(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.steps.values().sum();
        let rank = (u128::from(all) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0u128;
        self.steps.iter().find_map(|(step, count)| {
            seen += u128::from(*count);
            (seen >= rank).then(|| middle(*step))
        })
    }

    /// Every step that has been counted: the number in its middle, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.steps.iter().map(|(step, count)| (middle(*step), *count))
    }
}

fn step(number: u64) -> u16 {
    if number < EXACT {
        return number as u16;
    }
    let doublings = u64::from(number.ilog2() - EXACT.ilog2());
    // The six bits below the highest one.
    let within = (number >> (doublings + 1)) - STEPS;
    (EXACT + doublings * STEPS + within) as u16
}

fn middle(step: u16) -> u64 {
    let step = u64::from(step);
    if step < EXACT {
        return step;
    }
    let (doublings, within) = ((step - EXACT) / STEPS, (step - EXACT) % STEPS);
    ((STEPS + within) << (doublings + 1)) + ((1 << (doublings + 1)) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_the_order_and_are_at_most_one_percent_off() {
        for number in (0..5_000).chain((1..60).map(|bits| (1u64 << bits) + 1)).chain([u64::MAX]) {
            let found = middle(step(number));
            assert!(found.abs_diff(number) <= number / 100, "{number} became {found}");
        }
        assert!((0..5_000).is_sorted_by_key(step));
    }

    #[test]
    fn shares_of_a_hundred_are_read_out() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.at(50), None);
        (1..=100).for_each(|ms| histogram.count(ms));
        assert_eq!((histogram.at(50), histogram.at(95), histogram.at(100)), (Some(50), Some(95), Some(100)));
        let mut one = Histogram::default();
        one.count(7);
        assert_eq!((one.at(1), one.at(95)), (Some(7), Some(7)));
        one.add(&histogram);
        assert_eq!(one.iter().map(|(_, count)| count).sum::<u64>(), 101);
    }
}
