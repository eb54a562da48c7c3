//! Whether answers say the same, found without asking anyone, and the choice that is made when no judge can help.
//! Deterministic: never by chance, never by length.

use std::collections::HashSet;

use serde_json::Value;

use crate::types::{AssistantMessage, ToolCall};

use super::candidate::Candidate;
use super::parse;

/// A text that is equal for messages that say the same: the same tool calls, the same JSON, the same number, or the
/// same words but for case, space, emphasis and the final stop. Text of several lines must be equal but for line ends,
/// because case and space can matter there (code).
pub(crate) fn key(message: &AssistantMessage) -> String {
    if let Some(calls) = message.tool_calls.as_deref().filter(|c| !c.is_empty()) {
        return format!("tools:{}", tool_calls(calls));
    }
    text_key(message.content.as_deref().unwrap_or_default())
}

fn text_key(text: &str) -> String {
    let text = parse::after_thinking(text).trim();
    if text.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return format!("json:{}", canonical(&value));
    }
    if text.contains('\n') || text.contains('`') {
        return text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    }
    let plain = text.replace(['*', '_'], "");
    let plain = plain.trim_end_matches(['.', '!', '。']).trim();
    let digits = plain.replace(',', "");
    match digits.parse::<f64>() {
        Ok(n) if n.is_finite() && digits.bytes().any(|b| b.is_ascii_digit()) => format!("number:{n}"),
        _ => plain.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Names and arguments of tool calls, arguments with sorted keys, calls in sorted order.
pub(crate) fn tool_calls(calls: &[ToolCall]) -> String {
    let mut all: Vec<String> = calls
        .iter()
        .map(|call| match &call.function {
            Some(f) => {
                let arguments = match f.arguments.trim() {
                    "" => "{}".to_owned(),
                    text => serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |v| canonical(&v)),
                };
                format!("{}({arguments})", f.name)
            }
            None => canonical(&Value::Object(call.extra.clone())),
        })
        .collect();
    all.sort();
    all.join(";")
}

/// JSON with sorted keys, and one way to write a number.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            let inside: Vec<String> =
                entries.into_iter().map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), canonical(v))).collect();
            format!("{{{}}}", inside.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(n) if n.is_f64() => n.as_f64().map_or_else(|| n.to_string(), |f| f.to_string()),
        other => other.to_string(),
    }
}

/// Whether all candidates say the same.
pub(crate) fn all_agree(candidates: &[Candidate]) -> bool {
    candidates.windows(2).all(|pair| pair[0].key == pair[1].key)
}

/// Similarity of two texts, 0 to 1: the share of three-letter pieces they have in common (Jaccard).
pub(crate) fn similarity(a: &str, b: &str) -> f64 {
    let (a, b) = (pieces(a), pieces(b));
    let both = a.intersection(&b).count();
    let either = a.len() + b.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

fn pieces(text: &str) -> HashSet<[char; 3]> {
    let folded: Vec<char> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .flat_map(|w| std::iter::once(' ').chain(w.chars().flat_map(char::to_lowercase)))
        .chain([' '])
        .collect();
    folded.windows(3).map(|w| [w[0], w[1], w[2]]).collect()
}

/// A choice made without the judge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LocalChoice {
    /// Place among the candidates.
    pub index: usize,
    /// `evidence` or `anchor`.
    pub method: &'static str,
    pub why: String,
}

/// How much closer to the others an answer must be than the anchor's to be taken instead of it.
const MEDOID_MARGIN: f64 = 0.05;

/// Chooses without a judge: the answer that most members give (two or more, and more than any other); else, among
/// three or more, the one most similar to the rest, if clearly more so than the anchor's; else the anchor's.
pub(crate) fn choose(candidates: &[Candidate]) -> LocalChoice {
    let anchor = stand_in(candidates);
    let votes_of = |key: &str| candidates.iter().filter(|c| c.key == key).map(|c| c.votes).sum::<u32>();
    let most = candidates.iter().map(|c| votes_of(&c.key)).max().unwrap_or(0);
    let leaders: Vec<usize> = (0..candidates.len()).filter(|i| votes_of(&candidates[*i].key) == most).collect();
    let one_key = leaders.windows(2).all(|w| candidates[w[0]].key == candidates[w[1]].key);
    if most >= 2 && one_key {
        return LocalChoice {
            index: leaders[0],
            method: "evidence",
            why: format!("{most} members give the same answer, more than any other"),
        };
    }
    if candidates.len() >= 3 && !candidates.iter().any(|c| !c.tool_calls().is_empty()) {
        let mean = |i: usize| {
            let others = (0..candidates.len()).filter(|j| *j != i);
            others.map(|j| similarity(candidates[i].text(), candidates[j].text())).sum::<f64>()
                / (candidates.len() - 1) as f64
        };
        let means: Vec<f64> = (0..candidates.len()).map(mean).collect();
        // The first of equals wins, so the pool's order decides.
        let best = (0..means.len()).fold(anchor, |best, i| if means[i] > means[best] { i } else { best });
        if means[best] > means[anchor] + MEDOID_MARGIN {
            return LocalChoice {
                index: best,
                method: "evidence",
                why: "no two answers are the same; this one is the most similar to all others".to_owned(),
            };
        }
    }
    LocalChoice { index: anchor, method: "anchor", why: "nothing speaks against the anchor's answer".to_owned() }
}

/// The anchor's answer, or the first in the pool's order; one that was cut off only if all were.
pub(crate) fn stand_in(candidates: &[Candidate]) -> usize {
    candidates.iter().position(|c| !c.truncated).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FunctionCall;

    fn says(member: usize, text: &str) -> Candidate {
        let message = AssistantMessage { content: Some(text.to_owned()), ..Default::default() };
        Candidate::new(member, message, Some("stop".to_owned()))
    }

    fn calls(name: &str, arguments: &str) -> AssistantMessage {
        let function = Some(FunctionCall { name: name.to_owned(), arguments: arguments.to_owned() });
        AssistantMessage { tool_calls: Some(vec![ToolCall { function, ..Default::default() }]), ..Default::default() }
    }

    #[test]
    fn the_same_said_differently_is_the_same() {
        for (a, b) in [
            ("Bern.", "bern"),
            ("**Bern**", " Bern  "),
            ("The answer  is 42", "the answer is 42."),
            ("1,000", "1000.0"),
            (r#"{"a":1,"b":[2]}"#, "{ \"b\": [2.0], \"a\": 1 }"),
            ("<think>hm</think>Bern", "Bern"),
            ("x\n  y  ", "x\n  y"),
        ] {
            assert_eq!(text_key(a), text_key(b), "{a} / {b}");
        }
        for (a, b) in [
            ("Bern", "Basel"),
            ("1", "10"),
            ("`A`", "`a`"),
            ("if x:\n  y", "if x:\ny"),
            ("inf", "nan"),
            (r#"{"a":"1"}"#, r#"{"a":1}"#),
            ("-1", "1"),
        ] {
            assert_ne!(text_key(a), text_key(b), "{a} / {b}");
        }
    }

    #[test]
    fn tool_calls_compare_by_name_and_sorted_arguments() {
        assert_eq!(key(&calls("f", r#"{"x":1,"y":2}"#)), key(&calls("f", r#"{ "y": 2, "x": 1 }"#)));
        assert_eq!(key(&calls("f", "")), key(&calls("f", "{}")));
        assert_ne!(key(&calls("f", r#"{"x":1}"#)), key(&calls("g", r#"{"x":1}"#)));
        assert_ne!(key(&calls("f", r#"{"x":1}"#)), key(&calls("f", r#"{"x":2}"#)));
    }

    #[test]
    fn a_majority_wins_without_a_judge() {
        let all = [says(0, "Basel"), says(1, "Bern"), says(2, "bern.")];
        let choice = choose(&all);
        assert_eq!((choice.index, choice.method), (1, "evidence"));
    }

    #[test]
    fn ties_go_to_the_anchor_never_to_length() {
        let all = [says(0, "Basel"), says(1, "Bern, because it is the seat of the federal authorities")];
        assert_eq!(choose(&all).index, 0);
        let pairs = [says(0, "a"), says(1, "b"), says(2, "b"), says(3, "a")];
        assert_eq!((choose(&pairs).index, choose(&pairs).method), (0, "anchor"));
    }

    #[test]
    fn an_outlier_as_anchor_gives_way_to_the_middle() {
        let all = [
            says(0, "zzz qqq xxx"),
            says(1, "water boils at one hundred degrees at sea level"),
            says(2, "water boils at one hundred degrees celsius"),
        ];
        assert_eq!((choose(&all).index, choose(&all).method), (1, "evidence"));
    }

    #[test]
    fn a_cut_off_anchor_stands_back() {
        let mut all = [says(0, "a"), says(1, "b")];
        all[0].truncated = true;
        assert_eq!(stand_in(&all), 1);
        all[1].truncated = true;
        assert_eq!(stand_in(&all), 0);
    }

    #[test]
    fn similarity_is_symmetric_and_bounded() {
        assert_eq!(similarity("", ""), 1.0);
        assert_eq!(similarity("abc def", "abc def"), 1.0);
        assert_eq!(similarity("aaa", "zzz"), 0.0);
        assert_eq!(similarity("one two", "two three"), similarity("two three", "one two"));
    }
}
