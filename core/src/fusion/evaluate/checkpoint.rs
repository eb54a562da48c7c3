//! The checkpoint of an evaluation: JSON lines, the first says of which evaluation, each further one is an item that is done.
//! A line is written in one piece; what an interrupted run left of its last line is taken away before going on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::types::ItemOutcome;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// Version of the form of the lines.
    interfuse_evaluation: u32,
    /// SHA-256 of what was asked of whom.
    evaluation: String,
}

const FORM: u32 = 1;

/// An item that is done. It has the fields of a labelled item too, so that `calibrate` reads it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Done {
    /// Place among the items; absent where a line only tells what was spent on items that could not be finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gold: Option<String>,
    /// The single models' texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, String>,
    /// Of each contender, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, ItemOutcome>,
    /// What was spent in all when it was done, with every earlier run.
    pub spent_nanos: u64,
    pub unknown_calls: u32,
}

/// The file, open for this run alone.
pub(super) struct Checkpoint(File);

impl Checkpoint {
    /// Opens or makes the file, and gives what stands in it; nothing while another evaluation has it open.
    ///
    /// # Errors
    /// `invalid_request` when it belongs to another evaluation or is none at all; `storage`.
    pub fn open(path: &str, evaluation: &str) -> Result<Option<(Checkpoint, Vec<Done>)>> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| storage(path, &e.to_string()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(storage(path, &e.to_string())),
        }
        let mut text = String::new();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| storage(path, &e.to_string()))?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        text.push_str(
            std::str::from_utf8(&bytes[..whole]).map_err(|_| refused(format!("`checkpoint`: {path} is no text")))?,
        );
        let done = read(path, &text, evaluation)?;
        if whole == 0
            && !bytes.is_empty()
            && !serde_json::to_string(&head(evaluation)).is_ok_and(|h| h.as_bytes().starts_with(&bytes))
        {
            return Err(refused(format!("`checkpoint`: {path} is not one; name a file that does not exist yet")));
        }
        file.set_len(whole as u64).map_err(|e| storage(path, &e.to_string()))?;
        file.seek(SeekFrom::End(0)).map_err(|e| storage(path, &e.to_string()))?;
        let mut checkpoint = Checkpoint(file);
        if text.is_empty() {
            checkpoint.line(&head(evaluation))?;
        }
        Ok(Some((checkpoint, done)))
    }

    fn line<T: Serialize>(&mut self, value: &T) -> Result<()> {
        let mut line = serde_json::to_string(value).map_err(|e| storage("the checkpoint", &e.to_string()))?;
        line.push('\n');
        let written = self.0.write_all(line.as_bytes()).and_then(|()| self.0.sync_data());
        written.map_err(|e| storage("the checkpoint", &e.to_string()))
    }
}

/// The file while an evaluation runs. When that ends, or is dropped, it also holds what was spent on items that were not
/// finished, so that a cap holds over all runs.
pub(super) struct Keeping<S: Fn() -> (u64, u32)> {
    file: Checkpoint,
    /// Nano-USD and calls of unknown cost, as the last line has them.
    written: (u64, u32),
    spent: S,
}

impl<S: Fn() -> (u64, u32)> Keeping<S> {
    pub fn new(file: Checkpoint, written: (u64, u32), spent: S) -> Self {
        Keeping { file, written, spent }
    }

    /// Appends an item, with what is spent by now.
    ///
    /// # Errors
    /// `storage`.
    pub fn append(&mut self, done: &Done) -> Result<()> {
        let spent = (self.spent)();
        self.file.line(&Done { spent_nanos: spent.0, unknown_calls: spent.1, ..done.clone() })?;
        self.written = spent;
        Ok(())
    }

    /// Appends what is spent, if no line says it yet.
    ///
    /// # Errors
    /// `storage`.
    pub fn end(mut self) -> Result<()> {
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        if (self.spent)() == self.written { Ok(()) } else { self.append(&Done::default()) }
    }
}

impl<S: Fn() -> (u64, u32)> Drop for Keeping<S> {
    fn drop(&mut self) {
        // Whoever dropped the evaluation cannot be told.
        let _ = self.settle();
    }
}

fn head(evaluation: &str) -> Head {
    Head { interfuse_evaluation: FORM, evaluation: evaluation.to_owned() }
}

/// The items in whole lines.
fn read(path: &str, text: &str, evaluation: &str) -> Result<Vec<Done>> {
    let mut lines = text.lines();
    let Some(first) = lines.next() else { return Ok(Vec::new()) };
    let head: Head = serde_json::from_str(first)
        .map_err(|_| refused(format!("`checkpoint`: {path} is not one; name a file that does not exist yet")))?;
    if head.interfuse_evaluation != FORM {
        return Err(refused(format!("`checkpoint`: {path} has form {}, not {FORM}", head.interfuse_evaluation)));
    }
    if head.evaluation != evaluation {
        return Err(refused(format!(
            "`checkpoint`: {path} belongs to another evaluation: items, models, fusions or their options differ; name another file"
        )));
    }
    let row = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| refused(format!("`checkpoint`: line {} of {path}: {e}", i + 2)))
    };
    lines.enumerate().map(row).collect()
}

fn refused(message: String) -> Error {
    Error::invalid_request(message).with_param("checkpoint")
}

fn storage(path: &str, why: &str) -> Error {
    Error::new(ErrorKind::Storage, format!("{path}: {why}")).with_param("checkpoint")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(item: usize) -> Done {
        Done {
            item: Some(item),
            prompt: Some("How many?\nOr none?".to_owned()),
            gold: Some("4".to_owned()),
            answers: BTreeMap::from([("a/m".to_owned(), "#### 4".to_owned())]),
            outcomes: BTreeMap::from([("a/m".to_owned(), ItemOutcome { right: Some(true), ..Default::default() })]),
            spent_nanos: 7,
            unknown_calls: 0,
        }
    }

    fn opened(path: &str, evaluation: &str) -> (Checkpoint, Vec<Done>) {
        Checkpoint::open(path, evaluation).unwrap().unwrap()
    }

    #[test]
    fn whatever_a_run_left_of_its_last_line_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let name = path.to_str().unwrap();
        let (mut file, none) = opened(name, "h");
        assert_eq!(none, []);
        assert!(Checkpoint::open(name, "h").unwrap().is_none(), "two at once");
        file.line(&done(0)).unwrap();
        file.line(&done(3)).unwrap();
        drop(file);
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut file, items) = opened(name, "h");
            let kept = ends.iter().filter(|e| **e <= cut).count().saturating_sub(1);
            assert_eq!(items, [done(0), done(3)][..kept], "cut after {cut} bytes");
            file.line(&done(5)).unwrap();
            drop(file);
            assert_eq!(opened(name, "h").1.last(), Some(&done(5)), "cut after {cut} bytes");
        }
    }

    #[test]
    fn what_was_spent_is_kept_however_a_run_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let name = path.to_str().unwrap();
        let spent = std::cell::Cell::new((0, 0));
        let mut kept = Keeping::new(opened(name, "h").0, (0, 0), || spent.get());
        spent.set((7, 0));
        kept.append(&done(0)).unwrap();
        drop(kept);
        assert_eq!(opened(name, "h").1, [done(0)], "nothing was spent since");
        let kept = Keeping::new(opened(name, "h").0, (7, 0), || spent.get());
        spent.set((12, 2));
        drop(kept);
        let last = opened(name, "h").1.pop().unwrap();
        assert_eq!((last.item, last.spent_nanos, last.unknown_calls), (None, 12, 2));
    }

    #[test]
    fn files_of_others_are_refused_and_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let name = path.to_str().unwrap();
        drop(opened(name, "one"));
        for text in [std::fs::read_to_string(&path).unwrap(), "my notes".to_owned(), "my\nnotes\n".to_owned()] {
            std::fs::write(&path, &text).unwrap();
            let error = Checkpoint::open(name, "other").err().unwrap();
            assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some("checkpoint")));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn calibration_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let (mut file, _) = opened(path.to_str().unwrap(), "h");
        (0..4).for_each(|i| file.line(&done(i)).unwrap());
        let items = crate::fusion::labelled(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let found = crate::fusion::calibrate(&items);
        assert_eq!((found.counted, found.models[0].right), (4, 4));
    }
}
