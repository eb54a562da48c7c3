//! A value under a short lock, and those who wait for it: blocked threads and one-time callbacks. Nobody is notified
//! unless somebody waits, and never under the lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::runtime::may_block;
use crate::error::Result;

/// A callback that says "look now"; carries no data.
pub(super) type Wake = Box<dyn FnOnce() + Send>;

/// A value that can say whether looking at it is worth while.
pub(super) trait Ready {
    fn is_ready(&self) -> bool;
}

pub(super) struct Signal<S> {
    inner: Mutex<Inner<S>>,
    changed: Condvar,
}

struct Inner<S> {
    value: S,
    waiting: usize,
    wakes: Vec<Wake>,
}

impl<S: Ready> Signal<S> {
    pub(super) fn new(value: S) -> Self {
        Signal { inner: Mutex::new(Inner { value, waiting: 0, wakes: Vec::new() }), changed: Condvar::new() }
    }

    /// Changes the value; if it is ready afterwards, tells all who wait.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut inner = self.lock();
        let result = change(&mut inner.value);
        let ready = inner.value.is_ready();
        let wakes = if ready { std::mem::take(&mut inner.wakes) } else { Vec::new() };
        let waiting = ready && inner.waiting > 0;
        drop(inner);
        if waiting {
            self.changed.notify_all();
        }
        wakes.into_iter().for_each(run);
        result
    }

    /// Looks at the value without telling anybody.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.lock().value)
    }

    /// Blocks until `attempt` gives something; `None` after `timeout` (`None`: no limit, zero: never blocks).
    pub(super) fn wait<R>(
        &self,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(&mut S) -> Option<R>,
    ) -> Result<Option<R>> {
        let mut inner = self.lock();
        if let Some(found) = attempt(&mut inner.value) {
            return Ok(Some(found));
        }
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        may_block()?;
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            inner.waiting += 1;
            inner = match left {
                None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            inner.waiting -= 1;
            if let Some(found) = attempt(&mut inner.value) {
                return Ok(Some(found));
            }
        }
    }

    /// Runs `wake` exactly once: now if the value is ready, else when it becomes so.
    pub(super) fn on_ready(&self, wake: Wake) {
        let mut inner = self.lock();
        if !inner.value.is_ready() {
            inner.wakes.push(wake);
            return;
        }
        drop(inner);
        run(wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A callback that panics must not take the task or the host's thread with it.
fn run(wake: Wake) {
    let _ = catch_unwind(AssertUnwindSafe(wake));
}
