//! The one error type, and the one table of error kinds that all four languages are generated from.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `Result` with interfuse's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One row of the table of kinds: how a kind is called in every language and what it means.
#[derive(Debug, Clone, Copy)]
pub struct KindInfo {
    /// The kind itself.
    pub kind: ErrorKind,
    /// `snake_case` name, as it stands in JSON.
    pub name: &'static str,
    /// Status number at the C ABI (negative; never reused).
    pub number: i32,
    /// HTTP status shown where a vendor's own is not known.
    pub status: u16,
    /// Whether trying the same target again can help.
    pub retryable: bool,
    /// Class name in Python and Node (openai's name where one exists).
    pub class: &'static str,
    /// Parent class.
    pub parent: &'static str,
    /// What happened, in one sentence.
    pub doc: &'static str,
    /// What to do about it, in one sentence.
    pub remedy: &'static str,
}

macro_rules! kinds {
    ($($variant:ident $name:literal $number:literal $status:literal $retry:literal $class:literal $parent:literal $doc:literal $remedy:literal;)*) => {
        /// What went wrong, in one word. The numbers, HTTP statuses and class names are in [`KINDS`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ErrorKind { $(#[doc = $doc] $variant,)* }

        /// Every kind, one row each; code generation and the C status numbers read this table.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            kind: ErrorKind::$variant, name: $name, number: $number, status: $status,
            retryable: $retry, class: $class, parent: $parent, doc: $doc, remedy: $remedy,
        },)*];
    };
}

kinds! {
    InvalidRequest "invalid_request" -1 400 false "BadRequestError" "APIStatusError" "The request is malformed or the vendor refused a parameter." "Correct what the message and `param` name; the vendor's own words are in `body`.";
    InvalidConfig "invalid_config" -2 400 false "ConfigError" "InterfuseError" "The configuration is wrong; the message names the JSON path." "Correct the configuration at the path in `param`.";
    Authentication "authentication" -3 401 false "AuthenticationError" "APIStatusError" "The key is missing or the vendor refused it." "Set the variable that the message names, or the provider's `api_key`; `interfuse doctor` says which keys were found.";
    Permission "permission" -4 403 false "PermissionDeniedError" "APIStatusError" "The key is valid but may not do this." "Give the key that right at the vendor, or use another key, model or region.";
    NotFound "not_found" -5 404 false "NotFoundError" "APIStatusError" "The model, provider or endpoint does not exist." "Correct the name; the message tells the nearest ones. A server that is not listed needs `base_url` under `providers`.";
    ContextLength "context_length" -6 400 false "ContextLengthError" "BadRequestError" "The prompt does not fit the model's context window." "Shorten the prompt, or name a model with a larger window in `fallbacks.context_length`.";
    ContentFiltered "content_filtered" -7 400 false "ContentFilterError" "BadRequestError" "The vendor's content policy refused the prompt or the answer." "Change the prompt, or name another model in `fallbacks.content_filtered`.";
    Unsupported "unsupported" -8 400 false "UnsupportedError" "BadRequestError" "The target cannot honour a field that changes the answer." "Leave out what `param` names, or choose a backend that honours it.";
    RateLimited "rate_limited" -9 429 true "RateLimitError" "APIStatusError" "Too many requests or tokens; retry after the stated time." "Wait for `retry_after`, give further keys or backends, or set `limits`, so that calls wait by themselves.";
    InsufficientCredits "insufficient_credits" -10 402 false "InsufficientCreditsError" "APIStatusError" "The vendor account has no credit or quota left." "Pay the vendor or raise the limit there, or name another backend.";
    Overloaded "overloaded" -11 503 true "OverloadedError" "InternalServerError" "The vendor is overloaded or temporarily unavailable." "Try again later, or name further backends or `models`.";
    ServerError "server_error" -12 500 true "InternalServerError" "APIStatusError" "The vendor failed." "Try again, or name further backends or `models`.";
    Timeout "timeout" -13 504 true "APITimeoutError" "APIConnectionError" "A timeout fired; the message says which one, its value and what had arrived." "Raise the timeout that fired, stream the answer, or name further backends.";
    Connection "connection" -14 502 true "APIConnectionError" "APIError" "The connection could not be made or broke before an answer." "Check network, proxy and `base_url`, or name further backends.";
    Interrupted "interrupted" -15 502 false "StreamInterruptedError" "APIConnectionError" "The answer stopped half-way; the error carries the partial text." "Take what is in `partial`, ask again, or set `on_interrupt` to `restart` or `continue`.";
    Decode "decode" -16 502 true "APIResponseValidationError" "APIError" "The vendor's answer is not what its protocol promises." "Try again; if it stays, check that `base_url` leads to an API of this kind, or say with `like` how it differs.";
    BudgetExceeded "budget_exceeded" -17 402 false "BudgetExceededError" "InterfuseError" "The call would cost more than a budget allows." "Raise the limit, set `max_tokens`, or choose a cheaper model; `details.budgets` tells limit, spent, held and estimate.";
    DeadlineExceeded "deadline_exceeded" -18 504 false "DeadlineExceededError" "APITimeoutError" "The caller's deadline for the whole call passed." "Allow more time, ask for a shorter answer, or choose a faster backend.";
    AllMembersFailed "all_members_failed" -19 502 false "AllMembersFailedError" "APIError" "No member of the pool gave a usable answer; each reason is listed." "Mend what `members` tells of each, or name other members.";
    Recursion "recursion" -20 400 false "RecursionRefusedError" "BadRequestError" "A pool member or judge is itself a fusion model." "Name plain models as members and judge.";
    Storage "storage" -21 500 false "StorageError" "InterfuseError" "The ledger could not be read or written." "Make room on the disk, or correct path and rights of the file that the message names.";
    Cancelled "cancelled" -22 499 false "CallCancelledError" "InterfuseError" "The caller cancelled the call." "Make the call again if that was not meant.";
    Misuse "misuse" -23 400 false "MisuseError" "InterfuseError" "A function was called in a state or with a handle that does not allow it." "Correct the calling code as the message says.";
    Internal "internal" -24 500 false "InternalError" "InterfuseError" "A defect in interfuse." "Tell the project the message and the call that led to it.";
}

impl ErrorKind {
    /// The table row of this kind.
    pub fn info(self) -> &'static KindInfo {
        &KINDS[self as usize]
    }

    /// `snake_case` name.
    pub fn as_str(self) -> &'static str {
        self.info().name
    }

    /// Whether trying the same target again can help.
    pub fn retryable(self) -> bool {
        self.info().retryable
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a request had got when its attempt ended; decides what may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dispatch {
    /// Nothing left this machine.
    NotSent,
    /// The vendor may have seen and billed it.
    Uncertain,
    /// Output had reached the caller.
    OutputSeen,
}

/// Why an attempt was made that was not the first of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// The same target again.
    Retry,
    /// Another target, after a failure.
    Fallback,
    /// The same target with another key.
    Key,
    /// Beside one that takes long.
    Hedge,
    /// To find out whether a target has recovered.
    Probe,
}

/// One try at one target: what was asked, how it ended, how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attempt {
    /// Provider id.
    pub provider: String,
    /// Model id as sent to the provider.
    pub model: String,
    /// Name of the key, where the provider has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why it was made; absent for the first attempt of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttemptKind>,
    /// Kind of failure; absent for the attempt that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorKind>,
    /// The vendor's HTTP status, when one arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the vendor said, bounded to 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How far a failed attempt had got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Dispatch>,
    /// Wait before this attempt (backoff or Retry-After), milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waited_ms: u64,
    /// Duration of the attempt, milliseconds.
    pub ms: u64,
    /// What it cost, nano-USD; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What had arrived when an answer stopped half-way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
// TypeScript has a `Partial` of its own.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PartialAnswer"))]
pub struct Partial {
    /// Text of the first choice.
    pub text: String,
    /// Reasoning text of the first choice.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// Usage, where the vendor had already told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
}

/// Why one member of a pool gave no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberFailure {
    /// Member id in the pool.
    pub member: String,
    /// Model asked.
    pub model: String,
    /// Kind of failure.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
}

/// Everything an error tells, in the shape that crosses every language boundary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// Kind, from the one table.
    pub kind: ErrorKind,
    /// What happened and what to do.
    pub message: String,
    /// Whether the same call may succeed if made again.
    pub retryable: bool,
    /// Provider id, when one was involved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Model, as sent to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The vendor's HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The vendor's own code or type string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The parameter the vendor complained about, or the JSON path in a configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// The vendor's request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When to try again, milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The vendor's error body, bounded to 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Every attempt made for the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Cost of those attempts in nano-USD; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
    /// What had arrived before an interruption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
    /// Each member's reason, when a whole pool failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberFailure>,
    /// Anything else worth keeping.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
}

/// Any failure of interfuse. Small (one pointer); everything it tells is in [`ErrorBody`].
pub struct Error(Box<ErrorBody>);

impl Error {
    /// An error of `kind`; `message` says what happened and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(ErrorBody {
            kind,
            message: message.into(),
            retryable: kind.retryable(),
            provider: None,
            model: None,
            status: None,
            code: None,
            param: None,
            request_id: None,
            retry_after_ms: None,
            body: None,
            attempts: Vec::new(),
            cost_nanos: None,
            partial: None,
            members: Vec::new(),
            details: BTreeMap::new(),
        }))
    }

    /// Shorthand for [`ErrorKind::InvalidRequest`].
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// Shorthand for [`ErrorKind::InvalidConfig`]; `path` is the JSON path of the fault.
    pub fn invalid_config(path: impl Into<String>, message: impl fmt::Display) -> Self {
        let path = path.into();
        Self::new(ErrorKind::InvalidConfig, format!("configuration, at `{path}`: {message}")).with_param(path)
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Everything the error tells.
    pub fn body(&self) -> &ErrorBody {
        &self.0
    }

    /// Everything the error tells, to be changed.
    pub fn body_mut(&mut self) -> &mut ErrorBody {
        &mut self.0
    }

    /// Takes the data out.
    pub fn into_body(self) -> ErrorBody {
        *self.0
    }

    /// When to try again, as the vendor asked.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after_ms.map(Duration::from_millis)
    }

    /// The error as JSON text (the form that C and Node receive).
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Names the provider, unless one is named already.
    pub fn with_provider(mut self, provider: &str) -> Self {
        self.0.provider.get_or_insert_with(|| provider.to_owned());
        self
    }

    /// Names the model, unless one is named already.
    pub fn with_model(mut self, model: &str) -> Self {
        self.0.model.get_or_insert_with(|| model.to_owned());
        self
    }

    /// Adds the vendor's HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the vendor's code.
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the parameter or JSON path at fault.
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Adds what had arrived before the interruption.
    pub fn with_partial(mut self, partial: Partial) -> Self {
        self.0.partial = Some(partial);
        self
    }

    /// Notes how far the request had got.
    pub fn with_dispatch(mut self, dispatch: Dispatch) -> Self {
        let word = match dispatch {
            Dispatch::NotSent => "not_sent",
            Dispatch::Uncertain => "uncertain",
            Dispatch::OutputSeen => "output_seen",
        };
        self.0.details.insert("dispatch".into(), word.into());
        self
    }

    /// Adds when to try again.
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after_ms = after.map(|d| d.as_millis() as u64);
        self
    }
}

impl From<ErrorBody> for Error {
    fn from(body: ErrorBody) -> Self {
        Error(Box::new(body))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.0.message)?;
        match (&self.0.provider, &self.0.model) {
            (Some(p), Some(m)) => write!(f, " (provider {p}, model {m}")?,
            (Some(p), None) => write!(f, " (provider {p}")?,
            _ => return Ok(()),
        }
        if self.0.attempts.len() > 1 {
            write!(f, ", after {} attempts", self.0.attempts.len())?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {}

impl Clone for Error {
    fn clone(&self) -> Self {
        Error(self.0.clone())
    }
}

impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_matches_the_enum() {
        for (i, row) in KINDS.iter().enumerate() {
            assert_eq!(row.kind as usize, i, "{}", row.name);
            assert_eq!(row.number, -(i as i32) - 1, "{}", row.name);
            assert_eq!(serde_json::to_value(row.kind).unwrap(), row.name);
        }
    }

    #[test]
    fn display_names_target_and_attempts() {
        let e = Error::new(ErrorKind::RateLimited, "slow down").with_provider("groq").with_model("m");
        assert_eq!(e.to_string(), "rate_limited: slow down (provider groq, model m)");
    }
}
