//! One call that runs on the library's threads: wait for it, take its result, cancel it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::AbortHandle;

use super::runtime::{self, ThisProcess};
use super::signal::{Ready, Signal, Wake};
use super::{CompletionQueue, cancelled, panicked};
use crate::error::{Error, ErrorKind, Result};

/// A call in flight or done. Dropping it cancels the call.
pub struct Call<T>(ThisProcess<Running<T>>);

struct Running<T> {
    signal: Arc<Signal<Outcome<T>>>,
    task: Option<AbortHandle>,
}

enum Outcome<T> {
    Pending,
    Ready(Result<T>),
    Taken,
}

impl<T> Ready for Outcome<T> {
    fn is_ready(&self) -> bool {
        !matches!(self, Outcome::Pending)
    }
}

impl<T: Send + 'static> Call<T> {
    /// Starts `future` on the library's threads. A panic in it becomes an error of kind `internal`; so does a machine
    /// that gives no threads.
    pub fn start(future: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let signal = Arc::new(Signal::new(Outcome::Pending));
        // Also answers when the runtime drops the task unfinished.
        let finish = Finish(signal.clone());
        let task = async move {
            let result = AssertUnwindSafe(future).catch_unwind().await;
            settle(&finish.0, result.unwrap_or_else(|payload| Err(panicked(payload))));
        };
        let task = match runtime::handle() {
            Ok(handle) => Some(handle.spawn(task).abort_handle()),
            Err(e) => {
                settle(&signal, Err(e));
                None
            }
        };
        Call(ThisProcess::new(Running { signal, task }))
    }

    /// Waits until the result is there; `false` after `timeout` (`None`: no limit, zero: only looks).
    ///
    /// # Errors
    /// `misuse` when it would block a thread of the library, or after a fork.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        let running = self.0.get()?;
        Ok(running.signal.wait(timeout, |outcome| outcome.is_ready().then_some(()))?.is_some())
    }

    /// Whether [`take`](Self::take) would give the result.
    pub fn is_ready(&self) -> bool {
        self.0.get().map_or(true, |running| running.signal.look(|outcome| outcome.is_ready()))
    }

    /// The result, once; `None` while the call runs, an error of kind `misuse` when it was taken before.
    pub fn take(&self) -> Option<Result<T>> {
        let running = match self.0.get() {
            Ok(running) => running,
            Err(e) => return Some(Err(e)),
        };
        running.signal.look(|outcome| match std::mem::replace(outcome, Outcome::Taken) {
            Outcome::Ready(result) => Some(result),
            Outcome::Taken => Some(Err(Error::new(ErrorKind::Misuse, "the result of this call was taken before"))),
            Outcome::Pending => {
                *outcome = Outcome::Pending;
                None
            }
        })
    }

    /// Waits without limit and takes the result.
    ///
    /// # Errors
    /// Those of the call; `misuse` as in [`wait`](Self::wait).
    pub fn join(self) -> Result<T> {
        self.wait(None)?;
        self.take().unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "a call that is ready has no result")))
    }

    /// Runs `wake` exactly once when the result is there: now, later on a thread of the library, or inside `cancel` or
    /// drop. It must return at once.
    pub fn on_ready(&self, wake: impl FnOnce() + Send + 'static) {
        match self.0.get() {
            Ok(running) => running.signal.on_ready(Box::new(wake) as Wake),
            Err(_) => wake(),
        }
    }

    /// Pushes `token` to `queue` exactly once when the result is there.
    pub fn notify(&self, queue: &Arc<CompletionQueue>, token: u64) {
        let queue = queue.clone();
        self.on_ready(move || queue.push(token));
    }
}

impl<T> Call<T> {
    /// Stops the call: its future is dropped at once, which closes its connection, and its result is an error of kind
    /// `cancelled`. Changes nothing once the result is there. Any thread, any number of times.
    pub fn cancel(&self) {
        let Ok(running) = self.0.get() else { return };
        if let Some(task) = &running.task {
            task.abort();
        }
        settle(&running.signal, Err(cancelled()));
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        self.cancel();
    }
}

fn settle<T>(signal: &Signal<Outcome<T>>, result: Result<T>) {
    signal.change(|outcome| {
        if matches!(outcome, Outcome::Pending) {
            *outcome = Outcome::Ready(result);
        }
    });
}

struct Finish<T>(Arc<Signal<Outcome<T>>>);

impl<T> Drop for Finish<T> {
    fn drop(&mut self) {
        settle(&self.0, Err(cancelled()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    const GUARD: Option<Duration> = Some(Duration::from_secs(30));

    /// Tells when the future that owns it is dropped.
    struct Tell(mpsc::Sender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn gives_its_result_once() {
        let call = Call::start(async { Ok(7) });
        assert!(call.wait(GUARD).unwrap());
        assert!(call.is_ready());
        assert_eq!(call.take().unwrap().unwrap(), 7);
        assert_eq!(call.take().unwrap().unwrap_err().kind(), ErrorKind::Misuse);
    }

    #[test]
    fn a_call_in_flight_is_not_ready() {
        let (open, gate) = tokio::sync::oneshot::channel();
        let call = Call::start(async move { gate.await.map_err(|_| Error::invalid_request("closed")) });
        assert!(!call.is_ready() && !call.wait(Some(Duration::ZERO)).unwrap() && call.take().is_none());
        assert!(!call.wait(Some(Duration::from_millis(1))).unwrap());
        open.send(3).unwrap();
        assert_eq!(call.join().unwrap(), 3);
    }

    #[test]
    fn a_panic_is_an_internal_error() {
        let error = Call::<()>::start(async { panic!("boom {}", 1) }).join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("boom 1"), "{error}");
    }

    #[test]
    fn cancel_drops_the_future_and_wakes_everyone_once() {
        let (tell, dropped) = mpsc::channel();
        let tell = Tell(tell);
        let call = Arc::new(Call::<()>::start(async move {
            let _tell = tell;
            pending().await
        }));
        let woken = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let woken = woken.clone();
            call.on_ready(move || {
                woken.fetch_add(1, Ordering::Relaxed);
            });
        }
        let waiter = std::thread::spawn({
            let call = call.clone();
            move || call.wait(GUARD).unwrap()
        });
        call.cancel();
        call.cancel();
        assert!(waiter.join().unwrap());
        dropped.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(call.take().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        drop(call);
        assert_eq!(woken.load(Ordering::Relaxed), 2, "each callback once");
    }

    #[test]
    fn cancel_after_the_end_keeps_the_result() {
        let call = Call::start(async { Ok(1) });
        call.wait(GUARD).unwrap();
        call.cancel();
        assert_eq!(call.take().unwrap().unwrap(), 1);
    }

    #[test]
    fn drop_cancels_and_wakes() {
        let (tell, dropped) = mpsc::channel();
        let (future, woken) = (Tell(tell.clone()), Tell(tell));
        let call = Call::<()>::start(async move {
            let _future = future;
            pending().await
        });
        call.on_ready(move || drop(woken));
        drop(call);
        for _ in 0..2 {
            dropped.recv_timeout(Duration::from_secs(30)).unwrap();
        }
    }

    #[test]
    fn a_callback_may_not_block_and_may_not_hurt() {
        let (send, seen) = mpsc::channel();
        let (open, gate) = tokio::sync::oneshot::channel::<()>();
        let call = Call::start(async move { gate.await.map_err(|_| Error::invalid_request("closed")) });
        call.on_ready(move || {
            let other = Call::<()>::start(pending());
            send.send(other.wait(None).unwrap_err().kind()).unwrap();
            panic!("in a callback");
        });
        open.send(()).unwrap();
        assert_eq!(seen.recv_timeout(Duration::from_secs(30)).unwrap(), ErrorKind::Misuse);
        call.join().unwrap();
    }
}
