//! The progress of a run: events in order, for a caller who listens, and the stream in which they come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::Stream;
use tokio::time::Instant;

use crate::error::Result;
use crate::types::{Fused, FusionEvent, FusionStep};

use super::ask::ms;

/// Where a run tells its progress. Clones tell to the same place.
#[derive(Clone)]
pub(crate) struct Events {
    run_id: String,
    started: Instant,
    queue: Option<Arc<Mutex<Queue>>>,
}

#[derive(Default)]
struct Queue {
    next: u64,
    events: VecDeque<FusionEvent>,
}

impl Events {
    /// `listened`: whether anybody reads them.
    pub fn new(run_id: String, started: Instant, listened: bool) -> Self {
        Events { run_id, started, queue: listened.then(Default::default) }
    }

    /// Whether anybody reads them; if not, answers need not be streamed.
    pub fn listened(&self) -> bool {
        self.queue.is_some()
    }

    pub fn emit(&self, step: FusionStep) {
        let Some(queue) = &self.queue else { return };
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let event =
            FusionEvent { seq: queue.next, at_ms: ms(self.started.elapsed()), run_id: self.run_id.clone(), step };
        queue.next += 1;
        queue.events.push_back(event);
    }

    pub fn final_delta(&self, text: &str) {
        self.emit(FusionStep::FinalDelta { text: text.to_owned() });
    }

    fn take(&self) -> Option<FusionEvent> {
        let queue = self.queue.as_ref()?;
        queue.lock().unwrap_or_else(PoisonError::into_inner).events.pop_front()
    }
}

/// A run as a stream. The run moves only while the stream is polled, and ends when the stream is dropped.
pub(crate) struct RunStream {
    run: Option<BoxFuture<'static, Result<Fused>>>,
    events: Events,
}

impl RunStream {
    pub fn new(run: BoxFuture<'static, Result<Fused>>, events: Events) -> Self {
        RunStream { run: Some(run), events }
    }
}

impl Stream for RunStream {
    type Item = Result<FusionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.events.take() {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        match run.as_mut().poll(cx) {
            Poll::Pending => {}
            Poll::Ready(result) => {
                self.run = None;
                match result {
                    Ok(fused) => self.events.emit(FusionStep::RunDone { result: Box::new(fused) }),
                    // What happened before the failure is told first.
                    Err(error) if self.events.is_empty() => return Poll::Ready(Some(Err(error))),
                    Err(error) => self.run = Some(Box::pin(std::future::ready(Err(error)))),
                }
            }
        }
        match self.events.take() {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None => Poll::Pending,
        }
    }
}

impl Events {
    fn is_empty(&self) -> bool {
        self.queue.as_ref().is_none_or(|q| q.lock().unwrap_or_else(PoisonError::into_inner).events.is_empty())
    }
}
