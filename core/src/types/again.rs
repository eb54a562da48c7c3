//! What a fusion's report holds so that its answers can be combined once more, and what is told of that.

use serde::{Deserialize, Serialize};

use super::ResponseFormat;

/// What a decision rested on beside the members' answers, their priors and the judge's replies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Grounds {
    /// Model of who judges, asked or not.
    pub judge: String,
    /// The chance to be right that a verdict of it in both orders was taken to have.
    pub trust: f64,
    /// It did not see what was asked about beside text, so that its word counted half.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub judge_blind: bool,
    /// Whether a merged answer was to be compared with the best single one.
    pub guard: bool,
    /// What stood between comparison and answer, where one reply of the judge held both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The form that answers were bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
}

/// The run whose stored answers a run combined.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Earlier {
    /// Its id.
    pub run_id: String,
    /// What was done with its answers.
    pub how: Again,
    /// Where a replay came to something else than its report says; empty when the decision is the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Departure>,
}

/// What was done with stored answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// They were decided on anew, as another request said.
    #[default]
    Rejudged,
    /// The same decision was made again from the stored replies of the judge; nobody was asked.
    Replayed,
}

/// A place of a report where a replay came to something else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Departure {
    /// The place, as a JSON Pointer into the report.
    pub at: String,
    /// What the report says there; absent when nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<serde_json::Value>,
    /// What the replay came to; absent when nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<serde_json::Value>,
}
