//! What waits for the writer: a queue of bounded length from which nothing is dropped, and those who wait until everything
//! before them is durable.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::budget::{Budget, Hold, Reserved, Standing};
use super::fork::InUse;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Correction, LedgerRecord};

/// What may wait. Whoever books more than the disk takes waits, too.
pub(super) const ROOM: usize = 4096;
/// What one transaction takes at most: enough to share a write to the disk among many, few enough to be soon over.
pub(super) const BATCH: usize = 256;
/// How long what could not be written waits before it is tried again, unless somebody asks.
const AGAIN: Duration = Duration::from_secs(1);

/// Work for the writer. What waits for an answer carries the way to give it.
pub(super) enum Job {
    /// An attempt to keep; it settles what is held for it.
    Record(Box<LedgerRecord>),
    /// Something to hold, and who waits for it.
    Reserve(Box<Hold>, oneshot::Sender<Result<Reserved>>),
    /// Something to give back.
    Release(String),
    /// A question where budgets stand at a moment.
    Standings(Vec<Arc<Budget>>, u64, SyncSender<Result<Vec<Vec<Standing>>>>),
    /// Corrections to keep.
    Correct(Vec<Correction>, SyncSender<Result<u64>>),
    /// What a test wants done with the writer's connection.
    #[cfg(test)]
    Do(Box<dyn Fn(&rusqlite::Connection) + Send>),
}

impl Job {
    /// Tells whoever waits for it that it was not done; returns what must be tried again instead.
    fn fail(self, why: &Error) -> Option<Job> {
        // Whoever does not wait any more need not know.
        match self {
            Job::Reserve(_, told) => drop(told.send(Err(why.clone()))),
            Job::Standings(.., told) => drop(told.send(Err(why.clone()))),
            Job::Correct(_, told) => drop(told.send(Err(why.clone()))),
            job => return Some(job),
        }
        None
    }

    /// Whether somebody waits for it.
    fn waited_for(&self) -> bool {
        matches!(self, Job::Reserve(..) | Job::Standings(..) | Job::Correct(..))
    }
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
        self.push(state, job);
        Ok(())
    }

    /// Puts in that a hold is given back, whether there is room or not: the writer itself does so, too.
    pub fn give_back(&self, id: String) {
        let state = self.lock();
        // Where the writer has ended, the hold's lease will.
        if !state.gone {
            self.push(state, Job::Release(id));
        }
    }

    fn push(&self, mut state: MutexGuard<'_, State>, job: Job) {
        // What failed a moment ago is tried again at once for it.
        state.hurry |= job.waited_for();
        state.jobs.push_back(job);
        state.taken += 1;
        let asleep = state.asleep;
        drop(state);
        if asleep {
            self.work.notify_one();
        }
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

    /// For the writer: these could not be written and wait again, but for those that somebody waits for, who is told. Returns
    /// whether there will be another try.
    pub fn failed(&self, jobs: Vec<Job>, why: Error) -> bool {
        let mut state = self.lock();
        let count = jobs.len();
        let again: Vec<Job> = jobs.into_iter().filter_map(|job| job.fail(&why)).collect();
        state.done += (count - again.len()) as u64;
        for job in again.into_iter().rev() {
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
        // Whoever waits for one of them learns of it by that.
        state.jobs.clear();
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

/// The error of whoever waits for a writer that has ended.
pub(super) fn over() -> Error {
    Error::new(ErrorKind::Storage, "the ledger's writer has ended; make a new client")
}
