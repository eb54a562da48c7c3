//! A scripted upstream: an HTTP/1.1 server on 127.0.0.1 that answers as a JSON script says, and tells what it saw.
//!
//! It writes its own bytes, so a script can cut a body anywhere, lie about its length, stall, or reset the connection.
//! The script's form stands in [`script`]; `tests/README.md` shows it by example.

mod capture;
mod completion;
mod log;
mod plan;
mod request;
pub mod script;
mod serve;
mod state;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::log::{LogEntry, Stats};
pub use self::script::{Script, ScriptError};
use self::state::State;

/// A running upstream; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Upstream {
    base_url: String,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// Why an upstream did not start.
#[derive(Debug)]
pub enum StartError {
    /// The script is not one.
    Script(ScriptError),
    /// The port cannot be used.
    Listen(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script(error) => error.fmt(f),
            Self::Listen(error) => write!(f, "upstream cannot listen: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl Upstream {
    /// Starts on a free port, with a script written as JSON. Needs a tokio runtime.
    ///
    /// # Errors
    /// A script that is refused, or no port.
    pub async fn start(script: serde_json::Value) -> Result<Self, StartError> {
        let script = Script::from_value(script).map_err(StartError::Script)?;
        Self::start_on(0, script).await.map_err(StartError::Listen)
    }

    /// Starts on `port`; 0 is any free one.
    ///
    /// # Errors
    /// The port cannot be used.
    pub async fn start_on(port: u16, script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State::new(script));
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&state)));
        Ok(Self { base_url, state, accepting })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The requests so far, in order of arrival.
    pub fn log(&self) -> Vec<LogEntry> {
        self.state.log()
    }

    /// The log once no request is in flight, at most `limit` from now. A client knows its own end of a call before
    /// the upstream does, so a test that asks about `completed` or `client_closed_ms` waits here.
    pub async fn settled(&self, limit: Duration) -> Vec<LogEntry> {
        self.state.settled(limit).await
    }

    /// Counts.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// Replaces the script; its answers start from the first again.
    pub fn set_script(&self, script: Script) {
        self.state.set_script(script);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
