//! Reading one streamed answer: its frames, its limits, its end. It is complete by the vendor's terminal signal only;
//! anything else is an error that carries what had come.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Served;
use super::attempt::{complete, note_served_by, price, too_large};
use super::booking::Booking;
use super::limits::Limits;
use super::seam::Seam;
use crate::error::{Error, ErrorKind, Partial, Result};
use crate::http::{Body, Framer, MAX_EVENT, MAX_RESPONSE};
use crate::ledger::Priced;
use crate::money::NanoUsd;
use crate::routing::Target;
use crate::types::{ChatCompletion, ChatCompletionChunk, Timeout, Usage};
use crate::wire::{Assembler, Frame, Framing, StreamDecoder};

/// What is held back before the first output, at most: chunks, and bytes of the body.
const HELD: (usize, u64) = (64, 256 << 10);

/// How long a server is waited for that has ended its answer and leaves the connection open: while usage may yet come,
/// and once it is there.
const LINGER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

/// A stream being read.
pub(super) struct Open {
    decoder: Box<dyn StreamDecoder>,
    framer: Framer,
    /// `None` once it is read or given up, which closes the connection.
    pub body: Option<Body>,
    target: Arc<Target>,
    served: Box<Served>,
    /// What the usage told last costs.
    priced: Priced,
    /// Decoded and not yet handed on.
    pub ready: VecDeque<ChatCompletionChunk>,
    pub partial: Partial,
    usage: Option<Usage>,
    /// Set once the attempt counts as made.
    booking: Option<Booking>,
    saw_output: bool,
    pub failed: Option<Error>,
    seam: Option<Seam>,
    patience: Patience,
    /// Bytes of the body that have come.
    bytes: u64,
    /// What every chunk says of the answer, where the vendor does not.
    id: String,
    model: String,
    created: u64,
}

/// How long the next piece is waited for. One timer serves all limits: it is moved only when it fires early, and the
/// clock is read only when the body makes us wait.
struct Patience {
    started: Instant,
    first_token: Option<Duration>,
    idle: Option<Duration>,
    /// When the call must be over, and how long it may take; set once the attempt counts as made.
    call: Option<(Instant, Duration)>,
    /// Since when nothing was said.
    silent: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Open {
    pub fn new(
        decoder: Box<dyn StreamDecoder>,
        framing: Framing,
        body: Body,
        target: &Arc<Target>,
        served: Box<Served>,
    ) -> Self {
        let patience =
            Patience { started: Instant::now(), first_token: None, idle: None, call: None, silent: None, timer: None };
        Open {
            decoder,
            framer: Framer::new(framing, MAX_EVENT),
            body: Some(body),
            target: target.clone(),
            served,
            priced: Priced::default(),
            ready: VecDeque::new(),
            partial: Partial::default(),
            usage: None,
            booking: None,
            saw_output: false,
            failed: None,
            seam: None,
            patience,
            bytes: 0,
            id: String::new(),
            model: String::new(),
            created: 0,
        }
    }

    /// Limits of the attempt, when it began, and the seconds since 1970-01-01 UTC now.
    pub fn limit(&mut self, limits: Limits, started: Instant, now: u64) {
        let patience = &mut self.patience;
        (patience.started, patience.first_token, patience.idle) = (started, limits.first_token, Some(limits.idle));
        self.created = now;
    }

    /// It continues an answer of which this was shown.
    pub fn continues(&mut self, shown: &Partial) {
        self.seam = Some(Seam::new(&shown.text));
        self.partial.text.clone_from(&shown.text);
        self.partial.reasoning.clone_from(&shown.reasoning);
    }

    /// The attempt counts as made; the rest is read under the call's own deadline, which an outer timer no longer holds.
    pub fn made(&mut self, mut booking: Booking, deadline: Instant, timeout: Duration) {
        booking.served_by(self.served.served_by.as_ref());
        // Usage may have come before the booking was here.
        if let Some(usage) = &self.usage {
            booking.usage(Some(usage), self.priced.clone());
        }
        self.booking = Some(booking);
        self.patience.call = Some((deadline, timeout));
    }

    /// Reads until something the caller would see is there. Failures before it are the attempt's, not the caller's.
    pub async fn first_output(&mut self, booking: &mut Booking) -> Result<()> {
        while !self.saw_output && self.body.is_some() {
            let read = self.read().await;
            booking.bytes = self.bytes;
            read?;
            // A server that says so much before its answer is believed to be giving one.
            self.saw_output |= self.ready.len() > HELD.0 || (!self.ready.is_empty() && self.bytes > HELD.1);
        }
        if let Some(error) = self.failed.take_if(|_| !self.saw_output) {
            return Err(error);
        }
        if let Some(first) = self.ready.front() {
            booking.answers(&first.id, &first.model);
        }
        self.served.ttft_ms = booking.first_output();
        Ok(())
    }

    /// Reads all of it.
    pub async fn whole(&mut self, booking: &mut Booking) -> Result<ChatCompletion> {
        let mut all = Assembler::default();
        loop {
            if self.saw_output && self.served.ttft_ms.is_none() {
                self.served.ttft_ms = booking.first_output();
            }
            while let Some(chunk) = self.ready.pop_front() {
                booking.answers(&chunk.id, &chunk.model);
                all.add(&chunk);
            }
            if let Some(usage) = &self.usage {
                booking.served_by(self.served.served_by.as_ref());
                booking.usage(Some(usage), self.priced.clone());
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.body.is_none() {
                return Ok(all.finish());
            }
            let read = self.read().await;
            booking.bytes = self.bytes;
            read?;
            if self.bytes > MAX_RESPONSE as u64 {
                return Err(too_large());
            }
        }
    }

    /// What is known of who answers.
    pub fn into_served(self) -> Box<Served> {
        self.served
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn take_served(&mut self) -> Box<Served> {
        std::mem::take(&mut self.served)
    }

    pub fn take_booking(&mut self) -> Option<Booking> {
        self.booking.take()
    }

    pub fn cost(&self) -> Option<NanoUsd> {
        self.served.cost
    }

    /// Reads one piece of the body into `ready`.
    pub async fn read(&mut self) -> Result<()> {
        if self.body.is_none() {
            return Ok(());
        }
        let piece = poll_fn(|cx| self.poll_piece(cx)).await;
        let (decoder, mut new) = (&mut self.decoder, Vec::new());
        let mut on_event = |frame: Frame<'_>| decoder.frame(frame, &mut new);
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

    /// The next piece of the body; an error where it takes too long; the end where the answer is complete and the server
    /// only keeps the connection.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        if let Poll::Ready(piece) = Pin::new(body).poll_next(cx) {
            if let Some(Ok(piece)) = &piece {
                self.bytes += piece.len() as u64;
            }
            return Poll::Ready(piece);
        }
        let complete = self.decoder.complete();
        let patience = &mut self.patience;
        let since = if self.saw_output || complete {
            *patience.silent.get_or_insert_with(Instant::now)
        } else {
            patience.started
        };
        let (limit, which) = match (complete, self.saw_output) {
            (true, _) => (Some(if self.usage.is_some() { LINGER.1 } else { LINGER.0 }), None),
            (false, true) => (patience.idle, Some(Timeout::Idle)),
            (false, false) => (patience.first_token, Some(Timeout::FirstToken)),
        };
        let limited = limit.map(|limit| since + limit);
        let Some(due) = limited.into_iter().chain(patience.call.map(|(end, _)| end)).min() else {
            return Poll::Pending;
        };
        let timer = patience.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // An earlier end than the timer knows cannot wait until it fires.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now < due {
                timer.as_mut().reset(due);
                continue;
            }
            if let (Some(limit), Some(limited)) = (limit, limited)
                && now >= limited
            {
                return Poll::Ready(which.map(|which| Err(which.fired(limit, now - since, self.bytes))));
            }
            let (end, whole) = patience.call.unwrap_or((now, Duration::ZERO));
            let begun = end.checked_sub(whole).unwrap_or(patience.started);
            return Poll::Ready(Some(Err(Timeout::Total.fired(whole, now.duration_since(begun), self.bytes))));
        }
        Poll::Pending
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
        if self.seam.is_some() {
            self.join(&mut chunk);
        }
        let mut says = chunk.usage.is_some();
        for choice in &chunk.choices {
            let d = &choice.delta;
            let said = |t: &Option<String>| t.as_ref().is_some_and(|t| !t.is_empty());
            let output = said(&d.content)
                || said(&d.reasoning_content)
                || said(&d.refusal)
                || d.tool_calls.is_some()
                || choice.finish_reason.is_some();
            self.saw_output |= output;
            says |= output || !d.extra.is_empty();
            if choice.index == 0 && self.partial.text.len() < MAX_RESPONSE {
                self.partial.text.push_str(d.content.as_deref().unwrap_or_default());
                self.partial.reasoning.push_str(d.reasoning_content.as_deref().unwrap_or_default());
            }
        }
        if says {
            self.patience.silent = None;
        }
        if self.served.served_by.is_none() {
            note_served_by(&mut self.served.served_by, self.target.api.quirks().served_by.as_ref(), &chunk.extra);
        }
        if let Some(usage) = &chunk.usage {
            let (quirks, tier) = (self.target.api.quirks(), chunk.service_tier.as_deref());
            let now = self.booking.as_ref().map_or(self.created * 1000, Booking::now_ms);
            let priced = price(&self.target, quirks, Some(usage), &chunk.extra, tier, now);
            if let Some(booking) = &mut self.booking {
                booking.usage(Some(usage), priced.clone());
            }
            (self.served.cost, self.served.cost_source) = (priced.cost, priced.source);
            self.priced = priced;
            self.usage = Some(usage.clone());
        }
        self.ready.push_back(chunk);
    }

    /// Takes off what a continuation says again.
    fn join(&mut self, chunk: &mut ChatCompletionChunk) {
        let Some(seam) = &mut self.seam else { return };
        let Some(choice) = chunk.choices.iter_mut().find(|c| c.index == 0) else { return };
        let text = choice.delta.content.take().unwrap_or_default();
        let ends = choice.finish_reason.is_some();
        let new =
            if text.is_empty() && !ends { None } else { seam.push(&text).or_else(|| ends.then(|| seam.release())) };
        if let Some(new) = new {
            choice.delta.content = Some(new);
            self.seam = None;
        }
    }

    /// Keeps an error until everything before it is handed on.
    fn fail(&mut self, mut error: Error) -> Result<()> {
        let endpoint = &self.target.endpoint;
        error = endpoint.redact(error).with_provider(endpoint.id()).with_model(&self.target.model);
        if !self.saw_output {
            return Err(error);
        }
        let mut partial = self.partial.clone();
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
}
