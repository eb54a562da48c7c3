//! A stream that JavaScript pulls: each pull gives everything that is ready, so that crossings do not grow with chunks.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::stream::{Stream, StreamExt as _};
use interfuse::Error;
use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore, mpsc};

use crate::call::{Cancel, defect, json, run};

/// Chunks read ahead of a slow reader; beyond it the vendor is not read any further.
pub const READ_AHEAD: usize = 256;

/// For events of a fusion, which must not stand still, and run into its deadlines, because its reader is busy.
pub const NO_LIMIT: usize = Semaphore::MAX_PERMITS;

/// Most items of one pull; the rest waits for the next.
const MOST: usize = 256;

/// A stream of JSON values.
#[napi]
pub struct NativeStream {
    source: Arc<Mutex<Source>>,
    cancel: Cancel,
    closing: Cancel,
}

/// What is read from; nothing once it has ended.
struct Source {
    items: Option<mpsc::Receiver<Item>>,
    /// An error that came right after items; those are handed out first.
    failed: Option<Error>,
}

/// JSON text, or how the stream failed.
type Item = Result<String, Error>;

impl NativeStream {
    /// A stream whose items are made by a task of their own, at most `ahead` before they are read: while JavaScript works
    /// on some, the next gather. The task ends when the stream is cancelled or collected. Called on the runtime.
    pub fn new<T: Serialize + Send + 'static>(
        items: impl Stream<Item = Result<T, Error>> + Send + Unpin + 'static,
        ahead: usize,
        cancel: Cancel,
        closing: Cancel,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(ahead);
        tokio::spawn(pump(items, sender));
        let source = Source { items: Some(receiver), failed: None };
        NativeStream { source: Arc::new(Mutex::new(source)), cancel, closing }
    }
}

async fn pump<T: Serialize>(mut items: impl Stream<Item = Result<T, Error>> + Unpin, sender: mpsc::Sender<Item>) {
    let pumped = AssertUnwindSafe(async {
        while let Some(item) = items.next().await {
            if sender.send(item.and_then(|item| json(&item))).await.is_err() {
                break;
            }
        }
    });
    tokio::select! {
        biased;
        () = sender.closed() => {}
        ended = pumped.catch_unwind() => if ended.is_err() {
            let _ = sender.send(Err(defect())).await;
        }
    }
}

#[napi]
impl NativeStream {
    /// Everything that is ready, as a JSON list of at least one item; null at the end.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn next<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Option<String>>> {
        let (source, cancel, closing) = (Arc::clone(&self.source), self.cancel.clone(), self.closing.clone());
        env.spawn_future(async move {
            let mut source = source.lock().await;
            let batch = run(source.batch(), Some(&cancel), &closing).await;
            if !matches!(batch, Ok(Some(_))) {
                // Ended, failed or cancelled: the connection goes with it.
                source.items = None;
            }
            batch
        })
    }
}

impl Source {
    async fn batch(&mut self) -> Result<Option<String>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(items) = &mut self.items else { return Ok(None) };
        let mut ready = Vec::new();
        items.recv_many(&mut ready, MOST).await;
        let mut batch = String::new();
        for item in ready {
            match item {
                Ok(item) => {
                    batch.push(if batch.is_empty() { '[' } else { ',' });
                    batch += &item;
                }
                Err(error) => self.failed = Some(error),
            }
        }
        if !batch.is_empty() {
            batch.push(']');
            return Ok(Some(batch));
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }
}
