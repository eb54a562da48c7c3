//! Books in a ledger's file until it is killed, and tells what has become durable: one line for each `flush` that came
//! back, the number of records of this writer that were booked before it; and one for each hold that was answered, `held`
//! and the number of the record that it is for. `ledger-writer FILE NAME`.
#![allow(clippy::expect_used)]

use std::io::{Write as _, stdout};

use interfuse::ledger::budget::Reserved;
use interfuse::ledger::{LedgerStore as _, SqliteLedger};
use interfuse_tests::booked::{HELD_EVERY, MOST, budget, record, reserve};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (file, name) = (arguments.next().expect("FILE"), arguments.next().expect("NAME"));
    let ledger = SqliteLedger::open(file).expect("a ledger");
    let budget = budget("all", u64::MAX / 2);
    let (mut out, mut booked) = (stdout().lock(), 0);
    loop {
        for _ in 0..fastrand::u64(1..40) {
            match booked % HELD_EVERY {
                0 => {
                    let held = reserve(&ledger, &budget, &format!("{name}-{booked}"), MOST).expect("an answer");
                    assert!(matches!(held, Reserved::Held(_)), "there is room for everything");
                    writeln!(out, "held {booked}").and_then(|()| out.flush()).expect("a reader");
                }
                n if n == HELD_EVERY / 2 => {
                    let id = format!("{name}-{booked}-back");
                    reserve(&ledger, &budget, &id, MOST).expect("an answer");
                    ledger.release(&id).expect("released");
                }
                _ => {}
            }
            ledger.record(record(&name, booked)).expect("booked");
            booked += 1;
        }
        // Whoever is not sure books again.
        ledger.record(record(&name, booked - 1)).expect("booked");
        ledger.flush().expect("flushed");
        writeln!(out, "{booked}").and_then(|()| out.flush()).expect("a reader");
    }
}
