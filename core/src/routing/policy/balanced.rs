//! `balanced`: cost, time and failures together.
//!
//! score = cost / dearest + time / slowest + 2 * failures
//!
//! `cost` is what the request is expected to cost, `dearest` the largest of the candidates'; an unknown one counts as
//! the dearest. `time` is what the answer is expected to take, times the calls under way and this one; one second where
//! nothing was measured. `failures` is the share of recent calls that failed: who fails always is worse than who is both
//! the dearest and the slowest. In thousandths of a thousandth.

use super::{Asked, Candidate, fastest};

const ONE: f64 = 1e6;

pub(super) fn score(all: &[Candidate<'_>], asked: &Asked<'_>, _: &mut fastrand::Rng, scores: &mut Vec<u64>) {
    let time = |c: &Candidate<'_>| fastest::expected(c, asked).saturating_mul(u64::from(c.observed.pending) + 1);
    let dearest = all.iter().filter_map(|c| c.cost).max().unwrap_or(0);
    let slowest = all.iter().map(time).max().unwrap_or(0);
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    scores.extend(all.iter().map(|c| {
        let cost = c.cost.map_or(1.0, |cost| share(cost, dearest));
        let failures = f64::from(c.observed.failure_share.clamp(0.0, 1.0));
        ((cost + share(time(c), slowest) + 2.0 * failures) * ONE) as u64
    }));
}
