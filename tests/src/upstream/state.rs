//! What all connections of an upstream share: the script, where each route stands in its answers, log and counts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::capture;
use super::log::{LogEntry, Stats};
use super::plan::Plan;
use super::request::Request;
use super::script::{Route, Script};

#[derive(Debug)]
pub(super) struct State {
    started: Instant,
    inner: Mutex<Inner>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    script: Script,
    /// Answers given per route.
    given: Vec<usize>,
    /// When the first request of this script came.
    first_ms: Option<u64>,
    log: Vec<LogEntry>,
    stats: Stats,
    next_connection: u64,
    /// Requests of earlier logs, so that a serial is never used twice.
    forgotten: u64,
}

impl State {
    pub fn new(script: Script) -> Self {
        let state = Self { started: Instant::now(), inner: Mutex::default(), settled: Notify::new() };
        state.set_script(script);
        state
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_script(&self, script: Script) {
        let mut inner = self.lock();
        inner.given = vec![0; script.routes.len()];
        inner.first_ms = None;
        inner.script = script;
    }

    pub fn reset(&self) {
        let mut inner = self.lock();
        inner.given.fill(0);
        inner.first_ms = None;
        inner.forgotten += inner.log.len() as u64;
        inner.log.clear();
        inner.stats = Stats { connections: inner.stats.open, open: inner.stats.open, requests: 0 };
        drop(inner);
        self.settled.notify_waiters();
    }

    pub fn log(&self) -> Vec<LogEntry> {
        self.lock().log.clone()
    }

    pub async fn settled(&self, limit: Duration) -> Vec<LogEntry> {
        let wait = async {
            loop {
                let notified = self.settled.notified();
                tokio::pin!(notified);
                // Registered before the look, so that an end between the two is not missed.
                notified.as_mut().enable();
                if self.lock().log.iter().all(|entry| entry.settled) {
                    return;
                }
                notified.await;
            }
        };
        let _ = tokio::time::timeout(limit, wait).await;
        self.log()
    }

    pub fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats { requests: inner.log.len() as u64, ..inner.stats }
    }

    pub fn connected(&self) -> u64 {
        let mut inner = self.lock();
        inner.stats.connections += 1;
        inner.stats.open += 1;
        inner.next_connection += 1;
        inner.next_connection
    }

    pub fn disconnected(&self) {
        self.lock().stats.open -= 1;
    }

    /// A connection turned out to carry control requests: it was never one of the client's.
    pub fn is_control(&self) {
        let mut inner = self.lock();
        inner.stats.connections = inner.stats.connections.saturating_sub(1);
        inner.stats.open -= 1;
    }

    /// Chooses the answer to a request and writes its log entry; the returned serial names it.
    pub fn answer(&self, connection: u64, request: &Request) -> (u64, Plan) {
        let body = request.body_value();
        let mut inner = self.lock();
        let ms = millis(self.started);
        let serial = inner.forgotten + inner.log.len() as u64 + 1;
        let since_first = ms - *inner.first_ms.get_or_insert(ms);
        let looks_like = |route: &Route| request.looks_like(&route.when, &body, since_first);
        let mut route = inner.script.routes.iter().position(looks_like);
        let plan = match route {
            Some(at) => {
                let nth = inner.given[at];
                inner.given[at] += 1;
                let then = &inner.script.routes[at].then;
                capture::fill(&then[nth.min(then.len() - 1)], &body).map(|then| Plan::new(&then, &body, serial))
            }
            None => Err(format!("no route of the upstream script matches {} {}", request.method, request.path)),
        };
        let plan = plan.unwrap_or_else(|message| {
            route = None;
            Plan::unmatched(&message, &body)
        });
        inner.log.push(LogEntry {
            serial,
            connection,
            ms,
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body,
            route,
            status: plan.status,
            completed: false,
            client_closed_ms: None,
            settled: false,
        });
        (serial, plan)
    }

    /// Changes a log entry, if no reset has dropped it.
    pub fn note(&self, serial: u64, change: impl FnOnce(&mut LogEntry)) {
        let mut inner = self.lock();
        let forgotten = inner.forgotten;
        let entry = serial.checked_sub(forgotten + 1).and_then(|at| inner.log.get_mut(at as usize));
        if let Some(entry) = entry {
            change(entry);
            if entry.settled {
                self.settled.notify_waiters();
            }
        }
    }
}

pub(super) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
