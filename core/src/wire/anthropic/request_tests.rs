//! Requests as the vendor takes them.

use serde_json::{Value, json};

use super::Anthropic;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatRequest, Quirks};
use crate::wire::{Encoded, Protocol, WireTarget};

const OLD: &str = "claude-3-5-haiku-20241022";
const BUDGET: &str = "claude-sonnet-4-5@20250929";
const ADAPTIVE: &str = "us.anthropic.claude-opus-4-6-v1:0";
const NEWEST: &str = "claude-opus-4-8";

fn try_encode(model: &str, request: Value, quirks: Value) -> Result<Encoded, Error> {
    let request: ChatRequest = serde_json::from_value(request).unwrap();
    let quirks: Quirks = serde_json::from_value(quirks).unwrap();
    Anthropic.encode(&request, &WireTarget { provider: "anthropic", model, quirks: &quirks }, false)
}

fn encode(model: &str, request: Value) -> (Value, Vec<String>) {
    let encoded = try_encode(model, request, json!({})).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
}

/// With one message, the fields of `more`.
fn asking(more: Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "hi"}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn refused(model: &str, request: Value) -> (ErrorKind, Option<String>) {
    let error = try_encode(model, request, json!({})).unwrap_err();
    (error.kind(), error.body().param.clone())
}

fn unsupported(param: &str) -> (ErrorKind, Option<String>) {
    (ErrorKind::Unsupported, Some(param.to_owned()))
}

#[test]
fn a_plain_request() {
    let (body, dropped) = encode(
        OLD,
        asking(json!({"temperature": 0.2, "top_p": 0.9, "max_tokens": 50, "stop": ["###", " "], "top_k": 40,
            "user": "u-1", "service_tier": "default", "seed": 1})),
    );
    assert_eq!(
        body,
        json!({"model": OLD, "max_tokens": 50, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "temperature": 0.2, "top_p": 0.9, "stop_sequences": ["###"], "metadata": {"user_id": "u-1"},
            "service_tier": "standard_only", "top_k": 40})
    );
    assert_eq!(dropped, ["seed"]);
}

#[test]
fn a_host_with_the_model_in_its_address() {
    let quirks = json!({"drop": ["model", "stream"], "set": {"anthropic_version": "vertex-2023-10-16"}});
    let request: ChatRequest = serde_json::from_value(asking(json!({"max_tokens": 9}))).unwrap();
    let quirks: Quirks = serde_json::from_value(quirks).unwrap();
    let target = WireTarget { provider: "vertex", model: BUDGET, quirks: &quirks };
    let encoded = Anthropic.encode(&request, &target, true).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(
        body,
        json!({"max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "anthropic_version": "vertex-2023-10-16"})
    );
}

#[test]
fn the_callers_own_words_reach_the_vendor() {
    let (body, dropped) = encode(
        NEWEST,
        asking(
            json!({"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "m"}], "cache_control": {"type": "ephemeral"},
            "output_config": {"effort": "max"}, "reasoning_effort": "low", "extra_body": {"max_tokens": 7, "new": 1}}),
        ),
    );
    assert_eq!((&body["max_tokens"], &body["new"]), (&json!(7), &json!(1)));
    assert_eq!(body["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(body["output_config"], json!({"effort": "max"}));
    assert_eq!(body["mcp_servers"][0]["name"], "m");
    assert!(dropped.is_empty());
}

#[test]
fn features_are_asked_for_by_name() {
    let encoded = try_encode(
        NEWEST,
        json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}],
            "context_management": {"edits": []}, "tools": [{"type": "computer_20250124", "name": "computer"}]}),
        json!({}),
    )
    .unwrap();
    let want = "context-management-2025-06-27,computer-use-2025-01-24,files-api-2025-04-14".to_owned();
    assert_eq!(encoded.headers, [("anthropic-beta", want)]);
    assert!(try_encode(NEWEST, asking(json!({})), json!({})).unwrap().headers.is_empty());
}

#[test]
fn instructions_stand_apart_and_turns_alternate() {
    let (body, _) = encode(
        BUDGET,
        json!({"messages": [
            {"role": "system", "content": "One.", "cache_control": {"type": "ephemeral"}},
            {"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "b"}]},
            {"role": "developer", "content": "Two."},
            {"role": "assistant", "content": "so far  \n"}]}),
    );
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        body["system"],
        json!([{"type": "text", "text": "One.", "cache_control": {"type": "ephemeral"}}, text("Two.")])
    );
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": [text("a"), text("b")]}, {"role": "assistant", "content": [text("so far")]}])
    );
}

#[test]
fn an_answer_begun_for_a_model_that_does_not_go_on_with_it_is_refused() {
    let request = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    assert_eq!(refused(ADAPTIVE, request.clone()), unsupported("messages"));
    assert_eq!(encode(OLD, request).0["messages"][1]["role"], "assistant");
}

#[test]
fn results_of_tools_stand_first_in_one_turn() {
    let (body, dropped) = encode(
        BUDGET,
        json!({"messages": [
            {"role": "user", "content": "add"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": "{\"b\":1,\"a\":2}"}, "caller": {"type": "direct"}},
                {"id": "call:2", "type": "function", "function": {"name": "now", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "3"},
            {"role": "user", "content": "and?"},
            {"role": "tool", "tool_call_id": "call:2", "content": [{"type": "text", "text": "noon"}], "is_error": true}],
            "tools": [{"type": "function", "function": {"name": "now"}, "cache_control": {"type": "ephemeral"}},
                {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}],
            "parallel_tool_calls": false}),
    );
    let calls = &body["messages"][1]["content"];
    assert_eq!(
        calls[0],
        json!({"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"b": 1, "a": 2}, "caller": {"type": "direct"}})
    );
    assert_eq!(calls[1]["input"], json!({}));
    let made = calls[1]["id"].as_str().unwrap();
    assert!(made.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{made}");
    assert_eq!(
        body["messages"][2],
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"},
            {"type": "tool_result", "tool_use_id": made, "content": [{"type": "text", "text": "noon"}], "is_error": true},
            {"type": "text", "text": "and?"}]})
    );
    assert_eq!(
        body["tools"],
        json!([{"name": "now", "input_schema": {"type": "object", "properties": {}}, "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}])
    );
    assert_eq!(body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert!(dropped.is_empty());
}

#[test]
fn arguments_cut_off_are_no_object() {
    let request = json!({"messages": [{"role": "assistant", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"a\":"}}]}]});
    assert_eq!(refused(BUDGET, request).0, ErrorKind::InvalidRequest);
}

#[test]
fn images_and_documents() {
    let (body, dropped) = encode(
        BUDGET,
        json!({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,QUJD"}, "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "1h"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            {"type": "file", "file": {"filename": "a.txt", "file_data": "aGk="}, "citations": {"enabled": true}},
            {"type": "container_upload", "file_id": "file_1"}]}]}),
    );
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"},
                "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}, "title": "a.pdf"},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}, "title": "a.txt",
                "citations": {"enabled": true}},
            {"type": "container_upload", "file_id": "file_1"}])
    );
    assert!(dropped.is_empty());
    let audio = json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]});
    assert_eq!(refused(BUDGET, audio), unsupported("messages"));
}

#[test]
fn thoughts_go_back_to_the_vendor_they_came_from() {
    let state = json!([
        {"provider": "anthropic", "model": "m", "blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]},
        {"provider": "other", "model": "m", "blocks": [{"foreign": 1}]}]);
    let turns = |state: Value| {
        json!({"reasoning_effort": "high", "max_tokens": 8000, "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "I look.", "provider_state": state, "reasoning_content": "t", "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "r"}]})
    };
    let (body, dropped) = encode(BUDGET, turns(state));
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "I look."}, {"type": "tool_use", "id": "t1", "name": "f", "input": {}}])
    );
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 4000}));
    assert!(dropped.is_empty());

    // Without them the vendor would refuse to think on.
    let (body, dropped) = encode(BUDGET, turns(json!([])));
    assert_eq!((body.get("thinking"), dropped), (None, vec!["reasoning_effort".to_owned()]));
}

#[test]
fn every_model_is_told_to_think_in_its_own_terms() {
    let told = |model: &str, effort: &str| {
        let (body, dropped) = encode(model, asking(json!({"reasoning_effort": effort, "temperature": 0.5})));
        (body["thinking"].clone(), body["output_config"]["effort"].clone(), dropped)
    };
    let temperature = || vec!["temperature".to_owned()];
    let (adaptive, none) = (json!({"type": "adaptive"}), Value::Null);
    assert_eq!(told(NEWEST, "xhigh"), (adaptive.clone(), json!("xhigh"), temperature()));
    assert_eq!(
        told(ADAPTIVE, "xhigh"),
        (adaptive, json!("high"), vec!["reasoning_effort".to_owned(), "temperature".to_owned()])
    );
    assert_eq!(told(ADAPTIVE, "none"), (json!({"type": "disabled"}), none.clone(), vec![]));
    assert_eq!(told(BUDGET, "none"), (none.clone(), none.clone(), vec![]));
    assert_eq!(told(BUDGET, "low"), (json!({"type": "enabled", "budget_tokens": 1024}), none.clone(), temperature()));
    assert_eq!(told(OLD, "low"), (none.clone(), none, vec!["reasoning_effort".to_owned()]));
    assert_eq!(refused(NEWEST, asking(json!({"reasoning_effort": "much"}))), unsupported("reasoning_effort"));
}

#[test]
fn sampling_fields_by_model() {
    let sent = |model: &str| {
        let (body, dropped) = encode(model, asking(json!({"temperature": 0.5, "top_p": 0.9})));
        (body["temperature"].clone(), body["top_p"].clone(), dropped.join(" "))
    };
    assert_eq!(sent(OLD), (json!(0.5), json!(0.9), String::new()));
    assert_eq!(sent(BUDGET), (json!(0.5), Value::Null, "top_p".to_owned()));
    assert_eq!(sent(NEWEST), (Value::Null, Value::Null, "temperature top_p".to_owned()));
    // Hotter than the scale is what the vendor does by itself, and so is 1.
    assert_eq!(encode(OLD, asking(json!({"temperature": 1.5}))).1, ["temperature"]);
    assert_eq!(encode(NEWEST, asking(json!({"temperature": 1}))).1, Vec::<String>::new());
}

#[test]
fn the_limit_is_the_callers_or_the_models() {
    assert_eq!(encode(OLD, asking(json!({}))).0["max_tokens"], 8192);
    assert_eq!(encode(NEWEST, asking(json!({}))).0["max_tokens"], 21_333);
    assert_eq!(encode(NEWEST, asking(json!({"max_completion_tokens": 500_000}))).0["max_tokens"], 500_000);
}

#[test]
fn choices_among_tools() {
    let tools =
        json!([{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}]);
    let chosen = |choice: Value| encode(BUDGET, asking(json!({"tools": tools, "tool_choice": choice}))).0;
    for (choice, want) in [
        (json!("none"), json!({"type": "none"})),
        (json!("auto"), json!({"type": "auto"})),
        (json!("required"), json!({"type": "any"})),
        (json!({"type": "function", "function": {"name": "f"}}), json!({"type": "tool", "name": "f"})),
        (json!({"type": "tool", "name": "f"}), json!({"type": "tool", "name": "f"})),
    ] {
        assert_eq!(chosen(choice)["tool_choice"], want);
    }
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}});
    let body = chosen(allowed);
    assert_eq!((&body["tool_choice"], body["tools"].as_array().unwrap().len()), (&json!({"type": "any"}), 1));
    assert_eq!(body["tools"][0]["name"], "g");
    let odd = asking(json!({"tools": tools, "tool_choice": "sometimes"}));
    assert_eq!(refused(BUDGET, odd), unsupported("tool_choice"));
    let custom = asking(json!({"tools": [{"type": "custom", "custom": {"name": "c"}}]}));
    assert_eq!(refused(BUDGET, custom), unsupported("tools"));
}

#[test]
fn a_forced_tool_and_thinking_exclude_each_other() {
    let forced = |more: Value| {
        let mut request =
            asking(json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"}));
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let (body, dropped) = encode(BUDGET, forced(json!({"reasoning_effort": "high"})));
    assert_eq!((body.get("thinking"), dropped), (None, vec!["reasoning_effort".to_owned()]));
    let (body, dropped) = encode(NEWEST, forced(json!({"reasoning_effort": "high"})));
    assert_eq!((body.get("thinking"), &body["output_config"]), (None, &json!({"effort": "high"})));
    assert!(dropped.is_empty());
    let own = forced(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}));
    assert_eq!(refused(BUDGET, own), unsupported("tool_choice"));
}

#[test]
fn the_form_of_the_answer() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let (body, _) = encode(BUDGET, asking(json!({"response_format": format, "reasoning_effort": "low"})));
    assert_eq!(
        body["output_config"]["format"],
        json!({"type": "json_schema", "schema": {"type": "object", "additionalProperties": false,
            "properties": {"a": {"type": "integer", "description": "(minimum: 1)"}}}})
    );
    assert!(body.get("tools").is_none() && body["thinking"]["type"] == "enabled");

    let (body, _) = encode(OLD, asking(json!({"response_format": format})));
    assert_eq!((&body["tools"][0]["name"], &body["tools"][0]["input_schema"]), (&json!("interfuse_answer"), &schema));
    assert_eq!(
        body["tool_choice"],
        json!({"type": "tool", "name": "interfuse_answer", "disable_parallel_tool_use": true})
    );

    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let (body, _) = encode(NEWEST, asking(json!({"response_format": {"type": "json_object"}, "tools": tools})));
    assert_eq!((&body["tool_choice"]["type"], body["tools"].as_array().unwrap().len()), (&json!("any"), 2));

    let host =
        try_encode(BUDGET, asking(json!({"response_format": format})), json!({"drop": ["output_config.format"]}));
    let body: Value = serde_json::from_slice(&host.unwrap().body).unwrap();
    assert_eq!((&body["tools"][0]["name"], body.get("output_config")), (&json!("interfuse_answer"), None));
    assert_eq!(refused(OLD, asking(json!({"response_format": {"type": "grammar"}}))), unsupported("response_format"));
}

#[test]
fn what_changes_the_answer_is_refused_and_the_rest_is_told() {
    assert_eq!(refused(OLD, asking(json!({"n": 2}))), unsupported("n"));
    assert_eq!(refused(OLD, asking(json!({"logprobs": true}))), unsupported("logprobs"));
    assert_eq!(refused(OLD, asking(json!({"modalities": ["text", "audio"]}))), unsupported("modalities"));
    let (body, dropped) = encode(
        OLD,
        json!({"messages": [{"role": "user", "name": "Ann", "content": "hi", "cache": 1}], "frequency_penalty": 1,
            "logit_bias": {"1": 2}, "store": true, "metadata": {"a": "b"}, "service_tier": "flex"}),
    );
    assert_eq!(
        dropped,
        ["logit_bias", "store", "frequency_penalty", "messages.name", "messages.cache", "metadata", "service_tier"]
    );
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["model", "max_tokens", "messages"]);
    assert_eq!(refused(OLD, asking(json!({"seed": 1, "strict_params": true}))), unsupported("seed"));
}

#[test]
fn instructions_in_the_middle_stay_there_where_the_model_takes_them() {
    let request = || {
        json!({"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"},
            {"role": "system", "content": "d"}, {"role": "user", "content": "e"}]})
    };
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let (body, _) = encode(NEWEST, request());
    assert_eq!(body["system"], text("a"));
    // After the user, where the vendor takes them.
    assert_eq!(body["messages"].as_array().unwrap().len(), 4);
    assert_eq!(body["messages"][2], json!({"role": "user", "content": text("e")}));
    assert_eq!(body["messages"][3], json!({"role": "system", "content": text("d")}));

    let (body, _) = encode(ADAPTIVE, request());
    assert_eq!(body["system"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "d"}]));
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn addresses_are_refused_where_the_platform_fetches_nothing() {
    let row = || json!({"drop": ["model", "image_url.url", "file.url"]});
    let ask = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let image = |url: &str| ask(json!({"type": "image_url", "image_url": {"url": url}}));
    for (part, param) in [
        (image("https://example.com/a.png"), "image_url"),
        (ask(json!({"type": "file", "file": {"file_data": "https://example.com/a.pdf"}})), "file"),
    ] {
        let refused = try_encode(BUDGET, part.clone(), row()).unwrap_err();
        assert_eq!((refused.kind(), refused.body().param.as_deref()), (ErrorKind::Unsupported, Some(param)));
        assert!(try_encode(BUDGET, part, json!({})).is_ok());
    }
    assert!(try_encode(BUDGET, image("data:image/png;base64,AAAA"), row()).is_ok());
}
