//! How each vendor speaks: requests to bytes, bytes to responses. Pure: no IO, no async, no clock.

mod assemble;
pub mod classify;
pub mod openai_chat;

use crate::error::{Error, Result};
use crate::types::{ChatCompletion, ChatCompletionChunk, ChatRequest, Quirks};

pub use assemble::Assembler;

/// One vendor wire. Adding one is one file here, one entry in [`PROTOCOLS`], one catalogue row.
pub trait Protocol: Send + Sync {
    /// Name in the catalogue's `wire` field.
    fn name(&self) -> &'static str;

    /// How the body of a stream is cut into frames.
    fn framing(&self) -> Framing;

    /// A request for this target.
    ///
    /// # Errors
    /// `unsupported` when the target cannot honour a field that changes the answer.
    fn encode(&self, request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded>;

    /// A complete answer.
    ///
    /// # Errors
    /// `decode` when the body is not what the wire promises; the vendor's own error when a 200 carries one.
    fn decode(&self, body: &[u8], target: &WireTarget<'_>) -> Result<ChatCompletion>;

    /// The error behind a status outside 200..300.
    fn decode_error(&self, status: u16, body: &[u8], target: &WireTarget<'_>) -> Error;

    /// A decoder for one stream.
    fn decoder(&self, target: &WireTarget<'_>) -> Box<dyn StreamDecoder>;
}

/// Every wire.
pub const PROTOCOLS: &[&dyn Protocol] = &[&openai_chat::OpenAiChat];

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

/// How the body of a stream is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
}

/// An encoded request.
#[derive(Debug)]
pub struct Encoded {
    /// The body.
    pub body: Vec<u8>,
    /// Fields that were left out because this target does not take them; none of them changes the answer.
    pub dropped: Vec<String>,
}

/// One frame of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Name of the event, empty when it has none.
    pub event: &'a str,
    /// The payload.
    pub data: &'a [u8],
}

/// Turns the frames of one stream into chunks.
pub trait StreamDecoder: Send {
    /// Takes one frame; new chunks go to `out`.
    ///
    /// # Errors
    /// The vendor's error when the frame is one; `decode` when it is not what the wire promises.
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<ChatCompletionChunk>) -> Result<()>;

    /// Whether the stream has said that it is complete.
    fn complete(&self) -> bool;

    /// Whether nothing more is to be expected, so that the body need not be read to its end.
    fn done(&self) -> bool;
}
