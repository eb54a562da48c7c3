//! What questions mean.

use std::collections::BTreeMap;

use super::*;
use crate::ledger::{LedgerStore, MemoryLedger};
use crate::types::{LedgerRecord, PromptTokensDetails, Usage};

fn ask(by: &[&str]) -> UsageQuery {
    UsageQuery { by: by.iter().map(|name| (*name).to_owned()).collect(), ..UsageQuery::default() }
}

fn at(text: &str) -> u64 {
    text.parse::<Timestamp>().unwrap().as_millisecond() as u64
}

/// An attempt of which every column is told.
fn whole() -> LedgerRecord {
    LedgerRecord {
        id: "1".into(),
        run_id: "run".into(),
        at_ms: at("2026-10-04T23:30:00Z"),
        provider: "p".into(),
        model: "m".into(),
        model_sent: "m-1".into(),
        model_served: Some("m-1-x".into()),
        served_by: Some("host".into()),
        key: Some("main".into()),
        purpose: Purpose::Judge,
        kind: Some(AttemptKind::Hedge),
        outcome: Outcome::Failed,
        error: Some(ErrorKind::Timeout),
        confidence: Confidence::Estimated,
        cost_nanos: Some(7),
        parent: Some("0".into()),
        tags: BTreeMap::from([("project".to_owned(), "a".to_owned()), ("day".to_owned(), "off".to_owned())]),
        ..LedgerRecord::default()
    }
}

#[test]
fn every_name_has_its_value() {
    let record = whole();
    let values: Vec<(&str, String)> = NAMES
        .iter()
        .chain(&[("project", Column::Tag("project".into())), ("tag:day", Column::Tag("day".into()))])
        .map(|(name, _)| {
            let question = Question::new(&ask(&[name])).unwrap();
            (*name, question.value(&question.by[0], &record).unwrap().into_owned())
        })
        .collect();
    let wanted = [
        ("provider", "p"),
        ("model", "m"),
        ("model_sent", "m-1"),
        ("model_served", "m-1-x"),
        ("served_by", "host"),
        ("endpoint", "p/m-1"),
        ("key", "main"),
        ("purpose", "judge"),
        ("kind", "hedge"),
        ("outcome", "failed"),
        ("error", "timeout"),
        ("confidence", "estimated"),
        ("run_id", "run"),
        ("hour", "2026-10-04T23:00Z"),
        ("day", "2026-10-04"),
        ("week", "2026-W40"),
        ("month", "2026-10"),
        ("project", "a"),
        ("tag:day", "off"),
    ];
    assert_eq!(values, wanted.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn days_are_those_of_the_zone() {
    let query = UsageQuery { time_zone: Some("Europe/Berlin".into()), ..ask(&["hour", "day", "week"]) };
    let question = Question::new(&query).unwrap();
    let told = |bucket, time| question.bucket(bucket, at(time)).unwrap();
    assert_eq!(told(Bucket::Day, "2026-10-04T22:30:00Z"), "2026-10-05");
    assert_eq!(told(Bucket::Week, "2026-10-04T22:30:00Z"), "2026-W41");
    assert_eq!(told(Bucket::Hour, "2026-10-04T22:30:00Z"), "2026-10-05T00:00+02:00");
    // The hour that comes twice is two.
    assert_eq!(told(Bucket::Hour, "2026-10-25T00:30:00Z"), "2026-10-25T02:00+02:00");
    assert_eq!(told(Bucket::Hour, "2026-10-25T01:30:00Z"), "2026-10-25T02:00+01:00");
    // Days before and after the new year belong to the year's week they lie in.
    assert_eq!(told(Bucket::Week, "2027-01-02T12:00:00Z"), "2026-W53");
    let e = zone(Some("Europe/Berln")).unwrap_err();
    assert!(e.message().contains("Europe/Berlin"), "{e}");
}

#[test]
fn names_are_hinted_at_and_values_are_checked() {
    let refused = |query: &UsageQuery| Question::new(query).unwrap_err().message().to_owned();
    assert!(refused(&ask(&["provider", "provider"])).contains("twice"));
    assert!(refused(&ask(&[""])).contains("empty"));
    assert!(refused(&ask(&["tag:"])).contains("empty"));
    for (name, value, near) in
        [("outcome", "fail", "failed"), ("purpose", "jugde", "judge"), ("error", "time_out", "timeout")]
    {
        let filter = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let said = refused(&UsageQuery { filter, ..UsageQuery::default() });
        assert!(said.contains(&format!("did you mean `{near}`")), "{said}");
    }
    assert!(refused(&UsageQuery { since: Some("7d".into()), ..ask(&[]) }).contains("since_ms"));

    let ledger = MemoryLedger::new(9);
    ledger.record(whole()).unwrap();
    let hints = |query: &UsageQuery| ledger.usage(query).unwrap().hints;
    assert_eq!(hints(&ask(&["modle"])), ["no attempt has a tag `modle`; did you mean `model`?"]);
    assert!(hints(&ask(&["project", "team"])).is_empty());
    let filter = BTreeMap::from([("providr".to_owned(), "p".to_owned())]);
    assert_eq!(hints(&UsageQuery { filter, ..ask(&[]) }).len(), 1);
}

#[test]
fn times_are_read() {
    let now = at("2026-11-28T12:00:00Z");
    let since = |text: &str, zone: Option<&str>| {
        let query =
            UsageQuery { since: Some(text.into()), time_zone: zone.map(str::to_owned), ..UsageQuery::default() };
        resolve(query, now).map(|query| query.since_ms.unwrap())
    };
    for (text, zone, wanted) in [
        ("7d", None, "2026-11-21T12:00:00Z"),
        ("90m", None, "2026-11-28T10:30:00Z"),
        ("24h", Some("Europe/Berlin"), "2026-11-27T12:00:00Z"),
        ("1w", None, "2026-11-21T12:00:00Z"),
        ("2026-10-01", None, "2026-10-01T00:00:00Z"),
        ("2026-10-01", Some("Europe/Berlin"), "2026-09-30T22:00:00Z"),
        ("2026-10-01T16:30", Some("Europe/Berlin"), "2026-10-01T14:30:00Z"),
        ("2026-10-01 16:30:15", None, "2026-10-01T16:30:15Z"),
        ("2026-10-01T16:30:00+02:00", None, "2026-10-01T14:30:00Z"),
        ("2026-10-01T16:30Z", Some("Europe/Berlin"), "2026-10-01T16:30:00Z"),
    ] {
        assert_eq!(since(text, zone).unwrap(), at(wanted), "{text}");
    }
    assert_eq!(since("99999999w", None).unwrap(), 0);
    for bad in ["", "yesterday", "7", "d", "-7d", "2026-13-01", "2026-10-01T25:00", "7y", "99999999999999999999d"] {
        let e = since(bad, None).unwrap_err();
        assert!(e.message().contains("7d"), "{bad}: {e}");
    }
    let both = UsageQuery { until: Some("1d".into()), until_ms: Some(1), ..UsageQuery::default() };
    assert!(resolve(both, now).unwrap_err().message().contains("until_ms"));
}

#[test]
fn sums_are_of_calls_tokens_and_waste() {
    let ledger = MemoryLedger::new(9);
    ledger.record(whole()).unwrap();
    let usage = Usage {
        prompt_tokens: 10,
        completion_tokens: 3,
        prompt_tokens_details: Some(PromptTokensDetails { cached_tokens: Some(4), ..Default::default() }),
        ..Usage::default()
    };
    for (id, ttft) in [("2", Some(30)), ("3", None)] {
        let record = LedgerRecord {
            id: id.into(),
            usage: Some(usage.clone()),
            cost_nanos: Some(5),
            latency_ms: 100,
            ttft_ms: ttft,
            ..LedgerRecord::default()
        };
        ledger.record(record).unwrap();
    }
    let total = ledger.usage(&UsageQuery { latencies: true, ..ask(&[]) }).unwrap().total;
    assert_eq!((total.attempts, total.failed, total.calls), (3, 1, 2));
    assert_eq!((total.prompt_tokens, total.cached_tokens, total.reasoning_tokens), (20, 8, 0));
    assert_eq!((total.cost_nanos, total.waste_nanos, total.estimated_nanos), (17, 7, 7));
    assert_eq!((total.latency_p50_ms, total.latency_p95_ms, total.ttft_p50_ms), (Some(100), Some(100), Some(30)));
    assert_eq!(ledger.usage(&ask(&[])).unwrap().total.latency_p50_ms, None);
    let by = ask(&["outcome", "kind"]);
    let rows = ledger.usage(&by).unwrap().rows;
    let groups: Vec<_> =
        rows.iter().map(|row| (row.group["outcome"].as_deref(), row.group["kind"].as_deref())).collect();
    assert_eq!(groups, [(Some("failed"), Some("hedge")), (Some("ok"), Some("first"))]);
}

#[test]
fn folded_records_are_still_told_apart() {
    let (whole_ledger, folded) = (MemoryLedger::new(9), MemoryLedger::new(0));
    for ledger in [&whole_ledger, &folded] {
        ledger.record(whole()).unwrap();
        ledger.record(LedgerRecord { key: Some("other".into()), ..whole() }).unwrap();
    }
    for (name, column) in NAMES {
        let rows = |ledger: &MemoryLedger| {
            let report = ledger.usage(&ask(&[name])).unwrap();
            (report.rows, report.complete)
        };
        let (kept, lost) = (rows(&whole_ledger), rows(&folded));
        if matches!(column, Column::Time(_) | Column::Run) {
            assert!(kept.1 && !lost.1, "{name}");
            assert_eq!(lost.0[0].group[*name], None);
        } else {
            assert_eq!(kept, lost, "{name}");
        }
    }
    assert!(!folded.usage(&UsageQuery { latencies: true, ..ask(&[]) }).unwrap().complete);
}
