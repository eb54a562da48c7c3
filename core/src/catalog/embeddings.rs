//! Where a provider embeds, and in which way.

use serde::{Deserialize, Serialize};

use super::providers::matches;
use crate::types::Quirks;

/// One way of a provider to embed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingApi {
    /// Protocol: a name of the table of embedding wires (`openai`).
    pub wire: String,
    /// Path after the base URL.
    pub path: String,
    /// Base URL, where it is another; never another vendor's.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Ids (as sent) of the models it is for; `*` stands for any text, none for all. The first match wins.
    #[serde(default)]
    pub models: Vec<String>,
    /// Taken only, and then before all others, where this placeholder has a value.
    #[serde(default)]
    pub when: Option<String>,
    /// Declared deviations, where they are not those of the provider's chat.
    #[serde(default)]
    pub quirks: Option<Quirks>,
}

impl EmbeddingApi {
    /// OpenAI's own, as servers of one's own have it too.
    pub fn openai() -> Self {
        EmbeddingApi {
            wire: "openai".to_owned(),
            path: "/embeddings".to_owned(),
            base_url: None,
            models: Vec::new(),
            when: None,
            quirks: None,
        }
    }

    /// Whether it is for a model.
    pub fn serves(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| matches(pattern, model))
    }
}
