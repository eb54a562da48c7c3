//! Answers, requests and documents made to exhaust memory: each is refused before it takes twice the limit it runs into.
//! Peaks are the operating system's, so each bomb has a process of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use interfuse::http::{MAX_ERROR_BODY, MAX_EVENT, MAX_RESPONSE};
use interfuse::types::{ChatRequest, Config, Message};
use interfuse::{Client, ErrorKind};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const BOMB: &str = "INTERFUSE_TEST_BOMB";
/// What a call and its server take in any case, above the limit: pieces on their way, threads, the allocator's reserve.
const SLACK: usize = 12 << 20;

/// How a server answers: the head, what is sent once, and what is sent over and over.
struct Bomb {
    name: &'static str,
    streamed: bool,
    head: &'static str,
    once: &'static str,
    endless: &'static str,
    limit: usize,
    kind: ErrorKind,
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const PLAIN: Bomb =
    Bomb { name: "", streamed: false, head: OK, once: "\r\n", endless: "x", limit: 0, kind: ErrorKind::Decode };
const CHUNK: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

/// A chunk that says nothing.
const SILENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
/// A chunk that says something long.
const LONG: &str = concat!(
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
    "                                                                                                    ",
    "                                                                                                    ",
    "                                                                                                    ",
    "                                                                                                    ",
    "\"}}]}\n\n"
);

const BOMBS: &[Bomb] = &[
    Bomb { name: "body", limit: MAX_RESPONSE, ..PLAIN },
    Bomb { name: "spaces", endless: " ", limit: MAX_RESPONSE, ..PLAIN },
    Bomb { name: "announced", head: "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n", ..PLAIN },
    Bomb { name: "gzip", head: "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n", ..PLAIN },
    Bomb { name: "brotli", head: "HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n", ..PLAIN },
    Bomb { name: "gzip stream", streamed: true, head: "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n", ..PLAIN },
    Bomb { name: "deep", endless: "[", limit: MAX_RESPONSE, ..PLAIN },
    Bomb { name: "deep objects", endless: "{\"a\":", limit: MAX_RESPONSE, ..PLAIN },
    Bomb { name: "line", streamed: true, once: "\r\ndata: ", limit: MAX_EVENT, ..PLAIN },
    Bomb { name: "nameless line", streamed: true, limit: MAX_EVENT, ..PLAIN },
    Bomb { name: "event", streamed: true, endless: "data: xxxxxxxxxxxxxxxx\n", limit: MAX_EVENT, ..PLAIN },
    Bomb { name: "bare", streamed: true, once: "\r\n{\"a\": \"", limit: MAX_EVENT, ..PLAIN },
    Bomb { name: "deep event", streamed: true, once: "\r\ndata: ", endless: "[", limit: MAX_EVENT, ..PLAIN },
    Bomb { name: "silent chunks", streamed: true, once: "\r\n", endless: SILENT, limit: MAX_EVENT, ..PLAIN },
    Bomb { name: "unread stream", streamed: true, once: "\r\n", endless: CHUNK, ..PLAIN },
    Bomb { name: "endless answer", once: "\r\n", endless: LONG, limit: MAX_RESPONSE, ..PLAIN },
    Bomb {
        name: "error",
        head: "HTTP/1.1 400 Bad Request\r\n",
        limit: MAX_ERROR_BODY,
        kind: ErrorKind::InvalidRequest,
        ..PLAIN
    },
    Bomb {
        name: "gzip error",
        head: "HTTP/1.1 400 Bad Request\r\ncontent-encoding: gzip\r\n",
        limit: MAX_ERROR_BODY,
        kind: ErrorKind::InvalidRequest,
        ..PLAIN
    },
    Bomb {
        name: "headers",
        once: "",
        endless: "x-more: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        kind: ErrorKind::Connection,
        ..PLAIN
    },
    Bomb { name: "one header", once: "x-more: ", kind: ErrorKind::Connection, ..PLAIN },
    Bomb { name: "status line", head: "HTTP/1.1 200 ", once: "", kind: ErrorKind::Connection, ..PLAIN },
    Bomb {
        name: "informational",
        head: "",
        once: "",
        endless: "HTTP/1.1 103 Early Hints\r\nx-more: x\r\n\r\n",
        kind: ErrorKind::DeadlineExceeded,
        ..PLAIN
    },
];

/// Highest memory of this process so far, bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

/// Sends the head, and the endless part until the client has left.
async fn throw(mut socket: TcpStream, bomb: &Bomb) {
    let mut read = [0; 1 << 16];
    let _ = socket.read(&mut read).await;
    let piece = bomb.endless.repeat((32 << 10) / bomb.endless.len());
    let first = format!("{}{}", bomb.head, bomb.once);
    if socket.write_all(first.as_bytes()).await.is_err() {
        return;
    }
    while socket.write_all(piece.as_bytes()).await.is_ok() {}
}

async fn client_of(bomb: &'static Bomb) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(throw(socket, bomb));
        }
    });
    let config = json!({
        "use_environment": false,
        "providers": {"up": {"base_url": base, "api_key": "key-of-the-test"}},
        "retries": {"max_retries": 0}
    });
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

#[tokio::test]
#[ignore = "run by no_answer_exhausts_memory, in a process of its own"]
async fn in_the_child() {
    let Ok(name) = std::env::var(BOMB) else { return };
    let bomb = BOMBS.iter().find(|bomb| bomb.name == name).unwrap();
    let client = client_of(bomb).await;
    let mut request = ChatRequest::new("up/m", [Message::user("hi")]);
    // None of them waits for time to pass, but those that no limit ends.
    request.timeout_ms = Some(if bomb.kind == ErrorKind::DeadlineExceeded { 1_500 } else { 120_000 });
    if [CHUNK, SILENT].contains(&bomb.endless) {
        return not_taken_in_before_it_is_read(&client, request, bomb).await;
    }
    let before = peak();
    let error = match bomb.streamed {
        false => client.chat(request).await.unwrap_err(),
        true => client.chat_stream(request).await.err().expect("no stream of this"),
    };
    let grown = peak() - before;
    println!("{name}: {} KiB, {error:.150}", grown >> 10);
    assert_eq!(error.kind(), bomb.kind, "{name}: {error:.300}");
    assert!(error.to_json().len() < 128 << 10, "{name}: an error of {} bytes", error.to_json().len());
    let most = 2 * bomb.limit + SLACK;
    assert!(grown < most, "{name}: took {} KiB, over {} KiB", grown >> 10, most >> 10);
}

/// A stream may last for as long as it is read; what is not read yet stays where it is.
async fn not_taken_in_before_it_is_read(client: &Client, request: ChatRequest, bomb: &Bomb) {
    let start = peak();
    let mut stream = client.chat_stream(request).await.unwrap();
    for _ in 0..1_000 {
        assert!(stream.next().await.unwrap().is_ok());
    }
    let begun = peak() - start;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let grown = peak() - start;
    println!("{}: {} KiB, {} KiB of it before it was left alone", bomb.name, grown >> 10, begun >> 10);
    assert!(grown < 2 * bomb.limit + SLACK, "unread, it took {} KiB", grown >> 10);
}

#[test]
fn no_answer_exhausts_memory() {
    let mut wrong = Vec::new();
    for bomb in BOMBS {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "in_the_child", "--ignored", "--nocapture"])
            .env(BOMB, bomb.name)
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
        if !child.status.success() || !said.contains(&format!("{}: ", bomb.name)) || !said.contains("1 passed") {
            wrong.push(said);
        } else {
            println!("{}", said.lines().find(|line| line.contains(" KiB, ")).unwrap_or_default());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn nested(open: &str, close: &str) -> String {
    format!("{}{}", open.repeat(100_000), close.repeat(100_000))
}

#[test]
fn deep_documents_are_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = nested(open, close);
        for text in
            [deep.clone(), format!("{{\"providers\": {deep}}}"), format!("{{\"pools\": {{\"p\": {{\"x\": {deep}}}}}}}")]
        {
            assert_eq!(Config::parse(&text).unwrap_err().kind(), ErrorKind::InvalidConfig);
        }
        for field in ["model", "messages", "tools", "response_format", "anything"] {
            let text = format!("{{\"model\": \"up/m\", \"messages\": [], \"{field}\": {deep}}}");
            let read = interfuse::types::from_json::<ChatRequest>("request", &text);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidRequest, "{field}");
        }
    }
    for toml in [
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}", "{a=".repeat(100_000)),
        format!("[{}x]", "a.".repeat(100_000)),
    ] {
        assert_eq!(Config::parse(&toml).unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
}

#[tokio::test]
async fn a_deep_request_made_in_code_is_an_error_or_an_answer() {
    let mut deep = Value::Null;
    for _ in 0..500 {
        deep = Value::Array(vec![deep]);
    }
    static ERROR: Bomb = Bomb {
        name: "error",
        head: "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n",
        once: "\r\n{}",
        kind: ErrorKind::InvalidRequest,
        ..PLAIN
    };
    let client = client_of(&ERROR).await;
    let mut request = ChatRequest::new("up/m", [Message::user("hi")]);
    request.extra.insert("x".to_owned(), deep);
    assert_eq!(client.chat(request).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
}
