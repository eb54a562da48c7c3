//! The form of a fault's file and of the baseline beside it, and reading a folder of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::parity::matching;
use crate::upstream::Script;

/// What all faults of a folder share: `baseline.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// What it is.
    pub about: String,
    /// Configuration of the client.
    pub config: Value,
    /// Every call's request.
    pub request: Value,
    /// Scripts of the backends, by name; a fault lays its own over them.
    pub upstreams: BTreeMap<String, Value>,
    /// Whole answers, by name. A success with any other text is a failure of every fault.
    pub answers: BTreeMap<String, String>,
    /// Other texts, by name.
    #[serde(default)]
    pub texts: BTreeMap<String, String>,
}

/// One fault, as its file says it. `{{name}}` in any text stands for a text of the baseline, or for the URL of the
/// backend of that name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The file's name without `.json`.
    pub id: String,
    /// In a few words.
    pub title: String,
    /// What it shows, and how its checks are to be read.
    pub about: String,
    /// Scripts of the backends that differ from the baseline's.
    #[serde(default)]
    pub upstreams: BTreeMap<String, Value>,
    /// Ways to meet it.
    pub cases: Vec<Case>,
}

/// One way to meet a fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Told in the table behind the fault's id; empty for the plain one.
    #[serde(default)]
    pub name: String,
    /// Streams, whole answers, or both.
    pub on: Vec<Form>,
    /// Laid over the baseline's configuration.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Laid over the baseline's request.
    #[serde(default)]
    pub request: Map<String, Value>,
    /// How many calls, and when.
    #[serde(default)]
    pub calls: Calls,
    /// What must hold; anything else is a failure.
    #[serde(default)]
    pub require: Checks,
    /// What must hold beside it to pass.
    pub want: Checks,
}

/// How an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// In one piece.
    Whole,
    /// As a stream.
    Stream,
}

/// Calls through one client, one after another.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// Milliseconds between the starts of two; a call that takes longer delays the next.
    #[serde(default)]
    pub every_ms: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Calls { count: 1, every_ms: 0 }
    }
}

impl Calls {
    /// Milliseconds from the start of the first to that of the last.
    pub fn span_ms(self) -> u64 {
        self.count.saturating_sub(1) * self.every_ms
    }
}

/// Checks, all of which must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checks {
    /// Part of the list of calls, each as `seen::Call` tells it.
    pub calls: Option<Value>,
    /// Requests that reached each backend.
    pub requests: BTreeMap<String, Requests>,
    /// Part of what the ledger says by provider.
    pub ledger: Option<Value>,
}

/// How often a backend was asked. Its requests are all attempts of all calls.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requests {
    /// Part of their number.
    pub count: Option<Value>,
    /// At most so many from the first on, in so many milliseconds.
    pub within: Vec<Within>,
    /// At least so many milliseconds between one and the next.
    pub gap_ms: Option<u64>,
}

/// A bound over a stretch of time.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Within {
    /// The stretch, from the first request on.
    pub ms: u64,
    /// At most so many in it.
    pub most: usize,
}

/// A folder of faults.
#[derive(Debug)]
pub struct Folder {
    /// What they share.
    pub baseline: Baseline,
    /// By id.
    pub faults: Vec<Fault>,
}

impl Folder {
    /// Reads `baseline.json` and every other JSON file of a folder.
    ///
    /// # Errors
    /// The first file that is none, with JSON path.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let baseline: Baseline = read(&folder.join("baseline.json"))?;
        let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|end| end == "json") && !file.ends_with("baseline.json"))
            .collect();
        files.sort();
        let mut faults = Vec::with_capacity(files.len());
        for file in files {
            let fault: Fault = read(&file)?;
            let at = |message: String| format!("{}: {message}", file.display());
            if file.file_stem().is_none_or(|stem| *stem != *fault.id) {
                return Err(at(format!("its id is `{}`", fault.id)));
            }
            fault.check(&baseline).map_err(at)?;
            faults.push(fault);
        }
        match faults.is_empty() {
            true => Err(format!("{}: no faults", folder.display())),
            false => Ok(Folder { baseline, faults }),
        }
    }
}

impl Fault {
    /// Script of a backend.
    pub fn script<'a>(&'a self, baseline: &'a Baseline, name: &str) -> Option<&'a Value> {
        self.upstreams.get(name).or_else(|| baseline.upstreams.get(name))
    }

    fn check(&self, baseline: &Baseline) -> Result<(), String> {
        if let Some(name) = self.upstreams.keys().find(|name| !baseline.upstreams.contains_key(*name)) {
            return Err(format!("upstreams.{name}: the baseline has no such backend"));
        }
        for name in baseline.upstreams.keys() {
            let script = self.script(baseline, name).cloned().unwrap_or_default();
            Script::from_value(script).map_err(|error| format!("upstreams.{name}: {error}"))?;
        }
        if self.cases.is_empty() {
            return Err("no cases".into());
        }
        for (at, case) in self.cases.iter().enumerate() {
            if case.on.is_empty() || case.calls.count == 0 {
                return Err(format!("cases[{at}]: it makes no call"));
            }
            // They would stand in one place of the table.
            let same = |other: &&Case| other.name == case.name && other.on.iter().any(|form| case.on.contains(form));
            if self.cases[..at].iter().any(|other| same(&other)) {
                return Err(format!("cases[{at}]: a case before it has the same name and form"));
            }
            for (name, checks) in [("require", &case.require), ("want", &case.want)] {
                let path = format!("cases[{at}].{name}");
                for (name, part) in [("calls", &checks.calls), ("ledger", &checks.ledger)] {
                    part.iter().try_for_each(|part| matching::check(&format!("{path}.{name}"), part))?;
                }
                for (backend, requests) in &checks.requests {
                    if !baseline.upstreams.contains_key(backend) {
                        return Err(format!("{path}.requests.{backend}: there is no such backend"));
                    }
                    let count = requests.count.iter();
                    count
                        .into_iter()
                        .try_for_each(|part| matching::check(&format!("{path}.requests.{backend}"), part))?;
                }
            }
            // Without a wish a case would pass whatever came.
            if case.want.calls.is_none() {
                return Err(format!("cases[{at}].want.calls: say what the caller must have got"));
            }
        }
        Ok(())
    }
}

/// Fields laid over a document, objects field by field.
pub fn overlaid(mut under: Value, over: &Map<String, Value>) -> Value {
    if let Value::Object(fields) = &mut under {
        for (name, value) in over {
            let merged = match (fields.remove(name), value) {
                (Some(inner @ Value::Object(_)), Value::Object(value)) => overlaid(inner, value),
                _ => value.clone(),
            };
            fields.insert(name.clone(), merged);
        }
    }
    under
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T, String> {
    let at = |message: String| format!("{}: {message}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| at(error.to_string()))?;
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text))
        .map_err(|error| at(format!("at {}: {}", error.path(), error.inner())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn baseline() -> Baseline {
        from_value(json!({
            "about": "", "config": {}, "request": {}, "answers": {}, "upstreams": {"primary": {"routes": []}}
        }))
        .unwrap()
    }

    fn told(upstreams: Value, cases: Value) -> String {
        let fault = json!({"id": "S", "title": "", "about": "", "upstreams": upstreams, "cases": cases});
        from_value::<Fault>(fault).unwrap().check(&baseline()).unwrap_err()
    }

    #[test]
    fn what_would_pass_in_silence_is_refused() {
        let want = json!({"calls": {"$each": {"ok": true}}});
        for (upstreams, cases, says) in [
            (json!({"other": {"routes": []}}), json!([]), "upstreams.other"),
            (json!({"primary": {"routes": [{"then": {"sttus": 1}}]}}), json!([]), "upstreams.primary: "),
            (json!({}), json!([]), "no cases"),
            (json!({}), json!([{"on": [], "want": want}]), "it makes no call"),
            (json!({}), json!([{"on": ["whole"], "calls": {"count": 0}, "want": want}]), "it makes no call"),
            (json!({}), json!([{"on": ["whole"], "want": {}}]), "cases[0].want.calls"),
            (json!({}), json!([{"on": ["whole"], "want": {"calls": {"$eech": 1}}}]), "cases[0].want.calls"),
            (
                json!({}),
                json!([{"on": ["whole"], "require": {"requests": {"primry": {}}}, "want": want}]),
                "cases[0].require.requests.primry",
            ),
            (
                json!({}),
                json!([{"on": ["whole"], "want": want}, {"on": ["stream", "whole"], "want": want}]),
                "cases[1]: a case before it",
            ),
        ] {
            let told = told(upstreams, cases);
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn overlays_go_field_by_field() {
        let over = json!({"a": {"c": 3}, "d": [1], "e": null});
        let Value::Object(over) = over else { unreachable!() };
        let under = json!({"a": {"b": 1, "c": 2}, "d": [0, 0], "e": 1, "f": 1});
        assert_eq!(overlaid(under, &over), json!({"a": {"b": 1, "c": 3}, "d": [1], "e": null, "f": 1}));
    }
}
