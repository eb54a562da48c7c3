//! Spends from one budget of a ledger's file as fast as it may, beside others that do the same, and prints what it booked,
//! nano-USD, and how often it was refused. `ledger-spender FILE NAME CALLS`.
#![allow(clippy::expect_used, clippy::print_stdout)]

use interfuse::ledger::budget::Reserved;
use interfuse::ledger::{LedgerStore as _, SqliteLedger};
use interfuse::types::LedgerRecord;
use interfuse_tests::booked::{BEGAN_MS, budget, reserve};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (file, name) = (arguments.next().expect("FILE"), arguments.next().expect("NAME"));
    let calls: u64 = arguments.next().and_then(|calls| calls.parse().ok()).expect("CALLS");
    let ledger = SqliteLedger::open(file).expect("a ledger");
    let budget = budget("race", std::env::var("LIMIT_NANOS").ok().and_then(|n| n.parse().ok()).expect("LIMIT_NANOS"));
    let (mut booked, mut refused) = (0, 0);
    for call in 0..calls {
        let (id, most) = (format!("{name}-{call}"), fastrand::u64(1..20));
        if let Reserved::Refused(_) = reserve(&ledger, &budget, &id, most).expect("an answer") {
            refused += 1;
            continue;
        }
        match fastrand::u8(0..10) {
            0 => ledger.release(&id).expect("released"),
            _ => {
                let cost = fastrand::u64(0..=most);
                let record = LedgerRecord { id, at_ms: BEGAN_MS, cost_nanos: Some(cost), ..LedgerRecord::default() };
                ledger.record(record).expect("booked");
                booked += cost;
            }
        }
    }
    ledger.flush().expect("flushed");
    println!("{booked} {refused}");
}
