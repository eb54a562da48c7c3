//! The decision: what speaks for each answer, in log-odds. A member's prior is the chance that it is right, a judge's
//! trust the chance that its verdict is. Answers that say the same stand together:
//!
//! `S(c) = sum over members of ln(p / (1 - p)), within 0.05 and 3, times d, plus ln(t / (1 - t)) * v(c)`
//!
//! with `d` = 1 for the first member of a model and 0.5 for each further one (the same model errs alike), and `v` = 1 when
//! both orders of the candidates gave the same verdict, 0.5 when there is one verdict, 0 when the order decided. The
//! highest S wins; ties go to the anchor, then to the higher prior, then to the earlier member. Never chance, never length.

use super::candidate::Candidate;
use super::verdict::Verdict;

/// Chance that a member is right, where nothing is known.
pub(crate) const PRIOR: f64 = 0.60;
/// The same of the anchor of an open question: two others that agree and a judge that confirms them outweigh it, nothing
/// less does. Closed answers are counted evenly; recorded answers of real models say that weights gain nothing there.
pub(crate) const ANCHOR_PRIOR: f64 = 0.80;
/// Chance that a judge's verdict is right, where nothing is known.
pub(crate) const TRUST: f64 = 0.70;
/// Sums closer than this are equal.
const EPSILON: f64 = 1e-9;

/// Log-odds of a chance, as a weight.
pub(crate) fn log_odds(chance: f64) -> f64 {
    (chance / (1.0 - chance)).ln()
}

/// What a member's answer weighs.
pub(crate) fn weight(prior: f64) -> f64 {
    log_odds(prior).clamp(0.05, 3.0)
}

/// What everyone's word weighs in a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weights {
    /// Of each seat of the pool.
    pub members: Vec<f64>,
    /// Seats of the same model have the same number.
    pub kin: Vec<usize>,
    /// Of a verdict that both orders gave.
    pub judge: f64,
}

impl Weights {
    /// Everyone alike, all of different models.
    #[cfg(test)]
    pub fn even(seats: usize) -> Self {
        Weights { members: vec![weight(PRIOR); seats], kin: (0..seats).collect(), judge: log_odds(TRUST) }
    }
}

/// Answers that say the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cluster {
    /// Places among the candidates, in their order.
    pub candidates: Vec<usize>,
    /// Seats of the members that stand by it.
    pub voters: Vec<usize>,
    /// What their priors say.
    pub prior: f64,
    /// What the judge says.
    pub judge: f64,
}

impl Cluster {
    pub fn score(&self) -> f64 {
        self.prior + self.judge
    }

    fn first_seat(&self) -> usize {
        self.voters.iter().copied().min().unwrap_or(usize::MAX)
    }
}

/// Whether `a` is clearly more than `b`.
pub(crate) fn more(a: f64, b: f64) -> bool {
    a > b + EPSILON
}

/// The answers with what speaks for them, the strongest first.
pub(crate) fn clusters<'a>(
    candidates: impl IntoIterator<Item = &'a Candidate>,
    weights: &Weights,
    verdicts: &[Verdict],
) -> Vec<Cluster> {
    let candidates: Vec<&Candidate> = candidates.into_iter().collect();
    let mut clusters: Vec<Cluster> = Vec::new();
    for (i, candidate) in candidates.iter().enumerate() {
        let found = clusters.iter().position(|c| candidates[c.candidates[0]].key == candidate.key);
        let cluster = found.unwrap_or_else(|| {
            clusters.push(Cluster { candidates: Vec::new(), voters: Vec::new(), prior: 0.0, judge: 0.0 });
            clusters.len() - 1
        });
        let cluster = &mut clusters[cluster];
        cluster.candidates.push(i);
        for &seat in candidate.voters.iter().filter(|s| **s < weights.members.len()) {
            let kin = cluster.voters.iter().any(|v| weights.kin[*v] == weights.kin[seat]);
            // A text that was cut off is worth half.
            let share = if kin { 0.5 } else { 1.0 } * if candidate.truncated { 0.5 } else { 1.0 };
            cluster.prior += weights.members[seat] * share;
            cluster.voters.push(seat);
        }
    }
    let said = match verdicts {
        [only] => Some((only.best, 0.5)),
        [a, b, ..] if candidates[a.best].key == candidates[b.best].key => Some((a.best, 1.0)),
        _ => None,
    };
    if let Some((best, certainty)) = said
        && let Some(cluster) = clusters.iter_mut().find(|c| c.candidates.contains(&best))
    {
        cluster.judge = weights.judge * certainty;
    }
    clusters.sort_by(|a, b| {
        let by_score = if (a.score() - b.score()).abs() <= EPSILON {
            std::cmp::Ordering::Equal
        } else {
            b.score().total_cmp(&a.score())
        };
        let anchored = |c: &Cluster| c.voters.contains(&0);
        by_score.then(anchored(b).cmp(&anchored(a))).then_with(|| {
            if more(b.prior, a.prior) { std::cmp::Ordering::Greater } else { a.first_seat().cmp(&b.first_seat()) }
        })
    });
    clusters
}

/// Whether a judge that agrees with itself could change which answer leads.
pub(crate) fn judge_matters(clusters: &[Cluster], weights: &Weights) -> bool {
    match clusters {
        [leader, second, ..] => more(weights.judge, leader.prior - second.prior),
        _ => false,
    }
}

/// Whether the leader still leads whatever the members that have not answered yet will say.
pub(crate) fn decided(clusters: &[Cluster], weights: &Weights, open: &[usize]) -> bool {
    let Some(leader) = clusters.first() else { return false };
    let rest: f64 = open.iter().map(|seat| weights.members[*seat]).sum();
    let latest = leader.first_seat();
    let earliest_open = open.iter().copied().min().unwrap_or(usize::MAX);
    let beaten = |score: f64, first: usize| {
        let reach = score + rest;
        // A tie goes to whoever has the earlier member.
        more(leader.score(), reach) || (!more(reach, leader.score()) && latest < first.min(earliest_open))
    };
    beaten(0.0, usize::MAX) && clusters[1..].iter().all(|c| beaten(c.score(), c.first_seat()))
}

/// How sure the evidence is of each answer, 0 to 1 (softmax of S).
pub(crate) fn confidence(clusters: &[Cluster]) -> Vec<f64> {
    let top = clusters.iter().map(Cluster::score).fold(f64::NEG_INFINITY, f64::max);
    let parts: Vec<f64> = clusters.iter().map(|c| (c.score() - top).exp()).collect();
    let sum: f64 = parts.iter().sum();
    parts.into_iter().map(|p| p / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AssistantMessage;

    fn says(member: usize, text: &str) -> Candidate {
        let message = AssistantMessage { content: Some(text.to_owned()), ..Default::default() };
        Candidate::new(member, message, Some("stop".to_owned()))
    }

    fn chose(best: usize) -> Verdict {
        Verdict { best, scores: Vec::new(), reason: None }
    }

    fn leader(all: &[Candidate], weights: &Weights, verdicts: &[Verdict]) -> Vec<usize> {
        clusters(all, weights, verdicts)[0].candidates.clone()
    }

    fn anchored(seats: usize) -> Weights {
        let mut weights = Weights::even(seats);
        weights.members[0] = weight(ANCHOR_PRIOR);
        weights
    }

    #[test]
    fn an_open_anchor_gives_way_to_two_that_agree_and_a_judge_that_confirms() {
        let all = [says(0, "a"), says(1, "b"), says(2, "b")];
        let weights = anchored(3);
        assert_eq!(leader(&all, &weights, &[]), [0], "two alone do not");
        assert_eq!(leader(&all, &weights, &[chose(1), chose(2)]), [1, 2], "two and the judge do");
        assert_eq!(leader(&all, &weights, &[chose(1), chose(0)]), [0], "an order that decides is no evidence");
        assert_eq!(leader(&all, &weights, &[chose(1)]), [0], "half a verdict is not enough");
        let all = [says(0, "a"), says(1, "b"), says(2, "c")];
        assert_eq!(leader(&all, &weights, &[chose(1), chose(1)]), [0], "the judge alone does not");
        assert!(!judge_matters(&clusters(&all, &weights, &[]), &weights), "so it is not asked");
    }

    #[test]
    fn without_an_anchor_the_judge_breaks_ties_and_a_large_majority_needs_none() {
        let weights = Weights::even(5);
        let all = [says(0, "a"), says(1, "b"), says(2, "c")];
        assert_eq!(leader(&all, &weights, &[chose(2), chose(2)]), [2]);
        assert_eq!(leader(&all, &weights, &[chose(2)]), [2]);
        assert_eq!(leader(&all, &weights, &[chose(2), chose(1)]), [0], "a tie goes to the first");
        let all = [says(0, "a"), says(1, "b"), says(2, "b"), says(3, "b"), says(4, "b")];
        assert!(!judge_matters(&clusters(&all, &weights, &[]), &weights));
        assert!(judge_matters(&clusters(&all[..3], &weights, &[]), &weights));
    }

    #[test]
    fn the_same_model_again_counts_half() {
        let mut weights = Weights::even(4);
        weights.kin = vec![0, 1, 1, 1];
        let all = [says(0, "a"), says(1, "b"), says(2, "b")];
        let found = clusters(&all, &weights, &[]);
        assert!((found[0].prior - 1.5 * weight(PRIOR)).abs() < 1e-12);
    }

    #[test]
    fn a_vote_is_decided_when_the_rest_cannot_turn_it() {
        let weights = Weights::even(5);
        let at = |all: &[Candidate], open: &[usize]| decided(&clusters(all, &weights, &[]), &weights, open);
        let b = [says(0, "a"), says(1, "b"), says(2, "b"), says(3, "b")];
        assert!(at(&b, &[4]), "three of five");
        assert!(!at(&b[..3], &[3, 4]), "two of three, two open");
        let a = [says(0, "a"), says(1, "a"), says(2, "b")];
        assert!(at(&a, &[3]), "a tie would go to the first");
        let late = [says(1, "b"), says(2, "b"), says(3, "a")];
        assert!(!at(&late, &[0]), "the anchor could make it a tie and take it");
        assert!(!at(&[], &[0]));
    }

    #[test]
    fn confidence_sums_to_one_and_follows_the_evidence() {
        let all = [says(0, "a"), says(1, "b"), says(2, "b")];
        let found = confidence(&clusters(&all, &Weights::even(3), &[]));
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12 && found[0] > found[1]);
        assert!((found[0] / found[1] - weight(PRIOR).exp()).abs() < 1e-9);
    }
}
