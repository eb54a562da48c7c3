//! How a fusion decides over real sockets: whom `auto`, `vote` and `cascade` ask, who is waited for, when a judge is asked,
//! what a guard prevents, and what feedback moves.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use interfuse::types::{Config, Feedback, FinalSource, FuseRequest, Fused, MemberStatus};
use interfuse::{Client, ErrorKind};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

/// Only guards against a test that hangs.
const GUARD: Duration = Duration::from_secs(30);
const NEVER: u64 = 3_600_000;

async fn upstream(routes: Value) -> Upstream {
    Upstream::start(json!({ "routes": routes })).await.unwrap()
}

fn client(up: &Upstream) -> Client {
    let config = json!({
        "use_environment": false,
        "providers": {"up": {"base_url": format!("{}/v1", up.base_url()), "api_key": "k-1"}},
        "retries": {"max_retries": 0}
    });
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

fn answers(model: &str, answer: &str) -> Value {
    json!({"when": {"model": model}, "then": {"answer": answer}})
}

fn late(model: &str, delay_ms: u64, answer: &str) -> Value {
    json!({"when": {"model": model}, "then": {"delay_ms": delay_ms, "answer": answer}})
}

/// A judge that prefers the answer that begins with `text`.
fn prefers(text: &str) -> Value {
    json!({"when": {"model": "m-j", "body": {"response_format": {"json_schema": {"name": "verdict"}}}}, "then": {
        "answer": "{\"best\":\"{{best}}\"}", "capture": {"best": format!("\"answer\":\"([A-Z]+)\",\"text\":\"{text}")}
    }})
}

fn ask(prompt: &str, mode: &str, pool: Value, more: Value) -> FuseRequest {
    let mut request = json!({"prompt": prompt, "pool": pool, "judge": "up/m-j", "mode": mode});
    request.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    serde_json::from_value(request).unwrap()
}

async fn fuse(client: &Client, request: FuseRequest) -> Fused {
    tokio::time::timeout(GUARD, client.fuse(request)).await.expect("an end").unwrap()
}

fn pool(models: &str) -> Value {
    models.chars().map(|m| format!("up/m-{m}")).collect::<Vec<_>>().into()
}

fn statuses(fused: &Fused) -> Vec<MemberStatus> {
    fused.report.members.iter().map(|m| m.status).collect()
}

fn asked(up: &Upstream, model: &str) -> usize {
    up.log().iter().filter(|e| e.body["model"] == model).count()
}

const EGGS: &str = "How many eggs are left?";
/// A text of some 200 tokens, unlike that of another word.
fn essay(word: &str) -> String {
    let (about, times) = match word {
        "Alpha" => ("the river runs through every valley down to the plain; ", 15),
        "Beta" => ("nobody could have known which king would win that war; ", 15),
        _ => ("most birds fly south when cold winds begin to blow here; ", 15),
    };
    format!("{word} begins. {}", about.repeat(times))
}

#[tokio::test]
async fn by_default_the_anchor_is_awaited_and_another_straggler_is_not() {
    let up = upstream(json!([
        late("m-a", 700, "Ann is the one who did it, as all of us know."),
        answers("m-b", "Bob is the one who did it, without any doubt."),
        answers("m-c", "Cid is the one, for nobody else was there."),
        late("m-d", NEVER, "never"),
        prefers("Ann"),
    ]))
    .await;
    let request = ask("Who?", "best_of", pool("abcd"), json!({"grace_ms": 0}));
    let fused = fuse(&client(&up), request).await;
    assert!(fused.text.starts_with("Ann"), "{}", fused.text);
    assert_eq!(statuses(&fused)[0], MemberStatus::Ok);
    assert_eq!(statuses(&fused)[3], MemberStatus::Cancelled);
    let log = up.settled(GUARD).await;
    assert!(log.iter().any(|e| e.body["model"] == "m-d" && e.client_closed_ms.is_some()));
}

#[tokio::test]
async fn auto_asks_another_in_place_of_a_straggler() {
    let up = upstream(json!([answers("m-a", "#### 9"), late("m-b", NEVER, "never"), answers("m-c", "It is 9.")])).await;
    let fused = fuse(&client(&up), ask(EGGS, "auto", pool("abc"), json!({"grace_ms": 1}))).await;
    assert_eq!((fused.text.as_str(), fused.report.decision.method.as_str()), ("#### 9", "agreement"));
    assert_eq!(statuses(&fused), [MemberStatus::Ok, MemberStatus::Cancelled, MemberStatus::Ok]);
    assert!(up.settled(GUARD).await.iter().any(|e| e.client_closed_ms.is_some()));
}

#[tokio::test]
async fn auto_asks_another_in_place_of_one_that_failed() {
    let ill = json!({"when": {"model": "m-a"}, "then": {"status": 500}});
    let up = upstream(json!([ill, answers("m-b", "8"), answers("m-c", "8.0")])).await;
    let fused = fuse(&client(&up), ask(EGGS, "auto", pool("abcd"), json!({}))).await;
    assert_eq!(fused.text, "8");
    assert_eq!(asked(&up, "m-d"), 0);
    assert_eq!(fused.report.decision.anchor, "up/m-a");
}

#[tokio::test]
async fn an_open_question_goes_to_all_at_once_and_its_anchor_stands_unless_two_and_the_judge_outweigh_it() {
    let (a, b) = ("Ann did it, as all of us know well.", "Bob did it; there can be no doubt.");
    // All differ: nothing can outweigh the anchor, so no judge is asked.
    let up = upstream(json!([answers("m-a", a), answers("m-b", b), answers("m-c", "Cid was there alone that night.")]))
        .await;
    let fused = fuse(&client(&up), ask("Who did it?", "auto", pool("abc"), json!({}))).await;
    assert_eq!((fused.text.as_str(), fused.report.decision.method.as_str()), (a, "anchor"));
    assert_eq!(asked(&up, "m-j"), 0);
    assert!(fused.report.decision.evidence[0].prior > 3.0 * fused.report.decision.evidence[1].prior);
    // Two others agree: the judge is asked, and what it says in both orders counts.
    for (best, expected) in [("Bob", b), ("Ann", a)] {
        let up = upstream(json!([answers("m-a", a), answers("m-b", b), answers("m-c", b), prefers(best)])).await;
        let fused = fuse(&client(&up), ask("Who did it?", "auto", pool("abc"), json!({}))).await;
        assert_eq!((fused.text.as_str(), fused.report.decision.method.as_str()), (expected, "judge"));
        assert_eq!(asked(&up, "m-j"), 2);
    }
}

#[tokio::test]
async fn long_answers_that_differ_are_merged_under_guard() {
    let analysis = json!({"when": {"model": "m-j", "body": {"response_format": {"json_schema": {"name": "analysis"}}}},
        "then": {"answer": "{\"consensus\":[],\"contradictions\":[],\"partial_coverage\":[],\"unique_insights\":[],\"blind_spots\":[]}"}});
    for (best, source) in [("Merged", FinalSource::Merged), ("Alpha", FinalSource::Member)] {
        let up = upstream(json!([
            answers("m-a", &essay("Alpha")),
            answers("m-b", &essay("Beta")),
            answers("m-c", &essay("Gamma")),
            analysis,
            prefers(best),
            answers("m-j", "Merged from all three of them."),
        ]))
        .await;
        let fused = fuse(&client(&up), ask("Tell of it.", "auto", pool("abc"), json!({}))).await;
        assert_eq!(fused.report.decision.source, source, "{:?}", fused.report);
        assert!(fused.text.starts_with(best), "{}", fused.text);
        assert_eq!(fused.report.cost.calls, 3 + 2 + 2);
        if best == "Alpha" {
            assert_eq!(fused.report.decision.method, "guard");
        }
    }
}

#[tokio::test]
async fn a_judge_that_cannot_change_the_outcome_is_not_asked() {
    let up = upstream(json!([
        answers("m-a", "#### 7"),
        answers("m-b", "#### 8"),
        answers("m-c", "#### 8"),
        answers("m-d", "#### 8"),
        answers("m-e", "#### 8"),
    ]))
    .await;
    let fused = fuse(&client(&up), ask(EGGS, "best_of", pool("abcde"), json!({"quorum": 5}))).await;
    assert_eq!((fused.text.as_str(), fused.report.decision.method.as_str()), ("#### 8", "evidence"));
    assert_eq!(asked(&up, "m-j"), 0);
}

#[tokio::test]
async fn the_same_model_again_is_half_a_vote() {
    let mut bodies = vec![answers("m-a", "#### 1"), answers("m-b", "#### 1")];
    bodies.push(json!({"when": {"model": "m-c"}, "then": {"delay_ms": 200, "answer": "#### 2"}}));
    let up = upstream(bodies.into()).await;
    let pool = json!(["up/m-c", "up/m-c", "up/m-c", "up/m-a", "up/m-b"]);
    let fused = fuse(&client(&up), ask(EGGS, "vote", pool, json!({}))).await;
    // Three samples of one model weigh two votes: a tie with two other models, which goes to the anchor.
    assert_eq!(fused.text, "#### 2");
    let evidence = &fused.report.decision.evidence;
    assert!((evidence[0].prior - evidence[1].prior).abs() < 1e-9, "{evidence:?}");
    assert!((evidence[0].confidence - 0.5).abs() < 1e-9);
}

#[tokio::test]
async fn free_texts_that_are_alike_win_a_vote_together() {
    let text = "Bern is the federal city of Switzerland and the seat of its authorities, on the river Aare.";
    let up = upstream(json!([
        answers("m-a", "Zurich is by far the largest city, with the lake and the banks and the airport."),
        answers("m-b", text),
        answers("m-c", &text.replace("on the river", "at the river")),
    ]))
    .await;
    let fused = fuse(&client(&up), ask("Which city?", "vote", pool("abc"), json!({"quorum": 3}))).await;
    assert_eq!(fused.text, text, "word for word");
    assert_eq!(fused.report.decision.evidence[0].members, ["up/m-b", "up/m-c"]);
}

#[tokio::test]
async fn a_cascade_whose_cheap_members_agree_leaves_the_strong_one_alone() {
    let up = upstream(json!([answers("m-a", "#### 3"), answers("m-b", "The answer is 3.")])).await;
    let fused = fuse(&client(&up), ask(EGGS, "cascade", pool("abs"), json!({}))).await;
    assert_eq!(fused.text, "#### 3");
    assert_eq!(statuses(&fused)[2], MemberStatus::Skipped);
    assert_eq!(asked(&up, "m-s"), 0);
    // A strong one that fails leaves the others' answers.
    let ill = json!({"when": {"model": "m-s"}, "then": {"status": 500}});
    let up = upstream(json!([answers("m-a", "#### 3"), answers("m-b", "#### 4"), ill])).await;
    let fused = fuse(&client(&up), ask(EGGS, "cascade", pool("abs"), json!({}))).await;
    assert_eq!((fused.text.as_str(), fused.report.degraded.len()), ("#### 3", 1));
}

#[tokio::test]
async fn equal_tool_calls_are_votes_and_are_never_blended() {
    let calls = |model: &str, x: i64| json!({"when": {"model": model}, "then": {"tool_calls": [{"name": "look", "arguments": {"x": x}}]}});
    let up = upstream(json!([calls("m-a", 1), calls("m-b", 2), calls("m-c", 2)])).await;
    let tools = json!({"tools": [{"type": "function", "function": {"name": "look"}}]});
    let fused = fuse(&client(&up), ask("Look.", "auto", pool("abcd"), tools)).await;
    let call = &fused.message.tool_calls.as_ref().unwrap()[0];
    assert_eq!(call.function.as_ref().unwrap().arguments, "{\"x\":2}");
    assert_eq!((fused.report.decision.members.as_slice(), asked(&up, "m-d")), (["up/m-b".to_owned()].as_slice(), 0));
    assert_eq!(asked(&up, "m-j"), 0);
}

#[tokio::test]
async fn feedback_moves_whom_a_client_believes() {
    let up = upstream(json!([answers("m-a", "#### 1"), answers("m-b", "#### 2")])).await;
    let client = client(&up);
    let request = || ask(EGGS, "vote", pool("ab"), json!({}));
    let first = fuse(&client, request()).await;
    assert_eq!(first.text, "#### 1", "a tie goes to the first");
    client.feedback(&first.id, &Feedback::Answer("2".to_owned())).unwrap();
    assert_eq!(fuse(&client, request()).await.text, "#### 2");
    assert_eq!(client.feedback(&first.id, &Feedback::Right(true)).unwrap_err().kind(), ErrorKind::NotFound);
    let other = self::client(&up);
    assert_eq!(fuse(&other, request()).await.text, "#### 1", "another client has learnt nothing");
}

#[tokio::test]
async fn given_priors_and_trust_decide() {
    const ONE: &str = "The answer is 1";
    const TWO: &str = "The answer is 2";
    let up = upstream(json!([answers("m-a", ONE), answers("m-b", TWO), answers("m-c", TWO), prefers(ONE)])).await;
    let client = client(&up);
    let weighty = json!([{"model": "up/m-a", "prior": 0.9}, {"model": "up/m-b", "prior": 0.55}, {"model": "up/m-c", "prior": 0.55}]);
    let fused = fuse(&client, ask(EGGS, "auto", weighty, json!({}))).await;
    assert_eq!(fused.text, ONE, "two weak members that agree do not outweigh a strong one");
    // Two votes against one: a judge that is a coin is not asked.
    let coin = json!({"judge": {"model": "up/m-j", "trust": 0.5}, "quorum": 3});
    let before = asked(&up, "m-j");
    assert_eq!(fuse(&client, ask(EGGS, "best_of", pool("abc"), coin)).await.text, TWO);
    assert_eq!(asked(&up, "m-j"), before);
    let trusted = json!({"judge": {"model": "up/m-j", "trust": 0.9}, "quorum": 3});
    let fused = fuse(&client, ask(EGGS, "best_of", pool("abc"), trusted)).await;
    assert_eq!((fused.text.as_str(), asked(&up, "m-j")), (ONE, before + 2));
}
