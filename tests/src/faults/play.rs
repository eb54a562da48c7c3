//! Plays one case of a fault with one runner: fresh backends, a fresh process, a verdict.

use std::time::{Duration, Instant};

use super::definition::{Baseline, Case, Fault, Form, overlaid};
use super::judge::{Verdict, judge};
use super::seen::{self, Run};
use crate::parity::run::keys;
use crate::parity::runner::{self, Runner};
use crate::parity::scenario::fill;
use crate::upstream::{Script, Upstream};

use serde_json::{Value, json};

/// Longer than any call may take, timeouts of its own included: a run beyond it hangs.
const PATIENCE: Duration = Duration::from_secs(110);
/// For the backends to see that a client has gone.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// How one case went in one language.
#[derive(Debug)]
pub struct Played {
    /// The verdict.
    pub verdict: Verdict,
    /// Everything that does not hold.
    pub reasons: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// Plays a case.
pub async fn play(baseline: &Baseline, fault: &Fault, case: &Case, form: Form, with: &Runner) -> Played {
    let started = Instant::now();
    let (verdict, reasons) = match run(baseline, fault, case, form, with).await {
        Ok(judged) => judged,
        Err(message) => (Verdict::Fail, vec![message]),
    };
    Played { verdict, reasons, took: started.elapsed() }
}

async fn run(
    baseline: &Baseline,
    fault: &Fault,
    case: &Case,
    form: Form,
    with: &Runner,
) -> Result<(Verdict, Vec<String>), String> {
    let pair = |(name, text): (&'_ String, &'_ String)| (name.clone(), text.clone());
    let mut texts: Vec<(String, String)> = baseline.answers.iter().chain(&baseline.texts).map(pair).collect();
    let mut backends = Vec::with_capacity(baseline.upstreams.len());
    for name in baseline.upstreams.keys() {
        let borrowed: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let script = fill(fault.script(baseline, name).unwrap_or(&Value::Null), &borrowed);
        let script = Script::from_value(script).map_err(|error| format!("{name}: {error}"))?;
        let upstream = Upstream::start_on(0, script).await.map_err(|error| format!("{name}: {error}"))?;
        backends.push((name.clone(), upstream));
    }
    for (name, upstream) in &backends {
        texts.push((format!("{name}.url"), upstream.base_url().to_owned()));
    }
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();

    let config = fill(&overlaid(baseline.config.clone(), &case.config), &texts);
    let request = fill(&overlaid(baseline.request.clone(), &case.request), &texts);
    let runner = with.start("calls", &config, &calls(case, form, &request))?;
    let limit = PATIENCE + Duration::from_millis(case.calls.span_ms());
    let output = runner::output(runner, limit).await?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(format!("the runner ended with {}: {}", output.status, stderr.trim()));
    }
    if let Some(key) = keys(&config).into_iter().find(|key| stdout.contains(key) || stderr.contains(key)) {
        return Err(format!("the key `{key}` was printed"));
    }
    let (calls, ledger) = seen::read(&stdout, &texts)?;
    let mut run = Run { calls, ledger, ..Run::default() };
    for (name, upstream) in &backends {
        run.requests.insert(name.clone(), upstream.settled(SETTLE_LIMIT).await);
    }
    let (verdict, mut reasons) = judge(baseline, case, &texts, &run);
    if verdict != Verdict::Pass {
        reasons.extend(run.calls.iter().filter_map(|call| call.error.as_ref()).map(|error| {
            let short = |name: &str| error[name].as_str().unwrap_or_default().chars().take(200).collect::<String>();
            format!("error {}: {}", short("kind"), short("message"))
        }));
        if !stderr.trim().is_empty() {
            reasons.push(format!("stderr: {}", stderr.trim()));
        }
    }
    Ok((verdict, reasons))
}

/// The list of calls a runner takes.
fn calls(case: &Case, form: Form, request: &Value) -> Value {
    let (op, request) = match form {
        Form::Whole => ("chat", request.clone()),
        Form::Stream => {
            let usage = json!({"stream_options": {"include_usage": true}});
            ("chat_stream", usage.as_object().map_or_else(|| request.clone(), |usage| overlaid(request.clone(), usage)))
        }
    };
    (0..case.calls.count).map(|at| json!({"at_ms": at * case.calls.every_ms, "op": op, "request": request})).collect()
}
