//! The switch: one unchanged request at every provider that serves a model, only `provider` changed. Whatever wire is
//! spoken there, the caller sees the same answer, the same stream, the same error.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

use interfuse::catalog::{Model, Offer, OfferStatus, Provider};
use interfuse::types::{ChatCompletion, ChatRequest, Config, CostSource, ProviderChoice};
use interfuse::wire::Assembler;
use interfuse::{Catalog, Client, ErrorKind};
use interfuse_tests::parity::scenario::{self, Expect};
use interfuse_tests::switch::{self, Refusal, Said, TOKENS, wire_of};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// What the models say.
const SAID: [Said; 3] = [
    Said { question: "Question one", pieces: &["It is ", "21 degrees", " in Bern."], call: None, cut: false },
    Said {
        question: "Question two",
        pieces: &["Let me ", "look."],
        call: Some(("call_9f", "weather", ["{\"city\":\"Bern ", "on the Aare\"}"])),
        cut: false,
    },
    Said { question: "Question three", pieces: &["It is "], call: None, cut: true },
];

/// What the vendors refuse, and what that is called here.
const REFUSED: [(&str, Refusal, ErrorKind); 3] = [
    ("Question four", Refusal::Key, ErrorKind::Authentication),
    ("Question five", Refusal::Busy, ErrorKind::RateLimited),
    ("Question six", Refusal::Long, ErrorKind::ContextLength),
];

/// Texts that every vendor's request has to carry, in whatever shape.
const CARRIED: [&str; 5] = ["You are brief.", "Is it warm in Thun?", "19 degrees", "weather", "Where to look."];

/// The one request.
fn request(model: &str, provider: &str, question: &str) -> ChatRequest {
    let mut request: ChatRequest = serde_json::from_value(json!({
        "model": model,
        "temperature": 0.5,
        "max_tokens": 300,
        "stop": ["###"],
        "messages": [
            {"role": "system", "content": "You are brief."},
            {"role": "user", "content": "Is it warm in Thun?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_7a", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Thun\"}"}}]},
            {"role": "tool", "tool_call_id": "call_7a", "content": "19 degrees"},
            {"role": "assistant", "content": "Rather."},
            {"role": "user", "content": question}
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "Where to look.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}],
        "stream_options": {"include_usage": true}
    }))
    .unwrap();
    request.provider = Some(ProviderChoice::Name(provider.to_owned()));
    request
}

/// Every provider of the catalogue, moved to the upstream below a path of its own; `more` is laid over.
fn config(base: &str, catalog: &Catalog, more: &Value) -> Config {
    let moved = |row: &Provider| {
        let path = row.base_url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
        let mut given = json!({"base_url": format!("{base}/{}{path}", row.id), "api_key": "key-of-the-switch"});
        let vars: BTreeMap<&str, &str> =
            row.vars.keys().filter(|name| *name != "api_version").map(|name| (name.as_str(), "eu-west-1")).collect();
        given["vars"] = json!(vars);
        given
    };
    let rows = catalog.providers().unwrap();
    let mut providers: BTreeMap<String, Value> = rows.iter().map(|row| (row.id.clone(), moved(row))).collect();
    for (name, fields) in more.as_object().unwrap() {
        let given = providers.get_mut(name).unwrap().as_object_mut().unwrap();
        given.extend(fields.as_object().unwrap().clone());
    }
    let config = json!({"use_environment": false, "providers": providers, "retries": {"max_retries": 0}});
    serde_json::from_value(config).unwrap()
}

/// One place of the switch: who is named, who serves, and whether the catalogue knows a price.
struct Place {
    named: String,
    serves: String,
    priced: bool,
}

/// Every provider that serves a model.
fn places(model: &Model) -> Vec<Place> {
    let offers = model.serves().iter().filter(|(_, offer)| offer.status != OfferStatus::Retired);
    let place = |(named, offer): &(String, Arc<Offer>)| Place {
        named: named.clone(),
        serves: offer.via.clone().unwrap_or_else(|| named.clone()),
        priced: offer.price.is_some(),
    };
    offers.map(place).collect()
}

/// The same answer at every place.
fn check(answer: &ChatCompletion, said: &Said, place: &Place) -> Result<(), String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, seen: Value, wanted: Value| {
        if seen != wanted {
            wrong.push(format!("{what} is {seen}, not {wanted}"));
        }
    };
    let choice = answer.choices.first().ok_or("no choice")?;
    same("the number of choices", json!(answer.choices.len()), json!(1));
    same("the text", json!(answer.text()), json!(said.text()));
    let finish = if said.call.is_some() {
        "tool_calls"
    } else if said.cut {
        "length"
    } else {
        "stop"
    };
    same("finish_reason", json!(choice.finish_reason), json!(finish));
    let calls = choice.message.tool_calls.as_deref().unwrap_or_default();
    let seen: Vec<Value> = calls
        .iter()
        .map(|call| {
            let function = call.function.as_ref();
            let arguments = function.and_then(|f| serde_json::from_str::<Value>(&f.arguments).ok());
            json!({"id": !call.id.is_empty(), "type": call.r#type, "name": function.map(|f| &f.name), "arguments": arguments})
        })
        .collect();
    let wanted = said
        .call
        .map(|(_, name, _)| json!({"id": true, "type": "function", "name": name, "arguments": said.arguments()}));
    same("the tool calls", json!(seen), json!(wanted.into_iter().collect::<Vec<_>>()));
    let usage = answer.usage.as_ref().map(|u| [u.prompt_tokens, u.completion_tokens, u.total_tokens]);
    same("usage", json!(usage), json!([TOKENS.0, TOKENS.1, TOKENS.0 + TOKENS.1]));
    let meta = answer.interfuse.as_ref().ok_or("no `interfuse`")?;
    same("interfuse.provider", json!(meta.provider), json!(place.serves));
    same("interfuse.attempts", json!(meta.attempts.len()), json!(1));
    let known = [meta.cost_nanos.is_some(), meta.cost_usd.is_some(), meta.cost_source == Some(CostSource::Catalog)];
    same("whether the cost is known", json!(known), json!([place.priced, place.priced, place.priced]));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// One request at one place, whole and streamed.
async fn ask(client: &Client, model: &str, place: &Place, said: &Said) -> Result<(), String> {
    let request = request(model, &place.named, said.question);
    let whole = client.chat(request.clone()).await.map_err(|e| format!("whole: {e}"))?;
    check(&whole, said, place).map_err(|why| format!("whole: {why}"))?;

    let mut stream = client.chat_stream(request).await.map_err(|e| format!("streamed: {e}"))?;
    let (mut assembler, mut meta) = (Assembler::default(), Vec::new());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| format!("streamed: {e}"))?;
        assembler.add(&chunk);
        meta.extend(chunk.interfuse);
    }
    let mut streamed = assembler.finish();
    if meta.len() != 1 {
        return Err(format!("streamed: {} chunks have `interfuse`", meta.len()));
    }
    streamed.interfuse = meta.pop();
    check(&streamed, said, place).map_err(|why| format!("streamed: {why}"))?;
    let cost = |answer: &ChatCompletion| answer.interfuse.as_ref().and_then(|meta| meta.cost_nanos);
    if cost(&whole) != cost(&streamed) {
        return Err("the stream costs something else than the whole answer".to_owned());
    }
    Ok(())
}

/// The same kind of error at every place, whole and streamed.
async fn refuse(client: &Client, model: &str, place: &Place, question: &str, kind: ErrorKind) -> Result<(), String> {
    let request = request(model, &place.named, question);
    let whole = client.chat(request.clone()).await.err();
    let streamed = client.chat_stream(request).await.err();
    for error in [whole, streamed] {
        let error = error.ok_or("no error")?;
        if error.kind() != kind || error.body().provider.as_deref() != Some(place.serves.as_str()) {
            return Err(format!("wanted {kind:?} of {}, got {:?}: {error}", place.serves, error.kind()));
        }
    }
    Ok(())
}

/// An upstream that speaks every wire.
async fn upstream() -> Upstream {
    let refused: Vec<(&str, Refusal)> = REFUSED.iter().map(|(question, refusal, _)| (*question, *refusal)).collect();
    Upstream::start(json!({"routes": switch::routes(&SAID, &refused)})).await.unwrap()
}

/// Every case at the given places; what went wrong, by model and provider.
async fn every_case(client: &Client, model: &str, places: &[Place]) -> Vec<String> {
    let mut failed = Vec::new();
    for place in places {
        let mut tell = |case: &str, outcome: Result<(), String>| {
            if let Err(why) = outcome {
                failed.push(format!("{model} at {} ({case}): {why}", place.named));
            }
        };
        for said in &SAID {
            tell(said.question, ask(client, model, place, said).await);
        }
        for (question, _, kind) in REFUSED {
            tell(question, refuse(client, model, place, question, kind).await);
        }
    }
    failed
}

/// The wires that were spoken, per provider; every request carried the whole conversation.
fn spoken(up: &Upstream) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut spoken: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for entry in up.log() {
        assert!(entry.route.is_some(), "no route for {}", entry.path);
        let body = entry.body.to_string();
        for text in CARRIED {
            assert!(body.contains(text), "`{text}` is missing at {}: {body}", entry.path);
        }
        let provider = entry.path.split('/').nth(1).unwrap_or_default().to_owned();
        spoken.entry(provider).or_default().extend(wire_of(&entry.path));
    }
    spoken
}

/// Past libtest's capture: how much was compared must be seen in a passing run, too.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_at_every_provider_that_serves_the_model() {
    let catalog = Catalog::builtin();
    let up = upstream().await;
    let client = Client::from_config(config(up.base_url(), &catalog, &json!({}))).unwrap();
    let (mut models, mut pairs, mut runs) = (0, 0, JoinSet::new());
    for model in catalog.models().unwrap().rows() {
        let places = places(model);
        if places.len() > 1 {
            models += 1;
            pairs += places.len();
            let (client, id) = (client.clone(), model.id.clone());
            runs.spawn(async move { every_case(&client, &id, &places).await });
        }
    }
    let failed = runs.join_all().await.concat();
    assert!(failed.is_empty(), "{} at {pairs} places:\n{}", failed.len(), failed.join("\n"));
    let (spoken, cases) = (spoken(&up), SAID.len() + REFUSED.len());
    let wires: BTreeSet<&str> = spoken.values().flatten().copied().collect();
    let providers = spoken.len();
    say(&format!(
        "switch: {models} models at {pairs} places of {providers} providers, {cases} cases, each whole and streamed, \
         {wires:?}"
    ));
    assert!(models >= 20, "{models} models");
    // Ollama's own wire is spoken by servers of one's own, below.
    assert_eq!(wires.len(), switch::DIALECTS.len() - 1, "{wires:?}");
}

/// Ways in that the catalogue's models do not name, and servers of one's own: what is set for them, the model, who is named, and the wire.
const DOORS: &[(&str, &str, &str, &str)] = &[
    ("{\"azure\": {\"vars\": {\"api_version\": \"2024-10-21\"}}}", "gpt-5-mini", "azure", "openai-chat"),
    ("{\"azure\": {\"vars\": {\"api_version\": \"2024-10-21\"}}}", "claude-haiku-4.5", "azure", "anthropic"),
    ("{}", "gemini-2.5-flash", "vertex-express", "gemini"),
    ("{}", "gemini-2.5-flash", "gemini-openai", "openai-chat"),
    ("{}", "claude-haiku-4.5", "anthropic-openai", "openai-chat"),
    ("{}", "openai.gpt-oss-20b-1:0", "bedrock-openai", "openai-chat"),
    ("{}", "gpt-oss:20b", "ollama-cloud", "openai-chat"),
    ("{}", "gpt-oss:20b", "ollama", "openai-chat"),
    ("{}", "gpt-oss:20b", "ollama-native", "ollama"),
    ("{}", "gpt-oss-20b", "llama.cpp", "openai-chat"),
    ("{}", "openai/gpt-oss-20b", "vllm", "openai-chat"),
    ("{}", "openai/gpt-oss-20b", "lmstudio", "openai-chat"),
];

#[tokio::test(flavor = "multi_thread")]
async fn and_at_other_doors_and_at_servers_of_ones_own() {
    let catalog = Catalog::builtin();
    for (more, model, provider, wire) in DOORS {
        let up = upstream().await;
        let client = Client::from_config(config(up.base_url(), &catalog, &serde_json::from_str(more).unwrap()));
        let priced = catalog.price(provider, model).is_some();
        let place = Place { named: (*provider).to_owned(), serves: (*provider).to_owned(), priced };
        let failed = every_case(&client.unwrap(), model, &[place]).await;
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        let wanted = BTreeMap::from([((*provider).to_owned(), BTreeSet::from([*wire]))]);
        assert_eq!(spoken(&up), wanted, "{model} at {provider}");
        let dated = up.log()[0].path.ends_with("?api-version=2024-10-21");
        assert_eq!(dated, *provider == "azure" && *wire == "openai-chat", "{}", up.log()[0].path);
    }
}

/// The scenarios of the switch, which every language plays, are one request and one expectation.
#[test]
fn scenarios_of_the_switch_differ_in_provider_and_upstream_alone() {
    let mut first: BTreeMap<&str, (Value, Expect)> = BTreeMap::new();
    let mut providers = BTreeSet::new();
    for scenario in scenario::all().unwrap().into_iter().filter(|scenario| scenario.name.starts_with("switch_")) {
        let mut request = scenario.request.clone();
        let provider = request.as_object_mut().unwrap().remove("provider").unwrap();
        providers.insert(provider.as_str().unwrap().to_owned());
        let seen = (request, scenario.expect.clone());
        let wanted = first.entry(scenario.op.as_str()).or_insert_with(|| seen.clone());
        assert_eq!(seen, *wanted, "{}", scenario.name);
    }
    assert_eq!((first.len(), providers.len()), (2, 7), "{providers:?}");
}
