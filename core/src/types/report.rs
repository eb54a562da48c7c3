//! The report of a fusion: every member's answer, how it was decided, what it took. Its parts sum to its totals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Earlier, ErrorKind, Explanation, FusionMode, Grounds, Tags, ToolCall, Usage};

/// The version of [`FusionReport`]; fields are only added within it.
pub const REPORT_SCHEMA: u32 = 1;

/// The report of one fusion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FusionReport {
    /// Version of this form, 1.
    pub schema: u32,
    /// Id of the run; the same in the ledger.
    pub run_id: String,
    /// Mode asked for.
    pub mode: FusionMode,
    /// Mode that gave the answer: `auto` may have gone over to `best_of` or `merge`, and a merge that could not be made to
    /// `best_of` or `vote`.
    #[serde(default)]
    pub mode_used: FusionMode,
    /// Milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
    /// What labels and orders were drawn from, in hexadecimal: the same for the same request.
    #[serde(default)]
    pub seed: String,
    /// Version of the judge's instructions.
    pub prompt_version: u32,
    /// Labels of the run, as in the ledger.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// How the answer came about.
    pub decision: Decision,
    /// Every member, in the pool's order.
    pub members: Vec<MemberReport>,
    /// Who says the same, and how alike any two answers are; absent with fewer than two usable answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// What the judge found, when it compared the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// Every call to the judge.
    #[serde(default)]
    pub judges: Vec<JudgeReport>,
    /// How each field was decided, where answers under a JSON schema were put together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldReport>,
    /// Every second look of a debate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debate: Vec<DebateTurn>,
    /// What the decision rested on beside answers and replies, for `replay`; absent in what an older version wrote, and where
    /// the answers' schema is larger than 65536 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<Grounds>,
    /// Which run's answers were combined, when no member was asked: by `rejudge` or `replay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
    /// What it cost.
    pub cost: CostReport,
    /// How long it took.
    pub latency: LatencyReport,
    /// Every place where less was done than asked, with its cause.
    #[serde(default)]
    pub degraded: Vec<Degraded>,
    /// Things worth knowing (a member judged its own answer, an unknown price, ...).
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Where the final answer comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FinalSource {
    /// One member's answer, word for word.
    #[default]
    Member,
    /// Written by the judge from the members' answers.
    Merged,
    /// Put together from the fields of the members' answers, under a JSON schema.
    Fields,
}

/// How the answer came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Decision {
    /// Where the final answer comes from.
    pub source: FinalSource,
    /// Ids of the members whose answers went into it.
    pub members: Vec<String>,
    /// `judge`, `agreement`, `single_answer`, `anchor`, `evidence`, `fields`, `guard`, `escalated`.
    pub method: String,
    /// Id of the anchor.
    pub anchor: String,
    /// Whether two verdicts in opposite orders agreed; absent when there were not two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_consistent: Option<bool>,
    /// Why, in a few words.
    pub why: String,
    /// How far the first of `evidence` is ahead of the second, log-odds; absent where there are not two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// The different answers with what speaks for each, the strongest first; empty when there was nothing to weigh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// What speaks for one of the answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// Ids of the members that gave it or stand by it.
    pub members: Vec<String>,
    /// The closed answer that was read out of their texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Log-odds from the members' priors.
    pub prior: f64,
    /// Log-odds from the judge's verdicts.
    pub judge: f64,
    /// Share of the confidence, 0 to 1 (softmax of the sum of both).
    pub confidence: f64,
}

/// How alike the usable answers are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agreement {
    /// Ids of the members with a usable answer, in the pool's order.
    pub members: Vec<String>,
    /// Row by row, for every two of them: 1 where they say the same, 0 where closed answers or tool calls differ, else the
    /// share of three-letter pieces that their texts have in common (Jaccard), of the first 16384 characters of each.
    pub matrix: Vec<Vec<f64>>,
    /// Who says the same, the first member's group first.
    pub groups: Vec<Vec<String>>,
}

/// How a member ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// Its answer is usable.
    #[default]
    Ok,
    /// It failed.
    Failed,
    /// It answered nothing usable.
    Unusable,
    /// It was not waited for.
    Cancelled,
    /// Its deadline passed.
    Timeout,
    /// It was not asked.
    Skipped,
}

/// One member's part in a fusion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberReport {
    /// Name in this report, unique.
    pub id: String,
    /// Model asked for.
    pub model: String,
    /// Provider that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Family of the model (`gpt`, `claude`, `llama`, ...), by its name; absent when the name tells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The chance to be right that it was taken to have; absent when nothing was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<f64>,
    /// How it ended.
    pub status: MemberStatus,
    /// Why, when not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Kind of failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorKind>,
    /// HTTP status of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Its answer (its first one, in a debate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The closed answer that was read out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Its tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Its tokens, where reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Nano-USD; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
    /// When it was asked, milliseconds after the run's start; absent when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// From its start to its end, milliseconds.
    pub latency_ms: u64,
    /// To its first content, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// Attempts made.
    pub attempts: u32,
    /// Whether a second attempt was made beside a slow one (`hedge`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hedged: bool,
    /// Whether a kept answer was used (`cache`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// The judge's scores, mean over its verdicts, each 0 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// Marks such as `truncated`, `instructs_judge` or `repaired` (its JSON was taken out of what stood around it).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// How its backend was chosen, when the request or the configuration asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
}

/// A judge's scores of one answer, each 0 to 10.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scores {
    /// Is it true.
    pub correctness: f64,
    /// Does it do what was asked.
    pub instruction: f64,
    /// Is anything missing.
    pub completeness: f64,
}

/// A comparison of the answers (OpenRouter Fusion's five lists).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Analysis {
    /// What all or most answers say.
    #[serde(default)]
    pub consensus: Vec<String>,
    /// Where they contradict each other.
    #[serde(default)]
    pub contradictions: Vec<Contradiction>,
    /// What only some cover.
    #[serde(default)]
    pub partial_coverage: Vec<PartialCoverage>,
    /// What only one says.
    #[serde(default)]
    pub unique_insights: Vec<UniqueInsight>,
    /// What none says and should have been said.
    #[serde(default)]
    pub blind_spots: Vec<String>,
}

/// One contradiction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Contradiction {
    /// What it is about.
    pub topic: String,
    /// Who says what.
    #[serde(default)]
    pub stances: Vec<Stance>,
}

/// One member's stance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stance {
    /// Member id.
    pub member: String,
    /// What it says.
    pub stance: String,
}

/// A point that only some answers cover.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartialCoverage {
    /// Member ids.
    pub members: Vec<String>,
    /// The point.
    pub point: String,
}

/// A point that only one answer makes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UniqueInsight {
    /// Member id.
    pub member: String,
    /// The point.
    pub insight: String,
}

/// One call to the judge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JudgeReport {
    /// `verdict`, `analysis`, `synthesis` or `fields`.
    pub purpose: String,
    /// Model asked for.
    pub model: String,
    /// Provider that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Order in which the answers were shown, as member ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    /// Member it found best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// Its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How its output was read: `strict`, `stripped`, `extracted`, `repaired`, `label`; absent when it could not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parsed: Option<String>,
    /// What it wrote, under the codes that it was shown, for `replay`; absent when it failed or wrote more than 65536 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Kind of failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorKind>,
    /// Its tokens, where reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Nano-USD; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
    /// When it was asked, milliseconds after the run's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// Milliseconds.
    pub latency_ms: u64,
}

/// One place of a structured answer, and who said what there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldReport {
    /// Where it is in the answer, as a JSON Pointer; an entry that was left out of a list has `-` for its place.
    pub pointer: String,
    /// `agreement` (all say it), `vote` (most do), `median` (of measured numbers), `medoid` (the text most like the others),
    /// `judge`, `anchor` (nothing outweighs it) or `prior`.
    pub method: String,
    /// What was said there, what stands in the answer first.
    pub said: Vec<FieldSupport>,
}

/// One value, and who gives it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldSupport {
    /// The value; absent where they leave the place out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Member ids.
    pub members: Vec<String>,
}

/// One member's second look.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DebateTurn {
    /// Member id.
    pub member: String,
    /// Round, from 1.
    pub round: u32,
    /// Whose answers it saw.
    pub saw: Vec<String>,
    /// Whether it changed its answer.
    pub changed: bool,
    /// The error it named as its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its answer after this round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The closed answer that was read out of a new answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What it wrote, for `replay`; absent when it failed or wrote more than 65536 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Kind of failure; its earlier answer stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorKind>,
    /// Its tokens, where reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Nano-USD; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
    /// When it was asked, milliseconds after the run's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// Milliseconds.
    pub latency_ms: u64,
}

/// What a fusion cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostReport {
    /// Sum of the known costs, nano-USD.
    pub known_nanos: u64,
    /// The whole cost in nano-USD; absent when any call's cost is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_nanos: Option<u64>,
    /// The same as an exact decimal text in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_usd: Option<String>,
    /// Known cost per stage (`members`, `judge`, `synthesis`, `debate`), nano-USD.
    pub by_stage: BTreeMap<String, u64>,
    /// Calls made.
    pub calls: u32,
    /// Calls whose cost is unknown.
    pub unknown_calls: u32,
    /// What the anchor's answer alone cost, nano-USD; the price of not fusing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_nanos: Option<u64>,
    /// The whole cost beside the anchor's: 4 means four times as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple: Option<f64>,
    /// What members that were not asked or not waited for, because the answers before them were enough, would likely have
    /// cost, had they answered as long as the others, nano-USD; absent when there were none, or a price is not known. A
    /// vendor may bill a part of a call that was not waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_nanos: Option<u64>,
    /// The caller's cap, nano-USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_nanos: Option<u64>,
}

/// How long a fusion took, milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LatencyReport {
    /// The whole run.
    pub total_ms: u64,
    /// Until the answers were collected.
    pub members_ms: u64,
    /// Until the quorum was reached; absent when it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum_ms: Option<u64>,
    /// From the collected answers to the end.
    pub judge_ms: u64,
}

/// A place where less was done than asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Degraded {
    /// What was not done: `member`, `judge`, `judge_output`, `synthesis`, `fields`, `debate`, `quorum`, `deadline`,
    /// `budget`.
    pub step: String,
    /// What happened instead, and why.
    pub cause: String,
    /// Kind of failure behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorKind>,
}
