//! JSON Schema in the subset that OpenAPI knows, for models that take nothing else: references written out, alternatives
//! and null said the OpenAPI way, and what the subset has no word for left out.

use serde_json::{Map, Value, json};

/// Keywords that mean the same in both.
const SAME: &[&str] = &[
    "title",
    "description",
    "nullable",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "propertyOrdering",
];

/// Formats the subset knows.
const FORMATS: &[&str] = &["date-time", "enum", "int32", "int64", "float", "double"];

/// A schema in the subset.
///
/// # Errors
/// A sentence that says what cannot be said in it: a schema that holds itself, a reference that leads nowhere.
pub(super) fn to_openapi(schema: &Value) -> Result<Value, String> {
    Converter { root: schema, open: Vec::new() }.convert(schema).map(Value::Object)
}

/// Whether an object schema names no properties: functions without parameters say nothing instead.
pub(super) fn is_empty_object(schema: &Value) -> bool {
    let says = |name: &str| schema.get(name).is_some();
    let none = schema.get("properties").is_none_or(|p| p.as_object().is_some_and(Map::is_empty));
    none && !["$ref", "anyOf", "oneOf", "allOf", "items", "enum"].iter().any(|name| says(name))
        && schema.get("type").is_none_or(|t| t == "object")
        && schema.get("additionalProperties").is_none_or(|a| !a.is_object() && a != true)
}

struct Converter<'a> {
    root: &'a Value,
    /// References being written out.
    open: Vec<&'a str>,
}

impl<'a> Converter<'a> {
    fn convert(&mut self, schema: &'a Value) -> Result<Map<String, Value>, String> {
        // `true` and `{}` allow anything, which the subset says with no type at all.
        let Value::Object(schema) = schema else { return Ok(Map::new()) };
        let mut out = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.referred(reference)?,
            None => Map::new(),
        };
        for part in list(schema, "allOf") {
            let part = self.convert(part)?;
            merge(&mut out, part);
        }
        for name in SAME {
            if let Some(value) = schema.get(*name) {
                out.insert((*name).to_owned(), value.clone());
            }
        }
        if let Some(format) = schema.get("format").filter(|f| f.as_str().is_some_and(|f| FORMATS.contains(&f))) {
            out.insert("format".to_owned(), format.clone());
        }
        self.typed(schema, &mut out)?;
        self.object(schema, &mut out)?;
        self.array(schema, &mut out)?;
        Ok(out)
    }

    /// What a reference within the schema stands for.
    fn referred(&mut self, reference: &'a str) -> Result<Map<String, Value>, String> {
        if self.open.contains(&reference) {
            return Err(format!("`{reference}` holds itself, which this model's schemas cannot say"));
        }
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let target = target.ok_or_else(|| format!("`{reference}` leads nowhere in the schema"))?;
        self.open.push(reference);
        let out = self.convert(target);
        self.open.pop();
        out
    }

    /// `type`, `enum`, `const` and the alternatives.
    fn typed(&mut self, schema: &'a Map<String, Value>, out: &mut Map<String, Value>) -> Result<(), String> {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut nullable = types.len() > 1 && types.contains(&"null");
        let real: Vec<&str> = types.iter().copied().filter(|t| *t != "null").collect();
        let mut alternatives = Vec::new();
        match real.as_slice() {
            [] if types.contains(&"null") => nullable = true,
            [] => {}
            [one] => {
                out.insert("type".to_owned(), json!(one));
            }
            many => alternatives.extend(many.iter().map(|t| json!({"type": t}))),
        }
        for name in ["anyOf", "oneOf"] {
            for option in list(schema, name) {
                if option.get("type").is_some_and(|t| t == "null") {
                    nullable = true;
                } else {
                    alternatives.push(Value::Object(self.convert(option)?));
                }
            }
        }
        match (alternatives.len(), alternatives.pop()) {
            (1, Some(Value::Object(only))) => {
                // What stands beside the alternatives describes them.
                let beside = std::mem::replace(out, only);
                merge(out, beside);
            }
            (_, Some(last)) => {
                alternatives.push(last);
                out.insert("anyOf".to_owned(), Value::Array(alternatives));
            }
            _ => {}
        }
        let constant = schema.get("const").map(std::slice::from_ref);
        if let Some(values) = constant.or(schema.get("enum").and_then(Value::as_array).map(Vec::as_slice)) {
            nullable |= values.contains(&Value::Null);
            choose(values, out);
        }
        if nullable {
            out.insert("nullable".to_owned(), Value::Bool(true));
        }
        Ok(())
    }

    fn object(&mut self, schema: &'a Map<String, Value>, out: &mut Map<String, Value>) -> Result<(), String> {
        let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|p| !p.is_empty()) else {
            return Ok(());
        };
        let mut converted = match out.remove("properties") {
            Some(Value::Object(inherited)) => inherited,
            _ => Map::new(),
        };
        for (name, property) in properties {
            converted.insert(name.clone(), Value::Object(self.convert(property)?));
        }
        let mut required = match out.remove("required") {
            Some(Value::Array(inherited)) => inherited,
            _ => Vec::new(),
        };
        required.extend(list(schema, "required").filter(|r| !r.is_null()).cloned());
        required.retain(|name| name.as_str().is_some_and(|name| converted.contains_key(name)));
        out.entry("type").or_insert_with(|| json!("object"));
        out.insert("properties".to_owned(), Value::Object(converted));
        if !required.is_empty() {
            out.insert("required".to_owned(), Value::Array(required));
        }
        Ok(())
    }

    fn array(&mut self, schema: &'a Map<String, Value>, out: &mut Map<String, Value>) -> Result<(), String> {
        let places: Vec<&Value> = list(schema, "prefixItems").collect();
        let items = match (schema.get("items"), places.as_slice()) {
            (_, [_, _, ..]) => {
                let places: Result<Vec<_>, _> =
                    places.into_iter().map(|p| self.convert(p).map(Value::Object)).collect();
                json!({"anyOf": places?})
            }
            (_, [only]) => Value::Object(self.convert(only)?),
            (Some(items), []) => Value::Object(self.convert(items)?),
            // Every array must say what it holds.
            (None, []) if out.get("type").is_some_and(|t| t == "array") && !out.contains_key("items") => {
                json!({"type": "string"})
            }
            (None, []) => return Ok(()),
        };
        out.entry("type").or_insert_with(|| json!("array"));
        out.insert("items".to_owned(), items);
        Ok(())
    }
}

/// Allowed values: the subset lists strings only, so that of other types the description tells.
fn choose(values: &[Value], out: &mut Map<String, Value>) {
    let said: Vec<&Value> = values.iter().filter(|v| !v.is_null()).collect();
    if !said.is_empty() && said.iter().all(|v| v.is_string()) {
        out.entry("type").or_insert_with(|| json!("string"));
        out.insert("format".to_owned(), json!("enum"));
        out.insert("enum".to_owned(), said.into_iter().cloned().collect());
    } else if !said.is_empty() {
        let one_of = said.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let text = match out.get("description").and_then(Value::as_str) {
            Some(description) => format!("{description} (one of: {one_of})"),
            None => format!("One of: {one_of}"),
        };
        out.insert("description".to_owned(), Value::String(text));
    }
}

/// Adds a part of `allOf`: properties and requirements of both, otherwise the later word.
fn merge(into: &mut Map<String, Value>, part: Map<String, Value>) {
    for (name, value) in part {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) if name == "properties" => old.extend(new),
            (Some(Value::Array(old)), Value::Array(new)) if name == "required" => old.extend(new),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

fn list<'a>(schema: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Value, want: Value) {
        assert_eq!(to_openapi(&schema).unwrap(), want);
    }

    #[test]
    fn references_are_written_out_and_foreign_words_left_out() {
        check(
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
                   "properties": {"to": {"$ref": "#/$defs/Place", "description": "where to"}, "n": {"type": "integer", "default": 1}},
                   "required": ["to", "gone"], "$defs": {"Place": {"type": "string", "format": "uri", "const": "here"}}}),
            json!({"type": "object",
                   "properties": {"to": {"type": "string", "format": "enum", "enum": ["here"], "description": "where to"}, "n": {"type": "integer"}},
                   "required": ["to"]}),
        );
    }

    #[test]
    fn null_becomes_nullable_and_alternatives_stay() {
        check(json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true}));
        check(
            json!({"description": "d", "anyOf": [{"type": "integer"}, {"type": "null"}]}),
            json!({"type": "integer", "description": "d", "nullable": true}),
        );
        check(
            json!({"oneOf": [{"type": "integer"}, {"type": "string"}]}),
            json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        );
        check(json!({"type": ["integer", "string"]}), json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}));
    }

    #[test]
    fn values_that_are_no_strings_are_told_in_words() {
        check(
            json!({"type": "integer", "enum": [1, 2], "description": "level"}),
            json!({"type": "integer", "description": "level (one of: 1, 2)"}),
        );
        check(
            json!({"enum": ["a", null]}),
            json!({"type": "string", "format": "enum", "enum": ["a"], "nullable": true}),
        );
    }

    #[test]
    fn parts_of_all_of_are_joined() {
        check(
            json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                             {"properties": {"b": {"type": "string"}}, "required": ["b"]}],
                   "properties": {"c": {"type": "string"}}}),
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}, "c": {"type": "string"}},
                   "required": ["a", "b"]}),
        );
    }

    #[test]
    fn an_array_says_what_it_holds() {
        check(json!({"type": "array"}), json!({"type": "array", "items": {"type": "string"}}));
        check(
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}),
            json!({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}),
        );
    }

    #[test]
    fn what_cannot_be_said_is_an_error() {
        let tree =
            json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": {"properties": {"left": {"$ref": "#/$defs/Tree"}}}}});
        assert!(to_openapi(&tree).unwrap_err().contains("holds itself"));
        assert!(to_openapi(&json!({"$ref": "#/$defs/None"})).unwrap_err().contains("leads nowhere"));
    }

    #[test]
    fn no_parameters_are_recognised() {
        assert!(is_empty_object(&json!({})));
        assert!(is_empty_object(
            &json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false})
        ));
        assert!(!is_empty_object(&json!({"type": "object", "additionalProperties": {"type": "string"}})));
        assert!(!is_empty_object(&json!({"$ref": "#/$defs/X"})));
    }
}
