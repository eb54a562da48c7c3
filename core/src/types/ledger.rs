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
    /// One row for each value of these together; nothing means one row. `provider`, `model` (as asked for), `model_sent`,
    /// `model_served`, `served_by`, `endpoint` (`provider/model_sent`), `key` (its name), `purpose`, `kind` (of the attempt;
    /// `first` for one that begins a call), `outcome`, `error`, `confidence`, `run_id`, a time's `hour`, `day`, `week` (ISO
    /// 8601) or `month`, or the name of a tag (`project`, ...). `tag:NAME` is always the tag, also where a name above hides it.
    #[serde(default)]
    pub by: Vec<String>,
    /// Only attempts since, milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    pub since_ms: Option<u64>,
    /// Only attempts before, milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// The same as `since_ms`, as text: a date (`2026-10-01`), a date and time (`2026-10-01T16:30`, with `Z` or `+02:00` for
    /// another zone than the question's), or how long ago (`90m`, `24h`, `7d`, `4w`).
    #[serde(default)]
    pub since: Option<String>,
    /// The same as `until_ms`, as text. A date alone is its first instant.
    #[serde(default)]
    pub until: Option<String>,
    /// Only attempts with these labels or values of the `by` names.
    #[serde(default, rename = "where")]
    pub filter: BTreeMap<String, String>,
    /// Whose hours, days, weeks and months are meant (`Europe/Berlin`); UTC by default.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Whether the rows tell latencies; false by default.
    #[serde(default)]
    pub latencies: bool,
}

/// The ledger's answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageReport {
    /// What the rows are told apart by, in the question's order.
    #[serde(default)]
    pub by: Vec<String>,
    /// One row per group, ordered by its values in the order of `by`.
    pub rows: Vec<UsageRow>,
    /// Sum over all rows.
    pub total: UsageRow,
    /// Whether everything asked for lies within the records kept; when false, older attempts are missing from the sums, or
    /// their latencies are.
    pub complete: bool,
    /// Names of the question that no attempt has as a label and that look like another name misspelt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// Sums over one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct UsageRow {
    /// Name and value of each `by`; null where an attempt has no such label.
    pub group: BTreeMap<String, Option<String>>,
    /// Attempts booked, and kept answers that were given again.
    pub attempts: u64,
    /// Of these, failed, interrupted or cancelled.
    pub failed: u64,
    /// Calls that began here: their first attempts, and kept answers that were given again.
    pub calls: u64,
    /// Prompt tokens reported.
    pub prompt_tokens: u64,
    /// Completion tokens reported.
    pub completion_tokens: u64,
    /// Of the prompt tokens, those reported as read from the vendor's cache.
    pub cached_tokens: u64,
    /// Of the completion tokens, those reported as reasoning.
    pub reasoning_tokens: u64,
    /// Sum of the known costs, nano-USD.
    pub cost_nanos: u64,
    /// The same as an exact decimal text in USD.
    pub cost_usd: String,
    /// Of it, what attempts cost that failed, were interrupted or cancelled, nano-USD.
    pub waste_nanos: u64,
    /// Of it, what follows from counts that are estimates, nano-USD.
    pub estimated_nanos: u64,
    /// Attempts whose cost is unknown (not in the sum).
    pub cost_unknown: u64,
    /// Sum of the corrections that reconciliation posted, nano-USD: what vendors billed more than `cost_nanos`, or less.
    #[serde(default)]
    pub corrections_nanos: i64,
    /// Half of the answers took no longer, milliseconds; this and what follows only where `latencies` was asked for. At most
    /// one percent off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p50_ms: Option<u64>,
    /// 95 of 100 answers took no longer, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p95_ms: Option<u64>,
    /// Half of the streamed answers began no later, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_p50_ms: Option<u64>,
}

/// What to write out of the ledger, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ExportRequest {
    /// What is written.
    pub format: ExportFormat,
    /// Version of FOCUS; 1.4 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<FocusVersion>,
    /// Of which attempts; `by` and `latencies` count for sums alone.
    pub query: UsageQuery,
}

/// What can be written out of a ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// The charges as CSV in the FinOps Open Cost and Usage Specification, a row for each attempt and class of units.
    #[default]
    Focus,
    /// The sums, as CSV.
    UsageCsv,
    /// The sums, as JSON.
    UsageJson,
    /// Every record, as CSV.
    RecordsCsv,
    /// Every record, one JSON object a line.
    RecordsJson,
    /// A page for people: totals and charts in one HTML file that needs no network.
    Html,
}

/// A version of the FinOps Open Cost and Usage Specification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FocusVersion {
    /// 1.2.
    #[serde(rename = "1.2")]
    V1_2,
    /// 1.3.
    #[serde(rename = "1.3")]
    V1_3,
    /// 1.4.
    #[default]
    #[serde(rename = "1.4")]
    V1_4,
}

/// What was written out of a ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Exported {
    /// Attempts that were chosen.
    pub attempts: u64,
    /// Of these, whose cost is unknown.
    pub cost_unknown: u64,
    /// Sum of the known costs, nano-USD.
    pub cost_nanos: u64,
    /// Sum of the corrections among the charges, nano-USD; it is not in the costs.
    pub corrections_nanos: i64,
    /// Rows written, without headings.
    pub rows: u64,
    /// Whether all that was booked in the time asked for was still there to be written.
    pub complete: bool,
}
