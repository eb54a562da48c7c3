//! What the caller gets for what the vendor sends.

use http::HeaderMap;
use serde_json::{Value, json};

use super::Cohere;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatCompletion, Quirks};
use crate::wire::{Assembler, Frame, Protocol, Reply, WireTarget};

fn with<T>(run: impl FnOnce(&WireTarget<'_>) -> T) -> T {
    run(&WireTarget { provider: "cohere", model: "command", quirks: &Quirks::default() })
}

fn decoded(body: Value) -> Result<ChatCompletion, Error> {
    let body = body.to_string();
    with(|target| Cohere.decode(&Reply { status: 200, headers: &HeaderMap::new(), body: body.as_bytes() }, target))
}

/// What the events say together, and whether the stream was complete.
fn streamed(events: &[Value]) -> Result<(ChatCompletion, bool), Error> {
    with(|target| {
        let (mut decoder, mut out) = (Cohere.decoder(target), Vec::new());
        for event in events {
            decoder.frame(Frame { data: event.to_string().as_bytes(), ..Default::default() }, &mut out)?;
        }
        decoder.finish(&mut out);
        let mut all = Assembler::default();
        out.iter().for_each(|chunk| all.add(chunk));
        Ok((all.finish(), decoder.complete()))
    })
}

fn about(kind: &str, index: u32, message: Value) -> Value {
    json!({"type": kind, "index": index, "delta": {"message": message}})
}

#[test]
fn an_answer_and_its_stream_say_the_same() {
    let citation = json!({"start": 0, "end": 4, "text": "Bern", "sources": [{"type": "document", "document": {"url": "https://example.com", "title": "T"}}]});
    let usage = json!({"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 5, "output_tokens": 7}});
    let whole = decoded(json!({"id": "i", "finish_reason": "TOOL_CALL", "usage": usage,
        "message": {"role": "assistant", "tool_plan": " I look.", "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Bern"}],
            "citations": [citation], "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "get_x2d_it", "arguments": "{\"x\":1}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "null"}}]}}))
    .unwrap();
    let (stream, complete) = streamed(&[
        json!({"type": "message-start", "id": "i", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}),
        about("content-start", 0, json!({"content": {"type": "thinking", "thinking": ""}})),
        about("content-delta", 0, json!({"content": {"thinking": "Hm."}})),
        json!({"type": "content-end", "index": 0}),
        about("tool-plan-delta", 0, json!({"tool_plan": " I look."})),
        about("content-start", 1, json!({"content": {"type": "text", "text": "Be"}})),
        about("content-delta", 1, json!({"content": {"text": "rn"}})),
        about("citation-start", 0, json!({"citations": citation})),
        about("tool-call-start", 0, json!({"tool_calls": {"id": "a", "type": "function", "function": {"name": "get_x2d_it", "arguments": ""}}})),
        about("tool-call-delta", 0, json!({"tool_calls": {"function": {"arguments": "{\"x\""}}})),
        about("tool-call-delta", 0, json!({"tool_calls": {"function": {"arguments": ":1}"}}})),
        json!({"type": "tool-call-end", "index": 0}),
        about("tool-call-start", 1, json!({"tool_calls": {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}})),
        about("tool-call-delta", 1, json!({"tool_calls": {"function": {"arguments": "nu"}}})),
        about("tool-call-delta", 1, json!({"tool_calls": {"function": {"arguments": "ll"}}})),
        json!({"type": "tool-call-end", "index": 1}),
        json!({"type": "a-new-event"}),
        json!({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage}}),
    ])
    .unwrap();
    assert!(complete);
    assert_eq!(stream, whole);
    let choice = &whole.choices[0];
    let message = &choice.message;
    assert_eq!((message.content.as_deref(), message.reasoning_content.as_deref()), (Some("Bern"), Some("Hm. I look.")));
    let calls = message.tool_calls.as_ref().unwrap();
    assert_eq!(calls[0].function.as_ref().unwrap().name, "get-it");
    assert_eq!(calls[1].function.as_ref().unwrap().arguments, "{}");
    assert_eq!(
        (choice.finish_reason.as_deref(), &choice.extra["native_finish_reason"]),
        (Some("tool_calls"), &json!("TOOL_CALL"))
    );
    assert_eq!(message.extra["annotations"][0]["url_citation"]["url"], "https://example.com");
    assert_eq!(message.extra["citations"], json!([citation]));
    assert_eq!(whole.usage.as_ref().unwrap().total_tokens, 12);
}

#[test]
fn an_answer_that_is_an_error_is_one() {
    let end = json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "usage": {}, "error": "invalid tool generation", "error_type": "INVALID_TOOL_GENERATION"}});
    let e = streamed(&[json!({"type": "message-start", "id": "i"}), end]).unwrap_err();
    assert_eq!((e.kind(), e.body().code.as_deref()), (ErrorKind::ServerError, Some("INVALID_TOOL_GENERATION")));
    assert!(e.message().contains("invalid tool generation"));
    let e = decoded(json!({"id": "i", "finish_reason": "TIMEOUT", "message": {"role": "assistant"}})).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Timeout);
    let e = decoded(json!({"id": "i", "message": "too many tokens: size limit"})).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ContextLength);
    assert_eq!(streamed(&[json!({"id": "i", "message": "boom"})]).unwrap_err().kind(), ErrorKind::ServerError);
    assert_eq!(decoded(json!({"choices": []})).unwrap_err().kind(), ErrorKind::Decode);
}

#[test]
fn a_stream_without_its_end_is_not_complete() {
    let (_, complete) = streamed(&[
        json!({"type": "message-start", "id": "i"}),
        about("content-delta", 0, json!({"content": {"text": "x"}})),
    ])
    .unwrap();
    assert!(!complete);
}

#[test]
fn logprobs_come_with_their_text() {
    let event = json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "ab"}}},
        "logprobs": {"text": "ab", "token_ids": [1], "logprobs": [-0.5]}});
    let (answer, _) = streamed(&[event]).unwrap();
    let tokens = answer.choices[0].logprobs.as_ref().unwrap().content.as_ref().unwrap();
    assert_eq!((tokens[0].token.as_str(), tokens[0].logprob), ("ab", -0.5));
}
