//! Texts that end the answer, over a wire that knows none: the answer is cut here, whole or streamed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use interfuse::Client;
use interfuse::types::{ChatRequest, Config, Message, Stop};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

fn client(up: &Upstream) -> Client {
    let config = json!({"use_environment": false,
        "providers": {"openai": {"base_url": format!("{}/v1", up.base_url()), "api_key": "k-1"}}});
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

fn ask() -> ChatRequest {
    let mut request = ChatRequest::new("openai/gpt-5-pro", [Message::user("count")]);
    request.stop = Some(Stop::Many(vec!["four".into(), "three".into()]));
    request
}

#[tokio::test]
async fn an_answer_is_cut_where_the_vendor_does_not_stop() {
    let text = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "one two three four"}]});
    let answer = json!({"id": "r-1", "status": "completed", "model": "gpt-5-pro", "output": [text],
        "usage": {"input_tokens": 2, "output_tokens": 4, "total_tokens": 6}});
    let mut events = vec![
        json!({"type": "response.created", "response": {"id": "r-1", "model": "gpt-5-pro"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "role": "assistant"}}),
    ];
    let pieces = ["one tw", "o thr", "ee fo", "ur"];
    events.extend(pieces.map(|text| json!({"type": "response.output_text.delta", "output_index": 0, "delta": text})));
    events.push(json!({"type": "response.completed", "response": answer}));
    let up = Upstream::start(
        json!({"routes": [{"when": {"path": "/v1/responses", "body": {"stream": true}}, "then": {"sse": events}},
        {"when": {"path": "/v1/responses"}, "then": {"json": answer}}]}),
    )
    .await
    .unwrap();
    let client = client(&up);

    let whole = client.chat(ask()).await.unwrap();
    assert_eq!((whole.text(), whole.choices[0].finish_reason.as_deref()), ("one two ", Some("stop")));
    // What was generated beyond is paid for.
    assert_eq!(whole.usage.unwrap().completion_tokens, 4);
    assert!(whole.interfuse.unwrap().dropped.is_empty());

    let mut stream = client.chat_stream(ask()).await.unwrap();
    let (mut text, mut reasons) = (String::new(), Vec::new());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        text.push_str(chunk.text());
        reasons.extend(chunk.choices.iter().filter_map(|choice| choice.finish_reason.clone()));
    }
    assert_eq!((text.as_str(), reasons), ("one two ", vec!["stop".to_owned()]));
    let sent: Vec<Value> = up.log().iter().map(|entry| entry.body.clone()).collect();
    assert!(sent.len() == 2 && sent.iter().all(|body| body.is_object() && body.get("stop").is_none()), "{sent:?}");
}
