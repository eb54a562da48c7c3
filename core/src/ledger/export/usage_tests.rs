//! Sums as CSV and as a table.

use std::collections::BTreeMap;

use super::*;

fn row(project: Option<&str>, attempts: u64, cost_nanos: u64) -> UsageRow {
    UsageRow {
        group: BTreeMap::from([("project".to_owned(), project.map(str::to_owned))]),
        attempts,
        calls: attempts,
        prompt_tokens: attempts * 1_000,
        completion_tokens: attempts * 10,
        cost_nanos,
        cost_usd: NanoUsd::from_nanos(cost_nanos).unwrap().to_string(),
        ..UsageRow::default()
    }
}

fn report(rows: Vec<UsageRow>) -> UsageReport {
    let sum = |of: fn(&UsageRow) -> u64| rows.iter().map(of).sum();
    let total = UsageRow { group: BTreeMap::new(), ..row(None, sum(|r| r.attempts), sum(|r| r.cost_nanos)) };
    UsageReport { by: vec!["project".into()], rows, total, complete: true, hints: Vec::new() }
}

#[test]
fn csv_has_the_exact_figures() {
    let mut out = Vec::new();
    report(vec![row(None, 1, 0), row(Some("=cmd|' /C calc'!A0"), 2, 1)]).to_csv(&mut out).unwrap();
    let wanted = "project,calls,attempts,failed,prompt_tokens,completion_tokens,cached_tokens,reasoning_tokens,cost_usd,\
                  waste_usd,estimated_usd,cost_unknown,corrections_usd\n,1,1,0,1000,10,0,0,0,0,0,0,0\n\
                  '=cmd|' /C calc'!A0,2,2,0,2000,20,0,0,0.000000001,0,0,0,0\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
}

#[test]
fn a_table_has_the_dearest_first_and_only_columns_that_say_something() {
    let told = report(vec![row(Some("a"), 1, 250_000_000), row(Some("search"), 1_234, 750_000_000)]);
    let wanted = "\
project  calls     prompt  completion  cost USD
search   1,234  1,234,000      12,340    0.7500  █████████
a            1      1,000          10    0.2500  ███
───────────────────────────────────────────────
total    1,235  1,235,000      12,350    1.0000
";
    assert_eq!(told.to_text(100, false), wanted);
    assert!(told.to_text(100, true).contains("\x1b[1m"));
}

#[test]
fn what_is_not_in_the_sum_is_told() {
    let mut told = report(vec![row(Some("a\x1b[31m"), 1, 5)]);
    told.total.cost_unknown = 3;
    told.complete = false;
    told.hints = vec!["no attempt has a tag `modle`".into()];
    let text = told.to_text(80, false);
    for part in ["a\u{fffd}[31m", "3 attempts of unknown cost", "older attempts", "modle", "0.000000005"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(report(Vec::new()).to_text(80, false).contains("nothing was booked"));
}

#[test]
fn figures_for_people() {
    assert_eq!(rounded(1_234_567_890_123, 2), "1,234.57");
    assert_eq!(rounded(999_999_999, 2), "1.00");
    assert_eq!(rounded(5, 9), "0.000000005");
    assert_eq!(["12", "123", "1,234", "1,234,567"].map(str::to_owned), [12, 123, 1_234, 1_234_567].map(thousands));
    assert_eq!([seconds(999), seconds(1_250), seconds(120_000)], ["999 ms", "1.2 s", "120 s"]);
    assert_eq!(bar(1, 1), "█".repeat(BAR));
    assert_eq!(bar(1, 24), "▌");
}
