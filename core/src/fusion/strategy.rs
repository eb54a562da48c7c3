//! The modes of fusion, one row each. A new mode is a file with its [`Strategy`] and a row in [`STRATEGIES`].

use futures_util::future::BoxFuture;

use crate::types::FusionMode;

use super::auto::Auto;
use super::best_of::BestOf;
use super::candidate::Candidate;
use super::cascade::Cascade;
use super::debate::Debate;
use super::evidence::Weights;
use super::merge::Merge;
use super::run::{Answer, Run};
use super::verdict::{self, Choice};
use super::vote::Vote;

/// Where a run stands while answers come in.
pub(crate) struct Standing<'a> {
    /// The usable answers so far, in the pool's order.
    pub candidates: &'a [Candidate],
    pub weights: &'a Weights,
    /// Members of the pool.
    pub seats: usize,
    /// Seats that were asked and have not answered.
    pub open: &'a [usize],
    /// Members that were not asked.
    pub unasked: usize,
    /// There is time to ask one after the other.
    pub patient: bool,
}

/// How a pool is asked, and how answers that differ become one.
pub(crate) trait Strategy: Sync {
    /// The mode it implements.
    fn mode(&self) -> FusionMode;

    /// Share of the deadline that the first answers may take.
    fn first_answers_share(&self) -> f64 {
        0.7
    }

    /// How many members are asked at once, from the first on.
    fn opening(&self, seats: usize) -> usize {
        seats
    }

    /// Whether answers are looked at as they come: they may be enough, or call for more members.
    fn watches(&self) -> bool {
        false
    }

    /// How many more are asked now.
    fn more(&self, standing: &Standing<'_>) -> usize {
        standing.unasked
    }

    /// Whether nothing that may still come is needed.
    fn enough(&self, standing: &Standing<'_>) -> bool {
        let _ = standing;
        false
    }

    /// The seat that is waited for when others no longer are: the anchor.
    fn awaited(&self, seats: usize) -> usize {
        let _ = seats;
        0
    }

    /// Whether an answer that could be read out of a text stands for the whole text.
    fn reads_answers(&self) -> bool {
        true
    }

    /// The choice among two or more answers that is made without a judge.
    fn without_judge(&self, candidates: &[Candidate], weights: &Weights) -> Choice {
        verdict::decide(candidates, weights, &[])
    }

    /// Combines two or more usable answers that do not all say the same. Never fails: what a judge cannot do is decided
    /// without it and recorded as degraded.
    fn combine<'a>(&'a self, run: &'a mut Run, candidates: Vec<Candidate>) -> BoxFuture<'a, Answer>;
}

/// Every mode.
pub(crate) static STRATEGIES: &[&dyn Strategy] = &[&Auto, &Vote, &Cascade, &BestOf, &Merge, &Debate];

/// The strategy of a mode.
pub(crate) fn of(mode: FusionMode) -> &'static dyn Strategy {
    STRATEGIES.iter().copied().find(|s| s.mode() == mode).unwrap_or(&Auto)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_its_row() {
        use FusionMode::*;
        for mode in [Auto, Vote, Cascade, BestOf, Merge, Debate] {
            assert_eq!(STRATEGIES.iter().filter(|s| s.mode() == mode).count(), 1);
            assert_eq!(of(mode).mode(), mode);
        }
    }
}
