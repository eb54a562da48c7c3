//! Why a request goes where it goes.

use serde::{Deserialize, Serialize};

use crate::error::ErrorBody;

/// How the backend of a request was, or would be, chosen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explanation {
    /// What ordered the candidates: a policy, or what `sort` says.
    pub policy: String,
    /// `provider/model` of those that may be asked after any failure that another can mend, in order. Those with `after`
    /// are asked only after that kind.
    pub order: Vec<String>,
    /// Everyone who was considered: first who may be asked, in order, then who was left out.
    pub candidates: Vec<ExplainedCandidate>,
    /// The error that a call would end with, when nobody is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Box<ErrorBody>>,
}

/// One backend that was considered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplainedCandidate {
    /// Provider id.
    pub provider: String,
    /// Model id as sent to it.
    pub model: String,
    /// Only asked after this kind of failure: `context_length`, `content_filtered`, `rate_limited`, `unavailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The preference that left it out, or `key` or `configuration` where those are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filtered_by: Option<String>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What this request is expected to cost there, decimal USD as text; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_cost_usd: Option<String>,
    /// What the policy gave it; lower comes first, absent last. Costs are in 1e-12 USD, times in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u64>,
    /// `closed` (nothing speaks against it), `half_open` or `open` (it failed too often; asked last).
    pub health: String,
    /// Calls under way.
    pub pending: u32,
    /// Measured time to the first token, median, milliseconds; absent until measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// Measured tokens per second, median; absent until measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
}
