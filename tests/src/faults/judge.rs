//! The verdict over a run. Pure.

use std::fmt;

use serde_json::{Value, json};

use super::definition::{Baseline, Case, Checks, Requests};
use super::seen::Run;
use crate::parity::matching::differences;
use crate::parity::run::line;
use crate::upstream::LogEntry;

/// How a run is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything asked for came.
    Pass,
    /// Every call was answered whole, but something else that was wanted is missing.
    Partial,
    /// A call ended in a clear error where an answer was wanted.
    Safe,
    /// A required check does not hold, a run hung, or a success was none.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "pass",
            Verdict::Partial => "partial",
            Verdict::Safe => "safe",
            Verdict::Fail => "FAIL",
        })
    }
}

/// The verdict, with a line for everything that does not hold.
pub fn judge(baseline: &Baseline, case: &Case, texts: &[(&str, &str)], run: &Run) -> (Verdict, Vec<String>) {
    let mut broken = always(baseline, case, run);
    broken.extend(check(&case.require, texts, run));
    let missed = check(&case.want, texts, run);
    let verdict = match (broken.is_empty(), missed.is_empty()) {
        (false, _) => Verdict::Fail,
        (true, true) => Verdict::Pass,
        (true, false) if run.calls.iter().any(|call| !call.ok) => Verdict::Safe,
        (true, false) => Verdict::Partial,
    };
    broken.extend(missed);
    (verdict, broken)
}

/// What no fault excuses.
fn always(baseline: &Baseline, case: &Case, run: &Run) -> Vec<String> {
    let mut broken = Vec::new();
    if run.calls.len() as u64 != case.calls.count {
        broken.push(format!("{} calls were made in place of {}", run.calls.len(), case.calls.count));
    }
    for (at, call) in run.calls.iter().enumerate() {
        let whole = call.text_is.as_ref().is_some_and(|name| baseline.answers.contains_key(name));
        if call.ok && !whole {
            broken.push(format!("calls[{at}] is a success with a text that is no whole answer: {:?}", call.text));
        }
        if call.ok && call.finish_reason.is_none() {
            broken.push(format!("calls[{at}] is a success without a finish_reason"));
        }
        // An error that is not typed, or that blames itself, is no clear one.
        let kind = call.error.as_ref().map(|error| &error["kind"]);
        if kind.is_some_and(|kind| !kind.is_string() || kind == "internal" || kind == "misuse") {
            broken.push(format!("calls[{at}] ended in no clear error: {}", call.error.clone().unwrap_or_default()));
        }
    }
    for (name, log) in &run.requests {
        for entry in log.iter().filter(|entry| entry.route.is_none()) {
            broken.push(format!("{name}: no route of the script for {} {} {}", entry.method, entry.path, entry.body));
        }
    }
    broken
}

fn check(checks: &Checks, texts: &[(&str, &str)], run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    let pairs = [("calls", &checks.calls, json!(run.calls)), ("ledger", &checks.ledger, run.ledger.clone())];
    for (path, expected, actual) in pairs {
        if let Some(expected) = expected {
            let expected = crate::parity::scenario::fill(expected, texts);
            found.extend(differences(path, &expected, Some(&actual)).iter().map(line));
        }
    }
    for (name, requests) in &checks.requests {
        let log = run.requests.get(name).map(Vec::as_slice).unwrap_or_default();
        found.extend(check_requests(name, requests, log));
    }
    found
}

fn check_requests(name: &str, checks: &Requests, log: &[LogEntry]) -> Vec<String> {
    let first = log.first().map(|entry| entry.ms).unwrap_or_default();
    let times: Vec<u64> = log.iter().map(|entry| entry.ms - first).collect();
    let mut found = Vec::new();
    if let Some(count) = &checks.count {
        let differ = differences(&format!("requests.{name}"), count, Some(&Value::from(times.len())));
        found.extend(differ.iter().map(|mismatch| format!("{} (at {times:?} ms)", line(mismatch))));
    }
    for within in &checks.within {
        let count = times.iter().filter(|ms| **ms < within.ms).count();
        if count > within.most {
            let most = within.most;
            found.push(format!(
                "{name}: {count} requests in {} ms, at most {most} are meant: at {times:?} ms",
                within.ms
            ));
        }
    }
    if let Some(least) = checks.gap_ms
        && let Some(pair) = times.windows(2).find(|pair| pair[1] - pair[0] < least)
    {
        found.push(format!("{name}: {} ms between two requests, at least {least} are meant", pair[1] - pair[0]));
    }
    found
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
