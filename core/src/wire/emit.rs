//! Chunks in OpenAI's order from streams of another shape: per choice one chunk with the role, then what is new, then one
//! with the reason it ended; usage last, without choices.

use serde_json::Value;

use super::{WireTarget, state};
use crate::types::{
    ChatCompletionChunk, ChunkChoice, Delta, Extra, FunctionCallDelta, Logprobs, ToolCall, ToolCallDelta, Usage,
};

/// Writes the chunks of one stream.
#[derive(Debug, Default)]
pub struct Emitter {
    /// The vendor's id of the answer.
    pub id: String,
    /// Model that answers, in the vendor's words.
    pub model: String,
    /// Choices whose role chunk was written.
    begun: Vec<u32>,
    /// Choices whose reason to end was written.
    ended: Vec<u32>,
}

impl Emitter {
    /// Begins a choice, unless it has begun: its role.
    pub fn begin(&mut self, choice: u32, out: &mut Vec<ChatCompletionChunk>) {
        if !self.begun.contains(&choice) {
            self.begun.push(choice);
            let delta =
                Delta { role: Some("assistant".to_owned()), content: Some(String::new()), ..Default::default() };
            let chunk = self.chunk(choice, delta);
            out.push(chunk);
        }
    }

    /// New parts of a choice.
    pub fn delta(&mut self, choice: u32, delta: Delta, out: &mut Vec<ChatCompletionChunk>) {
        self.begin(choice, out);
        let chunk = self.chunk(choice, delta);
        out.push(chunk);
    }

    /// New text; nothing when it is empty.
    pub fn text(&mut self, choice: u32, text: impl Into<String>, out: &mut Vec<ChatCompletionChunk>) {
        let text = text.into();
        if !text.is_empty() {
            self.delta(choice, Delta { content: Some(text), ..Default::default() }, out);
        }
    }

    /// New reasoning; nothing when it is empty.
    pub fn reasoning(&mut self, choice: u32, text: impl Into<String>, out: &mut Vec<ChatCompletionChunk>) {
        let text = text.into();
        if !text.is_empty() {
            self.delta(choice, Delta { reasoning_content: Some(text), ..Default::default() }, out);
        }
    }

    /// A tool call begins; `index` counts the calls of the choice.
    pub fn call(&mut self, choice: u32, index: u32, id: &str, name: &str, out: &mut Vec<ChatCompletionChunk>) {
        let function = FunctionCallDelta { name: Some(name.to_owned()), arguments: Some(String::new()) };
        let call = ToolCallDelta {
            index,
            id: Some(id.to_owned()),
            r#type: Some("function".to_owned()),
            function: Some(function),
            ..Default::default()
        };
        self.delta(choice, Delta { tool_calls: Some(vec![call]), ..Default::default() }, out);
    }

    /// More of a call's arguments; nothing when it is empty.
    pub fn arguments(&mut self, choice: u32, index: u32, json: impl Into<String>, out: &mut Vec<ChatCompletionChunk>) {
        let json = json.into();
        if json.is_empty() {
            return;
        }
        let function = FunctionCallDelta { name: None, arguments: Some(json) };
        let call = ToolCallDelta { index, function: Some(function), ..Default::default() };
        self.delta(choice, Delta { tool_calls: Some(vec![call]), ..Default::default() }, out);
    }

    /// A tool call that came whole.
    pub fn whole_call(&mut self, choice: u32, index: u32, call: ToolCall, out: &mut Vec<ChatCompletionChunk>) {
        let function = call.function.map(|f| FunctionCallDelta { name: Some(f.name), arguments: Some(f.arguments) });
        let call = ToolCallDelta { index, id: Some(call.id), r#type: Some(call.r#type), function, extra: call.extra };
        self.delta(choice, Delta { tool_calls: Some(vec![call]), ..Default::default() }, out);
    }

    /// What belongs to the choice, not to its message: on its last chunk from place `since` of `out` on, or on one of
    /// their own.
    pub fn beside(
        &mut self,
        choice: u32,
        extra: Extra,
        logprobs: Option<Logprobs>,
        since: usize,
        out: &mut Vec<ChatCompletionChunk>,
    ) {
        if extra.is_empty() && logprobs.is_none() {
            return;
        }
        let of_choice = |chunk: &ChatCompletionChunk| chunk.choices.first().is_some_and(|c| c.index == choice);
        let place = match out[since..].iter().rposition(of_choice) {
            Some(place) => since + place,
            None => {
                self.delta(choice, Delta::default(), out);
                out.len() - 1
            }
        };
        if let Some(into) = out[place].choices.first_mut() {
            into.extra.extend(extra);
            into.logprobs = logprobs;
        }
    }

    /// What the vendor wants back in the next turn.
    pub fn state(
        &mut self,
        choice: u32,
        target: &WireTarget<'_>,
        blocks: Vec<Value>,
        out: &mut Vec<ChatCompletionChunk>,
    ) {
        if !blocks.is_empty() {
            let mut delta = Delta::default();
            state::put(&mut delta.extra, target, blocks);
            self.delta(choice, delta, out);
        }
    }

    /// Ends a choice, once: `reason` in OpenAI's words, `native` in the vendor's.
    pub fn end(&mut self, choice: u32, reason: &str, native: Option<&str>, out: &mut Vec<ChatCompletionChunk>) {
        if self.ended.contains(&choice) {
            return;
        }
        self.begin(choice, out);
        self.ended.push(choice);
        let mut chunk = self.chunk(choice, Delta::default());
        if let Some(last) = chunk.choices.first_mut() {
            last.finish_reason = Some(reason.to_owned());
            if let Some(native) = native {
                last.extra.insert(NATIVE_FINISH_REASON.to_owned(), native.into());
            }
        }
        out.push(chunk);
    }

    /// Token counts.
    pub fn usage(&mut self, usage: Usage, out: &mut Vec<ChatCompletionChunk>) {
        out.push(ChatCompletionChunk { usage: Some(usage), choices: Vec::new(), ..self.head() });
    }

    /// Whether every choice that began has ended, and one did.
    pub fn all_ended(&self) -> bool {
        !self.ended.is_empty() && self.begun.iter().all(|c| self.ended.contains(c))
    }

    fn chunk(&self, choice: u32, delta: Delta) -> ChatCompletionChunk {
        let choice = ChunkChoice { index: choice, delta, ..Default::default() };
        ChatCompletionChunk { choices: vec![choice], ..self.head() }
    }

    fn head(&self) -> ChatCompletionChunk {
        ChatCompletionChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            model: self.model.clone(),
            ..Default::default()
        }
    }
}

/// Field of a choice with the vendor's own word for why it ended.
pub const NATIVE_FINISH_REASON: &str = "native_finish_reason";
