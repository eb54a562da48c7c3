//! `vote`: closed answers are read out of the texts and counted, without a judge; whoever cannot change the outcome is not
//! waited for. Free texts that are alike stand together, and the most typical one is returned word for word.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::types::FusionMode;

use super::agreement;
use super::candidate::Candidate;
use super::evidence::{self, Weights};
use super::run::{Answer, Run};
use super::strategy::{Standing, Strategy};
use super::verdict::{self, Choice};

/// The mode `vote`.
pub(crate) struct Vote;

impl Strategy for Vote {
    fn mode(&self) -> FusionMode {
        FusionMode::Vote
    }

    fn watches(&self) -> bool {
        true
    }

    /// Only for answers that are equal or not: of texts that are alike, one more can draw the others together.
    fn enough(&self, standing: &Standing<'_>) -> bool {
        let voting = electorate(standing.candidates);
        exact(&voting)
            && evidence::decided(&evidence::clusters(&voting, standing.weights, &[]), standing.weights, standing.open)
    }

    fn without_judge(&self, candidates: &[Candidate], weights: &Weights) -> Choice {
        count(candidates, weights)
    }

    fn combine<'a>(&'a self, run: &'a mut Run, candidates: Vec<Candidate>) -> BoxFuture<'a, Answer> {
        async move { run.decide(&candidates) }.boxed()
    }
}

/// Those whose answers count: where closed answers were given by half of them or more, a text without one is no vote.
pub(crate) fn electorate(candidates: &[Candidate]) -> Vec<Candidate> {
    let closed = candidates.iter().filter(|c| c.closed).count() * 2 >= candidates.len();
    let counts = |c: &&Candidate| !closed || c.closed || !c.tool_calls().is_empty();
    let counted: Vec<Candidate> = candidates.iter().filter(counts).cloned().collect();
    if counted.is_empty() { candidates.to_vec() } else { counted }
}

/// Whether the answers are equal or not, and nothing between.
pub(crate) fn exact(candidates: &[Candidate]) -> bool {
    !candidates.is_empty() && candidates.iter().all(Candidate::is_exact)
}

/// The outcome of the vote, in places of all candidates.
pub(crate) fn count(candidates: &[Candidate], weights: &Weights) -> Choice {
    let voting = electorate(candidates);
    let place =
        |i: usize| candidates.iter().position(|c| c.member == voting[i].member && c.revised == voting[i].revised);
    let mut choice = verdict::decide(&voting, weights, &[]);
    // Of texts that stand together, the most typical one.
    if !exact(&voting)
        && let Some(leader) =
            choice.clusters.first().filter(|c| c.candidates.len() >= 3 && c.candidates.contains(&choice.index))
    {
        let group: Vec<Candidate> = leader.candidates.iter().map(|i| voting[*i].clone()).collect();
        if let Some(middle) = agreement::medoid(&group, 0) {
            choice.index = leader.candidates[middle];
        }
    }
    choice.index = place(choice.index).unwrap_or(0);
    for cluster in &mut choice.clusters {
        cluster.candidates = cluster.candidates.iter().filter_map(|i| place(*i)).collect();
    }
    choice
}
