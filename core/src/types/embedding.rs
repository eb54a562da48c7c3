//! Embeddings: request and response.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Extra, ProviderChoice, ResponseMeta, Terms, TimeoutConfig, Usage};
use crate::error::{Error, ErrorKind, Result};

/// A request for embeddings: OpenAI's fields, and interfuse's optional ones. Fields not listed go to the vendor untouched
/// (`input_type`, `task_type`, ...).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmbeddingRequest {
    /// `provider/model`.
    #[serde(default)]
    pub model: String,
    /// What to embed; each text or list of tokens gives one embedding.
    #[serde(default)]
    pub input: EmbeddingInput,
    /// Length of each embedding, where the model can shorten it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// How embeddings are written; `float` by default. Honoured whatever the vendor sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding_format: Option<EncodingFormat>,
    /// The caller's word for its own user, for the vendor's abuse checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,

    /// Fallback models, tried in order after `model`; embeddings of different models cannot be compared. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Which backend serves: a name, or preferences. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderChoice>,
    /// Whether `interfuse.explanation` tells how the backend was chosen; `routing.explain` by default. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<bool>,
    /// Labels for the ledger (`project`, `team`, `user`, or any other). Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Most the call may cost, all its attempts together, decimal USD as text ("0.05"). An attempt that might cost more than
    /// is left of it is not made. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// Deadline of the whole call, retries included, milliseconds. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Timeouts that outrank the configured ones; `timeout_ms` outranks `total_ms` among them. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutConfig>,
    /// Retries after the first attempt, per target. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// Whether a field that a target would leave out is an error there; false by default, then it is named in
    /// `interfuse.dropped`. Fields that change the answer are never left out. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_params: Option<bool>,
    /// Headers added to the vendor's request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_headers: Option<BTreeMap<String, String>>,
    /// Fields merged into the vendor's request body as they are; they win over all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_body: Option<Extra>,
    /// Fields passed through to the vendor.
    #[serde(flatten)]
    pub extra: Extra,
}

impl EmbeddingRequest {
    /// A request for one model and one text or several.
    pub fn new(model: impl Into<String>, input: impl Into<EmbeddingInput>) -> Self {
        EmbeddingRequest { model: model.into(), input: input.into(), ..Default::default() }
    }

    /// What decides where it goes and how long it may take.
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            model: &self.model,
            models: self.models.as_deref().unwrap_or_default(),
            fallbacks: None,
            provider: self.provider.as_ref(),
            within: None,
            explain: self.explain == Some(true),
            timeout_ms: self.timeout_ms,
            timeouts: self.timeouts.as_ref(),
            max_retries: self.max_retries,
            hedge: None,
            max_cost_usd: self.max_cost_usd.as_deref(),
            extra_headers: self.extra_headers.as_ref(),
        }
    }
}

/// What to embed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum EmbeddingInput {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// One text as the model's tokens.
    Tokens(Vec<u64>),
    /// Several of them.
    TokenLists(Vec<Vec<u64>>),
}

impl Default for EmbeddingInput {
    fn default() -> Self {
        EmbeddingInput::Texts(Vec::new())
    }
}

impl EmbeddingInput {
    /// How many embeddings it gives.
    pub fn len(&self) -> usize {
        match self {
            EmbeddingInput::Text(_) => 1,
            EmbeddingInput::Tokens(tokens) => usize::from(!tokens.is_empty()),
            EmbeddingInput::Texts(texts) => texts.len(),
            EmbeddingInput::TokenLists(lists) => lists.len(),
        }
    }

    /// Whether there is nothing to embed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The texts; `None` when it is tokens.
    pub fn texts(&self) -> Option<Vec<&str>> {
        match self {
            EmbeddingInput::Text(text) => Some(vec![text]),
            EmbeddingInput::Texts(texts) => Some(texts.iter().map(String::as_str).collect()),
            EmbeddingInput::Tokens(_) | EmbeddingInput::TokenLists(_) => None,
        }
    }
}

impl From<&str> for EmbeddingInput {
    fn from(text: &str) -> Self {
        EmbeddingInput::Text(text.to_owned())
    }
}

impl From<String> for EmbeddingInput {
    fn from(text: String) -> Self {
        EmbeddingInput::Text(text)
    }
}

impl<T: Into<String>> From<Vec<T>> for EmbeddingInput {
    fn from(texts: Vec<T>) -> Self {
        EmbeddingInput::Texts(texts.into_iter().map(Into::into).collect())
    }
}

/// How embeddings are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EncodingFormat {
    /// A list of numbers.
    #[default]
    Float,
    /// Base64 of the numbers as 32-bit floats, lowest byte first.
    Base64,
}

/// Embeddings, in the order of the inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmbeddingResponse {
    /// Always `list`.
    #[serde(default = "list")]
    pub object: String,
    /// One embedding per input.
    pub data: Vec<Embedding>,
    /// Model that answered, in the vendor's words.
    #[serde(default)]
    pub model: String,
    /// Token counts; absent when the vendor told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<EmbeddingUsage>,
    /// What interfuse adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfuse: Option<Box<ResponseMeta>>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for EmbeddingResponse {
    fn default() -> Self {
        EmbeddingResponse {
            object: list(),
            data: Vec::new(),
            model: String::new(),
            usage: None,
            interfuse: None,
            extra: Extra::new(),
        }
    }
}

fn list() -> String {
    "list".to_owned()
}

/// One embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Embedding {
    /// Always `embedding`.
    #[serde(default = "embedding")]
    pub object: String,
    /// Place of its input.
    #[serde(default)]
    pub index: u32,
    /// The numbers.
    pub embedding: Vector,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Embedding {
    /// The embedding of the input at this place.
    pub fn new(index: usize, embedding: impl Into<Vector>) -> Self {
        Embedding {
            object: self::embedding(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            embedding: embedding.into(),
            extra: Extra::new(),
        }
    }
}

fn embedding() -> String {
    "embedding".to_owned()
}

/// The numbers of an embedding: a list, or base64 of 32-bit floats with the lowest byte first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Vector {
    /// As a list.
    Float(Vec<f32>),
    /// As base64.
    Base64(String),
}

// Written by hand because serde's way with untagged enums buffers every number.
impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Vector;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of numbers or base64")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Vector, E> {
                Ok(Vector::Base64(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> std::result::Result<Vector, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Vector::Float)
            }
        }
        d.deserialize_any(V)
    }
}

impl Vector {
    /// The numbers, decoded where they are base64.
    ///
    /// # Errors
    /// `decode` for base64 that is none, or whose bytes are not whole floats.
    pub fn to_floats(&self) -> Result<Vec<f32>> {
        let text = match self {
            Vector::Float(floats) => return Ok(floats.clone()),
            Vector::Base64(text) => text,
        };
        let fault = |why: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Decode, format!("an embedding is not base64 of 32-bit floats: {why}"))
        };
        let bytes = STANDARD.decode(text).map_err(|e| fault(&e))?;
        let (floats, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(fault(&format!("{} bytes", bytes.len())));
        }
        Ok(floats.iter().copied().map(f32::from_le_bytes).collect())
    }

    /// The same numbers, written as asked.
    ///
    /// # Errors
    /// As [`Vector::to_floats`].
    pub fn written(self, format: EncodingFormat) -> Result<Vector> {
        match (format, self) {
            (EncodingFormat::Float, base64 @ Vector::Base64(_)) => base64.to_floats().map(Vector::Float),
            (EncodingFormat::Base64, Vector::Float(floats)) => {
                let bytes: Vec<u8> = floats.iter().flat_map(|f| f.to_le_bytes()).collect();
                Ok(Vector::Base64(STANDARD.encode(bytes)))
            }
            (_, same) => Ok(same),
        }
    }
}

impl From<Vec<f32>> for Vector {
    fn from(floats: Vec<f32>) -> Self {
        Vector::Float(floats)
    }
}

/// Token counts of embeddings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmbeddingUsage {
    /// Tokens of the inputs.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// The same, in total.
    #[serde(default)]
    pub total_tokens: u64,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl EmbeddingUsage {
    /// So many tokens of input.
    pub fn of(tokens: u64) -> Self {
        EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens, extra: Extra::new() }
    }
}

impl From<&EmbeddingUsage> for Usage {
    fn from(usage: &EmbeddingUsage) -> Usage {
        Usage {
            prompt_tokens: usage.prompt_tokens,
            total_tokens: usage.total_tokens,
            extra: usage.extra.clone(),
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_input_is_read() {
        let read = |value| serde_json::from_value::<EmbeddingInput>(value).unwrap();
        assert_eq!((read(json!("a")).len(), read(json!("a")).texts()), (1, Some(vec!["a"])));
        assert_eq!(read(json!(["a", "b"])).texts(), Some(vec!["a", "b"]));
        assert_eq!(read(json!([1, 2, 3])), EmbeddingInput::Tokens(vec![1, 2, 3]));
        assert_eq!((read(json!([1, 2, 3])).len(), read(json!([[1], [2]])).len()), (1, 2));
        assert!(read(json!([])).is_empty() && EmbeddingInput::default().is_empty());
        assert!(serde_json::from_value::<EmbeddingInput>(json!({"text": "a"})).is_err());
    }

    #[test]
    fn both_ways_of_writing_hold_the_same_numbers() {
        let floats = Vector::Float(vec![1.0, -0.5, 0.0023064255]);
        let text = floats.clone().written(EncodingFormat::Base64).unwrap();
        // 1.0 is 0x3f800000, -0.5 is 0xbf000000: lowest byte first.
        assert!(matches!(&text, Vector::Base64(t) if t.starts_with("AACAPwAAAL")));
        assert_eq!(text.clone().written(EncodingFormat::Base64).unwrap(), text);
        assert_eq!(text.written(EncodingFormat::Float).unwrap(), floats);
        for bad in ["?", "AACA"] {
            let error = Vector::Base64(bad.to_owned()).to_floats().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode);
        }
    }
}
