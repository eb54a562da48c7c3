//! Streams: named events, from `message-start` to `message-end`.

use serde::Deserialize;
use serde_json::Value;

use super::finish;
use super::raw::{self, Block, Call, Event, MessageDelta};
use crate::error::{Error, Result};
use crate::types::{ChatCompletionChunk, Delta, Extra};
use crate::wire::emit::Emitter;
use crate::wire::{Frame, KeptTarget, StreamDecoder, WireTarget, failure};

/// Reads the events of one stream.
pub(super) struct Decoder {
    target: KeptTarget,
    emitter: Emitter,
    calls: Vec<Open>,
    ended: bool,
    done: bool,
}

/// A tool call being told.
struct Open {
    /// Its place in the vendor's count.
    index: u32,
    /// Arguments held back: they may turn out to be null, which stands for none.
    held: String,
    /// Arguments were handed on.
    told: bool,
    /// `tool-call-end` has come.
    over: bool,
}

impl Decoder {
    pub fn new(target: &WireTarget<'_>) -> Self {
        Decoder {
            target: KeptTarget::new(target),
            emitter: Emitter::default(),
            calls: Vec::new(),
            ended: false,
            done: false,
        }
    }

    fn corrupt(&self, data: &[u8], why: &serde_json::Error) -> Error {
        failure::not_json(data, "event of a chat", why, &self.target.get())
    }

    fn start_call(&mut self, event: &Event, call: Call, out: &mut Vec<ChatCompletionChunk>) {
        let place = self.calls.len() as u32;
        self.calls.push(Open { index: event.index.unwrap_or(place), held: String::new(), told: false, over: false });
        let first = call.function.as_ref().and_then(|f| f.arguments.clone()).unwrap_or_default();
        let call = call.into_call();
        let name = call.function.map(|f| f.name).unwrap_or_default();
        self.emitter.call(0, place, &call.id, &name, out);
        self.arguments(place as usize, first, out);
    }

    /// The call that an event is about: that of its number, or the last.
    fn place(&self, event: &Event) -> Option<usize> {
        let numbered = self.calls.iter().rposition(|c| Some(c.index) == event.index);
        numbered.or(self.calls.len().checked_sub(1))
    }

    fn arguments(&mut self, place: usize, more: String, out: &mut Vec<ChatCompletionChunk>) {
        let Some(call) = self.calls.get_mut(place) else { return };
        if call.told {
            self.emitter.arguments(0, place as u32, more, out);
            return;
        }
        call.held.push_str(&more);
        if call.held.trim_start().starts_with(['{', '[', '"']) {
            call.told = true;
            self.emitter.arguments(0, place as u32, std::mem::take(&mut call.held), out);
        }
    }

    fn end_call(&mut self, place: usize, out: &mut Vec<ChatCompletionChunk>) {
        let Some(call) = self.calls.get_mut(place).filter(|c| !c.over) else { return };
        call.over = true;
        if !call.told {
            self.emitter.arguments(0, place as u32, raw::arguments(std::mem::take(&mut call.held)), out);
        }
    }

    fn message(
        &mut self,
        event: &Event,
        delta: MessageDelta,
        out: &mut Vec<ChatCompletionChunk>,
    ) -> serde_json::Result<()> {
        if let Some(plan) = delta.tool_plan {
            self.emitter.reasoning(0, plan, out);
        }
        if let Some(content @ Value::Object(_)) = delta.content {
            let block = Block::deserialize(content)?;
            self.emitter.reasoning(0, block.thinking.unwrap_or_default(), out);
            self.emitter.text(0, block.text.unwrap_or_default(), out);
        }
        if let Some(call @ Value::Object(_)) = delta.tool_calls {
            let call = Call::deserialize(call)?;
            match (call.id.is_some(), self.place(event)) {
                (false, Some(place)) => {
                    let more = call.function.and_then(|f| f.arguments).unwrap_or_default();
                    self.arguments(place, more, out);
                }
                _ => self.start_call(event, call, out),
            }
        }
        let citations = match delta.citations {
            Some(Value::Array(list)) => list,
            Some(one @ Value::Object(_)) => vec![one],
            _ => Vec::new(),
        };
        self.say(|extra| raw::cite(extra, citations), out);
        for (name, value) in delta.extra {
            self.say(|extra| drop(extra.insert(name, value)), out);
        }
        Ok(())
    }

    /// Fields of the message that OpenAI's has not.
    fn say(&mut self, put: impl FnOnce(&mut Extra), out: &mut Vec<ChatCompletionChunk>) {
        let mut delta = Delta::default();
        put(&mut delta.extra);
        if !delta.extra.is_empty() {
            self.emitter.delta(0, delta, out);
        }
    }

    fn end(&mut self, delta: raw::Delta, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let reason = delta.finish_reason.unwrap_or_default();
        if let Some(error) = finish::failure(&reason, &Value::Object(delta.extra), &self.target.get()) {
            return Err(error);
        }
        for place in 0..self.calls.len() {
            self.end_call(place, out);
        }
        self.ended = true;
        self.emitter.end(0, finish::word(&reason, !self.calls.is_empty()), Some(&reason), out);
        if let Some(usage) = delta.usage.and_then(raw::usage) {
            self.emitter.usage(usage, out);
        }
        Ok(())
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let data = frame.data.trim_ascii();
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let mut event: Event = serde_json::from_slice(data).map_err(|why| self.corrupt(data, &why))?;
        let kind = event.r#type.take().unwrap_or_else(|| frame.event.to_owned());
        if kind.is_empty() || kind == "error" {
            // An error in place of events.
            let told = serde_json::from_slice(data).unwrap_or_default();
            return Err(failure::from_value(0, &told, &self.target.get()));
        }
        let delta = event.delta.take().unwrap_or_default();
        let since = out.len();
        match kind.as_str() {
            "message-start" => {
                self.emitter.id = event.id.take().unwrap_or_default();
                self.emitter.begin(0, out);
            }
            "message-end" => self.end(delta, out)?,
            "tool-call-end" => {
                if let Some(place) = self.place(&event) {
                    self.end_call(place, out);
                }
            }
            // Start, pieces and end of contents, calls, plans and citations say what they are by their fields.
            _ => {
                let message = delta.message.unwrap_or_default();
                self.message(&event, message, out).map_err(|why| self.corrupt(data, &why))?;
            }
        }
        if let Some(logprobs) = event.logprobs.as_ref().and_then(|piece| raw::logprobs([piece])) {
            self.emitter.beside(0, Extra::new(), Some(logprobs), since, out);
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.ended
    }

    fn done(&self) -> bool {
        self.done
    }
}
