//! Plans over small configurations.

use super::*;
use crate::backend::Endpoints;
use crate::clock::SystemClock;
use crate::types::{ChatRequest, Config};
use serde_json::{Value, json};

fn router(config: Value) -> Result<Router> {
    let config: Config = serde_json::from_value(config).unwrap();
    let catalog = Catalog::builtin();
    let endpoints = Endpoints::new(&config, &catalog, Default::default())?;
    Router::new(&catalog, endpoints, &config, Arc::new(SystemClock))
}

fn ask(request: Value) -> ChatRequest {
    let mut request = request;
    request["messages"] = json!([{"role": "user", "content": "Where is Bern?"}]);
    serde_json::from_value(request).unwrap()
}

/// `provider/model` of all routes; those after one kind of failure with that kind before them.
fn goes(router: &Router, request: Value) -> Result<Vec<String>> {
    let request = ask(request);
    let plan = router.plan(&request.terms(), &request)?;
    let told = |r: &Route| match r.on {
        RouteOn::Any => format!("{}/{}", r.target.endpoint.id(), r.target.model),
        on => format!("{}: {}/{}", on.field(), r.target.endpoint.id(), r.target.model),
    };
    Ok(plan.routes.iter().map(told).collect())
}

fn providers(router: &Router, request: Value) -> Vec<String> {
    let all = goes(router, request).unwrap();
    all.iter().map(|route| route.split('/').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_is_remembered_of_a_model_depends_on_the_provider_named() {
    let router = router(json!({"use_environment": false, "providers": {
        "one": {"base_url": "http://127.0.0.1:1/v1", "models": {"m": "m-at-one"}},
        "two": {"base_url": "http://127.0.0.1:2/v1", "models": {"m": "m-at-two"}},
    }}))
    .unwrap();
    let sent = |provider: Option<&str>, model: &str| goes(&router, json!({"model": model, "provider": provider}));
    // Twice: what was made, then what was remembered.
    for _ in 0..2 {
        assert_eq!(sent(Some("one"), "m").unwrap(), ["one/m-at-one"]);
        assert_eq!(sent(Some("two"), "m").unwrap(), ["two/m-at-two"]);
        assert_eq!(sent(None, "two/m").unwrap(), ["two/m-at-two"]);
        assert!(sent(None, "m").is_err());
        assert!(sent(Some(""), "m").is_err());
    }
}

const MODEL: &str = "openai/gpt-oss-120b";

/// Four backends of one model, in the catalogue's order: together 0.15/0.6 USD, groq 0.15/0.6, novita 0.05/0.25, deepinfra
/// 0.037/0.17.
fn four(more: Value) -> Result<Router> {
    let mut config = json!({"use_environment": false, "providers": {
        "together": {"api_key": "k", "zdr": true}, "groq": {"api_key": "k", "data_collection": "deny", "zdr": true},
        "novita": {"api_key": "k", "data_collection": "allow", "zdr": false, "quantization": "fp8"},
        "deepinfra": {"api_key": "k", "quantization": "bf16"},
    }});
    for (name, value) in more.as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    router(config)
}

#[test]
fn preferences_filter_and_order() {
    let router = four(json!({})).unwrap();
    for (provider, want) in [
        (json!({}), "together groq novita deepinfra"),
        (json!({"order": ["deepinfra", "groq"]}), "deepinfra groq together novita"),
        (json!({"order": ["deepinfra", "groq"], "allow_fallbacks": false}), "deepinfra groq"),
        (json!({"allow_fallbacks": false}), "together"),
        (json!({"only": ["novita-ai", "GROQ"]}), "groq novita"),
        (json!({"ignore": ["together"], "only": ["groq", "together"]}), "groq"),
        (json!({"data_collection": "allow"}), "together groq novita deepinfra"),
        (json!({"data_collection": "deny"}), "groq"),
        (json!({"zdr": true}), "together groq"),
        (json!({"quantizations": ["fp8", "bf16"]}), "novita deepinfra"),
        (json!({"quantizations": ["fp8", "unknown"]}), "together groq novita"),
        (json!({"order": ["deepinfra/bf16", "novita/int4"]}), "deepinfra together groq novita"),
        (json!({"only": ["deepinfra/fp8", "novita/fp8"]}), "novita"),
        (json!({"sort": "price"}), "deepinfra novita together groq"),
        (json!({"sort": "price", "order": ["groq"]}), "groq deepinfra novita together"),
        (json!({"policy": "cheapest", "ignore": ["deepinfra"]}), "novita together groq"),
        (json!({"max_price": {"prompt": 0.05}}), "novita deepinfra"),
        (json!({"max_price": {"prompt": "0.15", "completion": 0.6}}), "together groq novita deepinfra"),
        (json!({"max_price": {"completion": 0.2499999}}), "deepinfra"),
        (json!({"max_price": {"image": 0.001}}), "together groq novita deepinfra"),
        (json!({"require_parameters": true}), "together groq novita deepinfra"),
    ] {
        assert_eq!(providers(&router, json!({"model": MODEL, "provider": provider})).join(" "), want, "{provider}");
    }
}

#[test]
fn suffixes_choose_policies() {
    let router = four(json!({})).unwrap();
    for (suffix, want) in [
        (":cheapest", "deepinfra novita together groq"),
        (":floor", "deepinfra novita together groq"),
        (":preferred", "together groq novita deepinfra"),
        (":groq", "groq"),
        (":nitro", "together groq novita deepinfra"),
    ] {
        let model = format!("{MODEL}{suffix}");
        assert_eq!(providers(&router, json!({"model": model})).join(" "), want, "{suffix}");
    }
    // What the request says outranks the suffix, the suffix the configuration.
    let asked = json!({"model": format!("{MODEL}:cheapest"), "provider": {"policy": "ordered"}});
    assert_eq!(providers(&router, asked)[0], "together");
    let router = four(json!({"routing": {"policy": "cheapest"}})).unwrap();
    assert_eq!(providers(&router, json!({"model": MODEL}))[0], "deepinfra");
    assert_eq!(providers(&router, json!({"model": format!("{MODEL}:preferred")}))[0], "together");
}

#[test]
fn parameters_that_are_required_must_be_known_to_be_taken() {
    let router = router(json!({"use_environment": false, "providers": {
        "groq": {"api_key": "k"}, "together": {"api_key": "k"},
        "lab": {"base_url": "http://127.0.0.1:1/v1"},
        "twin": {"base_url": "http://127.0.0.1:2/v1", "like": "openai"}}}))
    .unwrap();
    let go = |models: Value, more: Value| {
        let mut request = json!({"models": models, "provider": {"require_parameters": true}});
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        goes(&router, request)
    };
    // Groq refuses log probabilities.
    let all = go(json!([MODEL]), json!({"logprobs": true})).unwrap();
    assert_eq!(all, ["together/openai/gpt-oss-120b"]);
    let own = json!(["lab/m", "twin/m"]);
    assert_eq!(go(own.clone(), json!({})).unwrap(), ["lab/m", "twin/m"]);
    assert_eq!(go(own.clone(), json!({"temperature": 1})).unwrap(), ["twin/m"], "nothing is known of the other");
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    let error = go(own, tools).unwrap_err();
    assert!(error.message().contains("whether the model honours `tools` is unknown"), "{error}");
}

#[test]
fn nobody_left_is_an_error_that_names_each_and_why() {
    let router = four(json!({})).unwrap();
    let refused = |provider: Value| goes(&router, json!({"model": MODEL, "provider": provider})).unwrap_err();
    let error = refused(json!({"only": ["groq"], "data_collection": "deny", "ignore": ["groq"]}));
    assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some("provider")));
    let told = &error.body().details["candidates"];
    let by: Vec<&str> = told.as_array().unwrap().iter().map(|c| c["filtered_by"].as_str().unwrap()).collect();
    // Those without a key are outside `only`, too.
    assert_eq!(by.iter().filter(|f| **f == "ignore").count(), 1);
    assert_eq!(by.iter().filter(|f| **f == "only").count(), by.len() - 1);
    assert!(error.message().contains("`groq` is in `ignore`") && error.message().contains("novita"), "{error}");

    let error = refused(json!({"max_price": {"prompt": 0.01}, "only": ["groq", "novita"]}));
    let cheapest = "The cheapest offer that only `max_price` leaves out is novita/openai/gpt-oss-120b, at 0.05 USD";
    assert!(error.message().contains(cheapest), "{error}");
    assert!(error.message().contains("0.05 USD, more than 0.01"), "{error}");

    let error = refused(json!({"max_price": {"request": 1}}));
    assert!(error.message().contains("price per request is unknown"), "{error}");
    let error = refused(json!({"zdr": true, "only": ["deepinfra"]}));
    assert!(error.message().contains("`providers.deepinfra` of the configuration can tell"), "{error}");
    let error = refused(json!({"only": ["gorq"]}));
    assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::NotFound, Some("provider.only")));
    assert!(error.message().contains("`groq`"), "{error}");
    let error = refused(json!({"policy": "chepest"}));
    assert!(error.message().contains("did you mean `cheapest`?"), "{error}");
    assert_eq!(error.body().param.as_deref(), Some("provider.policy"));
    assert_eq!(refused(json!({"policy": "cheapest", "sort": "price"})).kind(), ErrorKind::InvalidRequest);
    // A key is what is missing here, whatever else was left out.
    assert_eq!(refused(json!({"only": ["cerebras"]})).kind(), ErrorKind::Authentication);
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_where_it_stands() {
    for (more, path, said) in [
        (json!({"routing": {"policy": "fastets"}}), "routing.policy", "did you mean `fastest`?"),
        (json!({"providers": {"groq": {"weight": -1}}}), "providers.groq.weight", "-1"),
        (json!({"providers": {"groq": {"weight": 1e9}}}), "providers.groq.weight", "1000000"),
        (json!({"prices": {"groq/m": {"input": "-1", "output": "1"}}}), "prices.groq/m.input", "-1"),
        (json!({"prices": {"groq/m": {"input": "1", "output": "1", "request": "x"}}}), "prices.groq/m.request", "x"),
        (json!({"routing": {"fallbacks": {"groq/m": {"any": ["groq/m"]}}}}), "routing.fallbacks.groq/m.any", "circle"),
    ] {
        let error = four(more).err().unwrap();
        assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidConfig, Some(path)));
        assert!(error.message().contains(said), "{error}");
    }
}

#[test]
fn several_models_one_after_the_other_or_together() {
    let router = router(json!({"use_environment": false,
        "providers": {"groq": {"api_key": "k"}, "novita": {"api_key": "k"}, "lab": {"base_url": "http://127.0.0.1:1/v1"}},
        "prices": {"lab/m": {"input": "0.1", "output": "0.1"}}}))
    .unwrap();
    let models = json!([MODEL, "lab/m", "groq/openai/gpt-oss-120b"]);
    let go = |sort: Value| providers(&router, json!({"models": models, "provider": {"sort": sort}})).join(" ");
    assert_eq!(go(json!("price")), "novita groq lab");
    assert_eq!(go(json!({"by": "price", "partition": "model"})), "novita groq lab");
    assert_eq!(go(json!({"by": "price", "partition": "none"})), "lab novita groq", "cheap answers count here");
    let one =
        json!({"models": models, "provider": {"sort": {"by": "price", "partition": "none"}, "allow_fallbacks": false}});
    assert_eq!(providers(&router, one), ["lab"]);
}

#[test]
fn fallbacks_come_after_their_kind_of_failure_and_under_the_same_filters() {
    let config = json!({"use_environment": false,
        "providers": {"groq": {"api_key": "k", "zdr": true}, "novita": {"api_key": "k"},
            "lab": {"base_url": "http://127.0.0.1:1/v1", "zdr": true}},
        "routing": {"fallbacks": {
            "groq/a": {"any": ["novita/b"], "rate_limited": ["lab/c"]},
            "novita/b": {"unavailable": ["lab/d"]}}}});
    let router = router(config).unwrap();
    let all = ["groq/a", "novita/b", "context_length: lab/x", "rate_limited: lab/c", "unavailable: lab/d"];
    let long = json!({"context_length": ["lab/x"]});
    assert_eq!(goes(&router, json!({"model": "groq/a", "fallbacks": long})).unwrap(), all);
    let held = ["groq/a", "content_filtered: lab/e", "rate_limited: lab/c", "unavailable: lab/d"];
    let told = json!({"content_filtered": ["lab/e", "novita/f"]});
    let request = json!({"model": "groq/a", "fallbacks": told, "provider": {"zdr": true}});
    assert_eq!(goes(&router, request).unwrap(), held, "novita is not known to retain nothing");
    let wrong = json!({"model": "groq/a", "fallbacks": {"rate_limited": ["groq/b", "opnai/gpt-5"]}});
    assert_eq!(goes(&router, wrong).unwrap_err().body().param.as_deref(), Some("fallbacks.rate_limited[1]"));
    // Nobody is asked at once: fallbacks alone are no plan.
    let request = json!({"model": "novita/b", "fallbacks": {"unavailable": ["lab/d"]}, "provider": {"zdr": true}});
    assert_eq!(goes(&router, request).unwrap_err().kind(), ErrorKind::InvalidRequest);
}

#[test]
fn preferences_from_outside_hold_beside_those_of_the_request() {
    let router = four(json!({})).unwrap();
    let outer: Box<crate::types::ProviderPreferences> =
        serde_json::from_value(json!({"zdr": true, "order": ["groq"], "sort": "price"})).unwrap();
    let go = |request: Value| {
        let request = ask(request);
        let terms = Terms { within: Some(&outer), ..request.terms() };
        router.plan(&terms, &request).map(|p| p.routes.iter().map(|r| r.target.endpoint.id().to_owned()).collect())
    };
    let both: Vec<String> = go(json!({"model": MODEL})).unwrap();
    assert_eq!(both, ["together", "groq"], "its filters hold, its order is its own");
    assert_eq!(go(json!({"model": MODEL, "provider": {"ignore": ["together"]}})).unwrap(), ["groq"]);
    assert_eq!(go(json!({"model": MODEL, "provider": "groq"})).unwrap(), ["groq"]);
    assert_eq!(go(json!({"model": MODEL, "provider": "novita"})).unwrap_err().kind(), ErrorKind::InvalidRequest);
}

#[test]
fn an_explanation_tells_who_was_considered_and_why() {
    let router = four(json!({})).unwrap();
    let request = ask(json!({"model": MODEL, "max_tokens": 100, "provider": {"sort": "price", "ignore": ["novita"]}}));
    let told = router.explain(&request.terms(), &request).unwrap();
    assert_eq!(told.policy, "price");
    assert_eq!(told.order[0], "deepinfra/openai/gpt-oss-120b");
    let first = &told.candidates[0];
    // Fourteen bytes of text are four tokens.
    assert_eq!(first.expected_cost_usd.as_deref(), Some("0.000017148"));
    assert_eq!((first.score, first.health.as_str(), first.ttft_ms), (Some(17_148_000), "closed", None));
    let by = |id: &str| told.candidates.iter().find(|c| c.provider == id).unwrap();
    assert_eq!(by("novita").filtered_by.as_deref(), Some("ignore"));
    assert_eq!((by("cerebras").filtered_by.as_deref(), by("cerebras").score), (Some("key"), None));
    assert!(by("cerebras").reason.as_deref().unwrap().contains("CEREBRAS_API_KEY"));
    assert!(by("novita").expected_cost_usd.is_some());
    let plan = router.plan(&Terms { explain: true, ..request.terms() }, &request).unwrap();
    assert_eq!(*plan.explanation.unwrap(), told);
    assert!(router.plan(&request.terms(), &request).unwrap().explanation.is_none());

    let request = ask(json!({"model": MODEL, "provider": {"max_price": {"prompt": 0}}}));
    let told = router.explain(&request.terms(), &request).unwrap();
    assert!(told.order.is_empty() && told.refused.unwrap().message.contains("cheapest offer"));
    let request = ask(json!({"model": "gpt-55-mini"}));
    assert_eq!(router.explain(&request.terms(), &request).unwrap_err().kind(), ErrorKind::NotFound);
}

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
    let paid: BTreeMap<String, Price> = prices
        .iter()
        .map(|(name, p)| (name.clone(), Price::configured(&serde_json::from_value(p.clone()).unwrap(), "x").unwrap()))
        .collect();

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
        let cost = |name: &str| u128::from(paid[name].expected(prompt, 0, output, 0));
        let plan = router.plan(&request.terms(), &request).unwrap();
        chosen += cost(&format!("{}/m", plan.routes[0].target.endpoint.id()));
        oracle += paid.keys().map(|name| cost(name)).min().unwrap();
        dearest += paid.keys().map(|name| cost(name)).max().unwrap();
    }
    let share = (dearest - chosen) as f64 / (dearest - oracle) as f64;
    println!("saved {share:.4} of what an oracle would");
    assert!(share >= 0.98, "{share}");
    assert!(chosen >= oracle && share < 1.0, "somebody who does not know cannot always be right");
}
