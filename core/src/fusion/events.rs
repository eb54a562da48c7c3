//! The progress of a run: events in order, for a caller who listens, and the stream in which they come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::Stream;
use tokio::time::{Duration, Instant, Sleep, sleep};

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

    /// The final text told so far, piece by piece.
    #[cfg(test)]
    pub fn told(&self) -> Vec<String> {
        let text = |event: FusionEvent| match event.step {
            FusionStep::FinalDelta { text } => Some(text),
            _ => None,
        };
        std::iter::from_fn(|| self.take()).filter_map(text).collect()
    }

    fn take(&self) -> Option<FusionEvent> {
        let queue = self.queue.as_ref()?;
        queue.lock().unwrap_or_else(PoisonError::into_inner).events.pop_front()
    }
}

/// After so long without any event, one says that the run goes on: proxies and readers give up on a silent connection.
const QUIET: Duration = Duration::from_secs(10);

/// A run as a stream. The run moves only while the stream is polled, and ends when the stream is dropped.
pub(crate) struct RunStream {
    run: Option<BoxFuture<'static, Result<Fused>>>,
    events: Events,
    /// Ends when nothing was told for [`QUIET`].
    quiet: Option<Pin<Box<Sleep>>>,
}

impl RunStream {
    pub fn new(run: BoxFuture<'static, Result<Fused>>, events: Events) -> Self {
        RunStream { run: Some(run), events, quiet: None }
    }

    /// The next event, which ends the silence.
    fn take(&mut self) -> Option<FusionEvent> {
        let event = self.events.take()?;
        self.quiet = None;
        Some(event)
    }
}

impl Stream for RunStream {
    type Item = Result<FusionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.take() {
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
        if let Some(event) = self.take() {
            return Poll::Ready(Some(Ok(event)));
        }
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep(QUIET)));
        if quiet.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.events.emit(FusionStep::Keepalive {});
        Poll::Ready(self.take().map(Ok))
    }
}

impl Events {
    fn is_empty(&self) -> bool {
        self.queue.as_ref().is_none_or(|q| q.lock().unwrap_or_else(PoisonError::into_inner).events.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Fused;
    use futures_util::{FutureExt, StreamExt};

    #[tokio::test(start_paused = true)]
    async fn a_silent_run_says_every_ten_seconds_that_it_goes_on() {
        let started = Instant::now();
        let events = Events::new("r".to_owned(), started, true);
        let told = events.clone();
        let run = async move {
            tokio::time::sleep(Duration::from_secs(25)).await;
            told.final_delta("a");
            tokio::time::sleep(Duration::from_secs(9)).await;
            told.final_delta("b");
            tokio::time::sleep(Duration::from_secs(11)).await;
            Ok(Fused::default())
        };
        let all: Vec<FusionEvent> = RunStream::new(run.boxed(), events).map(|event| event.unwrap()).collect().await;
        let told: Vec<(u64, &str)> = all
            .iter()
            .map(|event| match &event.step {
                FusionStep::Keepalive {} => (event.at_ms, "alive"),
                FusionStep::FinalDelta { .. } => (event.at_ms, "text"),
                _ => (event.at_ms, "end"),
            })
            .collect();
        assert_eq!(
            told,
            [
                (10_000, "alive"),
                (20_000, "alive"),
                (25_000, "text"),
                (34_000, "text"),
                (44_000, "alive"),
                (45_000, "end")
            ]
        );
        assert!(all.iter().enumerate().all(|(i, event)| event.seq == i as u64));
    }
}
