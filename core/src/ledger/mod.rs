//! The money: what an attempt cost, and one record of it.

pub mod budget;
mod cost;
mod export;
mod groups;
mod memory;
mod question;
pub mod reconcile;
mod report;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod sums;
mod usage;

pub use cost::{Answer, Exact, Priced, Stated, recompute, total};
pub use export::{Party, Surroundings, export, whole};
pub use groups::{Booked, Groups};
pub use memory::MemoryLedger;
pub use question::{Bucket, Column, Question, resolve, zone};
pub use report::Burn;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteLedger, after_fork, before_fork, flush_all};
pub use sums::{Histogram, Latencies, Sums};
pub use usage::Counted;

use std::sync::Arc;

use budget::{Budget, Hold, Reserved, Reserving, Standing};

use crate::error::{Error, ErrorKind, Result};
use crate::types::{Correction, LedgerConfig, LedgerRecord, UsageQuery, UsageReport};

/// Where records go. The memory ledger is the default.
pub trait LedgerStore: Send + Sync {
    /// Books one attempt.
    ///
    /// # Errors
    /// `storage` when it cannot be kept; the call's answer is returned all the same.
    fn record(&self, record: LedgerRecord) -> Result<()>;

    /// Answers a question over the records.
    ///
    /// # Errors
    /// `storage`, or `invalid_request` for a question the store cannot answer.
    fn usage(&self, query: &UsageQuery) -> Result<UsageReport>;

    /// Hands the records that a question's times and filter choose to `each`, one by one, oldest first, until it fails;
    /// what the question groups by is not looked at. Returns whether all that were booked are still there to be read.
    ///
    /// # Errors
    /// `storage`, `invalid_request` for a question the store cannot answer, or the error of `each`.
    fn records(&self, query: &UsageQuery, each: &mut dyn FnMut(&LedgerRecord) -> Result<()>) -> Result<bool>;

    /// Holds the most that an attempt may cost against every budget that it falls under, in one transaction: all of them or
    /// none. The record with the hold's id then settles it: [`LedgerStore::record`] puts the record's cost in its place, or
    /// leaves it as spent where the cost is not known.
    fn reserve(&self, hold: Hold) -> Reserving {
        Reserving::Done(if hold.claims.is_empty() { Ok(Reserved::Held(Vec::new())) } else { Err(no_budgets()) })
    }

    /// Gives back what is held for an attempt that was never sent. A hold that is not there is no fault.
    ///
    /// # Errors
    /// `storage` when it could not be noted; the hold then counts until its lease ends, and as spent after that.
    fn release(&self, id: &str) -> Result<()> {
        let _ = id;
        Ok(())
    }

    /// Where budgets stand at a moment (milliseconds since 1970-01-01 UTC), each in a list of its own: one row for a budget
    /// without `each`, one per value that there was for a budget with it.
    ///
    /// # Errors
    /// `storage` when it cannot be read.
    fn standings(&self, budgets: &[Arc<Budget>], now_ms: u64) -> Result<Vec<Vec<Standing>>> {
        let _ = now_ms;
        if budgets.is_empty() { Ok(Vec::new()) } else { Err(no_budgets()) }
    }

    /// Keeps corrections beside the records, all or none; those whose id is kept already are passed over. Returns how many
    /// were new.
    ///
    /// # Errors
    /// `storage`; `unsupported` from a store that keeps none.
    fn correct(&self, corrections: &[Correction]) -> Result<u64> {
        let why = "this ledger keeps no corrections; reconcile without posting them";
        if corrections.is_empty() { Ok(0) } else { Err(Error::new(ErrorKind::Unsupported, why)) }
    }

    /// Hands the corrections whose time and values a question chooses to `each`, one by one, in the order they were kept.
    ///
    /// # Errors
    /// `storage`, `invalid_request` for a question the store cannot answer, or the error of `each`.
    fn corrections(&self, _query: &UsageQuery, _each: &mut dyn FnMut(&Correction) -> Result<()>) -> Result<()> {
        Ok(())
    }

    /// Returns when everything booked before is as safe as the store can make it.
    ///
    /// # Errors
    /// `storage` when some of it could not be kept.
    fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Why something booked before may be lost, where that showed only after [`LedgerStore::record`] had returned. The next
    /// answer tells it.
    fn failure(&self) -> Option<Error> {
        None
    }
}

/// The ledger that a configuration names: a file, or memory.
///
/// # Errors
/// `storage` when the file cannot be opened, `invalid_config` when this build keeps no files.
pub fn open(config: &LedgerConfig) -> Result<Arc<dyn LedgerStore>> {
    match &config.path {
        None => Ok(Arc::new(MemoryLedger::new(config.max_records))),
        #[cfg(feature = "sqlite")]
        Some(path) => Ok(Arc::new(SqliteLedger::open(path)?)),
        #[cfg(not(feature = "sqlite"))]
        Some(_) => {
            let why = "this build keeps no ledger in files; build it with the feature `sqlite`, or leave this out";
            Err(Error::invalid_config("ledger.path", why))
        }
    }
}

fn no_budgets() -> Error {
    Error::new(ErrorKind::Storage, "this ledger's store keeps no budgets: use another store, or configure no `budgets`")
}
