//! First answers: all members at once, until all are there, or the quorum and its grace have passed, or time is up.
//! Whoever is not waited for is cancelled by dropping its call.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::error::{Error, ErrorKind, Result};
use crate::types::{FusionStep, MemberReport, MemberStatus, Purpose};

use super::ask::{self, Cost, Reply, ms};
use super::candidate::{self, Candidate};
use super::run::Run;

/// Asks every member once and gives the usable answers in the pool's order. A pool of one has the whole deadline.
///
/// # Errors
/// `budget_exceeded` when the cap does not even allow the anchor.
pub(crate) async fn first_answers(run: &mut Run, share: f64) -> Result<Vec<Candidate>> {
    run.report.members = (0..run.plan.members.len()).map(|i| blank(run, i)).collect();
    let asked = affordable(run)?;
    let end = if run.plan.members.len() == 1 { run.deadline() } else { run.at_share(share) };
    let mut calls = FuturesUnordered::new();
    for &i in &asked {
        let own = run.plan.members[i].member.timeout_ms.map(|t| run.started + Duration::from_millis(t));
        let limit = own.map_or(end, |own| own.min(end));
        let request = run.plan.member_request(i);
        let (ask, cx) = (run.ask.clone(), run.context(Purpose::Member));
        run.events.emit(FusionStep::MemberStarted { member: run.plan.members[i].id.clone() });
        calls.push(async move { (i, ask::call(ask, request, cx, limit).await) });
    }

    let mut candidates: Vec<Candidate> = Vec::new();
    let mut open = asked;
    let quorum = run.plan.quorum.unwrap_or(run.plan.members.len());
    let mut grace: Option<Instant> = None;
    while !open.is_empty() {
        let next = tokio::select! {
            biased;
            next = calls.next() => next,
            () = sleep_until(grace.unwrap_or(end)), if grace.is_some() => None,
        };
        let Some((i, reply)) = next else { break };
        open.retain(|o| *o != i);
        if let Some(candidate) = settle(run, i, reply) {
            candidates.push(candidate);
        }
        if candidates.len() >= quorum && grace.is_none() {
            let took = run.started.elapsed();
            run.report.latency.quorum_ms = Some(ms(took));
            run.events.emit(FusionStep::QuorumReached { usable: candidates.len() as u32 });
            let half = (took / 2).clamp(Duration::from_millis(250), Duration::from_secs(15));
            grace = Some(Instant::now() + run.plan.grace.unwrap_or(half));
        }
    }
    drop(calls);
    for i in open {
        cancel(run, i, candidates.len());
    }
    candidates.sort_by_key(|c| c.member);
    tell_losses(run, candidates.len());
    Ok(candidates)
}

fn blank(run: &Run, i: usize) -> MemberReport {
    let seat = &run.plan.members[i];
    MemberReport { id: seat.id.clone(), model: seat.member.model.clone(), ..Default::default() }
}

/// The members that the cap allows, from the first on; the others are skipped.
fn affordable(run: &mut Run) -> Result<Vec<usize>> {
    let mut asked: Vec<usize> = Vec::new();
    let mut requests = Vec::new();
    for i in 0..run.plan.members.len() {
        if run.plan.cap.is_none() {
            asked.push(i);
            continue;
        }
        requests.push(run.plan.member_request(i));
        match run.unaffordable(&requests.iter().collect::<Vec<_>>()) {
            None => asked.push(i),
            Some(why) if i == 0 => {
                let message = format!("the first member cannot be asked: {why}");
                return Err(Error::new(ErrorKind::BudgetExceeded, message).with_param("max_cost_usd"));
            }
            Some(why) => {
                requests.pop();
                let member = &mut run.report.members[i];
                member.status = MemberStatus::Skipped;
                member.reason = Some(why.clone());
                let id = member.id.clone();
                run.degrade("budget", format!("{id} was not asked: {why}"), Some(ErrorKind::BudgetExceeded));
            }
        }
    }
    Ok(asked)
}

/// Writes a member's reply into the report; gives its answer if it is usable.
fn settle(run: &mut Run, i: usize, reply: Reply) -> Option<Candidate> {
    let cost = run.book("members", &reply);
    let usable = match &reply.result {
        Ok(answer) => Some(candidate::usable(i, answer, run.plan.base.response_format.as_ref())),
        Err(_) => None,
    };
    let member = &mut run.report.members[i];
    member.provider = reply.provider();
    member.usage = reply.usage().cloned();
    member.cost_nanos = cost;
    member.latency_ms = reply.latency_ms;
    member.ttft_ms = reply.meta().and_then(|m| m.ttft_ms);
    member.attempts = reply.attempts();
    member.explanation = reply.meta().and_then(|m| m.explanation.clone());
    if let Some(choice) = reply.result.as_ref().ok().and_then(|r| r.choices.first()) {
        member.content = choice.message.content.clone();
        member.tool_calls = choice.message.tool_calls.clone();
        member.finish_reason = choice.finish_reason.clone();
    }
    let id = member.id.clone();
    let (step, candidate) = match usable {
        Some(Ok(candidate)) => {
            member.status = MemberStatus::Ok;
            member.flags = candidate.flags();
            let completion_tokens = member.usage.as_ref().map(|u| u.completion_tokens);
            (FusionStep::MemberDone { member: id, latency_ms: reply.latency_ms, completion_tokens }, Some(candidate))
        }
        Some(Err(reason)) => {
            member.status = MemberStatus::Unusable;
            member.reason = Some(reason.clone());
            (FusionStep::MemberFailed { member: id, error: None, reason }, None)
        }
        None => {
            let (kind, reason) = match reply.error() {
                Some(e) => (e.kind(), e.message().to_owned()),
                None => (ErrorKind::Internal, String::new()),
            };
            let late = matches!(kind, ErrorKind::Timeout | ErrorKind::DeadlineExceeded);
            member.status = if late { MemberStatus::Timeout } else { MemberStatus::Failed };
            member.error = Some(kind);
            member.reason = Some(reason.clone());
            (FusionStep::MemberFailed { member: id, error: Some(kind), reason }, None)
        }
    };
    run.events.emit(step);
    candidate
}

/// Writes down a member that was not waited for. What its call cost is unknown: the vendor may bill what it had written.
fn cancel(run: &mut Run, i: usize, usable: usize) {
    run.book_cost("members", Cost::Unknown);
    let waited = ms(run.started.elapsed());
    let member = &mut run.report.members[i];
    member.status = MemberStatus::Cancelled;
    member.reason = Some(format!("not waited for after {waited} ms: {usable} usable answers were there"));
    member.latency_ms = waited;
    let id = member.id.clone();
    run.events.emit(FusionStep::MemberCancelled { member: id });
}

/// Every member that answered nothing usable is less than was asked; so is a quorum that was set and not reached.
fn tell_losses(run: &mut Run, usable: usize) {
    let lost: Vec<(String, ErrorKind, String)> = run
        .report
        .members
        .iter()
        .filter(|m| matches!(m.status, MemberStatus::Failed | MemberStatus::Timeout | MemberStatus::Unusable))
        .map(|m| (m.id.clone(), m.error.unwrap_or(ErrorKind::Decode), m.reason.clone().unwrap_or_default()))
        .collect();
    if usable == 0 {
        return; // The error lists them.
    }
    for (id, kind, reason) in lost {
        let unusable = kind == ErrorKind::Decode;
        let step = if kind == ErrorKind::DeadlineExceeded { "deadline" } else { "member" };
        run.degrade(step, format!("{id} gave no usable answer: {reason}"), (!unusable).then_some(kind));
    }
    if let Some(quorum) = run.plan.quorum.filter(|q| usable < *q) {
        run.degrade("quorum", format!("{usable} usable answers, {quorum} were wanted"), None);
    }
}
