//! Chat request and response.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message::function_type;
use super::{
    AssistantMessage, Extra, Fallbacks, FusionOptions, Message, ProviderChoice, ResponseMeta, Terms, TimeoutConfig,
    Usage,
};

/// A chat request: OpenAI's fields, and interfuse's optional ones. Fields not listed go to the vendor untouched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChatRequest {
    /// `provider/model`, a catalogue model, or `interfuse/...` for a fusion.
    #[serde(default)]
    pub model: String,
    /// The conversation.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// Sampling temperature, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Most tokens of the answer (older spelling).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Most tokens of the answer, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// Number of choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Seed for repeatable sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Log probabilities of the answer's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// Alternatives per token, 0 to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    /// Tools the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// `none`, `auto`, `required` or an object naming a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Whether several tools may be called at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Form of the answer: text, JSON, or JSON of a schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// `none`, `minimal`, `low`, `medium`, `high`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Whether to stream; the streaming call sets it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Options of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,

    /// Fallback models, tried in order after `model`. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Fallback models by kind of failure. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Fallbacks>,
    /// Which backend serves: a name, or preferences. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderChoice>,
    /// Whether `interfuse.explanation` tells how the backend was chosen; `routing.explain` by default. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<bool>,
    /// What belongs together: the policy `sticky` keeps it at one backend, whose cache then knows it. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Options of the fusion, for `interfuse/...` models, or LiteLLM's `fusion` of its `litellm/fusion-1`. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::fusion_written::read")]
    pub fusion: Option<FusionOptions>,
    /// Labels for the ledger (`project`, `team`, `user`, or any other). Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Most the call may cost, all its attempts together, decimal USD as text ("0.05"). An attempt that might cost more than
    /// is left of it is not made. Of a fusion: as its options say. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// Deadline of the whole call, retries included, milliseconds. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Timeouts that outrank the configured ones; `timeout_ms` outranks `total_ms` among them. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutConfig>,
    /// Retries after the first attempt, per target. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// What follows when a stream breaks off of which something was shown already; `error` by default. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_interrupt: Option<OnInterrupt>,
    /// Whether a field that a target would leave out is an error there; false by default, then it is named in
    /// `interfuse.dropped`. Fields that change the answer are never left out. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_params: Option<bool>,
    /// Whether images at `http:` and `https:` addresses are fetched and sent as data URLs, for vendors that take images in
    /// the request only; false by default. Only public addresses, no redirects, at most 16 images of 20 MiB; the time
    /// counts as the call's. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_images: Option<bool>,
    /// Whether a second backend is asked beside one that takes long, as `routing.hedge` of the configuration says by default.
    /// Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<bool>,
    /// Whether a kept answer will do, and this one may be kept, for requests that are the same; as `cache` of the
    /// configuration says by default. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<bool>,
    /// Headers added to the vendor's request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_headers: Option<BTreeMap<String, String>>,
    /// Fields merged into the vendor's request body as they are; they win over all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_body: Option<Extra>,
    /// Fields passed through to the vendor.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ChatRequest {
    /// A request with one model and a conversation.
    pub fn new(model: impl Into<String>, messages: impl Into<Vec<Message>>) -> Self {
        ChatRequest { model: model.into(), messages: messages.into(), ..Default::default() }
    }

    /// What decides where it goes and how long it may take.
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            model: &self.model,
            models: self.models.as_deref().unwrap_or_default(),
            fallbacks: self.fallbacks.as_ref(),
            provider: self.provider.as_ref(),
            within: None,
            explain: self.explain == Some(true),
            timeout_ms: self.timeout_ms,
            timeouts: self.timeouts.as_ref(),
            max_retries: self.max_retries,
            hedge: self.hedge,
            max_cost_usd: self.max_cost_usd.as_deref(),
            extra_headers: self.extra_headers.as_ref(),
        }
    }
}

/// What follows when a stream breaks off of which something was shown already. Before that, and where nothing is streamed
/// to the caller, the answer is asked for again unseen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnInterrupt {
    /// An `interrupted` error that carries what had come.
    #[default]
    Error,
    /// A chunk whose `interfuse.reset` says that all text so far is to be thrown away, then the answer from its beginning.
    Restart,
    /// The rest of the answer, where the target can go on from a beginning and nothing but text was asked for; otherwise as
    /// `restart`.
    Continue,
}

/// One stop text or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Stop {
    /// One.
    One(String),
    /// Up to four.
    Many(Vec<String>),
}

/// Options of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StreamOptions {
    /// Whether the caller wants the usage chunk. interfuse always asks the vendor, for the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
    /// Fields passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tool {
    /// `function` (also where it is left out, as Mistral's client does) or another type.
    #[serde(default = "function_type")]
    pub r#type: String,
    /// The function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionTool>,
    /// Fields passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A function the model may call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FunctionTool {
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments; absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the vendor holds the model to the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Fields passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Form of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`.
    pub r#type: String,
    /// The schema, for `json_schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<JsonSchemaFormat>,
    /// Fields passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A schema the answer must obey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JsonSchemaFormat {
    /// Name of the schema, at most 64 characters.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Whether the vendor enforces it exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A chat response.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChatCompletion {
    /// The vendor's id of the response.
    #[serde(default)]
    pub id: String,
    /// Always `chat.completion`.
    #[serde(default = "chat_completion")]
    pub object: String,
    /// Seconds since 1970-01-01 UTC.
    #[serde(default)]
    pub created: u64,
    /// Model that answered, in the vendor's words.
    #[serde(default)]
    pub model: String,
    /// The answers.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// Token counts; absent when the vendor told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Tier that served the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// The vendor's configuration mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// What interfuse adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfuse: Option<Box<ResponseMeta>>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

fn chat_completion() -> String {
    "chat.completion".to_owned()
}

impl ChatCompletion {
    /// Text of the first choice, empty when there is none.
    pub fn text(&self) -> &str {
        self.choices.first().and_then(|c| c.message.content.as_deref()).unwrap_or_default()
    }
}

/// One answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Choice {
    /// Place among the choices.
    #[serde(default)]
    pub index: u32,
    /// The message.
    pub message: AssistantMessage,
    /// `stop`, `length`, `tool_calls`, `content_filter`, or a vendor's own word.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Log probabilities, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Logprobs>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Log probabilities of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Logprobs {
    /// Per token of the content.
    #[serde(default)]
    pub content: Option<Vec<TokenLogprob>>,
    /// Per token of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Vec<TokenLogprob>>,
    /// The vendor's other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Log probability of one token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenLogprob {
    /// The token.
    pub token: String,
    /// Natural logarithm of its probability; -9999 stands for "very unlikely".
    pub logprob: f64,
    /// Its UTF-8 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
    /// The alternatives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_logprobs: Vec<TokenLogprob>,
}
