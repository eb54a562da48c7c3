//! Policies on made-up candidates: a crowd of backends of one model, and what is observed of them.

use super::*;
use crate::routing::property_tests::crowd;
use crate::routing::{Router, Speed};
use crate::types::{ChatRequest, Message};

struct Crowd {
    router: Router,
    observed: Vec<Observed>,
}

impl Crowd {
    fn new(observed: Vec<Observed>) -> Self {
        Crowd { router: crowd(observed.len(), |i| format!("{}", i + 1), |_| String::new()), observed }
    }

    /// Places of the candidates, the lowest score first.
    fn order(&self, policy: &Policy, request: &ChatRequest, rng: &mut fastrand::Rng) -> Vec<usize> {
        let offers = self.router.offers("made/up", None).unwrap();
        let asked = Asked::new(request, 0);
        let all: Vec<Candidate<'_>> = offers
            .list
            .iter()
            .zip(&self.observed)
            .map(|(offered, observed)| Candidate { offered, cost: asked.cost(offered, observed), observed: *observed })
            .collect();
        let mut scores = Vec::new();
        (policy.score)(&all, &asked, rng, &mut scores);
        assert_eq!(scores.len(), all.len(), "{}", policy.name);
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|at| scores[*at]);
        order
    }
}

fn question(text: &str) -> ChatRequest {
    ChatRequest { max_tokens: Some(100), ..ChatRequest::new("made/up", [Message::user(text)]) }
}

fn measured(ttft_s: f64, token_s: f64, pending: u32) -> Observed {
    let speed = Speed { ttft_s, token_s, ttft_p50: ttft_s as f32, throughput_p50: (1.0 / token_s) as f32 };
    Observed { pending, speed: Some(speed), ..Observed::default() }
}

#[test]
fn names_are_found_or_the_nearest_is_told() {
    for known in POLICIES {
        assert_eq!(policy(known.name).map(|p| p.name), Ok(known.name));
    }
    assert!(policy("blanced").err().unwrap().contains("did you mean `balanced`?"));
}

#[test]
fn ordered_keeps_the_order() {
    let crowd = Crowd::new(vec![Observed::default(); 7]);
    let order = crowd.order(&ORDERED, &question("x"), &mut fastrand::Rng::with_seed(1));
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn weights_are_kept_over_many_draws() {
    let router = crowd(4, |_| "1".to_owned(), |i| format!(", \"weight\": {}", [3.0, 1.0, 0.0, 0.5][i]));
    let crowd = Crowd { router, observed: vec![Observed::default(); 4] };
    let mut rng = fastrand::Rng::with_seed(7);
    let mut firsts = [0u32; 4];
    for _ in 0..9_000 {
        let order = crowd.order(&WEIGHTED, &question("x"), &mut rng);
        firsts[order[0]] += 1;
        assert_eq!(order[3], 2, "no weight: only when the others fail");
    }
    // Of 4.5 parts: 6000, 2000, 0, 1000; three standard deviations are less than 150.
    for (got, want) in firsts.into_iter().zip([6000, 2000, 0, 1000u32]) {
        assert!(got.abs_diff(want) < 150, "{firsts:?}");
    }
}

#[test]
fn the_better_of_two_goes_first_and_nobody_stays_unmeasured() {
    // Half a second each, a second each, and the fast one with four calls under way.
    let crowd = Crowd::new(vec![measured(0.2, 0.003, 0), measured(0.5, 0.005, 0), measured(0.1, 0.002, 4)]);
    let mut rng = fastrand::Rng::with_seed(3);
    let mut firsts = [0u32; 3];
    for _ in 0..3_000 {
        let order = crowd.order(&FASTEST, &question("x"), &mut rng);
        firsts[order[0]] += 1;
        if order[0] == 0 {
            assert_eq!(order, [0, 1, 2], "1.0 s before 5 x 0.3 s");
        }
    }
    // The best wins both of its pairs, the second one, the worst none.
    assert!(firsts[0].abs_diff(2_000) < 100 && firsts[1].abs_diff(1_000) < 100 && firsts[2] == 0, "{firsts:?}");

    let crowd = Crowd::new(vec![measured(0.2, 0.003, 0), Observed::default()]);
    let first = |crowd: &Crowd, rng: &mut fastrand::Rng| crowd.order(&FASTEST, &question("x"), rng)[0];
    assert_eq!(first(&crowd, &mut rng), 1, "it is measured first");
    let probed = Observed { pending: 1, ..Observed::default() };
    let crowd = Crowd::new(vec![measured(0.2, 0.003, 0), probed]);
    assert_eq!(first(&crowd, &mut rng), 0, "once is enough to begin with");
}

#[test]
fn sorts_by_one_measure_are_strict() {
    let crowd = Crowd::new(vec![measured(0.5, 0.01, 9), measured(0.9, 0.002, 0), measured(0.1, 0.005, 3)]);
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..50 {
        assert_eq!(crowd.order(sort(Sort::Throughput), &question("x"), &mut rng), [1, 2, 0]);
        assert_eq!(crowd.order(sort(Sort::Latency), &question("x"), &mut rng), [2, 0, 1]);
        assert_eq!(crowd.order(sort(Sort::Price), &question("x"), &mut rng), [0, 1, 2]);
    }
}

#[test]
fn balanced_weighs_cost_time_and_failures() {
    let mut rng = fastrand::Rng::with_seed(3);
    // The first costs a third; it must be slower than the gain, or fail, to lose its place.
    let like = |ttft| measured(ttft, 0.000_001, 0);
    let order = |all: Vec<Observed>, rng: &mut fastrand::Rng| Crowd::new(all).order(&BALANCED, &question("x"), rng);
    assert_eq!(order(vec![like(1.0), like(1.0), like(1.0)], &mut rng), [0, 1, 2]);
    assert_eq!(order(vec![like(1.0), like(0.9), like(0.1)], &mut rng), [2, 0, 1]);
    let failing = Observed { failure_share: 0.5, ..like(1.0) };
    assert_eq!(order(vec![failing, like(1.0), like(1.0)], &mut rng), [1, 2, 0]);
}

#[test]
fn sessions_stick_spread_and_give_way_to_load() {
    let mut rng = fastrand::Rng::with_seed(3);
    let idle = Crowd::new(vec![Observed::default(); 5]);
    let (mut firsts, mut last) = ([0u32; 5], 0);
    for i in 0..2_000 {
        let mut request = question(&format!("question {i}"));
        request.session_id = Some(format!("session {}", i / 2));
        let order = idle.order(&STICKY, &request, &mut rng);
        firsts[order[0]] += 1;
        if i % 2 == 1 {
            assert_eq!(order[0], last, "a session stays, whatever it asks");
        }
        last = order[0];
    }
    // A favourite that is far busier than the others is passed over, and only it.
    let request = question("x");
    let order = idle.order(&STICKY, &request, &mut rng);
    let busy = |at: usize| Observed { pending: if at == order[0] { 10 } else { 1 }, ..Observed::default() };
    let now = Crowd::new((0..5).map(busy).collect()).order(&STICKY, &request, &mut rng);
    assert_eq!(now, [&order[1..], &order[..1]].concat());
    assert!(firsts.iter().all(|n| n.abs_diff(400) < 120), "{firsts:?}");
    let with = |text: &str, more: &str| {
        let mut request = ChatRequest::new("made/up", [Message::system(text), Message::user("first")]);
        request.messages.push(Message::user(more));
        request.affinity()
    };
    assert_eq!(with("a", "x"), with("a", "y"), "the beginning decides");
    assert_ne!(with("a", "x"), with("b", "x"));
}

#[test]
fn who_is_lately_cached_is_cheaper() {
    let cached = Observed { cached_share: Some(0.9), ..Observed::default() };
    let router = crowd(2, |_| "1\", \"cache_read\": \"0.1".to_owned(), |_| String::new());
    let crowd = Crowd { router, observed: vec![Observed::default(), cached] };
    let order = crowd.order(&CHEAPEST, &question(&"word ".repeat(1000)), &mut fastrand::Rng::with_seed(1));
    assert_eq!(order, [1, 0]);
}
