//! A judge's verdict: read tolerantly, and two of them in opposite orders combined.

use serde_json::Value;

use crate::types::Scores;

use super::agreement;
use super::candidate::{Candidate, excerpt};
use super::evidence::{self, Cluster, Weights};
use super::parse::{self, Object, Step};

/// One verdict, in places of the candidates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub best: usize,
    pub scores: Vec<Option<Scores>>,
    pub reason: Option<String>,
}

/// Reads a verdict. `labels[i]` is the code of candidate `i`.
///
/// # Errors
/// What is wrong with the reply, in words the judge can be told.
pub(crate) fn read(text: &str, labels: &[&str]) -> Result<(Verdict, Step), String> {
    let wanted = |o: &Object| field(o, BEST).is_some() || field(o, SCORES).is_some();
    if let Some((object, step)) = parse::object(text, &wanted) {
        let scores = scores(field(&object, SCORES), labels);
        let named = field(&object, BEST).and_then(|v| place(v, labels));
        if let Some(best) = named.or_else(|| highest(&scores)) {
            let reason = field(&object, REASON).and_then(Value::as_str).map(str::trim);
            let reason = reason.filter(|r| !r.is_empty()).map(str::to_owned);
            return Ok((Verdict { best, scores, reason }, step));
        }
    }
    if let Some(best) = parse::label(text, labels).and_then(|l| labels.iter().position(|x| *x == l)) {
        return Ok((Verdict { best, scores: vec![None; labels.len()], reason: None }, Step::Label));
    }
    Err(match text.trim().is_empty() {
        true => "it was empty".to_owned(),
        false => format!("it names none of {} as `best`", labels.join(", ")),
    })
}

const BEST: &[&str] = &["best", "winner", "choice", "best_answer"];
const SCORES: &[&str] = &["scores", "ratings", "evaluations"];
const REASON: &[&str] = &["reason", "why", "explanation"];
const LABEL: &[&str] = &["answer", "id", "label", "candidate", "name"];
const CORRECTNESS: &[&str] = &["correctness", "accuracy", "correct"];
const INSTRUCTION: &[&str] = &["instruction", "instructions", "instruction_following"];
const COMPLETENESS: &[&str] = &["completeness", "complete"];

fn field<'a>(object: &'a Object, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|n| object.get(*n)).filter(|v| !v.is_null())
}

/// The candidate whose code a value names: the code itself, or the only code in a text or object.
pub(super) fn place(value: &Value, labels: &[&str]) -> Option<usize> {
    match value {
        Value::String(text) => {
            let words = text.split(|c: char| !c.is_alphanumeric());
            let mut found = words.filter_map(|w| labels.iter().position(|l| l.eq_ignore_ascii_case(w)));
            let first = found.next()?;
            found.all(|p| p == first).then_some(first)
        }
        Value::Object(o) => field(o, LABEL).and_then(|v| if v.is_string() { place(v, labels) } else { None }),
        _ => None,
    }
}

fn scores(value: Option<&Value>, labels: &[&str]) -> Vec<Option<Scores>> {
    let mut all = vec![None; labels.len()];
    match value {
        Some(Value::Array(list)) => {
            for row in list {
                if let (Some(at), Value::Object(o)) = (place(row, labels), row) {
                    all[at] = all[at].or(three(o));
                }
            }
        }
        // {"KTX": {...}} or {"KTX": 7}
        Some(Value::Object(by_label)) => {
            for (key, row) in by_label {
                let Some(at) = place(&Value::from(key.as_str()), labels) else { continue };
                all[at] = match row {
                    Value::Object(o) => three(o),
                    v => number(v).map(|n| Scores { correctness: n, instruction: n, completeness: n }),
                };
            }
        }
        _ => {}
    }
    all
}

fn three(row: &Object) -> Option<Scores> {
    let get = |names| field(row, names).and_then(number);
    Some(Scores { correctness: get(CORRECTNESS)?, instruction: get(INSTRUCTION)?, completeness: get(COMPLETENESS)? })
}

/// A score from 0 to 10: a number, or text such as "8" or "8/10".
fn number(value: &Value) -> Option<f64> {
    let n = match value {
        Value::Number(n) => n.as_f64()?,
        Value::String(s) => s.split('/').next()?.trim().parse().ok()?,
        _ => return None,
    };
    f64::is_finite(n).then(|| n.clamp(0.0, 10.0))
}

fn sum(s: &Scores) -> f64 {
    s.correctness + s.instruction + s.completeness
}

/// The only candidate with the highest scores.
fn highest(scores: &[Option<Scores>]) -> Option<usize> {
    let sums: Vec<(usize, f64)> = scores.iter().enumerate().filter_map(|(i, s)| Some((i, sum(s.as_ref()?)))).collect();
    let top = sums.iter().map(|s| s.1).fold(f64::NEG_INFINITY, f64::max);
    let mut at_top = sums.iter().filter(|s| s.1 == top);
    let first = at_top.next()?.0;
    at_top.next().is_none().then_some(first)
}

/// A choice, and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// Place among the candidates.
    pub index: usize,
    /// `judge`, `anchor` or `evidence`.
    pub method: &'static str,
    pub swap_consistent: Option<bool>,
    pub why: String,
    /// The answers with what speaks for them, the strongest first.
    pub clusters: Vec<Cluster>,
}

/// Chooses by the evidence: priors, votes, and up to two verdicts. Where nothing favours one of three or more free texts,
/// the one most like the others is taken instead of the first, if it clearly is.
pub(crate) fn decide(candidates: &[Candidate], weights: &Weights, verdicts: &[Verdict]) -> Choice {
    let clusters = evidence::clusters(candidates, weights, verdicts);
    let swap_consistent = match verdicts {
        [a, b, ..] => Some(candidates[a.best].key == candidates[b.best].key),
        _ => None,
    };
    let choice = |index, method, why| Choice { index, method, swap_consistent, why, clusters: clusters.clone() };
    let Some(leader) = clusters.first() else { return choice(0, "anchor", String::new()) };
    let mut shown =
        leader.candidates.iter().copied().find(|i| !candidates[*i].truncated).unwrap_or(leader.candidates[0]);
    if !candidates[shown].tool_calls().is_empty() {
        // The same calls may be written differently: the bytes are those of the member most likely to be right.
        let weight = |i: usize| weights.members.get(candidates[i].member).copied().unwrap_or_default();
        shown = leader.candidates.iter().copied().fold(shown, |best, i| {
            if !candidates[i].truncated && evidence::more(weight(i), weight(best)) { i } else { best }
        });
    }
    let second = clusters.get(1).map_or(0.0, Cluster::score);
    let votes = leader.voters.len();
    if leader.judge > 0.0 {
        let why = verdicts.iter().find_map(|v| v.reason.clone()).unwrap_or_else(|| match swap_consistent {
            Some(_) => "the judge chose it in both orders".to_owned(),
            None => "the judge chose it in its only verdict".to_owned(),
        });
        return choice(shown, "judge", why);
    }
    let unsure = match swap_consistent {
        Some(false) => "the judge's choice changed with the order of the answers; ",
        Some(true) => "the judge's choice weighs less than the priors; ",
        None => "",
    };
    if evidence::more(leader.score(), second) && votes >= 2 {
        let all: usize = clusters.iter().map(|c| c.voters.len()).sum();
        let said = candidates[shown].answer().map(|a| format!(" ({})", excerpt(a, 60))).unwrap_or_default();
        let why = format!("{unsure}{votes} of {all} members give the same answer{said}, more than any other");
        return choice(shown, "evidence", why);
    }
    if clusters.iter().all(|c| c.judge == 0.0)
        && !evidence::more(leader.score(), second)
        && let Some(middle) = agreement::medoid(candidates, shown)
    {
        let why = format!("{unsure}no answer leads; this one is the most similar to all others");
        return choice(middle, "evidence", why);
    }
    if leader.voters.contains(&0) {
        return choice(shown, "anchor", format!("{unsure}nothing outweighs the anchor's answer"));
    }
    choice(shown, "evidence", format!("{unsure}its members have the highest prior, or stand first"))
}

/// Mean of the scores that each candidate got.
pub(crate) fn mean_scores(verdicts: &[Verdict], candidate: usize) -> Option<Scores> {
    let all: Vec<Scores> = verdicts.iter().filter_map(|v| v.scores[candidate]).collect();
    let mean = |get: fn(&Scores) -> f64| all.iter().map(get).sum::<f64>() / all.len() as f64;
    (!all.is_empty()).then(|| Scores {
        correctness: mean(|s| s.correctness),
        instruction: mean(|s| s.instruction),
        completeness: mean(|s| s.completeness),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AssistantMessage;

    const LABELS: &[&str] = &["KTX", "QRS", "WZB"];

    fn says(member: usize, text: &str) -> Candidate {
        let message = AssistantMessage { content: Some(text.to_owned()), ..Default::default() };
        Candidate::new(member, message, Some("stop".to_owned()))
    }

    fn chose(best: usize) -> Verdict {
        Verdict { best, scores: vec![None; 3], reason: None }
    }

    #[test]
    fn verdicts_are_read_in_many_dresses() {
        for (text, best, step) in [
            (r#"{"scores":[],"reason":"r","best":"QRS"}"#, 1, Step::Strict),
            (r#"{"best":"Answer QRS"}"#, 1, Step::Strict),
            (r#"{"best":{"id":"wzb"}}"#, 2, Step::Strict),
            (r#"{"winner":"WZB"}"#, 2, Step::Strict),
            (r#"{"scores":{"KTX":3,"QRS":"9/10"}}"#, 1, Step::Strict),
            (
                r#"{"scores":[{"id":"KTX","correctness":9,"instruction":9,"completeness":9},{"id":"QRS","correctness":1,"instruction":1,"completeness":1}],"best":"neither"}"#,
                0,
                Step::Strict,
            ),
            ("```json\n{\"best\": \"KTX\",}\n```", 0, Step::Repaired),
            ("I choose WZB.", 2, Step::Label),
        ] {
            let (verdict, by) = read(text, LABELS).unwrap();
            assert_eq!((verdict.best, by), (best, step), "{text}");
        }
        for text in ["", "no idea", r#"{"best":"AAA"}"#, r#"{"best":3}"#, r#"{"scores":{"KTX":5,"QRS":5}}"#, "KTX, QRS"]
        {
            assert!(read(text, LABELS).is_err(), "{text}");
        }
    }

    #[test]
    fn scores_are_clamped_and_averaged() {
        let row = |n: i64| {
            format!(
                r#"{{"scores":[{{"answer":"KTX","correctness":{n},"instruction":5,"completeness":5}}],"best":"KTX"}}"#
            )
        };
        let a = read(&row(99), LABELS).unwrap().0;
        let b = read(&row(-4), LABELS).unwrap().0;
        assert_eq!(a.scores[0].unwrap().correctness, 10.0);
        assert_eq!(mean_scores(&[a.clone(), b], 0).unwrap().correctness, 5.0);
        assert_eq!(mean_scores(&[a], 1), None);
    }

    fn choose(all: &[Candidate], verdicts: &[Verdict]) -> Choice {
        decide(all, &Weights::even(all.len()), verdicts)
    }

    #[test]
    fn the_same_choice_twice_stands() {
        let all = [says(0, "a"), says(1, "b"), says(2, "c")];
        let choice = choose(&all, &[chose(2), chose(2)]);
        assert_eq!((choice.index, choice.method, choice.swap_consistent), (2, "judge", Some(true)));
    }

    #[test]
    fn a_choice_that_follows_the_order_is_no_evidence() {
        let all = [says(0, "a"), says(1, "b"), says(2, "c")];
        let choice = choose(&all, &[chose(2), chose(1)]);
        assert_eq!((choice.index, choice.method, choice.swap_consistent), (0, "anchor", Some(false)));
        let all = [says(0, "a"), says(1, "b"), says(2, "c"), says(3, "c")];
        assert_eq!(choose(&all, &[chose(1), chose(2)]).index, 2, "two members say c");
    }

    #[test]
    fn a_majority_wins_without_a_judge() {
        let all = [says(0, "Basel"), says(1, "Bern"), says(2, "bern.")];
        let choice = choose(&all, &[]);
        assert_eq!((choice.index, choice.method, choice.swap_consistent), (1, "evidence", None));
        assert_eq!(choice.clusters[0].voters, [1, 2]);
    }

    #[test]
    fn ties_go_to_the_anchor_never_to_length() {
        let all = [says(0, "Basel"), says(1, "Bern, because it is the seat of the federal authorities")];
        assert_eq!(choose(&all, &[]).index, 0);
        let pairs = [says(0, "a"), says(1, "b"), says(2, "b"), says(3, "a")];
        assert_eq!((choose(&pairs, &[]).index, choose(&pairs, &[]).method), (0, "anchor"));
        let mut cut = [says(0, "a"), says(1, "b")];
        cut[0].truncated = true;
        assert_eq!(choose(&cut, &[]).index, 1, "a text that was cut off is worth half");
    }

    #[test]
    fn an_outlier_in_the_lead_gives_way_to_the_middle() {
        let all = [
            says(0, "zzz qqq xxx"),
            says(1, "water boils at one hundred degrees at sea level"),
            says(2, "water boils at one hundred degrees celsius"),
        ];
        assert_eq!((choose(&all, &[]).index, choose(&all, &[]).method), (1, "evidence"));
        let mut weights = Weights::even(3);
        weights.members[0] = evidence::weight(evidence::ANCHOR_PRIOR);
        assert_eq!(decide(&all, &weights, &[]).method, "anchor", "not when the anchor is known to be better");
    }

    #[test]
    fn equal_tool_calls_are_written_as_the_likeliest_member_wrote_them() {
        let calls = |member: usize, arguments: &str| {
            let call = serde_json::json!({"id": member.to_string(), "function": {"name": "f", "arguments": arguments}});
            let message = AssistantMessage {
                tool_calls: Some(vec![serde_json::from_value(call).unwrap()]),
                ..Default::default()
            };
            Candidate::new(member, message, Some("tool_calls".to_owned()))
        };
        let all = [calls(0, "{\"x\": 1}"), calls(1, "{\"x\":1.0}"), calls(2, "{ \"x\": 1 }")];
        assert_eq!(choose(&all, &[]).index, 0, "of equals the first");
        let mut weights = Weights::even(3);
        weights.members[2] = evidence::weight(0.9);
        assert_eq!(decide(&all, &weights, &[]).index, 2);
    }

    #[test]
    fn one_verdict_breaks_a_tie() {
        let all = [says(0, "a"), says(1, "b"), says(2, "c")];
        let choice = choose(&all, &[chose(2)]);
        assert_eq!((choice.index, choice.swap_consistent), (2, None));
    }
}
