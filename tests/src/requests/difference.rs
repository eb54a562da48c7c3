//! Where two bodies differ, as paths.

use serde_json::{Map, Value};

/// Most differences that are told of one body.
const MOST: usize = 6;

/// What the second body has otherwise.
pub(super) fn between(wanted: &Map<String, Value>, seen: &Map<String, Value>) -> Vec<String> {
    let mut out = Vec::new();
    objects("", wanted, seen, &mut out);
    out.truncate(MOST);
    out
}

fn objects(path: &str, wanted: &Map<String, Value>, seen: &Map<String, Value>, out: &mut Vec<String>) {
    let mut names: Vec<&String> = wanted.keys().chain(seen.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        values(&path, wanted.get(name), seen.get(name), out);
    }
}

fn values(path: &str, wanted: Option<&Value>, seen: Option<&Value>, out: &mut Vec<String>) {
    match (wanted, seen) {
        (wanted, seen) if wanted == seen => {}
        (Some(Value::Object(wanted)), Some(Value::Object(seen))) => objects(path, wanted, seen, out),
        (Some(Value::Array(wanted)), Some(Value::Array(seen))) if wanted.len() == seen.len() => {
            for (place, (wanted, seen)) in wanted.iter().zip(seen).enumerate() {
                values(&format!("{path}[{place}]"), Some(wanted), Some(seen), out);
            }
        }
        (wanted, seen) => out.push(format!("{path}: {} is written as {}", short(wanted), short(seen))),
    }
}

fn short(value: Option<&Value>) -> String {
    value.map_or("nothing".into(), |v| v.to_string().chars().take(160).collect::<String>())
}
