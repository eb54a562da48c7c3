//! Messages as turns of content blocks, written from the caller's own text without copying it.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Result;
use crate::types::{ChatRequest, Content, ContentPart, Extra, Message, Role, ToolCall};
use crate::wire::fields::Fields;
use crate::wire::history::{arguments, data_url, media_type};
use crate::wire::{WireTarget, call_ids, state};

/// Fields of messages and parts that have a place here.
pub(super) const KEPT: &[&str] =
    &["cache_control", "prompt_cache_breakpoint", "citations", "is_error", "title", "context"];

/// Why an address is refused.
const NO_URL: &str = "it takes the bytes themselves (a data URL); with `fetch_images` interfuse fetches images";

/// No fields.
static EMPTY: LazyLock<Extra> = LazyLock::new(Extra::new);

/// The conversation: instructions stand apart, and the turns alternate.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    /// Instructions, wherever they stood.
    pub system: Vec<Block<'a>>,
    /// Turns.
    pub turns: Vec<Turn<'a>>,
    /// A block refers to an uploaded file.
    pub uploaded: bool,
}

/// What one side says at once.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    pub role: &'static str,
    pub content: Vec<Block<'a>>,
}

/// One content block.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    Ours(Ours<'a>),
    /// In the vendor's own words: from an earlier answer, or from the caller.
    Verbatim(&'a Value),
    Part(&'a Extra),
}

#[derive(Debug, Serialize)]
pub(super) struct Ours<'a> {
    #[serde(flatten)]
    kind: Kind<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    citations: Option<&'a Value>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a Value>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<&'a Value>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<ResultContent<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        is_error: Option<&'a Value>,
    },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ResultContent<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: Cow<'a, str>, data: Cow<'a, str> },
    Text { media_type: &'static str, data: String },
    Url { url: &'a str },
    File { file_id: &'a str },
}

impl<'a> Block<'a> {
    fn new(kind: Kind<'a>, extra: &'a Extra) -> Self {
        Block::Ours(Ours { kind, cache_control: cache_control(extra), citations: extra.get("citations") })
    }

    pub fn is_thinking(&self) -> bool {
        matches!(self, Block::Verbatim(block)
            if matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking")))
    }

    pub fn is_call(&self) -> bool {
        matches!(self, Block::Ours(Ours { kind: Kind::ToolUse { .. }, .. }))
    }

    /// Written by the vendor, but no thought.
    fn is_the_vendors(&self) -> bool {
        matches!(self, Block::Verbatim(_) | Block::Part(_)) && !self.is_thinking()
    }

    pub fn is_result(&self) -> bool {
        match self {
            Block::Ours(ours) => matches!(ours.kind, Kind::ToolResult { .. }),
            Block::Part(part) => part.get("type").is_some_and(|t| t == "tool_result"),
            Block::Verbatim(_) => false,
        }
    }
}

/// A mark for the vendor's cache, in its words or in OpenAI's.
fn cache_control(extra: &Extra) -> Option<Cow<'_, Value>> {
    if let Some(said) = extra.get("cache_control") {
        return Some(Cow::Borrowed(said));
    }
    let breakpoint = extra.get("prompt_cache_breakpoint").filter(|b| !b.is_null())?;
    let mut control = Extra::new();
    control.insert("type".into(), "ephemeral".into());
    if let Some(ttl) = breakpoint.get("ttl").filter(|ttl| *ttl == "5m" || *ttl == "1h") {
        control.insert("ttl".into(), ttl.clone());
    }
    Some(Cow::Owned(Value::Object(control)))
}

/// Reads the messages. `in_place`: the model takes instructions in the middle, too.
///
/// # Errors
/// `unsupported` for a part that has no place here; `invalid_request` for arguments that are no JSON object.
pub(super) fn conversation<'a>(
    request: &'a ChatRequest,
    target: &'a WireTarget<'a>,
    in_place: bool,
    fields: &Fields<'_>,
) -> Result<Conversation<'a>> {
    let mut out = Conversation::default();
    // Instructions that stand in the middle: they go where the user has ended.
    let mut waiting = Vec::new();
    for message in &request.messages {
        let mut blocks = Vec::new();
        let role = match message.role {
            Role::System | Role::Developer => {
                out.parts(message, fields, &mut blocks)?;
                mark_last(&mut blocks, message);
                match in_place && !out.turns.is_empty() {
                    true => waiting.append(&mut blocks),
                    false => out.system.append(&mut blocks),
                }
                continue;
            }
            Role::Assistant => {
                out.instruct(&mut waiting);
                blocks.extend(state::blocks(&message.extra, target).map(Block::Verbatim));
                out.parts(message, fields, &mut blocks)?;
                let refusal = message.extra.get("refusal").and_then(Value::as_str).filter(|r| !r.trim().is_empty());
                if let (None, Some(text)) = (&message.content, refusal) {
                    blocks.push(Block::new(Kind::Text { text }, &EMPTY));
                }
                for call in message.tool_calls.iter().flatten() {
                    blocks.push(tool_use(call, target, fields)?);
                }
                "assistant"
            }
            Role::Tool => {
                blocks.push(out.tool_result(message, fields)?);
                "user"
            }
            _ => {
                out.parts(message, fields, &mut blocks)?;
                "user"
            }
        };
        mark_last(&mut blocks, message);
        match out.turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some(last) if last.role == role => last.content.append(&mut blocks),
            _ => out.turns.push(Turn { role, content: blocks }),
        }
    }
    out.instruct(&mut waiting);
    out.system.append(&mut waiting);
    for turn in &mut out.turns {
        // Results of tools stand first in their turn.
        turn.content.sort_by_key(|block| turn.role == "user" && !block.is_result());
    }
    if let Some(Turn { role: "assistant", content }) = out.turns.last_mut()
        && let Some(Block::Ours(Ours { kind: Kind::Text { text }, .. })) = content.last_mut()
    {
        // The vendor refuses a beginning of an answer that ends in white space.
        *text = text.trim_end();
    }
    Ok(out)
}

/// A message's own cache mark goes on its last block.
fn mark_last<'a>(blocks: &mut [Block<'a>], message: &'a Message) {
    if let (Some(control), Some(Block::Ours(last))) = (cache_control(&message.extra), blocks.last_mut()) {
        last.cache_control.get_or_insert(control);
    }
}

/// An id as the vendor takes it: letters, digits, `_` and `-`. Any other becomes one that depends on it alone, so that a
/// call and its result keep matching.
fn call_id(id: &str) -> Cow<'_, str> {
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("call_{}", call_ids::letters([id], 20)))
    }
}

fn tool_use<'a>(call: &'a ToolCall, target: &WireTarget<'_>, fields: &Fields<'_>) -> Result<Block<'a>> {
    let Some(function) = &call.function else {
        return Err(fields.refused("messages", "it knows no tool calls but of functions"));
    };
    let kind = Kind::ToolUse {
        id: call_id(&call.id),
        name: &function.name,
        input: arguments(call, target)?,
        caller: call.extra.get("caller"),
    };
    Ok(Block::new(kind, &call.extra))
}

impl<'a> Conversation<'a> {
    /// Gives the instructions that wait a turn of their own, if one may stand here: after the user, or after what a tool of
    /// the vendor's gave back.
    fn instruct(&mut self, waiting: &mut Vec<Block<'a>>) {
        let may = self.turns.last().is_some_and(|turn| match turn.role {
            "user" => true,
            "assistant" => turn.content.last().is_some_and(Block::is_the_vendors),
            _ => false,
        });
        if may && !waiting.is_empty() {
            self.turns.push(Turn { role: "system", content: std::mem::take(waiting) });
        }
    }

    fn tool_result(&mut self, message: &'a Message, fields: &Fields<'_>) -> Result<Block<'a>> {
        let content = match &message.content {
            None => None,
            Some(Content::Text(text)) => Some(ResultContent::Text(text)),
            Some(Content::Parts(_)) => {
                let mut blocks = Vec::new();
                self.parts(message, fields, &mut blocks)?;
                Some(ResultContent::Blocks(blocks))
            }
        };
        let kind = Kind::ToolResult {
            tool_use_id: call_id(message.tool_call_id.as_deref().unwrap_or_default()),
            content,
            is_error: message.extra.get("is_error"),
        };
        Ok(Block::new(kind, &message.extra))
    }

    /// The content as blocks; empty text, which the vendor refuses, is left out.
    fn parts(&mut self, message: &'a Message, fields: &Fields<'_>, blocks: &mut Vec<Block<'a>>) -> Result<()> {
        match &message.content {
            None => {}
            Some(Content::Text(text)) if text.trim().is_empty() => {}
            Some(Content::Text(text)) => blocks.push(Block::new(Kind::Text { text }, &EMPTY)),
            Some(Content::Parts(parts)) => {
                for part in parts {
                    match part {
                        ContentPart::Text(part) if part.text.trim().is_empty() => {}
                        ContentPart::Text(part) => {
                            blocks.push(Block::new(Kind::Text { text: &part.text }, &part.extra));
                        }
                        ContentPart::Image(part) => {
                            let source = match data_url(&part.image_url.url) {
                                Some(data) => Source::Base64 { media_type: data.mime, data: data.base64 },
                                // Where the platform fetches nothing, the row says so.
                                None if !fields.takes("image_url.url") => {
                                    return Err(fields.refused("image_url", NO_URL));
                                }
                                None => Source::Url { url: &part.image_url.url },
                            };
                            blocks.push(Block::new(Kind::Image { source }, &part.extra));
                        }
                        ContentPart::Other(part) => blocks.push(self.other(part, fields)?),
                    }
                }
            }
        }
        Ok(())
    }

    fn other(&mut self, part: &'a Extra, fields: &Fields<'_>) -> Result<Block<'a>> {
        let word = |name: &str| part.get(name).and_then(Value::as_str);
        match word("type") {
            Some("refusal") => Ok(Block::new(Kind::Text { text: word("refusal").unwrap_or_default() }, part)),
            Some("file") => self.file(part, fields),
            Some(kind @ ("input_audio" | "video_url")) => {
                Err(fields.refused("messages", &format!("it takes no `{kind}` parts")))
            }
            _ => Ok(Block::Part(part)),
        }
    }

    /// A file of OpenAI's: PDF and plain text become documents, images images.
    fn file(&mut self, part: &'a Extra, fields: &Fields<'_>) -> Result<Block<'a>> {
        let file = part.get("file").and_then(Value::as_object).unwrap_or(&EMPTY);
        let word = |name: &str| file.get(name).and_then(Value::as_str);
        let title = part.get("title").or_else(|| file.get("filename"));
        let document = |source| Kind::Document { source, title, context: part.get("context") };
        if let Some(file_id) = word("file_id") {
            self.uploaded = true;
            return Ok(Block::new(document(Source::File { file_id }), part));
        }
        let data = word("file_data").unwrap_or_default();
        if data.starts_with("https://") && !fields.takes("file.url") {
            return Err(fields.refused("file", NO_URL));
        }
        if data.starts_with("https://") {
            return Ok(Block::new(document(Source::Url { url: data }), part));
        }
        let (mime, base64) = match data_url(data) {
            Some(url) => (url.mime, url.base64),
            None => {
                let mime = word("filename").and_then(media_type).unwrap_or("application/pdf");
                (Cow::Borrowed(mime), Cow::Borrowed(data))
            }
        };
        let kind = match &*mime {
            "application/pdf" => document(Source::Base64 { media_type: mime, data: base64 }),
            image if image.starts_with("image/") => {
                Kind::Image { source: Source::Base64 { media_type: mime, data: base64 } }
            }
            text if text.starts_with("text/") => match plain_text(&base64) {
                Some(data) => document(Source::Text { media_type: "text/plain", data }),
                None => return Err(fields.refused("messages", "a text file in them is not base64 of UTF-8")),
            },
            other => return Err(fields.refused("messages", &format!("it takes no files of type `{other}`"))),
        };
        Ok(Block::new(kind, part))
    }
}

fn plain_text(base64: &str) -> Option<String> {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(base64).ok()?).ok()
}
