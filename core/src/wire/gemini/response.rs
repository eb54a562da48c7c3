//! Complete answers: read like a stream of one piece, so that both say the same.

use super::stream::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::types::ChatCompletion;
use crate::wire::{Assembler, StreamDecoder, WireTarget};

pub(super) fn decode(body: &[u8], target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let mut decoder = Decoder::new(target);
    let mut chunks = Vec::new();
    decoder.read(body, &mut chunks)?;
    decoder.finish(&mut chunks);
    let mut assembler = Assembler::default();
    chunks.iter().for_each(|chunk| assembler.add(chunk));
    let mut answer = assembler.finish();
    for choice in &mut answer.choices {
        let message = &mut choice.message;
        if message.tool_calls.is_some() && message.content.as_deref() == Some("") {
            message.content = None;
        }
    }
    let says_nothing = |choice: &crate::types::Choice| {
        let message = &choice.message;
        choice.finish_reason.is_none() && message.content.as_deref().is_none_or(str::is_empty)
    };
    if answer.choices.is_empty() || answer.choices.iter().all(says_nothing) {
        let why = "the answer has no content, and no reason why it ended";
        return Err(target.at(Error::new(ErrorKind::ServerError, why)));
    }
    Ok(answer)
}
