//! Budgets and corrections in a file: the same answers as in memory, of whatever order of events, and nothing forgotten.

use std::sync::Arc;

use fastrand::Rng;
use rusqlite::params;
use serde_json::{Value, json};

use super::super::budget::{Budget, Claim, Hold, Reserved, Reserving, Standing};
use super::super::{LedgerStore, MemoryLedger};
use super::SqliteLedger;
use super::queue::Job;
use crate::error::ErrorKind;
use crate::types::{Config, Correction, LedgerRecord, Residual, UsageQuery};

const START: u64 = 1_767_225_600_000;

fn budgets(config: Value) -> Vec<Arc<Budget>> {
    let config: Config = serde_json::from_value(json!({"budgets": config})).unwrap();
    Budget::all(&config.budgets).unwrap()
}

fn claim(budget: &Arc<Budget>, value: Option<&str>, at_ms: u64, nanos: Option<u64>) -> Claim {
    let span = budget.window.span(at_ms);
    Claim { budget: budget.clone(), value: value.map(Arc::from), span, nanos }
}

fn hold(id: &str, at_ms: u64, claims: Vec<Claim>) -> Hold {
    Hold { id: id.to_owned(), owner: "me".into(), at_ms, lease_ms: at_ms + 1000, claims }
}

fn wait(reserving: Reserving) -> crate::error::Result<Reserved> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(reserving.outcome())
}

fn record(id: &str, at_ms: u64, project: Option<&str>, cost: Option<u64>) -> LedgerRecord {
    let tags = project.map(|project| ("project".to_owned(), project.to_owned())).into_iter().collect();
    LedgerRecord { id: id.into(), at_ms, provider: "p".into(), cost_nanos: cost, tags, ..LedgerRecord::default() }
}

/// Rows in which something stands.
fn standings(ledger: &dyn LedgerStore, budgets: &[Arc<Budget>], now: u64) -> Vec<Vec<Standing>> {
    let mut all = ledger.standings(budgets, now).unwrap();
    all.iter_mut()
        .for_each(|rows| rows.retain(|row| *row != Standing { value: row.value.clone(), ..Default::default() }));
    all
}

fn open() -> (tempfile::TempDir, SqliteLedger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    (folder, ledger)
}

fn on_writer(ledger: &SqliteLedger, what: impl Fn(&rusqlite::Connection) + Send + 'static) {
    ledger.live().unwrap().parts().unwrap().queue.put(Job::Do(Box::new(what))).unwrap();
}

/// Has every budget counted anew from what only grows.
fn count_anew(ledger: &SqliteLedger) {
    on_writer(ledger, |connection| {
        connection.execute("UPDATE budget SET form = 'another'", []).unwrap();
        connection.execute("UPDATE held SET slot = -1", []).unwrap();
    });
}

#[test]
fn a_file_says_what_memory_says_and_the_same_counted_anew() {
    let all = budgets(json!({
        "all": {"limit_usd": "0.00001"},
        "day": {"limit_usd": "0.000001", "window": {"calendar": "day", "time_zone": "Europe/Berlin"}},
        "rolling": {"limit_usd": "0.0000007", "window": {"rolling_s": 7200}},
        "each": {"limit_usd": "0.0000005", "window": {"rolling_s": 36000}, "each": "project"},
        "warn": {"limit_usd": "0.0000003", "mode": "warn", "unpriced": "allow"}
    }));
    let (mut held, mut refused, mut unknown, mut over) = (0, 0, 0, 0);
    for seed in 0..4 {
        let (_folder, file) = open();
        let memory = MemoryLedger::new(10_000);
        let mut rng = Rng::with_seed(seed);
        let (mut now, mut under_way) = (START, Vec::<(String, u64, Option<&str>, u64)>::new());
        for step in 0..300 {
            now += rng.u64(0..1_200_000);
            let one = |rng: &mut Rng, under_way: &mut Vec<_>| {
                (!under_way.is_empty()).then(|| under_way.swap_remove(rng.usize(..under_way.len())))
            };
            match rng.u8(0..10) {
                0..5 => {
                    let (id, nanos) = (format!("{seed}/{step}"), rng.u64(1..200));
                    let project = *rng.choice(&[None, Some("x"), Some("y")]).unwrap();
                    let mut claims = Vec::new();
                    for budget in &all {
                        let value = budget.each.as_ref().and(project);
                        let unpriced = &*budget.name == "warn" && rng.bool();
                        claims.push(claim(budget, value, now, (!unpriced).then(|| nanos + rng.u64(0..20))));
                    }
                    let asked = Hold { lease_ms: now + rng.u64(1..4_000_000), ..hold(&id, now, claims) };
                    let said = wait(memory.reserve(asked.clone())).unwrap();
                    assert_eq!(wait(file.reserve(asked.clone())).unwrap(), said, "seed {seed}, step {step}");
                    match said {
                        Reserved::Held(_) => {
                            assert_eq!(wait(file.reserve(asked)).unwrap(), Reserved::Held(vec![]), "held once");
                            under_way.push((id, now, project, nanos));
                            held += 1;
                        }
                        Reserved::Refused(_) => refused += 1,
                    }
                }
                5..8 => {
                    let Some((id, at, project, nanos)) = one(&mut rng, &mut under_way) else { continue };
                    let cost = (rng.u8(0..5) != 0).then(|| rng.u64(0..nanos + 30));
                    // Booked a moment after it was held, perhaps in another slot.
                    let booked = record(&id, at + rng.u64(0..1000), project, cost);
                    memory.record(booked.clone()).unwrap();
                    file.record(booked.clone()).unwrap();
                    file.record(booked).unwrap();
                }
                8 => {
                    let Some((id, ..)) = one(&mut rng, &mut under_way) else { continue };
                    memory.release(&id).unwrap();
                    file.release(&id).unwrap();
                    file.release(&id).unwrap();
                }
                // Whoever held it is gone.
                _ => drop(one(&mut rng, &mut under_way)),
            }
            assert_eq!(standings(&file, &all, now), standings(&memory, &all, now), "seed {seed}, step {step}");
        }
        count_anew(&file);
        let counted = |rows: Vec<Vec<Standing>>| {
            // How often something did not fit is told by nothing that stays.
            let same = |row: Standing| Standing { exceeded: 0, ..row };
            let rows = rows.into_iter().map(|rows| rows.into_iter().map(same).filter(|row| row.spent + row.held > 0));
            rows.map(Iterator::collect::<Vec<_>>).collect::<Vec<_>>()
        };
        let expected = counted(standings(&memory, &all, now));
        assert_eq!(counted(standings(&file, &all, now)), expected, "seed {seed}, counted anew");
        unknown += expected.iter().flatten().map(|row| row.unknown).sum::<u64>();
        over += expected.iter().flatten().map(|row| row.over).sum::<u64>();
        // What is open settles where it was moved to.
        for (id, at, project, _) in under_way {
            let booked = record(&id, at, project, Some(1));
            memory.record(booked.clone()).unwrap();
            file.record(booked).unwrap();
        }
        assert_eq!(
            counted(standings(&file, &all, now)),
            counted(standings(&memory, &all, now)),
            "seed {seed}, settled"
        );
    }
    assert!(held > 100 && refused > 100 && unknown > 0 && over > 0, "{held} {refused} {unknown} {over}");
}

#[test]
fn what_was_booked_before_a_budget_counts_and_once() {
    let (folder, ledger) = open();
    for n in 0..100 {
        let project = ["x", "y"][n as usize % 2];
        ledger.record(record(&format!("r{n}"), START + n, Some(project), (n % 10 != 0).then_some(n))).unwrap();
    }
    ledger.record(record("yesterday", START - 1, Some("x"), Some(1_000_000))).unwrap();
    let sum = |of: u64| (0..100).filter(|n| n % 2 == of && n % 10 != 0).sum::<u64>();
    let all = budgets(json!({
        "day": {"limit_usd": "0.000005", "window": {"calendar": "day"}, "each": "project"},
        "x": {"limit_usd": "1", "of": {"project": "x", "purpose": "chat"}},
        "none": {"limit_usd": "1", "of": {"provider": "another"}}
    }));
    let now = START + 5000;
    let spent = |ledger: &SqliteLedger| {
        let all = ledger.standings(&all, now).unwrap();
        all.iter().map(|rows| rows.iter().map(|row| row.spent).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let (day, none, x) = (0, 1, 2);
    assert_eq!([&all[day].name, &all[none].name, &all[x].name].map(|name| &**name), ["day", "none", "x"]);
    let asked = |nanos| hold("new", now, vec![claim(&all[day], Some("y"), now, Some(nanos))]);
    assert!(
        matches!(wait(ledger.reserve(asked(5001 - sum(1)))).unwrap(), Reserved::Refused(over) if over[0].spent == sum(1))
    );
    assert_eq!(wait(ledger.reserve(asked(5000 - sum(1)))).unwrap(), Reserved::Held(vec![]));
    ledger.record(record("new", now, Some("y"), Some(7))).unwrap();
    let expected = vec![vec![sum(0), sum(1) + 7], vec![0], vec![sum(0) + 1_000_000]];
    assert_eq!(spent(&ledger), expected);
    drop(ledger);
    let again = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    assert_eq!(spent(&again), expected);
    count_anew(&again);
    assert_eq!(spent(&again), expected);
}

#[test]
fn a_budget_that_changes_counts_what_it_now_means() {
    let (_folder, ledger) = open();
    let one = |config: Value| budgets(json!({"b": config})).remove(0);
    let spent = |budget: &Arc<Budget>, now| ledger.standings(std::slice::from_ref(budget), now).unwrap().remove(0);
    let total = one(json!({"limit_usd": "1"}));
    for (id, at, project) in [("a", START + 1000, "x"), ("b", START + 90_000_000, "y"), ("c", START + 90_000_001, "x")]
    {
        wait(ledger.reserve(hold(id, at, vec![claim(&total, None, at, Some(100))]))).unwrap();
        if id != "c" {
            ledger.record(record(id, at, Some(project), Some(10))).unwrap();
        }
    }
    let now = START + 90_000_002;
    let told = |budget: &Arc<Budget>| spent(budget, now).iter().map(|row| (row.spent, row.held)).collect::<Vec<_>>();
    assert_eq!(told(&total), [(20, 100)]);
    assert_eq!(told(&one(json!({"limit_usd": "1", "window": {"calendar": "day"}}))), [(10, 100)]);
    assert_eq!(told(&one(json!({"limit_usd": "1", "window": {"rolling_s": 1}}))), [(10, 100)]);
    assert_eq!(told(&one(json!({"limit_usd": "1", "of": {"project": "x"}}))), [(10, 100)], "what is open stays");
    assert_eq!(told(&total), [(20, 100)], "and back");
    ledger.record(record("c", now, Some("x"), Some(30))).unwrap();
    assert_eq!(told(&total), [(50, 0)]);
}

#[test]
fn holds_of_an_owner_that_is_gone_become_charges_also_in_another_process() {
    let (folder, ledger) = open();
    let budget = &budgets(json!({"b": {"limit_usd": "0.0000001"}}))[0];
    for (id, nanos) in [("gone", 60), ("late", 40)] {
        wait(ledger.reserve(hold(id, START, vec![claim(budget, None, START, Some(nanos))]))).unwrap();
    }
    drop(ledger);
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    let at = |now| {
        let row = ledger.standings(std::slice::from_ref(budget), now).unwrap().remove(0).remove(0);
        (row.spent, row.unknown, row.held)
    };
    assert_eq!(at(START + 999), (0, 0, 100));
    let refused = wait(ledger.reserve(hold("new", START + 1000, vec![claim(budget, None, START + 1000, Some(1))])));
    assert!(matches!(refused.unwrap(), Reserved::Refused(over) if (over[0].spent, over[0].held) == (100, 0)));
    assert_eq!(at(START + 1000), (100, 100, 0));
    ledger.record(record("late", START, None, Some(15))).unwrap();
    assert_eq!(at(START + 1001), (75, 60, 0));
}

#[test]
fn a_hold_that_nobody_waits_for_is_given_back() {
    let (_folder, ledger) = open();
    let budget = &budgets(json!({"b": {"limit_usd": "1"}}))[0];
    let asked = |id: &str| hold(id, START, vec![claim(budget, None, START, Some(100))]);
    let held = || ledger.standings(std::slice::from_ref(budget), START).unwrap()[0][0].held;
    // Dropped after the answer has come, before anybody has looked at it.
    let answered = ledger.reserve(asked("answered"));
    assert_eq!(held(), 100);
    drop(answered);
    assert_eq!(held(), 0);
    // Dropped before the writer comes to it.
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    on_writer(&ledger, move |_| gate.lock().unwrap().recv().unwrap());
    drop(ledger.reserve(asked("unanswered")));
    go.send(()).unwrap();
    assert_eq!(held(), 0);
    // Dropped between being held and being told.
    let waiting = std::sync::Mutex::new(Some(ledger.reserve(asked("between"))));
    let taken = Arc::new(waiting);
    let taken_there = taken.clone();
    on_writer(&ledger, move |_| drop(taken_there.lock().unwrap().take()));
    ledger.flush().unwrap();
    assert!(taken.lock().unwrap().is_none());
    assert_eq!(held(), 0);
}

#[test]
fn a_full_disk_refuses_what_is_asked_at_once_and_keeps_what_was_booked() {
    let (_folder, ledger) = open();
    let budget = &budgets(json!({"b": {"limit_usd": "1"}}))[0];
    let asked = |id: &str| hold(id, START, vec![claim(budget, None, START, Some(100))]);
    wait(ledger.reserve(asked("before"))).unwrap();
    ledger.fill_disk();
    let error = wait(ledger.reserve(asked("after"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains("the disk is full"), "{error}");
    assert!(ledger.standings(std::slice::from_ref(budget), START).is_err());
    let correction = Correction { id: "c".into(), ..Correction::default() };
    assert!(ledger.correct(std::slice::from_ref(&correction)).is_err());
    ledger.free_disk();
    let row = &ledger.standings(std::slice::from_ref(budget), START).unwrap()[0][0];
    assert_eq!((row.spent, row.held), (0, 100), "what failed was not done later");
    assert_eq!(ledger.usage(&UsageQuery::default()).unwrap().total.attempts, 50);
    assert_eq!(ledger.correct(&[correction]).unwrap(), 1);
}

#[test]
fn a_writer_that_ended_leaves_nobody_waiting() {
    let (_folder, ledger) = open();
    let budget = &budgets(json!({"b": {"limit_usd": "1"}}))[0];
    on_writer(&ledger, |_| panic!("this test wants it"));
    let error = wait(ledger.reserve(hold("h", START, vec![claim(budget, None, START, Some(1))]))).unwrap_err();
    assert!(error.message().contains("ended"), "{error}");
    assert!(ledger.standings(&[], START).unwrap_err().message().contains("ended"));
}

#[test]
fn corrections_are_kept_once_and_counted_as_in_memory() {
    let (folder, file) = open();
    let memory = MemoryLedger::new(100);
    let corrections: Vec<Correction> = (0..40u64)
        .map(|n| Correction {
            id: format!("c{n}"),
            at_ms: START + n,
            until_ms: (n % 2 == 0).then_some(START + n + 10),
            provider: format!("p{}", n % 3),
            model: (n % 4 != 0).then(|| format!("m{}", n % 2)),
            key: (n % 5 == 0).then(|| "k".to_owned()),
            tags: [("project".to_owned(), format!("x{}", n % 2))].into(),
            record: (n % 7 == 0).then(|| "r1".to_owned()),
            vendor_id: (n % 6 == 0).then(|| "v".to_owned()),
            residual: Residual::ALL[n as usize % Residual::ALL.len()],
            delta_nanos: if n % 3 == 0 { -(n as i64) } else { i64::from(u32::MAX) * n as i64 },
            file: "abc".into(),
            row: (n % 2 == 1).then_some(n),
        })
        .collect();
    for ledger in [&file as &dyn LedgerStore, &memory] {
        for n in 0..9 {
            ledger.record(record(&format!("r{n}"), START + n, Some(["x0", "x1"][n as usize % 2]), Some(n))).unwrap();
        }
        assert_eq!(ledger.correct(&corrections[..25]).unwrap(), 25);
        assert_eq!(ledger.correct(&corrections[20..]).unwrap(), 15);
        assert_eq!(ledger.correct(&corrections).unwrap(), 0);
        assert_eq!(ledger.correct(&[]).unwrap(), 0);
    }
    let kept = |ledger: &dyn LedgerStore, query: &UsageQuery| {
        let mut kept = Vec::new();
        let each = &mut |correction: &Correction| {
            kept.push(correction.clone());
            Ok(())
        };
        ledger.corrections(query, each).unwrap();
        kept
    };
    assert_eq!(kept(&file, &UsageQuery::default()), corrections);
    for filter in
        [json!({}), json!({"provider": "p1"}), json!({"model": "m1", "project": "x1"}), json!({"outcome": "ok"})]
    {
        for by in [json!([]), json!(["provider"]), json!(["project", "model"]), json!(["run_id"])] {
            for (since, until) in [(None, None), (Some(START + 5), Some(START + 30))] {
                let query = json!({"by": by, "where": filter, "since_ms": since, "until_ms": until});
                let query: UsageQuery = serde_json::from_value(query).unwrap();
                assert_eq!(kept(&file, &query), kept(&memory, &query), "{query:?}");
                assert_eq!(file.usage(&query).unwrap(), memory.usage(&query).unwrap(), "{query:?}");
            }
        }
    }
    drop(file);
    let file = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    assert_eq!(kept(&file, &UsageQuery::default()), corrections);
}

#[test]
fn what_was_held_and_corrected_cannot_be_changed() {
    let (_folder, ledger) = open();
    let budget = &budgets(json!({"b": {"limit_usd": "1"}}))[0];
    let asked = |id: &str| hold(id, START, vec![claim(budget, None, START, Some(100))]);
    wait(ledger.reserve(asked("kept"))).unwrap();
    wait(ledger.reserve(asked("back"))).unwrap();
    ledger.release("back").unwrap();
    ledger.correct(&[Correction { id: "c".into(), ..Correction::default() }]).unwrap();
    on_writer(&ledger, |connection| {
        for (table, rows) in [("reservation", 2), ("released", 1), ("adjustment", 1)] {
            let count = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
            assert_eq!(count.unwrap(), rows, "{table}");
            connection.execute(&format!("DELETE FROM {table}"), params![]).unwrap_err();
            connection.execute(&format!("UPDATE {table} SET id = 'x'"), params![]).unwrap_err();
        }
    });
    ledger.flush().unwrap();
}
