//! Takes credentials out of what is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use regex_lite::Regex;
use url::form_urlencoded::{Serializer, parse};

const SCRUBBED: &str = "[scrubbed]";
const WORDS: &[&str] = &["auth", "key", "token", "secret", "cookie", "credential", "password", "signature"];
/// Characters of the shortest credential that is looked for in texts; shorter ones would be found in words.
const SHORTEST: usize = 8;

/// All that is kept of an answer's headers: what a client reads, nothing that names an account.
const KEPT: &[&str] = &[
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-inference-provider",
    "openai-processing-ms",
    "x-amzn-errortype",
];

/// Whether a header or parameter of this name may carry a credential.
fn secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

/// Whether a header of an answer is written into a file.
pub(super) fn kept(name: &str) -> bool {
    KEPT.contains(&name)
        || name.starts_with("x-ratelimit-")
        || name.starts_with("anthropic-ratelimit-")
        || ["request-id", "requestid"].iter().any(|id| {
            ["", "x-", "openai-", "anthropic-", "apim-", "x-goog-", "x-amzn-"]
                .iter()
                .any(|vendor| name.strip_prefix(vendor) == Some(id))
        })
}

/// A path whose query tells no credential.
pub(super) fn path(given: &str) -> String {
    let Some((before, query)) = given.split_once('?') else { return given.to_owned() };
    if !parse(query.as_bytes()).any(|(name, _)| secret(&name)) {
        return given.to_owned();
    }
    let mut pairs = Serializer::new(String::new());
    for (name, value) in parse(query.as_bytes()) {
        pairs.append_pair(&name, if secret(&name) { "scrubbed" } else { &value });
    }
    format!("{before}?{}", pairs.finish())
}

/// The credentials of a request, in every spelling in which an answer may repeat them; longest first.
pub(super) struct Secrets(Vec<Regex>);

impl Secrets {
    pub fn of(headers: &HeaderMap, path: &str) -> Self {
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let mut values: Vec<String> =
            parse(query.as_bytes()).filter(|(name, _)| secret(name)).map(|(_, value)| value.into_owned()).collect();
        for (_, value) in headers.iter().filter(|(name, value)| secret(name.as_str()) || value.is_sensitive()) {
            let Ok(value) = value.to_str() else { continue };
            let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
            values.extend([value.to_owned(), rest.to_owned()]);
            let parts = if rest.is_empty() { value } else { rest };
            let parts = parts.split([',', ';', ' ']).filter_map(|part| part.split_once('='));
            values.extend(parts.map(|(_, value)| value.to_owned()));
            if scheme.eq_ignore_ascii_case("basic")
                && let Some(pair) = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok())
            {
                values.extend(pair.split_once(':').map(|(_, password)| password.to_owned()));
                values.push(pair);
            }
        }
        values.retain(|value| value.chars().count() >= SHORTEST);
        let encoded: Vec<String> =
            values.iter().map(|value| STANDARD.encode(value).trim_end_matches('=').to_owned()).collect();
        values.extend(encoded);
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Secrets(values.iter().filter_map(|value| Regex::new(&spelt(value)).ok()).collect())
    }

    /// The same text without them.
    pub fn out_of(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| secret.replace_all(&text, SCRUBBED).into_owned())
    }

    /// The same pieces without them; those over which one was spread become one. Latin-1 stands for bytes.
    pub fn out_of_pieces(&self, pieces: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let texts: Vec<String> = pieces.iter().map(|piece| piece.iter().copied().map(char::from).collect()).collect();
        let joined = texts.concat();
        let found: Vec<_> = self.0.iter().flat_map(|secret| secret.find_iter(&joined).map(|at| at.range())).collect();
        if found.is_empty() {
            return pieces;
        }
        let (mut merged, mut open, mut at) = (Vec::new(), String::new(), 0);
        for text in &texts {
            at += text.len();
            open += text;
            // Where pieces may not be divided: within a credential.
            if !found.iter().any(|range| range.start < at && at < range.end) {
                merged.push(std::mem::take(&mut open));
            }
        }
        merged.push(open);
        let bytes = |text: String| self.out_of(&text).chars().map(|c| c as u8).collect();
        merged.into_iter().filter(|text| !text.is_empty()).map(bytes).collect()
    }
}

/// A pattern of a text, each sign of which may be escaped as in JSON or in an address.
fn spelt(text: &str) -> String {
    text.chars()
        .map(|c| {
            let (sign, code) = (regex_lite::escape(&c.to_string()), c as u32);
            format!(r"\\?(?:{sign}|(?i:u00{code:02x}|%{code:02x}))")
        })
        .collect()
}
