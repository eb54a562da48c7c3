//! How many rows a batch does in a second, against a server that is a process of its own, and whether its memory stays as it is
//! over many rows; beside the goals. Prints; asserts nothing about time. `make bench-batch` (ROWS=100000).
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use futures_util::stream::iter;
use interfuse::Client;
use interfuse::types::{BatchEvent, BatchOptions, BatchReport, Config};
use interfuse_tests::soak::{Server, rss_kib, serve};
use serde_json::{Value, json};

/// On two cores, one of which is the server's.
const ROWS_PER_S: f64 = 5_000.0;
/// How much memory may grow from the tenth part of the rows to the last, MiB.
const GROWTH_MIB: f64 = 8.0;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve().unwrap();
    }
    let rows: u64 = std::env::args().nth(1).map_or(100_000, |rows| rows.parse().unwrap());
    let server = Server::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("run.jsonl");
    let file = json!({"checkpoint": checkpoint.to_str().unwrap()});
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for (what, more, asked) in [
        ("in order", json!({}), true),
        ("as they finish", json!({"ordered": false}), true),
        ("under a budget", json!({"budget": "1000000"}), true),
        ("into a checkpoint", file.clone(), true),
        ("out of a checkpoint", file, false),
    ] {
        let (report, growth) = runtime.block_on(run(&server, rows, more));
        assert_eq!((report.answered, report.kept), (rows, if asked { 0 } else { rows }), "{}", report.to_text());
        let per_s = rows as f64 / (report.took_ms.max(1) as f64 / 1000.0);
        let measured = format!("{per_s:.0} rows/s, {growth:.1} MiB more after {rows} rows");
        let met = per_s >= ROWS_PER_S && growth <= GROWTH_MIB;
        let goal = format!("{ROWS_PER_S:.0} rows/s, {GROWTH_MIB:.0} MiB");
        println!("{what:<20} {measured:<50} goal {goal:<20} {}", if met { "met" } else { "NOT MET" });
    }
}

/// A batch over a client of its own; also by how many MiB memory grew after the tenth part.
async fn run(server: &Server, rows: u64, more: Value) -> (BatchReport, f64) {
    let config = json!({"use_environment": false, "retries": {"max_retries": 0},
        "providers": {"up": {"base_url": format!("{}/fast/v1", server.base), "api_key": "k"}},
        "prices": {"up/m": {"input": "1", "output": "1"}}});
    let client = Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap();
    let mut options = json!({"common": {"model": "up/m", "max_tokens": 16}, "concurrency": 64, "total": rows});
    options.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let options: BatchOptions = serde_json::from_value(options).unwrap();
    let started = Instant::now();
    let mut batch = client.batch(iter((0..rows).map(|i| format!("What is {i}?"))), options).unwrap();
    let (mut read, mut before) = (0, 0);
    while let Some(event) = batch.next().await {
        match event.unwrap() {
            BatchEvent::Row { .. } => {
                read += 1;
                if read == rows / 10 {
                    before = rss_kib();
                }
            }
            BatchEvent::Progress { .. } => {}
            BatchEvent::Done { mut report } => {
                report.took_ms = started.elapsed().as_millis() as u64;
                return (*report, (rss_kib() - before) as f64 / 1024.0);
            }
        }
    }
    unreachable!("a batch ends with its report")
}
