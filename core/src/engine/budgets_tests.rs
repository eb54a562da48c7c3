//! Money before it is spent: what is sent, what is refused, and what the budgets say afterwards.

use super::*;
use crate::types::{BudgetState, OverBudget};

/// The most that "hi" with so many tokens of answer may cost at a dollar per million, nano-USD: two bytes and what templates
/// add.
fn most(output: u64) -> u64 {
    (2 + 16 + 128 + output) * 1000
}

fn usd(nanos: u64) -> String {
    NanoUsd::from_nanos(nanos).unwrap().to_string()
}

fn with(budgets: Value, scripts: Vec<Vec<Do>>) -> (Engine, Arc<Played>) {
    let prices = json!({
        "up/a": {"input": "1", "output": "1"}, "up/b": {"input": "1", "output": "1"}, "up/dear": {"input": "5", "output": "5"}
    });
    let timeouts = json!({"first_token_ms": 60_000});
    engine(json!({"budgets": budgets, "prices": prices, "timeouts": timeouts}), scripts)
}

fn state(engine: &Engine) -> BudgetState {
    engine.budgets().unwrap().remove(0)
}

fn refused(error: &Error) -> Vec<OverBudget> {
    serde_json::from_value(error.body().details["budgets"].clone()).unwrap()
}

fn sent(played: &Played) -> Vec<String> {
    played.bodies.lock().unwrap().iter().map(|body| body["model"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_before_anything_is_sent() {
    let budget = json!({"x": {"limit_usd": usd(most(100) - 1), "of": {"project": "x"}}});
    let (engine, played) = with(budget, vec![answer("fine"), answer("fine")]);
    let tagged = |project: &str| CallContext::new(Purpose::Chat, Tags::from([("project".into(), project.into())]));
    let request = ask(&["up/a"], json!({"max_tokens": 100}));
    let error = engine.chat(&request, &tagged("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::BudgetExceeded, Some("budgets.x")));
    assert_eq!((error.body().attempts.len(), error.body().cost_nanos), (0, Some(0)));
    for part in
        ["`x`", "0.000245999 USD has 0 USD spent", "`up/a` may cost up to 0.000246 USD", "limit_usd", "max_tokens"]
    {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    let over = refused(&error).remove(0);
    assert_eq!((over.estimate_nanos, over.spent_nanos, over.limit_nanos), (Some(246_000), Some(0), 245_999));
    assert!(sent(&played).is_empty());

    engine.chat(&request, &tagged("y")).await.unwrap();
    engine.chat(&ask(&["up/a"], json!({"max_tokens": 99})), &tagged("x")).await.unwrap();
    let state = state(&engine);
    assert_eq!((state.spent_nanos, state.held_nanos, state.exceeded), (5000, 0, 1), "only what has the tag counts");
    assert_eq!(state.left_nanos, 240_999);
}

#[tokio::test(start_paused = true)]
async fn a_cheaper_route_takes_what_a_dear_one_may_not() {
    let (engine, played) = with(json!({"b": {"limit_usd": usd(most(100))}}), vec![answer("cheap")]);
    let request = ask(&["up/dear", "up/a"], json!({"max_tokens": 100}));
    let answered = engine.chat(&request, &context()).await.unwrap();
    assert_eq!((answered.text(), sent(&played)), ("cheap", vec!["a".to_owned()]));
    assert_eq!(answered.interfuse.unwrap().attempts.len(), 1, "what was not asked is no attempt");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_looked_at_where_it_goes() {
    let (engine, played) = with(json!({"b": {"limit_usd": usd(most(100))}}), vec![vec![Do::Refuse(500)]]);
    let request = ask(&["up/a", "up/dear"], json!({"max_tokens": 100, "max_retries": 0}));
    let error = engine.chat(&request, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert!(error.message().starts_with("nothing more was sent"), "{error}");
    assert!(error.message().contains("before that: server_error"), "{error}");
    assert_eq!((error.body().attempts.len(), sent(&played)), (1, vec!["a".to_owned()]));
    assert_eq!((state(&engine).spent_nanos, state(&engine).held_nanos), (0, 0), "a refusal costs nothing");
}

#[tokio::test(start_paused = true)]
async fn one_call_pays_all_its_attempts_from_its_own_budget() {
    // What broke off may have been billed, so that what was held for it is gone.
    let broken = || vec![text("half"), Do::Cut];
    let cap = |nanos| json!({"max_tokens": 100, "max_cost_usd": usd(nanos)});
    let (engine, played) = with(json!({}), vec![broken(), broken(), answer("whole")]);
    let error = engine.chat(&ask(&["up/a", "up/b"], cap(2 * most(100) - 1)), &context()).await.unwrap_err();
    assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::BudgetExceeded, Some("max_cost_usd")));
    assert_eq!((sent(&played).len(), refused(&error)[0].spent_nanos), (1, Some(246_000)));
    let answered = engine.chat(&ask(&["up/a", "up/b"], cap(2 * most(100))), &context()).await.unwrap();
    assert_eq!((answered.text(), sent(&played).len()), ("whole", 3));

    let wrong = engine.chat(&ask(&["up/a"], json!({"max_cost_usd": "-1"})), &context()).await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.body().param.as_deref()), (ErrorKind::InvalidRequest, Some("max_cost_usd")));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_is_paid_for() {
    let (engine, _) = with(json!({"b": {"limit_usd": "1"}}), vec![vec![text("a"), Do::Hang], answer("whole")]);
    let request = ask(&["up/a"], json!({"max_tokens": 100}));
    let mut stream = engine.stream(&request, &context()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!((state(&engine).spent_nanos, state(&engine).held_nanos), (0, 246_000));
    drop(stream);
    let after = state(&engine);
    assert_eq!((after.spent_nanos, after.unknown_nanos, after.held_nanos), (246_000, 246_000, 0));

    let (_, error, _) = read(&engine, request).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((state(&engine).spent_nanos, state(&engine).unknown_nanos), (251_000, 246_000));
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_costs_nothing() {
    let (engine, played) = with(json!({"b": {"limit_usd": "1"}}), vec![]);
    // A mistral is not asked for several answers.
    let config = json!({"max_tokens": 100, "extra_headers": {"x": "no\nheader"}});
    let error = engine.chat(&ask(&["up/a"], config), &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    assert!(sent(&played).is_empty());
    assert_eq!((state(&engine).spent_nanos, state(&engine).held_nanos), (0, 0));
    let booked = engine.ledger().usage(&UsageQuery::default()).unwrap().total;
    assert_eq!((booked.attempts, booked.cost_unknown), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_only_warns_or_counts_lets_everything_go() {
    let budgets = json!({
        "counts": {"limit_usd": "0", "mode": "shadow"}, "warns": {"limit_usd": usd(most(100)), "mode": "warn", "each": "user"}
    });
    let (engine, _) = with(budgets, vec![answer("one"), answer("two")]);
    let cx = CallContext::new(Purpose::Chat, Tags::from([("user".into(), "ann".into())]));
    let fits = engine.chat(&ask(&["up/a"], json!({"max_tokens": 100})), &cx).await.unwrap();
    assert_eq!(fits.interfuse.unwrap().budget_warnings, []);
    let (_, _, meta) = {
        let request = ask(&["up/a"], json!({"max_tokens": 100}));
        let mut stream = engine.stream(&request, &cx).await.unwrap();
        let mut last = None;
        while let Some(chunk) = stream.next().await {
            last = chunk.unwrap().interfuse.or(last);
        }
        ((), (), *last.unwrap())
    };
    let [warning] = meta.budget_warnings.as_slice() else { panic!("{:?}", meta.budget_warnings) };
    assert_eq!((warning.budget.as_str(), warning.spent_nanos), ("warns", Some(5000)));
    assert_eq!(warning.group["user"].as_deref(), Some("ann"));
    assert!(warning.message.contains("for user `ann`"), "{}", warning.message);
    let states = engine.budgets().unwrap();
    let told: Vec<_> = states.iter().map(|s| (s.budget.as_str(), s.spent_nanos, s.exceeded)).collect();
    assert_eq!(told, [("counts", 10_000, 2), ("warns", 10_000, 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_longer_than_assumed_is_paid_and_told() {
    let long =
        Do::Say(json!({"choices": [], "usage": {"prompt_tokens": 140, "completion_tokens": 60, "total_tokens": 200}}));
    let budget = json!({"b": {"limit_usd": "1", "assumed_output_tokens": 10}});
    let (engine, _) = with(budget, vec![vec![text("long"), stop(), long, Do::Done]]);
    engine.chat(&ask(&["up/a"], json!({})), &context()).await.unwrap();
    let state = state(&engine);
    assert_eq!((state.spent_nanos, state.settled_over.count), (200_000, 1));
    assert_eq!(state.settled_over.nanos, 200_000 - most(10));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_price_is_refused_unless_that_is_allowed() {
    let (engine, played) = with(json!({"b": {"limit_usd": "1"}}), vec![answer("fine")]);
    let request = ask(&["up/nobody-knows"], json!({"max_tokens": 100}));
    let error = engine.chat(&request, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    for part in ["price_unknown", "prices.\"up/nobody-knows\"", "budgets.b.unpriced"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    let other = ask(&["up/nobody-knows", "up/a"], json!({"max_tokens": 100}));
    assert_eq!(engine.chat(&other, &context()).await.unwrap().text(), "fine");
    assert_eq!(sent(&played), ["a"]);

    let (engine, _) = with(json!({"b": {"limit_usd": "1", "unpriced": "allow"}}), vec![answer("fine")]);
    assert_eq!(engine.chat(&request, &context()).await.unwrap().text(), "fine");
    assert_eq!(state(&engine).spent_nanos, 0);
    let capped = ask(&["up/nobody-knows"], json!({"max_cost_usd": "1"}));
    let error = engine.chat(&capped, &context()).await.unwrap_err();
    assert!(error.message().contains("max_cost_usd"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_beside_is_made_only_where_it_fits() {
    for (room, asked) in [(2, 2), (1, 1)] {
        let budget = json!({"b": {"limit_usd": usd(room * most(100) + 420 * 5000 + 1)}});
        let mut scripts: Vec<_> = (0..420).map(|_| answer("quick")).collect();
        scripts.push(vec![Do::Wait(5_000), text("slow"), stop(), usage(), Do::Done]);
        scripts.push(answer("beside"));
        let (engine, played) = with(budget, scripts);
        for _ in 0..420 {
            engine.chat(&ask(&["up/a", "up/b"], json!({"max_tokens": 100, "hedge": true})), &context()).await.unwrap();
        }
        let before = sent(&played).len();
        let request = ask(&["up/a", "up/b"], json!({"max_tokens": 100, "hedge": true}));
        engine.chat(&request, &context()).await.unwrap();
        assert_eq!(sent(&played).len() - before, asked, "room for {room}");
        assert!(state(&engine).spent_nanos <= state(&engine).limit_nanos);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_at_once_spend_no_more_than_one_after_another() {
    let limit = 20 * most(100);
    let (engine, played) = with(json!({"b": {"limit_usd": usd(limit)}}), (0..200).map(|_| answer("fine")).collect());
    let calls = (0..200).map(|_| async { engine.chat(&ask(&["up/a"], json!({"max_tokens": 100})), &context()).await });
    let outcomes = futures_util::future::join_all(calls).await;
    let good = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
    let state = state(&engine);
    assert_eq!((state.spent_nanos, sent(&played).len() as u64), (good * 5000, good));
    assert_eq!((good + state.exceeded, state.held_nanos), (200, 0));
    assert!(good >= 20);
    let booked = engine.ledger().usage(&UsageQuery::default()).unwrap().total;
    assert_eq!(booked.cost_nanos, state.spent_nanos);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_full_disk_refuses_up_front_where_a_budget_is_enforced_and_is_told_elsewhere() {
    use crate::ledger::SqliteLedger;
    for mode in ["enforce", "warn", "shadow"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let (engine, played) = engine(
            json!({
                "budgets": {"b": {"limit_usd": "1", "mode": mode}}, "ledger": {"path": path},
                "prices": {"up/a": {"input": "1", "output": "1"}}, "timeouts": {"first_token_ms": 60_000}
            }),
            vec![answer("fine"), answer("fine")],
        );
        let disk = SqliteLedger::open(&path).unwrap();
        disk.fill_disk();
        let asked = engine.chat(&ask(&["up/a"], json!({"max_tokens": 100})), &context()).await;
        match mode {
            "enforce" => {
                let error = asked.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Storage);
                assert!(error.message().contains("the disk is full"), "{error}");
                assert!(sent(&played).is_empty());
            }
            _ => {
                let told = asked.unwrap().interfuse.unwrap().ledger_error.unwrap();
                assert!(told.contains("the disk is full"), "{told}");
                assert_eq!(sent(&played).len(), 1);
            }
        }
        disk.free_disk();
        let meta =
            engine.chat(&ask(&["up/a"], json!({"max_tokens": 100})), &context()).await.unwrap().interfuse.unwrap();
        assert_eq!(meta.ledger_error, None);
        let state = state(&engine);
        let paid = 5000 * sent(&played).len() as u64;
        assert_eq!((state.spent_nanos, state.held_nanos), (paid, 0), "what waited to be booked before counts, too");
    }
}

#[test]
fn an_estimate_tells_every_place_and_sends_nothing() {
    let (engine, played) = with(json!({}), vec![]);
    let told = engine.estimate(&ask(&["up/a", "up/dear", "up/nobody-knows"], json!({"max_tokens": 100}))).unwrap();
    let rows: Vec<_> = told.routes.iter().map(|row| (row.low_nanos, row.expected_nanos, row.high_nanos)).collect();
    assert_eq!(
        rows,
        [(Some(0), Some(101_000), Some(246_000)), (Some(0), Some(505_000), Some(1_230_000)), (None, None, None)]
    );
    assert_eq!(told.routes[2].unknown.as_deref(), Some("price_unknown"));
    assert!(sent(&played).is_empty());
}
