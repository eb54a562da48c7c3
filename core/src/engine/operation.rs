//! What a call asks for. Targets, attempts, deadlines and booking are the same for all; what is written, where it goes
//! and how the answer is read are not.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use super::attempt::{complete, note_served_by, price, read_whole, told};
use super::booking::Booking;
use super::limits::Limits;
use super::reading::Open;
use super::{CallLog, Engine, Served, held};
use crate::backend::Api;
use crate::error::{Attempt, Error, ErrorKind, Result};
use crate::http::HttpResponse;
use crate::money::NanoUsd;
use crate::routing::{Need, Target};
use crate::types::{
    ChatCompletion, ChatRequest, EmbeddingRequest, EmbeddingResponse, Extra, Partial, Quirks, Terms, Usage,
};
use crate::wire::embeddings::{self, EmbeddingProtocol};
use crate::wire::{Encoded, Framing, Protocol, Reply, WireTarget, stop};

/// One kind of call.
pub(super) trait Operation: Sync {
    /// The table of wires it speaks.
    type Protocol: ?Sized + Sync + 'static;
    /// What an attempt brings that succeeds.
    type Answer: Answer;

    /// Where it goes and how long it may take.
    fn terms(&self) -> Terms<'_>;

    /// What routing may want to know of it.
    fn need(&self) -> &dyn Need;

    /// How a target speaks it.
    ///
    /// # Errors
    /// `unsupported` when the target does not.
    fn api<'t>(&self, target: &'t Target, engine: &Engine) -> Result<&'t Api<Self::Protocol>>;

    /// How the answer is cut into frames, where it is to be a stream; `watched`: its silence should be noticed early.
    fn framing(&self, _: &Self::Protocol, _: &WireTarget<'_>, _watched: bool) -> Option<Framing> {
        None
    }

    /// The request for a target.
    fn encode(&self, protocol: &Self::Protocol, wire: &WireTarget<'_>, stream: bool) -> Result<Encoded>;

    /// Reads what came with a status inside 200..300.
    fn read(&self, came: Came<'_, Self::Protocol>) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// What an attempt brings that succeeds.
pub(super) trait Answer {
    /// Books it, now or when its end has been read.
    fn settle(&mut self, booking: Booking, log: &mut CallLog, attempt: Attempt);
}

/// A response whose head is good.
pub(super) struct Came<'a, P: ?Sized + 'static> {
    pub response: HttpResponse,
    /// How it is cut into frames, where a stream was asked for.
    pub framing: Option<Framing>,
    pub limits: Limits,
    pub api: &'a Api<P>,
    pub wire: WireTarget<'a>,
    pub target: &'a Arc<Target>,
    pub served: Box<Served>,
    /// Seconds since 1970-01-01 UTC.
    pub now: u64,
    pub booking: &'a mut Booking,
}

impl<P: ?Sized> Came<'_, P> {
    async fn decoded<T>(&mut self, decode: impl FnOnce(&Reply<'_>, &WireTarget<'_>) -> Result<T>) -> Result<T> {
        let body: Bytes = read_whole(&mut self.response, &mut self.booking.bytes).await?;
        let reply = Reply { status: self.response.status, headers: &self.response.headers, body: &body };
        decode(&reply, &self.wire).map_err(|e| told(e, self.served.request_id.as_ref(), &body))
    }

    /// Notes what a complete answer used and cost, and who gave it.
    fn note(&mut self, usage: Option<&Usage>, extra: &Extra, service_tier: Option<&str>) {
        let quirks = self.api.quirks();
        note_served_by(&mut self.served.served_by, quirks.served_by.as_ref(), extra);
        let priced = price(self.target, quirks, usage, extra, service_tier, self.booking.now_ms());
        (self.served.cost, self.served.cost_source) = (priced.cost, priced.source);
        self.booking.served_by(self.served.served_by.as_ref());
        self.booking.usage(usage, priced);
    }
}

/// A complete answer.
pub(super) struct Whole<T> {
    pub answer: T,
    pub served: Box<Served>,
}

impl<T> Answer for Whole<T> {
    fn settle(&mut self, booking: Booking, log: &mut CallLog, mut attempt: Attempt) {
        booking.answered();
        let cost = self.served.cost;
        attempt.cost_nanos = cost.map(NanoUsd::nanos);
        log.attempts.push(attempt);
        log.costs.push(cost);
    }
}

impl Answer for Box<Open> {
    fn settle(&mut self, booking: Booking, log: &mut CallLog, attempt: Attempt) {
        log.attempts.push(attempt);
        self.made(booking, log.deadline, log.timeout);
    }
}

/// One whole chat answer.
///
/// Where there is another route, it is streamed inside: then a route that says nothing is noticed after seconds instead
/// of minutes. A lone route is asked for the whole, which costs a fraction of the work; an answer that breaks off is
/// asked for again either way, as nothing of it was shown.
pub(super) struct Chat<'a>(pub &'a ChatRequest);

impl Chat<'_> {
    /// Whether an answer put together from its stream is the one that would have come whole.
    fn streams_alike(&self, quirks: &Quirks) -> bool {
        let request = self.0;
        let tells_usage = quirks.ask_stream_usage() || quirks.stream_usage.is_some();
        quirks.stream_inside.unwrap_or(tells_usage)
            && request.n.unwrap_or(1) == 1
            && request.logprobs != Some(true)
            && !request.extra.contains_key("modalities")
            && !held::applies(request, quirks)
    }
}

impl Operation for Chat<'_> {
    type Protocol = dyn Protocol;
    type Answer = Whole<ChatCompletion>;

    fn terms(&self) -> Terms<'_> {
        self.0.terms()
    }

    fn need(&self) -> &dyn Need {
        self.0
    }

    fn api<'t>(&self, target: &'t Target, _: &Engine) -> Result<&'t Api> {
        Ok(&target.api)
    }

    fn framing(&self, protocol: &dyn Protocol, wire: &WireTarget<'_>, watched: bool) -> Option<Framing> {
        (watched && self.streams_alike(wire.quirks)).then(|| protocol.framing())
    }

    fn encode(&self, protocol: &dyn Protocol, wire: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
        protocol.encode(self.0, wire, stream)
    }

    async fn read(&self, mut came: Came<'_, dyn Protocol>) -> Result<Self::Answer> {
        let protocol = came.api.protocol;
        if let Some(framing) = came.framing {
            let decoder = stop::cutting(protocol.decoder(&came.wire), self.0, protocol);
            let mut open = Open::new(decoder, framing, came.response.body, came.target, came.served);
            open.limit(came.limits, came.booking.started(), came.now);
            let answer = open.whole(came.booking).await?;
            return Ok(Whole { answer, served: open.into_served() });
        }
        let mut answer = came.decoded(|reply, wire| protocol.decode(reply, wire)).await?;
        complete(&mut answer.id, &mut answer.model, &mut answer.created, came.target, came.now);
        came.booking.answers(&answer.id, &answer.model);
        came.note(answer.usage.as_ref(), &answer.extra, answer.service_tier.as_deref());
        stop::cut(&mut answer, self.0, protocol);
        held::check(self.0, &answer, &came.wire)?;
        Ok(Whole { answer, served: came.served })
    }
}

/// One streamed chat answer.
pub(super) struct StreamedChat<'a> {
    pub request: &'a ChatRequest,
    /// Asks for the rest of an answer in its place.
    pub rest: Option<Rest>,
}

/// A request for the rest of an answer.
pub(super) struct Rest {
    /// Ends with the beginning of the answer.
    pub request: ChatRequest,
    /// What the caller has seen of it.
    pub shown: Partial,
}

impl Operation for StreamedChat<'_> {
    type Protocol = dyn Protocol;
    type Answer = Box<Open>;

    fn terms(&self) -> Terms<'_> {
        self.request.terms()
    }

    fn need(&self) -> &dyn Need {
        self.request
    }

    fn api<'t>(&self, target: &'t Target, _: &Engine) -> Result<&'t Api> {
        Ok(&target.api)
    }

    fn framing(&self, protocol: &dyn Protocol, _: &WireTarget<'_>, _: bool) -> Option<Framing> {
        Some(protocol.framing())
    }

    fn encode(&self, protocol: &dyn Protocol, wire: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
        protocol.encode(self.rest.as_ref().map_or(self.request, |rest| &rest.request), wire, stream)
    }

    async fn read(&self, came: Came<'_, dyn Protocol>) -> Result<Self::Answer> {
        let protocol = came.api.protocol;
        let framing = protocol.framing();
        let decoder = stop::cutting(protocol.decoder(&came.wire), self.request, protocol);
        let mut open = Box::new(Open::new(decoder, framing, came.response.body, came.target, came.served));
        open.limit(came.limits, came.booking.started(), came.now);
        if let Some(rest) = &self.rest {
            open.continues(&rest.shown);
        }
        open.first_output(came.booking).await?;
        Ok(open)
    }
}

/// Embeddings of one or several inputs.
pub(super) struct Embeddings<'a>(pub &'a EmbeddingRequest);

impl Operation for Embeddings<'_> {
    type Protocol = dyn EmbeddingProtocol;
    type Answer = Whole<EmbeddingResponse>;

    fn terms(&self) -> Terms<'_> {
        self.0.terms()
    }

    fn need(&self) -> &dyn Need {
        self.0
    }

    fn api<'t>(&self, target: &'t Target, engine: &Engine) -> Result<&'t Api<dyn EmbeddingProtocol>> {
        target.endpoint.embeddings(&target.model).ok_or_else(|| {
            let id = target.endpoint.id();
            let others = engine.router().embedders().filter(|other| *other != id).collect::<Vec<_>>().join(", ");
            let why = format!("`{id}` gives no embeddings of `{}`; providers that give some: {others}", target.model);
            Error::new(ErrorKind::Unsupported, why)
        })
    }

    fn encode(&self, protocol: &dyn EmbeddingProtocol, wire: &WireTarget<'_>, _: bool) -> Result<Encoded> {
        protocol.encode(self.0, wire)
    }

    async fn read(&self, mut came: Came<'_, dyn EmbeddingProtocol>) -> Result<Self::Answer> {
        let protocol = came.api.protocol;
        let decode = |reply: &Reply<'_>, wire: &WireTarget<'_>| {
            embeddings::complete(protocol.decode(reply, wire)?, self.0, wire)
        };
        let answer = came.decoded(decode).await?;
        came.note(answer.usage.as_ref().map(Usage::from).as_ref(), &answer.extra, None);
        Ok(Whole { answer, served: came.served })
    }
}
