//! What preferences may look like, and what is refused.

use serde_json::{Value, json};

use super::*;
use crate::types::{ChatRequest, Usd};

fn read(provider: Value) -> Result<ProviderPreferences, crate::Error> {
    let text = json!({"model": "m", "provider": provider}).to_string();
    let request: ChatRequest = crate::types::from_json("request", &text)?;
    match request.provider {
        Some(ProviderChoice::Preferences(preferences)) => Ok(*preferences),
        other => panic!("{other:?}"),
    }
}

#[test]
fn prices_are_read_from_their_digits() {
    let max = read(json!({"max_price": {"prompt": 0.1, "completion": "0.30", "request": 1e-7, "image": 2}})).unwrap();
    let max = max.max_price.unwrap();
    assert_eq!(max.prompt.map(Usd::pico), Some(100_000_000_000));
    assert_eq!(max.completion.map(Usd::pico), Some(300_000_000_000));
    assert_eq!(max.request.map(Usd::pico), Some(100_000));
    assert_eq!(max.image.map(|usd| usd.to_string()), Some("2".to_owned()));
    assert_eq!(serde_json::to_value(&max).unwrap()["prompt"], "0.1");
}

#[test]
fn both_spellings_of_sort_and_of_bounds() {
    let p = read(json!({"sort": "throughput", "preferred_min_throughput": 50})).unwrap();
    assert_eq!(p.sort.map(|s| (s.by(), s.partition())), Some((Sort::Throughput, Partition::Model)));
    assert_eq!(p.preferred_min_throughput.unwrap().bounds(), [Some(50.0), None, None, None]);
    let long = json!({"sort": {"by": "price", "partition": "none"}, "preferred_max_latency": {"p50": 1, "p99": 4.5}});
    let p = read(long.clone()).unwrap();
    assert_eq!(p.sort.map(|s| (s.by(), s.partition())), Some((Sort::Price, Partition::None)));
    assert_eq!(p.preferred_max_latency.unwrap().bounds(), [Some(1.0), None, None, Some(4.5)]);
    assert_eq!(read(serde_json::to_value(&p).unwrap()).unwrap(), p);
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    for (provider, path) in [
        (json!({"sort": "cheap"}), "provider.sort"),
        (json!({"sort": {"by": "price", "partition": "all"}}), "provider.sort.partition"),
        (json!({"max_price": {"prompt": -1}}), "provider.max_price.prompt"),
        (json!({"max_price": {"prompt": -0.5}}), "provider.max_price.prompt"),
        (json!({"max_price": {"completion": "cheap"}}), "provider.max_price.completion"),
        (json!({"max_price": {"completion": 1e30}}), "provider.max_price.completion"),
        (json!({"max_price": {"prompts": 1}}), "provider.max_price.prompts"),
        (json!({"preferred_min_throughput": -3}), "provider.preferred_min_throughput"),
        (json!({"preferred_max_latency": {"p90": 0}}), "provider.preferred_max_latency"),
        (json!({"preferred_max_latency": {}}), "provider.preferred_max_latency"),
        (json!({"preferred_max_latency": {"p42": 1}}), "provider.preferred_max_latency.p42"),
        (json!({"quantizations": ["fp9"]}), "provider.quantizations[0]"),
        (json!({"data_collection": "maybe"}), "provider.data_collection"),
    ] {
        let error = read(provider.clone()).unwrap_err();
        assert_eq!(error.body().param.as_deref(), Some(path), "{provider}: {error}");
    }
}

#[test]
fn a_variant_names_a_precision_or_none() {
    for (variant, want) in [
        ("fp8", Some(Quantization::Fp8)),
        ("fp8-fast", Some(Quantization::Fp8)),
        ("nvfp4", Some(Quantization::Fp4)),
        ("turbo", None),
    ] {
        assert_eq!(Quantization::of_variant(variant), want, "{variant}");
    }
}
