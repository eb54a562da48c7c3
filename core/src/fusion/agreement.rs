//! Whether answers say the same, and which of free texts is the most typical, found without asking anyone.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::types::{Agreement, AssistantMessage, ToolCall};

use super::candidate::Candidate;
use super::{canonical, parse};

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
        return format!("json:{}", canonical::json(&value));
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
                    text => {
                        serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |v| canonical::json(&v))
                    }
                };
                format!("{}({arguments})", f.name)
            }
            None => canonical::json(&Value::Object(call.extra.clone())),
        })
        .collect();
    all.sort();
    all.join(";")
}

/// Whether all candidates say the same.
pub(crate) fn all_agree(candidates: &[Candidate]) -> bool {
    candidates.windows(2).all(|pair| pair[0].key == pair[1].key)
}

/// How alike the answers are, and who says the same; `None` for fewer than two.
pub(crate) fn report(candidates: &[Candidate], ids: &[String]) -> Option<Agreement> {
    if candidates.len() < 2 {
        return None;
    }
    // Closed answers are the same or not, and need none.
    let likeness = LazyCell::new(|| likeness(candidates));
    let alike = |a: usize, b: usize| match (&candidates[a], &candidates[b]) {
        (one, other) if one.key == other.key => 1.0,
        (one, other) if one.closed || other.closed => 0.0,
        (one, other) if !one.tool_calls().is_empty() || !other.tool_calls().is_empty() => 0.0,
        // Three decimals are more than such a measure knows; what is not the same is never all.
        _ => (likeness[a][b] * 1000.0).round().min(999.0) / 1000.0,
    };
    let all = 0..candidates.len();
    let matrix = all.clone().map(|a| all.clone().map(|b| alike(a, b)).collect()).collect();
    let id = |c: &Candidate| ids[c.member].clone();
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for candidate in candidates {
        match groups.iter_mut().find(|(key, _)| *key == candidate.key) {
            Some((_, group)) => group.push(id(candidate)),
            None => groups.push((&candidate.key, vec![id(candidate)])),
        }
    }
    let groups = groups.into_iter().map(|(_, group)| group).collect();
    Some(Agreement { members: candidates.iter().map(id).collect(), matrix, groups })
}

/// Three characters.
const PACKED: u64 = (1 << 63) - 1;

/// What of a text is compared with others.
#[derive(Debug)]
pub(crate) struct Gist {
    /// Its three-letter pieces, sorted, each once; a character takes 21 bits.
    trigrams: Vec<u64>,
    /// Texts that differ in their figures do not say the same, however alike they are.
    figures: BTreeSet<String>,
}

impl Gist {
    pub fn new(text: &str) -> Gist {
        let (mut trigrams, mut last, mut read) = (Vec::with_capacity(text.len()), 0, 0);
        let mut reads = |c: char| {
            (last, read) = ((last << 21 | u64::from(c)) & PACKED, read + 1);
            if read >= 3 {
                trigrams.push(last);
            }
        };
        let mut between = true;
        for c in text.chars() {
            if !c.is_alphanumeric() {
                between = true;
                continue;
            }
            if std::mem::take(&mut between) {
                reads(' ');
            }
            c.to_lowercase().for_each(&mut reads);
        }
        reads(' ');
        trigrams.sort_unstable();
        trigrams.dedup();
        let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
        Gist { trigrams, figures: runs.map(str::to_owned).collect() }
    }

    /// Similarity to another text, 0 to 1, of two that have so many pieces in common: the share of three-letter pieces that
    /// both have (Jaccard).
    fn share(&self, other: &Gist, both: usize) -> f64 {
        match self.trigrams.len() + other.trigrams.len() {
            0 => 1.0,
            all => both as f64 / (all - both) as f64,
        }
    }

    /// Similarity to another text where it is so great; it is given up as soon as that cannot be.
    fn similar(&self, other: &Gist, least: f64) -> Option<f64> {
        let (mut a, mut b) = (&self.trigrams[..], &other.trigrams[..]);
        let all = a.len() + b.len();
        // both / (all - both) >= least; half a piece less, for what a fraction cannot hold.
        let needed = (least * all as f64 / (1.0 + least) - 0.5).ceil().max(0.0) as usize;
        let mut both = 0;
        while let (Some(one), Some(two)) = (a.first(), b.first()) {
            if both + a.len().min(b.len()) < needed {
                return None;
            }
            both += usize::from(one == two);
            let (next, other) = (usize::from(one <= two), usize::from(two <= one));
            (a, b) = (&a[next..], &b[other..]);
        }
        Some(self.share(other, both)).filter(|share| *share >= least)
    }
}

/// Similarity of every text to every other, found in one pass over the pieces of all.
fn likeness(candidates: &[Candidate]) -> Vec<Vec<f64>> {
    let gists: Vec<&Gist> = candidates.iter().map(Candidate::gist).collect();
    let mut pieces: Vec<(u64, usize)> = Vec::with_capacity(gists.iter().map(|gist| gist.trigrams.len()).sum());
    for (at, gist) in gists.iter().enumerate() {
        pieces.extend(gist.trigrams.iter().map(|piece| (*piece, at)));
    }
    // Each text's are in order already, so this merges them.
    pieces.sort();
    let mut both = vec![vec![0; gists.len()]; gists.len()];
    for same in pieces.chunk_by(|one, other| one.0 == other.0) {
        for (nth, (_, a)) in same.iter().enumerate() {
            same[nth..].iter().for_each(|(_, b)| both[*a][*b] += 1);
        }
    }
    let share = |a: usize, b: usize| gists[a].share(gists[b], both[a.min(b)][a.max(b)]);
    (0..gists.len()).map(|a| (0..gists.len()).map(|b| share(a, b)).collect()).collect()
}

/// Texts of so great a likeness say the same.
const ALIKE: f64 = 0.80;

/// Gives free texts that are alike the same key, so that they stand together; the first of them gives it. What says
/// exactly what it says stays alone.
pub(crate) fn group_alike(candidates: &mut [Candidate]) {
    for i in 0..candidates.len() {
        let free = |c: &Candidate| !c.is_exact();
        let (before, rest) = candidates.split_at_mut(i);
        let Some(own) = rest.first_mut().filter(|c| free(c)) else { continue };
        let others = before.iter().filter(|c| free(c) && c.gist().figures == own.gist().figures);
        let alike = others.filter_map(|c| Some((c.gist().similar(own.gist(), ALIKE)?, &c.key)));
        // The first of equals wins, so the pool's order decides.
        let best = alike.fold(None, |best: Option<(f64, &String)>, this| match best {
            Some(best) if best.0 >= this.0 => Some(best),
            _ => Some(this),
        });
        if let Some((_, key)) = best {
            own.key = key.clone();
        }
    }
}

/// How much closer to the others an answer must be than the one in the lead to be taken instead of it.
const MEDOID_MARGIN: f64 = 0.05;

/// Among three or more free texts: the one most similar to the rest, if clearly more so than `leader`.
pub(crate) fn medoid(candidates: &[Candidate], leader: usize) -> Option<usize> {
    if candidates.len() < 3 || candidates.iter().any(|c| c.closed || !c.tool_calls().is_empty()) {
        return None;
    }
    // Each is wholly like itself, which changes nothing between them.
    let others = (candidates.len() - 1) as f64;
    let means: Vec<f64> = likeness(candidates).iter().map(|row| (row.iter().sum::<f64>() - 1.0) / others).collect();
    let best = (0..means.len()).fold(leader, |best, i| if means[i] > means[best] { i } else { best });
    (means[best] > means[leader] + MEDOID_MARGIN).then_some(best)
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
    fn free_texts_that_are_alike_stand_together() {
        let long = "Bern is the federal city of Switzerland and the seat of its authorities, by the river Aare";
        let mut all = [says(0, "Basel lies on the Rhine"), says(1, long), says(2, &long.replace("federal", "Federal"))];
        all[2].message.content = Some(format!("{long}!!"));
        group_alike(&mut all);
        assert_eq!(all[1].key, all[2].key);
        assert_ne!(all[0].key, all[1].key);
        let year = |year: &str| format!("{long}, as it has been since the year {year}, when it was chosen");
        let mut years = [says(0, &year("1848")), says(1, &year("1849"))];
        group_alike(&mut years);
        assert_ne!(years[0].key, years[1].key, "they differ in a figure");
        let mut closed = [says(0, "1000"), says(1, "1000 ")];
        (closed[0].closed, closed[0].key) = (true, "x".to_owned());
        group_alike(&mut closed);
        assert_eq!(closed[1].key, "number:1000", "a closed answer takes nobody in");
    }

    #[test]
    fn the_report_tells_who_says_the_same_and_how_alike_the_others_are() {
        let ids = ["a", "b", "c", "d"].map(str::to_owned);
        assert_eq!(report(&[says(0, "x")], &ids), None);
        let text = "Bern is the federal city of Switzerland";
        let all = [says(0, text), says(2, "Basel is a city of Switzerland"), says(3, &format!("**{text}**."))];
        let found = report(&all, &ids).unwrap();
        assert_eq!(found.members, ["a", "c", "d"]);
        assert_eq!(found.groups, [vec!["a", "d"], vec!["c"]]);
        let row = &found.matrix[0];
        assert_eq!((row[0], row[2]), (1.0, 1.0));
        assert!(row[1] > 0.2 && row[1] < 0.8 && found.matrix[1][0] == row[1], "{row:?}");
        let mut closed = [says(0, text), says(1, &format!("{text}!"))];
        closed[0].key = "answer:a".to_owned();
        closed[0].closed = true;
        assert_eq!(report(&closed, &ids).unwrap().matrix[0], [1.0, 0.0], "a closed answer is the same or not");
    }

    #[test]
    fn the_middle_of_free_texts() {
        let all = [
            says(0, "zzz qqq xxx"),
            says(1, "water boils at one hundred degrees at sea level"),
            says(2, "water boils at one hundred degrees celsius"),
        ];
        assert_eq!(medoid(&all, 0), Some(1));
        assert_eq!(medoid(&all, 1), None, "no better than itself");
        assert_eq!(medoid(&all[1..], 0), None, "two have no middle");
    }

    #[test]
    fn similarity_is_symmetric_and_bounded() {
        let similarity = |a: &str, b: &str| {
            let both = likeness(&[says(0, a), says(1, b)]);
            assert_eq!((both[0][0], both[1][1], both[0][1]), (1.0, 1.0, both[1][0]));
            assert_eq!(Some(both[0][1]), Gist::new(a).similar(&Gist::new(b), 0.0));
            both[0][1]
        };
        assert_eq!(similarity("", ""), 1.0);
        assert_eq!(similarity("abc def", "abc def"), 1.0);
        assert_eq!(similarity("aaa", "zzz"), 0.0);
        let (one, two) = (Gist::new("water boils at sea level"), Gist::new("water boils at see level"));
        let is = similarity("water boils at sea level", "water boils at see level");
        assert_eq!(one.similar(&two, is), Some(is));
        assert_eq!(one.similar(&two, is + 0.01), None);
        assert_eq!(similarity("one two", "two three"), similarity("two three", "one two"));
    }
}
