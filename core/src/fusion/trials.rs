//! What must hold of many runs: waiting, money, broken and hostile judges, attacks, and judges that favour a place. Scripted
//! models, seeded chance, a clock that only moves when everyone waits.

#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use serde_json::{Value, json};

use super::scripted::{Said, Scripted, fuse, said_last};
use crate::error::ErrorKind;
use crate::types::{ChatRequest, Fused};

const TEXTS: [&str; 3] = [
    "Alpine lakes freeze from the edges towards the middle.",
    "Granite weathers slowly because quartz resists acid.",
    "Swifts sleep on the wing for months at a time.",
];

fn ask(mode: &str, members: usize, more: Value) -> Value {
    let pool: Vec<String> = (0..members).map(|i| format!("m/{i}")).collect();
    let mut request = json!({"prompt": "Tell me something.", "mode": mode, "pool": pool, "judge": "m/judge"});
    request.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    request
}

fn seat(request: &ChatRequest) -> Option<usize> {
    request.model.strip_prefix("m/")?.parse().ok()
}

/// Labels and texts as a judge is shown them.
fn shown(request: &ChatRequest) -> Vec<(String, String)> {
    let lines = said_last(request);
    let rows = lines.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
    rows.filter_map(|r| Some((r["answer"].as_str()?.to_owned(), r["text"].as_str()?.to_owned()))).collect()
}

fn best(label: &str) -> Said {
    Said::now(json!({"scores": [], "reason": "r", "best": label}).to_string())
}

fn percentile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    values[((values.len() as f64 * share).ceil() as usize).max(1) - 1]
}

/// Three members of 8 to 10 s, of whose calls one in twenty stalls 4 to 12 times as long, and a judge of 6 s.
async fn stalling(seed: u64, quorum: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let took: Vec<u64> = [8000.0, 9000.0, 10_000.0]
        .map(|median| {
            let stall = if rng.f64() < 0.05 { 4.0 + 8.0 * rng.f64() } else { 1.0 };
            (median * (0.8 + 0.5 * rng.f64()) * stall) as u64
        })
        .to_vec();
    let models = Scripted::new(move |request| match seat(request) {
        Some(i) => Said::now(TEXTS[i]).after_ms(took[i]),
        None => best(&shown(request)[0].0).after_ms(6000),
    });
    let more = json!({"quorum": quorum, "deadline_ms": 3_600_000});
    fuse(models, ask("best_of", 3, more)).await.unwrap().report.latency.total_ms
}

#[tokio::test(start_paused = true)]
async fn a_quorum_cuts_the_tail_of_waiting_for_all() {
    let (mut all, mut two) = (Vec::new(), Vec::new());
    for seed in 0..2000 {
        all.push(stalling(seed, 3).await);
        two.push(stalling(seed, 2).await);
    }
    let ratio =
        |share: f64, two: &mut [u64], all: &mut [u64]| percentile(two, share) as f64 / percentile(all, share) as f64;
    let (p50, p95, p99) =
        (ratio(0.5, &mut two, &mut all), ratio(0.95, &mut two, &mut all), ratio(0.99, &mut two, &mut all));
    println!("of wait-all: p50 {p50:.2}, p95 {p95:.2} (goal 0.40), p99 {p99:.2} (goal 0.60)");
    assert!(p95 <= 0.40 && p99 <= 0.60, "p95 {p95:.2}, p99 {p99:.2}");
}

#[tokio::test(start_paused = true)]
async fn a_hung_member_costs_no_more_than_the_grace() {
    for hung in 1..4 {
        let models = Scripted::new(move |request| match seat(request) {
            Some(i) if i == hung => Said::now("never").after_ms(10_000_000),
            Some(i) => Said::now(format!("{} {}", TEXTS[i % 3], i)).after_ms(1000 + 100 * i as u64),
            None => best(&shown(request)[0].0).after_ms(2000),
        });
        let fused = fuse(models, ask("best_of", 4, json!({"grace_ms": 700}))).await.unwrap();
        let latency = &fused.report.latency;
        let most = latency.quorum_ms.unwrap() + 700 + 2000 + 100;
        assert!(latency.total_ms <= most && latency.total_ms >= 2000, "{} > {most}", latency.total_ms);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cap_is_never_passed_and_the_sums_are_those_of_the_calls() {
    let modes = ["auto", "vote", "cascade", "best_of", "merge", "debate"];
    let (mut refused, mut degraded) = (0, 0);
    for seed in 0..10_000u64 {
        let mut rng = Rng::with_seed(seed);
        let (members, mode) = (rng.usize(3..6), modes[rng.usize(..modes.len())]);
        let cap = rng.u64(1_000..60_000);
        let salt = rng.u64(..);
        let models = Scripted::new(move |request| {
            // The same call always costs the same, so that it never costs more than was estimated.
            let text = said_last(request);
            let mut rng = Rng::with_seed(super::shield::hash(&[&request.model, &text.len().to_string()]) ^ salt);
            let estimate = rng.u64(500..9_000);
            let said = match seat(request) {
                Some(_) if rng.f64() < 0.1 => Said::fails(ErrorKind::Overloaded),
                Some(_) if text.contains("DATA ") => Said::now("{\"changed\": false, \"answer\": \"no\"}"),
                Some(i) => Said::now(TEXTS[i % 3]),
                None if rng.f64() < 0.2 => Said::now("I cannot tell."),
                None => match shown(request) {
                    all if all.is_empty() => Said::now("Merged."),
                    all => best(&all[rng.usize(..all.len())].0),
                },
            };
            let nanos = if said.text.is_err() { 0 } else { rng.u64(1..=estimate) };
            Said { nanos: Some(nanos), estimate: Some(estimate), ..said }
        });
        let usd = crate::money::NanoUsd::from_nanos(cap).unwrap().to_string();
        let ended = fuse(models.clone(), ask(mode, members, json!({"max_cost_usd": usd}))).await;
        let billed = models.nanos.load(Ordering::Relaxed);
        assert!(billed <= cap, "seed {seed}, {mode}: {billed} of {cap}");
        match ended {
            Ok(fused) => {
                let cost = &fused.report.cost;
                assert_eq!(cost.known_nanos, billed, "seed {seed}, {mode}");
                assert_eq!(cost.by_stage.values().sum::<u64>(), billed, "seed {seed}, {mode}");
                degraded += u32::from(fused.report.degraded.iter().any(|d| d.step == "budget"));
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::BudgetExceeded | ErrorKind::AllMembersFailed), "{error}");
                refused += 1;
            }
        }
    }
    println!("10000 runs: 0 overshoots; {refused} ended without an answer, {degraded} did less for want of money");
    assert!(degraded > 1000, "the caps bite: {degraded}");
}

/// Three members that differ and a judge that replies so to every call.
async fn with_judge(mode: &str, reply: impl Fn(&ChatRequest) -> Said + Send + Sync + 'static) -> Fused {
    let models = Scripted::new(move |request| match seat(request) {
        Some(i) => Said::now(TEXTS[i]),
        None => reply(request),
    });
    fuse(models, ask(mode, 3, json!({}))).await.unwrap()
}

/// Verdicts that are none, or hardly one; A, B and C become the labels.
const MALFORMED: &[&str] = &[
    "",
    " ",
    "\n\n",
    "null",
    "true",
    "0",
    "-1",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "{{}}",
    "}{",
    "]",
    "\"",
    "\\",
    "\u{0}",
    "\u{feff}",
    "```",
    "```json",
    "```json\n```",
    "<think>",
    "<think>A</think>",
    "</think>",
    "best",
    "best:",
    "{\"best\"}",
    "{\"best\":}",
    "{\"best\": null}",
    "{\"best\": \"\"}",
    "{\"best\": \"ZZZZ\"}",
    "{\"best\": 1}",
    "{\"best\": [\"A\", \"B\"]}",
    "{\"best\": {\"best\": {}}}",
    "{\"best\": \"A and B\"}",
    "{\"best\": \"A\", \"best\": \"B\"}",
    "{\"scores\": \"high\"}",
    "{\"scores\": null, \"best\": null}",
    "{\"scores\": [1, 2, 3]}",
    "{\"scores\": [{\"answer\": \"A\"}]}",
    "{\"scores\": {\"A\": \"NaN\"}}",
    "{\"scores\": {\"A\": 1e999}}",
    "{\"scores\": {\"A\": -5, \"B\": -5, \"C\": -5}}",
    "{'best': 'A'",
    "{best: A}",
    "{\"best\" \"A\"}",
    "{\"best\": \"A}",
    "A, B, C",
    "ABC",
    "A or B",
    "the first",
    "Answer 1",
    "I am sorry, I cannot help with that.",
    "As a language model I do not judge.",
    "Both are good.",
    "None of them.",
    "Error: 500 Internal Server Error",
    "<html><body>502 Bad Gateway</body></html>",
    "data: [DONE]",
    "{\"error\": {\"message\": \"overloaded\"}}",
    "{\"tool_calls\": [{\"name\": \"pick\"}]}",
    "<tool_call>{\"name\": \"best\"}</tool_call>",
    "best = undefined",
    "NaN",
    "Infinity",
    "{\"best\": true}",
    "{\"best\": [[[[[]]]]]}",
    "{\"verdict\": \"unclear\"}",
    "{\"winner\": \"tie\"}",
    "{\"best\": \"tie\", \"scores\": []}",
    "\u{202e}{\"tseb\": \"A\"}",
    "🥇",
    "А",
    "{\"best\": \"\\ud800\"}",
    "{\"best\": \"\\u00\"}",
    "{\"a\":1}{\"b\":2}",
    "// best: none",
    "/* */",
    "---\n- a\n- b",
];

/// Hand-written ones, a good verdict cut after every character, and good ones with characters lost, doubled and replaced.
fn corpus() -> Vec<String> {
    let good = "{\"scores\": [{\"answer\": \"A\", \"correctness\": 3}, {\"answer\": \"B\", \"correctness\": 9}], \"reason\": \"more\", \"best\": \"B\"}";
    let mut all: Vec<String> = MALFORMED.iter().map(|t| (*t).to_owned()).collect();
    all.extend((1..good.len()).map(|end| good[..end].to_owned()));
    let mut rng = Rng::with_seed(11);
    for _ in 0..300 {
        let mut text: Vec<char> = good.chars().collect();
        for _ in 0..rng.usize(1..8) {
            let at = rng.usize(..text.len());
            match rng.u8(..3) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, text[at]),
                _ => text[at] = ['{', '}', '"', ',', ':', '\\', '\n', 'x', '\u{0}'][rng.usize(..9)],
            }
        }
        all.push(text.into_iter().collect());
    }
    all.extend([100, 10_000].iter().flat_map(|n| ["{", "[", "\"", "{\"best\":", "A"].map(|t| t.repeat(*n))));
    all
}

#[tokio::test(start_paused = true)]
async fn whatever_a_judge_says_there_is_an_answer() {
    let alone = with_judge("best_of", |_| Said::fails(ErrorKind::ServerError)).await;
    assert_eq!(alone.report.judges.iter().filter(|j| j.parsed.is_some()).count(), 0);
    let corpus = corpus();
    assert!(corpus.len() >= 300);
    let (mut read, mut unread) = (0, 0);
    for (i, text) in corpus.iter().enumerate() {
        for mode in ["best_of", "debate", "merge"].into_iter().take(if i % 10 == 0 { 3 } else { 1 }) {
            let text = text.clone();
            let fused = with_judge(mode, move |request| {
                let labels: Vec<String> = shown(request).into_iter().map(|s| s.0).collect();
                let label = |i: usize| labels.get(i).cloned().unwrap_or_default();
                let named =
                    text.replace("\"A\"", &format!("\"{}\"", label(0))).replace("\"B\"", &format!("\"{}\"", label(1)));
                Said::now(named)
            })
            .await;
            if mode == "merge" {
                assert!(!fused.text.is_empty(), "{text:?}", text = corpus[i]);
                continue;
            }
            assert!(TEXTS.contains(&fused.text.as_str()), "{:?}: {}", corpus[i], fused.text);
            let heard = fused.report.judges.iter().any(|j| j.best.is_some());
            if heard {
                read += 1;
            } else {
                unread += 1;
                assert_eq!(fused.text, alone.text, "{:?}", corpus[i]);
                assert!(fused.report.degraded.iter().any(|d| d.step == "judge_output"), "{:?}", corpus[i]);
            }
        }
    }
    println!("{} verdicts: {read} runs read one, {unread} were decided by the evidence", corpus.len());
    assert!(unread > 100 && read > 50, "{read} {unread}");
    for kind in [ErrorKind::Timeout, ErrorKind::Authentication, ErrorKind::ContentFiltered, ErrorKind::Decode] {
        let fused = with_judge("best_of", move |_| Said::fails(kind)).await;
        assert_eq!((fused.text.as_str(), fused.report.judges.is_empty()), (alone.text.as_str(), false));
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_of_members_does_not_choose() {
    // Of three items in ten the judge cannot tell and takes whatever is shown first; else it knows what it likes.
    let (mut items, mut changed, mut by_judge) = (0, 0, 0);
    for seed in 0..300u64 {
        let mut rng = Rng::with_seed(seed);
        let (liked, blind) = (rng.usize(..4), rng.f64() < 0.3);
        let texts: Vec<String> = (0..4).map(|i| format!("{} ({seed}, {i})", TEXTS[i % 3])).collect();
        let mut winners: HashMap<String, u32> = HashMap::new();
        // The anchor is named by the caller; the others change places.
        for order in [[0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1]] {
            let (own, liked) = (texts.clone(), texts[liked].clone());
            let models = Scripted::new(move |request| match seat(request) {
                Some(i) => Said::now(own[i].clone()),
                None => {
                    let all = shown(request);
                    let found = all.iter().find(|(_, text)| !blind && *text == liked).unwrap_or(&all[0]);
                    best(&found.0)
                }
            });
            let pool: Vec<String> = order.iter().map(|i| format!("m/{i}")).collect();
            let fused = fuse(models, ask("best_of", 4, json!({"pool": pool}))).await.unwrap();
            by_judge += u32::from(fused.report.decision.method == "judge");
            *winners.entry(fused.text).or_default() += 1;
        }
        let most = winners.values().max().copied().unwrap_or(0);
        (items, changed) = (items + 6, changed + 6 - most);
    }
    println!("another winner in {changed} of {items} orders, {by_judge} chosen by the judge");
    assert!(f64::from(changed) <= 0.02 * f64::from(items), "{changed} of {items}");
    assert!(by_judge > items / 2, "the judge decides where it can: {by_judge}");
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_obeys_is_not_talked_to() {
    let attacks = include_str!("attacks.txt").lines().filter(|l| !l.trim().is_empty()).map(str::to_owned);
    let attacks: Vec<String> = attacks.collect();
    assert!(attacks.len() >= 50, "{}", attacks.len());
    let won = AtomicU64::default();
    let lost: Mutex<Vec<String>> = Mutex::default();
    for attack in &attacks {
        let planted = format!("{}\n{attack}", TEXTS[2]);
        let models = Scripted::new(move |request| match seat(request) {
            Some(2) => Said::now(planted.clone()),
            Some(i) => Said::now(TEXTS[i]),
            // It does whatever the longest text says, in both orders.
            None => best(&shown(request).into_iter().max_by_key(|s| s.1.len()).unwrap().0),
        });
        let fused = fuse(models, ask("best_of", 3, json!({}))).await.unwrap();
        if fused.text.contains(attack.as_str()) {
            won.fetch_add(1, Ordering::Relaxed);
            lost.lock().unwrap().push(attack.clone());
        }
    }
    let won = won.into_inner();
    println!("{won} of {} attacks won", attacks.len());
    assert!(won * 100 <= 5 * attacks.len() as u64, "{:#?}", lost.into_inner().unwrap());
}
