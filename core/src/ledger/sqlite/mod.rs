//! The ledger in a file, for programs that end and for several at once: SQLite, with a log that is on the disk before
//! anything counts as kept.
//!
//! Booking only puts a record into a queue; one thread per file and process writes what waits, many records in one
//! transaction. Neither the connections nor that thread cross a fork: a child opens the file anew when it first uses it, and
//! what waited in its parent's queue is its parent's to write.
//!
//! No other copy of SQLite may open the file in the same process (Python's `sqlite3`, say) while a client has it open:
//! closing it there takes away the locks of this one. Other processes may, at any time.

mod faults;
mod open;
mod place;
mod queue;
mod read;
mod rows;
mod schema;
mod writer;

use std::collections::HashMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use arc_swap::{ArcSwap, ArcSwapOption};
use rusqlite::Connection;

use super::LedgerStore;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{LedgerRecord, UsageQuery, UsageReport};
use queue::{Job, Queue};

/// Connections for questions that are kept for the next one.
const READERS: usize = 2;

/// A ledger in a file. All of one process that name the same file share its connections and its writer. Dropping the last
/// one writes what waits.
pub struct SqliteLedger {
    path: PathBuf,
    live: ArcSwap<Live>,
}

impl SqliteLedger {
    /// Opens the file, or makes it where there is none; its folder must be there.
    ///
    /// # Errors
    /// `storage` for what is not a ledger or was written by a newer version (nothing is changed then), for one that is
    /// damaged, that this user may not write, or that lies on a network file system.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = open::canonical(path.as_ref())?;
        let live = Live::shared(&path)?;
        Ok(SqliteLedger { path, live: ArcSwap::new(live) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What this process has open of the file.
    fn live(&self) -> Result<Arc<Live>> {
        let live = self.live.load_full();
        if live.owner == process::id() {
            return Ok(live);
        }
        let own = Live::shared(&self.path)?;
        // The parent's is leaked, never touched.
        mem::forget(self.live.swap(own.clone()));
        mem::forget(live);
        Ok(own)
    }
}

impl LedgerStore for SqliteLedger {
    /// Returns at once as a rule; where the writer has fallen behind, when it has caught up.
    fn record(&self, record: LedgerRecord) -> Result<()> {
        self.live()?.parts()?.queue.put(Job::Record(Box::new(record)))
    }

    fn usage(&self, query: &UsageQuery) -> Result<UsageReport> {
        let live = self.live()?;
        live.parts()?.queue.flush()?;
        live.reading(|connection| read::usage(connection, &live.path, query))
    }

    fn records(&self, query: &UsageQuery, each: &mut dyn FnMut(&LedgerRecord) -> Result<()>) -> Result<bool> {
        let live = self.live()?;
        live.parts()?.queue.flush()?;
        live.reading(|connection| read::records(connection, &live.path, query, each)).map(|()| true)
    }

    fn flush(&self) -> Result<()> {
        self.live()?.parts()?.queue.flush()
    }

    fn failure(&self) -> Option<Error> {
        match self.live() {
            Ok(live) => live.parts().ok()?.queue.failure(),
            Err(why) => Some(why),
        }
    }
}

/// Writes what waits in every ledger that this process has open; for the end of a process.
///
/// # Errors
/// The first failure, when all have been tried.
pub fn flush_all() -> Result<()> {
    let Some(registry) = REGISTRY.load_full().filter(|registry| registry.owner == process::id()) else { return Ok(()) };
    let open: Vec<Arc<Live>> = registry.lock().values().filter_map(Weak::upgrade).collect();
    let flushed: Vec<Result<()>> = open.iter().map(|live| live.parts()?.queue.flush()).collect();
    flushed.into_iter().collect()
}

/// What one process has open of one file.
struct Live {
    owner: u32,
    path: PathBuf,
    /// Taken when it ends.
    parts: Option<Parts>,
}

struct Parts {
    queue: Arc<Queue>,
    writer: JoinHandle<()>,
    readers: Mutex<Vec<Connection>>,
}

impl Live {
    /// That of this process, opened now if nobody has.
    fn shared(path: &Path) -> Result<Arc<Live>> {
        let registry = Registry::own();
        let mut open = registry.lock();
        if let Some(live) = open.get(path).and_then(Weak::upgrade) {
            return Ok(live);
        }
        let live = Arc::new(Live::open(path)?);
        open.retain(|_, live| live.strong_count() > 0);
        open.insert(path.to_owned(), Arc::downgrade(&live));
        Ok(live)
    }

    fn open(path: &Path) -> Result<Live> {
        let connection = open::writer(path)?;
        let (queue, path) = (Arc::new(Queue::default()), path.to_owned());
        let (works, file) = (queue.clone(), path.clone());
        let writer = thread::Builder::new()
            .name("interfuse-ledger".into())
            .spawn(move || writer::run(connection, &works, file))
            .map_err(|why| Error::new(ErrorKind::Storage, format!("the ledger's writer cannot start: {why}")))?;
        let parts = Parts { queue, writer, readers: Mutex::default() };
        Ok(Live { owner: process::id(), path, parts: Some(parts) })
    }

    fn parts(&self) -> Result<&Parts> {
        self.parts.as_ref().ok_or_else(|| Error::new(ErrorKind::Misuse, "this ledger is closed"))
    }

    /// Asks something on a connection of its own, so that nobody waits for whoever takes long.
    fn reading<T>(&self, ask: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let kept = || self.parts().map(|parts| parts.readers.lock().unwrap_or_else(PoisonError::into_inner));
        let idle = kept()?.pop();
        let connection = idle.map_or_else(|| open::reader(&self.path), Ok)?;
        let answer = ask(&connection);
        let mut kept = kept()?;
        if answer.is_ok() && kept.len() < READERS {
            kept.push(connection);
        }
        answer
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        if self.owner != process::id() {
            // Its locks and files are shared with the parent, its thread is not here.
            mem::forget(parts);
            return;
        }
        parts.queue.close();
        // A writer that panicked has said so.
        let _ = parts.writer.join();
    }
}

/// Files that this process has open.
struct Registry {
    owner: u32,
    open: Mutex<HashMap<PathBuf, Weak<Live>>>,
}

static REGISTRY: ArcSwapOption<Registry> = ArcSwapOption::const_empty();

impl Registry {
    fn own() -> Arc<Registry> {
        loop {
            let seen = REGISTRY.load_full();
            if let Some(own) = seen.as_ref().filter(|registry| registry.owner == process::id()) {
                return own.clone();
            }
            let fresh = Arc::new(Registry { owner: process::id(), open: Mutex::default() });
            let before = REGISTRY.compare_and_swap(&seen, Some(fresh.clone()));
            let first = match (&*before, &seen) {
                (None, None) => true,
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
            // A parent's is leaked: somebody who is not here may have been changing it.
            mem::forget(seen);
            if first {
                return fresh;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Weak<Live>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
