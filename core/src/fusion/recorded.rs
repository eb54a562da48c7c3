//! Decisions over recorded answers, by the same code that runs live: what a mode would have returned, and after how many
//! calls. For replays, calibration and evaluation; nothing is sent.

use crate::types::{AssistantMessage, FusionMode};

use super::agreement;
use super::candidate::Candidate;
use super::evidence::{self, Weights};
use super::extract::Reader;
use super::strategy::{self, Standing};
use super::verdict::{self, Verdict};

/// The closed answer in a text, in one spelling; `None` when there is none.
pub fn read(question: &str, text: &str) -> Option<String> {
    Reader::of_question(question).read(text)
}

/// A known answer, in the spelling of [`read`].
pub fn gold(question: &str, gold: &str) -> String {
    Reader::of_question(question).gold(gold)
}

/// What a run over recorded answers came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// Place of the member whose answer is returned; `None` when nobody has one.
    pub chosen: Option<usize>,
    /// Members asked.
    pub calls: usize,
}

/// Plays a mode over closed answers (`None`: nothing could be read out of the member's text), which come in the pool's order; a judge is never
/// asked. `priors` are the members' chances to be right; without them all count alike.
pub fn play(mode: FusionMode, answers: &[Option<&str>], priors: Option<&[f64]>) -> Played {
    let strategy = strategy::of(mode);
    let seats = answers.len();
    if seats == 0 {
        return Played { chosen: None, calls: 0 };
    }
    let weights = weights(seats, priors);
    let (mut asked, mut heard) = (strategy.opening(seats).clamp(1, seats), 0);
    let mut candidates: Vec<Candidate> = Vec::new();
    loop {
        let open: Vec<usize> = (heard..asked).collect();
        let unasked = seats - asked;
        let standing =
            Standing { candidates: &candidates, weights: &weights, seats, open: &open, unasked, patient: true };
        if !candidates.is_empty() && strategy.enough(&standing) {
            break;
        }
        if heard < asked {
            candidates.extend(answers[heard].map(|answer| candidate(heard, answer)));
            heard += 1;
        } else if unasked > 0 {
            asked += strategy.more(&standing).clamp(1, unasked);
        } else {
            break;
        }
    }
    if mode == FusionMode::Cascade && asked == seats {
        // Whom a cascade escalates to decides, even with a text out of which nothing can be read.
        return Played { chosen: Some(seats - 1), calls: heard };
    }
    let chosen = match candidates.as_slice() {
        [] => None,
        [only] => Some(only.member),
        all if agreement::all_agree(all) => Some(all[0].member),
        all => Some(all[strategy.without_judge(all, &weights).index].member),
    };
    Played { chosen, calls: heard }
}

/// The choice of `best_of` among `candidates` different answers, given a judge's verdicts (places of the best, in the one
/// order and the other; `None`: it named none). `trust` is the judge's, where it was measured.
pub fn best_of(candidates: usize, verdicts: &[Option<usize>], priors: Option<&[f64]>, trust: Option<f64>) -> usize {
    let all: Vec<Candidate> = (0..candidates).map(|i| candidate(i, &i.to_string())).collect();
    let heard = verdicts.iter().flatten().filter(|best| **best < candidates);
    let verdicts: Vec<Verdict> =
        heard.map(|best| Verdict { best: *best, scores: vec![None; candidates], reason: None }).collect();
    let mut weights = weights(candidates, priors);
    if let Some(trust) = trust {
        weights.judge = evidence::log_odds(trust).max(0.0);
    }
    verdict::decide(&all, &weights, &verdicts).index
}

fn candidate(member: usize, answer: &str) -> Candidate {
    let mut candidate = Candidate::new(member, AssistantMessage::default(), None);
    (candidate.key, candidate.closed) = (format!("answer:{answer}"), true);
    candidate
}

fn weights(seats: usize, priors: Option<&[f64]>) -> Weights {
    let prior = |i: usize| priors.and_then(|p| p.get(i)).copied().unwrap_or(evidence::PRIOR);
    Weights {
        members: (0..seats).map(|i| evidence::weight(prior(i))).collect(),
        kin: (0..seats).collect(),
        judge: evidence::log_odds(evidence::TRUST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(mode: FusionMode, answers: &[&str]) -> (Option<usize>, usize) {
        let answers: Vec<Option<&str>> = answers.iter().map(|a| Some(*a).filter(|a| !a.is_empty())).collect();
        let played = play(mode, &answers, None);
        (played.chosen, played.calls)
    }

    #[test]
    fn auto_stops_when_two_agree() {
        use FusionMode::Auto;
        assert_eq!(played(Auto, &["a", "a", "b"]), (Some(0), 2));
        assert_eq!(played(Auto, &["a", "b", "b", "a"]), (Some(1), 3));
        assert_eq!(played(Auto, &["a", "b", "c", "d"]), (Some(0), 4), "nobody agrees: the anchor");
        assert_eq!(played(Auto, &["", "b", "", "c"]), (Some(1), 4), "the first that has an answer");
        assert_eq!(played(Auto, &["", ""]), (None, 2));
        assert_eq!(played(Auto, &["a"]), (Some(0), 1));
    }

    #[test]
    fn a_vote_ends_when_it_is_decided() {
        use FusionMode::Vote;
        assert_eq!(played(Vote, &["a", "a", "a", "b", "b"]), (Some(0), 3));
        assert_eq!(played(Vote, &["b", "a", "a", "b"]), (Some(0), 4), "a tie goes to the first");
        assert_eq!(played(Vote, &["", "b", "a", "a"]), (Some(2), 4));
    }

    #[test]
    fn early_stops_never_change_the_outcome_of_a_vote() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..3000 {
            let answers: Vec<String> = (0..rng.usize(1..8)).map(|_| rng.u8(0..3).to_string()).collect();
            let keys: Vec<Option<&str>> = answers.iter().map(|a| Some(a.as_str())).collect();
            let most = |a: &str| answers.iter().filter(|b| *b == a).count();
            let top = answers.iter().map(|a| most(a)).max().unwrap();
            let first = answers.iter().position(|a| most(a) == top).unwrap();
            assert_eq!(play(FusionMode::Vote, &keys, None).chosen, Some(first), "{answers:?}");
        }
    }

    #[test]
    fn a_cascade_asks_the_strong_one_only_when_the_others_differ() {
        use FusionMode::Cascade;
        assert_eq!(played(Cascade, &["a", "a", "s"]), (Some(0), 2));
        assert_eq!(played(Cascade, &["a", "b", "s"]), (Some(2), 3));
        assert_eq!(played(Cascade, &["a", "", "s"]), (Some(2), 3), "no answer is no agreement");
        assert_eq!(played(Cascade, &["a", "b", ""]), (Some(2), 3), "nothing can be read out of the strong one's text");
    }

    #[test]
    fn verdicts_that_follow_the_order_leave_the_choice_to_the_priors() {
        assert_eq!(best_of(2, &[Some(1), Some(1)], None, None), 1);
        assert_eq!(best_of(2, &[Some(1), Some(0)], None, None), 0);
        assert_eq!(best_of(2, &[Some(1), Some(0)], Some(&[0.6, 0.7]), None), 1);
        assert_eq!(best_of(3, &[None, Some(2)], None, None), 2);
    }
}
