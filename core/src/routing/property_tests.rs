//! What holds for any preferences over any backends, and what `cheapest` saves.

use super::tests::{ask, providers, router};
use super::*;
use crate::backend::Endpoints;
use crate::clock::SystemClock;
use crate::types::{ChatRequest, Config};
use serde_json::{Value, json};

/// Backends `p0`, `p1`, ... of one model `made/up`. `price`: of prompt tokens, USD per million; those of the answer cost
/// twice as much. `more`: further settings of a backend.
pub(super) fn crowd(count: usize, price: impl Fn(usize) -> String, more: impl Fn(usize) -> String) -> Router {
    let mut providers = "schema = 1\nas_of = \"2026-01-01\"\n".to_owned();
    let (mut serves, mut config) = (Vec::new(), Vec::new());
    for i in 0..count {
        providers.push_str(&format!(
            "[[provider]]\nid = \"p{i}\"\nname = \"P{i}\"\nkind = \"cloud\"\nwire = \"openai-chat\"\n\
             base_url = \"http://127.0.0.1:{}\"\nkey_vars = []\n",
            i + 1
        ));
        let price = price(i);
        let price = if price.is_empty() {
            String::new()
        } else {
            let output: f64 = price.split('"').next().unwrap().parse().unwrap();
            format!("\"price\": {{\"input\": \"{price}\", \"output\": \"{}\"}},", output * 2.0)
        };
        serves.push(format!(
            "\"p{i}\": {{\"id\": \"m{i}\", {price} \"confidence\": \"high\", \"source\": \"x\", \"as_of\": \"2026-01-01\"}}"
        ));
        config.push(format!("\"p{i}\": {{\"api_key\": \"k\"{}}}", more(i)));
    }
    let models = format!(
        "{{\"schema\": 1, \"as_of\": \"2026-01-01\", \"sources\": [], \"models\": [{{\"id\": \"made/up\", \"vendor\": \"made\",\
         \"open_weights\": true, \"aliases\": [], \"modalities_in\": [\"text\"], \"serves\": {{{}}}}}]}}",
        serves.join(",")
    );
    let catalog = Catalog::from_documents(Some(&providers), Some(&models)).unwrap();
    let config = format!("{{\"use_environment\": false, \"providers\": {{{}}}}}", config.join(","));
    let config: Config = serde_json::from_str(&config).unwrap();
    let endpoints = Endpoints::new(&config, &catalog, Default::default()).unwrap();
    Router::new(&catalog, endpoints, &config, Arc::new(SystemClock)).unwrap()
}

/// The facts of a made-up backend, as the test knows them.
#[derive(Clone)]
struct Facts {
    price: Option<u64>,
    deny: Option<bool>,
    zdr: Option<bool>,
    quantization: Option<&'static str>,
}

/// Random preferences over random backends: what comes out obeys them, as the test reads them, in every policy.
#[test]
fn no_filter_is_ever_violated() {
    let mut rng = fastrand::Rng::with_seed(20_261_128);
    let (mut served, mut refused) = (0, 0);
    for _ in 0..150 {
        let count = rng.usize(1..12);
        let maybe = |rng: &mut fastrand::Rng| [None, Some(true), Some(false)][rng.usize(..3)];
        let facts: Vec<Facts> = (0..count)
            .map(|_| Facts {
                price: (rng.u8(..5) > 0).then(|| rng.u64(1..9)),
                deny: maybe(&mut rng),
                zdr: maybe(&mut rng),
                quantization: [None, Some("fp8"), Some("bf16")][rng.usize(..3)],
            })
            .collect();
        let config = |i: usize| {
            let f = &facts[i];
            let mut more = String::new();
            if let Some(deny) = f.deny {
                more.push_str(&format!(", \"data_collection\": \"{}\"", if deny { "deny" } else { "allow" }));
            }
            if let Some(zdr) = f.zdr {
                more.push_str(&format!(", \"zdr\": {zdr}"));
            }
            if let Some(q) = f.quantization {
                more.push_str(&format!(", \"quantization\": \"{q}\""));
            }
            more
        };
        let router = crowd(count, |i| facts[i].price.map(|p| p.to_string()).unwrap_or_default(), config);
        for _ in 0..25 {
            let names = |rng: &mut fastrand::Rng, share: u8| -> Vec<String> {
                (0..count).filter(|_| rng.u8(..10) < share).map(|i| format!("p{i}")).collect()
            };
            let (only, ignore, order) = (names(&mut rng, 2), names(&mut rng, 1), names(&mut rng, 2));
            let (deny, zdr) = (rng.u8(..4) == 0, rng.u8(..4) == 0);
            let quantizations: &[&str] = [&[][..], &[], &["fp8"], &["bf16", "unknown"]][rng.usize(..4)];
            let max = (rng.u8(..3) == 0).then(|| rng.u64(1..9));
            let mut preferences = json!({
                "only": only, "ignore": ignore, "order": order, "zdr": zdr, "quantizations": quantizations,
                "data_collection": if deny { "deny" } else { "allow" },
                "policy": POLICIES[rng.usize(..POLICIES.len())].name,
            });
            if let Some(max) = max {
                preferences["max_price"] = json!({"prompt": max});
            }
            let outside = rng.bool();
            let may = |i: usize| {
                let (f, name) = (&facts[i], format!("p{i}"));
                (only.is_empty() || only.contains(&name))
                    && !ignore.contains(&name)
                    && (!deny || f.deny == Some(true))
                    && (!zdr || f.zdr == Some(true))
                    && (quantizations.is_empty() || quantizations.contains(&f.quantization.unwrap_or("unknown")))
                    && max.is_none_or(|max| f.price.is_some_and(|price| price <= max))
            };
            let allowed: Vec<String> = (0..count).filter(|i| may(*i)).map(|i| format!("p{i}/m{i}")).collect();
            // The same filters as the request's own, or as those of whoever the call is made for.
            let request = if outside {
                ask(json!({"model": "made/up"}))
            } else {
                ask(json!({"model": "made/up", "provider": preferences}))
            };
            let outer: crate::types::ProviderPreferences = serde_json::from_value(preferences.clone()).unwrap();
            let terms = Terms { within: outside.then_some(&outer), ..request.terms() };
            match router.plan(&terms, &request) {
                Ok(plan) => {
                    served += 1;
                    let ids = plan.routes.iter().map(|r| format!("{}/{}", r.target.endpoint.id(), r.target.model));
                    let mut got: Vec<String> = ids.collect();
                    if !outside {
                        let named = got.iter().take_while(|id| order.iter().any(|o| id.starts_with(&format!("{o}/"))));
                        let in_order = order.iter().filter(|o| allowed.iter().any(|a| a.starts_with(&format!("{o}/"))));
                        assert_eq!(named.count(), in_order.count(), "{preferences}: {got:?}");
                    }
                    got.sort();
                    let mut allowed = allowed;
                    allowed.sort();
                    assert_eq!(got, allowed, "{preferences}");
                }
                Err(error) => {
                    refused += 1;
                    assert!(allowed.is_empty(), "{preferences}: {error}");
                    assert_eq!(error.body().details["candidates"].as_array().map(Vec::len), Some(count));
                }
            }
        }
    }
    assert!(served > 1_000 && refused > 500, "{served} {refused}");
}

#[test]
fn the_cheapest_known_price_goes_first_and_ordered_is_stable() {
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..80 {
        let prices: Vec<Option<u64>> =
            (0..rng.usize(1..20)).map(|_| (rng.u8(..4) > 0).then(|| rng.u64(1..6))).collect();
        let router = crowd(prices.len(), |i| prices[i].map(|p| p.to_string()).unwrap_or_default(), |_| String::new());
        let places = |policy: &str| -> Vec<usize> {
            let all = providers(&router, json!({"model": "made/up", "provider": {"policy": policy}}));
            all.iter().map(|id| id[1..].parse().unwrap()).collect()
        };
        let ordered: Vec<usize> = (0..prices.len()).collect();
        assert_eq!(places("ordered"), ordered);
        let cheapest = places("cheapest");
        for pair in cheapest.windows(2) {
            let price = |at: usize| (prices[at].unwrap_or(u64::MAX), at);
            assert!(price(pair[0]) < price(pair[1]), "{prices:?}: {cheapest:?}");
        }
    }
}

/// Mixed traffic with answers whose length nobody knows before: what `cheapest` saves over the dearest choice, as a share
/// of what somebody who knows would.
#[test]
fn cheapest_saves_nearly_what_an_oracle_would() {
    let prices: BTreeMap<String, Value> = [
        ("even", "1", "1", None),
        ("prompts", "0.2", "3", Some("0.02")),
        ("answers", "2.4", "0.4", None),
        ("dear", "3", "15", Some("0.3")),
        ("fee", "0.05", "0.05", None),
    ]
    .into_iter()
    .map(|(id, input, output, cached)| {
        let mut price = json!({"input": input, "output": output});
        if let Some(cached) = cached {
            price["cache_read"] = cached.into();
        }
        if id == "fee" {
            price["request"] = "0.002".into();
        }
        (format!("{id}/m"), price)
    })
    .collect();
    let ids: Vec<&str> = prices.keys().map(|name| name.split('/').next().unwrap()).collect();
    let backends: serde_json::Map<String, Value> =
        ids.iter().map(|id| ((*id).to_owned(), json!({"base_url": "http://127.0.0.1:1/v1"}))).collect();
    let router = router(json!({"use_environment": false, "providers": backends, "prices": prices})).unwrap();
    let models: Vec<String> = prices.keys().cloned().collect();
    let paid: BTreeMap<String, Price> =
        prices.iter().map(|(name, p)| (name.clone(), serde_json::from_value(p.clone()).unwrap())).collect();

    let mut rng = fastrand::Rng::with_seed(11);
    let (mut chosen, mut oracle, mut dearest) = (0u128, 0u128, 0u128);
    for _ in 0..3_000 {
        // Prompts from a line to a book; a limit for half of the requests, of which the answer takes a part.
        let words = 1usize << rng.u32(3..14);
        let words = words + rng.usize(..words);
        let limit = rng.bool().then(|| 1u64 << rng.u32(5..12));
        let request = json!({"models": models, "max_tokens": limit,
            "provider": {"sort": {"by": "price", "partition": "none"}}});
        let mut request: ChatRequest = serde_json::from_value(request).unwrap();
        request.messages = vec![crate::types::Message::user("word ".repeat(words))];
        // 1.25 tokens per word are estimated; languages and tokenizers differ by a quarter either way.
        let prompt = words as u64 * rng.u64(94..=156) / 100;
        let output = match limit {
            Some(limit) => limit * rng.u64(50..=100) / 100,
            None => rng.u64(256..2048),
        };
        let cost = |name: &str| u128::from(paid[name].expected(prompt, 0, output, 0).unwrap());
        let plan = router.plan(&request.terms(), &request).unwrap();
        chosen += cost(&format!("{}/m", plan.routes.at(0).target.endpoint.id()));
        oracle += paid.keys().map(|name| cost(name)).min().unwrap();
        dearest += paid.keys().map(|name| cost(name)).max().unwrap();
    }
    let share = (dearest - chosen) as f64 / (dearest - oracle) as f64;
    assert!(share >= 0.98, "{share}");
    assert!(chosen >= oracle && share < 1.0, "somebody who does not know cannot always be right");
}
