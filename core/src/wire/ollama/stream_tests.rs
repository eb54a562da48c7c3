//! What the caller gets for what the vendor sends.

use http::HeaderMap;
use serde_json::{Value, json};

use super::Ollama;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatCompletion, ChatCompletionChunk, Quirks};
use crate::wire::{Frame, Protocol, Reply, WireTarget};

fn with<T>(run: impl FnOnce(&WireTarget<'_>) -> T) -> T {
    run(&WireTarget { provider: "ollama", model: "qwen3", quirks: &Quirks::default() })
}

fn decoded(body: Value) -> Result<ChatCompletion, Error> {
    let body = body.to_string();
    with(|target| Ollama.decode(&Reply { status: 200, headers: &HeaderMap::new(), body: body.as_bytes() }, target))
}

fn streamed(lines: &[Value]) -> Result<(Vec<ChatCompletionChunk>, bool), Error> {
    with(|target| {
        let (mut decoder, mut out) = (Ollama.decoder(target), Vec::new());
        for line in lines {
            decoder.frame(Frame { data: line.to_string().as_bytes(), ..Default::default() }, &mut out)?;
        }
        decoder.finish(&mut out);
        Ok((out, decoder.complete()))
    })
}

#[test]
fn a_whole_answer() {
    let answer = decoded(json!({"model": "qwen3:4b", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop",
        "message": {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [
            {"function": {"name": "f", "arguments": {"x": 1}}}, {"id": "own", "function": {"index": 0, "name": "f", "arguments": {}}}]},
        "total_duration": 9, "prompt_eval_count": 5, "eval_count": 7}))
    .unwrap();
    let choice = &answer.choices[0];
    assert_eq!((choice.message.content.as_deref(), choice.message.reasoning_content.as_deref()), (None, Some("Hm.")));
    assert_eq!(
        (choice.finish_reason.as_deref(), &choice.extra["native_finish_reason"]),
        (Some("tool_calls"), &json!("stop"))
    );
    let calls = choice.message.tool_calls.as_ref().unwrap();
    assert_eq!(calls[0].function.as_ref().unwrap().arguments, "{\"x\":1}");
    assert!(calls[0].id.starts_with("call_") && calls[1].id == "own");
    assert_eq!((answer.model.as_str(), &answer.extra["total_duration"]), ("qwen3:4b", &json!(9)));
    assert_eq!(answer.usage.unwrap().total_tokens, 12);
}

#[test]
fn calls_of_several_lines_are_counted_on_and_have_ids_of_their_own() {
    let call = |done: bool| {
        json!({"model": "m", "created_at": "t", "done": done,
            "message": {"content": "", "tool_calls": [{"function": {"index": 0, "name": "f", "arguments": {}}}]}})
    };
    let (chunks, complete) = streamed(&[call(false), call(true)]).unwrap();
    let calls: Vec<_> =
        chunks.iter().flat_map(|c| &c.choices).flat_map(|c| c.delta.tool_calls.iter().flatten()).collect();
    assert_eq!(calls.iter().map(|c| c.index).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(calls[0].id, calls[1].id);
    assert!(complete && chunks.iter().all(|c| c.usage.is_none()));
}

#[test]
fn a_stream_without_its_last_line_is_not_complete() {
    let line = json!({"model": "m", "message": {"content": "a"}, "done": false});
    assert!(!streamed(std::slice::from_ref(&line)).unwrap().1);
    let last =
        json!({"model": "m", "message": {"content": ""}, "done": true, "done_reason": "length", "eval_count": 3});
    let (chunks, complete) = streamed(&[line, last]).unwrap();
    assert!(complete);
    let usage = chunks.last().unwrap().usage.as_ref().unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (0, 3));
    assert_eq!(chunks[chunks.len() - 2].choices[0].finish_reason.as_deref(), Some("length"));
}

#[test]
fn errors_after_the_head_and_answers_that_are_none() {
    let e = streamed(&[
        json!({"model": "m", "message": {"content": "a"}, "done": false}),
        json!({"error": "out of memory"}),
    ])
    .unwrap_err();
    assert_eq!((e.kind(), e.message()), (ErrorKind::ServerError, "out of memory"));
    let loaded =
        json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "load"});
    assert_eq!(decoded(loaded).unwrap_err().kind(), ErrorKind::ServerError);
    assert_eq!(decoded(json!({"choices": []})).unwrap_err().kind(), ErrorKind::Decode);
}
