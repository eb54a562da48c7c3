//! Deterministic simulation: the real client over a transport whose faults come from a seed, under a virtual clock. Each
//! schedule is a few backends, each with a weather of its own, and calls that come at random times; after each, what must
//! hold in every schedule is checked. A schedule that fails names its seed: `SIMULATE_SEED=n` plays that one alone.
//!
//! - every call ends within its timeout, and no later;
//! - no call makes more attempts than its cap, whatever retries, keys, fallbacks and hedges there are;
//! - an answer is whole and of one backend; an answer that was cut is never a success;
//! - every request that a backend saw is a row of the ledger, and no more rows say so;
//! - a backend's limits of concurrency and of requests per minute hold;
//! - second attempts are made for at most one call of twenty;
//! - in an outage of all backends, attempts are at most 1.2 times the calls, once the breakers have learnt;
//! - a backend that was down is asked again within 30 s of its recovery.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use interfuse::backend::KeySources;
use interfuse::catalog::Catalog;
use interfuse::clock::Clock;
use interfuse::engine::Parts;
use interfuse::error::{Dispatch, Error, ErrorKind, Result};
use interfuse::http::{Body, HeaderMap, HttpRequest, HttpResponse, Transport};
use interfuse::types::{ChatRequest, Timeout, UsageQuery};
use interfuse::{Client, ErrorKind as Kind};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// What a backend does to a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Weather {
    Fair {
        first_ms: u64,
        token_ms: u64,
    },
    Down,
    Reset,
    Refused,
    Silent,
    /// The answer breaks off after so many of its ten tokens.
    Cut(usize),
    Busy {
        retry_after_s: Option<u64>,
    },
    BadKey,
    NotJson,
}

/// What one request came to.
#[derive(Debug, Clone)]
struct Seen {
    backend: usize,
    at: Instant,
    call: String,
}

struct World {
    /// Of each backend: since when which weather.
    weather: Vec<Vec<(Duration, Weather)>>,
    began: Instant,
    seen: Mutex<Vec<Seen>>,
    under_way: Mutex<HashMap<usize, (usize, usize)>>,
}

impl World {
    fn weather(&self, backend: usize) -> Weather {
        let now = self.began.elapsed();
        self.weather[backend].iter().rev().find(|(since, _)| *since <= now).map_or(Weather::Down, |(_, w)| *w)
    }
}

const TOKENS: usize = 10;

fn text(backend: usize) -> String {
    (0..TOKENS).map(|n| format!("b{backend}t{n} ")).collect()
}

/// Counts a request as under way until it is dropped.
struct UnderWay(Arc<World>, usize);

impl UnderWay {
    fn new(world: &Arc<World>, backend: usize) -> Self {
        let mut all = world.under_way.lock().unwrap();
        let (now, most) = all.entry(backend).or_default();
        *now += 1;
        *most = (*most).max(*now);
        UnderWay(world.clone(), backend)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.lock().unwrap().get_mut(&self.1).unwrap().0 -= 1;
    }
}

struct Faulty(Arc<World>);

impl Transport for Faulty {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        let world = self.0.clone();
        Box::pin(async move {
            let host = request.url.host_str().unwrap_or_default();
            let backend: usize = host.trim_start_matches('b').split('.').next().unwrap().parse().unwrap();
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let call = body["user"].as_str().unwrap_or_default().to_owned();
            let streams = body["stream"] == true;
            world.seen.lock().unwrap().push(Seen { backend, at: Instant::now(), call });
            let flight = UnderWay::new(&world, backend);
            let weather = world.weather(backend);
            let status = |status: u16, headers: HeaderMap, body: &str| {
                Ok(HttpResponse { status, headers, body: Body::new(stream::iter([Ok(Bytes::from(body.to_owned()))])) })
            };
            let quick = Duration::from_millis(5);
            match weather {
                Weather::Refused => Err(Error::new(ErrorKind::Connection, "refused").with_dispatch(Dispatch::NotSent)),
                Weather::Reset => {
                    sleep(quick).await;
                    Err(Error::new(ErrorKind::Connection, "reset").with_dispatch(Dispatch::Uncertain))
                }
                Weather::Down => {
                    sleep(quick).await;
                    status(503, HeaderMap::new(), r#"{"error": {"message": "down"}}"#)
                }
                Weather::BadKey => status(401, HeaderMap::new(), r#"{"error": {"message": "bad key"}}"#),
                Weather::NotJson => status(200, HeaderMap::new(), "<html>"),
                Weather::Busy { retry_after_s } => {
                    let mut headers = HeaderMap::new();
                    if let Some(seconds) = retry_after_s {
                        headers.insert("retry-after", seconds.into());
                    }
                    status(429, headers, r#"{"error": {"message": "busy"}}"#)
                }
                Weather::Silent => match request.limits.first_byte {
                    None => std::future::pending().await,
                    Some(limit) => {
                        sleep(limit).await;
                        Err(Timeout::FirstByte.fired(limit, limit, 0))
                    }
                },
                Weather::Fair { first_ms, token_ms } => {
                    sleep(Duration::from_millis(first_ms)).await;
                    Ok(answer(backend, streams, TOKENS, token_ms, flight))
                }
                Weather::Cut(tokens) => Ok(answer(backend, streams, tokens, 10, flight)),
            }
        })
    }
}

/// The answer of a backend, of which only so many tokens come.
fn answer(backend: usize, streams: bool, tokens: usize, token_ms: u64, flight: UnderWay) -> HttpResponse {
    let whole = tokens == TOKENS;
    let usage = json!({"prompt_tokens": 5, "completion_tokens": TOKENS, "total_tokens": 5 + TOKENS});
    let mut pieces: Vec<Bytes> = Vec::new();
    if streams {
        let chunk = |delta: Value, end: Value| {
            let choices = json!([{"index": 0, "delta": delta, "finish_reason": end}]);
            Bytes::from(format!("data: {}\n\n", json!({"id": "c", "created": 1, "model": "m", "choices": choices})))
        };
        pieces.extend((0..tokens).map(|n| chunk(json!({"content": format!("b{backend}t{n} ")}), Value::Null)));
        if whole {
            pieces.push(chunk(json!({}), json!("stop")));
            let last = json!({"id": "c", "created": 1, "model": "m", "choices": [], "usage": usage});
            pieces.push(Bytes::from(format!("data: {last}\n\ndata: [DONE]\n\n")));
        }
    } else {
        let message = json!({"role": "assistant", "content": text(backend)});
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        .to_string();
        let end = if whole { body.len() } else { body.len() * tokens / (TOKENS + 1) };
        pieces.push(Bytes::from(body[..end].to_owned()));
    }
    let body = stream::iter(pieces).then(move |piece| {
        let _under_way = &flight;
        async move {
            sleep(Duration::from_millis(token_ms)).await;
            Ok(piece)
        }
    });
    HttpResponse { status: 200, headers: HeaderMap::new(), body: Body::new(body) }
}

#[derive(Debug)]
struct Virtual(Instant);

impl Clock for Virtual {
    fn unix(&self) -> Duration {
        Duration::from_secs(1_800_000_000) + self.0.elapsed()
    }
}

fn client(world: &Arc<World>, backends: usize, extra: Value) -> Client {
    let provider = |n: usize| {
        let mut row = json!({"base_url": format!("http://b{n}.example/v1"), "api_key": "a-key-of-a-backend"});
        let own = extra.pointer(&format!("/providers/b{n}")).and_then(Value::as_object);
        if own.is_some_and(|own| own.contains_key("keys")) {
            row.as_object_mut().unwrap().remove("api_key");
        }
        row.as_object_mut().unwrap().extend(own.cloned().unwrap_or_default());
        (format!("b{n}"), row)
    };
    let providers: serde_json::Map<_, _> = (0..backends).map(provider).collect();
    let mut config = json!({"use_environment": false, "providers": providers});
    for (name, value) in extra.as_object().unwrap().iter().filter(|(name, _)| *name != "providers") {
        config[name] = value.clone();
    }
    let parts = Parts {
        catalog: Catalog::builtin(),
        transport: Some(Arc::new(Faulty(world.clone()))),
        web: None,
        ledger: None,
        clock: Arc::new(Virtual(world.began)),
        keys: KeySources::new(),
    };
    Client::with_parts(serde_json::from_value(config).unwrap(), parts).unwrap()
}

fn request(call: &str, backends: usize, extra: Value) -> ChatRequest {
    let models: Vec<String> = (1..backends).map(|n| format!("b{n}/m")).collect();
    let mut request = json!({"model": "b0/m", "models": models, "user": call,
        "messages": [{"role": "user", "content": "Where?"}]});
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value(request).unwrap()
}

/// The text of an answer, however it is asked for.
async fn ask(client: &Client, request: ChatRequest, streamed: bool) -> Result<(String, Option<usize>)> {
    if !streamed {
        let answer = client.chat(request).await?;
        let attempts = answer.interfuse.as_ref().map(|meta| meta.attempts.len());
        return Ok((answer.choices[0].message.content.clone().unwrap_or_default(), attempts));
    }
    let mut stream = client.chat_stream(request).await?;
    let (mut text, mut attempts) = (String::new(), None);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if let Some(meta) = &chunk.interfuse {
            if meta.reset.is_some() {
                text.clear();
            }
            attempts = Some(meta.attempts.len());
        }
        text.push_str(chunk.text());
    }
    Ok((text, attempts))
}

fn weather(rng: &mut Rng) -> Weather {
    match rng.u32(..14) {
        0..5 => Weather::Fair { first_ms: rng.u64(1..2000), token_ms: rng.u64(0..200) },
        5 => Weather::Down,
        6 => Weather::Reset,
        7 => Weather::Refused,
        8 => Weather::Silent,
        9 | 10 => Weather::Cut(rng.usize(..TOKENS)),
        11 => Weather::Busy { retry_after_s: rng.bool().then(|| rng.u64(1..90)) },
        12 => Weather::BadKey,
        _ => Weather::NotJson,
    }
}

/// One random schedule.
async fn schedule(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    fastrand::seed(seed);
    let backends = rng.usize(1..4);
    let weathers = (0..backends)
        .map(|_| {
            let mut at = Duration::ZERO;
            (0..rng.usize(1..6))
                .map(|_| {
                    let since = at;
                    at += Duration::from_secs(rng.u64(1..40));
                    (since, weather(&mut rng))
                })
                .collect()
        })
        .collect();
    let world = Arc::new(World {
        weather: weathers,
        began: Instant::now(),
        seen: Mutex::default(),
        under_way: Mutex::default(),
    });
    let concurrency = rng.bool().then(|| rng.u32(1..3));
    let per_minute = rng.bool().then(|| rng.u64(2..30));
    let limits = json!({"concurrency": concurrency, "requests_per_minute": per_minute});
    let mut first = json!({"limits": limits});
    if rng.bool() {
        first["keys"] = json!([{"name": "x", "api_key": "first-key"}, {"name": "y", "api_key": "second-key"}]);
    }
    let policy = ["ordered", "weighted", "fastest", "balanced", "sticky", "cheapest"][rng.usize(..6)];
    let cap = rng.usize(1..6);
    let config = json!({"providers": {"b0": first}, "retries": {"max_attempts": cap},
        "routing": {"policy": policy, "hedge": rng.bool(), "seed": seed}});
    let client = client(&world, backends, config);
    let timeout = Duration::from_secs(rng.u64(5..60));
    let count = rng.usize(3..12);
    let calls: Vec<_> = (0..count)
        .map(|n| {
            let (client, wait) = (client.clone(), Duration::from_millis(rng.u64(..90_000)));
            let (streamed, cancels) = (rng.bool(), rng.u32(..8) == 0);
            let on_interrupt = ["error", "restart", "continue"][rng.usize(..3)];
            let options = json!({"timeout_ms": timeout.as_millis() as u64, "on_interrupt": on_interrupt});
            let request = request(&n.to_string(), backends, options);
            let cancel_after = Duration::from_millis(rng.u64(..5_000));
            tokio::spawn(async move {
                sleep(wait).await;
                let started = Instant::now();
                if cancels {
                    let _ = tokio::time::timeout(cancel_after, ask(&client, request, streamed)).await;
                    return;
                }
                let result = ask(&client, request, streamed).await;
                assert!(started.elapsed() <= timeout + Duration::from_millis(2), "call {n}: {:?}", started.elapsed());
                match result {
                    Ok((said, _)) => {
                        assert!((0..backends).any(|b| said == text(b)), "call {n}: `{said}` is nobody's whole answer");
                    }
                    Err(error) => {
                        assert_ne!(error.kind(), Kind::Internal, "{error}");
                        assert!(error.body().attempts.len() <= cap, "{error}");
                    }
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    // What was dropped is booked when its task is gone.
    tokio::task::yield_now().await;
    let seen = world.seen.lock().unwrap().clone();
    for n in 0..count {
        let made = seen.iter().filter(|s| s.call == n.to_string()).count();
        assert!(made <= cap, "call {n} was made {made} times, the cap is {cap}");
    }
    let usage = client.usage(UsageQuery::default()).unwrap();
    assert!(usage.total.attempts as usize >= seen.len(), "{} rows for {} requests", usage.total.attempts, seen.len());
    let under_way = world.under_way.lock().unwrap().clone();
    assert!(under_way.values().all(|(now, _)| *now == 0), "requests are still under way: {under_way:?}");
    if let (Some(limit), Some((_, most))) = (concurrency, under_way.get(&0)) {
        assert!(*most <= limit as usize, "{most} at once, the limit is {limit}");
    }
    if let Some(limit) = per_minute {
        let times: Vec<Instant> = seen.iter().filter(|s| s.backend == 0).map(|s| s.at).collect();
        for (n, first) in times.iter().enumerate() {
            // A minute's worth may go at once, and is refilled during the minute.
            let within = times[n..].iter().take_while(|t| **t - *first <= Duration::from_secs(60)).count();
            assert!(within as u64 <= 2 * limit, "{within} requests in a minute, the limit is {limit}");
        }
    }
}

fn simulated(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future);
}

#[test]
fn ten_thousand_schedules_break_no_rule() {
    if let Ok(seed) = std::env::var("SIMULATE_SEED") {
        return simulated(schedule(seed.parse().unwrap()));
    }
    let threads: Vec<_> = (0..2u64)
        .map(|half| {
            std::thread::spawn(move || {
                for seed in (half * 5_000)..((half + 1) * 5_000) {
                    if std::panic::catch_unwind(|| simulated(schedule(seed))).is_err() {
                        panic!("the schedule of SIMULATE_SEED={seed} broke a rule");
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A world in which each backend has one weather after the other.
fn world(weather: Vec<Vec<(u64, Weather)>>) -> Arc<World> {
    let since = |(s, w): (u64, Weather)| (Duration::from_secs(s), w);
    Arc::new(World {
        weather: weather.into_iter().map(|all| all.into_iter().map(since).collect()).collect(),
        began: Instant::now(),
        seen: Mutex::default(),
        under_way: Mutex::default(),
    })
}

const FAIR: Weather = Weather::Fair { first_ms: 100, token_ms: 10 };

#[test]
fn in_a_full_outage_attempts_stay_within_a_fifth_of_the_calls() {
    for backends in 1..4 {
        simulated(async move {
            let world = world(vec![vec![(0, Weather::Down)]; backends]);
            let client = client(&world, backends, json!({}));
            let calls = 300;
            for n in 0..calls {
                ask(&client, request(&n.to_string(), backends, json!({})), n % 2 == 0).await.unwrap_err();
                sleep(Duration::from_millis(200)).await;
            }
            let made = world.seen.lock().unwrap().len();
            assert!(made * 10 <= calls * 12, "{made} attempts for {calls} calls at {backends} backends");
        });
    }
}

#[test]
fn a_primary_that_has_recovered_is_asked_again_within_thirty_seconds() {
    for down in [10, 60, 600, 3600] {
        for fault in [Weather::Down, Weather::Silent, Weather::Refused, Weather::Cut(3)] {
            simulated(async move {
                let world = world(vec![vec![(0, fault), (down, FAIR)], vec![(0, FAIR)]]);
                let client = client(&world, 2, json!({}));
                let mut back = None;
                while back.is_none() && world.began.elapsed() < Duration::from_secs(down + 60) {
                    let (said, _) = ask(&client, request("", 2, json!({})), false).await.unwrap();
                    let now = world.began.elapsed();
                    back = (said == text(0)).then_some(now);
                    sleep(Duration::from_secs(2)).await;
                }
                let back = back.expect("it is asked again");
                assert!(back <= Duration::from_secs(down + 30), "{fault:?} for {down} s: back after {back:?}");
            });
        }
    }
}

#[test]
fn second_attempts_are_made_for_one_call_of_twenty_at_most_and_shorten_the_tail() {
    simulated(async {
        // Of the first backend's answers one of twenty-five takes four seconds.
        let slow = |n: u64| if n % 25 == 24 { 4_000 } else { 100 };
        let first = (0..1000).map(|n| (n * 5, Weather::Fair { first_ms: slow(n), token_ms: 1 })).collect();
        let world = world(vec![first, vec![(0, FAIR)]]);
        let client = client(&world, 2, json!({"routing": {"hedge": true}}));
        let mut tail = 0;
        for n in 0..1000u64 {
            let started = Instant::now();
            ask(&client, request(&n.to_string(), 2, json!({})), true).await.unwrap();
            tail += u32::from(started.elapsed() > Duration::from_secs(2));
            sleep(Duration::from_secs(5).saturating_sub(started.elapsed())).await;
        }
        let made = world.seen.lock().unwrap().len() as u64;
        let hedges = made - 1000;
        assert!(hedges > 0 && hedges * 20 <= 1000, "{hedges} second attempts for 1000 calls");
        assert!(tail < 10, "{tail} of 40 slow calls were waited for");
    });
}
