//! Rows in the shapes of the five lists, made up.

use serde_json::json;

use super::*;
use crate::catalog::Circumstances;
use crate::types::UsageVector;

fn load(list: serde_json::Value) -> (Catalog, LoadedPrices) {
    let mut catalog = Catalog::default();
    let loaded = catalog.load_prices(list.to_string().as_bytes()).unwrap();
    (catalog, loaded)
}

fn cost(catalog: &Catalog, provider: &str, model: &str, units: serde_json::Value, of: &Circumstances<'_>) -> String {
    let units: UsageVector = serde_json::from_value(units).unwrap();
    let row = catalog.live_price(provider, model).unwrap_or_else(|| panic!("no row of {provider}/{model}"));
    row.cost(&units, of).map_or_else(|why| why.to_string(), |cost| cost.amount.to_string())
}

fn tier(word: &str) -> Circumstances<'_> {
    Circumstances { service_tier: Some(word), ..Circumstances::default() }
}

#[test]
fn litellms_map() {
    let (catalog, loaded) = load(json!({
        "sample_spec": {"litellm_provider": "one of ...", "input_cost_per_token": 0},
        "one": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 4e-06, "output_cost_per_token": 2e-05,
            "cache_read_input_token_cost": 4.0000000000000003e-07, "input_cost_per_token_above_272k_tokens": 8e-06,
            "output_cost_per_token_above_272k_tokens": 3e-05, "input_cost_per_token_priority": 8e-06,
            "output_cost_per_token_priority": 4e-05, "input_cost_per_token_above_272k_tokens_priority": 1.6e-05,
            "input_cost_per_token_batches": 2e-06, "output_cost_per_token_batches": 1e-05,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01}},
        "vertex_ai/two": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 3e-06,
            "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06,
            "cache_creation_input_token_cost_above_1hr": 6e-06},
        "dashscope/three": {"litellm_provider": "dashscope", "tiered_pricing": [
            {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
            {"range": [32000.0, 64000.0], "input_cost_per_token": 3e-06, "output_cost_per_token": 4e-06}]},
        "deepseek/four": {"litellm_provider": "deepseek", "input_cost_per_token": 2e-06, "output_cost_per_token": 2e-06,
            "off_peak_pricing": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "windows": [
                {"weekdays": [1, 2, 3, 4, 5], "hours_utc": ["00:00-01:00", "10:00-00:00"]},
                {"weekdays": [6, 7], "hours_utc": "00:00-00:00"}]}},
        "nobody/five": {"litellm_provider": "nobody_at_all", "input_cost_per_token": 1e-06},
        "groq/six": {"litellm_provider": "groq", "input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06},
        "groq/seven": {"litellm_provider": "groq", "input_cost_per_token": 0.25, "output_cost_per_token": 1e-06},
        "groq/eight": {"litellm_provider": "groq", "input_cost_per_token": "NaN", "output_cost_per_token": 1e-06},
        "groq/nine": {"litellm_provider": "groq", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    }));
    assert_eq!((loaded.format.as_str(), loaded.rows, loaded.skipped), ("litellm", 4, 2), "{loaded:?}");
    let refused = loaded.refused.join("\n");
    for (path, why) in
        [("groq/six: input_cost_per_token", "negative"), ("groq/seven", "another unit"), ("groq/eight", "NaN")]
    {
        assert!(refused.contains(path) && refused.contains(why), "{refused}");
    }
    let none = Circumstances::default();
    let of = json!({"input": 1000, "cache_read": 1000, "output": 100, "web_search": 1});
    assert_eq!(cost(&catalog, "openai", "ONE", of, &none), "0.0164");
    assert_eq!(cost(&catalog, "openai", "one", json!({"input": 272001}), &none), "2.176008");
    assert_eq!(cost(&catalog, "openai", "one", json!({"input": 1000}), &tier("priority")), "0.008");
    assert_eq!(cost(&catalog, "openai", "one", json!({"input": 300000}), &tier("priority")), "4.8");
    assert_eq!(cost(&catalog, "openai", "one", json!({"input": 1000}), &tier("batch")), "0.002");
    assert_eq!(cost(&catalog, "openai", "one", json!({"input": 1000}), &tier("flex")), "tier_price_unknown:flex");
    let written = json!({"cache_write_5m": 1000, "cache_write_1h": 1000});
    assert_eq!(cost(&catalog, "vertex", "two", written, &none), "0.00975");
    assert_eq!(cost(&catalog, "alibaba", "three", json!({"input": 32000}), &none), "0.032");
    assert_eq!(cost(&catalog, "alibaba", "three", json!({"input": 32001}), &none), "0.096003");
    let monday_two = Circumstances { completed_ms: 1_794_794_400_000, ..none };
    let sunday_two = Circumstances { completed_ms: 1_794_708_000_000, ..none };
    let of = json!({"input": 1000});
    assert_eq!(cost(&catalog, "deepseek", "four", of.clone(), &monday_two), "0.002");
    assert_eq!(cost(&catalog, "deepseek", "four", of, &sunday_two), "0.001");
}

#[test]
fn models_devs_providers() {
    let (catalog, loaded) = load(json!({
        "groq": {"id": "groq", "models": {
            "one": {"cost": {"input": 0.15, "output": 0.6, "cache_read": 0.075, "reasoning": 1.2, "tiers": [
                {"tier": {"type": "context", "size": 1000}, "input": 0.3, "output": 1.2}]}, "last_updated": "2026-11-01"},
            "two": {"cost": {"input": 0, "output": 0}},
            "three": {"cost": {"input": 0.0000003, "output": 0.6}},
            "four": {}}},
        "nobody-at-all": {"models": {"x": {"cost": {"input": 1}}}}
    }));
    assert_eq!((loaded.format.as_str(), loaded.rows, loaded.skipped), ("models.dev", 1, 3), "{loaded:?}");
    assert!(loaded.refused[0].starts_with("groq.models.three.cost: input:"), "{loaded:?}");
    let of = json!({"input": 100, "cache_read": 100, "output": 10, "reasoning": 10});
    assert_eq!(cost(&catalog, "groq", "one", of, &Circumstances::default()), "0.0000405");
    assert_eq!(cost(&catalog, "groq", "one", json!({"input": 1001}), &Circumstances::default()), "0.0003003");
    assert_eq!(catalog.live_price("groq", "one").unwrap().as_of.as_deref(), Some("2026-11-01"));
}

#[test]
fn openrouters_models() {
    let (catalog, loaded) = load(json!({"data": [
        {"id": "v/one", "canonical_slug": "v/one-20260101", "pricing": {"prompt": "0.000002", "completion": "0.00001",
            "request": "0", "web_search": "0.005", "input_cache_read": "0.0000005", "overrides": [
                {"min_prompt_tokens": 1000, "prompt": "0.000004", "completion": "0.00002"},
                {"utc_start": "16:30", "utc_end": "00:30", "prompt": "0.000001"}]}},
        {"id": "v/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
        {"id": "v/two:free", "pricing": {"prompt": "0", "completion": "0"}}
    ]}));
    assert_eq!((loaded.format.as_str(), loaded.rows, loaded.refused.len()), ("openrouter", 3, 1), "{loaded:?}");
    assert!(loaded.refused[0].contains("data[1].pricing") && loaded.refused[0].contains("v/auto"), "{loaded:?}");
    let noon = Circumstances { completed_ms: 43_200_000, ..Circumstances::default() };
    let late = Circumstances { completed_ms: 23 * 3_600_000, ..Circumstances::default() };
    let of = |input: u64| json!({"input": input, "cache_read": 100, "output": 10, "web_search": 1});
    assert_eq!(cost(&catalog, "openrouter", "v/one", of(100), &noon), "0.00535");
    assert_eq!(cost(&catalog, "openrouter", "v/one-20260101", of(100), &late), "0.00525");
    assert_eq!(cost(&catalog, "openrouter", "v/one", of(901), &noon), "0.008854", "the cache at its price");
    assert_eq!(cost(&catalog, "openrouter", "v/two:free", json!({"input": 5}), &noon), "0", "free is known");
}

#[test]
fn hugging_faces_router() {
    let (catalog, loaded) = load(json!({"object": "list", "data": [
        {"id": "v/one", "providers": [
            {"provider": "novita", "status": "live", "pricing": {"input": 0.05, "output": 0.25}},
            {"provider": "together", "status": "live", "pricing": {"input": 0.15, "output": 0.6}}]},
        {"id": "v/two", "providers": [{"provider": "groq", "pricing": {"input": 1, "output": 2}}]},
        {"id": "v/three", "providers": [{"provider": "groq"}]}
    ]}));
    assert_eq!((loaded.format.as_str(), loaded.rows, loaded.skipped), ("huggingface", 4, 1), "{loaded:?}");
    let none = Circumstances::default();
    assert_eq!(cost(&catalog, "hf-router", "v/one:novita", json!({"input": 46, "output": 1}), &none), "0.00000255");
    assert!(catalog.live_price("hf-router", "v/one").is_none(), "which backend serves is not known");
    assert_eq!(cost(&catalog, "hf-router", "v/two", json!({"input": 1}), &none), "0.000001");
}

#[test]
fn genai_prices() {
    let (catalog, loaded) = load(json!([
        {"id": "x-ai", "models": [
            {"id": "one", "match": {"or": [{"equals": "one-latest"}, {"starts_with": "one-2026"}]}, "prices": [
                {"prices": {"input_mtok": 2, "output_mtok": 4}},
                {"constraint": {"start_date": "2026-10-20"}, "prices": {"input_mtok": {"base": 1, "tiers": [{"start": 1000, "price": 3}]},
                    "output_mtok": 2, "web_searches_kcount": 5}},
                {"constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}, "prices": {"input_mtok": 0.5, "output_mtok": 1}}],
             "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 0.8}}]},
            {"id": "two", "match": {"regex": "^two-\\d{8}$"}, "prices": {"input_mtok": -1}}]},
        {"id": "nobody-at-all", "models": [{"id": "z", "prices": {"input_mtok": 1}}]}
    ]));
    assert_eq!((loaded.format.as_str(), loaded.rows, loaded.skipped), ("genai-prices", 1, 1), "{loaded:?}");
    assert!(loaded.refused[0].contains("x-ai/two") && loaded.refused[0].contains("input_mtok"), "{loaded:?}");
    let at = |text: &str| Circumstances {
        completed_ms: crate::types::Moment::parse(text).unwrap().unix_ms() as u64,
        ..Circumstances::default()
    };
    let of = json!({"input": 1000, "output": 100, "web_search": 1});
    assert_eq!(cost(&catalog, "xai", "one", json!({"input": 1000}), &at("2026-10-19")), "0.002");
    assert_eq!(cost(&catalog, "xai", "one-latest", of, &at("2026-10-20T12:00Z")), "0.0062");
    assert_eq!(cost(&catalog, "xai", "one-20261101", json!({"input": 1001}), &at("2026-10-21T12:00Z")), "0.003003");
    assert_eq!(cost(&catalog, "xai", "one", json!({"input": 1000}), &at("2026-10-21T23:00Z")), "0.0005");
    let batch = Circumstances { batch: true, ..at("2026-10-21T12:00Z") };
    assert_eq!(cost(&catalog, "xai", "one", json!({"input": 1000}), &batch), "0.0008");
}

#[test]
fn what_is_no_list_is_refused() {
    for bad in ["", "{}", "[]", "[1]", "{\"data\": []}", "{\"a\": NaN}", "null", "\"x\""] {
        let e = Catalog::default().load_prices(bad.as_bytes()).unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::InvalidRequest, "{bad}");
    }
    let only_bad = json!({"one": {"litellm_provider": "openai", "input_cost_per_token": -1}});
    let e = Catalog::default().load_prices(only_bad.to_string().as_bytes()).unwrap_err();
    assert!(e.message().contains("one: input_cost_per_token"), "{e}");
}

#[test]
fn a_later_list_outranks_an_earlier_one() {
    let (mut catalog, _) = load(json!({"groq": {"models": {"one": {"cost": {"input": 1, "output": 1}}}}}));
    let later =
        json!({"one": {"litellm_provider": "groq", "input_cost_per_token": 2e-06, "output_cost_per_token": 1e-06}});
    catalog.load_prices(later.to_string().as_bytes()).unwrap();
    assert_eq!(cost(&catalog, "groq", "one", json!({"input": 1}), &Circumstances::default()), "0.000002");
    let row = catalog.price("groq", "one").unwrap();
    assert_eq!(row.source.as_deref(), Some("litellm"));
}
