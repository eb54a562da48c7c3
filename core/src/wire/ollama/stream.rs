//! Answers, whole or line by line.

use serde_json::Value;

use super::raw::{Call, Line};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatCompletionChunk, Delta, Extra, FunctionCall, Logprobs, ToolCall, Usage};
use crate::wire::emit::Emitter;
use crate::wire::{Frame, KeptTarget, StreamDecoder, WireTarget, call_ids, failure};

/// Reads the lines of one answer.
pub(super) struct Decoder {
    target: KeptTarget,
    emitter: Emitter,
    calls: u32,
    said: bool,
    done: bool,
}

impl Decoder {
    pub fn new(target: &WireTarget<'_>) -> Self {
        Decoder { target: KeptTarget::new(target), emitter: Emitter::default(), calls: 0, said: false, done: false }
    }

    /// Takes one line, or a whole answer.
    pub fn read(&mut self, data: &[u8], out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let line: Line = serde_json::from_slice(data)
            .map_err(|why| failure::not_json(data, "chat answer", &why, &self.target.get()))?;
        if let Some(error) = line.error {
            return Err(failure::from_value(0, &serde_json::json!({ "error": error }), &self.target.get()));
        }
        let Some(message) = line.message else {
            let why = format!("the answer has no `message`: {}", failure::excerpt(data));
            return Err(self.target.get().at(Error::new(ErrorKind::Decode, why)));
        };
        let since = out.len();
        self.emitter.model = line.model.unwrap_or_default();
        self.emitter.begin(0, out);
        let (thinking, content) = (message.thinking.unwrap_or_default(), message.content.unwrap_or_default());
        self.said |= !thinking.is_empty() || !content.is_empty();
        self.emitter.reasoning(0, thinking, out);
        self.emitter.text(0, content, out);
        let told_at = line.extra.get("created_at").and_then(Value::as_str).unwrap_or_default();
        for call in message.tool_calls.into_iter().flatten() {
            let call = whole(call, &self.emitter.model, told_at, self.calls);
            self.emitter.whole_call(0, self.calls, call, out);
            self.calls += 1;
        }
        if !message.extra.is_empty() {
            self.emitter.delta(0, Delta { extra: message.extra, ..Default::default() }, out);
        }
        let logprobs = line.logprobs.filter(|tokens| !tokens.is_empty());
        let logprobs = logprobs.map(|tokens| Logprobs { content: Some(tokens), ..Default::default() });
        self.emitter.beside(0, Extra::new(), logprobs, since, out);
        if line.done == Some(true) {
            self.end(line.done_reason.as_deref(), line.extra, out)?;
            let counts = (line.prompt_tokens, line.completion_tokens);
            if let Some(usage) = usage(counts) {
                self.emitter.usage(usage, out);
            }
        }
        Ok(())
    }

    /// The last line: why it ended, and what the server tells of its work.
    fn end(&mut self, reason: Option<&str>, told: Extra, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        if matches!(reason, Some("load" | "unload")) && !self.said && self.calls == 0 {
            let why = "the server loaded or unloaded the model and gave no answer; are there messages?";
            return Err(self.target.get().at(Error::new(ErrorKind::ServerError, why)));
        }
        let word = match reason {
            Some("length") => "length",
            // Ollama says `stop` of an answer that calls tools, too.
            _ if self.calls > 0 => "tool_calls",
            _ => "stop",
        };
        self.done = true;
        self.emitter.end(0, word, reason, out);
        if let Some(last) = out.last_mut() {
            last.extra.extend(told);
        }
        Ok(())
    }
}

/// A call as OpenAI has it; its id, where there is none, depends on the answer's time and the call's place alone.
fn whole(call: Call, model: &str, told_at: &str, place: u32) -> ToolCall {
    let function = call.function.unwrap_or_default();
    let name = function.name.unwrap_or_default();
    let arguments = match function.arguments {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) => text,
        Some(arguments) => arguments.to_string(),
    };
    let id = call.id.filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| call_ids::generated(&[model, told_at, &name, &arguments], place));
    ToolCall { id, r#type: "function".to_owned(), function: Some(FunctionCall { name, arguments }), extra: call.extra }
}

/// A prompt that was wholly in the cache is not counted.
fn usage((prompt, completion): (Option<u64>, Option<u64>)) -> Option<Usage> {
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let (prompt_tokens, completion_tokens) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        ..Default::default()
    })
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        match frame.data.trim_ascii() {
            b"" => Ok(()),
            _ if self.done => Ok(()),
            data => self.read(data, out),
        }
    }

    fn complete(&self) -> bool {
        self.done
    }

    fn done(&self) -> bool {
        self.done
    }
}
