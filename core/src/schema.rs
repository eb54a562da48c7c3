//! Whether a JSON value obeys a JSON Schema, as far as structured output uses them.
//!
//! Checked: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`, `anyOf`,
//! `oneOf`, `allOf`, `not`, `$ref` into the same document, bounds of numbers, lengths of strings, arrays and objects,
//! `uniqueItems`. Not checked: `pattern`, `format` and anything else, which is the JSON Schema rule for unknown words.
//! Source of the rules: JSON Schema 2020-12, core and validation.

use serde_json::Value;

/// How deep references and subschemas may nest; a deeper schema refers to itself without consuming the value.
const DEPTH: usize = 128;

/// Checks a value.
///
/// # Errors
/// Where in the value (a JSON Pointer, empty for the whole) the first fault is, and what it is.
pub fn check(value: &Value, schema: &Value) -> Result<(), String> {
    Check { root: schema }.value(value, schema, &mut String::new(), 0)
}

/// Whether values can be checked against a schema at all: everything that it refers to, it must hold itself.
///
/// # Errors
/// What it refers to and does not hold.
pub fn resolvable(schema: &Value) -> Result<(), String> {
    fn walk(part: &Value, root: &Value) -> Result<(), String> {
        match part {
            Value::Object(map) => {
                if let Some(target) = map.get("$ref").and_then(Value::as_str)
                    && target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)).is_none()
                {
                    return Err(format!("the schema refers to `{target}`, which it does not hold"));
                }
                map.values().try_for_each(|inner| walk(inner, root))
            }
            Value::Array(list) => list.iter().try_for_each(|inner| walk(inner, root)),
            _ => Ok(()),
        }
    }
    if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
        return Err("the schema itself is neither an object nor true or false".to_owned());
    }
    walk(schema, schema)
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn value(&self, value: &Value, schema: &Value, at: &mut String, depth: usize) -> Result<(), String> {
        let fault = |at: &str, why: String| Err(format!("at `{at}`: {why}"));
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return fault(at, "nothing is allowed here".to_owned()),
            Value::Object(schema) => schema,
            _ => return fault(at, "the schema itself is neither an object nor true or false".to_owned()),
        };
        if depth > DEPTH {
            return fault(at, "the schema refers to itself without end".to_owned());
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let Some(target) = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
                return fault(at, format!("the schema refers to `{target}`, which it does not hold"));
            };
            self.value(value, target, at, depth + 1)?;
        }
        if let Some(types) = schema.get("type") {
            let mut types = types.as_array().map_or(std::slice::from_ref(types), Vec::as_slice).iter();
            if !types.any(|t| t.as_str().is_some_and(|t| has_type(value, t))) {
                return fault(at, format!("{} is not {}", kind(value), schema["type"]));
            }
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.iter().any(|a| equal(a, value))
        {
            return fault(at, format!("{} is none of the allowed values", brief(value)));
        }
        if let Some(only) = schema.get("const")
            && !equal(only, value)
        {
            return fault(at, format!("{} is not {}", brief(value), brief(only)));
        }
        for part in list(schema.get("allOf")) {
            self.value(value, part, at, depth + 1)?;
        }
        if let Some(parts) = schema.get("anyOf").and_then(Value::as_array) {
            let fits = parts.iter().any(|part| self.value(value, part, at, depth + 1).is_ok());
            if !fits {
                return fault(at, "it fits none of the `anyOf`".to_owned());
            }
        }
        if let Some(parts) = schema.get("oneOf").and_then(Value::as_array) {
            let fits = parts.iter().filter(|part| self.value(value, part, at, depth + 1).is_ok()).count();
            if fits != 1 {
                return fault(at, format!("it fits {fits} of the `oneOf`, not one"));
            }
        }
        if let Some(not) = schema.get("not")
            && self.value(value, not, at, depth + 1).is_ok()
        {
            return fault(at, "it fits what it must `not`".to_owned());
        }
        if let Err(why) = within_bounds(value, schema) {
            return fault(at, why);
        }
        match value {
            Value::Object(object) => self.object(object, schema, at, depth),
            Value::Array(array) => self.array(array, schema, at, depth),
            _ => Ok(()),
        }
    }

    fn object(&self, object: &Object, schema: &Object, at: &mut String, depth: usize) -> Result<(), String> {
        for name in list(schema.get("required")).filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return Err(format!("at `{at}`: `{name}` is missing"));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, value) in object {
            let own = properties.and_then(|p| p.get(name));
            let Some(schema) = own.or_else(|| schema.get("additionalProperties")) else { continue };
            let length = at.len();
            at.push('/');
            at.push_str(&name.replace('~', "~0").replace('/', "~1"));
            if own.is_none() && schema == &Value::Bool(false) {
                return Err(format!("at `{at}`: no such property is allowed"));
            }
            self.value(value, schema, at, depth + 1)?;
            at.truncate(length);
        }
        Ok(())
    }

    fn array(&self, array: &[Value], schema: &Object, at: &mut String, depth: usize) -> Result<(), String> {
        let first: Vec<&Value> = list(schema.get("prefixItems")).collect();
        for (place, value) in array.iter().enumerate() {
            let Some(schema) = first.get(place).copied().or_else(|| schema.get("items")) else { break };
            let length = at.len();
            at.push_str(&format!("/{place}"));
            self.value(value, schema, at, depth + 1)?;
            at.truncate(length);
        }
        Ok(())
    }
}

type Object = serde_json::Map<String, Value>;

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        // 1.0 is an integer.
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        _ => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

/// Equality in which 1 and 1.0 are one number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, x)| y.get(k).is_some_and(|y| equal(x, y)))
        }
        _ => a == b,
    }
}

fn within_bounds(value: &Value, schema: &Object) -> Result<(), String> {
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    let outside = |least: &str, most: &str, size: usize| {
        let size = size as f64;
        number(least).is_some_and(|n| size < n) || number(most).is_some_and(|n| size > n)
    };
    let wrong = match value {
        Value::Number(n) => {
            let n = n.as_f64().unwrap_or_default();
            number("minimum").is_some_and(|least| n < least)
                || number("maximum").is_some_and(|most| n > most)
                || number("exclusiveMinimum").is_some_and(|least| n <= least)
                || number("exclusiveMaximum").is_some_and(|most| n >= most)
                || number("multipleOf").is_some_and(|unit| unit > 0.0 && ((n / unit) - (n / unit).round()).abs() > 1e-9)
        }
        Value::String(s) => outside("minLength", "maxLength", s.chars().count()),
        Value::Array(a) => {
            let twice = || a.iter().enumerate().any(|(i, x)| a[..i].iter().any(|y| equal(x, y)));
            outside("minItems", "maxItems", a.len())
                || (schema.get("uniqueItems") == Some(&Value::Bool(true)) && twice())
        }
        Value::Object(o) => outside("minProperties", "maxProperties", o.len()),
        _ => false,
    };
    if wrong { Err(format!("{} is outside the schema's bounds", brief(value))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_obeys_and_what_does_not() {
        let person = json!({"type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": ["integer", "null"], "minimum": 0},
                           "friends": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
                           "mood": {"enum": ["good", "bad"]}}});
        let cases = [
            (json!({"name": "A", "age": 3.0, "friends": [{"name": "B"}], "mood": "bad"}), None),
            (json!({"name": "A", "age": null}), None),
            (json!([]), Some("at ``: an array is not")),
            (json!({}), Some("`name` is missing")),
            (json!({"name": ""}), Some("at `/name`")),
            (json!({"name": "A", "age": -1}), Some("at `/age`")),
            (json!({"name": "A", "age": 1.5}), Some("at `/age`")),
            (
                json!({"name": "A", "friends": [{"name": "B"}, {"nom": "C"}]}),
                Some("at `/friends/1`: `name` is missing"),
            ),
            (json!({"name": "A", "x/y": 1}), Some("at `/x~1y`: no such property")),
            (json!({"name": "A", "mood": "fair"}), Some("none of the allowed")),
            (json!({"name": "A", "friends": [{"name": "B"}, {"name": "C"}, {"name": "D"}]}), Some("bounds")),
        ];
        for (value, want) in cases {
            match (check(&value, &person), want) {
                (Ok(()), None) => {}
                (Err(why), Some(want)) => assert!(why.contains(want), "{value}: {why}"),
                (got, want) => panic!("{value}: {got:?}, wanted {want:?}"),
            }
        }
    }

    #[test]
    fn combinations() {
        let schema = json!({"oneOf": [{"type": "integer"}, {"type": "number", "maximum": 5}], "not": {"const": 3.5}});
        assert!(check(&json!(7), &schema).is_ok());
        assert!(check(&json!(2), &schema).is_err(), "fits both");
        assert!(check(&json!(3.5), &schema).is_err());
        let schema = json!({"anyOf": [{"prefixItems": [{"type": "string"}], "items": false}], "uniqueItems": true});
        assert!(check(&json!(["a"]), &schema).is_ok());
        assert!(check(&json!(["a", "a"]), &schema).is_err());
        assert!(check(&json!([[1], [1.0]]), &json!({"uniqueItems": true})).is_err());
    }

    #[test]
    fn references_are_looked_up_before_anything_is_checked() {
        assert!(resolvable(&json!({"$defs": {"a": true}, "items": [{"$ref": "#/$defs/a"}]})).is_ok());
        assert!(resolvable(&json!({"items": {"$ref": "#/$defs/b"}})).unwrap_err().contains("#/$defs/b"));
        assert!(resolvable(&json!("x")).is_err());
    }

    #[test]
    fn an_endless_schema_ends() {
        let e = check(&json!(1), &json!({"$ref": "#"})).unwrap_err();
        assert!(e.contains("without end"), "{e}");
        assert!(check(&json!(1), &json!({"$ref": "other.json"})).is_err());
    }
}
