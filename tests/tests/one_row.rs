//! One row, one fixture: a provider that nobody has heard of, added at run time by a document alone.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use interfuse::backend::KeySources;
use interfuse::clock::SystemClock;
use interfuse::engine::Parts;
use interfuse::types::{ChatCompletion, ChatRequest, Config, CostSource};
use interfuse::wire::Assembler;
use interfuse::{Catalog, Client, ErrorKind};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

fn fixture(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/one-row").join(name)).unwrap()
}

/// The embedded catalogue with the document's row.
fn catalog() -> Catalog {
    let own = Catalog::from_documents(Some(&fixture("provider.toml")), None).unwrap();
    assert_eq!(own.providers().unwrap().len(), 1);
    Catalog::builtin().with_provider(own.provider("alpine-ai").unwrap().clone()).unwrap()
}

/// An upstream that answers the recorded request, and it alone, with the recorded answer.
async fn upstream(exchange: &str) -> Upstream {
    let exchanges: Value = serde_json::from_str(&fixture("exchanges.json")).unwrap();
    let (asked, answered) = (&exchanges[exchange]["request"], &exchanges[exchange]["response"]);
    let when = json!({"path": asked["path"], "header": asked["headers"], "body": asked["body"]});
    Upstream::start(json!({"routes": [{"when": when, "then": answered}]})).await.unwrap()
}

fn client(up: &Upstream) -> Client {
    let config: Config = serde_json::from_value(json!({
        "use_environment": false,
        "retries": {"max_retries": 0},
        "providers": {"alpine": {"base_url": format!("{}/{{zone}}/v2", up.base_url()), "api_key": "key-of-alpine",
            "vars": {"zone": "north"}}}
    }))
    .unwrap();
    let (catalog, clock, keys) = (Arc::new(catalog()), Arc::new(SystemClock), KeySources::new());
    Client::with_parts(config, Parts { catalog, transport: None, web: None, ledger: None, clock, keys }).unwrap()
}

fn request(model: &str) -> ChatRequest {
    serde_json::from_value(json!({
        "model": model, "max_completion_tokens": 40, "seed": 7, "user": "u-1", "stream_options": {"include_usage": true},
        "messages": [{"role": "developer", "content": "You are brief."}, {"role": "user", "content": "How high?"}]
    }))
    .unwrap()
}

fn check(answer: &ChatCompletion) {
    let choice = &answer.choices[0];
    assert_eq!((answer.text(), choice.finish_reason.as_deref()), ("4478 m.", Some("stop")));
    assert_eq!(choice.message.reasoning_content.as_deref(), Some("The Matterhorn."));
    assert_eq!(answer.usage.as_ref().map(|usage| usage.total_tokens), Some(17));
    let meta = answer.interfuse.as_ref().unwrap();
    assert_eq!((meta.provider.as_str(), meta.served_by.as_deref()), ("alpine", Some("hut-3")));
    assert_eq!((meta.cost_nanos, meta.cost_source), (Some(21_000), Some(CostSource::Provider)));
    assert_eq!(meta.dropped, ["user"]);
}

#[tokio::test]
async fn a_row_and_a_recording_are_all_that_a_new_provider_needs() {
    let up = upstream("chat").await;
    check(&client(&up).chat(request("alpine/matterhorn-7b")).await.unwrap());
    let body = &up.log()[0].body;
    assert!(body.get("user").is_none() && body.get("seed").is_none(), "{body}");

    let up = upstream("chat-stream").await;
    let mut stream = client(&up).chat_stream(request("alpine/matterhorn-7b")).await.unwrap();
    let (mut assembler, mut meta) = (Assembler::default(), None);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        assembler.add(&chunk);
        meta = chunk.interfuse.or(meta);
    }
    let mut answer = assembler.finish();
    answer.interfuse = meta;
    check(&answer);
    let body = &up.log()[0].body;
    assert!(body.get("stream_options").is_none(), "{body}");

    let up = upstream("error").await;
    let error = client(&up).chat(request("alpine-ai/eiger-1b")).await.unwrap_err();
    assert_eq!((error.kind(), error.body().status), (ErrorKind::NotFound, Some(404)));
    assert!(error.message().contains("no such peak"), "{error}");
    assert_eq!(error.body().provider.as_deref(), Some("alpine"));
}

#[test]
fn the_other_rows_stay() {
    let (with, without) = (catalog(), Catalog::builtin());
    assert_eq!(with.providers().unwrap().len(), without.providers().unwrap().len() + 1);
    assert!(with.provider("groq").is_ok() && without.provider("alpine").is_err());
}
