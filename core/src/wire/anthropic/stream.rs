//! Streams: blocks that begin, grow and end, in OpenAI's order.

use serde_json::Value;

use super::raw::{self, Event, Fresh, Message, Stopped};
use super::usage;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatCompletionChunk, Delta, Extra};
use crate::wire::emit::Emitter;
use crate::wire::{Frame, KeptTarget, StreamDecoder, WireTarget, failure};

pub(super) struct Decoder {
    target: KeptTarget,
    emit: Emitter,
    /// Blocks that have begun and not ended, by their index.
    open: Vec<(u64, Block)>,
    /// Calls of the caller's tools so far.
    calls: u32,
    /// Characters of text so far.
    chars: usize,
    /// Blocks for the next turn.
    opaque: Vec<Value>,
    /// Counts so far; each new one replaces the one before.
    usage: Extra,
    stopped: Stopped,
    /// What else the message says.
    extra: Extra,
    done: bool,
}

/// A block that grows.
enum Block {
    /// Text from this character on, and its sources.
    Text { start: usize, citations: Vec<Value> },
    /// A call of the caller's tool, or the answer in the form asked for (no number); the input as it stood at the
    /// beginning counts where nothing follows.
    Call { number: Option<u32>, input: Value, spoken: bool },
    /// Anything else, and its input so far.
    Opaque { block: Value, input: String },
}

impl Decoder {
    pub fn new(target: &WireTarget<'_>) -> Self {
        Decoder {
            target: KeptTarget::new(target),
            emit: Emitter::default(),
            open: Vec::new(),
            calls: 0,
            chars: 0,
            opaque: Vec::new(),
            usage: Extra::new(),
            stopped: Stopped::default(),
            extra: Extra::new(),
            done: false,
        }
    }

    fn begins(&mut self, message: Message, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let id = message.id.unwrap_or_default();
        if self.emit.id.is_empty() {
            self.emit.id = id;
            self.emit.model = message.model.unwrap_or_default();
        } else if self.emit.id == id {
            return Ok(());
        } else if !self.open.is_empty() {
            // What was given of the first cannot be taken back.
            let why = "a second answer began in the middle of the first";
            return Err(self.target.get().at(Error::new(ErrorKind::Decode, why)));
        }
        self.usage = message.usage.unwrap_or_default();
        self.extra.extend(raw::said(message.extra));
        self.emit.begin(0, out);
        Ok(())
    }

    fn block_begins(&mut self, index: u64, mut block: Value, out: &mut Vec<ChatCompletionChunk>) {
        let begun = match block["type"].as_str() {
            Some("text") => {
                let start = self.chars;
                self.text(block["text"].as_str().unwrap_or_default().to_owned(), out);
                let citations = match block["citations"].take() {
                    Value::Array(citations) => citations,
                    _ => Vec::new(),
                };
                Block::Text { start, citations }
            }
            _ if raw::is_answer(&block) => Block::Call { number: None, input: block["input"].take(), spoken: false },
            _ if raw::is_call(&block) => {
                let number = self.calls;
                self.calls += 1;
                let word = |name: &str| block[name].as_str().unwrap_or_default();
                self.emit.call(0, number, word("id"), word("name"), out);
                let call = out.last_mut().and_then(|c| c.choices.first_mut()).and_then(|c| c.delta.tool_calls.as_mut());
                if let (Some([call]), Some(caller)) = (call.map(Vec::as_mut_slice), block.get("caller")) {
                    call.extra.insert("caller".into(), caller.clone());
                }
                Block::Call { number: Some(number), input: block["input"].take(), spoken: false }
            }
            _ => {
                self.emit.reasoning(0, block["thinking"].as_str().unwrap_or_default(), out);
                Block::Opaque { block, input: String::new() }
            }
        };
        self.open.push((index, begun));
    }

    fn block_grows(&mut self, index: u64, new: Fresh, out: &mut Vec<ChatCompletionChunk>) {
        let Some((_, block)) = self.open.iter_mut().rfind(|(i, _)| *i == index) else { return };
        match block {
            Block::Text { citations, .. } => {
                citations.extend(new.citation);
                self.text(new.text.unwrap_or_default(), out);
            }
            Block::Call { number, spoken, .. } => {
                let json = new.partial_json.unwrap_or_default();
                *spoken |= !json.is_empty();
                let number = *number;
                self.arguments(number, json, out);
            }
            Block::Opaque { block, input } => {
                input.push_str(new.partial_json.as_deref().unwrap_or_default());
                append(block, "thinking", new.thinking.as_deref());
                append(block, "signature", new.signature.as_deref());
                if let Some(content) = new.content {
                    block["content"] = content;
                }
                self.emit.reasoning(0, new.thinking.unwrap_or_default(), out);
            }
        }
    }

    fn block_ends(&mut self, index: u64, out: &mut Vec<ChatCompletionChunk>) {
        let Some(at) = self.open.iter().rposition(|(i, _)| *i == index) else { return };
        match self.open.remove(at).1 {
            Block::Text { citations, .. } if citations.is_empty() => {}
            Block::Text { start, citations } => {
                let span = (start, self.chars);
                let annotations = citations.into_iter().map(|c| raw::annotation(c, span)).collect();
                let mut delta = Delta::default();
                delta.extra.insert("annotations".into(), annotations);
                self.emit.delta(0, delta, out);
            }
            Block::Call { spoken: true, .. } => {}
            Block::Call { number, input, .. } => {
                // A call without arguments says nothing at all.
                let json = if input.is_object() { input.to_string() } else { "{}".to_owned() };
                self.arguments(number, json, out);
            }
            Block::Opaque { mut block, input } => {
                if !input.is_empty() {
                    block["input"] = serde_json::from_str(&input).unwrap_or(Value::String(input));
                }
                self.opaque.push(block);
            }
        }
    }

    fn text(&mut self, text: String, out: &mut Vec<ChatCompletionChunk>) {
        self.chars += text.chars().count();
        self.emit.text(0, text, out);
    }

    fn arguments(&mut self, number: Option<u32>, json: String, out: &mut Vec<ChatCompletionChunk>) {
        match number {
            Some(number) => self.emit.arguments(0, number, json, out),
            None => self.text(json, out),
        }
    }

    fn ends(&mut self, out: &mut Vec<ChatCompletionChunk>) {
        self.done = true;
        let opaque = std::mem::take(&mut self.opaque);
        let target = self.target.get();
        self.emit.state(0, &target, opaque, out);
        let stopped = std::mem::take(&mut self.stopped);
        if let Some(refusal) = stopped.refusal() {
            self.emit.delta(0, Delta { refusal: Some(refusal), ..Default::default() }, out);
        }
        let since = out.len();
        self.emit.end(0, stopped.word(self.calls > 0).unwrap_or("stop"), stopped.reason.as_deref(), out);
        self.emit.beside(0, stopped.beside(), None, since, out);
        let mut counts = std::mem::take(&mut self.usage);
        let service_tier = usage::service_tier(&mut counts);
        let extra = std::mem::take(&mut self.extra);
        match usage::read(counts) {
            Some(usage) => self.emit.usage(usage, out),
            None if extra.is_empty() && service_tier.is_none() => return,
            None => {}
        }
        if let Some(last) = out.last_mut() {
            last.service_tier = service_tier;
            last.extra.extend(extra);
        }
    }
}

fn append(block: &mut Value, field: &str, new: Option<&str>) {
    let Some(new) = new else { return };
    match &mut block[field] {
        Value::String(old) => old.push_str(new),
        other => *other = new.into(),
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let data = frame.data.trim_ascii();
        if self.done || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let event: Event = serde_json::from_slice(data)
            .map_err(|why| failure::corrupt_event(data, "one", &why, &self.target.get()))?;
        if let Some(error) = event.error {
            return Err(failure::from_value(0, &serde_json::json!({ "error": error }), &self.target.get()));
        }
        let index = event.index.unwrap_or(0);
        match event.r#type.as_deref().unwrap_or(frame.event) {
            "message_start" => self.begins(event.message.unwrap_or_default(), out)?,
            "content_block_start" => self.block_begins(index, event.content_block.unwrap_or_default(), out),
            "content_block_delta" => self.block_grows(index, event.delta.unwrap_or_default(), out),
            "content_block_stop" => self.block_ends(index, out),
            "message_delta" => {
                let delta = event.delta.unwrap_or_default();
                self.stopped.reason = delta.stop_reason.or(self.stopped.reason.take());
                self.stopped.sequence = delta.stop_sequence.or(self.stopped.sequence.take());
                self.stopped.details = delta.stop_details.or(self.stopped.details.take());
                self.usage.extend(raw::said(event.usage.unwrap_or_default()));
                self.extra.extend(raw::said(delta.extra).chain(raw::said(event.extra)));
            }
            "message_stop" => self.ends(out),
            // Signs of life, and what is not known yet.
            _ => {}
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.done
    }

    fn done(&self) -> bool {
        self.done
    }
}
