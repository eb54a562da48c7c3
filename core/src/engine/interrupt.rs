//! What follows when a stream breaks off of which something was shown already: the answer from its beginning, or the rest
//! of it, as the caller chose.

use std::time::Duration;

use super::course::Step;
use super::entry;
use super::operation::{Rest, StreamedChat};
use super::reading::Open;
use super::{Call, CallContext, Engine, Way};
use crate::error::{Error, ErrorKind, Partial, Result};
use crate::routing::Target;
use crate::types::{ChatCompletionChunk, ChatRequest, Message, OnInterrupt, Piece, Reset, ResponseMeta, Role};
use crate::wire::WireTarget;

/// What going on takes.
pub(super) struct Recovery {
    engine: Engine,
    request: ChatRequest,
    cx: CallContext,
    how: OnInterrupt,
}

/// An answer that broke off.
pub(super) struct Broken {
    shown: Partial,
    by: Piece,
}

impl Broken {
    pub fn new(open: &Open) -> Self {
        Broken { shown: open.partial.clone(), by: piece(open.target()) }
    }
}

/// An answer that goes on.
pub(super) struct Recovered {
    pub open: Box<Open>,
    /// What tells the caller to throw away what it has; `None` where that stays.
    pub reset: Option<ChatCompletionChunk>,
}

impl Recovery {
    pub fn new(engine: &Engine, request: &ChatRequest, cx: &CallContext, how: OnInterrupt) -> Box<Self> {
        Box::new(Recovery { engine: engine.clone(), request: request.clone(), cx: cx.clone(), how })
    }

    /// Asks again after an interruption that is noted already.
    ///
    /// # Errors
    /// The interruption, when nobody gives the rest: that is the cause, and what was tried then stands in `attempts`.
    pub async fn after(&mut self, cause: Error, broken: Broken, way: &mut Way) -> Result<Recovered> {
        let retries = &self.engine.0.config.retries;
        let mut error = cause.clone();
        if let (OnInterrupt::Continue, Some(spending)) = (self.how, &mut way.spending) {
            spending.longer(broken.shown.text.len());
        }
        // A continuation that was refused says nothing of the request itself, nor of the target.
        let mut refused = false;
        loop {
            let step = if refused { Step::Again(Duration::ZERO) } else { way.after(&error, retries) };
            let wait = match step {
                Step::Again(wait) => wait,
                Step::Move(_) => Duration::ZERO,
                Step::Stop => return Err(cause),
            };
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let entry = match entry::enter(&self.engine, way, None, &self.request).await {
                Ok(Some(entry)) if way.course.begin() => entry,
                _ => return Err(cause),
            };
            let continues = self.how == OnInterrupt::Continue && !refused;
            let target = way.plan.routes.at(way.course.place).target;
            let rest = if continues { rest(&self.request, target, &broken.shown) } else { None };
            let continued = rest.is_some();
            let operation = StreamedChat { request: &self.request, rest };
            let mut call = Call { engine: &self.engine, operation, cx: &self.cx, way: &mut *way };
            match call.attempt(entry, wait).await {
                Ok(open) if continued => {
                    let pieces = &mut way.log.pieces;
                    if pieces.is_empty() {
                        pieces.push(broken.by);
                    }
                    pieces.push(piece(open.target()));
                    return Ok(Recovered { open, reset: None });
                }
                Ok(open) => {
                    way.log.pieces.clear();
                    let reset = Some(reset(&cause, open.target()));
                    return Ok(Recovered { open, reset });
                }
                Err(e) => {
                    refused = continued && matches!(e.kind(), ErrorKind::InvalidRequest | ErrorKind::Unsupported);
                    error = e;
                }
            }
        }
    }
}

/// The request that asks a target for the rest of an answer; `None` where that would not be its rest.
fn rest(request: &ChatRequest, target: &Target, shown: &Partial) -> Option<Rest> {
    let api = &target.api;
    let wire = WireTarget { provider: target.endpoint.id(), model: &target.model, quirks: api.quirks() };
    let text_only = request.tools.is_none()
        && request.response_format.is_none()
        && request.logprobs != Some(true)
        && request.n.unwrap_or(1) == 1
        // Thoughts that were shown belong to a beginning that no other target takes.
        && shown.reasoning.is_empty();
    let text = shown.text.trim_end();
    if !text_only || text.is_empty() || !api.protocol.continues(&wire) {
        return None;
    }
    let mut request = request.clone();
    let mut message = Message::text(Role::Assistant, text);
    if let Some(field) = &api.quirks().continues_field {
        message.extra.insert(field.clone(), true.into());
    }
    request.messages.push(message);
    Some(Rest { request, shown: shown.clone() })
}

fn piece(target: &Target) -> Piece {
    Piece { provider: target.endpoint.id().to_owned(), model: target.model.clone() }
}

fn reset(cause: &Error, target: &Target) -> ChatCompletionChunk {
    let body = cause.body();
    let meta = ResponseMeta {
        provider: target.endpoint.id().to_owned(),
        model: target.model.clone(),
        reset: Some(Reset { error: body.kind, message: body.message.clone() }),
        ..Default::default()
    };
    ChatCompletionChunk {
        object: "chat.completion.chunk".to_owned(),
        model: target.model.clone(),
        interfuse: Some(Box::new(meta)),
        ..Default::default()
    }
}
