//! What calls of one client learn from each other, over sockets: keys that were refused, limits, breakers, answers kept.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use interfuse::types::{ChatRequest, UsageQuery};
use interfuse::{Client, ErrorKind};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

async fn upstream(routes: Value) -> Upstream {
    Upstream::start(json!({"routes": routes})).await.unwrap()
}

fn client(up: &Upstream, provider: Value, more: Value) -> Client {
    let mut row = json!({"base_url": format!("{}/v1", up.base_url())});
    row.as_object_mut().unwrap().extend(provider.as_object().unwrap().clone());
    let mut config = json!({"use_environment": false, "providers": {"up": row}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Client::from_document(&config.to_string()).unwrap()
}

fn ask(more: Value) -> ChatRequest {
    let mut request = json!({"model": "up/m", "messages": [{"role": "user", "content": "Where?"}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(request).unwrap()
}

async fn text(client: &Client, request: ChatRequest) -> String {
    let mut stream = client.chat_stream(request).await.unwrap();
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        text.push_str(chunk.unwrap().text());
    }
    text
}

#[tokio::test]
async fn a_key_that_was_refused_is_not_the_next_calls_first() {
    let up = upstream(json!([
        {"when": {"header": {"authorization": "Bearer dead-key"}}, "then": {"status": 401, "json": {"error": {"message": "no"}}}},
        {"when": {"header": {"authorization": "Bearer live-key"}}, "then": {"answer": "Bern."}}
    ]))
    .await;
    let keys = json!({"keys": [
        {"name": "dead", "api_key": "dead-key"}, {"name": "live", "api_key": "live-key", "weight": 0}
    ]});
    let client = client(&up, keys, json!({}));
    let attempts = async || client.chat(ask(json!({}))).await.unwrap().interfuse.unwrap().attempts.len();
    assert_eq!((attempts().await, attempts().await, attempts().await), (2, 1, 1));
}

#[tokio::test]
async fn keys_share_the_calls_by_weight_and_a_busy_one_leaves_them_to_the_others() {
    let busy = json!({"status": 429, "headers": {"retry-after": "30"}, "json": {"error": {"message": "slow down"}}});
    let up = upstream(json!([
        {"when": {"header": {"authorization": "Bearer key-one"}}, "then": [{"answer": "one"}, busy]},
        {"when": {"header": {"authorization": "Bearer key-two"}}, "then": {"answer": "two"}}
    ]))
    .await;
    let keys = json!({"keys": [{"name": "one", "api_key": "key-one", "weight": 1000000}, {"name": "two", "api_key": "key-two"}]});
    let client = client(&up, keys, json!({}));
    let call = async || {
        let answer = client.chat(ask(json!({}))).await.unwrap();
        (answer.choices[0].message.content.clone().unwrap(), answer.interfuse.unwrap().attempts.len())
    };
    assert_eq!(call().await, ("one".to_owned(), 1));
    assert_eq!(call().await, ("two".to_owned(), 2), "it rotates");
    assert_eq!(call().await, ("two".to_owned(), 1), "and the busy one is left in peace for as long as it asked");
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_may_be_and_waiting_has_an_end() {
    let up = upstream(json!([{"then": {"delay_ms": 300, "answer": "Bern."}}])).await;
    let limits = json!({"api_key": "a-key-of-up", "limits": {"concurrency": 2}});
    let client = client(&up, limits, json!({"timeouts": {"pool_wait_ms": 30_000}}));
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.chat(ask(json!({}))).await.map(drop) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let log = up.settled(Duration::from_secs(5)).await;
    assert_eq!(log.len(), 6);

    // Two calls hold both places for longer than a third may wait.
    let holding: Vec<_> = (0..2)
        .map(|_| {
            tokio::spawn({
                let client = client.clone();
                async move { client.chat(ask(json!({}))).await }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = client.chat(ask(json!({"timeouts": {"pool_wait_ms": 20}}))).await.unwrap_err();
    assert_eq!((error.kind(), &error.body().details["timeout"]), (ErrorKind::Timeout, &json!("pool_wait")));
    for call in holding {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_has_no_room_for_longer_than_the_call_may_take_is_refused_at_once() {
    let up = upstream(json!([{"then": {"answer": "Bern."}}])).await;
    let client = client(&up, json!({"api_key": "a-key-of-up", "limits": {"requests_per_minute": 1}}), json!({}));
    client.chat(ask(json!({}))).await.unwrap();
    let error = client.chat(ask(json!({"timeout_ms": 5_000}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.body().retry_after_ms.unwrap() > 5_000 && error.body().attempts.is_empty(), "{error}");
    assert_eq!(up.log().len(), 1);
}

#[tokio::test]
async fn the_same_request_is_asked_once_streamed_or_not_and_tenants_hear_only_their_own() {
    let up = upstream(json!([{"then": [{"answer": "first"}, {"answer": "second"}]}])).await;
    let client = client(&up, json!({"api_key": "a-key-of-up"}), json!({"cache": {}}));
    let calls: Vec<_> = (0..10)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                match n % 2 {
                    0 => text(&client, ask(json!({}))).await,
                    _ => client.chat(ask(json!({}))).await.unwrap().choices[0].message.content.clone().unwrap(),
                }
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "first");
    }
    assert_eq!(up.log().len(), 1);
    let again = client.chat(ask(json!({}))).await.unwrap().interfuse.unwrap();
    assert_eq!((again.cost_nanos, again.provider.as_str(), again.attempts.len()), (Some(0), "up", 0));
    assert!(again.cached_ms.is_some());
    assert_eq!(text(&client, ask(json!({"tags": {"user": "another"}}))).await, "second");
    assert_eq!(text(&client, ask(json!({"cache": false}))).await, "second");
    assert_eq!(up.log().len(), 3);
    let rows = client.usage(UsageQuery::default()).unwrap();
    assert_eq!(rows.total.attempts, 13, "those that cost nothing are rows, too");
}
