//! Evaluation: questions, models and fusions in; what each is worth on them, and what to use, out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Extract, FusionMode, FusionOptions, Judge, LabelledItems, Member, ProviderChoice, Tags};
use crate::error::ErrorKind;

/// Schema of [`Evaluation`].
pub const EVALUATION_SCHEMA: u32 = 1;

/// What is asked of whom. Unknown fields are refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EvaluationRequest {
    /// The questions: `prompt`, and `gold` where the right answer is known. An item without `gold` needs `judge`. As a list,
    /// or the path of a file with one object a line.
    pub items: LabelledItems,
    /// The single models, each asked once per item; its answer also stands for it in every fusion that asks it the same.
    pub models: Vec<Member>,
    /// The fusions, by a name of your own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fusions: BTreeMap<String, FusionOptions>,
    /// Says of each answer to an item without `gold` whether it is right. It must take no part: neither one of `models` nor a
    /// member or judge of a fusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
    /// Instructions put before every question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Temperature of every member that has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Most tokens of an answer of every member that has no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Backend of every model that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderChoice>,
    /// Retries of a call after its first attempt, per target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// Headers added to every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_headers: Option<BTreeMap<String, String>>,
    /// Deadline of each answer to an item, milliseconds, of models and fusions that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How an answer is read out of a text, and of fusions that do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<Extract>,
    /// Labels of every call in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Items worked on at the same time, 1 to 64; 4 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Most that all calls may cost together, those of earlier runs with the same checkpoint included, decimal USD as text.
    /// A call whose estimate does not fit is not made; the evaluation then ends and tells what it has. Calls without a known
    /// price are made and named in a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// A file to go on from: each finished item is appended to it, and items that stand in it are not asked again. A file of
    /// another evaluation is refused. `calibrate` reads it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Where a report is written: one HTML file that needs nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// What an evaluation tells while it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EvaluationEvent {
    /// How far it is: where it starts, and then after every item.
    #[cfg_attr(feature = "schema", schemars(title = "EvaluationProgress"))]
    Progress {
        /// Items that are done, those of the checkpoint included.
        done: u32,
        /// Items in all.
        of: u32,
        /// What calls with a known price have cost, nano-USD.
        spent_nanos: u64,
    },
    /// The end.
    #[cfg_attr(feature = "schema", schemars(title = "EvaluationDone"))]
    Done {
        /// What was found.
        result: Evaluation,
    },
}

/// What one model or fusion made of one item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ItemOutcome {
    /// Whether the answer is right; null when the judge gave no verdict. A call that failed is wrong.
    #[serde(default)]
    pub right: Option<bool>,
    /// What its calls with a known price cost, nano-USD, as if nothing had been shared.
    pub cost_nanos: u64,
    /// Calls of which the cost is unknown: no price, or not waited for.
    #[serde(default)]
    pub unknown_calls: u32,
    /// Calls to members and judges.
    pub calls: u32,
    /// From question to answer, milliseconds, as if nothing had been shared.
    pub latency_ms: u64,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorKind>,
}

/// What an evaluation found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evaluation {
    /// Version of this shape.
    pub schema: u32,
    /// Items in the request.
    pub planned: u32,
    /// Items that the figures are about: done, and every answer to them judged.
    pub counted: u32,
    /// Items left out because the judge gave no verdict on an answer.
    pub unjudged: u32,
    /// Models and fusions, the most accurate first; of equal ones the cheaper.
    pub contenders: Vec<Contender>,
    /// The most accurate single model; of equal ones the cheaper. It is chosen by the same items, which flatters it a little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_single: Option<String>,
    /// Percent of items that at least one single model has right: no choice among their answers can have more.
    pub oracle: f64,
    /// Points between that and the best single model.
    pub headroom: f64,
    /// What all calls with a known price cost in fact, nano-USD, those before a checkpoint included: answers that were shared
    /// count once, and the judge's verdicts are in it.
    pub spent_nanos: u64,
    /// Calls of which the cost is unknown.
    pub unknown_calls: u32,
    /// What to use, in one or two sentences. It claims only what these items show.
    pub recommendation: String,
    /// Why not all items were done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// What speaks against relying on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One model or fusion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Contender {
    /// The model, or the fusion's name.
    pub name: String,
    /// The mode of a fusion; absent for a single model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FusionMode>,
    /// Items it has right.
    pub right: u32,
    /// Percent of items right.
    pub accuracy: f64,
    /// Lower end of the 95 % interval of that (Wilson 1927).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What its calls with a known price cost, nano-USD, as if nothing had been shared.
    pub cost_nanos: u64,
    /// Calls of which the cost is unknown: it cost at least `cost_nanos`.
    pub unknown_calls: u32,
    /// Calls per item.
    pub calls: f64,
    /// Half the answers took no longer, milliseconds.
    pub p50_ms: u64,
    /// 95 of 100 answers took no longer, milliseconds.
    pub p95_ms: u64,
    /// Items to which it gave no answer.
    pub failed: u32,
    /// Beside the best single model; absent for that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

/// Two contenders on the same items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Against {
    /// Items that it has right and the other wrong.
    pub wins: u32,
    /// Items that it has wrong and the other right.
    pub losses: u32,
    /// Items that both have right, or both wrong.
    pub ties: u32,
    /// Points that it is ahead.
    pub difference: f64,
    /// Lower end of the 95 % interval of that (Agresti and Min 2005).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Chance of so many more wins or losses if both were alike: McNemar's test (1947), exact, two-sided.
    pub p: f64,
}
