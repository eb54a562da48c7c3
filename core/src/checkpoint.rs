//! Files that long work goes on from: JSON lines, the first says of which work, each further one is a piece that is done and
//! what was spent by then. A line is written in one piece; what an interrupted run left of its last line is never read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::error::{Error, ErrorKind, Result};

/// What a checkpoint is of.
pub(crate) struct Kind {
    /// One word for the work, as it stands in the file and in messages.
    pub name: &'static str,
    /// What differs when a file is of another work of the kind.
    pub differs: &'static str,
    /// How often what was written is made safe from a loss of power. A process that dies loses no whole line.
    pub sync: Duration,
}

const FORM: u64 = 1;
/// No first line of ours is longer.
const LONGEST_HEAD: u64 = 1024;
/// How long a file is waited for that a run still has which was cancelled a moment ago.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was spent: nano-USD, and calls of unknown cost.
pub(crate) type Spent = (u64, u32);

/// A line with what was spent when it was written, with every earlier run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept<T> {
    #[serde(flatten)]
    pub line: T,
    pub spent_nanos: u64,
    pub unknown_calls: u32,
}

/// Where a line stands in its file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    at: u64,
    length: usize,
}

/// Who hears the whole lines of a file after the first.
pub(crate) type Hearing<'a> = &'a mut (dyn FnMut(Span, &str) -> serde_json::Result<()> + Send);

/// The file, open for this run alone.
pub(crate) struct Checkpoint {
    file: File,
    path: String,
    /// Bytes of whole lines.
    whole: u64,
    sync: Duration,
    synced: Instant,
    /// A line could not be written, so that no further one may follow.
    failed: bool,
}

impl Checkpoint {
    /// Opens or makes the file of the work that `of` stands for.
    ///
    /// # Errors
    /// `invalid_request` when it belongs to another work or is none at all, or when another run is writing to it; `storage`.
    pub async fn open(path: &str, kind: &Kind, of: &str, each: Hearing<'_>) -> Result<Checkpoint> {
        let until = Instant::now() + PATIENCE;
        loop {
            match Checkpoint::try_open(path, kind, of, &mut *each)? {
                Some(opened) => return Ok(opened),
                None if Instant::now() < until => sleep(PATIENCE / 50).await,
                None => return Err(refused(format!("another {} is writing to {path}", kind.name))),
            }
        }
    }

    /// The same; nothing while another run has it open.
    fn try_open(path: &str, kind: &Kind, of: &str, each: Hearing<'_>) -> Result<Option<Checkpoint>> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let file = options.open(path).map_err(|e| storage(path, &e.to_string()))?;
        if !file.metadata().is_ok_and(|of| of.is_file()) {
            return Err(refused(format!("{path} is no ordinary file; name one that does not exist yet")));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(storage(path, &e.to_string())),
        }
        let head = head(kind, of);
        let whole = read(path, &file, kind, &head, each)?;
        let (sync, synced) = (kind.sync, Instant::now());
        let mut opened = Checkpoint { file, path: path.to_owned(), whole, sync, synced, failed: false };
        opened.file.set_len(whole).map_err(|e| storage(path, &e.to_string()))?;
        if whole == 0 {
            opened.line(&head)?;
        }
        Ok(Some(opened))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// `storage`; what was there stays whole, and nothing more is written.
    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        if self.failed {
            return Err(self.failure("it could not be written to before"));
        }
        let mut line = serde_json::to_vec(value).map_err(|e| self.failure(&e.to_string()))?;
        line.push(b'\n');
        let written = self.file.seek(SeekFrom::Start(self.whole)).and_then(|_| self.file.write_all(&line));
        if let Err(e) = written {
            self.failed = true;
            // A full disk takes half a line and still lets it be cut off; if not, opening does it.
            let _ = self.file.set_len(self.whole);
            return Err(self.failure(&e.to_string()));
        }
        self.whole += line.len() as u64;
        if self.synced.elapsed() >= self.sync { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        self.synced = Instant::now();
        self.file.sync_data().map_err(|e| self.failure(&e.to_string()))
    }

    fn failure(&self, why: &str) -> Error {
        storage(&self.path, why)
    }
}

/// The file while work goes on. When that ends, or is dropped, it also holds what was spent on pieces that were not
/// finished, so that a cap holds over all runs.
pub(crate) struct Keeping<S: Fn() -> Spent> {
    file: Checkpoint,
    /// As the last line has it.
    written: Spent,
    spent: S,
}

impl<S: Fn() -> Spent> Keeping<S> {
    pub fn new(file: Checkpoint, written: Spent, spent: S) -> Self {
        Keeping { file, written, spent }
    }

    /// Appends a piece, with what is spent by now.
    ///
    /// # Errors
    /// `storage`.
    pub fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let spent = (self.spent)();
        self.file.line(&Kept { line, spent_nanos: spent.0, unknown_calls: spent.1 })?;
        self.written = spent;
        Ok(())
    }

    /// A line's text.
    ///
    /// # Errors
    /// `storage`.
    pub fn read(&mut self, span: Span) -> Result<String> {
        let file = &mut self.file.file;
        let mut bytes = vec![0; span.length];
        let read = file.seek(SeekFrom::Start(span.at)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|e| self.file.failure(&e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| self.file.failure(&e.to_string()))
    }

    /// Appends what is spent, if no line says it yet, and makes everything safe.
    ///
    /// # Errors
    /// `storage`.
    pub fn end(mut self) -> Result<()> {
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        /// A line that only tells what was spent.
        #[derive(Serialize)]
        struct Nothing {}

        if (self.spent)() != self.written {
            self.append(&Nothing {})?;
        }
        self.file.sync()
    }
}

impl<S: Fn() -> Spent> Drop for Keeping<S> {
    fn drop(&mut self) {
        // Whoever dropped the work cannot be told.
        let _ = self.settle();
    }
}

/// The first line.
fn head(kind: &Kind, of: &str) -> serde_json::Value {
    serde_json::json!({ format!("interfuse_{}", kind.name): FORM, kind.name: of })
}

/// Tells the whole lines; gives how many bytes they take.
fn read(path: &str, file: &File, kind: &Kind, head: &serde_json::Value, each: Hearing<'_>) -> Result<u64> {
    let none = || refused(format!("{path} is not one; name a file that does not exist yet"));
    let mut reader = BufReader::new(file);
    let (mut line, mut number, mut whole) = (Vec::new(), 0, 0u64);
    loop {
        line.clear();
        let most = if number == 0 { LONGEST_HEAD } else { u64::MAX };
        let read = reader.by_ref().take(most).read_until(b'\n', &mut line);
        read.map_err(|e| storage(path, &e.to_string()))?;
        if line.last() != Some(&b'\n') {
            break;
        }
        number += 1;
        let length = line.len() - 1;
        let text = std::str::from_utf8(&line[..length]).map_err(|_| refused(format!("{path} is no text")))?;
        match number {
            1 => check(path, text, kind, head).map_err(|other| other.unwrap_or_else(none))?,
            _ => each(Span { at: whole, length }, text)
                .map_err(|e| refused(format!("line {number} of {path}: {}", crate::types::unplaced(&e))))?,
        }
        whole += line.len() as u64;
    }
    // The beginning of a first line, or somebody's text.
    if number == 0 && !line.is_empty() && !head.to_string().as_bytes().starts_with(&line) {
        return Err(none());
    }
    Ok(whole)
}

/// Whether a first line is that of the work; `Err(None)` when it is no first line.
fn check(path: &str, text: &str, kind: &Kind, head: &serde_json::Value) -> std::result::Result<(), Option<Error>> {
    let found: serde_json::Value = serde_json::from_str(text).map_err(|_| None)?;
    let form = found.get(format!("interfuse_{}", kind.name)).ok_or(None)?;
    if form.as_u64() != Some(FORM) {
        return Err(Some(refused(format!("{path} has form {form}, not {FORM}"))));
    }
    if found != *head {
        let Kind { name, differs, .. } = kind;
        return Err(Some(refused(format!("{path} belongs to another {name}: {differs}; name another file"))));
    }
    Ok(())
}

fn refused(message: String) -> Error {
    Error::invalid_request(format!("`checkpoint`: {message}")).with_param("checkpoint")
}

fn storage(path: &str, why: &str) -> Error {
    let message =
        format!("the checkpoint {path}: {why}; make room or rights for it and run again, what it holds is kept");
    Error::new(ErrorKind::Storage, message).with_param("checkpoint")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { name: "evaluation", differs: "items differ", sync: Duration::ZERO };

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    struct Piece {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    }

    fn piece(item: usize) -> Piece {
        Piece { item: Some(item), text: "How many?\nOr none?".to_owned() }
    }

    fn kept(item: usize) -> Kept<Piece> {
        Kept { line: piece(item), spent_nanos: 7, unknown_calls: 0 }
    }

    fn try_open(path: &str, of: &str) -> Result<Option<(Checkpoint, Vec<Kept<Piece>>)>> {
        let mut lines = Vec::new();
        let opened = Checkpoint::try_open(path, &KIND, of, &mut |_, text| {
            lines.push(serde_json::from_str(text)?);
            Ok(())
        })?;
        Ok(opened.map(|file| (file, lines)))
    }

    fn opened(path: &str, of: &str) -> (Checkpoint, Vec<Kept<Piece>>) {
        try_open(path, of).unwrap().unwrap()
    }

    #[test]
    fn whatever_a_run_left_of_its_last_line_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let name = path.to_str().unwrap();
        let (mut file, none) = opened(name, "h");
        assert_eq!(none, []);
        assert!(try_open(name, "h").unwrap().is_none(), "two at once");
        file.line(&kept(0)).unwrap();
        file.line(&kept(3)).unwrap();
        drop(file);
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut file, items) = opened(name, "h");
            let count = ends.iter().filter(|e| **e <= cut).count().saturating_sub(1);
            assert_eq!(items, [kept(0), kept(3)][..count], "cut after {cut} bytes");
            file.line(&kept(5)).unwrap();
            drop(file);
            assert_eq!(opened(name, "h").1.last(), Some(&kept(5)), "cut after {cut} bytes");
        }
    }

    #[test]
    fn what_was_spent_is_kept_however_a_run_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let name = path.to_str().unwrap();
        let spent = std::cell::Cell::new((0, 0));
        let mut keeping = Keeping::new(opened(name, "h").0, (0, 0), || spent.get());
        spent.set((7, 0));
        keeping.append(&piece(0)).unwrap();
        drop(keeping);
        assert_eq!(opened(name, "h").1, [kept(0)], "nothing was spent since");
        let keeping = Keeping::new(opened(name, "h").0, (7, 0), || spent.get());
        spent.set((12, 2));
        drop(keeping);
        let last = opened(name, "h").1.pop().unwrap();
        assert_eq!((last.line.item, last.spent_nanos, last.unknown_calls), (None, 12, 2));
    }

    #[test]
    fn a_line_is_found_again_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let name = path.to_str().unwrap();
        let (mut file, _) = opened(name, "h");
        (0..3).for_each(|i| file.line(&kept(i)).unwrap());
        drop(file);
        let mut spans = Vec::new();
        let file = Checkpoint::try_open(name, &KIND, "h", &mut |span, _| {
            spans.push(span);
            Ok(())
        });
        let mut keeping = Keeping::new(file.unwrap().unwrap(), (7, 0), || (7, 0));
        keeping.append(&piece(3)).unwrap();
        let text = keeping.read(spans[1]).unwrap();
        assert_eq!(serde_json::from_str::<Kept<Piece>>(&text).unwrap(), kept(1));
        keeping.append(&piece(4)).unwrap();
        drop(keeping);
        assert_eq!(opened(name, "h").1.len(), 5, "reading does not move the end");
    }

    #[test]
    fn files_of_others_are_refused_and_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let name = path.to_str().unwrap();
        drop(opened(name, "one"));
        let ours = std::fs::read_to_string(&path).unwrap();
        for (text, said) in [
            (ours.as_str(), "belongs to another evaluation: items differ"),
            ("my notes", "is not one"),
            ("my\nnotes\n", "is not one"),
            (&"x".repeat(5000), "is not one"),
            ("{\"interfuse_batch\":1,\"batch\":\"one\"}\n", "is not one"),
            ("{\"interfuse_evaluation\":2,\"evaluation\":\"other\"}\n", "has form 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = try_open(name, "other").err().unwrap();
            assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some("checkpoint")));
            assert!(error.message().contains(said), "{said}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let folder = folder.path().to_str().unwrap();
        assert_eq!(try_open(folder, "h").err().unwrap().kind(), ErrorKind::Storage, "a folder");
    }
}
