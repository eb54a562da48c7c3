//! One place where answers differ: what stands there, who says so, and which of it is kept.

use std::sync::Arc;

use serde_json::Value;

use crate::fusion::candidate::Candidate;
use crate::fusion::evidence::{self, Weights};
use crate::fusion::verdict::{self, Verdict};
use crate::fusion::{agreement, canonical, shield};
use crate::types::{AssistantMessage, FieldReport, FieldSupport};

/// What the candidates say at one place.
pub(super) struct Decision {
    /// Its number among all decisions.
    pub id: usize,
    /// Where it is, in words for a judge: a JSON pointer in which an entry of a list stands by what tells it apart.
    pub path: String,
    voices: Vec<Voice>,
    /// As the evidence sees them: a voice each.
    seen: Vec<Candidate>,
    /// Three or more numbers that need not be equal to be right: their middle is taken.
    measured: bool,
}

struct Voice {
    /// Place among the candidates.
    candidate: usize,
    /// `None`: it says nothing there.
    value: Option<Value>,
}

/// One of the answers to choose from.
pub(super) struct Choice<'a> {
    /// Place among the candidates of the first who gives it.
    pub candidate: usize,
    /// `None`: nothing stands there.
    pub value: Option<&'a Value>,
    /// It speaks to the judge.
    pub instructs_judge: bool,
}

/// What was decided.
pub(super) struct Decided {
    pub value: Option<Value>,
    pub report: FieldReport,
}

impl Decision {
    /// Between the values that candidates give.
    pub fn new(id: usize, path: String, says: &[(usize, Option<&Value>)], candidates: &[Candidate]) -> Self {
        let mut seen: Vec<Candidate> = says.iter().map(|(i, value)| heard(&candidates[*i], *value)).collect();
        agreement::group_alike(&mut seen);
        let numbers = || says.iter().filter_map(|(_, value)| value.and_then(Value::as_f64));
        let measured = says.len() >= 3 && numbers().count() == says.len() && numbers().any(|n| n.fract() != 0.0);
        Decision { id, path, voices: voices(says), seen, measured }
    }

    /// Whether there is anything there at all; what, is another decision.
    pub fn of_presence(id: usize, path: String, says: &[(usize, Option<&Value>)], candidates: &[Candidate]) -> Self {
        let seen = says.iter().map(|(i, value)| Candidate {
            key: if value.is_some() { "there" } else { NOTHING }.to_owned(),
            ..heard(&candidates[*i], None)
        });
        Decision { id, path, voices: voices(says), seen: seen.collect(), measured: false }
    }

    /// Whether a judge could change what stands there.
    pub fn is_open(&self, weights: &Weights) -> bool {
        self.median(weights).is_none()
            && evidence::judge_matters(&evidence::clusters(&self.seen, weights, &[]), weights)
    }

    /// What there is to choose from, each under its first candidate, in the pool's order.
    pub fn choices(&self) -> Vec<Choice<'_>> {
        let first = |i: &usize| self.seen[..*i].iter().all(|c| c.key != self.seen[*i].key);
        let choice = |i: usize| Choice {
            candidate: self.voices[i].candidate,
            value: self.voices[i].value.as_ref(),
            instructs_judge: self.seen[i].instructs_judge,
        };
        (0..self.voices.len()).filter(first).map(choice).collect()
    }

    /// The verdict for what a candidate says there; `None` when it says nothing.
    pub fn verdict(&self, candidate: usize) -> Option<Verdict> {
        let best = self.voices.iter().position(|v| v.candidate == candidate)?;
        Some(Verdict { best, scores: Vec::new(), reason: None })
    }

    /// Decides. `names` are those of the candidates.
    pub fn decide(&self, weights: &Weights, verdicts: &[Verdict], names: &[String]) -> Decided {
        let (kept, method) = match self.median(weights) {
            Some(middle) => (middle, "median"),
            None => self.chosen(weights, verdicts),
        };
        Decided {
            value: self.voices[kept].value.clone(),
            report: FieldReport { pointer: String::new(), method: method.to_owned(), said: self.support(kept, names) },
        }
    }

    fn chosen(&self, weights: &Weights, verdicts: &[Verdict]) -> (usize, &'static str) {
        let choice = verdict::decide(&self.seen, weights, verdicts);
        let backers = |i: usize| self.seen.iter().filter(|c| c.key == self.seen[i].key).count();
        // What speaks to the judge and stands alone does not win by the judge's word.
        if choice.method == "judge" && self.seen[choice.index].instructs_judge && backers(choice.index) == 1 {
            return self.chosen(weights, &[]);
        }
        let method = match choice.method {
            "evidence" if choice.clusters.first().is_some_and(|c| !c.candidates.contains(&choice.index)) => "medoid",
            "evidence" if backers(choice.index) > 1 => "vote",
            "evidence" => "prior",
            other => other,
        };
        (choice.index, method)
    }

    /// The weighted median of measured values, of which no two are equal: the first at which half of the weight is reached.
    fn median(&self, weights: &Weights) -> Option<usize> {
        let alone = |i: usize| self.seen.iter().filter(|c| c.key == self.seen[i].key).count() == 1;
        if !self.measured || !(0..self.seen.len()).all(alone) {
            return None;
        }
        let number = |i: usize| self.voices[i].value.as_ref().and_then(Value::as_f64).unwrap_or_default();
        let weight = |i: usize| weights.members.get(self.seen[i].member).copied().unwrap_or_default();
        let mut order: Vec<usize> = (0..self.voices.len()).collect();
        order.sort_by(|a, b| number(*a).total_cmp(&number(*b)));
        let half = order.iter().map(|i| weight(*i)).sum::<f64>() / 2.0;
        let mut below = 0.0;
        order.into_iter().find(|i| {
            below += weight(*i);
            !evidence::more(half, below)
        })
    }

    /// Every value with who gives it, the kept one first.
    fn support(&self, kept: usize, names: &[String]) -> Vec<FieldSupport> {
        let mut firsts: Vec<usize> = vec![kept];
        for i in 0..self.seen.len() {
            if firsts.iter().all(|f| self.seen[*f].key != self.seen[i].key) {
                firsts.push(i);
            }
        }
        let row = |first: usize| FieldSupport {
            value: self.voices[first].value.clone(),
            members: (0..self.seen.len())
                .filter(|i| self.seen[*i].key == self.seen[first].key)
                .map(|i| names[self.voices[i].candidate].clone())
                .collect(),
        };
        firsts.into_iter().map(row).collect()
    }
}

/// Key of what is not there.
const NOTHING: &str = "nothing";

fn voices(says: &[(usize, Option<&Value>)]) -> Vec<Voice> {
    says.iter().map(|(candidate, value)| Voice { candidate: *candidate, value: value.cloned() }).collect()
}

/// A value in the place of its candidate's whole answer.
fn heard(candidate: &Candidate, value: Option<&Value>) -> Candidate {
    let (key, text) = match value {
        None => (NOTHING.to_owned(), None),
        Some(Value::String(text)) => (format!("text:{}", folded(text)), Some(text.clone())),
        Some(other) => (format!("json:{}", canonical::json(other)), None),
    };
    let instructs_judge = match value {
        Some(Value::String(text)) => shield::instructs_judge(text),
        Some(other @ (Value::Array(_) | Value::Object(_))) => shield::instructs_judge(&other.to_string()),
        _ => false,
    };
    Candidate {
        member: candidate.member,
        revised: candidate.revised,
        // Only texts can be alike without being equal.
        closed: text.is_none(),
        message: AssistantMessage { content: text, ..Default::default() },
        finish_reason: None,
        key,
        voters: candidate.voters.clone(),
        truncated: candidate.truncated,
        instructs_judge,
        repaired: false,
        pieces: Arc::default(),
        gist: Arc::default(),
    }
}

/// A text in which case, space and the final stop do not count, unless it holds a figure: then it may be a code.
pub(super) fn folded(text: &str) -> String {
    let text = text.trim();
    if text.bytes().any(|b| b.is_ascii_digit()) || text.contains('\n') {
        return text.to_owned();
    }
    let text = text.trim_end_matches('.');
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
