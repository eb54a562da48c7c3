//! Which backend serves a request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TimeoutConfig;
use super::shorthand::{self, Shorthand};

/// What decides where a request goes and how long it may take, whatever it asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// The model asked for; empty when none is.
    pub model: &'a str,
    /// Fallback models, tried in order after `model`.
    pub models: &'a [String],
    /// Which backend serves.
    pub provider: Option<&'a ProviderChoice>,
    /// Deadline of the whole call, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Timeouts that outrank the configured ones.
    pub timeouts: Option<&'a TimeoutConfig>,
    /// Retries after the first attempt, per target.
    pub max_retries: Option<u32>,
    /// Headers added to the vendor's request.
    pub extra_headers: Option<&'a BTreeMap<String, String>>,
}

/// A backend by name, or preferences over backends.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ProviderChoice {
    /// Exactly this one.
    Name(String),
    /// Preferences, as OpenRouter spells them.
    Preferences(ProviderPreferences),
}

impl<'de> Shorthand<'de> for ProviderChoice {
    type Full = ProviderPreferences;
    const EXPECTS: &'static str = "a provider's name or an object of preferences";
    fn from_text(text: &str) -> Self {
        ProviderChoice::Name(text.to_owned())
    }
    fn from_full(full: Self::Full) -> Self {
        ProviderChoice::Preferences(full)
    }
}

impl<'de> Deserialize<'de> for ProviderChoice {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        shorthand::deserialize(d)
    }
}

/// Preferences over the backends that serve a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderPreferences {
    /// Tried first, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    /// No others are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Never tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Whether another backend may serve when the first one fails; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_fallbacks: Option<bool>,
    /// `price`: the cheapest first, by catalogue prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
}

/// What backends are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Cheapest first; unknown prices last.
    Price,
}
