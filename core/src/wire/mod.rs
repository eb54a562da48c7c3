//! How each vendor speaks: requests to bytes, bytes to responses. Pure: no IO, no async, no clock.
//!
//! A wire writes bodies and reads them. Where they go (address, path, credential) stands in the provider's catalogue row.

pub mod anthropic;
mod assemble;
pub mod bedrock;
mod body;
mod call_ids;
pub mod classify;
pub mod cohere;
pub mod embeddings;
pub mod emit;
pub mod failure;
pub mod fields;
pub mod gemini;
mod history;
pub mod ollama;
mod open;
pub mod openai_chat;
pub mod openai_responses;
pub mod state;
pub mod stop;
pub mod usage;

use http::HeaderMap;

use crate::error::{Error, Result};
use crate::types::{ChatCompletion, ChatCompletionChunk, ChatRequest, Quirks};

pub use assemble::{Assembler, chunks};

/// One vendor wire. Adding one is one file here, one entry in [`PROTOCOLS`], one catalogue row.
pub trait Protocol: Send + Sync {
    /// Name in the catalogue's `wire` field.
    fn name(&self) -> &'static str;

    /// How the body of a stream is cut into frames.
    fn framing(&self) -> Framing;

    /// Whether the vendor ends an answer at this text, where the request names it; [`stop`] does it otherwise.
    fn stops_at(&self, _text: &str) -> bool {
        true
    }

    /// A request for this target.
    ///
    /// # Errors
    /// `unsupported` when the target cannot honour a field that changes the answer.
    fn encode(&self, request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded>;

    /// A complete answer. What the vendor does not tell stays empty (`id`, `model`) or 0 (`created`); the engine fills it.
    ///
    /// # Errors
    /// `decode` when the body is not what the wire promises; the vendor's own error when a 200 carries one.
    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<ChatCompletion>;

    /// The error behind a status outside 200..300.
    fn decode_error(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Error {
        failure::from_body(reply.status, reply.body, target)
    }

    /// Whether this target goes on with a beginning of the answer that a request ends with.
    fn continues(&self, target: &WireTarget<'_>) -> bool {
        target.quirks.continues
    }

    /// A decoder for one stream.
    fn decoder(&self, target: &WireTarget<'_>) -> Box<dyn StreamDecoder>;
}

/// Every wire.
pub const PROTOCOLS: &[&dyn Protocol] = &[
    &openai_chat::OpenAiChat,
    &openai_responses::OpenAiResponses,
    &anthropic::Anthropic,
    &gemini::Gemini,
    &bedrock::BedrockConverse,
    &cohere::Cohere,
    &ollama::Ollama,
];

/// The wire of this name.
pub fn protocol(name: &str) -> Option<&'static dyn Protocol> {
    PROTOCOLS.iter().copied().find(|p| p.name() == name)
}

/// To whom a request goes.
#[derive(Debug, Clone, Copy)]
pub struct WireTarget<'a> {
    /// Provider id.
    pub provider: &'a str,
    /// Model id as the provider calls it.
    pub model: &'a str,
    /// Declared deviations.
    pub quirks: &'a Quirks,
}

impl WireTarget<'_> {
    /// The error, with who it is about.
    pub fn at(&self, error: Error) -> Error {
        error.with_provider(self.provider).with_model(self.model)
    }
}

/// A target kept for as long as its stream is read.
#[derive(Debug)]
struct KeptTarget {
    provider: String,
    model: String,
    quirks: Quirks,
}

impl KeptTarget {
    fn new(target: &WireTarget<'_>) -> Self {
        KeptTarget {
            provider: target.provider.to_owned(),
            model: target.model.to_owned(),
            quirks: target.quirks.clone(),
        }
    }

    fn get(&self) -> WireTarget<'_> {
        WireTarget { provider: &self.provider, model: &self.model, quirks: &self.quirks }
    }
}

/// How the body of a stream is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON object per line.
    Ndjson,
    /// Amazon's binary `application/vnd.amazon.eventstream`.
    AwsEventStream,
}

/// An encoded request.
#[derive(Debug, Default)]
pub struct Encoded {
    /// The body.
    pub body: Vec<u8>,
    /// Headers that this one request needs (beta features, ...), beside those of the provider's row.
    pub headers: Vec<(&'static str, String)>,
    /// Fields that were left out because this target does not take them; none of them changes the answer.
    pub dropped: Vec<String>,
}

/// A complete response as it came.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// Status.
    pub status: u16,
    /// Headers: some vendors tell error types and token counts only there.
    pub headers: &'a HeaderMap,
    /// Body.
    pub body: &'a [u8],
}

/// One frame of a stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Frame<'a> {
    /// Name of the event, empty when it has none; of an Amazon frame its event or exception type.
    pub event: &'a str,
    /// The payload.
    pub data: &'a [u8],
    /// The framing itself calls this an error or an exception (Amazon's `:message-type`).
    pub fault: bool,
}

/// Turns the frames of one stream into chunks.
pub trait StreamDecoder: Send {
    /// Takes one frame; new chunks go to `out`.
    ///
    /// # Errors
    /// The vendor's error when the frame is one; `decode` when it is not what the wire promises.
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<ChatCompletionChunk>) -> Result<()>;

    /// The body is over: what was held back for its end goes to `out`.
    fn finish(&mut self, _out: &mut Vec<ChatCompletionChunk>) {}

    /// Whether the stream has said that it is complete. Asked after [`StreamDecoder::finish`], too.
    fn complete(&self) -> bool;

    /// Whether nothing more is to be expected, so that the body need not be read to its end.
    fn done(&self) -> bool;
}
