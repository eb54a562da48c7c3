//! Rate limits as vendors tell them in headers, in one form for all.

use std::time::Duration;

use http::HeaderMap;

use crate::types::quirks::{RateLimitHeaders, ResetUnit};
use crate::types::{RateLimit, Window};

/// What the headers tell; `None` when it is nothing. Absent, negative and unreadable values are left out.
pub fn rate_limit(headers: &HeaderMap, names: &RateLimitHeaders, now_unix: Duration) -> Option<RateLimit> {
    let text = |name: &Option<String>| headers.get(name.as_deref()?)?.to_str().ok();
    let window = |limit, remaining, reset| {
        let window = Window {
            limit: text(limit).and_then(|v| v.trim().parse().ok()),
            remaining: text(remaining).and_then(|v| v.trim().parse().ok()),
            reset_ms: text(reset).and_then(|v| reset_ms(v.trim(), names.reset_unit?, now_unix)),
        };
        (window != Window::default()).then_some(window)
    };
    let told = RateLimit {
        requests: window(&names.limit_requests, &names.remaining_requests, &names.reset_requests),
        tokens: window(&names.limit_tokens, &names.remaining_tokens, &names.reset_tokens),
    };
    (told != RateLimit::default()).then_some(told)
}

fn reset_ms(text: &str, unit: ResetUnit, now_unix: Duration) -> Option<u64> {
    let wait = match unit {
        ResetUnit::Seconds => Duration::try_from_secs_f64(text.parse().ok()?).ok()?,
        ResetUnit::Duration => text.parse::<jiff::SignedDuration>().ok()?.try_into().ok()?,
        ResetUnit::Date => {
            let at: Duration = text.parse::<jiff::Timestamp>().ok()?.as_duration().try_into().ok()?;
            at.saturating_sub(now_unix)
        }
    };
    u64::try_from(wait.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn told(unit: ResetUnit, reset: &'static str) -> Option<RateLimit> {
        let headers: HeaderMap = [("l", "100"), ("r", "99"), ("t", reset), ("bad", "-1")]
            .into_iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect();
        let name = |n: &str| Some(n.to_owned());
        let names = RateLimitHeaders {
            limit_requests: name("l"),
            remaining_requests: name("r"),
            reset_requests: name("t"),
            remaining_tokens: name("bad"),
            reset_unit: Some(unit),
            ..Default::default()
        };
        rate_limit(&headers, &names, Duration::from_secs(1_700_000_000))
    }

    #[test]
    fn resets_in_every_form() {
        for (unit, text, ms) in [
            (ResetUnit::Duration, "12ms", Some(12)),
            (ResetUnit::Duration, "1.182s", Some(1182)),
            (ResetUnit::Duration, "6m0s", Some(360_000)),
            (ResetUnit::Duration, "1h2m3.5s", Some(3_723_500)),
            (ResetUnit::Seconds, "59.7", Some(59_700)),
            (ResetUnit::Seconds, "-1", None),
            (ResetUnit::Date, "2023-11-14T22:13:30Z", Some(10_000)),
            (ResetUnit::Date, "2020-01-01T00:00:00Z", Some(0)),
            (ResetUnit::Date, "soon", None),
        ] {
            let limits = told(unit, text).unwrap();
            let requests = limits.requests.unwrap();
            assert_eq!((requests.limit, requests.remaining, requests.reset_ms), (Some(100), Some(99), ms), "{text}");
            assert_eq!(limits.tokens, None, "a negative number tells nothing");
        }
    }

    #[test]
    fn silence_is_nothing() {
        assert_eq!(rate_limit(&HeaderMap::new(), &RateLimitHeaders::default(), Duration::ZERO), None);
    }
}
