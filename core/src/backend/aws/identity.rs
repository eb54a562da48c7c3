//! Proof of who calls AWS: a signature made with keys that are found, or handed in by the host.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::AwsCredentials;
use crate::backend::credential::{Credential, Host, Key, KeySource, bearer};
use crate::backend::{AwsKeys, Signer};
use crate::error::Result;
use crate::http::HttpRequest;
use crate::secret::Secret;

/// Signs requests to one service in one region.
#[derive(Debug)]
pub(in crate::backend) struct AwsIdentity {
    pub keys: Keys,
    /// Such as `eu-west-1`.
    pub region: String,
    /// Such as `bedrock`.
    pub service: String,
}

/// Where keys come from.
pub(in crate::backend) enum Keys {
    /// Where Amazon's own clients find them.
    Found(AwsCredentials),
    /// From the host, which renews them; with the secrets that it gave last.
    Handed(Arc<dyn KeySource>, Mutex<Vec<Secret>>),
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Keys::Found(credentials) => credentials.fmt(f),
            Keys::Handed(..) => f.write_str("Handed"),
        }
    }
}

impl AwsIdentity {
    fn sign(&self, keys: &AwsKeys, request: &mut HttpRequest, host: Host<'_>) -> Result<()> {
        let now = host.clock.unix();
        let signer = Signer { keys, region: &self.region, service: &self.service, now };
        signer.sign(&request.method, &request.url, &mut request.headers, &request.body)
    }
}

impl Credential for AwsIdentity {
    fn authorize<'a>(&'a self, request: &'a mut HttpRequest, host: Host<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match &self.keys {
                Keys::Found(credentials) => self.sign(&credentials.resolve(host).await?, request, host),
                Keys::Handed(source, last) => {
                    let key = source.key().await?;
                    let secrets = match &key {
                        Key::Aws(keys) => {
                            std::iter::once(keys.secret_access_key.clone()).chain(keys.session_token.clone()).collect()
                        }
                        Key::Secret(key) | Key::Token(key) => vec![key.clone()],
                    };
                    *last.lock().unwrap_or_else(PoisonError::into_inner) = secrets;
                    match key {
                        Key::Aws(keys) => self.sign(&keys, request, host),
                        // A key of Bedrock's own goes as it is.
                        Key::Secret(key) | Key::Token(key) => {
                            request.headers.insert(http::header::AUTHORIZATION, bearer(&key)?);
                            Ok(())
                        }
                    }
                }
            }
        })
    }

    fn renews(&self) -> bool {
        true
    }

    fn renew(&self) -> bool {
        match &self.keys {
            Keys::Found(credentials) => credentials.forget(),
            Keys::Handed(..) => true,
        }
    }

    fn secrets(&self) -> Vec<Secret> {
        match &self.keys {
            Keys::Found(credentials) => credentials.secrets(),
            Keys::Handed(_, last) => last.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
