//! The eight timeouts: their names, their configuration, and the error each gives.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Dispatch, Error, ErrorKind};

/// Timeouts, milliseconds. What is given always holds; the defaults depend on the request and on whether another route is
/// left. Each error says which one fired, its value, the time that had passed and the bytes that had come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutConfig {
    /// Waiting for a place under a limit of concurrent calls; only `total` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_wait_ms: Option<NonZeroU64>,
    /// Finding the server's address and connecting to it; 5000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_connect_ms: Option<NonZeroU64>,
    /// Agreeing on encryption, from the connection on; 5000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ms: Option<NonZeroU64>,
    /// Handing the request to the connection, from its being there on; only `total` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_ms: Option<NonZeroU64>,
    /// From the request's being sent to the head of the response. By default, of a streamed answer, where another route is
    /// left: 10000, or 60000 where the model reasons; otherwise only `total`, as the head of a whole answer comes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<NonZeroU64>,
    /// From the beginning of an attempt to its first output; defaults as for `first_byte_ms`. A call that is not streamed is
    /// streamed inside where this is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<NonZeroU64>,
    /// Between two events of a stream that say something (keep-alive comments do not), once there was one; 20000 by default,
    /// 60000 where the model reasons. Between two pieces of a whole answer; 60000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<NonZeroU64>,
    /// One call, retries and fallbacks included; 600000 by default. A request's `timeout_ms` is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<NonZeroU64>,
}

impl TimeoutConfig {
    /// The value of one, where it is given.
    pub fn get(&self, which: Timeout) -> Option<Duration> {
        let given = match which {
            Timeout::PoolWait => self.pool_wait_ms,
            Timeout::DnsConnect => self.dns_connect_ms,
            Timeout::Tls => self.tls_ms,
            Timeout::Write => self.write_ms,
            Timeout::FirstByte => self.first_byte_ms,
            Timeout::FirstToken => self.first_token_ms,
            Timeout::Idle => self.idle_ms,
            Timeout::Total => self.total_ms,
        };
        given.map(|ms| Duration::from_millis(ms.get()))
    }
}

/// One of the eight timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Waiting for a place under a limit of concurrent calls.
    PoolWait,
    /// Finding the server's address and connecting to it.
    DnsConnect,
    /// Agreeing on encryption.
    Tls,
    /// Handing the request to the connection.
    Write,
    /// From the request's being sent to the head of the response.
    FirstByte,
    /// From the beginning of an attempt to its first output.
    FirstToken,
    /// Between two events that say something.
    Idle,
    /// The whole call.
    Total,
}

impl Timeout {
    /// Its name; with `_ms` behind it, its field in the configuration and the request.
    pub fn as_str(self) -> &'static str {
        match self {
            Timeout::PoolWait => "pool_wait",
            Timeout::DnsConnect => "dns_connect",
            Timeout::Tls => "tls",
            Timeout::Write => "write",
            Timeout::FirstByte => "first_byte",
            Timeout::FirstToken => "first_token",
            Timeout::Idle => "idle",
            Timeout::Total => "total",
        }
    }

    /// Its error: `deadline_exceeded` of `total`, `timeout` of all others. `details` holds `timeout`, `configured_ms`,
    /// `elapsed_ms` and `bytes_seen`.
    pub fn fired(self, configured: Duration, elapsed: Duration, bytes_seen: u64) -> Error {
        let (name, configured, elapsed) = (self.as_str(), configured.as_millis() as u64, elapsed.as_millis() as u64);
        let (kind, advice) = match self {
            Timeout::Total => (ErrorKind::DeadlineExceeded, "raise `timeout_ms` (or `timeouts.total_ms`)".to_owned()),
            _ => (ErrorKind::Timeout, format!("raise `timeouts.{name}_ms` if that is too short")),
        };
        let message = format!(
            "the {name} timeout of {configured} ms fired after {elapsed} ms with {bytes_seen} bytes received; {advice}"
        );
        let mut error = Error::new(kind, message);
        let details = &mut error.body_mut().details;
        details.insert("timeout".into(), name.into());
        details.insert("configured_ms".into(), configured.into());
        details.insert("elapsed_ms".into(), elapsed.into());
        details.insert("bytes_seen".into(), bytes_seen.into());
        match self {
            Timeout::PoolWait | Timeout::DnsConnect | Timeout::Tls => error.with_dispatch(Dispatch::NotSent),
            _ => error,
        }
    }

    /// Which one an error tells of.
    pub fn of(error: &Error) -> Option<&str> {
        error.body().details.get("timeout")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_field_of_its_name() {
        use Timeout::*;
        for (which, ms) in [PoolWait, DnsConnect, Tls, Write, FirstByte, FirstToken, Idle, Total].into_iter().zip(1..) {
            let text = format!(r#"{{"{}_ms": {ms}}}"#, which.as_str());
            let config: TimeoutConfig = serde_json::from_str(&text).unwrap();
            assert_eq!(config.get(which), Some(Duration::from_millis(ms)), "{text}");
            let error = which.fired(Duration::from_millis(7), Duration::from_millis(9), 3);
            assert_eq!(Timeout::of(&error), Some(which.as_str()));
            assert!(error.message().contains("7 ms fired after 9 ms with 3 bytes"), "{error}");
        }
    }

    #[test]
    fn none_is_zero() {
        assert!(serde_json::from_str::<TimeoutConfig>(r#"{"idle_ms": 0}"#).is_err());
    }
}
