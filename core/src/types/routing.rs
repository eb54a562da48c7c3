//! Which backend serves a request: preferences, fallbacks, and what the configuration says of routing.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::TimeoutConfig;
use super::shorthand::{self, Shorthand};
use super::{MaxPrice, Threshold};

/// What decides where a request goes and how long it may take, whatever it asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// The model asked for; empty when none is.
    pub model: &'a str,
    /// Fallback models, tried in order after `model`.
    pub models: &'a [String],
    /// Fallback models by kind of failure.
    pub fallbacks: Option<&'a Fallbacks>,
    /// Which backend serves.
    pub provider: Option<&'a ProviderChoice>,
    /// Preferences of whoever this call is made for: their hard filters hold beside its own.
    pub within: Option<&'a ProviderPreferences>,
    /// Whether the decision is to be told.
    pub explain: bool,
    /// Deadline of the whole call, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Timeouts that outrank the configured ones.
    pub timeouts: Option<&'a TimeoutConfig>,
    /// Retries after the first attempt, per target.
    pub max_retries: Option<u32>,
    /// Whether a second attempt may be made beside one that takes long.
    pub hedge: Option<bool>,
    /// Most that all attempts together may cost, decimal USD.
    pub max_cost_usd: Option<&'a str>,
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
    Preferences(Box<ProviderPreferences>),
}

impl<'de> Shorthand<'de> for ProviderChoice {
    type Full = ProviderPreferences;
    const EXPECTS: &'static str = "a provider's name or an object of preferences";
    fn from_text(text: &str) -> Self {
        ProviderChoice::Name(text.to_owned())
    }
    fn from_full(full: Self::Full) -> Self {
        ProviderChoice::Preferences(Box::new(full))
    }
}

impl<'de> Deserialize<'de> for ProviderChoice {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        shorthand::deserialize(d)
    }
}

/// Preferences over the backends that serve a model, as OpenRouter spells them. Filters are never relaxed: what is not
/// known of a backend does not satisfy one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderPreferences {
    /// Tried first, in this order. A provider's name or alias; `name/detail` means only its offers in that region or of
    /// that variant (`vertex/us-east5`, `deepinfra/turbo`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    /// No others are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Never tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Whether others than those of `order` (without it: than the first one) may serve; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_fallbacks: Option<bool>,
    /// Only backends known to take every field that the request sets; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_parameters: Option<bool>,
    /// `deny`: only backends known not to collect what they are sent; `allow` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<DataCollection>,
    /// Only backends known to retain nothing (zero data retention); false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zdr: Option<bool>,
    /// Only weights of these precisions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quantizations: Vec<Quantization>,
    /// What the others are ordered by, strictly: `price`, `throughput` or `latency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<SortChoice>,
    /// Policy that orders the others, in place of `sort`: `ordered`, `weighted`, `cheapest`, `fastest`, `balanced`,
    /// `sticky`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Most that a backend may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<MaxPrice>,
    /// Backends measured to be slower, in tokens per second, come last: a number for the median, or percentiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_min_throughput: Option<Threshold>,
    /// Backends measured to take longer to their first token, in seconds, come last: a number for the median, or
    /// percentiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_max_latency: Option<Threshold>,
}

/// Whether prompts may be kept and learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DataCollection {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// Precision of the weights that a backend runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// Four bits, integer.
    Int4,
    /// Eight bits, integer.
    Int8,
    /// Four bits, floating point (`nvfp4`, `mxfp4`).
    Fp4,
    /// Six bits, floating point.
    Fp6,
    /// Eight bits, floating point.
    Fp8,
    /// Sixteen bits, floating point.
    Fp16,
    /// Sixteen bits, brain floating point.
    Bf16,
    /// Thirty-two bits, floating point.
    Fp32,
    /// Backends that do not tell.
    Unknown,
}

impl Quantization {
    /// By a word of a catalogue row's `variant` (`fp8-fast`); `None` where it names no precision.
    pub fn of_variant(variant: &str) -> Option<Quantization> {
        variant.split('-').find_map(|word| match word {
            "int4" => Some(Quantization::Int4),
            "int8" => Some(Quantization::Int8),
            "fp4" | "nvfp4" | "mxfp4" => Some(Quantization::Fp4),
            "fp6" => Some(Quantization::Fp6),
            "fp8" => Some(Quantization::Fp8),
            "fp16" => Some(Quantization::Fp16),
            "bf16" => Some(Quantization::Bf16),
            "fp32" => Some(Quantization::Fp32),
            _ => None,
        })
    }
}

/// What backends are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Lowest expected cost of the request first; unknown ones last.
    Price,
    /// Most tokens per second first, as measured.
    Throughput,
    /// Shortest time to the first token first, as measured.
    Latency,
}

/// What is put together before it is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Partition {
    /// The backends of each model: all of the first model come before those of the next.
    #[default]
    Model,
    /// The backends of all models together.
    None,
}

/// What backends are ordered by, in long form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SortOptions {
    /// By what.
    pub by: Sort,
    /// What is put together before it is ordered; `model` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
}

/// What backends are ordered by: one word, or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum SortChoice {
    /// Backends of each model.
    By(Sort),
    /// In long form.
    With(SortOptions),
}

impl SortChoice {
    /// By what.
    pub fn by(self) -> Sort {
        match self {
            SortChoice::By(by) => by,
            SortChoice::With(options) => options.by,
        }
    }

    /// What is put together before it is ordered.
    pub fn partition(self) -> Partition {
        match self {
            SortChoice::By(_) => Partition::Model,
            SortChoice::With(options) => options.partition.unwrap_or_default(),
        }
    }
}

impl<'de> Deserialize<'de> for SortChoice {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = SortChoice;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`price`, `throughput`, `latency` or an object with `by`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<SortChoice, E> {
                Sort::deserialize(de::value::StrDeserializer::new(text)).map(SortChoice::By)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SortChoice, A::Error> {
                SortOptions::deserialize(de::value::MapAccessDeserializer::new(map)).map(SortChoice::With)
            }
        }
        d.deserialize_any(V)
    }
}

/// Fallback models by the kind of failure that leads to them, each tried in order. The filters of the request hold for
/// them too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Fallbacks {
    /// After any failure that another model can mend, as with `models`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<String>,
    /// The prompt did not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context_length: Vec<String>,
    /// A vendor's content policy refused it. Listing models here allows asking them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_filtered: Vec<String>,
    /// A rate limit was hit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limited: Vec<String>,
    /// The backends failed or could not be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<String>,
}

/// How backends are chosen where a request does not say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RoutingConfig {
    /// Policy that orders the backends of a model: `ordered` (default), `weighted`, `cheapest`, `fastest`, `balanced`,
    /// `sticky`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Fallback models of each model. Those of a fallback follow it; a cycle is refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fallbacks: BTreeMap<String, Fallbacks>,
    /// Whether every response tells how its backend was chosen; false by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<bool>,
    /// Whether a second backend is asked beside one that takes longer than 95 of 100 of its calls did; whoever answers first
    /// is heard. At most one call of twenty is made twice. False by default; a request's `hedge` outranks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<bool>,
    /// Makes the random choices of policies repeatable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
