//! Parity runner of the Rust API: `parity-rust OP CONFIG_JSON REQUEST_JSON [CANCEL_AFTER_MS]`, JSON lines on stdout.

use std::future::Future;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use interfuse::types::from_json;
use interfuse::{Client, Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (op, config, request, cancel) = match arguments.as_slice() {
        [op, config, request] => (op, config, request, None),
        [op, config, request, ms] => (op, config, request, ms.parse().ok()),
        _ => return ExitCode::from(2),
    };
    let last = match unless_cancelled(cancel, call(op, config, request)).await {
        Ok(result) => json!({"result": result}),
        Err(error) => json!({"error": error}),
    };
    match print(&last) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn call(op: &str, config: &str, request: &str) -> Result<Value> {
    let client = Client::from_document(config)?;
    match op {
        "chat" => value(client.chat(from_json("request", request)?).await?),
        "embeddings" => value(client.embeddings(from_json("request", request)?).await?),
        "fuse" => value(client.fuse(from_json("request", request)?).await?),
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
        "explain" => value(client.explain(&from_json("request", request)?)?),
        "client" => Ok(Value::Null),
        other => Err(Error::new(ErrorKind::Misuse, format!("no operation `{other}`"))),
    }
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

fn value(of: impl Serialize) -> Result<Value> {
    serde_json::to_value(of).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
}

fn print(line: &Value) -> Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
}
