//! Fusion: a pool of members in parallel, combined by a judge. Sees no socket, no key and no clock of its own.
//!
//! The way of a run: [`plan`] refuses what is wrong before anything is sent; [`collect`] asks the members, as many at once
//! as the mode says; a [`strategy`] combines answers that differ; [`evidence`] says what speaks for each; [`run`] keeps the
//! books and writes the report. What a judge cannot do is decided without it and stands in `degraded`; a judge never makes
//! a call fail, and is not asked where it could not change the outcome.
//!
//! Waiting: until the mode needs no more answers, or all members answered, or a quorum of usable answers is there and then
//! `grace_ms`, or 70 % of the deadline. The anchor is the first member; ties and failures fall to its answer, so it is
//! waited for beyond the grace too, unless the caller set the quorum: that says that speed matters more than one voice.
//!
//! Chance: labels and orders come from `fastrand` (wyrand), seeded with FNV-1a of conversation, pool, mode and the
//! caller's `seed`. The same answers give the same decision and report, times and run id apart.
//!
//! Streaming: a merged answer comes as it is written, and one reply both compares and writes it. A member's answer comes in
//! the very pieces in which the member wrote it, once it is chosen; until then a call that breaks off starts anew unseen.
//! Whoever listens is told every ten seconds at least that the run goes on.
//!
//! Money: with `max_cost_usd`, no stage starts once the known cost has reached the cap, or when the stage's estimate does
//! not fit in what is left; nor is a judge asked again then. What is done instead is less, step by step, and each step
//! stands in `degraded`: [`thrift`]. Calls in flight are not cut, so the last stage may pass the cap by what its estimate
//! missed; models without a known price are asked and named in a warning.
//!
//! Backends: the filters of the caller's `provider` preferences hold for every call of a run, also where a member or the
//! judge names backends of its own.

mod agreement;
mod analysis;
mod ask;
mod auto;
mod best_of;
mod calibrate;
mod calibration_text;
mod callers;
mod candidate;
mod canonical;
mod cascade;
mod chat_route;
mod collect;
mod debate;
mod drop_in;
mod estimate;
mod evaluate;
mod events;
mod evidence;
mod extract;
mod family;
mod fields;
mod form;
mod judge;
mod memory;
mod memory_file;
mod merge;
mod modality;
mod parse;
mod plan;
mod preset;
mod prompts;
pub mod recorded;
mod render;
mod repair;
mod replies;
mod run;
#[cfg(test)]
mod scripted;
mod shield;
mod single_pass;
mod stored;
mod strategy;
mod thrift;
mod tools;
#[cfg(test)]
mod trials;
mod verdict;
mod vote;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::stream::{BoxStream, Stream, StreamExt};

use crate::engine::Engine;
use crate::error::Result;
use crate::types::{Feedback, FuseRequest, Fused, FusionEvent};

pub(crate) use ask::Reply;
pub use calibrate::calibrate;
pub use calibration_text::{items, labelled};
pub use chat_route::{chat, chat_stream};
pub use drop_in::adopt;
pub use estimate::{estimate, estimate_chat};
pub use evaluate::{EvaluationStream, evaluate, evaluate_stream};
pub use memory::Memory;
pub use stored::{rejudge, replay};

use events::RunStream;
use plan::Plan;
use run::Run;
use strategy::STRATEGIES;

/// Events of one fusion; the last is `run_done` with the result. Dropping it cancels every call of the run.
pub struct FusionStream(BoxStream<'static, Result<FusionEvent>>);

impl FusionStream {
    /// Wraps any stream of events.
    pub fn new(stream: impl Stream<Item = Result<FusionEvent>> + Send + 'static) -> Self {
        FusionStream(stream.boxed())
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<FusionEvent>> {
        self.0.next().await
    }
}

impl Stream for FusionStream {
    type Item = Result<FusionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// Runs one fusion to its end.
pub async fn fuse(engine: &Engine, memory: &Arc<Memory>, request: FuseRequest) -> Result<Fused> {
    run(engine, memory, plan::from_fuse(request, engine.config())?, false)?.execute().await
}

/// Runs one fusion and tells its progress. Nothing is sent before the stream is polled.
///
/// # Errors
/// What is wrong with the request; failures of the run come as the stream's last item.
pub async fn fuse_stream(engine: &Engine, memory: &Arc<Memory>, request: FuseRequest) -> Result<FusionStream> {
    Ok(stream(run(engine, memory, plan::from_fuse(request, engine.config())?, true)?))
}

/// Tells what became of a run, which moves the priors of its members and the trust in its judge.
///
/// # Errors
/// `not_found` for a run that is not among the client's last 1024, or had its feedback; `invalid_request` when the outcome
/// names a member that gave no answer, or calls a merged answer right or wrong; `storage` when `fusion.memory` cannot be written.
pub fn feedback(memory: &Memory, run_id: &str, outcome: &Feedback) -> Result<()> {
    memory.feedback(run_id, outcome)
}

fn run(engine: &Engine, memory: &Arc<Memory>, plan: Plan, listened: bool) -> Result<Run> {
    memory.refresh();
    let mut run = Run::new(plan, Arc::new(engine.clone()), memory.clone(), listened);
    run.fit()?;
    Ok(run)
}

fn stream(run: Run) -> FusionStream {
    let events = run.events.clone();
    FusionStream::new(RunStream::new(run.execute().boxed(), events))
}
