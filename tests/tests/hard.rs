//! A client that runs for long, in short: the program `soak` with fewer calls; and a runtime that ends with calls in flight.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use interfuse::types::{ChatRequest, Config, Message};
use interfuse::{Client, ErrorKind};
use interfuse_tests::upstream::Upstream;
use serde_json::json;

/// Runs one part of the program; it fails above its bounds.
fn soak(part: &str, count: &str) {
    let others = ["--calls", "--cancels", "--streams"].into_iter().filter(|other| *other != part);
    let ran = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args([part, count])
        .args(others.flat_map(|other| [other, "0"]))
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    println!("{said}");
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("none without the client"), "{said}");
}

#[test]
fn memory_stays_flat_over_many_calls_of_64_tasks() {
    soak("--calls", "20000");
}

#[test]
fn ten_thousand_cancelled_calls_leave_nothing_behind() {
    soak("--cancels", "10000");
}

#[test]
fn a_thousand_slow_streams_fit_into_64_mib() {
    soak("--streams", "1000");
}

/// A program that ends its runtime, or leaves `main`, with calls in flight.
#[test]
fn a_runtime_may_end_with_calls_in_flight() {
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let up = server.block_on(Upstream::start(json!({"routes": [{"then": {"steps": [{"stall": true}]}}]}))).unwrap();
    let config = json!({"use_environment": false, "providers": {"up": {"base_url": format!("{}/v1", up.base_url()), "api_key": "k-1"}}});
    let client = Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap();
    let ask = || ChatRequest::new("up/m", [Message::user("hi")]);
    let own = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for at in 0..16 {
        let client = client.clone();
        own.spawn(async move {
            match at % 2 {
                0 => drop(client.chat(ask()).await),
                _ => drop(client.chat_stream(ask()).await),
            }
        });
    }
    own.block_on(async {
        while up.stats().requests < 16 {
            tokio::task::yield_now().await;
        }
    });
    own.shutdown_timeout(Duration::from_secs(10));
    let log = server.block_on(up.settled(Duration::from_secs(10)));
    assert!(log.iter().all(|entry| entry.client_closed_ms.is_some()), "{log:?}");
    // The same client works in another runtime: its pool holds nothing of the one that is gone.
    let mut request = ask();
    request.timeout_ms = Some(100);
    let again = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(again.block_on(client.chat(request)).unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}
