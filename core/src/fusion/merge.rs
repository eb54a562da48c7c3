//! `merge`: the judge compares the answers (held to a schema), then writes one from them. Two calls on top of the
//! members', so N + 2 in all. The guard adds two: the merged answer is compared with the best single one in both orders,
//! and gives way if it loses both. Under a JSON schema the answers are put together field by field instead.
//!
//! Two calls instead of one that does both: the comparison can then be held to its schema by the vendor, which is what
//! makes it readable with small models. Where the text is told as it comes, time matters more: one reply does both, N + 1
//! calls in all.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::error::ErrorKind;
use crate::types::{
    Analysis, AssistantMessage, ChatRequest, Content, FinalSource, FusionMode, FusionStep, JudgeReport, Message,
    Purpose,
};

use super::ask::{self, Listener as _, Live, Reply};
use super::candidate::{self, Candidate};
use super::replies::Replies;
use super::run::{Answer, Run};
use super::single_pass::{Parts, SinglePass};
use super::strategy::Strategy;
use super::{analysis, best_of, fields, modality, prompts, shield};

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
    if run.plan.form.schema().is_some() {
        let merged = fields::merge(run, candidates).await;
        let compared = run.guards() && merged.source == FinalSource::Fields;
        return if compared { guarded(run, candidates, merged).await } else { merged };
    }
    let shown = Shown::new(run, candidates);
    let guard = run.guards();
    let live = run.events.listened() && !guard;
    let (request, told) = if live && one_reply_will_do(run) {
        let code = run.plan.code.clone().unwrap_or_else(|| run.nonce().split_off(24));
        let request = shown.single_pass_request(run, &code);
        if let Some(why) = run.unaffordable("synthesis", &[&request]) {
            return chosen_instead(run, candidates, &why).await;
        }
        run.plan.code = Some(code.clone());
        (request, Told::After(code))
    } else {
        let analysis = shown.analysis_request(run);
        if let Some(why) = run.unaffordable("analysis", &[&analysis, &shown.synthesis_request(run, None)]) {
            return chosen_instead(run, candidates, &why).await;
        }
        let seen = analyse(run, &shown, analysis).await;
        let request = shown.synthesis_request(run, seen.as_ref());
        if let Some(why) = run.unaffordable("synthesis", &[&request]) {
            return chosen_instead(run, candidates, &why).await;
        }
        (request, if live { Told::AsItComes } else { Told::AtItsEnd })
    };
    match synthesise(run, request, &shown, told).await {
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
                author: None,
                pieces: Arc::default(),
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

/// One of the answers, since a merged one costs too much; a choice costs less.
async fn chosen_instead(run: &mut Run, candidates: &[Candidate], why: &str) -> Answer {
    run.degrade("budget", format!("one answer is chosen instead of a merged one: {why}"), None);
    best_of::choose(run, candidates).await
}

impl Run {
    /// Whether a merged answer is compared with the best single one. In `auto` nobody counts on a text that comes as it is
    /// written: most of its answers are a member's.
    pub fn guards(&self) -> bool {
        let streams = self.events.listened() && self.plan.mode == FusionMode::Merge;
        // Every value of what is put together was a member's, and was compared where it mattered.
        self.plan.guard.unwrap_or(!streams && self.plan.form.schema().is_none())
    }
}

/// Whether one reply may both compare and write: not where the caller's form, limit of tokens or stop texts would fall upon
/// the comparison, too.
fn one_reply_will_do(run: &Run) -> bool {
    let base = &run.plan.base;
    let limited = base.max_tokens.is_some() || base.max_completion_tokens.is_some();
    !limited && base.stop.is_none() && !run.plan.form.binds_json()
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

    /// The same in one reply, in which `code` stands between the comparison and the answer.
    fn single_pass_request(&self, run: &Run, code: &str) -> ChatRequest {
        let mut request = self.synthesis_request(run, None);
        let data = shield::envelope(&run.nonce(), &self.lines(run));
        let task = prompts::single_pass_task(&self.labels(), code, &self.task(run));
        request.messages.truncate(1);
        request.messages.push(modality::asking(format!("{data}\n\n{task}"), &run.plan.shown));
        request
    }

    /// What the synthesis is asked.
    fn task(&self, run: &Run) -> String {
        let longest = self.candidates.iter().map(|(c, ..)| c.text().split_whitespace().count()).max().unwrap_or(0);
        let question = run.plan.base.messages.last().and_then(|m| m.content.as_ref()).map(Content::to_text);
        let question = question.filter(|q| q.len() <= SHORT_QUESTION).map(|q| q.trim().to_owned());
        let question = question.as_deref().filter(|q| !q.is_empty());
        // A quarter longer than the longest answer: merging adds, padding does not.
        let longest = (longest * 5 / 4).max(40);
        let json = run.plan.form.binds_json();
        prompts::synthesis_task(question, longest, run.plan.judge.criteria.as_deref(), json)
    }

    /// The synthesis gets what binds the form of the caller's answer (limits, stops, format), never the tools.
    fn synthesis_request(&self, run: &Run, analysis: Option<&Analysis>) -> ChatRequest {
        let base = &run.plan.base;
        let mut lines = self.lines(run);
        if let Some(analysis) = analysis {
            lines.push(serde_json::json!({ "comparison": analysis }));
        }
        let data = shield::envelope(&run.nonce(), &lines);
        let task = self.task(run);
        ChatRequest {
            model: run.plan.judge.model.clone(),
            provider: run.plan.judge.provider.clone(),
            messages: vec![
                Message::system(prompts::synthesis_system()),
                modality::asking(format!("{data}\n\n{task}"), &run.plan.shown),
            ],
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

/// How a synthesis is told.
enum Told {
    /// When it is chosen.
    AtItsEnd,
    AsItComes,
    /// As it comes, after a comparison and a line with this code.
    After(String),
}

async fn synthesise(
    run: &mut Run,
    mut request: ChatRequest,
    shown: &Shown<'_>,
    told: Told,
) -> Result<(AssistantMessage, Option<String>, bool), Fault> {
    let limit = run.judge_limit(run.deadline());
    let (mut reply, streamed, parts) = loop {
        run.events.emit(FusionStep::JudgeStarted { purpose: "synthesis".to_owned() });
        let (ask, cx, request_now) = (run.ask.clone(), run.context(Purpose::Synthesis), request.clone());
        let (reply, streamed, parts) = match &told {
            _ if run.replies.is_some() => written_before(run, &told),
            Told::AtItsEnd => (ask::call(ask, request_now, cx, limit).await, false, None),
            Told::AsItComes => {
                let mut live = Live { events: &run.events, sent: false };
                let reply = ask::call_streamed(ask, request_now, cx, limit, &mut live).await;
                (reply, live.sent, None)
            }
            Told::After(code) => {
                let mut pass = SinglePass::new(code, &run.events);
                let reply = ask::call_streamed(ask, request_now, cx, limit, &mut pass).await;
                let sent = pass.sent();
                (reply, sent, Some(pass.finish()))
            }
        };
        run.events.emit(FusionStep::JudgeDone { purpose: "synthesis".to_owned(), latency_ms: reply.latency_ms });
        let compared = parts.as_ref().filter(|_| reply.error().is_none()).and_then(|parts| compared(run, parts, shown));
        let row = JudgeReport { order: shown.ids(), parsed: compared, ..run.judge_row("synthesis", &reply) };
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
        break (reply, streamed, parts);
    };
    if let (Some(parts), Ok(answer)) = (parts, &mut reply.result)
        && let Some(choice) = answer.choices.first_mut()
    {
        choice.message.content = Some(parts.answer);
    }
    let fault = |cause: String, kind| Err(Fault { cause, kind, streamed });
    match written(run, &reply) {
        Ok((message, finish_reason)) => Ok((message, finish_reason, streamed)),
        Err((cause, kind)) => fault(cause, kind),
    }
}

/// What a replay knows to have been written.
fn written_before(run: &mut Run, told: &Told) -> (Reply, bool, Option<Parts>) {
    let reply = run.replies.get_or_insert_with(Replies::default).written();
    let parts = match told {
        Told::After(code) => {
            let mut pass = SinglePass::new(code, &run.events);
            pass.text(reply.text());
            Some(pass.finish())
        }
        _ => None,
    };
    (reply, false, parts)
}

/// Reads the comparison of a reply that holds one, into the report; how it was read.
fn compared(run: &mut Run, parts: &Parts, shown: &Shown<'_>) -> Option<String> {
    let ids = shown.ids();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let text = parts.comparison.as_deref().unwrap_or_default();
    match analysis::read(text, &shown.labels(), &ids) {
        Ok((analysis, step)) => {
            run.report.analysis = Some(analysis);
            Some(step.as_str().to_owned())
        }
        Err(why) => {
            let judge = &run.plan.judge.model;
            let cause = format!("merged without a comparison: that of the judge {judge} could not be read: {why}");
            run.degrade("judge_output", cause, None);
            None
        }
    }
}

type Written = (AssistantMessage, Option<String>);

/// The merged message, if the reply is a usable answer; by the same measure as a member's.
fn written(run: &Run, reply: &Reply) -> Result<Written, (String, Option<ErrorKind>)> {
    let answer = reply.result.as_ref().map_err(|e| (e.message().to_owned(), Some(e.kind())))?;
    let usable = candidate::usable(0, answer, &run.plan.form).map_err(|why| (why, None))?;
    let message = AssistantMessage { tool_calls: None, ..usable.message };
    if message.content.as_deref().unwrap_or_default().trim().is_empty() {
        return Err(("the judge called a tool that it was not given".to_owned(), None));
    }
    Ok((message, usable.finish_reason))
}
