//! What the vendor gets for what the caller asks.

use serde_json::{Value, json};

use super::request::encode;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatRequest, Quirks};
use crate::wire::WireTarget;

fn try_encode(model: &str, request: Value, stream: bool) -> Result<(Value, Vec<String>), Error> {
    let request: ChatRequest = serde_json::from_value(request).unwrap();
    let target = WireTarget { provider: "ollama", model, quirks: &Quirks::default() };
    let encoded = encode(&request, &target, stream)?;
    Ok((serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped))
}

fn encoded(request: Value) -> Value {
    try_encode("qwen3", request, false).unwrap().0
}

fn refused(request: Value) -> String {
    let e = try_encode("qwen3", request, false).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    e.body().param.clone().unwrap_or_default()
}

#[test]
fn messages_and_options() {
    let (body, dropped) = try_encode(
        "qwen3",
        json!({"messages": [{"role": "developer", "content": "S"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}],
            "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "seed": 1, "stop": ["x"], "num_ctx": 4096,
            "presence_penalty": 0.1, "frequency_penalty": 0.2, "logprobs": true, "top_logprobs": 2,
            "keep_alive": "5m", "options": {"num_gpu": 1}, "extra_body": {"options": {"seed": 2}, "raw": 1}}),
        true,
    )
    .unwrap();
    assert_eq!(
        body,
        json!({"model": "qwen3", "messages": [{"role": "system", "content": "S"},
            {"role": "user", "content": "a\nb", "images": ["AAAA"]}], "stream": true,
            "logprobs": true, "top_logprobs": 2,
            "options": {"num_predict": 5, "temperature": 0.5, "top_p": 0.9, "seed": 2, "stop": ["x"],
                "presence_penalty": 0.1, "frequency_penalty": 0.2, "top_k": 4, "num_ctx": 4096, "num_gpu": 1},
            "raw": 1, "keep_alive": "5m"})
    );
    assert!(dropped.is_empty(), "{dropped:?}");
    assert_eq!(encoded(json!({"messages": []})), json!({"model": "qwen3", "messages": [], "stream": false}));
}

#[test]
fn calls_have_objects_and_results_have_names() {
    let body = encoded(json!({"messages": [
        {"role": "assistant", "content": null, "reasoning_content": "Hm.", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "3"}]}));
    assert_eq!(
        body["messages"],
        json!([{"role": "assistant", "content": "", "thinking": "Hm.",
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"x": 1}}}]},
            {"role": "tool", "content": "3", "tool_name": "f", "tool_call_id": "1"}])
    );
    let cut = json!({"messages": [{"role": "assistant", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x"}}]}]});
    assert_eq!(try_encode("qwen3", cut, false).unwrap_err().kind(), ErrorKind::InvalidRequest);
}

#[test]
fn tools_go_as_they_are_and_choices_only_where_they_can_be_kept() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let with = |choice: Value| json!({"messages": [], "tools": [tool], "tool_choice": choice});
    assert_eq!(encoded(with(json!("auto")))["tools"], json!([tool]));
    assert!(encoded(with(json!("none"))).get("tools").is_none());
    assert_eq!(refused(with(json!("required"))), "tool_choice");
    assert_eq!(refused(with(json!({"type": "function", "function": {"name": "f"}}))), "tool_choice");
    let custom = json!({"messages": [], "tools": [{"type": "custom", "custom": {"name": "c"}}]});
    assert_eq!(refused(custom), "tools");
}

#[test]
fn forms_and_thinking() {
    let schema = json!({"type": "object", "properties": {"b": {}, "a": {}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    assert_eq!(encoded(json!({"messages": [], "response_format": format}))["format"], schema);
    assert_eq!(encoded(json!({"messages": [], "response_format": {"type": "json_object"}}))["format"], "json");
    let think = |model: &str, effort: &str| {
        try_encode(model, json!({"messages": [], "reasoning_effort": effort}), false).unwrap().0["think"].clone()
    };
    assert_eq!((think("qwen3", "none"), think("qwen3", "low")), (json!(false), json!(true)));
    assert_eq!((think("gpt-oss:20b", "low"), think("gpt-oss:20b", "xhigh")), (json!("low"), json!("high")));
    let silent = try_encode("gpt-oss:20b", json!({"messages": [], "reasoning_effort": "none"}), false).unwrap_err();
    assert_eq!(silent.body().param.as_deref(), Some("reasoning_effort"));
}

#[test]
fn nothing_is_left_out_in_silence() {
    let (_, dropped) = try_encode(
        "qwen3",
        json!({"messages": [], "user": "u", "parallel_tool_calls": false,
            "tools": [{"type": "function", "function": {"name": "f", "strict": true}}]}),
        false,
    )
    .unwrap();
    assert_eq!(dropped, ["user", "parallel_tool_calls", "tools.function.strict"]);
    assert_eq!(refused(json!({"messages": [], "n": 2})), "n");
    let linked = json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]});
    assert_eq!(refused(linked), "messages");
}
