//! Tests of `judge`: a harness that cannot fail proves nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::seen::{Call, Run};
use super::*;

const TEXTS: &[(&str, &str)] = &[("all", "one two"), ("half", "one")];

fn baseline() -> Baseline {
    serde_json::from_value(json!({
        "about": "", "config": {}, "request": {}, "upstreams": {"primary": {"routes": []}},
        "answers": {"all": "one two"}, "texts": {"half": "one"},
    }))
    .unwrap()
}

fn case(require: Value, want: Value) -> Case {
    serde_json::from_value(json!({"on": ["whole"], "require": require, "want": want})).unwrap()
}

fn answer(text: &str) -> Call {
    let is = TEXTS.iter().find(|(_, whole)| *whole == text).map(|(name, _)| (*name).to_owned());
    Call { ok: true, text: text.into(), text_is: is, finish_reason: Some(json!("stop")), ..Call::default() }
}

fn error(kind: Value) -> Call {
    Call { error: Some(json!({"kind": kind, "partial": {"text": "one"}})), ..Call::default() }
}

fn requests(times: &[u64]) -> BTreeMap<String, Vec<LogEntry>> {
    let entry = |ms: &u64| LogEntry {
        serial: 1,
        connection: 1,
        ms: *ms,
        method: "POST".into(),
        path: "/".into(),
        headers: BTreeMap::new(),
        body: Value::Null,
        route: Some(0),
        status: 200,
        completed: true,
        client_closed_ms: None,
        settled: true,
    };
    BTreeMap::from([("primary".to_owned(), times.iter().map(entry).collect())])
}

fn verdict(case: &Case, call: Call, times: &[u64]) -> (Verdict, String) {
    let run = Run { calls: vec![call], requests: requests(times), ledger: json!({"rows": []}) };
    let (verdict, reasons) = judge(&baseline(), case, TEXTS, &run);
    assert_eq!(verdict == Verdict::Pass, reasons.is_empty(), "{reasons:?}");
    (verdict, reasons.join("\n"))
}

#[test]
fn each_verdict_has_its_case() {
    let case = case(json!({}), json!({"calls": [{"ok": true, "resets": 0}]}));
    assert_eq!(verdict(&case, answer("one two"), &[]).0, Verdict::Pass);
    assert_eq!(verdict(&case, Call { resets: 1, ..answer("one two") }, &[]).0, Verdict::Partial);
    assert_eq!(verdict(&case, error(json!("timeout")), &[]).0, Verdict::Safe);
    let (fails, told) = verdict(&case, answer("one"), &[]);
    assert_eq!(fails, Verdict::Fail);
    assert!(told.contains("no whole answer: \"one\""), "{told}");
}

#[test]
fn what_no_fault_excuses() {
    let case = case(json!({}), json!({"calls": {"$any": true}}));
    for (call, says) in [
        (Call { finish_reason: None, ..answer("one two") }, "without a finish_reason"),
        (answer(""), "no whole answer"),
        (error(json!("internal")), "no clear error"),
        (error(json!(null)), "no clear error"),
    ] {
        let (verdict, told) = verdict(&case, call, &[]);
        assert_eq!(verdict, Verdict::Fail, "{told}");
        assert!(told.contains(says), "{told}");
    }
    let mut unmet = requests(&[0]);
    unmet.values_mut().flatten().for_each(|entry| entry.route = None);
    let run = Run { calls: vec![answer("one two")], requests: unmet, ledger: Value::Null };
    assert_eq!(judge(&baseline(), &case, TEXTS, &run).0, Verdict::Fail);
    assert_eq!(judge(&baseline(), &case, TEXTS, &Run::default()).0, Verdict::Fail);
}

#[test]
fn texts_stand_for_their_names() {
    let case = case(json!({}), json!({"calls": [{"error": {"partial": {"text": "{{half}}"}}}]}));
    assert_eq!(verdict(&case, error(json!("interrupted")), &[]).0, Verdict::Pass);
    let other = Call { error: Some(json!({"kind": "interrupted", "partial": {"text": "on"}})), ..Call::default() };
    assert_eq!(verdict(&case, other, &[]).0, Verdict::Safe);
}

#[test]
fn requests_are_counted_and_timed() {
    let wants = |requests: Value| case(json!({"requests": {"primary": requests}}), json!({"calls": {"$any": true}}));
    for (requests, holds, fails) in [
        (json!({"count": 2}), [5, 9].as_slice(), [5].as_slice()),
        (json!({"count": {"$lt": 2}}), &[5], &[5, 9]),
        (json!({"count": 0}), &[], &[5]),
        // The stretch starts with the first request.
        (json!({"within": [{"ms": 100, "most": 1}]}), &[500, 600], &[500, 599]),
        (json!({"gap_ms": 100}), &[0, 100, 300], &[0, 100, 199]),
    ] {
        let case = wants(requests);
        let (passes, told) = verdict(&case, answer("one two"), holds);
        assert_eq!(passes, Verdict::Pass, "{told}");
        assert_eq!(verdict(&case, answer("one two"), fails).0, Verdict::Fail, "{fails:?}");
    }
}

#[test]
fn the_ledger_is_compared() {
    let case = case(json!({}), json!({"calls": {"$any": true}, "ledger": {"rows": {"$len": 1}}}));
    let (verdict, told) = verdict(&case, answer("one two"), &[]);
    assert_eq!(verdict, Verdict::Partial);
    assert!(told.contains("at ledger.rows"), "{told}");
}
