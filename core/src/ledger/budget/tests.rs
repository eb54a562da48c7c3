//! The arithmetic of budgets against a model that only keeps lists, and windows against a calendar.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::types::Config;

fn budgets(config: Value) -> Vec<Arc<Budget>> {
    let config: Config = serde_json::from_value(json!({"budgets": config})).unwrap();
    Budget::all(&config.budgets).unwrap()
}

fn claim(budget: &Arc<Budget>, value: Option<&str>, at_ms: u64, nanos: u64) -> Claim {
    let span = budget.window.span(at_ms);
    Claim { budget: budget.clone(), value: value.map(Arc::from), span, nanos: Some(nanos) }
}

fn hold(id: &str, at_ms: u64, claims: Vec<Claim>) -> Hold {
    Hold { id: id.to_owned(), owner: "me".into(), at_ms, lease_ms: at_ms + 1000, claims }
}

fn only(accounts: &mut Accounts, budget: &Arc<Budget>, at_ms: u64) -> Standing {
    accounts.standings(std::slice::from_ref(budget), at_ms).remove(0).remove(0)
}

const YEAR_2026: u64 = 1_767_225_600_000;

#[test]
fn what_is_held_is_not_there_for_others_and_comes_back() {
    let budget = &budgets(json!({"b": {"limit_usd": "0.0000001"}}))[0];
    let mut accounts = Accounts::default();
    let mut reserve = |id: &str, nanos| accounts.reserve(&hold(id, 5, vec![claim(budget, None, 5, nanos)]));
    assert_eq!(reserve("one", 60), Reserved::Held(vec![]));
    assert_eq!(reserve("two", 41), Reserved::Refused(vec![Over { claim: 0, spent: 0, held: 60 }]));
    assert_eq!(reserve("three", 40), Reserved::Held(vec![]), "to the last nano-dollar");
    assert_eq!(reserve("three", 40), Reserved::Held(vec![]), "asked again, held once");
    accounts.release("three");
    accounts.settle("one", Some(25));
    accounts.settle("one", Some(25));
    accounts.settle("never held", Some(25));
    let standing = only(&mut accounts, budget, 6);
    assert_eq!((standing.spent, standing.held, standing.exceeded), (25, 0, 1));
    let over = accounts.reserve(&hold("four", 7, vec![claim(budget, None, 7, 76)]));
    assert_eq!(over, Reserved::Refused(vec![Over { claim: 0, spent: 25, held: 0 }]));
}

#[test]
fn all_budgets_or_none() {
    let all =
        budgets(json!({"a": {"limit_usd": "1"}, "b": {"limit_usd": "0"}, "c": {"limit_usd": "0", "mode": "warn"}}));
    let mut accounts = Accounts::default();
    let claims = |nanos| all.iter().map(|budget| claim(budget, None, 5, nanos)).collect::<Vec<_>>();
    let refused = accounts.reserve(&hold("one", 5, claims(1)));
    assert_eq!(refused, Reserved::Refused(vec![Over { claim: 1, spent: 0, held: 0 }]), "only who is enforced refuses");
    assert_eq!(only(&mut accounts, &all[0], 5).held, 0);
    assert_eq!(accounts.reserve(&hold("free", 5, claims(0))), Reserved::Held(vec![]), "nothing fits into nothing");
    let passes = accounts.reserve(&hold("two", 5, vec![claims(1).remove(2)]));
    assert_eq!(passes, Reserved::Held(vec![Over { claim: 0, spent: 0, held: 0 }]));
    assert_eq!((only(&mut accounts, &all[2], 5).held, only(&mut accounts, &all[2], 5).exceeded), (1, 2));
}

#[test]
fn an_unknown_cost_is_what_was_held_and_a_lapsed_hold_too_until_its_record_comes() {
    let budget = &budgets(json!({"b": {"limit_usd": "1"}}))[0];
    let mut accounts = Accounts::default();
    for id in ["unknown", "lapsed", "late"] {
        accounts.reserve(&hold(id, 5, vec![claim(budget, None, 5, 100)]));
    }
    accounts.settle("unknown", None);
    let at = |accounts: &mut Accounts, ms| {
        let standing = only(accounts, budget, ms);
        (standing.spent, standing.unknown, standing.held, standing.over, standing.over_nanos)
    };
    assert_eq!(at(&mut accounts, 1004), (100, 100, 200, 0, 0));
    assert_eq!(at(&mut accounts, 1005), (300, 300, 0, 0, 0), "whoever held it is gone, and may have spent it");
    accounts.settle("late", Some(130));
    assert_eq!(at(&mut accounts, 1006), (330, 200, 0, 1, 30), "more than was held counts, and is told");
}

#[test]
fn an_attempt_without_a_price_goes_while_anything_is_left() {
    let budget = &budgets(json!({"b": {"limit_usd": "0.00000001", "unpriced": "allow"}}))[0];
    let mut accounts = Accounts::default();
    let unpriced = || Claim { nanos: None, ..claim(budget, None, 5, 0) };
    assert_eq!(accounts.reserve(&hold("one", 5, vec![unpriced()])), Reserved::Held(vec![]));
    accounts.settle("one", Some(10));
    assert_eq!(only(&mut accounts, budget, 5).over, 0, "nothing was held that it could be over");
    assert!(matches!(accounts.reserve(&hold("two", 5, vec![unpriced()])), Reserved::Refused(_)));
}

#[test]
fn every_value_has_a_budget_of_its_own() {
    let budget = &budgets(json!({"b": {"limit_usd": "0.0000001", "each": "project"}}))[0];
    let mut accounts = Accounts::default();
    for (id, value) in [("1", Some("x")), ("2", Some("y")), ("3", None)] {
        assert_eq!(accounts.reserve(&hold(id, 5, vec![claim(budget, value, 5, 70)])), Reserved::Held(vec![]));
    }
    assert!(matches!(accounts.reserve(&hold("4", 5, vec![claim(budget, Some("x"), 5, 70)])), Reserved::Refused(_)));
    let rows = accounts.standings(std::slice::from_ref(budget), 5).remove(0);
    let rows: Vec<_> = rows.iter().map(|row| (row.value.as_deref(), row.held)).collect();
    assert_eq!(rows, [(None, 70), (Some("x"), 70), (Some("y"), 70)]);
}

#[test]
fn accounts_that_no_longer_count_are_dropped() {
    let budget = &budgets(json!({"b": {"limit_usd": "1", "each": "user", "window": {"rolling_s": 1}}}))[0];
    let mut accounts = Accounts::default();
    for user in 0..20_000u64 {
        let at = user * 10;
        let id = user.to_string();
        accounts.reserve(&hold(&id, at, vec![claim(budget, Some(&id), at, 1)]));
        accounts.settle(&id, Some(1));
    }
    let rows = accounts.standings(std::slice::from_ref(budget), 200_000).remove(0);
    assert!(rows.len() < 2_100, "{}", rows.len());
}

#[test]
fn windows_begin_where_the_zone_says() {
    let all = budgets(json!({
        "day": {"limit_usd": "1", "window": {"calendar": "day", "time_zone": "Europe/Berlin"}},
        "month": {"limit_usd": "1", "window": {"calendar": "month", "time_zone": "Asia/Kathmandu"}},
        "utc": {"limit_usd": "1", "window": {"calendar": "month"}},
        "week": {"limit_usd": "1", "window": {"calendar": "week"}}
    }));
    let ms = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64;
    let span = |name: &str, at: &str| {
        let budget = all.iter().find(|budget| &*budget.name == name).unwrap();
        let span = budget.window.span(ms(at));
        assert_eq!(span.slot, span.since);
        let text = |ms: u64| jiff::Timestamp::from_millisecond(ms as i64).unwrap().to_string();
        (text(span.since), text(span.until.unwrap()))
    };
    let of = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    // Clocks go forward: that day has 23 hours; back: 25.
    assert_eq!(span("day", "2026-03-29T12:00:00Z"), of("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
    assert_eq!(span("day", "2026-10-25T12:00:00Z"), of("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
    assert_eq!(span("month", "2026-01-31T18:14:59Z"), of("2025-12-31T18:15:00Z", "2026-01-31T18:15:00Z"));
    assert_eq!(span("month", "2026-01-31T18:15:00Z").0, "2026-01-31T18:15:00Z");
    assert_eq!(span("utc", "2024-02-29T23:59:59Z"), of("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"));
    assert_eq!(span("week", "2026-11-29T23:59:59Z"), of("2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"));
    assert_eq!(span("week", "2026-11-30T00:00:00Z").0, "2026-11-30T00:00:00Z");
}

#[test]
fn an_unknown_zone_or_an_endless_limit_is_refused_where_it_stands() {
    let refused = |budget: Value| {
        let config: Config = serde_json::from_value(json!({"budgets": {"b": budget}})).unwrap();
        Budget::all(&config.budgets).unwrap_err()
    };
    let window = json!({"calendar": "day", "time_zone": "Europe/Berln"});
    let error = refused(json!({"limit_usd": "1", "window": window}));
    assert_eq!(error.body().param.as_deref(), Some("budgets.b.window.time_zone"));
    assert!(error.message().contains("did you mean `Europe/Berlin`"), "{error}");
    let error = refused(json!({"limit_usd": "9007200"}));
    assert_eq!(error.body().param.as_deref(), Some("budgets.b.limit_usd"));
}

/// What really happened to an attempt, kept apart from sums.
struct Told {
    id: String,
    at_ms: u64,
    lease_ms: u64,
    /// Budget, value, amount held.
    claims: Vec<(usize, Option<&'static str>, u64)>,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    UnderWay,
    /// Its owner is gone.
    Crashed,
    Cost(u64),
    Unknown,
    Released,
}

impl Told {
    /// What it weighs in a budget: spent, held.
    fn weight(&self, held: u64, now: u64) -> (u64, u64) {
        match self.fate {
            Fate::Cost(cost) => (cost, 0),
            Fate::Unknown => (held, 0),
            Fate::Released => (0, 0),
            Fate::UnderWay | Fate::Crashed if now >= self.lease_ms => (held, 0),
            Fate::UnderWay | Fate::Crashed => (0, held),
        }
    }
}

#[test]
fn in_no_order_of_events_is_more_than_the_limit_spent_and_held() {
    let all = budgets(json!({
        "all": {"limit_usd": "0.000004"},
        "day": {"limit_usd": "0.000001", "window": {"calendar": "day", "time_zone": "Europe/Berlin"}},
        "rolling": {"limit_usd": "0.0000007", "window": {"rolling_s": 7200}},
        "each": {"limit_usd": "0.0000005", "window": {"rolling_s": 36000}, "each": "project"},
        "warn": {"limit_usd": "0.0000003", "mode": "warn"}
    }));
    let values = [None, Some("x"), Some("y")];
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut accounts = Accounts::default();
        let mut told: Vec<Told> = Vec::new();
        let mut now = YEAR_2026;
        let mut refused = 0;
        for step in 0..300 {
            now += rng.u64(0..1_200_000);
            let open: Vec<usize> = (0..told.len()).filter(|i| told[*i].fate == Fate::UnderWay).collect();
            match rng.u8(0..10) {
                0..5 => {
                    let id = format!("{seed}/{step}");
                    let nanos = rng.u64(1..200);
                    let mut claims = Vec::new();
                    for (place, budget) in all.iter().enumerate() {
                        if rng.u8(0..4) == 0 {
                            continue;
                        }
                        let value = if budget.each.is_some() { *rng.choice(&values).unwrap() } else { None };
                        claims.push((place, value, nanos + rng.u64(0..20)));
                    }
                    let lease_ms = now + rng.u64(1..4_000_000);
                    let asked = claims.iter().map(|(place, value, held)| claim(&all[*place], *value, now, *held));
                    let hold = Hold { lease_ms, ..hold(&id, now, asked.collect()) };
                    match accounts.reserve(&hold) {
                        Reserved::Held(_) => told.push(Told { id, at_ms: now, lease_ms, claims, fate: Fate::UnderWay }),
                        Reserved::Refused(_) => refused += 1,
                    }
                }
                5..8 if !open.is_empty() => {
                    let told = &mut told[*rng.choice(&open).unwrap()];
                    let most = told.claims.iter().map(|(_, _, held)| *held).min().unwrap_or(0);
                    let cost = if rng.u8(0..5) == 0 { None } else { Some(rng.u64(0..=most)) };
                    accounts.settle(&told.id, cost);
                    told.fate = cost.map_or(Fate::Unknown, Fate::Cost);
                }
                8 if !open.is_empty() => {
                    let told = &mut told[*rng.choice(&open).unwrap()];
                    accounts.release(&told.id);
                    told.fate = Fate::Released;
                }
                9 if !open.is_empty() => told[*rng.choice(&open).unwrap()].fate = Fate::Crashed,
                _ => {}
            }
            check(&mut accounts, &all, &told, now);
        }
        assert!(refused > 10, "seed {seed}: the budgets were never tight");
        never_above(&all[3], 3, &told, now);
    }
}

/// Sums are those of the list, and no enforced budget is above its limit.
fn check(accounts: &mut Accounts, all: &[Arc<Budget>], told: &[Told], now: u64) {
    for (place, rows) in accounts.standings(all, now).into_iter().enumerate() {
        let budget = &all[place];
        let since = budget.window.span(now).since;
        let mut sums: BTreeMap<Option<&str>, (u64, u64)> = BTreeMap::new();
        for told in told.iter().filter(|told| budget.window.span(told.at_ms).slot >= since) {
            for (_, value, held) in told.claims.iter().filter(|(of, ..)| *of == place) {
                let (spent, held) = told.weight(*held, now);
                let sum = sums.entry(*value).or_default();
                *sum = (sum.0 + spent, sum.1 + held);
            }
        }
        for row in &rows {
            let expected = sums.remove(&row.value.as_deref()).unwrap_or_default();
            assert_eq!((row.spent, row.held), expected, "{} {:?}", budget.name, row.value);
            let enforced = budget.mode == BudgetMode::Enforce;
            assert!(!enforced || row.spent + row.held <= budget.limit, "{}: {row:?}", budget.name);
        }
        assert!(sums.values().all(|sum| *sum == (0, 0)), "{}: {sums:?} is missing", budget.name);
    }
}

/// In no stretch of a rolling window's length was more spent than its limit.
fn never_above(budget: &Budget, place: usize, told: &[Told], now: u64) {
    let Window::Rolling(length) = budget.window else { panic!("not rolling") };
    for first in told {
        let within = told.iter().filter(|told| (first.at_ms..first.at_ms + length).contains(&told.at_ms));
        let spent: u64 = within
            .flat_map(|told| {
                told.claims.iter().filter(|(of, ..)| *of == place).map(|(_, _, held)| told.weight(*held, now).0)
            })
            .sum();
        assert!(spent <= budget.limit, "{spent}");
    }
}

#[test]
fn sixty_four_threads_overspend_nothing() {
    use crate::ledger::{LedgerStore, MemoryLedger};
    use crate::types::LedgerRecord;

    const THREADS: usize = 64;
    const CALLS: usize = 1000;
    let budget = budgets(json!({"b": {"limit_usd": "0.0001"}})).remove(0);
    let ledger = MemoryLedger::new(16);
    let booked: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (ledger, budget) = (&ledger, &budget);
                scope.spawn(move || {
                    let (mut rng, mut booked) = (fastrand::Rng::with_seed(thread as u64), 0);
                    for call in 0..CALLS {
                        let (id, most) = (format!("{thread}/{call}"), rng.u64(1..20));
                        let hold = hold(&id, 5, vec![claim(budget, None, 5, most)]);
                        let Reserving::Done(Ok(Reserved::Held(_))) = ledger.reserve(hold) else { continue };
                        let cost = rng.u64(0..=most);
                        ledger.record(LedgerRecord { id, cost_nanos: Some(cost), ..Default::default() }).unwrap();
                        booked += cost;
                    }
                    booked
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let standing = ledger.standings(std::slice::from_ref(&budget), 5).unwrap().remove(0).remove(0);
    let total = ledger.usage(&Default::default()).unwrap().total.cost_nanos;
    assert_eq!((standing.spent, standing.held), (booked, 0));
    assert_eq!(standing.spent, total, "what is spent is what the records say");
    assert!(standing.spent <= budget.limit, "{}", standing.spent);
    assert!(standing.exceeded > 0 && standing.spent > budget.limit - 20, "the race was over the last of it");
}
