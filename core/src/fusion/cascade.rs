//! `cascade`: cheap members first, all at once; where they all say the same, that is the answer. Else the last member of the
//! pool, the strong one, is asked and decides alone. Worth it where members that agree are right: see `calibrate`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::types::FusionMode;

use super::agreement;
use super::candidate::Candidate;
use super::evidence::Weights;
use super::run::{Answer, Run};
use super::strategy::{Standing, Strategy};
use super::verdict::{Choice, decide};

/// The mode `cascade`.
pub(crate) struct Cascade;

impl Strategy for Cascade {
    fn mode(&self) -> FusionMode {
        FusionMode::Cascade
    }

    fn opening(&self, seats: usize) -> usize {
        seats - 1
    }

    fn watches(&self) -> bool {
        true
    }

    /// The strong one, as soon as the others cannot all agree any more.
    fn more(&self, standing: &Standing<'_>) -> usize {
        let cheap = standing.seats - 1;
        let lost = standing.candidates.len() + standing.open.len() < cheap;
        usize::from(standing.open.is_empty() || lost || !agreement::all_agree(standing.candidates))
    }

    fn enough(&self, standing: &Standing<'_>) -> bool {
        let strong = standing.seats - 1;
        let there = standing.candidates.iter().any(|c| c.member == strong);
        there || (standing.candidates.len() == strong && agreement::all_agree(standing.candidates))
    }

    /// The strong one, who decides.
    fn awaited(&self, seats: usize) -> usize {
        seats - 1
    }

    fn without_judge(&self, candidates: &[Candidate], weights: &Weights) -> Choice {
        let strong = weights.members.len() - 1;
        let mut choice = decide(candidates, weights, &[]);
        if let Some(at) = candidates.iter().position(|c| c.member == strong) {
            choice.index = at;
            choice.method = "escalated";
            choice.why = "the members before the last did not all say the same, so the last decides".to_owned();
        }
        choice
    }

    fn combine<'a>(&'a self, run: &'a mut Run, candidates: Vec<Candidate>) -> BoxFuture<'a, Answer> {
        async move { run.decide(&candidates) }.boxed()
    }
}
