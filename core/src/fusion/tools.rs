//! Tool calls: whole or not at all. First it is decided whether tools are called, by what speaks for it; then, among those
//! who call, the same calls count together, a majority stands, and only where there is none a judge chooses. Whoever wins
//! is returned byte for byte, as one message; calls are never blended, and neither judge nor guard is given a tool.

use crate::types::FusionMode;

use super::agreement;
use super::best_of;
use super::candidate::Candidate;
use super::evidence;
use super::run::{Answer, Run};
use super::strategy::Strategy;

/// Whether any of the answers calls a tool.
pub(crate) fn called(candidates: &[Candidate]) -> bool {
    candidates.iter().any(|c| !c.tool_calls().is_empty())
}

/// The choice among two or more answers of which some call tools.
pub(crate) async fn choose(run: &mut Run, strategy: &dyn Strategy, candidates: Vec<Candidate>) -> Answer {
    if strategy.mode() == FusionMode::Cascade {
        // Whom it escalates to decides that, too.
        return run.decide(&candidates);
    }
    let weights = run.weights(&candidates);
    let calls = |c: &Candidate| !c.tool_calls().is_empty();
    let sides: Vec<Candidate> = candidates
        .iter()
        .map(|c| Candidate { key: if calls(c) { "calls" } else { "says" }.to_owned(), ..c.clone() })
        .collect();
    let found = evidence::clusters(&sides, &weights, &[]);
    let call = found.first().is_some_and(|leader| calls(&candidates[leader.candidates[0]]));
    let all = candidates.len();
    let kept: Vec<Candidate> = candidates.into_iter().filter(|c| calls(c) == call).collect();
    let split = (kept.len() < all).then(|| {
        let what = if call { "call tools" } else { "answer without a tool" };
        format!("{} of {all} members {what}; ", kept.len())
    });
    let mut answer = match kept.as_slice() {
        [_] => run.decide(&kept),
        all if agreement::all_agree(all) => run.decide(all),
        all if call => of_calls(run, all).await,
        _ => strategy.combine(run, kept).await,
    };
    if let Some(split) = split {
        answer.why.insert_str(0, &split);
    }
    answer
}

/// The choice among different calls.
async fn of_calls(run: &mut Run, candidates: &[Candidate]) -> Answer {
    let found = evidence::clusters(candidates, &run.weights(candidates), &[]);
    let all: f64 = found.iter().map(|c| c.prior).sum();
    let majority = found.first().is_some_and(|leader| evidence::more(leader.prior, all - leader.prior));
    if majority || run.plan.mode == FusionMode::Vote {
        return run.decide(candidates);
    }
    best_of::choose(run, candidates).await
}
