//! What interfuse adds to a response, under the one key `interfuse`.

use serde::{Deserialize, Serialize};

use super::{Attempt, ErrorKind, Explanation, FusionReport, OverBudget};

/// How a cost is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CostSource {
    /// The provider stated it in its answer.
    Provider,
    /// Usage times the price the user configured.
    Configured,
    /// Usage times the price of a list that was loaded.
    Live,
    /// Usage times the catalogue's price.
    Catalog,
}

/// Who served a call, after what, at what cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResponseMeta {
    /// Provider id that served the call.
    pub provider: String,
    /// Model id as sent to that provider.
    pub model: String,
    /// Every attempt, the one that answered last.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// Cost of all attempts in nano-USD (1e-9 USD); absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
    /// The same as an exact decimal text in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// How the cost is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_source: Option<CostSource>,
    /// Who really served, where the provider passes requests on and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
    /// What the provider said of its limits with this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Request fields this target does not take and that do not change the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// The vendor's request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whole call, milliseconds.
    #[serde(default)]
    pub latency_ms: u64,
    /// Time to the first content, milliseconds (streams).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// Of a stream, on a chunk without choices: the answer broke off and starts anew; all text so far is to be thrown away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<Reset>,
    /// Whether the answer is of several pieces, each continuing the one before where it broke off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spliced: bool,
    /// Who gave each piece, in order; empty unless `spliced`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<Piece>,
    /// Age of a kept answer, milliseconds; absent where the provider was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_ms: Option<u64>,
    /// Budgets with `mode` `warn` that the call did not fit into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_warnings: Vec<OverBudget>,
    /// How the backend was chosen, when the request or the configuration asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
    /// Why attempts, of this call or of earlier ones, may be missing from the ledger; the answer is whole all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_error: Option<String>,
    /// Report of the fusion, when the model was `interfuse/...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<Box<FusionReport>>,
}

/// Why a stream starts anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reset {
    /// Kind of the failure that ended what came before.
    pub error: ErrorKind,
    /// What had happened.
    pub message: String,
}

/// Who gave a piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Piece {
    /// Provider id.
    pub provider: String,
    /// Model id as sent to that provider.
    pub model: String,
}

/// A provider's limits for this key, as it told them; what it did not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RateLimit {
    /// Requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Window>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Window>,
}

/// A limit over a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Window {
    /// Allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// Until the window starts again, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_ms: Option<u64>,
}
