//! What the vendor gets for what the caller asks.

use serde_json::{Value, json};

use super::request::encode;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatRequest, Quirks};
use crate::wire::WireTarget;

fn try_encode(request: Value, stream: bool) -> Result<(Value, Vec<String>), Error> {
    let request: ChatRequest = serde_json::from_value(request).unwrap();
    let target = WireTarget { provider: "cohere", model: "command", quirks: &Quirks::default() };
    let encoded = encode(&request, &target, stream)?;
    Ok((serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped))
}

fn encoded(request: Value) -> Value {
    try_encode(request, false).unwrap().0
}

fn refused(request: Value) -> String {
    let e = try_encode(request, false).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    e.body().param.clone().unwrap_or_default()
}

#[test]
fn messages_and_settings() {
    let (body, dropped) = try_encode(
        json!({"model": "cohere/command", "messages": [{"role": "developer", "content": "S"},
            {"role": "user", "content": [{"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}]},
            {"role": "assistant", "content": "b"}],
            "temperature": 0.5, "top_p": 1.0, "top_k": 5, "max_completion_tokens": 7, "stop": "x", "seed": 3,
            "frequency_penalty": 0.1, "logprobs": true, "reasoning_effort": "low", "documents": ["d"], "safety_mode": "OFF",
            "extra_body": {"seed": 4}}),
        true,
    )
    .unwrap();
    assert_eq!(
        body,
        json!({"model": "command", "messages": [{"role": "system", "content": "S"},
            {"role": "user", "content": [{"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}]},
            {"role": "assistant", "content": "b"}],
            "stream": true, "temperature": 0.5, "p": 0.99, "frequency_penalty": 0.1, "max_tokens": 7,
            "stop_sequences": ["x"], "k": 5, "logprobs": true, "thinking": {"type": "enabled"}, "seed": 4,
            "documents": ["d"], "safety_mode": "OFF"})
    );
    assert!(dropped.is_empty(), "{dropped:?}");
}

#[test]
fn a_turn_with_calls_carries_its_plan_and_results_stand_alone() {
    let body = encoded(json!({"messages": [
        {"role": "assistant", "content": "I look.", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "get-it", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [{"id": "2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "document", "document": {"data": {"x": 1}}}]}]}));
    assert_eq!(
        body["messages"],
        json!([{"role": "assistant", "tool_plan": "I look.",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "get_x2d_it", "arguments": "{}"}}]},
            {"role": "tool", "content": "a\nb", "tool_call_id": "1"},
            {"role": "assistant", "tool_plan": "Hm.",
                "tool_calls": [{"id": "2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "content": [{"type": "document", "document": {"data": {"x": 1}}}], "tool_call_id": "2"}])
    );
}

#[test]
fn tools_and_choices() {
    let with = |choice: Value| {
        json!({"messages": [], "tool_choice": choice, "tools": [
            {"type": "function", "function": {"name": "get-it", "description": "d", "strict": true,
                "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}},
            {"type": "function", "function": {"name": "g"}}]})
    };
    let (body, dropped) = try_encode(with(json!("required")), false).unwrap();
    assert_eq!((&body["tool_choice"], body.get("strict_tools")), (&json!("REQUIRED"), None));
    assert_eq!(dropped, ["tools.function.strict"]);
    assert_eq!(body["tools"][0]["function"]["name"], "get_x2d_it");
    assert_eq!(body["tools"][1]["function"], json!({"name": "g", "parameters": {"type": "object", "properties": {}}}));

    let body = encoded(with(json!({"type": "function", "function": {"name": "get-it"}})));
    assert_eq!((body["tools"].as_array().map(Vec::len), &body["tool_choice"]), (Some(1), &json!("REQUIRED")));
    assert_eq!(encoded(with(json!("none")))["tool_choice"], "NONE");
    assert!(encoded(with(json!("auto"))).get("tool_choice").is_none());
    let custom = json!({"messages": [], "tools": [{"type": "custom", "custom": {"name": "c"}}]});
    assert_eq!(refused(custom), "tools");

    let mut strict = with(json!("auto"));
    strict["tools"].as_array_mut().unwrap().truncate(1);
    assert_eq!(encoded(strict)["strict_tools"], true);
}

#[test]
fn a_schema_stands_without_its_wrapping() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let body = encoded(json!({"messages": [], "response_format": format}));
    assert_eq!(body["response_format"], json!({"type": "json_object", "json_schema": schema}));
    assert!(encoded(json!({"messages": [], "response_format": {"type": "text"}})).get("response_format").is_none());
}

#[test]
fn nothing_is_left_out_in_silence() {
    let (body, dropped) = try_encode(
        json!({"messages": [], "temperature": 1.5, "presence_penalty": -1.0, "user": "u", "parallel_tool_calls": false}),
        false,
    )
    .unwrap();
    assert_eq!((&body["temperature"], &body["presence_penalty"]), (&json!(1.0), &json!(0.0)));
    assert_eq!(dropped, ["user", "parallel_tool_calls", "temperature", "presence_penalty"]);
    assert_eq!(refused(json!({"messages": [], "temperature": 1.5, "strict_params": true})), "temperature");
    let both = json!({"messages": [], "frequency_penalty": 0.5, "presence_penalty": 0.5, "tool_choice": "required"});
    let (body, dropped) = try_encode(both, false).unwrap();
    assert_eq!((&body["frequency_penalty"], body.get("presence_penalty")), (&json!(0.5), None));
    assert_eq!((body.get("tool_choice"), dropped), (None, vec!["presence_penalty".to_owned()]));
    assert_eq!(refused(json!({"messages": [], "n": 2})), "n");
    assert_eq!(refused(json!({"messages": [], "logprobs": true, "top_logprobs": 3})), "top_logprobs");
    let audio = json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]});
    assert_eq!(refused(audio), "messages");
}
