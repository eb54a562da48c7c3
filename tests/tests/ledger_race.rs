//! Many processes race for one budget in a ledger's file: not a nano-dollar more is spent than the limit, and what is spent is
//! what the records say. `LEDGER_RACE=64x1000` for as many processes and calls of each.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::process::{Command, Stdio};
use std::time::Instant;

use interfuse::ledger::{LedgerStore as _, SqliteLedger};
use interfuse::types::UsageQuery;
use interfuse_tests::booked::{BEGAN_MS, budget};

#[test]
fn no_number_of_processes_overspends_a_budget() {
    let size = std::env::var("LEDGER_RACE").unwrap_or_else(|_| "64x40".to_owned());
    let (processes, calls) = size.split_once('x').unwrap();
    let (processes, calls): (u64, u64) = (processes.parse().unwrap(), calls.parse().unwrap());
    // About half of what all of them would like to spend.
    let limit = processes * calls * 5 / 2;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let started = Instant::now();
    let spenders: Vec<_> = (0..processes)
        .map(|n| {
            Command::new(env!("CARGO_BIN_EXE_ledger-spender"))
                .arg(&path)
                .args([format!("s{n}"), calls.to_string()])
                .env("LIMIT_NANOS", limit.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let (mut booked, mut refused) = (0u64, 0u64);
    for spender in spenders {
        let output = spender.wait_with_output().unwrap();
        assert!(output.status.success());
        let told = String::from_utf8(output.stdout).unwrap();
        let (its, refusals) = told.trim_end().split_once(' ').unwrap();
        booked += its.parse::<u64>().unwrap();
        refused += refusals.parse::<u64>().unwrap();
    }
    let taken = started.elapsed();
    let ledger = SqliteLedger::open(&path).unwrap();
    let standing = ledger.standings(&[budget("race", limit)], BEGAN_MS).unwrap().remove(0).remove(0);
    let records = ledger.usage(&UsageQuery::default()).unwrap().total.cost_nanos;
    assert_eq!((standing.spent, standing.held, standing.unknown), (booked, 0, 0));
    assert_eq!(standing.spent, records, "what is spent is what the records say");
    assert_eq!((standing.exceeded, standing.over), (refused, 0));
    assert!(standing.spent <= limit, "{} of {limit}", standing.spent);
    assert!(
        refused > 0 && standing.spent + 20 > limit,
        "the race was over the last of it: {} of {limit}",
        standing.spent
    );
    println!("{size}: spent {booked} of {limit} nano-USD, {refused} refused, overspent 0, in {taken:.1?}");
}
