//! What money costs a call, beside its goal: reserving and settling on the memory ledger, alone and from several threads.
//! Prints; asserts nothing about time. `make bench-budget`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use interfuse::ledger::budget::{Budget, Claim, Hold, Reserved, Reserving};
use interfuse::ledger::{LedgerStore, MemoryLedger};
use interfuse::types::{Config, LedgerRecord};
use serde_json::json;

/// Microseconds for both.
const GOAL_US: f64 = 20.0;
const TURNS: usize = 50_000;
const NOW_MS: u64 = 1_795_000_000_000;

fn budgets() -> Vec<Arc<Budget>> {
    let config = json!({"budgets": {
        "all": {"limit_usd": "1000000", "window": {"calendar": "month", "time_zone": "Europe/Berlin"}},
        "hour": {"limit_usd": "1000000", "window": {"rolling_s": 3600}},
        "project": {"limit_usd": "1000000", "each": "project", "window": {"calendar": "day"}},
        "ever": {"limit_usd": "1000000"}
    }});
    let config: Config = serde_json::from_value(config).unwrap();
    Budget::all(&config.budgets).unwrap()
}

/// Reserves and settles; microseconds of each turn.
fn turns(ledger: &MemoryLedger, budgets: &[Arc<Budget>], thread: usize) -> Vec<f64> {
    (0..TURNS)
        .map(|turn| {
            // Calls begin a millisecond apart, so that slots come and go.
            let at_ms = NOW_MS + turn as u64;
            let id = format!("{thread:08}-0000-7000-8000-{turn:012}");
            let project = format!("p{}", turn % 100);
            let record = LedgerRecord {
                id: id.clone(),
                run_id: id.clone(),
                at_ms,
                provider: "openai".into(),
                model: "openai/gpt-5-mini".into(),
                model_sent: "gpt-5-mini".into(),
                cost_nanos: Some(700),
                tags: BTreeMap::from([("project".to_owned(), project.clone())]),
                ..Default::default()
            };
            let started = Instant::now();
            let claims = budgets.iter().map(|budget| Claim {
                budget: budget.clone(),
                value: budget.each.as_ref().map(|_| Arc::from(project.as_str())),
                span: budget.window.span(at_ms),
                nanos: Some(1000),
            });
            let hold = Hold { id, owner: "bench".into(), at_ms, lease_ms: at_ms + 600_000, claims: claims.collect() };
            let Reserving::Done(reserved) = ledger.reserve(hold) else { panic!("the memory ledger answers at once") };
            assert!(matches!(black_box(reserved).unwrap(), Reserved::Held(_)));
            ledger.record(record).unwrap();
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect()
}

fn tell(what: &str, mut taken: Vec<f64>) {
    taken.sort_by(f64::total_cmp);
    let (p50, p99) = (taken[taken.len() / 2], taken[taken.len() / 100 * 99]);
    let told = if p99 <= GOAL_US { "met" } else { "NOT MET" };
    println!("{what:<44} p50 {p50:>7.2} µs   p99 {p99:>7.2} µs   goal ≤ {GOAL_US:>5.1}   {told}");
}

fn main() {
    let budgets = budgets();
    let ledger = MemoryLedger::new(4096);
    tell("reserve and settle, no budget", turns(&ledger, &[], 0));
    tell("reserve and settle, 1 budget", turns(&ledger, &budgets[..1], 1));
    tell("reserve and settle, 4 budgets", turns(&ledger, &budgets, 2));
    let ledger = MemoryLedger::new(4096);
    let all: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|t| (t, &ledger, &budgets)).collect();
        let threads: Vec<_> = threads.into_iter().map(|(t, l, b)| scope.spawn(move || turns(l, b, t))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    tell("reserve and settle, 4 budgets, 4 threads", all);
}
