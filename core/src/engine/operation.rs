//! What a call asks for. Targets, attempts, deadlines and booking are the same for all; what is written, where it goes
//! and how the answer is read are not.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use super::attempt::{complete, note_served_by, price, read_whole, told};
use super::booking::Booking;
use super::stream::Open;
use super::{CallLog, Engine, Served, held};
use crate::backend::Api;
use crate::error::{Error, ErrorKind, Result};
use crate::http::HttpResponse;
use crate::routing::{Need, Target};
use crate::types::{ChatCompletion, ChatRequest, EmbeddingRequest, EmbeddingResponse, Extra, Terms, Usage};
use crate::wire::embeddings::{self, EmbeddingProtocol};
use crate::wire::{Encoded, Framing, Protocol, Reply, WireTarget};

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

    /// How the answer is cut into frames, where it is a stream.
    fn framing(&self, _: &Self::Protocol) -> Option<Framing> {
        None
    }

    /// The request for a target.
    fn encode(&self, protocol: &Self::Protocol, wire: &WireTarget<'_>) -> Result<Encoded>;

    /// Reads what came with a status inside 200..300.
    fn read(&self, came: Came<'_, Self::Protocol>) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// What an attempt brings that succeeds.
pub(super) trait Answer {
    /// Books it, now or when its end has been read.
    fn settle(&mut self, booking: Booking, log: &mut CallLog);
}

/// A response whose head is good.
pub(super) struct Came<'a, P: ?Sized + 'static> {
    pub response: HttpResponse,
    pub api: &'a Api<P>,
    pub wire: WireTarget<'a>,
    pub target: &'a Arc<Target>,
    pub served: Served,
    /// Seconds since 1970-01-01 UTC.
    pub now: u64,
    pub booking: &'a mut Booking,
}

impl<P: ?Sized> Came<'_, P> {
    async fn decoded<T>(&mut self, decode: impl FnOnce(&Reply<'_>, &WireTarget<'_>) -> Result<T>) -> Result<T> {
        let body: Bytes = read_whole(&mut self.response).await?;
        let reply = Reply { status: self.response.status, headers: &self.response.headers, body: &body };
        decode(&reply, &self.wire).map_err(|e| told(e, self.served.request_id.as_ref(), &body))
    }

    /// Notes what a complete answer used and cost, and who gave it.
    fn note(&mut self, usage: Option<&Usage>, extra: &Extra) {
        let quirks = self.api.quirks();
        note_served_by(&mut self.served.served_by, quirks.served_by.as_ref(), extra);
        self.served.priced = price(self.target, quirks, usage, extra);
        self.booking.usage(usage, self.served.priced);
    }
}

/// A complete answer.
pub(super) struct Whole<T> {
    pub answer: T,
    pub served: Served,
}

impl<T> Answer for Whole<T> {
    fn settle(&mut self, booking: Booking, log: &mut CallLog) {
        booking.answered();
        log.costs.push(self.served.priced.cost);
    }
}

impl Answer for Box<Open> {
    fn settle(&mut self, booking: Booking, _: &mut CallLog) {
        self.booking = Some(booking);
    }
}

/// One whole chat answer.
pub(super) struct Chat<'a>(pub &'a ChatRequest);

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

    fn encode(&self, protocol: &dyn Protocol, wire: &WireTarget<'_>) -> Result<Encoded> {
        protocol.encode(self.0, wire, false)
    }

    async fn read(&self, mut came: Came<'_, dyn Protocol>) -> Result<Self::Answer> {
        let protocol = came.api.protocol;
        let mut answer = came.decoded(|reply, wire| protocol.decode(reply, wire)).await?;
        complete(&mut answer.id, &mut answer.model, &mut answer.created, came.target, came.now);
        came.note(answer.usage.as_ref(), &answer.extra);
        held::check(self.0, &answer, &came.wire)?;
        Ok(Whole { answer, served: came.served })
    }
}

/// One streamed chat answer.
pub(super) struct StreamedChat<'a>(pub &'a ChatRequest);

impl Operation for StreamedChat<'_> {
    type Protocol = dyn Protocol;
    type Answer = Box<Open>;

    fn terms(&self) -> Terms<'_> {
        self.0.terms()
    }

    fn need(&self) -> &dyn Need {
        self.0
    }

    fn api<'t>(&self, target: &'t Target, _: &Engine) -> Result<&'t Api> {
        Ok(&target.api)
    }

    fn framing(&self, protocol: &dyn Protocol) -> Option<Framing> {
        Some(protocol.framing())
    }

    fn encode(&self, protocol: &dyn Protocol, wire: &WireTarget<'_>) -> Result<Encoded> {
        protocol.encode(self.0, wire, true)
    }

    async fn read(&self, came: Came<'_, dyn Protocol>) -> Result<Self::Answer> {
        let decoder = came.api.protocol.decoder(&came.wire);
        let mut open = Box::new(Open::new(decoder, came.response.body, came.target.clone(), came.served, came.now));
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

    fn encode(&self, protocol: &dyn EmbeddingProtocol, wire: &WireTarget<'_>) -> Result<Encoded> {
        protocol.encode(self.0, wire)
    }

    async fn read(&self, mut came: Came<'_, dyn EmbeddingProtocol>) -> Result<Self::Answer> {
        let protocol = came.api.protocol;
        let decode = |reply: &Reply<'_>, wire: &WireTarget<'_>| {
            embeddings::complete(protocol.decode(reply, wire)?, self.0, wire)
        };
        let answer = came.decoded(decode).await?;
        came.note(answer.usage.as_ref().map(Usage::from).as_ref(), &answer.extra);
        Ok(Whole { answer, served: came.served })
    }
}
