//! OpenAI's embeddings, and every server that speaks them.

use serde_json::{Value, json};

use super::{Body, EmbeddingProtocol, fields, told};
use crate::error::Result;
use crate::types::{Embedding, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, Vector};
use crate::wire::open::open;
use crate::wire::{Encoded, Reply, WireTarget, failure};

/// The protocol.
pub struct OpenAi;

open! {
    /// The answer.
    Answer {
        data "data": Vec<Item>,
        model "model": String,
        usage "usage": Value,
        error "error": Value,
    }
    skips "object"
}

open! {
    /// One embedding.
    Item {
        index "index": u32,
        embedding "embedding": Vector,
    }
    skips "object"
}

impl EmbeddingProtocol for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn encode(&self, request: &EmbeddingRequest, target: &WireTarget<'_>) -> Result<Encoded> {
        let fields = fields(request, target)?;
        let mut own = vec![("model", json!(target.model)), ("input", json!(request.input))];
        own.extend(request.dimensions.map(|length| ("dimensions", length.into())));
        own.extend(request.encoding_format.map(|format| ("encoding_format", json!(format))));
        own.extend(request.user.as_ref().map(|user| ("user", json!(user))));
        Body { request, target, own }.encoded(fields)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<EmbeddingResponse> {
        let answer: Answer = serde_json::from_slice(reply.body)
            .map_err(|e| failure::not_json(reply.body, "list of embeddings", &e, target))?;
        if let Some(error) = answer.error {
            return Err(failure::from_value(0, &json!({ "error": error }), target));
        }
        let mut data = Vec::new();
        for (place, item) in told(answer.data, "data", reply, target)?.into_iter().enumerate() {
            let vector = told(item.embedding, &format!("data[{place}].embedding"), reply, target)?;
            let mut embedding = Embedding::new(place, vector);
            embedding.index = item.index.unwrap_or(embedding.index);
            embedding.extra = item.extra;
            data.push(embedding);
        }
        Ok(EmbeddingResponse {
            data,
            model: answer.model.unwrap_or_default(),
            usage: answer.usage.and_then(usage),
            extra: answer.extra,
            ..EmbeddingResponse::default()
        })
    }
}

/// Token counts; servers that tell only one of the two numbers mean both.
fn usage(told: Value) -> Option<EmbeddingUsage> {
    let Value::Object(mut extra) = told else { return None };
    let mut take = |name: &str| extra.remove(name).as_ref().and_then(Value::as_u64);
    let (prompt, total) = (take("prompt_tokens"), take("total_tokens"));
    Some(EmbeddingUsage { prompt_tokens: prompt.or(total)?, total_tokens: total.or(prompt)?, extra })
}
