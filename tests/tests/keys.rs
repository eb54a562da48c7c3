//! Keys from callables: asked before every request, so that they may rotate.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use interfuse::backend::{AwsKeys, Key, KeySource, KeySources};
use interfuse::secret::Secret;
use interfuse::types::{ChatRequest, Config, Message, UsageQuery};
use interfuse::{Client, Error, ErrorKind, Result};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

fn client(providers: Value, name: &str, source: impl KeySource + 'static) -> Result<Client> {
    let config = json!({"use_environment": false, "providers": providers, "retries": {"base_ms": 1, "max_ms": 2}});
    Client::with_keys(
        serde_json::from_value::<Config>(config).unwrap(),
        KeySources::from([(name.to_owned(), Arc::new(source) as _)]),
    )
}

fn own(up: &Upstream) -> Value {
    json!({"up": {"base_url": format!("{}/v1", up.base_url())}})
}

fn ask() -> ChatRequest {
    ChatRequest::new("up/m", [Message::user("hi")])
}

/// `key-1`, `key-2`, ...
fn rotating() -> impl KeySource {
    let asked = AtomicUsize::new(0);
    move || {
        let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
        async move { Ok(Key::from(format!("key-number-{number}"))) }
    }
}

async fn upstream(then: Value) -> Upstream {
    Upstream::start(json!({"routes": [{ "then": then }]})).await.unwrap()
}

#[tokio::test]
async fn every_request_carries_the_key_of_its_moment() {
    let up = upstream(json!([{"answer": "a"}, {"status": 500, "json": {}}, {"answer": "b"}])).await;
    let client = client(own(&up), "up", rotating()).unwrap();
    client.chat(ask()).await.unwrap();
    client.chat(ask()).await.unwrap();
    let sent: Vec<String> = up.log().iter().map(|entry| entry.headers["authorization"].clone()).collect();
    assert_eq!(sent, ["Bearer key-number-1", "Bearer key-number-2", "Bearer key-number-3"]);
    let info = client.providers().unwrap().into_iter().find(|p| p.id == "up").unwrap();
    assert_eq!((info.ready, info.key_from.as_deref()), (true, Some("callable")));
}

#[tokio::test]
async fn a_refused_key_is_asked_for_once_more_and_never_told() {
    let up = upstream(json!([{"status": 401, "json": {"error": {"message": "bad key"}}}, {"answer": "a"},
        {"status": 401, "json": {"error": {"message": "bad key key-number-4"}}}]))
    .await;
    let client = client(own(&up), "up", rotating()).unwrap();
    client.chat(ask()).await.unwrap();
    assert_eq!(up.log()[1].headers["authorization"], "Bearer key-number-2");
    let error = client.chat(ask()).await.unwrap_err();
    assert_eq!((error.kind(), up.log().len()), (ErrorKind::Authentication, 4));
    assert!(!error.to_json().contains("key-number"), "{error}");
}

#[tokio::test]
async fn a_callable_that_fails_ends_the_call_before_anything_is_sent() {
    let up = upstream(json!({"answer": "a"})).await;
    for (source, told) in [
        (
            Box::new(|| Err(Error::new(ErrorKind::Authentication, "the vault is closed")))
                as Box<dyn Fn() -> Result<Key> + Send + Sync>,
            "the vault is closed",
        ),
        (Box::new(|| Ok(Key::from(""))), "no key"),
        (Box::new(|| Ok(Key::from("line\nbreak"))), "no header can carry"),
        (Box::new(|| Ok(aws())), "AWS keys"),
    ] {
        let client = client(own(&up), "up", move || std::future::ready(source())).unwrap();
        let error = client.chat(ask()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        assert!(error.message().contains(told), "{error}");
        let usage = client.usage(UsageQuery::default()).unwrap().total;
        assert_eq!((usage.attempts, usage.cost_nanos, usage.cost_unknown), (1, 0, 0));
    }
    assert!(up.log().is_empty());
}

fn aws() -> Key {
    Key::Aws(AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: Some(Secret::new("a-session")),
        expires_at: None,
    })
}

#[tokio::test]
async fn keys_of_an_account_sign() {
    let up = upstream(json!({"json": {"embedding": [0.5], "inputTextTokenCount": 1}})).await;
    let bedrock = json!({"bedrock": {"base_url": up.base_url(), "vars": {"region": "eu-west-1"}}});
    let client = client(bedrock, "aws", || async { Ok(aws()) }).unwrap();
    let request = interfuse::types::EmbeddingRequest::new("bedrock/amazon.titan-embed-text-v2:0", "hello");
    client.embeddings(request).await.unwrap();
    let headers = &up.log()[0].headers;
    assert_eq!(headers["x-amz-security-token"], "a-session");
    let signed = &headers["authorization"];
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") && signed.contains("/eu-west-1/bedrock/"));
}

#[tokio::test]
async fn keys_for_a_provider_that_is_not_there_are_a_fault_of_the_configuration() {
    let error = client(json!({}), "opnai", rotating()).err().unwrap();
    assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidConfig, Some("providers.opnai")));
}
