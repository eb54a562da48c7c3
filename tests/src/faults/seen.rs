//! What was seen of a run: every call as its caller saw it, every request as the backends did, what the ledger says.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::upstream::LogEntry;

/// One call, as its caller saw it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Call {
    /// Milliseconds from the start of the first call.
    pub started_ms: u64,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Whether an answer came, and no error.
    pub ok: bool,
    /// The text; of a stream its pieces joined, those before a reset discarded.
    pub text: String,
    /// Which text of the baseline that is; null when none.
    pub text_is: Option<String>,
    /// Resets a stream asked for.
    pub resets: u64,
    /// Model named in the answer.
    pub model: Option<Value>,
    /// Why the answer ended.
    pub finish_reason: Option<Value>,
    /// Token counts.
    pub usage: Option<Value>,
    /// What interfuse adds to an answer.
    pub interfuse: Option<Value>,
    /// The error.
    pub error: Option<Value>,
}

/// A whole run.
#[derive(Debug, Default)]
pub struct Run {
    /// In order.
    pub calls: Vec<Call>,
    /// By backend.
    pub requests: BTreeMap<String, Vec<LogEntry>>,
    /// What the ledger says by provider.
    pub ledger: Value,
}

impl Call {
    /// Takes in a chunk as a consumer does.
    fn take_chunk(&mut self, chunk: &Value) {
        if chunk.pointer("/interfuse/reset").is_some_and(|reset| !reset.is_null() && reset != false) {
            self.resets += 1;
            self.text.clear();
            self.finish_reason = None;
        }
        self.text += chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default();
        keep(&mut self.model, chunk.get("model"));
        keep(&mut self.finish_reason, chunk.pointer("/choices/0/finish_reason"));
        keep(&mut self.usage, chunk.get("usage"));
        keep(&mut self.interfuse, chunk.get("interfuse"));
    }

    fn take_result(&mut self, result: &Value) {
        self.ok = true;
        // A stream has said everything already.
        if result.is_null() {
            return;
        }
        self.text = result.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default().to_owned();
        keep(&mut self.model, result.get("model"));
        keep(&mut self.finish_reason, result.pointer("/choices/0/finish_reason"));
        keep(&mut self.usage, result.get("usage"));
        keep(&mut self.interfuse, result.get("interfuse"));
    }
}

fn keep(into: &mut Option<Value>, value: Option<&Value>) {
    if let Some(value) = value.filter(|value| !value.is_null()) {
        *into = Some(value.clone());
    }
}

/// The calls a runner told of, and the ledger's word at the end. `texts` are compared with each call's.
///
/// # Errors
/// The line that is not as a runner prints.
pub fn read(stdout: &str, texts: &[(&str, &str)]) -> Result<(Vec<Call>, Value), String> {
    let (mut calls, mut call, mut last) = (Vec::new(), Call::default(), None);
    for text in stdout.lines().filter(|line| !line.trim().is_empty()) {
        let line: Value = serde_json::from_str(text).map_err(|error| format!("not JSON ({error}): {text}"))?;
        let item = line.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next());
        match item.map(|(kind, item)| (kind.as_str(), item)) {
            Some(("chunk", chunk)) => call.take_chunk(chunk),
            Some((kind @ ("result" | "error"), item)) => {
                if last.is_some() {
                    return Err(format!("a second end: {text}"));
                }
                last = Some((kind == "result", item.clone()));
            }
            Some(("made", made)) => {
                match last.take() {
                    Some((true, result)) => call.take_result(&result),
                    Some((false, error)) => call.error = Some(error),
                    None => return Err("a call ended with neither result nor error".into()),
                }
                call.started_ms = made["started_ms"].as_u64().ok_or("`made` without `started_ms`")?;
                let ended = made["ended_ms"].as_u64().ok_or("`made` without `ended_ms`")?;
                call.elapsed_ms = ended.saturating_sub(call.started_ms);
                let is = texts.iter().find(|(_, text)| *text == call.text);
                call.text_is = is.map(|(name, _)| (*name).to_owned());
                calls.push(std::mem::take(&mut call));
            }
            _ => return Err(format!("neither chunk, result, error nor made: {text}")),
        }
    }
    match last {
        Some((true, ledger)) => Ok((calls, ledger)),
        Some((false, error)) => Err(format!("the client failed: {error}")),
        None => Err("the runner did not tell what the ledger says".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(lines: &[Value]) -> String {
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn chunk(text: &str) -> Value {
        json!({"chunk": {"model": "m", "choices": [{"delta": {"content": text}}]}})
    }

    #[test]
    fn a_reset_discards_what_came_before() {
        let stdout = lines(&[
            chunk("wro"),
            json!({"chunk": {"choices": [], "interfuse": {"reset": {"provider": "b"}}}}),
            chunk("ri"),
            chunk("ght"),
            json!({"chunk": {"choices": [{"delta": {}, "finish_reason": "stop"}], "interfuse": {"provider": "b"}}}),
            json!({"result": null}),
            json!({"made": {"started_ms": 10, "ended_ms": 25}}),
            json!({"error": {"kind": "timeout"}}),
            json!({"made": {"started_ms": 30, "ended_ms": 31}}),
            json!({"result": {"rows": []}}),
        ]);
        let (calls, ledger) = read(&stdout, &[("all", "right")]).unwrap();
        assert_eq!(ledger, json!({"rows": []}));
        let [first, second] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!((first.ok, first.resets, first.elapsed_ms, first.text.as_str()), (true, 1, 15, "right"));
        assert_eq!((first.text_is.as_deref(), &first.finish_reason), (Some("all"), &Some(json!("stop"))));
        assert_eq!(first.interfuse, Some(json!({"provider": "b"})));
        assert!(!second.ok && second.error == Some(json!({"kind": "timeout"})) && second.text_is.is_none());
    }

    #[test]
    fn what_no_runner_prints_is_refused() {
        let made = json!({"made": {"started_ms": 0, "ended_ms": 1}});
        for (given, says) in [
            (vec![made.clone()], "neither result nor error"),
            (vec![json!({"result": null}), json!({"error": {}})], "a second end"),
            (vec![json!({"result": null}), made.clone()], "what the ledger says"),
            (vec![json!({"error": {"kind": "invalid_config"}})], "the client failed"),
            (vec![json!({"text": ""})], "neither chunk"),
        ] {
            let told = read(&lines(&given), &[]).unwrap_err();
            assert!(told.contains(says), "{told}");
        }
        assert!(read("hello", &[]).unwrap_err().contains("not JSON"));
    }
}
