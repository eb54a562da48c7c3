//! What Cohere sends, and the pieces of it that answers and events share.

use serde_json::Value;

use super::names;
use crate::types::{
    CompletionTokensDetails, Extra, FunctionCall, Logprobs, PromptTokensDetails, TokenLogprob, ToolCall, Usage,
};
use crate::wire::open::open;

open! {
    /// A complete answer.
    Body {
        id "id": String,
        finish_reason "finish_reason": String,
        message "message": Value,
        usage "usage": Value,
        logprobs "logprobs": Vec<Value>,
    }
}

open! {
    /// The message of one.
    Message {
        content "content": Vec<Block>,
        tool_plan "tool_plan": String,
        tool_calls "tool_calls": Vec<Call>,
        citations "citations": Vec<Value>,
    }
    skips "role"
}

open! {
    /// A piece of content.
    Block {
        r#type "type": String,
        text "text": String,
        thinking "thinking": String,
    }
}

open! {
    /// A tool call, or what is new in one.
    Call {
        id "id": String,
        r#type "type": String,
        function "function": Function,
    }
}

open! {
    /// The function of one.
    Function {
        name "name": String,
        arguments "arguments": String,
    }
}

open! {
    /// One event of a stream.
    Event {
        r#type "type": String,
        id "id": String,
        index "index": u32,
        delta "delta": Delta,
        logprobs "logprobs": Value,
        message "message": Value,
    }
}

open! {
    /// What is new.
    Delta {
        message "message": MessageDelta,
        finish_reason "finish_reason": String,
        usage "usage": Value,
    }
}

open! {
    /// What is new in the message: an object where the message has a list, or an empty list.
    MessageDelta {
        content "content": Value,
        tool_plan "tool_plan": String,
        tool_calls "tool_calls": Value,
        citations "citations": Value,
    }
    skips "role"
}

impl Call {
    /// A call as OpenAI has it, under the name that the caller knows.
    pub fn into_call(self) -> ToolCall {
        let function = self.function.unwrap_or_default();
        let name = names::from_cohere(&function.name.unwrap_or_default()).into_owned();
        let arguments = arguments(function.arguments.unwrap_or_default());
        let r#type = self.r#type.unwrap_or_else(|| "function".to_owned());
        ToolCall {
            id: self.id.unwrap_or_default(),
            r#type,
            function: Some(FunctionCall { name, arguments }),
            extra: self.extra,
        }
    }
}

/// No arguments are told as nothing, or as null.
pub(super) fn arguments(told: String) -> String {
    if matches!(told.trim(), "" | "null") { "{}".to_owned() } else { told }
}

/// Usage in OpenAI's terms: the tokens that were really read and written; those billed, without the vendor's own
/// template, stay in `billed_units`, and count only where nothing else is told.
pub(in crate::wire) fn usage(raw: Value) -> Option<Usage> {
    let Value::Object(mut fields) = raw else { return None };
    let number = |fields: &Extra, of: &str, name: &str| fields.get(of)?.get(name)?.as_u64();
    let of = if fields.get("tokens").is_some_and(Value::is_object) { "tokens" } else { "billed_units" };
    let (input, output) = (number(&fields, of, "input_tokens"), number(&fields, of, "output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    // Images are counted beside the text.
    let images = number(&fields, of, "image_tokens");
    let reasoning_tokens = number(&fields, of, "reasoning_tokens");
    let cached_tokens = fields.remove("cached_tokens").and_then(|v| v.as_u64());
    fields.remove("tokens");
    let prompt_tokens = input.unwrap_or(0) + images.unwrap_or(0);
    let completion_tokens = output.unwrap_or(0);
    let details = PromptTokensDetails {
        cached_tokens,
        extra: images.map(|n| ("image_tokens".to_owned(), n.into())).into_iter().collect(),
        ..Default::default()
    };
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        prompt_tokens_details: (cached_tokens.is_some() || images.is_some()).then_some(details),
        completion_tokens_details: reasoning_tokens
            .map(|_| CompletionTokensDetails { reasoning_tokens, ..Default::default() }),
        extra: fields,
    })
}

/// OpenAI's annotations of the citations whose source has an address. Cohere counts characters, too.
pub(super) fn annotations(citations: &[Value]) -> Vec<Value> {
    let sources = citations.iter().flat_map(|c| {
        let sources = c.get("sources").and_then(Value::as_array).into_iter().flatten();
        sources.filter_map(move |s| s.get("document")).map(move |document| (c, document))
    });
    sources
        .filter_map(|(citation, document)| {
            let url = document.get("url")?.as_str()?;
            Some(serde_json::json!({"type": "url_citation", "url_citation": {"start_index": citation.get("start"),
                "end_index": citation.get("end"), "url": url, "title": document.get("title")}}))
        })
        .collect()
}

/// Puts citations on a message or delta.
pub(super) fn cite(extra: &mut Extra, citations: Vec<Value>) {
    if citations.is_empty() {
        return;
    }
    let annotations = annotations(&citations);
    if !annotations.is_empty() {
        extra.insert("annotations".to_owned(), Value::Array(annotations));
    }
    extra.insert("citations".to_owned(), Value::Array(citations));
}

/// Log probabilities. Cohere tells them for pieces of text; that of a piece of several tokens is their sum, the
/// logarithm of the probability of the piece.
pub(super) fn logprobs<'a>(pieces: impl IntoIterator<Item = &'a Value>) -> Option<Logprobs> {
    let piece = |piece: &Value| {
        let token = piece.get("text")?.as_str()?.to_owned();
        let logprob = piece.get("logprobs")?.as_array()?.iter().filter_map(Value::as_f64).sum();
        Some(TokenLogprob { bytes: Some(token.bytes().collect()), token, logprob, top_logprobs: Vec::new() })
    };
    let content: Vec<_> = pieces.into_iter().filter_map(piece).collect();
    (!content.is_empty()).then(|| Logprobs { content: Some(content), ..Default::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tokens_count_and_billed_units_stay_beside() {
        let usage = usage(json!({"billed_units": {"input_tokens": 267, "output_tokens": 52}, "cached_tokens": 5,
            "tokens": {"input_tokens": 34, "output_tokens": 56, "reasoning_tokens": 6, "image_tokens": 259}}))
        .unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (293, 56, 349));
        assert_eq!((usage.cached_tokens(), usage.reasoning_tokens()), (Some(5), Some(6)));
        assert_eq!(usage.prompt_tokens_details.unwrap().extra["image_tokens"], 259);
        assert_eq!(
            usage.extra,
            *json!({"billed_units": {"input_tokens": 267, "output_tokens": 52}}).as_object().unwrap()
        );
        assert_eq!(super::usage(json!({})), None);
    }

    #[test]
    fn a_piece_of_several_tokens_has_the_probability_of_all() {
        let got = logprobs([&json!({"text": "ab", "token_ids": [1, 2], "logprobs": [-0.5, -1.5]})]).unwrap();
        let token = &got.content.unwrap()[0];
        assert_eq!((token.token.as_str(), token.logprob), ("ab", -2.0));
    }
}
