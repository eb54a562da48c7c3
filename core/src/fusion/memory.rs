//! What a client has learnt from feedback on its runs: how often each model's answer was right, and each judge's verdict.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::types::{Feedback, ToolCall};

use super::callers::{Caller, Callers};
use super::extract::Reader;
use super::memory_file::{Learnt, MemoryFile};

/// Runs that feedback may still come for; the oldest is forgotten first.
const RUNS: usize = 1024;
/// How many outcomes a default is worth: few enough that some dozens move it, enough that one does not.
const STRENGTH: f64 = 10.0;

/// The memory of a client. Gone with it, unless the configuration names a file (`fusion.memory`): then what was learnt lasts,
/// and is shared with every client that names the same.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
    /// Apart from the rest, which no run waits for while somebody writes.
    file: Option<Mutex<MemoryFile>>,
}

#[derive(Default)]
struct State {
    runs: VecDeque<(String, Remembered)>,
    learnt: Learnt,
    callers: Callers,
}

/// Of how many answers it is known whether they were right, and how many were.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub right: u32,
    pub seen: u32,
}

impl Tally {
    fn add(&mut self, right: bool) {
        self.count(Tally { right: u32::from(right), seen: 1 });
    }

    pub fn count(&mut self, more: Tally) {
        self.right = self.right.saturating_add(more.right);
        self.seen = self.seen.saturating_add(more.seen);
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
    /// A memory that lasts in the file at `path`, where one is named.
    ///
    /// # Errors
    /// `storage` for a file that cannot be read, holds something else, or was written by a newer version.
    pub fn open(path: Option<&str>) -> Result<Memory> {
        let Some(path) = path else { return Ok(Memory::default()) };
        let mut file = MemoryFile::new(path);
        let learnt = file.changed()?.unwrap_or_default();
        Ok(Memory { state: Mutex::new(State { learnt, ..State::default() }), file: Some(Mutex::new(file)) })
    }

    /// Takes in what others have added to the file since it was last read. A run does not depend on it: a file that cannot be
    /// read, or that this client is writing, leaves what is known as it is.
    pub(crate) fn refresh(&self) {
        let Some(file) = &self.file else { return };
        let Ok(mut file) = file.try_lock() else { return };
        if let Ok(Some(learnt)) = file.changed() {
            self.state().learnt = learnt;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chance that a model's answer is right.
    pub(crate) fn prior(&self, model: &str, default: f64) -> f64 {
        self.state().learnt.members.get(model).map_or(default, |t| t.chance(default))
    }

    /// The chance that a judge's verdict is right.
    pub(crate) fn trust(&self, model: &str, default: f64) -> f64 {
        self.state().learnt.judges.get(model).map_or(default, |t| t.chance(default))
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
    /// member that gave no answer in it, or a merged answer's `right`, which says nothing about the members; `storage` when
    /// the file cannot be written, and the run then still waits for its feedback.
    pub(crate) fn feedback(&self, run_id: &str, outcome: &Feedback) -> Result<()> {
        // It is out of the list while the file is written, so that it counts once whoever else tells of it.
        let (run, more) = {
            let mut state = self.state();
            let Some(at) = state.runs.iter().position(|(id, _)| id == run_id) else {
                let message =
                    format!("no run `{run_id}` waits for feedback; this client keeps its last {RUNS}, each once");
                return Err(Error::new(ErrorKind::NotFound, message).with_param("run_id"));
            };
            let more = state.runs[at].1.shown(outcome)?;
            (state.runs.remove(at), more)
        };
        let Some(file) = &self.file else {
            self.state().learnt.add(&more);
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = file.add(&more);
        let mut state = self.state();
        match kept {
            Ok(learnt) => state.learnt = learnt,
            Err(e) => {
                state.runs.extend(run);
                return Err(e);
            }
        }
        Ok(())
    }
}

impl Remembered {
    /// What the outcome shows of who was right.
    fn shown(&self, outcome: &Feedback) -> Result<Learnt> {
        let wrong = |why: &str| Err(Error::invalid_request(format!("`outcome`: {why}")).with_param("outcome"));
        // The key that is right, or else one that is known to be wrong.
        let (right, refuted) = match outcome {
            Feedback::Answer(gold) => (Some(format!("answer:{}", self.reader.gold(gold))), None),
            Feedback::Member(id) => match self.said.iter().find(|s| s.id == *id) {
                Some(said) => (Some(said.key.clone()), None),
                None => return wrong(&format!("`{id}` gave no answer in this run")),
            },
            Feedback::Right(is) => match (&self.chosen, is) {
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
        let mut more = Learnt::default();
        for said in &self.said {
            if let Some(right) = is_right(&said.key) {
                more.members.entry(said.model.clone()).or_default().add(right);
            }
        }
        if let Some((judge, key)) = &self.judged
            && let Some(right) = is_right(key)
        {
            more.judges.entry(judge.clone()).or_default().add(right);
        }
        Ok(more)
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
    fn what_was_learnt_lasts_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        let path = path.to_str();
        let (first, second) = (Memory::open(path).unwrap(), Memory::open(path).unwrap());
        for (i, memory) in [&first, &second, &first].into_iter().enumerate() {
            run(memory, &i.to_string(), &[("a", "1"), ("b", "2")], None);
            memory.feedback(&i.to_string(), &Feedback::Answer("2".to_owned())).unwrap();
        }
        assert!((first.prior("b", 0.6) - 9.0 / 13.0).abs() < 1e-12);
        assert!((second.prior("b", 0.6) - 8.0 / 12.0).abs() < 1e-12, "it has not looked since");
        second.refresh();
        assert_eq!(second.prior("b", 0.6), first.prior("b", 0.6));
        assert_eq!(Memory::open(path).unwrap().prior("a", 0.6), first.prior("a", 0.6));
    }

    #[test]
    fn what_cannot_be_kept_can_be_told_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("later");
        let memory = Memory::open(home.join("memory.json").to_str()).unwrap();
        run(&memory, "r", &[("a", "1"), ("b", "2")], None);
        assert_eq!(memory.feedback("r", &Feedback::Right(true)).unwrap_err().kind(), ErrorKind::Storage);
        assert_eq!(memory.prior("a", 0.6), 0.6);
        std::fs::create_dir(home).unwrap();
        memory.feedback("r", &Feedback::Right(true)).unwrap();
        assert!(memory.prior("a", 0.6) > 0.6);
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
