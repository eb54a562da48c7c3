//! `merge`: the judge compares the answers (held to a schema), then writes one from them. Two calls on top of the
//! members', so N + 2 in all; the second is streamed to whoever listens. The guard adds two: the merged answer is compared
//! with the best single one in both orders, and gives way if it loses both.
//!
//! Two calls instead of one that does both: the comparison can then be held to its schema by the vendor, which is what
//! makes it readable with small models, and the answer's text needs no mark to be told from it.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::error::ErrorKind;
use crate::types::{
    Analysis, AssistantMessage, ChatRequest, Content, FinalSource, FusionMode, FusionStep, JudgeReport, Message,
    Purpose,
};

use super::ask::{self, Reply};
use super::candidate::{self, Candidate};
use super::run::{Answer, Run};
use super::strategy::Strategy;
use super::{analysis, best_of, prompts, shield};

/// The mode `merge`.
pub(crate) struct Merge;

impl Strategy for Merge {
    fn mode(&self) -> FusionMode {
        FusionMode::Merge
    }

    /// Texts whose answers are the same may still differ in what is worth keeping.
    fn reads_answers(&self) -> bool {
        false
    }

    fn combine<'a>(&'a self, run: &'a mut Run, candidates: Vec<Candidate>) -> BoxFuture<'a, Answer> {
        async move { merge(run, &candidates).await }.boxed()
    }
}

/// Tokens of an analysis where the caller sets none.
pub(super) const ANALYSIS_TOKENS: u64 = 3072;
/// A question of up to so many bytes is repeated to whoever writes.
const SHORT_QUESTION: usize = 400;

/// Merges the answers; where that cannot be done, one of them is chosen.
pub(crate) async fn merge(run: &mut Run, candidates: &[Candidate]) -> Answer {
    if candidates.iter().any(|c| !c.tool_calls().is_empty()) {
        run.degrade("synthesis", "tool calls cannot be merged; the judge picks one answer instead", None);
        return best_of::choose(run, candidates).await;
    }
    let shown = Shown::new(run, candidates);
    let analysis = shown.analysis_request(run);
    if let Some(why) = run.unaffordable(&[&analysis, &shown.synthesis_request(run, None)]) {
        run.degrade("budget", format!("one answer is chosen instead of a merged one: {why}"), None);
        return best_of::choose(run, candidates).await;
    }
    let seen = analyse(run, &shown, analysis).await;
    let request = shown.synthesis_request(run, seen.as_ref());
    if let Some(why) = run.unaffordable(&[&request]) {
        run.degrade("budget", format!("one answer is chosen instead of a merged one: {why}"), None);
        return best_of::choose(run, candidates).await;
    }
    // In `auto` nobody counts on a text that comes as it is written: most of its answers are a member's.
    let streams = run.events.listened() && run.plan.mode == FusionMode::Merge;
    let guard = run.plan.guard.unwrap_or(!streams);
    match synthesise(run, request, shown.ids(), run.events.listened() && !guard).await {
        Ok((message, finish_reason, streamed)) => {
            let merged = Answer {
                source: FinalSource::Merged,
                members: candidates.iter().map(|c| c.member).collect(),
                method: "judge",
                swap_consistent: None,
                why: format!("the judge wrote it from {} answers", candidates.len()),
                message,
                finish_reason,
                streamed,
                evidence: Vec::new(),
            };
            if guard { guarded(run, candidates, merged).await } else { merged }
        }
        // What a budget refused was not begun; a choice costs less.
        Err(fault) if fault.kind == Some(ErrorKind::BudgetExceeded) && !fault.streamed => {
            run.degrade("budget", format!("one answer is chosen instead of a merged one: {}", fault.cause), fault.kind);
            best_of::choose(run, candidates).await
        }
        Err(fault) => {
            let choice = run.decide(candidates);
            let step = if fault.kind == Some(ErrorKind::DeadlineExceeded) { "deadline" } else { "synthesis" };
            run.degrade(step, format!("one member's answer instead of a merged one: {}", fault.cause), fault.kind);
            if fault.streamed {
                run.events.emit(FusionStep::FinalRestarted { reason: fault.cause });
            }
            choice
        }
    }
}

/// The merged answer, or the best single one if a judge prefers that in both orders.
async fn guarded(run: &mut Run, candidates: &[Candidate], merged: Answer) -> Answer {
    let best = run.decide(candidates);
    let Some(single) = candidates.iter().find(|c| best.members.contains(&c.member)) else { return merged };
    let written = Candidate::new(single.member, merged.message.clone(), merged.finish_reason.clone());
    if written.text().trim() == single.text().trim() {
        return merged;
    }
    let pair = [single.clone(), written];
    let ids = [run.name_of(single), "(merged)".to_owned()];
    let Some(verdicts) = best_of::verdicts(run, &pair, &ids, false, "the merged answer was not compared").await else {
        return merged;
    };
    match verdicts.as_slice() {
        [a, b] if a.best == 0 && b.best == 0 => Answer {
            method: "guard",
            swap_consistent: Some(true),
            why: format!("a judge prefers it to the merged answer in both orders, though {}", best.why),
            ..best
        },
        [a, b] => Answer { swap_consistent: Some(a.best == b.best), ..merged },
        _ => merged,
    }
}

/// What the judge would be asked to compare and to write, for an estimate.
pub(super) fn requests(run: &mut Run, candidates: &[Candidate]) -> (ChatRequest, ChatRequest) {
    let shown = Shown::new(run, candidates);
    (shown.analysis_request(run), shown.synthesis_request(run, None))
}

/// What the judge is shown: the question, and the answers under codes in an order of chance.
struct Shown<'a> {
    candidates: Vec<(&'a Candidate, String, String)>,
}

impl<'a> Shown<'a> {
    fn new(run: &mut Run, candidates: &'a [Candidate]) -> Self {
        let texts: Vec<&str> = candidates.iter().map(Candidate::text).collect();
        let labels = shield::labels(&mut run.rng, candidates.len(), &texts);
        let mut shown: Vec<_> = candidates.iter().zip(labels).map(|(c, label)| (c, label, run.name_of(c))).collect();
        run.rng.shuffle(&mut shown);
        Shown { candidates: shown }
    }

    fn labels(&self) -> Vec<&str> {
        self.candidates.iter().map(|(_, label, _)| label.as_str()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.candidates.iter().map(|(_, _, id)| id.clone()).collect()
    }

    fn lines(&self, run: &Run) -> Vec<serde_json::Value> {
        let answers = self.candidates.iter().map(|(c, label, _)| shield::answer(label, c));
        std::iter::once(shield::question(&run.plan.base.messages)).chain(answers).collect()
    }

    fn analysis_request(&self, run: &Run) -> ChatRequest {
        let data = shield::envelope(&run.nonce(), &self.lines(run));
        let task = prompts::analysis_task(&self.labels(), run.plan.judge.criteria.as_deref());
        let max_tokens = run.plan.judge.max_tokens.unwrap_or(ANALYSIS_TOKENS);
        let form = prompts::analysis_schema(&self.labels(), max_tokens);
        run.judge_request(prompts::analysis_system(), format!("{data}\n\n{task}"), form, max_tokens)
    }

    /// The synthesis gets what binds the form of the caller's answer (limits, stops, format), never the tools.
    fn synthesis_request(&self, run: &Run, analysis: Option<&Analysis>) -> ChatRequest {
        let base = &run.plan.base;
        let mut lines = self.lines(run);
        if let Some(analysis) = analysis {
            lines.push(serde_json::json!({ "comparison": analysis }));
        }
        let data = shield::envelope(&run.nonce(), &lines);
        let longest = self.candidates.iter().map(|(c, ..)| c.text().split_whitespace().count()).max().unwrap_or(0);
        let json = candidate::binds_json(base.response_format.as_ref());
        // A quarter longer than the longest answer: merging adds, padding does not.
        let question = base.messages.last().and_then(|m| m.content.as_ref()).map(Content::to_text);
        let question = question.filter(|q| q.len() <= SHORT_QUESTION).map(|q| q.trim().to_owned());
        let question = question.as_deref().filter(|q| !q.is_empty());
        let task =
            prompts::synthesis_task(question, (longest * 5 / 4).max(40), run.plan.judge.criteria.as_deref(), json);
        ChatRequest {
            model: run.plan.judge.model.clone(),
            provider: run.plan.judge.provider.clone(),
            messages: vec![Message::system(prompts::synthesis_system()), Message::user(format!("{data}\n\n{task}"))],
            temperature: run.plan.judge.temperature.or(base.temperature),
            max_tokens: base.max_tokens,
            max_completion_tokens: base.max_completion_tokens,
            stop: base.stop.clone(),
            response_format: base.response_format.clone(),
            seed: base.seed,
            max_retries: base.max_retries,
            ..Default::default()
        }
    }
}

/// Has the answers compared; the comparison as the judge wrote it, in its codes. The report gets it in members' ids.
async fn analyse(run: &mut Run, shown: &Shown<'_>, request: ChatRequest) -> Option<Analysis> {
    let labels = shown.labels();
    // The synthesis needs its half of what is left.
    let now = Instant::now();
    let end = now + run.deadline().saturating_duration_since(now) / 2;
    let asked = run
        .ask_judge("analysis", request, end, |text: &str| {
            let (analysis, step) = analysis::read(text, &labels, &labels)?;
            Ok(((analysis, text.to_owned()), step))
        })
        .await;
    let ids = shown.ids();
    run.book_judge("analysis", &ids, &asked, None);
    run.degrade_judge(&asked, "merged without a comparison");
    let (analysis, text) = asked.value?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    run.report.analysis = analysis::read(&text, &labels, &ids).ok().map(|(a, _)| a);
    Some(analysis)
}

/// Why there is no merged answer.
struct Fault {
    cause: String,
    kind: Option<ErrorKind>,
    /// A part of it has been told already.
    streamed: bool,
}

async fn synthesise(
    run: &mut Run,
    mut request: ChatRequest,
    order: Vec<String>,
    live: bool,
) -> Result<(AssistantMessage, Option<String>, bool), Fault> {
    let limit = run.judge_limit(run.deadline());
    let (reply, streamed) = loop {
        run.events.emit(FusionStep::JudgeStarted { purpose: "synthesis".to_owned() });
        let (ask, cx) = (run.ask.clone(), run.context(Purpose::Synthesis));
        let (reply, streamed) = if live {
            let events = run.events.clone();
            ask::call_streamed(ask, request.clone(), cx, limit, &events).await
        } else {
            (ask::call(ask, request.clone(), cx, limit).await, false)
        };
        run.events.emit(FusionStep::JudgeDone { purpose: "synthesis".to_owned(), latency_ms: reply.latency_ms });
        let row = JudgeReport { order: order.clone(), ..run.judge_row("synthesis", &reply) };
        let cost_nanos = run.book("synthesis", &reply);
        run.report.judges.push(JudgeReport { cost_nanos, ..row });
        // Some models refuse a temperature; the caller's format is not given up.
        let refused = reply.error().is_some_and(|e| {
            matches!(e.kind(), ErrorKind::InvalidRequest | ErrorKind::Unsupported)
                && e.message().to_lowercase().contains("temperature")
        });
        if refused && request.temperature.take().is_some() {
            run.warn(format!("judge_field: `{}` refused `temperature`, so it was asked without", run.plan.judge.model));
            continue;
        }
        break (reply, streamed);
    };
    let fault = |cause: String, kind| Err(Fault { cause, kind, streamed });
    match written(run, &reply) {
        Ok((message, finish_reason)) => Ok((message, finish_reason, streamed)),
        Err((cause, kind)) => fault(cause, kind),
    }
}

type Written = (AssistantMessage, Option<String>);

/// The merged message, if the reply is a usable answer; by the same measure as a member's.
fn written(run: &Run, reply: &Reply) -> Result<Written, (String, Option<ErrorKind>)> {
    let answer = reply.result.as_ref().map_err(|e| (e.message().to_owned(), Some(e.kind())))?;
    let format = run.plan.base.response_format.as_ref();
    let usable = candidate::usable(0, answer, format).map_err(|why| (why, None))?;
    let message = AssistantMessage { tool_calls: None, ..usable.message };
    if message.content.as_deref().unwrap_or_default().trim().is_empty() {
        return Err(("the judge called a tool that it was not given".to_owned(), None));
    }
    Ok((message, usable.finish_reason))
}
