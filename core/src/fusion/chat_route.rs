//! A fusion that is called and answers like a chat: `model="interfuse/merge"`. The report stands in `interfuse.fusion`.

use std::sync::Arc;

use futures_util::stream;

use crate::engine::{ChatStream, Engine};
use crate::error::{Error, ErrorKind, Partial, Result};
use crate::types::{
    ChatCompletion, ChatCompletionChunk, ChatRequest, Choice, ChunkChoice, Delta, Foreign, Fused, FusionStep,
    ResponseMeta, ToolCallDelta, Usage,
};

use super::{FusionStream, Memory, drop_in, plan, run};

/// One answer of a fusion, in the shape of a chat response.
///
/// # Errors
/// As [`super::fuse`]; `not_found` for a model `interfuse/...` that does not exist.
pub async fn chat(engine: &Engine, memory: &Arc<Memory>, request: ChatRequest) -> Result<ChatCompletion> {
    let model = request.model.clone();
    let plan = plan::from_chat(request, engine.config())?;
    let (foreign, judge) = (plan.foreign.clone(), plan.judge.model.clone());
    let fused = run(engine, memory, plan, false)?.execute().await?;
    let model = if foreign.is_some() { drop_in::writer(&fused, &judge) } else { model };
    Ok(completion(fused, model, &foreign.unwrap_or_default()))
}

/// One streamed answer of a fusion, in the shape of a chat stream. Comes back when the first text of the final answer is
/// there. A merged answer that breaks off after its first text ends the stream with `interrupted`, because chunks
/// cannot be taken back.
pub async fn chat_stream(engine: &Engine, memory: &Arc<Memory>, request: ChatRequest) -> Result<ChatStream> {
    let model = request.model.clone();
    let with_usage = request.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false);
    let plan = plan::from_chat(request, engine.config())?;
    let foreign = plan.foreign.clone();
    // Who writes a merged answer is known before it is written.
    let model = if foreign.is_some() { plan.judge.model.clone() } else { model };
    let mut chunks = Chunks {
        events: super::stream(run(engine, memory, plan, true)?),
        head: ChatCompletionChunk {
            object: "chat.completion.chunk".to_owned(),
            created: engine.clock().unix_ms() / 1000,
            model,
            ..Default::default()
        },
        with_usage,
        foreign: foreign.unwrap_or_default(),
        partial: String::new(),
        ttft_ms: None,
        ready: Vec::new(),
        over: false,
    };
    let first = match chunks.next().await {
        Some(Err(error)) if chunks.partial.is_empty() => return Err(error),
        first => first,
    };
    let rest = stream::unfold(chunks, |mut chunks| async move { chunks.next().await.map(|item| (item, chunks)) });
    Ok(ChatStream::new(futures_util::StreamExt::chain(stream::iter(first), rest)))
}

fn completion(mut fused: Fused, model: String, foreign: &Foreign) -> ChatCompletion {
    if foreign.record {
        fused.message.extra.extend(drop_in::record(&fused.report));
    }
    ChatCompletion {
        id: fused.id.clone(),
        object: "chat.completion".to_owned(),
        created: fused.report.started_ms / 1000,
        usage: usage(&fused),
        interfuse: Some(Box::new(meta(&fused, &model, None, foreign))),
        choices: vec![Choice { message: fused.message, finish_reason: fused.finish_reason, ..Default::default() }],
        model,
        ..Default::default()
    }
}

/// The sum, unless no call reported any.
fn usage(fused: &Fused) -> Option<Usage> {
    (fused.usage != Usage::default()).then(|| fused.usage.clone())
}

fn meta(fused: &Fused, model: &str, ttft_ms: Option<u64>, foreign: &Foreign) -> ResponseMeta {
    ResponseMeta {
        provider: "interfuse".to_owned(),
        model: model.to_owned(),
        cost_nanos: fused.report.cost.total_nanos,
        cost_usd: fused.report.cost.total_usd.clone(),
        latency_ms: fused.report.latency.total_ms,
        ttft_ms,
        dropped: foreign.left_out.clone(),
        fusion: Some(Box::new(fused.report.clone())),
        ..Default::default()
    }
}

/// Turns the events of a run into chunks.
struct Chunks {
    events: FusionStream,
    /// What all chunks have in common.
    head: ChatCompletionChunk,
    with_usage: bool,
    foreign: Box<Foreign>,
    partial: String,
    /// When the first text came.
    ttft_ms: Option<u64>,
    /// Chunks to hand out, the next one last.
    ready: Vec<ChatCompletionChunk>,
    over: bool,
}

impl Chunks {
    async fn next(&mut self) -> Option<Result<ChatCompletionChunk>> {
        loop {
            if let Some(chunk) = self.ready.pop() {
                return Some(Ok(chunk));
            }
            if self.over {
                return None;
            }
            let event = match self.events.next().await? {
                Ok(event) => event,
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            };
            match event.step {
                FusionStep::FinalDelta { text } => {
                    self.ttft_ms = self.ttft_ms.or(Some(event.at_ms));
                    let role = self.partial.is_empty().then(|| "assistant".to_owned());
                    self.partial.push_str(&text);
                    let delta = Delta { role, content: Some(text), ..Default::default() };
                    return Some(Ok(self.chunk(&event.run_id, delta, None)));
                }
                FusionStep::FinalRestarted { reason } => {
                    self.over = true;
                    let text = std::mem::take(&mut self.partial);
                    let message = format!("the merged answer broke off: {reason}");
                    let partial = Partial { text, ..Default::default() };
                    return Some(Err(Error::new(ErrorKind::Interrupted, message).with_partial(partial)));
                }
                FusionStep::RunDone { result } => {
                    self.over = true;
                    self.ready = self.end(*result);
                    self.ready.reverse();
                }
                _ => {}
            }
        }
    }

    fn chunk(&self, id: &str, delta: Delta, finish_reason: Option<String>) -> ChatCompletionChunk {
        let choice = ChunkChoice { delta, finish_reason, ..Default::default() };
        ChatCompletionChunk { id: id.to_owned(), choices: vec![choice], ..self.head.clone() }
    }

    /// Tool calls, the reason of the end, and usage if the caller wants it; what interfuse adds stands on the last one.
    fn end(&self, fused: Fused) -> Vec<ChatCompletionChunk> {
        let id = fused.id.clone();
        let mut chunks = Vec::new();
        if let Some(calls) = fused.message.tool_calls.as_ref().filter(|c| !c.is_empty()) {
            let role = self.partial.is_empty().then(|| "assistant".to_owned());
            let tool_calls =
                Some(calls.iter().cloned().enumerate().map(|(i, call)| ToolCallDelta::whole(i, call)).collect());
            chunks.push(self.chunk(&id, Delta { role, tool_calls, ..Default::default() }, None));
        }
        let extra = if self.foreign.record { drop_in::record(&fused.report) } else { Default::default() };
        chunks.push(self.chunk(&id, Delta { extra, ..Default::default() }, fused.finish_reason.clone()));
        if self.with_usage {
            chunks.push(ChatCompletionChunk { id, usage: usage(&fused), ..self.head.clone() });
        }
        if let Some(last) = chunks.last_mut() {
            last.interfuse = Some(Box::new(meta(&fused, &self.head.model, self.ttft_ms, &self.foreign)));
        }
        chunks
    }
}
