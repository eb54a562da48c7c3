//! Answers that repeat a part of their request. A judge's labels are random, so no fixed text could name one.

use regex_lite::Regex;
use serde_json::Value;

use super::script::Response;

/// The response with every `{{name}}` of `answer` and `body` replaced by what the pattern of this name found.
///
/// # Errors
/// The pattern that found nothing.
pub(super) fn fill(response: &Response, request: &Value) -> Result<Response, String> {
    let mut filled = response.clone();
    let text = texts(&request["messages"]).join("\n");
    for (name, pattern) in &response.capture {
        let pattern = compile(pattern)?;
        let found = pattern.captures(&text).and_then(|found| found.get(1));
        let found = found.ok_or_else(|| format!("capture `{name}` ({pattern}) finds nothing in the messages"))?;
        for text in [&mut filled.answer, &mut filled.body].into_iter().flatten() {
            *text = text.replace(&format!("{{{{{name}}}}}"), found.as_str());
        }
    }
    Ok(filled)
}

/// A pattern with exactly one group.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let compiled = Regex::new(pattern).map_err(|error| format!("`{pattern}`: {error}"))?;
    match compiled.captures_len() {
        2 => Ok(compiled),
        _ => Err(format!("`{pattern}` needs exactly one group")),
    }
}

/// Every text below a value, in order.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn an_answer_repeats_what_was_captured() {
        let response: Response = from_value(json!({
            "answer": "{\"best\": \"{{best}}\", \"other\": \"{{other}}\"}",
            "capture": {"best": "id=(\\w+) Bern", "other": "id=(\\w+) Rome"}
        }))
        .unwrap();
        let request =
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "id=K7 Rome\nid=Q2 Bern"}]}]});
        let filled = fill(&response, &request).unwrap();
        assert_eq!(filled.answer.unwrap(), r#"{"best": "Q2", "other": "K7"}"#);
        let told = fill(&response, &json!({"messages": []})).unwrap_err();
        assert!(told.contains("capture `best`"), "{told}");
        assert!(compile("a(b").is_err() && compile("ab").is_err());
    }
}
