//! OpenAI's Responses API, for models that are served only there.

mod items;
mod raw;
mod request;
mod response;
mod stream;
mod tools;

#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod stream_tests;

use super::{Encoded, Framing, Protocol, Reply, StreamDecoder, WireTarget};
use crate::error::Result;
use crate::types::{ChatCompletion, ChatRequest};
pub(super) use raw::usage as counts;

/// The wire.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiResponses;

impl Protocol for OpenAiResponses {
    fn name(&self) -> &'static str {
        "openai-responses"
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn stops_at(&self, _: &str) -> bool {
        false
    }

    fn encode(&self, request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
        request::encode(request, target, stream)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<ChatCompletion> {
        response::decode(reply.body, target)
    }

    fn decoder(&self, target: &WireTarget<'_>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(target))
    }
}
