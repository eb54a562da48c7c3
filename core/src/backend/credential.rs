//! Proof of who calls, put on each request. What is proved, and how it is renewed, differs by vendor.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{HttpRequest, Transport};
use crate::secret::Secret;

/// What a credential may use: the network, for tokens; the wall clock, for signatures and expiry.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Sends requests.
    pub transport: &'a dyn Transport,
    /// Tells the time.
    pub clock: &'a dyn Clock,
}

/// Proves to one backend who calls.
pub trait Credential: Send + Sync + fmt::Debug {
    /// Puts the proof on a request that is otherwise ready to be sent.
    ///
    /// # Errors
    /// `authentication` when there is none, naming what was tried, never a value.
    fn authorize<'a>(&'a self, request: &'a mut HttpRequest, host: Host<'a>) -> BoxFuture<'a, Result<()>>;

    /// A header that proves it and never changes; it stands in every request, so that there is nothing to authorize.
    fn standing(&self) -> Option<(HeaderName, HeaderValue)> {
        None
    }

    /// Whether a refused proof can be followed by a better one.
    fn renews(&self) -> bool {
        false
    }

    /// The backend refused the proof: forgets what was fetched. Whether there was anything to forget.
    fn renew(&self) -> bool {
        false
    }

    /// Secrets that were sent, to be taken out of what a vendor says.
    fn secrets(&self) -> Vec<Secret>;
}

/// Keys of an AWS account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKeys {
    /// Names the key; not secret.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: Secret,
    /// Goes with temporary keys.
    pub session_token: Option<Secret>,
    /// When they end, since 1970-01-01 UTC; `None`: not before they are changed.
    pub expires_at: Option<Duration>,
}

/// What a [`KeySource`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A key for the backend's header.
    Secret(Secret),
    /// An access token (Entra ID, Google Cloud): goes as `Authorization: Bearer`, whatever the header for keys is.
    Token(Secret),
    /// Keys to sign with.
    Aws(AwsKeys),
}

impl<T: Into<String>> From<T> for Key {
    fn from(key: T) -> Self {
        Key::Secret(Secret::new(key))
    }
}

/// A key of the host's own making: asked before every request, so that it may rotate; caching is the source's affair.
/// Closures that give a future are sources.
///
/// ```
/// use std::sync::Arc;
///
/// use interfuse::backend::{Key, KeySources};
/// use interfuse::types::Config;
///
/// # async fn fetched_from_a_vault() -> String { String::new() }
/// let mut keys = KeySources::new();
/// keys.insert("openai".to_owned(), Arc::new(|| async { Ok(Key::from(fetched_from_a_vault().await)) }));
/// let client = interfuse::Client::with_keys(Config::default(), keys)?;
/// # Ok::<(), interfuse::Error>(())
/// ```
pub trait KeySource: Send + Sync {
    /// The key to use now.
    ///
    /// # Errors
    /// Any; it becomes the call's error.
    fn key(&self) -> BoxFuture<'static, Result<Key>>;
}

impl<F, Asked> KeySource for F
where
    F: Fn() -> Asked + Send + Sync,
    Asked: Future<Output = Result<Key>> + Send + 'static,
{
    fn key(&self) -> BoxFuture<'static, Result<Key>> {
        Box::pin(self())
    }
}

/// Sources by provider.
pub type KeySources = BTreeMap<String, Arc<dyn KeySource>>;

/// How a key is written into a header.
#[derive(Debug, Clone)]
pub(super) struct KeyHeader {
    pub name: HeaderName,
    /// Word before the key; empty: the key alone.
    pub scheme: String,
}

impl KeyHeader {
    /// The header's value, marked as sensitive.
    pub fn value(&self, key: &Secret) -> Result<HeaderValue> {
        let text = match self.scheme.as_str() {
            "" => zeroize::Zeroizing::new(key.expose().to_owned()),
            scheme => zeroize::Zeroizing::new(format!("{scheme} {}", key.expose())),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| Error::new(ErrorKind::Authentication, "the key holds characters that no header can carry"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// An access token as a header's value.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue> {
    KeyHeader { name: http::header::AUTHORIZATION, scheme: "Bearer".to_owned() }.value(token)
}

/// A key that stays.
#[derive(Debug)]
pub(super) struct FixedKey {
    pub header: KeyHeader,
    pub value: HeaderValue,
    pub key: Secret,
}

impl Credential for FixedKey {
    fn authorize<'a>(&'a self, request: &'a mut HttpRequest, _: Host<'a>) -> BoxFuture<'a, Result<()>> {
        request.headers.insert(self.header.name.clone(), self.value.clone());
        Box::pin(std::future::ready(Ok(())))
    }

    fn standing(&self) -> Option<(HeaderName, HeaderValue)> {
        Some((self.header.name.clone(), self.value.clone()))
    }

    fn secrets(&self) -> Vec<Secret> {
        vec![self.key.clone()]
    }
}

/// A key in a file, read again when the file has changed.
#[derive(Debug)]
pub(super) struct FileKey {
    pub header: KeyHeader,
    pub file: PathBuf,
    /// Path in the configuration, for errors.
    pub setting: String,
    pub read: Mutex<Option<(SystemTime, Secret)>>,
}

impl FileKey {
    /// The key as it is now.
    pub fn key(&self) -> Result<Secret> {
        let fault = |e: std::io::Error| Error::invalid_config(&self.setting, format!("{}: {e}", self.file.display()));
        let changed = self.file.metadata().and_then(|m| m.modified()).map_err(fault)?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = read.as_ref().filter(|(at, _)| *at == changed) {
            return Ok(key.clone());
        }
        let key = Secret::new(std::fs::read_to_string(&self.file).map_err(fault)?);
        if key.expose().is_empty() {
            return Err(Error::invalid_config(&self.setting, format!("{} is empty", self.file.display())));
        }
        *read = Some((changed, key.clone()));
        Ok(key)
    }
}

impl Credential for FileKey {
    fn authorize<'a>(&'a self, request: &'a mut HttpRequest, _: Host<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            request.headers.insert(self.header.name.clone(), self.header.value(&self.key()?)?);
            Ok(())
        })
    }

    fn renews(&self) -> bool {
        true
    }

    fn renew(&self) -> bool {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    fn secrets(&self) -> Vec<Secret> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, key)| key.clone()).collect()
    }
}

/// How many of the keys that were handed in are taken out of what a vendor says.
const REMEMBERED: usize = 16;

/// A key that the host hands in.
pub(super) struct HostKey {
    pub header: KeyHeader,
    pub source: Arc<dyn KeySource>,
    /// The keys sent last; calls under way at once may hold different ones.
    pub last: Mutex<VecDeque<Secret>>,
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostKey").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Credential for HostKey {
    fn authorize<'a>(&'a self, request: &'a mut HttpRequest, _: Host<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let refused = |why: &str| Err(Error::new(ErrorKind::Authentication, why));
            let (name, value, key) = match self.source.key().await? {
                Key::Secret(key) => (self.header.name.clone(), self.header.value(&key)?, key),
                Key::Token(token) => (http::header::AUTHORIZATION, bearer(&token)?, token),
                Key::Aws(_) => return refused("the callable gave AWS keys, and this backend takes a key of text"),
            };
            if key.expose().is_empty() {
                return refused("the callable gave no key");
            }
            request.headers.insert(name, value);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if !last.contains(&key) {
                last.truncate(REMEMBERED - 1);
                last.push_front(key);
            }
            Ok(())
        })
    }

    fn renews(&self) -> bool {
        true
    }

    fn renew(&self) -> bool {
        true
    }

    fn secrets(&self) -> Vec<Secret> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
