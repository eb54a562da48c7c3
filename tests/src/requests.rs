//! Holds requests to recordings: a recorded body is read as a request, written again for its provider, and must come out
//! as it was, but for what [`normal`] names.

use std::fs;
use std::path::{Path, PathBuf};

use interfuse::Catalog;
use interfuse::types::{ChatRequest, Quirks};
use interfuse::wire::{WireTarget, protocol};
use serde_json::{Map, Value};

/// What became of the recorded requests.
#[derive(Debug, Default)]
pub struct Compared {
    /// Written as they were recorded.
    pub equal: usize,
    /// Of these, without fields that the provider does not take and whose loss the caller is told.
    pub told: usize,
    /// Not sent, and why: file and error.
    pub refused: Vec<String>,
    /// Written otherwise: file and fields.
    pub different: Vec<String>,
}

/// Folders whose provider goes by another name in the catalogue.
const NAMES: &[(&str, &str)] = &[("ollama-openai", "ollama")];

/// Every chat request below `<dir>/<provider>/{chat,chat-stream}`.
pub fn compare_dir(dir: &Path) -> Compared {
    let catalog = Catalog::builtin();
    let mut compared = Compared::default();
    for provider in children(dir) {
        let folder = provider.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = NAMES.iter().find(|(from, _)| *from == folder).map_or(folder.as_str(), |(_, to)| to);
        let quirks = catalog.provider(name).map(|row| row.quirks.clone()).unwrap_or_default();
        for file in ["chat", "chat-stream"].iter().flat_map(|category| children(&provider.join(category))) {
            let Some(body) = body(&file) else { continue };
            let file = file.strip_prefix(dir).unwrap_or(&file).display();
            match compare(&body, name, &quirks) {
                Ok((fields, dropped)) if fields.is_empty() => {
                    compared.equal += 1;
                    compared.told += usize::from(dropped);
                }
                Ok((fields, _)) => compared.different.push(format!("{file}: {}", fields.join("; "))),
                Err(why) => compared.refused.push(format!("{file}: {why}")),
            }
        }
    }
    compared
}

/// The body of a recorded request, if it is a chat completion's.
fn body(file: &Path) -> Option<Value> {
    let exchange: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let path = exchange["request"]["path"].as_str()?.split('?').next()?;
    let body = &exchange["request"]["body"];
    (path.ends_with("/chat/completions") && body["messages"].is_array()).then(|| body.clone())
}

/// Fields that come out otherwise and whether some were left out, or why the request is not sent.
fn compare(recorded: &Value, provider: &str, quirks: &Quirks) -> Result<(Vec<String>, bool), String> {
    let request: ChatRequest = serde_json::from_value(recorded.clone()).map_err(|e| e.to_string())?;
    let wire = protocol("openai-chat").ok_or("no such wire")?;
    let target = WireTarget { provider, model: &request.model, quirks };
    let encoded = wire.encode(&request, &target, recorded["stream"] == true).map_err(|e| e.to_string())?;
    let written: Value = serde_json::from_slice(&encoded.body).map_err(|e| e.to_string())?;
    let (mut wanted, mut seen) = (normal(recorded, quirks), normal(&written, quirks));
    for name in &encoded.dropped {
        // Told to the caller in `interfuse.dropped`.
        wanted.remove(name);
        seen.remove(name);
    }
    let mut names: Vec<&String> = wanted.keys().chain(seen.keys()).collect();
    names.sort();
    names.dedup();
    let short =
        |value: Option<&Value>| value.map_or("nothing".into(), |v| v.to_string().chars().take(160).collect::<String>());
    let differs = names.into_iter().filter(|name| wanted.get(*name) != seen.get(*name));
    let told =
        differs.map(|name| format!("{name}: {} is written as {}", short(wanted.get(name)), short(seen.get(name))));
    Ok((told.collect(), !encoded.dropped.is_empty()))
}

/// Fields that are interfuse's own in a request, whatever a vendor means by them; `stream_options`, which interfuse asks
/// for by itself.
const OWN: &[&str] = &["provider", "models", "stream_options"];

/// A body without the differences that are meant: interfuse's own fields, fields that are null, `stream: false`, the name
/// of the output limit, the provider's names for fields, `developer` where only `system` is known, `1` for `1.0`.
fn normal(body: &Value, quirks: &Quirks) -> Map<String, Value> {
    let Value::Object(fields) = plain(body) else { return Map::new() };
    let mut out = Map::new();
    for (name, value) in fields {
        let renamed = quirks.rename.iter().find(|(_, to)| **to == name).map(|(from, _)| from.clone());
        let name = match name.as_str() {
            "max_completion_tokens" => "max_tokens".to_owned(),
            "stream" if value == false => continue,
            own if OWN.contains(&own) => continue,
            _ => renamed.unwrap_or(name),
        };
        out.insert(name, value);
    }
    for message in out.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        if quirks.developer_role == Some(false) && message["role"] == "developer" {
            message["role"] = "system".into();
        }
    }
    out
}

/// Without nulls, and with every number in one form.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().filter(|(_, v)| !v.is_null()).map(|(name, v)| (name.clone(), plain(v))).collect()
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), Value::from),
        other => other.clone(),
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_seen() {
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "top_k": 4});
        let with = |quirks: &str| compare(&body, "p", &serde_json::from_str(quirks).unwrap_or_default());
        assert_eq!(with("{}"), Ok((Vec::new(), false)));
        assert_eq!(with(r#"{"drop": ["top_k"]}"#), Ok((Vec::new(), true)));
        assert_eq!(with(r#"{"set": {"a": 1}}"#), Ok((vec!["a: nothing is written as 1.0".to_owned()], false)));
    }
}
