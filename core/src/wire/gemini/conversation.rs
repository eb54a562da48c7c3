//! Messages as Google's turns: two roles, all calls of a turn together, all their results together, signatures back on
//! the very parts they came with.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::contents::{Answer, Blob, Call, File, Output, Part, Turn, What};
use super::model::Model;
use super::stream::BLOCKS;
use crate::error::{Error, Result};
use crate::types::quirks::ToolCallIds;
use crate::types::{ChatRequest, Content, ContentPart, Extra, Message, Role, ToolCall};
use crate::wire::fields::Fields;
use crate::wire::{WireTarget, history, state};

/// Fields of messages that have a place here.
pub(super) const KEPT: &[&str] = &["is_error"];

/// A signature that Google takes for calls which another vendor's model made.
const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// The instructions, if any, and the turns.
pub(super) fn read<'a>(
    request: &'a ChatRequest,
    target: &'a WireTarget<'a>,
    model: Model,
    fields: &Fields<'_>,
) -> Result<(Option<Turn<'a>>, Vec<Turn<'a>>)> {
    let names = history::call_names(&request.messages);
    let ids = target.quirks.tool_call_ids != Some(ToolCallIds::Absent);
    let reader = Reader { target, model, fields, names, ids };
    let mut system = Vec::new();
    let mut turns: Vec<Turn<'a>> = Vec::new();
    let mut calls: &[ToolCall] = &[];
    let mut rest = request.messages.as_slice();
    while let Some((message, after)) = rest.split_first() {
        rest = after;
        match message.role {
            Role::System | Role::Developer => system.extend(reader.parts(message)?),
            Role::Assistant => {
                calls = message.tool_calls.as_deref().unwrap_or_default();
                turns.push(Turn { role: Some("model"), parts: reader.answered(message)? });
            }
            Role::Tool => {
                let more = after.iter().take_while(|m| m.role == Role::Tool).count();
                let (others, after) = after.split_at(more);
                rest = after;
                let mut results: Vec<&Message> = std::iter::once(message).chain(others).collect();
                // Without ids only the order tells which result belongs to which call.
                results.sort_by_key(|m| calls.iter().position(|c| Some(&c.id) == m.tool_call_id.as_ref()));
                let parts: Result<Vec<_>> = results.into_iter().map(|m| reader.result(m)).collect();
                turns.push(Turn { role: Some("user"), parts: parts? });
            }
            Role::User | Role::Other(_) => turns.push(Turn { role: Some("user"), parts: reader.parts(message)? }),
        }
    }
    if turns.is_empty() {
        // Instructions alone are what is asked.
        turns.push(Turn { role: Some("user"), parts: std::mem::take(&mut system) });
    }
    for turn in &mut turns {
        // A turn without parts is refused, one with an empty text is not.
        if turn.parts.is_empty() {
            turn.parts.push(Part::from(""));
        }
    }
    if model.gemma
        && let Some(first) = turns.iter_mut().find(|t| t.role == Some("user"))
    {
        first.parts.splice(0..0, system.drain(..));
    }
    Ok(((!system.is_empty()).then_some(Turn { role: None, parts: system }), turns))
}

struct Reader<'a, 'f> {
    target: &'a WireTarget<'a>,
    model: Model,
    fields: &'f Fields<'f>,
    /// Names of functions by ids of calls.
    names: HashMap<&'a str, &'a str>,
    /// Whether ids are sent.
    ids: bool,
}

impl<'a> Reader<'a, '_> {
    fn parts(&self, message: &'a Message) -> Result<Vec<Part<'a>>> {
        match &message.content {
            None => Ok(Vec::new()),
            Some(Content::Text(text)) => Ok(vec![Part::from(text.as_str())]),
            Some(Content::Parts(parts)) => parts.iter().map(|part| self.part(part)).collect(),
        }
    }

    fn part(&self, part: &'a ContentPart) -> Result<Part<'a>> {
        Ok(match part {
            ContentPart::Text(text) => Part::from(text.text.as_str()),
            // The picture itself tells its type; a wrong guess is forgiven, none at all is not.
            ContentPart::Image(image) => medium(&image.image_url.url, "image/jpeg").into(),
            ContentPart::Other(part) => return self.other(part),
        })
    }

    fn other(&self, part: &'a Extra) -> Result<Part<'a>> {
        let inner = |name: &str, field: &str| part.get(name).and_then(|v| v.get(field)).and_then(Value::as_str);
        let Some(kind) = part.get("type").and_then(Value::as_str) else { return Ok(What::Verbatim(part).into()) };
        let what = match kind {
            "refusal" => part.get("refusal").and_then(Value::as_str).map(|text| What::Text(Cow::Borrowed(text))),
            "input_audio" => inner("input_audio", "data").map(|data| {
                let mime_type = Cow::Owned(format!("audio/{}", inner("input_audio", "format").unwrap_or("wav")));
                What::InlineData(Blob { mime_type, data: Cow::Borrowed(data) })
            }),
            "video_url" => inner("video_url", "url").map(|url| medium(url, "video/mp4")),
            "file" => inner("file", "file_data").map(|data| medium(data, "application/pdf")).or_else(|| {
                let file_uri = inner("file", "file_id")?;
                Some(What::FileData(File { mime_type: history::media_type(file_uri), file_uri }))
            }),
            _ => None,
        };
        what.map(Part::from).ok_or_else(|| {
            let why = format!("it does not take content parts of type `{kind}` in this form");
            self.fields.refused("messages", &why)
        })
    }

    /// A turn of the model.
    fn answered(&self, message: &'a Message) -> Result<Vec<Part<'a>>> {
        let mut parts = match &message.content {
            Some(Content::Text(text)) => self.signed(text, &message.extra),
            Some(Content::Parts(_)) => self.parts(message)?,
            None => self.signed(message.extra.get("refusal").and_then(Value::as_str).unwrap_or(""), &message.extra),
        };
        let calls = message.tool_calls.as_deref().unwrap_or_default();
        let foreign = self.model.third() && calls.iter().all(|call| signature(call).is_none());
        for (place, call) in calls.iter().enumerate() {
            let Some(function) = &call.function else {
                let why = format!("it does not know tool calls of type `{}`", call.r#type);
                return Err(self.fields.refused("messages", &why));
            };
            let args = history::arguments(call, self.target)?;
            let id = Some(call.id.as_str()).filter(|id| self.ids && !id.is_empty());
            let mut part = Part::from(What::FunctionCall(Call { id, name: &function.name, args }));
            // Of calls made together only the first is signed.
            part.signature = signature(call).or((foreign && place == 0).then_some(FOREIGN_SIGNATURE));
            parts.push(part);
        }
        Ok(parts)
    }

    /// The text of an answer in the pieces it came in: those with signatures, other parts in their places.
    fn signed(&self, text: &'a str, extra: &'a Extra) -> Vec<Part<'a>> {
        let blocks = extra.get(BLOCKS).and_then(Value::as_array);
        let (mut parts, mut loose, mut done) = (Vec::new(), Vec::new(), 0);
        for mark in state::blocks(extra, self.target) {
            let place = |name: &str| mark.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
            let signature = mark.get("thoughtSignature").and_then(Value::as_str);
            let block = place("block").and_then(|i| blocks?.get(i)?.as_object());
            let (from, to) = (place("from").or(place("at")), place("to").or(place("at")));
            let fits = from.zip(to).and_then(|(from, to)| Some((text.get(done..from)?, text.get(from..to)?, to)));
            let Some((before, piece, to)) = fits else {
                // The caller has changed the text: what was signed is gone, the signature is not.
                loose.extend(signature.map(|s| Part { what: What::Text(Cow::Borrowed("")), signature: Some(s) }));
                continue;
            };
            parts.extend((!before.is_empty()).then(|| Part::from(before)));
            match block {
                Some(block) => parts.push(What::Verbatim(block).into()),
                None => parts.push(Part { what: What::Text(Cow::Borrowed(piece)), signature }),
            }
            done = to;
        }
        let rest = &text[done..];
        parts.extend((!rest.is_empty()).then(|| Part::from(rest)));
        parts.extend(loose);
        parts
    }

    /// What a tool gave back.
    fn result(&self, message: &'a Message) -> Result<Part<'a>> {
        let id = message.tool_call_id.as_deref().unwrap_or_default();
        let Some(name) = self.names.get(id).copied().or(message.name.as_deref()) else {
            let why = format!("the tool message for `{id}` answers no tool call of the conversation");
            return Err(self.target.at(Error::invalid_request(why).with_param("messages")));
        };
        let (mut text, mut parts) = (Cow::Borrowed(""), Vec::new());
        match &message.content {
            Some(Content::Text(all)) => text = Cow::Borrowed(all),
            Some(content @ Content::Parts(all)) => {
                text = Cow::Owned(content.to_text());
                for part in all.iter().filter(|p| !matches!(p, ContentPart::Text(_))) {
                    parts.push(self.part(part)?);
                }
            }
            None => {}
        }
        if !parts.is_empty() && !self.model.third() {
            return Err(self.fields.refused("messages", "this model takes only text as the result of a tool"));
        }
        let id = Some(id).filter(|id| self.ids && !id.is_empty());
        let failed = message.extra.get("is_error").is_some_and(|e| *e == true);
        let response = if failed { Output::Failure { error: text } } else { output(text) };
        Ok(What::FunctionResponse(Answer { id, name, response, parts }).into())
    }
}

fn signature(call: &ToolCall) -> Option<&str> {
    call.extra.get("extra_content")?.get("google")?.get("thought_signature")?.as_str()
}

/// Media in the request, or where they are.
fn medium<'a>(url: &'a str, kind: &'static str) -> What<'a> {
    match history::data_url(url) {
        Some(data) => What::InlineData(Blob { mime_type: data.mime, data: data.base64 }),
        None => What::FileData(File { mime_type: Some(history::media_type(url).unwrap_or(kind)), file_uri: url }),
    }
}

/// JSON objects as they are.
fn output(text: Cow<'_, str>) -> Output<'_> {
    if text.trim_start().starts_with('{') {
        let object = match &text {
            Cow::Borrowed(text) => serde_json::from_str::<&RawValue>(text).map(Cow::Borrowed),
            Cow::Owned(text) => serde_json::from_str::<Box<RawValue>>(text).map(Cow::Owned),
        };
        if let Ok(object) = object {
            return Output::Object(object);
        }
    }
    Output::Text { output: text }
}
