//! The gate before a key or a backend: calls pass while its limits have room. It never waits itself; it says for what to
//! wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::{Full, Limits};
use crate::types::{LimitConfig, RateLimit};

/// How long a key that was refused is left in peace while there are others.
const DEAD: Duration = Duration::from_secs(60);

/// Limits that calls share.
#[derive(Debug, Default)]
pub struct Gate {
    /// Whether tokens are limited.
    counts_tokens: bool,
    limits: Mutex<Limits>,
    freed: Notify,
}

impl Gate {
    /// A gate with the limits of a configuration; without any, it learns what the vendor tells.
    pub fn new(config: Option<&LimitConfig>) -> Arc<Self> {
        let limits = config.map(Limits::new).unwrap_or_default();
        let counts_tokens = config.is_some_and(|config| config.tokens_per_minute.is_some());
        Arc::new(Gate { counts_tokens, limits: Mutex::new(limits), freed: Notify::new() })
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, now: Instant, tokens: u64) -> Result<Pass, Full> {
        self.limits().take(now, tokens)?;
        Ok(Pass { gate: self.clone(), tokens, used: None })
    }

    /// Notes what the vendor told of its limits.
    pub fn told(&self, now: Instant, limit: &RateLimit) {
        self.limits().told(now, limit);
    }

    /// Notes that the vendor refused the key itself: others go first for a while.
    pub fn key_refused(&self, now: Instant) {
        self.limits().key_refused(Some(now + DEAD));
    }

    /// Notes that the vendor took the key.
    pub fn key_taken(&self) {
        self.limits().key_refused(None);
    }

    /// Notes that the vendor refused, and for how long.
    pub fn refused(&self, now: Instant, retry_after: Duration) {
        self.limits().refused(now, retry_after);
    }
}

/// The gates of one target: of its key, and of its backend.
#[derive(Debug, Clone)]
pub struct Gates {
    /// Of the key; learns from answers.
    pub key: Arc<Gate>,
    /// Of the backend, where it has limits of its own.
    pub backend: Option<Arc<Gate>>,
}

impl Gates {
    /// Passes both gates or neither; `tokens` tells about how many the call takes, and is asked only where they are limited.
    ///
    /// # Errors
    /// What to wait for, and at which gate.
    pub fn enter(&self, now: Instant, tokens: impl FnOnce() -> u64) -> Result<Passes, (Full, Arc<Gate>)> {
        let counts = self.key.counts_tokens || self.backend.as_ref().is_some_and(|gate| gate.counts_tokens);
        let tokens = if counts { tokens() } else { 0 };
        let key = self.key.enter(now, tokens).map_err(|full| (full, self.key.clone()))?;
        let Some(backend) = &self.backend else { return Ok(Passes { key, backend: None }) };
        match backend.enter(now, tokens) {
            Ok(pass) => Ok(Passes { key, backend: Some(pass) }),
            Err(full) => {
                key.undo();
                Err((full, backend.clone()))
            }
        }
    }
}

/// Waits until it is worth asking again.
pub async fn room(gate: &Gate, full: Full) {
    match full {
        Full::For(wait) | Full::Refused(wait) => tokio::time::sleep(wait).await,
        Full::UntilOneEnds => gate.freed.notified().await,
    }
}

/// A call's place behind both gates. Dropping it gives the place back.
#[derive(Debug)]
pub struct Passes {
    key: Pass,
    backend: Option<Pass>,
}

impl Passes {
    /// Gives the place back of a call that was not made after all.
    pub fn undo(self) {
        self.key.undo();
        if let Some(backend) = self.backend {
            backend.undo();
        }
    }

    /// Notes the tokens that the call really took.
    pub fn used(&mut self, tokens: u64) {
        self.key.used = Some(tokens);
        if let Some(backend) = &mut self.backend {
            backend.used = Some(tokens);
        }
    }
}

#[derive(Debug)]
struct Pass {
    gate: Arc<Gate>,
    tokens: u64,
    used: Option<u64>,
}

impl Pass {
    /// The call was not made after all.
    fn undo(mut self) {
        self.used = Some(0);
        self.gate.limits().not_asked();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.limits().ended(self.tokens, self.used);
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn limits(config: Value) -> LimitConfig {
        serde_json::from_value(config).unwrap()
    }

    fn gates(key: LimitConfig, backend: LimitConfig) -> Gates {
        Gates { key: Gate::new(Some(&key)), backend: Some(Gate::new(Some(&backend))) }
    }

    #[test]
    fn a_call_passes_both_gates_or_neither() {
        let now = Instant::now();
        let all = gates(
            limits(json!({"requests_per_minute": 10, "tokens_per_minute": 50, "concurrency": 2})),
            limits(json!({"concurrency": 1})),
        );
        let first = all.enter(now, || 5).unwrap();
        for _ in 0..100 {
            assert_eq!(all.enter(now, || 5).unwrap_err().0, Full::UntilOneEnds);
        }
        let limits = all.key.limits();
        assert!(format!("{limits:?}").contains("under_way: 1,"), "{limits:?}");
        drop(limits);
        drop(first);
        for _ in 0..9 {
            drop(all.enter(now, || 5).unwrap());
        }
        assert!(matches!(all.enter(now, || 5).unwrap_err().0, Full::For(_)), "what did not go took nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken_when_a_place_is_free() {
        let all = gates(limits(json!({"concurrency": 1})), LimitConfig::default());
        let first = all.enter(Instant::now(), || 0).unwrap();
        let waits = tokio::spawn({
            let all = all.clone();
            async move {
                loop {
                    match all.enter(Instant::now(), || 0) {
                        Ok(_) => return,
                        Err((full, gate)) => room(&gate, full).await,
                    }
                }
            }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!waits.is_finished());
        drop(first);
        waits.await.unwrap();
    }
}
