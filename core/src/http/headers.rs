//! What vendors tell in headers: request ids, when to try again.

use std::time::Duration;

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName};

/// Names of the request id, likeliest first.
const REQUEST_IDS: [&str; 6] =
    ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "mistral-correlation-id", "cf-ray"];

/// The content coding of a body that has one. None is ever asked for.
pub fn coding(headers: &HeaderMap) -> Option<&str> {
    let coding = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("unknown").trim();
    Some(coding).filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

/// The vendor's request id.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    // One pass over the few headers there are is cheaper than a look-up of each name.
    let place = |name: &HeaderName| REQUEST_IDS.iter().position(|id| *id == name.as_str());
    let readable = headers.iter().filter_map(|(name, value)| Some((place(name)?, value.to_str().ok()?)));
    readable.min_by_key(|(place, _)| *place).map(|(_, id)| id.to_owned())
}

/// Whether the vendor says by `x-should-retry` that a retry makes sense.
pub fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match text(headers, "x-should-retry")? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// When to try again: the larger of `retry-after-ms` and `retry-after` (seconds, or an HTTP date against `now_unix`).
/// Negative and unreadable values are ignored.
pub fn retry_after(headers: &HeaderMap, now_unix: Duration) -> Option<Duration> {
    let ms = text(headers, "retry-after-ms").and_then(|v| seconds(v, 1e-3));
    let plain = text(headers, "retry-after").and_then(|v| {
        seconds(v, 1.0).or_else(|| {
            let at = httpdate::parse_http_date(v).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(at.saturating_sub(now_unix))
        })
    });
    ms.max(plain)
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    let n: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(n * unit).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let mut h = HeaderMap::new();
        for (k, v) in pairs {
            h.insert(*k, http::HeaderValue::from_static(v));
        }
        retry_after(&h, Duration::from_secs(784_111_777))
    }

    #[test]
    fn each_vendors_request_id_outranks_that_of_its_proxy() {
        for name in REQUEST_IDS {
            let mut headers = HeaderMap::new();
            headers.insert("cf-ray", http::HeaderValue::from_static("proxy"));
            headers.insert(name, http::HeaderValue::from_static("its own"));
            assert_eq!(request_id(&headers).as_deref(), Some("its own"), "{name}");
        }
    }

    #[test]
    fn forms_of_retry_after() {
        assert_eq!(after(&[("retry-after", "1.5")]), Some(Duration::from_millis(1500)));
        assert_eq!(after(&[("retry-after-ms", "0"), ("retry-after", "1")]), Some(Duration::from_secs(1)));
        assert_eq!(after(&[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")]), Some(Duration::from_secs(3)));
        assert_eq!(after(&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(after(&[("retry-after", "-1")]), None);
        assert_eq!(after(&[("retry-after", "soon")]), None);
        assert_eq!(after(&[]), None);
    }
}
