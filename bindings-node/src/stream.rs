//! A stream that JavaScript pulls: each pull gives everything that is ready, so that crossings do not grow with chunks.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt as _;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use interfuse::Error;
use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};

use crate::call::{Cancel, defect, run};

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
    items: Option<BoxStream<'static, Result<String, Error>>>,
    /// An error that came right after items; those are handed out first.
    failed: Option<Error>,
    /// Where its connection lives.
    runtime: Handle,
}

impl NativeStream {
    /// `items` are JSON texts. Called on the runtime.
    pub fn new(
        items: impl Stream<Item = Result<String, Error>> + Send + 'static,
        cancel: Cancel,
        closing: Cancel,
    ) -> Self {
        let source = Source { items: Some(items.fuse().boxed()), failed: None, runtime: Handle::current() };
        NativeStream { source: Arc::new(Mutex::new(source)), cancel, closing }
    }
}

/// The same items, but made whether or not somebody reads: a fusion must not stand still, and run into its deadlines,
/// because its reader is busy. Ends when the reader is gone. Called on the runtime.
pub fn driven<T: Send + 'static>(
    mut items: impl Stream<Item = Result<T, Error>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<T, Error>> + Send + 'static {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let pump = AssertUnwindSafe(async {
            while let Some(item) = items.next().await {
                if sender.send(item).is_err() {
                    break;
                }
            }
        });
        tokio::select! {
            () = sender.closed() => {}
            ended = pump.catch_unwind() => if ended.is_err() {
                let _ = sender.send(Err(defect()));
            }
        }
    });
    stream::poll_fn(move |cx| receiver.poll_recv(cx))
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

impl Drop for Source {
    fn drop(&mut self) {
        // The garbage collector drops streams on JavaScript's thread, and ending a connection may need the runtime. The
        // handle may be entered even when, at the end of the process, the runtime is gone.
        let _runtime = self.runtime.enter();
        self.items = None;
    }
}

impl Source {
    async fn batch(&mut self) -> Result<Option<String>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(items) = &mut self.items else { return Ok(None) };
        let mut batch = String::new();
        let mut count = 0;
        poll_fn(|cx| {
            while count < MOST {
                match items.poll_next_unpin(cx) {
                    Poll::Ready(Some(Ok(item))) => {
                        batch.push(if count == 0 { '[' } else { ',' });
                        batch += &item;
                        count += 1;
                    }
                    Poll::Ready(Some(Err(error))) => {
                        self.failed = Some(error);
                        break;
                    }
                    Poll::Ready(None) => break,
                    Poll::Pending if count == 0 => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(())
        })
        .await;
        if count > 0 {
            batch.push(']');
            return Ok(Some(batch));
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }
}
