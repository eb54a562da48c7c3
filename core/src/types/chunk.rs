//! Events of a chat stream.

use serde::{Deserialize, Serialize};

use super::{Extra, Logprobs, ResponseMeta, ToolCall, Usage};

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChatCompletionChunk {
    /// The vendor's id, equal in all chunks.
    #[serde(default)]
    pub id: String,
    /// Always `chat.completion.chunk`.
    #[serde(default = "chunk_object")]
    pub object: String,
    /// Seconds since 1970-01-01 UTC.
    #[serde(default)]
    pub created: u64,
    /// Model that answers.
    #[serde(default)]
    pub model: String,
    /// What is new, per choice; empty in the usage chunk.
    #[serde(default)]
    pub choices: Vec<ChunkChoice>,
    /// Token counts, on the last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Tier that serves the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// The vendor's configuration mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// What interfuse adds: on the last chunk, and where a stream starts anew (`reset`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfuse: Option<Box<ResponseMeta>>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

fn chunk_object() -> String {
    "chat.completion.chunk".to_owned()
}

impl ChatCompletionChunk {
    /// New text of the first choice, empty when there is none.
    pub fn text(&self) -> &str {
        self.choices.first().and_then(|c| c.delta.content.as_deref()).unwrap_or_default()
    }
}

/// What is new for one choice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChunkChoice {
    /// Place among the choices.
    #[serde(default)]
    pub index: u32,
    /// The new parts.
    #[serde(default)]
    pub delta: Delta,
    /// Why the choice ended; null until then.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Log probabilities of the new tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Logprobs>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// New parts of a message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delta {
    /// `assistant`, on a choice's first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// New text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// New refusal text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// New reasoning text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// New parts of tool calls; merge by `index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// New parts of one tool call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolCallDelta {
    /// Place among the message's tool calls.
    #[serde(default)]
    pub index: u32,
    /// Id, on the call's first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`, on the call's first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// New parts of the function call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionCallDelta>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ToolCallDelta {
    /// A whole call, at its place among the message's.
    pub fn whole(place: usize, call: ToolCall) -> Self {
        ToolCallDelta {
            index: u32::try_from(place).unwrap_or(u32::MAX),
            id: Some(call.id),
            r#type: Some(call.r#type),
            function: call.function.map(|f| FunctionCallDelta { name: Some(f.name), arguments: Some(f.arguments) }),
            extra: call.extra,
        }
    }
}

/// New parts of a function call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FunctionCallDelta {
    /// Name, on the call's first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New text of the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}
