//! What vendors say beside the body, over real sockets: headers that a wire must send, and headers that tell who served.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use interfuse::types::{ChatRequest, Config, Message};
use interfuse::wire::{WireTarget, protocol};
use interfuse::{Catalog, Client};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

fn client(providers: Value) -> Client {
    let config = json!({"use_environment": false, "providers": providers});
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

#[tokio::test]
async fn anthropic_is_told_the_version_and_the_features_in_use() {
    let answer = json!({"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [{"type": "text", "text": "x"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}});
    let up = Upstream::start(json!({"routes": [{"then": {"json": answer}}]})).await.unwrap();
    let client = client(json!({"anthropic": {"base_url": up.base_url(), "api_key": "k-1"}}));
    let mut request = ChatRequest::new("anthropic/claude-haiku-4-5", [Message::user("hi")]);
    client.chat(request.clone()).await.unwrap();
    request.extra.insert("mcp_servers".into(), json!([{"type": "url", "name": "a", "url": "https://example.com/mcp"}]));
    client.chat(request).await.unwrap();
    let log = up.log();
    let header = |at: usize, name: &str| log[at].headers.get(name).cloned();
    assert_eq!(header(0, "anthropic-version").as_deref(), Some("2023-06-01"));
    assert_eq!(header(0, "anthropic-beta"), None);
    assert!(header(1, "anthropic-beta").is_some_and(|features| features.contains("mcp-client")));
}

#[test]
fn an_answer_of_anyones_is_no_error_where_only_openais_fields_are_taken() {
    let answer = json!({"role": "assistant", "content": "x", "reasoning_content": "r", "reasoning": "r",
        "reasoning_details": [{"type": "reasoning.text"}], "annotations": [], "citations": [], "content_blocks": [],
        "provider_state": [{"provider": "anthropic", "model": "c", "blocks": [{}]}],
        "tool_calls": [{"id": "abcdefgh1", "type": "function", "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "s"}}, "caller": {"type": "direct"}}]});
    let request: ChatRequest = serde_json::from_value(json!({"model": "m", "messages": [answer]})).unwrap();
    for (provider, reasoning) in [("groq", None), ("mistral", None), ("cerebras", Some("r"))] {
        let catalog = Catalog::builtin();
        let row = catalog.provider(provider).unwrap();
        let target = WireTarget { provider, model: "m", quirks: &row.quirks };
        let sent = protocol(&row.wire).unwrap().encode(&request, &target, false).unwrap();
        let sent: Value = serde_json::from_slice(&sent.body).unwrap();
        let mut want = json!({"role": "assistant", "content": "x", "tool_calls": [{"id": "abcdefgh1", "type": "function",
            "function": {"name": "f", "arguments": "{}"}}]});
        if let Some(reasoning) = reasoning {
            want["reasoning"] = reasoning.into();
        }
        assert_eq!(sent["messages"][0], want, "{provider}");
    }
}

#[tokio::test]
async fn the_router_of_hugging_face_tells_who_served() {
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    let head = json!({"content-type": "application/json", "x-inference-provider": "novita"});
    let up = Upstream::start(json!({"routes": [{"then": {"headers": head, "json": answer}}]})).await.unwrap();
    let client = client(json!({"hf-router": {"base_url": up.base_url(), "api_key": "k-1"}}));
    let answer = client.chat(ChatRequest::new("hf-router/org/model", [Message::user("hi")])).await.unwrap();
    assert_eq!(answer.interfuse.unwrap().served_by.as_deref(), Some("novita"));
}
