//! Sources of an answer as OpenAI's annotations: Google counts bytes, OpenAI characters.

use serde_json::{Value, json};

/// Annotations from a candidate's `groundingMetadata` and `citationMetadata`. Places that lie outside the text, or
/// inside a character, are left out; Google's own fields reach the caller beside.
pub(super) fn of(text: &str, grounding: Option<&Value>, citations: &[Value]) -> Vec<Value> {
    let mut out = Vec::new();
    for support in list(grounding, "groundingSupports") {
        let Some(place) = support.get("segment").and_then(|s| characters(text, s)) else { continue };
        for index in list(Some(support), "groundingChunkIndices") {
            let chunk = index.as_u64().and_then(|i| list(grounding, "groundingChunks").nth(i as usize));
            // A source is a page (`web`), a place (`maps`) or a document (`retrievedContext`).
            let source = chunk.and_then(Value::as_object).and_then(|c| c.values().find(|v| v.get("uri").is_some()));
            if let Some(source) = source {
                out.push(annotation(place, source));
            }
        }
    }
    for citation in citations.iter().filter(|c| c.get("uri").is_some()) {
        if let Some(place) = characters(text, citation) {
            out.push(annotation(place, citation));
        }
    }
    out
}

fn annotation((start, end): (usize, usize), source: &Value) -> Value {
    json!({"type": "url_citation", "url_citation":
        {"start_index": start, "end_index": end, "url": source.get("uri"), "title": source.get("title")}})
}

fn list<'a>(value: Option<&'a Value>, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.and_then(|v| v.get(name)).and_then(Value::as_array).into_iter().flatten()
}

/// A span of bytes as one of characters.
fn characters(text: &str, span: &Value) -> Option<(usize, usize)> {
    let byte = |name: &str| span.get(name).and_then(Value::as_u64).map(|n| n as usize);
    let (start, end) = (byte("startIndex").unwrap_or(0), byte("endIndex")?);
    let before = text.get(..start)?.chars().count();
    Some((before, before + text.get(start..end)?.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_characters() {
        let grounding = json!({
            "groundingChunks": [{"web": {"uri": "https://example.com", "title": "Example"}}],
            "groundingSupports": [
                {"segment": {"startIndex": 7, "endIndex": 11, "text": "warm"}, "groundingChunkIndices": [0]},
                {"segment": {"startIndex": 6, "endIndex": 11}, "groundingChunkIndices": [0]},
                {"segment": {"endIndex": 99}, "groundingChunkIndices": [0]}
            ]
        });
        let out = of("à 25° warm", Some(&grounding), &[]);
        assert_eq!(out.len(), 1, "{out:?}");
        assert_eq!(
            (&out[0]["url_citation"]["start_index"], &out[0]["url_citation"]["end_index"]),
            (&json!(5), &json!(9))
        );
        assert_eq!(out[0]["url_citation"]["title"], "Example");
    }

    #[test]
    fn citations_without_an_address_are_none() {
        let citations = [json!({"startIndex": 0, "endIndex": 2}), json!({"endIndex": 2, "uri": "u"})];
        assert_eq!(of("abc", None, &citations).len(), 1);
    }
}
