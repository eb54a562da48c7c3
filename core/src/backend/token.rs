//! Access tokens that run out: fetched once for all who wait, renewed before their end.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::secret::Secret;

/// How long before its end a token is no longer used: Google's and Azure's own libraries take 225 s and 300 s.
const EARLY: Duration = Duration::from_secs(300);

/// A token and when it ends, since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub secret: Secret,
    pub expires_at: Duration,
}

/// Holds one token.
#[derive(Debug, Default)]
pub(super) struct TokenCache {
    /// Held while one is fetched, so that it is fetched once.
    fetching: tokio::sync::Mutex<()>,
    token: Mutex<Option<Token>>,
}

impl TokenCache {
    /// The token, fetched when there is none that lasts.
    pub async fn get(&self, now: Duration, fetch: impl Future<Output = Result<Token>>) -> Result<Secret> {
        if let Some(secret) = self.lasting(now) {
            return Ok(secret);
        }
        let _alone = self.fetching.lock().await;
        if let Some(secret) = self.lasting(now) {
            return Ok(secret);
        }
        let token = fetch.await?;
        let secret = token.secret.clone();
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(secret)
    }

    /// Forgets the token. Whether there was one.
    pub fn forget(&self) -> bool {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// The token as it is, running out or not.
    pub fn held(&self) -> Option<Secret> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|t| t.secret.clone())
    }

    fn lasting(&self, now: Duration) -> Option<Secret> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.as_ref().filter(|t| t.expires_at > now + EARLY).map(|t| t.secret.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, end: u64) -> Result<Token> {
        Ok(Token { secret: Secret::new(text), expires_at: Duration::from_secs(end) })
    }

    #[tokio::test]
    async fn a_token_is_fetched_again_before_its_end_and_when_forgotten() {
        let cache = TokenCache::default();
        let at = Duration::from_secs;
        assert_eq!(cache.get(at(0), async { token("a", 1000) }).await.unwrap().expose(), "a");
        assert_eq!(cache.get(at(699), async { token("b", 2000) }).await.unwrap().expose(), "a");
        assert_eq!(cache.get(at(700), async { token("b", 2000) }).await.unwrap().expose(), "b");
        assert!(cache.forget() && !cache.forget());
        assert_eq!(cache.get(at(700), async { token("c", 2000) }).await.unwrap().expose(), "c");
    }

    #[tokio::test]
    async fn those_who_wait_share_one_fetch() {
        let cache = TokenCache::default();
        let slow = async {
            tokio::task::yield_now().await;
            token("a", 1000)
        };
        let never = async { Err(crate::Error::new(crate::error::ErrorKind::Internal, "fetched twice")) };
        let (a, b) = tokio::join!(cache.get(Duration::ZERO, slow), cache.get(Duration::ZERO, never));
        assert_eq!((a.unwrap().expose(), b.unwrap().expose()), ("a", "a"));
    }
}
