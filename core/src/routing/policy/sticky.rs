//! `sticky`: requests that share a session, or the beginning of their prompts, go to the same backend, whose cache then
//! knows them. Rendezvous hashing (Thaler and Ravishankar, IEEE/ACM ToN 6, 1998): when a backend goes, only its own
//! requests move. Load is bounded (Mirrokni, Thorup and Zadimoghaddam, SODA 2018): who has more calls under way than 1.25
//! times the average, this one included, is passed over.

use super::{Asked, Candidate};

/// Bound of the load, in quarters of the average.
const QUARTERS: u64 = 5;

pub(super) fn score(all: &[Candidate<'_>], asked: &Asked<'_>, _: &mut fastrand::Rng, scores: &mut Vec<u64>) {
    let affinity = asked.affinity();
    let healthy = || all.iter().filter(|c| c.healthy());
    let count = (healthy().count() as u64).max(1);
    let pending: u64 = healthy().map(|c| u64::from(c.observed.pending)).sum();
    let most = ((pending + 1) * QUARTERS).div_ceil(4 * count);
    scores.extend(all.iter().map(|c| {
        // Half of the range for those with room, half for the others; below 2^53, which every language can hold.
        let full = u64::from(c.observed.pending) >= most;
        (mix(affinity ^ c.offered.hash) >> 12) | (u64::from(full) << 52)
    }));
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
