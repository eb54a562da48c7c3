//! Counts on their own, recognised by their shape: exports and recordings carry them without the answer around them.

use serde_json::Value;

use super::{anthropic, bedrock, cohere, gemini, openai_chat, openai_responses};
use crate::types::{CompletionTokensDetails, Extra, Quirks, Usage};

/// Reads counts as the wire does that such counts come over. Returns the wire's name with them; `None` where no shape fits
/// or nothing is counted.
pub fn recognise(counts: &Value, quirks: &Quirks) -> Option<(&'static str, Usage)> {
    let fields = counts.as_object()?;
    let has = |names: &[&str]| names.iter().any(|name| fields.contains_key(*name));
    if has(&["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"]) {
        return Some(("gemini", gemini::counts(counts.clone())?));
    }
    if has(&["inputTokens", "outputTokens"]) {
        return Some(("bedrock-converse", bedrock::counts(fields.clone())?));
    }
    if has(&["billed_units", "tokens"]) {
        // What is billed in other units than tokens has no counts of tokens.
        let bare = || Usage { extra: fields.clone(), ..Usage::default() };
        return Some(("cohere", cohere::counts(counts.clone()).unwrap_or_else(bare)));
    }
    if has(&["prompt_tokens", "completion_tokens"]) {
        return Some(("openai-chat", openai_chat::counts(counts, quirks)?));
    }
    if has(&["cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "server_tool_use"]) {
        return Some(("anthropic", anthropic::counts(fields.clone())?));
    }
    if has(&["input_tokens", "output_tokens"]) {
        let mut usage = openai_responses::counts(fields.clone())?;
        of_images(fields, &mut usage);
        return Some(("openai-responses", usage));
    }
    // Transcriptions counted by time.
    let seconds = fields.get("seconds").and_then(Value::as_u64);
    seconds.map(|_| ("openai-chat", Usage { extra: fields.clone(), ..Usage::default() }))
}

/// OpenAI's image endpoints split the prompt by kind, know no cache, and give images only.
fn of_images(fields: &Extra, usage: &mut Usage) {
    let split = fields.get("input_tokens_details");
    let has = |name: &str| split.is_some_and(|split| split.get(name).is_some());
    if has("image_tokens") && !has("cached_tokens") && usage.completion_tokens_details.is_none() {
        let mut details = CompletionTokensDetails::default();
        details.extra.insert("image_tokens".to_owned(), usage.completion_tokens.into());
        usage.completion_tokens_details = Some(details);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_shape_has_its_wire() {
        for (counts, wire, sums) in [
            (json!({"promptTokenCount": 2, "candidatesTokenCount": 3, "thoughtsTokenCount": 4}), "gemini", (2, 7)),
            (json!({"inputTokens": 2, "outputTokens": 3, "cacheReadInputTokens": 5}), "bedrock-converse", (7, 3)),
            (json!({"tokens": {"input_tokens": 2, "output_tokens": 3}}), "cohere", (2, 3)),
            (json!({"billed_units": {"search_units": 3}}), "cohere", (0, 0)),
            (json!({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}), "openai-chat", (2, 3)),
            (json!({"input_tokens": 2, "output_tokens": 3, "cache_read_input_tokens": 5}), "anthropic", (7, 3)),
            (json!({"input_tokens": 2, "output_tokens": 3, "total_tokens": 5}), "openai-responses", (2, 3)),
            (json!({"type": "duration", "seconds": 12}), "openai-chat", (0, 0)),
        ] {
            let (found, usage) = recognise(&counts, &Quirks::default()).unwrap();
            assert_eq!((found, (usage.prompt_tokens, usage.completion_tokens)), (wire, sums), "{counts}");
        }
        for none in [json!({}), json!(null), json!([1]), json!({"cost": 1})] {
            assert_eq!(recognise(&none, &Quirks::default()), None, "{none}");
        }
    }

    #[test]
    fn image_endpoints_give_images() {
        let counts = json!({"input_tokens": 9, "output_tokens": 7, "input_tokens_details": {"text_tokens": 2, "image_tokens": 7}});
        let (_, usage) = recognise(&counts, &Quirks::default()).unwrap();
        assert_eq!(usage.completion_tokens_details.unwrap().extra["image_tokens"], 7);
    }
}
