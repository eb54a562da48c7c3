//! The documentation: every block of every page runs against a server that plays the vendors, in its own language, and prints what
//! the page shows. One test for each language; a block that is not run says why, and is counted here.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use interfuse_tests::codegen::root;
use interfuse_tests::docs::{self, Program, Run, Snippet};
use interfuse_tests::parity::runner::Language;
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Blocks that nobody runs: how to install.
const NOT_RUN: usize = 5;

/// Blocks that `tests/compat` runs, which has the vendors' packages.
const RUN_ELSEWHERE: usize = 1;

/// Backends that the pages ask, all led to one server.
const BACKENDS: &[&str] = &["openai", "anthropic", "gemini", "mistral", "groq", "cerebras", "together"];

fn snippets() -> Vec<Snippet> {
    docs::snippets().unwrap()
}

fn root_folder() -> PathBuf {
    root().canonicalize().unwrap()
}

/// Where this profile's libraries and programs are built.
fn built() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// What the vendors say to the questions of the pages.
fn script() -> Value {
    let told = |answer: &str| json!({"answer": answer});
    let usage = json!({"prompt_tokens": 13, "completion_tokens": 1});
    let claude = "Botanically it is a fruit.";
    let gemini = json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Cooks call it a vegetable."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 7, "totalTokenCount": 16}});
    json!({"routes": [
        // What a fusion's judge is asked.
        {"when": {"body": {"response_format": {"json_schema": {"name": "verdict"}}}}, "then": {
            "answer": "{\"best\": \"{{best}}\", \"reason\": \"{{best}} says both.\"}",
            "capture": {"best": "\"answer\":\"(\\w+)\",\"text\":\"Botanically"}}},
        {"when": {"path": "/mistral/chat/completions", "body_contains": "json_schema"}, "then":
            told("{\"consensus\": [\"fruit\"], \"contradictions\": [], \"partial_coverage\": [], \"unique_insights\": [], \"blind_spots\": []}")},
        {"when": {"path": "/mistral/chat/completions", "body_contains": "tomato"}, "then": told("Botanically yes, in the kitchen no.")},
        // Its members.
        {"when": {"path": "/openai/chat/completions", "body_contains": "a fruit?"}, "then": told("Yes, a berry.")},
        {"when": {"path": "/anthropic/v1/messages", "body": {"stream": true}}, "then": {"sse": [
            {"event": "message_start", "data": {"type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [],
                "usage": {"input_tokens": 9, "output_tokens": 1}}}},
            {"event": "content_block_start", "data": {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}},
            {"event": "content_block_delta", "data": {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": claude}}},
            {"event": "content_block_stop", "data": {"type": "content_block_stop", "index": 0}},
            {"event": "message_delta", "data": {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}},
            {"event": "message_stop", "data": {"type": "message_stop"}}]}},
        {"when": {"path": "/anthropic/v1/messages"}, "then": {"json": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": claude}],
            "usage": {"input_tokens": 9, "output_tokens": 7}}}},
        {"when": {"path": "/gemini/models/gemini-2.5-flash:streamGenerateContent"}, "then": {"sse": [gemini]}},
        {"when": {"path": "/gemini/models/gemini-2.5-flash:generateContent"}, "then": {"json": gemini}},
        // Chat.
        {"when": {"path": "/cerebras/chat/completions"}, "then": {"status": 503, "json": {"error": {"message": "busy"}}}},
        {"when": {"body": {"model": "openai/gpt-oss-20b"}}, "then":
            {"status": 429, "headers": {"retry-after": "2"}, "json": {"error": {"message": "slow down"}}}},
        {"when": {"path_ends": "/embeddings"}, "then": {"json": {"object": "list", "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}, {"object": "embedding", "index": 1, "embedding": [0.5, 0.25]}],
            "usage": {"prompt_tokens": 2, "total_tokens": 2}}}},
        {"when": {"body_contains": "How warm", "last_role": "tool"}, "then": told("It is 12.5 °C in Bern.")},
        {"when": {"body_contains": "How warm"}, "then": {"tool_calls": [{"name": "temperature", "arguments": {"city": "Bern"}}]}},
        {"when": {"body_contains": "Describe Bern."}, "then": told("{\"name\": \"Bern\", \"canton\": \"Bern\", \"people\": 134506}")},
        {"when": {"body_contains": "three Swiss rivers"}, "then": told("The Aare, the Reuss, the Limmat.")},
        {"when": {"path_ends": "/chat/completions"}, "then": {"answer": "The Aare.", "usage": usage}},
    ]})
}

/// The server, and a folder to work in whose configuration leads there.
async fn vendors() -> (Upstream, tempfile::TempDir) {
    let up = Upstream::start(script()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let provider =
        |name: &&str| format!("[providers.{name}]\nbase_url = \"{}/{name}\"\napi_key = \"k\"\n", up.base_url());
    std::fs::write(folder.path().join("interfuse.toml"), BACKENDS.iter().map(provider).collect::<String>()).unwrap();
    (up, folder)
}

/// Leads a program to the server by the configuration, and one that has a configuration of its own by the vendors' variables.
fn lead(command: &mut Command, up: &Upstream, folder: &Path) {
    // What stands in the developer's environment must not change a result.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["_KEY", "_TOKEN", "_BASE_URL"].iter().any(|end| text.ends_with(end)) || text.starts_with("INTERFUSE_") {
            command.env_remove(&name);
        }
    }
    for name in ["openai", "anthropic"] {
        let variable = name.to_uppercase();
        command
            .env(format!("{variable}_API_KEY"), "k")
            .env(format!("{variable}_BASE_URL"), format!("{}/{name}", up.base_url()));
    }
    command.env("INTERFUSE_CONFIG", folder.join("interfuse.toml")).env("INTERFUSE_LEDGER", "off").current_dir(folder);
}

/// Runs every page of a language, each in a folder of its own, and holds what it prints to what the page shows.
async fn run(language: &'static str, command: impl Fn(&Program, &Path) -> Command + Clone + Send + 'static) {
    let snippets = snippets();
    let programs = docs::programs(&snippets, language);
    assert!(programs.len() > 3, "{language}: {} pages", programs.len());
    let mut runs = JoinSet::new();
    for program in programs {
        let (command, shown) = (command.clone(), docs::printed(&snippets, &program.page, language));
        runs.spawn(async move {
            let (up, folder) = vendors().await;
            let (up, page, output) = tokio::task::spawn_blocking(move || {
                let mut command = command(&program, folder.path());
                lead(&mut command, &up, folder.path());
                (up, program.page, command.output().unwrap())
            })
            .await
            .unwrap();
            let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let mut wrong: Vec<String> = shown
                .iter()
                .filter(|line| !said.contains(*line))
                .map(|line| format!("does not print {line:?}"))
                .collect();
            if !output.status.success() {
                wrong.push(format!("ends with {}", output.status));
            }
            if said.trim().is_empty() {
                wrong.push("prints nothing".to_owned());
            }
            for unmet in up.log().iter().filter(|entry| entry.route.is_none()) {
                wrong.push(format!("asks what nobody answers: {} {}", unmet.method, unmet.path));
            }
            (!wrong.is_empty())
                .then(|| format!("docs/{page}.md in {language} {}\n{said}{complained}", wrong.join("; ")))
        });
    }
    let wrong: Vec<String> = runs.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn python() -> PathBuf {
    Language::named("python").unwrap().prepare().unwrap().command.swap_remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn python_runs() {
    let python = python();
    run("python", move |program, _| {
        let mut command = Command::new(&python);
        command.arg("-c").arg(&program.source);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_runs() {
    Language::named("node").unwrap().prepare().unwrap();
    run("js", |program, folder| {
        // Packages as in a project of a user's own.
        let (package, modules) = (root_folder().join("bindings-node"), folder.join("node_modules"));
        std::fs::create_dir(&modules).unwrap();
        std::os::unix::fs::symlink(&package, modules.join("interfuse")).unwrap();
        for vendor in ["openai", "ai", "zod", "@opentelemetry"] {
            std::os::unix::fs::symlink(package.join("node_modules").join(vendor), modules.join(vendor)).unwrap();
        }
        let file = folder.join("page.mjs");
        std::fs::write(&file, &program.source).unwrap();
        let mut command = Command::new("node");
        command.arg(file);
        command
    })
    .await;
}

/// Compiles a page against the library of this profile.
fn compiled(program: &Program, folder: &Path, compiler: &str, variable: &str, standard: &str, ending: &str) -> Command {
    let source = folder.join(format!("page.{ending}"));
    std::fs::write(&source, &program.source).unwrap();
    let output = Command::new(std::env::var_os(variable).unwrap_or_else(|| compiler.into()))
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(root_folder().join("include"))
        .arg(&source)
        .arg("-o")
        .arg(folder.join("page"))
        .arg("-L")
        .arg(built())
        .arg("-linterfuse")
        .arg(format!("-Wl,-rpath,{}", built().display()))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "docs/{}.md in {ending}: {}",
        program.page,
        String::from_utf8_lossy(&output.stderr)
    );
    Command::new(folder.join("page"))
}

#[tokio::test(flavor = "multi_thread")]
async fn c_and_cpp_run() {
    // Builds the library, and says what to do where it cannot.
    Language::named("c").unwrap().prepare().unwrap();
    run("c", |program, folder| compiled(program, folder, "cc", "CC", "-std=c11", "c")).await;
    run("cpp", |program, folder| compiled(program, folder, "c++", "CXX", "-std=c++17", "cpp")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_runs() {
    let program = built().join("docs-rust");
    run("rust", move |page, _| {
        let mut command = Command::new(&program);
        command.arg(&page.page);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run() {
    let python = python();
    let commands: Vec<Snippet> = snippets().into_iter().filter(|s| s.language == "sh" && s.run == Run::Here).collect();
    assert!(!commands.is_empty());
    for snippet in commands {
        let (up, folder) = vendors().await;
        let mut shell = Command::new("sh");
        // The command as the package installs it.
        let command =
            format!("interfuse() {{ '{}' -m interfuse \"$@\"; }}\nset -e\n{}", python.display(), snippet.code);
        shell.arg("-c").arg(command);
        lead(&mut shell, &up, folder.path());
        let output: Output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{snippet}: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.trim().is_empty(), "{snippet} says nothing");
    }
}

#[test]
fn configurations_are_taken() {
    // The keys that a page has in variables.
    let variable = regex_lite::Regex::new(r#"api_key_env = "\w+""#).unwrap();
    let mut seen = 0;
    for snippet in snippets().into_iter().filter(|snippet| snippet.language == "toml") {
        let document = variable.replace_all(&snippet.code, r#"api_key = "k""#);
        if let Err(error) = interfuse::Client::from_document(&document) {
            panic!("{snippet}: {error}");
        }
        seen += 1;
    }
    assert!(seen > 3);
}

#[test]
fn what_is_not_run_is_counted_and_says_why() {
    let snippets = snippets();
    let (mut not, mut elsewhere) = (Vec::new(), Vec::new());
    for snippet in &snippets {
        match &snippet.run {
            Run::Not(why) => not.push(format!("{snippet}: {why}")),
            Run::By(who) => {
                assert!(root_folder().join(who).is_file(), "{snippet}: there is no {who}");
                elsewhere.push(format!("{snippet}: {who}"));
            }
            Run::Here => {
                let known = ["python", "js", "c", "cpp", "rust", "sh", "toml", "text"];
                assert!(known.contains(&snippet.language.as_str()), "{snippet}: nobody runs this language; mark it");
            }
        }
    }
    eprintln!("{} blocks, {} run by others, not run: {not:#?}", snippets.len(), elsewhere.len());
    assert_eq!(not.len(), NOT_RUN, "{not:#?}");
    assert_eq!(elsewhere.len(), RUN_ELSEWHERE, "{elsewhere:#?}");
}

#[test]
fn every_page_is_in_the_navigation_and_every_link_leads_somewhere() {
    let docs = root_folder().join("docs");
    let order = docs::order().unwrap();
    for entry in std::fs::read_dir(&docs).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(!name.ends_with(".md") || order.contains(&name), "mkdocs.yml does not name {name}");
    }
    let link = regex_lite::Regex::new(r"\]\(([^)#:]+\.md)(?:#([^)]*))?\)").unwrap();
    let mut links = 0;
    for page in order.iter().chain([&"llms.txt".to_owned()]) {
        let file = docs.join(page);
        let text = std::fs::read_to_string(&file).unwrap();
        for found in link.captures_iter(&text) {
            let target = file.parent().unwrap().join(&found[1]);
            let there =
                std::fs::read_to_string(&target).unwrap_or_else(|_| panic!("{page}: {} leads nowhere", &found[1]));
            let anchor = |line: &str| {
                let letters = line.trim_start_matches('#').trim().to_lowercase();
                letters
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -".contains(*c))
                    .collect::<String>()
                    .replace(' ', "-")
            };
            let wanted = found.get(2).map(|anchor| anchor.as_str()).unwrap_or_default();
            assert!(
                wanted.is_empty() || there.lines().any(|line| line.starts_with('#') && anchor(line) == wanted),
                "{page}: {} has no #{wanted}",
                &found[1]
            );
            links += 1;
        }
    }
    assert!(links > 60, "{links}");
}

#[test]
fn the_calls_on_providers_pages_go_to_them() {
    let catalog = interfuse::Catalog::builtin();
    let (providers, models) = (catalog.providers().unwrap(), catalog.models().unwrap());
    for provider in providers {
        let vars: Value =
            provider.vars.keys().map(|name| (name.clone(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
        let config =
            json!({"use_environment": false, "providers": {provider.id.clone(): {"api_key": "k", "vars": vars}}});
        let client = interfuse::Client::from_document(&config.to_string()).unwrap();
        let model = interfuse_tests::codegen::example(provider, models);
        let page = std::fs::read_to_string(root_folder().join(format!("docs/providers/{}.md", provider.id))).unwrap();
        assert!(page.contains(&format!("`client.chat(model=\"{model}\", messages=messages)`")), "{}", provider.id);
        let request = interfuse::types::ChatRequest::new(model.clone(), [interfuse::types::Message::user("hi")]);
        let explained = client.explain(&request).unwrap_or_else(|error| panic!("{model}: {error}"));
        let first = explained.candidates.first().map(|candidate| candidate.provider.as_str());
        assert_eq!(first, Some(provider.id.as_str()), "{model}: {explained:?}");
    }
}
