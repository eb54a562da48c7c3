//! `cheapest`: what this request is expected to cost, its prompt and answer at the rates of its length and hour. Unknown
//! prices come last.

use super::{Asked, Candidate, UNKNOWN};

pub(super) fn score(all: &[Candidate<'_>], _: &Asked<'_>, _: &mut fastrand::Rng, scores: &mut Vec<u64>) {
    scores.extend(all.iter().map(|candidate| candidate.cost.unwrap_or(UNKNOWN)));
}
