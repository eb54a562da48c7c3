//! Progress of a fusion.

use serde::{Deserialize, Serialize};

use super::{Degraded, ErrorKind, Fused, FusionMode};

/// One event of a fusion's stream, in order of `seq`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FusionEvent {
    /// Number of the event, from 0.
    pub seq: u64,
    /// Milliseconds since the run started.
    pub at_ms: u64,
    /// Id of the run.
    pub run_id: String,
    /// What happened.
    #[serde(flatten)]
    pub step: FusionStep,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FusionStep {
    /// The run started.
    #[cfg_attr(feature = "schema", schemars(title = "RunStarted"))]
    RunStarted {
        /// Mode asked for.
        mode: FusionMode,
        /// Ids of the members asked.
        members: Vec<String>,
        /// The judge's model.
        judge: String,
    },
    /// A member was asked.
    #[cfg_attr(feature = "schema", schemars(title = "MemberStarted"))]
    MemberStarted {
        /// Member id.
        member: String,
    },
    /// A member answered.
    #[cfg_attr(feature = "schema", schemars(title = "MemberDone"))]
    MemberDone {
        /// Member id.
        member: String,
        /// Milliseconds it took.
        latency_ms: u64,
        /// Tokens of its answer, where reported.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        completion_tokens: Option<u64>,
    },
    /// A member failed or answered nothing usable.
    #[cfg_attr(feature = "schema", schemars(title = "MemberFailed"))]
    MemberFailed {
        /// Member id.
        member: String,
        /// Kind of failure; absent for an unusable answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ErrorKind>,
        /// What happened.
        reason: String,
    },
    /// A member was not waited for.
    #[cfg_attr(feature = "schema", schemars(title = "MemberCancelled"))]
    MemberCancelled {
        /// Member id.
        member: String,
    },
    /// Enough usable answers are there.
    #[cfg_attr(feature = "schema", schemars(title = "QuorumReached"))]
    QuorumReached {
        /// Usable answers.
        usable: u32,
    },
    /// The judge was asked.
    #[cfg_attr(feature = "schema", schemars(title = "JudgeStarted"))]
    JudgeStarted {
        /// `verdict`, `analysis`, `synthesis` or `fields`.
        purpose: String,
    },
    /// The judge answered.
    #[cfg_attr(feature = "schema", schemars(title = "JudgeDone"))]
    JudgeDone {
        /// `verdict`, `analysis`, `synthesis` or `fields`.
        purpose: String,
        /// Milliseconds it took.
        latency_ms: u64,
    },
    /// A debate's round started.
    #[cfg_attr(feature = "schema", schemars(title = "DebateRound"))]
    DebateRound {
        /// Round, from 1.
        round: u32,
    },
    /// Less was done than asked.
    #[cfg_attr(feature = "schema", schemars(title = "DegradedStep"))]
    Degraded {
        /// What and why.
        degraded: Degraded,
    },
    /// New text of the final answer.
    #[cfg_attr(feature = "schema", schemars(title = "FinalDelta"))]
    FinalDelta {
        /// The text.
        text: String,
    },
    /// The text sent so far as `final_delta` is void: writing it broke off, and another answer follows.
    #[cfg_attr(feature = "schema", schemars(title = "FinalRestarted"))]
    FinalRestarted {
        /// Why.
        reason: String,
    },
    /// Nothing else was told for ten seconds; the run goes on.
    #[cfg_attr(feature = "schema", schemars(title = "Keepalive"))]
    Keepalive {},
    /// The run is over.
    #[cfg_attr(feature = "schema", schemars(title = "RunDone"))]
    RunDone {
        /// The answer with its report.
        result: Box<Fused>,
    },
}
