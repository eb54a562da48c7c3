//! The engine over real sockets: retries, fallbacks, timeouts, cancellation, streams, the ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::time::Duration;

use interfuse::types::{ChatRequest, Config, CostSource, Message, UsageQuery};
use interfuse::{Client, ErrorKind};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

async fn upstream(routes: Value) -> Upstream {
    Upstream::start(json!({ "routes": routes })).await.unwrap()
}

fn client(base: &str, more: Value) -> Client {
    let mut config = json!({
        "use_environment": false,
        "providers": {"up": {"base_url": format!("{base}/v1"), "api_key": "k-1"}},
        "retries": {"base_ms": 1, "max_ms": 2}
    });
    config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

fn ask(model: &str) -> ChatRequest {
    ChatRequest::new(model, [Message::user("hi")])
}

async fn collect(client: &Client, request: ChatRequest) -> (String, Option<interfuse::Error>, Value) {
    let mut stream = match client.chat_stream(request).await {
        Ok(s) => s,
        Err(e) => return (String::new(), Some(e), Value::Null),
    };
    let (mut text, mut meta) = (String::new(), Value::Null);
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => {
                text.push_str(chunk.text());
                if let Some(m) = &chunk.interfuse {
                    assert!(meta.is_null(), "interfuse stands on one chunk only");
                    meta = serde_json::to_value(m).unwrap();
                }
            }
            Err(e) => return (text, Some(e), meta),
        }
    }
    (text, None, meta)
}

#[tokio::test]
async fn a_loaded_price_outranks_the_catalogue_and_the_users_outranks_it() {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10});
    let up = upstream(json!([{"then": {"answer": "Hello.", "usage": usage}}])).await;
    let client = client(up.base_url(), json!({"prices": {"up/m-b": {"input": "0.5", "output": "2"}}}));
    let cost = async |model: &str| {
        let meta = client.chat(ask(model)).await.unwrap().interfuse.unwrap();
        (meta.cost_nanos, meta.cost_source)
    };
    assert_eq!(cost("up/m-a").await, (None, None), "unknown, not free");
    let entry = json!({"litellm_provider": "up", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06});
    let list =
        json!({"up/m-a": entry, "up/m-b": entry, "up/m-c": {"litellm_provider": "up", "input_cost_per_token": -1}});
    let loaded = client.load_prices(list.to_string().as_bytes()).unwrap();
    assert_eq!((loaded.rows, loaded.refused.len()), (2, 1));
    assert!(loaded.refused[0].starts_with("up/m-c: input_cost_per_token"), "{loaded}");
    // The target is known already and must take the new price all the same.
    assert_eq!(cost("up/m-a").await, (Some(1_020_000), Some(CostSource::Live)));
    assert_eq!(cost("up/m-b").await, (Some(520_000), Some(CostSource::Configured)));
    assert!(client.load_prices(b"{}").is_err());
}

#[tokio::test]
async fn an_answer_tells_who_served_it_and_what_it_cost() {
    let up = upstream(
        json!([{"then": {"answer": "Hello there.", "usage": {"prompt_tokens": 1000, "completion_tokens": 10}}}]),
    )
    .await;
    let client = client(up.base_url(), json!({"prices": {"up/m-a": {"input": "0.5", "output": "2"}}}));
    let mut request = ask("up/m-a");
    request.tags = Some([("project".to_owned(), "search".to_owned())].into());
    let answer = client.chat(request).await.unwrap();
    assert_eq!(answer.text(), "Hello there.");
    let meta = answer.interfuse.unwrap();
    assert_eq!((meta.provider.as_str(), meta.model.as_str(), meta.attempts.len()), ("up", "m-a", 1));
    // 1000 x 0.5 USD/M + 10 x 2 USD/M
    assert_eq!((meta.cost_nanos, meta.cost_usd.as_deref()), (Some(520_000), Some("0.00052")));

    let seen = &up.log()[0];
    assert_eq!(seen.path, "/v1/chat/completions");
    let report =
        client.usage(UsageQuery { by: vec!["project".into(), "provider".into()], ..Default::default() }).unwrap();
    assert_eq!((report.total.attempts, report.total.cost_nanos, report.total.cost_unknown), (1, 520_000, 0));
    assert_eq!(report.rows[0].group["project"].as_deref(), Some("search"));
}

#[tokio::test]
async fn a_busy_provider_is_asked_again_after_the_time_it_names() {
    let up = upstream(json!([{"then": [
        {"status": 429, "headers": {"retry-after-ms": "30"}, "json": {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}},
        {"answer": "now"}
    ]}]))
    .await;
    let client = client(up.base_url(), json!({}));
    let answer = client.chat(ask("up/m")).await.unwrap();
    let attempts = answer.interfuse.unwrap().attempts;
    assert_eq!(attempts.len(), 2);
    assert_eq!((attempts[0].error, attempts[0].status), (Some(ErrorKind::RateLimited), Some(429)));
    assert!(attempts[1].waited_ms >= 30);
    let usage = client.usage(UsageQuery::default()).unwrap();
    assert_eq!((usage.total.attempts, usage.total.failed), (2, 1));
}

#[tokio::test]
async fn the_next_model_answers_when_the_first_cannot() {
    let up = upstream(json!([
        {"when": {"model": "down"}, "then": {"status": 500, "json": {"error": {"message": "boom"}}}},
        {"when": {"model": "up"}, "then": {"answer": "fine"}}
    ]))
    .await;
    let client = client(up.base_url(), json!({}));
    let mut request = ask("up/down");
    request.models = Some(vec!["up/up".into()]);
    request.max_retries = Some(1);
    let answer = client.chat(request.clone()).await.unwrap();
    let meta = answer.interfuse.unwrap();
    assert_eq!((meta.model.as_str(), meta.attempts.len()), ("up", 3));

    let (text, error, meta) = collect(&client, request).await;
    assert_eq!((text.as_str(), error.is_none(), meta["attempts"].as_array().unwrap().len()), ("fine", true, 3));

    // Alone, it is asked twice; after five failures in a row, once.
    let client = self::client(up.base_url(), json!({}));
    for attempts in [2, 2, 1, 1] {
        let error = client.chat(ask("up/down")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.body().attempts.len(), error.body().status),
            (ErrorKind::ServerError, attempts, Some(500))
        );
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_closes_the_socket() {
    let up = upstream(json!([{"then": {"steps": [{"stall": true}]}}])).await;
    let client = client(up.base_url(), json!({}));
    let mut request = ask("up/m");
    request.timeout_ms = Some(80);
    let error = client.chat(request.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    let (_, error, _) = collect(&client, request).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::DeadlineExceeded);
    let log = up.settled(Duration::from_secs(5)).await;
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|l| l.client_closed_ms.is_some()), "{log:?}");
}

#[tokio::test]
async fn dropping_a_call_or_a_stream_closes_the_socket_and_books_it() {
    let up = upstream(json!([
        {"when": {"model": "slow"}, "then": {"steps": [{"stall": true}]}},
        {"when": {"model": "long"}, "then": {"headers": {"content-type": "text/event-stream"}, "steps": [
            {"send": "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"}, {"stall": true}]}}
    ]))
    .await;
    let client = client(up.base_url(), json!({}));
    let call = tokio::time::timeout(Duration::from_millis(60), client.chat(ask("up/slow"))).await;
    assert!(call.is_err(), "the call must still be waiting");
    let mut stream = client.chat_stream(ask("up/long")).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().text(), "a");
    drop(stream);
    let log = up.settled(Duration::from_secs(5)).await;
    assert!(log.iter().all(|l| l.client_closed_ms.is_some()), "{log:?}");
    let report = client.usage(UsageQuery { by: vec!["outcome".into()], ..Default::default() }).unwrap();
    assert_eq!(report.rows[0].group["outcome"].as_deref(), Some("cancelled"));
    assert_eq!(report.rows[0].attempts, 2);
}

#[tokio::test]
async fn a_stream_that_stops_half_way_is_an_error_with_what_had_come() {
    let chunk = |t: &str| json!({"id": "x", "choices": [{"index": 0, "delta": {"content": t}}]});
    let up = upstream(json!([
        {"when": {"model": "cut"}, "then": {"sse": [chunk("half"), chunk(" way")]}},
        {"when": {"model": "error"}, "then": {"sse": [chunk("half"), {"error": {"message": "overloaded", "code": 503}}]}},
        {"when": {"model": "first"}, "then": [{"sse": [{"error": {"message": "overloaded", "code": 503}}]}, {"answer": "whole"}]},
        {"when": {"model": "early"}, "then": [{"sse": [{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}]}, {"answer": "whole"}]}
    ]))
    .await;
    let client = client(up.base_url(), json!({}));
    for model in ["up/cut", "up/error"] {
        let (text, error, _) = collect(&client, ask(model)).await;
        let error = error.unwrap_or_else(|| panic!("{model} must not be a success"));
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{model}");
        assert_eq!(error.body().partial.as_ref().unwrap().text, text, "{model}");
    }
    for model in ["up/first", "up/early"] {
        let (text, error, meta) = collect(&client, ask(model)).await;
        assert!(error.is_none(), "{model}: {error:?}");
        assert_eq!((text.as_str(), meta["attempts"].as_array().unwrap().len()), ("whole", 2), "{model}");
    }
}

#[tokio::test]
async fn usage_is_always_asked_for_and_shown_when_wanted() {
    let up = upstream(json!([{"then": {"answer": "one two three"}}])).await;
    let client = client(up.base_url(), json!({"prices": {"up/m": {"input": "1", "output": "1"}}}));
    let mut wanting = ask("up/m");
    wanting.stream_options = serde_json::from_value(json!({"include_usage": true})).unwrap();
    for (request, wanted) in [(ask("up/m"), false), (wanting, true)] {
        let mut stream = client.chat_stream(request).await.unwrap();
        let (mut usage, mut last) = (0, None);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.unwrap();
            usage += usize::from(chunk.usage.is_some());
            assert!(wanted || !chunk.choices.is_empty(), "a chunk without choices was not asked for");
            last = Some(chunk);
        }
        assert_eq!(usage, usize::from(wanted));
        assert!(last.unwrap().interfuse.unwrap().cost_nanos.unwrap() > 0);
    }
    let bodies: Vec<_> = up
        .log()
        .iter()
        .map(|l| serde_json::to_value(&l.body).unwrap()["stream_options"]["include_usage"].clone())
        .collect();
    assert_eq!(bodies, [json!(true), json!(true)]);
}

#[tokio::test]
async fn odd_bodies_are_typed_errors() {
    let up = upstream(json!([
        {"when": {"model": "html"}, "then": {"status": 502, "body": "<html><body>Bad gateway</body></html>"}},
        {"when": {"model": "page"}, "then": {"body": "<!DOCTYPE html><p>welcome"}},
        {"when": {"model": "text"}, "then": {"body": "hello"}},
        {"when": {"model": "none"}, "then": {"json": {"id": "x"}}},
        {"when": {"model": "moved"}, "then": {"status": 307, "headers": {"location": "http://other.example/"}, "body": ""}},
        {"when": {"model": "short"}, "then": {"content_length": 500, "steps": [{"send": "{\"choices\""}, {"close": true}]}},
        {"when": {"model": "reset"}, "then": {"raw": true, "steps": [{"reset": true}]}}
    ]))
    .await;
    let client = client(up.base_url(), json!({"retries": {"max_retries": 0}}));
    for (model, kind, says) in [
        ("html", ErrorKind::ServerError, "HTML page"),
        ("page", ErrorKind::Decode, "HTML page"),
        ("text", ErrorKind::Decode, "hello"),
        ("none", ErrorKind::Decode, "choices"),
        ("moved", ErrorKind::InvalidConfig, "other.example"),
        ("short", ErrorKind::Interrupted, "broke off"),
        ("reset", ErrorKind::Connection, "broke"),
    ] {
        let error = client.chat(ask(&format!("up/{model}"))).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{model}: {error}");
        assert!(error.message().contains(says), "{model}: {error}");
        assert_eq!(error.body().provider.as_deref(), Some("up"), "{model}");
        assert_eq!(error.body().attempts.len(), 1, "{model}");
    }
    assert_eq!(up.log().len(), 7, "the redirect was not followed");
}

#[tokio::test]
async fn the_environments_key_stays_at_its_own_origin() {
    let config = json!({"providers": {"groq": {"base_url": "http://127.0.0.1:9/v1"}}});
    let client = Client::from_config(serde_json::from_value(config).unwrap()).unwrap();
    let info = client.providers().unwrap().into_iter().find(|p| p.id == "groq").unwrap();
    assert_eq!((info.key_from, info.ready), (None, false));
    let error = client.chat(ask("groq/some-model")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
}

#[tokio::test]
async fn an_answer_is_held_to_its_schema_where_the_vendor_ignores_it() {
    let up = upstream(json!([{"then": [
        {"answer": "{\"name\": 7}", "usage": {"prompt_tokens": 10, "completion_tokens": 5}},
        {"answer": "{\"name\": \"Ada\"}", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
    ]}]))
    .await;
    let base = format!("{}/v1", up.base_url());
    let providers = json!({"up": {"base_url": base, "api_key": "k-1", "like": "anthropic-openai"}});
    let prices = json!({"up/m": {"input": "1", "output": "1"}});
    let client = client(up.base_url(), json!({"providers": providers, "prices": prices}));
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let mut request = ask("up/m");
    request.response_format =
        serde_json::from_value(json!({"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}))
            .unwrap();
    let answer = client.chat(request.clone()).await.unwrap();
    assert_eq!(answer.text(), "{\"name\": \"Ada\"}");
    let meta = answer.interfuse.unwrap();
    assert_eq!((meta.attempts.len(), meta.attempts[0].error), (2, Some(ErrorKind::Decode)));
    assert!(meta.attempts[0].message.as_deref().unwrap().contains("`/name`"), "{:?}", meta.attempts[0]);
    assert_eq!(meta.cost_nanos, Some(30_000), "the answer that was thrown away is paid for");

    // A stream is shown as it comes, so it cannot be held to anything.
    let (_, error, _) = collect(&client, request).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_fetched_anew_unseen() {
    let up = upstream(json!([
        {"when": {"model": "once"}, "then": [{"answer": "one two three four five six", "cut_after": 60}, {"answer": "whole"}]},
        {"when": {"model": "cut"}, "then": {"answer": "one two three four five six", "cut_after": 400}},
        {"when": {"model": "b"}, "then": {"answer": "from b"}}
    ]))
    .await;
    let client = client(up.base_url(), json!({}));
    let answer = client.chat(ask("up/once")).await.unwrap();
    assert_eq!((answer.text(), answer.interfuse.as_ref().unwrap().attempts.len()), ("whole", 2));

    let mut request = ask("up/cut");
    request.models = Some(vec!["up/b".into()]);
    let answer = client.chat(request.clone()).await.unwrap();
    let meta = answer.interfuse.as_ref().unwrap();
    assert_eq!((answer.text(), meta.model.as_str(), meta.spliced), ("from b", "b", false));
    let first = serde_json::to_value(&meta.attempts[0]).unwrap();
    assert_eq!((&first["error"], &first["dispatch"]), (&json!("interrupted"), &json!("uncertain")));
    assert_eq!(serde_json::to_value(&meta.attempts[1]).unwrap()["kind"], "fallback");
    assert!(answer.usage.is_some());
    let asked: Vec<_> = up.log().iter().map(|l| serde_json::to_value(&l.body).unwrap()["stream"].clone()).collect();
    // A lone route is asked for the whole; where there is another, the answer is streamed inside.
    assert_eq!(asked, [json!(null), json!(null), json!(true), json!(true)]);

    request.on_interrupt = Some(interfuse::types::OnInterrupt::Restart);
    let mut stream = client.chat_stream(request).await.unwrap();
    let (mut before, mut after) = (String::new(), None::<String>);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        match chunk.interfuse.as_ref().and_then(|m| m.reset.as_ref()) {
            Some(reset) => {
                assert_eq!((reset.error, chunk.choices.len()), (ErrorKind::Interrupted, 0));
                after = Some(String::new());
            }
            None => after.as_mut().unwrap_or(&mut before).push_str(chunk.text()),
        }
    }
    assert!(!before.is_empty() && "one two three four five six".starts_with(&before), "{before}");
    assert_eq!(after.as_deref(), Some("from b"));
}

#[tokio::test]
async fn leaving_a_stream_that_started_anew_closes_its_socket_and_books_both() {
    let token = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let sse = json!({"content-type": "text/event-stream"});
    let up = upstream(json!([
        {"when": {"model": "cut"}, "then": {"headers": sse, "steps": [{"send": token}, {"close": true}]}},
        {"when": {"model": "long"}, "then": {"headers": sse, "steps": [{"send": token}, {"stall": true}]}}
    ]))
    .await;
    let client = client(up.base_url(), json!({}));
    let mut request = ask("up/cut");
    request.models = Some(vec!["up/long".into()]);
    request.on_interrupt = Some(interfuse::types::OnInterrupt::Restart);
    let mut stream = client.chat_stream(request).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let chunk = stream.next().await.unwrap().unwrap();
        seen.push((chunk.text().to_owned(), chunk.interfuse.is_some()));
    }
    assert_eq!(seen, [("a".to_owned(), false), (String::new(), true), ("a".to_owned(), false)]);
    drop(stream);
    let log = up.settled(Duration::from_secs(5)).await;
    assert!(log[1].client_closed_ms.is_some(), "{log:?}");
    let report = client.usage(UsageQuery { by: vec!["outcome".into()], ..Default::default() }).unwrap();
    let outcomes: Vec<_> = report.rows.iter().map(|r| (r.group["outcome"].clone().unwrap(), r.attempts)).collect();
    assert_eq!(outcomes.len(), 2);
    for outcome in ["interrupted", "cancelled"] {
        assert!(outcomes.contains(&(outcome.to_owned(), 1)), "{outcomes:?}");
    }
}
