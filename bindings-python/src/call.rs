//! A call in flight, for blocking callers and for an event loop.

use std::time::Duration;

use interfuse::{Result, host};
use pyo3::prelude::*;
use serde::Serialize;

use crate::convert::{raise, to_python};
use crate::queue::Queue;

/// How long a blocking wait goes without looking for Ctrl-C.
pub const SLICE: Duration = Duration::from_millis(50);

/// Runs a call to its result with the interpreter released, on this thread if no other call is run so. Ctrl-C cancels it.
pub fn blocking<T: Serialize + Send + 'static>(
    py: Python<'_>,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let mut call = match host::OwnThread::prepare(future) {
        Ok(call) => call,
        Err(future) => return join(py, &host::Call::start(future)),
    };
    loop {
        if let Some(result) = py.detach(|| call.run(SLICE)) {
            drop(call);
            return finish(py, result);
        }
        py.check_signals()?;
    }
}

/// Waits for the result with the interpreter released. Ctrl-C cancels the call.
fn join<T: Serialize + Send + 'static>(py: Python<'_>, call: &host::Call<T>) -> PyResult<Py<PyAny>> {
    loop {
        let ready = py.detach(|| call.wait(Some(SLICE))).map_err(|e| raise(py, &e))?;
        if let Some(result) = ready.then(|| call.take()).flatten() {
            return finish(py, result);
        }
        py.check_signals().inspect_err(|_| call.cancel())?;
    }
}

fn finish<T: Serialize>(py: Python<'_>, result: Result<T>) -> PyResult<Py<PyAny>> {
    match result {
        Ok(value) => to_python(py, &value).map(Bound::unbind),
        Err(e) => Err(raise(py, &e)),
    }
}

/// A call in flight or done; forgetting it cancels it.
#[pyclass(frozen, module = "interfuse._native")]
pub struct Call(Box<dyn InFlight>);

impl Call {
    pub fn new<T: Serialize + Send + 'static>(call: host::Call<T>) -> Self {
        Call(Box::new(call))
    }
}

#[pymethods]
impl Call {
    /// Has the queue give `token` once the result is there.
    fn notify(&self, queue: &Queue, token: u64) {
        self.0.notify(queue, token);
    }

    /// The result, or its exception; to be called once, after the token came.
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.0.take(py)
    }

    /// Stops the call, which closes its connection. Any number of times.
    fn cancel(&self) {
        self.0.cancel();
    }
}

trait InFlight: Send + Sync {
    fn notify(&self, queue: &Queue, token: u64);
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>>;
    fn cancel(&self);
}

impl<T: Serialize + Send + 'static> InFlight for host::Call<T> {
    fn notify(&self, queue: &Queue, token: u64) {
        host::Call::notify(self, queue.inner(), token);
    }

    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match host::Call::take(self) {
            Some(result) => finish(py, result),
            None => Ok(py.None()),
        }
    }

    fn cancel(&self) {
        host::Call::cancel(self);
    }
}
