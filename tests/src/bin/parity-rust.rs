//! Parity runner of the Rust API: `parity-rust OP CONFIG_JSON REQUEST_JSON [CANCEL_AFTER_MS]`, JSON lines on stdout.
//! `parity-rust calls CONFIG_JSON CALLS_JSON` makes calls one after another through one client.

use std::future::Future;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use interfuse::fusion;
use interfuse::types::{
    BatchEvent, BatchOptions, BatchRequest, Estimable, EvaluationEvent, ExportRequest, Feedback, FuseRequest,
    FusionReport, UsageQuery, from_json,
};
use interfuse::{Client, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (op, config, request, cancel) = match arguments.as_slice() {
        [op, config, request] => (op, config, request, None),
        [op, config, request, ms] => (op, config, request, ms.parse().ok()),
        _ => return ExitCode::from(2),
    };
    let made = async {
        let client = Client::from_document(config)?;
        match op.as_str() {
            "calls" => calls(&client, request, config).await,
            op => call(&client, op, request, config).await,
        }
    };
    match tell(unless_cancelled(cancel, made).await) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A call of `calls`: when it starts, and what it is.
#[derive(Deserialize)]
struct Start {
    at_ms: u64,
    op: String,
    request: Value,
}

/// Makes each call at its time, or when the one before it has ended; the result is what the ledger says of them all.
async fn calls(client: &Client, list: &str, config: &str) -> Result<Value> {
    let list: Vec<Start> = from_json("calls", list)?;
    let start = Instant::now();
    for Start { at_ms, op, request } in list {
        tokio::time::sleep(Duration::from_millis(at_ms).saturating_sub(start.elapsed())).await;
        let started = start.elapsed();
        let outcome = call(client, &op, &request.to_string(), config).await;
        let ended = start.elapsed();
        tell(outcome)?;
        print(&json!({"made": {"started_ms": started.as_millis() as u64, "ended_ms": ended.as_millis() as u64}}))?;
    }
    value(client.usage(UsageQuery { by: vec!["provider".into()], ..UsageQuery::default() })?)
}

async fn call(client: &Client, op: &str, request: &str, config: &str) -> Result<Value> {
    match op {
        "chat" => value(client.chat(from_json("request", request)?).await?),
        "embeddings" => value(client.embeddings(from_json("request", request)?).await?),
        "fuse" => value(client.fuse(from_json("request", request)?).await?),
        "fuse_html" => value(client.fuse(from_json("request", request)?).await?.to_html()),
        "chat_stream" => {
            let mut chunks = client.chat_stream(from_json("request", request)?).await?;
            while let Some(chunk) = chunks.next().await {
                print(&json!({"chunk": chunk?}))?;
            }
            Ok(Value::Null)
        }
        "fuse_stream" => {
            let mut events = client.fuse_stream(from_json("request", request)?).await?;
            while let Some(event) = events.next().await {
                print(&json!({"event": event?}))?;
            }
            Ok(Value::Null)
        }
        "evaluate" => value(client.evaluate(from_json("request", request)?).await?),
        "evaluate_stream" => {
            let mut events = client.evaluate_stream(from_json("request", request)?)?;
            while let Some(event) = events.next().await {
                print(&json!({"event": event?}))?;
            }
            Ok(Value::Null)
        }
        "evaluate_again" => {
            let mut events = client.evaluate_stream(from_json("request", request)?)?;
            while let Some(event) = events.next().await {
                if matches!(event?, EvaluationEvent::Progress { done: 1.., .. }) {
                    break;
                }
            }
            drop(events);
            value(client.evaluate(from_json("request", request)?).await?)
        }
        "batch" => batch(client, request).await,
        "batch_again" => {
            let asked: Many = from_json("request", request)?;
            let (feed, mut events) = client.batch_fed(asked.options)?;
            for request in &asked.requests {
                feed.push(BatchRequest::from_value(request));
            }
            while let Some(event) = events.next().await {
                if matches!(event?, BatchEvent::Row { .. }) {
                    break;
                }
            }
            drop(events);
            batch(client, request).await
        }
        "feedback" => {
            let asked: Told = from_json("request", request)?;
            let fused = client.fuse(asked.fuse.clone()).await?;
            let run = asked.run_id.unwrap_or(fused.id);
            client.feedback(&run, &asked.outcome)?;
            value(Client::from_document(config)?.fuse(asked.fuse).await?)
        }
        "rejudge" | "replay" => {
            let asked: Stored = from_json("request", request)?;
            let report = match asked.report {
                Some(report) => report,
                None => client.fuse(asked.fuse).await?.report,
            };
            match op {
                "replay" => value(fusion::replay(&report)?),
                _ => value(client.rejudge(&report, asked.again).await?),
            }
        }
        "calibrate" => value(fusion::calibrate(&fusion::items(from_json("items", request)?)?)),
        "explain" => value(client.explain(&from_json("request", request)?)?),
        "estimate" => value(client.estimate(Estimable::from_value(&from_json("request", request)?)?)?),
        "budgets" => {
            // A stream that is left after its first chunk.
            client.chat_stream(from_json("request", request)?).await?.next().await.transpose()?;
            value(client.budgets()?)
        }
        "ledger" => ledger(client, from_json("request", request)?).await,
        "reconcile" => value(client.reconcile_request(&from_json("request", request)?)?),
        "client" => Ok(Value::Null),
        other => Err(Error::new(ErrorKind::Misuse, format!("no operation `{other}`"))),
    }
}

/// Requests, and how they are asked.
#[derive(Deserialize)]
struct Many {
    requests: Vec<Value>,
    options: BatchOptions,
}

/// Shows the rows of a batch; gives its report.
async fn batch(client: &Client, request: &str) -> Result<Value> {
    let asked: Many = from_json("request", request)?;
    let (feed, mut events) = client.batch_fed(asked.options)?;
    for request in &asked.requests {
        feed.push(BatchRequest::from_value(request));
    }
    drop(feed);
    let mut found = Value::Null;
    while let Some(event) = events.next().await {
        match event? {
            BatchEvent::Row { row } => print(&json!({"event": row}))?,
            BatchEvent::Done { report } => found = value(report)?,
            BatchEvent::Progress { .. } => {}
        }
    }
    Ok(found)
}

/// A fusion, and what became of it.
#[derive(Deserialize)]
struct Told {
    fuse: FuseRequest,
    outcome: Feedback,
    /// In place of the fusion's own.
    run_id: Option<String>,
}

/// A fusion or its report, and how its answers are combined once more.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Stored {
    fuse: FuseRequest,
    report: Option<FusionReport>,
    again: FuseRequest,
}

/// A chat, and questions to the ledger.
#[derive(Deserialize)]
struct Asked {
    chat: Value,
    query: UsageQuery,
    export: ExportRequest,
}

/// Makes the chat and tells what the ledger says of it.
async fn ledger(client: &Client, asked: Asked) -> Result<Value> {
    client.chat(from_json("request", &asked.chat.to_string())?).await?;
    let mut records = Vec::new();
    let mut stream = client.records(asked.query.clone())?;
    while let Some(record) = stream.next().await {
        records.push(record?);
    }
    let mut document = Vec::new();
    client.export(&asked.export, &mut document)?;
    let export: Value = from_json("export", &String::from_utf8_lossy(&document))?;
    Ok(json!({"usage": client.usage(asked.query)?, "records": records, "export": export}))
}

/// A Rust caller cancels by dropping the future; nothing is left to tell it so but the caller itself.
async fn unless_cancelled(after_ms: Option<u64>, call: impl Future<Output = Result<Value>>) -> Result<Value> {
    match after_ms {
        None => call.await,
        Some(ms) => tokio::time::timeout(Duration::from_millis(ms), call)
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "the runner dropped the call"))),
    }
}

fn tell(outcome: Result<Value>) -> Result<()> {
    print(&match outcome {
        Ok(result) => json!({"result": result}),
        Err(error) => json!({"error": error}),
    })
}

fn value(of: impl Serialize) -> Result<Value> {
    serde_json::to_value(of).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
}

fn print(line: &Value) -> Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
}
