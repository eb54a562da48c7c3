//! The default transport. The only file that names reqwest.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use ::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use ::reqwest::{Client, ClientBuilder, Proxy, Request, Response, redirect, retry};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{Stream, StreamExt};
use http::header::{ACCEPT, HeaderValue, USER_AGENT};
use once_cell::sync::OnceCell;
use rustls::ClientConfig;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::{Instant, Sleep};

use super::dial::{self, Dialing, Limited, State};
use super::{Body, HttpRequest, HttpResponse, Limits, Method, Transport, Web, tls};
use crate::error::{Dispatch, Error, ErrorKind, Result};
use crate::types::{NetworkConfig, Timeout, TimeoutConfig};

/// reqwest over rustls: HTTP/1.1 and HTTP/2, pooled connections, no redirects, no proxy unless configured.
pub struct ReqwestTransport(Arc<Inner>);

struct Inner {
    network: NetworkConfig,
    /// Of connections that are made for no request of ours.
    limited: Limited,
    /// TLS settings cost milliseconds to load, so a client that only speaks to a plain local server never loads them.
    roots: OnceCell<ClientConfig>,
    threads: Clients,
    caller: Clients,
}

/// For one kind of runtime: connections live on the runtime they were made on, and one that its caller drives stands still
/// while nobody calls.
#[derive(Default)]
struct Clients {
    plain: OnceCell<Client>,
    tls: OnceCell<Client>,
}

impl ReqwestTransport {
    /// A transport; nothing is loaded or connected before the first request.
    pub fn new(network: NetworkConfig, timeouts: &TimeoutConfig) -> Self {
        ReqwestTransport(Arc::new(Inner {
            network,
            limited: Limited {
                dns_connect: timeouts.get(Timeout::DnsConnect).unwrap_or(Limits::CONNECT),
                tls: timeouts.get(Timeout::Tls).unwrap_or(Limits::CONNECT),
            },
            roots: OnceCell::new(),
            threads: Clients::default(),
            caller: Clients::default(),
        }))
    }
}

impl Inner {
    fn client(&self, https: bool) -> Result<&Client> {
        // A proxy may itself be reached over TLS.
        let https = https || self.network.proxy.is_some();
        let clients = match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::CurrentThread) => &self.caller,
            _ => &self.threads,
        };
        let cell = if https { &clients.tls } else { &clients.plain };
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
        let roots = if https {
            self.roots.get_or_try_init(|| tls::config(self.network.ca_file.as_deref()))?.clone()
        } else {
            tls::none()?
        };
        Ok(Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .connector_layer(self.limited.clone())
            .tcp_nodelay(true)
            .referer(false)
            .tls_backend_preconfigured(roots))
    }

    /// What sends a request once it is polled, and where it notes that it was sent.
    fn sending(
        &self,
        request: HttpRequest,
    ) -> Result<(impl Future<Output = ::reqwest::Result<Response>> + use<>, Option<Written>)> {
        let client = self.client(request.url.scheme() == "https")?;
        let mut out = Request::new(request.method, (*request.url).clone());
        *out.headers_mut() = request.headers;
        let watched = request.limits.write.is_some() || request.limits.first_byte.is_some();
        let (body, written) = if watched && request.body.len() > AT_ONCE {
            let written = Written::default();
            let owned = Bytes::from_owner(Sent { bytes: request.body, written: written.clone() });
            // Wrapped, so that nobody keeps a copy for sending it again.
            (::reqwest::Body::wrap(::reqwest::Body::from(owned)), Some(written))
        } else {
            (request.body.into(), None)
        };
        *out.body_mut() = Some(body);
        Ok((client.execute(out), written))
    }

    async fn head(
        &self,
        sending: impl Future<Output = ::reqwest::Result<Response>>,
        written: Option<Written>,
        limits: Limits,
    ) -> Result<HttpResponse> {
        let host = Dialing::new(limits.dns_connect, limits.tls);
        let mut response = host.scope(within(sending, written, limits)).await?;
        Ok(HttpResponse {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: Body::new(Pieces {
                inner: response.bytes_stream(),
                idle: limits.idle,
                waiting: None,
                sleep: None,
                bytes: 0,
            }),
        })
    }
}

/// A request up to this size is in the socket's own buffer at once, bytes.
const AT_ONCE: usize = 16 << 10;

/// When the last byte of a request had left for the socket.
type Written = Arc<OnceLock<Instant>>;

/// The body of a request; the connection lets go of it when it is written.
struct Sent {
    bytes: Bytes,
    written: Written,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.written.get_or_init(Instant::now);
    }
}

/// Waits for the head of a response no longer than the limits of writing and of the first byte say. One timer serves
/// both: that a connection is there or a body written wakes nobody, so it fires when the earliest of the two can be due
/// and is moved where that was too early.
async fn within(
    sending: impl Future<Output = ::reqwest::Result<Response>>,
    written: Option<Written>,
    limits: Limits,
) -> Result<Response> {
    let started = Instant::now();
    let Some(shortest) = limits.write.into_iter().chain(limits.first_byte).min() else {
        return sending.await.map_err(failed);
    };
    let mut sending = std::pin::pin!(sending);
    let mut timer = std::pin::pin!(tokio::time::sleep_until(started + shortest));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(answered) = sending.as_mut().poll(cx) {
            return Poll::Ready(answered.map_err(failed));
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let connected = match dial::state() {
                State::Pooled => Some(started),
                State::Dialing => None,
                State::Connected(at) => Some(at),
            };
            let sent = match (&written, connected) {
                (Some(written), Some(at)) => written.get().map(|w| at.max(*w)),
                (_, at) => at,
            };
            // What is due now, or can be next.
            let (which, since, limit) = match (connected, sent) {
                (_, Some(at)) => (Timeout::FirstByte, at, limits.first_byte),
                (Some(at), None) => (Timeout::Write, at, limits.write),
                (None, None) => (Timeout::Write, now, Some(shortest)),
            };
            match limit {
                Some(limit) if now >= since + limit => {
                    return Poll::Ready(Err(which.fired(limit, now - since, 0)));
                }
                Some(limit) if sent.is_none() => {
                    let earliest = limits.first_byte.map_or(since + limit, |first| (since + limit).min(now + first));
                    timer.as_mut().reset(earliest);
                }
                Some(limit) => timer.as_mut().reset(since + limit),
                None if sent.is_none() => timer.as_mut().reset(now + shortest),
                None => break,
            }
        }
        Poll::Pending
    })
    .await
}

fn failed(e: ::reqwest::Error) -> Error {
    let mut cause = std::error::Error::source(&e);
    while let Some(c) = cause {
        if let Some(elapsed) = c.downcast_ref::<dial::Elapsed>() {
            return elapsed.which.fired(elapsed.limit, elapsed.elapsed, 0);
        }
        cause = c.source();
    }
    let connecting = e.is_connect();
    let host = e.url().and_then(|u| u.host_str()).unwrap_or("the server").to_owned();
    let e = e.without_url();
    let (dispatch, what) = if connecting {
        (Dispatch::NotSent, format!("cannot connect to {host}"))
    } else {
        (Dispatch::Uncertain, format!("the connection to {host} broke before an answer"))
    };
    Error::new(ErrorKind::Connection, format!("{what}: {}", chain(&e))).with_dispatch(dispatch)
}

impl Transport for ReqwestTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        let inner = self.0.clone();
        let limits = request.limits;
        // Outside of the future, which would hold the request several times over.
        let sending = inner.sending(request);
        Box::pin(async move {
            let (sending, written) = sending?;
            inner.head(sending, written, limits).await
        })
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
            let Limited { dns_connect, tls } = inner.limited;
            let limits = Limits { dns_connect, tls, write: None, first_byte: None, idle: Some(idle_timeout) };
            inner.head(built(builder)?.execute(request), None, limits).await
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
    idle: Option<Duration>,
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
        let Some(idle) = this.idle else { return Poll::Pending };
        let since = *this.waiting.get_or_insert_with(Instant::now);
        let due = since + idle;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(Some(Err(Timeout::Idle.fired(idle, since.elapsed(), this.bytes))));
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
