//! The table of errors, as they come about in practice and in every language: each tells what happened, at which provider, after
//! what, at what cost, and its kind says what to do.

#![allow(clippy::unwrap_used)]

use futures_util::{StreamExt as _, stream};
use interfuse::error::KINDS;
use interfuse_tests::parity::run;
use interfuse_tests::parity::runner::LANGUAGES;
use interfuse_tests::parity::scenario::Scenario;
use serde_json::{Value, json};

/// Kinds that no request and no server bring about: a handle used against its rules, which each binding's tests do, and a
/// defect.
const NOT_FROM_OUTSIDE: &[&str] = &["misuse", "internal"];

/// Kinds of attempts that the vendor may have billed, so that what they cost is unknown and not 0.
const MAY_BE_BILLED: &[&str] = &["timeout", "interrupted", "decode", "deadline_exceeded"];

/// Runners at the same time.
const AT_ONCE: usize = 4;

/// A vendor that answers like this, whatever it is asked.
fn vendor(response: Value) -> Value {
    json!({"routes": [{"then": response}]})
}

fn refusal(status: u16, error: Value) -> Value {
    vendor(json!({"status": status, "json": {"error": error}}))
}

/// One call that ends in an error.
struct Case {
    kind: &'static str,
    op: &'static str,
    upstream: Value,
    /// Laid over the usual configuration.
    config: Value,
    request: Value,
    /// What the message says: what happened, and what to do where the kind's remedy does not know it.
    says: &'static [&'static str],
    /// Further fields.
    tells: Value,
    /// Attempts that were made at `up`.
    attempts: usize,
}

/// A chat of `up/m-a`.
fn chat(kind: &'static str, upstream: Value, says: &'static [&'static str], attempts: usize) -> Case {
    let request = json!({"model": "up/m-a", "messages": [{"role": "user", "content": "Where?"}]});
    Case { kind, op: "chat", upstream, config: json!({}), request, says, tells: json!({}), attempts }
}

fn cases() -> Vec<Case> {
    let nobody = || json!({"routes": []});
    let said = |message: &str, code: &str| json!({"message": message, "code": code});
    let piece = json!({"id": "s", "object": "chat.completion.chunk", "created": 1, "model": "m-a",
        "choices": [{"index": 0, "delta": {"content": "In "}, "finish_reason": null}]});
    let fused = |pool: Value| json!({"prompt": "Where?", "pool": pool, "judge": "up/m-j", "mode": "vote"});
    let slow = || vendor(json!({"delay_ms": 3_600_000, "answer": "never"}));
    vec![
        Case {
            tells: json!({"status": 400, "param": "temperature"}),
            ..chat(
                "invalid_request",
                refusal(400, json!({"message": "temperature is above 2", "param": "temperature"})),
                &["temperature is above 2"],
                1,
            )
        },
        Case {
            op: "client",
            config: json!({"providers": {"lab": {"base_ur": "http://127.0.0.1:9/v1"}}}),
            request: Value::Null,
            tells: json!({"param": "providers.lab.base_ur"}),
            ..chat("invalid_config", nobody(), &["providers.lab.base_ur", "base_url"], 0)
        },
        Case {
            tells: json!({"status": 401}),
            ..chat("authentication", refusal(401, said("no such key", "invalid_api_key")), &["no such key"], 1)
        },
        Case {
            tells: json!({"status": 403}),
            ..chat("permission", refusal(403, said("not here", "x")), &["not here"], 1)
        },
        Case {
            request: json!({"model": "gpt-5-minii", "messages": [{"role": "user", "content": "Where?"}]}),
            ..chat("not_found", nobody(), &["gpt-5-minii", "did you mean", "gpt-5-mini"], 0)
        },
        chat("context_length", refusal(400, said("too long", "context_length_exceeded")), &["too long"], 1),
        chat("content_filtered", refusal(400, said("not nice", "content_filter")), &["not nice"], 1),
        Case {
            op: "embeddings",
            config: json!({"providers": {"groq": {"base_url": "{{base}}", "api_key": "k-of-groq"}}}),
            request: json!({"model": "groq/some-model", "input": "one"}),
            tells: json!({"provider": "groq"}),
            ..chat("unsupported", nobody(), &["openai"], 0)
        },
        Case {
            tells: json!({"status": 429, "retryable": true, "retry_after_ms": {"$any": true}}),
            ..chat(
                "rate_limited",
                vendor(
                    json!({"status": 429, "headers": {"retry-after": "0"}, "json": {"error": {"message": "slow down"}}}),
                ),
                &["slow down"],
                2,
            )
        },
        chat("insufficient_credits", refusal(429, said("pay first", "insufficient_quota")), &["pay first"], 1),
        Case {
            tells: json!({"status": 503, "retryable": true}),
            ..chat("overloaded", refusal(503, said("busy now", "x")), &["busy now"], 2)
        },
        Case {
            tells: json!({"status": 500, "retryable": true}),
            ..chat("server_error", refusal(500, said("oh no", "x")), &["oh no"], 2)
        },
        Case {
            config: json!({"timeouts": {"first_byte_ms": 60}, "retries": {"max_retries": 0}}),
            tells: json!({"retryable": true}),
            ..chat("timeout", slow(), &["first_byte", "60"], 1)
        },
        Case {
            config: json!({"providers": {"up": {"base_url": "http://127.0.0.1:9/v1", "api_key": "k-1"}}}),
            tells: json!({"retryable": true}),
            ..chat("connection", nobody(), &["127.0.0.1"], 2)
        },
        Case {
            op: "chat_stream",
            tells: json!({"partial": {"text": "In "}}),
            ..chat("interrupted", vendor(json!({"sse": [piece]})), &["without its terminal signal"], 1)
        },
        Case {
            config: json!({"retries": {"max_retries": 0}}),
            ..chat(
                "decode",
                vendor(json!({"body": "<html>Log in</html>"})),
                &["an HTML page", "is the base URL right?"],
                1,
            )
        },
        Case {
            config: json!({"budgets": {"all": {"limit_usd": "0.000001"}}}),
            tells: json!({"param": "budgets.all"}),
            ..chat("budget_exceeded", nobody(), &["the budget `all` of 0.000001 USD", "may cost up to"], 0)
        },
        Case {
            request: json!({"model": "up/m-a", "messages": [{"role": "user", "content": "Where?"}], "timeout_ms": 200}),
            ..chat("deadline_exceeded", slow(), &["200"], 1)
        },
        Case {
            op: "fuse",
            request: fused(json!(["up/m-a", "up/m-b"])),
            tells: json!({"members": {"$len": 2}}),
            ..chat("all_members_failed", refusal(400, said("oh no", "x")), &["oh no"], 0)
        },
        Case {
            op: "fuse",
            request: fused(json!(["up/m-a", "interfuse/debate"])),
            ..chat("recursion", nobody(), &["interfuse/debate"], 0)
        },
        Case {
            op: "client",
            config: json!({"ledger": {"path": "{{folder}}/nowhere/calls.db"}}),
            request: Value::Null,
            ..chat("storage", nobody(), &["nowhere/calls.db"], 0)
        },
        chat("cancelled", slow(), &[], 0),
    ]
}

fn scenario(case: Case) -> Scenario {
    let mut config = json!({
        "providers": {"up": {"base_url": "{{base}}/v1", "api_key": "k-1"}},
        "prices": {"up/m-a": {"input": "1", "output": "2"}},
        "retries": {"base_ms": 1, "max_ms": 1},
        "use_environment": false,
    });
    config.as_object_mut().unwrap().extend(case.config.as_object().unwrap().clone());
    let mut says: Vec<Value> = case.says.iter().map(|text| json!({"$contains": text})).collect();
    // Python says `Ctrl-C` of a call that was left so.
    says.push(json!({"$any": true}));
    let mut error = json!({"kind": case.kind, "message": {"$all": says}});
    if case.attempts > 0 {
        error["provider"] = json!("up");
        error["model"] = json!("m-a");
        let cost = if MAY_BE_BILLED.contains(&case.kind) { json!({"$absent": true}) } else { json!(0) };
        // What cuts an attempt off is the whole call's there.
        let kind = if case.kind == "deadline_exceeded" { json!({"$any": true}) } else { json!(case.kind) };
        let each = json!({"$each": {"provider": "up", "model": "m-a", "error": kind, "cost_nanos": cost}});
        error["attempts"] = json!({"$all": [{"$len": case.attempts}, each]});
    }
    error.as_object_mut().unwrap().extend(case.tells.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "name": case.kind, "about": "One of the table of errors.", "upstream": case.upstream, "config": config, "op": case.op,
        "request": case.request, "expect": {"error": error},
        "cancel_after_ms": (case.kind == "cancelled").then_some(1000),
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_tells_what_it_should_in_every_language() {
    let mut wrong = Vec::new();
    let mut played = 0;
    for language in LANGUAGES.iter().filter(|language| !language.left_out().unwrap()) {
        let runner = &language.prepare().unwrap();
        let runs = cases().into_iter().map(|case| async move {
            let kind = case.kind;
            (kind, run::run(&scenario(case), runner).await)
        });
        for (kind, outcome) in stream::iter(runs).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
            played += 1;
            wrong.extend(outcome.err().map(|why| format!("{kind} in {}: {why}", language.name)));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(played >= cases().len());
}

#[test]
fn every_kind_comes_about_and_says_what_to_do() {
    let cases = cases();
    for row in KINDS {
        let made = cases.iter().filter(|case| case.kind == row.name).count();
        let expected = usize::from(!NOT_FROM_OUTSIDE.contains(&row.name));
        assert_eq!(made, expected, "{}: one case in the table", row.name);
        for text in [row.doc, row.remedy] {
            assert!(
                text.len() > 15 && text.ends_with('.') && !text.contains('|'),
                "{}: {text:?} is no sentence",
                row.name
            );
        }
        assert_ne!(row.doc, row.remedy, "{}", row.name);
    }
}
