//! Requests in Converse's words.

use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::types::Quirks;

pub(super) const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
pub(super) const CLAUDE_4: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const CLAUDE_46: &str = "global.anthropic.claude-opus-4-6-v1";
pub(super) const NOVA: &str = "amazon.nova-lite-v1:0";
pub(super) const NOVA_2: &str = "us.amazon.nova-2-lite-v1:0";
const LLAMA: &str = "us.meta.llama3-3-70b-instruct-v1:0";
const TITAN: &str = "amazon.titan-text-express-v1";

pub(super) fn at<T>(model: &str, with: impl FnOnce(&WireTarget<'_>) -> T) -> T {
    with(&WireTarget { provider: "bedrock", model, quirks: &Quirks::default() })
}

fn try_encoded(model: &str, request: Value) -> Result<(Value, Vec<String>)> {
    let request: ChatRequest = serde_json::from_value(request).unwrap();
    let encoded = at(model, |target| BedrockConverse.encode(&request, target, false))?;
    Ok((serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped))
}

fn encoded(model: &str, request: Value) -> (Value, Vec<String>) {
    try_encoded(model, request).unwrap()
}

fn refused(model: &str, request: Value) -> (ErrorKind, String) {
    let e = try_encoded(model, request).unwrap_err();
    (e.kind(), e.message().to_owned())
}

fn asks(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

pub(super) fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d",
           "parameters": {"type": "object", "properties": {"x": {"type": "number"}}}}})
}

#[test]
fn a_conversation_in_turns() {
    let (body, dropped) = encoded(
        CLAUDE,
        json!({"model": "m", "max_tokens": 9, "temperature": 0.5, "stop": ["|"], "user": "u", "seed": 1, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "  "},
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "\n"}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1.50}"}},
                {"id": "call with spaces", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "[1]"},
            {"role": "tool", "tool_call_id": "call with spaces", "content": "", "is_error": true},
            {"role": "user", "content": "and?"}],
            "tools": [tool("f")]}),
    );
    assert_eq!(body["system"], json!([{"text": "Be brief."}]));
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 9, "temperature": 0.5, "stopSequences": ["|"]}));
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(messages[0]["content"], json!([{"text": "a"}, {"text": "b"}]));
    assert_eq!(
        messages[1]["content"][0],
        json!({"toolUse": {"toolUseId": "call_1", "name": "f", "input": {"x": 1.5}}})
    );
    let id = messages[1]["content"][1]["toolUse"]["toolUseId"].as_str().unwrap();
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
    assert_eq!(messages[2]["content"][0]["toolResult"]["content"], json!([{"text": "[1]"}]));
    assert_eq!(
        messages[2]["content"][1]["toolResult"],
        json!({"toolUseId": id, "content": [{"text": ""}], "status": "error"})
    );
    assert_eq!(messages[2]["content"][2], json!({"text": "and?"}));
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["type"], "object");
    assert_eq!((dropped.contains(&"user".to_owned()), dropped.contains(&"seed".to_owned())), (true, true));
    assert_eq!(body.as_object().unwrap().len(), 4, "{body}");
}

#[test]
fn numbers_of_arguments_keep_their_digits() {
    let request: ChatRequest = serde_json::from_value(json!({"messages": [
        {"role": "assistant", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 123456789012345678901234567890}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"}], "tools": [tool("f")]}))
    .unwrap();
    let encoded = at(NOVA, |target| BedrockConverse.encode(&request, target, false)).unwrap();
    let text = String::from_utf8(encoded.body).unwrap();
    assert!(text.contains("\"input\":{\"x\": 123456789012345678901234567890}"), "{text}");
}

#[test]
fn without_tools_a_history_of_tools_is_told_in_words() {
    let request = json!({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "I look.", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "42"}]});
    for (tools, choice) in [(Value::Null, Value::Null), (json!([tool("f")]), json!("none"))] {
        let mut request = request.clone();
        (request["tools"], request["tool_choice"]) = (tools, choice);
        let (body, _) = encoded(CLAUDE, request);
        assert!(body.get("toolConfig").is_none());
        let text = body["messages"].to_string();
        assert!(!text.contains("toolUse") && !text.contains("toolResult"), "{text}");
        assert!(text.contains("tool f with") && text.contains("42"), "{text}");
    }
}

#[test]
fn choices_of_tools() {
    let with = |choice: Value| json!({"messages": asks("q"), "tools": [tool("f"), tool("g")], "tool_choice": choice});
    let named = json!({"type": "function", "function": {"name": "g"}});
    let (body, _) = encoded(NOVA, with(named.clone()));
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"tool": {"name": "g"}}));
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 2);
    let (body, _) = encoded("mistral.mistral-large-2402-v1:0", with(named));
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "g");
    assert_eq!(encoded(NOVA, with(json!("required"))).0["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(encoded(NOVA, with(json!("auto"))).0["toolConfig"].get("toolChoice"), None);
    let (kind, why) = refused(LLAMA, with(json!("required")));
    assert!(kind == ErrorKind::Unsupported && why.contains("tool_choice"), "{why}");
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required",
        "tools": [{"type": "function", "function": {"name": "f"}}]}});
    let (body, _) = encoded(NOVA, with(allowed));
    assert_eq!(
        (&body["toolConfig"]["toolChoice"], body["toolConfig"]["tools"].as_array().unwrap().len()),
        (&json!({"any": {}}), 1)
    );

    let mut one = with(json!("required"));
    one["parallel_tool_calls"] = json!(false);
    let (body, _) = encoded(CLAUDE, one.clone());
    let want = json!({"type": "any", "disable_parallel_tool_use": true});
    assert_eq!(body["additionalModelRequestFields"]["tool_choice"], want);
    assert_eq!(encoded(NOVA, one).1, ["parallel_tool_calls"]);
    let (body, _) = encoded(NOVA_2, json!({"messages": asks("q"), "tools": [{"type": "nova_grounding"}]}));
    assert_eq!(body["toolConfig"]["tools"], json!([{"systemTool": {"name": "nova_grounding"}}]));
}

#[test]
fn media_go_as_they_are_and_nothing_is_fetched() {
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let file = |name: &str| json!({"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,JVBERi0="}});
    let (body, _) = encoded(
        CLAUDE,
        json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "see"}, image("data:image/jpg;base64,/9j/4A=="), image("data:;base64,iVBORw0KGgo="),
            image("s3://bucket/a.webp"), file("Report v2.1.pdf"), file("Report v2.1.pdf"),
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
            {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}}]}]}),
    );
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"text": "see"},
            {"image": {"format": "jpeg", "source": {"bytes": "/9j/4A=="}}},
            {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
            {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/a.webp"}}}},
            {"document": {"format": "pdf", "name": "Report v2 1", "source": {"bytes": "JVBERi0="}}},
            {"document": {"format": "pdf", "name": "Report v2 1 2", "source": {"bytes": "JVBERi0="}}},
            {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
            {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}}])
    );
    for url in
        ["https://example.com/a.png", "http://169.254.169.254/", "data:image/png,raw", "data:image/tiff;base64,SUkq"]
    {
        let (kind, why) = refused(CLAUDE, json!({"messages": [{"role": "user", "content": [image(url)]}]}));
        assert!(kind == ErrorKind::Unsupported && !why.contains("raw"), "{url}: {why}");
    }
}

#[test]
fn cache_points_where_they_are_asked_for_and_taken() {
    let request = json!({"messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": [{"type": "text", "text": "a", "prompt_cache_breakpoint": true}, {"type": "text", "text": "b"}]}],
        "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}]});
    let (body, dropped) = encoded(CLAUDE, request.clone());
    assert_eq!(body["system"], json!([{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]));
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"text": "a"}, {"cachePoint": {"type": "default"}}, {"text": "b"}])
    );
    assert_eq!(body["toolConfig"]["tools"][1], json!({"cachePoint": {"type": "default"}}));
    assert!(dropped.is_empty(), "{dropped:?}");
    assert_eq!(encoded(NOVA, request.clone()).0["system"][1], json!({"cachePoint": {"type": "default"}}));
    let (body, dropped) = encoded(LLAMA, request);
    assert!(!body.to_string().contains("cachePoint"));
    assert_eq!(dropped, ["cache_control", "prompt_cache_breakpoint"]);
    let (body, _) = encoded(CLAUDE, json!({"messages": asks("q"), "cache_control": {"type": "ephemeral"}}));
    assert_eq!(body["messages"][0]["content"][1], json!({"cachePoint": {"type": "default"}}));
    assert!(body.get("cache_control").is_none() && body.get("additionalModelRequestFields").is_none());
}

#[test]
fn thinking_in_the_words_of_each_family() {
    let request = |effort: &str| json!({"messages": asks("q"), "reasoning_effort": effort, "max_tokens": 100, "temperature": 0.3});
    let (body, dropped) = encoded(CLAUDE, request("medium"));
    assert_eq!(body["additionalModelRequestFields"], json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}));
    assert_eq!((&body["inferenceConfig"], dropped), (&json!({"maxTokens": 2148}), vec!["temperature".to_owned()]));
    let (body, _) = encoded(CLAUDE_46, request("minimal"));
    let want = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}});
    assert_eq!(body["additionalModelRequestFields"], want);
    let (body, dropped) = encoded(NOVA_2, request("high"));
    let want = json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}});
    assert_eq!((&body["additionalModelRequestFields"], body.get("inferenceConfig")), (&want, None));
    assert_eq!(dropped, ["max_completion_tokens", "temperature"]);
    assert_eq!(encoded(NOVA, request("low")).1, ["reasoning_effort"]);
    assert_eq!(
        encoded("openai.gpt-oss-120b-1:0", request("low")).0["additionalModelRequestFields"],
        json!({"reasoning_effort": "low"})
    );
    // No reasoning is what some do anyway, and what others cannot be told.
    let none = json!({"messages": asks("q"), "reasoning_effort": "none"});
    for silent in [NOVA, "meta.llama3-1-8b-instruct-v1:0", "anthropic.claude-3-haiku-20240307-v1:0"] {
        let (body, dropped) = encoded(silent, none.clone());
        assert!(body.get("additionalModelRequestFields").is_none() && dropped.is_empty(), "{silent}");
    }
    for untold in ["deepseek.r1-v1:0", "qwen.qwen3-32b-v1:0"] {
        assert!(refused(untold, none.clone()).1.contains("`reasoning_effort`"), "{untold}");
    }
    let (body, dropped) = encoded(CLAUDE_46, request("xhigh"));
    assert_eq!(body["additionalModelRequestFields"]["output_config"], json!({"effort": "high"}));
    assert_eq!(dropped, ["reasoning_effort", "temperature"]);
    // Claude does not think where it must call.
    let mut forced = request("low");
    (forced["tools"], forced["tool_choice"]) = (json!([tool("f")]), json!("required"));
    let (body, dropped) = encoded(CLAUDE, forced);
    assert!(body.get("additionalModelRequestFields").is_none() && dropped == ["reasoning_effort"]);
    // Nor goes on thinking where its thoughts were lost.
    let (body, dropped) = encoded(
        CLAUDE,
        json!({"reasoning_effort": "low", "tools": [tool("f")], "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "1"}]}),
    );
    assert!(body.get("additionalModelRequestFields").is_none() && dropped == ["reasoning_effort"]);
}

#[test]
fn an_answer_begun_for_a_model_that_does_not_go_on_with_it_is_refused() {
    let begun = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "It is "}]);
    let (body, _) = encoded(CLAUDE, json!({"messages": begun}));
    assert_eq!(body["messages"][1]["content"], json!([{"text": "It is"}]));
    assert!(refused(CLAUDE, json!({"messages": begun, "reasoning_effort": "low"})).1.contains("begun for it"));
    assert!(refused(CLAUDE_46, json!({"messages": begun})).1.contains("begun for it"));
    encoded(NOVA, json!({"messages": begun}));
}

#[test]
fn schemas_natively_or_by_a_tool() {
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "City", "schema": {"type": "object", "properties": {}}}});
    let request = json!({"messages": asks("q"), "response_format": format});
    let (body, _) = encoded(CLAUDE, request.clone());
    let schema = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    assert_eq!(schema["schema"], "{\"type\":\"object\",\"properties\":{}}");
    assert!(body.get("toolConfig").is_none());
    for model in [CLAUDE_4, NOVA] {
        let (body, _) = encoded(model, request.clone());
        assert_eq!(body["toolConfig"]["toolChoice"], json!({"tool": {"name": "answer_in_json"}}));
        assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["type"], "object");
    }
    for (model, request) in [
        (LLAMA, request.clone()),
        (CLAUDE_4, {
            let mut with_tools = request.clone();
            with_tools["tools"] = json!([tool("f")]);
            with_tools
        }),
    ] {
        let (kind, why) = refused(model, request);
        assert!(kind == ErrorKind::Unsupported && why.contains("response_format"), "{why}");
    }
    let answer = |content: Value| {
        let body = json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use"});
        at(NOVA, |target| {
            let body = body.to_string();
            let reply = Reply { status: 200, headers: &HeaderMap::new(), body: body.as_bytes() };
            BedrockConverse.decode(&reply, target).unwrap()
        })
    };
    let got = answer(json!([{"toolUse": {"toolUseId": "t", "name": "answer_in_json", "input": {"a": 1}}}]));
    assert_eq!((got.text(), got.choices[0].finish_reason.as_deref()), ("{\"a\":1}", Some("stop")));
}

#[test]
fn what_is_not_conversed_goes_to_the_model_or_is_told() {
    let (body, dropped) = encoded(
        CLAUDE,
        json!({"messages": asks("q"), "temperature": 1.5, "top_p": 0.5, "top_k": 5, "service_tier": "flex", "anthropic_beta": ["x"],
               "metadata": {"team": "a"}, "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
               "additionalModelRequestFields": {"y": 1},
               "extra_body": {"performanceConfig": {"latency": "optimized"}, "additionalModelRequestFields": {"top_k": 6}}}),
    );
    assert_eq!(body["additionalModelRequestFields"], json!({"top_k": 6, "anthropic_beta": ["x"], "y": 1}));
    assert_eq!(body["inferenceConfig"], json!({"temperature": 1.0}));
    assert_eq!(body["serviceTier"], json!({"type": "flex"}));
    assert_eq!(body["requestMetadata"], json!({"team": "a"}));
    assert_eq!(body["guardrailConfig"]["guardrailIdentifier"], "g");
    assert_eq!(body["performanceConfig"]["latency"], "optimized");
    assert_eq!(dropped, ["temperature", "top_p"]);
    let (body, _) = encoded(NOVA, json!({"messages": asks("q"), "top_k": 5}));
    assert_eq!(body["additionalModelRequestFields"], json!({"inferenceConfig": {"topK": 5}}));
    let (body, _) =
        encoded(TITAN, json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]}));
    assert_eq!((body.get("system"), &body["messages"][0]["content"]), (None, &json!([{"text": "s"}, {"text": "q"}])));
    assert_eq!(refused(CLAUDE, json!({"messages": asks("q"), "n": 2})).0, ErrorKind::Unsupported);
}
