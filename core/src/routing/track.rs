//! What is remembered of one target between calls: how it fares, how fast it is, how many calls are under way. Lives in
//! the target itself, so that nothing has to be looked up.

use std::time::Duration;

use tokio::time::Instant;

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
    pub failure_share: f64,
    /// Share of prompt tokens that lately came from the vendor's cache, 0 to 1; `None` until known.
    pub cached_share: Option<f64>,
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
    /// Time to the first token, seconds.
    pub ttft: Percentiles,
    /// Tokens per second: the share of calls named that were at least this fast.
    pub throughput: Percentiles,
}

/// Percentiles over the last minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 75th.
    pub p75: f64,
    /// 90th.
    pub p90: f64,
    /// 99th.
    pub p99: f64,
}

/// The memory of one target.
#[derive(Debug, Default)]
pub struct Track {}

impl Track {
    /// What is known now.
    pub fn observed(&self, _now: Instant) -> Observed {
        Observed::default()
    }
}
