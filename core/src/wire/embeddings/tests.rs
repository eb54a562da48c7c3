//! Requests as each wire writes them, answers as the vendors document them.

use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::types::Quirks;

fn request(value: Value) -> EmbeddingRequest {
    serde_json::from_value(value).unwrap()
}

fn quirks(value: Value) -> Quirks {
    serde_json::from_value(value).unwrap()
}

/// The body that a wire writes, and what it leaves out.
fn encode(wire: &str, asked: Value, quirks: &Quirks) -> Result<(Value, Vec<String>)> {
    let target = WireTarget { provider: "p", model: "m-1", quirks };
    let encoded = protocol(wire).unwrap().encode(&request(asked), &target)?;
    Ok((serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped))
}

/// The answer that a caller of `asked` gets from a body and headers.
fn decode(wire: &str, asked: Value, body: Value, headers: &[(&'static str, &str)]) -> Result<EmbeddingResponse> {
    let quirks = Quirks::default();
    let target = WireTarget { provider: "p", model: "m-1", quirks: &quirks };
    let headers: HeaderMap = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
    let body = body.to_string();
    let reply = Reply { status: 200, headers: &headers, body: body.as_bytes() };
    complete(protocol(wire).unwrap().decode(&reply, &target)?, &request(asked), &target)
}

fn floats(answer: &EmbeddingResponse) -> Vec<Vec<f32>> {
    answer.data.iter().map(|e| e.embedding.to_floats().unwrap()).collect()
}

#[test]
fn openai_gets_its_own_fields_and_foreign_ones_but_none_of_ours() {
    let asked = json!({"model": "p/m", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64", "user": "u",
        "input_type": "query", "tags": {"x": "y"}, "models": ["q"], "provider": "p", "timeout_ms": 5, "max_retries": 1,
        "extra_body": {"user": "other", "truncate": "END"}});
    let (body, dropped) = encode("openai", asked, &Quirks::default()).unwrap();
    assert_eq!(
        body,
        json!({"model": "m-1", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64",
            "input_type": "query", "user": "other", "truncate": "END"})
    );
    assert!(dropped.is_empty());
    let tokens = encode("openai", json!({"input": [[1, 2], [3]]}), &Quirks::default()).unwrap().0;
    assert_eq!(tokens["input"], json!([[1, 2], [3]]));
}

#[test]
fn a_row_renames_and_leaves_out_but_never_the_length_of_embeddings() {
    let asked = json!({"input": "a", "dimensions": 8, "user": "u"});
    let row = quirks(json!({"drop": ["user"], "rename": {"dimensions": "output_dimension"}}));
    let (body, dropped) = encode("openai", asked.clone(), &row).unwrap();
    assert_eq!(body, json!({"model": "m-1", "input": "a", "output_dimension": 8}));
    assert_eq!(dropped, ["user"]);

    let refused = encode("openai", asked, &quirks(json!({"ignores": ["dimensions"]}))).unwrap_err();
    assert_eq!((refused.kind(), refused.body().param.as_deref()), (ErrorKind::Unsupported, Some("dimensions")));
    let strict = json!({"input": "a", "user": "u", "strict_params": true});
    assert_eq!(encode("openai", strict, &row).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn openai_answers_are_put_in_order_and_written_as_asked() {
    // Half of 1.0 as little-endian floats: 00 00 80 3f, 00 00 00 3f.
    let body = json!({"object": "list", "model": "m-1-001", "id": "x", "data": [
        {"object": "embedding", "index": 1, "embedding": "AACAPwAAAD8="},
        {"object": "embedding", "index": 0, "embedding": [0.25, -1]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3, "cost": 0.1}});
    let answer = decode("openai", json!({"input": ["a", "b"]}), body.clone(), &[]).unwrap();
    assert_eq!(floats(&answer), [[0.25, -1.0], [1.0, 0.5]]);
    assert!(answer.data.iter().all(|e| matches!(e.embedding, Vector::Float(_)) && e.object == "embedding"));
    assert_eq!(
        (answer.object.as_str(), answer.model.as_str(), answer.extra["id"].as_str()),
        ("list", "m-1-001", Some("x"))
    );
    let usage = answer.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.total_tokens, usage.extra["cost"].as_f64()), (3, 3, Some(0.1)));

    let answer = decode("openai", json!({"input": ["a", "b"], "encoding_format": "base64"}), body, &[]).unwrap();
    assert_eq!(answer.data[1].embedding, Vector::Base64("AACAPwAAAD8=".to_owned()));
    assert!(matches!(&answer.data[0].embedding, Vector::Base64(text) if text == "AACAPgAAgL8="));
}

#[test]
fn unknown_usage_stays_unknown() {
    let body = |usage: Value| json!({"data": [{"embedding": [1]}], "usage": usage});
    let usage = |told| decode("openai", json!({"input": "a"}), body(told), &[]).unwrap().usage;
    assert_eq!((usage(json!(null)), usage(json!({}))), (None, None));
    assert_eq!(usage(json!({"total_tokens": 4})).unwrap().prompt_tokens, 4);
}

#[test]
fn answers_that_do_not_fit_the_inputs_are_refused() {
    let refused = |input: Value, body: Value| decode("openai", json!({"input": input}), body, &[]).unwrap_err();
    let one = json!({"data": [{"index": 0, "embedding": [1]}]});
    for error in [
        refused(json!(["a", "b"]), one),
        refused(json!("a"), json!({"object": "list"})),
        refused(json!("a"), json!({"data": [{"index": 0}]})),
        refused(json!("a"), json!({"data": [{"embedding": [1e300]}]})),
        refused(json!("a"), json!({"data": [{"embedding": "AAD//w"}]})),
        refused(json!("a"), json!({"choices": []})),
    ] {
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        assert_eq!(error.body().provider.as_deref(), Some("p"));
    }
    // NaN inside base64: 00 00 c0 7f.
    assert_eq!(refused(json!("a"), json!({"data": [{"embedding": "AADAfw=="}]})).kind(), ErrorKind::Decode);
    let inside = refused(json!("a"), json!({"error": {"message": "slow down", "code": 429}}));
    assert_eq!(inside.kind(), ErrorKind::RateLimited);
}

#[test]
fn gemini_gets_one_request_per_text() {
    let asked = json!({"input": ["a", "b"], "dimensions": 8, "task_type": "RETRIEVAL_QUERY", "user": "u", "extra_body": {"x": 1}});
    let (body, dropped) = encode("gemini", asked, &Quirks::default()).unwrap();
    let one = |text: &str| {
        json!({"model": "models/m-1", "content": {"parts": [{"text": text}]}, "taskType": "RETRIEVAL_QUERY",
            "outputDimensionality": 8})
    };
    assert_eq!(body, json!({"requests": [one("a"), one("b")], "x": 1}));
    assert_eq!(dropped, ["user"]);
    let answer =
        decode("gemini", json!({"input": ["a", "b"]}), json!({"embeddings": [{"values": [1]}, {"values": [2]}]}), &[]);
    let answer = answer.unwrap();
    assert_eq!((floats(&answer), answer.data[1].index), (vec![vec![1.0], vec![2.0]], 1));
    assert_eq!((answer.usage, answer.model.as_str()), (None, "m-1"));
    let told = json!({"embeddings": [{"values": [1]}], "usageMetadata": {"promptTokenCount": 7}});
    assert_eq!(
        decode("gemini", json!({"input": "a"}), told, &[]).unwrap().usage,
        Some(crate::types::EmbeddingUsage::of(7))
    );
}

#[test]
fn vertex_gets_instances_and_parameters() {
    let asked = json!({"input": ["a", "b"], "dimensions": 8, "taskType": "RETRIEVAL_QUERY", "auto_truncate": false, "user": "u",
        "extra_body": {"x": 1}});
    let (body, dropped) = encode("vertex", asked, &Quirks::default()).unwrap();
    let one = |text: &str| json!({"content": text, "task_type": "RETRIEVAL_QUERY"});
    assert_eq!(
        body,
        json!({"instances": [one("a"), one("b")], "parameters": {"autoTruncate": false, "outputDimensionality": 8}, "x": 1})
    );
    assert_eq!(dropped, ["user"]);
    assert_eq!(
        encode("vertex", json!({"input": "a"}), &Quirks::default()).unwrap().0,
        json!({"instances": [{"content": "a"}]})
    );

    let said = |values: Value, count: Value| json!({"embeddings": {"values": values, "statistics": {"truncated": false, "token_count": count}}});
    let answer = json!({"predictions": [said(json!([1]), json!(4)), said(json!([2]), json!(3.0))],
        "metadata": {"billableCharacterCount": 2}});
    let answer = decode("vertex", json!({"input": ["a", "b"]}), answer, &[]).unwrap();
    assert_eq!((floats(&answer), answer.usage.unwrap().total_tokens), (vec![vec![1.0], vec![2.0]], 7));
    assert_eq!(answer.extra["metadata"]["billableCharacterCount"], 2);
    let half = json!({"predictions": [said(json!([1]), json!(4)), {"embeddings": {"values": [2]}}]});
    assert_eq!(decode("vertex", json!({"input": ["a", "b"]}), half, &[]).unwrap().usage, None);
}

#[test]
fn geminis_embeddings_on_vertex_are_of_one_text() {
    let (quirks, wire) = (Quirks::default(), protocol("vertex").unwrap());
    let ask = |model: &str, input: Value| {
        let target = WireTarget { provider: "vertex", model, quirks: &quirks };
        wire.encode(&request(json!({"input": input})), &target).map_err(|e| (e.kind(), e.body().param.clone()))
    };
    assert_eq!(
        ask("gemini-embedding-001", json!(["a", "b"])).unwrap_err(),
        (ErrorKind::Unsupported, Some("input".to_owned()))
    );
    assert!(ask("gemini-embedding-001", json!(["a"])).is_ok() && ask("text-embedding-005", json!(["a", "b"])).is_ok());
}

#[test]
fn cohere_is_told_what_the_texts_are_for() {
    let (body, _) = encode("cohere", json!({"input": "a", "dimensions": 256}), &Quirks::default()).unwrap();
    assert_eq!(
        body,
        json!({"model": "m-1", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"], "output_dimension": 256})
    );
    // On Bedrock the model stands in the address.
    let asked = json!({"input": ["a"], "input_type": "search_query", "truncate": "END"});
    let (body, _) = encode("cohere", asked, &quirks(json!({"drop": ["model"]}))).unwrap();
    assert_eq!(
        body,
        json!({"texts": ["a"], "input_type": "search_query", "embedding_types": ["float"], "truncate": "END"})
    );
}

#[test]
fn cohere_counts_in_the_body_or_on_bedrock_in_a_header() {
    let answer = json!({"id": "e-1", "texts": ["a", "b"], "embeddings": {"float": [[0.5], [0.25]]},
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}}, "response_type": "embeddings_by_type"});
    let asked = json!({"input": ["a", "b"]});
    let answer = decode("cohere", asked.clone(), answer, &[]).unwrap();
    assert_eq!((floats(&answer), answer.usage.unwrap().total_tokens), (vec![vec![0.5], vec![0.25]], 4));
    assert_eq!((answer.extra["id"].as_str(), answer.extra.get("texts")), (Some("e-1"), None));
    let plain = json!({"embeddings": [[1], [2]], "response_type": "embeddings_floats"});
    let answer = decode("cohere", asked, plain, &[("x-amzn-bedrock-input-token-count", "9")]).unwrap();
    assert_eq!((floats(&answer), answer.usage.unwrap().prompt_tokens), (vec![vec![1.0], vec![2.0]], 9));
}

#[test]
fn titan_embeds_one_text_per_call() {
    let (body, _) =
        encode("bedrock-titan", json!({"input": ["a"], "dimensions": 256, "normalize": true}), &Quirks::default())
            .unwrap();
    assert_eq!(body, json!({"inputText": "a", "dimensions": 256, "normalize": true}));
    let several = encode("bedrock-titan", json!({"input": ["a", "b"]}), &Quirks::default()).unwrap_err();
    assert_eq!((several.kind(), several.body().param.as_deref()), (ErrorKind::Unsupported, Some("input")));
    let answer = json!({"embedding": [0.5, 1], "embeddingsByType": {"float": [0.5, 1]}, "inputTextTokenCount": 6.0});
    let answer = decode("bedrock-titan", json!({"input": "a"}), answer, &[]).unwrap();
    assert_eq!((floats(&answer), answer.usage.unwrap().total_tokens), (vec![vec![0.5, 1.0]], 6));
}

#[test]
fn tokens_are_refused_where_only_texts_are_embedded() {
    for wire in ["gemini", "vertex", "cohere", "bedrock-titan"] {
        let error = encode(wire, json!({"input": [1, 2]}), &Quirks::default()).unwrap_err();
        assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::Unsupported, Some("input")), "{wire}");
    }
}
