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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    /// Plays a case whose runner is this shell script; its arguments are `$0`: calls, `$1`: configuration, `$2`: calls.
    async fn played(form: Form, shell: &str) -> Played {
        let baseline: Baseline = from_value(json!({
            "about": "", "request": {"model": "m"},
            "config": {"providers": {"up": {"base_url": "{{up.url}}/v1", "api_key": "a-long-secret"}}},
            "upstreams": {"up": {"routes": []}}, "answers": {"all": "one two"},
        }))
        .unwrap();
        let fault: Fault = from_value(json!({
            "id": "S", "title": "", "about": "",
            "cases": [{"on": ["whole", "stream"], "request": {"n": 1}, "want": {"calls": [{"text_is": "all"}]}}]
        }))
        .unwrap();
        let command = vec!["/bin/sh".into(), "-c".into(), shell.into()];
        play(&baseline, &fault, &fault.cases[0], form, &Runner { command, env: &[] }).await
    }

    const ENDS: &str = r#"echo '{"made": {"started_ms": 0, "ended_ms": 1}}'; echo '{"result": {"rows": []}}'"#;

    #[tokio::test]
    async fn a_run_is_judged() {
        let says = |text: &str| {
            let answer = json!({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]});
            format!("echo '{}'; {ENDS}", json!({"result": answer}))
        };
        let whole = played(Form::Whole, &says("one two")).await;
        assert_eq!(whole.verdict, Verdict::Pass, "{:?}", whole.reasons);
        assert_eq!(played(Form::Whole, &says("one")).await.verdict, Verdict::Fail);
        let error = format!(r#"echo '{{"error": {{"kind": "timeout", "message": "late"}}}}'; {ENDS}"#);
        let safe = played(Form::Whole, &error).await;
        assert_eq!(safe.verdict, Verdict::Safe);
        assert!(safe.reasons.contains(&"error timeout: late".to_owned()), "{:?}", safe.reasons);
    }

    #[tokio::test]
    async fn a_broken_runner_fails() {
        let print = r#"echo "$1" >&2; "#;
        for (shell, says) in [
            (format!("{print}{ENDS}"), "the key `a-long-secret` was printed"),
            (format!("{ENDS}; exit 3"), "exit status: 3"),
            ("true".to_owned(), "did not tell"),
        ] {
            let played = played(Form::Whole, &shell).await;
            assert_eq!(played.verdict, Verdict::Fail);
            assert!(played.reasons[0].contains(says), "{:?}", played.reasons);
        }
    }

    #[tokio::test]
    async fn the_runner_gets_calls_with_what_the_case_lays_over_them() {
        let call = |op: &str, request: Value| json!([{"at_ms": 0, "op": op, "request": request}]).to_string();
        for (form, wanted) in [
            (Form::Whole, call("chat", json!({"model": "m", "n": 1}))),
            (
                Form::Stream,
                call("chat_stream", json!({"model": "m", "n": 1, "stream_options": {"include_usage": true}})),
            ),
        ] {
            let shell = format!(
                r#"[ "$0 $2" = 'calls {wanted}' ] || exit 7; case "$1" in *http://127.0.0.1:*/v1*) exit 8; esac"#
            );
            let played = played(form, &shell).await;
            assert!(played.reasons[0].contains("exit status: 8"), "{:?}", played.reasons);
        }
    }
}
