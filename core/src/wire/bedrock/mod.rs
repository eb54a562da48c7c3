//! Amazon Bedrock's Converse and ConverseStream: one form for the models of many vendors, with room for what each of
//! them takes beside it.

mod additional;
mod arn;
mod block;
mod errors;
mod family;
mod request;
mod response;
mod stream;
mod tools;
mod turns;

use super::{Encoded, Framing, Protocol, Reply, StreamDecoder, WireTarget};
use crate::error::{Error, Result};
use crate::types::{ChatCompletion, ChatRequest};
pub(super) use response::usage as counts;

pub use arn::check_model;

/// The wire.
#[derive(Debug, Clone, Copy)]
pub struct BedrockConverse;

impl Protocol for BedrockConverse {
    fn name(&self) -> &'static str {
        "bedrock-converse"
    }

    fn framing(&self) -> Framing {
        Framing::AwsEventStream
    }

    fn encode(&self, request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
        if !cfg!(feature = "aws") {
            let why = "this build of interfuse cannot speak to Amazon Bedrock: it was made without its feature `aws`";
            return Err(target.at(Error::new(crate::error::ErrorKind::Unsupported, why)));
        }
        request::encode(request, target, stream)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<ChatCompletion> {
        response::decode(reply, target)
    }

    fn decode_error(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Error {
        errors::from_reply(reply, target)
    }

    fn decoder(&self, target: &WireTarget<'_>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(target))
    }
}

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod request_tests;
