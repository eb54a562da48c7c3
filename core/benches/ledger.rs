//! What a ledger costs, beside its goals: what booking adds to a call, how many records become durable in a second (beside
//! what one write to this disk takes), and what holding budgets takes, how long sums over a million records take; in a file, and in memory. Prints;
//! asserts nothing about time. `make bench-ledger`, with `LEDGER_BENCH_DIR` for a folder on another disk.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use interfuse::ledger::budget::{Budget, Claim, Hold, Reserved};
use interfuse::ledger::{LedgerStore, MemoryLedger, SqliteLedger};
use interfuse::types::{Class, Config, LedgerRecord, Outcome, PriceRow, Usage, UsageQuery};
use serde_json::json;

/// Microseconds that booking may add to a call.
const RECORD_US: f64 = 20.0;
/// Records that become durable in a second.
const DURABLE: f64 = 20_000.0;
/// Seconds for sums over [`RECORDS`].
const SUMS_S: f64 = 1.0;
/// Milliseconds for holding what an attempt may cost and putting its cost in the place of that.
const HOLD_MS: f64 = 2.0;
const RECORDS: u64 = 1_000_000;

/// A record as calls leave them: a handful of providers and models, projects and users, prices and usage of their own.
fn record(n: u64, price: &PriceRow) -> LedgerRecord {
    let usage = json!({"prompt_tokens": n % 4000, "completion_tokens": n % 700, "total_tokens": n % 4000 + n % 700,
        "prompt_tokens_details": {"cached_tokens": n % 100}, "completion_tokens_details": {"reasoning_tokens": 0}});
    let mut made = LedgerRecord {
        id: format!("01a22084-2d18-7599-8137-{n:012x}"),
        run_id: format!("01a22084-2d18-7599-9137-{:012x}", n / 3),
        at_ms: 1_790_000_000_000 + n * 1000,
        provider: format!("provider-{}", n % 6),
        model: format!("vendor/model-{}", n % 11),
        model_sent: format!("model-{}-2026-10-01", n % 11),
        model_served: Some(format!("model-{}-2026-10-01", n % 11)),
        request_id: Some(format!("req_{n:024x}")),
        response_id: Some(format!("chatcmpl-{n:024x}")),
        attempt: 1,
        outcome: if n.is_multiple_of(50) { Outcome::Failed } else { Outcome::Ok },
        usage: Some(serde_json::from_value::<Usage>(usage).unwrap()),
        cost_nanos: Some(n % 1_000_000),
        computed_nanos: Some(n % 1_000_000),
        price: Some(price.clone()),
        latency_ms: n % 30_000,
        ttft_ms: Some(n % 2000),
        tags: [("project", n % 20), ("user", n % 97)].map(|(k, v)| (k.to_owned(), format!("{k}-{v}"))).into(),
        ..LedgerRecord::default()
    };
    made.units.report(Class::Input, n % 4000);
    made.units.report(Class::Output, n % 700);
    made
}

fn line(what: &str, measured: String, goal: &str, met: bool) {
    println!("{what:<52} {measured:<44} goal {goal:<18} {}", if met { "met" } else { "NOT MET" });
}

fn sorted(mut taken: Vec<f64>) -> (f64, f64, f64) {
    taken.sort_by(f64::total_cmp);
    (taken[taken.len() / 2], taken[taken.len() * 99 / 100], taken[taken.len() - 1])
}

/// What one small write that is on the disk when it returns takes, microseconds.
fn fsync(folder: &Path) -> (f64, f64, f64) {
    let mut file = tempfile::tempfile_in(folder).unwrap();
    let turn = |_| {
        let started = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        started.elapsed().as_secs_f64() * 1e6
    };
    sorted((0..300).map(turn).collect())
}

/// What booking adds to a call, as its thread sees it, at a pace that calls may have.
fn booking(what: &str, ledger: &dyn LedgerStore, price: &PriceRow) {
    let turn = |n| {
        let record = record(n, price);
        let started = Instant::now();
        ledger.record(black_box(record)).unwrap();
        let taken = started.elapsed().as_secs_f64() * 1e6;
        if n % 20 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        taken
    };
    let (p50, p99, most) = sorted((10_000_000..10_020_000).map(turn).collect());
    line(what, format!("p50 {p50:.2} µs  p99 {p99:.2} µs  max {most:.0} µs"), "p99 ≤ 20 µs", p99 <= RECORD_US);
    ledger.flush().unwrap();
}

/// Fills a ledger, and tells how many records a second became durable.
fn fill(what: &str, ledger: &dyn LedgerStore, price: &PriceRow) {
    let mut taken = Duration::ZERO;
    for thousand in 0..RECORDS / 1000 {
        let records: Vec<_> = (0..1000).map(|n| record(thousand * 1000 + n, price)).collect();
        let started = Instant::now();
        records.into_iter().for_each(|record| ledger.record(record).unwrap());
        taken += started.elapsed();
    }
    let started = Instant::now();
    ledger.flush().unwrap();
    let rate = RECORDS as f64 / (taken + started.elapsed()).as_secs_f64();
    line(what, format!("{rate:.0} records/s"), "≥ 20000 /s", rate >= DURABLE);
}

/// Many threads, each of which waits until its record is durable.
fn waiting(ledger: &SqliteLedger, price: &PriceRow) {
    const THREADS: u64 = 32;
    const EACH: u64 = 300;
    let started = Instant::now();
    let taken: Vec<f64> = std::thread::scope(|scope| {
        let one = |thread: u64| {
            move || {
                let turn = |n| {
                    let record = record(20_000_000 + thread * EACH + n, price);
                    let started = Instant::now();
                    ledger.record(record).unwrap();
                    ledger.flush().unwrap();
                    started.elapsed().as_secs_f64() * 1e3
                };
                (0..EACH).map(turn).collect::<Vec<_>>()
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(one(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let rate = (THREADS * EACH) as f64 / started.elapsed().as_secs_f64();
    let (p50, p99, _) = sorted(taken);
    println!(
        "{:<52} {rate:.0} records/s  p50 {p50:.2} ms  p99 {p99:.2} ms",
        "file: 32 threads, each waits for its record"
    );
}

/// Holding the most that an attempt may cost and booking it, as calls do; until both are durable.
fn holding(ledger: &SqliteLedger, price: &PriceRow) {
    const TURNS: u64 = 1000;
    let config = json!({"budgets": {
        "all": {"limit_usd": "1000000", "window": {"calendar": "month", "time_zone": "Europe/Berlin"}},
        "hour": {"limit_usd": "1000000", "window": {"rolling_s": 3600}},
        "project": {"limit_usd": "1000000", "each": "project", "window": {"calendar": "day"}},
        "ever": {"limit_usd": "1000000"}
    }});
    let budgets = Budget::all(&serde_json::from_value::<Config>(config).unwrap().budgets).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let turn = |budgets: &[Arc<Budget>], n: u64| {
        let record = record(n, price);
        let claims = budgets.iter().map(|budget| Claim {
            budget: budget.clone(),
            value: budget.each.as_ref().map(|_| Arc::from(record.tags["project"].as_str())),
            span: budget.window.span(record.at_ms),
            nanos: Some(1_000_000),
        });
        let (id, at_ms) = (record.id.clone(), record.at_ms);
        let hold = Hold { id, owner: "bench".into(), at_ms, lease_ms: at_ms + 600_000, claims: claims.collect() };
        let started = Instant::now();
        let reserved = runtime.block_on(ledger.reserve(black_box(hold)).outcome()).unwrap();
        assert!(matches!(reserved, Reserved::Held(_)));
        let reserving = started.elapsed();
        ledger.record(record).unwrap();
        let taken = started.elapsed();
        // The record becomes durable with others; alone it would share the next call's write.
        ledger.flush().unwrap();
        (reserving.as_secs_f64() * 1e3, taken.as_secs_f64() * 1e3, started.elapsed().as_secs_f64() * 1e3)
    };
    for (count, first) in [(1, 30_000_000), (4, 31_000_000)] {
        // What is new to the file is counted first.
        turn(&budgets[..count], first);
        let all: Vec<_> = (1..=TURNS).map(|n| turn(&budgets[..count], first + n)).collect();
        let (p50, p99, most) = sorted(all.iter().map(|(_, taken, _)| *taken).collect());
        let what = format!("file: reserve and settle, {count} budgets");
        line(&what, format!("p50 {p50:.2} ms  p99 {p99:.2} ms  max {most:.1} ms"), "p99 ≤ 2 ms", p99 <= HOLD_MS);
        let (p50, p99, _) = sorted(all.iter().map(|(.., durable)| *durable).collect());
        println!("{:<52} p50 {p50:.2} ms  p99 {p99:.2} ms", "  and until the record is durable, too");
    }
}

fn sums(whose: &str, ledger: &dyn LedgerStore) {
    for by in [&[][..], &["provider"], &["project", "provider", "model"], &["user", "outcome"]] {
        let query = UsageQuery { by: by.iter().map(|name| (*name).to_owned()).collect(), ..UsageQuery::default() };
        let started = Instant::now();
        let report = ledger.usage(&query).unwrap();
        let taken = started.elapsed().as_secs_f64();
        assert!(report.total.attempts >= RECORDS);
        let what = format!("{whose}: sums by {}", if by.is_empty() { "nothing".to_owned() } else { by.join(", ") });
        line(&what, format!("{taken:.3} s, {} rows", report.rows.len()), "≤ 1 s", taken <= SUMS_S);
    }
    let day = UsageQuery {
        by: vec!["project".to_owned()],
        since_ms: Some(1_790_000_000_000 + 900_000_000),
        until_ms: Some(1_790_000_000_000 + 986_400_000),
        ..UsageQuery::default()
    };
    let started = Instant::now();
    let report = ledger.usage(&day).unwrap();
    let taken = started.elapsed().as_secs_f64();
    let measured = format!("{taken:.3} s, {} attempts", report.total.attempts);
    line(&format!("{whose}: sums of one day by project"), measured, "≤ 1 s", taken <= SUMS_S);
}

fn main() {
    let price = json!({"id": "p/m@2026-10-01", "as_of": "2026-10-01", "source": "a list",
        "rates": {"input": "0.25", "output": "2", "cache_read": "0.025"}});
    let price: PriceRow = serde_json::from_value(price).unwrap();
    let folder = match std::env::var("LEDGER_BENCH_DIR") {
        Ok(folder) => tempfile::tempdir_in(folder).unwrap(),
        Err(_) => tempfile::tempdir().unwrap(),
    };
    // First, with a heap that nothing has been done in.
    let memory = MemoryLedger::new(usize::MAX);
    booking("memory: booking", &memory, &price);
    fill("memory: a million records", &memory, &price);
    sums("memory", &memory);
    drop(memory);
    println!();
    let (p50, p99, most) = fsync(folder.path());
    println!("one write of 4 KiB to the disk and fdatasync: p50 {p50:.0} µs  p99 {p99:.0} µs  max {most:.0} µs\n");
    let path = folder.path().join("ledger.db");
    let file = SqliteLedger::open(&path).unwrap();
    booking("file: booking, beside up to 20 calls a ms", &file, &price);
    waiting(&file, &price);
    holding(&file, &price);
    fill("file: a million records, until durable", &file, &price);
    println!(
        "{:<52} {:.0} bytes a record",
        "file: size",
        std::fs::metadata(&path).unwrap().len() as f64 / RECORDS as f64
    );
    sums("file", &file);
}
