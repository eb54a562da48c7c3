//! The process-wide tokio runtime, made at the first call, and the tag that keeps a forked child away from its parent's
//! threads and sockets. The only unsafe code of this crate: two dereferences of pointers that this file alone stores.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, ErrorKind, Result};

static WORKERS: AtomicUsize = AtomicUsize::new(2);
/// A tag no process has: the value is to be made again.
const NOBODY: u32 = 0;

thread_local! {
    static OWN_THREAD: Cell<bool> = const { Cell::new(false) };
}

struct Host {
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
}

static HOST: ForkSafe<Host> = ForkSafe::lazy(start);

fn start() -> Result<Host> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS.load(Ordering::Relaxed))
        .thread_name("interfuse")
        .on_thread_start(mark_own_thread)
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Internal, format!("could not start the library's threads: {e}")))?;
    Ok(Host { handle: runtime.handle().clone(), runtime: Mutex::new(Some(runtime)) })
}

/// Says that this thread is the library's.
pub(super) fn mark_own_thread() {
    OWN_THREAD.set(true);
}

/// How many threads the runtime will have; 2 by default, at least 1. A host that runs its own code one thread at a time is
/// better off with one, which saves switches between them. Nothing changes for a runtime that runs already.
pub fn set_workers(count: usize) {
    WORKERS.store(count.max(1), Ordering::Relaxed);
}

/// The runtime of this process, made now if there is none.
///
/// # Errors
/// `internal` when the operating system gives no threads.
pub fn handle() -> Result<&'static Handle> {
    HOST.get().map(|host| &host.handle)
}

/// Whether this thread may wait: not one of the library's own, where waiting would stop what is waited for, and not while
/// it tells the host a line of the log.
///
/// # Errors
/// `misuse` on a thread of the library, such as inside a readiness callback, and inside a log callback.
pub fn may_block() -> Result<()> {
    if OWN_THREAD.get() || super::log::telling() {
        return Err(Error::new(
            ErrorKind::Misuse,
            "a blocking function was called on a thread of the library (inside a callback?); signal your own thread instead",
        ));
    }
    Ok(())
}

/// Stops the runtime: what still runs is cancelled, its threads are waited for up to `timeout`. For hosts that want a
/// clean end; a later call starts a new runtime.
///
/// # Errors
/// `misuse` on a thread of the library.
pub fn shutdown(timeout: Duration) -> Result<()> {
    may_block()?;
    if let Some(host) = HOST.existing() {
        HOST.retire();
        let runtime = host.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(timeout);
        }
    }
    Ok(())
}

/// A value that a forked child makes again instead of using its parent's: the old one may hold sockets that both
/// processes share and locks that nobody will open, so it is leaked, never touched.
pub struct ForkSafe<T, F = fn() -> Result<T>> {
    current: AtomicPtr<Tagged<T>>,
    make: F,
}

struct Tagged<T> {
    owner: AtomicU32,
    value: T,
    /// Keeps what was replaced reachable, for leak checkers.
    _before: *mut Tagged<T>,
}

// SAFETY: `_before` is never read, and `value` is only given out as `&T`.
unsafe impl<T: Send + Sync, F: Send> Send for ForkSafe<T, F> {}
// SAFETY: as above; `make` is only called through `&F`.
unsafe impl<T: Send + Sync, F: Sync> Sync for ForkSafe<T, F> {}

impl<T, F: Fn() -> Result<T>> ForkSafe<T, F> {
    /// Makes the value at the first [`get`](Self::get).
    pub const fn lazy(make: F) -> Self {
        ForkSafe { current: AtomicPtr::new(ptr::null_mut()), make }
    }

    /// Makes the value now.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn new(make: F) -> Result<Self> {
        let cell = Self::lazy(make);
        cell.get()?;
        Ok(cell)
    }

    /// The value of this process.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get(&self) -> Result<&T> {
        loop {
            let seen = self.current.load(Ordering::Acquire);
            if let Some(value) = self.owned(seen) {
                return Ok(value);
            }
            let tagged = Tagged { owner: AtomicU32::new(std::process::id()), value: (self.make)()?, _before: seen };
            let fresh = Box::into_raw(Box::new(tagged));
            if self.current.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: `fresh` came from Box::into_raw above and was not published.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }

    fn existing(&self) -> Option<&T> {
        self.owned(self.current.load(Ordering::Acquire))
    }

    /// Has the next [`get`](Self::get) make the value again. The old one stays valid for those who hold it.
    fn retire(&self) {
        // SAFETY: as in `owned`.
        if let Some(tagged) = unsafe { self.current.load(Ordering::Acquire).as_ref() } {
            tagged.owner.store(NOBODY, Ordering::Release);
        }
    }

    fn owned(&self, tagged: *mut Tagged<T>) -> Option<&T> {
        // SAFETY: a non-null `current` came from Box::into_raw and is freed only in `drop`, so it outlives `&self`.
        let tagged = unsafe { tagged.as_ref() }?;
        (tagged.owner.load(Ordering::Acquire) == std::process::id()).then_some(&tagged.value)
    }
}

impl<T, F> Drop for ForkSafe<T, F> {
    fn drop(&mut self) {
        let tagged = *self.current.get_mut();
        // SAFETY: as in `owned`; `&mut self` says that no reference into it is left.
        let own = unsafe { tagged.as_ref() }.is_some_and(|t| t.owner.load(Ordering::Acquire) == std::process::id());
        if own {
            // SAFETY: it came from Box::into_raw, is no longer reachable, and belongs to this process.
            drop(unsafe { Box::from_raw(tagged) });
        }
    }
}

/// A value that is of no use in a forked child: there it answers `misuse` and is leaked.
pub(super) struct ThisProcess<T> {
    owner: u32,
    value: Option<T>,
}

impl<T> ThisProcess<T> {
    pub(super) fn new(value: T) -> Self {
        ThisProcess { owner: std::process::id(), value: Some(value) }
    }

    pub(super) fn get(&self) -> Result<&T> {
        match &self.value {
            Some(value) if self.owner == std::process::id() => Ok(value),
            _ => Err(Error::new(
                ErrorKind::Misuse,
                "this call or stream was started before the process forked; start a new one in the child",
            )),
        }
    }
}

impl<T> Drop for ThisProcess<T> {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            std::mem::forget(self.value.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_value_of_another_process_is_made_again_and_never_dropped() {
        struct Counted(Arc<AtomicUsize>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let cell = ForkSafe::new(|| {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(Counted(dropped.clone()))
        })
        .unwrap();
        let first: *const Counted = cell.get().unwrap();
        assert_eq!(first, cell.get().unwrap() as *const _, "made once");
        // What a child sees: a tag that is not its own.
        cell.retire();
        assert_ne!(first, cell.get().unwrap() as *const _);
        assert_eq!((made.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed)), (2, 0));
        drop(cell);
        assert_eq!(dropped.load(Ordering::Relaxed), 1, "only this process's own value is dropped");
    }

    #[test]
    fn a_maker_that_fails_is_asked_again() {
        let fail = AtomicUsize::new(1);
        let cell = ForkSafe::lazy(|| match fail.swap(0, Ordering::Relaxed) {
            1 => Err(Error::invalid_request("no")),
            _ => Ok(7),
        });
        assert_eq!(cell.get().unwrap_err().kind(), ErrorKind::InvalidRequest);
        assert_eq!(*cell.get().unwrap(), 7);
    }

    #[test]
    fn only_the_librarys_own_threads_may_not_block() {
        assert!(may_block().is_ok());
        let inside = handle().unwrap().spawn(async { may_block().map_err(|e| e.kind()) });
        let inside = futures_executor(inside);
        assert_eq!(inside, Err(ErrorKind::Misuse));
    }

    /// Waits on this thread, without the runtime under test.
    fn futures_executor<T>(task: tokio::task::JoinHandle<T>) -> T {
        Builder::new_current_thread().build().unwrap().block_on(task).unwrap()
    }
}
