//! Streams: items that begin, grow and end, in the order of Chat Completions.

use serde_json::Value;

use super::items::{annotation, is_memory, remembered};
use super::raw::{self, BETWEEN_THOUGHTS, Event, Response};
use super::response::{OTHERS, call, logprobs};
use crate::error::Result;
use crate::types::{ChatCompletionChunk, Delta, Extra, Logprobs};
use crate::wire::emit::Emitter;
use crate::wire::{Frame, KeptTarget, StreamDecoder, WireTarget, failure};

pub(super) struct Decoder {
    target: KeptTarget,
    emit: Emitter,
    /// Items that have begun, by their place in the output.
    items: Vec<(u64, Item)>,
    /// Calls so far.
    calls: u32,
    /// Characters of text so far, and where the part that grows begins.
    chars: usize,
    part: usize,
    /// Something was said of the reasoning.
    thought: bool,
    /// Items for the next turn, and those that have no place in a message.
    memory: Vec<Value>,
    others: Vec<Value>,
    done: bool,
}

/// An item that grows.
#[derive(Default)]
struct Item {
    /// Number among the calls.
    call: Option<u32>,
    /// Something of it was given to the caller.
    spoken: bool,
    /// Which of its texts is the reasoning: the summary, or the reasoning itself.
    thinks: Option<Thoughts>,
    over: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Thoughts {
    Summary,
    Whole,
}

impl Decoder {
    pub fn new(target: &WireTarget<'_>) -> Self {
        Decoder {
            target: KeptTarget::new(target),
            emit: Emitter::default(),
            items: Vec::new(),
            calls: 0,
            chars: 0,
            part: 0,
            thought: false,
            memory: Vec::new(),
            others: Vec::new(),
            done: false,
        }
    }

    fn item(&mut self, place: u64) -> &mut Item {
        let at = match self.items.iter().rposition(|(p, _)| *p == place) {
            Some(at) => at,
            None => {
                self.items.push((place, Item::default()));
                self.items.len() - 1
            }
        };
        &mut self.items[at].1
    }

    fn begins(&mut self, response: &mut Response, out: &mut Vec<ChatCompletionChunk>) {
        if self.emit.id.is_empty() {
            self.emit.id = response.id.take().unwrap_or_default();
            self.emit.model = response.model.take().unwrap_or_default();
        }
        self.emit.begin(0, out);
    }

    fn item_begins(&mut self, place: u64, item: &Value, out: &mut Vec<ChatCompletionChunk>) {
        self.part = self.chars;
        self.item(place);
        if item["type"] == "function_call" {
            let number = self.calls;
            self.calls += 1;
            let word = |name: &str| item[name].as_str().unwrap_or_default();
            self.emit.call(0, number, word("call_id"), word("name"), out);
            self.item(place).call = Some(number);
        }
    }

    /// The item is complete: what of it was not given yet is given now.
    fn item_ends(&mut self, place: u64, item: Value, out: &mut Vec<ChatCompletionChunk>) {
        if item["type"] == "function_call" && self.item(place).call.is_none() {
            self.item_begins(place, &item, out);
        }
        let known = self.item(place);
        if std::mem::replace(&mut known.over, true) {
            return;
        }
        let (number, spoken) = (known.call, known.spoken);
        match item["type"].as_str() {
            Some("function_call") => {
                if let (Some(number), Some(function), false) = (number, call(&item).and_then(|c| c.function), spoken) {
                    self.emit.arguments(0, number, function.arguments, out);
                }
            }
            Some("custom_tool_call") => {
                if let Some(call) = call(&item) {
                    self.emit.whole_call(0, self.calls, call, out);
                    self.calls += 1;
                }
            }
            Some("message") => {
                for part in item["content"].as_array().into_iter().flatten().filter(|_| !spoken) {
                    self.part = self.chars;
                    self.text(part["text"].as_str().unwrap_or_default().to_owned(), &part["logprobs"], out);
                    self.refusal(part["refusal"].as_str(), out);
                    for source in part["annotations"].as_array().into_iter().flatten() {
                        self.source(source.clone(), out);
                    }
                }
            }
            _ if is_memory(&item) => {
                if !spoken {
                    for thought in raw::thoughts(&item) {
                        self.thought_begins(out);
                        self.thoughts(thought.to_owned(), out);
                    }
                }
                self.memory.push(remembered(item));
            }
            _ => self.others.push(item),
        }
    }

    fn text(&mut self, text: String, probabilities: &Value, out: &mut Vec<ChatCompletionChunk>) {
        self.chars += text.chars().count();
        let since = out.len();
        self.emit.text(0, text, out);
        let tokens = logprobs(probabilities);
        if !tokens.is_empty() {
            let logprobs = Logprobs { content: Some(tokens), ..Default::default() };
            self.emit.beside(0, Extra::new(), Some(logprobs), since, out);
        }
    }

    fn refusal(&mut self, text: Option<&str>, out: &mut Vec<ChatCompletionChunk>) {
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            self.emit.delta(0, Delta { refusal: Some(text.to_owned()), ..Default::default() }, out);
        }
    }

    fn source(&mut self, source: Value, out: &mut Vec<ChatCompletionChunk>) {
        let mut delta = Delta::default();
        delta.extra.insert("annotations".into(), Value::Array(vec![annotation(source, self.part)]));
        self.emit.delta(0, delta, out);
    }

    fn thought_begins(&mut self, out: &mut Vec<ChatCompletionChunk>) {
        if self.thought {
            self.emit.reasoning(0, BETWEEN_THOUGHTS, out);
        }
    }

    fn thoughts(&mut self, text: String, out: &mut Vec<ChatCompletionChunk>) {
        self.thought |= !text.is_empty();
        self.emit.reasoning(0, text, out);
    }

    /// More of the reasoning. Where a vendor tells both the reasoning and its summary, what comes first counts.
    fn thinks(&mut self, place: u64, which: Thoughts, text: String, out: &mut Vec<ChatCompletionChunk>) {
        let item = self.item(place);
        let first = item.thinks.is_none();
        if *item.thinks.get_or_insert(which) != which {
            return;
        }
        item.spoken = true;
        if first {
            self.thought_begins(out);
        }
        self.thoughts(text, out);
    }

    fn ends(&mut self, mut response: Response, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        self.begins(&mut response, out);
        if self.items.is_empty() {
            // Some servers tell the whole answer at its end alone.
            for (place, item) in response.output.take().into_iter().flatten().enumerate() {
                self.item_ends(place as u64, item, out);
            }
        }
        let end = raw::end(&mut response, self.calls > 0, &self.target.get())?;
        self.done = true;
        if !self.others.is_empty() {
            let mut delta = Delta::default();
            delta.extra.insert(OTHERS.into(), Value::Array(std::mem::take(&mut self.others)));
            self.emit.delta(0, delta, out);
        }
        let memory = std::mem::take(&mut self.memory);
        let target = self.target.get();
        self.emit.state(0, &target, memory, out);
        self.emit.end(0, end.word, Some(&end.native), out);
        if let Some(usage) = response.usage.and_then(raw::usage) {
            self.emit.usage(usage, out);
        }
        if let Some(last) = out.last_mut() {
            last.service_tier = response.service_tier;
            last.extra.extend(raw::said(response.extra));
        }
        Ok(())
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
        let place = event.output_index.unwrap_or(0);
        let fresh = || match &event.delta {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        match event.r#type.as_deref().unwrap_or(frame.event) {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.begins(&mut event.response.unwrap_or_default(), out);
            }
            "response.output_item.added" => self.item_begins(place, &event.item.unwrap_or_default(), out),
            "response.output_item.done" => self.item_ends(place, event.item.unwrap_or_default(), out),
            "response.content_part.added" => self.part = self.chars,
            "response.output_text.delta" => {
                self.item(place).spoken = true;
                self.text(fresh(), event.logprobs.as_ref().unwrap_or(&Value::Null), out);
            }
            "response.output_text.annotation.added" => self.source(event.annotation.unwrap_or_default(), out),
            "response.refusal.delta" => {
                self.item(place).spoken = true;
                self.refusal(Some(&fresh()), out);
            }
            "response.function_call_arguments.delta" => {
                let json = fresh();
                let item = self.item(place);
                if let Some(number) = item.call {
                    item.spoken |= !json.is_empty();
                    self.emit.arguments(0, number, json, out);
                }
            }
            // The first part of an item is set off when its text comes.
            "response.reasoning_summary_part.added" if self.item(place).thinks == Some(Thoughts::Summary) => {
                self.thought_begins(out);
            }
            "response.reasoning_summary_text.delta" => self.thinks(place, Thoughts::Summary, fresh(), out),
            "response.reasoning_text.delta" => self.thinks(place, Thoughts::Whole, fresh(), out),
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.ends(event.response.unwrap_or_default(), out)?;
            }
            "error" => {
                let value = serde_json::from_slice(data).unwrap_or_default();
                return Err(failure::from_value(0, &value, &self.target.get()));
            }
            // Progress of the vendor's own tools, ends of what was given piece by piece, and what is not known yet.
            _ if event.extra.get("error").is_some_and(|e| !e.is_null()) => {
                let value = Value::Object(event.extra);
                return Err(failure::from_value(0, &value, &self.target.get()));
            }
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
