//! Conversations as Converse takes them: instructions apart, turns that alternate, results of tools in the user's turn.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::block::{self, Block, CACHE, ToolResult, ToolUse};
use super::family::{self, Family};
use crate::error::{Error, Result};
use crate::types::{ChatRequest, Content, ContentPart, Message, Role};
use crate::wire::fields::Fields;
use crate::wire::{WireTarget, call_ids, history, state};

/// One turn.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// Instructions and turns.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub system: Vec<Block<'a>>,
    pub turns: Vec<Turn<'a>>,
}

/// Whether the conversation speaks of tools, so that Converse wants to know them.
pub(super) fn has_tools(messages: &[Message]) -> bool {
    messages.iter().any(|m| m.role == Role::Tool || m.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty()))
}

/// Whether the call that the conversation ends with the result of came with reasoning that cannot be sent back:
/// Claude refuses to go on thinking without it.
pub(super) fn lacks_reasoning(messages: &[Message], target: &WireTarget<'_>) -> bool {
    let caller = messages.iter().rev().take_while(|m| m.role != Role::User).find(|m| m.role == Role::Assistant);
    caller.is_some_and(|m| {
        m.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty())
            && !replayable(m, target).any(|block| block.get("reasoningContent").is_some())
    })
}

/// Reads a request's conversation. `as_text`: no tools go with it, so calls and their results are told in words.
///
/// # Errors
/// `unsupported` for what Converse cannot say; `invalid_request` for a result without its call's id.
pub(super) fn read<'a>(
    request: &'a ChatRequest,
    target: &'a WireTarget<'a>,
    family: &'static Family,
    as_text: bool,
    fields: &mut Fields<'_>,
) -> Result<Conversation<'a>> {
    let kept: Vec<&str> = CACHE.iter().copied().chain(["is_error"]).collect();
    history::note_foreign(&request.messages, &kept, fields)?;
    let names = if as_text { history::call_names(&request.messages) } else { HashMap::new() };
    let mut reader = Reader { target, family, names, as_text, read: Conversation::default() };
    for message in &request.messages {
        reader.message(message, fields)?;
    }
    // Anthropic's automatic caching: everything so far.
    if let Some(point) = block::cache_point(&request.extra, family, fields)?
        && let Some(last) = reader.read.turns.last_mut()
    {
        last.content.push(Block::CachePoint(point));
    }
    Ok(reader.finish())
}

impl Conversation<'_> {
    /// Whether it ends with the beginning of the answer.
    pub fn begins_the_answer(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.role == "assistant")
    }
}

struct Reader<'a> {
    target: &'a WireTarget<'a>,
    family: &'static Family,
    /// Names of called tools by the calls' ids.
    names: HashMap<&'a str, &'a str>,
    as_text: bool,
    read: Conversation<'a>,
}

impl<'a> Reader<'a> {
    fn message(&mut self, message: &'a Message, fields: &mut Fields<'_>) -> Result<()> {
        let mut blocks = Vec::new();
        match message.role {
            Role::Tool => self.result(message, &mut blocks, fields)?,
            Role::Assistant => {
                let target = self.target;
                if !self.as_text {
                    blocks.extend(replayable(message, target).map(Block::Own));
                }
                self.content(message, &mut blocks, fields)?;
                for call in message.tool_calls.iter().flatten() {
                    let input = history::arguments(call, target)?;
                    let name = call.function.as_ref().map(|f| f.name.as_str()).unwrap_or_default();
                    blocks.push(match self.as_text {
                        true => Block::Text(Cow::Owned(format!("(Called the tool {name} with {input}.)"))),
                        false => Block::ToolUse(ToolUse { tool_use_id: call_id(&call.id, target), name, input }),
                    });
                }
            }
            _ => self.content(message, &mut blocks, fields)?,
        }
        if let Some(point) = block::cache_point(&message.extra, self.family, fields)? {
            blocks.push(Block::CachePoint(point));
        }
        match message.role {
            Role::System | Role::Developer if self.family.system => self.read.system.extend(blocks),
            Role::Assistant => self.add("assistant", blocks),
            _ => self.add("user", blocks),
        }
        Ok(())
    }

    fn content(&self, message: &'a Message, blocks: &mut Vec<Block<'a>>, fields: &mut Fields<'_>) -> Result<()> {
        match &message.content {
            None => {}
            Some(Content::Text(text)) => blocks.extend(block::text(text)),
            Some(Content::Parts(parts)) => {
                for part in parts {
                    blocks.extend(block::part(part, fields)?);
                    let extra = match part {
                        ContentPart::Text(part) => &part.extra,
                        ContentPart::Image(part) => &part.extra,
                        ContentPart::Other(part) => part,
                    };
                    if let Some(point) = block::cache_point(extra, self.family, fields)? {
                        blocks.push(Block::CachePoint(point));
                    }
                }
            }
        }
        Ok(())
    }

    fn result(&self, message: &'a Message, blocks: &mut Vec<Block<'a>>, fields: &mut Fields<'_>) -> Result<()> {
        let Some(id) = message.tool_call_id.as_deref().filter(|id| !id.is_empty()) else {
            let why = "a message of role `tool` needs the id of the call it answers, `tool_call_id`";
            return Err(self.target.at(Error::invalid_request(why).with_param("messages")));
        };
        let mut content = Vec::new();
        self.content(message, &mut content, fields)?;
        if self.as_text {
            let name = self.names.get(id).copied().or(message.name.as_deref()).unwrap_or("that was called");
            blocks.push(Block::Text(Cow::Owned(format!("(The tool {name} answered:)"))));
            blocks.extend(content);
            return Ok(());
        }
        if content.is_empty() {
            content.push(Block::Text(Cow::Borrowed("")));
        }
        let failed = message.extra.get("is_error").and_then(serde_json::Value::as_bool) == Some(true);
        let tool_use_id = call_id(id, self.target);
        blocks.push(Block::ToolResult(ToolResult { tool_use_id, content, status: failed.then_some("error") }));
        Ok(())
    }

    /// Adds to the turn that is being spoken, or begins the other's.
    fn add(&mut self, role: &'static str, blocks: Vec<Block<'a>>) {
        match self.read.turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ => self.read.turns.push(Turn { role, content: blocks }),
        }
    }

    fn finish(mut self) -> Conversation<'a> {
        // An answer to be continued may not end in white space.
        if let Some(Turn { role: "assistant", content }) = self.read.turns.last_mut()
            && let Some(Block::Text(text)) = content.last_mut()
        {
            *text = match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_end()),
                Cow::Owned(text) => Cow::Owned(text.trim_end().to_owned()),
            };
        }
        let mut names = HashSet::new();
        for block in self.read.turns.iter_mut().flat_map(|turn| &mut turn.content) {
            match block {
                Block::ToolResult(result) => result.content.iter_mut().for_each(|block| distinguish(block, &mut names)),
                block => distinguish(block, &mut names),
            }
        }
        self.read
    }
}

/// Documents of one request need names of their own.
fn distinguish(block: &mut Block<'_>, names: &mut HashSet<String>) {
    let Block::Document(document) = block else { return };
    let Some(given) = document.name.clone() else { return };
    let mut name = given.clone();
    let mut count = 1;
    while !names.insert(name.clone()) {
        count += 1;
        name = format!("{given} {count}");
    }
    document.name = Some(name);
}

/// What the same vendor's models want back of a message.
fn replayable<'a>(
    message: &'a Message,
    target: &'a WireTarget<'_>,
) -> impl Iterator<Item = &'a serde_json::Value> + use<'a> {
    state::blocks_of(&message.extra, target, |model| family::same(model, target.model))
}

/// A call's id as Converse takes it, `[a-zA-Z0-9_.:-]{1,64}`, and as Mistral's models do, nine letters and digits.
fn call_id<'a>(id: &'a str, target: &WireTarget<'_>) -> Cow<'a, str> {
    if family::is_mistral(target.model) {
        let fits = id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        return if fits { Cow::Borrowed(id) } else { Cow::Owned(call_ids::letters([id], 9)) };
    }
    let fits = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
    if fits { Cow::Borrowed(id) } else { Cow::Owned(call_ids::letters([id], 20)) }
}
