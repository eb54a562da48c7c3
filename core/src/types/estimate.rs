//! What a request may cost before anything is sent: of a chat wherever it may go, of a fusion stage by stage.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChatRequest, CostSource, FuseRequest, from_value};
use crate::error::Result;

/// A request of which an estimate is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Estimable {
    /// A chat; also one that is a fusion by its model or in another vendor's words.
    Chat(Box<ChatRequest>),
    /// A fusion.
    Fusion(Box<FuseRequest>),
}

impl Estimable {
    /// A request as JSON: a fusion if it has a `prompt` or a `pool`, or names no model; else a chat.
    ///
    /// # Errors
    /// `invalid_request` naming the place of what is wrong.
    pub fn from_value(request: &Value) -> Result<Self> {
        let has = |name: &str| request.get(name).is_some_and(|value| !value.is_null() && *value != "");
        match has("prompt") || has("pool") || !(has("model") || has("models")) {
            true => from_value("request", request).map(|request| Estimable::Fusion(Box::new(request))),
            false => from_value("request", request).map(|request| Estimable::Chat(Box::new(request))),
        }
    }
}

impl From<ChatRequest> for Estimable {
    fn from(request: ChatRequest) -> Self {
        Estimable::Chat(Box::new(request))
    }
}

impl From<FuseRequest> for Estimable {
    fn from(request: FuseRequest) -> Self {
        Estimable::Fusion(Box::new(request))
    }
}

impl From<&ChatRequest> for Estimable {
    fn from(request: &ChatRequest) -> Self {
        request.clone().into()
    }
}

impl From<&FuseRequest> for Estimable {
    fn from(request: &FuseRequest) -> Self {
        request.clone().into()
    }
}

/// What a request may cost, nano-USD; an amount is absent when a price that it needs is not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostEstimate {
    /// Of a chat: one row per backend and model, in the order they would be tried. Empty for a fusion.
    pub routes: Vec<RouteEstimate>,
    /// Of a fusion: one row per stage. Empty for a chat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageEstimate>,
    /// Hardly less: the cheapest place; of a fusion, members that agree, so that nobody else is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_nanos: Option<u64>,
    /// What is likely at most: the first place; of a fusion, members that differ, in `auto` and `cascade` in two of five
    /// cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_nanos: Option<u64>,
    /// The most: the dearest place; of a fusion, everything it may do at such places. What failed attempts may be billed
    /// comes on top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_nanos: Option<u64>,
}

/// What a stage of a fusion may cost, nano-USD; an amount is absent when a price that it needs is not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageEstimate {
    /// `members`, `debate`, `judge`, `synthesis`: as in a report's `by_stage`.
    pub stage: String,
    /// Most calls, repeated ones included.
    pub calls: u32,
    /// Hardly less; 0 where the stage is not needed when members agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_nanos: Option<u64>,
    /// What is likely at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_nanos: Option<u64>,
    /// The most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_nanos: Option<u64>,
    /// Models without a known price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// What one attempt at one place may cost, nano-USD; absent when its price is not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteEstimate {
    /// Provider id.
    pub provider: String,
    /// Model id as sent to the provider.
    pub model: String,
    /// Hardly less: eight bytes of prompt per token, all of it from the vendor's cache, and no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_nanos: Option<u64>,
    /// What is likely at most: three bytes of prompt per token, and as long an answer as the request allows, 1024 tokens
    /// where it sets no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_nanos: Option<u64>,
    /// The most, and what budgets hold: a token per byte of prompt at the dearest rate that may hold, and the longest answer
    /// that the request or the model allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_nanos: Option<u64>,
    /// Tokens of the longest answer, for all choices together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Where the price comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_source: Option<CostSource>,
    /// Why there is no estimate: `price_unknown`, `rate_missing:input_audio`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_names_no_model_or_has_a_pool_is_a_fusion() {
        let fusion = |request: Value| matches!(Estimable::from_value(&request), Ok(Estimable::Fusion(_)));
        assert!(fusion(json!({"prompt": "a", "pool": ["up/m"]})));
        assert!(fusion(json!({"messages": [], "pool": ["up/m"], "model": "interfuse/merge"})));
        assert!(fusion(json!({"messages": []})));
        assert!(!fusion(json!({"model": "up/m", "messages": [], "mode": "a vendor's own field"})));
        assert!(!fusion(json!({"models": ["up/m"], "messages": []})));
        let wrong = Estimable::from_value(&json!({"prompt": "a", "pool": [7]})).unwrap_err();
        assert_eq!(wrong.kind(), crate::error::ErrorKind::InvalidRequest);
    }
}
