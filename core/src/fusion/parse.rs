//! Reads JSON that a model wrote, step by step from strict to lenient, and says which step it took. Never panics; input
//! beyond 1 MiB is cut.

use serde_json::{Map, Value};

use super::repair;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

const MAX_INPUT: usize = 1 << 20;
/// Where objects are looked for inside other text, and how many starts are tried: bounds the work on hostile output.
const MAX_SEARCH: usize = 256 << 10;
const MAX_STARTS: usize = 256;

/// Which step of the ladder read it; the names stand in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was exactly JSON.
    Strict,
    /// After a byte order mark, a think block or a code fence was taken off.
    Stripped,
    /// Found inside other text.
    Extracted,
    /// After commas, quotes, comments or a cut end were repaired.
    Repaired,
    /// Only the label could be read.
    Label,
}

impl Step {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Step::Strict => "strict",
            Step::Stripped => "stripped",
            Step::Extracted => "extracted",
            Step::Repaired => "repaired",
            Step::Label => "label",
        }
    }
}

/// The object in `text` that `wanted` accepts; the last one, when several do.
pub(crate) fn object(text: &str, wanted: &dyn Fn(&Object) -> bool) -> Option<(Object, Step)> {
    let text = bounded(text);
    let accept = |v: Value| match v {
        Value::Object(o) if wanted(&o) => Some(o),
        // Some models wrap the object in a list of one.
        Value::Array(mut list) if list.len() == 1 => match list.pop() {
            Some(Value::Object(o)) if wanted(&o) => Some(o),
            _ => None,
        },
        _ => None,
    };
    if let Some(o) = serde_json::from_str(text.trim()).ok().and_then(accept) {
        return Some((o, Step::Strict));
    }
    let stripped = strip(text);
    if let Some(o) = serde_json::from_str(stripped).ok().and_then(accept) {
        return Some((o, Step::Stripped));
    }
    let searched = tail(stripped, MAX_SEARCH);
    for (at, _) in searched.rmatch_indices('{').take(MAX_STARTS) {
        let mut values = serde_json::Deserializer::from_str(&searched[at..]).into_iter::<Value>();
        if let Some(Ok(Value::Object(o))) = values.next()
            && wanted(&o)
        {
            return Some((o, Step::Extracted));
        }
    }
    // From the front: the outermost object is the one worth completing.
    for (at, _) in stripped.match_indices('{').take(8) {
        let repaired = repair::json(&stripped[at..]);
        if let Some(o) = serde_json::from_str(&repaired).ok().and_then(accept) {
            return Some((o, Step::Repaired));
        }
    }
    None
}

/// The one label that the text names as its choice: after the last `best`, else the only one mentioned at all.
pub(crate) fn label<'a>(text: &str, labels: &[&'a str]) -> Option<&'a str> {
    let text = strip(bounded(text));
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let as_label = |w: &str| labels.iter().copied().find(|l| l.eq_ignore_ascii_case(w));
    // "best": "QRT", "the best answer is QRT", "winner QRT"
    let cue = |w: &str| ["best", "winner", "choose", "choice", "select"].iter().any(|c| c.eq_ignore_ascii_case(w));
    if let Some(at) = words.iter().rposition(|w| cue(w)) {
        let named = words[at + 1..].iter().take(5).find_map(|w| as_label(w));
        if named.is_some() {
            return named;
        }
    }
    let mut mentioned = words.iter().filter_map(|w| as_label(w));
    let first = mentioned.next()?;
    mentioned.all(|l| l == first).then_some(first)
}

/// What is left without a byte order mark, think blocks and a code fence around it.
pub(crate) fn strip(text: &str) -> &str {
    let text = after_thinking(text.trim_start_matches('\u{feff}')).trim();
    let Some(open) = text.find("```") else { return text };
    let inner = &text[open + 3..];
    // The language stands on the fence's line; a fence without a line break holds its content right there.
    let inner = match inner.find('\n') {
        Some(end) if !inner[..end].contains('{') => &inner[end + 1..],
        _ => inner,
    };
    let inner = inner.split_once("```").map_or(inner, |(inside, _)| inside).trim();
    // A fence around anything else than JSON is somebody's example.
    if inner.starts_with(['{', '[']) { inner } else { text }
}

/// What follows a model's visible thinking. An unclosed think block leaves nothing behind it, so it is kept.
pub(crate) fn after_thinking(text: &str) -> &str {
    ["</think>", "</thinking>", "</reasoning>"].iter().fold(text, |text, end| match text.rfind(end) {
        Some(at) => &text[at + end.len()..],
        None => text,
    })
}

fn bounded(text: &str) -> &str {
    &text[..floor(text, MAX_INPUT.min(text.len()))]
}

fn tail(text: &str, max: usize) -> &str {
    let mut at = text.len().saturating_sub(max);
    while !text.is_char_boundary(at) {
        at += 1;
    }
    &text[at..]
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
