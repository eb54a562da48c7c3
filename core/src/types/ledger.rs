//! One row per attempt, and questions over them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AttemptKind, CostSource, ErrorKind, Rates, Usage, UsageVector};

/// What an attempt was made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A plain chat call.
    #[default]
    Chat,
    /// A pool member's answer.
    Member,
    /// A judge's verdict or analysis.
    Judge,
    /// The text that merges the answers.
    Synthesis,
    /// A member's second look after seeing its peers.
    Debate,
    /// Embeddings.
    Embedding,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It answered.
    #[default]
    Ok,
    /// It failed.
    Failed,
    /// It stopped half-way.
    Interrupted,
    /// The caller or the engine cancelled it.
    Cancelled,
}

/// How sure a cost is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The provider stated it, or it follows from counts that the provider reported.
    Reported,
    /// It follows from counts of which some are estimates.
    Estimated,
    /// There is no cost: the counts or the price are not known.
    #[default]
    Unknown,
}

/// One attempt, as booked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LedgerRecord {
    /// Unique id (UUID v7).
    pub id: String,
    /// Id of the call or fusion it belongs to.
    pub run_id: String,
    /// Id of the record of the call's first attempt, on those that follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Milliseconds since 1970-01-01 UTC at the attempt's start.
    pub at_ms: u64,
    /// What it was made for.
    pub purpose: Purpose,
    /// Provider id.
    pub provider: String,
    /// Model as the caller asked for it.
    pub model: String,
    /// Model id as sent to the provider.
    pub model_sent: String,
    /// Model as the answer names it, where that is another name than the one sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_served: Option<String>,
    /// Who really served, where the provider passes requests on and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
    /// Name of the key that paid, where the provider has several; never the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The vendor's id of the request, from its headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The vendor's id of the answer, from its body (a generation's id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// Number of the attempt within its call, from 1.
    pub attempt: u32,
    /// Why it was made; absent for the first attempt of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttemptKind>,
    /// How it ended.
    pub outcome: Outcome,
    /// Kind of failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorKind>,
    /// Token counts; absent when the vendor told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Nano-USD; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
    /// How the cost is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_source: Option<CostSource>,
    /// How sure the cost is.
    #[serde(default)]
    pub confidence: Confidence,
    /// What the units cost at the price known, nano-USD, whatever the provider states; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed_nanos: Option<u64>,
    /// The price the units were computed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceRow>,
    /// Units by class, each in exactly one; a class that is absent is not known.
    #[serde(default, skip_serializing_if = "UsageVector::is_empty")]
    pub units: UsageVector,
    /// What is odd about counts and cost, or missing: `ambiguous`, `cached_gt_prompt`, `drift`, `price_unknown`,
    /// `rate_missing:input_audio`, `tier_price_unknown:flex`, `usage_missing`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Duration, milliseconds.
    pub latency_ms: u64,
    /// Time to the first content, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// A kept answer was given again: nobody was asked, nothing was paid; `attempt` is then 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// The caller's labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// The price that one attempt was computed at, complete: with it and the record's units the amount follows again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PriceRow {
    /// `provider/model@date@what replaced the base row` (`batch`, `flex`, `off_peak`, `above_272000`).
    pub id: String,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Date of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// The rates that held.
    pub rates: Rates,
    /// Classes that had no rate of their own, and whose they were computed at.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fallbacks: BTreeMap<String, String>,
}

/// A question to the ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Group by `provider`, `model`, `purpose`, `outcome`, or the name of a tag (`project`, ...); nothing means one row.
    #[serde(default)]
    pub by: Vec<String>,
    /// Only attempts since, milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    pub since_ms: Option<u64>,
    /// Only attempts before, milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// Only attempts with these labels or values of the `by` names.
    #[serde(default, rename = "where")]
    pub filter: BTreeMap<String, String>,
}

/// The ledger's answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageReport {
    /// One row per group, ordered by its key.
    pub rows: Vec<UsageRow>,
    /// Sum over all rows.
    pub total: UsageRow,
    /// Whether the times asked for lie within the records kept; when false, older attempts are missing from the sums.
    pub complete: bool,
}

/// Sums over one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageRow {
    /// Name and value of each `by`; null where an attempt has no such label.
    #[serde(default)]
    pub group: BTreeMap<String, Option<String>>,
    /// Attempts booked.
    pub attempts: u64,
    /// Of these, failed, interrupted or cancelled.
    pub failed: u64,
    /// Prompt tokens reported.
    pub prompt_tokens: u64,
    /// Completion tokens reported.
    pub completion_tokens: u64,
    /// Sum of the known costs, nano-USD.
    pub cost_nanos: u64,
    /// The same as an exact decimal text in USD.
    pub cost_usd: String,
    /// Attempts whose cost is unknown (not in the sum).
    pub cost_unknown: u64,
    /// Sum of the corrections that reconciliation posted, nano-USD: what vendors billed more than `cost_nanos`, or less.
    #[serde(default)]
    pub corrections_nanos: i64,
}
