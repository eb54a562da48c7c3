//! Gemini's `batchEmbedContents`: one request with a text each, in the body of one call.
//!
//! Fields of OpenAI's that it has words for: `dimensions`. Of its own, `task_type` and `title` (in either spelling) go
//! into every one of the requests.
//!
//! Source: the Gemini API's reference of `models.batchEmbedContents`.

use serde_json::{Map, Value, json};

use super::{Body, EmbeddingProtocol, fields, numbered, texts, told};
use crate::error::Result;
use crate::types::{EmbeddingRequest, EmbeddingResponse, EmbeddingUsage};
use crate::wire::open::open;
use crate::wire::{Encoded, Reply, WireTarget, failure};

/// The protocol.
pub struct Gemini;

/// Fields that go into each request, under the vendor's name and as people write them elsewhere.
const PER_TEXT: &[(&str, &[&str])] = &[("taskType", &["taskType", "task_type"]), ("title", &["title"])];

open! {
    /// The answer.
    Answer {
        embeddings "embeddings": Vec<Values>,
        usage "usageMetadata": Value,
    }
}

/// One embedding.
#[derive(serde::Deserialize)]
pub(crate) struct Values {
    values: Vec<f32>,
}

impl EmbeddingProtocol for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn encode(&self, request: &EmbeddingRequest, target: &WireTarget<'_>) -> Result<Encoded> {
        let mut fields = fields(request, target)?;
        fields.without("user")?;
        let model = format!("models/{}", target.model.trim_start_matches("models/"));
        let mut rest = request.clone();
        let mut shared = Map::new();
        for (name, spellings) in PER_TEXT {
            for value in spellings.iter().filter_map(|spelling| rest.extra.remove(*spelling)) {
                shared.insert((*name).to_owned(), value);
            }
        }
        if let Some(dimensions) = request.dimensions {
            shared.insert("outputDimensionality".to_owned(), dimensions.into());
        }
        let one = |text: &str| {
            let mut one = Map::new();
            one.insert("model".to_owned(), json!(model));
            one.insert("content".to_owned(), json!({"parts": [{"text": text}]}));
            one.extend(shared.clone());
            Value::Object(one)
        };
        let requests = texts(request, &fields)?.into_iter().map(one).collect();
        Body { request: &rest, target, own: vec![("requests", Value::Array(requests))] }.encoded(fields)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<EmbeddingResponse> {
        let answer: Answer = serde_json::from_slice(reply.body)
            .map_err(|e| failure::not_json(reply.body, "batch of embeddings", &e, target))?;
        let embeddings = told(answer.embeddings, "embeddings", reply, target)?;
        Ok(EmbeddingResponse {
            data: numbered(embeddings.into_iter().map(|e| e.values)),
            usage: answer.usage.and_then(|u| u["promptTokenCount"].as_u64()).map(EmbeddingUsage::of),
            extra: answer.extra,
            ..EmbeddingResponse::default()
        })
    }
}
