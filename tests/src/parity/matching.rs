//! Compares what a language gave with what a scenario expects: objects may have more, and `$` matchers stand for values
//! that no scenario can know.

use serde_json::{Map, Value};

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// Where, from `$`.
    pub path: String,
    /// What the scenario says.
    pub expected: String,
    /// What was there.
    pub actual: String,
}

/// The matchers, each written as an object with this one key.
const MATCHERS: &[&str] = &[
    "$any",      // anything but absent and null
    "$absent",   // no such field, or null: unknown is not told apart from unset
    "$gt",       // a number above
    "$lt",       // a number below
    "$contains", // a text with this part
    "$len",      // a list, text or object of this length
    "$each",     // a list, not empty, whose every element matches
    "$some",     // a list with an element that matches
    "$last",     // a list whose last element matches
    "$not",      // the field may be anything, or absent, that does not match
    "$all",      // every one of these partials matches
    "$one_of",   // one of these partials matches
];

/// Everything in which `actual` (absent: `None`) differs from `expected`.
pub fn differences(path: &str, expected: &Value, actual: Option<&Value>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    compare(path, expected, actual, &mut found);
    found
}

/// Refuses a partial with an unknown matcher or one of the wrong form, so that a typing error is not a silent pass.
///
/// # Errors
/// Where, and what is wrong.
pub fn check(path: &str, expected: &Value) -> Result<(), String> {
    match expected {
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| check(&format!("{path}[{at}]"), item))
        }
        Value::Object(fields) => {
            let Some((name, argument)) = matcher(fields) else {
                if let Some(name) = fields.keys().find(|name| name.starts_with('$')) {
                    return Err(format!("{path}: `{name}` must stand alone in its object"));
                }
                return fields.iter().try_for_each(|(name, field)| check(&format!("{path}.{name}"), field));
            };
            let fits = match name {
                "$any" | "$absent" => argument == &Value::Bool(true),
                "$gt" | "$lt" => argument.is_number(),
                "$contains" => argument.is_string(),
                "$len" => argument.is_u64(),
                "$each" | "$some" | "$last" | "$not" => return check(path, argument),
                "$all" | "$one_of" if argument.as_array().is_some_and(|all| !all.is_empty()) => {
                    return check(path, argument);
                }
                _ => false,
            };
            match fits {
                true => Ok(()),
                false => Err(format!("{path}: `{name}: {argument}` is no matcher; there are {}", MATCHERS.join(" "))),
            }
        }
        _ => Ok(()),
    }
}

fn matcher(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = fields.iter().next()?;
    (fields.len() == 1 && name.starts_with('$')).then_some((name, argument))
}

fn compare(path: &str, expected: &Value, actual: Option<&Value>, found: &mut Vec<Mismatch>) {
    let mut differs = |expected: String| {
        found.push(Mismatch {
            path: path.to_owned(),
            expected,
            actual: actual.map_or_else(|| "absent".to_owned(), show),
        });
    };
    match (expected, actual) {
        (Value::Object(fields), _) if matcher(fields).is_some() => {
            if let Some((name, argument)) = matcher(fields) {
                apply(path, name, argument, actual, found);
            }
        }
        (Value::Object(fields), Some(Value::Object(actual))) => {
            for (name, field) in fields {
                compare(&format!("{path}.{name}"), field, actual.get(name), found);
            }
        }
        (Value::Array(items), Some(Value::Array(actual))) if items.len() == actual.len() => {
            for (at, (item, actual)) in items.iter().zip(actual).enumerate() {
                compare(&format!("{path}[{at}]"), item, Some(actual), found);
            }
        }
        (Value::Array(items), Some(Value::Array(actual))) => {
            differs(format!("{} elements (there are {}): {}", items.len(), actual.len(), show(expected)));
        }
        // 2 and 2.0 are one number: not every language keeps them apart.
        (Value::Number(expected), Some(Value::Number(actual))) if expected.as_f64() == actual.as_f64() => {}
        (expected, Some(actual)) if expected == actual => {}
        (expected, _) => differs(show(expected)),
    }
}

fn apply(path: &str, name: &str, argument: &Value, actual: Option<&Value>, found: &mut Vec<Mismatch>) {
    let present = actual.filter(|value| !value.is_null());
    let numbers = || present.and_then(Value::as_f64).zip(argument.as_f64());
    let length = |value: &Value| match value {
        Value::Array(items) => Some(items.len() as u64),
        Value::String(text) => Some(text.chars().count() as u64),
        Value::Object(fields) => Some(fields.len() as u64),
        _ => None,
    };
    let holds = match name {
        "$any" => present.is_some(),
        "$absent" => present.is_none(),
        "$gt" => numbers().is_some_and(|(actual, bound)| actual > bound),
        "$lt" => numbers().is_some_and(|(actual, bound)| actual < bound),
        "$contains" => {
            present.and_then(Value::as_str).zip(argument.as_str()).is_some_and(|(text, part)| text.contains(part))
        }
        "$len" => present.and_then(length) == argument.as_u64(),
        "$each" => match present.and_then(Value::as_array).filter(|items| !items.is_empty()) {
            Some(items) => {
                for (at, item) in items.iter().enumerate() {
                    compare(&format!("{path}[{at}]"), argument, Some(item), found);
                }
                true
            }
            None => false,
        },
        "$some" => present
            .and_then(Value::as_array)
            .is_some_and(|items| items.iter().any(|item| differences(path, argument, Some(item)).is_empty())),
        "$last" => match present.and_then(Value::as_array).and_then(|items| items.last()) {
            Some(last) => {
                compare(&format!("{path}[last]"), argument, Some(last), found);
                true
            }
            None => false,
        },
        "$one_of" => {
            let mut partials = argument.as_array().into_iter().flatten();
            partials.any(|partial| differences(path, partial, actual).is_empty())
        }
        "$not" => !differences(path, argument, actual).is_empty(),
        "$all" => {
            for partial in argument.as_array().into_iter().flatten() {
                compare(path, partial, actual, found);
            }
            true
        }
        _ => false,
    };
    if !holds {
        found.push(Mismatch {
            path: path.to_owned(),
            expected: format!("{name} {}", show(argument)),
            actual: actual.map_or_else(|| "absent".to_owned(), show),
        });
    }
}

/// The value, shortened to what fits a report.
fn show(value: &Value) -> String {
    const MOST: usize = 1_500;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{} ... ({} bytes)", &text[..at], text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(expected: Value, actual: Value) -> Vec<String> {
        check("$", &expected).unwrap();
        differences("$", &expected, Some(&actual)).into_iter().map(|found| found.path).collect()
    }

    #[test]
    fn objects_are_subsets_and_lists_are_whole() {
        let actual = json!({"a": 1, "b": [{"c": 2, "d": 3}, "x"]});
        assert!(paths(json!({"a": 1.0, "b": [{"c": 2}, "x"]}), actual.clone()).is_empty());
        assert_eq!(
            paths(json!({"a": 2, "b": [{"c": 9}, "y"], "z": 0}), actual.clone()),
            ["$.a", "$.b[0].c", "$.b[1]", "$.z"]
        );
        assert_eq!(paths(json!({"b": [{"c": 2}]}), actual.clone()), ["$.b"]);
        assert_eq!(paths(json!([]), actual), ["$"]);
        assert_eq!(paths(json!({"a": null}), json!({})), ["$.a"]);
    }

    #[test]
    fn every_matcher_holds_and_fails() {
        for (matcher, holds, fails) in [
            (json!({"$any": true}), json!(0), json!(null)),
            (json!({"$absent": true}), json!(null), json!(0)),
            (json!({"$gt": 2}), json!(3), json!(2)),
            (json!({"$gt": 2}), json!(2.5), json!("3")),
            (json!({"$lt": 2}), json!(1.5), json!(2)),
            (json!({"$last": {"a": 1}}), json!([{"a": 2}, {"a": 1}]), json!([{"a": 1}, {"a": 2}])),
            (json!({"$last": 1}), json!([1]), json!([])),
            (json!({"$one_of": [{"a": 1}, 2]}), json!(2), json!({"a": 2})),
            (json!({"$contains": "b"}), json!("abc"), json!("xyz")),
            (json!({"$len": 2}), json!([1, 2]), json!([1])),
            (json!({"$len": 2}), json!("äö"), json!("a")),
            (json!({"$each": {"a": 1}}), json!([{"a": 1}, {"a": 1, "b": 2}]), json!([{"a": 1}, {"a": 2}])),
            (json!({"$each": 1}), json!([1]), json!([])),
            (json!({"$some": {"a": 1}}), json!([{"a": 2}, {"a": 1}]), json!([{"a": 2}])),
            (json!({"$not": {"$contains": "b"}}), json!("a"), json!("abc")),
            (json!({"$all": [{"$contains": "a"}, {"$contains": "b"}]}), json!("ab"), json!("a")),
        ] {
            assert!(paths(json!({"f": matcher.clone()}), json!({"f": holds})).is_empty(), "{matcher}");
            assert!(!paths(json!({"f": matcher.clone()}), json!({"f": fails})).is_empty(), "{matcher}");
        }
        assert!(paths(json!({"f": {"$absent": true}}), json!({})).is_empty());
        assert_eq!(paths(json!({"f": {"$any": true}}), json!({})), ["$.f"]);
    }

    #[test]
    fn each_names_the_element() {
        assert_eq!(paths(json!({"l": {"$each": {"a": 1}}}), json!({"l": [{"a": 1}, {"a": 2}]})), ["$.l[1].a"]);
    }

    #[test]
    fn misspelt_matchers_are_refused() {
        for wrong in [
            json!({"a": {"$contain": "x"}}),
            json!({"a": [{"$len": "3"}]}),
            json!({"a": {"$any": true, "b": 1}}),
            json!({"a": {"$all": []}}),
            json!({"a": {"$each": {"$gt": "1"}}}),
        ] {
            assert!(check("$", &wrong).is_err(), "{wrong}");
        }
    }
}
