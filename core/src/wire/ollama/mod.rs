//! Ollama's own `/api/chat`: the one way to tell its server the size of the context (`options.num_ctx`).

mod error;
mod messages;
mod raw;
mod request;
#[cfg(test)]
mod request_tests;
mod response;
mod stream;
#[cfg(test)]
mod stream_tests;

use super::{Encoded, Framing, Protocol, Reply, StreamDecoder, WireTarget};
use crate::error::{Error, Result};
use crate::types::{ChatCompletion, ChatRequest};

/// The wire.
#[derive(Debug, Clone, Copy)]
pub struct Ollama;

impl Protocol for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
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
