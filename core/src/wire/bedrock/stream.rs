//! Streams of Converse: blocks begin, grow and end; then the reason, then token counts.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde_json::{Value, json};

use super::errors;
use super::response::{self, Answer, CITATIONS, Call, ServiceTier};
use super::tools::ANSWER;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatCompletionChunk, Delta, Extra};
use crate::wire::emit::Emitter;
use crate::wire::open::open;
use crate::wire::{Frame, KeptTarget, Reply, StreamDecoder, WireTarget, failure};

open! {
    /// The payload of any event; `p` is random padding.
    Event {
        index "contentBlockIndex": u32,
        start "start": Start,
        delta "delta": Change,
        stop_reason "stopReason": String,
        usage "usage": Extra,
        service_tier "serviceTier": ServiceTier,
    }
    skips "p" "role"
}

open! {
    /// How a block begins; text and reasoning begin without this.
    Start {
        call "toolUse": Call,
        result "toolResult": Extra,
    }
}

open! {
    /// What is new in a block.
    Change {
        text "text": String,
        call "toolUse": Input,
        result "toolResult": Vec<Value>,
        reasoning "reasoningContent": Reasoning,
        citation "citation": Value,
    }
}

open! {
    /// More of a call's input.
    Input {
        input "input": String,
    }
}

open! {
    /// More reasoning.
    Reasoning {
        text "text": String,
        signature "signature": String,
        redacted "redactedContent": String,
    }
}

/// A block that has begun and not ended.
enum Block {
    /// A call for the caller, by its place among them; whether its input has begun.
    Call { place: u32, begun: bool },
    /// The call whose arguments are the answer; whether they have begun.
    Answer { begun: bool },
    /// A tool that runs on Amazon's side.
    ServerCall { call: Call, input: String },
    /// What it gave.
    ServerResult { start: Extra, content: Vec<Value> },
    /// Reasoning, signed at its end where the vendor wants it back.
    Reasoning { text: String, signature: String },
}

pub(super) struct Decoder {
    target: KeptTarget,
    emitter: Emitter,
    open: BTreeMap<u32, Block>,
    /// Calls for the caller so far.
    calls: u32,
    /// What goes back in the next turn.
    state: Vec<Value>,
    /// The reason to end has come.
    stopped: bool,
    /// Token counts have come after it.
    done: bool,
}

impl Decoder {
    pub fn new(target: &WireTarget<'_>) -> Self {
        Decoder {
            target: KeptTarget::new(target),
            emitter: Emitter::default(),
            open: BTreeMap::new(),
            calls: 0,
            state: Vec::new(),
            stopped: false,
            done: false,
        }
    }

    fn begin(&mut self, index: u32, start: Start, out: &mut Vec<ChatCompletionChunk>) {
        let block = match (start.call, start.result) {
            (Some(call), _) if call.is_servers() => Block::ServerCall { call, input: String::new() },
            (Some(call), _) if call.name.as_deref() == Some(ANSWER) => Block::Answer { begun: false },
            (Some(call), _) => {
                let place = self.calls;
                self.calls += 1;
                let (id, name) = (call.id.unwrap_or_default(), call.name.unwrap_or_default());
                self.emitter.call(0, place, &id, &name, out);
                Block::Call { place, begun: false }
            }
            (None, Some(start)) => Block::ServerResult { start, content: Vec::new() },
            (None, None) => return,
        };
        self.open.insert(index, block);
    }

    fn grow(&mut self, index: u32, change: Change, out: &mut Vec<ChatCompletionChunk>) {
        if let Some(text) = change.text {
            self.emitter.text(0, text, out);
        }
        if let Some(citation) = change.citation {
            let mut delta = Delta::default();
            delta.extra.insert(CITATIONS.to_owned(), Value::Array(vec![citation]));
            self.emitter.delta(0, delta, out);
        }
        if let Some(reasoning) = change.reasoning {
            self.reason(index, reasoning, out);
        }
        let more = change.call.and_then(|call| call.input).unwrap_or_default();
        match self.open.get_mut(&index) {
            Some(Block::Call { place, begun }) => {
                *begun |= !more.is_empty();
                self.emitter.arguments(0, *place, more, out);
            }
            Some(Block::Answer { begun }) => {
                *begun |= !more.is_empty();
                self.emitter.text(0, more, out);
            }
            Some(Block::ServerCall { input, .. }) => input.push_str(&more),
            Some(Block::ServerResult { content, .. }) => content.extend(change.result.into_iter().flatten()),
            Some(Block::Reasoning { .. }) | None => {}
        }
    }

    fn reason(&mut self, index: u32, new: Reasoning, out: &mut Vec<ChatCompletionChunk>) {
        self.state.extend(new.redacted.map(response::redacted));
        if new.text.is_none() && new.signature.is_none() {
            return;
        }
        let empty = || Block::Reasoning { text: String::new(), signature: String::new() };
        if let Block::Reasoning { text, signature } = self.open.entry(index).or_insert_with(empty) {
            text.push_str(new.text.as_deref().unwrap_or_default());
            signature.push_str(new.signature.as_deref().unwrap_or_default());
        }
        self.emitter.reasoning(0, new.text.unwrap_or_default(), out);
    }

    fn end_block(&mut self, index: u32, out: &mut Vec<ChatCompletionChunk>) {
        match self.open.remove(&index) {
            // A tool without parameters is called without a word.
            Some(Block::Call { place, begun: false }) => self.emitter.arguments(0, place, "{}", out),
            Some(Block::Answer { begun: false }) => self.emitter.text(0, "{}", out),
            Some(Block::Reasoning { text, signature }) if !signature.is_empty() => {
                self.state.push(response::signed(text, signature));
            }
            Some(Block::ServerCall { call, input }) => {
                let input = serde_json::from_str(&input).unwrap_or_else(|_| json!({}));
                self.state.push(response::server_call(call.id, call.name, call.kind, input));
            }
            Some(Block::ServerResult { mut start, content }) => {
                start.insert("content".to_owned(), Value::Array(content));
                self.state.push(json!({ "toolResult": start }));
            }
            _ => {}
        }
    }

    fn stop(&mut self, reason: Option<String>, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let open: Vec<u32> = self.open.keys().copied().collect();
        open.into_iter().for_each(|index| self.end_block(index, out));
        let target = self.target.get();
        self.emitter.state(0, &target, std::mem::take(&mut self.state), out);
        let (reason, native) = response::finish_reason(reason, self.calls > 0, &target)?;
        self.emitter.end(0, reason, Some(&native), out);
        self.stopped = true;
        Ok(())
    }

    fn metadata(&mut self, event: Event, out: &mut Vec<ChatCompletionChunk>) {
        if let Some(usage) = event.usage.and_then(response::usage) {
            self.emitter.usage(usage, out);
            if let Some(last) = out.last_mut() {
                last.service_tier = event.service_tier.map(|tier| tier.r#type);
                last.extra = event.extra;
            }
        }
        self.done = self.stopped;
    }

    /// A whole body of JSON where frames were expected: an answer, or an error.
    fn bare(&mut self, data: &[u8], out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let target = self.target.get();
        let reply = Reply { status: 200, headers: &HeaderMap::new(), body: data };
        let mut answer: Answer =
            serde_json::from_slice(data).map_err(|e| failure::not_json(data, "answer of Converse", &e, &target))?;
        let Some(output) = answer.output.take() else { return Err(response::no_answer(&reply, &target)) };
        let whole = response::from_answer(output, answer, &target)?;
        let emitter = &mut self.emitter;
        for choice in whole.choices {
            let message = choice.message;
            emitter.text(0, message.content.unwrap_or_default(), out);
            emitter.reasoning(0, message.reasoning_content.unwrap_or_default(), out);
            for (place, call) in message.tool_calls.into_iter().flatten().enumerate() {
                let function = call.function.unwrap_or_default();
                emitter.call(0, place as u32, &call.id, &function.name, out);
                emitter.arguments(0, place as u32, function.arguments, out);
            }
            if !message.extra.is_empty() {
                emitter.delta(0, Delta { extra: message.extra, ..Default::default() }, out);
            }
            let native = choice.extra.get(crate::wire::emit::NATIVE_FINISH_REASON).and_then(Value::as_str);
            emitter.end(0, choice.finish_reason.as_deref().unwrap_or("stop"), native, out);
        }
        if let Some(usage) = whole.usage {
            emitter.usage(usage, out);
        }
        (self.stopped, self.done) = (true, true);
        Ok(())
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let target = self.target.get();
        if frame.fault {
            let body = serde_json::from_slice(frame.data).unwrap_or_else(|_| json!({}));
            return Err(errors::from_body(Some(frame.event), 0, &body, &target));
        }
        let known = ["contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];
        match frame.event {
            "" => return self.bare(frame.data, out),
            "messageStart" => {
                self.emitter.begin(0, out);
                return Ok(());
            }
            event if !known.contains(&event) => return Ok(()),
            _ => {}
        }
        let event: Event = serde_json::from_slice(frame.data).map_err(|e| {
            let why =
                format!("an event `{}` is not what it should be ({e}): {}", frame.event, failure::excerpt(frame.data));
            target.at(Error::new(ErrorKind::Decode, why))
        })?;
        let index = event.index.unwrap_or(0);
        match frame.event {
            "contentBlockStart" => self.begin(index, event.start.unwrap_or_default(), out),
            "contentBlockDelta" => self.grow(index, event.delta.unwrap_or_default(), out),
            "contentBlockStop" => self.end_block(index, out),
            "messageStop" => self.stop(event.stop_reason, out)?,
            _ => self.metadata(event, out),
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.stopped
    }

    fn done(&self) -> bool {
        self.done
    }
}
