//! The network: one transport, its framing, its headers. The only room with sockets.

mod dial;
#[cfg(feature = "aws")]
mod event_stream;
mod framing;
mod headers;
mod limits;
mod public;
mod reqwest;
mod sse;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::error::Result;

pub use self::reqwest::ReqwestTransport;
pub use framing::Framer;
pub use headers::{coding, request_id, retry_after, should_retry};
pub use limits::rate_limit;
pub use public::not_public;
pub use sse::SseParser;

/// Largest body of a complete answer, bytes.
pub const MAX_RESPONSE: usize = 64 << 20;
/// Largest event of a stream, bytes.
pub const MAX_EVENT: usize = 8 << 20;
/// How much of an error's body is read, bytes.
pub const MAX_ERROR_BODY: usize = 16 << 10;

/// One request to one address.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method; `POST` for calls.
    pub method: Method,
    /// The address.
    pub url: Arc<url::Url>,
    /// All headers, the credential among them (marked sensitive).
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long its parts may take.
    pub limits: Limits,
}

/// How long the parts of a request may take; `None`: as long as the call may. Each fires as the timeout of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Finding the server and connecting to it.
    pub dns_connect: Duration,
    /// Agreeing on encryption.
    pub tls: Duration,
    /// Handing the request to the connection.
    pub write: Option<Duration>,
    /// From the request's being sent to the head of the response.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the body.
    pub idle: Option<Duration>,
}

impl Limits {
    /// How long connecting may take where nobody says.
    pub const CONNECT: Duration = Duration::from_secs(5);

    /// The same limit for each part.
    pub fn each(limit: Duration) -> Self {
        Limits { dns_connect: limit, tls: limit, write: Some(limit), first_byte: Some(limit), idle: Some(limit) }
    }
}

/// The head of a response, and its body still to be read.
pub struct HttpResponse {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body. Dropping it closes the connection unless it was read to its end.
    pub body: Body,
}

/// A body in pieces. Errors are typed: `timeout`, `connection`, `interrupted`.
pub struct Body(BoxStream<'static, Result<Bytes>>);

impl Body {
    /// Wraps any stream of pieces.
    pub fn new(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Body(stream.boxed())
    }

    /// The next piece.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        self.0.next().await
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// What sends requests. Replaceable; the default is [`ReqwestTransport`].
pub trait Transport: Send + Sync {
    /// Sends one request and waits for the head of the response. Never follows redirects, never retries. Dropping the
    /// future closes the connection.
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>>;
}

/// What reaches addresses that a request names. Replaceable; the default is [`ReqwestTransport`].
pub trait Web: Send + Sync {
    /// The addresses of a name.
    ///
    /// # Errors
    /// The resolver's.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

    /// Gets what stands there, from one of exactly these addresses, whatever the name resolves to by now. Never through
    /// a proxy, never with a credential, never following a redirect.
    fn get(
        &self,
        url: url::Url,
        addresses: Vec<SocketAddr>,
        idle_timeout: Duration,
    ) -> BoxFuture<'static, Result<HttpResponse>>;
}
