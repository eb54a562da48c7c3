//! Texts that end the answer, where the vendor does not stop at them: the answer is cut here, as the vendor's would have
//! been. What it generates beyond is read, and counted, for the usage stands at the end.

use super::{Frame, Protocol, StreamDecoder};
use crate::error::Result;
use crate::types::{ChatCompletion, ChatCompletionChunk, ChatRequest, ChunkChoice, Delta, Logprobs, Stop};

/// The stop texts of a request that this wire's vendor does not take.
fn kept_here(request: &ChatRequest, protocol: &dyn Protocol) -> Vec<String> {
    let all = match &request.stop {
        None => &[],
        Some(Stop::One(one)) => std::slice::from_ref(one),
        Some(Stop::Many(many)) => many.as_slice(),
    };
    all.iter().filter(|text| !text.is_empty() && !protocol.stops_at(text)).cloned().collect()
}

/// Cuts a complete answer.
pub fn cut(answer: &mut ChatCompletion, request: &ChatRequest, protocol: &dyn Protocol) {
    let stops = kept_here(request, protocol);
    for choice in answer.choices.iter_mut().filter(|_| !stops.is_empty()) {
        let Some(text) = &mut choice.message.content else { continue };
        let Some(at) = first(text, &stops) else { continue };
        text.truncate(at);
        // Calls come after the text, where there is nothing any more.
        choice.message.tool_calls = None;
        choice.finish_reason = Some("stop".to_owned());
        if let Some(logprobs) = &mut choice.logprobs {
            shorten(logprobs, at);
        }
    }
}

/// A decoder whose chunks end where the request says.
pub fn cutting(
    decoder: Box<dyn StreamDecoder>,
    request: &ChatRequest,
    protocol: &dyn Protocol,
) -> Box<dyn StreamDecoder> {
    let stops = kept_here(request, protocol);
    if stops.is_empty() { decoder } else { Box::new(Cutting { decoder, stops, texts: Vec::new(), came: Vec::new() }) }
}

/// Where the first stop text begins.
fn first(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter_map(|stop| text.find(stop)).min()
}

/// Leaves the tokens of the first `length` bytes.
fn shorten(logprobs: &mut Logprobs, length: usize) {
    let mut sum = 0;
    if let Some(tokens) = &mut logprobs.content {
        tokens.retain(|token| {
            sum += token.bytes.as_ref().map_or(token.token.len(), Vec::len);
            sum <= length
        });
    }
}

struct Cutting {
    decoder: Box<dyn StreamDecoder>,
    stops: Vec<String>,
    /// What is known of the choices' texts.
    texts: Vec<(u32, Text)>,
    /// Chunks as the vendor's decoder gives them.
    came: Vec<ChatCompletionChunk>,
}

#[derive(Default)]
struct Text {
    /// May be the beginning of a stop text.
    held: String,
    over: bool,
}

impl Text {
    /// The text that is certain.
    fn take(&mut self, new: &str, stops: &[String]) -> String {
        self.held.push_str(new);
        if let Some(at) = first(&self.held, stops) {
            self.over = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let begins = |at: &usize| stops.iter().any(|stop| stop.starts_with(&self.held[*at..]));
        let at = self.held.char_indices().map(|(at, _)| at).find(begins).unwrap_or(self.held.len());
        let rest = self.held.split_off(at);
        std::mem::replace(&mut self.held, rest)
    }
}

impl Cutting {
    fn text(&mut self, index: u32) -> &mut Text {
        let at = self.texts.iter().position(|(known, _)| *known == index).unwrap_or_else(|| {
            self.texts.push((index, Text::default()));
            self.texts.len() - 1
        });
        &mut self.texts[at].1
    }

    fn pass(&mut self, mut chunk: ChatCompletionChunk, out: &mut Vec<ChatCompletionChunk>) {
        let stops = std::mem::take(&mut self.stops);
        let silent = chunk.choices.is_empty();
        let head = ChatCompletionChunk { choices: Vec::new(), usage: None, ..chunk.clone() };
        chunk.choices.retain_mut(|choice| {
            let text = self.text(choice.index);
            let before = choice.clone();
            if text.over {
                choice.logprobs = None;
                let extra = std::mem::take(&mut choice.delta.extra);
                choice.delta = Delta { role: choice.delta.role.take(), extra, ..Default::default() };
                choice.delta.extra.remove("annotations");
            } else {
                if let Some(new) = &choice.delta.content {
                    choice.delta.content = Some(text.take(new, &stops)).filter(|t| !t.is_empty() || new.is_empty());
                }
                let ends = choice.finish_reason.is_some() || choice.delta.tool_calls.is_some();
                if ends && !text.over && !text.held.is_empty() {
                    let held = Delta { content: Some(std::mem::take(&mut text.held)), ..Default::default() };
                    let choices = vec![ChunkChoice { index: choice.index, delta: held, ..Default::default() }];
                    out.push(ChatCompletionChunk { choices, ..head.clone() });
                }
            }
            if text.over && choice.finish_reason.is_some() {
                choice.finish_reason = Some("stop".to_owned());
            }
            // What is left of a chunk that said something, and says nothing any more, is not worth one.
            let nothing =
                choice.delta == Delta::default() && choice.finish_reason.is_none() && choice.logprobs.is_none();
            !nothing || *choice == before
        });
        self.stops = stops;
        if silent || !chunk.choices.is_empty() || chunk.usage.is_some() {
            out.push(chunk);
        }
    }

    fn pass_all(&mut self, out: &mut Vec<ChatCompletionChunk>) {
        for chunk in std::mem::take(&mut self.came) {
            self.pass(chunk, out);
        }
    }
}

impl StreamDecoder for Cutting {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let told = self.decoder.frame(frame, &mut self.came);
        self.pass_all(out);
        told
    }

    fn finish(&mut self, out: &mut Vec<ChatCompletionChunk>) {
        self.decoder.finish(&mut self.came);
        self.pass_all(out);
    }

    fn complete(&self) -> bool {
        self.decoder.complete()
    }

    fn done(&self) -> bool {
        self.decoder.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Quirks;
    use crate::wire::{Assembler, Reply, WireTarget, protocol};
    use serde_json::{Value, json};

    fn request(stop: Value) -> ChatRequest {
        serde_json::from_value(json!({"messages": [], "stop": stop})).unwrap()
    }

    /// A stream of these pieces, cut: the chunks' texts, the answer put together, whether the stream is complete.
    fn streamed(pieces: &[&str], stop: Value) -> (Vec<String>, ChatCompletion, bool) {
        let quirks = Quirks::default();
        let wire = protocol("openai-responses").unwrap();
        let target = WireTarget { provider: "openai", model: "gpt-5-pro", quirks: &quirks };
        let mut decoder = cutting(wire.decoder(&target), &request(stop), wire);
        let mut events = vec![json!({"type": "response.created", "response": {"id": "r", "model": "m"}})];
        let item = |more: Value| {
            let mut event = json!({"output_index": 0});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let message = json!({"type": "message", "role": "assistant", "content": []});
        events.push(item(json!({"type": "response.output_item.added", "item": message})));
        events.extend(pieces.iter().map(|text| item(json!({"type": "response.output_text.delta", "delta": text}))));
        events.push(json!({"type": "response.completed", "response": {"id": "r", "status": "completed",
            "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12}}}));
        let mut out = Vec::new();
        for event in events {
            decoder.frame(Frame { data: event.to_string().as_bytes(), ..Default::default() }, &mut out).unwrap();
        }
        decoder.finish(&mut out);
        let mut assembler = Assembler::default();
        out.iter().for_each(|chunk| assembler.add(chunk));
        let texts = out.iter().map(|chunk| chunk.text().to_owned()).filter(|text| !text.is_empty()).collect();
        (texts, assembler.finish(), decoder.complete())
    }

    #[test]
    fn a_stream_ends_at_the_first_stop_text_however_it_is_cut() {
        let whole = "one END two STOP three";
        for size in 1..=whole.len() {
            let pieces: Vec<&str> =
                (0..whole.len()).step_by(size).map(|at| &whole[at..(at + size).min(whole.len())]).collect();
            let (_, answer, complete) = streamed(&pieces, json!(["STOP", "END"]));
            assert_eq!(answer.text(), "one ", "pieces of {size}");
            assert_eq!(answer.choices[0].finish_reason.as_deref(), Some("stop"));
            assert_eq!(answer.usage.as_ref().map(|u| u.completion_tokens), Some(9));
            assert!(complete);
        }
    }

    #[test]
    fn what_only_begins_like_a_stop_text_is_held_and_given() {
        let (texts, answer, _) = streamed(&["a ST", "x", "é ST"], json!("STOP"));
        assert_eq!(texts, ["a ", "STx", "é ", "ST"]);
        assert_eq!(answer.text(), "a STxé ST");
    }

    #[test]
    fn a_complete_answer_is_cut_with_its_calls() {
        let quirks = Quirks::default();
        let target = WireTarget { provider: "openai", model: "gpt-5-pro", quirks: &quirks };
        let wire = protocol("openai-responses").unwrap();
        let body = json!({"id": "r", "status": "completed", "output": [
            {"type": "message", "content": [{"type": "output_text", "text": "one END two",
                "logprobs": [{"token": "one ", "logprob": -0.1}, {"token": "END two", "logprob": -0.2}]}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]});
        let headers = http::HeaderMap::new();
        let decode = || {
            let body = body.to_string();
            wire.decode(&Reply { status: 200, headers: &headers, body: body.as_bytes() }, &target).unwrap()
        };
        let mut answer = decode();
        cut(&mut answer, &request(json!("END")), wire);
        let choice = &answer.choices[0];
        assert_eq!((choice.message.content.as_deref(), choice.finish_reason.as_deref()), (Some("one "), Some("stop")));
        assert!(choice.message.tool_calls.is_none());
        assert_eq!(choice.logprobs.as_ref().unwrap().content.as_ref().unwrap().len(), 1);

        let mut whole = decode();
        cut(&mut whole, &request(json!("nowhere")), wire);
        assert_eq!(whole, decode());
    }

    #[test]
    fn who_stops_by_itself_is_left_alone() {
        let chat = protocol("openai-chat").unwrap();
        assert!(kept_here(&request(json!(["a", "b"])), chat).is_empty());
        // Anthropic refuses white space alone.
        assert_eq!(kept_here(&request(json!(["a", "\n\n"])), protocol("anthropic").unwrap()), ["\n\n"]);
    }
}
