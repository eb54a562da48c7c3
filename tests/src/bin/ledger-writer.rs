//! Books in a ledger's file until it is killed, and tells what has become durable: one line for each `flush` that came
//! back, the number of records of this writer that were booked before it. `ledger-writer FILE NAME`.
#![allow(clippy::expect_used)]

use std::io::{Write as _, stdout};

use interfuse::ledger::{LedgerStore as _, SqliteLedger};
use interfuse_tests::booked::record;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (file, name) = (arguments.next().expect("FILE"), arguments.next().expect("NAME"));
    let ledger = SqliteLedger::open(file).expect("a ledger");
    let (mut out, mut booked) = (stdout().lock(), 0);
    loop {
        for _ in 0..fastrand::u64(1..40) {
            ledger.record(record(&name, booked)).expect("booked");
            booked += 1;
        }
        // Whoever is not sure books again.
        ledger.record(record(&name, booked - 1)).expect("booked");
        ledger.flush().expect("flushed");
        writeln!(out, "{booked}").and_then(|()| out.flush()).expect("a reader");
    }
}
