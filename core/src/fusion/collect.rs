//! First answers: from as many members at once as the mode says, until it needs no more, or all are there, or the quorum
//! and its grace have passed, or time is up. Whoever is not waited for is cancelled by dropping its call.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::error::{Error, ErrorKind, Result};
use crate::types::{FusionStep, MemberReport, MemberStatus, OnInterrupt, Purpose};

use super::agreement;
use super::ask::{self, Cost, Pieces, Reply, ms};
use super::candidate::{self, Candidate};
use super::family;
use super::run::Run;
use super::strategy::{Standing, Strategy};
use super::thrift;

/// Asks members, each at most once, and gives the usable answers in the pool's order. A pool of one has the whole deadline.
///
/// # Errors
/// `budget_exceeded` when the cap does not even allow the anchor.
pub(crate) async fn first_answers(run: &mut Run, strategy: &dyn Strategy) -> Result<Vec<Candidate>> {
    let seats = run.plan.members.len();
    run.report.members = (0..seats).map(|i| blank(run, i)).collect();
    let mut end = if seats == 1 { run.deadline() } else { run.at_share(strategy.first_answers_share()) };
    let mut order: Vec<usize> = (0..seats).collect();
    if let Some(seat) = run.caller() {
        if let Some(candidate) = goes_on(run, seat, end, strategy).await? {
            return Ok(vec![candidate]);
        }
        order.retain(|other| *other != seat);
        let now = Instant::now();
        end = end.max(now + run.deadline().saturating_duration_since(now).mul_f64(strategy.first_answers_share()));
    }
    thrift::fit(run);
    // A pool is small: two of two, two of three, three of four.
    let quorum = run.plan.quorum.unwrap_or_else(|| (2 * seats).div_ceil(3).max(2)).min(order.len());
    let mut panel = Panel { end, calls: FuturesUnordered::new(), open: Vec::new(), order, next: 0 };
    panel.ask(run, strategy.opening(seats).max(1))?;
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut grace: Option<Instant> = None;
    // Answers at whose number the grace last ran out.
    let mut expired = 0;
    loop {
        let (enough, more) = look(run, strategy, &candidates, &panel);
        if enough {
            break;
        }
        if more > 0 {
            panel.ask(run, more)?;
        }
        if panel.open.is_empty() {
            if panel.unasked() > 0 {
                continue;
            }
            break;
        }
        if candidates.len() >= quorum && run.report.latency.quorum_ms.is_none() {
            run.report.latency.quorum_ms = Some(ms(run.started.elapsed()));
            run.events.emit(FusionStep::QuorumReached { usable: candidates.len() as u32 });
        }
        // While others can be asked in their place, stragglers cost less than waiting for them.
        let needed = if panel.unasked() > 0 { 1 } else { quorum };
        if grace.is_none() && candidates.len() >= needed && candidates.len() > expired {
            let half = (run.started.elapsed() / 2).clamp(Duration::from_millis(250), Duration::from_secs(15));
            grace = Some(Instant::now() + run.plan.grace.unwrap_or(half));
        }
        let reply = tokio::select! {
            biased;
            reply = panel.calls.next() => reply,
            () = sleep_until(grace.unwrap_or(end)), if grace.is_some() => None,
        };
        match reply {
            Some((i, reply, pieces)) => {
                panel.open.retain(|o| *o != i);
                if let Some(candidate) = settle(run, i, reply, pieces, strategy) {
                    candidates.push(candidate);
                    candidates.sort_by_key(|c| c.member);
                }
            }
            None => {
                (grace, expired) = (None, candidates.len());
                if panel.unasked() > 0 {
                    panel.ask(run, 1)?;
                    continue;
                }
                // The others are not waited for; the anchor is, unless the caller set the quorum, and always who decides.
                let seat = strategy.awaited(seats);
                if seat != 0 || run.plan.quorum.is_none() {
                    await_seat(seat, run, &mut panel, &mut candidates, strategy).await;
                }
                break;
            }
        }
    }
    let Panel { calls, open, order, next, .. } = panel;
    drop(calls);
    for i in open {
        cancel(run, i, candidates.len());
    }
    for i in &order[next..] {
        // Who had no place under the cap was told so.
        if run.report.members[*i].status != MemberStatus::Skipped {
            skip(run, *i, "not asked: the answers before it were enough");
        }
    }
    tell_losses(run, candidates.len());
    run.report.cost.saved_nanos = saved(run);
    Ok(candidates)
}

/// Asks only the member that made the tool calls whose results came: it knows what it wanted them for. Its answer, if there
/// is a usable one; nobody else is asked then.
async fn goes_on(run: &mut Run, seat: usize, end: Instant, strategy: &dyn Strategy) -> Result<Option<Candidate>> {
    let order = vec![seat];
    let mut panel = Panel { end, calls: FuturesUnordered::new(), open: Vec::new(), order, next: 0 };
    panel.ask(run, 1)?;
    let Some((_, reply, pieces)) = panel.calls.next().await else { return Ok(None) };
    let candidate = settle(run, seat, reply, pieces, strategy);
    if candidate.is_some() {
        run.continued = Some(seat);
        let why = format!("not asked: {} made the tool calls whose results came", run.plan.members[seat].id);
        (0..run.plan.members.len()).filter(|other| *other != seat).for_each(|other| skip(run, other, &why));
    }
    Ok(candidate)
}

fn skip(run: &mut Run, i: usize, why: &str) {
    let member = &mut run.report.members[i];
    member.status = MemberStatus::Skipped;
    member.reason = Some(why.to_owned());
}

/// Takes what comes until this seat has answered or failed; nothing if it was not asked.
async fn await_seat(
    seat: usize,
    run: &mut Run,
    panel: &mut Panel,
    candidates: &mut Vec<Candidate>,
    strategy: &dyn Strategy,
) {
    while panel.open.contains(&seat)
        && let Some((i, reply, pieces)) = panel.calls.next().await
    {
        panel.open.retain(|o| *o != i);
        if let Some(candidate) = settle(run, i, reply, pieces, strategy) {
            candidates.push(candidate);
            candidates.sort_by_key(|c| c.member);
        }
    }
}

/// The calls under way.
struct Panel {
    end: Instant,
    calls: FuturesUnordered<BoxFuture<'static, (usize, Reply, Pieces)>>,
    /// Seats whose calls are under way.
    open: Vec<usize>,
    /// Seats that may be asked, in this order.
    order: Vec<usize>,
    /// Place in the order of the next one to ask.
    next: usize,
}

impl Panel {
    fn unasked(&self) -> usize {
        self.order.len() - self.next
    }

    /// Asks up to `count` more members that the cap allows.
    fn ask(&mut self, run: &mut Run, count: usize) -> Result<()> {
        let mut asked = 0;
        while asked < count
            && let Some(i) = self.order.get(self.next).copied()
        {
            self.next += 1;
            // It has no place under the cap.
            if run.report.members[i].status == MemberStatus::Skipped {
                continue;
            }
            if !affordable(run, i, &self.open, self.next == 1)? {
                continue;
            }
            asked += 1;
            self.open.push(i);
            let now = Instant::now();
            let own = run.plan.members[i].member.timeout_ms.map(|t| now + Duration::from_millis(t));
            let limit = own.map_or(self.end, |own| own.min(self.end));
            let mut request = run.plan.member_request(i);
            let (ask, cx) = (run.ask.clone(), run.context(Purpose::Member));
            let listened = run.events.listened();
            run.report.members[i].start_ms = Some(ms(run.started.elapsed()));
            run.events.emit(FusionStep::MemberStarted { member: run.plan.members[i].id.clone() });
            let call = async move {
                let mut pieces = Pieces::default();
                let reply = if listened {
                    // Nothing of it is shown before it is chosen, so it can start anew as a whole answer can.
                    request.on_interrupt = Some(OnInterrupt::Restart);
                    ask::call_streamed(ask, request, cx, limit, &mut pieces).await
                } else {
                    ask::call(ask, request, cx, limit).await
                };
                (i, reply, pieces)
            };
            self.calls.push(call.boxed());
        }
        Ok(())
    }
}

/// Whether the answers so far are enough, and else how many more members to ask.
fn look(run: &Run, strategy: &dyn Strategy, candidates: &[Candidate], panel: &Panel) -> (bool, usize) {
    if !strategy.watches() || (candidates.is_empty() && panel.unasked() == 0) {
        return (false, panel.unasked());
    }
    let mut candidates = candidates.to_vec();
    agreement::group_alike(&mut candidates);
    // The slowest answer so far is what each further one may take.
    let slowest = run.report.members.iter().map(|m| m.latency_ms).max().unwrap_or(0);
    let one_by_one = Duration::from_millis(slowest) * panel.unasked() as u32;
    let standing = Standing {
        weights: &run.weights(&candidates),
        candidates: &candidates,
        seats: run.plan.members.len(),
        open: &panel.open,
        unasked: panel.unasked(),
        patient: Instant::now() + one_by_one <= panel.end,
    };
    if !candidates.is_empty() && strategy.enough(&standing) {
        return (true, 0);
    }
    if panel.unasked() == 0 {
        return (false, 0);
    }
    let more = strategy.more(&standing);
    // Somebody must be asked when nobody is.
    (false, if panel.open.is_empty() { more.max(1) } else { more })
}

fn blank(run: &Run, i: usize) -> MemberReport {
    let seat = &run.plan.members[i];
    let family = family::of(&seat.member.model).map(str::to_owned);
    MemberReport { id: seat.id.clone(), model: seat.member.model.clone(), family, ..Default::default() }
}

/// Whether the cap allows a member beside the calls that are under way; if not, it is skipped.
fn affordable(run: &mut Run, i: usize, open: &[usize], first: bool) -> Result<bool> {
    if run.plan.cap.is_none() {
        return Ok(true);
    }
    let requests: Vec<_> = open.iter().chain([&i]).map(|i| run.plan.member_request(*i)).collect();
    let Some(why) = run.unaffordable("members", &requests.iter().collect::<Vec<_>>()) else { return Ok(true) };
    if first {
        let message = format!("the first member cannot be asked: {why}");
        return Err(Error::new(ErrorKind::BudgetExceeded, message).with_param("max_cost_usd"));
    }
    let member = &mut run.report.members[i];
    member.status = MemberStatus::Skipped;
    member.error = Some(ErrorKind::BudgetExceeded);
    member.reason = Some(why.clone());
    let id = member.id.clone();
    run.degrade("budget", format!("{id} was not asked: {why}"), Some(ErrorKind::BudgetExceeded));
    Ok(false)
}

/// Writes a member's reply into the report; gives its answer if it is usable.
fn settle(run: &mut Run, i: usize, reply: Reply, pieces: Pieces, strategy: &dyn Strategy) -> Option<Candidate> {
    let cost = run.book("members", &reply);
    let usable = match &reply.result {
        Ok(answer) => Some(candidate::usable(i, answer, &run.plan.form)),
        Err(_) => None,
    };
    let member = &mut run.report.members[i];
    member.provider = reply.provider();
    member.usage = reply.usage().cloned();
    member.cost_nanos = cost;
    member.latency_ms = reply.latency_ms;
    member.ttft_ms = reply.meta().and_then(|m| m.ttft_ms);
    member.attempts = reply.attempts();
    member.hedged = reply.hedged();
    member.cached = reply.meta().is_some_and(|m| m.cached_ms.is_some());
    member.http_status = reply.error().and_then(|e| e.body().status);
    member.explanation = reply.meta().and_then(|m| m.explanation.clone());
    if let Some(choice) = reply.result.as_ref().ok().and_then(|r| r.choices.first()) {
        member.content = choice.message.content.clone();
        member.tool_calls = choice.message.tool_calls.clone();
        member.finish_reason = choice.finish_reason.clone();
    }
    let id = member.id.clone();
    let (step, candidate) = match usable {
        Some(Ok(candidate)) => {
            let candidate = if strategy.reads_answers() { candidate.read(&run.plan.reader) } else { candidate };
            let candidate = Candidate { pieces: pieces.0.into(), ..candidate };
            member.status = MemberStatus::Ok;
            member.flags = candidate.flags();
            member.answer = candidate.answer().map(str::to_owned);
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
            member.status = match late {
                true => MemberStatus::Timeout,
                false if reply.refused() => MemberStatus::Skipped,
                false => MemberStatus::Failed,
            };
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
    member.latency_ms = waited.saturating_sub(member.start_ms.unwrap_or(0));
    let id = member.id.clone();
    run.events.emit(FusionStep::MemberCancelled { member: id });
}

/// What members that nobody needed would likely have cost, had they answered as long as the others.
fn saved(run: &Run) -> Option<u64> {
    let members = &run.report.members;
    let unneeded =
        |m: &MemberReport| matches!(m.status, MemberStatus::Cancelled | MemberStatus::Skipped) && m.error.is_none();
    let unneeded: Vec<usize> = (0..members.len()).filter(|i| unneeded(&members[*i])).collect();
    let written: Vec<u64> = members.iter().filter_map(|m| Some(m.usage.as_ref()?.completion_tokens)).collect();
    if unneeded.is_empty() || written.is_empty() {
        return None;
    }
    let mean = written.iter().sum::<u64>().div_ceil(written.len() as u64);
    let each = unneeded.into_iter().map(|i| {
        let mut request = run.plan.member_request(i);
        (request.max_tokens, request.max_completion_tokens) = (Some(mean), None);
        run.ask.estimate(&request, run.plan.within.as_deref())
    });
    each.sum()
}

/// Every member that answered nothing usable is less than was asked; so is a quorum that was set and not reached.
fn tell_losses(run: &mut Run, usable: usize) {
    let lost: Vec<(String, ErrorKind, String)> = run
        .report
        .members
        .iter()
        .filter(|m| {
            matches!(m.status, MemberStatus::Failed | MemberStatus::Timeout | MemberStatus::Unusable)
                // A budget refused it, which is told here; those that nobody wanted to ask have no error.
                || m.status == MemberStatus::Skipped && m.error == Some(ErrorKind::BudgetExceeded)
        })
        .map(|m| (m.id.clone(), m.error.unwrap_or(ErrorKind::Decode), m.reason.clone().unwrap_or_default()))
        .collect();
    if usable == 0 {
        return; // The error lists them.
    }
    for (id, kind, reason) in lost {
        let unusable = kind == ErrorKind::Decode;
        let step = if kind == ErrorKind::DeadlineExceeded { "deadline" } else { "member" };
        let what = if kind == ErrorKind::BudgetExceeded { "was not asked" } else { "gave no usable answer" };
        run.degrade(step, format!("{id} {what}: {reason}"), (!unusable).then_some(kind));
    }
    if let Some(quorum) = run.plan.quorum.filter(|q| usable < *q) {
        run.degrade("quorum", format!("{usable} usable answers, {quorum} were wanted"), None);
    }
}
