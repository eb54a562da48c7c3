//! Embeddings on Vertex AI: `predict`, whose instances are the texts.
//!
//! Fields of OpenAI's that it has words for: `dimensions`. Of its own, `task_type` and `title` go to every text,
//! `auto_truncate` to all of them (each in either spelling).
//!
//! Source: Google Cloud's reference of the text embeddings API.

use serde_json::{Map, Value, json};

use super::{Body, EmbeddingProtocol, fields, numbered, texts, told};
use crate::error::Result;
use crate::types::{EmbeddingRequest, EmbeddingResponse, EmbeddingUsage};
use crate::wire::open::open;
use crate::wire::{Encoded, Reply, WireTarget, failure};

/// The protocol.
pub struct Vertex;

/// Fields that go to each text, under the vendor's name and as people write them elsewhere.
const PER_TEXT: &[(&str, &[&str])] = &[("task_type", &["task_type", "taskType"]), ("title", &["title"])];

/// Fields that go to all texts.
const PARAMETERS: &[(&str, &[&str])] = &[("autoTruncate", &["autoTruncate", "auto_truncate"])];

/// Models that take one text per call.
const ONE_TEXT: &[&str] = &["gemini-embedding-"];

open! {
    /// The answer.
    Answer {
        predictions "predictions": Vec<Prediction>,
    }
}

/// What is said of one text.
#[derive(serde::Deserialize)]
pub(crate) struct Prediction {
    embeddings: Values,
}

#[derive(serde::Deserialize)]
struct Values {
    values: Vec<f32>,
    statistics: Option<Statistics>,
}

#[derive(serde::Deserialize)]
struct Statistics {
    /// Some of Google's servers write whole numbers as `6.0`.
    token_count: Option<f64>,
}

impl EmbeddingProtocol for Vertex {
    fn name(&self) -> &'static str {
        "vertex"
    }

    fn encode(&self, request: &EmbeddingRequest, target: &WireTarget<'_>) -> Result<Encoded> {
        let mut fields = fields(request, target)?;
        fields.without("user")?;
        let texts = texts(request, &fields)?;
        if texts.len() > 1 && ONE_TEXT.iter().any(|model| target.model.starts_with(model)) {
            return Err(fields.refused("input", "that model embeds one text per call"));
        }
        let mut rest = request.clone();
        let mut take = |names: &[(&str, &[&str])]| -> Map<String, Value> {
            let found = |(name, spellings): &(&str, &[&str])| {
                let said = spellings.iter().filter_map(|spelling| rest.extra.remove(*spelling)).last()?;
                Some(((*name).to_owned(), said))
            };
            names.iter().filter_map(found).collect()
        };
        let (shared, mut parameters) = (take(PER_TEXT), take(PARAMETERS));
        if let Some(dimensions) = request.dimensions {
            parameters.insert("outputDimensionality".to_owned(), dimensions.into());
        }
        let one = |text: &str| {
            let mut one = Map::new();
            one.insert("content".to_owned(), json!(text));
            one.extend(shared.clone());
            Value::Object(one)
        };
        let mut own = vec![("instances", texts.into_iter().map(one).collect())];
        if !parameters.is_empty() {
            own.push(("parameters", Value::Object(parameters)));
        }
        Body { request: &rest, target, own }.encoded(fields)
    }

    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<EmbeddingResponse> {
        let answer: Answer = serde_json::from_slice(reply.body)
            .map_err(|e| failure::not_json(reply.body, "batch of embeddings", &e, target))?;
        let predictions = told(answer.predictions, "predictions", reply, target)?;
        // Known only when every text was counted.
        let counts = predictions.iter().map(|p| p.embeddings.statistics.as_ref()?.token_count);
        let tokens = counts.sum::<Option<f64>>().filter(|_| !predictions.is_empty()).map(|sum| sum as u64);
        Ok(EmbeddingResponse {
            data: numbered(predictions.into_iter().map(|p| p.embeddings.values)),
            usage: tokens.map(EmbeddingUsage::of),
            extra: answer.extra,
            ..EmbeddingResponse::default()
        })
    }
}
