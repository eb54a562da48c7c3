//! The default transport. The only file that names reqwest.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use ::reqwest::{Client, ClientBuilder, Proxy, Request, Response, redirect, retry};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{Stream, StreamExt};
use http::header::{ACCEPT, HeaderValue, USER_AGENT};
use once_cell::sync::OnceCell;
use tokio::time::{Instant, Sleep};

use super::{Body, HttpRequest, HttpResponse, Method, Transport, Web, tls};
use crate::error::{Dispatch, Error, ErrorKind, Result};
use crate::types::{NetworkConfig, TimeoutConfig};

/// reqwest over rustls: HTTP/1.1 and HTTP/2, pooled connections, no redirects, no proxy unless configured.
pub struct ReqwestTransport(Arc<Inner>);

struct Inner {
    network: NetworkConfig,
    connect_timeout: Duration,
    /// TLS settings cost milliseconds to load, so a client that only speaks to a plain local server never loads them.
    plain: OnceCell<Client>,
    tls: OnceCell<Client>,
}

impl ReqwestTransport {
    /// A transport; nothing is loaded or connected before the first request.
    pub fn new(network: NetworkConfig, timeouts: &TimeoutConfig) -> Self {
        ReqwestTransport(Arc::new(Inner {
            network,
            connect_timeout: Duration::from_millis(timeouts.connect_ms),
            plain: OnceCell::new(),
            tls: OnceCell::new(),
        }))
    }
}

impl Inner {
    fn client(&self, https: bool) -> Result<&Client> {
        // A proxy may itself be reached over TLS.
        let https = https || self.network.proxy.is_some();
        let cell = if https { &self.tls } else { &self.plain };
        cell.get_or_try_init(|| self.build(https))
    }

    fn build(&self, https: bool) -> Result<Client> {
        let builder = match self.network.proxy.as_deref() {
            None => self.builder(https)?.no_proxy(),
            Some("system") => self.builder(https)?,
            Some(url) => {
                self.builder(https)?.proxy(Proxy::all(url).map_err(|e| Error::invalid_config("network.proxy", e))?)
            }
        };
        built(builder)
    }

    /// What all clients have in common.
    fn builder(&self, https: bool) -> Result<ClientBuilder> {
        let roots = if https { tls::config(self.network.ca_file.as_deref())? } else { tls::none()? };
        Ok(Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .referer(false)
            .tls_backend_preconfigured(roots))
    }

    /// What sends a request once it is polled.
    fn sending(&self, request: HttpRequest) -> Result<impl Future<Output = ::reqwest::Result<Response>> + use<>> {
        let client = self.client(request.url.scheme() == "https")?;
        let mut out = Request::new(request.method, (*request.url).clone());
        *out.headers_mut() = request.headers;
        *out.body_mut() = Some(request.body.into());
        Ok(client.execute(out))
    }

    async fn head(
        &self,
        sending: impl Future<Output = ::reqwest::Result<Response>>,
        response_timeout: Option<Duration>,
        idle_timeout: Duration,
    ) -> Result<HttpResponse> {
        let started = Instant::now();
        let answered = match response_timeout {
            None => sending.await,
            Some(limit) => match tokio::time::timeout(limit, sending).await {
                Ok(answered) => answered,
                Err(_) => return Err(timeout("response", limit, started.elapsed(), 0)),
            },
        };
        let mut response = answered.map_err(|e| self.failed(e, started))?;
        Ok(HttpResponse {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: Body::new(Pieces {
                inner: response.bytes_stream(),
                idle: idle_timeout,
                waiting: None,
                sleep: None,
                bytes: 0,
            }),
        })
    }

    fn failed(&self, e: ::reqwest::Error, started: Instant) -> Error {
        let connecting = e.is_connect();
        if e.is_timeout() {
            return timeout("connect", self.connect_timeout, started.elapsed(), 0);
        }
        let host = e.url().and_then(|u| u.host_str()).unwrap_or("the server").to_owned();
        let e = e.without_url();
        let (dispatch, what) = if connecting {
            (Dispatch::NotSent, format!("cannot connect to {host}"))
        } else {
            (Dispatch::Uncertain, format!("the connection to {host} broke before an answer"))
        };
        dispatched(Error::new(ErrorKind::Connection, format!("{what}: {}", chain(&e))), dispatch)
    }
}

impl Transport for ReqwestTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        let inner = self.0.clone();
        let (response_timeout, idle_timeout) = (request.response_timeout, request.idle_timeout);
        // Outside of the future, which would hold the request several times over.
        let sending = inner.sending(request);
        Box::pin(async move { inner.head(sending?, response_timeout, idle_timeout).await })
    }
}

impl Web for ReqwestTransport {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }

    fn get(
        &self,
        url: url::Url,
        addresses: Vec<SocketAddr>,
        idle_timeout: Duration,
    ) -> BoxFuture<'static, Result<HttpResponse>> {
        let inner = self.0.clone();
        Box::pin(async move {
            // A client of its own, whose every name is these addresses.
            let builder = inner.builder(url.scheme() == "https")?.no_proxy().dns_resolver(Arc::new(Pinned(addresses)));
            let mut request = Request::new(Method::GET, url);
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static("image/*"));
            // Some public servers refuse those who do not say who they are.
            headers.insert(USER_AGENT, HeaderValue::from_static(concat!("interfuse/", env!("CARGO_PKG_VERSION"))));
            inner.head(built(builder)?.execute(request), None, idle_timeout).await
        })
    }
}

/// Resolves every name to addresses that were checked before.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

fn built(builder: ClientBuilder) -> Result<Client> {
    builder
        .build()
        .map_err(|e| Error::new(ErrorKind::Internal, format!("the HTTP client cannot be built: {}", chain(&e))))
}

/// Notes how far a failed request had got, for the engine.
fn dispatched(mut error: Error, dispatch: Dispatch) -> Error {
    if let Ok(value) = serde_json::to_value(dispatch) {
        error.body_mut().details.insert("dispatch".into(), value);
    }
    error
}

fn timeout(which: &str, limit: Duration, elapsed: Duration, bytes: u64) -> Error {
    let mut error = Error::new(
        ErrorKind::Timeout,
        format!(
            "the {which} timeout of {} ms fired after {} ms with {bytes} bytes received; raise `timeouts.{which}_ms` if the model is slow",
            limit.as_millis(),
            elapsed.as_millis()
        ),
    );
    error.body_mut().details.insert("timeout".into(), which.into());
    dispatched(error, if which == "connect" { Dispatch::NotSent } else { Dispatch::Uncertain })
}

/// A reqwest error with its causes on one line.
fn chain(e: &::reqwest::Error) -> String {
    let mut text = e.to_string();
    let mut cause = std::error::Error::source(e);
    while let Some(c) = cause {
        let c_text = c.to_string();
        if !text.contains(&c_text) {
            text = format!("{text}: {c_text}");
        }
        cause = c.source();
    }
    text
}

/// A body with a timeout between its pieces. One timer serves the whole body: it is moved only when it fires early, and
/// the clock is read only when the body makes us wait.
struct Pieces<S> {
    inner: S,
    idle: Duration,
    /// Since when we wait.
    waiting: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    bytes: u64,
}

impl<S: Stream<Item = ::reqwest::Result<Bytes>> + Unpin> Stream for Pieces<S> {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(piece) = this.inner.poll_next_unpin(cx) {
            this.waiting = None;
            return Poll::Ready(piece.map(|piece| match piece {
                Ok(piece) => {
                    this.bytes += piece.len() as u64;
                    Ok(piece)
                }
                Err(e) => Err(broken(e, this.bytes)),
            }));
        }
        let since = *this.waiting.get_or_insert_with(Instant::now);
        let due = since + this.idle;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(Some(Err(timeout("idle", this.idle, since.elapsed(), this.bytes))));
            }
            sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}

fn broken(e: ::reqwest::Error, bytes: u64) -> Error {
    let why = chain(&e.without_url());
    Error::new(ErrorKind::Interrupted, format!("the answer broke off after {bytes} bytes: {why}"))
}
