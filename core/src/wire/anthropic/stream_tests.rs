//! Answers, whole and streamed, as the caller gets them.

use serde_json::{Value, json};

use super::Anthropic;
use crate::error::ErrorKind;
use crate::types::{ChatCompletion, ChatCompletionChunk, Quirks};
use crate::wire::{Assembler, Frame, Protocol, Reply, WireTarget};

fn whole(content: Value, stop: Value) -> ChatCompletion {
    let body = json!({"id": "msg_1", "type": "message", "model": "m", "content": content, "stop_reason": stop,
        "container": {"id": "c"}, "context_management": null,
        "usage": {"input_tokens": 1, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
            "output_tokens_details": {"thinking_tokens": 3}, "service_tier": "standard", "server_tool_use": null,
            "inference_geo": "global"}});
    let quirks = Quirks::default();
    let target = WireTarget { provider: "anthropic", model: "m", quirks: &quirks };
    let body = body.to_string();
    let reply = Reply { status: 200, headers: &http::HeaderMap::new(), body: body.as_bytes() };
    Anthropic.decode(&reply, &target).unwrap()
}

fn streamed(events: &[Value]) -> Vec<ChatCompletionChunk> {
    let quirks = Quirks::default();
    let mut decoder = Anthropic.decoder(&WireTarget { provider: "anthropic", model: "m", quirks: &quirks });
    let mut out = Vec::new();
    for event in events {
        let data = event.to_string();
        decoder.frame(Frame { data: data.as_bytes(), ..Default::default() }, &mut out).unwrap();
    }
    assert!(decoder.complete());
    out
}

fn together(chunks: &[ChatCompletionChunk]) -> ChatCompletion {
    let mut assembler = Assembler::default();
    chunks.iter().for_each(|chunk| assembler.add(chunk));
    assembler.finish()
}

/// The same answer as a stream of blocks.
fn events(blocks: &[(Value, &[Value])], stop: &str) -> Vec<Value> {
    let mut events =
        vec![json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 1}}})];
    for (index, (block, deltas)) in blocks.iter().enumerate() {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        events.extend(deltas.iter().map(|d| json!({"type": "content_block_delta", "index": index, "delta": d})));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 5}}));
    events.push(json!({"type": "message_stop"}));
    events
}

#[test]
fn an_error_among_the_events_has_the_kind_of_its_type() {
    let quirks = Quirks::default();
    let kind = |kind: &str| {
        let mut decoder = Anthropic.decoder(&WireTarget { provider: "anthropic", model: "m", quirks: &quirks });
        let data = json!({"type": "error", "error": {"type": kind, "message": "x"}}).to_string();
        let error = decoder.frame(Frame { data: data.as_bytes(), ..Default::default() }, &mut Vec::new()).unwrap_err();
        assert!(!decoder.complete());
        error.kind()
    };
    let kinds = [
        ("overloaded_error", ErrorKind::Overloaded),
        ("rate_limit_error", ErrorKind::RateLimited),
        ("timeout_error", ErrorKind::Timeout),
        ("api_error", ErrorKind::ServerError),
        ("invalid_request_error", ErrorKind::InvalidRequest),
        ("request_too_large", ErrorKind::InvalidRequest),
        ("authentication_error", ErrorKind::Authentication),
    ];
    for (said, want) in kinds {
        assert_eq!(kind(said), want, "{said}");
    }
}

#[test]
fn counts_include_what_the_vendor_counts_apart() {
    let answer = whole(json!([{"type": "text", "text": "hi"}]), json!("end_turn"));
    assert_eq!(
        serde_json::to_value(&answer.usage).unwrap(),
        json!({"prompt_tokens": 111, "completion_tokens": 7, "total_tokens": 118,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 10,
                "ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 3}, "inference_geo": "global"})
    );
    assert_eq!(answer.service_tier.as_deref(), Some("standard"));
    assert_eq!(Value::Object(answer.extra), json!({"container": {"id": "c"}}));
}

#[test]
fn thoughts_and_blocks_of_the_vendors_own_are_kept_for_the_next_turn() {
    let thinking = json!({"type": "thinking", "thinking": "Hm.", "signature": "s"});
    let search = json!({"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "q"}});
    let answer = whole(json!([thinking, search, {"type": "text", "text": "hi"}]), json!("end_turn"));
    let message = &answer.choices[0].message;
    assert_eq!(message.reasoning_content.as_deref(), Some("Hm."));
    assert_eq!(message.tool_calls, None);
    let want = json!([{"provider": "anthropic", "model": "m", "blocks": [thinking, search]}]);
    assert_eq!(message.extra["provider_state"], want);

    let chunks = streamed(&events(
        &[
            (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                &[
                    json!({"type": "thinking_delta", "thinking": "Hm."}),
                    json!({"type": "signature_delta", "signature": "s"}),
                ],
            ),
            (
                json!({"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}),
                &[
                    json!({"type": "input_json_delta", "partial_json": "{\"query\":"}),
                    json!({"type": "input_json_delta", "partial_json": "\"q\"}"}),
                ],
            ),
            (json!({"type": "text", "text": "hi"}), &[]),
        ],
        "end_turn",
    ));
    let same = &together(&chunks).choices[0].message;
    assert_eq!((&same.extra["provider_state"], &same.reasoning_content), (&want, &message.reasoning_content));
}

#[test]
fn sources_stand_with_the_text_that_rests_on_them() {
    let page =
        json!({"type": "web_search_result_location", "url": "https://example.com", "title": "T", "cited_text": "c"});
    let place = json!({"type": "char_location", "document_index": 0, "start_char_index": 3});
    let want = json!([
        {"type": "url_citation", "url_citation": {"start_index": 1, "end_index": 3, "url": "https://example.com", "title": "T", "cited_text": "c"}},
        {"type": "char_location", "char_location": {"start_index": 1, "end_index": 3, "document_index": 0, "start_char_index": 3}}]);
    let content = json!([{"type": "text", "text": "é"}, {"type": "text", "text": "hi", "citations": [page, place]}]);
    assert_eq!(whole(content, json!("end_turn")).choices[0].message.extra["annotations"], want);

    let chunks = streamed(&events(
        &[
            (json!({"type": "text", "text": "é"}), &[]),
            (
                json!({"type": "text", "text": "", "citations": []}),
                &[
                    json!({"type": "citations_delta", "citation": page}),
                    json!({"type": "text_delta", "text": "hi"}),
                    json!({"type": "citations_delta", "citation": place}),
                ],
            ),
        ],
        "end_turn",
    ));
    assert_eq!(together(&chunks).choices[0].message.extra["annotations"], want);
}

#[test]
fn the_tool_that_stands_for_the_answer_is_the_answer() {
    let call = json!({"type": "tool_use", "id": "t", "name": "interfuse_answer", "input": {"a": 1}});
    let answer = whole(json!([call]), json!("tool_use"));
    let choice = &answer.choices[0];
    assert_eq!((choice.message.content.as_deref(), &choice.message.tool_calls), (Some("{\"a\":1}"), &None));
    assert_eq!(choice.finish_reason.as_deref(), Some("stop"));
    assert_eq!(choice.extra["native_finish_reason"], "tool_use");

    let begun = json!({"type": "tool_use", "id": "t", "name": "interfuse_answer", "input": {}});
    let grown = [json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"})];
    let same = together(&streamed(&events(&[(begun, &grown)], "tool_use")));
    assert_eq!((same.text(), same.choices[0].finish_reason.as_deref()), ("{\"a\":1}", Some("stop")));
    assert_eq!(same.choices[0].message.tool_calls, None);
}

#[test]
fn a_refusal_says_why() {
    let mut stop = events(&[], "refusal");
    stop[1]["delta"]["stop_details"] = json!({"type": "refusal", "category": "bio", "explanation": "No."});
    let answer = together(&streamed(&stop));
    let choice = &answer.choices[0];
    assert_eq!(
        (choice.finish_reason.as_deref(), choice.message.refusal.as_deref()),
        (Some("content_filter"), Some("No."))
    );
    assert_eq!(choice.extra["stop_details"]["category"], "bio");
    assert_eq!(choice.extra["native_finish_reason"], "refusal");
}

#[test]
fn calls_are_counted_apart_from_blocks() {
    let chunks = streamed(&events(
        &[
            (json!({"type": "text", "text": "Now."}), &[]),
            (json!({"type": "tool_use", "id": "t", "name": "now", "input": {}, "caller": {"type": "direct"}}), &[]),
            (json!({"type": "tool_use", "id": "u", "name": "add", "input": {"a": 1}}), &[]),
        ],
        "tool_use",
    ));
    let calls: Vec<_> =
        chunks.iter().flat_map(|c| &c.choices).flat_map(|c| c.delta.tool_calls.iter().flatten()).collect();
    let arguments = |i: usize| calls[i].function.as_ref().unwrap().arguments.as_deref();
    assert_eq!(calls.iter().map(|c| c.index).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!((arguments(1), arguments(3)), (Some("{}"), Some("{\"a\":1}")));
    assert_eq!(calls[0].extra["caller"], json!({"type": "direct"}));
}
