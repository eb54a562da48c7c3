//! Everything that leaves the ledger for people and other programs: sums and records as CSV and JSON, charges in the FinOps
//! Open Cost and Usage Specification, the report as a page. Written over [`LedgerStore`] alone, record by record.

mod csv;
mod file;
mod focus;
mod records;
mod usage;

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;

pub use file::whole;

use super::report::{self, Burn};
use super::{LedgerStore, resolve};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{BillingConfig, Correction, ExportFormat, ExportRequest, Exported, LedgerRecord, UsageReport};

/// Who stands behind a provider's id, for exports.
#[derive(Debug, Clone, Default)]
pub struct Party {
    /// Name of the service for people; the id where there is none.
    pub name: Option<String>,
    /// Region that is configured.
    pub region: Option<String>,
    /// Account that is billed.
    pub billing: BillingConfig,
}

/// What an export is made from beside the ledger.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Who stands behind each provider's id.
    pub parties: BTreeMap<String, Party>,
    /// Budgets, for the page.
    pub budgets: Vec<Burn>,
    /// The time now, milliseconds since 1970-01-01 UTC.
    pub now_ms: u64,
}

/// Writes what a request asks for.
///
/// # Errors
/// `invalid_request` for a question that cannot be answered or a version given for another format, `storage` when the ledger
/// cannot be read or `out` not be written to; `out` then holds a part.
pub fn export(
    store: &dyn LedgerStore,
    request: &ExportRequest,
    around: &Surroundings,
    out: &mut dyn Write,
) -> Result<Exported> {
    if request.version.is_some() && request.format != ExportFormat::Focus {
        return Err(Error::invalid_request("`version`: only the format `focus` has versions").with_param("version"));
    }
    let query = resolve(request.query.clone(), around.now_ms)?;
    match request.format {
        ExportFormat::Focus => focus::write(store, &query, request.version.unwrap_or_default(), &around.parties, out),
        ExportFormat::RecordsCsv => records::csv(store, &query, out),
        ExportFormat::RecordsJson => records::lines(store, &query, out),
        ExportFormat::UsageCsv => {
            let sums = store.usage(&query)?;
            sums.to_csv(out)?;
            Ok(told(&sums))
        }
        ExportFormat::UsageJson => {
            let sums = store.usage(&query)?;
            out.write_all(sums.to_json()?.as_bytes()).map_err(|e| unwritten(&e))?;
            Ok(told(&sums))
        }
        ExportFormat::Html => {
            let (page, exported) = report::html(store, &query, &around.budgets, around.now_ms)?;
            out.write_all(page.as_bytes()).map_err(|e| unwritten(&e))?;
            Ok(exported)
        }
    }
}

fn told(sums: &UsageReport) -> Exported {
    Exported {
        attempts: sums.total.attempts,
        cost_unknown: sums.total.cost_unknown,
        cost_nanos: sums.total.cost_nanos,
        corrections_nanos: sums.total.corrections_nanos,
        rows: sums.rows.len() as u64,
        complete: sums.complete,
    }
}

/// What has been written so far.
#[derive(Default)]
pub(super) struct Tally(Exported);

impl Tally {
    /// Notes a record that was written in so many rows.
    pub fn count(&mut self, record: &LedgerRecord, rows: u64) {
        self.0.attempts += 1;
        self.0.rows += rows;
        self.0.cost_unknown += u64::from(record.cost_nanos.is_none());
        self.0.cost_nanos = self.0.cost_nanos.saturating_add(record.cost_nanos.unwrap_or(0));
    }

    /// Notes a correction that was written.
    pub fn correct(&mut self, correction: &Correction) {
        self.0.rows += 1;
        self.0.corrections_nanos = self.0.corrections_nanos.saturating_add(correction.delta_nanos);
    }

    /// All of it.
    pub fn exported(self, complete: bool) -> Exported {
        Exported { complete, ..self.0 }
    }
}

/// A moment as ISO 8601 in UTC, to the millisecond where it has any.
fn time(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

fn unwritten(why: &std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("an export cannot be written: {why}"))
}
