//! Nothing of SQLite may be open while the process forks: a child would take its parent's locks for its own, and what it
//! writes could be lost. So everything is closed before a fork, and opened again when it is next used.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Registry;
use super::faults::{PATIENCE_S, refused};
use crate::error::Result;

/// What of SQLite is open or being opened in this process; a child begins with its parent's number.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// Something that must be over before the process forks.
pub(super) struct InUse;

impl InUse {
    pub fn new() -> Self {
        IN_USE.fetch_add(1, Ordering::SeqCst);
        InUse
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection that is counted.
pub(super) struct Opened {
    connection: Connection,
    // Closed before it is no longer counted: fields are dropped in their order.
    _counted: InUse,
}

impl Opened {
    pub fn new(connection: Connection) -> Self {
        Opened { connection, _counted: InUse::new() }
    }
}

impl Deref for Opened {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Opened {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Whether a process may begin to use SQLite: not a child whose parent had something open when it forked.
pub(super) fn check(path: &Path) -> Result<()> {
    if IN_USE.load(Ordering::SeqCst) == 0 {
        return Ok(());
    }
    Err(refused(
        path,
        "the process was forked while its parent had a ledger open, and not by a way that the library is told of; start the \
         child with `exec`, or make the client after the fork",
    ))
}

/// Closes what this process has open of ledgers' files, when the transactions that run have ended; until [`after_fork`]
/// nothing of them is opened or written. Hosts call it before they fork; C and Python have that done already.
pub fn before_fork() {
    let Some(registry) = Registry::current() else { return };
    registry.park(true);
    let started = Instant::now();
    // What does not end in time is noticed in the child, which then opens no ledger.
    while IN_USE.load(Ordering::SeqCst) > 0 && started.elapsed() < Duration::from_secs(PATIENCE_S) {
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Goes on after [`before_fork`], in the parent; a child needs nothing.
pub fn after_fork() {
    if let Some(registry) = Registry::current() {
        registry.park(false);
    }
}
