//! Charges by the rules of FOCUS 1.2, 1.3 and 1.4, as far as they hold for what is written here. The official validator
//! judges 1.2 beside this (`make test-focus`); it has no rules of the later versions.

use std::collections::HashMap;

use super::*;
use crate::ledger::MemoryLedger;
use crate::money::NanoUsd;
use crate::types::{BillingConfig, Confidence, CostSource, ErrorKind, Outcome, PriceRow, Rates, UsageVector};

/// Columns that must be there, by version.
const MANDATORY: &str = "BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd BillingPeriodStart \
    ChargeCategory ChargeClass ChargeDescription ChargePeriodEnd ChargePeriodStart ContractedCost EffectiveCost \
    InvoiceIssuerName ListCost PricingQuantity PricingUnit ServiceCategory ServiceName";
const MANDATORY_1_2: &str = "ProviderName PublisherName";
const MANDATORY_1_3: &str = "HostProviderName ServiceProviderName";

/// Columns whose condition holds here: units, prices, tags and sub-accounts are told.
const CONDITIONAL: &str = "ConsumedQuantity ConsumedUnit ContractedUnitPrice InvoiceId ListUnitPrice PricingCategory \
    PricingCurrency PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice RegionId \
    RegionName ResourceId ResourceName ResourceType SkuId SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName \
    SubAccountType Tags";

/// Columns that are not of a version, though another has them.
const FOREIGN: &[(FocusVersion, &str)] = &[
    (V1_2, "HostProviderName ServiceProviderName InvoiceDetailId"),
    (V1_3, "InvoiceDetailId CommitmentDiscountStatus"),
    (V1_4, "ProviderName PublisherName CommitmentDiscountStatus"),
];

/// Columns that may have nothing in them.
const NULLABLE: &str = "ChargeClass CommitmentDiscountStatus InvoiceDetailId InvoiceId RegionId RegionName SubAccountId \
    SubAccountName SubAccountType Tags";

const DECIMALS: &str = "BilledCost ConsumedQuantity ContractedCost ContractedUnitPrice EffectiveCost ListCost ListUnitPrice \
    PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice PricingQuantity";

const TIMES: &str = "BillingPeriodEnd BillingPeriodStart ChargePeriodEnd ChargePeriodStart";

fn priced(units: &[(Class, u64)], rates: &[(Class, &str)], cost_nanos: Option<u64>) -> LedgerRecord {
    let mut vector = UsageVector::default();
    units.iter().for_each(|(class, number)| vector.report(*class, *number));
    let mut row = Rates::default();
    rates.iter().for_each(|(class, rate)| row.set(*class, Rate::parse_for(*class, rate).unwrap()));
    let price = PriceRow {
        id: "openai/gpt-5@2026-10-01@flex".into(),
        as_of: Some("2026-10-01".into()),
        rates: row,
        ..PriceRow::default()
    };
    let computed = cost_at(&price.rates, &vector).unwrap().amount.nanos();
    LedgerRecord {
        id: "id".into(),
        run_id: "run".into(),
        at_ms: 1_793_491_199_500,
        provider: "openai".into(),
        model: "openai/gpt-5".into(),
        model_sent: "gpt-5".into(),
        cost_nanos: Some(cost_nanos.unwrap_or(computed)),
        computed_nanos: Some(computed),
        cost_source: Some(CostSource::Catalog),
        confidence: Confidence::Reported,
        price: Some(price),
        units: vector,
        latency_ms: 1_200,
        tags: BTreeMap::from([("project".to_owned(), "search, \"new\"".to_owned())]),
        ..LedgerRecord::default()
    }
}

/// One of each kind of record.
fn records() -> Vec<LedgerRecord> {
    let tokens: &[(Class, u64)] =
        &[(Class::Input, 1_001), (Class::CacheRead, 333), (Class::Output, 77), (Class::Reasoning, 7)];
    let rates: &[(Class, &str)] = &[(Class::Input, "1.25"), (Class::CacheRead, "0.125"), (Class::Output, "9.999999")];
    let fees: &[(Class, u64)] =
        &[(Class::Request, 1), (Class::WebSearch, 3), (Class::Seconds, 12_345), (Class::Input, 9)];
    let of_fees: &[(Class, &str)] =
        &[(Class::Request, "0.005"), (Class::WebSearch, "14"), (Class::Seconds, "0.1"), (Class::Input, "1")];
    let failed = LedgerRecord {
        outcome: Outcome::Failed,
        error: Some(ErrorKind::RateLimited),
        provider: "anthropic".into(),
        model: "=HYPERLINK(\"x\")".into(),
        model_sent: "=HYPERLINK(\"x\")".into(),
        at_ms: 1_793_491_200_000,
        ..LedgerRecord::default()
    };
    let kept = LedgerRecord {
        cost_nanos: Some(0),
        cached: true,
        provider: "openai".into(),
        model: "m".into(),
        ..failed.clone()
    };
    let stated = LedgerRecord { cost_nanos: Some(123_457), cost_source: Some(CostSource::Provider), ..kept.clone() };
    vec![
        priced(tokens, rates, None),
        // What the provider states differs from what the units cost.
        LedgerRecord { cost_source: Some(CostSource::Provider), ..priced(tokens, rates, Some(1_000_001)) },
        priced(fees, of_fees, None),
        // Free of charge, and still told by class.
        priced(tokens, &[(Class::Input, "0"), (Class::Output, "0")], None),
        failed,
        kept,
        stated,
    ]
}

fn correction() -> Correction {
    serde_json::from_value(json!({
        "id": "c-1", "at_ms": 1_793_404_800_000u64, "until_ms": 1_793_491_200_000u64, "provider": "openai", "model": "openai/gpt-5",
        "residual": "price_drift", "delta_nanos": -1_234_567, "file": "f", "row": 3
    }))
    .unwrap()
}

fn parties() -> BTreeMap<String, Party> {
    let billing = BillingConfig {
        account_id: Some("org-1".into()),
        sub_account_id: Some("proj-1".into()),
        ..BillingConfig::default()
    };
    let party = Party { name: Some("OpenAI".into()), billing, region: Some("eu".into()) };
    BTreeMap::from([("openai".to_owned(), party)])
}

type Told = Vec<HashMap<String, String>>;

fn written(version: FocusVersion) -> (Vec<String>, Told, Exported) {
    let ledger = MemoryLedger::new(99);
    records().into_iter().for_each(|record| ledger.record(record).unwrap());
    ledger.correct(&[correction()]).unwrap();
    let mut out = Vec::new();
    let exported = write(&ledger, &UsageQuery::default(), version, &parties(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut lines = lines(&text).into_iter();
    let names = lines.next().unwrap();
    let rows = lines.map(|cells| {
        assert_eq!(cells.len(), names.len());
        names.iter().cloned().zip(cells).collect()
    });
    let rows = rows.collect();
    (names, rows, exported)
}

/// A reader of CSV, so that the writer is not judged by itself.
fn lines(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => line.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            c => cell.push(c),
        }
    }
    lines
}

/// A decimal in units of 10^-24.
fn exact(text: &str) -> u128 {
    let (whole, fraction) = text.split_once('.').unwrap_or_else(|| panic!("{text} has no decimal"));
    assert!(!fraction.is_empty() && fraction.len() <= 24, "{text}");
    format!("{whole}{fraction:0<24}").parse().unwrap()
}

#[test]
fn every_version_has_its_columns() {
    for version in [V1_2, V1_3, V1_4] {
        let (names, ..) = written(version);
        let mut wanted: Vec<&str> = MANDATORY.split_whitespace().chain(CONDITIONAL.split_whitespace()).collect();
        if version <= V1_3 {
            wanted.extend(MANDATORY_1_2.split_whitespace());
        }
        if version >= V1_3 {
            wanted.extend(MANDATORY_1_3.split_whitespace());
        }
        for name in wanted {
            assert!(names.iter().any(|n| n == name), "{version:?}: {name} is missing");
        }
        let foreign = FOREIGN.iter().find(|(of, _)| *of == version).unwrap().1;
        for name in foreign.split_whitespace() {
            assert!(!names.iter().any(|n| n == name), "{version:?} has no {name}");
        }
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }
}

#[test]
fn every_cell_obeys_its_column() {
    for version in [V1_2, V1_3, V1_4] {
        let (_, rows, exported) = written(version);
        assert_eq!(exported.rows as usize, rows.len());
        for row in &rows {
            for (name, cell) in row.iter().filter(|(name, _)| !name.starts_with("x_")) {
                let known = |list: &str| list.split_whitespace().any(|n| n == name);
                let unpriced = row["ChargeClass"] == "Correction" && UNPRICED.contains(&name.as_str());
                assert!(!cell.is_empty() || known(NULLABLE) || unpriced, "{name} has nothing");
                if known(DECIMALS) && !unpriced {
                    exact(cell.trim_start_matches('-'));
                }
                if known(TIMES) {
                    let at: Timestamp = cell.parse().unwrap();
                    assert_eq!(at.to_string(), *cell, "UTC and whole seconds");
                }
            }
            for (name, wanted) in [
                ("ChargeCategory", "Usage"),
                ("ChargeFrequency", "Usage-Based"),
                ("BillingCurrency", "USD"),
                ("ServiceCategory", "AI and Machine Learning"),
                ("ServiceSubcategory", "Generative AI"),
            ] {
                assert_eq!(row[name], wanted);
            }
            let time = |name: &str| row[name].parse::<Timestamp>().unwrap();
            assert!(time("ChargePeriodStart") < time("ChargePeriodEnd"));
            assert!(time("BillingPeriodStart") <= time("ChargePeriodStart"));
            assert!(time("ChargePeriodStart") < time("BillingPeriodEnd"));
            for name in ["Tags", "SkuPriceDetails"] {
                if !row[name].is_empty() {
                    let flat: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&row[name]).unwrap();
                    assert!(flat.values().all(|value| value.is_string()));
                }
            }
            if row["ChargeClass"] != "Correction" {
                let details: serde_json::Value = serde_json::from_str(&row["SkuPriceDetails"]).unwrap();
                assert!(details.as_object().unwrap().keys().all(|key| key.starts_with("x_")));
            }
        }
    }
}

#[test]
fn price_times_quantity_is_the_cost_and_all_of_it_is_what_was_booked() {
    let (_, rows, exported) = written(V1_4);
    let mut billed = 0;
    let correction = rows.iter().find(|row| row["ChargeClass"] == "Correction").unwrap();
    for (name, wanted) in [
        ("BilledCost", "-0.001234567"),
        ("ListCost", "-0.001234567"),
        ("ListUnitPrice", ""),
        ("ChargePeriodStart", "2026-10-31T00:00:00Z"),
        ("ChargePeriodEnd", "2026-11-01T00:00:00Z"),
        ("x_Flags", "price_drift"),
        ("x_RecordId", "c-1"),
    ] {
        assert_eq!(correction[name], wanted, "{name}");
    }
    assert_eq!(exported.corrections_nanos, -1_234_567);
    for row in rows.iter().filter(|row| row["ChargeClass"].is_empty()) {
        for (cost, price) in [("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")] {
            // 24 decimals each: the product has 48, of which the lower 24 must be nothing.
            let (price, quantity) =
                (exact(&row[price]) / 10u128.pow(12), exact(&row["PricingQuantity"]) / 10u128.pow(12));
            assert_eq!(price * quantity, exact(&row[cost]), "{cost}");
        }
        assert_eq!(row["BilledCost"], row["EffectiveCost"]);
        billed += exact(&row["BilledCost"]);
    }
    let booked: u64 = records().iter().filter_map(|record| record.cost_nanos).sum();
    assert_eq!(billed, u128::from(booked) * 10u128.pow(15));
    assert_eq!((exported.cost_nanos, exported.attempts, exported.cost_unknown), (booked, 7, 1));
    assert!(NanoUsd::from_nanos(booked).is_some());
}

#[test]
fn classes_units_and_names_are_told() {
    let (_, rows, _) = written(V1_4);
    let of = |meter: &str| rows.iter().find(|row| row["SkuMeter"] == meter).unwrap_or_else(|| panic!("no {meter}"));
    let cached = of("Cached Input Tokens");
    for (name, wanted) in [
        ("ConsumedQuantity", "333.0"),
        ("ConsumedUnit", "Tokens"),
        ("PricingQuantity", "0.000333"),
        ("PricingUnit", "1000000 Tokens"),
        ("ListUnitPrice", "0.125"),
        ("ListCost", "0.000041625"),
        ("SkuId", "openai/gpt-5/cache_read"),
        // The date of a price is no part of what is bought.
        ("SkuPriceId", "openai/gpt-5@flex/cache_read"),
        ("x_PriceId", "openai/gpt-5@2026-10-01@flex"),
        ("BillingAccountId", "org-1"),
        ("SubAccountType", "Project"),
        ("RegionId", "eu"),
        ("x_Project", "search, \"new\""),
        ("ChargePeriodStart", "2026-10-31T23:59:59Z"),
        ("ChargePeriodEnd", "2026-11-01T00:00:01Z"),
        ("BillingPeriodStart", "2026-10-01T00:00:00Z"),
        ("BillingPeriodEnd", "2026-11-01T00:00:00Z"),
    ] {
        assert_eq!(cached[name], wanted, "{name}");
    }
    let audio = of("Audio Seconds");
    assert_eq!((audio["ConsumedQuantity"].as_str(), audio["PricingQuantity"].as_str()), ("12.345", "0.012345"));
    let searches = of("Web Searches");
    assert_eq!((searches["ListUnitPrice"].as_str(), searches["PricingQuantity"].as_str()), ("14.0", "0.003"));
    let unknown: Vec<_> = rows.iter().filter(|row| row["x_CostUnknown"] == "true").collect();
    assert_eq!(unknown.len(), 1);
    assert_eq!((unknown[0]["BilledCost"].as_str(), unknown[0]["x_Confidence"].as_str()), ("0.0", "unknown"));
    // Nobody else's formula runs: whatever a model is called.
    assert_eq!(unknown[0]["ResourceName"], "'=HYPERLINK(\"x\")");
    let stated = rows.iter().find(|row| row["BilledCost"] == "0.000123457").unwrap();
    assert_eq!((stated["SkuMeter"].as_str(), stated["ListUnitPrice"].as_str()), ("Requests", "0.000123457"));
}

#[test]
fn a_cost_is_shared_out_to_the_last_nano() {
    let charge =
        |count, rate| Charge { class: Some(Class::Input), count, rate, nanos: 0, unknown: false, correction: None };
    for (cost, parts) in
        [(10, vec![(1, 1), (1, 1), (1, 1)]), (7, vec![(1, 0), (2, 0)]), (1, vec![(1, 1), (9, 1)]), (0, vec![(3, 3)])]
    {
        let mut charges: Vec<Charge> = parts.into_iter().map(|(count, rate)| charge(count, rate)).collect();
        share(cost, &mut charges);
        assert_eq!(charges.iter().map(|charge| charge.nanos).sum::<u64>(), cost);
    }
    let mut charges = vec![charge(1, 1), charge(9, 1)];
    share(1, &mut charges);
    assert_eq!(charges[1].nanos, 1, "the larger remainder gets it");
}
