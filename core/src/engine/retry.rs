//! What follows a failed attempt. Pure but for the jitter.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::types::RetryConfig;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The same target again, after this wait.
    Again(Duration),
    /// The next target, at once.
    NextTarget,
    /// Nothing; the error is the call's.
    Stop,
}

/// A vendor that asks for more than this is left for another target, where there is one.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn next(error: &Error, tries: u32, max_retries: u32, more_targets: bool, config: &RetryConfig) -> Step {
    let elsewhere = if more_targets { Step::NextTarget } else { Step::Stop };
    match error.kind() {
        // The same request would fail the same way everywhere, or the caller is gone.
        ErrorKind::InvalidRequest
        | ErrorKind::InvalidConfig
        | ErrorKind::ContentFiltered
        | ErrorKind::Recursion
        | ErrorKind::Cancelled
        | ErrorKind::DeadlineExceeded
        | ErrorKind::BudgetExceeded
        | ErrorKind::Misuse
        | ErrorKind::Internal => Step::Stop,
        // An answer that broke off before any of it was shown is like no answer.
        kind if error.body().retryable || kind == ErrorKind::Interrupted => {
            let asked = error.retry_after();
            if tries > max_retries || asked.is_some_and(|a| a > Duration::from_millis(config.max_retry_after_ms)) {
                return elsewhere;
            }
            match asked {
                Some(asked) if asked > PATIENCE && more_targets => Step::NextTarget,
                Some(asked) => Step::Again(asked),
                None => Step::Again(backoff(tries, config, fastrand::f64())),
            }
        }
        _ => elsewhere,
    }
}

/// Full jitter: anywhere between nothing and `min(base * 2^(tries-1), max)`.
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
fn backoff(tries: u32, config: &RetryConfig, random: f64) -> Duration {
    let ceiling = config.base_ms.saturating_mul(1 << (tries - 1).min(20)).min(config.max_ms);
    Duration::from_millis((ceiling as f64 * random) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: ErrorKind, after_ms: Option<u64>, tries: u32, more: bool) -> Step {
        let e = Error::new(kind, "x").with_retry_after(after_ms.map(Duration::from_millis));
        next(&e, tries, 2, more, &RetryConfig::default())
    }

    #[test]
    fn each_kind_takes_its_way() {
        assert_eq!(step(ErrorKind::InvalidRequest, None, 1, true), Step::Stop);
        assert_eq!(step(ErrorKind::Authentication, None, 1, true), Step::NextTarget);
        assert_eq!(step(ErrorKind::Authentication, None, 1, false), Step::Stop);
        assert_eq!(step(ErrorKind::RateLimited, Some(1500), 1, true), Step::Again(Duration::from_millis(1500)));
        assert_eq!(step(ErrorKind::RateLimited, Some(9000), 1, true), Step::NextTarget);
        assert_eq!(step(ErrorKind::RateLimited, Some(9000), 1, false), Step::Again(Duration::from_secs(9)));
        assert_eq!(step(ErrorKind::RateLimited, Some(3_600_000), 1, false), Step::Stop);
        assert!(matches!(step(ErrorKind::ServerError, None, 2, false), Step::Again(_)));
        assert_eq!(step(ErrorKind::ServerError, None, 3, false), Step::Stop);
        assert_eq!(step(ErrorKind::ServerError, None, 3, true), Step::NextTarget);
    }

    #[test]
    fn backoff_grows_to_its_ceiling() {
        let c = RetryConfig::default();
        let full: Vec<_> = (1..7).map(|t| backoff(t, &c, 1.0).as_millis()).collect();
        assert_eq!(full, [500, 1000, 2000, 4000, 8000, 8000]);
        assert_eq!(backoff(1, &c, 0.0), Duration::ZERO);
    }
}
