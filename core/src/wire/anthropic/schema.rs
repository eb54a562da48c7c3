//! JSON schemas as the vendor's strict mode takes them: closed objects, and what its grammar cannot say in words.

use serde_json::{Map, Value, json};

/// Keywords the grammar cannot say; their values go into the description. Source: the vendor's documentation of
/// structured outputs.
const TOLD_IN_WORDS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// String formats it knows.
const FORMATS: &[&str] = &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// Keywords whose value is a schema, a list of schemas, or an object of schemas.
const ONE: &[&str] = &["items", "not"];
const LIST: &[&str] = &["anyOf", "allOf", "prefixItems"];
const NAMED: &[&str] = &["properties", "$defs", "definitions"];

/// The schema for strict mode.
pub(super) fn strict(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let (mut out, mut told) = (Map::new(), Vec::new());
    for (key, value) in schema {
        let key = if key == "oneOf" { "anyOf" } else { key.as_str() };
        let value = match (key, value) {
            (key, value) if unsaid(key, value) => {
                told.push(format!("{key}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
                continue;
            }
            (key, value) if ONE.contains(&key) => strict(value),
            (key, Value::Array(all)) if LIST.contains(&key) => all.iter().map(strict).collect(),
            (key, Value::Object(all)) if NAMED.contains(&key) => {
                Value::Object(all.iter().map(|(name, one)| (name.clone(), strict(one))).collect())
            }
            (_, value) => value.clone(),
        };
        out.insert(key.to_owned(), value);
    }
    if out.contains_key("properties") || out.get("type") == Some(&json!("object")) {
        out.insert("additionalProperties".into(), Value::Bool(false));
    }
    if !told.is_empty() {
        let before = out.get("description").and_then(Value::as_str).map(|d| format!("{d} ")).unwrap_or_default();
        out.insert("description".into(), format!("{before}({})", told.join(", ")).into());
    }
    Value::Object(out)
}

fn unsaid(key: &str, value: &Value) -> bool {
    match key {
        "format" => !value.as_str().is_some_and(|f| FORMATS.contains(&f)),
        "minItems" => value.as_u64().is_some_and(|n| n > 1),
        key => TOLD_IN_WORDS.contains(&key) && !value.is_object(),
    }
}

/// A schema of arguments: the vendor wants an object at the root, and says so itself.
pub(super) fn root(schema: Option<&Value>) -> Value {
    match schema {
        Some(Value::Object(schema)) if !schema.contains_key("type") => {
            let mut schema = schema.clone();
            schema.insert("type".into(), "object".into());
            Value::Object(schema)
        }
        Some(schema) if !schema.is_null() => schema.clone(),
        _ => json!({"type": "object", "properties": {}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_grammar_cannot_say_is_said_in_words() {
        let got = strict(&json!({
            "type": "object",
            "properties": {
                "age": {"type": "integer", "description": "Years.", "minimum": 0, "maximum": 150},
                "pattern": {"oneOf": [{"type": "string", "format": "color"}, {"type": "null"}]},
                "tags": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": {}}},
            },
            "required": ["age"],
        }));
        assert_eq!(
            got,
            json!({
                "type": "object",
                "properties": {
                    "age": {"type": "integer", "description": "Years. (minimum: 0, maximum: 150)"},
                    "pattern": {"anyOf": [{"type": "string", "description": "(format: color)"}, {"type": "null"}]},
                    "tags": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": false}},
                },
                "required": ["age"],
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn arguments_are_objects() {
        assert_eq!(root(None), json!({"type": "object", "properties": {}}));
        assert_eq!(root(Some(&json!({"properties": {"a": {}}})))["type"], "object");
        assert_eq!(root(Some(&json!({"type": "string"}))), json!({"type": "string"}));
    }
}
