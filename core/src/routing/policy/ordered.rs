//! `ordered`: as the catalogue ranks them, the model's own vendor first.

use super::{Asked, Candidate};

pub(super) fn score(all: &[Candidate<'_>], _: &Asked<'_>, _: &mut fastrand::Rng, scores: &mut Vec<u64>) {
    scores.extend(0..all.len() as u64);
}
