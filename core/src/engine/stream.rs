//! What a caller reads of a streamed answer: chunks, the last of which tells what the call was; where the caller wants
//! it, also beyond an interruption.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};

use super::Way;
use super::cache::Place;
use super::interrupt::{Broken, Recovered, Recovery};
use super::reading::Open;
use crate::error::{Dispatch, Error, Result};
use crate::money::NanoUsd;
use crate::types::{ChatCompletion, ChatCompletionChunk, ResponseMeta};
use crate::wire::Assembler;

/// Chunks of one answer. Ends after the terminal signal; anything else is an error that carries the partial text.
pub struct ChatStream(BoxStream<'static, Result<ChatCompletionChunk>>);

impl ChatStream {
    /// Wraps any stream of chunks.
    pub fn new(stream: impl Stream<Item = Result<ChatCompletionChunk>> + Send + 'static) -> Self {
        ChatStream(stream.boxed())
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<ChatCompletionChunk>> {
        self.0.next().await
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatCompletionChunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// The caller's stream. The last chunk is held until the end is known, so that it can carry what interfuse adds; usage
/// that the caller did not ask for is taken off.
pub(super) fn caller(
    open: Box<Open>,
    way: Way,
    with_usage: bool,
    recovery: Option<Box<Recovery>>,
    place: Option<Place>,
) -> ChatStream {
    let keeps = place.map(|place| Box::new((place, Assembler::default())));
    let state = Box::new(Caller { open, way, with_usage, recovery, keeps, held: None, over: false });
    ChatStream::new(unfold(state, |mut state| async move { state.next().await.map(|item| (item, state)) }))
}

/// An answer that is there already, as a stream.
pub(super) fn whole(mut answer: ChatCompletion, with_usage: bool) -> ChatStream {
    let meta = answer.interfuse.take();
    let mut chunks = crate::wire::chunks(answer);
    if !with_usage {
        chunks.retain_mut(|chunk| chunk.usage.take().is_none() || !chunk.choices.is_empty());
    }
    if let Some(last) = chunks.last_mut() {
        last.interfuse = meta;
    }
    ChatStream::new(futures_util::stream::iter(chunks.into_iter().map(Ok)))
}

/// The reading end of a stream.
struct Caller {
    open: Box<Open>,
    way: Way,
    with_usage: bool,
    recovery: Option<Box<Recovery>>,
    /// Where the answer is kept for others, and what has come of it.
    keeps: Option<Box<(Place, Assembler)>>,
    held: Option<ChatCompletionChunk>,
    over: bool,
}

impl Caller {
    async fn next(&mut self) -> Option<Result<ChatCompletionChunk>> {
        while !self.over {
            while let Some(chunk) = self.open.ready.pop_front() {
                if let Some(chunk) = self.pass(chunk) {
                    return Some(Ok(chunk));
                }
            }
            let failed = match self.open.failed.take() {
                Some(error) => Err(error),
                None if self.open.body.is_none() => {
                    self.over = true;
                    return self.end().map(Ok);
                }
                None => self.open.read().await,
            };
            if let Err(error) = failed {
                match self.recover(error).await {
                    Ok(None) => {}
                    Ok(Some(reset)) => return Some(Ok(reset)),
                    Err(error) => {
                        self.over = true;
                        return Some(Err(self.way.log.finish(error)));
                    }
                }
            }
        }
        None
    }

    /// What of a chunk goes to the caller now. The latest chunk that ends a choice or carries usage waits.
    fn pass(&mut self, mut chunk: ChatCompletionChunk) -> Option<ChatCompletionChunk> {
        if let Some(keeps) = &mut self.keeps {
            keeps.1.add(&chunk);
        }
        if !self.with_usage {
            chunk.usage = None;
            if chunk.choices.is_empty() {
                return None;
            }
        }
        let last_so_far = chunk.choices.is_empty() || chunk.choices.iter().any(|c| c.finish_reason.is_some());
        if last_so_far { self.held.replace(chunk) } else { Some(chunk) }
    }

    fn end(&mut self) -> Option<ChatCompletionChunk> {
        let open = &mut self.open;
        let cost = open.cost();
        if let Some(booking) = open.take_booking() {
            if let Some(attempt) = self.way.log.attempts.last_mut() {
                attempt.ms = booking.started().elapsed().as_millis() as u64;
                attempt.cost_nanos = cost.map(NanoUsd::nanos);
            }
            booking.answered();
        }
        self.way.log.costs.push(cost);
        let served = open.take_served();
        let mut last = self.held.take().unwrap_or_else(|| ChatCompletionChunk {
            object: "chat.completion.chunk".to_owned(),
            ..Default::default()
        });
        let meta = self.way.meta(served);
        if let Some((place, all)) = self.keeps.take().map(|keeps| *keeps) {
            let by = ResponseMeta { provider: meta.provider.clone(), model: meta.model.clone(), ..Default::default() };
            place.keep(&ChatCompletion { interfuse: Some(Box::new(by)), ..all.finish() });
        }
        last.interfuse = Some(Box::new(meta));
        Some(last)
    }

    /// Notes the failure of an attempt of which something was shown.
    fn note(&mut self, error: &Error) {
        let cost = self.open.cost();
        self.way.log.costs.push(cost);
        let booking = self.open.take_booking();
        if let Some(attempt) = self.way.log.attempts.last_mut() {
            attempt.error = Some(error.kind());
            attempt.message = Some(error.message().chars().take(500).collect());
            attempt.dispatch = Some(Dispatch::OutputSeen);
            attempt.cost_nanos = cost.map(NanoUsd::nanos);
            if let Some(booking) = &booking {
                attempt.ms = booking.started().elapsed().as_millis() as u64;
            }
        }
        if let Some(booking) = booking {
            booking.failed(error);
        }
    }

    /// Goes on after an interruption where the caller wants that. What to show for it, if anything.
    ///
    /// # Errors
    /// The interruption, where it stays at that.
    async fn recover(&mut self, error: Error) -> Result<Option<ChatCompletionChunk>> {
        self.note(&error);
        let Some(recovery) = &mut self.recovery else { return Err(error) };
        let Recovered { open, reset } = recovery.after(error, Broken::new(&self.open), &mut self.way).await?;
        self.open = open;
        self.held = None;
        if let (Some(keeps), true) = (&mut self.keeps, reset.is_some()) {
            keeps.1 = Assembler::default();
        }
        Ok(reset)
    }
}
