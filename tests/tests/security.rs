//! A key that a client was given is told nowhere: not in errors, reports or panics, and not in what the libraries below
//! log, also where a vendor repeats it. What holds keys in its environment runs in a child process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod listening;
mod tls_server;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use interfuse::backend::{AwsKeys, Key, KeySource, KeySources};
use interfuse::secret::Secret;
use interfuse::types::{ChatRequest, Config, EmbeddingRequest, Message, UsageQuery};
use interfuse::{Client, Error};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

/// With letters that JSON, addresses and base64 write in other ways.
const CANARY: &str = "canary/Qx7+f3A9c1E5b2D8406z/W==";
/// So much of it must not be seen anywhere.
const TOO_MUCH: usize = 12;
const VARIABLE: &str = "INTERFUSE_TEST_CANARY";

/// The first piece of the canary found in `text`, in any of the ways in which it may be written.
fn leaked(text: &str) -> Option<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect();
    let escaped = CANARY.replace('/', "\\/");
    let ways = [
        CANARY.to_owned(),
        encoded.clone(),
        encoded.replace("%2F", "/"),
        escaped.clone(),
        escaped.replace('\\', "\\\\"),
    ];
    ways.iter().find_map(|way| {
        let at = (0..=way.len() - TOO_MUCH).find(|at| text.contains(&way[*at..at + TOO_MUCH]))?;
        let found = text.find(&way[at..at + TOO_MUCH])?;
        let from = text[..found].char_indices().rev().nth(120).map_or(0, |(at, _)| at);
        Some(text[from..].chars().take(240).collect())
    })
}

/// What told the key, all of it, so that one run shows everything.
#[derive(Default)]
struct Leaks(Vec<String>);

impl Leaks {
    fn look(&mut self, text: &str, what: impl std::fmt::Display) {
        if let Some(around) = leaked(text) {
            self.0.push(format!("{what} tells the key: ...{around}..."));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n\n"));
    }
}

fn assert_untold(text: &str, what: &str) {
    let mut leaks = Leaks::default();
    leaks.look(text, what);
    leaks.none();
}

/// Answers of a vendor that repeats the key it was sent wherever it can.
fn echoes() -> Vec<Value> {
    let escaped = CANARY.replace('/', "\\/");
    let encoded: String = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect();
    let at_the_end = |size: usize| format!("{}{CANARY} and more", "x".repeat(size - CANARY.len() / 2 - 1));
    vec![
        json!({"status": 400, "headers": {"x-request-id": CANARY}, "json": {"error": {"message": format!("bad key {CANARY}."), "code": CANARY, "type": CANARY, "param": CANARY}}}),
        json!({"status": 401, "json": {"error": {"message": format!("bad key {CANARY}."), "code": CANARY}}}),
        json!({"status": 403, "json": {"error": CANARY}}),
        json!({"status": 404, "body": format!("<html><body>{CANARY}</body></html>")}),
        json!({"status": 422, "body": format!("{{\"error\": {{\"message\": \"{escaped}\"}}}}")}),
        json!({"status": 400, "body": format!("no JSON: {escaped}")}),
        json!({"status": 400, "body": at_the_end(16 << 10)}),
        json!({"status": 400, "json": {"error": {"message": at_the_end(500)}}}),
        json!({"status": 400, "body": format!("{:200}{CANARY}", "text")}),
        json!({"status": 302, "headers": {"location": format!("https://elsewhere.example/?key={CANARY}")}, "body": ""}),
        json!({"status": 307, "headers": {"location": format!("https://elsewhere.example/?key={encoded}")}, "body": ""}),
        json!({"status": 308, "headers": {"location": at_the_end(200)}, "body": ""}),
        json!({"status": 200, "headers": {"x-request-id": CANARY}, "body": format!("no answer: {CANARY}")}),
        json!({"status": 200, "json": {"error": {"message": CANARY, "code": 400}}}),
        json!({"status": 200, "headers": {"content-encoding": CANARY}, "body": "x"}),
        json!({"status": 200, "sse": [{"choices": [{"index": 0, "delta": {"content": "In "}}]}, {"error": {"message": CANARY}}]}),
        json!({"status": 200, "sse": [{"choices": [{"index": 0, "delta": {"content": "In "}}]}, format!("corrupt {CANARY}")]}),
    ]
}

/// What a user can see of a client and of its errors.
async fn everything_told(client: &Client, model: &str) -> String {
    let mut told = String::new();
    let mut request = ChatRequest::new(model, [Message::user("hi")]);
    request.max_retries = Some(0);
    let mut tell = |error: &Error| told.push_str(&format!("{error}\n{error:?}\n{error:#?}\n{}\n", error.to_json()));
    match client.chat(request.clone()).await {
        Ok(answer) => drop(answer),
        Err(error) => tell(&error),
    }
    match client.chat_stream(request).await {
        Err(error) => tell(&error),
        Ok(mut stream) => {
            while let Some(chunk) = stream.next().await {
                if let Err(error) = chunk {
                    tell(&error);
                }
            }
        }
    }
    let embedding = EmbeddingRequest::new(model, "hi");
    if let Err(error) = client.embeddings(embedding).await {
        tell(&error);
    }
    let by = ["provider", "model", "purpose"].map(str::to_owned).to_vec();
    let usage = client.usage(UsageQuery { by, ..Default::default() }).unwrap();
    told.push_str(&format!("{usage:?}\n{}\n", serde_json::to_string(&usage).unwrap()));
    told.push_str(&serde_json::to_string(&client.providers().unwrap()).unwrap());
    told
}

async fn upstream(routes: Value) -> Upstream {
    Upstream::start(json!({ "routes": routes })).await.unwrap()
}

fn aws() -> impl KeySource {
    || async {
        Ok(Key::Aws(AwsKeys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new(format!("s{CANARY}")),
            session_token: Some(Secret::new(CANARY)),
            expires_at: None,
        }))
    }
}

/// Ways to give a key: its name, the configuration's `providers`, the model to ask, and a callable.
type Way = (&'static str, Value, &'static str, Option<Arc<dyn KeySource>>);

fn ways(base: &str, files: &std::path::Path) -> Vec<Way> {
    let file = |name: &str, text: String| {
        std::fs::write(files.join(name), text).unwrap();
        files.join(name)
    };
    let v1 = format!("{base}/v1");
    let google = json!({"type": "authorized_user", "client_id": "id", "client_secret": CANARY, "refresh_token": CANARY,
        "token_uri": format!("{base}/token")});
    let own = |more: Value| {
        let mut row = json!({"base_url": v1});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"up": row})
    };
    let entra = json!({"tenant_id": "t", "client_id": "c", "client_secret_env": VARIABLE});
    let callable: Arc<dyn KeySource> = Arc::new(|| async { Ok(Key::from(CANARY)) });
    vec![
        ("api_key", own(json!({"api_key": CANARY})), "up/m", None),
        ("api_key_env", own(json!({"api_key_env": VARIABLE})), "up/m", None),
        ("api_key_file", own(json!({"api_key_file": file("key", format!("{CANARY}\n"))})), "up/m", None),
        ("keys", own(json!({"keys": [{"name": "a", "api_key": CANARY}]})), "up/m", None),
        ("callable", own(json!({})), "up/m", Some(callable)),
        ("headers", own(json!({"api_key": "another-key", "headers": {"x-api-key": CANARY}})), "up/m", None),
        (
            "google",
            json!({"vertex": {"base_url": v1, "vars": {"project": "p", "region": "europe-west1"},
            "credentials": {"key_file": file("google", google.to_string())}}}),
            "vertex/gemini-2.5-flash",
            None,
        ),
        ("entra", json!({"azure": {"base_url": v1, "vars": {"resource": "r"}, "credentials": entra}}), "azure/m", None),
        (
            "aws",
            json!({"bedrock": {"base_url": base, "vars": {"region": "eu-west-1"}}}),
            "bedrock/amazon.nova-lite-v1:0",
            Some(Arc::new(aws())),
        ),
    ]
}

#[tokio::test]
async fn a_key_is_told_nowhere() {
    let up = upstream(json!([])).await;
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_the_child", "--ignored", "--nocapture"])
        .envs([(VARIABLE, CANARY), ("AZURE_AUTHORITY_HOST", up.base_url()), ("RUST_BACKTRACE", "1")])
        .output()
        .await
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    assert_untold(&said, "its output");
    // Calls were made with each of the keys, so that there was something to tell.
    let log = up.log();
    let sent = log.iter().filter(|entry| leaked(&format!("{:?}", entry.headers)).is_some());
    let sent: BTreeSet<&str> = sent.filter_map(|entry| entry.headers.get("x-way").map(String::as_str)).collect();
    let files = tempfile::tempdir().unwrap();
    assert_eq!(sent, ways(up.base_url(), files.path()).iter().map(|(name, ..)| *name).collect());
}

/// Everything that is logged is heard by one listener for the whole process, so all ways are tried here, in turn.
#[tokio::test]
#[ignore = "run by a_key_is_told_nowhere, in a process of its own"]
async fn in_the_child() {
    let heard = listening::to_everything();
    let files = tempfile::tempdir().unwrap();
    let base = std::env::var("AZURE_AUTHORITY_HOST").unwrap();
    let mut leaks = Leaks::default();
    for (name, providers, model, source) in ways(&base, files.path()) {
        let provider = model.split('/').next().unwrap();
        let retries = json!({"base_ms": 1, "max_ms": 2});
        let config = json!({"use_environment": name == "entra", "providers": providers, "retries": retries});
        let mut config: Config = serde_json::from_value(config).unwrap();
        if name != "headers" {
            leaks.look(&serde_json::to_string(&config).unwrap(), format!("{name}: the configuration as JSON"));
        }
        config.providers.get_mut(provider).unwrap().headers.insert("x-way".to_owned(), name.to_owned());
        leaks.look(&format!("{config:?} {config:#?}"), format!("{name}: Debug of the configuration"));
        let keys: KeySources = source.into_iter().map(|source| (provider.to_owned(), source)).collect();
        let token =
            json!({"when": {"path_ends": "/token"}, "then": {"json": {"access_token": CANARY, "expires_in": 3600}}});
        let mut answered: Vec<Value> = echoes().into_iter().map(|then| json!([token, { "then": then }])).collect();
        if matches!(name, "google" | "entra") {
            answered.extend(echoes().into_iter().map(|then| json!([{ "then": then }])));
        }
        for routes in answered {
            set_script(&base, &json!({ "routes": routes }));
            let client = Client::with_keys(config.clone(), keys.clone()).unwrap();
            let told = everything_told(&client, model).await;
            leaks.look(&told, format!("{name}, answered {:.300}", routes.to_string()));
            leaks.look(&heard.take(), format!("{name}: a log"));
        }
    }
    leaks.none();
    assert!(heard.lines() > 100, "the listener heard {} lines only", heard.lines());
}

/// Changes the script of the parent's upstream.
fn set_script(base: &str, script: &Value) {
    let mut socket = std::net::TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    let body = script.to_string();
    let head =
        format!("POST /__script HTTP/1.1\r\nhost: up\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_key_is_in_no_panic_and_no_log_of_http_2() {
    let heard = listening::to_everything();
    let (address, pem) = tls_server::server(&["h2"]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let config = json!({
        "use_environment": false,
        "providers": {"up": {"base_url": format!("https://localhost:{}/v1", address.port()), "api_key": CANARY,
            "headers": {"x-gateway-key": CANARY}}},
        "network": {"ca_file": file.path()}
    });
    let client = Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap();
    let mut request = ChatRequest::new("up/m", [Message::user("hi")]);
    request.extra_headers = Some(BTreeMap::from([("x-caller-key".to_owned(), CANARY.to_owned())]));
    assert_eq!(client.chat(request).await.unwrap().text(), "HTTP/2.0");
    let panicking: Arc<dyn KeySource> = Arc::new(|| async { panic!("the vault is broken") });
    let config = json!({"use_environment": false, "providers": {"up": {"base_url": "http://127.0.0.1:1/v1", "headers": {"x-key": CANARY}}}});
    let keys = KeySources::from([("up".to_owned(), panicking)]);
    let client = Client::with_keys(serde_json::from_value::<Config>(config).unwrap(), keys).unwrap();
    let asked = tokio::spawn(async move { client.chat(ChatRequest::new("up/m", [Message::user("hi")])).await });
    let panicked = asked.await.unwrap_err();
    assert_untold(&format!("{panicked} {panicked:?}"), "the panic");
    let lines = heard.take();
    assert!(lines.contains("h2"), "HTTP/2 was not heard");
    assert!(lines.contains("the vault is broken"), "the panic was not heard");
    assert_untold(&lines, "a log");
}

#[tokio::test]
async fn a_configuration_that_is_refused_does_not_tell_its_keys() {
    let mut leaks = Leaks::default();
    for document in [
        format!("[providers.up]\nbase_url = \"http://up\"\napi_key = {CANARY}\n"),
        format!("[providers.up]\nbase_url = \"http://up\"\napi_key = [\"{CANARY}\"]\n"),
        format!("[providers.up]\nbase_url = \"http://up\"\napi_kee = \"{CANARY}\"\n"),
        format!("[providers.up]\napi_key = \"{CANARY}\"\n"),
        format!("{{\"providers\": {{\"up\": {{\"base_url\": \"http://up\", \"api_key\": [\"{CANARY}\"]}}}}}}"),
        format!("{{\"providers\": {{\"up\": {{\"base_url\": \"http://up\", \"api_key\": \"{CANARY}\", \"x\": 1}}}}}}"),
        format!("{{\"providers\": {{\"up\": \"{CANARY}\"}}}}"),
        format!("{{\"providers\": {{\"up\": {{\"base_url\": \"http://up\", \"keys\": [\"{CANARY}\"]}}}}}}"),
        format!("{{\"providers\": {{\"up\": {{\"base_url\": \"http://user:{CANARY}@up/\"}}}}}}"),
        format!("{{\"providers\": {{\"up\": {{\"base_url\": \"ftp://user:{CANARY}@up/\"}}}}}}"),
        format!("{{\"providers\": {{\"up\": {{\"base_url\": \"http://user:{CANARY}@up:99999/\"}}}}}}"),
        format!("{{\"providers\": {{\"up\": {{\"base_url\": \"http://up\", \"api_key\": \"{CANARY}\\u0001x\"}}}}}}"),
        format!(
            "{{\"providers\": {{\"up\": {{\"base_url\": \"http://up\", \"headers\": {{\"x-key\": \"{CANARY}\\n\"}}}}}}}}"
        ),
        format!(
            "{{\"providers\": {{\"up\": {{\"base_url\": \"http://up\", \"api_key\": \"x\"}}}}, \"network\": {{\"proxy\": \"http://user:{CANARY}@:x\"}}}}"
        ),
    ] {
        let client = match Client::from_document(&document) {
            Err(error) => {
                leaks.look(&format!("{error} {error:?} {}", error.to_json()), &document);
                continue;
            }
            Ok(client) => client,
        };
        let error = client.chat(ChatRequest::new("up/m", [Message::user("hi")])).await.unwrap_err();
        leaks.look(&format!("{error} {error:?} {}", error.to_json()), &document);
    }
    let config = json!({"network": {"proxy": format!("http://user:{CANARY}@proxy.example:1")}});
    leaks.look(&format!("{:?}", serde_json::from_value::<Config>(config).unwrap()), "Debug of a proxy");
    leaks.none();
}

#[tokio::test]
async fn a_redirect_carries_nothing_to_another_origin() {
    let elsewhere = upstream(json!([{"then": {"answer": "caught"}}])).await;
    let files = tempfile::tempdir().unwrap();
    for status in [300, 301, 302, 303, 307, 308] {
        let to = json!({"status": status, "headers": {"location": format!("{}/v1/chat/completions", elsewhere.base_url())}, "body": ""});
        let up = upstream(json!([{ "then": to }])).await;
        for (name, providers, model, source) in ways(up.base_url(), files.path()) {
            if matches!(name, "api_key_env" | "entra") {
                continue;
            }
            let config = json!({"use_environment": false, "providers": providers});
            let keys: KeySources =
                source.into_iter().map(|s| (model.split('/').next().unwrap().to_owned(), s)).collect();
            let client = Client::with_keys(serde_json::from_value::<Config>(config).unwrap(), keys).unwrap();
            let told = everything_told(&client, model).await;
            assert!(!told.contains("caught"), "{name}");
        }
        assert!(up.stats().requests > 12, "{:?}", up.stats());
    }
    assert_eq!((elsewhere.stats().connections, elsewhere.log().len()), (0, 0), "nobody came there");
}
