//! Where time comes from, so that tests can move it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock of ledger rows and reports. Waiting and measuring use tokio's clock, which tests can pause.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Time since 1970-01-01 UTC.
    fn unix(&self) -> Duration;

    /// Milliseconds since 1970-01-01 UTC.
    fn unix_ms(&self) -> u64 {
        self.unix().as_millis() as u64
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
