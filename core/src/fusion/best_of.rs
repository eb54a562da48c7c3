//! `best_of`: two verdicts in opposite orders, at the same time; the winner's answer is returned word for word.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join};

use crate::types::{ChatRequest, FusionMode};

use super::analysis::unlabelled;
use super::candidate::Candidate;
use super::evidence;
use super::run::{Answer, Run};
use super::strategy::Strategy;
use super::verdict::{self, Choice, Verdict};
use super::{prompts, shield};

/// The mode `best_of`.
pub(crate) struct BestOf;

impl Strategy for BestOf {
    fn mode(&self) -> FusionMode {
        FusionMode::BestOf
    }

    fn combine<'a>(&'a self, run: &'a mut Run, candidates: Vec<Candidate>) -> BoxFuture<'a, Answer> {
        async move { choose(run, &candidates).await }.boxed()
    }
}

/// Lets the judge choose one of the candidates, if its word can change what the members' votes say.
pub(crate) async fn choose(run: &mut Run, candidates: &[Candidate]) -> Answer {
    let weights = run.weights(candidates);
    if !evidence::judge_matters(&evidence::clusters(candidates, &weights, &[]), &weights) {
        return run.decide(candidates);
    }
    let ids: Vec<String> = candidates.iter().map(|c| run.name_of(c)).collect();
    let verdicts = match verdicts(run, candidates, &ids, true, "no judge was asked").await {
        Some(verdicts) => verdicts,
        None => return run.decide(candidates),
    };
    for (i, candidate) in candidates.iter().enumerate().filter(|(_, c)| !c.revised) {
        run.report.members[candidate.member].scores = verdict::mean_scores(&verdicts, i);
    }
    let choice = verdict::decide(candidates, &weights, &verdicts);
    if let Some(answer) = distrusted(run, candidates, &choice, &ids) {
        return answer;
    }
    if choice.swap_consistent == Some(true) {
        run.judged = Some(candidates[verdicts[0].best].key.clone());
    }
    run.chosen(candidates, choice)
}

/// Asks for a verdict on the candidates in this order.
pub(crate) fn verdict_request(run: &Run, candidates: &[Candidate], labels: &[&str], order: &[usize]) -> ChatRequest {
    let shown: Vec<&str> = order.iter().map(|i| labels[*i]).collect();
    let lines = std::iter::once(shield::question(&run.plan.base.messages))
        .chain(order.iter().map(|i| shield::answer(labels[*i], &candidates[*i])));
    let data = shield::envelope(&run.nonce(), &lines.collect::<Vec<_>>());
    let task = prompts::verdict_task(&shown, run.plan.judge.criteria.as_deref());
    let max_tokens = 512 + 64 * candidates.len() as u64;
    run.judge_request(
        prompts::verdict_system(),
        format!("{data}\n\n{task}"),
        prompts::verdict_schema(&shown),
        max_tokens.max(1024),
    )
}

/// Two verdicts in opposite orders, at the same time; fewer where the judge failed, or where the cap allows one only and
/// that is of use `alone`. `None` when the cap forbids them, which is recorded as `unasked`.
pub(crate) async fn verdicts(
    run: &mut Run,
    candidates: &[Candidate],
    ids: &[String],
    alone: bool,
    unasked: &str,
) -> Option<Vec<Verdict>> {
    let texts: Vec<&str> = candidates.iter().map(Candidate::text).collect();
    let codes = shield::labels(&mut run.rng, candidates.len(), &texts);
    let labels: Vec<&str> = codes.iter().map(String::as_str).collect();
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    run.rng.shuffle(&mut order);
    let reversed: Vec<usize> = order.iter().rev().copied().collect();

    let first = verdict_request(run, candidates, &labels, &order);
    let second = verdict_request(run, candidates, &labels, &reversed);
    let end = run.deadline();
    let read = |text: &str| verdict::read(text, &labels);
    let (a, b) = match run.unaffordable("verdict", &[&first, &second]) {
        None => {
            let both = join(run.ask_judge("verdict", first, end, read), run.ask_judge("verdict", second, end, read));
            let (a, b) = both.await;
            (a, Some(b))
        }
        Some(why) if alone && run.unaffordable("verdict", &[&first]).is_none() => {
            run.degrade("budget", format!("one verdict instead of two in opposite orders: {why}"), None);
            (run.ask_judge("verdict", first, end, read).await, None)
        }
        Some(why) => {
            run.degrade("budget", format!("{unasked}: {why}"), None);
            return None;
        }
    };

    let id_refs: Vec<&str> = ids.iter().map(String::as_str).collect();
    let plain = |v: &Verdict| v.reason.as_ref().map(|r| unlabelled(r, &labels, &id_refs));
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (asked, order) in [(a, order)].into_iter().chain(b.map(|b| (b, reversed))) {
        let shown: Vec<String> = order.iter().map(|i| ids[*i].clone()).collect();
        let best = asked.value.as_ref().map(|v| (ids[v.best].clone(), plain(v)));
        run.book_judge("verdict", &shown, &asked, best);
        run.degrade_judge(&asked, "one verdict is missing");
        verdicts.extend(asked.value.map(|v| Verdict { reason: plain(&v), ..v }));
    }
    Some(verdicts)
}

/// An answer that speaks to the judge does not win by the judge's word alone: if nobody else gives the same answer, the
/// choice is made without the judge, among the others.
fn distrusted(run: &mut Run, candidates: &[Candidate], choice: &Choice, ids: &[String]) -> Option<Answer> {
    let won = &candidates[choice.index];
    let alone = candidates.iter().filter(|c| c.key == won.key).count() == 1;
    if !won.instructs_judge || !alone || choice.method != "judge" {
        return None;
    }
    let others: Vec<Candidate> = candidates.iter().filter(|c| !c.instructs_judge).cloned().collect();
    if others.is_empty() {
        return None;
    }
    let cause = format!(
        "the judge chose {}, whose answer speaks to the judge; chosen among the others instead",
        ids[choice.index]
    );
    run.degrade("judge", cause, None);
    Some(run.decide(&others))
}

impl Run {
    /// The candidate's name in the report.
    pub fn name_of(&self, candidate: &Candidate) -> String {
        let id = &self.plan.members[candidate.member].id;
        if candidate.revised { format!("{id} (revised)") } else { id.clone() }
    }

    /// A nonce for one prompt; the same every time only if the caller set a seed.
    pub fn nonce(&self) -> String {
        match self.plan.base.seed {
            Some(_) => shield::nonce(Some(&mut self.rng.clone())),
            None => shield::nonce(None),
        }
    }
}
