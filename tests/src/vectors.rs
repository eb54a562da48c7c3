//! Vectors of Amazon's event stream: published ones of the framing (a file must decode, or must not), and streams made after
//! Bedrock's, with exceptions in them. Told by where a file stands and what it is called.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use interfuse::error::ErrorKind;
use interfuse::types::Quirks;
use interfuse::wire::{Framing, Protocol, WireTarget, protocol};
use serde_json::Value;

use crate::fixtures::{Checked, Outcome, children, name_of};
use crate::native::{self, Exchange};
use crate::replay::{frames, stream};

/// Words in the name of a file or a folder whose bytes must be refused.
const BAD: &[&str] = &["invalid", "negative", "corrupt", "bad-"];

/// Kinds of error by what the name of a made stream says.
const KINDS: &[(&str, &[ErrorKind])] = &[
    ("throttling", &[ErrorKind::RateLimited]),
    ("internal-server", &[ErrorKind::ServerError]),
    ("model-stream-error", &[ErrorKind::ServerError]),
    ("service-unavailable", &[ErrorKind::Overloaded]),
    // An input that is too long is a failed validation, too.
    ("validation", &[ErrorKind::InvalidRequest, ErrorKind::ContextLength]),
];

/// Every file of bytes below a folder.
pub fn check(dir: &Path, folder: &Path) -> Vec<Checked> {
    let below = |file: &PathBuf| file.strip_prefix(dir).unwrap_or(file).display().to_string();
    let files = bins(folder);
    files
        .iter()
        .map(|file| {
            let outcome = match fs::read(file) {
                Ok(body) => check_file(file, &below(file), &body),
                Err(e) => Err(format!("unreadable: {e}")),
            };
            Checked {
                file: below(file),
                category: "chat-stream".to_owned(),
                outcome: outcome.map_or_else(Outcome::Failed, |()| Outcome::Decoded),
            }
        })
        .collect()
}

fn bins(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for child in children(folder) {
        match child.is_dir() {
            true => all.extend(bins(&child)),
            false if child.extension().is_some_and(|end| end == "bin") => all.push(child),
            false => {}
        }
    }
    all
}

fn check_file(file: &Path, shown: &str, body: &[u8]) -> Result<(), String> {
    let bad = BAD.iter().any(|word| shown.contains(word));
    let whole = frames(Framing::AwsEventStream, &[body]);
    for cut in 0..=body.len() {
        if frames(Framing::AwsEventStream, &[&body[..cut], &body[cut..]]) != whole {
            return Err(format!("cut at byte {cut} it gives other frames"));
        }
    }
    let refused = whole.iter().any(|(event, ..)| event == &ErrorKind::Decode.to_string());
    match (bad, refused) {
        (true, false) => return Err("it must be refused, and is not".to_owned()),
        (false, true) => return Err("it must be read, and is refused".to_owned()),
        (true, true) => return Ok(()),
        (false, false) => {}
    }
    match shown.contains("generated") {
        true => check_stream(&name_of(file), body),
        false => same_payload(file, &whole),
    }
}

/// What is published of the decoded message says the same, where it lies beside the bytes.
fn same_payload(file: &Path, whole: &[(String, Vec<u8>, bool)]) -> Result<(), String> {
    let [(_, payload, _)] = whole else { return Err(format!("{} frames, not one", whole.len())) };
    let told = file.display().to_string().replace("/encoded/", "/decoded/").replace(".bin", ".json");
    let Ok(text) = fs::read_to_string(&told) else { return Ok(()) };
    let told: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let wanted = base64::engine::general_purpose::STANDARD.decode(told["payload"].as_str().unwrap_or_default());
    match wanted.is_ok_and(|wanted| wanted == *payload) {
        true => Ok(()),
        false => Err("the payload is another".to_owned()),
    }
}

/// A stream made after Bedrock's.
fn check_stream(name: &str, body: &[u8]) -> Result<(), String> {
    let exchange = Exchange::stream(name, body.to_vec());
    match native::check(&native::bedrock::Converse, &exchange) {
        Outcome::Failed(why) => return Err(why),
        Outcome::Skipped(why) => return Err(format!("skipped: {why}")),
        Outcome::Decoded => {}
    }
    let Some((_, kinds)) = KINDS.iter().find(|(word, _)| name.contains(word)) else { return Ok(()) };
    let wire: &dyn Protocol = protocol("bedrock-converse").ok_or("no such wire")?;
    let quirks = Quirks::default();
    let target = WireTarget { provider: "bedrock", model: "m", quirks: &quirks };
    match stream(wire, [body], &target).error {
        Some(got) if kinds.contains(&got) => Ok(()),
        got => Err(format!("it must end with one of {kinds:?}, and ends with {got:?}")),
    }
}
