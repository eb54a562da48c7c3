//! Reconciliation with the vendors' own reports: bytes in, what differs and why out.
//!
//! A report is read into rows of one shape (`import`), every record and row is put in exactly one place (`join`), places are
//! compared and their differences taken apart into classes that add up (`settle`, `timing`), what was posted before is laid
//! against it (`posted`), and the rest is told and, where asked for, posted as corrections. Records are never changed.
//!
//! Needs as much memory as the reports and the sums of places take, whatever the number of records. Dedicated keys per
//! project, named in `keys`, make the join by sums as exact as it can be.

mod amount;
mod compare;
mod import;
mod join;
mod names;
mod plan;
mod posted;
mod propose;
mod report;
mod settle;
mod sides;
mod text;
mod timing;
mod vendor;

use std::collections::BTreeSet;

use super::LedgerStore;
use crate::catalog::Catalog;
use crate::digest::sha256_hex;
use crate::error::{Error, Result};
use crate::types::{ImportedReport, ReconcileOptions, Reconciliation, VendorReport};
use names::Names;
use posted::Posted;
use report::Tolerance;
use vendor::{Format, Reader};

/// A report of a vendor, as it was downloaded.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its bytes: JSON or CSV.
    pub bytes: &'a [u8],
}

impl<'a> From<&'a VendorReport> for Report<'a> {
    fn from(report: &'a VendorReport) -> Self {
        Report { name: &report.name, bytes: report.content.as_bytes() }
    }
}

/// Compares reports of vendors with a ledger.
///
/// # Errors
/// `invalid_request` for a report of no known form or options that are wrong by themselves; `storage`.
pub fn reconcile(
    store: &dyn LedgerStore,
    catalog: &Catalog,
    reports: &[Report<'_>],
    options: &ReconcileOptions,
) -> Result<Reconciliation> {
    let wrong = |param: &str, why: String| Error::invalid_request(format!("`{param}`: {why}")).with_param(param);
    let tolerance = Tolerance::parse(options.tolerance.as_deref()).map_err(|why| wrong("tolerance", why))?;
    if reports.is_empty() {
        return Err(wrong("files", "no report given".to_owned()));
    }
    // An alias means its provider; a backend of one's own is not in the catalogue.
    let provider =
        options.provider.as_ref().map(|name| catalog.provider(name).map_or(name.clone(), |row| row.id.clone()));
    let mut notes = Vec::new();
    let mut hashes: Vec<String> = Vec::new();
    let mut readers = Vec::new();
    for report in reports {
        let hash = sha256_hex(report.bytes);
        let file = u32::try_from(hashes.len()).unwrap_or(u32::MAX);
        let known = hashes.contains(&hash);
        // The same bytes twice are one report.
        let reader = if known {
            Reader::new(file, None)
        } else {
            import::read(file, report.name, report.bytes, provider.clone())?
        };
        if known {
            notes.push(format!("{} has the same bytes as a report before it and is left out", report.name));
        }
        hashes.push(hash);
        readers.push(reader);
    }
    let mut names = Names::new(catalog);
    let mut accounts = plan::plan(&readers, &mut names);
    let mut joined = join::join(store, &readers, &mut accounts, &mut names, options)?;
    let moved = timing::settle_edges(&mut joined, &accounts);
    let (complete, crowded) = (joined.complete, joined.crowded);
    let outcomes = compare::compare(&mut joined, &accounts, &moved, catalog);
    let posted = Posted::read(store, &accounts, &mut names, &outcomes)?;
    let by_file = posted.by_file.clone();
    let proposals = propose::propose(&outcomes);
    let nets = posted::net(&outcomes, posted, &accounts);
    let (days, total, offenders, corrections) = report::tell(&nets, &hashes, tolerance);

    for (account, plan) in &accounts {
        let money = [
            Format::AwsCur,
            Format::AwsFocus,
            Format::AzureFocus,
            Format::Focus,
            Format::OpenAiCosts,
            Format::AnthropicCost,
        ];
        let told: BTreeSet<&str> = plan.formats.iter().filter(|f| money.contains(f)).map(|f| f.name()).collect();
        if told.len() > 1 {
            let told: Vec<&str> = told.into_iter().collect();
            notes.push(format!(
                "{account}: the same money is told by {}; each place is compared with one of them",
                told.join(" and ")
            ));
        }
        if !plan.keys.is_empty() && !plan.keyed && plan.sums {
            notes.push(format!("{account}: its report tells keys apart, and none of them is named here; see `keys`"));
        }
    }
    if crowded {
        notes.push("more attempts stand at the edges of hours or days than are remembered".to_owned());
    }
    if nets.iter().any(|net| net.held) {
        let why = "differences of single calls are not posted where their day was corrected as a whole before: they are part of that";
        notes.push(why.to_owned());
    }
    let mut count = 0;
    if options.post {
        match complete {
            true => count = store.correct(&corrections)?,
            false => notes.push("nothing is posted: records of these times are gone from this ledger".to_owned()),
        }
    }
    let files: Vec<ImportedReport> = readers
        .into_iter()
        .zip(reports)
        .zip(hashes)
        .map(|((reader, report), sha256)| imported(reader, report.name, sha256, &by_file, &mut notes))
        .collect();
    let broken = files.iter().any(|file| file.refused.iter().any(|row| !row.repeated));
    let ok = !broken && days.iter().all(|day| day.ok);
    Ok(Reconciliation { ok, files, days, total, offenders, proposals, posted: count, complete, notes })
}

fn imported(
    reader: Reader,
    name: &str,
    sha256: String,
    by_file: &std::collections::BTreeMap<String, u64>,
    notes: &mut Vec<String>,
) -> ImportedReport {
    if reader.unlisted > 0 {
        notes.push(format!("{name}: {} more rows could not be read", reader.unlisted));
    }
    let formats: Vec<&str> = reader.formats.iter().map(|format| format.name()).collect();
    ImportedReport {
        name: name.to_owned(),
        format: formats.join("+"),
        corrections_before: by_file.get(&sha256).copied().unwrap_or(0),
        sha256,
        rows: reader.rows.len() as u64,
        skipped: reader.skipped,
        refused: reader.refused,
    }
}

#[cfg(test)]
mod tests;
