//! The README's fusion, run as it stands there in each of the four languages against a scripted upstream.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use interfuse_tests::parity::runner::Language;
use interfuse_tests::upstream::Upstream;
use serde_json::json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The code block behind `<!-- example: NAME -->`.
fn block(name: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let after =
        readme.split(&format!("<!-- example: {name} -->")).nth(1).unwrap_or_else(|| panic!("no example {name}"));
    let code = after.split("```").nth(1).unwrap();
    code.split_once('\n').unwrap().1.to_owned()
}

/// Where this profile's libraries and examples are built.
fn built() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// An upstream that plays the four vendors, and the configuration that leads to it.
async fn vendors() -> (Upstream, PathBuf, tempfile::TempDir) {
    let up = Upstream::start(json!({"routes": [
        {"when": {"body": {"response_format": {"json_schema": {"name": "verdict"}}}}, "then": {
            "answer": "{\"best\": \"{{best}}\", \"reason\": \"{{best}} says both.\"}",
            "capture": {"best": "\"answer\":\"(\\w+)\",\"text\":\"Botanically yes"}}},
        {"when": {"body_contains": "json_schema"}, "then": {"answer": "{\"consensus\": [\"fruit\"], \"contradictions\": [], \"partial_coverage\": [], \"unique_insights\": [], \"blind_spots\": []}"}},
        {"when": {"path": "/mistral/chat/completions"}, "then": {"answer": "Botanically yes, in the kitchen no."}},
        {"when": {"path": "/openai/chat/completions"}, "then": {"answer": "Yes, a berry."}},
        {"when": {"path": "/anthropic/v1/messages"}, "then": {"json": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "Botanically it is a fruit."}],
            "usage": {"input_tokens": 9, "output_tokens": 7}}}},
        {"when": {"path": "/gemini/models/gemini-2.5-flash:generateContent"}, "then": {"json": {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "Cooks call it a vegetable."}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 7, "totalTokenCount": 16}}}}
    ]}))
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("interfuse.toml");
    let config: String = ["openai", "anthropic", "gemini", "mistral"]
        .map(|name| format!("[providers.{name}]\nbase_url = \"{}/{name}\"\napi_key = \"k\"\n", up.base_url()))
        .concat();
    std::fs::write(&file, config).unwrap();
    (up, file, folder)
}

async fn run(mut command: Command) -> String {
    let (up, config, _folder) = vendors().await;
    command.env("INTERFUSE_CONFIG", config).current_dir(root());
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{}", said, String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Botanically yes, in the kitchen no."), "{said}");
    assert_eq!(up.log().len(), 7, "three members, an analysis, the merged text, two verdicts that it is the best");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn rust() {
    let example = std::fs::read_to_string(root().join("core/examples/fuse.rs")).unwrap();
    let without_comments: String =
        example.lines().filter(|l| !l.starts_with("//!") && !l.starts_with("#![")).map(|l| format!("{l}\n")).collect();
    assert_eq!(block("rust"), without_comments, "the README's block and core/examples/fuse.rs differ");
    let mut build = Command::new(env!("CARGO"));
    // The whole workspace, as the tests were: with other features everything would be built a second time.
    build.args(["build", "--quiet", "--workspace", "--example", "fuse", "--target-dir"]).arg(built().parent().unwrap());
    if built().ends_with("release") {
        build.arg("--release");
    }
    assert!(build.current_dir(root()).status().unwrap().success());
    let said = run(Command::new(built().join("examples/fuse"))).await;
    assert!(said.contains("cost: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fuse.c"), block("c")).unwrap();
    // Builds the library, and says what to do where it cannot.
    Language::named("c").unwrap().prepare().unwrap();
    let program = folder.path().join("fuse");
    let compiled = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(root().join("include"))
        .arg(folder.path().join("fuse.c"))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(built())
        .arg("-linterfuse")
        .arg(format!("-Wl,-rpath,{}", built().display()))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let said = run(Command::new(program)).await;
    assert!(said.contains("\"report\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    let python = Language::named("python").unwrap().prepare().unwrap().command.swap_remove(0);
    let mut command = Command::new(python);
    command.arg("-c").arg(block("python"));
    let said = run(command).await;
    assert!(said.contains("cost: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_report_is_decided_on_again() {
    let python = Language::named("python").unwrap().prepare().unwrap().command.swap_remove(0);
    let mut command = Command::new(python);
    command.arg("-c").arg(block("again"));
    let said = run(command).await;
    assert!(said.trim_end().ends_with("decided the same again"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluation() {
    let python = Language::named("python").unwrap().prepare().unwrap().command.swap_remove(0);
    let (up, config, folder) = vendors().await;
    // Of three models one says what is right, so that there is nothing to gain.
    let items =
        ["Is a tomato a fruit?", "Is a cucumber a fruit?"].map(|q| json!({"prompt": q, "gold": "Yes, a berry."}));
    std::fs::write(folder.path().join("items.jsonl"), items.map(|i| format!("{i}\n")).concat()).unwrap();
    let mut command = Command::new(python);
    command.arg("-c").arg(block("evaluate")).env("INTERFUSE_CONFIG", config).current_dir(folder.path());
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("95 % interval") && said.contains("2 of 2 items"), "{said}");
    assert!(said.trim_end().ends_with("do not fuse: use openai/gpt-5-mini; no fusion had more right"), "{said}");
    assert_eq!(up.log().len(), 6, "every model once an item, whoever wants its answer");
    let kept = std::fs::read_to_string(folder.path().join("run.jsonl")).unwrap();
    assert_eq!(kept.lines().filter(|line| line.contains("\"item\":")).count(), 2, "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    Language::named("node").unwrap().prepare().unwrap();
    let mut command = Command::new("sh");
    // Inside the package its own name leads to it.
    command.args(["-c", "cd bindings-node && exec node --input-type=module -e \"$0\""]).arg(block("node"));
    let said = run(command).await;
    assert!(said.contains("cost: "), "{said}");
}
