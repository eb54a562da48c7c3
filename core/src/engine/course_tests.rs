//! What follows what, and that nothing exceeds the cap.

use std::sync::Arc;

use super::*;
use crate::backend::Endpoints;
use crate::catalog::Catalog;
use crate::clock::SystemClock;
use crate::routing::{Offered, Router, Target};
use crate::types::{ChatRequest, Config, Terms};

fn target() -> Arc<Target> {
    let config: Config = serde_json::from_value(serde_json::json!({
        "use_environment": false, "providers": {"up": {"base_url": "http://127.0.0.1:1/v1", "api_key": "k"}}
    }))
    .unwrap();
    let catalog = Catalog::builtin();
    let endpoints = Endpoints::new(&config, &catalog, Default::default()).unwrap();
    let router = Router::new(&catalog, endpoints, &config, Arc::new(SystemClock)).unwrap();
    let plan = router.plan(&Terms { model: "up/m", ..Terms::default() }, &ChatRequest::default()).unwrap();
    plan.routes.at(0).target.clone()
}

/// Each a target of its own, like this one.
fn like(target: &Target, kinds: &[(RouteOn, Option<u64>)]) -> Routes {
    let own = || Arc::new(Target { track: Arc::default(), ..target.clone() });
    Routes::made_up(kinds.iter().map(|(on, context)| (*on, Offered::made_up(own(), *context))))
}

fn routes(kinds: &[(RouteOn, Option<u64>)]) -> Routes {
    like(&target(), kinds)
}

fn any(n: usize) -> Routes {
    routes(&vec![(RouteOn::Any, None); n])
}

fn failure(kind: ErrorKind) -> Failure {
    let retryable = kind.retryable() || kind == ErrorKind::Interrupted;
    Failure { kind, retryable, asked: None, silent: false, uncertain: false }
}

const HOUR: Duration = Duration::from_secs(3600);

/// What follows the `tries`th failure of the same kind at the first route.
fn after(failure: Failure, tries: u32, routes: &Routes) -> Step {
    let config = RetryConfig::default();
    let mut course = Course::new(&config, None);
    (course.made, course.here) = (tries, tries);
    course.after(failure, routes, HOUR, &config, 0.5)
}

#[test]
fn each_kind_takes_its_way() {
    use ErrorKind::*;
    let (one, two) = (any(1), any(2));
    let again = |ms| Step::Again(Duration::from_millis(ms));
    for (kind, tries, alone, accompanied) in [
        (InvalidRequest, 1, Step::Stop, Step::Stop),
        (Cancelled, 1, Step::Stop, Step::Stop),
        (Authentication, 1, Step::Stop, Step::Move(1)),
        (InsufficientCredits, 1, Step::Stop, Step::Move(1)),
        (NotFound, 1, Step::Stop, Step::Move(1)),
        (Unsupported, 1, Step::Stop, Step::Move(1)),
        (ServerError, 1, again(250), again(250)),
        (ServerError, 2, Step::Stop, Step::Move(1)),
        (Overloaded, 2, Step::Stop, Step::Move(1)),
        (Connection, 1, again(250), again(250)),
        (Connection, 2, Step::Stop, Step::Move(1)),
        (Decode, 1, again(250), again(250)),
        (Interrupted, 1, again(250), Step::Move(1)),
        (Timeout, 1, again(250), Step::Move(1)),
        (ContextLength, 1, Step::Stop, Step::Stop),
        (ContentFiltered, 1, Step::Stop, Step::Stop),
    ] {
        assert_eq!(after(failure(kind), tries, &one), alone, "{kind} alone");
        assert_eq!(after(failure(kind), tries, &two), accompanied, "{kind} accompanied");
    }
}

#[test]
fn a_silent_route_is_never_tried_twice() {
    let silent = Failure { silent: true, ..failure(ErrorKind::Timeout) };
    assert_eq!(after(silent, 1, &any(1)), Step::Stop);
    assert_eq!(after(silent, 1, &any(2)), Step::Move(1));
}

#[test]
fn what_a_vendor_asks_is_waited_for_within_bounds() {
    let asked = |ms| Failure { asked: Some(Duration::from_millis(ms)), ..failure(ErrorKind::RateLimited) };
    let again = |ms| Step::Again(Duration::from_millis(ms));
    assert_eq!(after(asked(1500), 1, &any(2)), again(1500));
    assert_eq!(after(asked(2001), 1, &any(2)), Step::Move(1));
    assert_eq!(after(asked(9000), 1, &any(1)), again(9000));
    assert_eq!(after(asked(60_001), 1, &any(1)), Step::Stop);

    let config = RetryConfig { max_retries: 9, max_attempts: 9, ..RetryConfig::default() };
    let mut course = Course::new(&config, None);
    assert!(course.begin());
    assert_eq!(course.after(asked(35_000), &any(1), HOUR, &config, 0.0), again(35_000));
    assert_eq!(course.after(asked(35_000), &any(1), HOUR, &config, 0.0), Step::Stop, "70 s in all");
    assert_eq!(course.after(asked(25_000), &any(1), HOUR, &config, 0.0), again(25_000));
    // Nor beyond the call's own end.
    let mut course = Course::new(&config, None);
    assert_eq!(course.after(asked(1000), &any(1), Duration::from_secs(1), &config, 0.0), Step::Stop);
    assert_eq!(course.after(asked(1000), &any(2), Duration::from_secs(1), &config, 0.0), Step::Move(1));
}

#[test]
fn some_routes_are_for_some_failures() {
    use RouteOn::{Any, ContentFiltered, ContextLength, RateLimited, Unavailable};
    let plan = routes(&[
        (Any, Some(8_000)),
        (Any, Some(4_000)),
        (Any, Some(32_000)),
        (ContextLength, None),
        (ContentFiltered, None),
        (RateLimited, None),
        (Unavailable, None),
    ]);
    let mut asks = failure(ErrorKind::RateLimited);
    asks.asked = Some(Duration::from_secs(3));
    for (failed, place) in [
        (failure(ErrorKind::ContextLength), 2),
        (failure(ErrorKind::ContentFiltered), 4),
        (asks, 5),
        (failure(ErrorKind::Timeout), 6),
        (failure(ErrorKind::Permission), 1),
    ] {
        assert_eq!(after(failed, 1, &plan), Step::Move(place), "{}", failed.kind);
    }
    // A window nobody knows is no larger one.
    let unknown = routes(&[(Any, None), (Any, Some(32_000)), (ContextLength, None)]);
    assert_eq!(after(failure(ErrorKind::ContextLength), 1, &unknown), Step::Move(2));
    let unknown = routes(&[(Any, Some(8_000)), (Any, None)]);
    assert_eq!(after(failure(ErrorKind::ContextLength), 1, &unknown), Step::Stop);
}

#[test]
fn what_may_be_billed_twice_is_left_where_the_caller_says_so() {
    let config = RetryConfig { uncertain: false, ..RetryConfig::default() };
    for (uncertain, step) in [(true, Step::Stop), (false, Step::Again(Duration::ZERO))] {
        let mut course = Course::new(&config, None);
        let failed = Failure { uncertain, ..failure(ErrorKind::Connection) };
        assert_eq!(course.after(failed, &any(2), HOUR, &config, 0.0), step);
    }
}

#[test]
fn a_request_may_ask_for_more_retries_or_none() {
    let config = RetryConfig::default();
    for (max_retries, attempts) in [(None, 2), (Some(0), 1), (Some(2), 3), (Some(6), 7)] {
        let mut course = Course::new(&config, max_retries);
        let mut made = 0;
        while course.begin() {
            made += 1;
            if course.after(failure(ErrorKind::ServerError), &any(1), HOUR, &config, 0.0) == Step::Stop {
                break;
            }
        }
        assert_eq!(made, attempts, "{max_retries:?}");
    }
}

/// Any sequence of outcomes over any plan, with attempts begun beside the loop as key rotation, hedging and probing do:
/// never more attempts than the cap, at no route more than its own, and no route entered twice.
#[test]
fn no_combination_exceeds_the_cap() {
    let target = target();
    let mut random = fastrand::Rng::with_seed(20_261_128);
    let mut reached = 0;
    for round in 0..20_000 {
        let config = RetryConfig {
            max_retries: random.u32(0..5),
            max_attempts: random.u32(0..7),
            uncertain: random.bool(),
            max_retry_after_ms: random.u64(0..90_000),
            ..RetryConfig::default()
        };
        let asked_retries = random.bool().then(|| random.u32(0..6));
        let on = [
            RouteOn::Any,
            RouteOn::ContextLength,
            RouteOn::ContentFiltered,
            RouteOn::RateLimited,
            RouteOn::Unavailable,
        ];
        let kinds: Vec<_> = (0..random.usize(1..7))
            .map(|place| {
                let on = if place == 0 { RouteOn::Any } else { on[random.usize(0..on.len())] };
                (on, random.bool().then(|| random.u64(1..5) * 1000))
            })
            .collect();
        let plan = like(&target, &kinds);
        let mut course = Course::new(&config, asked_retries);
        let per_route = asked_retries.unwrap_or(config.max_retries) + 1;
        let cap = config.max_attempts.max(if asked_retries.is_some() { per_route } else { 1 });
        let (mut made, mut beside, mut entered, mut waited) = (0, 0, vec![0], Duration::ZERO);
        let mut here = 0;
        while course.begin() {
            (made, here) = (made + 1, here + 1);
            // A hedge, another key, a probe: whatever it is called, it begins here.
            while random.u32(0..4) == 0 && course.begin() {
                (made, beside) = (made + 1, beside + 1);
            }
            let kinds = crate::error::KINDS;
            let kind = kinds[random.usize(0..kinds.len())].kind;
            let asked = random.bool().then(|| Duration::from_millis(random.u64(0..40_000)));
            let failed = Failure {
                asked,
                silent: random.u32(0..5) == 0,
                uncertain: random.bool(),
                retryable: random.u32(0..5) > 0,
                ..failure(kind)
            };
            let was = course.place;
            match course.after(failed, &plan, HOUR, &config, random.f64()) {
                Step::Again(wait) => {
                    assert!(course.place == was && !failed.silent && failed.retryable, "round {round}");
                    waited += if asked.is_some() { wait } else { Duration::ZERO };
                }
                Step::Move(place) => {
                    assert!(course.place == place && !entered.contains(&place), "round {round}: entered again");
                    assert!(here <= per_route, "round {round}: {here} at one route");
                    entered.push(place);
                    here = 0;
                }
                Step::Stop => break,
            }
        }
        assert!(made <= cap, "round {round}: {made} attempts, cap {cap}, {beside} of them beside");
        assert!(waited.as_millis() as u64 <= config.max_retry_after_ms, "round {round}: waited {waited:?}");
        reached += u32::from(made == cap);
    }
    assert!(reached > 1000, "the cap was reached in {reached} rounds only: the test tries too little");
}

#[test]
fn another_key_is_for_refusals_not_for_outages() {
    // The first two are the same target with two keys.
    let (one, other) = (target(), Arc::new(Target { track: Arc::default(), ..(*target()).clone() }));
    let all = [&one, &one, &other].map(|target| (RouteOn::Any, Offered::made_up(target.clone(), None)));
    let plan = Routes::made_up(all);
    assert_eq!(after(failure(ErrorKind::Authentication), 1, &plan), Step::Move(1));
    assert_eq!(after(failure(ErrorKind::InsufficientCredits), 1, &plan), Step::Move(1));
    assert_eq!(after(failure(ErrorKind::ServerError), 2, &plan), Step::Move(2));
    let silent = Failure { silent: true, ..failure(ErrorKind::Timeout) };
    assert_eq!(after(silent, 1, &plan), Step::Move(2));
}

#[test]
fn an_attempt_beside_counts_when_it_is_made() {
    let plan = any(3);
    let config = RetryConfig { max_attempts: 2, ..RetryConfig::default() };
    let mut course = Course::new(&config, None);
    assert!(course.begin());
    assert_eq!(course.beside(&plan), Some(1));
    assert_eq!(course.beside(&plan), None, "the cap counts it");
    course.not_beside();
    assert_eq!(course.beside(&plan), Some(1));
    course.was_beside(1, true);
    assert_eq!(course.place, 1);
    assert_eq!(course.after(failure(ErrorKind::ServerError), &plan, HOUR, &config, 0.5), Step::Stop);
}
