//! A runtime that a blocking caller drives itself: no thread is woken for its call, and none has to wake it. There is one;
//! a caller that finds it taken is served by the library's threads. Between calls it stands still, so each call first lets
//! its connections notice what came meanwhile, and one that ends early lets them close.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;

use super::panicked;
use super::runtime::{ForkSafe, mark_own_thread, may_block};
use crate::error::{Error, ErrorKind, Result};

static LANE: ForkSafe<Lane> = ForkSafe::lazy(make);

struct Lane {
    runtime: Runtime,
    taken: AtomicBool,
}

fn make() -> Result<Lane> {
    let runtime = Builder::new_current_thread()
        .thread_name("interfuse")
        .on_thread_start(mark_own_thread)
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Internal, format!("could not start the library's runtime: {e}")))?;
    Ok(Lane { runtime, taken: AtomicBool::new(false) })
}

/// The lane, given back when dropped.
struct Taken(&'static Lane);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
    }
}

/// A call that runs on the thread that waits for it, while it waits. Dropping it cancels the call and closes its connection.
pub struct OwnThread<T: Send + 'static> {
    /// `None` once it is over.
    future: Option<Pin<Box<dyn Future<Output = Result<T>> + Send>>>,
    fresh: bool,
    lane: Taken,
}

impl<T: Send + 'static> OwnThread<T> {
    /// Prepares `future` to run here. It comes back when it must run on the library's threads instead: the lane is taken,
    /// or this thread drives a runtime or is one of the library's own.
    pub fn prepare<F: Future<Output = Result<T>> + Send + 'static>(future: F) -> std::result::Result<Self, F> {
        if may_block().is_err() || Handle::try_current().is_ok() {
            return Err(future);
        }
        match LANE.get() {
            Ok(lane) if !lane.taken.swap(true, Ordering::Acquire) => {
                Ok(OwnThread { future: Some(Box::pin(future)), fresh: true, lane: Taken(lane) })
            }
            _ => Err(future),
        }
    }

    /// Runs the call for at most `slice`: its result once it is there. A panic in it becomes an error of kind `internal`.
    pub fn run(&mut self, slice: Duration) -> Option<Result<T>> {
        let OwnThread { future, fresh, lane } = self;
        let Some(running) = future.as_mut() else {
            return Some(Err(Error::new(ErrorKind::Misuse, "the result of this call was taken before")));
        };
        let fresh = std::mem::take(fresh);
        let result = lane.0.runtime.block_on(async {
            if fresh {
                turns(NOTICE).await;
            }
            tokio::time::timeout(slice, AssertUnwindSafe(running).catch_unwind()).await.ok()
        })?;
        let result = result.unwrap_or_else(|payload| Err(panicked(payload)));
        match &result {
            Ok(_) => *future = None,
            Err(_) => self.close(),
        }
        Some(result)
    }

    /// Drops what is left of the call, and has its connections see to that.
    fn close(&mut self) {
        if let Some(future) = self.future.take() {
            self.lane.0.runtime.block_on(async move {
                drop(future);
                turns(CLOSE).await;
            });
        }
    }
}

impl<T: Send + 'static> Drop for OwnThread<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// One turn to run what is ready and ask the system what came, one to act on it.
const NOTICE: usize = 2;
/// A connection learns that nobody waits for it, says goodbye and ends.
const CLOSE: usize = 4;

/// Lets everything else on this runtime run as far as it can, so many times.
async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};

    const SLICE: Duration = Duration::from_millis(20);
    /// There is one lane, and tests run side by side.
    static ONE: Mutex<()> = Mutex::new(());

    fn prepared<T: Send + 'static>(future: impl Future<Output = Result<T>> + Send + 'static) -> OwnThread<T> {
        OwnThread::prepare(future).ok().unwrap()
    }

    #[test]
    fn a_call_runs_on_the_thread_that_waits_and_the_next_one_elsewhere() {
        let _one = ONE.lock().unwrap();
        let (tell, told) = mpsc::channel();
        let mut call = prepared(async move {
            tell.send(std::thread::current().id()).unwrap();
            Ok(7)
        });
        assert!(OwnThread::prepare(async { Ok(()) }).is_err(), "the lane is taken");
        assert_eq!(call.run(SLICE).unwrap().unwrap(), 7);
        assert_eq!(told.recv().unwrap(), std::thread::current().id());
        assert_eq!(call.run(SLICE).unwrap().unwrap_err().kind(), ErrorKind::Misuse);
        drop(call);
        assert!(OwnThread::prepare(async { Ok(()) }).is_ok(), "the lane is free again");
    }

    #[test]
    fn a_slice_ends_and_the_call_goes_on() {
        let _one = ONE.lock().unwrap();
        let (open, gate) = tokio::sync::oneshot::channel();
        let mut call = prepared(async move { gate.await.map_err(|_| Error::invalid_request("closed")) });
        assert!(call.run(SLICE).is_none());
        open.send(3).unwrap();
        assert_eq!(call.run(SLICE).unwrap().unwrap(), 3);
    }

    #[test]
    fn a_panic_is_an_internal_error() {
        let _one = ONE.lock().unwrap();
        let error = prepared::<()>(async { panic!("boom") }).run(SLICE).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    #[test]
    fn dropping_a_call_lets_its_tasks_end() {
        let _one = ONE.lock().unwrap();
        let (tell, told) = mpsc::channel();
        let mut call = prepared::<()>(async move {
            // As a connection does: a task of its own, which ends when the call lets go of it.
            let (held, gone) = tokio::sync::oneshot::channel::<()>();
            tokio::spawn(async move {
                let _ = gone.await;
                tell.send(()).unwrap();
            });
            std::future::pending::<()>().await;
            drop(held);
            Ok(())
        });
        assert!(call.run(SLICE).is_none());
        assert!(told.try_recv().is_err());
        drop(call);
        told.try_recv().unwrap();
    }

    #[test]
    fn a_thread_that_drives_a_runtime_does_not_drive_another() {
        let _one = ONE.lock().unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(async { OwnThread::prepare(async { Ok(()) }).is_err() }));
    }
}
