//! Messages as Ollama takes them: text as one string, images beside it, arguments as objects.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Result;
use crate::types::{Content, ContentPart, Message, Role, ToolCall};
use crate::wire::fields::Fields;
use crate::wire::{WireTarget, history};

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct Said<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a RawValue,
}

/// All messages.
pub(super) fn read<'a>(messages: &'a [Message], target: &WireTarget<'_>, fields: &Fields<'_>) -> Result<Vec<Said<'a>>> {
    let names = history::call_names(messages);
    messages.iter().map(|message| said(message, &names, target, fields)).collect()
}

fn said<'a>(
    message: &'a Message,
    names: &HashMap<&'a str, &'a str>,
    target: &WireTarget<'_>,
    fields: &Fields<'_>,
) -> Result<Said<'a>> {
    let role = match &message.role {
        Role::System | Role::Developer => "system",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::User | Role::Other(_) => "user",
    };
    let extra = |name: &str| message.extra.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (content, images) = match &message.content {
        Some(Content::Text(text)) => (Cow::Borrowed(text.as_str()), Vec::new()),
        Some(content @ Content::Parts(parts)) => (Cow::Owned(content.to_text()), pictures(parts, fields)?),
        None => (Cow::Borrowed(extra("refusal").unwrap_or_default()), Vec::new()),
    };
    let calls = message.tool_calls.iter().flatten().map(|call| called(call, target, fields));
    let tool_call_id = message.tool_call_id.as_deref();
    Ok(Said {
        role,
        content,
        images,
        thinking: (message.role == Role::Assistant).then(|| extra("reasoning_content")).flatten(),
        tool_calls: calls.collect::<Result<_>>()?,
        tool_name: tool_call_id
            .and_then(|id| names.get(id).copied())
            .or(message.name.as_deref())
            .filter(|_| role == "tool"),
        tool_call_id,
    })
}

fn called<'a>(call: &'a ToolCall, target: &WireTarget<'_>, fields: &Fields<'_>) -> Result<Call<'a>> {
    let Some(function) = &call.function else {
        let why = format!("it does not know tool calls of type `{}`", call.r#type);
        return Err(fields.refused("messages", &why));
    };
    let arguments = history::arguments(call, target)?;
    Ok(Call { id: &call.id, function: Function { name: &function.name, arguments } })
}

/// The images of a message, in base64 alone.
fn pictures<'a>(parts: &'a [ContentPart], fields: &Fields<'_>) -> Result<Vec<Cow<'a, str>>> {
    let mut images = Vec::new();
    for part in parts {
        match part {
            ContentPart::Text(_) => {}
            ContentPart::Image(image) => match history::data_url(&image.image_url.url) {
                Some(data) => images.push(data.base64),
                None => {
                    let why = "it takes images in the request only, as `data:image/...;base64,...`; with `fetch_images` interfuse fetches them";
                    return Err(fields.refused("messages", why));
                }
            },
            ContentPart::Other(other) => {
                let kind = other.get("type").and_then(Value::as_str).unwrap_or_default();
                return Err(fields.refused("messages", &format!("it does not take content parts of type `{kind}`")));
            }
        }
    }
    Ok(images)
}
