//! Amazon's Titan text embeddings, by Bedrock's InvokeModel. Cohere's models there speak [`super::cohere`].
//!
//! One call takes one text. Several are refused rather than sent as several calls: those could fail in part, and the
//! ledger books one attempt per call.
//!
//! Source: Amazon Bedrock's user guide, "Amazon Titan Text Embeddings".

use serde_json::json;

use super::{Body, EmbeddingProtocol, fields, numbered, texts, told};
use crate::error::Result;
use crate::types::{EmbeddingRequest, EmbeddingResponse, EmbeddingUsage};
use crate::wire::open::open;
use crate::wire::{Encoded, Reply, WireTarget, failure};

/// The protocol.
pub struct Titan;

open! {
    /// The answer. `embeddingsByType` holds the same numbers once more.
    Answer {
        embedding "embedding": Vec<f32>,
        tokens "inputTextTokenCount": f64,
    }
    skips "embeddingsByType"
}

impl EmbeddingProtocol for Titan {
    fn name(&self) -> &'static str {
        "bedrock-titan"
    }

    fn encode(&self, request: &EmbeddingRequest, target: &WireTarget<'_>) -> Result<Encoded> {
        let mut fields = fields(request, target)?;
        fields.without("user")?;
        let texts = texts(request, &fields)?;
        let [text] = texts[..] else {
            return Err(fields.refused("input", "Titan embeds one text per call, so send them one by one"));
        };
        let mut own = vec![("inputText", json!(text))];
        own.extend(request.dimensions.map(|length| ("dimensions", length.into())));
        Body { request, target, own }.encoded(fields)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<EmbeddingResponse> {
        let answer: Answer =
            serde_json::from_slice(reply.body).map_err(|e| failure::not_json(reply.body, "embedding", &e, target))?;
        Ok(EmbeddingResponse {
            data: numbered([told(answer.embedding, "embedding", reply, target)?]),
            usage: answer.tokens.map(|n| n as u64).or_else(|| input_tokens(reply)).map(EmbeddingUsage::of),
            extra: answer.extra,
            ..EmbeddingResponse::default()
        })
    }
}

/// Tokens of the input, as Bedrock tells them of every model.
pub(super) fn input_tokens(reply: &Reply<'_>) -> Option<u64> {
    reply.headers.get("x-amzn-bedrock-input-token-count")?.to_str().ok()?.parse().ok()
}
