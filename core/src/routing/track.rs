//! What is remembered of one target between calls: how it fares, how fast it is, how many calls are under way. Lives in
//! the target itself, so that nothing has to be looked up.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::health::{Admission, Breaker};
use super::speed::{Pace, Sample};

/// What routing knows of one target at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Observed {
    /// Whether it may be asked.
    pub health: Health,
    /// Calls under way.
    pub pending: u32,
    /// Time to the first token and tokens per second, from calls of the last minutes; `None` until there were any.
    pub speed: Option<Speed>,
    /// Share of recent calls that failed, 0 to 1; 0 until there were any.
    pub failure_share: f32,
    /// Share of prompt tokens that lately came from the vendor's cache, 0 to 1; `None` until known.
    pub cached_share: Option<f32>,
}

/// Whether a target may be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Health {
    /// Nothing speaks against it.
    #[default]
    Closed,
    /// One call may find out whether it has recovered.
    HalfOpen,
    /// It failed too often; not before this long from now.
    Open(Duration),
}

/// How fast a target has been.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Speed {
    /// Peak-sensitive moving average of the time to the first token, seconds.
    pub ttft_s: f64,
    /// Peak-sensitive moving average of the time per token after it, seconds; 0 until known.
    pub token_s: f64,
    /// Median time to the first token, seconds.
    pub ttft_p50: f32,
    /// Median of tokens per second.
    pub throughput_p50: f32,
}

/// How the speed of the last minutes' calls is spread.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spread {
    /// Time to the first token, seconds.
    pub ttft: Percentiles,
    /// Tokens per second: the share of calls named that were at least this fast.
    pub throughput: Percentiles,
}

/// Percentiles over the last minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Percentiles {
    /// Median.
    pub p50: f32,
    /// 75th.
    pub p75: f32,
    /// 90th.
    pub p90: f32,
    /// 95th.
    pub p95: f32,
    /// 99th.
    pub p99: f32,
}

/// How much the latest call counts in the share of cached tokens.
const CACHED_WEIGHT: f32 = 0.2;

/// The memory of one target.
#[derive(Debug, Default)]
pub struct Track {
    pending: AtomicU32,
    /// Whether any call has ended; until then there is nothing to look up.
    told: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    breaker: Breaker,
    pace: Pace,
    /// Moving average of the share of prompt tokens that came from the vendor's cache.
    cached: Option<f32>,
}

impl Track {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, to note how a call ended.
    fn told(&self) -> MutexGuard<'_, Inner> {
        let inner = self.inner();
        self.told.store(true, Ordering::Release);
        inner
    }

    /// What is known now.
    pub fn observed(&self, now: Instant) -> Observed {
        if !self.told.load(Ordering::Acquire) {
            return Observed { pending: self.pending.load(Ordering::Relaxed), ..Observed::default() };
        }
        let inner = self.inner();
        Observed {
            health: inner.breaker.health(now),
            pending: self.pending.load(Ordering::Relaxed),
            speed: inner.pace.speed(now),
            failure_share: inner.breaker.failure_share(now),
            cached_share: inner.cached,
        }
    }

    /// The speed of the last minutes' calls; `None` until there were any.
    pub fn spread(&self, now: Instant) -> Option<Spread> {
        if self.told.load(Ordering::Acquire) { self.inner().pace.spread(now) } else { None }
    }

    /// The live 95th percentile of the time to the first token; `None` before twenty calls stand behind it.
    pub fn p95(&self, now: Instant) -> Option<Duration> {
        let inner = self.inner();
        let spread = inner.pace.spread(now).filter(|_| inner.pace.calls() >= 20)?;
        Some(Duration::from_secs_f32(spread.ttft.p95))
    }

    /// Lets a call through, or says when to come again. `anyway` goes also where it should not: all others are as bad.
    ///
    /// # Errors
    /// How long to stay away.
    pub fn depart(self: &Arc<Self>, now: Instant, anyway: bool) -> Result<Flight, Duration> {
        let admission = self.inner().breaker.admit(now);
        let probe = match admission {
            Admission::Go => false,
            Admission::Probe => true,
            Admission::No(_) if anyway => false,
            Admission::No(wait) => return Err(wait),
        };
        self.pending.fetch_add(1, Ordering::Relaxed);
        Ok(Flight { track: self.clone(), probe, told: false })
    }
}

/// A call under way to a target. Dropped without a word, it was cancelled, which says nothing of the target.
#[derive(Debug)]
pub struct Flight {
    track: Arc<Track>,
    probe: bool,
    told: bool,
}

impl Flight {
    /// Whether it finds out if the target has recovered.
    pub fn probes(&self) -> bool {
        self.probe
    }

    /// The target answered; `sample` is what was measured.
    pub fn succeeded(mut self, now: Instant, sample: Option<Sample>) {
        self.told = true;
        let mut inner = self.track.told();
        inner.breaker.succeeded(now);
        let Some(sample) = sample else { return };
        inner.pace.note(now, sample);
        if let Some(share) = sample.cached_share.map(|share| share as f32) {
            inner.cached = Some(inner.cached.map_or(share, |old| old + (share - old) * CACHED_WEIGHT));
        }
    }

    /// The target failed in a way that speaks of it.
    pub fn failed(mut self, now: Instant) {
        self.told = true;
        self.track.told().breaker.failed(now);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.track.pending.fetch_sub(1, Ordering::Relaxed);
        if self.probe && !self.told {
            self.track.inner().breaker.forgotten(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flights_are_counted_and_their_ends_noted() {
        let track = Arc::new(Track::default());
        let now = Instant::now();
        let flights: Vec<_> = (0..5).map(|_| track.depart(now, false).unwrap()).collect();
        assert_eq!(track.observed(now).pending, 5);
        flights.into_iter().for_each(|flight| flight.failed(now));
        assert_eq!(track.observed(now).pending, 0);
        assert!(matches!(track.observed(now).health, Health::Open(_)));
        assert!(track.depart(now, false).is_err());
        let flight = track.depart(now, true).unwrap();
        let sample = Sample { first_token: Duration::from_millis(3), ..Default::default() };
        flight.succeeded(now, Some(sample));
        assert_eq!(track.observed(now).health, Health::Closed);
        assert_eq!(track.observed(now).speed.map(|s| s.ttft_s), Some(0.003));
    }

    #[test]
    fn a_probe_that_is_dropped_leaves_its_place() {
        let track = Arc::new(Track::default());
        let now = Instant::now();
        (0..5).for_each(|_| track.depart(now, false).unwrap().failed(now));
        let later = now + Duration::from_secs(60);
        let probe = track.depart(later, false).unwrap();
        assert!(probe.probes());
        assert_eq!(track.depart(later, false).unwrap_err(), Duration::ZERO);
        drop(probe);
        assert!(track.depart(later, false).unwrap().probes());
    }

    #[test]
    fn the_95th_percentile_waits_for_enough_calls() {
        let track = Arc::new(Track::default());
        let mut now = Instant::now();
        for n in 1..=20u64 {
            assert_eq!(track.p95(now), None);
            now += Duration::from_secs(1);
            let sample = Sample { first_token: Duration::from_millis(n), ..Default::default() };
            track.depart(now, false).unwrap().succeeded(now, Some(sample));
        }
        assert_eq!(track.p95(now).map(|d| d.as_secs_f32()), Some(0.019));
    }
}
