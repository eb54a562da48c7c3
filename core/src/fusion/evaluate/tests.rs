//! Evaluations over scripted models.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::super::scripted::{Said, Scripted, said_last};
use super::*;

/// Twenty sums. `m/good` is wrong about every fifth, `m/odd` about every third, `m/third` about every fourth.
fn models() -> Arc<Scripted> {
    Scripted::new(|request| {
        let asked = said_last(request);
        if request.model == "m/judge" {
            // It is shown the text without its heading marks.
            let right = asked.contains("\"7\"");
            return Said::now(format!("{{\"reason\": \"r\", \"right\": {right}}}")).costs(5);
        }
        let number: u64 = asked.split_whitespace().find_map(|w| w.parse().ok()).unwrap_or(0);
        let (every, ms) = match request.model.as_str() {
            "m/good" => (5, 100),
            "m/odd" => (3, 40),
            _ => (4, 60),
        };
        let answer = if number.is_multiple_of(every) { 1000 + number } else { 7 };
        Said::now(format!("#### {answer}")).after_ms(ms).costs(100)
    })
}

fn request(more: serde_json::Value) -> EvaluationRequest {
    let items: Vec<_> = (0..20).map(|i| json!({"prompt": format!("How many is {i} ?"), "gold": "7"})).collect();
    let mut request = json!({
        "items": items, "models": ["m/good", "m/odd", "m/third"],
        "fusions": {"three": {"mode": "vote", "pool": ["m/good", "m/odd", "m/third"]},
                    "self": {"mode": "vote", "pool": ["m/good", "m/good", "m/good"]}}
    });
    request.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    serde_json::from_value(request).unwrap()
}

fn prepared(ask: &Arc<Scripted>, more: serde_json::Value) -> Result<Prepared> {
    Prepared::new(ask.clone(), &Config::default(), request(more))
}

async fn run(ask: &Arc<Scripted>, more: serde_json::Value) -> Evaluation {
    prepared(ask, more).unwrap().run(&|_| {}).await.unwrap()
}

fn row<'a>(found: &'a Evaluation, name: &str) -> &'a crate::types::Contender {
    found.contenders.iter().find(|c| c.name == name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn models_are_asked_once_and_everyone_is_booked_alone() {
    let ask = models();
    let found = run(&ask, json!({})).await;
    assert_eq!((found.counted, found.planned, found.best_single.as_deref()), (20, 20, Some("m/good")));
    assert_eq!(row(&found, "m/good").right, 16);
    assert_eq!(row(&found, "m/odd").right, 13);
    assert_eq!(row(&found, "m/third").right, 15);
    // Each of three once; `self` wants two or three answers of the first, of which one was there.
    let calls = ask.calls.load(Ordering::Relaxed);
    let own = row(&found, "self");
    assert!((20 * 4..=20 * 5).contains(&calls), "{calls} calls");
    assert_eq!(found.spent_nanos, ask.nanos.load(Ordering::Relaxed), "what was asked once is spent once");
    let three = row(&found, "three");
    assert_eq!(row(&found, "m/good").cost_nanos, 2000);
    assert!(three.cost_nanos + 100 * u64::from(three.unknown_calls) >= 20 * 200, "{three:?}");
    assert!(own.calls >= 2.0);
    // As long as it would have taken alone.
    assert_eq!((row(&found, "m/good").p50_ms, row(&found, "m/odd").p95_ms), (100, 40));
    assert!(three.p50_ms >= 60, "{three:?}");
    let against = three.against.unwrap();
    assert_eq!(against.wins + against.losses + against.ties, 20);
    assert!(found.headroom >= 0.0 && found.oracle >= row(&found, "three").accuracy);
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_where_it_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let file = json!({"checkpoint": path.to_str().unwrap(), "concurrency": 2});
    let whole = run(&models(), json!({})).await;
    let ask = models();
    {
        let seen = Mutex::new(0);
        let tell = |event| {
            if let EvaluationEvent::Progress { done, .. } = event {
                *seen.lock().unwrap() = done;
            }
        };
        let prepared = prepared(&ask, file.clone()).unwrap();
        let work = prepared.run(&tell);
        tokio::select! {
            _ = work => panic!("it was not interrupted"),
            () = tokio::time::sleep(std::time::Duration::from_millis(450)) => {}
        }
        assert!((4..16).contains(&*seen.lock().unwrap()));
    }
    let lines = std::fs::read_to_string(&path).unwrap();
    // A line that was being written when the process died.
    std::fs::write(&path, format!("{lines}{{\"item\": 19, \"outc")).unwrap();
    let again = models();
    let resumed = run(&again, file.clone()).await;
    assert!(again.calls.load(Ordering::Relaxed) < 20 * 4, "finished items are not asked again");
    let rows = |e: &Evaluation| e.contenders.iter().map(|c| (c.name.clone(), c.right, c.p50_ms)).collect::<Vec<_>>();
    assert_eq!(rows(&resumed), rows(&whole));
    let third = models();
    assert_eq!(rows(&run(&third, file.clone()).await), rows(&whole));
    assert_eq!(third.calls.load(Ordering::Relaxed), 0);
    let mut other = file;
    other["temperature"] = json!(0.5);
    let error = prepared(&third, other).unwrap().run(&|_| {}).await.unwrap_err();
    assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some("checkpoint")));
}

#[tokio::test(start_paused = true)]
async fn the_cap_holds_over_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let more = json!({"checkpoint": path.to_str().unwrap(), "max_cost_usd": "0.000003"});
    let ask = models();
    let found = run(&ask, more.clone()).await;
    assert!(ask.nanos.load(Ordering::Relaxed) <= 3000);
    assert!(found.counted > 0 && found.counted < 20 && found.stopped.is_some(), "{found:?}");
    let again = models();
    let further = run(&again, more).await;
    let all = ask.nanos.load(Ordering::Relaxed) + again.nanos.load(Ordering::Relaxed);
    assert!(all <= 3000 && further.spent_nanos == all, "{all} {}", further.spent_nanos);
}

#[tokio::test(start_paused = true)]
async fn a_judge_stands_in_for_unknown_answers() {
    let items: Vec<_> = (0..20).map(|i| json!({"prompt": format!("How many is {i} ?")})).collect();
    let ask = models();
    let found = run(&ask, json!({"items": items, "judge": "m/judge"})).await;
    assert_eq!((row(&found, "m/good").right, found.unjudged), (16, 0));
    // Equal texts are judged once: one or two verdicts an item.
    let known = run(&models(), json!({})).await;
    let judged = found.spent_nanos - known.spent_nanos;
    assert!((100..=300).contains(&judged), "{judged}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_before_anything_is_sent() {
    let ask = models();
    for (more, param) in [
        (json!({"items": []}), "items"),
        (json!({"items": [{"gold": "7"}]}), "items[0].prompt"),
        (json!({"items": [{"prompt": "How many?"}]}), "items[0].gold"),
        (json!({"models": []}), "models"),
        (json!({"models": ["m/good", "m/good"]}), "models[1]"),
        (json!({"models": ["m/three"], "fusions": {"m/three": {"pool": ["m/three"]}}}), "fusions.m/three"),
        (json!({"judge": "m/odd"}), "judge"),
        (json!({"judge": "elsewhere/odd"}), "judge"),
        (json!({"judge": {"model": "m/judge", "trust": 0.9}}), "judge.trust"),
        (json!({"fusions": {"f": {"pool": ["m/good", "m/odd"], "judge": "m/judge"}}, "judge": "m/judge"}), "judge"),
        (json!({"fusions": {"f": {"pool": []}}}), "pool"),
        (json!({"concurrency": 0}), "concurrency"),
        (json!({"max_cost_usd": "much"}), "max_cost_usd"),
    ] {
        let error = prepared(&ask, more).err().unwrap();
        assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some(param)), "{error}");
    }
    assert_eq!(ask.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn failures_are_wrong_answers_and_the_report_is_written() {
    let ask = Scripted::new(|request| match request.model.as_str() {
        "m/good" => Said::now("#### 7"),
        _ => Said::fails(ErrorKind::Overloaded),
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let found = run(&ask, json!({"report": path.to_str().unwrap(), "fusions": {}})).await;
    assert_eq!((row(&found, "m/odd").right, row(&found, "m/odd").failed), (0, 20));
    assert_eq!(found.recommendation, "use m/good: no fusion was tried");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), found.to_html());
}

#[test]
fn calibration_reads_the_checkpoint() {
    let line = |item| Kept {
        line: Done {
            item: Some(item),
            prompt: Some("How many?".to_owned()),
            gold: Some("4".to_owned()),
            answers: BTreeMap::from([("a/m".to_owned(), "#### 4".to_owned())]),
            outcomes: BTreeMap::from([("a/m".to_owned(), ItemOutcome { right: Some(true), ..Default::default() })]),
        },
        spent_nanos: 7,
        unknown_calls: 0,
    };
    let lines: Vec<String> = (0..4).map(|i| serde_json::to_string(&line(i)).unwrap()).collect();
    assert_eq!(serde_json::from_str::<Kept<Done>>(&lines[1]).unwrap(), line(1));
    let text = format!("{{\"interfuse_evaluation\":1,\"evaluation\":\"h\"}}\n{}\n", lines.join("\n"));
    let found = crate::fusion::calibrate(&crate::fusion::labelled(&text).unwrap());
    assert_eq!((found.counted, found.models[0].right), (4, 4));
}
