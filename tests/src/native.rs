//! Replays recorded exchanges of vendors that speak a dialect of their own. Each dialect is one row of [`DIALECTS`] and
//! one file beside this one, which reads the raw bodies a second, simpler way; what the wire decodes must say the same.
//!
//! Two layouts: the collection's (`<dialect>/*.http.json` with body files; `*.chunks.txt`, one payload per line; whole
//! bodies) and the project's own (`<provider>/{chat,chat-stream,error}/*.json`, read by [`crate::fixtures`]).

mod anthropic;
pub(crate) mod bedrock;
mod cohere;
mod exchange;
mod google;
mod ollama;
mod openai_chat;
mod openai_responses;

use std::path::Path;

use interfuse::error::ErrorKind;
use interfuse::http::HeaderMap;
use interfuse::types::{AssistantMessage, ChatCompletion, Quirks, Usage};
use interfuse::wire::{Assembler, Reply, WireTarget, protocol};
use serde_json::Value;

use crate::fixtures::{Checked, Outcome};
use crate::replay::{Streamed, check_cuts, stream, truncated_is_no_success};

pub use exchange::Exchange;

/// Every dialect.
pub const DIALECTS: &[&dyn Dialect] = &[
    &anthropic::Anthropic,
    &openai_chat::OpenAiChat { folder: "openai-chat" },
    &openai_chat::OpenAiChat { folder: "azure" },
    &openai_chat::OpenAiChat { folder: "mistral" },
    &openai_responses::OpenAiResponses,
    &google::Google { folder: "gemini" },
    &google::Google { folder: "vertex" },
    &cohere::Cohere,
    &bedrock::Converse,
    &bedrock::Invoke,
    &ollama::Ollama,
];

/// A vendor's way to speak, as its recordings show it.
pub trait Dialect: Sync {
    /// Folder of the recordings, and the provider whose row is used.
    fn folder(&self) -> &'static str;

    /// Name of the wire.
    fn wire(&self) -> &'static str;

    /// Why an exchange is no chat call of this wire; `None` when it is one.
    fn foreign(&self, exchange: &Exchange) -> Option<String>;

    /// What a whole answer says.
    fn answer(&self, body: &Value) -> Said;

    /// What a stream says.
    fn stream(&self, body: &[u8]) -> Said;

    /// The kind an error must get, where its status and body tell.
    fn kind(&self, status: u16, body: &Value) -> Option<ErrorKind>;

    /// One stream from its payloads, one per line.
    fn framed(&self, lines: &str) -> Vec<u8> {
        let event = |line: &str| {
            let name = serde_json::from_str::<Value>(line).ok().and_then(|e| e["type"].as_str().map(str::to_owned));
            format!("event: {}\ndata: {line}\n\n", name.unwrap_or_default())
        };
        lines.lines().filter(|l| !l.trim().is_empty()).map(event).collect::<String>().into_bytes()
    }

    /// Whether nothing of a stream follows this payload: in a file with one payload per line, the next line begins another.
    fn ends(&self, _payload: &Value) -> bool {
        false
    }

    /// Whether answers carry an id.
    fn has_id(&self) -> bool {
        true
    }
}

/// What a recording says, read the simple way. What is `None` is not compared.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Said {
    /// Text of the answer.
    pub text: Option<String>,
    /// Readable reasoning.
    pub reasoning: Option<String>,
    /// Name and arguments (JSON text) of every tool call, in order.
    pub calls: Option<Vec<(String, String)>>,
    /// Why it ended, in OpenAI's words.
    pub finish: Option<String>,
    /// All tokens of the prompt, cached and cache-written ones included.
    pub prompt: Option<u64>,
    /// All tokens of the answer, reasoning included.
    pub completion: Option<u64>,
    /// Tokens of the prompt that came from the cache.
    pub cached: Option<u64>,
    /// It ends with an error: the wire must tell one.
    pub error: bool,
    /// The stream breaks off: it must not count as complete.
    pub broken: bool,
    /// Every event of the stream says that it is the last one, as older models do: no cut between them can be told.
    pub restless: bool,
}

/// How a compressed body begins.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The dialect of a recording's folder.
pub fn dialect(folder: &str) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|d| d.folder() == folder)
}

/// Every recording below `<dir>/<dialect>`, in the order of the file names.
pub fn check_dialect(dir: &Path, dialect: &dyn Dialect) -> Vec<Checked> {
    exchange::read_dir(&dir.join(dialect.folder()), dialect)
        .into_iter()
        .map(|read| match read {
            Ok(exchange) => Checked {
                category: exchange.category().to_owned(),
                outcome: check(dialect, &exchange),
                file: format!("{}/{}", dialect.folder(), exchange.name),
            },
            Err((file, why)) => Checked {
                file: format!("{}/{file}", dialect.folder()),
                category: "chat".to_owned(),
                outcome: Outcome::Failed(why),
            },
        })
        .collect()
}

/// Replays one exchange.
pub fn check(dialect: &dyn Dialect, exchange: &Exchange) -> Outcome {
    let dialect = spoken(dialect, exchange);
    if exchange.body.starts_with(GZIP) {
        return Outcome::Skipped(
            "a body that was kept compressed; the transport asks for none and reads none".to_owned(),
        );
    }
    if let Some(why) = dialect.foreign(exchange) {
        return Outcome::Skipped(why);
    }
    let checked = match exchange.category() {
        "error" => check_error(dialect, exchange),
        "chat-stream" => check_stream(dialect, exchange),
        _ => check_answer(dialect, exchange),
    };
    checked.map_or_else(Outcome::Failed, |()| Outcome::Decoded)
}

/// Who speaks OpenAI's chat also speaks OpenAI's Responses, which the body tells where no address was kept.
fn spoken<'a>(dialect: &'a dyn Dialect, exchange: &Exchange) -> &'a dyn Dialect {
    let responses = || {
        let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
        body["object"] == "response"
    };
    match dialect.wire() {
        "openai-chat" if exchange.url.is_empty() && responses() => &openai_responses::OpenAiResponses,
        "openai-chat" if exchange.path().ends_with("/responses") => &openai_responses::OpenAiResponses,
        _ => dialect,
    }
}

fn quirks(dialect: &dyn Dialect) -> Quirks {
    interfuse::Catalog::builtin().provider(dialect.folder()).map(|p| p.quirks.clone()).unwrap_or_default()
}

fn wire(dialect: &dyn Dialect) -> Result<&'static dyn interfuse::wire::Protocol, String> {
    protocol(dialect.wire()).ok_or_else(|| format!("there is no wire `{}`", dialect.wire()))
}

fn check_error(dialect: &dyn Dialect, exchange: &Exchange) -> Result<(), String> {
    let quirks = quirks(dialect);
    let target = WireTarget { provider: dialect.folder(), model: exchange.model(), quirks: &quirks };
    let reply = Reply { status: exchange.status, headers: &exchange.headers, body: &exchange.body };
    let error = wire(dialect)?.decode_error(&reply, &target);
    if matches!(error.kind(), ErrorKind::Decode | ErrorKind::Internal) {
        return Err(format!("kind {}: {error}", error.kind()));
    }
    if error.message().is_empty() || error.message().starts_with(['{', '[']) {
        return Err(format!("the vendor's text was not found: {}", error.message()));
    }
    let body = serde_json::from_slice(&exchange.body).unwrap_or_default();
    match dialect.kind(exchange.status, &body) {
        Some(kind) => same("kind", error.kind(), kind),
        None => Ok(()),
    }
}

fn check_answer(dialect: &dyn Dialect, exchange: &Exchange) -> Result<(), String> {
    let raw: Value = serde_json::from_slice(&exchange.body).map_err(|e| format!("the recording is not JSON: {e}"))?;
    let said = dialect.answer(&raw);
    let quirks = quirks(dialect);
    let target = WireTarget { provider: dialect.folder(), model: exchange.model(), quirks: &quirks };
    let reply = Reply { status: exchange.status, headers: &exchange.headers, body: &exchange.body };
    match wire(dialect)?.decode(&reply, &target) {
        Err(e) if said.error && e.kind() == ErrorKind::Decode => Err(format!("the error was not recognised: {e}")),
        Err(_) if said.error => Ok(()),
        Err(e) => Err(e.to_string()),
        Ok(_) if said.error => Err("an error was decoded as an answer".into()),
        Ok(answer) => says(dialect, &answer, &said),
    }
}

fn check_stream(dialect: &dyn Dialect, exchange: &Exchange) -> Result<(), String> {
    let said = dialect.stream(&exchange.body);
    let quirks = quirks(dialect);
    let target = WireTarget { provider: dialect.folder(), model: exchange.model(), quirks: &quirks };
    let wire = wire(dialect)?;
    let whole = stream(wire, [exchange.body.as_slice()], &target);
    match (whole.error, said.error) {
        // A framing with lengths notices by itself that its last frame is cut off.
        (Some(ErrorKind::Interrupted), false) if said.broken => {}
        (Some(kind), false) => return Err(format!("error {kind}")),
        (None, true) => return Err("an error in the stream was not seen".into()),
        _ => {}
    }
    if whole.complete == (said.error || said.broken) {
        return Err(format!("complete: {}, though the recording says otherwise", whole.complete));
    }
    if whole.complete {
        well_formed(dialect, &whole)?;
        let mut assembler = Assembler::default();
        whole.chunks.iter().for_each(|chunk| assembler.add(chunk));
        says(dialect, &assembler.finish(), &said)?;
    }
    check_cuts(wire, &exchange.body, &target)?;
    if said.restless { Ok(()) } else { truncated_is_no_success(wire, &exchange.body, &target) }
}

/// OpenAI's order: per choice the role once and first, the reason it ended once, then nothing but usage.
fn well_formed(dialect: &dyn Dialect, got: &Streamed) -> Result<(), String> {
    let mut open: Vec<(u32, bool)> = Vec::new();
    for chunk in &got.chunks {
        for choice in &chunk.choices {
            let place = open.iter().position(|(index, _)| *index == choice.index);
            match (place, &choice.delta.role) {
                (None, Some(_)) => open.push((choice.index, true)),
                // OpenAI's own chunks are handed on as they come, and some speakers leave the role out.
                (None, None) if dialect.wire() == "openai-chat" => open.push((choice.index, true)),
                (None, None) => return Err("a choice begins without its role".into()),
                (Some(_), Some(_)) => return Err("a second role chunk".into()),
                (Some(at), None) if !open[at].1 => return Err("a chunk after the choice ended".into()),
                (Some(_), None) => {}
            }
            if choice.finish_reason.is_some() {
                open.iter_mut().filter(|(index, _)| *index == choice.index).for_each(|(_, open)| *open = false);
            }
        }
    }
    match open.iter().any(|(_, open)| *open) || open.is_empty() {
        true => Err("a choice has no reason it ended".into()),
        false => Ok(()),
    }
}

/// The decoded answer, whole or put together from a stream, says what the recording says.
fn says(dialect: &dyn Dialect, answer: &ChatCompletion, said: &Said) -> Result<(), String> {
    let [choice] = answer.choices.as_slice() else {
        return Err(format!("{} choices", answer.choices.len()));
    };
    if dialect.has_id() && answer.id.is_empty() {
        return Err("the answer has no id".into());
    }
    let message = &choice.message;
    compare("text", message.content.clone().unwrap_or_default(), &said.text)?;
    compare("reasoning", message.reasoning_content.clone().unwrap_or_default(), &said.reasoning)?;
    compare("finish reason", choice.finish_reason.clone().unwrap_or_default(), &said.finish)?;
    check_calls(message, choice.finish_reason.as_deref(), said)?;
    check_usage(answer.usage.as_ref(), said)
}

fn check_calls(message: &AssistantMessage, finish: Option<&str>, said: &Said) -> Result<(), String> {
    let calls = message.tool_calls.as_deref().unwrap_or_default();
    let mut got = Vec::new();
    // Calls of custom tools have no function.
    for call in calls.iter().filter(|call| call.r#type == "function") {
        let function = call.function.as_ref().ok_or("a tool call without its function")?;
        if call.id.is_empty() || calls.iter().filter(|other| other.id == call.id).count() > 1 {
            return Err(format!("the id `{}` of a tool call is empty or given twice", call.id));
        }
        if finish == Some("tool_calls") && serde_json::from_str::<Value>(&function.arguments).is_err() {
            return Err(format!("arguments are no JSON: {}", function.arguments));
        }
        got.push((function.name.clone(), json_or_text(&function.arguments)));
    }
    let want = said.calls.as_ref().map(|c| c.iter().map(|(n, a)| (n.clone(), json_or_text(a))).collect());
    compare("tool calls", got, &want)
}

/// Arguments compared as JSON; cut-off ones as text.
fn json_or_text(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into())
}

fn check_usage(usage: Option<&Usage>, said: &Said) -> Result<(), String> {
    let Some(usage) = usage else {
        return match (said.prompt, said.completion) {
            (None, None) => Ok(()),
            _ => Err("usage was lost".into()),
        };
    };
    compare("prompt tokens", usage.prompt_tokens, &said.prompt)?;
    compare("completion tokens", usage.completion_tokens, &said.completion)?;
    let details = usage.prompt_tokens_details.clone().unwrap_or_default();
    // Mistral counts audio beside the prompt.
    if details.audio_tokens.unwrap_or(0) == 0 {
        same("total tokens", usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)?;
    }
    if let Some(cached) = said.cached {
        same("cached tokens", details.cached_tokens.unwrap_or(0), cached)?;
    }
    // Grok on Azure itself tells more cached than prompt tokens.
    let told_so = said.cached > said.prompt;
    if !told_so && details.cached_tokens.unwrap_or(0) + details.cache_write_tokens.unwrap_or(0) > usage.prompt_tokens {
        return Err(format!("more cached than prompt tokens: {usage:?}"));
    }
    if usage.reasoning_tokens().unwrap_or(0) > usage.completion_tokens {
        return Err(format!("more reasoning than completion tokens: {usage:?}"));
    }
    Ok(())
}

fn compare<T: PartialEq + std::fmt::Debug + Clone>(what: &str, got: T, want: &Option<T>) -> Result<(), String> {
    want.as_ref().map_or(Ok(()), |want| same(what, got, want.clone()))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: got {got:?}, the recording says {want:?}")) }
}

/// Payloads of a server-sent event stream that are JSON, read the simple way.
fn events(body: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(body)
        .lines()
        .filter_map(|l| serde_json::from_str(l.strip_prefix("data:")?.trim()).ok())
        .collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Headers of a recording.
fn headers(recorded: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in recorded.as_object().into_iter().flatten() {
        let value = value.as_str().and_then(|v| v.parse().ok());
        if let (Ok(name), Some(value)) = (name.parse::<interfuse::http::HeaderName>(), value) {
            headers.insert(name, value);
        }
    }
    headers
}
