//! `weighted`: each goes first as often as its weight says; the rest follow in the same way, drawn without putting back.
//! Keys of Efraimidis and Spirakis (Information Processing Letters 97, 2006): -ln(u) / weight, the smallest first.

use super::{Asked, Candidate, UNKNOWN};

/// Keys are of the order of 1 / weight; a weight is at most a million.
const SCALE: f64 = 1e12;
/// Every language can hold it.
const MOST: u64 = 1 << 53;

pub(super) fn score(all: &[Candidate<'_>], _: &Asked<'_>, rng: &mut fastrand::Rng, scores: &mut Vec<u64>) {
    scores.extend(all.iter().map(|candidate| {
        let weight = candidate.offered.weight;
        // In (0, 1]: the logarithm of 0 is none.
        let drawn = 1.0 - rng.f32();
        if weight > 0.0 { ((f64::from(-drawn.ln()) / weight * SCALE) as u64).min(MOST) } else { UNKNOWN }
    }));
}
