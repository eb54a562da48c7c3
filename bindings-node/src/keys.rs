//! Keys that JavaScript functions give: asked on their own thread, awaited here.

use std::sync::Arc;

use interfuse::backend::{AwsKeys, Key, KeySource, KeySources};
use interfuse::secret::Secret;
use interfuse::{Error, ErrorKind, Result};
use napi::Status;
use napi::bindgen_prelude::Promise;
use napi::threadsafe_function::ThreadsafeFunction;
use serde::Deserialize;

/// The function of `js/keys.cjs`: a provider's name to JSON text. Does not keep the process alive.
pub type Ask = ThreadsafeFunction<String, Promise<String>, String, Status, false, true>;

/// What it gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Given {
    Key(String),
    Token(String),
    #[serde(rename_all = "camelCase")]
    Account {
        access_key_id: String,
        secret_access_key: String,
        session_token: Option<String>,
    },
    Failed(String),
}

/// A source for each of these providers.
pub fn sources(providers: Vec<String>, ask: Ask) -> KeySources {
    let ask = Arc::new(ask);
    providers.into_iter().map(|name| (name.clone(), Arc::new(source(name, ask.clone())) as _)).collect()
}

fn source(provider: String, ask: Arc<Ask>) -> impl KeySource {
    move || {
        let (provider, ask) = (provider.clone(), ask.clone());
        async move {
            let gone = |_| failed("the environment of the function went away");
            let text = ask.call_async(provider).await.map_err(gone)?.await.map_err(gone)?;
            read(&text)
        }
    }
}

fn read(text: &str) -> Result<Key> {
    match serde_json::from_str(text).map_err(|_| failed("it answered with what is no key"))? {
        Given::Key(key) => Ok(Key::from(key)),
        Given::Token(token) => Ok(Key::Token(Secret::new(token))),
        Given::Account { access_key_id, secret_access_key, session_token } => Ok(Key::Aws(AwsKeys {
            access_key_id,
            secret_access_key: Secret::new(secret_access_key),
            session_token: session_token.map(Secret::new),
            expires_at: None,
        })),
        Given::Failed(why) => Err(failed(&why)),
    }
}

fn failed(why: &str) -> Error {
    Error::new(ErrorKind::Authentication, format!("the callable gave no key: {why}"))
}
