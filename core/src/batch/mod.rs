//! Many chat requests at a time: pulled as there is room for them, each answered or refused in a row of its own, under one
//! budget, kept in a [`crate::checkpoint`] to go on from. Rows never fail the batch; a checkpoint that cannot be used does.

mod count;
mod rows;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{Stream, StreamExt, poll_fn, unfold};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::money::NanoUsd;
use crate::types::{BatchEvent, BatchOptions, BatchRequest};

use rows::Run;

const CONCURRENCY: u32 = 16;
const MOST_AT_ONCE: u32 = 1024;
/// Requests that were pulled and whose rows were not handed on yet: so many for each that is worked on, and at least that many.
const WINDOW: (usize, usize) = (4, 256);

/// A batch as it goes on: its rows, and how far it is; the last event is `done` with the report. Dropping it cancels every call
/// under way; what is in the checkpoint stays. However slowly it is read, no more than a window of rows is ever in memory.
pub struct BatchStream {
    events: mpsc::UnboundedReceiver<Result<BatchEvent>>,
    window: Arc<Semaphore>,
    work: AbortHandle,
    ended: bool,
}

impl BatchStream {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<BatchEvent>> {
        StreamExt::next(self).await
    }
}

impl Stream for BatchStream {
    type Item = Result<BatchEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready(event) = self.events.poll_recv(cx) else { return Poll::Pending };
        match &event {
            Some(Ok(BatchEvent::Row { .. })) => self.window.add_permits(1),
            Some(Ok(BatchEvent::Done { .. }) | Err(_)) => self.ended = true,
            None if !self.ended => {
                self.ended = true;
                let why = "a batch ended before its last row; please report this defect";
                return Poll::Ready(Some(Err(Error::new(ErrorKind::Internal, why))));
            }
            _ => {}
        }
        Poll::Ready(event)
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Where requests are put in by hosts that cannot be asked for them. Dropping it ends the batch once all are done.
pub struct BatchFeed {
    requests: mpsc::UnboundedSender<Result<BatchRequest>>,
    window: Arc<Semaphore>,
}

impl BatchFeed {
    /// How many requests are taken now. Every row that is read makes room for one.
    pub fn room(&self) -> usize {
        self.window.available_permits()
    }

    /// Puts in a request; one that could not be read becomes a row with that error. `false` when there is no room.
    pub fn push(&self, request: Result<BatchRequest>) -> bool {
        let Ok(permit) = self.window.try_acquire() else { return false };
        permit.forget();
        // A batch that has ended takes what is left of its requests and does nothing about them.
        let _ = self.requests.send(request);
        true
    }
}

impl Client {
    /// Answers many requests, a few at a time. They are pulled as there is room for them, so that there may be any number.
    /// `common` in the options holds what they do not say themselves.
    ///
    /// # Errors
    /// `invalid_request` for options that are wrong. What goes wrong with a request is told in its row. The stream itself fails
    /// with `invalid_request` for a checkpoint of another batch and with `storage` for one that cannot be written; it then ends
    /// after the calls under way, whose rows it still gives.
    ///
    /// ```no_run
    /// # async fn batch() -> interfuse::Result<()> {
    /// use futures_util::stream;
    /// use interfuse::types::{BatchEvent, BatchOptions, ChatRequest};
    ///
    /// let client = interfuse::Client::new()?;
    /// let common = Some(Box::new(ChatRequest::new("openai/gpt-5-mini", [])));
    /// let options = BatchOptions { common, budget: Some("2.50".into()), ..Default::default() };
    /// let mut batch = client.batch(stream::iter(["Why is the sky blue?", "Why is it dark at night?"]), options)?;
    /// while let Some(event) = batch.next().await {
    ///     if let BatchEvent::Row { row } = event? {
    ///         println!("{} {}", row.index, row.text());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch<S>(&self, requests: S, options: BatchOptions) -> Result<BatchStream>
    where
        S: Stream + Send + 'static,
        S::Item: Into<BatchRequest> + Send,
    {
        let (run, window) = self.prepared(options)?;
        let pulled = (Box::pin(requests), window.clone());
        let requests = unfold(pulled, |(mut requests, window)| async move {
            // Of a batch that nobody reads any more the window is never closed; it is dropped with this.
            window.acquire().await.ok()?.forget();
            let request = requests.next().await?;
            Some((Ok(request.into()), (requests, window)))
        });
        Ok(start(run, requests, window))
    }

    /// The same for hosts that put their requests in.
    ///
    /// # Errors
    /// As [`Client::batch`].
    pub fn batch_fed(&self, options: BatchOptions) -> Result<(BatchFeed, BatchStream)> {
        let (run, window) = self.prepared(options)?;
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let stream = start(run, poll_fn(move |cx| receiver.poll_recv(cx)), window.clone());
        Ok((BatchFeed { requests: sender, window }, stream))
    }

    fn prepared(&self, options: BatchOptions) -> Result<(Run, Arc<Semaphore>)> {
        let at_once = options.concurrency.unwrap_or(CONCURRENCY);
        if !(1..=MOST_AT_ONCE).contains(&at_once) {
            return Err(wrong("concurrency", &format!("it must be from 1 to {MOST_AT_ONCE}")));
        }
        let budget = options.budget.as_deref().map(str::parse::<NanoUsd>).transpose();
        let budget = budget.map_err(|e| wrong("budget", &e.to_string()))?;
        let window = (at_once as usize * WINDOW.0).max(WINDOW.1);
        Ok((Run::new(self.clone(), options, at_once as usize, budget), Arc::new(Semaphore::new(window))))
    }
}

/// Works on a task of its own, so that calls go on while a slow reader looks at rows.
fn start(
    run: Run,
    requests: impl Stream<Item = Result<BatchRequest>> + Send + 'static,
    window: Arc<Semaphore>,
) -> BatchStream {
    let (sender, events) = mpsc::unbounded_channel();
    let work = tokio::spawn(async move {
        if let Err(error) = run.through(requests, &sender).await {
            let _ = sender.send(Err(error));
        }
    });
    BatchStream { events, window, work: work.abort_handle(), ended: false }
}

fn wrong(param: &str, why: &str) -> Error {
    Error::invalid_request(format!("`{param}`: {why}")).with_param(param)
}
