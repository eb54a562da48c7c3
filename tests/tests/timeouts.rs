//! The named timeouts on real sockets: each fires for its own reason, not before its value, and says so. How late each
//! fired is printed; no upper bound is asserted that a busy machine could miss.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use interfuse::types::{ChatRequest, Config, Message, TimeoutConfig};
use interfuse::{Client, Error, ErrorKind};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What each timeout is set to, milliseconds.
const LIMIT: u64 = 300;

fn client(base: &str) -> Client {
    let config = json!({
        "use_environment": false,
        "providers": {"up": {"base_url": base, "api_key": "k-1"}},
        "retries": {"max_retries": 0},
        // None of the others may be the one that fires.
        "timeouts": {"dns_connect_ms": 20_000, "tls_ms": 20_000, "write_ms": 20_000, "first_byte_ms": 20_000, "idle_ms": 20_000}
    });
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

fn ask(prompt: &str, which: &str) -> ChatRequest {
    let mut request = ChatRequest::new("up/m", [Message::user(prompt)]);
    let mut timeouts = serde_json::Map::new();
    timeouts.insert(format!("{which}_ms"), LIMIT.into());
    request.timeouts = Some(serde_json::from_value::<TimeoutConfig>(Value::Object(timeouts)).unwrap());
    request
}

/// Makes the call and reads its stream, if it becomes one; how it failed.
async fn failure(client: &Client, request: ChatRequest, streamed: bool) -> Error {
    if !streamed {
        return client.chat(request).await.map(|a| a.text().to_owned()).unwrap_err();
    }
    let mut stream = match client.chat_stream(request).await {
        Ok(stream) => stream,
        Err(e) => return e,
    };
    loop {
        if let Err(e) = stream.next().await.expect("an error at the end") {
            return e;
        }
    }
}

/// Calls and holds the error to the timeout's name.
async fn fires(client: &Client, prompt: &str, which: &str, streamed: bool) -> Error {
    let started = Instant::now();
    let error = failure(client, ask(prompt, which), streamed).await;
    let took = started.elapsed();
    let details = &error.body().details;
    assert_eq!(details.get("timeout"), Some(&json!(which)), "{error:?}");
    assert_eq!(details["configured_ms"], LIMIT, "{error:?}");
    let elapsed = details["elapsed_ms"].as_u64().unwrap();
    assert!(elapsed >= LIMIT && took >= Duration::from_millis(LIMIT), "{which} fired early: {elapsed} ms, {took:?}");
    assert!(details["bytes_seen"].is_u64(), "{error:?}");
    assert!(error.message().contains(&format!("{which} timeout of {LIMIT} ms")), "{error}");
    let late = elapsed - LIMIT;
    println!("timeout {which}{}: {late} ms late", if streamed { " of a stream" } else { "" });
    error
}

/// A port whose connections are never completed: its queue is full.
async fn full() -> (String, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    (address.to_string(), listener, waiting)
}

#[tokio::test]
async fn a_server_that_takes_no_connection() {
    let (address, _listener, _waiting) = full().await;
    let client = client(&format!("http://{address}/v1"));
    for streamed in [false, true] {
        let error = fires(&client, "hi", "dns_connect", streamed).await;
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let attempt = serde_json::to_value(&error.body().attempts[0]).unwrap();
        assert_eq!((&attempt["dispatch"], &attempt["cost_nanos"]), (&json!("not_sent"), &json!(0)));
    }
}

#[tokio::test]
async fn a_server_that_does_not_greet_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("https://{}/v1", listener.local_addr().unwrap()));
    for streamed in [false, true] {
        let error = fires(&client, "hi", "tls", streamed).await;
        assert_eq!(serde_json::to_value(&error.body().attempts[0]).unwrap()["dispatch"], "not_sent");
    }
}

#[tokio::test]
async fn a_server_that_does_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}/v1", listener.local_addr().unwrap()));
    // More than the buffers of both ends hold.
    let prompt = "x".repeat(48 << 20);
    let error = fires(&client, &prompt, "write", false).await;
    assert_eq!(serde_json::to_value(&error.body().attempts[0]).unwrap()["dispatch"], "uncertain");
}

/// Reads everything, slowly at first, and never answers.
async fn silent(listener: TcpListener, pause: Duration) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let mut room = vec![0; 1 << 20];
            while stream.read(&mut room).await.is_ok_and(|n| n > 0) {}
        });
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer() {
    // A request that is long in the sending has its time from when it was sent.
    for (prompt, pause) in [("hi".to_owned(), 0), ("x".repeat(48 << 20), 2 * LIMIT)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(&format!("http://{}/v1", listener.local_addr().unwrap()));
        let server = tokio::spawn(silent(listener, Duration::from_millis(pause)));
        let started = Instant::now();
        fires(&client, &prompt, "first_byte", false).await;
        assert!(started.elapsed() >= Duration::from_millis(pause + LIMIT), "counted from before the request was sent");
        server.abort();
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_worth_showing() {
    let chunk = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let role = json!({"send": chunk(json!({"role": "assistant"}))});
    let token = json!({"send": chunk(json!({"content": "a"}))});
    let comments = (0..200).flat_map(|_| [json!({"delay_ms": 20}), json!({"send": ": wait\n\n"})]);
    let steps = |first: &Value| -> Vec<Value> { std::iter::once(first.clone()).chain(comments.clone()).collect() };
    for (which, first) in [("first_token", role), ("idle", token)] {
        let script =
            json!({"routes": [{"then": {"headers": {"content-type": "text/event-stream"}, "steps": steps(&first)}}]});
        let up = Upstream::start(script).await.unwrap();
        let client = client(&format!("{}/v1", up.base_url()));
        let error = fires(&client, "hi", which, true).await;
        let kind = if which == "idle" { ErrorKind::Interrupted } else { ErrorKind::Timeout };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.body().details["bytes_seen"].as_u64().unwrap() > 0, "{error:?}");
        // A call that is not streamed is watched in the same way where a first token is asked for.
        if which == "first_token" {
            fires(&client, "hi", which, false).await;
        }
        assert!(up.settled(Duration::from_secs(5)).await.iter().all(|l| l.client_closed_ms.is_some()));
    }
    let script =
        json!({"routes": [{"then": {"content_length": 100, "steps": [{"send": "{\"id\":"}, {"stall": true}]}}]});
    let up = Upstream::start(script).await.unwrap();
    let error = fires(&client(&format!("{}/v1", up.base_url())), "hi", "idle", false).await;
    assert_eq!(error.body().details["bytes_seen"], 6);
}

#[tokio::test]
async fn a_call_that_takes_too_long() {
    let up = Upstream::start(json!({"routes": [{"then": {"steps": [{"stall": true}]}}]})).await.unwrap();
    let client = client(&format!("{}/v1", up.base_url()));
    for streamed in [false, true] {
        let error = fires(&client, "hi", "total", streamed).await;
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    }
}

#[tokio::test]
async fn a_timeout_of_nothing_is_refused_by_name() {
    let error = Client::from_document("[timeouts]\nidle_ms = 0\n").err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(error.body().param.as_deref(), Some("timeouts.idle_ms"), "{error}");
    let error = Client::from_document("[timeouts]\nconnect_ms = 5\n").err().expect("an error");
    assert!(error.message().contains("connect_ms"), "{error}");
}
