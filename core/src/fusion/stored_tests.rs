//! What was decided is decided again, in every mode and however the judge behaved; and what a report must hold for it.

use serde_json::{Value, json};

use super::super::scripted::{self, Said, Scripted, said_last};
use super::*;
use crate::types::{DebateTurn, JudgeReport};

/// The code of the answer that begins so, in what a judge is shown.
fn code_of(shown: &str, begins: &str) -> String {
    let line = shown.lines().find(|line| line.contains(&format!("\"text\":\"{begins}")));
    let line: Value = serde_json::from_str(line.unwrap_or_else(|| panic!("no {begins:?} in {shown}"))).unwrap();
    line["answer"].as_str().unwrap().to_owned()
}

/// A pool of `a`, `b` and `c`, who answer so, and a judge `j`.
fn pool(answers: [&'static str; 3], judge: impl Fn(&str) -> Said + Send + Sync + 'static) -> Arc<Scripted> {
    Scripted::new(move |request| match request.model.as_str() {
        "x/a" => Said::now(answers[0]),
        "x/b" => Said::now(answers[1]),
        "x/c" => Said::now(answers[2]),
        _ => judge(&said_last(request)),
    })
}

const LONG: [&str; 3] =
    ["Because Zurich did not want it.", "It lies between the parts of the country.", "Nobody knows it any more."];

fn request(mode: &str) -> Value {
    json!({"prompt": "Why is Bern the capital?", "pool": ["x/a", "x/b", "x/c"], "judge": "x/j", "mode": mode})
}

/// The report as it is stored and read again.
fn kept(fused: &Fused) -> FusionReport {
    serde_json::from_str(&serde_json::to_string(&fused.report).unwrap()).unwrap()
}

fn same(fused: &Fused) -> Fused {
    let again = replay(&kept(fused)).unwrap();
    let earlier = again.report.earlier.clone().unwrap();
    assert_eq!(earlier, Earlier { run_id: fused.id.clone(), how: Again::Replayed, differs: Vec::new() });
    assert_eq!(again.report.decision, fused.report.decision);
    assert_eq!(
        (&again.text, &again.message, &again.finish_reason),
        (&fused.text, &fused.message, &fused.finish_reason)
    );
    assert_eq!((again.report.cost.calls, again.report.cost.total_nanos), (0, Some(0)));
    assert_ne!(again.id, fused.id);
    // A replay can be replayed.
    let third = replay(&kept(&again)).unwrap();
    assert_eq!(third.report.earlier.unwrap().differs, Vec::new());
    assert_eq!(third.report.decision, fused.report.decision);
    again
}

#[tokio::test]
async fn a_judges_choice_is_made_again() {
    let judge =
        |shown: &str| Said::now(json!({"best": code_of(shown, "It lies"), "reason": "It is true."}).to_string());
    let fused = scripted::fuse(pool(LONG, judge), request("best_of")).await.unwrap();
    assert_eq!(fused.report.decision.members, ["x/b"]);
    same(&fused);
}

#[tokio::test]
async fn so_is_one_whose_judge_was_asked_twice_failed_or_contradicted_itself() {
    use std::sync::atomic::{AtomicU32, Ordering};
    // The first reply of each verdict cannot be read.
    let judge = |shown: &str| match shown.contains("It lies") {
        true => Said::now("Well, hm."),
        false => Said::now(r#"{"best": "none of them"}"#),
    };
    same(&scripted::fuse(pool(LONG, judge), request("best_of")).await.unwrap());

    let count = AtomicU32::new(0);
    let judge = move |shown: &str| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Said::fails(ErrorKind::ServerError),
        _ => Said::now(json!({"best": code_of(shown, "Nobody")}).to_string()),
    };
    let fused = scripted::fuse(pool(LONG, judge), request("best_of")).await.unwrap();
    assert_eq!(fused.report.judges.iter().filter(|row| row.error.is_some()).count(), 1);
    let again = same(&fused);
    assert_eq!(again.report.degraded, fused.report.degraded);

    let count = AtomicU32::new(0);
    let judge = move |shown: &str| {
        let best = ["Because", "Nobody"][count.fetch_add(1, Ordering::Relaxed) as usize % 2];
        Said::now(json!({"best": code_of(shown, best)}).to_string())
    };
    let fused = scripted::fuse(pool(LONG, judge), request("best_of")).await.unwrap();
    assert_eq!(fused.report.decision.swap_consistent, Some(false));
    same(&fused);
}

/// A judge that compares, writes and prefers what was written.
fn writer(shown: &str) -> Said {
    if shown.contains("\"text\":\"Because both") {
        return Said::now(json!({"best": code_of(shown, "Because both")}).to_string());
    }
    match shown.contains("\"comparison\"") {
        true => Said::now("Because both are so."),
        false => Said::now(json!({"consensus": ["It is the capital."], "blind_spots": ["1848"]}).to_string()),
    }
}

#[tokio::test]
async fn a_merged_answer_is_written_again() {
    let fused = scripted::fuse(pool(LONG, writer), request("merge")).await.unwrap();
    assert_eq!((fused.text.as_str(), fused.report.judges.len()), ("Because both are so.", 4));
    let again = same(&fused);
    assert_eq!(again.report.analysis.unwrap().blind_spots, ["1848"]);

    // What a cap refused is not done again either.
    let mut capped = request("merge");
    capped["max_cost_usd"] = json!("0.000000004");
    let fused = scripted::fuse(pool(LONG, writer), capped).await.unwrap();
    assert!(fused.report.degraded.iter().any(|d| d.step == "budget"), "{:?}", fused.report.degraded);
    same(&fused);
}

#[tokio::test]
async fn so_is_one_that_was_compared_and_written_in_one_reply() {
    let judge = |shown: &str| {
        let mut words = shown.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()));
        let code = words.rfind(|w| w.len() == 8 && w.chars().all(|c| c.is_ascii_hexdigit())).unwrap();
        Said::now(format!("{{\"consensus\": [\"so\"]}}\nANSWER {code}\nBecause both are so."))
    };
    let asked: FuseRequest = serde_json::from_value(request("merge")).unwrap();
    let plan = plan::from_fuse(asked, &Config::default()).unwrap();
    let fused = Run::new(plan, pool(LONG, judge), Arc::default(), true).execute().await.unwrap();
    assert_eq!((fused.text.trim(), fused.report.judges.len()), ("Because both are so.", 1));
    assert!(fused.report.grounds.as_ref().unwrap().code.is_some());
    same(&fused);
}

#[tokio::test]
async fn fields_are_put_together_again() {
    let answers = [r#"{"city":"Bern","size":3}"#, r#"{"city":"Basel","size":3}"#, r#"{"city":"Biel","size":4}"#];
    let judge = |shown: &str| {
        let field: Value =
            serde_json::from_str(shown.lines().find(|l| l.contains("\"field\":\"f1\"")).unwrap()).unwrap();
        let (code, _) = field["values"].as_object().unwrap().iter().find(|(_, v)| *v == "Biel").unwrap();
        Said::now(json!({"f1": code, "reason": "It is."}).to_string())
    };
    let mut asked = request("merge");
    asked["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object",
        "properties": {"city": {"type": "string"}, "size": {"type": "integer"}}, "required": ["city", "size"]}}});
    let fused = scripted::fuse(pool(answers, judge), asked.clone()).await.unwrap();
    assert_eq!(fused.report.decision.method, "fields");
    let again = same(&fused);
    assert_eq!(again.report.fields, fused.report.fields);

    // A form that is too large for a report.
    asked["response_format"]["json_schema"]["schema"]["description"] = "x".repeat(70_000).into();
    let fused = scripted::fuse(pool(answers, |_| Said::now("{}")), asked).await.unwrap();
    assert_eq!(fused.report.grounds, None);
    assert!(replay(&fused.report).unwrap_err().message().contains("grounds"));
}

#[tokio::test]
async fn a_debate_is_held_again() {
    let script = |request: &ChatRequest| {
        let said = said_last(request);
        match (request.model.as_str(), said.contains("\"changed\"")) {
            ("x/a", false) => Said::now("The answer is 3."),
            (_, false) if request.model != "x/j" => {
                Said::now(if request.model == "x/b" { "It is 4." } else { "So 5." })
            }
            ("x/a", true) => {
                Said::now(r#"{"changed": true, "reason": "I cannot count.", "answer": "The answer is 4."}"#)
            }
            ("x/c", true) => Said::fails(ErrorKind::Overloaded),
            ("x/b", true) => Said::now(r#"{"changed": false}"#),
            _ => Said::now(json!({"best": code_of(&said, "So 5")}).to_string()),
        }
    };
    let mut asked = request("debate");
    asked["prompt"] = "How many are there?".into();
    let fused = scripted::fuse(Scripted::new(script), asked).await.unwrap();
    assert_eq!(fused.report.debate.iter().filter(|turn| turn.changed).count(), 1);
    let again = same(&fused);
    let told = |turn: &DebateTurn| (turn.member.clone(), turn.changed, turn.reply.clone(), turn.answer.clone());
    assert!(again.report.debate.iter().map(told).eq(fused.report.debate.iter().map(told)));
}

#[tokio::test]
async fn what_needed_no_judge_needs_none_again() {
    for mode in ["vote", "auto", "cascade", "best_of"] {
        let nobody = |_: &str| Said::fails(ErrorKind::Internal);
        let mut asked = request(mode);
        asked["prompt"] = "How many are there?".into();
        asked["pool"][1] = json!({"model": "x/b", "prior": 0.9});
        let fused = scripted::fuse(pool(["It is 3.", "It is 4.", "It is 4."], nobody), asked.clone()).await.unwrap();
        same(&fused);
        let fused = scripted::fuse(pool(["It is 3.", "It is 4.", "  "], nobody), asked).await.unwrap();
        same(&fused);
    }
}

#[tokio::test]
async fn what_was_learnt_since_changes_nothing() {
    let judge = |shown: &str| Said::now(json!({"best": code_of(shown, "It lies")}).to_string());
    let memory: Arc<Memory> = Arc::default();
    let run = || {
        let plan = plan::from_fuse(serde_json::from_value(request("best_of")).unwrap(), &Config::default()).unwrap();
        Run::new(plan, pool(LONG, judge), memory.clone(), false)
    };
    let fused = run().execute().await.unwrap();
    memory.feedback(&fused.id, &crate::types::Feedback::Member("x/c".to_owned())).unwrap();
    same(&fused);
    let later = run().execute().await.unwrap();
    assert_ne!(later.report.members[1].prior, fused.report.members[1].prior);
    assert_ne!(later.report.grounds, fused.report.grounds);
    same(&later);
}

#[tokio::test]
async fn what_differs_is_told() {
    let judge = |shown: &str| Said::now(json!({"best": code_of(shown, "It lies")}).to_string());
    let fused = scripted::fuse(pool(LONG, judge), request("best_of")).await.unwrap();
    let mut report = kept(&fused);
    report.decision.members = vec!["x/c".to_owned()];
    report.judges[1].best = None;
    let again = replay(&report).unwrap();
    assert_eq!(again.report.decision.members, ["x/b"]);
    let differs = again.report.earlier.unwrap().differs;
    let told: Vec<_> = differs.iter().map(|d| (d.at.as_str(), d.was.clone(), d.now.clone())).collect();
    assert_eq!(
        told,
        [("/decision/members/0", Some(json!("x/c")), Some(json!("x/b"))), ("/judges/1/best", None, Some(json!("x/b")))]
    );
}

#[tokio::test]
async fn a_report_that_does_not_hold_enough_is_refused() {
    let judge = |shown: &str| Said::now(json!({"best": code_of(shown, "It lies")}).to_string());
    let fused = scripted::fuse(pool(LONG, judge), request("best_of")).await.unwrap();
    let refused = |change: &dyn Fn(&mut FusionReport)| {
        let mut report = kept(&fused);
        change(&mut report);
        let error = replay(&report).unwrap_err();
        assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some("report")));
        error.message().to_owned()
    };
    assert!(refused(&|r| r.schema = 2).contains("form 2"));
    assert!(refused(&|r| r.grounds = None).contains("grounds"));
    assert!(refused(&|r| r.judges[0].reply = None).contains("every reply"));
    assert!(refused(&|r| r.members.clear()).contains("no members"));
    assert!(refused(&|r| r.members.iter_mut().for_each(|m| m.status = MemberStatus::Failed)).contains("usable"));
    assert!(refused(&|r| r.seed = "x".to_owned()).contains("seed"));
    // A reply that is longer than a report keeps.
    let judge =
        |shown: &str| Said::now(json!({"best": code_of(shown, "It lies"), "reason": "x".repeat(70_000)}).to_string());
    let fused = scripted::fuse(pool(LONG, judge), request("best_of")).await.unwrap();
    assert!(fused.report.judges.iter().all(|row: &JudgeReport| row.reply.is_none()));
    assert!(replay(&fused.report).unwrap_err().message().contains("65536"));
}

async fn anew(ask: Arc<Scripted>, report: &FusionReport, request: Value) -> Result<Fused> {
    let request = serde_json::from_value(request).unwrap();
    judged_anew(ask, &Config::default(), &Arc::default(), report, request)?.execute().await
}

#[tokio::test]
async fn stored_answers_are_judged_anew_and_nobody_else_is_asked() {
    let fused = scripted::fuse(pool(LONG, |_| Said::fails(ErrorKind::ServerError)), request("vote")).await.unwrap();
    let report = kept(&fused);
    assert_eq!(report.decision.members, ["x/a"]);
    let judge = || {
        Scripted::new(|request| {
            assert_eq!(request.model, "x/k", "only the judge is asked");
            Said::now(json!({"best": code_of(&said_last(request), "Nobody")}).to_string())
        })
    };
    let question = json!({"prompt": "Why is Bern the capital?", "mode": "best_of", "judge": "x/k"});
    let again = anew(judge(), &report, question.clone()).await.unwrap();
    assert_eq!((again.text.as_str(), again.report.cost.calls), (LONG[2], 2));
    assert_eq!(again.report.cost.anchor_nanos, None);
    let earlier = again.report.earlier.clone().unwrap();
    assert_eq!((earlier.run_id, earlier.how), (fused.id.clone(), Again::Rejudged));
    // What was judged anew can be replayed.
    same(&again);

    // Some of them, in another order, by other evidence.
    let mut some = question.clone();
    (some["mode"], some["pool"]) =
        (json!("vote"), json!([{"model": "x/c", "prior": 0.6}, {"model": "x/b", "prior": 0.9}]));
    let again = anew(judge(), &report, some).await.unwrap();
    assert_eq!((again.text.as_str(), again.report.members.len()), (LONG[1], 2));

    for (field, value, param) in [
        ("mode", json!("debate"), "mode"),
        ("preset", json!("self"), "preset"),
        ("pool", json!("default"), "pool"),
        ("pool", json!(["x/z"]), "pool[0]"),
        ("pool", json!(["x/a", "x/a"]), "pool[1]"),
        ("pool", json!([{"model": "x/a", "temperature": 1}]), "pool[0]"),
        ("quorum", json!(2), "quorum"),
    ] {
        let mut wrong = question.clone();
        wrong[field] = value;
        if field == "preset" {
            wrong.as_object_mut().unwrap().remove("mode");
        }
        let error = anew(judge(), &report, wrong).await.unwrap_err();
        assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some(param)), "{error}");
    }
    let mut nothing = report.clone();
    nothing.members.iter_mut().for_each(|m| m.content = None);
    assert_eq!(anew(judge(), &nothing, question).await.unwrap_err().body().param.as_deref(), Some("report"));
}
