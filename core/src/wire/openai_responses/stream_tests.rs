//! Answers, whole and streamed, as the caller gets them.

use serde_json::{Value, json};

use super::OpenAiResponses;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatCompletion, Quirks};
use crate::wire::{Assembler, Frame, Protocol, Reply, WireTarget};

fn whole(body: Value) -> Result<ChatCompletion, Error> {
    let quirks = Quirks::default();
    let target = WireTarget { provider: "openai", model: "m", quirks: &quirks };
    let body = body.to_string();
    OpenAiResponses.decode(&Reply { status: 200, headers: &http::HeaderMap::new(), body: body.as_bytes() }, &target)
}

fn streamed(events: &[Value]) -> Result<ChatCompletion, Error> {
    let quirks = Quirks::default();
    let mut decoder = OpenAiResponses.decoder(&WireTarget { provider: "openai", model: "m", quirks: &quirks });
    let (mut out, mut assembler) = (Vec::new(), Assembler::default());
    for event in events {
        decoder.frame(Frame { data: event.to_string().as_bytes(), ..Default::default() }, &mut out)?;
    }
    assert!(decoder.complete());
    out.iter().for_each(|chunk| assembler.add(chunk));
    Ok(assembler.finish())
}

fn answer(output: Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 17.5, "status": "completed", "model": "m", "output": output,
        "temperature": 1.0, "tools": [], "service_tier": "default", "billing": {"payer": "developer"},
        "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 16, "cost_in_usd_ticks": 5}})
}

/// The items, each told at its end alone.
fn at_their_end(output: &Value) -> Vec<Value> {
    let items = output.as_array().unwrap().iter().enumerate();
    let mut events: Vec<Value> =
        items.map(|(i, item)| json!({"type": "response.output_item.done", "output_index": i, "item": item})).collect();
    events.insert(0, json!({"type": "response.created", "response": {"id": "resp_1", "model": "m"}}));
    events.push(json!({"type": "response.completed", "response": answer(output.clone())}));
    events
}

#[test]
fn a_stream_gives_what_the_whole_answer_gives() {
    let page =
        json!({"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://example.com", "title": "T"});
    let file = json!({"type": "file_citation", "index": 1, "file_id": "f", "filename": "a"});
    let output = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}], "encrypted_content": "e", "status": "completed"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "message", "id": "m_1", "phase": "commentary", "content": [{"type": "output_text", "text": "é", "annotations": [file]}]},
        {"type": "message", "id": "m_2", "content": [{"type": "output_text", "text": "hi", "annotations": [page],
            "logprobs": [{"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}]}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_2", "name": "c", "input": "x"}]);
    let one = whole(answer(output.clone())).unwrap();
    let mut other = streamed(&at_their_end(&output)).unwrap();
    assert_eq!((one.created, other.created), (17, 0));
    other.created = 17;
    assert_eq!(one, other);

    let choice = &one.choices[0];
    let message = &choice.message;
    assert_eq!((one.text(), message.reasoning_content.as_deref()), ("éhi", Some("A\n\nB")));
    assert_eq!(choice.finish_reason.as_deref(), Some("tool_calls"));
    assert_eq!(choice.extra["native_finish_reason"], "completed");
    assert_eq!(choice.logprobs.as_ref().unwrap().content.as_ref().unwrap()[0].token, "hi");
    assert_eq!(
        message.extra["annotations"],
        json!([{"type": "file_citation", "file_citation": {"index": 1, "file_id": "f", "filename": "a"}},
            {"type": "url_citation", "url_citation": {"start_index": 1, "end_index": 3, "url": "https://example.com", "title": "T"}}])
    );
    assert_eq!(
        message.extra["content_blocks"],
        json!([{"type": "web_search_call", "id": "ws_1", "status": "completed"}])
    );
    let block = &message.extra["provider_state"][0]["blocks"][0];
    assert_eq!((&block["encrypted_content"], block.get("id")), (&json!("e"), None));
    let calls = message.tool_calls.as_ref().unwrap();
    assert_eq!((calls[0].id.as_str(), calls[1].r#type.as_str()), ("call_1", "custom"));
    assert_eq!(calls[1].extra["custom"], json!({"name": "c", "input": "x"}));
    assert_eq!(
        serde_json::to_value(&one.usage).unwrap(),
        json!({"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16, "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3}, "cost_in_usd_ticks": 5})
    );
    assert_eq!(
        (one.service_tier.as_deref(), Value::Object(one.extra)),
        (Some("default"), json!({"billing": {"payer": "developer"}}))
    );
}

#[test]
fn summary_and_reasoning_are_not_told_twice() {
    let delta =
        |kind: &str, text: &str| json!({"type": format!("response.{kind}.delta"), "output_index": 0, "delta": text});
    let item = json!({"type": "reasoning", "summary": [{"text": "short"}], "content": [{"text": "long"}]});
    let answer = streamed(&[
        delta("reasoning_summary_text", "short"),
        delta("reasoning_text", "long"),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": answer(json!([item]))}),
    ]);
    assert_eq!(answer.unwrap().choices[0].message.reasoning_content.as_deref(), Some("short"));
}

#[test]
fn what_failed_is_an_error_of_its_kind() {
    let failed = |code: &str| json!({"status": "failed", "output": [], "error": {"code": code, "message": "m"}});
    for (code, kind) in [
        ("server_error", ErrorKind::ServerError),
        ("rate_limit_exceeded", ErrorKind::RateLimited),
        ("invalid_prompt", ErrorKind::ContentFiltered),
        ("context_length_exceeded", ErrorKind::ContextLength),
    ] {
        assert_eq!(whole(failed(code)).unwrap_err().kind(), kind);
        let event = json!({"type": "response.failed", "response": failed(code)});
        assert_eq!(streamed(&[event]).unwrap_err().kind(), kind);
        let event = json!({"type": "error", "code": code, "message": "m", "param": null});
        assert_eq!(streamed(&[event]).unwrap_err().kind(), kind);
    }
    assert_eq!(whole(json!({"status": "cancelled", "output": []})).unwrap_err().kind(), ErrorKind::ServerError);
    assert_eq!(whole(json!({"status": "queued", "output": []})).unwrap_err().kind(), ErrorKind::Decode);
}
