//! Batches over a scripted transport, under a clock that moves by itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{iter, once, pending};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::*;
use crate::Catalog;
use crate::clock::SystemClock;
use crate::engine::Parts;
use crate::http::{Body, HttpRequest, HttpResponse, Transport};
use crate::types::{BatchProgress, BatchReport, BatchRow, ChatRequest, Message, UsageQuery};

/// Answers what it is asked in capitals: 10 tokens in, 5 out. `fail` gets 400, `slow` takes a minute, `hang` for ever; everything
/// else a second.
#[derive(Default)]
struct Server {
    asked: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Server {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A request is under way until this is dropped.
struct Open(Arc<Server>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Wire(Arc<Server>);

impl Transport for Wire {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let said = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
        let now = self.0.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.most.fetch_max(now, Ordering::Relaxed);
        self.0.asked.lock().unwrap().push(said.clone());
        let open = Open(self.0.clone());
        Box::pin(async move {
            match said.as_str() {
                _ if said.contains("hang") => pending::<()>().next().await.unwrap(),
                _ if said.contains("slow") => sleep(Duration::from_secs(60)).await,
                _ => sleep(Duration::from_secs(1)).await,
            }
            drop(open);
            let (status, text) = match said.contains("fail") {
                true => (400, json!({"error": {"message": "no"}}).to_string()),
                false => {
                    let delta = json!({"choices": [{"index": 0, "delta": {"content": said.to_uppercase()}}]});
                    let stop = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
                    let usage = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}});
                    (200, format!("data: {delta}\n\ndata: {stop}\n\ndata: {usage}\n\ndata: [DONE]\n\n"))
                }
            };
            Ok(HttpResponse {
                status,
                headers: HeaderMap::new(),
                body: Body::new(once(async move { Ok(Bytes::from(text)) })),
            })
        })
    }
}

/// What an answer costs, nano-USD.
const COST: u64 = 15_000;

fn client() -> (Client, Arc<Server>) {
    let config = json!({
        "use_environment": false,
        "providers": {"up": {"base_url": "http://up.example/v1", "api_key": "k"}},
        "prices": {"up/a": {"input": "1", "output": "1"}},
        "timeouts": {"first_token_ms": 600_000}
    });
    let server = Arc::<Server>::default();
    let parts = Parts {
        catalog: Catalog::builtin(),
        transport: Some(Arc::new(Wire(server.clone()))),
        web: None,
        ledger: None,
        clock: Arc::new(SystemClock),
        keys: Default::default(),
    };
    (Client::with_parts(serde_json::from_value(config).unwrap(), parts).unwrap(), server)
}

fn options(more: Value) -> BatchOptions {
    let mut options = json!({"common": {"model": "up/a", "max_tokens": 5, "max_retries": 0}});
    options.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    serde_json::from_value(options).unwrap()
}

#[derive(Default)]
struct Read {
    rows: Vec<BatchRow>,
    progress: Vec<BatchProgress>,
    report: Option<BatchReport>,
    error: Option<Error>,
}

impl Read {
    fn texts(&self) -> Vec<&str> {
        self.rows.iter().map(BatchRow::text).collect()
    }

    fn kinds(&self) -> Vec<Option<ErrorKind>> {
        self.rows.iter().map(|row| row.error.as_ref().map(|error| error.kind)).collect()
    }
}

async fn read(mut batch: BatchStream) -> Read {
    let mut read = Read::default();
    while let Some(event) = batch.next().await {
        match event {
            Ok(BatchEvent::Row { row }) => read.rows.push(*row),
            Ok(BatchEvent::Progress { progress }) => read.progress.push(progress),
            Ok(BatchEvent::Done { report }) => read.report = Some(*report),
            Err(error) => read.error = Some(error),
        }
    }
    assert_ne!(read.report.is_some(), read.error.is_some(), "a batch ends in one way");
    read
}

async fn run(client: &Client, prompts: &[&str], more: Value) -> Read {
    let prompts: Vec<String> = prompts.iter().map(|prompt| (*prompt).to_owned()).collect();
    read(client.batch(iter(prompts), options(more)).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn rows_come_in_the_order_of_the_requests_or_as_they_finish() {
    let (client, server) = client();
    let found = run(&client, &["slow", "b", "fail", "d"], json!({"total": 4})).await;
    assert_eq!(found.texts(), ["SLOW", "B", "", "D"]);
    assert_eq!(found.kinds(), [None, None, Some(ErrorKind::InvalidRequest), None]);
    let costs: Vec<_> = found.rows.iter().map(|row| (row.cost_nanos, row.attempts, row.latency_ms)).collect();
    assert_eq!(costs, [(Some(COST), 1, 60_000), (Some(COST), 1, 1000), (Some(0), 1, 1000), (Some(COST), 1, 1000)]);
    let report = found.report.as_ref().unwrap();
    assert_eq!((report.rows, report.answered, report.failed, report.not_asked), (4, 3, 1, 0));
    assert_eq!((report.spent_nanos, report.spent_usd.as_str()), (3 * COST, "0.000045"));
    assert_eq!((report.prompt_tokens, report.completion_tokens), (30, 15));
    assert_eq!((report.p50_ms, report.p95_ms, report.took_ms), (1000, 60_000, 60_000));
    assert_eq!(report.errors["invalid_request"], 1);
    let (first, last) = (found.progress[0], found.progress.last().unwrap());
    assert_eq!((first.done, first.of, last.done, last.failed, last.eta_ms), (0, Some(4), 4, 1, Some(0)));
    assert_eq!(last.spent_nanos, 3 * COST);

    let found = run(&client, &["slow", "b"], json!({"ordered": false})).await;
    assert_eq!((found.texts(), found.rows[0].index), (vec!["B", "SLOW"], 1));
    assert_eq!(server.asked().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_request_says_as_much_as_it_wants() {
    let (client, server) = client();
    let mut own = ChatRequest::new("up/b", [Message::user("own model")]);
    own.temperature = Some(0.5);
    let requests = [
        Ok(BatchRequest::from("a text")),
        Ok(BatchRequest::from(vec![Message::user("one"), Message::system("two"), Message::user("a list")])),
        Ok(own.into()),
        BatchRequest::from_value(&json!({"messages": [{"role": "user", "content": "no model"}]})),
        BatchRequest::from_value(&json!({"messages": [{"role": 7}]})),
        BatchRequest::from_value(&json!(7)),
    ];
    let (feed, batch) = client.batch_fed(options(json!({}))).unwrap();
    for request in requests {
        assert!(feed.push(request));
    }
    drop(feed);
    let found = read(batch).await;
    assert_eq!(found.texts()[..4], ["A TEXT", "A LIST", "OWN MODEL", "NO MODEL"]);
    assert_eq!(found.rows[2].response.as_ref().unwrap().interfuse.as_ref().unwrap().model, "b");
    assert_eq!(found.rows[2].cost_nanos, None, "a model without a price");
    for row in &found.rows[4..] {
        assert_eq!((row.error.as_ref().unwrap().kind, row.attempts), (ErrorKind::InvalidRequest, 0));
    }
    assert!(found.rows[4].error.as_ref().unwrap().message.contains("messages[0].role"), "{:?}", found.rows[4].error);
    let report = found.report.unwrap();
    assert_eq!((report.not_asked, report.unknown_calls, server.asked().len()), (2, 1, 4));
}

#[tokio::test(start_paused = true)]
async fn requests_are_pulled_as_there_is_room() {
    let (client, server) = client();
    let pulled = Arc::new(AtomicUsize::new(0));
    let count = pulled.clone();
    let requests = iter(0..100_000).map(move |i| {
        count.fetch_add(1, Ordering::Relaxed);
        i.to_string()
    });
    let mut batch = client.batch(requests, options(json!({"concurrency": 3}))).unwrap();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(pulled.load(Ordering::Relaxed), WINDOW.1, "nobody reads");
    let mut rows = 0;
    while rows < 300 {
        rows += usize::from(matches!(batch.next().await.unwrap().unwrap(), BatchEvent::Row { .. }));
    }
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(pulled.load(Ordering::Relaxed), WINDOW.1 + 300);
    assert_eq!(server.most.load(Ordering::Relaxed), 3);
    drop(batch);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(pulled.load(Ordering::Relaxed), WINDOW.1 + 300);

    let (feed, mut batch) = client.batch_fed(options(json!({}))).unwrap();
    assert_eq!(feed.room(), WINDOW.1);
    while feed.push(Ok("x".into())) {}
    assert_eq!(feed.room(), 0);
    while !matches!(batch.next().await.unwrap().unwrap(), BatchEvent::Row { .. }) {}
    assert_eq!(feed.room(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_cancels_what_is_under_way_and_books_it() {
    let (client, server) = client();
    let folder = tempfile::tempdir().unwrap();
    let file = json!({"checkpoint": folder.path().join("run").to_str().unwrap()});
    let prompts = ["a", "hang", "hang"].map(str::to_owned);
    let mut batch = client.batch(iter(prompts.clone()), options(file.clone())).unwrap();
    let rows = async { while !matches!(batch.next().await.unwrap().unwrap(), BatchEvent::Row { .. }) {} };
    rows.await;
    drop(batch);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.now.load(Ordering::Relaxed), 0);
    let by = UsageQuery { by: vec!["outcome".into()], ..Default::default() };
    let rows = client.usage(by).unwrap().rows;
    let cancelled = rows.iter().find(|row| row.group["outcome"].as_deref() == Some("cancelled")).unwrap();
    assert_eq!(cancelled.calls, 2);
    let last: Value = last_line(&folder.path().join("run"));
    assert_eq!((last["spent_nanos"].as_u64(), last["unknown_calls"].as_u64()), (Some(COST), Some(2)));
}

fn last_line(path: &Path) -> Value {
    serde_json::from_str(std::fs::read_to_string(path).unwrap().lines().last().unwrap()).unwrap()
}

/// The most that a request of one letter may cost, nano-USD: its bytes, what templates add, and five tokens of answer.
const MOST: u64 = (1 + 16 + 128 + 5) * 1000;

fn dollars(nanos: u64) -> String {
    NanoUsd::from_nanos(nanos).unwrap().to_string()
}

#[tokio::test(start_paused = true)]
async fn the_budget_holds_and_no_row_is_refused_for_money_that_comes_back() {
    let (client, server) = client();
    // Room for one at a time, and for eight in all: what an answer leaves of its hold serves the next.
    let budget = MOST + 7 * COST;
    let prompts = ["a"; 20];
    let found = run(&client, &prompts, json!({"budget": dollars(budget), "concurrency": 8})).await;
    assert_eq!((server.asked().len(), server.most.load(Ordering::Relaxed)), (8, 1));
    assert_eq!(found.rows.len(), 20);
    let report = found.report.as_ref().unwrap();
    assert_eq!((report.answered, report.not_asked, report.failed), (8, 12, 0));
    assert_eq!((report.spent_nanos, report.budget_nanos), (8 * COST, Some(budget)));
    assert!(report.spent_nanos <= budget);
    let row = found.rows.iter().find(|row| row.error.is_some()).unwrap();
    let error = row.error.as_ref().unwrap();
    assert_eq!((error.kind, error.param.as_deref()), (ErrorKind::BudgetExceeded, Some("budget")));
    assert_eq!((row.attempts, row.cost_nanos, row.response.is_none()), (0, Some(0), true));
    for part in ["nothing was sent", "the batch's `budget` of", "raise `budget`"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_budget_a_smaller_row_is_asked_where_a_large_one_does_not_fit() {
    let (client, _) = client();
    let large = "x".repeat(1000);
    let found = run(&client, &["a", &large, "b"], json!({"budget": dollars(MOST + COST)})).await;
    assert_eq!(found.kinds(), [None, Some(ErrorKind::BudgetExceeded), None]);
    let unpriced = json!({"budget": "1", "common": {"model": "up/none"}});
    let found = run(&client, &["a"], unpriced).await;
    assert_eq!(found.kinds(), [Some(ErrorKind::BudgetExceeded)]);
}

#[tokio::test(start_paused = true)]
async fn a_fusion_is_paid_from_the_budget_too() {
    let (client, server) = client();
    let common = |budget: &str| {
        json!({"common": {"model": "interfuse/vote", "max_tokens": 5,
        "fusion": {"pool": ["up/a", "up/a"]}}, "budget": budget})
    };
    let found = run(&client, &["What is it?"], common("1")).await;
    // The second answer is not waited for.
    assert_eq!((found.kinds(), found.rows[0].attempts), (vec![None], 2));
    assert!(found.report.unwrap().spent_nanos >= COST);
    let found = run(&client, &["What is it?"], common("0.000001")).await;
    assert_eq!((found.kinds(), found.rows[0].attempts), (vec![Some(ErrorKind::BudgetExceeded)], 0));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_where_it_was_interrupted() {
    let (client, server) = client();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let file = json!({"checkpoint": path.to_str().unwrap(), "concurrency": 2});
    let prompts: Vec<String> = (0..20).map(|i| if i == 3 { "fail".into() } else { format!("row {i}") }).collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let interrupted = run(&client, &prompts, file.clone());
    assert!(timeout(Duration::from_millis(5500), interrupted).await.is_err());
    let lines = std::fs::read_to_string(&path).unwrap();
    // A line that was being written when the process died.
    std::fs::write(&path, format!("{lines}{{\"request\": 19, \"row")).unwrap();
    let before = server.asked().len();
    assert_eq!(before, 12);
    let found = run(&client, &prompts, file.clone()).await;
    let asked: BTreeSet<String> = server.asked()[before..].iter().cloned().collect();
    assert!(!asked.contains("row 0") && asked.contains("row 10") && asked.len() == 10, "{asked:?}");
    assert_eq!(found.rows.iter().map(|row| row.index).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert_eq!((found.texts()[0], found.texts()[19]), ("ROW 0", "ROW 19"));
    let report = found.report.as_ref().unwrap();
    assert_eq!((report.kept, report.answered, report.failed), (10, 19, 1));
    assert_eq!((report.spent_nanos, report.unknown_calls), (19 * COST, 2), "two were under way");

    let again = run(&client, &prompts, file.clone()).await;
    assert_eq!((server.asked().len(), again.report.as_ref().unwrap().kept), (before + 10, 20));
    assert_eq!(again.kinds()[3], Some(ErrorKind::InvalidRequest), "a row that failed is done too");
    let mut retried = file.clone();
    retried["retry_failed"] = json!(true);
    run(&client, &prompts, retried).await;
    assert_eq!(server.asked().split_off(before + 10), ["fail"]);
    let fewer = run(&client, &prompts[..5], file).await;
    assert_eq!(fewer.report.unwrap().rows, 5);
}

#[tokio::test(start_paused = true)]
async fn the_budget_holds_over_runs_and_what_was_not_asked_is_asked_later() {
    let (client, server) = client();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let file = |budget| json!({"checkpoint": path.to_str().unwrap(), "budget": dollars(budget)});
    let prompts = ["a", "b", "c", "d"];
    let found = run(&client, &prompts, file(MOST + COST)).await;
    assert_eq!((found.report.unwrap().answered, server.asked().len()), (2, 2));
    let found = run(&client, &prompts, file(MOST + COST)).await;
    assert_eq!((found.report.unwrap().answered, server.asked().len()), (2, 2), "it is spent");
    let found = run(&client, &prompts, file(MOST + 3 * COST)).await;
    assert_eq!(found.texts(), ["A", "B", "C", "D"]);
    assert_eq!(found.report.unwrap().spent_nanos, 4 * COST);
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_of_another_batch_is_refused() {
    let (client, server) = client();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let file = json!({"checkpoint": path.to_str().unwrap()});
    run(&client, &["a", "b", "c"], file.clone()).await;
    let mut warmer = file.clone();
    warmer["common"] = json!({"model": "up/a", "temperature": 1});
    for (prompts, more, said) in [
        (["x", "b", "c"], file.clone(), "its first request or the pools"),
        (["a", "b", "c"], warmer, "its first request or the pools"),
        (["a", "x", "c"], file.clone(), "request 1, counted from 0"),
    ] {
        let error = run(&client, &prompts, more).await.error.unwrap();
        assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some("checkpoint")));
        assert!(error.message().contains("belongs to another batch") && error.message().contains(said), "{error}");
    }
    assert_eq!(server.asked().len(), 3);
    // How a request is made is not what it asks.
    let mut patient = file;
    patient["common"] = json!({"model": "up/a", "max_tokens": 5, "timeout_ms": 5000, "tags": {"run": "2"}});
    assert_eq!(run(&client, &["a", "b", "c"], patient).await.report.unwrap().kept, 3);
}

#[tokio::test(start_paused = true)]
async fn options_that_are_wrong_are_told_at_once() {
    let (client, _) = client();
    for (more, param) in [
        (json!({"concurrency": 0}), "concurrency"),
        (json!({"concurrency": 5000}), "concurrency"),
        (json!({"budget": "much"}), "budget"),
    ] {
        let error = client.batch(iter(["a"]), options(more)).err().unwrap();
        assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidRequest, Some(param)));
    }
    let folder = json!({"checkpoint": std::env::temp_dir().to_str().unwrap()});
    assert_eq!(run(&client, &["a"], folder).await.error.unwrap().kind(), ErrorKind::Storage);
    let nothing = run(&client, &[], json!({})).await;
    assert_eq!((nothing.report.unwrap().rows, nothing.progress.len()), (0, 1));
}

#[test]
fn a_report_is_a_line_for_people() {
    let report = BatchReport {
        rows: 1200,
        answered: 1190,
        errors: [("timeout".to_owned(), 10)].into(),
        spent_nanos: 1_500_000_000,
        prompt_tokens: 12_000,
        completion_tokens: 3_400,
        p50_ms: 800,
        p95_ms: 2100,
        took_ms: 61_000,
        ..Default::default()
    };
    let said = "1,190 of 1,200 rows answered (10 timeout), $1.50, 12,000 + 3,400 tokens, 800 ms at the median and 2.1 s at \
                95 %, in 61.0 s";
    assert_eq!(report.to_text(), said);
}
