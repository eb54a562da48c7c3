//! The one door from fusion to the models, and what comes back through it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::engine::{CallContext, ChatStream, Engine};
use crate::error::{AttemptKind, Dispatch, Error, ErrorKind, Result};
use crate::types::{
    ChatCompletion, ChatRequest, ProviderChoice, ProviderPreferences, ResponseMeta, StreamOptions, Usage,
};
use crate::wire::Assembler;

use super::events::Events;

/// Whoever answers: the engine, or recorded answers.
pub(crate) trait Ask: Send + Sync + 'static {
    /// One answer, until `cx.deadline`.
    fn chat<'a>(&'a self, request: &'a ChatRequest, cx: &'a CallContext) -> BoxFuture<'a, Result<ChatCompletion>>;
    /// One streamed answer.
    fn stream<'a>(&'a self, request: &'a ChatRequest, cx: &'a CallContext) -> BoxFuture<'a, Result<ChatStream>>;
    /// Wall clock, milliseconds since 1970-01-01 UTC.
    fn unix_ms(&self) -> u64;
    /// What a model's prompts may hold (`text`, `image`, `audio`, ...); absent when that is unknown.
    fn takes(&self, _model: &str, _provider: Option<&ProviderChoice>) -> Option<Vec<String>> {
        None
    }
    /// What the call is likely to cost at most, nano-USD; absent when its price is unknown.
    fn estimate(&self, request: &ChatRequest, within: Option<&ProviderPreferences>) -> Option<u64>;
}

impl Ask for Engine {
    fn chat<'a>(&'a self, request: &'a ChatRequest, cx: &'a CallContext) -> BoxFuture<'a, Result<ChatCompletion>> {
        Engine::chat(self, request, cx).boxed()
    }

    fn stream<'a>(&'a self, request: &'a ChatRequest, cx: &'a CallContext) -> BoxFuture<'a, Result<ChatStream>> {
        Engine::stream(self, request, cx).boxed()
    }

    fn unix_ms(&self) -> u64 {
        self.clock().unix_ms()
    }

    fn takes(&self, model: &str, provider: Option<&ProviderChoice>) -> Option<Vec<String>> {
        let provider = match provider {
            Some(ProviderChoice::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        self.router().modalities(model, provider)
    }

    fn estimate(&self, request: &ChatRequest, within: Option<&ProviderPreferences>) -> Option<u64> {
        self.likely(request, within)
    }
}

/// What a call cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    Known(u64),
    Unknown,
}

impl Cost {
    pub fn nanos(self) -> Option<u64> {
        match self {
            Cost::Known(nanos) => Some(nanos),
            Cost::Unknown => None,
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Reply {
    pub result: Result<ChatCompletion>,
    pub started: Instant,
    pub latency_ms: u64,
}

/// Who hears a streamed answer as it comes.
pub(crate) trait Listener: Send {
    /// New text.
    fn text(&mut self, text: &str);
    /// All text so far is void: the answer starts anew.
    fn reset(&mut self);
}

/// Text that goes to the caller as it comes. It is never taken back: who streams so asks for no new start.
pub(crate) struct Live<'a> {
    pub events: &'a Events,
    /// Whether any was told.
    pub sent: bool,
}

impl Listener for Live<'_> {
    fn text(&mut self, text: &str) {
        self.sent = true;
        self.events.final_delta(text);
    }

    fn reset(&mut self) {}
}

/// The pieces in which a text came.
#[derive(Default)]
pub(crate) struct Pieces(pub Vec<String>);

impl Listener for Pieces {
    fn text(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    fn reset(&mut self) {
        self.0.clear();
    }
}

impl Reply {
    pub fn meta(&self) -> Option<&ResponseMeta> {
        self.result.as_ref().ok()?.interfuse.as_deref()
    }

    pub fn provider(&self) -> Option<String> {
        match &self.result {
            Ok(_) => self.meta().map(|m| m.provider.clone()).filter(|p| !p.is_empty()),
            Err(e) => e.body().provider.clone(),
        }
    }

    pub fn usage(&self) -> Option<&Usage> {
        self.result.as_ref().ok()?.usage.as_ref()
    }

    pub fn error(&self) -> Option<&Error> {
        self.result.as_ref().err()
    }

    /// Text of the answer, empty when there is none.
    pub fn text(&self) -> &str {
        self.result.as_ref().map(ChatCompletion::text).unwrap_or_default()
    }

    pub fn finish_reason(&self) -> Option<&str> {
        self.result.as_ref().ok()?.choices.first()?.finish_reason.as_deref()
    }

    /// A budget refused it: nobody was asked.
    pub fn refused(&self) -> bool {
        self.error().is_some_and(|e| e.kind() == ErrorKind::BudgetExceeded && e.body().attempts.is_empty())
    }

    pub fn attempts(&self) -> u32 {
        let attempts = match &self.result {
            Ok(_) => self.meta().map_or(1, |m| m.attempts.len().max(1)),
            Err(e) => e.body().attempts.len(),
        };
        u32::try_from(attempts).unwrap_or(u32::MAX)
    }

    /// Whether a second attempt was made beside the first.
    pub fn hedged(&self) -> bool {
        let attempts = match &self.result {
            Ok(_) => self.meta().map(|m| m.attempts.as_slice()).unwrap_or_default(),
            Err(e) => e.body().attempts.as_slice(),
        };
        attempts.iter().any(|a| a.kind == Some(AttemptKind::Hedge))
    }

    /// What it cost. A failed call cost nothing if each of its attempts was either never sent or refused with an HTTP
    /// status; otherwise the vendor may have billed it, so its cost is unknown.
    pub fn cost(&self) -> Cost {
        match &self.result {
            Ok(_) => self.meta().and_then(|m| m.cost_nanos).map_or(Cost::Unknown, Cost::Known),
            Err(e) => match e.body().cost_nanos {
                Some(nanos) => Cost::Known(nanos),
                None if unbilled(e) => Cost::Known(0),
                None => Cost::Unknown,
            },
        }
    }
}

fn unbilled(error: &Error) -> bool {
    let body = error.body();
    let refused = |status: Option<u16>| status.is_some_and(|s| s >= 400);
    let free = body.attempts.iter().all(|a| refused(a.status) || a.dispatch == Some(Dispatch::NotSent));
    // Without any attempt the call was refused before it was sent, unless time ran out under it.
    free && (!body.attempts.is_empty()
        || refused(body.status)
        || !matches!(body.kind, ErrorKind::DeadlineExceeded | ErrorKind::Timeout | ErrorKind::Cancelled))
}

/// The engine ends a call at its deadline by itself and books it; this is how much later a call that did not is dropped.
const GUARD: Duration = Duration::from_millis(250);

/// Makes one call that is over by `limit`.
pub(crate) async fn call(ask: Arc<dyn Ask>, request: ChatRequest, mut cx: CallContext, limit: Instant) -> Reply {
    cx.deadline = Some(limit);
    let started = Instant::now();
    let result = tokio::time::timeout_at(limit + GUARD, ask.chat(&request, &cx)).await;
    Reply { result: in_time(result, started, limit), started, latency_ms: ms(started.elapsed()) }
}

/// Makes one streamed call that is over by `limit`; its text is heard as it comes.
pub(crate) async fn call_streamed(
    ask: Arc<dyn Ask>,
    mut request: ChatRequest,
    mut cx: CallContext,
    limit: Instant,
    listener: &mut dyn Listener,
) -> Reply {
    cx.deadline = Some(limit);
    // Usage is the report's, whether or not the caller wants to see it.
    request.stream_options = Some(StreamOptions { include_usage: Some(true), ..Default::default() });
    let started = Instant::now();
    let read = async {
        let mut stream = ask.stream(&request, &cx).await?;
        let mut whole = Assembler::default();
        let mut meta = None;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            if chunk.interfuse.as_ref().is_some_and(|meta| meta.reset.is_some()) {
                whole = Assembler::default();
                listener.reset();
                continue;
            }
            if !chunk.text().is_empty() {
                listener.text(chunk.text());
            }
            whole.add(&chunk);
            meta = chunk.interfuse.or(meta);
        }
        let mut answer = whole.finish();
        answer.interfuse = meta;
        Ok(answer)
    };
    let result = tokio::time::timeout_at(limit + GUARD, read).await;
    Reply { result: in_time(result, started, limit), started, latency_ms: ms(started.elapsed()) }
}

/// The result; if the call's share of the fusion's deadline ran out, in words that say so.
fn in_time(
    result: std::result::Result<Result<ChatCompletion>, Elapsed>,
    started: Instant,
    limit: Instant,
) -> Result<ChatCompletion> {
    let allowed = ms(limit.saturating_duration_since(started));
    let message = format!("no answer within {allowed} ms, its share of the fusion's deadline or its own `timeout_ms`");
    match result {
        Ok(Err(mut error)) if error.kind() == ErrorKind::DeadlineExceeded && Instant::now() >= limit => {
            error.body_mut().message = message;
            Err(error)
        }
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::DeadlineExceeded, message)),
    }
}

pub(crate) fn ms(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
