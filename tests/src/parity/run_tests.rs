//! Tests of `run` with runners that are shell one-liners: a harness that cannot fail proves nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

/// A scenario that expects the text `hi` of an upstream that is never asked.
fn scenario(op: &str, expect: Value) -> Scenario {
    serde_json::from_value(json!({
        "name": "n", "about": "a", "op": op, "upstream": {"routes": []},
        "config": {"providers": {"up": {"base_url": "{{base}}/v1", "api_key": "a-long-secret"}}},
        "request": {}, "expect": expect,
    }))
    .unwrap()
}

/// Plays a scenario with a runner that is this shell script.
async fn play(scenario: &Scenario, shell: &str) -> Result<(), String> {
    let file = tempfile(shell);
    run(scenario, &Runner { command: vec!["/bin/sh".into(), file.clone()], env: &[] }).await.inspect(|()| {
        let _ = std::fs::remove_file(file);
    })
}

fn tempfile(shell: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("interfuse-parity-{}-{}.sh", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, shell).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    file
}

#[tokio::test]
async fn the_right_answer_passes() {
    let chat = scenario("chat", json!({"result": {"choices": [{}]}, "text": "hi", "upstream": {"requests": 0}}));
    play(&chat, r#"echo '{"result": {"choices": [{"message": {"content": "hi"}}]}}'"#).await.unwrap();

    let stream = scenario("chat_stream", json!({"result": null, "text": "hi", "chunks": {"$len": 2}}));
    let chunk = |text: &str| format!(r#"echo '{{"chunk": {{"choices": [{{"delta": {{"content": "{text}"}}}}]}}}}'"#);
    let lines = [chunk("h"), chunk("i"), r#"echo '{"result": null}'"#.into()];
    play(&stream, &lines.join("\n")).await.unwrap();

    let fused = scenario("fuse_stream", json!({"result": {"text": "hi"}, "text": "hi"}));
    let shell = r#"echo '{"event": {"type": "final_delta", "text": "hi"}}'
        echo '{"event": {"type": "run_done", "result": {"text": "hi"}}}'
        echo '{"result": null}'"#;
    play(&fused, shell).await.unwrap();
}

#[tokio::test]
async fn streamed_tool_calls_are_put_together() {
    let calls = json!([{"index": 0, "id": "c", "name": "f", "arguments": "{}"}, {"index": 1, "name": "g"}]);
    let stream = scenario("chat_stream", json!({"result": null, "tool_calls": calls}));
    let piece = |json: &str| format!(r#"echo '{{"chunk": {{"choices": [{{"delta": {{"tool_calls": [{json}]}}}}]}}}}'"#);
    let lines = [
        piece(r#"{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}"#),
        piece(r#"{"index": 1, "id": "d", "function": {"name": "g", "arguments": ""}}"#),
        piece(r#"{"index": 0, "function": {"arguments": "}"}}"#),
        r#"echo '{"result": null}'"#.into(),
    ];
    play(&stream, &lines.join("\n")).await.unwrap();
    let told = play(&stream, &lines[1..].join("\n")).await.unwrap_err();
    assert!(told.contains("at $.tool_calls[0].arguments"), "{told}");
}

#[tokio::test]
async fn every_difference_is_told() {
    let chat = scenario("chat", json!({"result": {"x": 1}, "upstream": {"requests": 1, "client_closed": true}}));
    for (shell, says) in [
        (r#"echo '{"result": {"x": 2}}'"#, "at $.result.x: expected 1, got 2"),
        (r#"echo '{"result": {"x": 1}}'"#, "at $.upstream.requests: expected 1, got 0"),
        (r#"echo '{"result": {"x": 1}}'"#, "at $.upstream.client_closed: expected true, got false"),
        (r#"echo '{"error": {"kind": "timeout"}}'"#, r#"got {"kind":"timeout"}"#),
        (r#"echo '{"result": {"x": 1}}'; exit 3"#, "exit status: 3"),
        (r#"echo '{"result": {"x": 1}}'; echo '{"chunk": 1}'"#, "a line after the last one"),
        ("echo hello", "not JSON"),
        (r#"echo '{"results": 1}'"#, "neither chunk"),
        ("true", "neither result nor error"),
        (r#"echo "$2" >&2; echo '{"result": {"x": 1}}'"#, "the key `a-long-secret` was printed"),
        ("echo oops >&2", "stderr: oops"),
    ] {
        let told = play(&chat, shell).await.unwrap_err();
        assert!(told.contains(says), "{shell}: {told}");
    }
}

#[tokio::test]
async fn an_error_is_not_met_by_success() {
    let chat = scenario("chat", json!({"error": {"kind": "timeout"}}));
    let told = play(&chat, r#"echo '{"result": {}}'"#).await.unwrap_err();
    assert!(told.contains("at $.error: expected") && told.contains("at $.result: expected $absent"), "{told}");
    let stream = scenario("chat_stream", json!({"error": {}}));
    let told = play(&stream, r#"echo '{"result": null}'"#).await.unwrap_err();
    assert!(told.contains("the clean end of a stream"), "{told}");
}

#[tokio::test]
async fn the_runner_gets_the_base_url_and_no_keys_of_ours() {
    let chat = scenario("chat", json!({"result": {"$contains": "http://127.0.0.1:"}}));
    play(&chat, r#"printf '{"result": "%s"}' "$(echo "$2" | sed 's/.*base_url":"\([^"]*\).*/\1/')""#).await.unwrap();
}
