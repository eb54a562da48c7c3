//! Messages as input items, written from the caller's own text without copying it.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Result;
use crate::types::{ChatRequest, Content, ContentPart, Extra, Message, Role, ToolCall};
use crate::wire::fields::Fields;
use crate::wire::{WireTarget, state};

/// Fields of messages and parts that have a place here.
pub(super) const KEPT: &[&str] = &["prompt_cache_breakpoint", "detail", "phase"];

/// One input item.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Message {
        r#type: &'static str,
        role: &'a str,
        content: Vec<Part<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        phase: Option<&'a Value>,
    },
    Call {
        r#type: &'static str,
        call_id: &'a str,
        name: &'a str,
        arguments: Cow<'a, str>,
    },
    Custom {
        r#type: &'static str,
        call_id: &'a str,
        name: &'a str,
        input: &'a str,
    },
    Output {
        r#type: &'static str,
        call_id: &'a str,
        output: Output<'a>,
    },
    /// From an earlier answer.
    Verbatim(&'a Value),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Output<'a> {
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

/// One part of a message or of a tool's result.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Part<'a> {
    Ours {
        #[serde(flatten)]
        kind: Kind<'a>,
        #[serde(flatten)]
        extra: Option<&'a Extra>,
    },
    Verbatim(&'a Extra),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Kind<'a> {
    InputText {
        text: &'a str,
    },
    OutputText {
        text: &'a str,
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        image_url: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
    InputFile {
        #[serde(flatten)]
        file: &'a Extra,
    },
}

/// Instructions that stand before all else, as one text; the number of messages they are.
pub(super) fn instructions(request: &ChatRequest) -> (Option<Cow<'_, str>>, usize) {
    let leading = |m: &&Message| matches!(m.role, Role::System | Role::Developer) && is_plain(m);
    let texts: Vec<&str> = request.messages.iter().take_while(leading).filter_map(plain_text).collect();
    let count = request.messages.iter().take_while(leading).count();
    let text = match texts.as_slice() {
        [] => None,
        [one] => Some(Cow::Borrowed(*one)),
        many => Some(Cow::Owned(many.join("\n"))),
    };
    (text, count)
}

fn is_plain(message: &Message) -> bool {
    matches!(message.content, Some(Content::Text(_)))
}

fn plain_text(message: &Message) -> Option<&str> {
    match &message.content {
        Some(Content::Text(text)) => Some(text),
        _ => None,
    }
}

/// The messages from place `since` on. `stored` says whether the vendor keeps its answers: then it knows an item by its id,
/// else only by what is encrypted in it.
///
/// # Errors
/// `unsupported` for a part or a call that has no place here.
pub(super) fn of<'a>(
    request: &'a ChatRequest,
    since: usize,
    stored: bool,
    target: &'a WireTarget<'a>,
    fields: &Fields<'_>,
) -> Result<Vec<Item<'a>>> {
    let mut items = Vec::new();
    let mut custom = HashSet::new();
    for message in &request.messages[since..] {
        let said = message.role == Role::Assistant;
        let role = match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::Assistant => "assistant",
            Role::Tool => {
                let call_id = message.tool_call_id.as_deref().unwrap_or_default();
                let output = match &message.content {
                    Some(Content::Parts(_)) => Output::Parts(parts(message, false, fields)?),
                    _ => Output::Text(plain_text(message).unwrap_or_default()),
                };
                let r#type = if custom.contains(call_id) { "custom_tool_call_output" } else { "function_call_output" };
                items.push(Item::Output { r#type, call_id, output });
                continue;
            }
            _ => "user",
        };
        if said {
            let known = |item: &&Value| stored || item["type"] != "reasoning" || item["encrypted_content"].is_string();
            items.extend(state::blocks(&message.extra, target).filter(known).map(Item::Verbatim));
        }
        let content = parts(message, said, fields)?;
        if !content.is_empty() {
            items.push(Item::Message { r#type: "message", role, content, phase: message.extra.get("phase") });
        }
        for call in message.tool_calls.iter().flatten() {
            let item = called(call, fields)?;
            if matches!(item, Item::Custom { .. }) {
                custom.insert(call.id.as_str());
            }
            items.push(item);
        }
    }
    Ok(items)
}

fn called<'a>(call: &'a ToolCall, fields: &Fields<'_>) -> Result<Item<'a>> {
    let call_id = call.id.as_str();
    if let Some(function) = &call.function {
        let arguments = match function.arguments.trim() {
            "" => "{}",
            _ => &function.arguments,
        };
        return Ok(Item::Call {
            r#type: "function_call",
            call_id,
            name: &function.name,
            arguments: Cow::Borrowed(arguments),
        });
    }
    let word = |name: &str| call.extra.get("custom")?.get(name)?.as_str();
    match (word("name"), word("input")) {
        (Some(name), Some(input)) => Ok(Item::Custom { r#type: "custom_tool_call", call_id, name, input }),
        _ => Err(fields.refused("messages", "it knows no tool call of that form")),
    }
}

/// The parts; those of the assistant's are output, all others input.
fn parts<'a>(message: &'a Message, said: bool, fields: &Fields<'_>) -> Result<Vec<Part<'a>>> {
    let text = |text: &'a str| if said { Kind::OutputText { text } } else { Kind::InputText { text } };
    let ours = |kind: Kind<'a>, extra: Option<&'a Extra>| Part::Ours { kind, extra };
    let mut out = Vec::new();
    match &message.content {
        Some(Content::Text(t)) if !t.is_empty() => out.push(ours(text(t), None)),
        Some(Content::Parts(parts)) => {
            for part in parts {
                out.push(match part {
                    ContentPart::Text(part) => ours(text(&part.text), Some(&part.extra)),
                    ContentPart::Image(part) => {
                        let (image_url, detail) = (&part.image_url.url, part.image_url.detail.as_deref());
                        ours(Kind::InputImage { image_url, detail }, Some(&part.extra))
                    }
                    ContentPart::Other(part) => other(part, fields)?,
                });
            }
        }
        _ => {}
    }
    if let (true, Some(refusal)) = (said, message.extra.get("refusal").and_then(Value::as_str))
        && !refusal.is_empty()
    {
        out.push(ours(Kind::Refusal { refusal }, None));
    }
    Ok(out)
}

fn other<'a>(part: &'a Extra, fields: &Fields<'_>) -> Result<Part<'a>> {
    match (part.get("type").and_then(Value::as_str), part.get("file").and_then(Value::as_object)) {
        (Some("file"), Some(file)) => Ok(Part::Ours { kind: Kind::InputFile { file }, extra: None }),
        (Some(kind @ ("input_audio" | "video_url")), _) => {
            Err(fields.refused("messages", &format!("it takes no `{kind}` parts")))
        }
        // A refusal, or the vendor's own words.
        _ => Ok(Part::Verbatim(part)),
    }
}

/// What of a finished item goes back with the next turn: without its id where what is encrypted in it says all, because
/// an id is unknown where nothing is stored.
pub(super) fn remembered(mut item: Value) -> Value {
    if let Value::Object(fields) = &mut item
        && fields.get("encrypted_content").is_some_and(Value::is_string)
    {
        fields.remove("id");
        fields.remove("status");
    }
    item
}

/// An item that has no text and calls nothing of the caller's: whether the vendor wants it back.
pub(super) fn is_memory(item: &Value) -> bool {
    item["type"] == "reasoning" || item["type"] == "compaction"
}

/// A source in Chat Completions' form; its places are those of the whole text, which has `before` characters more.
pub(super) fn annotation(source: Value, before: usize) -> Value {
    let Value::Object(mut source) = source else { return source };
    let Some(Value::String(kind)) = source.remove("type") else { return Value::Object(source) };
    for place in ["start_index", "end_index", "index"] {
        if let Some(at) = source.get(place).and_then(Value::as_u64) {
            source.insert(place.to_owned(), (at + before as u64).into());
        }
    }
    json!({"type": kind, kind: source})
}
