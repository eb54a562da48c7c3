//! How large a request is, as far as its cost depends on it: upper bounds, taken from the request alone.

use serde_json::Value;

use super::need::{image_bytes, images, prompt_bytes, written_bytes};
use crate::types::{ChatRequest, Content, ContentPart, EmbeddingInput, EmbeddingRequest, Extra};

/// Tokens that a chat's template adds: around every message, and once (roles, today's date, how to reason). A server's own
/// template is seldom longer; gpt-oss has about 70 of them.
const TEMPLATE: (u64, u64) = (16, 128);
/// Tokens that vendors put before a prompt with tools. Anthropic states up to 530, for Claude 3 Opus
/// (docs: "Tool use", table of system prompt token counts).
const TOOLS: u64 = 600;
/// Most tokens of an image. The largest stated ones: Qwen-VL 16384, Claude 4784 (high resolution), GPT-4.1 mini 2489,
/// GPT-4o 1445, Gemini 2240.
const IMAGE: u64 = 16_384;
/// GPT-4o mini counts 2833 tokens for an image and 5667 for each of at most eight tiles, at a very low rate.
const IMAGE_4O_MINI: u64 = 2833 + 8 * 5667;
/// Bytes of base64 audio per token, at most one token: 32 tokens a second (Gemini; OpenAI has 10), at 6 kbit/s or more.
const AUDIO_BYTES: u64 = 25;
/// Searches and other runs of a vendor's own tools, where the request sets no limit (`max_uses`, `max_tool_calls`).
const TOOL_RUNS: u64 = 10;

/// Upper bounds of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of text that are sent as the prompt; a token has at least one.
    pub text: u64,
    /// The same, an image taken to be as long as a text of the tokens it usually has.
    pub likely: u64,
    /// Tokens that are added to the text.
    pub added: u64,
    /// Images.
    pub images: u64,
    /// Tokens of audio.
    pub audio: u64,
    /// The prompt becomes longer at the vendor's: files are read there, or its tools bring text. Its window is the bound.
    pub grows: bool,
    /// Choices.
    pub choices: u64,
    /// Most tokens of each choice, as the request limits them.
    pub limit: Option<u64>,
    /// Tokens of the answer may be audio or images.
    pub speaks: bool,
    /// Searches that the vendor makes, and other runs of its tools.
    pub searches: u64,
    /// See `searches`.
    pub tool_runs: u64,
    /// Tier that is asked for, in the vendor's words.
    pub tier: Option<String>,
}

impl Extent {
    /// Of a chat.
    pub fn chat(request: &ChatRequest) -> Self {
        let messages = request.messages.len() as u64;
        let likely = prompt_bytes(request);
        let mut extent = Extent {
            text: likely.saturating_sub(image_bytes(request)),
            likely,
            added: TEMPLATE.1 + TEMPLATE.0 * messages,
            images: images(&request.messages),
            choices: u64::from(request.n.unwrap_or(1)),
            limit: request.max_completion_tokens.or(request.max_tokens),
            ..Extent::default()
        };
        for message in &request.messages {
            extent.text += message.name.as_ref().map_or(0, |name| name.len() as u64);
            if !message.extra.is_empty() {
                extent.text += written_bytes(&message.extra);
            }
            let Some(Content::Parts(parts)) = &message.content else { continue };
            for part in parts {
                if let ContentPart::Other(other) = part {
                    extent.attached(other);
                }
            }
        }
        let tools = request.tools.as_deref().unwrap_or_default();
        if !tools.is_empty() {
            extent.added += TOOLS;
        }
        for tool in tools.iter().filter(|tool| tool.r#type != "function" && tool.r#type != "custom") {
            let most = tool.extra.get("max_uses").and_then(Value::as_u64).unwrap_or(TOOL_RUNS);
            extent.runs(&tool.r#type, most);
        }
        let bodies = [Some(&request.extra), request.extra_body.as_ref()];
        bodies.into_iter().flatten().for_each(|body| extent.body(body));
        extent
    }

    /// Of a request for embeddings.
    pub fn embedding(request: &EmbeddingRequest) -> Self {
        let (text, texts) = match &request.input {
            EmbeddingInput::Text(text) => (text.len() as u64, 1),
            EmbeddingInput::Texts(texts) => (texts.iter().map(|t| t.len() as u64).sum(), texts.len()),
            EmbeddingInput::Tokens(tokens) => (tokens.len() as u64, 1),
            EmbeddingInput::TokenLists(lists) => (lists.iter().map(|list| list.len() as u64).sum(), lists.len()),
        };
        Extent { text, likely: text, added: TEMPLATE.0 * texts as u64, choices: 1, limit: Some(0), ..Extent::default() }
    }

    /// Most tokens of the prompt at a model with this window, images and audio apart.
    pub fn prompt(&self, window: Option<u64>) -> u64 {
        let own = self.text.saturating_add(self.added);
        if self.grows { window.map_or(own, |window| own.max(window)) } else { own }
    }

    /// Most tokens of the images at a model.
    pub fn image_tokens(&self, model: &str) -> u64 {
        let each = if model.contains("4o-mini") { IMAGE_4O_MINI } else { IMAGE };
        self.images.saturating_mul(each)
    }

    /// Notes a part of a message that is neither text nor an image.
    fn attached(&mut self, part: &Extra) {
        let data = part.get("input_audio").and_then(|audio| audio.get("data")).and_then(Value::as_str);
        match data {
            Some(data) => self.audio += data.len() as u64 / AUDIO_BYTES + 1,
            None => {
                self.text += written_bytes(part);
                self.grows = true;
            }
        }
    }

    /// Notes a tool that the vendor runs.
    fn runs(&mut self, tool: &str, most: u64) {
        self.grows = true;
        if tool.contains("search") {
            self.searches += most;
        }
        self.tool_runs += most;
    }

    /// Notes what fields say that go to the vendor as they are.
    fn body(&mut self, body: &Extra) {
        for (name, value) in body {
            let number = value.as_u64();
            match name.as_str() {
                "max_tokens"
                | "max_completion_tokens"
                | "max_output_tokens"
                | "maxOutputTokens"
                | "maxTokens"
                | "num_predict" => self.limit = self.limit.max(number),
                "n" | "candidateCount" => self.choices = self.choices.max(number.unwrap_or(1)),
                "service_tier" | "serviceTier" | "speed" => {
                    let tier = value.as_str().or_else(|| value.get("type")?.as_str());
                    self.tier = Some(tier.unwrap_or_default().to_ascii_lowercase());
                }
                "modalities" | "responseModalities" => self.speaks = true,
                "web_search_options" | "plugins" => self.runs("web_search", TOOL_RUNS),
                "tools" => {
                    for tool in value.as_array().into_iter().flatten() {
                        self.text += written_bytes(tool);
                        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("other");
                        if kind != "function" {
                            self.runs(kind, tool.get("max_uses").and_then(Value::as_u64).unwrap_or(TOOL_RUNS));
                        }
                    }
                }
                "max_tool_calls" => {
                    let most = number.unwrap_or(TOOL_RUNS);
                    (self.searches, self.tool_runs) = (self.searches.min(most), self.tool_runs.min(most));
                }
                // Fields of a vendor's own that hold such fields, or text.
                _ => {
                    self.text += written_bytes(value);
                    if let Value::Object(inner) = value {
                        self.body(inner);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn extent(request: Value) -> Extent {
        Extent::chat(&serde_json::from_value(request).unwrap())
    }

    #[test]
    fn every_byte_of_text_counts_and_images_do_not_count_as_text() {
        let plain = extent(json!({"messages": [{"role": "user", "content": "Grüezi"}], "max_tokens": 9, "n": 2}));
        assert_eq!((plain.text, plain.added, plain.limit, plain.choices), (7, 144, Some(9), 2));
        let image =
            json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(9999))}});
        let parts = json!([{"type": "text", "text": "what?"}, image]);
        let seen = extent(json!({"messages": [{"role": "user", "content": parts}]}));
        assert_eq!((seen.text, seen.images, seen.image_tokens("gpt-5"), seen.grows), (5, 1, 16_384, false));
        assert_eq!(seen.image_tokens("gpt-4o-mini-2024-07-18"), 48_169);
    }

    #[test]
    fn what_becomes_longer_at_the_vendor_has_its_window_as_bound() {
        let file = json!([{"type": "file", "file": {"file_id": "file-1"}}]);
        let read = extent(json!({"messages": [{"role": "user", "content": file}]}));
        assert_eq!(read.prompt(Some(200_000)), 200_000);
        assert!(read.prompt(None) < 300);
        let audio = json!([{"type": "input_audio", "input_audio": {"data": "A".repeat(2500), "format": "mp3"}}]);
        let heard = extent(json!({"messages": [{"role": "user", "content": audio}]}));
        assert_eq!((heard.audio, heard.grows), (101, false));
    }

    #[test]
    fn tools_that_the_vendor_runs_have_fees() {
        let tools = json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}, {"type": "function"}]);
        let searching = extent(json!({"messages": [], "tools": tools}));
        assert_eq!((searching.searches, searching.tool_runs, searching.grows), (3, 3, true));
        let options = extent(json!({"messages": [], "web_search_options": {}}));
        assert_eq!((options.searches, options.grows), (10, true));
    }

    #[test]
    fn fields_for_the_vendor_may_raise_the_bounds_and_not_lower_them() {
        let body = json!({"max_tokens": 50, "generationConfig": {"maxOutputTokens": 5000, "candidateCount": 3}});
        let raised = extent(json!({"messages": [], "max_tokens": 100, "extra_body": body, "service_tier": "Priority"}));
        assert_eq!((raised.limit, raised.choices, raised.tier.as_deref()), (Some(5000), 3, Some("priority")));
        let lowered = extent(json!({"messages": [], "max_tokens": 100, "extra_body": {"max_tokens": 50}}));
        assert_eq!(lowered.limit, Some(100));
    }
}
