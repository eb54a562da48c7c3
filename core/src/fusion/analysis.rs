//! A judge's analysis: read tolerantly, its labels turned back into members.

use serde_json::Value;

use crate::types::{Analysis, Contradiction, PartialCoverage, Stance, UniqueInsight};

use super::parse::{self, Object, Step};
use super::verdict;

/// Items kept per list; a model that repeats itself to its token limit must not fill a report.
const MAX_ITEMS: usize = 12;

const LISTS: &[&str] = &["consensus", "contradictions", "partial_coverage", "unique_insights", "blind_spots"];

/// Reads an analysis. `labels[i]` is the code of the member `ids[i]`. An entry about an answer that does not exist is left
/// out.
///
/// # Errors
/// What is wrong with the reply, in words the judge can be told.
pub(crate) fn read(text: &str, labels: &[&str], ids: &[&str]) -> Result<(Analysis, Step), String> {
    let wanted = |o: &Object| LISTS.iter().any(|l| o.contains_key(*l));
    let Some((o, step)) = parse::object(text, &wanted) else {
        return Err(match text.trim().is_empty() {
            true => "it was empty".to_owned(),
            false => format!("it is no JSON object with the lists {}", LISTS.join(", ")),
        });
    };
    let names = Names { labels, ids };
    let analysis = Analysis {
        consensus: items(&o, "consensus", |v| names.text(v, &["point", "text", "claim"])),
        contradictions: items(&o, "contradictions", |v| names.contradiction(v)),
        partial_coverage: items(&o, "partial_coverage", |v| names.coverage(v)),
        unique_insights: items(&o, "unique_insights", |v| names.insight(v)),
        blind_spots: items(&o, "blind_spots", |v| names.text(v, &["point", "text", "gap"])),
    };
    Ok((analysis, step))
}

/// Whether a value has any of an analysis's lists.
pub(crate) fn is_one(value: &Value) -> bool {
    LISTS.iter().any(|list| value.get(*list).is_some())
}

/// The entries of a list that can be read, without repetitions. A single value stands for a list of one.
fn items<T: PartialEq>(o: &Object, list: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let one;
    let values = match o.get(list) {
        Some(Value::Array(values)) => values,
        Some(Value::Null) | None => return Vec::new(),
        Some(value) => {
            one = vec![value.clone()];
            &one
        }
    };
    let mut kept: Vec<T> = Vec::new();
    for item in values.iter().filter_map(read) {
        if kept.len() < MAX_ITEMS && !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

struct Names<'a> {
    labels: &'a [&'a str],
    ids: &'a [&'a str],
}

impl Names<'_> {
    fn text(&self, value: &Value, keys: &[&str]) -> Option<String> {
        let text = match value {
            Value::String(text) => text,
            Value::Object(o) => keys.iter().find_map(|k| o.get(*k))?.as_str()?,
            _ => return None,
        };
        let text = self.unlabelled(text.trim());
        (!text.is_empty()).then_some(text)
    }

    fn member(&self, value: &Value) -> Option<String> {
        Some(self.ids[verdict::place(value, self.labels)?].to_owned())
    }

    fn contradiction(&self, value: &Value) -> Option<Contradiction> {
        let topic = self.text(value, &["topic", "point", "text"])?;
        let stances = match value.get("stances") {
            Some(Value::Array(stances)) => stances.iter().filter_map(|s| self.stance(s)).collect(),
            // {"stances": {"KTX": "yes", "QRS": "no"}}
            Some(Value::Object(by_label)) => {
                let pair = |(k, v): (&String, &Value)| {
                    Some(Stance { member: self.member(&Value::from(k.as_str()))?, stance: self.text(v, &["stance"])? })
                };
                by_label.iter().filter_map(pair).collect()
            }
            _ => Vec::new(),
        };
        Some(Contradiction { topic, stances })
    }

    fn stance(&self, value: &Value) -> Option<Stance> {
        Some(Stance {
            member: self.member(member_of(value)?)?,
            stance: self.text(value, &["stance", "text", "claim"])?,
        })
    }

    fn coverage(&self, value: &Value) -> Option<PartialCoverage> {
        let point = self.text(value, &["point", "text", "topic"])?;
        let listed =
            ["answers", "members", "models"].iter().find_map(|k| value.get(*k)).or_else(|| member_of(value))?;
        let mut members: Vec<String> = match listed {
            Value::Array(all) => all.iter().filter_map(|v| self.member(v)).collect(),
            one => self.member(one).into_iter().collect(),
        };
        let mut seen = Vec::new();
        members.retain(|m| {
            !seen.contains(m) && {
                seen.push(m.clone());
                true
            }
        });
        (!members.is_empty()).then_some(PartialCoverage { members, point })
    }

    fn insight(&self, value: &Value) -> Option<UniqueInsight> {
        Some(UniqueInsight {
            member: self.member(member_of(value)?)?,
            insight: self.text(value, &["insight", "point", "text"])?,
        })
    }

    /// Free text in which the judge used its labels, with members' ids in their place.
    fn unlabelled(&self, text: &str) -> String {
        unlabelled(text, self.labels, self.ids)
    }
}

fn member_of(value: &Value) -> Option<&Value> {
    ["answer", "member", "id", "label", "model"].iter().find_map(|k| value.get(*k))
}

/// `text` with every label that stands as a word of its own replaced by its member's id.
pub(crate) fn unlabelled(text: &str, labels: &[&str], ids: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_alphanumeric()) {
        out.push_str(&rest[..start]);
        let end = rest[start..].find(|c: char| !c.is_alphanumeric()).map_or(rest.len(), |e| start + e);
        let word = &rest[start..end];
        out.push_str(labels.iter().position(|l| *l == word).map_or(word, |at| ids[at]));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &[&str] = &["KTX", "QRS"];
    const IDS: &[&str] = &["first", "second"];

    #[test]
    fn labels_become_members() {
        let (a, step) = read(
            r#"{"consensus":["KTX and QRS agree on Bern"],
                "contradictions":[{"topic":"founding","stances":[{"answer":"KTX","stance":"1191"},{"answer":"QRS","stance":"1218"}]}],
                "partial_coverage":[{"answers":["QRS","QRS"],"point":"rivers"}],
                "unique_insights":[{"answer":"KTX","insight":"bears"}],
                "blind_spots":["area"]}"#,
            LABELS,
            IDS,
        )
        .unwrap();
        assert_eq!(step, Step::Strict);
        assert_eq!(a.consensus, ["first and second agree on Bern"]);
        assert_eq!(a.contradictions[0].stances[1], Stance { member: "second".into(), stance: "1218".into() });
        assert_eq!(a.partial_coverage[0].members, ["second"]);
        assert_eq!(a.unique_insights[0].member, "first");
        assert_eq!(a.blind_spots, ["area"]);
    }

    #[test]
    fn loose_forms_are_read_and_inventions_left_out() {
        let (a, _) = read(
            r#"{"consensus":"one only","contradictions":["only a topic",{"topic":"t","stances":{"KTX":"yes","ZZZ":"no"}}],
                "partial_coverage":[{"answers":["ZZZ"],"point":"p"},{"member":"KTX","point":"q"}],
                "unique_insights":["no member",{"id":"QRS","point":"x"},7],"blind_spots":[{"point":"b"},"","b","b"]}"#,
            LABELS,
            IDS,
        )
        .unwrap();
        assert_eq!(a.consensus, ["one only"]);
        assert_eq!(a.contradictions.len(), 2);
        assert_eq!(a.contradictions[1].stances.len(), 1);
        assert_eq!(a.partial_coverage, [PartialCoverage { members: vec!["first".into()], point: "q".into() }]);
        assert_eq!(a.unique_insights.len(), 1);
        assert_eq!(a.blind_spots, ["b"]);
    }

    #[test]
    fn a_cut_analysis_keeps_what_it_said() {
        let (a, step) =
            read(r#"{"consensus":["a","b"],"contradictions":[{"topic":"t","stances":[{"ans"#, LABELS, IDS).unwrap();
        assert_eq!(step, Step::Repaired);
        assert_eq!((a.consensus.len(), a.contradictions.len()), (2, 1));
        assert!(read("nothing here", LABELS, IDS).is_err());
        assert!(read("{\"best\":\"KTX\"}", LABELS, IDS).is_err());
    }

    #[test]
    fn only_whole_words_are_labels() {
        assert_eq!(unlabelled("KTX's KTXA (QRS)", LABELS, IDS), "first's KTXA (second)");
    }
}
