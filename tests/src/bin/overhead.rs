//! What a call and an event of a stream take more than by reqwest alone, turn by turn over the same sockets, and how long
//! after a cancelled call its socket is closed. Prints; asserts nothing about time. `make bench-overhead`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use interfuse::Client;
use interfuse::types::{ChatCompletion, ChatRequest, Config, Message};
use interfuse_tests::soak::{LONG, Server, serve};
use serde_json::json;
use tokio_rustls::rustls;

/// Microseconds that a call may take more, the median and the 99th percentile.
const CALL_US: (f64, f64) = (50.0, 300.0);
/// The same for an event.
const EVENT_US: f64 = 5.0;
/// Milliseconds from cancelling to the closed socket.
const CANCEL_MS: f64 = 50.0;
const CALLS: usize = 5_000;
const STREAMS: usize = 200;
const CANCELS: usize = 200;

/// Median and 99th percentile.
fn shares(mut taken: Vec<f64>) -> (f64, f64) {
    taken.sort_by(f64::total_cmp);
    (taken[taken.len() / 2], taken[taken.len() * 99 / 100])
}

fn line(what: &str, measured: &str, goal: &str, met: bool) {
    println!("{what:<28} {measured:<68} goal {goal:<24} {}", if met { "met" } else { "NOT MET" });
}

fn ask(model: &str) -> ChatRequest {
    ChatRequest::new(model, [Message::user("Where is it?")])
}

fn client(base: &str) -> Client {
    let up = |mode: &str| json!({"base_url": format!("{base}/{mode}/v1"), "api_key": "k"});
    let config = json!({"use_environment": false, "retries": {"max_retries": 0},
        "providers": {"fast": up("fast"), "long": up("long"), "silent": up("silent")}});
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

/// What reqwest alone takes for the same: the request is written, the answer read into the same type.
struct Raw(reqwest::Client);

impl Raw {
    async fn send(&self, base: &str, mode: &str, streamed: bool) -> reqwest::Response {
        let request = self.0.post(format!("{base}/{mode}/v1/chat/completions")).bearer_auth("k");
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "Where is it?"}], "stream": streamed});
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
    }

    async fn chat(&self, base: &str) {
        let body = self.send(base, "fast", false).await.bytes().await.unwrap();
        let answer: ChatCompletion = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer.choices.len(), 1);
    }

    /// Bytes only.
    async fn stream(&self, base: &str) {
        let mut body = self.send(base, "long", true).await.bytes_stream();
        let mut bytes = 0;
        while let Some(piece) = body.next().await {
            bytes += piece.unwrap().len();
        }
        assert!(bytes > LONG * 100);
    }
}

/// Without encryption, which is not compared; a configuration of it must be there all the same.
fn raw_client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}

async fn calls(client: &Client, raw: &Raw, base: &str) {
    let request = ask("fast/m");
    let (mut ours, mut theirs) = (Vec::with_capacity(CALLS), Vec::with_capacity(CALLS));
    for turn in 0..CALLS + 200 {
        let started = Instant::now();
        raw.chat(base).await;
        let their = started.elapsed().as_secs_f64() * 1e6;
        let started = Instant::now();
        let answer = client.chat(request.clone()).await.unwrap();
        let our = started.elapsed().as_secs_f64() * 1e6;
        assert_eq!(answer.choices.len(), 1);
        if turn >= 200 {
            ours.push(our);
            theirs.push(their);
        }
    }
    let ((p50, p99), (raw50, raw99)) = (shares(ours), shares(theirs));
    let (more50, more99) = (p50 - raw50, p99 - raw99);
    let measured = format!("p50 {p50:.0} µs, {more50:+.0} over reqwest; p99 {p99:.0} µs, {more99:+.0}");
    let met = more50 <= CALL_US.0 && more99 <= CALL_US.1;
    line("a call", &measured, "p50 ≤ +50, p99 ≤ +300 µs", met);
}

async fn streams(client: &Client, raw: &Raw, base: &str) {
    let request = ask("long/m");
    let (mut ours, mut theirs) = (Vec::with_capacity(STREAMS), Vec::with_capacity(STREAMS));
    for turn in 0..STREAMS + 10 {
        let started = Instant::now();
        raw.stream(base).await;
        let their = started.elapsed().as_secs_f64() * 1e6;
        let started = Instant::now();
        let mut stream = client.chat_stream(request.clone()).await.unwrap();
        let mut events = 0;
        while let Some(event) = stream.next().await {
            event.unwrap();
            events += 1;
        }
        let our = started.elapsed().as_secs_f64() * 1e6;
        assert!(events >= LONG);
        if turn >= 10 {
            ours.push(our);
            theirs.push(their);
        }
    }
    let ((p50, _), (raw50, _)) = (shares(ours), shares(theirs));
    let more = (p50 - raw50) / LONG as f64;
    let measured = format!("{:.2} µs, {more:+.2} over reqwest reading bytes, with typed events", p50 / LONG as f64);
    line("an event of a stream", &measured, "≤ +5 µs", more <= EVENT_US);
}

/// A server that reads a request and never answers; it tells when the socket is closed.
fn silent() -> (String, mpsc::Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (closed, told) = mpsc::channel();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let closed = closed.clone();
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while socket.read(&mut piece).is_ok_and(|n| n > 0) {}
                let _ = closed.send(Instant::now());
            });
        }
    });
    (base, told)
}

async fn cancels() {
    let (base, closed) = silent();
    let client = client(&base);
    let mut taken = Vec::with_capacity(CANCELS);
    for _ in 0..CANCELS {
        let calling = client.chat(ask("silent/m"));
        assert!(tokio::time::timeout(Duration::from_millis(10), calling).await.is_err(), "it never answers");
        let cancelled = Instant::now();
        let at = tokio::task::block_in_place(|| closed.recv_timeout(Duration::from_secs(5))).unwrap();
        taken.push(at.saturating_duration_since(cancelled).as_secs_f64() * 1e3);
    }
    let most = taken.iter().copied().fold(0.0, f64::max);
    let (p50, p99) = shares(taken);
    let measured = format!("p50 {p50:.2} ms  p99 {p99:.2} ms  max {most:.2} ms");
    line("from cancelling to closed", &measured, "≤ 50 ms", most <= CANCEL_MS);
}

fn main() {
    if std::env::args().nth(1).is_some_and(|first| first == "serve") {
        return serve().unwrap();
    }
    let server = Server::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, raw) = (client(&server.base), Raw(raw_client()));
        calls(&client, &raw, &server.base).await;
        streams(&client, &raw, &server.base).await;
        cancels().await;
    });
}
