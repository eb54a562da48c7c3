//! Batches: many chat requests in; an answer or an error for each, and what it all came to, out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChatCompletion, ChatRequest, ErrorBody, Message, from_value};
use crate::error::{Error, Result};

/// Schema of [`BatchReport`].
pub const BATCH_SCHEMA: u32 = 1;

/// One request of a batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum BatchRequest {
    /// What the user says; everything else is in `common`.
    Prompt(String),
    /// The conversation; everything else is in `common`.
    Messages(Vec<Message>),
    /// A chat request, also one that is a fusion by its model. What it does not say is taken from `common`.
    Request(Box<ChatRequest>),
}

impl BatchRequest {
    /// A request as JSON: a text, a list of messages, or an object.
    ///
    /// # Errors
    /// `invalid_request` naming the place of what is wrong.
    pub fn from_value(request: &Value) -> Result<Self> {
        match request {
            Value::String(prompt) => Ok(BatchRequest::Prompt(prompt.clone())),
            Value::Array(_) => from_value("request", request).map(BatchRequest::Messages),
            Value::Object(_) => from_value("request", request).map(BatchRequest::Request),
            _ => Err(Error::invalid_request("a request is a text, a list of messages, or an object with `messages`")),
        }
    }
}

impl From<&str> for BatchRequest {
    fn from(prompt: &str) -> Self {
        BatchRequest::Prompt(prompt.to_owned())
    }
}

impl From<String> for BatchRequest {
    fn from(prompt: String) -> Self {
        BatchRequest::Prompt(prompt)
    }
}

impl From<Vec<Message>> for BatchRequest {
    fn from(messages: Vec<Message>) -> Self {
        BatchRequest::Messages(messages)
    }
}

impl From<ChatRequest> for BatchRequest {
    fn from(request: ChatRequest) -> Self {
        BatchRequest::Request(Box::new(request))
    }
}

/// How a batch is run. Unknown fields are refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BatchOptions {
    /// What requests do not say themselves: `model`, `temperature`, `tags`, ... Its `messages` come before those of requests that
    /// are a text or a list of messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common: Option<Box<ChatRequest>>,
    /// Requests worked on at the same time, 1 to 1024; 16 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Most that all calls may cost together, those of earlier runs with the same checkpoint included, decimal USD as text. The
    /// most that an attempt may cost is held before it is made, so that the budget is never passed; without `max_tokens` that is
    /// the price of the longest answer the model can give. A request that does not fit waits for those under way; one that
    /// still does not fit is not asked and ends with `budget_exceeded`, and so does one whose price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// A file to go on from: every finished row is appended to it, and rows that stand in it are not asked again. Rows that
    /// were not asked do not count as finished. A file of another batch is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Asks rows again that stand in the checkpoint with an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_failed: Option<bool>,
    /// Gives rows in the order of the requests, as by default; else as they finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// How many requests there will be, where that is known; for `eta_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// What became of one request: `response` or `error` is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchRow {
    /// Place among the requests, from 0.
    pub index: u64,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Box<ChatCompletion>>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<ErrorBody>>,
    /// What it cost, nano-USD; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
    /// The same as an exact decimal text in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// Attempts made; 0 when it was not asked.
    pub attempts: u32,
    /// From request to answer, milliseconds.
    pub latency_ms: u64,
    /// It was not asked now, but stood in the checkpoint.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

impl BatchRow {
    /// Text of the answer's first choice; empty when there is none.
    pub fn text(&self) -> &str {
        self.response.as_deref().map(ChatCompletion::text).unwrap_or_default()
    }
}

/// What a batch tells while it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BatchEvent {
    /// A row is done.
    #[cfg_attr(feature = "schema", schemars(title = "BatchRowDone"))]
    Row {
        /// What became of it.
        row: Box<BatchRow>,
    },
    /// How far it is: before the first row, then at most ten times a second, and after the last row.
    #[cfg_attr(feature = "schema", schemars(title = "BatchProgress"))]
    Progress {
        /// How far it is.
        progress: BatchProgress,
    },
    /// The end.
    #[cfg_attr(feature = "schema", schemars(title = "BatchDone"))]
    Done {
        /// What it all came to.
        report: Box<BatchReport>,
    },
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "BatchCounts"))]
pub struct BatchProgress {
    /// Rows that are done, with failed ones and those of the checkpoint.
    pub done: u64,
    /// Rows of those without an answer.
    pub failed: u64,
    /// Rows in all, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// What was spent, earlier runs with the checkpoint included, nano-USD.
    pub spent_nanos: u64,
    /// Rows done per second by this run.
    pub rows_per_s: f64,
    /// How long the rest will take at that rate, milliseconds, where the number of rows is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_ms: Option<u64>,
}

/// What a batch came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchReport {
    /// Version of this shape.
    pub schema: u32,
    /// Rows in all.
    pub rows: u64,
    /// Rows with an answer.
    pub answered: u64,
    /// Rows that were asked and have none.
    pub failed: u64,
    /// Rows that were not asked, because the budget did not allow it or the request was wrong.
    pub not_asked: u64,
    /// Rows that stood in the checkpoint.
    pub kept: u64,
    /// Rows without an answer, by kind of error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// What was spent, earlier runs with the checkpoint included, nano-USD. Under a budget, attempts of unknown cost count with
    /// the most that they may have cost.
    pub spent_nanos: u64,
    /// The same as an exact decimal text in USD.
    pub spent_usd: String,
    /// Rows of which the cost is unknown; those that were under way when an earlier run died included.
    pub unknown_calls: u32,
    /// The budget, nano-USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_nanos: Option<u64>,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Tokens of all answers.
    pub completion_tokens: u64,
    /// Half the answers took no longer, milliseconds.
    pub p50_ms: u64,
    /// 95 of 100 answers took no longer, milliseconds.
    pub p95_ms: u64,
    /// 99 of 100 answers took no longer, milliseconds.
    pub p99_ms: u64,
    /// This run, milliseconds.
    pub took_ms: u64,
    /// Rows done per second by this run.
    pub rows_per_s: f64,
}

impl BatchReport {
    /// The same in a line for people.
    pub fn to_text(&self) -> String {
        use crate::figures::{seconds, thousands, usd};

        let mut text = format!("{} of {} rows answered", thousands(self.answered), thousands(self.rows));
        if !self.errors.is_empty() {
            let kinds: Vec<String> = self.errors.iter().map(|(kind, n)| format!("{} {kind}", thousands(*n))).collect();
            text += &format!(" ({})", kinds.join(", "));
        }
        text += &format!(", {}", usd(self.spent_nanos));
        if self.unknown_calls > 0 {
            text += &format!(" and {} of unknown cost", thousands(u64::from(self.unknown_calls)));
        }
        text += &format!(
            ", {} + {} tokens, {} at the median and {} at 95 %, in {}",
            thousands(self.prompt_tokens),
            thousands(self.completion_tokens),
            seconds(self.p50_ms),
            seconds(self.p95_ms),
            seconds(self.took_ms)
        );
        if self.kept > 0 {
            text += &format!("; {} were in the checkpoint", thousands(self.kept));
        }
        text
    }
}
