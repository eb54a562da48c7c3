//! A chat stream as the caller sees it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, Stream, StreamExt};

use crate::error::Result;
use crate::types::ChatCompletionChunk;

/// Chunks of one answer. Ends after the terminal signal; anything else is an error that carries the partial text.
pub struct ChatStream(BoxStream<'static, Result<ChatCompletionChunk>>);

impl ChatStream {
    /// Wraps any stream of chunks.
    pub fn new(stream: impl Stream<Item = Result<ChatCompletionChunk>> + Send + 'static) -> Self {
        ChatStream(stream.boxed())
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<ChatCompletionChunk>> {
        self.0.next().await
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatCompletionChunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}
