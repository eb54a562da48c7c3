//! Messages as Cohere takes them, borrowed from the request.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::names;
use crate::error::Result;
use crate::types::{Content, ContentPart, Extra, Message, Role, ToolCall};
use crate::wire::fields::Fields;

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct Said<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Form<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Form<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text {
        text: &'a str,
    },
    ImageUrl {
        image_url: &'a crate::types::ImageUrl,
    },
    /// A part in Cohere's own words (documents).
    #[serde(untagged)]
    Own(&'a Extra),
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    arguments: &'a str,
}

/// Types of content parts that are Cohere's own.
const OWN: &[&str] = &["document", "thinking"];

/// All messages.
pub(super) fn read<'a>(messages: &'a [Message], fields: &Fields<'_>) -> Result<Vec<Said<'a>>> {
    messages.iter().map(|message| said(message, fields)).collect()
}

fn said<'a>(message: &'a Message, fields: &Fields<'_>) -> Result<Said<'a>> {
    let role = match &message.role {
        Role::System | Role::Developer => "system",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::User | Role::Other(_) => "user",
    };
    let mut content = message.content.as_ref().map(|content| form(content, role == "tool", fields)).transpose()?;
    let calls = message.tool_calls.as_deref().unwrap_or_default();
    let mut plan = None;
    if !calls.is_empty() {
        plan = message.extra.get("reasoning_content").and_then(Value::as_str).filter(|t| !t.is_empty());
        content = content.filter(|c| !matches!(c, Form::Text(text) if text.is_empty()));
        if let (None, Some(Content::Text(text)), true) = (plan, &message.content, content.is_some()) {
            // What is said before calls is their plan.
            (plan, content) = (Some(text.as_str()), None);
        }
    } else if content.is_none() && role == "assistant" {
        let refusal = message.extra.get("refusal").and_then(Value::as_str).unwrap_or_default();
        content = Some(Form::Text(Cow::Borrowed(refusal)));
    }
    let tool_calls = calls.iter().map(|call| called(call, fields)).collect::<Result<_>>()?;
    Ok(Said { role, content, tool_plan: plan, tool_calls, tool_call_id: message.tool_call_id.as_deref() })
}

fn called<'a>(call: &'a ToolCall, fields: &Fields<'_>) -> Result<Call<'a>> {
    let Some(function) = &call.function else {
        let why = format!("it does not know tool calls of type `{}`", call.r#type);
        return Err(fields.refused("messages", &why));
    };
    let arguments = if function.arguments.trim().is_empty() { "{}" } else { &function.arguments };
    let function = Function { name: names::to_cohere(&function.name), arguments };
    Ok(Call { id: &call.id, r#type: "function", function })
}

/// Content as it is; text of tools as one piece.
fn form<'a>(content: &'a Content, tool: bool, fields: &Fields<'_>) -> Result<Form<'a>> {
    let parts = match content {
        Content::Text(text) => return Ok(Form::Text(Cow::Borrowed(text))),
        Content::Parts(parts) => parts,
    };
    if tool && parts.iter().all(|part| matches!(part, ContentPart::Text(_))) {
        return Ok(Form::Text(Cow::Owned(content.to_text())));
    }
    parts.iter().map(|part| piece(part, fields)).collect::<Result<_>>().map(Form::Parts)
}

fn piece<'a>(part: &'a ContentPart, fields: &Fields<'_>) -> Result<Part<'a>> {
    let other = match part {
        ContentPart::Text(text) => return Ok(Part::Text { text: &text.text }),
        ContentPart::Image(image) => return Ok(Part::ImageUrl { image_url: &image.image_url }),
        ContentPart::Other(other) => other,
    };
    let kind = other.get("type").and_then(Value::as_str).unwrap_or_default();
    match other.get("refusal").and_then(Value::as_str) {
        Some(text) if kind == "refusal" => Ok(Part::Text { text }),
        _ if OWN.contains(&kind) => Ok(Part::Own(other)),
        _ => Err(fields.refused("messages", &format!("it does not take content parts of type `{kind}`"))),
    }
}
