//! What a client costs that runs for long: memory over many calls, sockets and tasks after cancelled ones, memory of many
//! slow streams at once. Prints what it measures and fails above the bounds. The server it asks is a process of its own.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use interfuse::types::{ChatRequest, Config, Message, UsageQuery};
use interfuse::{ChatStream, Client};
use interfuse_tests::soak::{Chance, Server, rss_kib, serve, sockets};
use serde_json::json;
use tokio::runtime::{Builder, Handle};

const USAGE: &str = "usage: soak [--calls N] [--cancels N] [--streams N]
N is 0 for a part that is left out; without options: 200000 calls, 10000 cancelled ones, 1000 streams.";

/// Tasks that share the client.
const TASKS: usize = 64;
/// Connections that a client may keep: one that was being made for a call which then took another is kept, too.
const MOST: usize = 2 * TASKS;
/// Calls that show how long one takes, before some are cancelled.
const REHEARSED: usize = 512;
/// How much memory may grow over all calls after the warm-up.
const GROWTH_KIB: i64 = 4 << 10;
/// What all streams together may take above an idle client.
const STREAMS_KIB: i64 = 64 << 10;

type Outcome = Result<(), String>;

/// One part of the program, of so many calls.
type Part = fn(&Server, usize) -> Outcome;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "soak: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let (mut calls, mut cancels, mut streams) = (200_000, 10_000, 1_000);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "serve" {
            return serve().map_err(|e| e.to_string());
        }
        let number = args.next().and_then(|n| n.parse().ok()).ok_or(USAGE)?;
        match arg.as_str() {
            "--calls" => calls = number,
            "--cancels" => cancels = number,
            "--streams" => streams = number,
            _ => return Err(USAGE.into()),
        }
    }
    let server = Server::start().map_err(|e| format!("the server does not start: {e}"))?;
    let parts: [(usize, Part); 3] = [(calls, many_calls), (cancels, cancelled_calls), (streams, slow_streams)];
    // One after the other, and all of them, so that one run shows everything.
    let faults: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).filter_map(|(count, part)| part(&server, *count).err()).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nsoak: ")) }
}

fn client(server: &Server) -> Result<Client, String> {
    let up = |mode: &str| json!({"base_url": format!("{}/{mode}/v1", server.base), "api_key": "key-of-the-soak"});
    let config = json!({
        "use_environment": false,
        "providers": {"fast": up("fast"), "slow": up("slow"), "drip": up("drip")},
        "retries": {"max_retries": 0}
    });
    let config: Config = serde_json::from_value(config).map_err(|e| e.to_string())?;
    Client::from_config(config).map_err(|e| e.to_string())
}

fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|e| e.to_string())
}

fn ask(model: &str) -> ChatRequest {
    ChatRequest::new(model, [Message::user("Where is it?")])
}

/// Reads at most so many chunks of a stream and drops it.
async fn read(stream: interfuse::Result<ChatStream>, most: usize) -> interfuse::Result<()> {
    let mut stream = stream?;
    for _ in 0..most {
        match stream.next().await {
            Some(chunk) => drop(chunk?),
            None => break,
        }
    }
    Ok(())
}

/// Runs `call` so many times, in [`TASKS`] tasks at once; gives the number that failed.
async fn spread<F, R>(count: usize, call: F) -> usize
where
    F: Fn(usize) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = bool> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let failed = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let (next, failed, call) = (next.clone(), failed.clone(), call.clone());
        tasks.push(tokio::spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    return;
                }
                if !call(at).await {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    for task in tasks {
        if task.await.is_err() {
            failed.fetch_add(1, Ordering::Relaxed);
        }
    }
    failed.load(Ordering::Relaxed)
}

/// Whole answers, streams, and streams dropped half-way, by tasks that share one client.
fn many_calls(server: &Server, count: usize) -> Outcome {
    const STEPS: usize = 20;
    let runtime = runtime()?;
    let client = client(server)?;
    let calls = |count: usize| {
        let client = client.clone();
        runtime.block_on(spread(count, move |at| {
            let client = client.clone();
            async move {
                match at % 4 {
                    0 => read(client.chat_stream(ask("fast/m")).await, usize::MAX).await.is_ok(),
                    1 => read(client.chat_stream(ask("fast/m")).await, 2).await.is_ok(),
                    _ => client.chat(ask("fast/m")).await.is_ok(),
                }
            }
        }))
    };
    // The ledger is full and every arena in use by then.
    let warm = (count / 5).max(8_000);
    let mut failed = calls(warm);
    let first = rss_kib();
    say(&format!("calls: {TASKS} tasks, warm after {warm} calls at {first} KiB"));
    let mut highest = first;
    for step in 1..=STEPS {
        failed += calls(count / STEPS);
        let now = rss_kib();
        highest = highest.max(now);
        say(&format!("calls: {:>7} more, {now} KiB ({:+})", step * count / STEPS, now - first));
    }
    if failed > 0 {
        return Err(format!("calls: {failed} failed"));
    }
    if highest - first > GROWTH_KIB {
        return Err(format!("calls: memory grew by {} KiB, over {GROWTH_KIB}", highest - first));
    }
    nothing_left(server, "calls", runtime.handle(), client)
}

/// Calls dropped at random moments, whole and streamed.
fn cancelled_calls(server: &Server, count: usize) -> Outcome {
    let runtime = runtime()?;
    let client = client(server)?;
    // How long a call takes here when nobody cancels it.
    let (rehearsed, shared) = (Instant::now(), client.clone());
    let failed = runtime.block_on(spread(REHEARSED, move |_| {
        let client = shared.clone();
        async move { read(client.chat_stream(ask("slow/m")).await, usize::MAX).await.is_ok() }
    }));
    if failed > 0 {
        return Err(format!("cancels: {failed} calls failed that nobody cancelled"));
    }
    let longest = 2 * rehearsed.elapsed().as_micros() as u64 * TASKS as u64 / REHEARSED as u64;
    let (_, before) = server.stats()?;
    let storm = |seed: usize| {
        let shared = client.clone();
        runtime.block_on(spread(count / 2, move |at| {
            let client = shared.clone();
            async move {
                let mut chance = Chance((seed * count + at) as u64);
                let patience = Duration::from_micros(chance.below(longest));
                let call = async {
                    match at % 2 {
                        0 => client.chat(ask("slow/m")).await.map(drop),
                        _ => read(client.chat_stream(ask("slow/m")).await, usize::MAX).await,
                    }
                };
                tokio::time::timeout(patience, call).await.is_ok()
            }
        }))
    };
    let mut cancelled = storm(1);
    let first = rss_kib();
    cancelled += storm(2);
    let grown = rss_kib() - first;
    let (_, after) = server.stats()?;
    let booked = client.usage(UsageQuery::default()).map_err(|e| e.to_string())?.total.attempts;
    let seen = after - before;
    say(&format!(
        "cancels: {cancelled} of {count} calls were cancelled within {} ms, the server saw {seen}, the ledger has {booked}, \
         memory {grown:+} KiB over the second half",
        longest / 1000
    ));
    if cancelled < count / 4 || cancelled == count || seen < count / 4 {
        return Err(format!("cancels: {cancelled} of {count} says nothing of random points"));
    }
    if (booked as usize) < seen {
        return Err(format!("cancels: the server saw {seen} requests and the ledger has {booked}"));
    }
    if grown > GROWTH_KIB {
        return Err(format!("cancels: memory grew by {grown} KiB, over {GROWTH_KIB}"));
    }
    nothing_left(server, "cancels", runtime.handle(), client)
}

/// Streams that are all open at once, each with a chunk now and then.
fn slow_streams(server: &Server, count: usize) -> Outcome {
    let runtime = runtime()?;
    let client = client(server)?;
    runtime.block_on(async {
        read(client.chat_stream(ask("drip/m")).await, 2).await.map_err(|e| e.to_string())?;
        let idle = rss_kib();
        let mut open = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = client.chat_stream(ask("drip/m")).await.map_err(|e| format!("streams: {e}"))?;
            stream.next().await.transpose().map_err(|e| format!("streams: {e}"))?;
            open.push(stream);
        }
        let mut most = 0;
        for _ in 0..5 {
            for stream in &mut open {
                stream.next().await.transpose().map_err(|e| format!("streams: {e}"))?;
            }
            most = most.max(rss_kib() - idle);
        }
        let each = most / count.max(1) as i64;
        say(&format!("streams: {count} open at once take {most} KiB above an idle client ({each} KiB each)"));
        let (at_server, _) = server.stats()?;
        if at_server < count {
            return Err(format!("streams: {at_server} connections are open, not {count}"));
        }
        if most > STREAMS_KIB {
            return Err(format!("streams: {most} KiB are over {STREAMS_KIB}"));
        }
        Ok(())
    })?;
    nothing_left(server, "streams", runtime.handle(), client)
}

/// A client at rest holds no more than its pool; one that is gone holds nothing.
fn nothing_left(server: &Server, part: &str, runtime: &Handle, client: Client) -> Outcome {
    let (_, pooled, tasks) = at_rest(server, runtime, |(at_server, here, _)| at_server == here && here <= MOST)
        .map_err(|left| format!("{part}: at rest there are {left}"))?;
    drop(client);
    at_rest(server, runtime, |left| left == (0, 0, 0))
        .map_err(|left| format!("{part}: without a client there are {left}"))?;
    say(&format!("{part}: {pooled} connections and {tasks} tasks at rest, none without the client"));
    Ok(())
}

/// Waits until connections at the server, sockets here and tasks are as they should be.
fn at_rest(
    server: &Server,
    runtime: &Handle,
    fine: impl Fn((usize, usize, usize)) -> bool,
) -> Result<(usize, usize, usize), String> {
    for _ in 0..200 {
        let left = (server.stats()?.0, sockets(), runtime.metrics().num_alive_tasks());
        if fine(left) {
            return Ok(left);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let left = (server.stats()?.0, sockets(), runtime.metrics().num_alive_tasks());
    Err(format!("{} connections at the server, {} sockets here, {} tasks", left.0, left.1, left.2))
}
