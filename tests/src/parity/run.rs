//! Plays one scenario with one runner: a fresh upstream, a fresh process, and a comparison of everything both saw.

use std::collections::BTreeMap;
use std::time::Duration;

use super::matching::{Mismatch, differences};
use super::runner::{self, Runner};
use super::scenario::{Op, Scenario, fill};
use crate::upstream::{LogEntry, Script, Upstream};
use serde_json::{Value, json};

/// Only guards against a runner that hangs.
const RUNNER_LIMIT: Duration = Duration::from_secs(60);
/// Only guards against an upstream that hangs; its sockets close with the runner.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// Runs a scenario.
///
/// # Errors
/// Everything that differs, one line each, with what the runner wrote to stderr.
pub async fn run(scenario: &Scenario, started_by: &Runner) -> Result<(), String> {
    let script = Script::from_value(scenario.upstream.clone()).map_err(|error| error.to_string())?;
    let upstream = Upstream::start_on(0, script).await.map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = folder.path().to_string_lossy();
    let texts = [("base", upstream.base_url()), ("folder", &*folder)];
    let (config, request) = (fill(&scenario.config, &texts), fill(&scenario.request, &texts));

    let mut runner = started_by.start(scenario.op.as_str(), &config, &request)?;
    runner.args(scenario.cancel_after_ms.map(|ms| ms.to_string())).envs(&scenario.env);
    let output = runner::output(runner, RUNNER_LIMIT).await?;
    let log = upstream.settled(SETTLE_LIMIT).await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);

    let mut found = Vec::new();
    if !output.status.success() {
        found.push(format!("the runner ended with {}", output.status));
    }
    for key in keys(&config) {
        if stdout.contains(key) || stderr.contains(key) {
            found.push(format!("the key `{key}` was printed"));
        }
    }
    match Outcome::read(&stdout) {
        Ok(outcome) => {
            let base = upstream.base_url();
            found.extend(compare(scenario, base, &outcome).into_iter().map(|mismatch| line(&mismatch)));
        }
        Err(message) => found.push(message),
    }
    found.extend(compare_upstream(scenario, &log));
    if found.is_empty() {
        return Ok(());
    }
    if !stderr.trim().is_empty() {
        found.push(format!("stderr: {}", stderr.trim()));
    }
    Err(found.join("\n"))
}

/// What a runner told.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    chunks: Vec<Value>,
    events: Vec<Value>,
    result: Option<Value>,
    error: Option<Value>,
}

impl Outcome {
    /// One JSON object a line; exactly one `result` or `error`, and it is last.
    fn read(stdout: &str) -> Result<Self, String> {
        let mut outcome = Self::default();
        for text in stdout.lines().filter(|line| !line.trim().is_empty()) {
            if outcome.result.is_some() || outcome.error.is_some() {
                return Err(format!("a line after the last one: {text}"));
            }
            let line: Value = serde_json::from_str(text).map_err(|error| format!("not JSON ({error}): {text}"))?;
            let item = line.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next());
            match item.map(|(kind, item)| (kind.as_str(), item.clone())) {
                Some(("chunk", item)) => outcome.chunks.push(item),
                Some(("event", item)) => outcome.events.push(item),
                Some(("result", item)) => outcome.result = Some(item),
                Some(("error", item)) => outcome.error = Some(item),
                _ => return Err(format!("neither chunk, event, result nor error: {text}")),
            }
        }
        match outcome.result.is_some() || outcome.error.is_some() {
            true => Ok(outcome),
            false => Err("the runner printed neither result nor error".into()),
        }
    }

    /// The answer's text, where this operation has it.
    fn text(&self, op: Op) -> Option<String> {
        let joined = |items: &[Value], pointer: &str| {
            items.iter().filter_map(|item| item.pointer(pointer)?.as_str()).collect::<String>()
        };
        let at = |pointer: &str| self.result.as_ref()?.pointer(pointer)?.as_str().map(str::to_owned);
        match op {
            Op::Chat => at("/choices/0/message/content"),
            Op::Fuse | Op::Feedback | Op::Rejudge | Op::Replay => at("/text"),
            Op::ChatStream => Some(joined(&self.chunks, "/choices/0/delta/content")),
            Op::FuseStream => {
                let deltas: Vec<Value> =
                    self.events.iter().filter(|event| event["type"] == "final_delta").cloned().collect();
                Some(joined(&deltas, "/text"))
            }
            Op::Embeddings
            | Op::Batch
            | Op::BatchAgain
            | Op::FuseHtml
            | Op::Explain
            | Op::Estimate
            | Op::Budgets
            | Op::Ledger
            | Op::Reconcile
            | Op::Client => None,
            Op::Evaluate | Op::EvaluateStream | Op::EvaluateAgain => at("/recommendation"),
            Op::Calibrate => at("/advice"),
        }
    }

    /// The tool calls of a chat stream, by index, as a caller puts them together.
    fn tool_calls(&self) -> Value {
        let mut calls: BTreeMap<u64, [String; 3]> = BTreeMap::new();
        let pieces = self.chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls")?.as_array());
        for piece in pieces.flatten() {
            let call = calls.entry(piece["index"].as_u64().unwrap_or(u64::MAX)).or_default();
            for (whole, pointer) in call.iter_mut().zip(["/id", "/function/name", "/function/arguments"]) {
                *whole += piece.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            }
        }
        calls
            .into_iter()
            .map(|(index, [id, name, arguments])| json!({"index": index, "id": id, "name": name, "arguments": arguments}))
            .collect()
    }

    /// The result to compare: of a fusion's stream, the one in its last event.
    fn result(&self, op: Op) -> Option<Value> {
        match (op, &self.result) {
            (Op::FuseStream | Op::EvaluateStream, Some(_)) => {
                let end = if op == Op::FuseStream { "run_done" } else { "done" };
                let last = self.events.last().filter(|event| event["type"] == end)?;
                last.get("result").cloned()
            }
            (_, result) => result.clone(),
        }
    }
}

fn compare(scenario: &Scenario, base: &str, outcome: &Outcome) -> Vec<Mismatch> {
    let expect = &scenario.expect;
    let result = outcome.result(scenario.op);
    let chunks = json!(outcome.chunks);
    let events = json!(outcome.events);
    let tool_calls = outcome.tool_calls();
    let text = outcome.text(scenario.op).map(Value::String);
    let wanted_text = expect.text.clone().map(Value::String);
    let mut found = Vec::new();
    let pairs = [
        ("$.result", &expect.result, result.as_ref()),
        ("$.error", &expect.error, outcome.error.as_ref()),
        ("$.chunks", &expect.chunks, Some(&chunks)),
        ("$.tool_calls", &expect.tool_calls, Some(&tool_calls)),
        ("$.events", &expect.events, Some(&events)),
        ("$.text", &wanted_text, text.as_ref()),
    ];
    for (path, expected, actual) in pairs {
        if let Some(expected) = expected {
            found.extend(differences(path, &fill(expected, &[("base", base)]), actual));
        }
    }
    // The other ending explains why the expected one is absent.
    let unexpected = match expect.result {
        Some(_) => ("$.error", outcome.error.as_ref()),
        None => ("$.result", outcome.result.as_ref()),
    };
    if let (path, Some(actual)) = unexpected {
        found.extend(differences(path, &json!({"$absent": true}), Some(actual)));
        if actual.is_null() {
            found.push(Mismatch {
                path: path.to_owned(),
                expected: "an error".to_owned(),
                actual: "the clean end of a stream".to_owned(),
            });
        }
    }
    found
}

fn compare_upstream(scenario: &Scenario, log: &[LogEntry]) -> Vec<String> {
    let expect = &scenario.expect.upstream;
    let log_value = json!(log);
    let requests = json!(log.len());
    let mut found = Vec::new();
    for (path, expected, actual) in
        [("$.upstream.requests", &expect.requests, &requests), ("$.upstream.log", &expect.log, &log_value)]
    {
        if let Some(expected) = expected {
            found.extend(differences(path, expected, Some(actual)).iter().map(line));
        }
    }
    let closed = log.iter().any(|entry| entry.client_closed_ms.is_some());
    if expect.client_closed.is_some_and(|expected| expected != closed) {
        found.push(format!("at $.upstream.client_closed: expected {}, got {closed}", !closed));
    }
    for entry in log.iter().filter(|entry| entry.route.is_none()) {
        found.push(format!("no route of the script for {} {} {}", entry.method, entry.path, entry.body));
    }
    found
}

pub(crate) fn line(mismatch: &Mismatch) -> String {
    format!("at {}: expected {}, got {}", mismatch.path, mismatch.expected, mismatch.actual)
}

/// The keys in a configuration; too short ones would be found everywhere.
pub(crate) fn keys(config: &Value) -> Vec<&str> {
    let providers = config["providers"].as_object();
    providers
        .into_iter()
        .flat_map(|providers| providers.values())
        .filter_map(|provider| provider["api_key"].as_str())
        .filter(|key| key.len() >= 8)
        .collect()
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
