//! Streams: one JSON event per frame, `[DONE]` at the end where the vendor sends it.

use serde_json::Value;

use super::raw::{self, Body};
use super::repeat::Repeat;
use crate::error::{Error, ErrorKind, Result};
use crate::types::ChatCompletionChunk;
use crate::wire::{Frame, KeptTarget, StreamDecoder, WireTarget, failure};

pub(super) struct Decoder {
    target: KeptTarget,
    /// Per choice: whether its finish reason has come.
    finished: Vec<bool>,
    /// `[DONE]` has come.
    done: bool,
    /// The event before, where the next may equal it but for its text.
    repeat: Option<Repeat>,
    /// Events since the last that did; some vendors pad each event anew, and learning from those is for nothing.
    strangers: u8,
}

impl Decoder {
    pub fn new(target: &WireTarget<'_>) -> Self {
        Decoder { target: KeptTarget::new(target), finished: Vec::new(), done: false, repeat: None, strangers: 0 }
    }

    fn note(&mut self, index: u32, finished: bool) {
        // An absurd index would make an absurd list.
        let index = (index as usize).min(1024);
        if self.finished.len() <= index {
            self.finished.resize(index + 1, false);
        }
        self.finished[index] |= finished;
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
        if let Some(chunk) = self.repeat.as_ref().and_then(|r| r.apply(data)) {
            self.strangers = 0;
            out.push(chunk);
            return Ok(());
        }
        let mut body: Body = match serde_json::from_slice(data) {
            Ok(body) => body,
            Err(why) => return Err(self.corrupt(data, &why)),
        };
        if let Some(error) = body.error.take() {
            return Err(failure::from_value(0, &serde_json::json!({ "error": error }), &self.target.get()));
        }
        if frame.event == "error" {
            let value: Value = serde_json::from_slice(data).unwrap_or_default();
            return Err(failure::from_value(0, &value, &self.target.get()));
        }
        let usage = raw::usage(&mut body, &self.target.quirks);
        if body.choices.is_none() && usage.is_none() {
            // A known envelope with nothing in it (pings, other events); not an error, not a chunk.
            return Ok(());
        }
        let whole_answer = body.choices.iter().flat_map(|c| &c.0).any(|c| c.delta.is_none() && c.message.is_some());
        let mut choices = Vec::with_capacity(body.choices.as_ref().map_or(0, |c| c.0.len()));
        for (place, mut choice) in body.choices.into_iter().flat_map(|c| c.0).enumerate() {
            if whole_answer {
                // A streaming call answered with one complete body.
                choice.delta = choice.message.take();
            }
            let choice = choice.into_chunk(place as u32, &self.target.quirks);
            if choice.finish_reason.as_deref() == Some("error") {
                return Err(self
                    .target
                    .get()
                    .at(Error::new(ErrorKind::ServerError, "the vendor ended the answer with finish_reason `error`")));
            }
            self.note(choice.index, choice.finish_reason.is_some());
            choices.push(choice);
        }
        let chunk = ChatCompletionChunk {
            id: body.id.unwrap_or_default(),
            object: "chat.completion.chunk".to_owned(),
            created: body.created.and_then(|c| c.0).unwrap_or(0),
            model: body.model.unwrap_or_default(),
            choices,
            usage,
            service_tier: body.service_tier,
            system_fingerprint: body.system_fingerprint,
            interfuse: None,
            extra: body.extra,
        };
        if self.strangers < 8 {
            self.strangers += 1;
            self.repeat = Repeat::learn(data, &chunk);
        }
        out.push(chunk);
        Ok(())
    }

    fn complete(&self) -> bool {
        self.done || (!self.finished.is_empty() && self.finished.iter().all(|f| *f))
    }

    fn done(&self) -> bool {
        self.done
    }
}

impl Decoder {
    /// Text that is no event: an error in a shape of its own, or garbage.
    fn corrupt(&self, data: &[u8], why: &serde_json::Error) -> Error {
        if let Ok(value @ (Value::Array(_) | Value::Object(_))) = serde_json::from_slice::<Value>(data) {
            let inner = value.as_array().and_then(|a| a.first()).unwrap_or(&value);
            if inner.get("error").is_some() {
                return failure::from_value(0, &value, &self.target.get());
            }
        }
        failure::corrupt_event(data, "a chunk", why, &self.target.get())
    }
}
