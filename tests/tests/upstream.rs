//! The scripted upstream, seen by a client that is nothing but a TCP socket.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::ErrorKind;
use std::time::Duration;

use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Only guards against a test that hangs.
const GUARD: Duration = Duration::from_secs(30);

async fn start(routes: Value) -> Upstream {
    Upstream::start(json!({"routes": routes})).await.unwrap()
}

async fn connect(upstream: &Upstream) -> TcpStream {
    TcpStream::connect(upstream.base_url().strip_prefix("http://").unwrap()).await.unwrap()
}

fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn send(stream: &mut TcpStream, method: &str, path: &str, body: &str) {
    stream.write_all(request(method, path, body).as_bytes()).await.unwrap();
}

/// Reads until the text ends so, and gives all of it.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    let read = async {
        while !seen.ends_with(end.as_bytes()) {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            seen.push(byte[0]);
        }
    };
    tokio::time::timeout(GUARD, read).await.expect("more bytes");
    String::from_utf8(seen).unwrap()
}

/// Reads to the end of the connection.
async fn to_end(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut seen = String::new();
    tokio::time::timeout(GUARD, stream.read_to_string(&mut seen)).await.expect("an end").map(|_| seen)
}

/// One request with `Connection: close` semantics on a fresh connection: head and body.
async fn ask(upstream: &Upstream, method: &str, path: &str, body: &str) -> (String, String) {
    let mut stream = connect(upstream).await;
    let closing = request(method, path, body).replace("Host: x", "Host: x\r\nConnection: close");
    stream.write_all(closing.as_bytes()).await.unwrap();
    let all = to_end(&mut stream).await.unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn first_match_wins_and_the_last_answer_repeats() {
    let upstream = start(json!([
        {"when": {"model": "m-a"}, "then": [{"status": 429, "headers": {"retry-after": "0"}}, {"answer": "ok"}]},
        {"when": {"path": "/v1/chat/completions"}, "then": {"body": "other"}},
    ]))
    .await;
    let chat = |model: &str| json!({"model": model}).to_string();
    let mut heads = Vec::new();
    for _ in 0..3 {
        let (head, _) = ask(&upstream, "POST", "/v1/chat/completions", &chat("m-a")).await;
        heads.push(head.lines().next().unwrap().to_owned());
    }
    assert_eq!(heads, ["HTTP/1.1 429 Too Many Requests", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK"]);
    let (_, body) = ask(&upstream, "POST", "/v1/chat/completions", &chat("m-b")).await;
    assert_eq!(body, "other");

    let (head, body) = ask(&upstream, "GET", "/v1/models", "").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    assert!(body.contains("no route of the upstream script matches GET /v1/models"));
    let log = upstream.log();
    let routes: Vec<_> = log.iter().map(|entry| entry.route).collect();
    assert_eq!(routes, [Some(0), Some(0), Some(0), Some(1), None]);
    assert_eq!(log[0].headers["authorization"], "Bearer k");
    assert_eq!(log[0].body, json!({"model": "m-a"}));
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let upstream = start(json!([{"then": {"json": {"n": 1}}}, {"when": {}, "then": {"answer": "never"}}])).await;
    let mut stream = connect(&upstream).await;
    for _ in 0..3 {
        send(&mut stream, "POST", "/x", "{}").await;
        assert!(until(&mut stream, "{\"n\":1}").await.starts_with("HTTP/1.1 200"));
    }
    // A chunked request body, and two requests at once.
    stream
        .write_all(b"POST /chunked HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /next HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    until(&mut stream, "{\"n\":1}").await;
    until(&mut stream, "{\"n\":1}").await;
    let log = upstream.settled(GUARD).await;
    assert_eq!(log[3].body, "hello");
    assert_eq!(log[4].path, "/next");
    assert!(log.iter().all(|entry| entry.connection == 1 && entry.completed));
    let stats = upstream.stats();
    assert_eq!((stats.connections, stats.open, stats.requests), (1, 1, 5));
}

#[tokio::test]
async fn a_stream_comes_in_chunks() {
    let upstream = start(json!([{"then": {"answer": "hello big world", "chunk_delay_ms": 1, "split": 7}}])).await;
    let body = json!({"model": "m", "stream": true}).to_string();
    let (head, body) = ask(&upstream, "POST", "/v1/chat/completions", &body).await;
    assert!(head.contains("transfer-encoding: chunked"));
    let (mut text, mut rest) = (String::new(), body.as_str());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        assert!(size <= 7);
        text.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    let events: Vec<&str> = text.trim_end().split("\n\n").collect();
    assert_eq!(events.last(), Some(&"data: [DONE]"));
    assert!(events[2].contains("\" big\""), "{text}");
}

#[tokio::test]
async fn cuts_and_lies_end_the_connection() {
    let upstream = start(json!([
        {"when": {"path": "/cut"}, "then": {"body": "0123456789", "cut_after": 4}},
        {"when": {"path": "/long"}, "then": {"body": "01234", "content_length": 10}},
        {"when": {"path": "/raw"}, "then": {"raw": true, "steps": [{"send": "HTTP/1.1 2"}, {"delay_ms": 1}, {"send_base64": "MDA="}]}},
    ]))
    .await;
    for (path, head, body) in [("/cut", "content-length: 10", "0123"), ("/long", "content-length: 10", "01234")] {
        let mut stream = connect(&upstream).await;
        send(&mut stream, "GET", path, "").await;
        let all = to_end(&mut stream).await.unwrap();
        let (seen, rest) = all.split_once("\r\n\r\n").unwrap();
        assert!(seen.contains(head), "{seen}");
        assert_eq!(rest, body);
    }
    let mut stream = connect(&upstream).await;
    send(&mut stream, "GET", "/raw", "").await;
    assert_eq!(to_end(&mut stream).await.unwrap(), "HTTP/1.1 200");
    let log = upstream.settled(GUARD).await;
    assert!(!log[0].completed && !log[1].completed);
    assert!(log.iter().all(|entry| entry.client_closed_ms.is_none()));
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let upstream = start(json!([{"then": {"steps": [{"send": "part"}, {"delay_ms": 20}, {"reset": true}]}}])).await;
    let mut stream = connect(&upstream).await;
    send(&mut stream, "GET", "/", "").await;
    until(&mut stream, "part\r\n").await;
    let error = to_end(&mut stream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let upstream = start(json!([
        {"when": {"path": "/stall"}, "then": {"steps": [{"send": "a"}, {"stall": true}]}},
        {"when": {"path": "/late"}, "then": {"delay_ms": 3_600_000, "answer": "never"}},
    ]))
    .await;
    let mut stalled = connect(&upstream).await;
    send(&mut stalled, "GET", "/stall", "").await;
    until(&mut stalled, "a\r\n").await;
    let mut late = connect(&upstream).await;
    send(&mut late, "GET", "/late", "").await;
    while upstream.log().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(upstream.log().iter().all(|entry| !entry.settled));
    drop((stalled, late));
    for entry in upstream.settled(GUARD).await {
        assert!(entry.settled && !entry.completed, "{entry:?}");
        assert!(entry.client_closed_ms.is_some(), "{entry:?}");
    }
}

#[tokio::test]
async fn control_requests_steer_and_leave_no_trace() {
    let upstream = start(json!([{"then": [{"body": "first"}, {"body": "second"}]}])).await;
    assert_eq!(ask(&upstream, "GET", "/", "").await.1, "first");

    let mut control = connect(&upstream).await;
    send(&mut control, "GET", "/__log?settled", "").await;
    let log = until(&mut control, "}]").await;
    assert!(log.contains("\"completed\":true"), "{log}");
    send(&mut control, "POST", "/__reset", "").await;
    until(&mut control, "}").await;
    // The answers start again, and the control connection is not counted.
    assert_eq!(ask(&upstream, "GET", "/", "").await.1, "first");
    assert_eq!(upstream.stats().requests, 1);

    let broken = r#"{"routes":[{"then":{"sttus":1}}]}"#;
    send(&mut control, "POST", "/__script", broken).await;
    let refused = until(&mut control, "}}").await;
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("routes[0].then.sttus"), "{refused}");
    send(&mut control, "POST", "/__script", r#"{"routes":[{"then":{"body":"new"}}]}"#).await;
    until(&mut control, "{\"ok\":true}").await;
    assert_eq!(ask(&upstream, "GET", "/", "").await.1, "new");

    send(&mut control, "GET", "/__stats", "").await;
    let stats = until(&mut control, "}").await;
    assert!(stats.contains("\"requests\":2"), "{stats}");
    assert_eq!(upstream.stats().connections, 2);
}

#[tokio::test]
async fn the_program_serves_until_stdin_closes() {
    use std::process::Stdio;
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_upstream"))
        .args(["--script", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    stdin.write_all(br#"{"routes":[{"then":{"body":"hi"}}]}"#).await.unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(GUARD, lines.next_line()).await.unwrap().unwrap().unwrap();
    let base: Value = serde_json::from_str(&line).unwrap();
    let address = base["base_url"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, "GET", "/", "").await;
    until(&mut stream, "hi").await;
    drop(stdin);
    let status = tokio::time::timeout(GUARD, program.wait()).await.unwrap().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn the_program_names_what_is_wrong_with_a_script() {
    use std::process::Stdio;
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_upstream"))
        .args(["--script", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    stdin.write_all(br#"{"routes":[{"them":{}}]}"#).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(GUARD, program.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("routes[0].them"), "{stderr}");
}
