//! What an upstream saw: one entry per request, and counts of connections.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// One request, and how its answer went.
#[derive(Debug, Clone, Serialize)]
pub struct LogEntry {
    /// Position in the order of arrival, from 1.
    pub serial: u64,
    /// Which connection it came over, from 1.
    pub connection: u64,
    /// Milliseconds from the start of the upstream until the request was read.
    pub ms: u64,
    /// Method.
    pub method: String,
    /// Path with the query string.
    pub path: String,
    /// Headers with lower-case names, `authorization` included.
    pub headers: BTreeMap<String, String>,
    /// The body as JSON if it is JSON, else as text; null when empty.
    pub body: Value,
    /// Which route answered; null when none matched (and 404 was sent).
    pub route: Option<usize>,
    /// Status that was answered.
    pub status: u16,
    /// The whole answer was written and ended as HTTP says.
    pub completed: bool,
    /// Set when the client closed the socket before that: milliseconds after the request was read.
    pub client_closed_ms: Option<u64>,
    /// The connection is done with this request, whichever way.
    pub settled: bool,
}

/// Counts of an upstream; its own control requests are not among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Connections accepted since the start or the last reset.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests in the log.
    pub requests: u64,
}
