//! The sugar `answer` / `tool_calls`: a chat completion as OpenAI's API writes it, whole or as stream chunks.

use serde_json::{Map, Value, json};

use super::script::{Response, ToolCall, Usage};

/// A fixed moment, so that two runs of a script give the same bytes.
const CREATED: u64 = 1_700_000_000;

/// The completion as one JSON document.
pub(super) fn whole(response: &Response, request: &Value, serial: u64) -> Value {
    let calls: Vec<Value> = calls(response).map(|(_, call)| call).collect();
    let mut message = json!({"role": "assistant", "content": response.answer});
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let mut body = envelope("chat.completion", request, serial);
    body["choices"] = json!([{
        "index": 0,
        "message": message,
        "logprobs": null,
        "finish_reason": finish_reason(response),
    }]);
    if let Some(usage) = usage(response, request) {
        body["usage"] = usage;
    }
    body
}

/// The completion as the `data` of stream events: role, one per word, tool calls in pieces, finish reason, usage.
/// The terminating `[DONE]` is not among them.
pub(super) fn chunks(response: &Response, request: &Value, serial: u64) -> Vec<Value> {
    let chunk = |delta: Value, finish: Value| {
        let mut chunk = envelope("chat.completion.chunk", request, serial);
        chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        chunk
    };
    let mut all = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    for word in words(response.answer.as_deref().unwrap_or_default()) {
        all.push(chunk(json!({"content": word}), Value::Null));
    }
    for (index, mut call) in calls(response) {
        let arguments = call["function"]["arguments"].take();
        call["index"] = json!(index);
        call["function"]["arguments"] = json!("");
        all.push(chunk(json!({"tool_calls": [call]}), Value::Null));
        for piece in words(arguments.as_str().unwrap_or_default()) {
            let delta = json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
            all.push(chunk(delta, Value::Null));
        }
    }
    all.push(chunk(json!({}), json!(finish_reason(response))));
    if let Some(usage) = usage(response, request) {
        let mut last = envelope("chat.completion.chunk", request, serial);
        last["choices"] = json!([]);
        last["usage"] = usage;
        all.push(last);
    }
    all
}

fn envelope(object: &str, request: &Value, serial: u64) -> Value {
    json!({
        "id": format!("chatcmpl-{serial}"),
        "object": object,
        "created": CREATED,
        "model": request["model"],
    })
}

fn calls(response: &Response) -> impl Iterator<Item = (usize, Value)> {
    response.tool_calls.iter().flatten().enumerate().map(|(index, ToolCall { id, name, arguments })| {
        let arguments = match arguments {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let call = json!({
            "id": id.clone().unwrap_or_else(|| format!("call_{index}")),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        });
        (index, call)
    })
}

fn finish_reason(response: &Response) -> &str {
    match (&response.finish_reason, &response.tool_calls) {
        (Some(reason), _) => reason,
        (None, Some(_)) => "tool_calls",
        (None, None) => "stop",
    }
}

/// Counts words, so that usage is a function of script and request; fields of the script replace the counts.
fn usage(response: &Response, request: &Value) -> Option<Value> {
    let fields = match &response.usage {
        Some(Usage::Shown(false)) => return None,
        Some(Usage::Fields(fields)) => fields.clone(),
        Some(Usage::Shown(true)) | None => Map::new(),
    };
    let count = |name: &str, counted: usize| fields.get(name).and_then(Value::as_u64).unwrap_or(counted as u64);
    let prompt = count("prompt_tokens", words_in(&request["messages"]));
    let answer = words(response.answer.as_deref().unwrap_or_default()).count();
    let completion = count("completion_tokens", answer + calls(response).count());
    let mut usage = json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    });
    for (name, value) in fields {
        usage[name.as_str()] = value;
    }
    Some(usage)
}

fn words_in(value: &Value) -> usize {
    match value {
        Value::String(text) => words(text).count(),
        Value::Array(items) => items.iter().map(words_in).sum(),
        Value::Object(fields) => fields.values().map(words_in).sum(),
        _ => 0,
    }
}

/// Word-ish pieces, each with the blank before it: joined they are the text again.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let end = rest[start..].find(char::is_whitespace).map_or(rest.len(), |at| start + at);
        // Blanks at the very end belong to the last word.
        let end = if rest[end..].trim().is_empty() { rest.len() } else { end };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    fn response(value: Value) -> Response {
        from_value(value).unwrap()
    }

    #[test]
    fn words_join_to_the_text() {
        for text in ["", "one", "one two", "  ", " lead and  gap\nline \n", "grüße an Zoë"] {
            assert_eq!(words(text).collect::<String>(), text);
        }
        assert_eq!(words("one two ").collect::<Vec<_>>(), ["one", " two "]);
    }

    #[test]
    fn chunks_carry_the_same_as_the_whole() {
        let response = response(json!({
            "answer": "It is sunny.",
            "tool_calls": [{"name": "f", "arguments": {"city": "Bern and Rom"}}, {"name": "g", "arguments": "{bad"}],
            "usage": {"prompt_tokens": 7}
        }));
        let request = json!({"model": "m", "messages": [{"role": "user", "content": "how is it"}]});
        let whole = whole(&response, &request, 1);
        let chunks = chunks(&response, &request, 1);

        let message = &whole["choices"][0]["message"];
        let mut text = String::new();
        let mut arguments = [String::new(), String::new()];
        for chunk in &chunks {
            let delta = &chunk["choices"][0]["delta"];
            text += delta["content"].as_str().unwrap_or_default();
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let index = call["index"].as_u64().unwrap() as usize;
                arguments[index] += call["function"]["arguments"].as_str().unwrap();
            }
        }
        assert_eq!(message["content"], text);
        for (call, streamed) in message["tool_calls"].as_array().unwrap().iter().zip(&arguments) {
            assert_eq!(call["function"]["arguments"], *streamed);
        }
        assert_eq!(arguments[1], "{bad");
        assert_eq!(whole["usage"], json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}));
        assert_eq!(whole["usage"], chunks.last().unwrap()["usage"]);
        assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    }

    #[test]
    fn usage_can_be_left_out() {
        let response = response(json!({"answer": "hi", "usage": false}));
        assert!(whole(&response, &json!({}), 1).get("usage").is_none());
        assert!(chunks(&response, &json!({}), 1).iter().all(|chunk| chunk.get("usage").is_none()));
    }
}
