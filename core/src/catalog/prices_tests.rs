//! Prices: how rows are read, tiers, lanes, hours, and the one rounding.

use serde_json::json;

use super::*;
use crate::types::Moment;

fn price(value: serde_json::Value) -> Price {
    serde_json::from_value(value).unwrap()
}

fn units(value: serde_json::Value) -> UsageVector {
    serde_json::from_value(value).unwrap()
}

fn at(text: &str) -> u64 {
    Moment::parse(text).unwrap().unix_ms().try_into().unwrap()
}

fn usd(row: &Price, of: serde_json::Value) -> String {
    match row.cost(&units(of), &Circumstances::default()) {
        Ok(cost) => cost.amount.to_string(),
        Err(why) => why.to_string(),
    }
}

#[test]
fn classes_are_priced_apart_and_sums_are_rounded_once() {
    let row = price(json!({"input": "0.0333", "output": "0.6", "cache_read": "0.01", "request": "0.005"}));
    assert_eq!(usd(&row, json!({"input": 1})), "0.000000033");
    assert_eq!(usd(&row, json!({"input": 15, "cache_read": 1})), "0.00000051", "499.5 + 10 nano-USD, half up");
    assert_eq!(usd(&row, json!({"output": 1, "reasoning": 1, "request": 1})), "0.0050012");
    assert_eq!(usd(&row, json!({"input_audio": 1})), "rate_missing:input_audio");
    assert_eq!(usd(&row, json!({"web_search": 1})), "rate_missing:web_search");
    assert_eq!(usd(&row, json!({"web_search": 0})), "0");
    assert_eq!(usd(&price(json!({"search_unit_per_1000": "2"})), json!({"search_unit": 3, "request": 1})), "0.006");
    assert_eq!(usd(&price(json!({"seconds_per_1000": "0.1"})), json!({"seconds": 2500})), "0.00025", "2.5 seconds");
}

#[test]
fn a_class_without_a_rate_takes_the_next_dearer_and_tells() {
    let row = price(json!({"input": "1", "output": "2", "cache_write": "1.25"}));
    let of = units(json!({"cache_read": 1, "cache_write_5m": 1, "cache_write_1h": 1, "reasoning": 1}));
    let cost = row.cost(&of, &Circumstances::default()).unwrap();
    assert_eq!(cost.fallbacks, [(Class::CacheRead, Class::Input), (Class::CacheWrite1h, Class::CacheWrite)]);
    assert_eq!(cost.pico, 1_000_000 + 1_250_000 + 1_250_000 + 2_000_000);
}

#[test]
fn a_long_prompt_reprices_the_whole_request() {
    let row = |inclusive: bool| {
        let tier = json!({"above_input_tokens": 200, "inclusive": inclusive, "input": "2", "output": "20"});
        price(json!({"input": "1", "output": "10", "long_context": [tier]}))
    };
    let tier = |row: &Price, prompt| row.select(&Circumstances::default(), prompt).unwrap().tier;
    assert_eq!((tier(&row(false), 200), tier(&row(true), 200)), (None, Some(0)));
    let of = units(json!({"input": 100, "cache_read": 101, "output": 1}));
    let row = row(false);
    let selected = row.select(&Circumstances::default(), of.prompt()).unwrap();
    assert_eq!(selected.label, "above_200");
    let searched = price(
        json!({"input": "1", "web_search_per_1000": "10", "long_context": [{"above_input_tokens": 1, "input": "2"}]}),
    );
    assert_eq!(usd(&searched, json!({"input": 2, "web_search": 1})), "0.010004", "a fee is not of a tier");
    assert_eq!(selected.cost(&of).unwrap().amount.nanos(), 201 * 2_000 + 20_000);
}

#[test]
fn the_tier_that_served_counts() {
    let row = price(json!({
        "input": "4", "output": "20", "cache_read": "0.4",
        "long_context": [{"above_input_tokens": 1000, "input": "8", "output": "30"}],
        "batch": {"input": "2", "output": "10"}, "service_tiers": {"priority": {"input": "8", "output": "40", "cache_read": "0.8"}}
    }));
    let of = units(json!({"input": 100, "cache_read": 100, "output": 10}));
    let cost = |tier: Option<&str>, batch| {
        let of_call = Circumstances { service_tier: tier, batch, ..Default::default() };
        row.cost(&of, &of_call).map(|cost| cost.amount.nanos())
    };
    let standard = Ok(400_000 + 40_000 + 200_000);
    for word in ["default", "standard", "auto", "ON_DEMAND"] {
        assert_eq!(cost(Some(word), false), standard, "{word}");
    }
    assert_eq!(cost(None, false), standard);
    let priority = Ok(800_000 + 80_000 + 400_000);
    assert_eq!((cost(Some("priority"), false), cost(Some("ON_DEMAND_PRIORITY"), false)), (priority.clone(), priority));
    let batch = Ok(200_000 + 40_000 + 100_000);
    assert_eq!((cost(None, true), cost(Some("batch"), false)), (batch.clone(), batch), "the cache at its usual rate");
    assert_eq!(cost(Some("flex"), false), Err(Unpriced::Tier("flex".into())), "unknown, not the standard price");
    let long = units(json!({"input": 1001}));
    let of_call = Circumstances { batch: true, ..Default::default() };
    assert!(row.cost(&long, &of_call).is_err(), "what a long prompt costs in this lane is not said");
    let selected = row.select(&of_call, 200).unwrap();
    assert_eq!(cost_at(&selected.rates(), &of).unwrap(), selected.cost(&of).unwrap(), "the flat list costs the same");
}

#[test]
fn the_profile_asked_has_its_own_rates() {
    let row = price(json!({"input": "1", "output": "5", "geo": {"us": {"input": "1.1", "output": "5.5"}}}));
    let of = units(json!({"input": 10}));
    let cost = |geo| row.cost(&of, &Circumstances { geo, ..Default::default() }).unwrap().pico;
    assert_eq!((cost(None), cost(Some("us")), cost(Some("apac"))), (10_000_000, 11_000_000, 10_000_000));
}

#[test]
fn cheaper_hours() {
    let row: OffPeak = serde_json::from_value(json!({
        "input": "0.15", "output": "0.6", "peak_hours_utc": [["01:00", "04:00"], ["06:00", "10:00"]],
        "weekends_off_peak": true, "holidays": ["2026-10-01"], "since": "2026-08-16T16:00Z"
    }))
    .unwrap();
    for (moment, cheap) in [
        ("2026-11-16T02:30:00Z", false),
        ("2026-11-16T12:00:00Z", true),
        ("2026-11-16T04:00:00Z", true),
        ("2026-11-16T03:59:59Z", false),
        ("2026-11-16T01:00:00Z", false),
        ("2026-11-16T00:59:59Z", true),
        ("2026-11-14T02:30:00Z", true),
        ("2026-10-01T02:30:00Z", true),
        ("2026-08-16T15:59:59Z", false),
    ] {
        assert_eq!(row.holds(at(moment)), cheap, "{moment}");
    }
    let night: OffPeak = serde_json::from_value(json!({"input": "1", "hours_utc": [["16:30", "00:30"]]})).unwrap();
    for (moment, cheap) in [
        ("2025-06-01T23:59:59Z", true),
        ("2025-06-02T00:29:59Z", true),
        ("2025-06-02T00:30:00Z", false),
        ("2025-06-01T16:29:59Z", false),
    ] {
        assert_eq!(night.holds(at(moment)), cheap, "{moment}");
    }
    let row = price(json!({"input": "2", "off_peak": {"input": "1", "hours_utc": [["00:00", "12:00"]]}}));
    let of = units(json!({"input": 1}));
    let cost = |moment| row.cost(&of, &Circumstances { completed_ms: at(moment), ..Default::default() }).unwrap().pico;
    assert_eq!((cost("2026-01-01T11:59Z"), cost("2026-01-01T12:00Z")), (1_000_000, 2_000_000));
}

#[test]
fn the_row_in_force_counts() {
    let row = price(json!({
        "input": "1.36", "valid_from": "2026-10-20", "valid_until": "2026-10-29",
        "history": [{"input": "0.68", "valid_from": "2026-10-01", "valid_until": "2026-10-20"}, {"input": "0.7", "valid_from": "2026-10-29"}]
    }));
    let of = units(json!({"input": 1}));
    let cost =
        |moment| row.cost(&of, &Circumstances { completed_ms: at(moment), ..Default::default() }).map(|c| c.pico);
    assert_eq!(cost("2026-10-19T23:59:59Z"), Ok(680_000));
    assert_eq!(cost("2026-10-20"), Ok(1_360_000));
    assert_eq!(cost("2026-11-01"), Ok(700_000));
    assert_eq!(cost("2026-09-30"), Err(Unpriced::Price), "nobody knows what it cost before");
}

#[test]
fn too_much_is_unknown() {
    let row = price(json!({"input": "1"}));
    let of = units(json!({"input": u64::MAX}));
    assert_eq!(row.cost(&of, &Circumstances::default()), Err(Unpriced::TooMuch));
}

#[test]
fn what_is_expected_follows_tier_and_hour() {
    let row = price(json!({"input": "2", "output": "4", "cache_read": "0.5", "request": "0.005",
        "off_peak": {"input": "1", "output": "2", "hours_utc": [["14:00", "00:00"]], "long_context":
            [{"above_input_tokens": 1000, "input": "3", "output": "6"}]},
        "long_context": [{"above_input_tokens": 1000, "input": "4", "output": "8"}]}));
    let at = |hour: u64| hour * 3600;
    let fee = 5_000_000_000;
    assert_eq!(row.expected(100, 0, 10, at(13)), Some(fee + 100 * 2_000_000 + 10 * 4_000_000));
    assert_eq!(row.expected(100, 40, 10, at(13)), Some(fee + 60 * 2_000_000 + 40 * 500_000 + 10 * 4_000_000));
    assert_eq!(row.expected(100, 0, 10, at(23)), Some(fee + 100 * 1_000_000 + 10 * 2_000_000), "fees have no hours");
    assert_eq!(row.expected(1001, 0, 10, at(23)), Some(fee + 1001 * 3_000_000 + 10 * 6_000_000));
    let (input, output) = row.token_rates(1001).unwrap();
    assert_eq!((input.to_string(), output.to_string()), ("4".to_owned(), "8".to_owned()));
    assert_eq!(price(json!({"search_unit_per_1000": "2"})).expected(1, 0, 1, 0), None);
}
