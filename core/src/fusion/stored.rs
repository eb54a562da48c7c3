//! Stored answers, combined once more. `rejudge`: with another judge, in another mode, by other evidence, as a request says; no
//! member is asked, so that only judges cost anything. `replay`: the same decision by the same code, from the judge's stored
//! replies; nobody is asked, and where it comes to something else is told.

use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::Value;

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{
    Again, AssistantMessage, ChatCompletion, ChatRequest, Choice, Config, Departure, Earlier, FuseRequest, Fused,
    FusionMode, FusionReport, Grounds, Judge, Member, MemberReport, MemberStatus, Pool, REPORT_SCHEMA,
};

use super::ask::Ask;
use super::candidate::{self, Candidate};
use super::extract::Reader;
use super::form::Form;
use super::memory::Memory;
use super::plan::{self, Plan, Seat};
use super::replies::{Nobody, Replies};
use super::run::Run;
use super::strategy::Strategy;

/// Combines a report's answers as a request says, whose question is theirs.
///
/// # Errors
/// `invalid_request` for a report that holds no usable answer or has another form, and for a request that asks members.
pub async fn rejudge(
    engine: &Engine,
    memory: &Arc<Memory>,
    report: &FusionReport,
    request: FuseRequest,
) -> Result<Fused> {
    memory.refresh();
    judged_anew(Arc::new(engine.clone()), engine.config(), memory, report, request)?.execute().await
}

fn judged_anew(
    ask: Arc<dyn Ask>,
    config: &Config,
    memory: &Arc<Memory>,
    report: &FusionReport,
    mut request: FuseRequest,
) -> Result<Run> {
    check(report)?;
    let (rows, members) = seated(report, request.fusion.pool.take())?;
    if !rows.iter().any(holds) {
        return Err(wrong("report", "it holds no answer that could be judged"));
    }
    if request.fusion.quorum.is_some() || request.fusion.grace_ms.is_some() {
        return Err(wrong("quorum", "nobody is waited for, so neither it nor `grace_ms` says anything"));
    }
    request.fusion.pool = Some(Pool::Members(members));
    let plan = plan::from_fuse(request, config)?;
    if plan.mode == FusionMode::Debate {
        return Err(wrong("mode", "a debate asks the members again"));
    }
    if !plan.members.iter().map(|seat| &seat.id).eq(rows.iter().map(|row| &row.id)) {
        return Err(wrong("preset", "it asks other members than those of the report"));
    }
    let mut run = Run::new(plan, ask, memory.clone(), false);
    run.stored = Some(rows);
    run.report.earlier = Some(Earlier { run_id: report.run_id.clone(), how: Again::Rejudged, ..Earlier::default() });
    Ok(run)
}

/// Makes a report's decision again from what it holds. Nothing is sent and nothing is learnt.
///
/// # Errors
/// `invalid_request` for a report of another form, without a usable answer, or without what its decision rested on.
pub fn replay(report: &FusionReport) -> Result<Fused> {
    check(report)?;
    let Some(grounds) = &report.grounds else {
        return Err(wrong("report", "it does not hold what its decision rested on (`grounds`); it can be judged anew"));
    };
    let replies = Replies::of(report)?;
    let (out, rows): (Vec<_>, Vec<_>) = report.members.iter().cloned().enumerate().partition(|(_, row)| left_out(row));
    let rows: Vec<MemberReport> = rows.into_iter().map(|(_, row)| row).collect();
    if !rows.iter().any(|row| row.status == MemberStatus::Ok) {
        return Err(wrong("report", "it holds no usable answer"));
    }
    let listened = grounds.code.is_some();
    let nobody = Arc::new(Nobody { started_ms: report.started_ms });
    let mut run = Run::new(again(report, grounds, &rows)?, nobody, Arc::default(), listened);
    run.left_out = out;
    run.report.earlier = Some(Earlier { run_id: report.run_id.clone(), how: Again::Replayed, ..Earlier::default() });
    if report.decision.method == "sticky" {
        run.continued = rows.iter().position(|row| report.decision.members.contains(&row.id));
    }
    (run.stored, run.replies) = (Some(rows), Some(replies));
    let Some(fused) = run.execute().now_or_never() else {
        return Err(Error::new(ErrorKind::Internal, "a replay waited, though nobody is asked in one"));
    };
    let mut fused = fused?;
    // What was not done, and what was worth knowing, was so in that run.
    fused.report.warnings.clone_from(&report.warnings);
    fused.report.degraded.clone_from(&report.degraded);
    let differs = differences(&decided(report), &decided(&fused.report));
    fused.report.earlier.get_or_insert_default().differs = differs;
    Ok(fused)
}

fn check(report: &FusionReport) -> Result<()> {
    match report.schema {
        REPORT_SCHEMA if !report.members.is_empty() => Ok(()),
        REPORT_SCHEMA => Err(wrong("report", "it names no members")),
        other => Err(wrong("report", &format!("it has form {other}, not {REPORT_SCHEMA}"))),
    }
}

/// Whether there is something of it that could be an answer.
fn holds(row: &MemberReport) -> bool {
    matches!(row.status, MemberStatus::Ok | MemberStatus::Unusable)
        && (row.content.is_some() || row.tool_calls.is_some())
}

/// Whether it was not asked because of what the conversation holds, and had no seat.
fn left_out(row: &MemberReport) -> bool {
    row.status == MemberStatus::Skipped && row.error == Some(ErrorKind::Unsupported)
}

/// The rows that count, and their members: those that a pool names, which says their order and priors, or all.
fn seated(report: &FusionReport, pool: Option<Pool>) -> Result<(Vec<MemberReport>, Vec<Member>)> {
    let member =
        |row: &MemberReport| Member { model: row.model.clone(), name: Some(row.id.clone()), ..Default::default() };
    let mut rest: Vec<MemberReport> = report.members.iter().filter(|row| !left_out(row)).cloned().collect();
    let given = match pool {
        None => return Ok((rest.clone(), rest.iter().map(member).collect())),
        Some(Pool::Name(_)) => return Err(wrong("pool", "the members are those of the report; name some of them")),
        Some(Pool::Members(given)) => given,
    };
    let (mut rows, mut members) = (Vec::new(), Vec::new());
    for (i, given) in given.into_iter().enumerate() {
        let path = format!("pool[{i}]");
        let named = Member { model: given.model.clone(), name: given.name.clone(), ..Default::default() };
        if (Member { prior: None, ..given.clone() }) != named {
            return Err(wrong(
                &path,
                "its answer is there, so that beside `model` and `name` only `prior` says anything",
            ));
        }
        let name = given.name.as_ref().unwrap_or(&given.model);
        let found = rest.iter().position(|row| row.id == *name && (row.model == given.model || given.name.is_none()));
        let Some(at) = found.or_else(|| rest.iter().position(|row| given.name.is_none() && row.model == *name)) else {
            let left: Vec<&str> = rest.iter().map(|row| row.id.as_str()).collect();
            return Err(wrong(&path, &format!("`{name}` is none of the report's members {}", left.join(", "))));
        };
        let row = rest.remove(at);
        members.push(Member { prior: given.prior, ..member(&row) });
        rows.push(row);
    }
    Ok((rows, members))
}

/// The plan of the run that a report is of, as far as a decision needs it.
fn again(report: &FusionReport, grounds: &Grounds, rows: &[MemberReport]) -> Result<Plan> {
    let seed = u64::from_str_radix(&report.seed, 16).map_err(|_| wrong("report", "its `seed` is no number"))?;
    // As a run does with members that cannot take what the conversation holds.
    let few = report.mode == FusionMode::Cascade && rows.len() < 3;
    let members = rows.iter().map(|row| {
        let member = Member { model: row.model.clone(), prior: row.prior, ..Default::default() };
        Seat { id: row.id.clone(), member }
    });
    let base = ChatRequest { response_format: grounds.response_format.clone(), ..Default::default() };
    Ok(Plan {
        mode: if few { FusionMode::Auto } else { report.mode },
        members: members.collect(),
        judge: Judge { model: grounds.judge.clone(), trust: Some(grounds.trust), ..Judge::default() },
        judge_is_anchor: false,
        blind: grounds.judge_blind,
        shown: Vec::new(),
        quorum: None,
        reader: Arc::new(Reader::of_question("")),
        form: Form::of(&base).0,
        guard: Some(grounds.guard),
        grace: None,
        deadline: plan::DEFAULT_DEADLINE,
        cap: None,
        shortest: None,
        base,
        within: None,
        tags: report.tags.clone(),
        seed,
        warnings: Vec::new(),
        code: grounds.code.clone(),
        foreign: None,
    })
}

impl Run {
    /// The usable answers among stored ones, in the pool's order. They cost nothing once more.
    ///
    /// # Errors
    /// `invalid_request` when none is usable by what this request asks for.
    pub(super) fn stored_answers(
        &mut self,
        strategy: &dyn Strategy,
        rows: Vec<MemberReport>,
    ) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for (i, mut row) in rows.into_iter().enumerate() {
            let counts = holds(&row) && (self.replies.is_none() || row.status == MemberStatus::Ok);
            row.cost_nanos = counts.then_some(0);
            (row.usage, row.scores, row.start_ms, row.ttft_ms) = (None, None, None, None);
            (row.latency_ms, row.attempts, row.hedged, row.cached) = (0, 0, false, false);
            if counts {
                match candidate::usable(i, &completion(&row), &self.plan.form) {
                    Ok(found) => {
                        let found = match &self.replies {
                            Some(_) => found.reads(row.answer.as_deref()),
                            None if strategy.reads_answers() => found.read(&self.plan.reader),
                            None => found,
                        };
                        (row.status, row.reason, row.error) = (MemberStatus::Ok, None, None);
                        (row.flags, row.answer) = (found.flags(), found.answer().map(str::to_owned));
                        candidates.push(found);
                    }
                    Err(why) => (row.status, row.reason) = (MemberStatus::Unusable, Some(why)),
                }
            }
            self.report.members.push(row);
        }
        if candidates.is_empty() {
            return Err(wrong("report", "none of its answers is usable for this request"));
        }
        Ok(candidates)
    }
}

fn completion(row: &MemberReport) -> ChatCompletion {
    let message = AssistantMessage {
        role: "assistant".to_owned(),
        content: row.content.clone(),
        tool_calls: row.tool_calls.clone(),
        ..Default::default()
    };
    let choice = Choice { message, finish_reason: row.finish_reason.clone(), ..Default::default() };
    ChatCompletion { choices: vec![choice], ..Default::default() }
}

/// What of a report its decision is: nothing that a replay spends or takes no time for.
fn decided(report: &FusionReport) -> Value {
    let members = report.members.iter().map(|m| {
        serde_json::json!({"id": m.id, "status": m.status, "answer": m.answer, "prior": m.prior, "scores": m.scores, "flags": m.flags})
    });
    let judges = report.judges.iter().map(|j| {
        serde_json::json!({"purpose": j.purpose, "order": j.order, "best": j.best, "reason": j.reason, "parsed": j.parsed, "error": j.error})
    });
    let debate = report.debate.iter().map(|t| {
        serde_json::json!({"member": t.member, "saw": t.saw, "changed": t.changed, "reason": t.reason, "content": t.content})
    });
    serde_json::json!({
        "mode_used": report.mode_used,
        "decision": report.decision,
        "members": Vec::from_iter(members),
        "agreement": report.agreement,
        "analysis": report.analysis,
        "judges": Vec::from_iter(judges),
        "fields": report.fields,
        "debate": Vec::from_iter(debate),
    })
}

/// The innermost places where two values differ; what is null is not there.
fn differences(was: &Value, now: &Value) -> Vec<Departure> {
    fn walk(at: String, was: Option<&Value>, now: Option<&Value>, found: &mut Vec<Departure>) {
        let (was, now) = (was.filter(|v| !v.is_null()), now.filter(|v| !v.is_null()));
        match (was, now) {
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
                keys.for_each(|key| {
                    let name = key.replace('~', "~0").replace('/', "~1");
                    walk(format!("{at}/{name}"), a.get(key), b.get(key), found);
                });
            }
            (Some(Value::Array(a)), Some(Value::Array(b))) => {
                (0..a.len().max(b.len())).for_each(|i| walk(format!("{at}/{i}"), a.get(i), b.get(i), found));
            }
            _ if was == now => {}
            _ => found.push(Departure { at, was: was.cloned(), now: now.cloned() }),
        }
    }
    let mut found = Vec::new();
    walk(String::new(), Some(was), Some(now), &mut found);
    found
}

fn wrong(param: &str, why: &str) -> Error {
    Error::invalid_request(format!("`{param}`: {why}")).with_param(param)
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
