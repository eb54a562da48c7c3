//! Fusion: a pool of members in parallel, combined by a judge. Sees no socket, no key and no clock of its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, Stream, StreamExt};

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Config, FuseRequest, Fused, FusionEvent};

/// Events of one fusion; the last is `run_done` with the result. Dropping it cancels every call of the run.
pub struct FusionStream(BoxStream<'static, Result<FusionEvent>>);

impl FusionStream {
    /// Wraps any stream of events.
    pub fn new(stream: impl Stream<Item = Result<FusionEvent>> + Send + 'static) -> Self {
        FusionStream(stream.boxed())
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<FusionEvent>> {
        self.0.next().await
    }
}

impl Stream for FusionStream {
    type Item = Result<FusionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// Runs one fusion to its end.
pub async fn fuse(engine: &Engine, config: &Config, request: FuseRequest) -> Result<Fused> {
    let _ = (engine, config, request);
    Err(Error::new(ErrorKind::Internal, "not wired yet"))
}

/// Runs one fusion and tells its progress.
pub async fn fuse_stream(engine: &Engine, config: &Config, request: FuseRequest) -> Result<FusionStream> {
    let _ = (engine, config, request);
    Err(Error::new(ErrorKind::Internal, "not wired yet"))
}
