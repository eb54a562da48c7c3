//! Answers, whole or in pieces: parts become chunks in OpenAI's order. A candidate ends with the body, not with the
//! first `finishReason`: more text may follow one.

use serde_json::{Value, json};

use super::finish::{self, Ending};
use super::partial::PartialCall;
use super::raw::{Candidate, Part, Response};
use super::{annotations, error, usage};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatCompletionChunk, Delta, Extra, FunctionCall, Logprobs, TokenLogprob, ToolCall, Usage};
use crate::wire::emit::Emitter;
use crate::wire::{Frame, KeptTarget, StreamDecoder, WireTarget, call_ids, failure};

/// Field of a message with the parts that are neither text nor function calls (code that was run, images), as they came.
pub(super) const BLOCKS: &str = "content_blocks";

/// Reads the answers of one body.
pub(super) struct Decoder {
    target: KeptTarget,
    emitter: Emitter,
    candidates: Vec<State>,
    /// The last one told counts.
    usage: Option<Usage>,
    /// Other fields of the response as they were last told.
    extra: Extra,
}

/// What has come of one candidate.
#[derive(Default)]
struct State {
    index: u32,
    text: String,
    calls: u32,
    blocks: usize,
    /// Why it ended, unless more came after that.
    reason: Option<String>,
    /// Code was written whose result has not come: a STOP does not end the answer.
    code_runs: bool,
    partial: Option<PartialCall>,
    grounding: Option<Value>,
    citations: Vec<Value>,
}

impl State {
    fn ended(&self) -> bool {
        self.partial.is_none() && self.reason.as_deref().is_some_and(|r| r != "STOP" || !self.code_runs)
    }
}

impl Decoder {
    pub fn new(target: &WireTarget<'_>) -> Self {
        Decoder {
            target: KeptTarget::new(target),
            emitter: Emitter::default(),
            candidates: Vec::new(),
            usage: None,
            extra: Extra::new(),
        }
    }

    /// Takes one response or the whole list of them that a stream is without `alt=sse`.
    pub fn read(&mut self, data: &[u8], out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let list = data.trim_ascii_start().starts_with(b"[");
        let parsed: serde_json::Result<Vec<Response>> =
            if list { serde_json::from_slice(data) } else { serde_json::from_slice(data).map(|one| vec![one]) };
        let responses =
            parsed.map_err(|why| failure::not_json(data, "answer of generateContent", &why, &self.target.get()))?;
        responses.into_iter().try_for_each(|response| self.take(response, out))
    }

    fn take(&mut self, response: Response, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let since = out.len();
        if let Some(told) = response.error {
            return Err(error::from_object(0, &told, &self.target.get()));
        }
        let known = response.candidates.is_some() || response.usage.is_some() || response.id.is_some();
        let nothing = response.candidates.as_ref().is_none_or(Vec::is_empty);
        let mut told = response.extra;
        if let Some(feedback) = response.prompt_feedback {
            if nothing && self.candidates.is_empty() {
                return Err(self.blocked(&feedback));
            }
            told.insert("promptFeedback".to_owned(), feedback);
        } else if !known {
            let why = "the answer has neither `candidates` nor `promptFeedback`; is the base URL right?";
            return Err(self.target.get().at(Error::new(ErrorKind::Decode, why)));
        }
        self.emitter.id = response.id.unwrap_or_else(|| std::mem::take(&mut self.emitter.id));
        self.emitter.model = response.model.unwrap_or_else(|| std::mem::take(&mut self.emitter.model));
        for candidate in response.candidates.into_iter().flatten() {
            self.candidate(candidate, out)?;
        }
        if let Some(new) = response.usage.and_then(usage::read) {
            self.usage = Some(new);
        }
        // Fields of the response stand on its first chunk, once for each value.
        if let Some(chunk) = out.get_mut(since) {
            for (name, value) in told {
                if self.extra.get(&name) != Some(&value) {
                    self.extra.insert(name.clone(), value.clone());
                    chunk.extra.insert(name, value);
                }
            }
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        let since = out.len();
        let index = candidate.index.unwrap_or(0);
        let place = match self.candidates.iter().position(|c| c.index == index) {
            Some(place) => place,
            None => {
                self.candidates.push(State { index, ..Default::default() });
                self.candidates.len() - 1
            }
        };
        self.emitter.begin(index, out);
        let mut said = false;
        for part in candidate.content.and_then(|c| c.parts).into_iter().flatten() {
            said |= self.part(place, part, out);
        }
        let state = &mut self.candidates[place];
        if said {
            state.reason = None;
        }
        if let Some(reason) = candidate.finish_reason {
            state.reason = Some(reason.0);
        }
        if let Some(grounding) = candidate.extra.get("groundingMetadata") {
            state.grounding = Some(grounding.clone());
        }
        let citations = candidate.extra.get("citationMetadata").and_then(Value::as_object);
        for citation in citations.into_iter().flat_map(|c| c.values()).filter_map(Value::as_array).flatten() {
            if !state.citations.contains(citation) {
                state.citations.push(citation.clone());
            }
        }
        let failed = state.reason.as_deref().filter(|r| finish::ending(r) == Ending::Failed).map(str::to_owned);
        if let Some(reason) = failed.filter(|_| state.text.is_empty() && state.calls == 0 && state.blocks == 0) {
            let told = candidate.extra.get("finishMessage").and_then(Value::as_str).unwrap_or("no answer was given");
            return Err(self
                .target
                .get()
                .at(Error::new(ErrorKind::ServerError, format!("the model ended with {reason}: {told}")))
                .with_code(reason));
        }
        self.emitter.beside(index, candidate.extra, candidate.logprobs.and_then(logprobs), since, out);
        Ok(())
    }

    /// Takes one part; says whether it was anything at all.
    fn part(&mut self, place: usize, part: Part, out: &mut Vec<ChatCompletionChunk>) -> bool {
        let Decoder { emitter, candidates, target, .. } = self;
        let target = target.get();
        let state = &mut candidates[place];
        let (index, from) = (state.index, state.text.len());
        if let Some(call) = part.call {
            let partial = state.partial.get_or_insert_default();
            if !partial.take(call, part.signature)
                && let Some(call) = state.partial.take()
            {
                let call = whole(call, &emitter.id, state);
                emitter.whole_call(index, state.calls, call, out);
                state.calls += 1;
            }
            state.code_runs = false;
            return true;
        }
        let mut said = false;
        let is_text = part.text.is_some();
        if let Some(text) = part.text.filter(|t| !t.is_empty()) {
            said = true;
            state.code_runs = false;
            if part.thought == Some(true) {
                emitter.reasoning(index, text, out);
            } else {
                state.text.push_str(&text);
                emitter.text(index, text, out);
            }
        }
        if !is_text && !part.extra.is_empty() {
            said = true;
            state.code_runs = part.extra.contains_key("executableCode");
            let at = json!({"at": state.text.len(), "block": state.blocks});
            state.blocks += 1;
            emitter.state(index, &target, vec![at], out);
            let mut block = part.extra;
            if let Some(signature) = part.signature {
                block.insert("thoughtSignature".to_owned(), Value::String(signature));
            }
            let mut delta = Delta::default();
            delta.extra.insert(BLOCKS.to_owned(), json!([block]));
            emitter.delta(index, delta, out);
        } else if let Some(signature) = part.signature {
            let signed = json!({"from": from, "to": state.text.len(), "thoughtSignature": signature});
            emitter.state(index, &target, vec![signed], out);
        }
        said
    }

    fn blocked(&self, feedback: &Value) -> Error {
        let text = |name: &str| feedback.get(name).and_then(Value::as_str);
        let reason = text("blockReason").unwrap_or("UNSPECIFIED");
        let more = text("blockReasonMessage").map(|m| format!(": {m}")).unwrap_or_default();
        let message = format!("the prompt was blocked ({reason}){more}");
        let mut error = self.target.get().at(Error::new(ErrorKind::ContentFiltered, message)).with_code(reason);
        error.body_mut().details.insert("promptFeedback".to_owned(), feedback.clone());
        error
    }
}

/// A call as OpenAI has it. Its id is the vendor's, or one that depends on the answer and the call's place alone.
fn whole(call: PartialCall, answer: &str, state: &State) -> ToolCall {
    let arguments = call.arguments();
    let name = call.name.unwrap_or_default();
    let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| {
        let choice = state.index.to_string();
        let of = if answer.is_empty() {
            [choice.as_str(), name.as_str(), arguments.as_str()]
        } else {
            [&choice, answer, ""]
        };
        call_ids::generated(&of, state.calls)
    });
    let mut extra = Extra::new();
    if let Some(signature) = call.signature {
        extra.insert("extra_content".to_owned(), json!({"google": {"thought_signature": signature}}));
    }
    ToolCall { id, r#type: "function".to_owned(), function: Some(FunctionCall { name, arguments }), extra }
}

/// `logprobsResult`: the chosen token of each place, and the candidates for it.
fn logprobs(raw: Value) -> Option<Logprobs> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let token = |value: &Value| {
        let token = value.get("token")?.as_str()?.to_owned();
        let logprob = value.get("logProbability").and_then(Value::as_f64).unwrap_or(0.0);
        Some(TokenLogprob { bytes: Some(token.bytes().collect()), token, logprob, top_logprobs: Vec::new() })
    };
    let top = list(&raw, "topCandidates");
    let chosen = list(&raw, "chosenCandidates");
    let content: Vec<TokenLogprob> = chosen
        .iter()
        .enumerate()
        .filter_map(|(place, chosen)| {
            let mut chosen = token(chosen)?;
            let others = top.get(place).map(|t| list(t, "candidates")).unwrap_or_default();
            chosen.top_logprobs = others.iter().filter_map(token).collect();
            Some(chosen)
        })
        .collect();
    (!content.is_empty()).then(|| Logprobs { content: Some(content), ..Default::default() })
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<ChatCompletionChunk>) -> Result<()> {
        match frame.data.trim_ascii() {
            b"" => Ok(()),
            data => self.read(data, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ChatCompletionChunk>) {
        if self.complete() {
            for state in &mut self.candidates {
                let annotations = annotations::of(&state.text, state.grounding.as_ref(), &state.citations);
                if !annotations.is_empty() {
                    let mut delta = Delta::default();
                    delta.extra.insert("annotations".to_owned(), Value::Array(annotations));
                    self.emitter.delta(state.index, delta, out);
                }
                let reason = state.reason.as_deref().unwrap_or_default();
                self.emitter.end(state.index, finish::word(reason, state.calls > 0), Some(reason), out);
            }
        }
        if let Some(mut usage) = self.usage.take() {
            // Searches are billed, and stand beside the answer, not among its counts.
            let queries = |state: &State| state.grounding.as_ref()?.get("webSearchQueries")?.as_array().map(Vec::len);
            let searches: usize = self.candidates.iter().filter_map(queries).sum();
            if searches > 0 {
                usage.extra.insert("web_search_queries".to_owned(), searches.into());
            }
            self.emitter.usage(usage, out);
        }
    }

    fn complete(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.iter().all(State::ended)
    }

    fn done(&self) -> bool {
        // More may follow any `finishReason`; the end of the body ends the answer.
        false
    }
}
