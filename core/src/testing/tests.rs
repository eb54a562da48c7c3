//! Scripts and cassettes through whole clients.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::types::{ChatRequest, Message};

fn ask(model: &str) -> ChatRequest {
    ChatRequest::new(model, [Message::user("Where do you live?")])
}

async fn say(client: &Client, model: &str) -> Result<String> {
    let answer = serde_json::to_value(client.chat(ask(model)).await?).unwrap();
    Ok(answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned())
}

async fn streamed(client: &Client, model: &str) -> Result<String> {
    let mut stream = client.chat_stream(ask(model)).await?;
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        let chunk = serde_json::to_value(chunk?).unwrap();
        text += chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
    }
    Ok(text)
}

fn no_retries(script: &str) -> Client {
    scripted(script, Some(r#"{"retries": {"max_retries": 0}, "timeouts": {"idle_ms": 5000, "first_byte_ms": 3000}}"#))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_script_answers_in_turn_and_at_its_price() {
    let script = r#"[{"when": {"model": "m-a"}, "then": [{"status": 429}, {"answer": "In Bern.", "usage": {"prompt_tokens": 1000}}]},
        {"when": {"body": {"stream": true}, "last_role": "user", "method": "POST"}, "then": {"answer": "In two words.", "chunk_delay_ms": 20}},
        {"answer": "In Rome.", "delay_ms": 50}]"#;
    let config = r#"{"prices": {"up/m-a": {"input": "1", "output": "2"}}}"#;
    let client = scripted(script, Some(config)).unwrap();
    let answer = client.chat(ask("up/m-a")).await.unwrap();
    let meta = serde_json::to_value(answer.interfuse.unwrap()).unwrap();
    assert_eq!((meta["attempts"].as_array().unwrap().len(), &meta["cost_nanos"]), (2, &json!(1_004_000)));
    assert_eq!(say(&client, "up/m-a").await.unwrap(), "In Bern.", "the last repeats");
    let before = tokio::time::Instant::now();
    assert_eq!(say(&client, "up/other").await.unwrap(), "In Rome.");
    assert!(before.elapsed() >= Duration::from_millis(50));
    assert_eq!(streamed(&client, "up/other").await.unwrap(), "In two words.");
}

#[tokio::test(start_paused = true)]
async fn faults_are_those_of_a_network() {
    let client = no_retries(
        r#"[{"when": {"model": "reset"}, "then": {"steps": [{"reset": true}]}},
        {"when": {"model": "late"}, "then": {"answer": "x", "delay_ms": 4000}},
        {"when": {"model": "cut"}, "then": {"answer": "In Bern, as ever.", "cut_after": 40}},
        {"when": {"model": "stall"}, "then": {"answer": "In Bern, as ever.", "breaks": {"after": 2, "then": [{"stall": true}]}}}]"#,
    );
    for (model, kind, says) in [
        ("up/reset", ErrorKind::Connection, "reset"),
        ("up/late", ErrorKind::Timeout, "first_byte"),
        ("up/cut", ErrorKind::Interrupted, "after 40 bytes"),
        ("up/stall", ErrorKind::Timeout, "idle"),
    ] {
        let e = say(&client, model).await.unwrap_err();
        assert!(e.kind() == kind && e.to_string().contains(says), "{model}: {e:?}");
    }
    let e = streamed(&client, "up/stall").await.unwrap_err();
    let partial = e.body().partial.as_ref().map(|partial| partial.text.as_str());
    assert_eq!(partial, Some("In Bern,"), "{e:?}");
    let e = say(&client, "up/unknown").await.unwrap_err();
    assert_eq!((e.kind(), e.body().code.as_deref()), (ErrorKind::NotFound, Some("script_without_route")));
    assert!(e.message().contains("POST /v1/chat/completions of model unknown at provider up"), "{e}");
}

#[tokio::test]
async fn providers_are_told_apart_by_name() {
    let script = r#"[{"when": {"provider": "groq"}, "then": {"answer": "groq"}}, {"answer": "other"}]"#;
    let client = scripted(script, Some("[providers.groq]\n[providers.mine]")).unwrap();
    assert_eq!(say(&client, "groq/m").await.unwrap(), "groq");
    assert_eq!(say(&client, "mine/m").await.unwrap(), "other");
    let e = scripted("[]", Some("[providers.up]\nbase_url = 'http://x'")).map(|_| ()).unwrap_err();
    assert_eq!((e.kind(), e.body().param.as_deref()), (ErrorKind::InvalidConfig, Some("providers.up.base_url")));
}

#[test]
fn what_is_not_understood_is_named() {
    for (script, at) in [
        (r#"[{"anser": "x"}]"#, "[0].anser"),
        (r#"[{}, {"when": {"modle": "x"}, "then": {}}]"#, "[1].when.modle"),
        (r#"[{"then": [{}, {"tool_calls": [{"nam": "x"}]}]}]"#, "[0].then[1].tool_calls[0].nam"),
        (r#"[{"then": {"answer": "a", "json": {}}}]"#, "[0].then"),
        (r#"[{"when": {"model": "x"}}]"#, "[0].then"),
        (r#"[{"then": {}, "else": {}}]"#, "[0].else"),
        (r#"[{"body": "x", "usage": false}]"#, "[0]"),
        (r#"[{"status": 7}]"#, "[0]"),
        (r#"{}"#, "."),
    ] {
        let e = scripted(script, None).map(|_| ()).unwrap_err();
        assert_eq!((e.kind(), e.body().param.as_deref()), (ErrorKind::InvalidRequest, Some(at)), "{script}: {e}");
    }
}

#[tokio::test]
async fn the_shared_cassette_replays() {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cassettes/talk.json");
    let client = recorded(&shared, Mode::Replay, None).unwrap();
    assert_eq!(say(&client, "lab/m").await.unwrap(), "In Zürich.");
    assert!(!streamed(&client, "lab/m").await.unwrap().is_empty());
    let e = say(&client, "lab/m").await.unwrap_err();
    assert_eq!((e.kind(), e.body().code.as_deref()), (ErrorKind::NotFound, Some("not_in_cassette")));
    assert!(e.message().contains("is there 1 times and came once more"), "{e}");
    let e = say(&client, "lab/other").await.unwrap_err();
    assert!(e.message().contains("is not among its"), "{e}");
}

/// A recorder before a script, as it stands before a network.
fn recording(path: &Path, script: &str) -> Client {
    let config: Config = serde_json::from_value(json!({
        "providers": {"lab": {"base_url": "https://lab.example/up/v1", "api_key": "a-key-of-some-length"}},
        "retries": {"max_retries": 0, "base_ms": 1}, "use_environment": false,
    }))
    .unwrap();
    let inner = Arc::new(play::Scripted::new(script).unwrap());
    client(config.clone(), Arc::new(cassette::recorder(path, &config, inner).unwrap())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_replayed_without_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.json");
    let client = recording(
        &path,
        r#"[{"when": {"model": "echo"}, "then": {"answer": "a-key-of-some-length, said twice: a-key-of-some-length",
                "headers": {"set-cookie": "mine=1", "x-request-id": "r-1"}}},
            {"when": {"model": "cut"}, "then": {"answer": "In Bern, as ever.", "cut_after": 40}},
            {"when": {"model": "never"}, "then": {"answer": "x", "delay_ms": 100000}},
            {"answer": "In Bern."}]"#,
    );
    let echoed = say(&client, "lab/echo").await.unwrap();
    assert_eq!(say(&client, "lab/m").await.unwrap(), "In Bern.");
    assert_eq!(streamed(&client, "lab/m").await.unwrap(), "In Bern.");
    assert_eq!(say(&client, "lab/cut").await.unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(tokio::time::timeout(Duration::from_secs(1), say(&client, "lab/never")).await.is_err());

    let text = fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("a-key-of") && !text.contains("mine=1") && text.contains("\"x-request-id\": \"r-1\""),
        "{text}"
    );
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["providers"], json!({"lab": {"base_url": "https://lab.example/up/v1"}}));
    assert_eq!(file["interactions"].as_array().unwrap().len(), 5);
    assert_eq!(file["interactions"][3]["response"]["ends"], "cut");
    assert_eq!(file["interactions"][4]["response"], Value::Null);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let again = recorded(&path, Mode::Auto, Some(r#"{"retries": {"max_retries": 0}}"#)).unwrap();
    assert_eq!(say(&again, "lab/echo").await.unwrap(), echoed.replace("a-key-of-some-length", "[scrubbed]"));
    assert_eq!(streamed(&again, "lab/m").await.unwrap(), "In Bern.");
    assert_eq!(say(&again, "lab/m").await.unwrap(), "In Bern.");
    assert_eq!(say(&again, "lab/cut").await.unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(tokio::time::timeout(Duration::from_secs(1), say(&again, "lab/never")).await.is_err());
}

#[tokio::test]
async fn a_cassette_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no.json");
    let refused = |path: &Path, mode| {
        let e = recorded(path, mode, None).map(|_| ()).unwrap_err();
        assert_eq!((e.kind(), e.body().param.as_deref()), (ErrorKind::InvalidConfig, Some("path")), "{e}");
    };
    refused(&path, Mode::Replay);
    refused(&folder.path().join("no/folder.json"), Mode::Auto);
    fs::write(&path, "{}").unwrap();
    refused(&path, Mode::Auto);
    fs::write(&path, r#"{"interfuse_cassette": 2, "providers": {}, "interactions": []}"#).unwrap();
    refused(&path, Mode::Replay);
    assert_eq!("tape".parse::<Mode>().unwrap_err().body().param.as_deref(), Some("mode"));
    // The folder goes away in the midst of it: the next request is told.
    let gone = folder.path().join("sub");
    fs::create_dir(&gone).unwrap();
    let client = recording(&gone.join("talk.json"), r#"[{"answer": "In Bern."}]"#);
    fs::remove_dir(&gone).unwrap();
    assert_eq!(say(&client, "lab/m").await.unwrap(), "In Bern.");
    assert_eq!(say(&client, "lab/m").await.unwrap_err().kind(), ErrorKind::Storage);
}
