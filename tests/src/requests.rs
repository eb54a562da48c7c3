//! Holds requests to recordings: a recorded body is read as a request in OpenAI's words, written again for its provider,
//! and must come out as it was, but for what stands in [`normal`]. One file per wire reads its recorded bodies; whatever has
//! no counterpart in Chat Completions goes through untouched, as a caller would send it, or is told as not sayable.

mod address;
mod anthropic;
mod bedrock;
mod cohere;
mod difference;
mod google;
pub mod normal;
mod ollama;
mod openai_chat;
mod openai_responses;

use std::fs;
use std::path::Path;

use interfuse::Catalog;
use interfuse::types::{ChatRequest, Quirks};
use interfuse::wire::{WireTarget, protocol};
use serde_json::{Map, Value};

use address::Addressed;

use crate::fixtures::{children, name_of};
use crate::native::Exchange;

/// What became of the recorded requests.
#[derive(Debug, Default)]
pub struct Compared {
    /// Written as they were recorded.
    pub equal: usize,
    /// Of these, without fields that the provider does not take and whose loss the caller is told.
    pub told: usize,
    /// Not to be said in Chat Completions, and why: file and reason.
    pub unsaid: Vec<String>,
    /// Not sent, and why: file and error.
    pub refused: Vec<String>,
    /// Written otherwise: file and fields.
    pub different: Vec<String>,
    /// Sent to the recorded address with the recorded kinds of headers.
    pub addressed: usize,
    /// Sent by another way in, and why: file and reason.
    pub otherwise: Vec<String>,
}

/// Reads the recorded requests of one wire.
pub trait Reader: Sync {
    /// Name of the wire.
    fn wire(&self) -> &'static str;

    /// Ends of paths at which it is spoken.
    fn paths(&self) -> &'static [&'static str];

    /// The request to this provider in OpenAI's words.
    ///
    /// # Errors
    /// What of it Chat Completions cannot say.
    fn read(&self, exchange: &Exchange, provider: &str) -> Result<Value, String>;

    /// A body, recorded or written, without the differences that are meant.
    fn normal(&self, body: &Value, quirks: &Quirks) -> Map<String, Value>;

    /// Takes out of a body what was left out under this name, which the caller is told.
    fn forget(&self, body: &mut Map<String, Value>, name: &str) {
        body.remove(name);
    }
}

/// Every reader.
const READERS: &[&dyn Reader] = &[
    &openai_chat::OpenAiChat,
    &anthropic::Anthropic,
    &google::Google,
    &bedrock::Converse,
    &cohere::Cohere,
    &ollama::Ollama,
    &openai_responses::OpenAiResponses,
];

/// Ends of paths of chat requests that no wire writes, and why.
const OTHERS: &[(&str, &str)] = &[("/invoke", INVOKE), ("/invoke-with-response-stream", INVOKE)];
const INVOKE: &str = "interfuse asks Bedrock by Converse, not by InvokeModel";

/// Folders whose provider goes by another name in the catalogue.
const NAMES: &[(&str, &str)] = &[
    ("ollama-openai", "ollama"),
    ("bedrock-converse", "bedrock"),
    ("openai-responses", "openai"),
    ("openai-chat", "openai"),
];

/// The chat requests below a folder laid out like the collection, by name of the folder that they are in.
pub fn compare_collection(dir: &Path) -> Vec<(String, Compared)> {
    let mut all: Vec<(String, Compared)> = Vec::new();
    for (folder, file, exchange) in recordings(dir) {
        let path = exchange.path();
        let reader = READERS.iter().find(|reader| reader.paths().iter().any(|end| path.ends_with(end)));
        let other = OTHERS.iter().find(|(end, _)| path.ends_with(end));
        if !exchange.request.is_object() || (reader.is_none() && other.is_none()) {
            continue;
        }
        let place = all.iter().position(|(name, _)| *name == folder).unwrap_or_else(|| {
            all.push((folder.clone(), Compared::default()));
            all.len() - 1
        });
        let to = &mut all[place].1;
        match (reader, other) {
            (Some(reader), _) => compare_one(*reader, &folder, &file, &exchange, to),
            (None, other) => to.unsaid.extend(other.map(|(_, why)| format!("{file}: {why}"))),
        }
    }
    all
}

/// Every recording of a collection, or of the inside of one of its parts: folder, file below it, exchange.
fn recordings(dir: &Path) -> Vec<(String, String, Exchange)> {
    let parts = children(dir).into_iter().filter(|c| matches!(name_of(c).as_str(), "native" | "openai-compatible"));
    let mut all: Vec<_> = parts.flat_map(|part| recordings(&part)).collect();
    if !all.is_empty() {
        return all;
    }
    for folder in children(dir).into_iter().filter(|c| c.is_dir()) {
        let below = children(&folder).into_iter().flat_map(|c| if c.is_dir() { children(&c) } else { vec![c] });
        for file in below {
            let shown = file.strip_prefix(dir).unwrap_or(&file).display().to_string();
            all.extend(recording(&file).map(|exchange| (name_of(&folder), shown, exchange)));
        }
    }
    all
}

/// The exchange of a file in either layout.
fn recording(file: &Path) -> Option<Exchange> {
    let name = name_of(file);
    if name.ends_with(".http.json") {
        return Exchange::http(file).ok();
    }
    let recorded: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    Exchange::own(&name, &recorded, recorded["request"]["body"]["stream"] == true).ok()
}

fn compare_one(reader: &dyn Reader, folder: &str, file: &str, exchange: &Exchange, to: &mut Compared) {
    let provider = NAMES.iter().find(|(from, _)| *from == folder).map_or(folder, |(_, name)| name);
    let quirks = quirks(provider, reader.wire());
    let request = match reader.read(exchange, provider) {
        Ok(request) => request,
        Err(why) => return to.unsaid.push(format!("{file}: {why}")),
    };
    let model = request["model"].as_str().unwrap_or_default();
    match address::compare(exchange, provider, reader.wire(), model, request["stream"] == true) {
        None => {}
        Some(Addressed::Equal) => to.addressed += 1,
        Some(Addressed::Otherwise(why)) => to.otherwise.push(format!("{file}: {why}")),
        Some(Addressed::Different(what)) => to.different.push(format!("{file}: {}", what.join("; "))),
    }
    match compare(reader, &exchange.request, request, provider, &quirks) {
        Ok((fields, dropped)) if fields.is_empty() => {
            to.equal += 1;
            to.told += usize::from(dropped);
        }
        Ok((fields, _)) => to.different.push(format!("{file}: {}", fields.join("; "))),
        Err(why) => to.refused.push(format!("{file}: {why}")),
    }
}

/// How the provider deviates where it speaks this wire.
fn quirks(provider: &str, wire: &str) -> Quirks {
    let catalog = Catalog::builtin();
    let Ok(row) = catalog.provider(provider) else { return Quirks::default() };
    match row.api.iter().find(|api| api.wire == wire) {
        Some(api) if row.wire != wire => api.quirks.clone(),
        _ => row.quirks.clone(),
    }
}

/// What comes out otherwise and whether something was left out, or why the request is not sent.
fn compare(
    reader: &dyn Reader,
    recorded: &Value,
    request: Value,
    provider: &str,
    quirks: &Quirks,
) -> Result<(Vec<String>, bool), String> {
    let stream = request["stream"] == true;
    let request: ChatRequest = serde_json::from_value(request).map_err(|e| e.to_string())?;
    let wire = protocol(reader.wire()).ok_or("no such wire")?;
    let target = WireTarget { provider, model: &request.model, quirks };
    let encoded = wire.encode(&request, &target, stream).map_err(|e| e.to_string())?;
    let written: Value = serde_json::from_slice(&encoded.body).map_err(|e| e.to_string())?;
    let (mut wanted, mut seen) = (reader.normal(recorded, quirks), reader.normal(&written, quirks));
    for name in &encoded.dropped {
        // Told to the caller in `interfuse.dropped`.
        reader.forget(&mut wanted, name);
        reader.forget(&mut seen, name);
    }
    Ok((difference::between(&wanted, &seen), !encoded.dropped.is_empty()))
}

/// Prints the counts and what was not compared; returns what came out otherwise.
#[allow(clippy::print_stdout)]
pub fn report(name: &str, compared: &Compared) -> Vec<String> {
    println!(
        "{name}: requests: {} equal ({} of them without a field, and said so), {} not sayable in Chat Completions, {} \
         refused, {} different",
        compared.equal,
        compared.told,
        compared.unsaid.len(),
        compared.refused.len(),
        compared.different.len(),
    );
    println!("{name}: addresses: {} equal, {} by another way in", compared.addressed, compared.otherwise.len());
    compared.otherwise.iter().for_each(|why| println!("  by another way in {why}"));
    compared.unsaid.iter().for_each(|why| println!("  not sayable {why}"));
    compared.refused.iter().for_each(|why| println!("  refused {why}"));
    compared.different.clone()
}

/// Takes a field out of an object.
fn take(from: &mut Map<String, Value>, name: &str) -> Option<Value> {
    from.remove(name).filter(|value| !value.is_null())
}

/// The object of a body.
fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// The elements of a list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Moves fields under their OpenAI names.
fn rename(from: &mut Map<String, Value>, to: &mut Map<String, Value>, names: &[(&str, &str)]) {
    for (theirs, ours) in names {
        if let Some(value) = take(from, theirs) {
            to.insert((*ours).to_owned(), value);
        }
    }
}

/// The type of the one field that an object has, as in `{"text": ...}`.
fn kind(block: &Value) -> &str {
    block.as_object().and_then(|b| b.keys().next()).map_or("", String::as_str)
}
