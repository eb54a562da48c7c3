//! A stream that is read on the library's threads into a bounded buffer and handed over in batches: whatever has come
//! since the last look. A full buffer stops the reading, and so, through TCP, the sender.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{FutureExt as _, Stream};
use tokio::task::AbortHandle;

use super::runtime::{self, ThisProcess};
use super::signal::{Ready, Signal, Wake};
use super::{CompletionQueue, cancelled, panicked};
use crate::error::{Error, Result};

/// Items read ahead of the caller.
const CAPACITY: usize = 256;

/// What a stream had to give.
#[derive(Debug)]
pub enum Batch<T> {
    /// At least one item.
    Items(Vec<T>),
    /// The stream ended as it should; all items were given.
    End,
    /// The stream failed; all items that came before were given. The same error again on every later call.
    Err(Error),
    /// Nothing came in time.
    NotReady,
}

/// What [`EventStream::next`] had to give.
#[derive(Debug)]
pub enum Next<T> {
    /// One item.
    Item(T),
    /// The stream ended as it should; all items were given.
    End,
    /// Nothing came in time.
    NotReady,
}

/// A stream in flight or done. Dropping it cancels the stream.
pub struct EventStream<T>(ThisProcess<Reading<T>>);

struct Reading<T> {
    signal: Arc<Signal<Buffer<T>>>,
    task: Option<AbortHandle>,
}

struct Buffer<T> {
    items: VecDeque<T>,
    end: Option<Result<()>>,
    given: bool,
    /// The reader, while it waits for room.
    reader: Option<Waker>,
}

impl<T> Ready for Buffer<T> {
    fn is_ready(&self) -> bool {
        !self.items.is_empty() || self.end.is_some()
    }
}

impl<T: Send + 'static> EventStream<T> {
    /// Runs `open` and reads the stream it gives on the library's threads; failures of `open` come from
    /// [`next_batch`](Self::next_batch) like any other. The inner stream is dropped before its end is told.
    pub fn start<S>(open: impl Future<Output = Result<S>> + Send + 'static) -> Self
    where
        S: Stream<Item = Result<T>> + Send + 'static,
    {
        let buffer = Buffer { items: VecDeque::new(), end: None, given: false, reader: None };
        let signal = Arc::new(Signal::new(buffer));
        // Also answers when the runtime drops the task unfinished.
        let finish = Finish(signal.clone());
        let task = async move {
            let mut fresh = Vec::new();
            let result = AssertUnwindSafe(read(&finish.0, open, &mut fresh)).catch_unwind().await;
            settle(&finish.0, fresh, result.unwrap_or_else(|payload| Err(panicked(payload))));
        };
        let task = match runtime::handle() {
            Ok(handle) => Some(handle.spawn(task).abort_handle()),
            Err(e) => {
                settle(&signal, Vec::new(), Err(e));
                None
            }
        };
        EventStream(ThisProcess::new(Reading { signal, task }))
    }

    /// Everything that has come since the last call, at most `max` items; waits up to `timeout` for the first (`None`:
    /// no limit, zero: only looks). An error of kind `misuse` when it would block a thread of the library, or after a
    /// fork.
    pub fn next_batch(&self, timeout: Option<Duration>, max: usize) -> Batch<T> {
        match self.take(timeout, |items| {
            if items.len() <= max.max(1) {
                Vec::from(std::mem::take(items))
            } else {
                items.drain(..max.max(1)).collect()
            }
        }) {
            Ok(Some(Some(items))) => Batch::Items(items),
            Ok(Some(None)) => Batch::End,
            Ok(None) => Batch::NotReady,
            Err(e) => Batch::Err(e),
        }
    }

    /// The next item; for hosts that hand over one at a time.
    ///
    /// # Errors
    /// That of the stream, after all items that came before it and again on every later call; `misuse` as in
    /// [`next_batch`](Self::next_batch).
    pub fn next(&self, timeout: Option<Duration>) -> Result<Next<T>> {
        Ok(match self.take(timeout, VecDeque::pop_front)? {
            Some(Some(Some(item))) => Next::Item(item),
            Some(_) => Next::End,
            None => Next::NotReady,
        })
    }

    /// `pick` gets at least one item; `Some(None)` is the end, `None` that nothing came in time.
    fn take<P>(&self, timeout: Option<Duration>, pick: impl Fn(&mut VecDeque<T>) -> P) -> Result<Option<Option<P>>> {
        let found = self.0.get()?.signal.wait(timeout, |buffer| buffer.take(&pick))?;
        let Some((picked, reader)) = found else { return Ok(None) };
        if let Some(reader) = reader {
            reader.wake();
        }
        picked.map(Some)
    }

    /// Waits for the first item; `false` after `timeout` (as in [`next_batch`](Self::next_batch)).
    ///
    /// # Errors
    /// That of a stream that failed before it gave anything; `misuse` as in `next_batch`.
    pub fn opened(&self, timeout: Option<Duration>) -> Result<bool> {
        let found = self.0.get()?.signal.wait(timeout, |buffer| match &buffer.end {
            _ if buffer.given || !buffer.items.is_empty() => Some(Ok(())),
            Some(end) => Some(end.clone()),
            None => None,
        })?;
        found.transpose().map(|open| open.is_some())
    }

    /// Runs `wake` exactly once when there is something to read or the stream has ended: now, later on a thread of the
    /// library, or inside `cancel` or drop. It must return at once. Call it again for the next time.
    pub fn on_ready(&self, wake: impl FnOnce() + Send + 'static) {
        match self.0.get() {
            Ok(reading) => reading.signal.on_ready(Box::new(wake) as Wake),
            Err(_) => wake(),
        }
    }

    /// Pushes `token` to `queue` exactly once when there is something to read.
    pub fn notify(&self, queue: &Arc<CompletionQueue>, token: u64) {
        let queue = queue.clone();
        self.on_ready(move || queue.push(token));
    }
}

impl<T> EventStream<T> {
    /// Stops the stream: it is dropped at once, which closes its connection; items not yet taken are dropped, and the
    /// stream ends with an error of kind `cancelled`. Changes nothing once all was taken. Any thread, any number of times.
    pub fn cancel(&self) {
        let Ok(reading) = self.0.get() else { return };
        if let Some(task) = &reading.task {
            task.abort();
        }
        let dropped = reading.signal.change(|buffer| {
            if buffer.end.is_none() || !buffer.items.is_empty() {
                buffer.end = Some(Err(cancelled()));
            }
            std::mem::take(&mut buffer.items)
        });
        drop(dropped);
    }
}

impl<T> Drop for EventStream<T> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<T> Buffer<T> {
    /// Nothing is added to a stream that was cancelled meanwhile.
    fn add(&mut self, items: impl IntoIterator<Item = T>) {
        if self.end.is_none() {
            self.items.extend(items);
        }
    }

    fn take<P>(&mut self, pick: impl Fn(&mut VecDeque<T>) -> P) -> Option<(Result<Option<P>>, Option<Waker>)> {
        if self.items.is_empty() {
            return Some((self.end.clone()?.map(|()| None), None));
        }
        self.given = true;
        let picked = pick(&mut self.items);
        // Waking for every free place would cost a switch per item.
        let reader = if self.items.len() <= CAPACITY / 2 { self.reader.take() } else { None };
        Some((Ok(Some(picked)), reader))
    }
}

/// Reads to the end; what came with the end is left in `fresh`.
async fn read<T, S>(signal: &Signal<Buffer<T>>, open: impl Future<Output = Result<S>>, fresh: &mut Vec<T>) -> Result<()>
where
    S: Stream<Item = Result<T>>,
{
    let mut stream = pin!(open.await?);
    let mut room = CAPACITY;
    poll_fn(|cx| fill(stream.as_mut(), signal, fresh, &mut room, cx)).await
}

/// Moves everything the stream has ready into the buffer, under one lock. `room` is never more than there is.
fn fill<T, S>(
    mut stream: Pin<&mut S>,
    signal: &Signal<Buffer<T>>,
    fresh: &mut Vec<T>,
    room: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<Result<()>>
where
    S: Stream<Item = Result<T>>,
{
    loop {
        if *room == 0 {
            *room = signal.look(|buffer| {
                let room = CAPACITY.saturating_sub(buffer.items.len());
                buffer.reader = (room == 0).then(|| cx.waker().clone());
                room
            });
            if *room == 0 {
                return Poll::Pending;
            }
        }
        let mut pending = false;
        while !pending && fresh.len() < *room {
            match stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => fresh.push(item?),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => pending = true,
            }
        }
        if !fresh.is_empty() {
            *room = signal.change(|buffer| {
                buffer.add(fresh.drain(..));
                CAPACITY.saturating_sub(buffer.items.len())
            });
        }
        if pending {
            return Poll::Pending;
        }
    }
}

fn settle<T>(signal: &Signal<Buffer<T>>, last: Vec<T>, end: Result<()>) {
    signal.change(|buffer| {
        buffer.add(last);
        buffer.end.get_or_insert(end);
    });
}

struct Finish<T>(Arc<Signal<Buffer<T>>>);

impl<T> Drop for Finish<T> {
    fn drop(&mut self) {
        settle(&self.0, Vec::new(), Err(cancelled()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use futures_util::stream::{self, StreamExt as _};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    const GUARD: Option<Duration> = Some(Duration::from_secs(30));
    const ALL: usize = usize::MAX;

    fn numbers(n: usize) -> EventStream<usize> {
        EventStream::start(async move { Ok(stream::iter((0..n).map(Ok))) })
    }

    fn collect<T: Send + 'static>(stream: &EventStream<T>, max: usize) -> (Vec<T>, Option<Error>) {
        let mut all = Vec::new();
        loop {
            match stream.next_batch(GUARD, max) {
                Batch::Items(items) => {
                    assert!(!items.is_empty() && items.len() <= max);
                    all.extend(items);
                }
                Batch::End => return (all, None),
                Batch::Err(e) => return (all, Some(e)),
                Batch::NotReady => panic!("nothing came in time"),
            }
        }
    }

    #[test]
    fn gives_every_item_in_order_whatever_the_batch() {
        for max in [1, 7, ALL] {
            let stream = numbers(1000);
            assert!(stream.opened(GUARD).unwrap());
            let (items, error) = collect(&stream, max);
            assert!(error.is_none());
            assert_eq!(items, (0..1000).collect::<Vec<_>>());
            assert!(matches!(stream.next_batch(GUARD, max), Batch::End), "the end stays");
            stream.cancel();
            assert!(matches!(stream.next(GUARD), Ok(Next::End)), "there was nothing left to cancel");
        }
    }

    #[test]
    fn gives_one_at_a_time() {
        let stream = numbers(300);
        for n in 0..300 {
            assert!(matches!(stream.next(GUARD), Ok(Next::Item(item)) if item == n));
        }
        assert!(matches!(stream.next(GUARD), Ok(Next::End)));
    }

    #[test]
    fn a_cancelled_stream_never_looks_complete() {
        let stream = numbers(3);
        stream.opened(GUARD).unwrap();
        stream.cancel();
        assert_eq!(stream.next(GUARD).unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_full_buffer_stops_the_reading() {
        let polled = Arc::new(AtomicUsize::new(0));
        let count = polled.clone();
        let items = stream::iter((0..10_000).map(Ok)).inspect(move |_: &Result<i32>| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let stream = EventStream::start(async move { Ok(items) });
        stream.opened(GUARD).unwrap();
        // The reader parks itself under the lock; once it has, nothing moves until somebody takes.
        while !stream.0.get().unwrap().signal.look(|b| b.reader.is_some()) {
            std::thread::yield_now();
        }
        assert_eq!(polled.load(Ordering::Relaxed), CAPACITY);
        assert_eq!(collect(&stream, ALL).0.len(), 10_000);
    }

    #[test]
    fn items_come_before_the_error_and_the_error_stays() {
        let items = stream::iter([Ok(1), Ok(2), Err(Error::invalid_request("cut"))]);
        let stream = EventStream::start(async move { Ok(items) });
        let (items, error) = collect(&stream, ALL);
        assert_eq!((items.len(), error.unwrap().kind()), (2, ErrorKind::InvalidRequest));
        assert!(matches!(stream.next_batch(GUARD, 1), Batch::Err(_)));
        assert!(stream.opened(GUARD).unwrap(), "it had been open");
    }

    #[test]
    fn a_stream_that_does_not_open_says_why() {
        let stream = EventStream::<u8>::start(async {
            Err::<stream::Empty<Result<u8>>, _>(Error::new(ErrorKind::NotFound, "no such model"))
        });
        assert_eq!(stream.opened(GUARD).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(collect(&stream, ALL).1.unwrap().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_panic_is_an_internal_error() {
        let items = stream::iter(0..2).map(|n| if n == 1 { panic!("boom") } else { Ok(n) });
        let (items, error) = collect(&EventStream::start(async move { Ok(items) }), ALL);
        assert_eq!(items, [0], "what came before it is not lost");
        assert_eq!(error.unwrap().kind(), ErrorKind::Internal);
    }

    #[test]
    fn cancel_drops_the_stream_and_wakes() {
        struct Tell(mpsc::Sender<()>);
        impl Drop for Tell {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (tell, dropped) = mpsc::channel();
        let (inside, woken) = (Tell(tell.clone()), Tell(tell));
        let stream = EventStream::start(async move {
            let _ = &inside;
            Ok(stream::iter([Ok(1)]).chain(stream::pending()).inspect(move |_| {
                let _ = &inside;
            }))
        });
        assert!(matches!(stream.next_batch(GUARD, ALL), Batch::Items(_)));
        assert!(matches!(stream.next_batch(Some(Duration::ZERO), ALL), Batch::NotReady));
        stream.on_ready(move || drop(woken));
        stream.cancel();
        stream.cancel();
        for _ in 0..2 {
            dropped.recv_timeout(Duration::from_secs(30)).unwrap();
        }
        assert_eq!(collect(&stream, ALL).1.unwrap().kind(), ErrorKind::Cancelled);
    }
}
