//! What a decision may want to know of a request. Nothing of it is worked out before a filter or a policy asks.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use serde::Serialize;

use super::{Extent, Target};
use crate::error::Result;
use crate::types::{ChatRequest, Content, ContentPart, EmbeddingInput, EmbeddingRequest, Message, Quirks, Role};
use crate::wire::fields::Asked;
use crate::wire::{Encoded, WireTarget};

/// Tokens that an answer without a limit is taken to have.
pub const ASSUMED_ANSWER: u64 = 1024;
/// Bytes of text per token: about what vendors state for English.
const BYTES_PER_TOKEN: u64 = 4;
/// Tokens that an image is taken to have: what vendors count for one of about a megapixel.
const IMAGE_TOKENS: u64 = 1_000;

/// A request, as far as it decides where it goes.
pub trait Need: Sync {
    /// Tokens of the prompt, estimated.
    fn prompt_tokens(&self) -> u64;

    /// Most tokens of the answer, as the request limits them; 0 where none are paid for.
    fn output_limit(&self) -> Option<u64>;

    /// Upper bounds of all that its cost depends on.
    fn extent(&self) -> Extent;

    /// Whether the prompt has images.
    fn has_images(&self) -> bool {
        false
    }

    /// Whether it asks for reasoning.
    fn asks_reasoning(&self) -> bool {
        false
    }

    /// The same number for requests that share a session, or else the beginning of their prompts.
    fn affinity(&self) -> u64;

    /// What tells why a target is not known to take every field that is set, and `None` when it is.
    fn parameters(&self) -> Box<NotTaken<'_>>;
}

/// Why a target is not known to take every field that is set.
pub type NotTaken<'a> = dyn Fn(&Target, Facts) -> Option<String> + 'a;

/// What is known of a model's abilities where it is served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Something is known of how its server deviates.
    pub described: bool,
    /// Calls tools.
    pub tools: Option<bool>,
    /// Holds a JSON schema.
    pub structured_output: Option<bool>,
}

impl Need for ChatRequest {
    fn prompt_tokens(&self) -> u64 {
        prompt_bytes(self) / BYTES_PER_TOKEN + 1
    }

    fn output_limit(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    fn extent(&self) -> Extent {
        Extent::chat(self)
    }

    fn has_images(&self) -> bool {
        images(&self.messages) > 0
    }

    fn asks_reasoning(&self) -> bool {
        self.reasoning_effort.as_deref().is_some_and(|effort| effort != "none")
    }

    fn affinity(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        if let Some(session) = &self.session_id {
            session.hash(&mut hash);
            return hash.finish();
        }
        written(&self.tools, Hashed(&mut hash));
        for message in &self.messages {
            texts(message, |text| text.hash(&mut hash));
            if message.role == Role::User {
                break;
            }
        }
        hash.finish()
    }

    fn parameters(&self) -> Box<NotTaken<'_>> {
        let sets_any = FIELDS.iter().any(|name| self.sets(name)) || !self.extra.is_empty();
        let wants = (self.sets("tools"), self.has_schema());
        let stream = self.stream == Some(true);
        // What a wire does with the fields does not depend on what the conversation says.
        let fields = fields_only(self);
        Box::new(move |target, facts| {
            if !facts.described && sets_any {
                return Some("which fields it takes is unknown".to_owned());
            }
            let abilities = [(wants.0, facts.tools, "tools"), (wants.1, facts.structured_output, "response_format")];
            for (_, known, field) in abilities.into_iter().filter(|(wanted, ..)| *wanted) {
                match known {
                    Some(true) => {}
                    Some(false) => return Some(format!("the model does not honour `{field}`")),
                    None => return Some(format!("whether the model honours `{field}` is unknown")),
                }
            }
            let wire = wire(target, target.api.quirks());
            untaken(target.api.protocol.encode(&fields, &wire, stream))
        })
    }
}

fn wire<'a>(target: &'a Target, quirks: &'a Quirks) -> WireTarget<'a> {
    WireTarget { provider: target.endpoint.id(), model: &target.model, quirks }
}

fn untaken(encoded: Result<Encoded>) -> Option<String> {
    match encoded {
        Ok(encoded) if encoded.dropped.is_empty() => None,
        Ok(encoded) => Some(format!("it does not take `{}`", encoded.dropped.join("`, `"))),
        Err(error) => Some(error.message().to_owned()),
    }
}

/// The fields of a request beside its conversation.
fn fields_only(request: &ChatRequest) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::user("")],
        temperature: request.temperature,
        top_p: request.top_p,
        max_tokens: request.max_tokens,
        max_completion_tokens: request.max_completion_tokens,
        n: request.n,
        stop: request.stop.clone(),
        seed: request.seed,
        frequency_penalty: request.frequency_penalty,
        presence_penalty: request.presence_penalty,
        logprobs: request.logprobs,
        top_logprobs: request.top_logprobs,
        tools: request.tools.clone(),
        tool_choice: request.tool_choice.clone(),
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: request.response_format.clone(),
        reasoning_effort: request.reasoning_effort.clone(),
        extra: request.extra.clone(),
        ..ChatRequest::default()
    }
}

impl Need for EmbeddingRequest {
    fn prompt_tokens(&self) -> u64 {
        match &self.input {
            EmbeddingInput::Text(text) => text.len() as u64 / BYTES_PER_TOKEN + 1,
            EmbeddingInput::Texts(texts) => texts.iter().map(|t| t.len() as u64 / BYTES_PER_TOKEN + 1).sum(),
            EmbeddingInput::Tokens(tokens) => tokens.len() as u64,
            EmbeddingInput::TokenLists(lists) => lists.iter().map(|list| list.len() as u64).sum(),
        }
    }

    fn output_limit(&self) -> Option<u64> {
        Some(0)
    }

    fn extent(&self) -> Extent {
        Extent::embedding(self)
    }

    fn affinity(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        written(&self.input, Hashed(&mut hash));
        hash.finish()
    }

    fn parameters(&self) -> Box<NotTaken<'_>> {
        Box::new(|target, _| {
            let Some(api) = target.endpoint.embeddings(&target.model) else {
                return Some("it gives no embeddings of this model".to_owned());
            };
            untaken(api.protocol.encode(self, &wire(target, api.quirks())))
        })
    }
}

/// Bytes of text that a chat sends: messages, tools, the form of the answer. Images count as [`IMAGE_TOKENS`] each.
pub fn prompt_bytes(request: &ChatRequest) -> u64 {
    let mut bytes = 0;
    for message in &request.messages {
        texts(message, |text| bytes += text.len() as u64);
        for call in message.tool_calls.iter().flatten() {
            bytes += call.function.as_ref().map_or(0, |f| f.name.len() + f.arguments.len()) as u64;
        }
    }
    bytes += image_bytes(request);
    bytes += request.tools.as_ref().map_or(0, written_bytes);
    bytes + request.response_format.as_ref().map_or(0, written_bytes)
}

/// What the images of a chat count as, bytes.
pub(super) fn image_bytes(request: &ChatRequest) -> u64 {
    images(&request.messages) * IMAGE_TOKENS * BYTES_PER_TOKEN
}

/// Bytes of a value as JSON.
pub(super) fn written_bytes(value: &impl Serialize) -> u64 {
    let mut counted = Counted(0);
    written(value, &mut counted);
    counted.0
}

/// Fields a server may not take.
const FIELDS: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
];

fn texts<'a>(message: &'a Message, mut each: impl FnMut(&'a str)) {
    match &message.content {
        Some(Content::Text(text)) => each(text),
        Some(Content::Parts(parts)) => parts.iter().for_each(|part| {
            if let ContentPart::Text(text) = part {
                each(&text.text);
            }
        }),
        None => {}
    }
}

pub(super) fn images(messages: &[Message]) -> u64 {
    let parts = messages.iter().filter_map(|m| match &m.content {
        Some(Content::Parts(parts)) => Some(parts),
        _ => None,
    });
    parts.flatten().filter(|part| matches!(part, ContentPart::Image(_))).count() as u64
}

/// Writes a value as JSON into something that only counts or hashes, which cannot fail.
fn written(value: &impl Serialize, to: impl io::Write) {
    let _ = serde_json::to_writer(to, value);
}

struct Counted(u64);

impl io::Write for &mut Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Hashed<'a>(&'a mut DefaultHasher);

impl io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
