//! Cohere's `/v2/chat`.

mod error;
mod finish;
mod messages;
mod names;
mod raw;
mod request;
#[cfg(test)]
mod request_tests;
mod response;
mod stream;
#[cfg(test)]
mod stream_tests;
mod tools;

use super::{Encoded, Framing, Protocol, Reply, StreamDecoder, WireTarget};
use crate::error::{Error, Result};
use crate::types::{ChatCompletion, ChatRequest};
pub(super) use raw::usage as counts;

/// The wire.
#[derive(Debug, Clone, Copy)]
pub struct Cohere;

impl Protocol for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn encode(&self, request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
        request::encode(request, target, stream)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<ChatCompletion> {
        response::decode(reply.body, target)
    }

    fn decode_error(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Error {
        error::from_body(reply.status, reply.body, target)
    }

    fn decoder(&self, target: &WireTarget<'_>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(target))
    }
}
