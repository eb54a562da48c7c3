//! Several processes write one ledger and are killed at random points: what was acknowledged is there, once, and the sums
//! are those of the records; what was held when its holder was killed counts as spent when its lease has ended, once.
//! `LEDGER_KILLS=n` for another number of kills than a thousand.
#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use interfuse::ledger::{LedgerStore as _, SqliteLedger};
use interfuse::types::{LedgerRecord, UsageQuery};
use interfuse_tests::booked::{BEGAN_MS, HELD_EVERY, LEASE_MS, MOST, budget, record};

/// Processes that write at once.
const WRITERS: usize = 8;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let kills: usize = std::env::var("LEDGER_KILLS").map_or(1000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let mut rng = fastrand::Rng::with_seed(4);
    // By writer: how many of its records were acknowledged, and the last record that something was held for.
    let mut acknowledged: HashMap<String, (u64, Option<u64>)> = HashMap::new();
    let mut killed = 0;
    while killed < kills {
        let writers: Vec<(String, Child)> = (0..WRITERS.min(kills - killed))
            .map(|n| {
                let name = format!("w{}", killed + n);
                let writer = Command::new(env!("CARGO_BIN_EXE_ledger-writer"))
                    .arg(&path)
                    .arg(&name)
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                (name, writer)
            })
            .collect();
        killed += writers.len();
        let waiting = writers.into_iter().map(|(name, mut writer)| {
            // From before it has opened the file until it has written for a while.
            let life = Duration::from_micros(rng.u64(0..300_000));
            let told = writer.stdout.take().unwrap();
            let reader = thread::spawn(move || {
                // A line that was cut by the end counts for nothing.
                let mut last = (0, None);
                let mut told = BufReader::new(told);
                let mut line = String::new();
                while told.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
                    match line.trim_end().strip_prefix("held ") {
                        Some(held) => last.1 = Some(held.parse::<u64>().unwrap()),
                        None => last.0 = line.trim_end().parse::<u64>().unwrap(),
                    }
                    line.clear();
                }
                last
            });
            let killer = thread::spawn(move || {
                thread::sleep(life);
                let ended = writer.try_wait().unwrap();
                assert!(ended.is_none(), "a writer ended by itself: {ended:?}");
                writer.kill().unwrap();
                writer.wait().unwrap();
            });
            (name, reader, killer)
        });
        for (name, reader, killer) in waiting.collect::<Vec<_>>() {
            killer.join().unwrap();
            acknowledged.insert(name, reader.join().unwrap());
        }
    }
    assert_eq!(acknowledged.len(), kills);

    let ledger = SqliteLedger::open(&path).unwrap();
    let mut found: HashMap<String, Vec<u64>> = HashMap::new();
    let (mut sum, mut unknown, mut count) = (0u64, 0u64, 0u64);
    // Of what was held and booked: the costs, and the number of those that are not known.
    let (mut settled, mut unsettled) = (0u64, 0u64);
    let each = &mut |kept: &LedgerRecord| {
        let (writer, number) = kept.id.split_once('-').unwrap();
        let number: u64 = number.parse().unwrap();
        assert_eq!(*kept, record(writer, number));
        found.entry(writer.to_owned()).or_default().push(number);
        sum += kept.cost_nanos.unwrap_or(0);
        unknown += u64::from(kept.cost_nanos.is_none());
        count += 1;
        if number.is_multiple_of(HELD_EVERY) {
            settled += kept.cost_nanos.unwrap_or(0);
            unsettled += u64::from(kept.cost_nanos.is_none());
        }
        Ok(())
    };
    ledger.records(&UsageQuery::default(), each).unwrap();
    let (mut all, mut left_held) = (0, 0);
    for (writer, (known, held)) in &acknowledged {
        // In the order of booking, without a gap or a second time, at least as far as was acknowledged.
        let numbers = found.remove(writer).unwrap_or_default();
        assert!(numbers.iter().enumerate().all(|(at, number)| at as u64 == *number), "{writer}: {numbers:?}");
        assert!(numbers.len() as u64 >= *known, "{writer}: {known} were acknowledged, {} are there", numbers.len());
        all += known;
        left_held += u64::from(held.is_some_and(|held| numbers.len() as u64 <= held));
    }
    assert!(found.is_empty());
    assert!(all > 10 * kills as u64, "the writers hardly wrote: {all}");
    let by_writer = UsageQuery { by: vec!["writer".into()], ..UsageQuery::default() };
    let report = ledger.usage(&by_writer).unwrap();
    assert_eq!((report.total.attempts, report.total.cost_nanos, report.total.cost_unknown), (count, sum, unknown));
    assert_eq!(report.rows.iter().map(|row| row.cost_nanos).sum::<u64>(), sum);
    let standing = |now| {
        let standing = ledger.standings(&[budget("all", u64::MAX / 2)], now).unwrap().remove(0).remove(0);
        (standing.spent, standing.unknown, standing.held)
    };
    let (spent, unknown, held) = standing(BEGAN_MS);
    assert_eq!((spent, unknown), (settled + unsettled * MOST, unsettled * MOST), "what is booked is settled");
    // A writer holds one thing at a time; the last that was held may not have been told any more.
    let open = held / MOST;
    assert!(held % MOST == 0 && (left_held..=kills as u64).contains(&open), "{open} are held, {left_held} known");
    let charged = spent + held;
    assert_eq!(standing(LEASE_MS), (charged, unknown + held, 0), "what was held is a charge");
    assert_eq!(standing(LEASE_MS), (charged, unknown + held, 0), "and once");
    println!("{open} holds of killed writers became charges, {left_held} of them had been told");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    println!("{kills} kills, {all} records acknowledged, {count} kept, {sum} nano-USD; files: {left:?}");
}
