//! Google's `generateContent`: Gemini and Gemma by AI Studio, and by Vertex AI.
//!
//! Both hosts speak the same; where Vertex differs, its row says so (`tool_call_ids = "absent"`). The model and the
//! method (`:generateContent`, `:streamGenerateContent?alt=sse`) stand in the address.

mod annotations;
mod config;
mod contents;
mod conversation;
mod error;
mod finish;
mod model;
mod partial;
mod raw;
mod request;
#[cfg(test)]
mod request_tests;
mod response;
mod schema;
mod stream;
#[cfg(test)]
mod stream_tests;
mod tools;
mod usage;

use super::{Encoded, Framing, Protocol, Reply, StreamDecoder, WireTarget};
use crate::error::{Error, Result};
use crate::types::{ChatCompletion, ChatRequest};
pub(super) use usage::read as counts;

/// The wire.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl Protocol for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
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
