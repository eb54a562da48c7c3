//! Every scenario in every language. One test per language, so that the output names the one that differs.
//! `INTERFUSE_PARITY=rust,c` leaves the others out while working on these.

#![allow(clippy::expect_used)]

use std::io::Write as _;
use std::sync::Arc;

use interfuse_tests::parity::runner::{LANGUAGES, Language};
use interfuse_tests::parity::scenario::Scenario;
use interfuse_tests::parity::{run, scenario};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Past libtest's capture: what was left out must be seen in a passing run, too.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

async fn every_scenario(name: &str) {
    play(name, "", scenario::all().expect("scenarios")).await;
}

/// Plays scenarios in a language; `how` tells runs of it apart.
async fn play(name: &str, how: &str, scenarios: Vec<Scenario>) {
    let language = Language::named(name).expect("a language");
    if language.left_out().expect("INTERFUSE_PARITY") {
        say(&format!("parity {name}: LEFT OUT by INTERFUSE_PARITY, nothing was compared"));
        return;
    }
    assert!(!scenarios.is_empty(), "no scenarios in {}", scenario::folder().display());
    let runner = Arc::new(language.prepare().unwrap_or_else(|message| panic!("parity {name}: {message}")));

    let total = scenarios.len();
    let places = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)));
    let mut runs = JoinSet::new();
    for scenario in scenarios {
        let (runner, places) = (Arc::clone(&runner), Arc::clone(&places));
        runs.spawn(async move {
            let _place = places.acquire_owned().await.expect("an open semaphore");
            let outcome = run::run(&scenario, &runner).await;
            (scenario, outcome)
        });
    }
    let mut failed = Vec::new();
    for (scenario, outcome) in runs.join_all().await {
        if let Err(told) = outcome {
            failed.push(format!("{name} · {} ({})\n  {}", scenario.name, scenario.about, told.replace('\n', "\n  ")));
        }
    }
    failed.sort();
    say(&format!("parity {name}{how}: {} of {total} scenarios", total - failed.len()));
    assert!(failed.is_empty(), "\n{}\n", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rust() {
    every_scenario("rust").await;
}

/// Budgets hold on a ledger in a file as they do in memory.
#[tokio::test(flavor = "multi_thread")]
async fn rust_with_a_ledger_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scenarios = scenario::all().expect("scenarios");
    scenarios.retain(|scenario| scenario.config.get("budgets").is_some());
    for scenario in &mut scenarios {
        scenario.config["ledger"] = json!({"path": folder.path().join(format!("{}.db", scenario.name))});
    }
    play("rust", " with a ledger in a file", scenarios).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c() {
    every_scenario("c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    every_scenario("python").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncio() {
    every_scenario("asyncio").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    every_scenario("node").await;
}

#[test]
fn each_language_has_its_test() {
    let names: Vec<_> = LANGUAGES.iter().map(|language| language.name).collect();
    assert_eq!(names, ["rust", "c", "python", "asyncio", "node"], "a test above for each row of the table");
}

#[test]
fn scenario_files_are_well_formed() {
    let scenarios = scenario::all().unwrap_or_else(|message| panic!("\n{message}\n"));
    assert!(!scenarios.is_empty());
}
