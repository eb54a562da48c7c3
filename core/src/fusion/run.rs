//! One run: what it knows, what it spent, and the way from the plan to the fused answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::CallContext;
use crate::error::{Error, ErrorKind, MemberFailure, Result};
use crate::money::NanoUsd;
use crate::types::{
    AssistantMessage, ChatRequest, CostReport, Decision, Degraded, Evidence, FinalSource, Fused, FusionMode,
    FusionReport, FusionStep, Grounds, MemberReport, MemberStatus, Purpose, REPORT_SCHEMA, Usage,
};

use super::ask::{Ask, Cost, Reply, ms};
use super::callers::{self, Caller};
use super::candidate::Candidate;
use super::events::Events;
use super::evidence::{self, Weights};
use super::memory::{Memory, Remembered, Said};
use super::plan::{Plan, Seat};
use super::prompts::PROMPT_VERSION;
use super::replies::{self, Replies};
use super::verdict::Choice;
use super::{agreement, collect, strategy, tools, vote};

/// State of one run.
pub(crate) struct Run {
    pub plan: Plan,
    pub ask: Arc<dyn Ask>,
    pub events: Events,
    pub report: FusionReport,
    /// Decides labels and orders; the same for the same request.
    pub rng: fastrand::Rng,
    /// The key of the answer that both orders of a judge chose.
    pub judged: Option<String>,
    /// The member whose tool calls the conversation answers, and who went on with it.
    pub continued: Option<usize>,
    /// Rows of members that cannot take what the conversation holds, and their places in the pool.
    pub left_out: Vec<(usize, MemberReport)>,
    /// Answers that were given before, in place of asking.
    pub stored: Option<Vec<MemberReport>>,
    /// What the judge replied before, in place of asking.
    pub replies: Option<Replies>,
    memory: Arc<Memory>,
    pub started: Instant,
    run_id: String,
    usage: Usage,
}

/// The final answer and how it came about.
pub(crate) struct Answer {
    pub source: FinalSource,
    /// Places in the pool of those whose answers went into it.
    pub members: Vec<usize>,
    pub method: &'static str,
    pub swap_consistent: Option<bool>,
    pub why: String,
    pub message: AssistantMessage,
    pub finish_reason: Option<String>,
    /// Its text has been told as it came.
    pub streamed: bool,
    /// Place in the pool of the one whose answer it is word for word.
    pub author: Option<usize>,
    /// The pieces in which its author wrote it, where that was heard.
    pub pieces: Arc<[String]>,
    /// What was weighed for it.
    pub evidence: Vec<Evidence>,
}

impl Answer {
    /// One candidate's answer, word for word.
    pub fn verbatim(candidate: &Candidate, method: &'static str, swap_consistent: Option<bool>, why: String) -> Self {
        Answer {
            source: FinalSource::Member,
            members: vec![candidate.member],
            method,
            swap_consistent,
            why,
            message: candidate.message.clone(),
            finish_reason: candidate.finish_reason.clone(),
            streamed: false,
            author: Some(candidate.member),
            pieces: candidate.pieces.clone(),
            evidence: Vec::new(),
        }
    }
}

impl Run {
    pub fn new(plan: Plan, ask: Arc<dyn Ask>, memory: Arc<Memory>, listened: bool) -> Self {
        let cx = CallContext::new(Purpose::Member, plan.tags.clone());
        let started = Instant::now();
        let report = FusionReport {
            schema: REPORT_SCHEMA,
            run_id: cx.run_id.clone(),
            mode: plan.mode,
            mode_used: plan.mode,
            started_ms: ask.unix_ms(),
            seed: format!("{:016x}", plan.seed),
            prompt_version: PROMPT_VERSION,
            tags: plan.tags.clone(),
            decision: Decision { anchor: plan.members[0].id.clone(), ..Default::default() },
            warnings: plan.warnings.clone(),
            cost: CostReport { cap_nanos: plan.cap.map(NanoUsd::nanos), ..Default::default() },
            ..Default::default()
        };
        Run {
            events: Events::new(cx.run_id.clone(), started, listened),
            rng: fastrand::Rng::with_seed(plan.seed),
            judged: None,
            continued: None,
            left_out: Vec::new(),
            stored: None,
            replies: None,
            memory,
            run_id: cx.run_id,
            usage: Usage::default(),
            plan,
            ask,
            report,
            started,
        }
    }

    /// The whole run.
    pub async fn execute(mut self) -> Result<Fused> {
        self.fit()?;
        // What is learnt meanwhile counts for the runs that follow.
        self.plan.judge.trust = Some(self.trust());
        let strategy = strategy::of(self.plan.mode);
        self.events.emit(FusionStep::RunStarted {
            mode: self.plan.mode,
            members: self.plan.ids(),
            judge: self.plan.judge.model.clone(),
        });
        for (_, row) in self.left_out.clone() {
            let cause = format!("{} was {}", row.id, row.reason.unwrap_or_default());
            self.degrade("member", cause, row.error);
        }
        let mut candidates = match self.stored.take() {
            Some(rows) => self.stored_answers(strategy, rows)?,
            None => collect::first_answers(&mut self, strategy).await?,
        };
        agreement::group_alike(&mut candidates);
        self.tell_unread(&candidates);
        self.report.latency.members_ms = ms(self.started.elapsed());
        self.report.agreement = agreement::report(&candidates, &self.plan.ids());
        let priors: Vec<f64> = self.priors(&candidates).collect();
        for ((row, seat), prior) in self.report.members.iter_mut().zip(&mut self.plan.members).zip(priors) {
            (row.prior, seat.member.prior) = (Some(prior), Some(prior));
        }
        let seen = candidates.clone();
        let answer = match candidates.as_slice() {
            [] => return Err(self.all_failed()),
            [only] if self.continued == Some(only.member) => {
                Answer::verbatim(only, "sticky", None, "it made the tool calls whose results came".to_owned())
            }
            [only] => Answer::verbatim(only, "single_answer", None, "there was no other usable answer".to_owned()),
            all if agreement::all_agree(all) => {
                let mut answer = self.chosen(all, strategy.without_judge(all, &self.weights(all)));
                answer.method = "agreement";
                answer.why = "all usable answers say the same, so no judge was asked".to_owned();
                answer.members = all.iter().map(|c| c.member).collect();
                answer
            }
            all if tools::called(all) => tools::choose(&mut self, strategy, candidates).await,
            _ => strategy.combine(&mut self, candidates).await,
        };
        self.remember(&seen, &answer);
        Ok(self.finish(answer))
    }

    /// What everyone's word weighs. The anchor of an open question is known to be the best; closed answers are counted
    /// evenly, unless priors were given or learnt.
    pub fn weights(&self, candidates: &[Candidate]) -> Weights {
        let models: Vec<&str> = self.plan.members.iter().map(|s| bare(&s.member.model)).collect();
        Weights {
            members: self.priors(candidates).map(evidence::weight).collect(),
            kin: models.iter().map(|m| models.iter().position(|o| o == m).unwrap_or(0)).collect(),
            // Who does not see what was asked about is half a witness.
            judge: evidence::log_odds(self.trust()).max(0.0) * if self.plan.blind { 0.5 } else { 1.0 },
        }
    }

    /// The chance to be right that the judge is taken to have.
    fn trust(&self) -> f64 {
        let judge = &self.plan.judge;
        judge.trust.unwrap_or_else(|| self.memory.trust(&judge.model, evidence::TRUST))
    }

    /// What the decision rests on beside answers and replies, unless that is too much for a report.
    fn grounds(&self) -> Option<Grounds> {
        let response_format = self.plan.base.response_format.clone();
        let held = response_format.as_ref().is_none_or(replies::small);
        held.then(|| Grounds {
            judge: self.plan.judge.model.clone(),
            trust: self.trust(),
            judge_blind: self.plan.blind,
            guard: self.guards(),
            code: self.plan.code.clone(),
            response_format,
        })
    }

    /// The chance to be right that each member is taken to have.
    fn priors(&self, candidates: &[Candidate]) -> impl Iterator<Item = f64> + use<'_> {
        let open = self.plan.mode == FusionMode::Auto && !vote::exact(&vote::electorate(candidates));
        self.plan.members.iter().enumerate().map(move |(i, seat)| {
            let default = if open && i == 0 { evidence::ANCHOR_PRIOR } else { evidence::PRIOR };
            seat.member.prior.unwrap_or_else(|| self.memory.prior(&seat.member.model, default))
        })
    }

    /// The answer that the mode chooses without a judge.
    pub fn decide(&self, candidates: &[Candidate]) -> Answer {
        let choice = strategy::of(self.plan.mode).without_judge(candidates, &self.weights(candidates));
        self.chosen(candidates, choice)
    }

    /// A chosen candidate's answer, with what was weighed for it.
    pub fn chosen(&self, candidates: &[Candidate], choice: Choice) -> Answer {
        let shares = evidence::confidence(&choice.clusters);
        let rows = choice.clusters.iter().zip(shares).map(|(cluster, confidence)| Evidence {
            members: cluster.voters.iter().map(|v| self.plan.members[*v].id.clone()).collect(),
            answer: candidates[cluster.candidates[0]].answer().map(str::to_owned),
            prior: cluster.prior,
            judge: cluster.judge,
            confidence,
        });
        let evidence = rows.collect();
        let answer = Answer::verbatim(&candidates[choice.index], choice.method, choice.swap_consistent, choice.why);
        Answer { evidence, ..answer }
    }

    /// Answers out of which the caller's rule read nothing are compared as whole texts.
    fn tell_unread(&mut self, candidates: &[Candidate]) {
        if !self.plan.reader.is_explicit() {
            return;
        }
        let unread: Vec<String> = candidates
            .iter()
            .filter(|c| !c.closed && c.tool_calls().is_empty())
            .map(|c| self.plan.members[c.member].id.clone())
            .collect();
        if !unread.is_empty() {
            self.warn(format!("unread: `extract` found nothing in the answers of {}", unread.join(", ")));
        }
    }

    /// The member that made the tool calls whose results the conversation ends with, if it is of this pool.
    pub fn caller(&self) -> Option<usize> {
        let caller = self.memory.caller(callers::answered(&self.plan.base.messages)?)?;
        let model = |seat: &Seat| seat.member.model == caller.model;
        let seats = &self.plan.members;
        seats.iter().position(|seat| seat.id == caller.id && model(seat)).or_else(|| seats.iter().position(model))
    }

    /// Keeps who said what, so that feedback on the run can be told apart, and who called tools.
    fn remember(&self, candidates: &[Candidate], answer: &Answer) {
        if let (Some(calls), Some(author)) = (answer.message.tool_calls.as_deref(), answer.author)
            && !calls.is_empty()
        {
            let seat = &self.plan.members[author];
            self.memory.called(calls, Caller { id: seat.id.clone(), model: seat.member.model.clone() });
        }
        let chosen = answer.members.first().and_then(|m| candidates.iter().find(|c| c.member == *m));
        let said = candidates.iter().map(|c| {
            let seat = &self.plan.members[c.member];
            Said { id: seat.id.clone(), model: seat.member.model.clone(), key: c.key.clone() }
        });
        self.memory.remember(
            &self.run_id,
            Remembered {
                reader: self.plan.reader.clone(),
                said: said.collect(),
                chosen: chosen.filter(|_| answer.source == FinalSource::Member).map(|c| c.key.clone()),
                judged: self.judged.clone().map(|key| (self.plan.judge.model.clone(), key)),
            },
        );
    }

    fn finish(mut self, answer: Answer) -> Fused {
        self.report.grounds = self.grounds();
        let text = answer.message.content.clone().unwrap_or_default();
        if !answer.streamed && !text.is_empty() {
            self.replay(&text, &answer.pieces);
        }
        let report = &mut self.report;
        report.decision.source = answer.source;
        report.decision.members = answer.members.iter().map(|i| self.plan.members[*i].id.clone()).collect();
        report.decision.method = answer.method.to_owned();
        report.decision.swap_consistent = answer.swap_consistent;
        report.decision.why = answer.why;
        report.decision.margin = match answer.evidence.as_slice() {
            [first, second, ..] => Some((first.prior + first.judge) - (second.prior + second.judge)),
            _ => None,
        };
        report.decision.evidence = answer.evidence;
        report.mode_used = mode_used(report);
        report.cost.anchor_nanos =
            report.members.first().filter(|m| m.status == MemberStatus::Ok).and_then(|m| m.cost_nanos);
        if report.earlier.is_some() {
            // What is stored costs nothing now, which is not the price of not fusing.
            report.cost.anchor_nanos = None;
        }
        self.tell_left_out();
        self.tell_unpriced();
        self.settle();
        Fused {
            id: self.run_id,
            text,
            message: answer.message,
            finish_reason: answer.finish_reason,
            usage: self.usage,
            report: self.report,
        }
    }

    /// Tells a text that is there already, in the pieces in which it was written if they are its.
    fn replay(&self, text: &str, pieces: &[String]) {
        let rest = pieces.iter().try_fold(text, |rest, piece| rest.strip_prefix(piece.as_str()));
        match rest {
            Some("") => pieces.iter().for_each(|piece| self.events.final_delta(piece)),
            _ => self.events.final_delta(text),
        }
    }

    /// Totals of cost and time.
    fn settle(&mut self) {
        let cost = &mut self.report.cost;
        if cost.unknown_calls == 0 {
            cost.total_nanos = Some(cost.known_nanos);
            cost.total_usd = NanoUsd::from_nanos(cost.known_nanos).map(|n| n.to_string());
            let anchor = cost.anchor_nanos.filter(|nanos| *nanos > 0);
            cost.multiple = anchor.map(|anchor| (cost.known_nanos as f64 / anchor as f64 * 100.0).round() / 100.0);
        }
        let latency = &mut self.report.latency;
        latency.total_ms = ms(self.started.elapsed());
        latency.judge_ms = latency.total_ms.saturating_sub(latency.members_ms);
    }

    /// Calls that told their tokens and have no cost: nobody knows their price.
    fn tell_unpriced(&mut self) {
        let report = &self.report;
        let members = report.members.iter().filter(|m| m.status == MemberStatus::Ok);
        let calls = members
            .map(|m| (&m.model, &m.usage, m.cost_nanos))
            .chain(report.judges.iter().map(|j| (&j.model, &j.usage, j.cost_nanos)));
        let unpriced = calls.filter(|(_, usage, cost)| usage.is_some() && cost.is_none());
        let models: BTreeSet<String> = unpriced.map(|(model, ..)| format!("`{model}`")).collect();
        // Under a cap that was told before they were asked.
        if !models.is_empty() && self.plan.cap.is_none() {
            let models = Vec::from_iter(models).join(", ");
            self.warn(format!("unknown_price: no price is known for {models}, so the whole cost is not known"));
        }
    }

    fn all_failed(mut self) -> Error {
        self.tell_left_out();
        self.settle();
        let failures: Vec<MemberFailure> = self
            .report
            .members
            .iter()
            .map(|m| MemberFailure {
                member: m.id.clone(),
                model: m.model.clone(),
                kind: m.error.unwrap_or(match m.status {
                    MemberStatus::Timeout => ErrorKind::DeadlineExceeded,
                    MemberStatus::Cancelled => ErrorKind::Cancelled,
                    MemberStatus::Skipped => ErrorKind::BudgetExceeded,
                    // An answer that is there but cannot be used.
                    _ => ErrorKind::Decode,
                }),
                message: m.reason.clone().unwrap_or_default(),
            })
            .collect();
        let listed: Vec<String> = failures.iter().map(|f| format!("{}: {}: {}", f.member, f.kind, f.message)).collect();
        let message = format!("no member of the pool gave a usable answer; {}", listed.join("; "));
        let broke = failures.iter().all(|f| f.kind == ErrorKind::BudgetExceeded);
        let kind = if broke { ErrorKind::BudgetExceeded } else { ErrorKind::AllMembersFailed };
        let mut error = Error::new(kind, message);
        let body = error.body_mut();
        // Trying again helps if it can help any member.
        body.retryable = failures.iter().any(|f| f.kind.retryable());
        body.cost_nanos = self.report.cost.total_nanos;
        body.members = failures;
        error
    }

    /// A context for a call of this run.
    pub fn context(&self, purpose: Purpose) -> CallContext {
        let (run_id, tags, within) = (self.run_id.clone(), self.plan.tags.clone(), self.plan.within.clone());
        CallContext { run_id, purpose, deadline: None, tags, within }
    }

    /// When the whole run must be over.
    pub fn deadline(&self) -> Instant {
        self.started + self.plan.deadline
    }

    /// When this share of the deadline has passed.
    pub fn at_share(&self, share: f64) -> Instant {
        self.started + self.plan.deadline.mul_f64(share)
    }

    /// The end of a judge's call that may last until `end`.
    pub fn judge_limit(&self, end: Instant) -> Instant {
        match self.plan.judge.timeout_ms {
            Some(timeout) => end.min(Instant::now() + Duration::from_millis(timeout)),
            None => end,
        }
    }

    /// A moment as milliseconds after the run's start.
    pub fn at(&self, moment: Instant) -> u64 {
        ms(moment.saturating_duration_since(self.started))
    }

    /// Books a call under a stage: `members`, `judge`, `synthesis` or `debate`.
    pub fn book(&mut self, stage: &str, reply: &Reply) -> Option<u64> {
        if reply.refused() || self.replies.is_some() {
            return Some(0);
        }
        for over in reply.meta().map(|meta| meta.budget_warnings.as_slice()).unwrap_or_default() {
            let warning = format!("budget: {}", over.message);
            self.warn(warning);
        }
        self.book_cost(stage, reply.cost());
        if let Some(usage) = reply.usage() {
            add_usage(&mut self.usage, usage);
        }
        if let Some(why) = reply.meta().and_then(|meta| meta.ledger_error.as_ref()) {
            self.warn(format!("ledger_error: {why}"));
        }
        reply.cost().nanos()
    }

    /// Books a call of which only the cost, or not even that, is known.
    pub fn book_cost(&mut self, stage: &str, cost: Cost) {
        let total = &mut self.report.cost;
        total.calls += 1;
        match cost {
            Cost::Known(nanos) => {
                total.known_nanos += nanos;
                *total.by_stage.entry(stage.to_owned()).or_default() += nanos;
            }
            Cost::Unknown => total.unknown_calls += 1,
        }
    }

    /// Records that less was done than asked.
    pub fn degrade(&mut self, step: &str, cause: impl Into<String>, error: Option<ErrorKind>) {
        // Whatever was not done because of money was not done because of money.
        let step = if error == Some(ErrorKind::BudgetExceeded) { "budget" } else { step };
        let degraded = Degraded { step: step.to_owned(), cause: cause.into(), error };
        // Both verdicts of a judge that cannot be paid are one loss.
        if step == "budget" && self.report.degraded.contains(&degraded) {
            return;
        }
        self.events.emit(FusionStep::Degraded { degraded: degraded.clone() });
        self.report.degraded.push(degraded);
    }

    /// Adds a warning, once.
    pub fn warn(&mut self, warning: String) {
        if !self.report.warnings.contains(&warning) {
            self.report.warnings.push(warning);
        }
    }

    /// Why these calls may not start under the caller's cap. A call without a known price passes, with a warning. In a replay,
    /// calls start that once did.
    pub fn unaffordable(&mut self, purpose: &str, requests: &[&ChatRequest]) -> Option<String> {
        if let Some(replies) = &self.replies {
            return replies.lack(purpose);
        }
        let cap = self.plan.cap?.nanos();
        let spent = self.report.cost.known_nanos;
        let usd = |nanos| NanoUsd::from_nanos(nanos).map_or_else(|| format!("{nanos} nano-"), |n| n.to_string());
        if spent >= cap {
            return Some(format!("{} USD are spent of a cap of {} USD", usd(spent), usd(cap)));
        }
        let mut estimate = 0u64;
        for request in requests {
            match self.ask.estimate(request, self.plan.within.as_deref()) {
                Some(nanos) => estimate = estimate.saturating_add(nanos),
                None => self.warn(format!(
                    "unknown_price: the price of `{}` is unknown, so max_cost_usd does not hold for it",
                    request.model
                )),
            }
        }
        (spent.saturating_add(estimate) > cap).then(|| {
            format!(
                "up to {} USD more on top of {} USD would pass the cap of {} USD",
                usd(estimate),
                usd(spent),
                usd(cap)
            )
        })
    }
}

/// The mode that gave the answer in the end.
fn mode_used(report: &FusionReport) -> FusionMode {
    let heard = report.judges.iter().any(|judge| judge.best.is_some());
    match (report.mode, report.decision.source) {
        (FusionMode::Auto, FinalSource::Merged) => FusionMode::Merge,
        (FusionMode::Auto | FusionMode::Merge, FinalSource::Member) if heard => FusionMode::BestOf,
        // Whoever agrees needs no merge; whose merge fails is counted.
        (FusionMode::Merge, FinalSource::Member) if !report.judges.is_empty() => FusionMode::Vote,
        (mode, _) => mode,
    }
}

/// A model's name without who serves it: the same model errs alike everywhere.
pub(super) fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

fn add_usage(sum: &mut Usage, more: &Usage) {
    fn add(sum: &mut Option<u64>, more: Option<u64>) {
        if let Some(more) = more {
            *sum.get_or_insert(0) += more;
        }
    }
    sum.prompt_tokens += more.prompt_tokens;
    sum.completion_tokens += more.completion_tokens;
    sum.total_tokens += more.total_tokens;
    if let Some(more) = &more.prompt_tokens_details {
        let details = sum.prompt_tokens_details.get_or_insert_default();
        add(&mut details.cached_tokens, more.cached_tokens);
        add(&mut details.cache_write_tokens, more.cache_write_tokens);
        add(&mut details.audio_tokens, more.audio_tokens);
    }
    if let Some(more) = &more.completion_tokens_details {
        let details = sum.completion_tokens_details.get_or_insert_default();
        add(&mut details.reasoning_tokens, more.reasoning_tokens);
        add(&mut details.audio_tokens, more.audio_tokens);
    }
}
