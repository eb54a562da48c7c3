//! How fast one target has been. Pure: every function takes the time.
//!
//! The averages are peak-sensitive: a slow call counts at once and in full, its memory fades with a time constant of 10 s
//! (source: Finagle's and Linkerd's "peak EWMA"). Percentiles are over the calls of the last five minutes, the window that
//! OpenRouter's `preferred_max_latency` speaks of.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::track::{Percentiles, Speed, Spread};

/// Time constant of the averages.
const FADES: Duration = Duration::from_secs(10);
/// How long a call counts towards the percentiles.
const WINDOW: Duration = Duration::from_secs(300);
/// How many calls are kept for them.
const KEPT: usize = 256;
/// How often they are worked out anew.
const FRESH: Duration = Duration::from_millis(500);

/// What was measured of one call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Until the first token.
    pub first_token: Duration,
    /// From there to the end.
    pub rest: Duration,
    /// Tokens of the answer, where the vendor told them.
    pub tokens: Option<u64>,
    /// Share of the prompt's tokens that came from the vendor's cache, where it told.
    pub cached_share: Option<f64>,
}

/// The measurements of one target.
#[derive(Debug, Default)]
pub struct Pace {
    calls: VecDeque<(Instant, f32, f32)>,
    now: Option<Speed>,
    spread: Spread,
    averaged: Option<Instant>,
    sorted: Option<Instant>,
}

impl Pace {
    /// Notes an answered call.
    pub fn note(&mut self, now: Instant, sample: Sample) {
        let ttft = sample.first_token.as_secs_f64();
        let rest = sample.rest.as_secs_f64();
        // The first token is not among those that `rest` took.
        let rate = match sample.tokens {
            Some(tokens) if tokens > 1 && rest > 0.0 => (tokens - 1) as f64 / rest,
            _ => 0.0,
        };
        if self.calls.len() == KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back((now, ttft as f32, rate as f32));
        let keep = match self.averaged.replace(now) {
            Some(last) => (-(now.duration_since(last).as_secs_f64()) / FADES.as_secs_f64()).exp(),
            None => 0.0,
        };
        let peak = |old: f64, new: f64| if new >= old { new } else { old * keep + new * (1.0 - keep) };
        let mut speed = self.now.unwrap_or_default();
        speed.ttft_s = peak(speed.ttft_s, ttft);
        if rate > 0.0 {
            speed.token_s = peak(speed.token_s, 1.0 / rate);
        }
        if self.sorted.is_none_or(|last| now.duration_since(last) >= FRESH) {
            self.sorted = Some(now);
            self.sort(now);
            (speed.ttft_p50, speed.throughput_p50) = (self.spread.ttft.p50, self.spread.throughput.p50);
        }
        self.now = Some(speed);
    }

    /// What is known now; nothing once the last call is older than the window.
    pub fn speed(&self, now: Instant) -> Option<Speed> {
        let last = self.averaged?;
        self.now.filter(|_| now.duration_since(last) <= WINDOW)
    }

    /// How it is spread, for as long as it is known.
    pub fn spread(&self, now: Instant) -> Option<Spread> {
        self.speed(now).map(|_| self.spread)
    }

    /// How many calls stand behind the percentiles.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    fn sort(&mut self, now: Instant) {
        while self.calls.front().is_some_and(|(at, ..)| now.duration_since(*at) > WINDOW) {
            self.calls.pop_front();
        }
        let mut slow: Vec<f32> = self.calls.iter().map(|(_, ttft, _)| *ttft).collect();
        slow.sort_unstable_by(f32::total_cmp);
        let mut fast: Vec<f32> = self.calls.iter().map(|(.., rate)| *rate).filter(|rate| *rate > 0.0).collect();
        fast.sort_unstable_by(|a, b| b.total_cmp(a));
        self.spread = Spread { ttft: percentiles(&slow), throughput: percentiles(&fast) };
    }
}

/// Of sorted values: the smallest that at least that share does not exceed (nearest rank).
fn percentiles(sorted: &[f32]) -> Percentiles {
    let at = |share: usize| {
        let rank = (sorted.len() * share).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    };
    Percentiles { p50: at(50), p75: at(75), p90: at(90), p95: at(95), p99: at(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(ms: u64) -> Sample {
        Sample {
            first_token: Duration::from_millis(ms),
            rest: Duration::from_secs(1),
            tokens: Some(101),
            cached_share: None,
        }
    }

    #[test]
    fn a_slow_call_counts_at_once_and_fades() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.note(start, call(100));
        pace.note(start, call(2000));
        assert!((pace.speed(start).unwrap().ttft_s - 2.0).abs() < 1e-6);
        let later = start + FADES;
        pace.note(later, call(100));
        let after_one = pace.speed(later).unwrap().ttft_s;
        assert!((after_one - (2.0 / 1f64.exp() + 0.1 * (1.0 - 1.0 / 1f64.exp()))).abs() < 1e-6, "{after_one}");
    }

    #[test]
    fn percentiles_are_of_the_last_minutes() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for n in 1..=100 {
            pace.note(start + FRESH * n, call(u64::from(n)));
        }
        let ttft = pace.spread(start + FRESH * 100).unwrap().ttft;
        assert_eq!(
            [ttft.p50, ttft.p75, ttft.p90, ttft.p95, ttft.p99].map(|s| (s * 1000.0).round() as u64),
            [50, 75, 90, 95, 99]
        );
        let much_later = start + WINDOW + FRESH * 101;
        assert_eq!(pace.speed(much_later), None);
        pace.note(much_later, call(7));
        assert!((pace.spread(much_later).unwrap().ttft.p99 - 0.007).abs() < 1e-6, "the old calls are forgotten");
    }

    #[test]
    fn throughput_is_a_share_that_was_at_least_as_fast() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for (n, seconds) in [(1, 1), (2, 2), (3, 4), (4, 10)] {
            let sample = Sample { rest: Duration::from_secs(seconds), ..call(5) };
            pace.note(start + FRESH * n, sample);
        }
        let rate = pace.spread(start + FRESH * 4).unwrap().throughput;
        assert_eq!((rate.p50, rate.p99), (50.0, 10.0));
    }

    #[test]
    fn an_answer_without_a_count_of_tokens_tells_of_its_first_token_only() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.note(start, Sample { tokens: None, ..call(5) });
        let speed = pace.speed(start).unwrap();
        assert_eq!((speed.token_s, pace.spread(start).unwrap().throughput), (0.0, Percentiles::default()));
    }
}
