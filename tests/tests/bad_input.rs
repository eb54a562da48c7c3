//! Bad input over real sockets: names, credentials and answers that are not what they should be. Each is a typed error
//! that says of whom, ends its connection, and has its record in the ledger.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interfuse::Client;
use interfuse::error::{Dispatch, Error, ErrorKind};
use interfuse::types::{ChatRequest, Config, Message, UsageQuery};
use interfuse_tests::upstream::{LogEntry, Upstream};
use serde_json::{Value, json};

const NOVA: &str = "amazon.nova-lite-v1:0";

async fn upstream(then: Value) -> Upstream {
    Upstream::start(json!({ "routes": [{ "then": then }] })).await.unwrap()
}

/// One provider for each way of framing a stream, all at the same address.
fn client(base: &str) -> Client {
    let config = json!({
        "use_environment": false,
        "providers": {
            "up": {"base_url": format!("{base}/v1"), "api_key": "k-1"},
            "anthropic": {"base_url": base, "api_key": "k-2"},
            "ollama-native": {"base_url": base},
            "bedrock": {"base_url": base, "api_key": "k-3", "vars": {"region": "us-east-1"}}
        },
        "retries": {"max_retries": 0},
        "timeouts": {"idle_ms": 5000}
    });
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

fn ask(model: &str) -> ChatRequest {
    ChatRequest::new(model, [Message::user("hi")])
}

/// The error of a whole or of a streamed call, before or after its first output.
async fn failure(client: &Client, model: &str, stream: bool) -> Error {
    if !stream {
        return client.chat(ask(model)).await.unwrap_err();
    }
    let mut stream = match client.chat_stream(ask(model)).await {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    loop {
        match stream.next().await.expect("an error before the end") {
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// What all failed attempts have in common: who it was, and one record.
fn held(client: &Client, error: &Error, provider: &str, model: &str) {
    let body = error.body();
    assert_eq!((body.provider.as_deref(), body.model.as_deref()), (Some(provider), Some(model)), "{error}");
    assert_eq!(body.attempts.len(), 1, "{error}");
    assert_eq!(body.attempts[0].error, Some(error.kind()));
    let usage = client.usage(UsageQuery::default()).unwrap().total;
    assert_eq!((usage.attempts, usage.failed), (1, 1), "{error}");
}

/// The upstream's only request, once its connection is through with it.
async fn ended(up: &Upstream) -> LogEntry {
    let mut log = up.settled(Duration::from_secs(5)).await;
    assert_eq!(log.len(), 1, "{log:?}");
    let entry = log.remove(0);
    assert!(entry.settled, "{entry:?}");
    entry
}

/// An answer that goes on for ever after `bytes`, so that only the client ends it.
fn endless(content_type: &str, bytes: &[u8]) -> Value {
    json!({"headers": {"content-type": content_type}, "steps": [{"send_base64": STANDARD.encode(bytes)}, {"stall": true}]})
}

/// A frame of Amazon's event streams, after the format's description.
fn frame(kind: &str, payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in [(":event-type", kind), (":message-type", "event")] {
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let mut out = ((16 + head.len() + payload.len()) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(head.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

#[tokio::test]
async fn a_model_a_provider_does_not_have_is_refused_with_who_has_it() {
    let up = upstream(json!({"answer": "x"})).await;
    let client = client(up.base_url());
    let mut request = ask("gpt-4o");
    request.provider = Some(serde_json::from_value(json!("anthropic")).unwrap());
    let error = client.chat(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let body = error.body();
    assert_eq!(body.provider.as_deref(), Some("anthropic"));
    assert!(body.model.as_deref().is_some_and(|model| model.ends_with("gpt-4o")), "{error}");
    assert!(error.message().contains("openai"), "{error}");
    // Nobody was asked.
    assert!(up.log().is_empty());
    assert_eq!(client.usage(UsageQuery::default()).unwrap().total.attempts, 0);
}

#[tokio::test]
async fn a_provider_without_a_chat_wire_is_refused_by_name() {
    let up = upstream(json!({"answer": "x"})).await;
    let client = client(up.base_url());
    // Makes pictures, and knows no conversations.
    let mut request = ask("gpt-4o");
    request.provider = Some(serde_json::from_value(json!("fal-ai")).unwrap());
    let error = client.chat(request).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidRequest | ErrorKind::Unsupported),
        "{error}"
    );
    assert!(error.message().contains("fal-ai"), "{error}");
    assert!(!error.body().retryable && up.log().is_empty());
    assert_eq!(client.usage(UsageQuery::default()).unwrap().total.attempts, 0);

    // A server of one's own that is said to speak what nobody knows.
    let config = json!({"providers": {"mine": {"base_url": up.base_url(), "like": "fal-ai"}}});
    let error = Client::from_config(serde_json::from_value::<Config>(config).unwrap()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.body().param.as_deref().is_some_and(|at| at.contains("mine")) || error.message().contains("mine"));
}

#[tokio::test]
async fn an_arn_that_cannot_be_meant_never_leaves() {
    let cases = [
        ("arn:aws:bedrock:us-east-1", "six parts"),
        ("arn:aws:s3:us-east-1:123456789012:bucket/x", "service"),
        ("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/x", "eu-west-1"),
    ];
    for (arn, why) in cases {
        for stream in [false, true] {
            let up = upstream(json!({"answer": "x"})).await;
            let client = client(up.base_url());
            let error = failure(&client, &format!("bedrock/{arn}"), stream).await;
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
            assert!(error.message().contains(why), "{error}");
            held(&client, &error, "bedrock", arn);
            assert_eq!(error.body().attempts[0].dispatch, Some(Dispatch::NotSent));
            assert_eq!(error.body().cost_nanos, Some(0));
            assert!(up.log().is_empty());
        }
    }
}

#[tokio::test]
async fn what_amazon_says_of_a_session_or_a_clock_is_explained() {
    let cases = [
        ("ExpiredTokenException", "The security token included in the request is expired", "refresh"),
        (
            "InvalidSignatureException",
            "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z",
            "clock",
        ),
        ("InvalidSignatureException", "Signature not yet current: 20260101T001000Z is still later", "clock"),
    ];
    for (name, said, advice) in cases {
        for stream in [false, true] {
            let up =
                upstream(json!({"status": 403, "headers": {"x-amzn-errortype": format!("{name}:http://internal/")},
                                     "json": {"message": said}}))
                .await;
            let client = client(up.base_url());
            let error = failure(&client, &format!("bedrock/{NOVA}"), stream).await;
            assert_eq!((error.kind(), error.body().status), (ErrorKind::Authentication, Some(403)), "{error}");
            assert!(error.message().contains(advice), "{error}");
            held(&client, &error, "bedrock", NOVA);
            ended(&up).await;
        }
    }
}

#[tokio::test]
async fn a_key_file_that_cannot_be_read_is_named() {
    let up = upstream(json!({"answer": "x"})).await;
    let folder = tempfile::tempdir().unwrap();
    let torn = folder.path().join("torn.json");
    std::fs::write(&torn, "{\"type\": \"service_acc").unwrap();
    for file in [folder.path().join("absent.json"), torn] {
        let config = json!({
            "use_environment": false,
            "providers": {"vertex": {"base_url": up.base_url(), "vars": {"project": "p"}, "credentials": {"key_file": file}}}
        });
        let client = Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap();
        let error = failure(&client, "vertex/gemini-2.5-flash", false).await;
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        assert!(error.message().contains(&file.display().to_string()), "{error}");
        held(&client, &error, "vertex", "gemini-2.5-flash");
        assert_eq!(error.body().attempts[0].dispatch, Some(Dispatch::NotSent));
        assert!(up.log().is_empty());
    }
}

#[tokio::test]
async fn corrupt_and_oversized_frames_end_a_stream() {
    let good = frame("messageStart", r#"{"role":"assistant"}"#);
    let mut wrong_sum = frame("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#);
    let middle = wrong_sum.len() - 10;
    wrong_sum[middle] ^= 1;
    let mut oversized = (64u32 << 20).to_be_bytes().to_vec();
    oversized.extend_from_slice(&[0; 4]);
    oversized.extend_from_slice(&crc32fast::hash(&oversized).to_be_bytes());
    for (bad, why) in [(wrong_sum, "corrupt"), (oversized, "larger than")] {
        let bytes = [good.as_slice(), bad.as_slice()].concat();
        let up = upstream(endless("application/vnd.amazon.eventstream", &bytes)).await;
        let client = client(up.base_url());
        let error = failure(&client, &format!("bedrock/{NOVA}"), true).await;
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        assert!(error.message().contains(why), "{error}");
        held(&client, &error, "bedrock", NOVA);
        assert!(ended(&up).await.client_closed_ms.is_some());
    }
}

#[tokio::test]
async fn lines_over_the_limit_end_a_stream() {
    let long = "x".repeat(interfuse::http::MAX_EVENT + 1);
    let cases = [
        ("up/m", "up", "text/event-stream", format!("data: {long}")),
        ("ollama-native/m", "ollama-native", "application/x-ndjson", format!("{{\"{long}")),
    ];
    for (model, provider, content_type, line) in cases {
        let up = upstream(endless(content_type, line.as_bytes())).await;
        let client = client(up.base_url());
        let error = failure(&client, model, true).await;
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        assert!(error.message().contains("larger than") && error.message().len() < 1000, "{error}");
        held(&client, &error, provider, "m");
        assert!(ended(&up).await.client_closed_ms.is_some());
    }
}

/// Model, provider, model as sent, content type of a stream.
const WIRES: &[(&str, &str, &str, &str)] = &[
    ("up/m", "up", "m", "text/event-stream"),
    ("anthropic/claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5", "text/event-stream"),
    ("ollama-native/m", "ollama-native", "m", "application/x-ndjson"),
    ("bedrock/amazon.nova-lite-v1:0", "bedrock", NOVA, "application/vnd.amazon.eventstream"),
];

#[tokio::test]
async fn json_of_great_depth_breaks_no_stack() {
    let deep = "[".repeat(100_000);
    for (model, provider, sent, content_type) in WIRES {
        // As a whole answer, inside a known field, and as the body of an error.
        let whole = [
            (200, deep.clone()),
            (200, format!("{{\"choices\":{deep}")),
            (200, format!("{{\"extra\":{deep}")),
            (500, deep.clone()),
            (400, format!("{{\"error\":{deep}")),
        ];
        for (status, body) in whole {
            let up = upstream(json!({"status": status, "headers": {"content-type": "application/json"}, "body": body}))
                .await;
            let client = client(up.base_url());
            let error = failure(&client, model, false).await;
            let want = match status {
                200 => ErrorKind::Decode,
                400 => ErrorKind::InvalidRequest,
                _ => ErrorKind::ServerError,
            };
            assert_eq!(error.kind(), want, "{model}: {error}");
            assert!(error.message().len() < 2000, "{model}");
            held(&client, &error, provider, sent);
            ended(&up).await;
        }
        let event = match *content_type {
            "text/event-stream" => format!("data: {{\"type\":\"ping\",\"x\":{deep}\n\n").into_bytes(),
            "application/x-ndjson" => format!("{{\"x\":{deep}\n").into_bytes(),
            _ => frame("contentBlockDelta", &format!("{{\"delta\":{deep}")),
        };
        let up = upstream(endless(content_type, &event)).await;
        let client = client(up.base_url());
        let error = failure(&client, model, true).await;
        assert_eq!(error.kind(), ErrorKind::Decode, "{model}: {error}");
        held(&client, &error, provider, sent);
        assert!(ended(&up).await.client_closed_ms.is_some(), "{model}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_an_error() {
    for (model, provider, sent, content_type) in WIRES {
        let event = match *content_type {
            "text/event-stream" => {
                b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n".to_vec()
            }
            "application/x-ndjson" => {
                b"{\"message\":{\"role\":\"assistant\",\"content\":\"\xff\xfe\"},\"done\":false}\n".to_vec()
            }
            _ => {
                let mut frame = frame("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"!!"}}"#);
                let at = frame.len() - 4 - r#"!!"}}"#.len();
                frame[at..at + 2].copy_from_slice(b"\xff\xfe");
                let end = frame.len() - 4;
                let sum = crc32fast::hash(&frame[..end]);
                frame[end..].copy_from_slice(&sum.to_be_bytes());
                frame
            }
        };
        let up = upstream(endless(content_type, &event)).await;
        let client = client(up.base_url());
        let error = failure(&client, model, true).await;
        assert_eq!(error.kind(), ErrorKind::Decode, "{model}: {error}");
        held(&client, &error, provider, sent);
        assert!(ended(&up).await.client_closed_ms.is_some(), "{model}");
    }
}

#[tokio::test]
async fn a_coding_nobody_asked_for_is_not_unpacked() {
    // The head of a gzip file; what follows could be a bomb and is not read.
    let packed = STANDARD.encode(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x00\x00");
    for (model, provider, sent, content_type) in WIRES {
        for stream in [false, true] {
            let headers = json!({"content-type": content_type, "content-encoding": "gzip"});
            let up = upstream(json!({"headers": headers, "steps": [{"send_base64": packed}, {"stall": true}]})).await;
            let client = client(up.base_url());
            let error = failure(&client, model, stream).await;
            assert_eq!(error.kind(), ErrorKind::Decode, "{model}: {error}");
            assert!(error.message().contains("`gzip`"), "{model}: {error}");
            held(&client, &error, provider, sent);
            let seen = ended(&up).await;
            assert!(seen.client_closed_ms.is_some(), "{model}");
            assert!(!seen.headers.contains_key("accept-encoding"), "{model}");
        }
    }
    let up = upstream(json!({"status": 503, "headers": {"content-encoding": "gzip"}, "body_base64": packed})).await;
    let client = client(up.base_url());
    let error = failure(&client, "up/m", false).await;
    assert_eq!((error.kind(), error.body().status), (ErrorKind::Overloaded, Some(503)));
    assert!(error.message().contains("`gzip`"), "{error}");
    held(&client, &error, "up", "m");
}
