//! What answers cost, and what records carry of it.

use serde_json::json;

use super::*;
use crate::types::Quirks;
use crate::wire::usage::recognise;

fn priced(counts: Value, price: Option<Value>, stated: Option<Value>, tier: Option<&str>) -> Priced {
    let found = recognise(&counts, &Quirks::default());
    let stated: Option<StatedCost> = stated.map(|s| serde_json::from_value(s).unwrap());
    let price: Option<Price> = price.map(|p| serde_json::from_value(p).unwrap());
    let extra = Extra::new();
    let answer = Answer {
        usage: found.as_ref().map(|(_, usage)| usage),
        extra: &extra,
        wire: found.as_ref().map_or("", |(wire, _)| wire),
        stated: stated.as_ref(),
        target: ("p", "m"),
        circumstances: Circumstances { service_tier: tier, ..Default::default() },
    };
    Priced::of(&answer, price.as_ref().map(|price| (price, CostSource::Catalog)))
}

fn record(of: Priced) -> LedgerRecord {
    let record = json!({"id": "", "run_id": "", "at_ms": 0, "purpose": "chat", "provider": "p", "model": "m", "model_sent": "m",
        "attempt": 1, "outcome": "ok", "latency_ms": 0});
    LedgerRecord {
        cost_nanos: of.cost.map(NanoUsd::nanos),
        cost_source: of.source,
        computed_nanos: of.computed.map(NanoUsd::nanos),
        price: of.row,
        units: of.units,
        flags: of.flags,
        ..serde_json::from_value(record).unwrap()
    }
}

#[test]
fn what_the_provider_states_wins_and_both_are_kept() {
    let counts =
        json!({"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8, "cost": {"total_cost": 0.00501}});
    let price = json!({"input": "1", "output": "1", "request": "0.005"});
    let p = priced(counts, Some(price), Some(json!({"path": "usage.cost.total_cost", "unit": "usd"})), None);
    assert_eq!((p.cost.unwrap().nanos(), p.source), (5_010_000, Some(CostSource::Provider)));
    assert_eq!(p.computed.unwrap().nanos(), 5_008_000);
    assert_eq!(p.flags, [DRIFT]);
}

#[test]
fn a_stated_zero_is_a_cost() {
    let counts = json!({"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8, "cost": 0});
    let p = priced(counts, None, Some(json!({"path": "usage.cost", "unit": "usd"})), None);
    assert_eq!((p.cost, p.source), (Some(NanoUsd::ZERO), Some(CostSource::Provider)));
}

#[test]
fn with_a_key_of_ones_own_the_vendors_bill_is_added() {
    let stated = json!({"path": "usage.cost", "unit": "usd",
        "own_key": {"flag": "usage.is_byok", "upstream": "usage.cost_details.upstream_inference_cost"}});
    let counts = |own: bool| {
        json!({"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "cost": 0.000275, "is_byok": own,
            "cost_details": {"upstream_inference_cost": 0.0055}})
    };
    let price = json!({"input": "2.5", "output": "15"});
    let p = priced(counts(true), Some(price.clone()), Some(stated.clone()), None);
    assert_eq!(
        (p.cost.unwrap().nanos(), p.computed.unwrap().nanos(), p.flags),
        (5_775_000, 5_500_000, vec![OWN_KEY.to_owned()])
    );
    let p = priced(counts(false), Some(price), Some(stated), None);
    assert_eq!(p.cost.unwrap().nanos(), 275_000);
}

#[test]
fn unknown_is_a_state() {
    let counts = json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150});
    let price = json!({"input": "1", "output": "1"});
    let flags = |p: Priced| (p.cost, p.source, p.flags.join(" "));
    assert_eq!(flags(priced(counts.clone(), None, None, None)), (None, None, "price_unknown".into()));
    assert_eq!(flags(priced(json!(null), Some(price.clone()), None, None)), (None, None, "usage_missing".into()));
    let p = priced(counts, Some(price.clone()), None, Some("priority"));
    assert_eq!(flags(p), (None, None, "tier_price_unknown:priority".into()));
    let odd = json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 175});
    assert_eq!(flags(priced(odd, Some(price), None, None)), (None, None, "ambiguous".into()));
}

#[test]
fn the_tier_is_read_wherever_it_stands() {
    let price = json!({"input": "1", "output": "1", "batch": {"input": "0.5", "output": "0.5"},
        "service_tiers": {"fast": {"input": "2", "output": "2"}, "flex": {"input": "0.4", "output": "0.4"}}});
    let cost = |counts: Value, tier| priced(counts, Some(price.clone()), None, tier).computed.map(NanoUsd::nanos);
    let anthropic = |more: Value| {
        let mut counts = json!({"input_tokens": 10, "output_tokens": 0, "cache_read_input_tokens": 0});
        counts.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        counts
    };
    assert_eq!(cost(anthropic(json!({"service_tier": "batch"})), None), Some(5_000));
    assert_eq!(cost(anthropic(json!({"speed": "fast"})), Some("standard")), Some(20_000));
    assert_eq!(cost(json!({"promptTokenCount": 10, "serviceTier": "flex"}), None), Some(4_000));
    assert_eq!(cost(json!({"promptTokenCount": 10, "trafficType": "ON_DEMAND"}), None), Some(10_000));
    assert_eq!(cost(json!({"promptTokenCount": 10, "trafficType": "PROVISIONED_THROUGHPUT"}), None), None);
}

#[test]
fn a_record_carries_the_price_it_was_computed_at() {
    let price = json!({"input": "0.0333", "output": "1.3", "cache_read": "0.01", "as_of": "2026-11-12", "source": "x",
        "batch": {"input": "0.0171", "output": "0.65"},
        "long_context": [{"above_input_tokens": 1000, "input": "0.0777", "output": "2"}]});
    let counts = |prompt: u64| {
        json!({"prompt_tokens": prompt, "completion_tokens": 77, "total_tokens": prompt + 77,
            "prompt_tokens_details": {"cached_tokens": 13}, "completion_tokens_details": {"reasoning_tokens": 5}})
    };
    for (prompt, tier, id) in [
        (701, None, "p/m@2026-11-12"),
        (1001, None, "p/m@2026-11-12@above_1000"),
        (701, Some("batch"), "p/m@2026-11-12@batch"),
    ] {
        let booked = record(priced(counts(prompt), Some(price.clone()), None, tier));
        assert_eq!(booked.price.as_ref().unwrap().id, id);
        // Through any store that keeps JSON.
        let text = serde_json::to_string(&booked).unwrap();
        let again: LedgerRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(again, booked);
        let nanos = recompute(&again).map(NanoUsd::nanos);
        assert!(nanos.is_some() && nanos == booked.computed_nanos && nanos == booked.cost_nanos, "{id}: {nanos:?}");
    }
    let unknown = record(priced(counts(5), None, None, None));
    assert_eq!((recompute(&unknown), unknown.cost_nanos), (None, None));
}
