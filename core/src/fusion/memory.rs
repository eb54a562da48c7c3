//! What a client has learnt from feedback on its runs: how often each model's answer was right, and each judge's verdict.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::types::{Feedback, ToolCall};

use super::callers::{Caller, Callers};
use super::extract::Reader;

/// Runs that feedback may still come for; the oldest is forgotten first.
const RUNS: usize = 1024;
/// How many outcomes a default is worth: few enough that some dozens move it, enough that one does not.
const STRENGTH: f64 = 10.0;

/// The memory of a client. Gone with it: what should last is measured with `calibrate` and configured.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    runs: VecDeque<(String, Remembered)>,
    members: BTreeMap<String, Tally>,
    judges: BTreeMap<String, Tally>,
    callers: Callers,
}

#[derive(Default, Clone, Copy)]
struct Tally {
    right: u32,
    seen: u32,
}

impl Tally {
    fn add(&mut self, right: bool) {
        self.right += u32::from(right);
        self.seen += 1;
    }

    /// The mean of a Beta distribution that starts at the default.
    fn chance(self, default: f64) -> f64 {
        (STRENGTH * default + f64::from(self.right)) / (STRENGTH + f64::from(self.seen))
    }
}

/// Who said what in a run.
pub(crate) struct Remembered {
    pub reader: Arc<Reader>,
    pub said: Vec<Said>,
    /// Key of the answer that was returned word for word.
    pub chosen: Option<String>,
    /// The judge's model and the key it chose in both orders.
    pub judged: Option<(String, String)>,
}

pub(crate) struct Said {
    pub id: String,
    pub model: String,
    pub key: String,
}

impl Memory {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chance that a model's answer is right.
    pub(crate) fn prior(&self, model: &str, default: f64) -> f64 {
        self.state().members.get(model).map_or(default, |t| t.chance(default))
    }

    /// The chance that a judge's verdict is right.
    pub(crate) fn trust(&self, model: &str, default: f64) -> f64 {
        self.state().judges.get(model).map_or(default, |t| t.chance(default))
    }

    /// Keeps who made these tool calls.
    pub(crate) fn called(&self, calls: &[ToolCall], caller: Caller) {
        self.state().callers.remember(calls, caller);
    }

    /// Who made these tool calls, as far as this client knows.
    pub(crate) fn caller(&self, calls: &[ToolCall]) -> Option<Caller> {
        self.state().callers.find(calls).cloned()
    }

    pub(crate) fn remember(&self, run_id: &str, run: Remembered) {
        let mut state = self.state();
        if state.runs.len() == RUNS {
            state.runs.pop_front();
        }
        state.runs.push_back((run_id.to_owned(), run));
    }

    /// Learns from what became of a run. A run counts once.
    ///
    /// # Errors
    /// `not_found` for a run that is not among the last 1024 of this client, or had its feedback; `invalid_request` for a
    /// member that gave no answer in it, or a merged answer's `right`, which says nothing about the members.
    pub(crate) fn feedback(&self, run_id: &str, outcome: &Feedback) -> Result<()> {
        let mut state = self.state();
        let Some(at) = state.runs.iter().position(|(id, _)| id == run_id) else {
            let message = format!("no run `{run_id}` waits for feedback; this client keeps its last {RUNS}, each once");
            return Err(Error::new(ErrorKind::NotFound, message).with_param("run_id"));
        };
        let run = &state.runs[at].1;
        let wrong = |why: &str| Err(Error::invalid_request(format!("`outcome`: {why}")).with_param("outcome"));
        // The key that is right, or else one that is known to be wrong.
        let (right, refuted) = match outcome {
            Feedback::Answer(gold) => (Some(format!("answer:{}", run.reader.gold(gold))), None),
            Feedback::Member(id) => match run.said.iter().find(|s| s.id == *id) {
                Some(said) => (Some(said.key.clone()), None),
                None => return wrong(&format!("`{id}` gave no answer in this run")),
            },
            Feedback::Right(is) => match (&run.chosen, is) {
                (Some(key), true) => (Some(key.clone()), None),
                (Some(key), false) => (None, Some(key.clone())),
                (None, _) => return wrong("the answer was merged; name the member whose answer was best"),
            },
        };
        let is_right = |key: &String| match (&right, &refuted) {
            (Some(right), _) => Some(key == right),
            (None, Some(refuted)) => (key == refuted).then_some(false),
            (None, None) => None,
        };
        let Some((_, run)) = state.runs.remove(at) else { return Ok(()) };
        for said in &run.said {
            if let Some(right) = is_right(&said.key) {
                state.members.entry(said.model.clone()).or_default().add(right);
            }
        }
        if let Some((judge, key)) = &run.judged
            && let Some(right) = is_right(key)
        {
            state.judges.entry(judge.clone()).or_default().add(right);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(memory: &Memory, id: &str, answers: &[(&str, &str)], judged: Option<&str>) {
        let said = answers.iter().map(|(model, key)| Said {
            id: format!("{model}-id"),
            model: (*model).to_owned(),
            key: format!("answer:{key}"),
        });
        let run = Remembered {
            reader: Arc::new(Reader::of_question("How many?")),
            said: said.collect(),
            chosen: Some(format!("answer:{}", answers[0].1)),
            judged: judged.map(|key| ("judge".to_owned(), format!("answer:{key}"))),
        };
        memory.remember(id, run);
    }

    #[test]
    fn a_known_answer_tells_who_was_right() {
        let memory = Memory::default();
        for i in 0..20 {
            run(&memory, &i.to_string(), &[("a", "1"), ("b", "2")], Some("2"));
            memory.feedback(&i.to_string(), &Feedback::Answer("2.0".to_owned())).unwrap();
        }
        assert!((memory.prior("a", 0.6) - 6.0 / 30.0).abs() < 1e-12);
        assert!((memory.prior("b", 0.6) - 26.0 / 30.0).abs() < 1e-12);
        assert!((memory.trust("judge", 0.7) - 27.0 / 30.0).abs() < 1e-12);
        assert_eq!(memory.prior("c", 0.6), 0.6, "nothing is known of it");
    }

    #[test]
    fn a_wrong_answer_says_nothing_about_the_others() {
        let memory = Memory::default();
        run(&memory, "r", &[("a", "1"), ("b", "2")], None);
        memory.feedback("r", &Feedback::Right(false)).unwrap();
        assert!(memory.prior("a", 0.6) < 0.6);
        assert_eq!(memory.prior("b", 0.6), 0.6);
        run(&memory, "s", &[("a", "1"), ("b", "2")], None);
        memory.feedback("s", &Feedback::Member("b-id".to_owned())).unwrap();
        assert!(memory.prior("b", 0.6) > 0.6);
    }

    #[test]
    fn feedback_counts_once_and_only_for_runs_that_were() {
        let memory = Memory::default();
        run(&memory, "r", &[("a", "1"), ("b", "2")], None);
        assert_eq!(
            memory.feedback("r", &Feedback::Member("x".to_owned())).unwrap_err().kind(),
            ErrorKind::InvalidRequest
        );
        memory.feedback("r", &Feedback::Right(true)).unwrap();
        assert_eq!(memory.feedback("r", &Feedback::Right(true)).unwrap_err().kind(), ErrorKind::NotFound);
        for i in 0..=RUNS {
            run(&memory, &format!("n{i}"), &[("a", "1"), ("b", "2")], None);
        }
        assert_eq!(memory.feedback("n0", &Feedback::Right(true)).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
