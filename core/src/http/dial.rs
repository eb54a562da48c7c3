//! Making a connection, with a limit to each of its parts: name and address first, encryption then.
//!
//! The connector of the HTTP client does both in one future and tells nobody how far it is. That encryption begins is seen
//! by rustls's asking its store of sessions; who is asking, by a task-local that surrounds the connector.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::types::Timeout;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

tokio::task_local! {
    /// The request on whose behalf something is polled.
    static REQUEST: Dialing;
    /// When the connection being made began to agree on encryption.
    static TLS: Arc<OnceLock<Instant>>;
}

/// Limits of a connection made for a request, and when it was there.
pub(super) struct Dialing {
    pub dns_connect: Duration,
    pub tls: Duration,
    /// Whether one is being made, or since when it is there. Nothing when one of the pool is used.
    state: std::cell::Cell<State>,
}

/// How far the connection of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// One of the pool serves, or none is being made yet.
    Pooled,
    /// It is being made.
    Dialing,
    /// It is there since then.
    Connected(Instant),
}

impl Dialing {
    pub fn new(dns_connect: Duration, tls: Duration) -> Self {
        Dialing { dns_connect, tls, state: std::cell::Cell::new(State::Pooled) }
    }

    /// Runs what sends a request, so that connections it makes keep to these limits.
    pub fn scope<F: Future>(self, sending: F) -> impl Future<Output = F::Output> {
        REQUEST.scope(self, sending)
    }
}

/// How far the connection of the surrounding request is.
pub(super) fn state() -> State {
    REQUEST.try_with(|r| r.state.get()).unwrap_or(State::Pooled)
}

fn note(state: State) {
    // A connection that outlives its request, as another one came free first, is of no request.
    let _ = REQUEST.try_with(|r| r.state.set(state));
}

/// Puts limits to a connector.
#[derive(Clone)]
pub(super) struct Limited {
    /// Where no request says otherwise.
    pub dns_connect: Duration,
    pub tls: Duration,
}

impl<S> Layer<S> for Limited {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector { inner: Arc::new(inner), limits: self.clone() }
    }
}

/// A connector with limits.
pub(super) struct Connector<S> {
    /// Copied only to connect: the HTTP client copies its connector several times for each request, and each copy of the
    /// inner one would be several boxes.
    inner: Arc<S>,
    limits: Limited,
}

impl<S> Clone for Connector<S> {
    fn clone(&self) -> Self {
        Connector { inner: self.inner.clone(), limits: self.limits.clone() }
    }
}

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
    S::Response: 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: R) -> Self::Future {
        let ours = (self.limits.dns_connect, self.limits.tls);
        let (dns_connect, tls) = REQUEST.try_with(|r| (r.dns_connect, r.tls)).unwrap_or(ours);
        note(State::Dialing);
        let began = Arc::new(OnceLock::new());
        let mut inner = S::clone(&self.inner);
        let connecting = TLS.scope(began.clone(), async move {
            std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
            inner.call(to).await
        });
        Box::pin(async move {
            let started = Instant::now();
            let mut connecting = std::pin::pin!(connecting);
            let mut timer = std::pin::pin!(tokio::time::sleep_until(started + dns_connect));
            let made = std::future::poll_fn(|cx| {
                if let Poll::Ready(made) = connecting.as_mut().poll(cx) {
                    return Poll::Ready(made);
                }
                let (which, since, limit) = match began.get() {
                    None => (Timeout::DnsConnect, started, dns_connect),
                    Some(since) => (Timeout::Tls, *since, tls),
                };
                timer.as_mut().reset(since + limit);
                match timer.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Err(Elapsed { which, limit, elapsed: since.elapsed() }.into())),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            if made.is_ok() {
                note(State::Connected(Instant::now()));
            }
            made
        })
    }
}

/// A limit of a connection that fired; travels through the HTTP client as a cause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elapsed {
    pub which: Timeout,
    pub limit: Duration,
    pub elapsed: Duration,
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} timeout", self.which.as_str())
    }
}

impl std::error::Error for Elapsed {}

/// Sessions in memory, in a store that notices when it is asked.
pub(super) fn sessions() -> Resumption {
    Resumption::store(Arc::new(Sessions(ClientSessionMemoryCache::new(256))))
}

#[derive(Debug)]
struct Sessions(ClientSessionMemoryCache);

/// rustls begins to greet a server.
fn begins() {
    let _ = TLS.try_with(|began| began.get_or_init(Instant::now).to_owned());
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        begins();
        self.0.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server, value);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        begins();
        self.0.tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.0.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(server, value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        begins();
        self.0.take_tls13_ticket(server)
    }
}
