//! The modes of fusion, one row each. A new mode is a file with its [`Strategy`] and a row in [`STRATEGIES`].

use futures_util::future::BoxFuture;

use crate::types::FusionMode;

use super::best_of::BestOf;
use super::candidate::Candidate;
use super::debate::Debate;
use super::merge::Merge;
use super::run::{Answer, Run};

/// How answers that differ become one.
pub(crate) trait Strategy: Sync {
    /// The mode it implements.
    fn mode(&self) -> FusionMode;

    /// Share of the deadline that the first answers may take.
    fn first_answers_share(&self) -> f64 {
        0.7
    }

    /// Combines two or more usable answers that do not all say the same. Never fails: what a judge cannot do is decided
    /// without it and recorded as degraded.
    fn combine<'a>(&'a self, run: &'a mut Run, candidates: Vec<Candidate>) -> BoxFuture<'a, Answer>;
}

/// Every mode.
pub(crate) static STRATEGIES: &[&dyn Strategy] = &[&BestOf, &Merge, &Debate];

/// The strategy of a mode.
pub(crate) fn of(mode: FusionMode) -> &'static dyn Strategy {
    STRATEGIES.iter().copied().find(|s| s.mode() == mode).unwrap_or(&Merge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_its_row() {
        for mode in [FusionMode::BestOf, FusionMode::Merge, FusionMode::Debate] {
            assert_eq!(STRATEGIES.iter().filter(|s| s.mode() == mode).count(), 1);
            assert_eq!(of(mode).mode(), mode);
        }
    }
}
