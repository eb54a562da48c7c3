//! What the caller gets for what the vendor sends.

use http::HeaderMap;
use serde_json::{Value, json};

use super::Gemini;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatCompletion, ChatCompletionChunk, Quirks};
use crate::wire::{Assembler, Frame, Protocol, Reply, WireTarget};

fn with<T>(run: impl FnOnce(&WireTarget<'_>) -> T) -> T {
    run(&WireTarget { provider: "gemini", model: "gemini-x", quirks: &Quirks::default() })
}

fn decoded(body: Value) -> Result<ChatCompletion, Error> {
    let body = body.to_string();
    with(|target| Gemini.decode(&Reply { status: 200, headers: &HeaderMap::new(), body: body.as_bytes() }, target))
}

/// Chunks of the frames, and whether the stream was complete.
fn streamed(frames: &[Value]) -> Result<(Vec<ChatCompletionChunk>, bool), Error> {
    with(|target| {
        let (mut decoder, mut out) = (Gemini.decoder(target), Vec::new());
        for frame in frames {
            decoder.frame(Frame { data: frame.to_string().as_bytes(), ..Default::default() }, &mut out)?;
        }
        decoder.finish(&mut out);
        Ok((out, decoder.complete()))
    })
}

fn says(parts: Value, reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}});
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-x-001"})
}

#[test]
fn parts_become_a_message() {
    let mut body = says(
        json!([{"text": "Hm.", "thought": true}, {"text": "Bern"}, {"text": ".", "thoughtSignature": "s"},
               {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "t"}, {"functionCall": {"id": "own", "name": "g"}}]),
        Some("STOP"),
    );
    body["createTime"] = json!("now");
    body["candidates"][0]["safetyRatings"] = json!([]);
    let answer = decoded(body).unwrap();
    let choice = &answer.choices[0];
    let message = &choice.message;
    assert_eq!((answer.id.as_str(), answer.model.as_str()), ("r1", "gemini-x-001"));
    assert_eq!((message.content.as_deref(), message.reasoning_content.as_deref()), (Some("Bern."), Some("Hm.")));
    assert_eq!(
        (choice.finish_reason.as_deref(), &choice.extra["native_finish_reason"]),
        (Some("tool_calls"), &json!("STOP"))
    );
    let calls = message.tool_calls.as_ref().unwrap();
    assert_eq!(calls[0].extra["extra_content"]["google"]["thought_signature"], "t");
    assert_eq!(calls[0].function.as_ref().unwrap().arguments, "{\"x\":1}");
    assert_eq!((calls[1].id.as_str(), calls[1].function.as_ref().unwrap().arguments.as_str()), ("own", "{}"));
    assert!(calls[0].id.starts_with("call_"));
    assert_eq!(
        message.extra["provider_state"],
        json!([{"provider": "gemini", "model": "gemini-x", "blocks": [{"from": 4, "to": 5, "thoughtSignature": "s"}]}])
    );
    assert_eq!((&answer.extra["createTime"], &choice.extra["safetyRatings"]), (&json!("now"), &json!([])));
}

#[test]
fn generated_ids_differ_within_an_answer_and_between_answers() {
    let call = json!({"functionCall": {"name": "f", "args": {}}});
    let ids = |id: &str| {
        let mut body = says(json!([call, call]), Some("STOP"));
        body["responseId"] = json!(id);
        decoded(body).unwrap().choices[0]
            .message
            .tool_calls
            .clone()
            .unwrap()
            .into_iter()
            .map(|c| c.id)
            .collect::<Vec<_>>()
    };
    let (one, two) = (ids("r1"), ids("r2"));
    assert_eq!(one, ids("r1"));
    assert!(one[0] != one[1] && !two.contains(&one[0]) && !two.contains(&one[1]));
}

#[test]
fn text_after_the_first_stop_is_kept_and_there_is_one_finish() {
    let frames = [
        says(json!([{"executableCode": {"code": "1"}}]), Some("STOP")),
        says(json!([{"codeExecutionResult": {"output": "1"}}]), None),
        says(json!([{"text": "It is 1."}]), Some("STOP")),
    ];
    for cut in 1..frames.len() {
        assert!(!streamed(&frames[..cut]).unwrap().1, "cut after {cut}");
    }
    let (chunks, complete) = streamed(&frames).unwrap();
    assert!(complete);
    assert_eq!(chunks.iter().flat_map(|c| &c.choices).filter(|c| c.finish_reason.is_some()).count(), 1);
    let mut all = Assembler::default();
    chunks.iter().for_each(|c| all.add(c));
    let message = all.finish().choices.remove(0).message;
    assert_eq!(message.content.as_deref(), Some("It is 1."));
    assert_eq!(message.extra["content_blocks"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_last_usage_counts_and_comes_last() {
    let mut frames = [says(json!([{"text": "a"}]), None), says(json!([{"text": "b"}]), Some("MAX_TOKENS"))];
    frames[0]["usageMetadata"] = json!({"promptTokenCount": 169, "candidatesTokenCount": 9});
    frames[1]["usageMetadata"] = json!({"promptTokenCount": 79, "candidatesTokenCount": 2});
    let (chunks, _) = streamed(&frames).unwrap();
    let usage: Vec<_> = chunks.iter().filter_map(|c| c.usage.as_ref()).collect();
    assert_eq!((usage.len(), usage[0].prompt_tokens, usage[0].total_tokens), (1, 79, 81));
    assert!(chunks.last().unwrap().choices.is_empty());
    assert_eq!(chunks[chunks.len() - 2].choices[0].finish_reason.as_deref(), Some("length"));
}

#[test]
fn a_blocked_prompt_is_an_error() {
    let body = json!({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no"}, "usageMetadata": {}});
    for error in [decoded(body.clone()).unwrap_err(), streamed(&[body]).unwrap_err()] {
        assert_eq!((error.kind(), error.body().code.as_deref()), (ErrorKind::ContentFiltered, Some("SAFETY")));
    }
}

#[test]
fn an_answer_that_failed_before_it_said_anything_is_an_error() {
    let failed = says(json!([]), Some("MALFORMED_FUNCTION_CALL"));
    assert_eq!(decoded(failed.clone()).unwrap_err().kind(), ErrorKind::ServerError);
    assert_eq!(streamed(&[failed]).unwrap_err().kind(), ErrorKind::ServerError);
    let said = decoded(says(json!([{"text": "x"}]), Some("A_NEW_REASON"))).unwrap();
    assert_eq!(said.choices[0].finish_reason.as_deref(), Some("stop"));
    assert_eq!(said.choices[0].extra["native_finish_reason"], "A_NEW_REASON");
    let filtered = decoded(says(json!([]), Some("SAFETY"))).unwrap();
    assert_eq!(filtered.choices[0].finish_reason.as_deref(), Some("content_filter"));
    assert_eq!(decoded(json!({"candidates": [{"content": {}}]})).unwrap_err().kind(), ErrorKind::ServerError);
    assert_eq!(decoded(json!({"other": 1})).unwrap_err().kind(), ErrorKind::Decode);
}

#[test]
fn an_error_in_the_middle_is_one_in_either_shape() {
    let error = json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    for last in [error.clone(), json!([error])] {
        let e = streamed(&[says(json!([{"text": "a"}]), None), last]).unwrap_err();
        assert_eq!((e.kind(), e.body().status), (ErrorKind::Overloaded, Some(503)));
    }
}

#[test]
fn a_list_is_a_whole_answer_too() {
    let answer =
        decoded(json!([says(json!([{"text": "5 "}]), None), says(json!([{"text": "x"}]), Some("STOP"))])).unwrap();
    assert_eq!(answer.text(), "5 x");
}

#[test]
fn several_candidates_and_their_probabilities() {
    let body = json!({"candidates": [
        {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0, "logprobsResult": {
            "chosenCandidates": [{"token": "é", "logProbability": -0.5}],
            "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "b", "logProbability": -2}]}]}},
        {"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP", "index": 1}]});
    let answer = decoded(body).unwrap();
    assert_eq!((answer.choices.len(), answer.choices[1].message.content.as_deref()), (2, Some("b")));
    let tokens = answer.choices[0].logprobs.as_ref().unwrap().content.as_ref().unwrap();
    assert_eq!((tokens[0].bytes.as_deref(), tokens[0].top_logprobs.len()), (Some(&[195, 169][..]), 2));
}
