//! How each vendor embeds: requests to bytes, bytes to embeddings. Pure, as every wire.

mod bedrock;
mod cohere;
mod gemini;
mod openai;
mod vertex;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::fields::Fields;
use super::{Encoded, Reply, WireTarget, failure};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Embedding, EmbeddingRequest, EmbeddingResponse, Vector};

/// One vendor's way to embed; its errors are those of its chat. Adding one is one file here, one entry in [`PROTOCOLS`], one `embeddings` entry in the
/// catalogue.
pub trait EmbeddingProtocol: Send + Sync {
    /// Name in the catalogue's `embeddings.wire`.
    fn name(&self) -> &'static str;

    /// A request for this target.
    ///
    /// # Errors
    /// `unsupported` when the target cannot honour the input or a field that changes the answer.
    fn encode(&self, request: &EmbeddingRequest, target: &WireTarget<'_>) -> Result<Encoded>;

    /// A complete answer, its embeddings written as the vendor wrote them; a model that the vendor does not tell stays
    /// empty.
    ///
    /// # Errors
    /// `decode` when the body is not what the wire promises; the vendor's own error when a 200 carries one.
    fn decode(&self, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<EmbeddingResponse>;
}

/// Every way to embed.
pub const PROTOCOLS: &[&dyn EmbeddingProtocol] =
    &[&openai::OpenAi, &gemini::Gemini, &vertex::Vertex, &cohere::Cohere, &bedrock::Titan];

/// The way of this name.
pub fn protocol(name: &str) -> Option<&'static dyn EmbeddingProtocol> {
    PROTOCOLS.iter().copied().find(|p| p.name() == name)
}

/// An answer as the caller asked for it: one embedding per input, in their order, all written in one way.
///
/// # Errors
/// `decode` when embeddings are missing, or hold what is no number.
pub fn complete(
    mut answer: EmbeddingResponse,
    request: &EmbeddingRequest,
    target: &WireTarget<'_>,
) -> Result<EmbeddingResponse> {
    let (asked, came) = (request.input.len(), answer.data.len());
    if asked != came {
        return Err(broken(format!("{asked} inputs were sent and {came} embeddings came back"), target));
    }
    answer.data.sort_by_key(|e| e.index);
    let format = request.encoding_format.unwrap_or_default();
    for embedding in &mut answer.data {
        let vector = std::mem::replace(&mut embedding.embedding, Vector::Float(Vec::new()));
        embedding.embedding = vector.written(format).map_err(|e| target.at(e))?;
        if let Vector::Float(floats) = &embedding.embedding
            && floats.iter().any(|f| !f.is_finite())
        {
            return Err(broken(format!("embedding {} holds what is no number", embedding.index), target));
        }
    }
    if answer.model.is_empty() {
        target.model.clone_into(&mut answer.model);
    }
    Ok(answer)
}

fn broken(why: String, target: &WireTarget<'_>) -> Error {
    target.at(Error::new(ErrorKind::Decode, why))
}

/// A field that the answer should have.
fn told<T>(field: Option<T>, name: &str, reply: &Reply<'_>, target: &WireTarget<'_>) -> Result<T> {
    field.ok_or_else(|| broken(format!("the answer has no `{name}`: {}", failure::excerpt(reply.body)), target))
}

/// Lists of numbers as embeddings, in their order.
fn numbered(vectors: impl IntoIterator<Item = Vec<f32>>) -> Vec<Embedding> {
    vectors.into_iter().enumerate().map(|(place, floats)| Embedding::new(place, floats)).collect()
}

/// The fields of a request, with what the provider's row says that it does not take.
fn fields<'a>(request: &'a EmbeddingRequest, target: &'a WireTarget<'a>) -> Result<Fields<'a>> {
    let mut fields = Fields::new(request, target);
    fields.declared(false)?;
    Ok(fields)
}

/// The texts of a request to a vendor that embeds nothing else.
fn texts<'a>(request: &'a EmbeddingRequest, fields: &Fields<'_>) -> Result<Vec<&'a str>> {
    request.input.texts().ok_or_else(|| fields.refused("input", "it embeds texts, not tokens"))
}

/// A body of JSON: own fields first, then what the request passes through. `extra_body` wins over all of them.
struct Body<'a> {
    request: &'a EmbeddingRequest,
    target: &'a WireTarget<'a>,
    own: Vec<(&'static str, Value)>,
}

impl Body<'_> {
    fn encoded(self, fields: Fields<'_>) -> Result<Encoded> {
        let body = serde_json::to_vec(&self).map_err(|e| Error::invalid_request(format!("the request: {e}")))?;
        Ok(Encoded { body, dropped: fields.into_dropped(), ..Encoded::default() })
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        let quirks = self.target.quirks;
        let own = self.own.iter().map(|(name, value)| (*name, value));
        let extra = self.request.extra.iter().map(|(name, value)| (name.as_str(), value));
        let mut map = s.serialize_map(None)?;
        for (name, value) in own.chain(extra.filter(|(name, _)| !self.own.iter().any(|(own, _)| own == name))) {
            let sent = quirks.rename.get(name).map_or(name, String::as_str);
            let overridden = self.request.extra_body.as_ref().is_some_and(|b| b.contains_key(sent));
            if !overridden && !quirks.drop.iter().any(|d| d == name) {
                map.serialize_entry(sent, value)?;
            }
        }
        for (name, value) in self.request.extra_body.iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
