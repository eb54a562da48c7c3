//! Cohere's embed, version 2, at Cohere and on Amazon Bedrock.
//!
//! Its models ask what the texts are for: `input_type` is `search_document` unless the request says otherwise
//! (`search_query` for queries, `classification`, `clustering`). `dimensions` is its `output_dimension`.
//!
//! Sources: Cohere's reference of `/v2/embed`; Amazon Bedrock's user guide on Cohere's embed models.

use serde::Deserialize;
use serde_json::{Value, json};

use super::bedrock;
use super::{Body, EmbeddingProtocol, fields, numbered, texts, told};
use crate::error::Result;
use crate::types::{EmbeddingRequest, EmbeddingResponse, EmbeddingUsage};
use crate::wire::open::open;
use crate::wire::{Encoded, Reply, WireTarget, failure};

/// The protocol.
pub struct Cohere;

open! {
    /// The answer. `texts` are the inputs once more.
    Answer {
        embeddings "embeddings": Embeddings,
        meta "meta": Value,
    }
    skips "texts"
}

/// By type where types were asked for, a plain list from models that know none.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Embeddings {
    ByType { float: Vec<Vec<f32>> },
    Plain(Vec<Vec<f32>>),
}

impl EmbeddingProtocol for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn encode(&self, request: &EmbeddingRequest, target: &WireTarget<'_>) -> Result<Encoded> {
        let mut fields = fields(request, target)?;
        fields.without("user")?;
        let texts = texts(request, &fields)?;
        let purpose = request.extra.get("input_type").cloned().unwrap_or_else(|| json!("search_document"));
        let mut own = vec![
            ("model", json!(target.model)),
            ("texts", json!(texts)),
            ("input_type", purpose),
            ("embedding_types", json!(["float"])),
        ];
        own.extend(request.dimensions.map(|length| ("output_dimension", length.into())));
        Body { request, target, own }.encoded(fields)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<EmbeddingResponse> {
        let answer: Answer = serde_json::from_slice(reply.body)
            .map_err(|e| failure::not_json(reply.body, "list of embeddings", &e, target))?;
        let (Embeddings::ByType { float: vectors } | Embeddings::Plain(vectors)) =
            told(answer.embeddings, "embeddings", reply, target)?;
        let billed = answer.meta.as_ref().and_then(|meta| meta["billed_units"]["input_tokens"].as_f64());
        let mut extra = answer.extra;
        extra.extend(answer.meta.map(|meta| ("meta".to_owned(), meta)));
        Ok(EmbeddingResponse {
            data: numbered(vectors),
            usage: billed.map(|n| n as u64).or_else(|| bedrock::input_tokens(reply)).map(EmbeddingUsage::of),
            extra,
            ..EmbeddingResponse::default()
        })
    }
}
