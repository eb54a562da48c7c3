//! Doing less for want of money, step by step, so that the least is lost first. Under a cap, before members are asked:
//! those that bring the least for their price stay out, until the others and a judge's verdict fit; then answers are kept
//! short, where the caller sets no limit to them; then only the first member is asked. Later, as each stage begins and the
//! costs before it are known: one verdict instead of two, no comparison of a merged answer, a choice instead of a merge, no
//! judge. What is left out is told where it is left out.

use crate::error::ErrorKind;
use crate::types::{AssistantMessage, ChatRequest, FusionMode, MemberStatus, Message};

use super::best_of;
use super::candidate::Candidate;
use super::evidence;
use super::run::Run;

/// Answers that nobody limits are kept to so many tokens, the first that fits.
const LIMITS: [u64; 3] = [768, 512, 256];
/// Bytes of a token, and tokens of an answer, as estimates have them.
const BYTES: usize = 3;
const ASSUMED: u64 = 1024;
/// An answer is taken to be no longer than so many tokens when a judge's share is held back for it.
const LONGEST: u64 = 4096;

/// Fits the members into the cap. Who stays out is skipped in the report.
pub(crate) fn fit(run: &mut Run) {
    let Some(cap) = run.plan.cap else { return };
    let cap = cap.nanos();
    let seats = run.plan.members.len();
    let requests: Vec<ChatRequest> = (0..seats).map(|seat| run.plan.member_request(seat)).collect();
    let estimate = |run: &Run, request: &ChatRequest| run.ask.estimate(request, run.plan.within.as_deref());
    // What has no known price does not count, which is told when it is asked.
    let costs: Vec<u64> = requests.iter().map(|request| estimate(run, request).unwrap_or(0)).collect();
    let verdict = verdict_share(run, &requests);
    let mode = run.plan.mode;
    let need = |seats: &[usize], costs: &[u64], verdict: u64| match mode {
        // The others and the judge are asked when it comes to that, with what is left then.
        FusionMode::Auto => seats.iter().take(2).map(|seat| costs[*seat]).sum::<u64>(),
        // A cascade's last decides, and is asked only then.
        FusionMode::Cascade => seats.iter().map(|seat| costs[*seat]).sum(),
        _ => seats.iter().map(|seat| costs[*seat]).sum::<u64>().saturating_add(verdict),
    };
    let mut kept: Vec<usize> = (0..seats).collect();
    // Nobody is left out for a judge that could not be paid all the same.
    let second = costs[1..].iter().copied().min().unwrap_or(0);
    let verdict = if costs[0].saturating_add(second).saturating_add(verdict) > cap { 0 } else { verdict };
    if need(&kept, &costs, verdict) <= cap {
        return;
    }
    // In a cascade all have their parts.
    let least = if mode == FusionMode::Cascade { seats } else { 2 };
    while kept.len() > least && need(&kept, &costs, verdict) > cap {
        let worth = |seat: usize| {
            let prior = run.plan.members[seat].member.prior.unwrap_or(evidence::PRIOR);
            evidence::weight(prior) / costs[seat].max(1) as f64
        };
        // The first is whom all others are beside; of equals the later goes.
        let out = kept[1..].iter().copied().rev().min_by(|a, b| worth(*a).total_cmp(&worth(*b)));
        kept.retain(|seat| Some(*seat) != out);
    }
    if need(&kept, &costs, 0) > cap {
        let fits = |kept: &[usize], limit: u64| {
            let limited = |seat: &usize| estimate(run, &shortened(&requests[*seat], limit)).unwrap_or(0);
            let costs: Vec<u64> =
                (0..seats).map(|seat| if kept.contains(&seat) { limited(&seat) } else { 0 }).collect();
            need(kept, &costs, 0) <= cap
        };
        let mut limit = LIMITS.into_iter().find(|limit| fits(&kept, *limit));
        if limit.is_none() && mode != FusionMode::Cascade {
            kept.truncate(1);
            limit = LIMITS.into_iter().find(|limit| costs[0] > cap && fits(&kept, *limit));
        }
        if let Some(limit) = limit {
            run.plan.shortest = Some(limit);
            let cause = format!("answers are kept to {limit} tokens: longer ones may not fit into the cap");
            run.degrade("budget", cause, Some(ErrorKind::BudgetExceeded));
        }
    }
    for seat in (0..seats).filter(|seat| !kept.contains(seat)) {
        let why = match kept.len() {
            1 => "only the first member fits into the cap".to_owned(),
            _ => "it brings the least for its price, and not all fit into the cap".to_owned(),
        };
        let member = &mut run.report.members[seat];
        member.status = MemberStatus::Skipped;
        member.error = Some(ErrorKind::BudgetExceeded);
        member.reason = Some(why.clone());
        let cause = format!("{} was not asked: {why}", member.id);
        run.degrade("budget", cause, Some(ErrorKind::BudgetExceeded));
    }
}

/// The request with a limit, if it has none of its own.
pub(crate) fn shortened(request: &ChatRequest, limit: u64) -> ChatRequest {
    let mut request = request.clone();
    if request.max_tokens.is_none() && request.max_completion_tokens.is_none() {
        request.max_tokens = Some(limit);
    }
    request
}

/// What one verdict on answers of the likely length costs, in modes that need one; 0 in others.
fn verdict_share(run: &Run, requests: &[ChatRequest]) -> u64 {
    if requests.len() < 2 || !matches!(run.plan.mode, FusionMode::BestOf | FusionMode::Merge | FusionMode::Debate) {
        return 0;
    }
    let answers: Vec<Candidate> =
        (0..requests.len()).map(|seat| Candidate::new(seat, AssistantMessage::default(), None)).collect();
    let codes: Vec<String> = (0..answers.len()).map(|i| format!("X{i:02}")).collect();
    let labels: Vec<&str> = codes.iter().map(String::as_str).collect();
    let order: Vec<usize> = (0..answers.len()).collect();
    let mut request = best_of::verdict_request(run, &answers, &labels, &order);
    // Only the length of the answers counts.
    let tokens = |r: &ChatRequest| r.max_completion_tokens.or(r.max_tokens).unwrap_or(ASSUMED).min(LONGEST) as usize;
    let bytes = requests.iter().map(tokens).sum::<usize>() * BYTES;
    request.messages.push(Message::user("x".repeat(bytes)));
    run.ask.estimate(&request, run.plan.within.as_deref()).unwrap_or(0)
}
