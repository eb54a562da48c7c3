//! Declared deviations of an OpenAI-compatible server from OpenAI's own chat wire: data, read by the wire and by whoever
//! describes a server of their own. What is left out is unknown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How one server deviates. `Quirks::default()` is the plain OpenAI wire with nothing known about the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Which spelling of the output limit the server takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<MaxTokens>,
    /// Largest `n` accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_n: Option<u32>,
    /// Whether `stream_options` is accepted; `false`: the field is refused or does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<bool>,
    /// Where a stream tells its usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_usage: Option<StreamUsage>,
    /// `false`: some streams end without `data: [DONE]`, so the end of the body must end them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_marker: Option<bool>,
    /// Fields of message and delta that hold reasoning text, likeliest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasoning_fields: Vec<String>,
    /// Reasoning stands inside `content`, between `<tag>` and `</tag>`; this is the tag's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tag: Option<String>,
    /// `content` may be a list of blocks (`text`, `thinking`) in answers.
    #[serde(skip_serializing_if = "is_false")]
    pub content_blocks: bool,
    /// Reasoning tokens are billed but missing from `completion_tokens`: output is `total_tokens - prompt_tokens`.
    #[serde(skip_serializing_if = "is_false")]
    pub reasoning_outside: bool,
    /// `false`: an answer that is not streamed to the caller is not streamed inside either, as streams do not work or lose
    /// something there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_inside: Option<bool>,
    /// A conversation may end with the beginning of the answer, and the answer then goes on from there.
    #[serde(skip_serializing_if = "is_false")]
    pub continues: bool,
    /// Field that is `true` on such a beginning, where the server wants one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues_field: Option<String>,
    /// Fields of an assistant message that must be sent back as they came. With `reasoning_fields`, the only names under
    /// which reasoning is sent back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub echo: Vec<String>,
    /// Where the response states its own price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<StatedCost>,
    /// Where the response says which backend served it (aggregators).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_by: Option<ServedBy>,
    /// Request fields the server answers with an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Fields put into every request body, unless the request says them itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Value>,
    /// Fields of a message the server answers with an error; of its calls as `tool_calls.name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop_message_fields: Vec<String>,
    /// Request fields the server accepts and silently ignores: a schema asked for here is not held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignores: Vec<String>,
    /// Request fields with another name there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Values of a string `tool_choice` the server takes; empty: all, or unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_choices: Vec<String>,
    /// The server's word for `tool_choice: "required"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice_required: Option<String>,
    /// Form that ids of tool calls must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_ids: Option<ToolCallIds>,
    /// `false`: role `developer` is unknown, `system` stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub developer_role: Option<bool>,
    /// Which messages need lists of text parts joined into one string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flatten_content: Option<Flatten>,
    /// How a JSON schema for the answer is written, where not OpenAI's way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<JsonSchemaForm>,
    /// Further values of `finish_reason` and what they mean in OpenAI's words.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub finish_reasons: BTreeMap<String, String>,
    /// Where the text of an error body stands, in the order to try.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error_paths: Vec<String>,
    /// HTTP status of a refused key, where it is not 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_key_status: Option<u16>,
    /// Response headers that tell the rate limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitHeaders>,
}

fn is_false(b: &bool) -> bool {
    !*b
}

impl Quirks {
    /// Whether a streamed request should carry `stream_options.include_usage`: where it is accepted, and where nothing
    /// is known of the field and usage is not known to come unasked.
    pub fn ask_stream_usage(&self) -> bool {
        match (self.stream_options, self.stream_usage) {
            (Some(accepted), _) => accepted,
            (None, Some(StreamUsage::FinalChunk | StreamUsage::EveryChunk)) => false,
            (None, _) => true,
        }
    }
}

/// Spelling of the output limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MaxTokens {
    /// Only `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`; some models refuse the other.
    MaxCompletionTokens,
    /// Either.
    Both,
}

/// Where a stream tells its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StreamUsage {
    /// Nowhere unless `include_usage` asks; then in an extra chunk without choices.
    OnRequest,
    /// In the last chunk that has choices, unasked.
    FinalChunk,
    /// In every chunk, cumulative: the last one counts.
    EveryChunk,
    /// Under `x_groq` of the last chunk unless `include_usage` asks.
    XGroq,
}

/// Where a response states its own price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StatedCost {
    /// Dotted path in the response body.
    pub path: String,
    /// Unit of the number there.
    pub unit: CostUnit,
    /// Where the response says that a key of the caller's own at the vendor was used, so that the number is a fee only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_key: Option<OwnKeyCost>,
}

/// A router's fee beside the vendor's own bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OwnKeyCost {
    /// Dotted path of what is `true` then.
    pub flag: String,
    /// Dotted path of what the vendor bills, in the same unit.
    pub upstream: String,
}

/// Unit of a stated price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CostUnit {
    /// US dollars, a decimal number.
    Usd,
    /// 1e-10 US dollars, an integer.
    UsdTicks,
}

/// Where an aggregator names the backend that served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServedBy {
    /// In this response header.
    Header(String),
    /// In this top-level field of the body.
    Field(String),
}

/// Form of tool call ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolCallIds {
    /// Exactly nine of `a-z A-Z 0-9`.
    Alnum9,
    /// None at all: calls and results are matched by name and order.
    Absent,
}

/// Which messages need their text parts joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Flatten {
    /// Every message.
    All,
    /// Messages of role `tool`.
    Tool,
}

/// How a schema for the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum JsonSchemaForm {
    /// `{"type": "json_object", "schema": ...}`.
    ObjectSchema,
    /// In the subset of JSON Schema that OpenAPI 3.0 knows.
    #[serde(rename = "openapi")]
    OpenApi,
}

/// Response headers that tell the rate limits; each may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitHeaders {
    /// Requests allowed in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_requests: Option<String>,
    /// Requests left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_requests: Option<String>,
    /// When the request window starts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_requests: Option<String>,
    /// Tokens allowed in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_tokens: Option<String>,
    /// Tokens left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_tokens: Option<String>,
    /// When the token window starts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_tokens: Option<String>,
    /// How the reset values are written; absent where there are none or their unit is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_unit: Option<ResetUnit>,
}

/// How a reset value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResetUnit {
    /// With units: `12ms`, `1.182s`, `6m0s`.
    Duration,
    /// Seconds, possibly with a fraction.
    Seconds,
    /// The moment itself: `2026-11-22T10:00:00Z` (RFC 3339).
    Date,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_asked_for_unless_refused_or_given_anyway() {
        let q = |stream_options, stream_usage| Quirks { stream_options, stream_usage, ..Quirks::default() };
        assert!(Quirks::default().ask_stream_usage());
        assert!(q(Some(true), Some(StreamUsage::FinalChunk)).ask_stream_usage());
        assert!(!q(Some(false), Some(StreamUsage::EveryChunk)).ask_stream_usage());
        assert!(!q(None, Some(StreamUsage::FinalChunk)).ask_stream_usage());
        assert!(q(None, Some(StreamUsage::OnRequest)).ask_stream_usage());
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let e = serde_json::from_str::<Quirks>(r#"{"max_tokns": "both"}"#).unwrap_err();
        assert!(e.to_string().contains("max_tokns"), "{e}");
    }
}
