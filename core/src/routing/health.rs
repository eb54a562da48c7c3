//! The circuit breaker of one target. Pure: every function takes the time.
//!
//! Closed, it lets calls through and counts failures; open, it lets none through; half-open, it lets one through, whose
//! end decides. It opens after five failures in a row, or when 85 of 100 calls fail under load, as Envoy ejects hosts
//! (source: Envoy's documentation of outlier detection). It stays open for 5 s, then 10, then 20: never longer, so that a
//! target is back within 30 s of its recovery.

use std::time::Duration;

use tokio::time::Instant;

use super::track::Health;

/// Failures in a row that open it.
const IN_A_ROW: u32 = 5;
/// The share of failures that opens it, per cent, and from how many calls on it counts.
const SHARE: (u32, u32) = (85, 50);
/// How long calls count towards that share.
const WINDOW: Duration = Duration::from_secs(10);
/// How long it stays open at first, and at most.
const OPEN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(20));
/// After this long without a failure the next opening is short again.
const FORGIVEN: Duration = Duration::from_secs(120);

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Go.
    Go,
    /// Go, alone: this call finds out whether the target has recovered.
    Probe,
    /// Not now; not before this long from now.
    No(Duration),
}

/// How calls to one target have ended.
#[derive(Debug, Default)]
pub struct Breaker {
    failures_in_a_row: u32,
    /// Calls and failures since.
    window: Option<(Instant, u32, u32)>,
    state: State,
    /// Openings that followed closely upon each other.
    openings: u32,
    last_opened: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    Probing,
}

impl Breaker {
    /// Whether a call may go now; one that is told `Probe` must be ended by [`Breaker::succeeded`], [`Breaker::failed`] or
    /// [`Breaker::forgotten`].
    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Go,
            State::Probing => Admission::No(Duration::ZERO),
            State::Open { until } if now < until => Admission::No(until - now),
            State::Open { .. } => {
                self.state = State::Probing;
                Admission::Probe
            }
        }
    }

    /// What [`Breaker::admit`] would say, without claiming the probe.
    pub fn health(&self, now: Instant) -> Health {
        match self.state {
            State::Closed => Health::Closed,
            State::Probing => Health::Open(Duration::ZERO),
            State::Open { until } if now < until => Health::Open(until - now),
            State::Open { .. } => Health::HalfOpen,
        }
    }

    /// Share of the last seconds' calls that failed, 0 to 1; 0 without any.
    pub fn failure_share(&self, now: Instant) -> f32 {
        match self.window.filter(|(since, ..)| now.duration_since(*since) <= 2 * WINDOW) {
            Some((_, calls, failures)) => failures as f32 / calls as f32,
            None => 0.0,
        }
    }

    /// A call was answered.
    pub fn succeeded(&mut self, now: Instant) {
        self.count(now, false);
        self.failures_in_a_row = 0;
        if self.state != State::Closed {
            // An answer is an answer, whoever asked: also of a call that went out before it opened.
            self.state = State::Closed;
            self.window = None;
        }
    }

    /// A call failed in a way that speaks of the target.
    pub fn failed(&mut self, now: Instant) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let often = self.count(now, true);
        match self.state {
            State::Closed if self.failures_in_a_row >= IN_A_ROW || often => self.open(now),
            State::Probing => self.open(now),
            // Calls that went out before it opened say nothing new.
            _ => {}
        }
    }

    /// A probe ended without telling anything (cancelled): the next call probes.
    pub fn forgotten(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    fn open(&mut self, now: Instant) {
        if self.last_opened.is_some_and(|last| now.duration_since(last) > FORGIVEN) {
            self.openings = 0;
        }
        let wait = OPEN.0.saturating_mul(1 << self.openings.min(8)).min(OPEN.1);
        self.openings = self.openings.saturating_add(1);
        self.last_opened = Some(now);
        self.window = None;
        self.state = State::Open { until: now + wait };
    }

    /// Notes a call in the window; whether the share of failures is too large.
    fn count(&mut self, now: Instant, failed: bool) -> bool {
        let (since, mut calls, mut failures) =
            self.window.filter(|(since, ..)| now.duration_since(*since) <= WINDOW).unwrap_or((now, 0, 0));
        calls += 1;
        failures += u32::from(failed);
        self.window = Some((since, calls, failures));
        calls >= SHARE.1 && failures * 100 >= calls * SHARE.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn broken(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..IN_A_ROW {
            assert_eq!(breaker.admit(now), Admission::Go);
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_answer_between_them_does_not() {
        let now = Instant::now();
        assert_eq!(broken(now).admit(now), Admission::No(OPEN.0));
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 0..IN_A_ROW - 1 {
                breaker.failed(now);
            }
            breaker.succeeded(now);
        }
        assert_eq!(breaker.admit(now), Admission::Go);
    }

    #[test]
    fn one_call_probes_and_its_end_decides() {
        let now = Instant::now();
        let mut breaker = broken(now);
        let later = now + OPEN.0;
        assert_eq!(breaker.health(later), Health::HalfOpen);
        assert_eq!(breaker.admit(later), Admission::Probe);
        assert_eq!(breaker.admit(later), Admission::No(Duration::ZERO), "only one");
        breaker.failed(later);
        assert_eq!(breaker.health(later), Health::Open(2 * OPEN.0), "longer than before");
        let again = later + 2 * OPEN.0;
        assert_eq!(breaker.admit(again), Admission::Probe);
        breaker.succeeded(again);
        assert_eq!(breaker.admit(again), Admission::Go);
    }

    #[test]
    fn a_cancelled_probe_leaves_the_place_to_the_next() {
        let now = Instant::now();
        let mut breaker = broken(now);
        let later = now + OPEN.0;
        assert_eq!(breaker.admit(later), Admission::Probe);
        breaker.forgotten(later);
        assert_eq!(breaker.admit(later), Admission::Probe);
    }

    #[test]
    fn however_long_an_outage_lasts_it_is_found_over_within_thirty_seconds() {
        let mut now = Instant::now();
        let mut breaker = broken(now);
        let mut longest = Duration::ZERO;
        let mut last_probe = now;
        for _ in 0..10_000 {
            now += SECOND / 4;
            if breaker.admit(now) == Admission::Probe {
                longest = longest.max(now - last_probe);
                last_probe = now;
                breaker.failed(now);
            }
        }
        assert!(longest >= OPEN.1 && longest < Duration::from_secs(30), "{longest:?}");
    }

    #[test]
    fn under_load_a_share_of_failures_opens_it_though_some_calls_are_answered() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        let mut asked = 0;
        while breaker.admit(now) == Admission::Go && asked < 1000 {
            // Nine failures of ten, never five in a row.
            for _ in 0..IN_A_ROW - 1 {
                breaker.failed(now);
            }
            breaker.failures_in_a_row = 0;
            asked += 1;
        }
        assert!(asked < 1000);
    }
}
