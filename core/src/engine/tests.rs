//! Calls over a transport that plays a script, under a clock that moves by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::clock::SystemClock;
use crate::error::{AttemptKind, Dispatch, ErrorKind};
use crate::http::{Body, HttpRequest, HttpResponse};
use crate::types::{Message, UsageQuery};

/// What a server does, in order.
#[derive(Clone, Debug)]
enum Do {
    /// Before anything: the head comes after this, milliseconds.
    Head(u64),
    Say(Value),
    Comment,
    Wait(u64),
    /// `[DONE]`
    Done,
    /// The connection stays open and nothing comes.
    Hang,
    /// The connection breaks.
    Cut,
    Refuse(u16),
}

struct Played {
    scripts: Mutex<VecDeque<Vec<Do>>>,
    bodies: Mutex<Vec<Value>>,
}

impl Transport for Played {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        self.bodies.lock().unwrap().push(serde_json::from_slice(&request.body).unwrap());
        let mut script: VecDeque<Do> = self.scripts.lock().unwrap().pop_front().expect("another request").into();
        let first_byte = request.limits.first_byte;
        Box::pin(async move {
            if let Some(Do::Head(ms)) = script.front() {
                let head = tokio::time::sleep(Duration::from_millis(*ms));
                let limit = first_byte.unwrap_or(TOTAL);
                if tokio::time::timeout(limit, head).await.is_err() {
                    return Err(Timeout::FirstByte.fired(limit, limit, 0));
                }
                script.pop_front();
            }
            let status = if let Some(Do::Refuse(status)) = script.front() { *status } else { 200 };
            let body = unfold(script, |mut script| async move {
                loop {
                    let text = match script.pop_front()? {
                        Do::Say(chunk) => format!("data: {chunk}\n\n"),
                        Do::Comment => ": still here\n\n".to_owned(),
                        Do::Done => "data: [DONE]\n\n".to_owned(),
                        Do::Refuse(_) => r#"{"error": {"message": "no"}}"#.to_owned(),
                        Do::Wait(ms) => {
                            tokio::time::sleep(Duration::from_millis(ms)).await;
                            continue;
                        }
                        Do::Hang => std::future::pending().await,
                        Do::Cut => {
                            let broke = Error::new(ErrorKind::Interrupted, "the answer broke off");
                            return Some((Err(broke), script));
                        }
                        Do::Head(_) => continue,
                    };
                    return Some((Ok(Bytes::from(text)), script));
                }
            });
            Ok(HttpResponse { status, headers: HeaderMap::new(), body: Body::new(body) })
        })
    }
}

fn engine(more: Value, scripts: Vec<Vec<Do>>) -> (Engine, Arc<Played>) {
    let mut config = json!({
        "use_environment": false,
        "providers": {
            "up": {"base_url": "http://up.example/v1", "api_key": "k"},
            "on": {"base_url": "http://on.example/v1", "api_key": "k", "like": "mistral"}
        },
        "prices": {"up/a": {"input": "1", "output": "1"}, "up/b": {"input": "1", "output": "1"}}
    });
    config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let played = Arc::new(Played { scripts: Mutex::new(scripts.into()), bodies: Mutex::default() });
    let parts = Parts {
        catalog: Catalog::builtin(),
        transport: Some(played.clone()),
        web: None,
        ledger: None,
        clock: Arc::new(SystemClock),
        keys: Default::default(),
    };
    (Engine::new(serde_json::from_value(config).unwrap(), parts).unwrap(), played)
}

fn text(t: &str) -> Do {
    Do::Say(json!({"choices": [{"index": 0, "delta": {"content": t}}]}))
}

fn stop() -> Do {
    Do::Say(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
}

fn usage() -> Do {
    Do::Say(json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}))
}

fn answer(t: &str) -> Vec<Do> {
    vec![text(t), stop(), usage(), Do::Done]
}

fn ask(models: &[&str], more: Value) -> ChatRequest {
    let mut request = ChatRequest::new(models[0], [Message::user("hi")]);
    request.models = (models.len() > 1).then(|| models[1..].iter().map(|m| (*m).to_owned()).collect());
    let mut value = serde_json::to_value(request).unwrap();
    value.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    serde_json::from_value(value).unwrap()
}

fn context() -> CallContext {
    CallContext::new(Purpose::Chat, Tags::new())
}

/// Everything a caller sees of a stream: its text (resets shown as `|`), its error, the last `interfuse`.
async fn read(engine: &Engine, request: ChatRequest) -> (String, Option<Error>, Option<ResponseMeta>) {
    let mut stream = match engine.stream(&request, &context()).await {
        Ok(stream) => stream,
        Err(e) => return (String::new(), Some(e), None),
    };
    let (mut seen, mut meta) = (String::new(), None);
    while let Some(chunk) = stream.next().await {
        match chunk {
            Err(e) => return (seen, Some(e), meta),
            Ok(chunk) => {
                seen.push_str(chunk.text());
                if let Some(told) = chunk.interfuse {
                    if told.reset.is_some() {
                        assert!(chunk.choices.is_empty());
                        seen.push('|');
                    }
                    meta = Some(*told);
                }
            }
        }
    }
    (seen, None, meta)
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn a_route_that_says_nothing_is_left_after_ten_seconds_and_not_tried_again() {
    let role = Do::Say(json!({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}));
    for silent in [vec![Do::Head(120_000)], vec![role, Do::Comment, Do::Wait(20_000), text("late"), stop(), Do::Done]] {
        for streamed in [true, false] {
            let (engine, played) = engine(json!({}), vec![silent.clone(), answer("fine")]);
            let started = Instant::now();
            let request = ask(&["up/a", "up/b"], json!({}));
            let (seen, meta) = if streamed {
                let (seen, error, meta) = read(&engine, request).await;
                assert!(error.is_none(), "{error:?}");
                (seen, meta.unwrap())
            } else {
                let answer = engine.chat(&request, &context()).await.unwrap();
                (answer.text().to_owned(), *answer.interfuse.unwrap())
            };
            assert_eq!((seen.as_str(), seconds(started)), ("fine", 10.0));
            let tried: Vec<_> = meta.attempts.iter().map(|a| (a.model.as_str(), a.error, a.kind)).collect();
            assert_eq!(
                tried,
                [("a", Some(ErrorKind::Timeout), None), ("b", None, Some(AttemptKind::Fallback))],
                "streamed: {streamed}"
            );
            // What the first used is not known, so the whole is not.
            assert_eq!((meta.attempts[0].cost_nanos, meta.cost_nanos), (None, None));
            assert_eq!(meta.attempts[1].cost_nanos, Some(5000));
            assert!(played.bodies.lock().unwrap().iter().all(|b| b["stream"] == true));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_route_is_asked_for_the_whole_and_may_take_its_time() {
    let whole = json!({"choices": [{"index": 0, "message": {"content": "slow"}, "finish_reason": "stop"}]});
    struct Whole(Value, Arc<Mutex<Vec<Value>>>);
    impl Transport for Whole {
        fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
            self.1.lock().unwrap().push(serde_json::from_slice(&request.body).unwrap());
            assert_eq!(request.limits.first_byte, None);
            let body = Bytes::from(self.0.to_string());
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(300)).await;
                let body = Body::new(futures_util::stream::iter([Ok(body)]));
                Ok(HttpResponse { status: 200, headers: HeaderMap::new(), body })
            })
        }
    }
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let config =
        json!({"use_environment": false, "providers": {"up": {"base_url": "http://up.example/v1", "api_key": "k"}}});
    let parts = Parts {
        catalog: Catalog::builtin(),
        transport: Some(Arc::new(Whole(whole, bodies.clone()))),
        web: None,
        ledger: None,
        clock: Arc::new(SystemClock),
        keys: Default::default(),
    };
    let engine = Engine::new(serde_json::from_value(config).unwrap(), parts).unwrap();
    let answer = engine.chat(&ask(&["up/a"], json!({})), &context()).await.unwrap();
    assert_eq!(answer.text(), "slow");
    assert_ne!(bodies.lock().unwrap()[0]["stream"], true);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_inside_costs_the_caller_nothing() {
    let cut = vec![text("half"), Do::Cut];
    let stalls = vec![text("half"), Do::Comment, Do::Hang];
    let ends = vec![text("half")];
    let garbled = vec![text("half"), Do::Say(json!("no chunk")), stop(), Do::Done];
    for (broken, after) in [(cut, 0.0), (stalls, 20.0), (ends, 0.0), (garbled, 0.0)] {
        let (engine, _) = engine(json!({}), vec![broken.clone(), answer("whole")]);
        let started = Instant::now();
        let answer = engine.chat(&ask(&["up/a", "up/b"], json!({})), &context()).await.unwrap();
        let meta = answer.interfuse.as_ref().unwrap();
        assert_eq!((answer.text(), meta.model.as_str()), ("whole", "b"), "{broken:?}");
        assert!((seconds(started) - after).abs() < 1.0, "{broken:?}: {}", seconds(started));
        assert_eq!(meta.attempts.len(), 2);
        assert_eq!(meta.attempts[0].dispatch, Some(Dispatch::Uncertain));
        let rows = engine.ledger().usage(&UsageQuery::default()).unwrap().total;
        assert_eq!((rows.attempts, rows.cost_unknown), (2, 1), "{broken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn comments_keep_no_stream_alive() {
    let mut script = vec![text("a")];
    script.extend((0..100).flat_map(|_| [Do::Wait(1000), Do::Comment]));
    let (engine, _) = engine(json!({}), vec![script]);
    let started = Instant::now();
    let (seen, error, _) = read(&engine, ask(&["up/a"], json!({}))).await;
    let error = error.unwrap();
    assert_eq!((seen.as_str(), error.kind(), seconds(started)), ("a", ErrorKind::Interrupted, 20.0));
    assert_eq!(error.body().details["timeout"], "idle");
    assert_eq!(error.body().details["configured_ms"], 20_000);
    assert_eq!(error.body().partial.as_ref().unwrap().text, "a");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_ended_is_not_waited_for() {
    for (script, waits, known) in [
        (vec![text("a"), stop(), usage(), Do::Hang], 1.0, true),
        (vec![text("a"), stop(), Do::Hang], 5.0, false),
        (vec![text("a"), stop(), Do::Wait(3000), usage(), Do::Hang], 4.0, true),
    ] {
        let (engine, _) = engine(json!({}), vec![script.clone(), script]);
        let started = Instant::now();
        let (seen, error, meta) = read(&engine, ask(&["up/a"], json!({}))).await;
        assert!(error.is_none() && seen == "a", "{error:?}");
        assert_eq!((seconds(started), meta.unwrap().cost_nanos.is_some()), (waits, known));
        let started = Instant::now();
        let answer = engine.chat(&ask(&["up/a", "up/b"], json!({})), &context()).await.unwrap();
        assert_eq!((answer.text(), seconds(started), answer.usage.is_some()), ("a", waits, known));
    }
}

#[tokio::test(start_paused = true)]
async fn the_call_ends_when_it_must() {
    let slow = || [vec![text("a")], (0..9).flat_map(|_| [Do::Wait(1000), text("b")]).collect()].concat();
    for more in [json!({"timeout_ms": 2500}), json!({"timeouts": {"total_ms": 2500}})] {
        let (engine, _) = engine(json!({}), vec![slow(), slow()]);
        let started = Instant::now();
        let (seen, error, _) = read(&engine, ask(&["up/a"], more.clone())).await;
        let error = error.unwrap();
        assert_eq!(
            (seen.as_str(), error.body().code.as_deref(), seconds(started)),
            ("abb", Some("deadline_exceeded"), 2.5)
        );
        assert_eq!(
            (&error.body().details["timeout"], &error.body().details["configured_ms"]),
            (&json!("total"), &json!(2500))
        );
        let started = Instant::now();
        let error = engine.chat(&ask(&["up/a", "up/b"], more), &context()).await.unwrap_err();
        assert_eq!((error.kind(), seconds(started)), (ErrorKind::DeadlineExceeded, 2.5));
        assert_eq!(error.body().attempts.len(), 1);
        assert!(error.body().details["bytes_seen"].as_u64().unwrap() > 0, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_starts_anew_where_the_caller_wants_that() {
    let cut = || vec![text("In Ber"), Do::Cut];
    for how in ["restart", "continue"] {
        // Whether the target could go on or not: this one declares nothing.
        let (engine, played) = engine(json!({}), vec![cut(), cut(), answer("In Bern.")]);
        let request = ask(&["up/a", "up/b", "up/c"], json!({"on_interrupt": how}));
        let (seen, error, meta) = read(&engine, request).await;
        assert!(error.is_none(), "{error:?}");
        let meta = meta.unwrap();
        assert_eq!((seen.as_str(), meta.model.as_str(), meta.spliced), ("In Ber|In Ber|In Bern.", "c", false));
        let tried: Vec<_> = meta.attempts.iter().map(|a| (a.error, a.dispatch)).collect();
        let broke = (Some(ErrorKind::Interrupted), Some(Dispatch::OutputSeen));
        assert_eq!(tried, [broke, broke, (None, None)]);
        assert_eq!(engine.ledger().usage(&UsageQuery::default()).unwrap().total.attempts, 3);
        assert!(played.bodies.lock().unwrap().iter().all(|b| b["messages"].as_array().unwrap().len() == 1));
    }
    let (engine, _) = engine(json!({}), vec![cut()]);
    let (seen, error, _) = read(&engine, ask(&["up/a", "up/b"], json!({}))).await;
    assert_eq!((seen.as_str(), error.unwrap().kind()), ("In Ber", ErrorKind::Interrupted));
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_at_a_target_that_can() {
    let cut = || vec![text("The capital "), text("of Switzer"), Do::Cut];
    let rest = || [vec![text("of Switzer"), text("land is Bern.")], answer("")].concat();
    let go_on = |more: Value| {
        let mut all = json!({"on_interrupt": "continue"});
        all.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        ask(&["up/a", "on/b"], all)
    };
    let (engine, played) = engine(json!({}), vec![cut(), rest()]);
    let (seen, error, meta) = read(&engine, go_on(json!({}))).await;
    assert!(error.is_none(), "{error:?}");
    let meta = meta.unwrap();
    assert_eq!((seen.as_str(), meta.spliced), ("The capital of Switzerland is Bern.", true));
    let pieces: Vec<_> = meta.pieces.iter().map(|p| (p.provider.as_str(), p.model.as_str())).collect();
    assert_eq!(pieces, [("up", "a"), ("on", "b")]);
    let asked = played.bodies.lock().unwrap()[1]["messages"][1].clone();
    assert_eq!(asked, json!({"role": "assistant", "content": "The capital of Switzer", "prefix": true}));
    assert_eq!(engine.ledger().usage(&UsageQuery::default()).unwrap().total.attempts, 2);

    // What is no plain text is never spliced.
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for more in [json!({"tools": tools}), json!({"response_format": {"type": "json_object"}})] {
        let (engine, played) = super::tests::engine(json!({}), vec![cut(), answer("again")]);
        let (seen, error, _) = read(&engine, go_on(more)).await;
        assert!(error.is_none() && seen == "The capital of Switzer|again", "{seen}: {error:?}");
        assert_eq!(played.bodies.lock().unwrap()[1]["messages"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_continuation_starts_anew_and_hides_no_cause() {
    let cut = || vec![text("The capital of Switzer"), Do::Cut];
    let request = || ask(&["up/a", "on/b"], json!({"on_interrupt": "continue"}));
    let (engine, played) = engine(json!({}), vec![cut(), vec![Do::Refuse(400)], answer("Bern.")]);
    let (seen, error, meta) = read(&engine, request()).await;
    assert!(error.is_none(), "{error:?}");
    let meta = meta.unwrap();
    assert_eq!((seen.as_str(), meta.model.as_str(), meta.spliced), ("The capital of Switzer|Bern.", "b", false));
    assert_eq!(meta.attempts[1].error, Some(ErrorKind::InvalidRequest));
    assert_eq!(played.bodies.lock().unwrap()[2]["messages"].as_array().unwrap().len(), 1);

    let (engine, _) = super::tests::engine(json!({}), vec![cut(), vec![Do::Refuse(400)], vec![Do::Refuse(401)]]);
    let (_, error, _) = read(&engine, request()).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.body().attempts.len()), (ErrorKind::Interrupted, 3));
    assert_eq!(error.body().partial.as_ref().unwrap().text, "The capital of Switzer");
    assert!(error.message().contains("broke off"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn uncertain_attempts_are_left_alone_where_the_configuration_says_so() {
    let config = json!({"retries": {"uncertain": false}});
    let (engine, _) = engine(config, vec![vec![Do::Refuse(503)], vec![text("half"), Do::Cut]]);
    let error = engine.chat(&ask(&["up/a", "up/b"], json!({})), &context()).await.unwrap_err();
    // The refusal was tried again; the half answer, which is paid for, was not.
    assert_eq!((error.kind(), error.body().attempts.len()), (ErrorKind::Interrupted, 2));
    assert_eq!(error.body().attempts[0].cost_nanos, Some(0));
    assert_eq!(error.body().partial.as_ref().unwrap().text, "half");
}

#[path = "budgets_tests.rs"]
mod budgets;
