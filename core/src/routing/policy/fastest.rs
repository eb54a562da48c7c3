//! `fastest`: the expected time of the answer times the calls under way and this one, by moving averages that follow
//! peaks at once and forget them slowly (peak-EWMA, as in Finagle). The first is the better of two drawn at random (the
//! power of two choices: Mitzenmacher, IEEE TPDS 12, 2001), which keeps many callers from running to the same backend.
//! Scores are microseconds.
//!
//! Nobody is left unmeasured: a candidate without measurements and without calls under way goes first when it is drawn; while
//! it is being measured it counts as one second per call, as in Finagle.

use super::{Asked, Candidate};
use crate::routing::Speed;

/// Time of a call to a backend that has not been measured, microseconds.
const UNMEASURED: u64 = 1_000_000;

pub(super) fn score(all: &[Candidate<'_>], asked: &Asked<'_>, rng: &mut fastrand::Rng, scores: &mut Vec<u64>) {
    // Zero is kept for the one that was drawn.
    scores.extend(all.iter().map(|c| load(c, asked).max(1)));
    let healthy = all.iter().filter(|c| c.healthy()).count();
    if healthy < 2 {
        return;
    }
    let first = rng.usize(..healthy);
    let mut second = rng.usize(..healthy - 1);
    second += usize::from(second >= first);
    let place = |nth: usize| all.iter().enumerate().filter(|(_, c)| c.healthy()).nth(nth).map_or(0, |(at, _)| at);
    let (first, second) = (place(first), place(second));
    let winner = if scores[second] < scores[first] { second } else { first };
    scores[winner] = 0;
}

/// Strictly by tokens per second, the most first.
pub(super) fn by_throughput(all: &[Candidate<'_>], _: &Asked<'_>, _: &mut fastrand::Rng, scores: &mut Vec<u64>) {
    scores.extend(all.iter().map(|c| match c.observed.speed {
        Some(speed) if speed.throughput_p50 > 0.0 => micros(1.0 / f64::from(speed.throughput_p50)),
        _ => unmeasured(c),
    }));
}

/// Strictly by the time to the first token.
pub(super) fn by_latency(all: &[Candidate<'_>], _: &Asked<'_>, _: &mut fastrand::Rng, scores: &mut Vec<u64>) {
    scores.extend(
        all.iter().map(|c| c.observed.speed.map_or_else(|| unmeasured(c), |speed| micros(speed.ttft_p50.into()))),
    );
}

/// First while nobody asks it, last while its first call is under way.
fn unmeasured(candidate: &Candidate<'_>) -> u64 {
    if candidate.observed.pending == 0 { 0 } else { super::UNKNOWN }
}

/// Time of the answer times the calls under way and this one.
fn load(candidate: &Candidate<'_>, asked: &Asked<'_>) -> u64 {
    let pending = u64::from(candidate.observed.pending);
    match candidate.observed.speed {
        Some(speed) => time(speed, asked.output_tokens(candidate.offered.max_output)).saturating_mul(pending + 1),
        None if pending == 0 => 0,
        None => UNMEASURED.saturating_mul(pending + 1),
    }
}

/// Time of an answer of so many tokens.
pub(super) fn time(speed: Speed, tokens: u64) -> u64 {
    micros(speed.ttft_s + speed.token_s * tokens as f64)
}

/// The time that an unmeasured candidate is taken to need.
pub(super) fn expected(candidate: &Candidate<'_>, asked: &Asked<'_>) -> u64 {
    let tokens = asked.output_tokens(candidate.offered.max_output);
    candidate.observed.speed.map_or(UNMEASURED, |speed| time(speed, tokens))
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}
