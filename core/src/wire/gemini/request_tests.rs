//! What the vendor gets for what the caller asks.

use serde_json::{Value, json};

use super::request::encode;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatRequest, Quirks};
use crate::wire::WireTarget;

fn try_encode(model: &str, quirks: Value, request: Value) -> Result<(Value, Vec<String>), Error> {
    let request: ChatRequest = serde_json::from_value(request).unwrap();
    let quirks: Quirks = serde_json::from_value(quirks).unwrap();
    let encoded = encode(&request, &WireTarget { provider: "gemini", model, quirks: &quirks }, false)?;
    Ok((serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped))
}

fn encoded(model: &str, request: Value) -> Value {
    try_encode(model, json!({}), request).unwrap().0
}

fn refused(model: &str, request: Value) -> String {
    let e = try_encode(model, json!({}), request).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    e.body().param.clone().unwrap_or_default()
}

#[test]
fn text_and_settings() {
    let body = encoded(
        "gemini-2.5-flash",
        json!({"model": "gemini/gemini-2.5-flash", "messages": [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
            "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 5, "n": 2, "stop": "x", "seed": 7,
            "presence_penalty": 0.1, "frequency_penalty": 0.2, "logprobs": true, "top_logprobs": 3, "stream": true}),
    );
    assert_eq!(
        body,
        json!({"systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Hello."}]},
                         {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}],
            "generationConfig": {"temperature": 0.5, "topP": 0.9, "topK": 40, "maxOutputTokens": 5, "candidateCount": 2,
                "stopSequences": ["x"], "seed": 7, "presencePenalty": 0.1, "frequencyPenalty": 0.2,
                "responseLogprobs": true, "logprobs": 3}})
    );
}

#[test]
fn gemma_gets_its_instructions_in_the_first_turn() {
    let body = encoded(
        "gemma-3-27b-it",
        json!({"messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "U"}]}),
    );
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "S"}, {"text": "U"}]}]}));
}

#[test]
fn media_inline_and_by_address() {
    let body = encoded(
        "gemini-2.5-flash",
        json!({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.webp?x=1"}},
            {"type": "image_url", "image_url": {"url": "gs://bucket/picture"}},
            {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "mp3"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,CCCC"}},
            {"type": "file", "file": {"file_id": "https://example.com/v1beta/files/abc"}}]}]}),
    );
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
               {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.com/a.webp?x=1"}},
               {"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://bucket/picture"}},
               {"inlineData": {"mimeType": "audio/mp3", "data": "BBBB"}},
               {"inlineData": {"mimeType": "application/pdf", "data": "CCCC"}},
               {"fileData": {"fileUri": "https://example.com/v1beta/files/abc"}}])
    );
    let odd = json!({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]});
    assert_eq!(refused("gemini-2.5-flash", odd), "messages");
}

fn tool_turns() -> Value {
    json!([{"role": "user", "content": "?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1.0}"}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "b", "content": "{\"ok\": true}"},
        {"role": "tool", "tool_call_id": "a", "content": "3"}])
}

#[test]
fn results_of_one_turn_stay_together_in_the_order_of_the_calls() {
    let body = encoded("gemini-2.5-flash", json!({"messages": tool_turns()}));
    assert_eq!(
        body["contents"],
        json!([{"role": "user", "parts": [{"text": "?"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "a", "name": "f", "args": {"x": 1.0}}},
                                        {"functionCall": {"id": "b", "name": "g", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "f", "response": {"output": "3"}}},
                                       {"functionResponse": {"id": "b", "name": "g", "response": {"ok": true}}}]}])
    );
    let (body, _) = try_encode("m", json!({"tool_call_ids": "absent"}), json!({"messages": tool_turns()})).unwrap();
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"], json!({"name": "f", "args": {"x": 1.0}}));
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["name"], "f");
    assert!(!body.to_string().contains("\"id\""));
}

#[test]
fn a_tool_that_failed_gave_back_an_error() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let request = json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "is_error": true, "content": "no such town"}]});
    let (body, dropped) = try_encode("gemini-2.5-flash", json!({}), request).unwrap();
    let response = &body["contents"][2]["parts"][0]["functionResponse"]["response"];
    assert_eq!((response, dropped), (&json!({"error": "no such town"}), Vec::new()));
}

#[test]
fn calls_from_elsewhere_are_marked_for_the_third_generation_alone() {
    let body = encoded("gemini-3-flash-preview", json!({"messages": tool_turns()}));
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert!(parts[1].get("thoughtSignature").is_none());

    let mut turns = tool_turns();
    turns[1]["tool_calls"][0]["extra_content"] = json!({"google": {"thought_signature": "sig"}});
    let body = encoded("gemini-3-flash-preview", json!({"messages": turns}));
    assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], "sig");
    assert!(body["contents"][1]["parts"][1].get("thoughtSignature").is_none());
}

#[test]
fn signatures_go_back_on_the_parts_they_came_with() {
    let message = |content: &str| {
        json!({"messages": [{"role": "assistant", "content": content, "content_blocks": [{"executableCode": {"code": "1"}}],
            "provider_state": [
                {"provider": "other", "blocks": [{"from": 0, "to": 1, "thoughtSignature": "foreign"}]},
                {"provider": "gemini", "blocks": [{"from": 2, "to": 4, "thoughtSignature": "s1"}]},
                {"provider": "gemini", "blocks": [{"at": 4, "block": 0}, {"from": 6, "to": 6, "thoughtSignature": "s2"}]}]}]})
    };
    let body = encoded("gemini-3-pro-preview", message("abcdef"));
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"text": "ab"}, {"text": "cd", "thoughtSignature": "s1"}, {"executableCode": {"code": "1"}}, {"text": "ef"},
               {"text": "", "thoughtSignature": "s2"}])
    );
    let body = encoded("gemini-3-pro-preview", message("abc"));
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"text": "abc"}, {"text": "", "thoughtSignature": "s1"}, {"text": "", "thoughtSignature": "s2"}])
    );
}

#[test]
fn broken_history_is_an_error_of_the_request() {
    let cut = json!({"messages": [{"role": "assistant", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1"}}]}]});
    assert_eq!(try_encode("m", json!({}), cut).unwrap_err().kind(), ErrorKind::InvalidRequest);
    let orphan = json!({"messages": [{"role": "tool", "tool_call_id": "z", "content": "1"}]});
    assert_eq!(try_encode("m", json!({}), orphan).unwrap_err().kind(), ErrorKind::InvalidRequest);
}

#[test]
fn tools_and_choices() {
    let with = |choice: Value| {
        json!({"messages": [], "tool_choice": choice, "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}}},
            {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
            {"type": "google_search"}, {"type": "x", "codeExecution": {"a": 1}}]})
    };
    let body = encoded("gemini-2.5-flash", with(json!("auto")));
    assert_eq!(
        body["tools"],
        json!([{"functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}},
                {"name": "g"}]},
            {"google_search": {}}, {"codeExecution": {"a": 1}}])
    );
    let old = encoded("gemini-2.0-flash", with(json!("auto")));
    assert_eq!(
        old["tools"][0]["functionDeclarations"][0]["parameters"],
        json!({"type": "object", "properties": {"a": {"type": "string"}}})
    );
    let function = json!({"type": "function", "function": {"name": "f"}});
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [function]}});
    for (choice, want) in [
        (json!("auto"), json!({"mode": "AUTO"})),
        (json!("none"), json!({"mode": "NONE"})),
        (json!("required"), json!({"mode": "ANY"})),
        (function.clone(), json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
        (allowed, json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
    ] {
        assert_eq!(encoded("m", with(choice))["toolConfig"]["functionCallingConfig"], want);
    }
    assert_eq!(refused("m", with(json!({"type": "custom", "custom": {"name": "c"}}))), "tool_choice");
    let custom = json!({"messages": [], "tools": [{"type": "custom", "custom": {"name": "c"}}]});
    assert_eq!(refused("m", custom), "tools");
}

#[test]
fn forms_of_the_answer() {
    let asked = json!({"messages": [], "response_format": {"type": "json_schema", "json_schema": {"name": "n",
        "schema": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}}}});
    let config = |body: Value| body["generationConfig"].clone();
    assert_eq!(
        config(encoded("gemini-2.5-flash", asked.clone())),
        json!({"responseMimeType": "application/json",
               "responseJsonSchema": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}})
    );
    let subset = json!({"responseMimeType": "application/json",
        "responseSchema": {"type": "object", "properties": {"a": {"type": "string", "nullable": true}}}});
    assert_eq!(config(encoded("gemini-1.5-flash", asked.clone())), subset);
    let (body, _) = try_encode("gemini-2.5-flash", json!({"json_schema": "openapi"}), asked.clone()).unwrap();
    assert_eq!(config(body), subset);

    let mut both = asked;
    both["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(refused("gemini-2.5-flash", both.clone()), "response_format");
    assert!(encoded("gemini-3-flash-preview", both)["generationConfig"]["responseJsonSchema"].is_object());
    let object = json!({"messages": [], "response_format": {"type": "json_object"}});
    assert_eq!(config(encoded("m", object)), json!({"responseMimeType": "application/json"}));
}

#[test]
fn effort_is_a_budget_or_a_level() {
    let thinking = |model: &str, effort: &str| {
        encoded(model, json!({"messages": [], "reasoning_effort": effort}))["generationConfig"]["thinkingConfig"]
            .clone()
    };
    assert_eq!(thinking("gemini-2.5-flash", "none"), json!({"thinkingBudget": 0, "includeThoughts": false}));
    for always in ["gemini-2.5-pro", "gemini-3-flash-preview"] {
        assert_eq!(refused(always, json!({"messages": [], "reasoning_effort": "none"})), "reasoning_effort");
    }
    assert_eq!(thinking("gemini-2.5-pro", "medium"), json!({"thinkingBudget": 8192, "includeThoughts": true}));
    assert_eq!(
        thinking("gemini-3-flash-preview", "minimal"),
        json!({"thinkingLevel": "minimal", "includeThoughts": true})
    );
    assert_eq!(thinking("gemini-3.1-pro-preview", "minimal"), json!({"thinkingLevel": "low", "includeThoughts": true}));
    assert_eq!(refused("gemini-2.5-pro", json!({"messages": [], "reasoning_effort": "immense"})), "reasoning_effort");
    let (body, dropped) =
        try_encode("gemini-2.0-flash", json!({}), json!({"messages": [], "reasoning_effort": "low"})).unwrap();
    assert_eq!((body.get("generationConfig"), dropped), (None, vec!["reasoning_effort".to_owned()]));
    // Who never thinks does what is asked; of whom that is not known cannot be told to.
    let none = json!({"messages": [], "reasoning_effort": "none"});
    let (body, dropped) = try_encode("gemini-2.0-flash", json!({}), none.clone()).unwrap();
    assert_eq!((body.get("generationConfig"), dropped), (None, Vec::new()));
    assert_eq!(refused("endpoints/123", none), "reasoning_effort");
}

#[test]
fn nothing_is_left_out_in_silence() {
    let (body, dropped) = try_encode(
        "gemini-2.5-flash",
        json!({"drop": ["seed"]}),
        json!({"messages": [{"role": "user", "name": "ann", "cache": 1, "content": "x"}], "user": "u", "logit_bias": {"1": 2},
            "parallel_tool_calls": false, "seed": 1, "service_tier": "flex"}),
    )
    .unwrap();
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}], "serviceTier": "flex"}));
    assert_eq!(dropped, ["seed", "logit_bias", "user", "parallel_tool_calls", "messages.name", "messages.cache"]);
    assert_eq!(refused("m", json!({"messages": [], "user": "u", "strict_params": true})), "user");
    assert_eq!(refused("m", json!({"messages": [{"role": "function", "name": "f", "content": "1"}]})), "messages");
}

#[test]
fn words_of_the_vendor_go_through_and_win() {
    let (body, _) = try_encode(
        "m",
        json!({"set": {"labels": {"a": "b"}, "generationConfig": {"topK": 1, "seed": 2}}}),
        json!({"messages": [], "temperature": 0.5, "seed": 3, "cachedContent": "cachedContents/1",
            "safetySettings": [{"category": "c"}], "generationConfig": {"temperature": 1.5},
            "extra_body": {"contents": [], "generationConfig": {"mediaResolution": "LOW"}, "new": 1}}),
    )
    .unwrap();
    assert_eq!(
        body,
        json!({"generationConfig": {"topK": 1, "seed": 3, "temperature": 1.5, "mediaResolution": "LOW"}, "contents": [],
            "new": 1, "cachedContent": "cachedContents/1", "safetySettings": [{"category": "c"}], "labels": {"a": "b"}})
    );
}

#[test]
fn a_search_is_a_tool_of_googles_own() {
    let asked = json!({"messages": [], "web_search_options": {"search_context_size": "low"}});
    let (body, dropped) = try_encode("gemini-2.5-flash", json!({}), asked.clone()).unwrap();
    assert_eq!(
        (&body["tools"], dropped),
        (&json!([{"googleSearch": {}}]), vec!["web_search_options.search_context_size".to_owned()])
    );
    let mut both = asked;
    both["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(refused("gemini-2.5-flash", both.clone()), "web_search_options");
    assert_eq!(encoded("gemini-3-flash-preview", both)["tools"].as_array().map(Vec::len), Some(2));
}

#[test]
fn instructions_alone_are_what_is_asked() {
    let body = encoded("gemini-2.5-flash", json!({"messages": [{"role": "system", "content": "Write a poem."}]}));
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "Write a poem."}]}]}));
}

#[test]
fn an_older_model_takes_json_schema_for_answers_but_not_for_functions() {
    let schema =
        json!({"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}, "$defs": {"N": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
    let ask = |more: Value| {
        let mut request = json!({"messages": [{"role": "user", "content": "x"}]});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let body = encoded("gemini-2.0-flash", ask(json!({"response_format": format})));
    assert_eq!(body["generationConfig"]["responseJsonSchema"], schema);
    let function = json!({"type": "function", "function": {"name": "f", "parameters": schema}});
    let body = encoded("gemini-2.0-flash", ask(json!({"tools": [function]})));
    assert_eq!(
        body["tools"][0]["functionDeclarations"][0]["parameters"]["properties"]["n"],
        json!({"type": "integer"})
    );
}
