//! Usage and prices, held to the cases of others. The recordings lie beside the repository and are read where they are.

#![allow(clippy::print_stdout)]

use std::path::Path;

use interfuse::catalog::Catalog;
use interfuse_tests::prices::{Sums, Verdict, check};
use serde_json::{Value, json};

/// Checks a file beside the repository, where there is one; fails with every difference.
fn hold_to(file: &str) -> Option<Sums> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("{file}: not here, 0 cases ran");
        return None;
    };
    let checked = check(&text, &Catalog::default()).unwrap_or_else(|why| panic!("{file}: {why}"));
    let different: Vec<String> = checked
        .iter()
        .filter_map(|case| match &case.verdict {
            Verdict::Different(what) => Some(format!("{}: {what}", case.name)),
            Verdict::Equal | Verdict::Explained(_) => None,
        })
        .collect();
    let sums = Sums::of(&checked);
    println!("{file}: {sums}");
    assert!(different.is_empty(), "{}", different.join("\n"));
    Some(sums)
}

#[test]
fn price_cases_agree_to_the_last_digit() {
    if let Some(sums) = hold_to("reference/price-cases.json") {
        assert_eq!(sums.equal, sums.cases, "none of these needs an explanation");
    }
}

#[test]
fn recorded_usages_agree_or_are_explained() {
    hold_to("fixtures/openai-compatible/_genai-prices/usages.subset.json");
}

/// The check itself must be able to fail: each of these has one digit wrong.
#[test]
fn a_wrong_case_is_found() {
    let right = json!({"id": "x", "provider": "openai", "model": "m",
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "prompt_tokens_details": {"cached_tokens": 40}},
        "price": {"unit": "USD per million tokens", "input": "2", "output": "8", "cache_read": "0.5", "cache_write": null},
        "tokens": {"input": 60, "cache_read": 40, "output": 10}, "expected_usd": "0.00022", "cost_source": "computed"});
    let verdict = |case: &Value| {
        let text = Value::Array(vec![case.clone()]).to_string();
        check(&text, &Catalog::default()).unwrap().remove(0).verdict
    };
    assert_eq!(verdict(&right), Verdict::Equal);
    for (name, told, wrong) in [
        ("expected_usd", "cost", json!("0.00023")),
        ("cost_source", "cost_source", json!("provider")),
        ("tokens", "tokens", json!({"input": 61, "cache_read": 39, "output": 10})),
        ("fallback", "fallback", json!({"cache_read": "input"})),
        ("tier_used", "tier_used", json!(0)),
        ("flags", "flags", json!(["drift"])),
    ] {
        let mut case = right.clone();
        case[name] = wrong;
        assert!(matches!(verdict(&case), Verdict::Different(what) if what.contains(told)), "{name}");
    }
    let euro = json!("EUR per million tokens");
    let mut case = right.clone();
    case["price"]["unit"] = euro;
    assert!(matches!(verdict(&case), Verdict::Different(_)), "euros are no dollars");

    let recorded = |input: u64| {
        json!({"body": {"file": "f", "usage": {"input_tokens": 2, "cache_read_input_tokens": 1590, "output_tokens": 4}},
            "extracted": [{"usage": {"input_tokens": input, "cache_read_tokens": 1590, "output_tokens": 4},
                "extractors": [{"provider_id": "anthropic", "api_flavor": "default"}]}]})
    };
    assert_eq!(verdict(&recorded(1592)), Verdict::Equal);
    assert!(matches!(verdict(&recorded(2)), Verdict::Different(_)));
}

#[test]
fn a_file_of_another_form_is_refused() {
    for text in ["", "{}", "[{\"a\": 1}]", "[]"] {
        assert!(check(text, &Catalog::default()).is_err(), "{text}");
    }
}
