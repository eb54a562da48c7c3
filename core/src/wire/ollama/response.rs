//! Complete answers: read like a stream of one line, so that both say the same.

use super::stream::Decoder;
use crate::error::Result;
use crate::types::ChatCompletion;
use crate::wire::{Assembler, WireTarget};

pub(super) fn decode(body: &[u8], target: &WireTarget<'_>) -> Result<ChatCompletion> {
    let mut chunks = Vec::new();
    Decoder::new(target).read(body, &mut chunks)?;
    let mut assembler = Assembler::default();
    chunks.iter().for_each(|chunk| assembler.add(chunk));
    let mut answer = assembler.finish();
    for choice in &mut answer.choices {
        let message = &mut choice.message;
        if message.tool_calls.is_some() && message.content.as_deref() == Some("") {
            message.content = None;
        }
    }
    Ok(answer)
}
