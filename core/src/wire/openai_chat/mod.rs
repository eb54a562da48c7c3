//! OpenAI Chat Completions, and every server that speaks it with declared deviations.

mod raw;
mod repeat;
mod request;
mod response;
mod stream;

use super::{Encoded, Framing, Protocol, Reply, StreamDecoder, WireTarget};
use crate::error::Result;
use crate::types::{ChatCompletion, ChatRequest};
pub(super) use raw::counts;

/// The wire.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiChat;

impl Protocol for OpenAiChat {
    fn name(&self) -> &'static str {
        "openai-chat"
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

    fn decoder(&self, target: &WireTarget<'_>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(target))
    }
}
