//! What calls used and cost: sums, records, exports, budgets, and comparison with the vendors' own reports.

use std::ffi::{CString, c_char};

use futures_util::StreamExt as _;
use interfuse_core::host::EventStream;
use interfuse_core::types::{ExportRequest, ReconcileRequest, UsageQuery, from_json};
use interfuse_core::{Error, ErrorKind};

use crate::boundary::{Status, out, run};
use crate::client::{ask, interfuse_client};
use crate::error::interfuse_error;
use crate::handle;
use crate::stream::interfuse_stream;
use crate::text;

/// Where the configured budgets stand: spent, held for attempts under way, left. `*budgets` becomes a list in JSON (free it
/// with interfuse_string_free).
///
/// Returns 0, or INTERFUSE_STORAGE when the ledger cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_budgets(
    client: *const interfuse_client,
    budgets: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(budgets, "budgets")?;
        // SAFETY: NULL or a live handle, by contract.
        let client = unsafe { handle::look(client) }?;
        *place = text::json(&client.get()?.budgets()?)?.into_raw();
        Ok(Status::Ok)
    })
}

/// Sums over the client's ledger. `query` is a usage query in JSON, or NULL for one sum over everything; `*report`
/// becomes JSON (free it with interfuse_string_free).
///
/// Returns 0, or INTERFUSE_INVALID_REQUEST for a time that cannot be read or a value that an attempt never has, or
/// INTERFUSE_STORAGE when the ledger cannot be written or read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_usage(
    client: *const interfuse_client,
    query: *const c_char,
    report: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(report, "report")?;
        // SAFETY: NULL or a live handle, NULL or NUL-terminated, by contract.
        let (client, query) = unsafe { (handle::look(client)?, text::read_optional(query, "query")?) };
        let query: UsageQuery = query.map_or(Ok(UsageQuery::default()), |query| from_json("query", query))?;
        *place = text::json(&client.get()?.usage(query)?)?.into_raw();
        Ok(Status::Ok)
    })
}

/// Returns when everything booked so far is in the ledger's file for good, which takes milliseconds as a rule. A ledger in
/// memory has nothing to do. A program that ends without this, interfuse_client_free or interfuse_shutdown may lose what
/// was booked within its last milliseconds.
///
/// Returns 0, or INTERFUSE_STORAGE when something could not be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_flush(client: *const interfuse_client, err: *mut *mut interfuse_error) -> i32 {
    run(err, || {
        // SAFETY: NULL or a live handle, by contract.
        let client = unsafe { handle::look(client) }?;
        client.get()?.flush()?;
        Ok(Status::Ok)
    })
}

/// The records of the client's ledger, oldest first. `query` is a usage query in JSON of which the times and `where` count,
/// or NULL for all. Does not wait: `*stream` gives one record in JSON after the other (free it with interfuse_stream_free).
///
/// Returns 0 or INTERFUSE_INVALID_REQUEST; what goes wrong while reading comes from the stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_records(
    client: *const interfuse_client,
    query: *const c_char,
    stream: *mut *mut interfuse_stream,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(stream, "stream")?;
        // SAFETY: NULL or a live handle, NULL or NUL-terminated, by contract.
        let (client, query) = unsafe { (handle::look(client)?, text::read_optional(query, "query")?) };
        let query: UsageQuery = query.map_or(Ok(UsageQuery::default()), |query| from_json("query", query))?;
        let client = client.get()?.clone();
        let query = client.understood(query)?;
        let records = EventStream::start(async move { Ok(client.records(query)?.map(|record| text::json(&record?))) });
        *place = handle::give(records);
        Ok(Status::Ok)
    })
}

/// Writes records, sums, charges (FOCUS) or a page for people out of the client's ledger. `request` is an export request in
/// JSON; `*document` becomes what was asked for (free it with interfuse_string_free).
///
/// Returns 0, INTERFUSE_INVALID_REQUEST, INTERFUSE_STORAGE, or INTERFUSE_DECODE when a name in it holds a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_export(
    client: *const interfuse_client,
    request: *const c_char,
    document: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(document, "document")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask::<ExportRequest>(client, request) }?;
        let mut document = Vec::new();
        client.export(&request, &mut document)?;
        let nul = |_| Error::new(ErrorKind::Decode, "the document contains a NUL; write it into a file");
        *place = CString::new(document).map_err(nul)?.into_raw();
        Ok(Status::Ok)
    })
}

/// As interfuse_export, into the file `path`, which is there whole or, after a failure, as it was before. `*exported` becomes
/// JSON that tells how many attempts were chosen, what they cost together, and of how many the cost is unknown (free it with
/// interfuse_string_free).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_export_file(
    client: *const interfuse_client,
    request: *const c_char,
    path: *const c_char,
    exported: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(exported, "exported")?;
        // SAFETY: the contract of this function is that of `ask`, and `path` is NULL or NUL-terminated.
        let ((client, request), path) = unsafe { (ask::<ExportRequest>(client, request)?, text::read(path, "path")?) };
        *place = text::json(&client.export_file(&request, path)?)?.into_raw();
        Ok(Status::Ok)
    })
}

/// Compares vendors' own reports with the client's ledger and says why they differ. `request` is JSON: `files`, a list of
/// objects with `name` and `content` (the report as it was downloaded, JSON or CSV), and optionally `options` with `provider`,
/// `tolerance`, `keys` and `post`; with `post` the differences are posted as corrections, which interfuse_usage shows beside
/// the cost. `*report` becomes JSON whose `ok` says whether no model's day has more unexplained than the tolerance (free it
/// with interfuse_string_free). The same report again changes nothing. Makes no connection.
///
/// Returns 0, also where `ok` is false; INTERFUSE_INVALID_REQUEST for a report of no known form.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_reconcile(
    client: *const interfuse_client,
    request: *const c_char,
    report: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(report, "report")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask::<ReconcileRequest>(client, request) }?;
        *place = text::json(&client.reconcile_request(&request)?)?.into_raw();
        Ok(Status::Ok)
    })
}
