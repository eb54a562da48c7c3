//! The only owner of attempts: sends, waits, retries, moves to the next target, books every attempt.

mod stream;

use std::sync::Arc;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatCompletion, ChatRequest, Config, Purpose, Tags};

pub use stream::ChatStream;

/// What a call is made for, by whom it is paid, and until when it may run.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Id shared by all calls of one run; the ledger's key.
    pub run_id: String,
    /// What the call is for.
    pub purpose: Purpose,
    /// When the call must be over.
    pub deadline: Option<Instant>,
    /// Labels for the ledger.
    pub tags: Tags,
}

impl CallContext {
    /// A new run.
    pub fn new(purpose: Purpose, tags: Tags) -> Self {
        CallContext { run_id: uuid::Uuid::now_v7().to_string(), purpose, deadline: None, tags }
    }
}

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    clock: Arc<dyn Clock>,
}

impl Engine {
    /// An engine for a checked configuration.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let _ = config;
        Ok(Engine { clock })
    }

    /// The wall clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// One answer. `response.interfuse` tells provider, attempts, latency and cost. Dropping the future closes the
    /// connection and books the attempt as cancelled.
    pub async fn chat(&self, request: &ChatRequest, cx: &CallContext) -> Result<ChatCompletion> {
        let _ = (request, cx);
        Err(Error::new(ErrorKind::Internal, "not wired yet"))
    }

    /// One streamed answer; returns when the first event is there, so that failures before it are retried like any
    /// other. The last chunk carries `interfuse`. Dropping the stream closes the connection.
    pub async fn stream(&self, request: &ChatRequest, cx: &CallContext) -> Result<ChatStream> {
        let _ = (request, cx);
        Err(Error::new(ErrorKind::Internal, "not wired yet"))
    }
}
