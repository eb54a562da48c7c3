//! What a routing decision costs, beside its goals: 200 candidates under each policy and under many preferences, with
//! and without measurements of them, and the plain call. Prints; asserts nothing about time. `make bench-routing`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use interfuse::Catalog;
use interfuse::backend::Endpoints;
use interfuse::clock::SystemClock;
use interfuse::routing::{POLICIES, Router, Sample};
use interfuse::types::{ChatRequest, Config};
use serde_json::{Value, json};

/// Microseconds for a decision over [`CANDIDATES`].
const DECISION_US: f64 = 10.0;
/// Microseconds for a call that names its backend.
const PLAIN_US: f64 = 0.5;
const CANDIDATES: usize = 200;
const TURNS: usize = 20_000;

/// Backends of one model, each with a price and facts of its own.
fn router() -> Router {
    let mut providers = "schema = 1\nas_of = \"2026-01-01\"\n".to_owned();
    let mut serves = serde_json::Map::new();
    let mut config = json!({"use_environment": false, "providers": {}});
    for i in 0..CANDIDATES {
        writeln!(
            providers,
            "[[provider]]\nid = \"provider-{i}\"\nname = \"P\"\nkind = \"cloud\"\nwire = \"openai-chat\"\n\
             base_url = \"http://127.0.0.1:{}\"\nkey_vars = []",
            i + 1
        )
        .unwrap();
        let price = json!({"input": format!("0.{}", 1 + i * 7 % 90), "output": format!("1.{}", 1 + i * 13 % 90)});
        let offer = json!({"id": "m", "price": price, "confidence": "high", "source": "x", "as_of": "2026-01-01"});
        serves.insert(format!("provider-{i}"), offer);
        config["providers"][format!("provider-{i}")] =
            json!({"api_key": "k", "zdr": true, "data_collection": "deny", "weight": 1 + i % 5});
    }
    let models = json!({"schema": 1, "as_of": "2026-01-01", "sources": [], "models": [{"id": "made/up", "vendor": "made",
        "open_weights": true, "aliases": [], "modalities_in": ["text"], "tools": true, "serves": serves}]});
    let catalog = Catalog::from_documents(Some(&providers), Some(&models.to_string())).unwrap();
    let config: Config = serde_json::from_value(config).unwrap();
    let endpoints = Endpoints::new(&config, &catalog, Default::default()).unwrap();
    Router::new(&catalog, endpoints, &config, Arc::new(SystemClock)).unwrap()
}

fn request(model: &str, provider: Value) -> ChatRequest {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(30);
    serde_json::from_value(json!({"model": model, "max_tokens": 500, "provider": provider, "messages": [
        {"role": "system", "content": "You are terse."}, {"role": "user", "content": text}]}))
    .unwrap()
}

/// Times many decisions; prints the median and the 99th percentile, and what of the latter the machine adds to anything
/// that takes as long: interrupts, which a virtual machine has at every tick. Between decisions arithmetic of the same
/// length is timed for that. The goal is for what is measured, the machine's part included.
fn measure(router: &Router, what: &str, provider: Value, routes: usize, goal: f64, model: &str) {
    let request = request(model, provider);
    let terms = request.terms();
    assert_eq!(router.plan(&terms, &request).unwrap().routes.len(), routes, "{what}");
    let decide = || {
        let started = Instant::now();
        let plan = black_box(router.plan(black_box(&terms), black_box(&request)));
        let taken = started.elapsed();
        drop(plan);
        taken.as_secs_f64() * 1e6
    };
    let (typical, _) = shares((0..1000).map(|_| decide()).collect());
    let mut steps = 1000;
    for _ in 0..5 {
        let (took, _) = shares((0..200).map(|_| arithmetic(steps)).collect());
        steps = (steps as f64 * typical / took) as u64;
    }
    let (decisions, same): (Vec<_>, Vec<_>) = (0..TURNS).map(|_| (decide(), arithmetic(steps))).unzip();
    let ((p50, p99), (same_p50, same_p99)) = (shares(decisions), shares(same));
    let machine = same_p99 - same_p50;
    let told = if p99 <= goal { "met" } else { "NOT MET" };
    println!(
        "{what:<44} p50 {p50:>6.2} µs   p99 {p99:>6.2} µs, the machine {machine:>5.2} of it   goal ≤ {goal:>5.1}   {told}"
    );
}

/// Microseconds that so many dependent multiplications take.
fn arithmetic(steps: u64) -> f64 {
    let started = Instant::now();
    let mut state = black_box(1u64);
    for _ in 0..steps {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    black_box(state);
    started.elapsed().as_secs_f64() * 1e6
}

/// Median and 99th percentile.
fn shares(mut taken: Vec<f64>) -> (f64, f64) {
    taken.sort_by(f64::total_cmp);
    (taken[taken.len() / 2], taken[taken.len() * 99 / 100])
}

fn main() {
    let router = router();
    measure(&router, "a backend that is named", json!("provider-7"), 1, PLAIN_US, "made/up");
    measure(&router, "provider/model", Value::Null, 1, PLAIN_US, "provider-7/made/up");
    measure(&router, "200 candidates: no preferences", Value::Null, CANDIDATES, DECISION_US, "made/up");
    for policy in POLICIES {
        let what = format!("200 candidates: {}", policy.name);
        measure(&router, &what, json!({"policy": policy.name}), CANDIDATES, DECISION_US, "made/up");
    }
    let many = json!({"order": ["provider-150", "provider-3"], "ignore": ["provider-1", "provider-2", "provider-199"],
        "zdr": true, "data_collection": "deny", "max_price": {"prompt": 1, "completion": 3}, "sort": "price",
        "preferred_max_latency": {"p90": 3}});
    measure(&router, "200 candidates: many preferences, by price", many, CANDIDATES - 3, DECISION_US, "made/up");
    answered(&router);
    for policy in ["fastest", "balanced"] {
        let what = format!("200 that have answered before: {policy}");
        measure(&router, &what, json!({"policy": policy}), CANDIDATES, DECISION_US, "made/up");
    }
}

/// Every backend has answered some calls, so that there is more to look up of it.
fn answered(router: &Router) {
    let request = request("made/up", Value::Null);
    let plan = router.plan(&request.terms(), &request).unwrap();
    for (i, route) in plan.routes.iter().enumerate() {
        for call in 0..20 {
            let now = tokio::time::Instant::now();
            let first_token = Duration::from_millis((100 + i * 7 % 90 + call) as u64);
            let sample = Sample { first_token, rest: first_token * 9, tokens: Some(200), cached_share: Some(0.25) };
            route.target.track.depart(now, false).unwrap().succeeded(now, Some(sample));
        }
    }
}
