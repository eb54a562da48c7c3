//! Tests of merging structured answers field by field.

use serde_json::{Value, json};

use super::tree::Tree;
use crate::fusion::candidate::Candidate;
use crate::fusion::evidence::Weights;
use crate::fusion::scripted::{Said, Scripted, fuse, said_last};
use crate::fusion::verdict::Verdict;
use crate::types::{AssistantMessage, FieldReport, FinalSource, Fused};

/// Answers of as many members as there are values, put together without a judge; also the places a judge could change.
fn together(values: &[Value]) -> (Value, Vec<FieldReport>, Vec<String>) {
    let says = |(i, value): (usize, &Value)| {
        let message = AssistantMessage { content: Some(value.to_string()), ..Default::default() };
        Candidate::new(i, message, Some("stop".to_owned()))
    };
    let candidates: Vec<Candidate> = values.iter().enumerate().map(says).collect();
    let weights = Weights::even(values.len());
    let tree = Tree::new(&candidates, values, (0..values.len()).map(|i| format!("m{i}")).collect());
    let open = tree.open(&weights).iter().map(|decision| decision.path.clone()).collect();
    let (value, rows) = tree.resolve(&weights, &|_| Vec::new());
    (value, rows, open)
}

fn row<'a>(rows: &'a [FieldReport], pointer: &str) -> &'a FieldReport {
    rows.iter().find(|row| row.pointer == pointer).unwrap_or_else(|| panic!("no row {pointer} in {rows:?}"))
}

#[test]
fn single_values_go_to_the_majority_and_ties_to_the_first() {
    let (value, rows, open) = together(&[
        json!({"city": "Bern", "seat": true, "year": 1848, "x": 1}),
        json!({"city": "bern.", "seat": true, "year": 1849, "x": 2}),
        json!({"city": "Basel", "seat": true, "year": 1849, "x": 3}),
    ]);
    assert_eq!(value, json!({"city": "Bern", "seat": true, "year": 1849, "x": 1}));
    assert_eq!(row(&rows, "/city").method, "vote");
    assert_eq!(row(&rows, "/city").said[0].members, ["m0", "m1"]);
    assert_eq!(row(&rows, "/city").said[1].members, ["m2"]);
    assert_eq!((row(&rows, "/seat").method.as_str(), row(&rows, "/x").method.as_str()), ("agreement", "anchor"));
    assert_eq!(open, ["/city", "/year", "/x"], "a judge that is sure of itself could outweigh one vote more");
}

#[test]
fn a_large_majority_needs_no_judge() {
    let mut all = vec![json!({"a": 1}); 5];
    all[0] = json!({"a": 2});
    let (value, _, open) = together(&all);
    assert_eq!((value, open.len()), (json!({"a": 1}), 0));
}

#[test]
fn measured_numbers_have_a_middle_and_counted_ones_a_vote() {
    let (value, rows, open) =
        together(&[json!({"km": 9.5, "n": 9}), json!({"km": 7.25, "n": 7}), json!({"km": 8.0, "n": 7})]);
    assert_eq!(value, json!({"km": 8.0, "n": 7}));
    assert_eq!((row(&rows, "/km").method.as_str(), row(&rows, "/n").method.as_str()), ("median", "vote"));
    assert_eq!(open, ["/n"], "a judge measures nothing");
    let (value, ..) = together(&[json!({"km": 9.5}), json!({"km": 7.25})]);
    assert_eq!(value, json!({"km": 9.5}), "two have no middle");
}

#[test]
fn a_list_of_texts_keeps_what_more_have_than_lack() {
    let (value, rows, _) =
        together(&[json!({"tags": ["a", "b"]}), json!({"tags": ["b", "c"]}), json!({"tags": ["c", "b", "d"]})]);
    assert_eq!(value, json!({"tags": ["b", "c"]}));
    assert_eq!(row(&rows, "/tags/0").method, "agreement");
    assert_eq!(row(&rows, "/tags/1").said[0].members, ["m1", "m2"]);
    let dropped: Vec<_> = rows.iter().filter(|r| r.pointer == "/tags/-").collect();
    assert_eq!(dropped.len(), 2);
    assert_eq!((&dropped[0].said[0].value, &dropped[0].said[1].value), (&None, &Some(json!("a"))));
}

#[test]
fn lists_in_which_places_count_are_not_taken_apart() {
    let (value, rows, _) =
        together(&[json!({"at": [46.9, 7.4]}), json!({"at": [47.4, 8.5]}), json!({"at": [47.4, 8.5]})]);
    assert_eq!(value, json!({"at": [47.4, 8.5]}));
    assert_eq!(row(&rows, "/at").method, "vote");
    let (value, ..) = together(&[json!(["a", "a"]), json!(["b", "a"]), json!(["b", "a"])]);
    assert_eq!(value, json!(["b", "a"]), "nor those that repeat themselves");
}

#[test]
fn objects_of_a_list_are_matched_by_what_names_them() {
    let (value, rows, _) = together(&[
        json!({"people": [{"name": "Ann", "age": 30}, {"name": "Bob", "age": 40}]}),
        json!({"people": [{"name": "Bob", "age": 41}, {"name": "ann", "age": 31}]}),
        json!({"people": [{"name": "Bob", "age": 41}, {"name": "Cid", "age": 5}, {"name": "Ann", "age": 31}]}),
    ]);
    assert_eq!(value, json!({"people": [{"name": "Ann", "age": 31}, {"name": "Bob", "age": 41}]}));
    assert_eq!(row(&rows, "/people/1/age").said[0].members, ["m1", "m2"]);
    assert_eq!(row(&rows, "/people/-").said[1].members, ["m2"], "Cid");
}

#[test]
fn what_most_leave_out_is_left_out() {
    let (value, rows, _) = together(&[json!({"a": 1, "b": {"c": 1}}), json!({"a": 1}), json!({"a": 1})]);
    assert_eq!(value, json!({"a": 1}));
    assert_eq!(row(&rows, "/b").said[0].value, None);
    let (value, ..) = together(&[json!({"a": 1}), json!({"a": 1, "b/": {"c": 1}}), json!({"a": 1, "b/": {"c": 2}})]);
    assert_eq!(value, json!({"a": 1, "b/": {"c": 1}}));
    let (value, ..) = together(&[json!({"a": {"b": 1}}), json!({"a": [1]}), json!({"a": [1]})]);
    assert_eq!(value, json!({"a": [1]}), "values of different kinds");
}

#[test]
fn a_verdict_decides_the_place_it_was_given_for() {
    let values = [json!({"a": "x", "b": "y"}), json!({"a": "z", "b": "q"})];
    let says = |(i, value): (usize, &Value)| {
        let message = AssistantMessage { content: Some(value.to_string()), ..Default::default() };
        Candidate::new(i, message, None)
    };
    let candidates: Vec<Candidate> = values.iter().enumerate().map(says).collect();
    let weights = Weights::even(2);
    let tree = Tree::new(&candidates, &values, vec!["m0".to_owned(), "m1".to_owned()]);
    let second = tree.open(&weights)[1].id;
    let verdict = Verdict { best: 1, scores: Vec::new(), reason: None };
    let (value, rows) = tree.resolve(&weights, &|id| if id == second { vec![verdict.clone(); 2] } else { Vec::new() });
    assert_eq!(value, json!({"a": "x", "b": "q"}));
    assert_eq!(row(&rows, "/b").method, "judge");
}

fn asked(mode: &str) -> Value {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["city", "river"],
        "properties": {"city": {"type": "string"}, "river": {"enum": ["Aare", "Rhine"]}, "km": {"type": "number"}},
        "not": {"required": ["km"], "properties": {"city": {"const": "Basel"}}}});
    json!({"prompt": "Which city?", "mode": mode, "pool": ["m/0", "m/1", "m/2"], "judge": "m/judge",
           "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}})
}

/// Three members, and a judge that always prefers the value `best`.
async fn run(mode: &str, answers: [&'static str; 3], best: &'static str) -> (Fused, u64) {
    let models =
        Scripted::new(move |request| match request.model.strip_prefix("m/").and_then(|i| i.parse::<usize>().ok()) {
            Some(i) => Said::now(answers[i]),
            None => {
                let shown = said_last(request);
                let fields = shown.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
                let named = fields.filter_map(|f| {
                    let values = f["values"].as_object()?;
                    let (label, _) = values.iter().find(|(_, v)| v.as_str() == Some(best))?;
                    Some((f["field"].as_str()?.to_owned(), Value::from(label.as_str())))
                });
                Said::now(Value::Object(named.collect()).to_string())
            }
        });
    let fused = fuse(models.clone(), asked(mode)).await.unwrap();
    (fused, models.calls.load(std::sync::atomic::Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn only_what_votes_leave_open_goes_to_the_judge_in_both_orders() {
    let answers = [
        r#"{"city": "Zug", "river": "Aare", "km": 1}"#,
        r#"{"city": "Bern", "river": "Aare", "km": 2}"#,
        r#"{"city": "Thun", "river": "Aare", "km": 2}"#,
    ];
    for mode in ["merge", "auto"] {
        let (fused, calls) = run(mode, answers, "Bern").await;
        let report = &fused.report;
        assert_eq!(fused.text, answers[1], "which is what was put together, as its member wrote it");
        assert_eq!((report.decision.source, report.decision.method.as_str()), (FinalSource::Member, "fields"));
        assert_eq!(calls, 5);
        assert!(report.judges.iter().all(|j| j.purpose == "fields"));
        assert_eq!(report.fields.len(), 3);
        assert_eq!(report.degraded, []);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_together_obeys_the_schema_or_gives_way() {
    let parts = [r#"{"city": "Basel", "river": "Rhine"}"#, r#"{"city": "Bern", "river": "Aare", "km": 2}"#];
    let (fused, _) = run("merge", [parts[0], parts[1], r#"{"city": "Basel", "river": "Aare"}"#], "Aare").await;
    assert_eq!(fused.text, r#"{"city": "Basel", "river": "Aare"}"#, "the third's, byte for byte");
    assert_eq!(fused.report.decision.members, ["m/2"]);
    // Basel by votes, with a length by votes: the schema forbids both together.
    let answers = [parts[0], parts[1], r#"{"city": "Bern", "river": "Aare", "km": 2}"#];
    let (fused, _) = run("merge", answers, "Basel").await;
    assert_eq!(fused.text, parts[1], "most give it");
    assert_eq!(fused.report.degraded.iter().map(|d| d.step.as_str()).collect::<Vec<_>>(), ["fields"]);
    assert!(fused.report.degraded[0].cause.contains("obey the schema"), "{:?}", fused.report.degraded);
}

#[tokio::test(start_paused = true)]
async fn members_that_break_the_schema_have_no_say() {
    let answers = [
        "Bern, I think",
        r#"{"city": "Bern", "river": "Rhone"}"#,
        "```json\n{\"city\": \"Bern\", \"river\": \"Aare\"}\n```",
    ];
    let (fused, calls) = run("merge", answers, "").await;
    assert_eq!((fused.text.as_str(), calls), (r#"{"city": "Bern", "river": "Aare"}"#, 3));
    assert_eq!(fused.report.members[2].flags, ["repaired"]);
    assert!(fused.report.members[1].reason.as_ref().unwrap().contains("`/river`"));
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_cannot_be_read_leaves_the_fields_to_the_votes() {
    let answers = [
        r#"{"city": "Zug", "river": "Aare"}"#,
        r#"{"city": "Bern", "river": "Rhine"}"#,
        r#"{"city": "Thun", "river": "Rhine"}"#,
    ];
    let (fused, calls) = run("merge", answers, "nothing of it").await;
    assert_eq!(fused.text, r#"{"city":"Zug","river":"Rhine"}"#);
    assert_eq!(fused.report.decision.source, FinalSource::Fields);
    assert_eq!(calls, 3 + 4, "each verdict is asked for once more");
    assert!(fused.report.degraded.iter().all(|d| d.step == "judge_output"), "{:?}", fused.report.degraded);
}
