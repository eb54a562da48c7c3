//! What waits for the writer: a queue of bounded length from which nothing is dropped, and those who wait until everything
//! before them is durable.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fork::InUse;
use crate::error::{Error, ErrorKind, Result};
use crate::types::LedgerRecord;

/// What may wait. Whoever books more than the disk takes waits, too.
pub(super) const ROOM: usize = 4096;
/// What one transaction takes at most: enough to share a write to the disk among many, few enough to be soon over.
pub(super) const BATCH: usize = 256;
/// How long what could not be written waits before it is tried again, unless somebody asks.
const AGAIN: Duration = Duration::from_secs(1);

/// Work for the writer. What waits for an answer carries the way to give it.
pub(super) enum Job {
    /// An attempt to keep.
    Record(Box<LedgerRecord>),
    /// What a test wants done with the writer's connection.
    #[cfg(test)]
    Do(Box<dyn Fn(&rusqlite::Connection) + Send>),
}

/// What the writer does next.
pub(super) enum Next {
    /// These.
    Write(Vec<Job>),
    /// Close the file, and wait for work.
    Park,
    /// Nothing; no more will come.
    End,
}

/// Filled by everybody, emptied by the writer alone.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is work, or the work is over.
    work: Condvar,
    /// There is room, or a try has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Jobs taken in, ever.
    taken: u64,
    /// Of these, the ones that are done: durable, or known to be impossible.
    done: u64,
    /// Tries to write that have begun.
    begun: u64,
    /// Tries that have ended, well or not.
    tries: u64,
    /// Why the latest try failed; what it was for waits at the front.
    failure: Option<Error>,
    /// When it failed.
    failed: Option<Instant>,
    /// What can never be kept, until somebody is told.
    impossible: Option<Error>,
    /// Somebody waits for the end of what is there.
    hurry: bool,
    /// The writer has nothing to do and sleeps.
    asleep: bool,
    /// The process is about to fork, and the file must not be open.
    parked: bool,
    /// No more work will come.
    closing: bool,
    /// The writer has ended.
    gone: bool,
}

impl Queue {
    /// Puts a job in, and returns at once unless there is no room.
    ///
    /// # Errors
    /// `storage` when there is no room because the writer fails: waiting would not end.
    pub fn put(&self, job: Job) -> Result<()> {
        let mut state = self.lock();
        loop {
            if state.gone {
                return Err(over());
            }
            if state.jobs.len() < ROOM {
                break;
            }
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            state = self.wait(state);
        }
        state.jobs.push_back(job);
        state.taken += 1;
        let asleep = state.asleep;
        drop(state);
        if asleep {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Puts a job before all others.
    #[cfg(test)]
    pub fn put_first(&self, job: Job) {
        let mut state = self.lock();
        state.jobs.push_front(job);
        state.taken += 1;
    }

    /// Returns when everything that was put in before is durable.
    ///
    /// # Errors
    /// Why it is not.
    pub fn flush(&self) -> Result<()> {
        let mut state = self.lock();
        // A try that runs already may be too early for what was put in last.
        let (all, begun) = (state.taken, state.begun);
        loop {
            if let Some(why) = state.impossible.take() {
                return Err(why);
            }
            if state.done >= all {
                return Ok(());
            }
            if let Some(why) = state.failure.as_ref().filter(|_| state.tries > begun) {
                return Err(why.clone());
            }
            if state.gone {
                return Err(state.failure.clone().unwrap_or_else(over));
            }
            state.hurry = true;
            self.work.notify_one();
            state = self.wait(state);
        }
    }

    /// Why what was put in is not durable, as far as that is known.
    pub fn failure(&self) -> Option<Error> {
        let mut state = self.lock();
        let impossible = state.impossible.take();
        impossible.or_else(|| state.failure.clone())
    }

    /// For the writer: what to do next; waits for it.
    pub fn take(&self) -> Next {
        let mut state = self.lock();
        loop {
            if state.parked {
                return Next::Park;
            }
            let again = state.failed.map(|failed| AGAIN.saturating_sub(failed.elapsed())).unwrap_or_default();
            if !state.jobs.is_empty() && (state.hurry || state.closing || again.is_zero()) {
                let count = state.jobs.len().min(BATCH);
                state.hurry = false;
                state.begun += 1;
                return Next::Write(state.jobs.drain(..count).collect());
            }
            if state.closing && state.jobs.is_empty() {
                return Next::End;
            }
            state.asleep = true;
            state = match state.jobs.is_empty() {
                true => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                false => self.work.wait_timeout(state, again).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.asleep = false;
        }
    }

    /// For the writer, which has closed the file: returns when it is to be opened again, and counts as open from then on;
    /// `None` when no more work will come.
    pub fn resume(&self) -> Option<InUse> {
        let mut state = self.lock();
        loop {
            if !state.parked && !state.jobs.is_empty() {
                return Some(InUse::new());
            }
            if state.closing && state.jobs.is_empty() {
                return None;
            }
            state.asleep = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
        }
    }

    /// Has the writer close the file and wait, or go on.
    pub fn park(&self, parked: bool) {
        self.lock().parked = parked;
        self.work.notify_all();
    }

    /// For the writer: these are durable, but for some that never can be, for the reason given. Whoever flushes is told.
    pub fn kept(&self, jobs: usize, impossible: Option<Error>) {
        let mut state = self.lock();
        state.done += jobs as u64;
        state.tries += 1;
        (state.failure, state.failed) = (None, None);
        state.impossible = impossible.or(state.impossible.take());
        drop(state);
        self.ended.notify_all();
    }

    /// For the writer: these could not be written and wait again. Returns whether there will be another try.
    pub fn failed(&self, jobs: Vec<Job>, why: Error) -> bool {
        let mut state = self.lock();
        for job in jobs.into_iter().rev() {
            state.jobs.push_front(job);
        }
        state.tries += 1;
        (state.failure, state.failed) = (Some(why), Some(Instant::now()));
        let another = !state.closing;
        drop(state);
        self.ended.notify_all();
        another
    }

    /// Lets the writer end when it has done what is there.
    pub fn close(&self) {
        self.lock().closing = true;
        self.work.notify_one();
    }

    /// For the writer: it has ended. Returns how many jobs are left undone.
    pub fn over(&self) -> usize {
        let mut state = self.lock();
        state.gone = true;
        let left = (state.taken - state.done) as usize;
        drop(state);
        self.ended.notify_all();
        left
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.ended.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters stay counters after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn over() -> Error {
    Error::new(ErrorKind::Storage, "the ledger's writer has ended; make a new client")
}
