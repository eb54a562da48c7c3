//! For hosts without tokio of their own (C, Python): a runtime on own threads, and handles to wait for what runs there.
//!
//! Nothing is made before the first call. After `fork` the child gets a runtime and clients of its own; handles of calls
//! and streams made before the fork answer `misuse` there.

mod call;
mod lane;
mod log;
mod queue;
mod runtime;
mod signal;
mod stream;

pub use call::Call;
pub use lane::OwnThread;
pub use log::{LogLevel, log_as_environment_says, set_log};
pub use queue::CompletionQueue;
pub use runtime::{ForkSafe, handle, may_block, set_workers, shutdown};
pub use stream::{Batch, EventStream, Next};

use crate::error::{Error, ErrorKind};

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the caller cancelled the call, or the library was shut down while it ran")
}

/// What a panic in a task becomes: no unwinding ever reaches a host.
fn panicked(payload: Box<dyn std::any::Any + Send>) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Error::new(ErrorKind::Internal, format!("a task panicked ({text}); please report this defect"))
}
