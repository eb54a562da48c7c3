//! Anthropic Messages: the vendor itself, and hosts that speak the same with the model in the address (Vertex AI) or
//! under another name (Azure Foundry).

mod beta;
mod content;
pub(super) mod model;
mod raw;
mod request;
mod response;
mod schema;
mod stream;
mod tools;
mod usage;

#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod stream_tests;

use super::{Encoded, Framing, Protocol, Reply, StreamDecoder, WireTarget};
use crate::error::Result;
use crate::types::{ChatCompletion, ChatRequest};
pub(super) use usage::read as counts;

/// The wire.
#[derive(Debug, Clone, Copy)]
pub struct Anthropic;

impl Protocol for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn stops_at(&self, text: &str) -> bool {
        request::takes_stop(text)
    }

    fn encode(&self, request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
        request::encode(request, target, stream)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<ChatCompletion> {
        response::decode(reply.body, target)
    }

    fn continues(&self, target: &WireTarget<'_>) -> bool {
        target.quirks.continues && model::of(target.model).prefill
    }

    fn decoder(&self, target: &WireTarget<'_>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(target))
    }
}
