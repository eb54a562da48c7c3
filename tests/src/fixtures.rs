//! Replays recorded exchanges through the wires: one file per exchange, `<provider>/<category>/*.json` with
//! `{request: {path}, response: {status, body}}`. Knows what the bodies say by reading them a second, simpler way.

use std::fs;
use std::path::{Path, PathBuf};

use interfuse::Catalog;
use interfuse::error::ErrorKind;
use interfuse::http::HeaderMap;
use interfuse::types::Quirks;
use interfuse::wire::{Assembler, Protocol, Reply, WireTarget, protocol};
use serde_json::Value;

use crate::native::{self, Exchange};
use crate::replay::{Streamed, check_cuts, stream, truncated_is_no_success};
use crate::vectors;

/// What became of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It decodes, and says what it should.
    Decoded,
    /// It belongs to another wire or is no chat call.
    Skipped(String),
    /// What is wrong.
    Failed(String),
}

/// One exchange and what became of it.
#[derive(Debug)]
pub struct Checked {
    /// Path below the folder.
    pub file: String,
    /// `chat`, `chat-stream`, `error`.
    pub category: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Folders of a provider, and what is in each.
const FOLDERS: &[(&str, &str)] = &[
    ("chat", "chat"),
    ("chat-stream", "chat-stream"),
    ("responses", "chat"),
    ("responses-stream", "chat-stream"),
    ("error", "error"),
];

/// Everything below a folder laid out like the collection: `native/<dialect>/` and `openai-compatible/<provider>/`, or the
/// inside of one of the two. By name of what was read.
pub fn check_collection(dir: &Path) -> Vec<(String, Vec<Checked>)> {
    let mut all = Vec::new();
    for part in children(dir).into_iter().filter(|c| matches!(name_of(c).as_str(), "native" | "openai-compatible")) {
        all.extend(check_collection(&part));
    }
    if !all.is_empty() {
        return all;
    }
    for folder in children(dir).into_iter().filter(|c| c.is_dir()) {
        let name = name_of(&folder);
        let native = || children(&folder).iter().any(|f| f.is_file());
        let checked = match native::dialect(&name) {
            _ if name == "_vercel-ai" => check_verbatim(&folder),
            _ if name == "aws-eventstream" => vectors::check(dir, &folder),
            Some(dialect) if native() => native::check_dialect(dir, dialect),
            None if native() => without_wire(dir, &folder),
            _ => check_provider(dir, &folder),
        };
        all.push((name, checked));
    }
    all
}

/// Files of a dialect that has no wire, each with the reason.
fn without_wire(dir: &Path, folder: &Path) -> Vec<Checked> {
    let why = match name_of(folder).as_str() {
        "oauth" => "a token, fetched by credentials and no wire",
        "aws-sigv4" => "vectors of signing, which the core's own tests run",
        "replicate" => "predictions of Replicate are no chat wire",
        _ => "no wire speaks this dialect",
    };
    let recorded = |file: &Path| !name_of(file).contains(".body.") && file.is_file();
    children(folder)
        .into_iter()
        .filter(|file| recorded(file))
        .map(|file| Checked {
            file: file.strip_prefix(dir).unwrap_or(&file).display().to_string(),
            category: "chat".to_owned(),
            outcome: Outcome::Skipped(why.to_owned()),
        })
        .collect()
}

/// Every exchange below `<dir>/<provider>/{chat,chat-stream,error}`, in the order of the file names.
pub fn check_dir(dir: &Path) -> Vec<Checked> {
    children(dir).iter().flat_map(|provider| check_provider(dir, provider)).collect()
}

fn check_provider(dir: &Path, provider: &Path) -> Vec<Checked> {
    let name = name_of(provider);
    let quirks = Catalog::builtin().provider(&name).map(|p| p.quirks.clone()).unwrap_or_default();
    let mut checked = Vec::new();
    for (folder, category) in FOLDERS {
        for file in children(&provider.join(folder)).iter().filter(|f| f.extension().is_some_and(|e| e == "json")) {
            let outcome = check_file(file, category, &name, &quirks);
            let file = file.strip_prefix(dir).unwrap_or(file).display().to_string();
            checked.push(Checked { file, category: (*category).to_owned(), outcome });
        }
    }
    checked
}

/// Whole files of one JSON body (`*.json`) or one event per line (`*.chunks.txt`), below `<dir>/<provider>`; those without
/// `choices` belong to another wire.
pub fn check_verbatim(dir: &Path) -> Vec<Checked> {
    let catalog = Catalog::builtin();
    let mut checked = Vec::new();
    for provider in children(dir) {
        let name = name_of(&provider);
        let quirks = catalog.provider(&name).map(|p| p.quirks.clone()).unwrap_or_default();
        let target = WireTarget { provider: &name, model: "m", quirks: &quirks };
        for file in children(&provider) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let events = name_of(&file).ends_with(".chunks.txt");
            let outcome = match protocol("openai-chat") {
                _ if !text.contains("\"choices\"") => Outcome::Skipped("no chat completion".to_owned()),
                None => Outcome::Failed("no such wire".to_owned()),
                Some(wire) => {
                    let result = if events {
                        streams_of(&text).iter().try_for_each(|body| check_stream(wire, body.as_bytes(), &target))
                    } else {
                        check_answer(wire, text.as_bytes(), &target)
                    };
                    result.map_or_else(Outcome::Failed, |()| Outcome::Decoded)
                }
            };
            let category = if events { "chat-stream" } else { "chat" }.to_owned();
            let file = file.strip_prefix(dir).unwrap_or(&file).display().to_string();
            checked.push(Checked { file, category, outcome });
        }
    }
    checked
}

/// The streams of a file with one event per line; a new id begins a new one.
fn streams_of(text: &str) -> Vec<String> {
    let mut streams: Vec<String> = Vec::new();
    let mut current = None;
    for line in text.lines() {
        let id = serde_json::from_str::<Value>(line).ok().and_then(|e| e["id"].as_str().map(str::to_owned));
        let id = id.filter(|id| !id.is_empty()).or_else(|| current.clone());
        if streams.is_empty() || (current.is_some() && id != current) {
            streams.push(String::new());
        }
        current = id;
        if let Some(stream) = streams.last_mut() {
            stream.push_str(&format!("data: {line}\n\n"));
        }
    }
    streams
}

/// Prints counts and what was skipped; returns what failed.
#[allow(clippy::print_stdout)]
pub fn report(name: &str, checked: &[Checked]) -> Vec<String> {
    let count = |category: &str, pick: fn(&Outcome) -> bool| {
        checked.iter().filter(|c| c.category == category && pick(&c.outcome)).count()
    };
    for category in ["chat", "chat-stream", "error"] {
        println!(
            "{name}: {category}: {} decoded, {} skipped, {} failed",
            count(category, |o| *o == Outcome::Decoded),
            count(category, |o| matches!(o, Outcome::Skipped(_))),
            count(category, |o| matches!(o, Outcome::Failed(_))),
        );
    }
    for c in checked {
        if let Outcome::Skipped(why) = &c.outcome {
            println!("  skipped {}: {why}", c.file);
        }
    }
    checked
        .iter()
        .filter_map(|c| match &c.outcome {
            Outcome::Failed(why) => Some(format!("{}: {why}", c.file)),
            _ => None,
        })
        .collect()
}

pub(crate) fn children(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn check_file(file: &Path, category: &str, provider: &str, quirks: &Quirks) -> Outcome {
    let exchange: Value = match fs::read_to_string(file)
        .map_err(|e| e.to_string())
        .and_then(|t| serde_json::from_str(&t).map_err(|e| e.to_string()))
    {
        Ok(exchange) => exchange,
        Err(e) => return Outcome::Failed(format!("unreadable: {e}")),
    };
    let path = exchange["request"]["path"].as_str().unwrap_or_default();
    let own = native::dialect(provider).filter(|dialect| dialect.wire() != "openai-chat");
    if let Some(dialect) = own.or_else(|| spoken_at(path)) {
        match Exchange::own(&name_of(file), &exchange, category.ends_with("-stream")) {
            // A vendor may speak OpenAI's wire beside its own.
            Ok(own) if dialect.foreign(&own).is_some() && other_wire(path).is_none() => {}
            Ok(own) => return native::check(dialect, &own),
            Err(why) => return Outcome::Failed(why),
        }
    }
    if let Some(why) = other_wire(path) {
        return Outcome::Skipped(why.to_owned());
    }
    let Some(wire) = protocol("openai-chat") else { return Outcome::Failed("no such wire".into()) };
    let target = WireTarget { provider, model: "m", quirks };
    let body = exchange["response"]["body"].as_str().unwrap_or_default().as_bytes();
    let status = exchange["response"]["status"].as_u64().unwrap_or(200) as u16;
    let checked = match category {
        "error" => check_error(wire, status, body, &target),
        "chat-stream" => check_stream(wire, body, &target),
        _ => check_answer(wire, body, &target),
    };
    checked.map_or_else(Outcome::Failed, |()| Outcome::Decoded)
}

/// Ends of paths at which many vendors speak a dialect of one.
const SPOKEN_AT: &[(&str, &str)] = &[("/responses", "openai-responses")];

fn spoken_at(path: &str) -> Option<&'static dyn native::Dialect> {
    let path = path.split('?').next().unwrap_or(path);
    SPOKEN_AT.iter().find(|(end, _)| path.ends_with(end)).and_then(|(_, folder)| native::dialect(folder))
}

/// Why a path is none of the chat completions wire.
fn other_wire(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or(path);
    match path {
        p if p.ends_with("/v2/chat") => Some("Cohere's own wire"),
        p if p.ends_with("/api/chat") => Some("Ollama's own wire"),
        p if p.ends_with("/responses") => Some("OpenAI's Responses wire"),
        p if p.ends_with("/chat/completions") || p.is_empty() => None,
        _ => Some("no chat completion"),
    }
}

fn check_error(wire: &dyn Protocol, status: u16, body: &[u8], target: &WireTarget<'_>) -> Result<(), String> {
    let error = wire.decode_error(&Reply { status, headers: &HeaderMap::new(), body }, target);
    if matches!(error.kind(), ErrorKind::Decode | ErrorKind::Internal) {
        return Err(format!("kind {}: {error}", error.kind()));
    }
    if error.message().is_empty() || error.message().starts_with('{') {
        return Err(format!("the vendor's text was not found: {}", error.message()));
    }
    Ok(())
}

fn check_answer(wire: &dyn Protocol, body: &[u8], target: &WireTarget<'_>) -> Result<(), String> {
    let raw: Value = serde_json::from_slice(body).map_err(|e| format!("the recording is not JSON: {e}"))?;
    let decoded = wire.decode(&Reply { status: 200, headers: &HeaderMap::new(), body }, target);
    if !raw["error"].is_null() {
        return match decoded {
            Ok(_) => Err("an error was decoded as an answer".into()),
            Err(e) if e.kind() == ErrorKind::Decode => Err(format!("the error was not recognised: {e}")),
            Err(_) => Ok(()),
        };
    }
    let answer = decoded.map_err(|e| e.to_string())?;
    let choices = raw["choices"].as_array().cloned().unwrap_or_default();
    same("number of choices", answer.choices.len(), choices.len())?;
    for (got, want) in answer.choices.iter().zip(&choices) {
        let message = if want["message"].is_null() { &want["delta"] } else { &want["message"] };
        if let (Value::String(text), None) = (&message["content"], &target.quirks.reasoning_tag) {
            same("text", got.message.content.as_deref(), Some(text.as_str()))?;
        }
        for name in ["reasoning_content", "reasoning"] {
            if let Some(text) = message[name].as_str().filter(|t| !t.is_empty()) {
                same("reasoning", got.message.reasoning_content.as_deref(), Some(text))?;
            }
        }
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let got_calls = got.message.tool_calls.as_deref().unwrap_or_default();
        same("number of tool calls", got_calls.len(), calls.len())?;
        for (got, want) in got_calls.iter().zip(&calls) {
            let function = got.function.as_ref().ok_or("a tool call without its function")?;
            same("tool name", Some(function.name.as_str()), want["function"]["name"].as_str())?;
            if let Some(arguments) = want["function"]["arguments"].as_str() {
                same("arguments", function.arguments.as_str(), arguments)?;
            }
        }
    }
    check_usage(answer.usage.as_ref().map(|u| (u.prompt_tokens, u.total_tokens)), &raw["usage"])
}

fn check_usage(got: Option<(u64, u64)>, raw: &Value) -> Result<(), String> {
    if let Some(prompt) = raw["prompt_tokens"].as_u64() {
        same("prompt tokens", got.map(|g| g.0), Some(prompt))?;
    }
    if let Some(total) = raw["total_tokens"].as_u64() {
        same("total tokens", got.map(|g| g.1), Some(total))?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: got {got:?}, the recording says {want:?}")) }
}

fn check_stream(wire: &dyn Protocol, body: &[u8], target: &WireTarget<'_>) -> Result<(), String> {
    let whole = stream(wire, [body], target);
    says_what_it_should(body, &whole, target)?;

    check_cuts(wire, body, target)?;
    truncated_is_no_success(wire, body, target)
}

/// Text, tool arguments and usage of the stream, read the simple way.
fn says_what_it_should(body: &[u8], got: &Streamed, target: &WireTarget<'_>) -> Result<(), String> {
    let events: Vec<Value> = String::from_utf8_lossy(body)
        .lines()
        .filter_map(|l| serde_json::from_str(l.strip_prefix("data:")?.trim()).ok())
        .collect();
    let has_error = events.iter().any(|e| !e["error"].is_null());
    if has_error {
        return if got.error.is_some() { Ok(()) } else { Err("an error event was not seen".into()) };
    }
    let (mut text, mut arguments, mut usage) = (String::new(), String::new(), &Value::Null);
    for event in &events {
        for choice in event["choices"].as_array().into_iter().flatten() {
            text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
            }
        }
        if event["usage"].is_object() {
            usage = &event["usage"];
        }
    }
    if let Some(kind) = got.error {
        // A recording may itself end in the middle of an event.
        return if body.ends_with(b"\n") { Err(format!("error {kind}")) } else { Ok(()) };
    }
    let mut assembler = Assembler::default();
    let (mut got_text, mut got_arguments) = (String::new(), String::new());
    for chunk in &got.chunks {
        assembler.add(chunk);
        for choice in &chunk.choices {
            let blocks = target.quirks.content_blocks;
            if !blocks {
                got_text.push_str(choice.delta.content.as_deref().unwrap_or_default());
            }
            for call in choice.delta.tool_calls.iter().flatten() {
                got_arguments.push_str(call.function.as_ref().and_then(|f| f.arguments.as_deref()).unwrap_or_default());
            }
        }
    }
    if !target.quirks.content_blocks {
        same("text", got_text.as_str(), text.as_str())?;
    }
    same("arguments", got_arguments.as_str(), arguments.as_str())?;
    let answer = assembler.finish();
    check_usage(answer.usage.as_ref().map(|u| (u.prompt_tokens, u.total_tokens)), usage)?;
    if !got.complete {
        return Err("the terminal signal was not seen".into());
    }
    Ok(())
}
