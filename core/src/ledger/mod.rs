//! The money: what an attempt cost, and one record of it.

mod cost;
mod memory;
pub mod reconcile;
mod row;
mod usage;

pub use cost::{Answer, Exact, Priced, Stated, recompute, total};
pub use memory::MemoryLedger;
pub use usage::Counted;

use crate::error::{Error, ErrorKind, Result};
use crate::types::{Correction, LedgerRecord, UsageQuery, UsageReport};

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
}
