//! Plans over small configurations.

use super::*;
use crate::backend::Endpoints;
use crate::clock::SystemClock;
use crate::types::{ChatRequest, Config};
use serde_json::{Value, json};

pub(super) fn router(config: Value) -> Result<Router> {
    let config = Config::parse(&config.to_string())?;
    let catalog = Catalog::builtin();
    let endpoints = Endpoints::new(&config, &catalog, Default::default())?;
    Router::new(&catalog, endpoints, &config, Arc::new(SystemClock))
}

pub(super) fn ask(request: Value) -> ChatRequest {
    let mut request = request;
    request["messages"] = json!([{"role": "user", "content": "Where is Bern?"}]);
    serde_json::from_value(request).unwrap()
}

/// `provider/model` of all routes; those after one kind of failure with that kind before them.
fn goes(router: &Router, request: Value) -> Result<Vec<String>> {
    let request = ask(request);
    let plan = router.plan(&request.terms(), &request)?;
    let told = |r: Route<'_>| match r.on {
        RouteOn::Any => format!("{}/{}", r.target.endpoint.id(), r.target.model),
        on => format!("{}: {}/{}", on.field(), r.target.endpoint.id(), r.target.model),
    };
    Ok(plan.routes.iter().map(told).collect())
}

pub(super) fn providers(router: &Router, request: Value) -> Vec<String> {
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

#[test]
fn what_a_model_takes_is_known_from_the_catalogue_alone() {
    let router = router(json!({"use_environment": false, "providers": {
        "mine": {"base_url": "http://127.0.0.1:1/v1", "models": {"gpt-5-mini": "deployed"}},
    }}))
    .unwrap();
    let takes = |model: &str, provider: Option<&str>| router.modalities(model, provider);
    assert_eq!(takes(MODEL, None), Some(vec!["text".to_owned()]));
    assert_eq!(takes("groq/openai/gpt-oss-120b", None), takes(MODEL, Some("groq")));
    assert!(takes("openai/gpt-5-mini", None).unwrap().contains(&"image".to_owned()));
    for (model, provider) in
        [("mine/gpt-5-mini", None), ("gpt-5-mini", Some("mine")), ("mine/other", None), ("nobody-knows", None)]
    {
        assert_eq!(takes(model, provider), None, "{model}");
    }
}
