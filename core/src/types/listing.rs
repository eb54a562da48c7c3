//! What the catalogue and the configuration know, as told to users.

use serde::{Deserialize, Serialize};

/// One model of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelInfo {
    /// Canonical id.
    pub id: String,
    /// Context window, tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Who serves it.
    pub offers: Vec<ModelOffer>,
}

/// One provider's offer of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelOffer {
    /// Provider id.
    pub provider: String,
    /// Model id as sent to it.
    pub model: String,
    /// USD per million prompt tokens, decimal text; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_usd: Option<String>,
    /// USD per million completion tokens, decimal text; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_usd: Option<String>,
    /// Whether a key for this provider is configured.
    pub ready: bool,
}

/// One backend.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderInfo {
    /// Provider id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Other ids it answers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Base URL.
    pub base_url: String,
    /// Variables its key may stand in, in order of precedence.
    pub key_vars: Vec<String>,
    /// Where the key was found (`variable GROQ_API_KEY`, `configuration`, `file ...`), never the key; absent when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_from: Option<String>,
    /// Whether calls can be made: a key was found or none is needed.
    pub ready: bool,
}

/// What a price list held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadedPrices {
    /// Whose form it has: `litellm`, `models.dev`, `openrouter`, `huggingface`, `genai-prices`.
    pub format: String,
    /// Rows taken.
    pub rows: u64,
    /// Rows of providers that the catalogue does not know, or without a price.
    pub skipped: u64,
    /// Rows left out, with their paths and what is wrong with them.
    pub refused: Vec<String>,
}

impl std::fmt::Display for LoadedPrices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LoadedPrices { format, rows, skipped, refused } = self;
        write!(f, "{rows} prices in the form of {format}, {skipped} rows skipped, {} refused", refused.len())
    }
}
