//! Records that are known by their number: what a writer books is what a checker expects; and holds for some of them.

use std::sync::Arc;

use interfuse::error::{Error, ErrorKind, Result};
use interfuse::ledger::LedgerStore;
use interfuse::ledger::budget::{Budget, Claim, Hold, Reserved, Window};
use interfuse::types::{BudgetMode, LedgerRecord, Tags, Usage};

/// When all of it begins, milliseconds since 1970-01-01 UTC.
pub const BEGAN_MS: u64 = 1_790_000_000_000;
/// When the leases of all holds end.
pub const LEASE_MS: u64 = BEGAN_MS + 60_000;
/// What is held for a record, nano-USD: more than any costs.
pub const MOST: u64 = 2_000_000;
/// Every so many records one is held before it is booked, and half-way between two of these something is held and given back.
pub const HELD_EVERY: u64 = 20;

/// An enforced budget for all time.
pub fn budget(name: &str, limit: u64) -> Arc<Budget> {
    Arc::new(Budget {
        name: name.into(),
        limit,
        window: Window::Total,
        of: Tags::new(),
        each: None,
        mode: BudgetMode::Enforce,
        refuses_unpriced: true,
        assumed_output: None,
    })
}

/// Holds an amount against a budget, and waits for the answer.
///
/// # Errors
/// The ledger's.
pub fn reserve(ledger: &dyn LedgerStore, budget: &Arc<Budget>, id: &str, nanos: u64) -> Result<Reserved> {
    let span = budget.window.span(BEGAN_MS);
    let claim = Claim { budget: budget.clone(), value: None, span, nanos: Some(nanos) };
    let hold = Hold {
        id: id.to_owned(),
        owner: std::process::id().to_string().into(),
        at_ms: BEGAN_MS,
        lease_ms: LEASE_MS,
        claims: vec![claim],
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|why| Error::new(ErrorKind::Internal, why.to_string()))?;
    runtime.block_on(ledger.reserve(hold).outcome())
}

/// The record `number` of a writer.
pub fn record(writer: &str, number: u64) -> LedgerRecord {
    LedgerRecord {
        id: format!("{writer}-{number}"),
        run_id: format!("{writer}-{}", number / 7),
        at_ms: BEGAN_MS + number,
        provider: format!("provider-{}", number % 3),
        model: "m".to_owned(),
        model_sent: "m".to_owned(),
        attempt: 1,
        usage: Some(Usage { prompt_tokens: number % 1000, completion_tokens: 5, ..Usage::default() }),
        cost_nanos: (!number.is_multiple_of(11)).then_some(number * 7919 % 1_000_003),
        latency_ms: 3,
        tags: Tags::from([("writer".to_owned(), writer.to_owned())]),
        ..LedgerRecord::default()
    }
}
