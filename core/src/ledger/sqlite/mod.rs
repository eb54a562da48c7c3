//! The ledger in a file, for programs that end and for several at once: SQLite, with a log that is on the disk before
//! anything counts as kept.
//!
//! Booking only puts a record into a queue; one thread per file and process writes what waits, many records in one
//! transaction. Neither the connections nor that thread cross a fork: everything is closed before it, a child opens the file
//! anew when it first uses it, and what waited in its parent's queue is its parent's to write.
//!
//! No other copy of SQLite may open the file in the same process (Python's `sqlite3`, say) while a client has it open:
//! closing it there takes away the locks of this one. Other processes may, at any time.

mod accounts;
mod corrections;
mod count;
mod faults;
mod fork;
mod open;
mod place;
mod queue;
mod read;
mod rows;
mod schema;
mod waiting;
mod writer;

use std::collections::HashMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use arc_swap::{ArcSwap, ArcSwapOption};
use rusqlite::Connection;

use super::LedgerStore;
use super::budget::{Budget, Hold, Reserving, Standing};
use super::question::Question;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Correction, LedgerRecord, UsageQuery, UsageReport};
use fork::{InUse, Opened};
pub use fork::{after_fork, before_fork};
use queue::{Job, Queue};
use waiting::Waiting;

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
        let question = Question::new(query)?;
        let live = self.live()?;
        live.parts()?.queue.flush()?;
        let mut pages = live.reading(|connection| read::Pages::new(connection, &live.path))?;
        // Whoever is told of a record may take long, book one, or fork: nothing is open meanwhile.
        while let Some(page) = live.reading(|connection| pages.next(connection, &live.path, &question))? {
            page.iter().try_for_each(&mut *each)?;
        }
        Ok(true)
    }

    fn reserve(&self, hold: Hold) -> Reserving {
        let put = || Waiting::new(&self.live()?.parts()?.queue, hold);
        match put() {
            Ok(waiting) => Reserving::Later(Box::pin(waiting.outcome())),
            Err(why) => Reserving::Done(Err(why)),
        }
    }

    fn release(&self, id: &str) -> Result<()> {
        self.live()?.parts()?.queue.put(Job::Release(id.to_owned()))
    }

    fn standings(&self, budgets: &[Arc<Budget>], now_ms: u64) -> Result<Vec<Vec<Standing>>> {
        self.live()?.parts()?.ask(|told| Job::Standings(budgets.to_vec(), now_ms, told))
    }

    fn correct(&self, corrections: &[Correction]) -> Result<u64> {
        self.live()?.parts()?.ask(|told| Job::Correct(corrections.to_vec(), told))
    }

    fn corrections(&self, query: &UsageQuery, each: &mut dyn FnMut(&Correction) -> Result<()>) -> Result<()> {
        let question = Question::new(query)?;
        let live = self.live()?;
        let chosen = live.reading(|connection| read::corrections(connection, &live.path, &question))?;
        chosen.iter().try_for_each(each)
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
    let Some(registry) = Registry::current() else { return Ok(()) };
    let flushed: Vec<Result<()>> = registry.live().iter().map(|live| live.parts()?.queue.flush()).collect();
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
    readers: Mutex<Readers>,
    /// Readers may go on.
    resumed: Condvar,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Opened>,
    /// The process is about to fork: nothing is opened, nothing stays open.
    parked: bool,
}

impl Live {
    /// That of this process, opened now if nobody has.
    fn shared(path: &Path) -> Result<Arc<Live>> {
        let registry = Registry::own(path)?;
        let mut files = registry.lock();
        while files.parked {
            files = registry.resumed.wait(files).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(live) = files.open.get(path).and_then(Weak::upgrade) {
            return Ok(live);
        }
        let live = Arc::new(Live::open(path)?);
        files.open.retain(|_, live| live.strong_count() > 0);
        files.open.insert(path.to_owned(), Arc::downgrade(&live));
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
        let parts = Parts { queue, writer, readers: Mutex::default(), resumed: Condvar::new() };
        Ok(Live { owner: process::id(), path, parts: Some(parts) })
    }

    fn parts(&self) -> Result<&Parts> {
        self.parts.as_ref().ok_or_else(|| Error::new(ErrorKind::Misuse, "this ledger is closed"))
    }

    /// Asks something on a connection of its own, so that nobody waits for whoever takes long.
    fn reading<T>(&self, ask: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let parts = self.parts()?;
        let mut readers = parts.readers();
        while readers.parked {
            readers = parts.resumed.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        let (idle, _counted) = (readers.idle.pop(), InUse::new());
        drop(readers);
        let connection = idle.map_or_else(|| open::reader(&self.path), Ok)?;
        let answer = ask(&connection);
        let mut readers = parts.readers();
        if answer.is_ok() && !readers.parked && readers.idle.len() < READERS {
            readers.idle.push(connection);
        }
        answer
    }

    /// Has everything closed, or lets it be opened again.
    fn park(&self, parked: bool) {
        let Some(parts) = &self.parts else { return };
        parts.queue.park(parked);
        let mut readers = parts.readers();
        readers.parked = parked;
        readers.idle.clear();
        drop(readers);
        parts.resumed.notify_all();
    }
}

impl Parts {
    /// Has the writer do something, and waits for what it comes to.
    fn ask<T>(&self, job: impl FnOnce(mpsc::SyncSender<Result<T>>) -> Job) -> Result<T> {
        let (told, answer) = mpsc::sync_channel(1);
        self.queue.put(job(told))?;
        answer.recv().unwrap_or_else(|_| Err(queue::over()))
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Files that one process has open.
struct Registry {
    owner: u32,
    files: Mutex<Files>,
    /// Files may be opened again.
    resumed: Condvar,
}

#[derive(Default)]
struct Files {
    open: HashMap<PathBuf, Weak<Live>>,
    /// The process is about to fork.
    parked: bool,
}

static REGISTRY: ArcSwapOption<Registry> = ArcSwapOption::const_empty();

impl Registry {
    /// This process's, if it has opened anything.
    fn current() -> Option<Arc<Registry>> {
        REGISTRY.load_full().filter(|registry| registry.owner == process::id())
    }

    /// This process's, made if there is none; `path` is what it is wanted for.
    fn own(path: &Path) -> Result<Arc<Registry>> {
        loop {
            let seen = REGISTRY.load_full();
            if let Some(own) = seen.as_ref().filter(|registry| registry.owner == process::id()) {
                return Ok(own.clone());
            }
            if seen.is_some() {
                fork::check(path)?;
            }
            let fresh = Arc::new(Registry { owner: process::id(), files: Mutex::default(), resumed: Condvar::new() });
            let before = REGISTRY.compare_and_swap(&seen, Some(fresh.clone()));
            let first = match (&*before, &seen) {
                (None, None) => true,
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
            // A parent's is leaked: somebody who is not here may have been changing it.
            mem::forget(seen);
            if first {
                return Ok(fresh);
            }
        }
    }

    fn live(&self) -> Vec<Arc<Live>> {
        self.lock().open.values().filter_map(Weak::upgrade).collect()
    }

    /// Has everything closed, or lets it be opened again.
    fn park(&self, parked: bool) {
        // From here on nobody opens a file.
        self.lock().parked = parked;
        self.resumed.notify_all();
        self.live().iter().for_each(|live| live.park(parked));
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl SqliteLedger {
    /// Has the disk be full, as far as this file goes, with records waiting that do not fit any more.
    pub(crate) fn fill_disk(&self) {
        let full = |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", 1, |row| row.get::<_, i64>(0)).unwrap();
        };
        self.live().unwrap().parts().unwrap().queue.put(Job::Do(Box::new(full))).unwrap();
        // On its own, so that the tries that follow do not do it again.
        self.flush().unwrap();
        for n in 0..50 {
            let (id, big) = (format!("fills {n}"), Some("x".repeat(5000)));
            self.record(LedgerRecord { id, request_id: big, ..LedgerRecord::default() }).unwrap();
        }
        self.flush().unwrap_err();
    }

    /// Has the disk have room again; what waits is written.
    pub(crate) fn free_disk(&self) {
        let free = |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", 1 << 20, |row| row.get::<_, i64>(0)).unwrap();
        };
        // The first in the queue, before what waits.
        self.live().unwrap().parts().unwrap().queue.put_first(Job::Do(Box::new(free)));
        self.flush().unwrap();
    }
}

#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod tests;
