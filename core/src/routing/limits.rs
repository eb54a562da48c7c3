//! How much may be asked at once and per minute: of a key, or of a backend. As configured, and as the vendor told with its
//! answers. Pure: every function takes the time.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use crate::types::{LimitConfig, RateLimit, Window};

/// Room for calls.
#[derive(Debug, Default)]
pub struct Limits {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    concurrency: Option<u32>,
    under_way: u32,
    /// The vendor said that there is nothing left before then.
    told: Option<Instant>,
    /// The vendor refused the key; not before then.
    dead: Option<Instant>,
}

/// Why a call has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// There is room after this long.
    For(Duration),
    /// As many calls are under way as may be: until one ends.
    UntilOneEnds,
    /// The key was refused lately; it is worth another try after this long.
    Refused(Duration),
}

impl Limits {
    /// The limits of a configuration.
    pub fn new(config: &LimitConfig) -> Self {
        Limits {
            requests: config.requests_per_minute.map(|n| Bucket::per_minute(n.get())),
            tokens: config.tokens_per_minute.map(|n| Bucket::per_minute(n.get())),
            concurrency: config.concurrency.map(NonZeroU32::get),
            ..Default::default()
        }
    }

    /// Takes a place for a call of about this many tokens, or says what it has to wait for. Taken places are given back by
    /// [`Limits::ended`].
    ///
    /// # Errors
    /// What to wait for.
    pub fn take(&mut self, now: Instant, tokens: u64) -> Result<(), Full> {
        if let Some(until) = self.dead.filter(|until| now < *until) {
            return Err(Full::Refused(until - now));
        }
        if let Some(until) = self.told {
            if now < until {
                return Err(Full::For(until - now));
            }
            self.told = None;
        }
        if self.concurrency.is_some_and(|most| self.under_way >= most) {
            return Err(Full::UntilOneEnds);
        }
        let wait = |bucket: &mut Option<Bucket>, n| bucket.as_mut().map_or(Duration::ZERO, |b| b.wait(now, n));
        let longest = wait(&mut self.requests, 1).max(wait(&mut self.tokens, tokens));
        if !longest.is_zero() {
            return Err(Full::For(longest));
        }
        if let Some(bucket) = &mut self.requests {
            bucket.take(1);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens);
        }
        self.under_way += 1;
        Ok(())
    }

    /// A call has ended; `estimated` is what was taken for it, `used` what it really took, where known.
    pub fn ended(&mut self, estimated: u64, used: Option<u64>) {
        self.under_way = self.under_way.saturating_sub(1);
        if let (Some(bucket), Some(used)) = (&mut self.tokens, used) {
            bucket.correct(estimated, used);
        }
    }

    /// The request that was counted was not made after all.
    pub fn not_asked(&mut self) {
        if let Some(bucket) = &mut self.requests {
            bucket.correct(1, 0);
        }
    }

    /// What the vendor told with an answer: where nothing is left, nobody asks before the window starts again.
    pub fn told(&mut self, now: Instant, limit: &RateLimit) {
        let empty = |window: &Option<Window>| {
            // Where the limit itself is 0, nothing is limited.
            let window = window.as_ref().filter(|w| w.remaining == Some(0) && w.limit != Some(0))?;
            window.reset_ms.map(|ms| now + Duration::from_millis(ms.min(LONGEST_MS)))
        };
        self.blocked(empty(&limit.requests).max(empty(&limit.tokens)));
    }

    /// The vendor refused and said for how long.
    pub fn refused(&mut self, now: Instant, retry_after: Duration) {
        self.blocked(Some(now + retry_after.min(Duration::from_millis(LONGEST_MS))));
    }

    /// The vendor refused the key itself, or `None`: took it.
    pub fn key_refused(&mut self, until: Option<Instant>) {
        self.dead = until;
    }

    fn blocked(&mut self, until: Option<Instant>) {
        self.told = self.told.max(until);
    }
}

/// What a vendor says of its limits is believed for this long at most: a day's quota may be raised before the day ends.
const LONGEST_MS: u64 = 60_000;

/// A token bucket that holds one minute's worth.
#[derive(Debug)]
struct Bucket {
    /// Fill and size in thousandths, so that the refill of a millisecond is exact enough.
    level: i128,
    size: i128,
    filled: Option<Instant>,
}

impl Bucket {
    fn per_minute(n: u64) -> Self {
        let size = i128::from(n) * 60_000;
        Bucket { level: size, size, filled: None }
    }

    /// One unit is 60,000 of `level`, which a limit of one per minute refills in 60,000 ms.
    fn units(n: u64) -> i128 {
        i128::from(n) * 60_000
    }

    /// How long until `n` can be taken. More than the whole bucket can be taken once it is full.
    fn wait(&mut self, now: Instant, n: u64) -> Duration {
        let per_ms = self.size / 60_000;
        if let Some(last) = self.filled {
            let nanos = now.saturating_duration_since(last).as_nanos() as i128;
            self.level = (self.level + nanos * per_ms / 1_000_000).min(self.size);
        }
        self.filled = Some(now);
        let missing = Self::units(n).min(self.size) - self.level;
        if missing <= 0 || per_ms == 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos((missing * 1_000_000 / per_ms).try_into().unwrap_or(u64::MAX))
            .max(Duration::from_millis(1))
    }

    fn take(&mut self, n: u64) {
        self.level -= Self::units(n);
    }

    fn correct(&mut self, estimated: u64, used: u64) {
        self.level = (self.level + Self::units(estimated) - Self::units(used)).min(self.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    fn limits(requests: Option<u64>, tokens: Option<u64>, concurrency: Option<u32>) -> Limits {
        Limits::new(&LimitConfig {
            requests_per_minute: requests.and_then(NonZeroU64::new),
            tokens_per_minute: tokens.and_then(NonZeroU64::new),
            concurrency: concurrency.and_then(NonZeroU32::new),
        })
    }

    #[test]
    fn over_any_long_time_no_more_goes_than_the_limit_and_the_first_burst() {
        let start = Instant::now();
        let mut limits = limits(Some(60), None, None);
        let (mut now, mut gone) = (start, 0);
        while now <= start + Duration::from_secs(600) {
            match limits.take(now, 0) {
                Ok(()) => gone += 1,
                Err(Full::For(wait)) => now += wait,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(gone, 60 + 600);
    }

    #[test]
    fn tokens_count_as_estimated_and_are_corrected() {
        let now = Instant::now();
        let mut limits = limits(None, Some(1000), None);
        assert_eq!(limits.take(now, 900), Ok(()));
        assert_eq!(limits.take(now, 400), Err(Full::For(Duration::from_secs(18))));
        limits.ended(900, Some(100));
        assert_eq!(limits.take(now, 400), Ok(()));
        limits.ended(400, Some(2000));
        assert!(matches!(limits.take(now, 1), Err(Full::For(wait)) if wait > Duration::from_secs(60)));
    }

    #[test]
    fn a_call_larger_than_the_bucket_goes_once_it_is_full() {
        let now = Instant::now();
        let mut limits = limits(None, Some(1000), None);
        assert_eq!(limits.take(now, 5000), Ok(()));
        assert!(matches!(limits.take(now, 1), Err(Full::For(_))));
    }

    #[test]
    fn places_are_given_back() {
        let now = Instant::now();
        let mut limits = limits(None, None, Some(2));
        assert_eq!((limits.take(now, 1), limits.take(now, 1)), (Ok(()), Ok(())));
        assert_eq!(limits.take(now, 1), Err(Full::UntilOneEnds));
        limits.ended(1, None);
        assert_eq!(limits.take(now, 1), Ok(()));
    }

    #[test]
    fn what_the_vendor_told_holds_until_its_window_starts_again() {
        let now = Instant::now();
        let mut limits = limits(None, None, None);
        let window = |remaining| Some(Window { limit: Some(10), remaining: Some(remaining), reset_ms: Some(2_000) });
        limits.told(now, &RateLimit { requests: window(3), tokens: None });
        assert_eq!(limits.take(now, 1), Ok(()));
        limits.told(now, &RateLimit { requests: window(3), tokens: window(0) });
        assert_eq!(limits.take(now, 1), Err(Full::For(Duration::from_secs(2))));
        assert_eq!(limits.take(now + Duration::from_secs(2), 1), Ok(()));
        limits.refused(now, Duration::from_secs(86_400));
        assert_eq!(limits.take(now, 1), Err(Full::For(Duration::from_secs(60))), "believed for a minute");
    }
}
