//! Tokens of calls and streams that became ready, for one event loop.

use std::sync::Arc;
use std::time::Duration;

use interfuse::host::CompletionQueue;
use pyo3::prelude::*;

/// What one event loop watches, or a pump thread waits for where the loop cannot watch a descriptor.
#[pyclass(frozen, module = "interfuse._native")]
pub struct Queue(Arc<CompletionQueue>);

impl Queue {
    pub fn inner(&self) -> &Arc<CompletionQueue> {
        &self.0
    }
}

#[pymethods]
impl Queue {
    #[new]
    fn new() -> Self {
        Queue(Arc::new(CompletionQueue::new()))
    }

    /// The descriptor that is readable while tokens wait.
    #[cfg(unix)]
    fn fileno(&self) -> PyResult<i32> {
        use std::os::fd::AsRawFd as _;
        Ok(self.0.fd()?.as_raw_fd())
    }

    /// Everything that came since the last time; never blocks.
    fn drain(&self) -> Vec<u64> {
        self.0.drain()
    }

    /// Waits for a token, at most `timeout` seconds; False once the queue is closed and empty.
    fn wait(&self, py: Python<'_>, timeout: f64) -> bool {
        py.detach(|| self.0.wait(Duration::try_from_secs_f64(timeout).ok()))
    }

    /// Ends the waiting.
    fn close(&self) {
        self.0.close();
    }
}
