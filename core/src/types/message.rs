//! Messages of a conversation, in and out.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Extra;

/// Who speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions (older spelling).
    System,
    /// Instructions.
    Developer,
    /// The person or program asking.
    #[default]
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
    /// Any other role, as the vendor spells it.
    #[serde(untagged)]
    Other(String),
}

/// One message of a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Text, a list of parts, or null (an assistant message that only calls tools).
    #[serde(default)]
    pub content: Option<Content>,
    /// Name of the participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tool calls the assistant made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call that a `tool` message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Fields passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Message {
    /// A message of plain text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Message { role, content: Some(Content::Text(text.into())), ..Default::default() }
    }

    /// A user's message.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(Role::User, text)
    }

    /// Instructions.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(Role::System, text)
    }
}

/// Content of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text, images and other parts.
    Parts(Vec<ContentPart>),
}

impl Content {
    /// All text of it, parts joined by line breaks.
    pub fn to_text(&self) -> String {
        match self {
            Content::Text(t) => t.clone(),
            Content::Parts(parts) => parts
                .iter()
                .filter_map(|p| match p {
                    ContentPart::Text(t) => Some(t.text.as_str()),
                    _ => None,
                })
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }
}

/// One part of a message's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ContentPart {
    /// Text.
    Text(TextPart),
    /// An image by URL or data URL.
    Image(ImagePart),
    /// Anything else (audio, file, ...), passed through.
    Other(Extra),
}

/// A text part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TextPart {
    /// Always `text`.
    pub r#type: TextTag,
    /// The text.
    pub text: String,
    /// Fields passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Tag of [`TextPart`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TextTag {
    /// `text`
    #[default]
    Text,
}

/// An image part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImagePart {
    /// Always `image_url`.
    pub r#type: ImageTag,
    /// Where the image is.
    pub image_url: ImageUrl,
    /// Fields passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Tag of [`ImagePart`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImageTag {
    /// `image_url`
    #[default]
    ImageUrl,
}

/// Address of an image; fetched by interfuse only for a request with `fetch_images`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImageUrl {
    /// `https:` URL or `data:image/...;base64,...`.
    pub url: String,
    /// `auto`, `low` or `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A tool call made by a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolCall {
    /// Id that the tool's result refers to.
    #[serde(default)]
    pub id: String,
    /// `function` or another type of tool.
    #[serde(default = "function_type")]
    pub r#type: String,
    /// The function and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionCall>,
    /// Fields passed through (custom tools, thought signatures, ...).
    #[serde(flatten)]
    pub extra: Extra,
}

pub(super) fn function_type() -> String {
    "function".to_owned()
}

/// Name and arguments of a called function.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FunctionCall {
    /// Name of the function.
    pub name: String,
    /// Arguments as JSON text, exactly as the model wrote them; may be invalid when cut off.
    pub arguments: String,
}

/// The message a model answered with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AssistantMessage {
    /// Always `assistant`.
    #[serde(default = "assistant")]
    pub role: String,
    /// The text; null when the model only called tools.
    pub content: Option<String>,
    /// Why the model refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Readable reasoning, under one name for all vendors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Tool calls, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Fields passed through (annotations, audio, ...).
    #[serde(flatten)]
    pub extra: Extra,
}

fn assistant() -> String {
    "assistant".to_owned()
}

impl From<&AssistantMessage> for Message {
    /// The answer as a turn of the conversation that goes on.
    fn from(m: &AssistantMessage) -> Self {
        let mut extra = m.extra.clone();
        if let Some(r) = &m.refusal {
            extra.insert("refusal".into(), Value::String(r.clone()));
        }
        Message {
            role: Role::Assistant,
            content: m.content.clone().map(Content::Text),
            name: None,
            tool_calls: m.tool_calls.clone(),
            tool_call_id: None,
            extra,
        }
    }
}
