//! Reconciliation on small ledgers, case by case. Made-up months with faults are in the tests' crate.

use std::collections::BTreeMap;

use super::*;
use crate::catalog::cost_at;
use crate::ledger::MemoryLedger;
use crate::types::{Class, Correction, LedgerRecord, PriceRow, Rate, Rates, Residual, UsageQuery, UsageVector};

/// 2026-11-01T00:00:00Z.
const DAY_ONE: u64 = 1_793_491_200_000;
const HOUR: u64 = 3_600_000;

/// An attempt at 2 USD per million tokens in, 8 out, 10 per thousand searches.
fn attempt(id: &str, at_ms: u64, provider: &str, model: &str, counts: &[(Class, u64)]) -> LedgerRecord {
    let mut rates = Rates::default();
    for (class, pico) in [(Class::Input, 2_000_000), (Class::Output, 8_000_000), (Class::WebSearch, 10_000_000_000)] {
        rates.set(class, Rate::from_pico(class, pico).unwrap());
    }
    let mut units = UsageVector::default();
    counts.iter().for_each(|(class, number)| units.report(*class, *number));
    let cost = cost_at(&rates, &units).unwrap().amount.nanos();
    LedgerRecord {
        id: id.into(),
        at_ms,
        provider: provider.into(),
        model: model.into(),
        model_sent: model.into(),
        response_id: Some(format!("gen-{id}")),
        attempt: 1,
        units,
        cost_nanos: Some(cost),
        computed_nanos: Some(cost),
        price: Some(PriceRow { rates, ..PriceRow::default() }),
        tags: BTreeMap::from([("project".to_owned(), "search".to_owned())]),
        ..LedgerRecord::default()
    }
}

fn ledger(records: impl IntoIterator<Item = LedgerRecord>) -> MemoryLedger {
    let ledger = MemoryLedger::new(1000);
    records.into_iter().for_each(|record| ledger.record(record).unwrap());
    ledger
}

fn compared(ledger: &MemoryLedger, reports: &[&str], options: &ReconcileOptions) -> Reconciliation {
    let reports: Vec<Report<'_>> =
        reports.iter().map(|text| Report { name: "report", bytes: text.as_bytes() }).collect();
    reconcile(ledger, &Catalog::default(), &reports, options).unwrap()
}

fn post() -> ReconcileOptions {
    ReconcileOptions { post: true, ..Default::default() }
}

fn posted(ledger: &MemoryLedger) -> Vec<Correction> {
    let mut all = Vec::new();
    let each = &mut |correction: &Correction| {
        all.push(correction.clone());
        Ok(())
    };
    ledger.corrections(&UsageQuery::default(), each).unwrap();
    all
}

fn classes(found: &Reconciliation) -> Vec<(&str, i64)> {
    found.total.classes.iter().map(|(name, nanos)| (name.as_str(), *nanos)).collect()
}

/// A day of OpenRouter's activity.
fn activity(usage: &str, requests: u64, prompt: u64, completion: u64) -> String {
    format!(
        r#"{{"data": [{{"date": "2026-11-01", "model": "openai/gpt-4.1", "usage": {usage}, "requests": {requests},
        "prompt_tokens": {prompt}, "completion_tokens": {completion}}}]}}"#
    )
}

fn generation(id: &str, cost: &str, prompt: u64, completion: u64) -> String {
    format!(
        r#"{{"data": {{"id": "{id}", "created_at": "2026-11-01T05:00:01Z", "model": "openai/gpt-4.1", "total_cost": {cost},
        "native_tokens_prompt": {prompt}, "native_tokens_completion": {completion}}}}}"#
    )
}

fn openrouter(ids: &[&str]) -> MemoryLedger {
    let counts = [(Class::Input, 1000), (Class::Output, 100)];
    ledger(ids.iter().map(|id| attempt(id, DAY_ONE + 5 * HOUR, "openrouter", "openai/gpt-4.1", &counts)))
}

#[test]
fn what_agrees_needs_nothing() {
    let ledger = openrouter(&["a", "b"]);
    let found = compared(&ledger, &[&activity("0.0056", 2, 2000, 200)], &post());
    assert!(found.ok && found.complete);
    assert_eq!((found.posted, found.total.delta_nanos, found.total.ours_nanos), (0, 0, 5_600_000));
    assert_eq!(found.total.explained_share, 1.0);
    assert_eq!(posted(&ledger), []);
}

#[test]
fn a_restated_report_posts_only_what_it_says_otherwise() {
    let ledger = openrouter(&["a", "b"]);
    let first = compared(&ledger, &[&activity("0.0066", 2, 2500, 200)], &post());
    assert_eq!(classes(&first), [("usage_drift", 1_000_000)]);
    assert!(!first.ok);
    let again = compared(&ledger, &[&activity("0.0066", 2, 2500, 200)], &post());
    assert_eq!((again.posted, again.files[0].corrections_before, again.ok), (0, 1, true));
    // The vendor takes half of it back.
    let restated = compared(&ledger, &[&activity("0.0061", 2, 2250, 200)], &post());
    assert_eq!(classes(&restated), [("usage_drift", -500_000)]);
    let total = ledger.usage(&UsageQuery::default()).unwrap().total;
    assert_eq!((total.cost_nanos, total.corrections_nanos), (5_600_000, 500_000));
    // Then all of it.
    let right = compared(&ledger, &[&activity("0.0056", 2, 2000, 200)], &post());
    assert_eq!((right.total.delta_nanos, right.posted), (-500_000, 1));
    assert_eq!(ledger.usage(&UsageQuery::default()).unwrap().total.corrections_nanos, 0);
}

#[test]
fn a_correction_points_to_what_it_corrects() {
    let ledger = openrouter(&["a", "b"]);
    compared(&ledger, &[&generation("gen-a", "0.0030", 1000, 100)], &post());
    let all = posted(&ledger);
    let [one] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((one.record.as_deref(), one.vendor_id.as_deref(), one.row), (Some("a"), Some("gen-a"), Some(1)));
    assert_eq!((one.residual, one.delta_nanos, one.at_ms), (Residual::PriceDrift, 200_000, DAY_ONE + 5 * HOUR));
    assert_eq!((one.model.as_deref(), one.tags["project"].as_str()), (Some("openai/gpt-4.1"), "search"));
    assert_eq!(one.file, sha256_hex(generation("gen-a", "0.0030", 1000, 100).as_bytes()));
    let by_project = UsageQuery { by: vec!["project".into()], ..Default::default() };
    assert_eq!(ledger.usage(&by_project).unwrap().rows[0].corrections_nanos, 200_000);
}

#[test]
fn what_single_calls_account_for_is_not_matched_again() {
    let ledger = openrouter(&["a", "b", "c"]);
    let reports = [activity("0.0086", 3, 3000, 300), generation("gen-a", "0.0030", 1000, 100)];
    let found = compared(&ledger, &[&reports[0], &reports[1]], &post());
    assert_eq!(classes(&found), [("price_drift", 200_000)]);
    assert_eq!(found.total.vendor_nanos, 8_600_000);
    // Told by the day alone it is settled; told by the call alone it is too.
    assert_eq!(compared(&ledger, &[&reports[0]], &post()).total.delta_nanos, 0);
    assert_eq!(compared(&ledger, &[&reports[1]], &post()).total.delta_nanos, 0);
    assert_eq!(posted(&ledger).len(), 1);
}

#[test]
fn a_call_whose_day_was_corrected_is_not_corrected_twice() {
    let ledger = openrouter(&["a"]);
    assert_eq!(compared(&ledger, &[&activity("0.0030", 1, 1000, 100)], &post()).posted, 1);
    let found = compared(&ledger, &[&generation("gen-a", "0.0030", 1000, 100)], &post());
    assert_eq!(found.posted, 0);
    assert!(found.notes.iter().any(|note| note.contains("corrected as a whole")), "{:?}", found.notes);
}

#[test]
fn a_call_told_twice_is_a_charge_too_many() {
    let ledger = openrouter(&["a"]);
    let twice = format!("{}\n{}", generation("gen-a", "0.0028", 1000, 100), generation("gen-a", "0.0028", 1000, 100));
    let found = compared(&ledger, &[&twice], &post());
    assert_eq!(classes(&found), [("missing_local", 2_800_000)]);
    assert_eq!(compared(&ledger, &[&twice], &post()).posted, 0);
}

#[test]
fn the_same_bytes_twice_are_one_report() {
    let ledger = openrouter(&["a"]);
    let report = activity("0.0028", 1, 1000, 100);
    let found = compared(&ledger, &[&report, &report], &post());
    assert!(found.ok && found.notes[0].contains("same bytes"), "{:?}", found.notes);
}

/// An hour of Anthropic's usage by key.
fn usage_by_key(keys: &[(&str, u64)]) -> String {
    let results: Vec<String> = keys
        .iter()
        .map(|(key, input)| {
            format!(r#"{{"api_key_id": {key}, "model": "claude-haiku-4-5", "uncached_input_tokens": {input}, "output_tokens": 0}}"#)
        })
        .collect();
    format!(
        r#"{{"data": [{{"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-01T01:00:00Z", "results": [{}]}}]}}"#,
        results.join(", ")
    )
}

#[test]
fn keys_that_are_named_are_told_apart_and_the_others_are_somebody_elses() {
    let of = |id: &str, key: &str, input| LedgerRecord {
        key: Some(key.into()),
        ..attempt(id, DAY_ONE + 60_000, "anthropic", "claude-haiku-4-5", &[(Class::Input, input)])
    };
    let ledger = ledger([of("a", "search", 1000), of("b", "mail", 500)]);
    let report = usage_by_key(&[(r#""apikey_1""#, 1000), (r#""apikey_2""#, 700), (r#""apikey_3""#, 9000)]);
    let names =
        BTreeMap::from([("apikey_1".to_owned(), "search".to_owned()), ("apikey_2".to_owned(), "mail".to_owned())]);
    let named = compared(&ledger, &[&report], &ReconcileOptions { keys: names, post: true, ..Default::default() });
    let told: Vec<_> = posted(&ledger).iter().map(|c| (c.key.clone().unwrap(), c.residual)).collect();
    assert_eq!(
        told.into_iter().collect::<BTreeMap<_, _>>(),
        BTreeMap::from([("mail".to_owned(), Residual::UsageDrift), ("apikey_3".to_owned(), Residual::MissingLocal)])
    );
    assert!(named.total.priced_here);
    // Without names there is one sum, and a hint.
    let ledger = self::ledger([of("a", "search", 1000), of("b", "mail", 500)]);
    let unnamed = compared(&ledger, &[&report], &ReconcileOptions::default());
    assert_eq!(classes(&unnamed), [("usage_drift", (10_700 - 1500) * 2_000)]);
    assert!(unnamed.notes.iter().any(|note| note.contains("`keys`")), "{:?}", unnamed.notes);
}

#[test]
fn fees_that_both_sides_know_are_compared_and_others_are_no_tokens() {
    let counts = [(Class::Input, 1000), (Class::WebSearch, 3)];
    let ledger = ledger([attempt("a", DAY_ONE + HOUR, "anthropic", "claude-haiku-4-5", &counts)]);
    let cost = |search: &str, code: &str| {
        format!(
            r#"{{"data": [{{"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z", "results": [
            {{"amount": "0.2", "currency": "USD", "cost_type": "tokens", "token_type": "uncached_input_tokens", "model": "claude-haiku-4-5"}},
            {{"amount": "{search}", "currency": "USD", "cost_type": "web_search"}},
            {{"amount": "{code}", "currency": "USD", "cost_type": "code_execution", "description": "Code"}}]}}]}}"#
        )
    };
    let found = compared(&ledger, &[&cost("3.000000", "0")], &ReconcileOptions::default());
    assert_eq!(classes(&found), []);
    let found = compared(&ledger, &[&cost("3.000000", "70.5")], &ReconcileOptions::default());
    assert_eq!(classes(&found), [("non_token", 705_000_000)]);
    assert!(found.ok, "that nobody called is no cause for alarm");
}

#[test]
fn a_price_that_was_not_known_here_is_proposed() {
    let unknown = |id: &str, input, output| LedgerRecord {
        cost_nanos: None,
        computed_nanos: None,
        price: None,
        ..attempt(id, DAY_ONE + HOUR, "openai", "gpt-5-mini", &[(Class::Input, input), (Class::Output, output)])
    };
    let ledger = ledger([unknown("a", 123_456, 7_890), unknown("b", 1_000, 10)]);
    let report = r#"{"data": [{"start_time": 1793491200, "end_time": 1793577600, "results": [
        {"object": "organization.costs.result", "amount": {"value": 0.031114, "currency": "usd"}, "quantity": 124456, "line_item": "gpt-5-mini, input"},
        {"object": "organization.costs.result", "amount": {"value": 0.0158, "currency": "usd"}, "quantity": 7900, "line_item": "gpt-5-mini, output"}]}]}"#;
    let found = compared(&ledger, &[report], &ReconcileOptions::default());
    assert_eq!(classes(&found), [("price_drift", 46_914_000)]);
    assert_eq!(found.total.cost_unknown, 2);
    let [proposal] = found.proposals.as_slice() else { panic!("{:?}", found.proposals) };
    assert_eq!(proposal.snippet, "[prices.\"openai/gpt-5-mini\"]\ninput = \"0.25\"\noutput = \"2\"\n");
    let config = crate::types::Config::parse(&proposal.snippet).unwrap();
    assert_eq!(config.prices["openai/gpt-5-mini"].rates, proposal.rates);
}

#[test]
fn days_without_anything_of_the_vendors_are_missing_where_the_report_is_about_them() {
    let counts = [(Class::Input, 1000)];
    let ledger = ledger([
        attempt("a", DAY_ONE + HOUR, "openai", "gpt-5-mini", &counts),
        attempt("b", DAY_ONE + 30 * HOUR, "openai", "gpt-5-mini", &counts),
        attempt("c", DAY_ONE + 80 * HOUR, "openai", "gpt-5-mini", &counts),
        attempt("d", DAY_ONE + HOUR, "groq", "gpt-5-mini", &counts),
    ]);
    let report = r#"{"data": [{"start_time": 1793491200, "end_time": 1793577600, "results": [
        {"object": "organization.costs.result", "amount": {"value": 0.002, "currency": "usd"}, "line_item": "gpt-5-mini, input"}]},
        {"start_time": 1793577600, "end_time": 1793664000, "results": []}]}"#;
    let found = compared(&ledger, &[report], &ReconcileOptions::default());
    assert_eq!(classes(&found), [("missing_vendor", -2_000_000)]);
    assert_eq!(found.total.ours_nanos, 4_000_000, "other days and other vendors are not looked at");
    let text = found.to_text();
    assert!(
        text.contains("2026-11-02") && text.contains("missing_vendor -0.002") && text.contains("1 of 2 model-days"),
        "{text}"
    );
}

#[test]
fn an_account_without_models_is_compared_by_the_day() {
    let counts = [(Class::Input, 1000)];
    let ledger = ledger([
        attempt("a", DAY_ONE + HOUR, "openai", "gpt-5-mini", &counts),
        attempt("b", DAY_ONE + HOUR, "openai", "gpt-4.1", &counts),
    ]);
    let report = |value: &str| {
        format!(
            r#"{{"data": [{{"start_time": 1793491200, "end_time": 1793577600, "results": [
            {{"object": "organization.costs.result", "amount": {{"value": {value}, "currency": "usd"}}, "line_item": null}}]}}]}}"#
        )
    };
    let right = compared(&ledger, &[&report("0.004")], &post());
    assert_eq!((right.total.delta_nanos, right.days.len(), right.days[0].model.as_deref()), (0, 1, None));
    let wrong = compared(&ledger, &[&report("0.0400001")], &ReconcileOptions::default());
    assert_eq!(classes(&wrong), [("usage_drift", 36_000_100)]);
}

#[test]
fn a_backend_of_ones_own_is_named_by_the_caller() {
    let ledger = openrouter(&[]);
    ledger.record(attempt("a", DAY_ONE + HOUR, "lab", "openai/gpt-4.1", &[(Class::Input, 1000)])).unwrap();
    let options = ReconcileOptions { provider: Some("lab".into()), ..Default::default() };
    assert_eq!(compared(&ledger, &[&activity("0.002", 1, 1000, 0)], &options).total.delta_nanos, 0);
}

#[test]
fn nothing_is_posted_where_records_are_gone() {
    let ledger = MemoryLedger::new(1);
    for id in ["a", "b"] {
        ledger
            .record(attempt(id, DAY_ONE + 5 * HOUR, "openrouter", "openai/gpt-4.1", &[(Class::Input, 1000)]))
            .unwrap();
    }
    let found = compared(&ledger, &[&activity("0.004", 2, 2000, 0)], &post());
    assert_eq!((found.complete, found.posted), (false, 0));
    assert!(found.notes.iter().any(|note| note.contains("gone")), "{:?}", found.notes);
}

#[test]
fn broken_rows_are_told_and_spoil_the_verdict_alone() {
    let ledger = openrouter(&["a"]);
    let report =
        activity("0.0028", 1, 1000, 100).replace("]}", r#", {"date": "2026-11-01", "model": "m", "usage": "much"}]}"#);
    let found = compared(&ledger, &[&report], &ReconcileOptions::default());
    assert_eq!((found.ok, found.total.delta_nanos, found.files[0].rows), (false, 0, 1));
    assert_eq!(found.files[0].refused[0].row, 2);
    assert!(found.to_text().contains("row 2"), "{}", found.to_text());
}

#[test]
fn wrong_options_are_refused() {
    let ledger = openrouter(&[]);
    let reports = [Report { name: "x", bytes: b"{}" }];
    for (reports, options) in [
        (&reports[..0], ReconcileOptions::default()),
        (&reports[..], ReconcileOptions { tolerance: Some("lots".into()), ..Default::default() }),
        (&reports[..], ReconcileOptions::default()),
    ] {
        let e = reconcile(&ledger, &Catalog::default(), reports, &options).unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::InvalidRequest);
    }
}
