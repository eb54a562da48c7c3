//! What a fusion costs beside its calls, and what it gains, beside the goals: time and memory of a run over models that answer
//! at once, many runs together, and a grid of simulated pools and judges with the defaults as they are shipped. Prints;
//! asserts nothing. `make bench-fusion`; `ITEMS=40000` for a finer grid, `ITEMS=0` to leave it out.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use interfuse::backend::KeySources;
use interfuse::clock::SystemClock;
use interfuse::engine::Parts;
use interfuse::http::{Body, HttpRequest, HttpResponse, Transport};
use interfuse::types::{Config, FuseRequest, Fused};
use interfuse::{Catalog, Client, Result};
use serde_json::{Value, json};

/// Milliseconds that the engine may add to a run of eight members, at the 99th percentile.
const GOAL_MS: f64 = 2.0;
/// Bytes that a run may hold at once.
const GOAL_BYTES: usize = 1 << 20;
const SEATS: usize = 8;
const RUNS: usize = 3000;
const TOGETHER: usize = 500;
/// Points that the worst cell of the grid may lose, and that members that are nearly equal must gain.
const GOAL_WORST: f64 = -2.0;
const GOAL_EQUAL: f64 = 3.0;

/// What a model says to a request's JSON.
type Say = Box<dyn Fn(&Value) -> String + Send + Sync>;

/// Models in this process that answer after so long.
struct InProcess {
    say: Arc<Say>,
    after: Duration,
}

impl Transport for InProcess {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        let (say, after) = (self.say.clone(), self.after);
        async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            let answer = json!({
                "id": "x", "object": "chat.completion", "created": 1, "model": asked["model"],
                "choices": [{"index": 0, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": say(&asked)}}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
            });
            let mut headers = interfuse::http::HeaderMap::new();
            headers.insert("content-type", interfuse::http::HeaderValue::from_static("application/json"));
            let body = Bytes::from(answer.to_string());
            Ok(HttpResponse { status: 200, headers, body: Body::new(stream::iter([Ok(body)])) })
        }
        .boxed()
    }
}

fn client(after: Duration, say: Say) -> Client {
    let models = (0..SEATS).map(|seat| seat.to_string()).chain(["judge".to_owned()]);
    let prices: serde_json::Map<String, Value> =
        models.map(|model| (format!("up/{model}"), json!({"input": "1", "output": "2"}))).collect();
    let config: Config = serde_json::from_value(json!({
        "use_environment": false,
        "providers": {"up": {"base_url": "http://127.0.0.1:1/v1", "api_key": "k"}},
        "prices": prices,
    }))
    .unwrap();
    let transport: Arc<dyn Transport> = Arc::new(InProcess { say: Arc::new(say), after });
    let parts = Parts {
        catalog: Catalog::builtin(),
        transport: Some(transport),
        web: None,
        ledger: None,
        clock: Arc::new(SystemClock),
        keys: KeySources::new(),
    };
    Client::with_parts(config, parts).unwrap()
}

fn request(mode: &str, seats: usize, prompt: &str) -> FuseRequest {
    let pool: Vec<String> = (0..seats).map(|i| format!("up/{i}")).collect();
    let asked = json!({"prompt": prompt, "mode": mode, "pool": pool, "judge": "up/judge", "seed": 7});
    serde_json::from_value(asked).unwrap()
}

/// The texts that a judge is shown, with their codes, in their order.
fn shown(asked: &Value) -> Vec<(String, String)> {
    let text =
        asked["messages"].as_array().and_then(|m| m.last()).and_then(|m| m["content"].as_str()).unwrap_or_default();
    let rows = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    rows.filter_map(|row| Some((row["answer"].as_str()?.to_owned(), row["text"].as_str()?.to_owned()))).collect()
}

fn verdict(code: &str) -> String {
    json!({"scores": [], "reason": "it is right", "best": code}).to_string()
}

/// Texts of a few hundred words, each of its own words.
fn paragraph(seat: usize) -> String {
    let mut rng = Rng::with_seed(seat as u64 + 1);
    let word = |rng: &mut Rng| -> String { (0..rng.usize(3..9)).map(|_| rng.lowercase()).collect() };
    (0..120).map(|_| word(&mut rng)).collect::<Vec<_>>().join(" ")
}

fn eight(after: Duration) -> Client {
    let paragraphs: Vec<String> = (0..SEATS).map(paragraph).collect();
    client(
        after,
        Box::new(move |asked: &Value| match asked["model"].as_str().unwrap_or_default() {
            "judge" => match shown(asked).first() {
                Some((code, _)) => verdict(code),
                None => "A merged answer.".to_owned(),
            },
            seat => paragraphs[seat.parse::<usize>().unwrap()].clone(),
        }),
    )
}

fn tell(what: &str, told: String, met: bool) {
    println!("{what:<44} {told:<44} {}", if met { "met" } else { "NOT MET" });
}

async fn time_of_runs(client: &Client) {
    for mode in ["best_of", "vote", "merge"] {
        let mut taken: Vec<f64> = Vec::with_capacity(RUNS);
        for turn in 0..RUNS + 200 {
            let request = request(mode, SEATS, "Tell me something.");
            let started = Instant::now();
            let fused = client.fuse(request).await.unwrap();
            let ms = started.elapsed().as_secs_f64() * 1e3;
            assert_eq!(fused.report.members.len(), SEATS);
            // The first ones warm up.
            if turn >= 200 {
                taken.push(ms);
            }
        }
        taken.sort_by(f64::total_cmp);
        let (p50, p99) = (taken[RUNS / 2], taken[RUNS / 100 * 99]);
        let what = format!("{mode}, {SEATS} members, with all calls");
        tell(&what, format!("p50 {p50:.2} ms   p99 {p99:.2} ms   goal ≤ {GOAL_MS} ms"), p99 <= GOAL_MS);
    }
}

/// A figure of this process's memory, bytes; 0 where the system does not tell.
fn memory(name: &str) -> usize {
    let told = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = told.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0) << 10
}

/// Runs that are all under way at once, half of them on each of two threads.
fn many_together(client: &Client) {
    // Resets the peak.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = memory("VmRSS");
    let started = Instant::now();
    let half = || {
        runtime().block_on(async {
            let run = || client.fuse(request("best_of", SEATS, "Tell me something."));
            futures_util::future::join_all((0..TOGETHER / 2).map(|_| run())).await
        })
    };
    let ended: Vec<Result<Fused>> = std::thread::scope(|scope| {
        let threads = [scope.spawn(half), scope.spawn(half)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let ms = started.elapsed().as_millis();
    let whole = |fused: &Fused| fused.report.cost.calls as usize == SEATS + 2 && fused.report.degraded.is_empty();
    let failed = ended.iter().filter(|run| !run.as_ref().is_ok_and(whole)).count();
    let each = memory("VmHWM").saturating_sub(before) / TOGETHER;
    let told =
        format!("{failed} with a failed call, {ms} ms, {} KiB each   goal ≤ {} KiB", each >> 10, GOAL_BYTES >> 10);
    tell(&format!("{TOGETHER} runs at once on 2 threads"), told, failed == 0 && each <= GOAL_BYTES);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sentences that have nothing in common: a right answer, the usual wrong one, and one wrong answer for each member.
const TEXTS: [&str; 5] = [
    "Alpine lakes freeze from their edges towards the middle, where deep water keeps the warmth of summer longest.",
    "Granite weathers slowly because quartz resists acid, while feldspar turns into clay within some thousand years.",
    "Swifts sleep on the wing for months at a time, gliding high above towns that they never touch with their feet.",
    "Printing with movable type spread along rivers, since paper mills needed clear currents and barges carried books.",
    "Honey keeps for centuries: it holds too little moisture for moulds, and bees add an enzyme that makes peroxide.",
];

/// Pools by the chance of each member to be right; the first is the anchor.
const POOLS: [(&str, [f64; 3]); 4] = [
    ("nearly equal   .70 .70 .68", [0.70, 0.70, 0.68]),
    ("one better     .75 .65 .60", [0.75, 0.65, 0.60]),
    ("much better    .80 .65 .60", [0.80, 0.65, 0.60]),
    ("dominant       .85 .60 .55", [0.85, 0.60, 0.55]),
];
static JUDGES: [f64; 4] = [0.5, 0.6, 0.7, 0.8];
/// Spread of the difficulty that members share, chance that wrong answers are the same one, and that a judge takes what
/// stands first.
const DIFFICULTY: f64 = 1.2;
const SAME_ERROR: f64 = 0.6;
const FIRST: f64 = 0.2;

fn normal(rng: &mut Rng) -> f64 {
    // Box and Muller 1958.
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// The ease that makes a member right with this chance over all difficulties.
fn ease(chance: f64) -> f64 {
    let mean = |ease: f64| -> f64 {
        let mut rng = Rng::with_seed(3);
        (0..20_000).map(|_| 1.0 / (1.0 + (-(ease + DIFFICULTY * normal(&mut rng))).exp())).sum::<f64>() / 20_000.0
    };
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if mean(middle) < chance { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// What the members say to an item, as places in [`TEXTS`].
fn answers(item: u64, eases: &[f64; 3]) -> [usize; 3] {
    let mut rng = Rng::with_seed(item);
    let difficulty = DIFFICULTY * normal(&mut rng);
    let mut member = 1;
    eases.map(|ease| {
        member += 1;
        let right = rng.f64() < 1.0 / (1.0 + (-(ease + difficulty)).exp());
        let usual = rng.f64() < SAME_ERROR;
        match (right, usual) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => member,
        }
    })
}

/// What a judge takes for right, as a place in [`TEXTS`]: the same in every order.
fn belief(item: u64, said: &[usize; 3], trust: f64) -> usize {
    let mut rng = Rng::with_seed(item ^ 0x5bd1_e995);
    let mut different: Vec<usize> = said.to_vec();
    different.sort_unstable();
    different.dedup();
    let knows = rng.f64() < if different.len() > 2 { trust.powf(1.25) } else { trust };
    if knows && different[0] == 0 {
        return 0;
    }
    let wrong: Vec<usize> = different.into_iter().filter(|said| *said != 0).collect();
    wrong[rng.usize(..wrong.len())]
}

/// The item that a prompt is about.
fn item_of(asked: &Value) -> u64 {
    let text =
        asked["messages"].as_array().and_then(|m| m.last()).and_then(|m| m["content"].as_str()).unwrap_or_default();
    let number = text.split_once("Item ").map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    number.flatten().and_then(|number| number.parse().ok()).unwrap()
}

/// Points that the fusion gains over its anchor, judge calls for each item, and member calls.
fn cell(pool: [f64; 3], trust: f64, items: u64) -> (f64, f64, f64) {
    let eases = pool.map(ease);
    let client = client(
        Duration::ZERO,
        Box::new(move |asked: &Value| {
            let item = item_of(asked);
            let said = answers(item, &eases);
            match asked["model"].as_str().unwrap_or_default() {
                "judge" => {
                    let all = shown(asked);
                    let mut rng =
                        Rng::with_seed(item.wrapping_mul(31).wrapping_add(all[0].0.bytes().map(u64::from).sum()));
                    let believed = TEXTS[belief(item, &said, trust)];
                    let place = all.iter().position(|(_, text)| text == believed).unwrap_or(0);
                    verdict(&all[if rng.f64() < FIRST { 0 } else { place }].0)
                }
                seat => TEXTS[said[seat.parse::<usize>().unwrap()]].to_owned(),
            }
        }),
    );
    let runs = stream::iter(0..items).map(|item| {
        let client = client.clone();
        async move {
            let fused = client.fuse(request("auto", 3, &format!("Item {item}: what is true?"))).await.unwrap();
            let right = i64::from(fused.text == TEXTS[0]) - i64::from(answers(item, &eases)[0] == 0);
            (right, fused.report.judges.len(), fused.report.cost.calls as usize - fused.report.judges.len())
        }
    });
    let sums = runs.buffer_unordered(8).fold((0i64, 0usize, 0usize), |sum, (right, judges, members)| async move {
        (sum.0 + right, sum.1 + judges, sum.2 + members)
    });
    let (right, judges, members) = runtime().block_on(sums);
    let of = |sum: f64| sum / items as f64;
    (of(right as f64) * 100.0, of(judges as f64), of(members as f64))
}

fn grid(items: u64) {
    println!("\npoints gained over the anchor alone, mode auto, shipped defaults, {items} items a cell, seeded");
    println!("{:<30} {}", "judge is right in", JUDGES.map(|q| format!("{q:>8}")).concat());
    let (mut worst, mut equal) = (f64::INFINITY, f64::INFINITY);
    let (mut judged, mut asked) = (0.0, 0.0);
    for (row, (name, pool)) in POOLS.iter().enumerate() {
        let gains: Vec<(f64, f64, f64)> = std::thread::scope(|scope| {
            let halves = [&JUDGES[..2], &JUDGES[2..]];
            let run = |half: &'static [f64]| half.iter().map(|trust| cell(*pool, *trust, items)).collect::<Vec<_>>();
            let threads = halves.map(|half| scope.spawn(move || run(half)));
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        for (gain, judges, members) in &gains {
            worst = worst.min(*gain);
            if row == 0 {
                equal = equal.min(*gain);
            }
            (judged, asked) = (judged + judges / 16.0, asked + members / 16.0);
        }
        println!("{name:<30} {}", gains.iter().map(|(gain, ..)| format!("{gain:>+8.1}")).collect::<String>());
    }
    println!("{asked:.2} member calls and {judged:.2} judge calls an item, on average");
    tell("worst cell", format!("{worst:+.1}   goal ≥ {GOAL_WORST:+.1}"), worst >= GOAL_WORST);
    tell("worst cell of nearly equal members", format!("{equal:+.1}   goal ≥ {GOAL_EQUAL:+.1}"), equal >= GOAL_EQUAL);
}

fn main() {
    runtime().block_on(time_of_runs(&eight(Duration::ZERO)));
    many_together(&eight(Duration::from_millis(200)));
    let items = std::env::var("ITEMS").ok().and_then(|items| items.parse().ok()).unwrap_or(8000);
    if items > 0 {
        grid(items);
    }
}
