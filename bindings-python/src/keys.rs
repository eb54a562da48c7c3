//! Keys that Python functions give: called on threads that may block, never on those that drive requests.

use std::sync::Arc;

use interfuse::backend::{AwsKeys, Key, KeySource, KeySources};
use interfuse::secret::Secret;
use interfuse::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::task::spawn_blocking;

/// What a function of `interfuse._keys` gives.
#[derive(FromPyObject)]
enum Given {
    Text(String),
    /// An access token.
    Token((String,)),
    /// Access key id, secret, session token.
    Account(String, String, Option<String>),
}

/// The functions by provider.
pub fn sources(functions: &Bound<'_, PyDict>) -> PyResult<KeySources> {
    functions.iter().map(|(name, function)| Ok((name.extract()?, Arc::new(source(function.unbind())) as _))).collect()
}

fn source(function: Py<PyAny>) -> impl KeySource {
    let function = Arc::new(function);
    move || {
        let function = function.clone();
        async move {
            let asked = spawn_blocking(move || {
                Python::try_attach(|py| ask(py, &function)).unwrap_or_else(|| Err(failed("the interpreter has ended")))
            });
            asked.await.unwrap_or_else(|_| Err(failed("the thread that called it has ended")))
        }
    }
}

fn ask(py: Python<'_>, function: &Py<PyAny>) -> Result<Key> {
    let told = |e: PyErr| failed(&e.to_string());
    Ok(match function.bind(py).call0().map_err(told)?.extract().map_err(told)? {
        Given::Text(key) => Key::from(key),
        Given::Token((token,)) => Key::Token(Secret::new(token)),
        Given::Account(access_key_id, secret, token) => Key::Aws(AwsKeys {
            access_key_id,
            secret_access_key: Secret::new(secret),
            session_token: token.map(Secret::new),
            expires_at: None,
        }),
    })
}

fn failed(why: &str) -> Error {
    Error::new(ErrorKind::Authentication, format!("the callable gave no key: {why}"))
}
