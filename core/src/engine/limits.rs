//! How long the parts of one attempt may take.

use std::time::Duration;

use crate::http;
use crate::types::{Timeout, TimeoutConfig};

/// What decides it.
pub(super) struct Attempted<'a> {
    pub config: &'a TimeoutConfig,
    pub request: Option<&'a TimeoutConfig>,
    /// Another route is left.
    pub more: bool,
    /// The model reasons before it answers.
    pub reasoning: bool,
    /// The answer comes as a stream.
    pub streamed: bool,
}

/// Limits of one attempt; `None`: as long as the call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub net: http::Limits,
    /// Of a stream, from the beginning of the attempt.
    pub first_token: Option<Duration>,
    /// Of a stream, between events that say something.
    pub idle: Duration,
}

impl Limits {
    pub fn of(attempted: &Attempted<'_>) -> Self {
        let Attempted { config, request, more, reasoning, streamed } = *attempted;
        let given = |which| request.and_then(|r| r.get(which)).or_else(|| config.get(which));
        let secs = |n| Some(Duration::from_secs(n));
        // Silence is worth ending early only where somebody else can be asked instead. The head of a whole answer comes
        // with the answer, so that its silence means nothing.
        let first = match (streamed, more, reasoning) {
            (true, true, true) => secs(60),
            (true, true, false) => secs(10),
            _ => None,
        };
        let idle = given(Timeout::Idle).unwrap_or(Duration::from_secs(if streamed && !reasoning { 20 } else { 60 }));
        Limits {
            net: http::Limits {
                dns_connect: given(Timeout::DnsConnect).unwrap_or(http::Limits::CONNECT),
                tls: given(Timeout::Tls).unwrap_or(http::Limits::CONNECT),
                write: given(Timeout::Write),
                first_byte: given(Timeout::FirstByte).or(first),
                // Of a stream it is not bytes that count, but what they say.
                idle: (!streamed).then_some(idle),
            },
            first_token: given(Timeout::FirstToken).or(first),
            idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(more: bool, reasoning: bool, streamed: bool) -> (Option<u64>, Option<u64>, u64, Option<u64>) {
        let config = TimeoutConfig::default();
        let limits = Limits::of(&Attempted { config: &config, request: None, more, reasoning, streamed });
        let secs = |d: Option<Duration>| d.map(|d| d.as_secs());
        (secs(limits.net.first_byte), secs(limits.first_token), limits.idle.as_secs(), secs(limits.net.idle))
    }

    #[test]
    fn patience_depends_on_what_else_there_is() {
        assert_eq!(of(true, false, true), (Some(10), Some(10), 20, None));
        assert_eq!(of(true, true, true), (Some(60), Some(60), 60, None));
        assert_eq!(of(false, true, true), (None, None, 60, None));
        assert_eq!(of(false, false, true), (None, None, 20, None));
        assert_eq!(of(true, false, false), (None, None, 60, Some(60)));
    }

    #[test]
    fn what_is_given_holds_and_the_request_first() {
        let ms = |text: &str| serde_json::from_str::<TimeoutConfig>(text).unwrap();
        let config = ms(r#"{"first_byte_ms": 1, "idle_ms": 2, "tls_ms": 3}"#);
        let request = ms(r#"{"first_byte_ms": 4, "write_ms": 5}"#);
        let limits = Limits::of(&Attempted {
            config: &config,
            request: Some(&request),
            more: false,
            reasoning: true,
            streamed: false,
        });
        let ms = Duration::from_millis;
        assert_eq!((limits.net.first_byte, limits.net.write, limits.net.tls), (Some(ms(4)), Some(ms(5)), ms(3)));
        assert_eq!((limits.idle, limits.net.idle, limits.first_token), (ms(2), Some(ms(2)), None));
    }
}
