//! A stream: opened when its first output is there, ended by the vendor's terminal signal or by an error that carries
//! what had come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};

use super::attempt::{complete, note_served_by, price};
use super::booking::Booking;
use super::{CallLog, Served};
use crate::error::{Error, ErrorKind, Partial, Result};
use crate::http::{Body, Framer, MAX_EVENT, MAX_RESPONSE};
use crate::routing::Target;
use crate::types::{ChatCompletionChunk, Usage};
use crate::wire::StreamDecoder;

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

/// A stream being read.
pub(super) struct Open {
    decoder: Box<dyn StreamDecoder>,
    framer: Framer,
    /// `None` once it is read or given up, which closes the connection.
    body: Option<Body>,
    target: Arc<Target>,
    served: Served,
    /// Decoded and not yet handed on.
    ready: VecDeque<ChatCompletionChunk>,
    partial: Partial,
    usage: Option<Usage>,
    /// Set once the attempt counts as made.
    pub booking: Option<Booking>,
    saw_output: bool,
    failed: Option<Error>,
    /// What every chunk says of the answer, where the vendor does not.
    id: String,
    model: String,
    created: u64,
}

impl Open {
    pub fn new(decoder: Box<dyn StreamDecoder>, body: Body, target: Arc<Target>, served: Served, created: u64) -> Self {
        Open {
            decoder,
            framer: Framer::new(target.api.protocol.framing(), MAX_EVENT),
            body: Some(body),
            target,
            served,
            ready: VecDeque::new(),
            partial: Partial::default(),
            usage: None,
            booking: None,
            saw_output: false,
            failed: None,
            id: String::new(),
            model: String::new(),
            created,
        }
    }

    /// Reads until something the caller would see is there. Failures before it are the attempt's, not the caller's.
    pub async fn first_output(&mut self, booking: &mut Booking) -> Result<()> {
        while !self.saw_output && self.body.is_some() {
            self.read().await?;
        }
        if let Some(error) = self.failed.take_if(|_| !self.saw_output) {
            return Err(error);
        }
        self.served.ttft_ms = booking.first_output();
        Ok(())
    }

    /// Reads one piece of the body into `ready`.
    async fn read(&mut self) -> Result<()> {
        let Some(body) = &mut self.body else { return Ok(()) };
        let piece = body.next().await;
        let (decoder, mut new) = (&mut self.decoder, Vec::new());
        let mut on_event = |frame: crate::wire::Frame<'_>| decoder.frame(frame, &mut new);
        let (read, ended) = match piece {
            Some(Ok(piece)) => (self.framer.push(&piece, &mut on_event), false),
            Some(Err(e)) => (Err(e), true),
            None => (self.framer.finish(&mut on_event), true),
        };
        let over = ended || decoder.done() || read.is_err();
        // What a decoder held back for the end is there also when the connection breaks after the terminal signal.
        if over && (read.is_ok() || decoder.complete()) {
            decoder.finish(&mut new);
        }
        for chunk in new {
            self.note(chunk);
        }
        if over {
            self.body = None;
        }
        match read {
            // A connection that breaks after the terminal signal has cost nobody anything.
            Err(_) if self.decoder.complete() => Ok(()),
            Err(e) => self.fail(e),
            Ok(()) if self.body.is_none() && !self.decoder.complete() => {
                let why = "the answer ended without its terminal signal: the connection was closed half-way";
                self.fail(Error::new(ErrorKind::Interrupted, why))
            }
            Ok(()) => Ok(()),
        }
    }

    fn note(&mut self, mut chunk: ChatCompletionChunk) {
        if chunk.id.is_empty() || chunk.model.is_empty() || chunk.created == 0 {
            if self.id.is_empty() {
                let now = self.created;
                complete(&mut self.id, &mut self.model, &mut self.created, &self.target, now);
            }
            let fill = |mine: &str, its: &mut String| {
                if its.is_empty() {
                    mine.clone_into(its);
                }
            };
            fill(&self.id, &mut chunk.id);
            fill(&self.model, &mut chunk.model);
            if chunk.created == 0 {
                chunk.created = self.created;
            }
        }
        for choice in &chunk.choices {
            let d = &choice.delta;
            let said = |t: &Option<String>| t.as_ref().is_some_and(|t| !t.is_empty());
            self.saw_output |= said(&d.content)
                || said(&d.reasoning_content)
                || said(&d.refusal)
                || d.tool_calls.is_some()
                || choice.finish_reason.is_some();
            if choice.index == 0 && self.partial.text.len() < MAX_RESPONSE {
                self.partial.text.push_str(d.content.as_deref().unwrap_or_default());
                self.partial.reasoning.push_str(d.reasoning_content.as_deref().unwrap_or_default());
            }
        }
        if self.served.served_by.is_none() {
            note_served_by(&mut self.served.served_by, self.target.api.quirks().served_by.as_ref(), &chunk.extra);
        }
        if let Some(usage) = &chunk.usage {
            let priced = price(&self.target, self.target.api.quirks(), Some(usage), &chunk.extra);
            if let Some(booking) = &mut self.booking {
                booking.usage(Some(usage), priced);
            }
            self.served.priced = priced;
            self.usage = Some(usage.clone());
        }
        self.ready.push_back(chunk);
    }

    /// Keeps an error until everything before it is handed on.
    fn fail(&mut self, mut error: Error) -> Result<()> {
        let endpoint = &self.target.endpoint;
        error = endpoint.redact(error).with_provider(endpoint.id()).with_model(&self.target.model);
        if !self.saw_output {
            return Err(error);
        }
        let mut partial = std::mem::take(&mut self.partial);
        partial.usage = self.usage.as_ref().and_then(|u| serde_json::to_value(u).ok());
        // Whatever the cause, what the caller holds is an answer that stopped half-way.
        let body = error.body_mut();
        if body.kind != ErrorKind::Interrupted {
            body.message = format!("the answer stopped half-way ({}): {}", body.kind, body.message);
            body.code = body.code.take().or_else(|| Some(body.kind.as_str().to_owned()));
            body.kind = ErrorKind::Interrupted;
            body.retryable = false;
        }
        body.request_id = self.served.request_id.clone();
        self.failed = Some(error.with_partial(partial));
        Ok(())
    }

    /// The caller's stream. The last chunk is held until the end is known, so that it can carry what interfuse adds;
    /// usage that the caller did not ask for is taken off.
    pub fn into_stream(mut self: Box<Self>, log: CallLog, with_usage: bool) -> ChatStream {
        // Usage may have come before the booking was here.
        if let (Some(booking), Some(usage)) = (&mut self.booking, &self.usage) {
            booking.usage(Some(usage), self.served.priced);
        }
        let deadline = Box::pin(tokio::time::sleep_until(log.deadline));
        let state = Box::new(Caller { open: self, log, with_usage, held: None, deadline, over: false });
        ChatStream::new(unfold(state, |mut state| async move { state.next().await.map(|item| (item, state)) }))
    }
}

/// The reading end of a stream.
struct Caller {
    open: Box<Open>,
    log: CallLog,
    with_usage: bool,
    held: Option<ChatCompletionChunk>,
    deadline: Pin<Box<tokio::time::Sleep>>,
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
            if let Some(error) = self.open.failed.take() {
                return Some(Err(self.stop(error)));
            }
            if self.open.body.is_none() {
                self.over = true;
                return self.end().map(Ok);
            }
            let read = tokio::select! {
                biased;
                read = self.open.read() => read,
                () = &mut self.deadline => {
                    self.open.body = None;
                    let error = self.log.deadline_passed();
                    self.open.fail(error)
                }
            };
            if let Err(error) = read {
                return Some(Err(self.stop(error)));
            }
        }
        None
    }

    /// What of a chunk goes to the caller now. The latest chunk that ends a choice or carries usage waits.
    fn pass(&mut self, mut chunk: ChatCompletionChunk) -> Option<ChatCompletionChunk> {
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
        if let Some(booking) = open.booking.take() {
            if let Some(attempt) = self.log.attempts.last_mut() {
                attempt.ms = booking.started().elapsed().as_millis() as u64;
            }
            booking.answered();
        }
        self.log.costs.push(open.served.priced.cost);
        let served = std::mem::take(&mut open.served);
        let mut last = self.held.take().unwrap_or_else(|| ChatCompletionChunk {
            object: "chat.completion.chunk".to_owned(),
            ..Default::default()
        });
        last.interfuse = Some(Box::new(self.log.meta(served)));
        Some(last)
    }

    fn stop(&mut self, error: Error) -> Error {
        self.over = true;
        self.log.costs.push(self.open.served.priced.cost);
        if let Some(booking) = self.open.booking.take() {
            booking.failed(&error);
        }
        if let Some(attempt) = self.log.attempts.last_mut() {
            attempt.error = Some(error.kind());
            attempt.message = Some(error.message().chars().take(500).collect());
            attempt.dispatch = Some(crate::error::Dispatch::OutputSeen);
        }
        self.log.finish(error)
    }
}
