//! Token counts: Google counts thoughts beside the answer and the prompts of its own tools beside the prompt; OpenAI's
//! numbers include both.

use serde_json::Value;

use crate::types::{CompletionTokensDetails, Extra, PromptTokensDetails, Usage};

/// Usage in OpenAI's terms; `None` where no tokens are told. What has no place there stays in `extra`.
pub(in crate::wire) fn read(raw: Value) -> Option<Usage> {
    let Value::Object(mut fields) = raw else { return None };
    let number = |fields: &Extra, name: &str| fields.get(name).and_then(Value::as_u64);
    let prompt = number(&fields, "promptTokenCount");
    let answer = number(&fields, "candidatesTokenCount");
    let thoughts = number(&fields, "thoughtsTokenCount");
    if prompt.is_none() && answer.is_none() && thoughts.is_none() {
        return None;
    }
    let cached = number(&fields, "cachedContentTokenCount");
    let of_tools = number(&fields, "toolUsePromptTokenCount");
    let prompt_parts = [modalities(&fields, "promptTokensDetails"), modalities(&fields, "toolUsePromptTokensDetails")];
    let answer_parts = [modalities(&fields, "candidatesTokensDetails")];
    let prompt_tokens = prompt.unwrap_or(0) + of_tools.unwrap_or(0);
    let completion_tokens = answer.unwrap_or(0) + thoughts.unwrap_or(0);
    let total_tokens = prompt_tokens + completion_tokens;
    for told in ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount"] {
        fields.remove(told);
    }
    if number(&fields, "totalTokenCount") == Some(total_tokens) {
        fields.remove("totalTokenCount");
    }
    let mut usage = Usage { prompt_tokens, completion_tokens, total_tokens, extra: fields, ..Default::default() };
    let (audio_tokens, extra) = detail(&prompt_parts);
    if cached.is_some() || audio_tokens.is_some() || !extra.is_empty() {
        usage.prompt_tokens_details =
            Some(PromptTokensDetails { cached_tokens: cached, audio_tokens, extra, ..Default::default() });
    }
    let (audio_tokens, extra) = detail(&answer_parts);
    if thoughts.is_some() || audio_tokens.is_some() || !extra.is_empty() {
        usage.completion_tokens_details =
            Some(CompletionTokensDetails { reasoning_tokens: thoughts, audio_tokens, extra });
    }
    Some(usage)
}

/// Kind of content and its tokens.
type Modalities = Vec<(String, u64)>;

fn modalities(fields: &Extra, name: &str) -> Modalities {
    let list = fields.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|m| Some((m.get("modality")?.as_str()?.to_ascii_lowercase(), m.get("tokenCount")?.as_u64()?)))
        .collect()
}

/// Tokens of audio, and those of other kinds by name (`text_tokens`, `image_tokens`, ...).
fn detail(parts: &[Modalities]) -> (Option<u64>, Extra) {
    let (mut audio, mut other) = (None, Extra::new());
    for (kind, tokens) in parts.iter().flatten() {
        if kind == "audio" {
            *audio.get_or_insert(0) += tokens;
        } else {
            let name = format!("{kind}_tokens");
            let sum = other.get(&name).and_then(Value::as_u64).unwrap_or(0) + tokens;
            other.insert(name, sum.into());
        }
    }
    (audio, other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn thoughts_and_prompts_of_tools_are_counted_in() {
        let usage = read(json!({
            "promptTokenCount": 91, "candidatesTokenCount": 93, "thoughtsTokenCount": 211, "toolUsePromptTokenCount": 574,
            "cachedContentTokenCount": 10, "totalTokenCount": 969, "trafficType": "ON_DEMAND",
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 81}, {"modality": "AUDIO", "tokenCount": 10}]
        }))
        .unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (665, 304, 969));
        assert_eq!((usage.cached_tokens(), usage.reasoning_tokens()), (Some(10), Some(211)));
        let details = usage.prompt_tokens_details.unwrap();
        assert_eq!((details.audio_tokens, &details.extra["text_tokens"]), (Some(10), &json!(81)));
        assert_eq!(usage.extra["trafficType"], "ON_DEMAND");
        assert!(!usage.extra.contains_key("totalTokenCount"));
    }

    #[test]
    fn no_numbers_are_no_usage() {
        assert_eq!(read(json!({"trafficType": "ON_DEMAND"})), None);
    }
}
