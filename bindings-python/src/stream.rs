//! A stream in flight: fetched in batches, made into Python objects one at a time on the caller's side.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use interfuse::Result;
use interfuse::batch::BatchFeed;
use interfuse::host::{Batch, EventStream};
use pyo3::prelude::*;
use pyo3::types::PyList;
use serde::Serialize;

use crate::call::SLICE;
use crate::convert::{batch_request, raise, to_python};
use crate::queue::Queue;

/// An iterator over chunks or events; forgetting it closes the connection.
#[pyclass(frozen, module = "interfuse._native")]
pub struct Stream(Box<dyn Source>);

impl Stream {
    pub fn new<T: Serialize + Send + 'static>(events: EventStream<T>) -> Self {
        Stream(Box::new(Reader { events, fetched: Mutex::default() }))
    }

    /// Waits until the first item or a failure is there, with the interpreter released. Ctrl-C cancels the stream.
    pub fn open(&self, py: Python<'_>) -> PyResult<()> {
        while !py.detach(|| self.0.opened(SLICE)).map_err(|e| raise(py, &e))? {
            py.check_signals().inspect_err(|_| self.0.cancel())?;
        }
        Ok(())
    }
}

#[pymethods]
impl Stream {
    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let mut patience = Duration::ZERO;
        loop {
            if let Some(item) = self.0.pop(py) {
                return item.map(Some);
            }
            let fetched = if patience.is_zero() { self.0.fetch(patience) } else { py.detach(|| self.0.fetch(SLICE)) };
            match fetched.map_err(|e| raise(py, &e))? {
                Fetched::Some => continue,
                Fetched::End => return Ok(None),
                Fetched::NotReady => py.check_signals().inspect_err(|_| self.0.cancel())?,
            }
            patience = SLICE;
        }
    }

    /// Everything that is there now: a list of items, empty at the end of the stream; None while there is nothing yet.
    fn ready<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        match self.0.fetch(Duration::ZERO).map_err(|e| raise(py, &e))? {
            Fetched::NotReady => return Ok(None),
            Fetched::Some | Fetched::End => {}
        }
        let items = PyList::empty(py);
        while let Some(item) = self.0.pop(py) {
            items.append(item?)?;
        }
        Ok(Some(items))
    }

    /// Raises the failure of a stream that failed before it gave anything.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.0.opened(Duration::ZERO).map(drop).map_err(|e| raise(py, &e))
    }

    /// Has the queue give `token` once there is something to fetch.
    fn notify(&self, queue: &Queue, token: u64) {
        self.0.notify(queue, token);
    }

    /// Stops the stream, which closes its connection. Any number of times.
    fn cancel(&self) {
        self.0.cancel();
    }
}

/// Where the requests of a batch are put in. Forgetting it ends the batch once all are done.
#[pyclass(frozen, module = "interfuse._native")]
pub struct Feed(Mutex<Option<BatchFeed>>);

impl Feed {
    pub fn new(feed: BatchFeed) -> Self {
        Feed(Mutex::new(Some(feed)))
    }

    fn open(&self) -> MutexGuard<'_, Option<BatchFeed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Feed {
    /// How many requests are taken now.
    fn room(&self) -> usize {
        self.open().as_ref().map_or(0, BatchFeed::room)
    }

    /// Puts in a request: a text, a list of messages or a dict. What cannot be read becomes a row with that error. False when
    /// there is no room.
    fn push(&self, request: &Bound<'_, PyAny>) -> bool {
        let request = batch_request(request);
        self.open().as_ref().is_some_and(|feed| feed.push(request))
    }

    /// There are no more.
    fn close(&self) {
        self.open().take();
    }
}

enum Fetched {
    Some,
    End,
    NotReady,
}

trait Source: Send + Sync {
    fn pop(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>>;
    fn fetch(&self, timeout: Duration) -> Result<Fetched>;
    fn opened(&self, timeout: Duration) -> Result<bool>;
    fn notify(&self, queue: &Queue, token: u64);
    fn cancel(&self);
}

struct Reader<T> {
    events: EventStream<T>,
    fetched: Mutex<VecDeque<T>>,
}

impl<T: Serialize + Send + 'static> Source for Reader<T> {
    fn pop(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        let item = self.fetched.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        Some(to_python(py, &item).map(Bound::unbind))
    }

    fn fetch(&self, timeout: Duration) -> Result<Fetched> {
        match self.events.next_batch(timeout.into(), usize::MAX) {
            Batch::Items(items) => {
                self.fetched.lock().unwrap_or_else(PoisonError::into_inner).extend(items);
                Ok(Fetched::Some)
            }
            Batch::End => Ok(Fetched::End),
            Batch::NotReady => Ok(Fetched::NotReady),
            Batch::Err(e) => Err(e),
        }
    }

    fn opened(&self, timeout: Duration) -> Result<bool> {
        self.events.opened(timeout.into())
    }

    fn notify(&self, queue: &Queue, token: u64) {
        self.events.notify(queue.inner(), token);
    }

    fn cancel(&self) {
        self.events.cancel();
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
