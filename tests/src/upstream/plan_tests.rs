//! Tests of `plan`: the bytes of an answer, without a socket.

use serde_json::{Value, json};

use super::super::script::Response;
use super::{Action, Plan};

fn plan(response: Value, request: Value) -> Plan {
    let response: Response = serde_json::from_value(response).unwrap();
    Plan::new(&response, &request, 1)
}

/// The bytes of all writes.
fn bytes(plan: &Plan) -> String {
    plan.actions
        .iter()
        .map(|action| match action {
            Action::Send(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        })
        .collect()
}

#[test]
fn a_json_body_has_its_length() {
    let plan = plan(json!({"json": {"a": 1}, "headers": {"X-Id": "7"}}), json!({}));
    assert_eq!(
        bytes(&plan),
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\nX-Id: 7\r\n\r\n{\"a\":1}"
    );
    assert_eq!(plan.completes_at(), Some(1));
}

#[test]
fn headers_of_the_script_replace_our_own() {
    let plan = plan(json!({"status": 502, "body": "<html>", "headers": {"Content-Type": "text/html"}}), json!({}));
    assert_eq!(bytes(&plan), "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\nContent-Type: text/html\r\n\r\n<html>");
}

#[test]
fn events_are_framed_and_chunked() {
    let plan = plan(
        json!({"sse": ["plain", {"a": 1}, {"event": "e", "data": {"b": 2}}, {"data": "x\ny"}], "done": true}),
        json!({}),
    );
    let text = bytes(&plan);
    let body: String =
        text.split("\r\n\r\n").nth(1).into_iter().flat_map(|body| body.split("\r\n")).skip(1).step_by(2).collect();
    assert!(text.contains("content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"));
    assert_eq!(
        body,
        "data: plain\n\ndata: {\"a\":1}\n\nevent: e\ndata: {\"b\":2}\n\ndata: x\ndata: y\n\ndata: [DONE]\n\n"
    );
    assert!(text.ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn an_answer_streams_only_when_asked() {
    let answer = json!({"answer": "hello big world"});
    let whole = bytes(&plan(answer.clone(), json!({"model": "m"})));
    assert!(whole.contains("\"content\":\"hello big world\""));
    let stream = bytes(&plan(answer, json!({"model": "m", "stream": true})));
    assert!(stream.contains("\"content\":\" big\""));
    assert!(stream.contains("data: [DONE]"));
}

#[test]
fn lies_about_the_length_end_the_connection() {
    let long = plan(json!({"body": "abc", "content_length": 9}), json!({}));
    assert!(bytes(&long).contains("content-length: 9\r\n"));
    assert_eq!(long.actions.last(), Some(&Action::Close));
    let honest = plan(json!({"body": "abc", "content_length": 3}), json!({}));
    assert_eq!(honest.actions.last(), Some(&Action::Send(b"abc".to_vec())));
    let both = plan(json!({"body": "abc", "content_length": 3, "chunked": true}), json!({}));
    assert!(bytes(&both).contains("transfer-encoding: chunked\r\ncontent-length: 3\r\n"));
}

#[test]
fn split_and_cut() {
    let split = plan(json!({"body": "abcde", "split": 2}), json!({}));
    let sent: Vec<_> = split.actions[1..].to_vec();
    let send = |text: &str| Action::Send(text.as_bytes().to_vec());
    assert_eq!(sent, [send("ab"), send("cd"), send("e")]);

    // The head still announces the whole body.
    let cut = plan(json!({"body": "abcde", "cut_after": 3}), json!({}));
    assert!(bytes(&cut).contains("content-length: 5\r\n"));
    assert_eq!(cut.actions[1..], [send("abc"), Action::Close]);
    assert_eq!(cut.completes_at(), None);

    let cut = plan(json!({"sse": ["a", "b"], "cut_after": 12}), json!({}));
    assert!(bytes(&cut).ends_with("\r\n9\r\ndata: a\n\n\r\n3\r\ndat\r\n"));
    assert_eq!(cut.actions.last(), Some(&Action::Close));
}

#[test]
fn something_happens_in_the_midst() {
    let answer =
        json!({"answer": "one two three four", "breaks": {"after": 2, "skip": 1, "then": [{"send": "data: {\n\n"}]}});
    let stream = bytes(&plan(answer.clone(), json!({"stream": true})));
    let at = |text: &str| stream.find(text);
    assert!(at("\" two\"") < at("data: {\n\n") && at("data: {\n\n") < at("\" four\""), "{stream}");
    assert_eq!(at("three"), None);
    // A whole answer breaks at the same share of its bytes, and its head still announces all of them.
    let whole = plan(answer, json!({}));
    let [_, Action::Send(before), Action::Send(between), Action::Send(after)] = whole.actions.as_slice() else {
        panic!("{whole:?}");
    };
    assert_eq!(between, b"data: {\n\n");
    assert!(before.len().abs_diff(after.len()) <= 1);
    assert!(bytes(&whole).contains(&format!("content-length: {}\r\n", before.len() + between.len() + after.len())));

    let reset = json!({"answer": "one two", "breaks": {"after": 1, "then": [{"reset": true}]}});
    for request in [json!({"stream": true}), json!({})] {
        let plan = plan(reset.clone(), request);
        assert!(plan.actions.contains(&Action::Reset) && plan.completes_at().is_none(), "{plan:?}");
    }
}

#[test]
fn a_stream_may_lack_its_end() {
    let open = plan(json!({"answer": "hi", "done": false, "hold": true}), json!({"stream": true}));
    assert!(!bytes(&open).contains("[DONE]"));
    assert_eq!((open.actions.last(), open.completes_at()), (Some(&Action::Stall), None));
    let whole = plan(json!({"answer": "hi", "done": false, "hold": true}), json!({}));
    assert!(whole.completes_at().is_some());
}

#[test]
fn raw_steps_add_nothing() {
    let raw = plan(
        json!({"raw": true, "steps": [{"send": "HTTP/1.1 200 OK\r\n"}, {"delay_ms": 5}, {"reset": true}]}),
        json!({}),
    );
    assert_eq!(raw.actions, [Action::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Action::Delay(5), Action::Reset]);
    assert_eq!(raw.completes_at(), None);
    let manual = plan(json!({"raw": true, "steps": [{"send": "x"}]}), json!({}));
    assert_eq!(manual.actions.last(), Some(&Action::Close));
    assert_eq!(manual.completes_at(), Some(0));
}
