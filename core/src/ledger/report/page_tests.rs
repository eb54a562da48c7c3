//! The page as text; how it looks in a browser is tested where a browser is.

use jiff::Timestamp;

use super::*;
use crate::ledger::MemoryLedger;
use crate::types::{ErrorKind, LedgerRecord, Outcome};

fn ledger() -> MemoryLedger {
    let ledger = MemoryLedger::new(1_000);
    for day in 1..=31u64 {
        let at = format!("2026-10-{day:02}T12:00:00Z").parse::<Timestamp>().unwrap().as_millisecond() as u64;
        for project in ["search", "<script>alert(1)</script>"] {
            let failed = day == 7;
            let record = LedgerRecord {
                id: format!("{day}{project}"),
                at_ms: at,
                provider: "openai".into(),
                model_sent: "gpt-5-mini".into(),
                cost_nanos: (!failed).then_some(day * 1_000_000),
                outcome: if failed { Outcome::Failed } else { Outcome::Ok },
                error: failed.then_some(ErrorKind::RateLimited),
                latency_ms: day * 100,
                tags: BTreeMap::from([("project".to_owned(), project.to_owned())]),
                ..LedgerRecord::default()
            };
            ledger.record(record).unwrap();
        }
    }
    ledger
}

const NOW: u64 = 1_793_491_200_000;

#[test]
fn the_page_tells_everything_and_runs_nothing() {
    let burn = Burn {
        name: "month".into(),
        limit_nanos: 1_000_000_000,
        spent_nanos: 978_000_000,
        starts_ms: Some(1_790_812_800_000),
        ends_ms: Some(NOW),
        mode: crate::types::BudgetMode::Enforce,
        ..Burn::default()
    };
    let (page, exported) = html(&ledger(), &UsageQuery::default(), &[burn], NOW).unwrap();
    assert_eq!((exported.attempts, exported.cost_unknown, exported.cost_nanos), (62, 2, 978_000_000));
    for part in [
        "$0.98",
        "1 Oct – 31 Oct 2026",
        "rate limited",
        "openai/gpt-5-mini",
        "Budgets",
        "What is unknown",
        "&lt;script&gt;",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    for part in ["<script", "http://", "https://", "url(", "@import", "onload"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn an_empty_ledger_has_a_page_too() {
    let (page, _) = html(&MemoryLedger::new(1), &UsageQuery::default(), &[], NOW).unwrap();
    assert!(page.contains("Nothing was booked"));
}

#[test]
fn amounts_for_people() {
    assert_eq!(
        [0, 1, 1_500, 150_000, 12_340_000, 1_234_567_890_000].map(usd),
        ["$0", "$0.000000001", "$0.000002", "$0.0002", "$0.01", "$1,234.57"]
    );
    let marks =
        [(0, 1), (500_000_000, 250_000_000), (200_000_000, 100_000_000), (20, 10), (2_000_000_000_000, 1_000_000_000)];
    assert_eq!(
        marks.map(|(mark, step)| usd_mark(mark, step)),
        ["$0.000000000", "$0.50", "$0.20", "$0.00000002", "$2,000"]
    );
    assert_eq!([9_999, 12_345, 1_234_567].map(few), ["9,999", "12k", "1.2M"]);
    assert_eq!([(0, 5), (1, 3), (1, 10_000), (5, 5)].map(|(a, b)| percent(a, b)), ["0 %", "33 %", "< 0.1 %", "100 %"]);
}
