//! One call from JavaScript: how it is cancelled, and how it ends as a promise of JSON text.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use interfuse::{Error, ErrorKind};
use napi::Env;
use napi_derive::napi;
use serde::Serialize;
use tokio::sync::watch;

/// Ends the calls it was given to.
#[napi]
#[derive(Clone)]
pub struct Cancel(Arc<watch::Sender<bool>>);

#[napi]
impl Cancel {
    #[napi(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Cancel(Arc::new(watch::Sender::new(false)))
    }

    /// Ends them now. Cancelling twice does no harm.
    #[napi]
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancel {
    async fn cancelled(&self) {
        let mut told = self.0.subscribe();
        if told.wait_for(|cancelled| *cancelled).await.is_err() {
            pending::<()>().await;
        }
    }
}

thread_local! {
    /// Cancelled when the environment of this thread (the main one or a worker) goes away.
    static CLOSING: RefCell<Option<Cancel>> = const { RefCell::new(None) };
}

/// What ends every call of this thread's environment: a worker that is terminated must not leave its calls running.
pub fn closing(env: &Env) -> napi::Result<Cancel> {
    if let Some(closing) = CLOSING.with_borrow(Clone::clone) {
        return Ok(closing);
    }
    let closing = Cancel::new();
    env.add_env_cleanup_hook(closing.clone(), |closing| {
        closing.cancel();
        CLOSING.take();
        // Nobody is left who could be told.
        let _ = interfuse::ledger::flush_all();
    })?;
    CLOSING.set(Some(closing.clone()));
    Ok(closing)
}

/// Runs `work` until it ends, is cancelled, or its environment goes away; dropping it closes its connection.
pub async fn run<T>(
    work: impl Future<Output = Result<T, Error>>,
    cancel: Option<&Cancel>,
    closing: &Cancel,
) -> napi::Result<T> {
    let cancelled = async {
        match cancel {
            Some(cancel) => cancel.cancelled().await,
            None => pending().await,
        }
    };
    let ended = tokio::select! {
        biased;
        () = cancelled => Err(Error::new(ErrorKind::Cancelled, "the call was cancelled")),
        () = closing.cancelled() => Err(Error::new(ErrorKind::Cancelled, "the environment of this call went away")),
        ended = AssertUnwindSafe(work).catch_unwind() => ended.unwrap_or_else(|_| Err(defect())),
    };
    ended.map_err(|error| raise(&error))
}

/// A panic, as an error.
pub fn defect() -> Error {
    Error::new(ErrorKind::Internal, "interfuse panicked; this is a defect, please report it")
}

/// An error as JavaScript gets it: `js/error.cjs` makes the class from this JSON text.
pub fn raise(error: &Error) -> napi::Error {
    napi::Error::from_reason(error.to_json())
}

/// A value as JSON text.
pub fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::Internal, format!("cannot write JSON: {error}")))
}
