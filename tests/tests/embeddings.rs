//! Embeddings over real sockets: the same retries, fallbacks, deadline, cancellation and ledger as chat.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use interfuse::types::{Config, EmbeddingRequest, EncodingFormat, UsageQuery, Vector};
use interfuse::{Client, ErrorKind};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

async fn upstream(routes: Value) -> Upstream {
    Upstream::start(json!({ "routes": routes })).await.unwrap()
}

fn client(providers: Value, more: Value) -> Client {
    let mut config = json!({"use_environment": false, "providers": providers, "retries": {"base_ms": 1, "max_ms": 2}});
    config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

fn own(up: &Upstream) -> Value {
    json!({"up": {"base_url": format!("{}/v1", up.base_url()), "api_key": "k-1"}})
}

fn answer(numbers: Value) -> Value {
    json!({"json": {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": numbers}],
        "usage": {"prompt_tokens": 1000, "total_tokens": 1000}}})
}

#[tokio::test]
async fn an_answer_tells_who_gave_it_and_what_it_cost() {
    let up = upstream(json!([{"when": {"path": "/v1/embeddings"}, "then": answer(json!([0.5, -0.25]))}])).await;
    let client = client(own(&up), json!({"prices": {"up/m": {"input": "0.02", "output": "0"}}}));
    let mut request = EmbeddingRequest::new("up/m", "hello");
    request.tags = Some([("project".to_owned(), "search".to_owned())].into());
    let answer = client.embeddings(request).await.unwrap();
    assert_eq!(answer.data[0].embedding, Vector::Float(vec![0.5, -0.25]));
    let meta = answer.interfuse.unwrap();
    assert_eq!((meta.provider.as_str(), meta.model.as_str(), meta.attempts.len()), ("up", "m", 1));
    // 1000 x 0.02 USD/M
    assert_eq!((meta.cost_nanos, meta.cost_usd.as_deref()), (Some(20_000), Some("0.00002")));

    let seen = &up.log()[0];
    assert_eq!(seen.headers["authorization"], "Bearer k-1");
    assert_eq!(seen.body, json!({"model": "m", "input": "hello"}));
    let by = UsageQuery { by: vec!["purpose".into(), "project".into()], ..Default::default() };
    let report = client.usage(by).unwrap();
    assert_eq!((report.total.attempts, report.total.prompt_tokens, report.total.cost_nanos), (1, 1000, 20_000));
    assert_eq!(report.rows[0].group["purpose"].as_deref(), Some("embedding"));
    assert_eq!(report.rows[0].group["project"].as_deref(), Some("search"));
}

#[tokio::test]
async fn failures_are_retried_and_lead_to_the_next_model() {
    let up = upstream(json!([
        {"when": {"model": "down"}, "then": {"status": 500, "json": {"error": {"message": "boom"}}}},
        {"when": {"model": "m"}, "then": answer(json!("AACAPwAAAD8="))}
    ]))
    .await;
    let client = client(own(&up), json!({}));
    let mut request = EmbeddingRequest::new("up/down", vec!["hello"]);
    request.models = Some(vec!["up/m".into()]);
    request.max_retries = Some(1);
    let answer = client.embeddings(request.clone()).await.unwrap();
    assert_eq!(answer.data[0].embedding, Vector::Float(vec![1.0, 0.5]));
    let attempts = answer.interfuse.unwrap().attempts;
    let told: Vec<_> = attempts.iter().map(|a| (a.model.as_str(), a.status)).collect();
    assert_eq!(told, [("down", Some(500)), ("down", Some(500)), ("m", None)]);

    request.encoding_format = Some(EncodingFormat::Base64);
    let answer = client.embeddings(request.clone()).await.unwrap();
    assert_eq!(answer.data[0].embedding, Vector::Base64("AACAPwAAAD8=".to_owned()));

    request.models = None;
    // The fifth failure in a row opens the breaker: nothing is tried again.
    let error = client.embeddings(request).await.unwrap_err();
    assert_eq!((error.kind(), error.body().attempts.len()), (ErrorKind::ServerError, 1));
    let usage = client.usage(UsageQuery::default()).unwrap();
    assert_eq!((usage.total.attempts, usage.total.failed), (7, 5));
}

#[tokio::test]
async fn a_deadline_or_a_dropped_call_closes_the_socket_and_is_booked() {
    let up = upstream(json!([{"then": {"steps": [{"stall": true}]}}])).await;
    let client = client(own(&up), json!({}));
    let mut request = EmbeddingRequest::new("up/m", "hello");
    let dropped = tokio::time::timeout(Duration::from_millis(80), client.embeddings(request.clone())).await;
    assert!(dropped.is_err());
    request.timeout_ms = Some(80);
    assert_eq!(client.embeddings(request).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    let log = up.settled(Duration::from_secs(5)).await;
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|l| l.client_closed_ms.is_some()), "{log:?}");
    let by = UsageQuery { by: vec!["outcome".into()], ..Default::default() };
    let outcomes: Vec<_> = client.usage(by).unwrap().rows.into_iter().map(|r| r.group["outcome"].clone()).collect();
    assert_eq!(outcomes, [Some("cancelled".to_owned()), Some("failed".to_owned())]);
}

#[tokio::test]
async fn a_provider_without_embeddings_says_who_has_some_and_costs_nothing() {
    let up = upstream(json!([{"when": {"path": "/v1/embeddings"}, "then": answer(json!([1]))}])).await;
    let mut providers = own(&up);
    providers["groq"] = json!({"base_url": up.base_url(), "api_key": "k-2"});
    let client = client(providers, json!({}));
    let mut request = EmbeddingRequest::new("groq/some-model", "hello");
    let error = client.embeddings(request.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("openai") && error.message().contains("mistral"), "{error}");
    assert_eq!((error.body().cost_nanos, up.log().len()), (Some(0), 0));

    request.models = Some(vec!["up/m".into()]);
    assert_eq!(client.embeddings(request).await.unwrap().interfuse.unwrap().provider, "up");
}

#[tokio::test]
async fn the_model_decides_how_bedrock_embeds() {
    let up = upstream(json!([
        {"when": {"path": "/model/amazon.titan-embed-text-v2%3A0/invoke", "body": {"inputText": "hello"}},
            "then": {"json": {"embedding": [0.5], "inputTextTokenCount": 3}}},
        {"when": {"path": "/model/cohere.embed-multilingual-v3/invoke", "body": {"texts": ["hello"], "input_type": "search_document"}},
            "then": {"headers": {"content-type": "application/json", "x-amzn-bedrock-input-token-count": "4"},
                "json": {"embeddings": {"float": [[0.25]]}, "id": "e", "response_type": "embeddings_by_type"}}}
    ]))
    .await;
    let bedrock = json!({"base_url": up.base_url(), "api_key": "k", "vars": {"region": "us-east-1"}});
    let client = client(json!({"bedrock": bedrock}), json!({}));
    for (model, tokens, number) in [("amazon.titan-embed-text-v2:0", 3, 0.5), ("cohere.embed-multilingual-v3", 4, 0.25)]
    {
        let answer = client.embeddings(EmbeddingRequest::new(format!("bedrock/{model}"), "hello")).await.unwrap();
        assert_eq!(answer.data[0].embedding, Vector::Float(vec![number]), "{model}");
        assert_eq!((answer.usage.unwrap().prompt_tokens, answer.model.as_str()), (tokens, model));
    }
    let error = client.embeddings(EmbeddingRequest::new("bedrock/anthropic.claude", "hello")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn vendors_are_reached_by_their_own_doors() {
    let up = upstream(json!([
        {"when": {"path": "/v1beta/models/gemini-embedding-001:batchEmbedContents", "header": {"x-goog-api-key": "k-g"},
                "body": {"requests": [{"model": "models/gemini-embedding-001"}]}},
            "then": {"json": {"embeddings": [{"values": [0.5]}]}}},
        {"when": {"path": "/v2/embed", "body": {"model": "embed-v4.0", "texts": ["hello"]}},
            "then": {"status": 429, "json": {"id": "x", "message": "trial key limit"}}},
        {"when": {"path": "/openai/deployments/my-ada/embeddings?api-version=2024-10-21", "header": {"api-key": "k-a"}},
            "then": answer(json!([0.25]))}
    ]))
    .await;
    let base = up.base_url();
    let providers = json!({
        "gemini": {"base_url": format!("{base}/v1beta"), "api_key": "k-g"},
        "cohere": {"base_url": base, "api_key": "k-c"},
        "azure": {"base_url": base, "api_key": "k-a", "vars": {"api_version": "2024-10-21"}},
    });
    let client = client(providers, json!({}));
    let ask = |model: &str| {
        let mut request = EmbeddingRequest::new(model, "hello");
        request.max_retries = Some(0);
        client.embeddings(request)
    };
    let answer = ask("gemini/gemini-embedding-001").await.unwrap();
    assert_eq!((&answer.data[0].embedding, answer.usage), (&Vector::Float(vec![0.5]), None));
    assert_eq!(answer.interfuse.unwrap().cost_nanos, None);
    let error = ask("cohere/embed-v4.0").await.unwrap_err();
    assert_eq!((error.kind(), error.body().status), (ErrorKind::RateLimited, Some(429)));
    assert_eq!(ask("azure/my-ada").await.unwrap().data[0].embedding, Vector::Float(vec![0.25]));
}

#[tokio::test]
async fn vertex_is_asked_by_predict() {
    let path = "/v1beta1/projects/p/locations/global/publishers/google/models/text-embedding-005:predict";
    let up = upstream(json!([
        {"when": {"path": path, "header": {"authorization": "Bearer token"}, "body": {"instances": [{"content": "hello"}]}},
            "then": {"json": {"predictions": [{"embeddings": {"statistics": {"token_count": 2, "truncated": false}, "values": [0.5]}}]}}}
    ]))
    .await;
    let base = format!("{}/v1beta1/projects/p/locations/global", up.base_url());
    let vertex = json!({"base_url": base, "api_key": "token", "vars": {"project": "p"}});
    let client = client(json!({"vertex": vertex}), json!({}));
    let answer = client.embeddings(EmbeddingRequest::new("vertex/text-embedding-005", "hello")).await.unwrap();
    assert_eq!((&answer.data[0].embedding, answer.usage.unwrap().prompt_tokens), (&Vector::Float(vec![0.5]), 2));
}

#[tokio::test]
async fn what_cannot_be_embedded_is_refused_before_anything_is_sent() {
    let client = client(json!({}), json!({}));
    for (model, kind, param) in
        [("openai/m", ErrorKind::InvalidRequest, "input"), ("interfuse/merge", ErrorKind::Unsupported, "model")]
    {
        let error = client.embeddings(EmbeddingRequest::new(model, Vec::<String>::new())).await.unwrap_err();
        assert_eq!((error.kind(), error.body().param.as_deref()), (kind, Some(param)));
    }
}
