//! Requests as the vendor takes them.

use serde_json::{Value, json};

use super::OpenAiResponses;
use crate::error::ErrorKind;
use crate::types::{ChatRequest, Quirks};
use crate::wire::{Protocol, WireTarget};

fn encode(model: &str, request: Value, stream: bool) -> (Value, Vec<String>) {
    let request: ChatRequest = serde_json::from_value(request).unwrap();
    let quirks = Quirks::default();
    let target = WireTarget { provider: "openai", model, quirks: &quirks };
    let encoded = OpenAiResponses.encode(&request, &target, stream).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
}

#[test]
fn a_request_with_everything() {
    let (body, dropped) = encode(
        "gpt-5-codex",
        json!({"messages": [
                {"role": "system", "content": "Be brief."}, {"role": "developer", "content": "In French."},
                {"role": "user", "content": [{"type": "text", "text": "What?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}]},
                {"role": "system", "content": "Now."}],
            "max_completion_tokens": 64, "temperature": 0.5, "reasoning_effort": "low", "reasoning": {"summary": "auto"},
            "verbosity": "low", "parallel_tool_calls": false, "metadata": {"a": "b"}, "service_tier": "flex", "user": "u",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
            "logprobs": true, "top_logprobs": 2, "truncation": "auto", "extra_body": {"new": 1}, "seed": 3, "stop": "x"}),
        true,
    );
    assert_eq!(
        body,
        json!({"model": "gpt-5-codex", "instructions": "Be brief.\nIn French.",
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}]},
                {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Now."}]}],
            "max_output_tokens": 64, "temperature": 0.5, "top_logprobs": 2, "parallel_tool_calls": false,
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"},
            "reasoning": {"effort": "low", "summary": "auto"}, "store": false,
            "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "stream": true,
            "new": 1, "metadata": {"a": "b"}, "service_tier": "flex", "user": "u", "truncation": "auto"})
    );
    assert_eq!(dropped, ["seed"]);
}

#[test]
fn tools_have_no_second_level_and_say_whether_they_are_strict() {
    let (body, _) = encode(
        "gpt-4o",
        json!({"messages": [], "tools": [
                {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
                {"type": "function", "function": {"name": "g", "strict": true}},
                {"type": "custom", "custom": {"name": "c", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}},
                {"type": "code_interpreter", "container": {"type": "auto"}}],
            "web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"country": "CH"}}},
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}}}),
        false,
    );
    assert_eq!(
        body["tools"],
        json!([{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": false},
            {"type": "function", "name": "g", "parameters": null, "strict": true},
            {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "code_interpreter", "container": {"type": "auto"}},
            {"type": "web_search", "search_context_size": "low", "user_location": {"type": "approximate", "country": "CH"}}])
    );
    assert_eq!(
        body["tool_choice"],
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]})
    );
    let chosen = |choice: Value| {
        encode("gpt-4o", json!({"messages": [], "tool_choice": choice}), false).0["tool_choice"].clone()
    };
    assert_eq!(chosen(json!("required")), json!("required"));
    assert_eq!(
        chosen(json!({"type": "function", "function": {"name": "f"}})),
        json!({"type": "function", "name": "f"})
    );
    assert_eq!(chosen(json!({"type": "file_search"})), json!({"type": "file_search"}));
}

#[test]
fn earlier_turns_come_back_with_their_reasoning() {
    let messages = json!([
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": "I add.", "refusal": null, "provider_state": [
            {"provider": "openai", "model": "m", "blocks": [{"type": "reasoning", "summary": [], "encrypted_content": "e"}, {"type": "reasoning", "id": "rs_1", "summary": []}]},
            {"provider": "azure", "model": "m", "blocks": [{"type": "reasoning", "encrypted_content": "other"}]}],
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
                {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "in"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "out"}]}]);
    let (body, dropped) = encode("gpt-4o", json!({"messages": messages}), false);
    assert_eq!(
        body["input"],
        json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "add"}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "e"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I add."}]},
            {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{\"a\":1}"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "c", "input": "in"},
            {"type": "function_call_output", "call_id": "call_1", "output": "2"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "out"}]}])
    );
    // It reasoned before, so it will again.
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert!(dropped.is_empty());
    let (body, _) = encode("gpt-4o", json!({"messages": messages, "store": true}), false);
    assert_eq!((&body["store"], body.get("include"), &body["input"][2]["id"]), (&json!(true), None, &json!("rs_1")));
}

#[test]
fn reasoning_is_asked_for_where_there_is_some() {
    let included = |model: &str, effort: Value| {
        let request = json!({"messages": [], "reasoning_effort": effort});
        encode(model, request, false).0.get("include").is_some()
    };
    assert!(included("o3-mini", Value::Null) && included("openai/gpt-5.1", Value::Null));
    assert!(!included("gpt-4.1", Value::Null) && !included("gpt-5-chat-latest", Value::Null));
    assert!(!included("gpt-5", json!("none")) && included("unknown", json!("low")));
}

#[test]
fn instructions_of_the_callers_own_leave_those_of_the_conversation_in_place() {
    let request = json!({"messages": [{"role": "system", "content": "a"}], "instructions": "b"});
    let (body, _) = encode("gpt-4o", request, false);
    assert_eq!((&body["instructions"], &body["input"][0]["role"]), (&json!("b"), &json!("system")));
}

#[test]
fn what_has_no_place_is_refused() {
    let refused = |request: Value| {
        let request: ChatRequest = serde_json::from_value(request).unwrap();
        let quirks = Quirks::default();
        let target = WireTarget { provider: "openai", model: "gpt-4o", quirks: &quirks };
        let error = OpenAiResponses.encode(&request, &target, false).unwrap_err();
        (error.kind(), error.body().param.clone().unwrap())
    };
    assert_eq!(refused(json!({"messages": [], "n": 2})), (ErrorKind::Unsupported, "n".to_owned()));
    let audio = json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]});
    assert_eq!(refused(audio), (ErrorKind::Unsupported, "messages".to_owned()));
}
