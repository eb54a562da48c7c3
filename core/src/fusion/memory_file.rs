//! What was learnt, in a file that several clients and processes share. Whoever adds to it holds the lock of a second file
//! beside it (`.NAME.lock`) while it reads, adds and writes the whole anew, so that nobody loses another's counts; the system
//! frees the lock of a process that dies. Readers need no lock: the file is written beside its place and put there once it is
//! complete and on the disk, so that it is there as it was or as it will be, and never in part.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::ledger;

use super::memory::Tally;

/// Version of the file's form.
const FORM: u32 = 1;
/// How long another's change is waited for; one takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often models and judges were right.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Learnt {
    #[serde(default)]
    pub members: BTreeMap<String, Tally>,
    #[serde(default)]
    pub judges: BTreeMap<String, Tally>,
}

impl Learnt {
    /// Counts what one run showed.
    pub fn add(&mut self, more: &Learnt) {
        for (all, more) in [(&mut self.members, &more.members), (&mut self.judges, &more.judges)] {
            for (model, tally) in more {
                all.entry(model.clone()).or_default().count(*tally);
            }
        }
    }
}

/// The whole file.
#[derive(Serialize, Deserialize)]
struct Document {
    /// Version of its form.
    interfuse_memory: u32,
    #[serde(flatten)]
    learnt: Learnt,
}

/// What tells of which kind a file is, whatever its version.
#[derive(Deserialize)]
struct Head {
    interfuse_memory: u32,
}

/// What changes whenever the file is replaced.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stamp {
    modified: SystemTime,
    len: u64,
    /// Its number in the file system, where there is one: two changes may fall into one tick of its clock.
    number: u64,
}

/// The file, and what it was when it was last read.
pub(super) struct MemoryFile {
    path: PathBuf,
    seen: Option<Stamp>,
}

impl MemoryFile {
    /// The file at `path`, which need not be there yet.
    pub fn new(path: &str) -> MemoryFile {
        MemoryFile { path: PathBuf::from(path), seen: None }
    }

    /// What stands in it, if it has changed since it was last read.
    ///
    /// # Errors
    /// `storage` when it cannot be read, or holds something else.
    pub fn changed(&mut self) -> Result<Option<Learnt>> {
        let now = self.stamp();
        if now.is_none() || now == self.seen {
            return Ok(None);
        }
        let learnt = self.read()?;
        self.seen = now;
        Ok(Some(learnt))
    }

    /// Adds to it; gives what stands in it then. Takes milliseconds, and as long as others are at it.
    ///
    /// # Errors
    /// `storage`; nothing has changed then.
    pub fn add(&mut self, more: &Learnt) -> Result<Learnt> {
        let lock = self.lock()?;
        let mut learnt = self.read()?;
        learnt.add(more);
        let document = Document { interfuse_memory: FORM, learnt };
        let text = serde_json::to_string_pretty(&document).map_err(|e| self.wrong(&e.to_string()))?;
        ledger::whole(&self.path, |out| out.write_all(text.as_bytes()).map_err(|e| self.wrong(&e.to_string())))
            .map_err(|e| self.wrong(e.message()))?;
        self.seen = self.stamp();
        drop(lock);
        Ok(document.learnt)
    }

    /// Nobody else changes the file until what this gives is dropped.
    fn lock(&self) -> Result<File> {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".lock");
        let lock = File::options().write(true).create(true).truncate(false).open(self.path.with_file_name(name));
        let lock = lock.map_err(|e| self.wrong(&e.to_string()))?;
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(self.wrong(&format!("somebody else has been changing it for {} s", PATIENCE.as_secs())));
                }
                Err(TryLockError::Error(e)) => return Err(self.wrong(&e.to_string())),
            }
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        let data = fs::metadata(&self.path).ok()?;
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&data);
        #[cfg(not(unix))]
        let number = 0;
        Some(Stamp { modified: data.modified().ok()?, len: data.len(), number })
    }

    fn read(&self) -> Result<Learnt> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Learnt::default()),
            Err(e) => return Err(self.wrong(&e.to_string())),
        };
        let other = || self.wrong("it is not what was learnt from feedback, and stays as it is; name another file");
        let head: Head = serde_json::from_str(&text).map_err(|_| other())?;
        if head.interfuse_memory > FORM {
            let form = head.interfuse_memory;
            let why =
                format!("a newer version wrote it (form {form}; this one reads {FORM}); update, or name another file");
            return Err(self.wrong(&why));
        }
        serde_json::from_str::<Document>(&text).map(|document| document.learnt).map_err(|_| other())
    }

    fn wrong(&self, why: &str) -> Error {
        Error::new(ErrorKind::Storage, format!("`fusion.memory`: {}: {why}", Path::display(&self.path)))
            .with_param("fusion.memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(model: &str, right: bool) -> Learnt {
        let tally = Tally { right: u32::from(right), seen: 1 };
        Learnt { members: BTreeMap::from([(model.to_owned(), tally)]), ..Default::default() }
    }

    #[test]
    fn nobody_loses_what_another_adds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        let path = path.to_str().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut file = MemoryFile::new(path);
                    (0..25).for_each(|i| drop(file.add(&one("a", i % 5 == 0)).unwrap()));
                });
            }
        });
        let learnt = MemoryFile::new(path).changed().unwrap().unwrap();
        assert_eq!(learnt.members["a"], Tally { right: 20, seen: 100 });
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
    }

    #[test]
    fn it_is_never_there_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        let path = path.to_str().unwrap();
        MemoryFile::new(path).add(&one("a", true)).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut most = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    // Anew each time, so that it reads whatever the stamp says.
                    let seen = MemoryFile::new(path).changed().unwrap().unwrap().members["a"].seen;
                    assert!(seen >= most, "{seen} after {most}");
                    most = seen;
                }
                most
            });
            let mut file = MemoryFile::new(path);
            for i in 0..50 {
                let mut more = one("a", true);
                // It grows and grows, so that a part of it would not parse.
                more.members.insert(format!("model-{i}"), Tally { right: 1, seen: 1 });
                file.add(&more).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(reader.join().unwrap() >= 1);
        });
        assert_eq!(MemoryFile::new(path).changed().unwrap().unwrap().members.len(), 51);
    }

    #[test]
    fn what_others_add_is_seen_and_nothing_else_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        let path = path.to_str().unwrap();
        let (mut own, mut other) = (MemoryFile::new(path), MemoryFile::new(path));
        assert_eq!(own.changed().unwrap(), None, "it is not there yet");
        own.add(&one("a", true)).unwrap();
        assert_eq!(own.changed().unwrap(), None);
        assert_eq!(other.changed().unwrap(), Some(one("a", true)));
        other.add(&one("long-name", true)).unwrap();
        assert_eq!(own.changed().unwrap().unwrap().members.len(), 2);
    }

    #[test]
    fn a_file_of_something_else_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        let texts = [
            ("my notes", "is not what was learnt"),
            ("{}", "is not what was learnt"),
            (r#"{"interfuse_memory": 1, "members": 3}"#, "is not what was learnt"),
            (r#"{"interfuse_memory": 2, "members": 3}"#, "newer version"),
        ];
        for (text, why) in texts {
            std::fs::write(&path, text).unwrap();
            let mut file = MemoryFile::new(path.to_str().unwrap());
            let error = file.changed().unwrap_err();
            assert_eq!((error.kind(), error.message().contains(why)), (ErrorKind::Storage, true), "{error}");
            assert_eq!(file.add(&one("a", true)).unwrap_err().kind(), ErrorKind::Storage);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let nowhere = folder.path().join("none").join("memory.json");
        let error = MemoryFile::new(nowhere.to_str().unwrap()).add(&one("a", true)).unwrap_err();
        assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::Storage, Some("fusion.memory")));
    }
}
