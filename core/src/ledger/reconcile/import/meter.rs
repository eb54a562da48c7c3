//! Meters of price lists in their vendors' words (`USE1-NovaLite-input-tokens`, `gpt 4o 1120 cached Inp glbl Tokens`): what
//! is counted, in which unit, and what is left of the words to name the model.

use crate::types::Class;

/// Words that say how it is served, never which model.
const NOISE: &[&str] = &[
    "inp",
    "input",
    "inpt",
    "in",
    "outp",
    "output",
    "outpt",
    "opt",
    "out",
    "cached",
    "cache",
    "cchd",
    "cd",
    "read",
    "write",
    "writes",
    "wr",
    "creation",
    "tokens",
    "token",
    "count",
    "units",
    "unit",
    "glbl",
    "global",
    "gl",
    "regnl",
    "regional",
    "rgnl",
    "dz",
    "dzone",
    "datazone",
    "zone",
    "batch",
    "flex",
    "priority",
    "standard",
    "std",
    "pp",
    "mantle",
    "cross",
    "region",
    "ondemand",
    "text",
    "prompt",
    "completion",
    "response",
    "audio",
    "aud",
    "image",
    "img",
    "1m",
    "1k",
    "shortco",
    "longco",
    "amazon",
    "edition",
    "bedrock",
    "azure",
    "openai",
    "model",
    "tier",
    "usage",
    "per",
    "million",
    "thousand",
    "5m",
    "1h",
];

/// The pieces of a text between anything but letters, digits and dots, without those that only say how it is served.
pub(in crate::ledger::reconcile) fn plain_words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '.')
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty() && !NOISE.contains(&word.to_lowercase().as_str()))
        .collect()
}

/// Words of a name apart, letters (`claude`, `sonnet`) from numbers (`4`, `6`): `Claude4.6Sonnet`, `gpt-4o-2024-11-20`.
/// Dates are no part of a name; `2.0` is `2`.
pub(in crate::ledger::reconcile) fn letters_and_numbers<'a>(
    words: impl IntoIterator<Item = &'a str>,
) -> (Vec<String>, Vec<u64>) {
    let (mut letters, mut numbers) = (Vec::new(), Vec::new());
    for word in words {
        for part in word.split(|c: char| !c.is_alphanumeric() && c != '.') {
            let mut rest = part;
            while let Some(first) = rest.chars().next() {
                let numeric = first.is_ascii_digit();
                let end = run(rest, numeric);
                let (piece, after) = rest.split_at(end);
                rest = after;
                match numeric {
                    true => number(piece, &mut numbers),
                    false => letters
                        .extend(Some(piece.to_lowercase()).filter(|piece| piece.chars().any(char::is_alphabetic))),
                }
            }
        }
    }
    numbers.sort_unstable();
    (letters, numbers)
}

/// Length of the run at the beginning: digits with dots between them, or letters up to where a new word begins.
fn run(text: &str, numeric: bool) -> usize {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let goes_on = match numeric {
            true => c.is_ascii_digit() || (c == '.' && text[at + 1..].starts_with(|n: char| n.is_ascii_digit())),
            false if c.is_ascii_digit() => false,
            false => !before.is_lowercase() || !c.is_uppercase(),
        };
        if at > 0 && !goes_on {
            return at;
        }
        before = c;
    }
    text.len()
}

fn number(piece: &str, numbers: &mut Vec<u64>) {
    let parts: Vec<&str> = piece.split('.').collect();
    for (at, part) in parts.iter().enumerate() {
        let Ok(value) = part.parse::<u64>() else { continue };
        let minor = at > 0 && value == 0;
        if !minor && !is_date(part) {
            numbers.push(value);
        }
    }
}

/// `20241120`, `241120`, `1120`, and years.
fn is_date(digits: &str) -> bool {
    match digits.len() {
        8 | 6 => true,
        4 => {
            let month: u32 = digits[..2].parse().unwrap_or(0);
            let day: u32 = digits[2..].parse().unwrap_or(0);
            ((1..=12).contains(&month) && (1..=31).contains(&day)) || (2020..2100).contains(&(month * 100 + day))
        }
        _ => false,
    }
}

/// What a meter counts. `None`: not tokens, as far as its words say.
pub(super) fn class(meter: &str) -> Option<Class> {
    let text = meter.to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let says = |any: &[&str]| words.iter().any(|word| any.contains(word));
    let write = says(&["write", "writes", "wr", "creation"]) || text.contains("cachewrite");
    let cached = says(&["cached", "cache", "cchd", "cd"]) || text.contains("cacheread") || text.contains("cachewrite");
    let output =
        says(&["output", "outp", "outpt", "opt", "out", "completion", "response"]) || text.contains("outputtoken");
    let input = says(&["input", "inp", "inpt", "in", "prompt"]) || text.contains("inputtoken");
    let audio = says(&["audio", "aud"]);
    let image = says(&["image", "img"]);
    if text.contains("web search") || text.contains("websearch") || text.contains("grounding") {
        return Some(Class::WebSearch);
    }
    if says(&["reasoning"]) {
        return Some(Class::Reasoning);
    }
    if words == ["requests"] {
        return Some(Class::Request);
    }
    Some(match (cached, write, output, input) {
        (true, true, _, _) if text.contains("1h") || text.contains("1 hour") => Class::CacheWrite1h,
        (true, true, _, _) if text.contains("5m") || text.contains("5 minutes") => Class::CacheWrite5m,
        (true, true, _, _) => Class::CacheWrite,
        (true, false, false, _) if audio => Class::InputAudio,
        (true, false, false, _) if image => Class::InputImage,
        (true, false, false, _) => Class::CacheRead,
        (_, _, true, false) if audio => Class::OutputAudio,
        (_, _, true, false) if image => Class::OutputImage,
        (_, _, true, false) => Class::Output,
        (_, _, false, true) if audio => Class::InputAudio,
        (_, _, false, true) if image => Class::InputImage,
        (_, _, false, true) => Class::Input,
        _ => return None,
    })
}

/// How many tokens a unit is: `1K tokens`, `1000000 Tokens`, `Million Input Tokens`. `None` where it is none of tokens.
pub(super) fn tokens_per_unit(unit: &str) -> Option<u64> {
    let text = unit.to_lowercase();
    let block = block(&text);
    (text.contains("token") || block.is_some()).then(|| block.unwrap_or(1))
}

/// Size of a block that a unit names (`1K`, `1M`, `1000`, `million`).
fn block(unit: &str) -> Option<u64> {
    let words = || unit.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let sized = words().find_map(|word| {
        let digits = word.trim_end_matches(['k', 'm']);
        let times = match &word[digits.len()..] {
            "" => 1,
            "k" => 1_000,
            "m" => 1_000_000,
            _ => return None,
        };
        // A bare small number is no block: it may be a region's.
        let bare = times == 1;
        digits.parse::<u64>().ok().map(|n| n.saturating_mul(times)).filter(|size| *size >= if bare { 100 } else { 1 })
    });
    sized.or_else(|| {
        words().find_map(|word| match word {
            "k" | "thousand" | "thousands" => Some(1_000),
            "m" | "million" | "millions" => Some(1_000_000),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_say_what_they_count() {
        for (meter, expected) in [
            ("USE1-NovaLite-input-tokens", Some(Class::Input)),
            ("USE1-Claude4.6Sonnet-output-tokens-cross-region-global", Some(Class::Output)),
            ("USE1-NovaPro-cache-read-input-token-count", Some(Class::CacheRead)),
            ("USE1-NovaPro-cache-write-input-token-count", Some(Class::CacheWrite)),
            ("MP:USE1_InputTokenCount-Units", Some(Class::Input)),
            ("MP:USE1_CacheReadInputTokenCount-Units", Some(Class::CacheRead)),
            ("gpt 4o 1120 cached Inp glbl Tokens", Some(Class::CacheRead)),
            ("GPT 5 Mini cchd Inpt Glbl 1M Tokens", Some(Class::CacheRead)),
            ("5.4 opt Gl 1M Tokens", Some(Class::Output)),
            ("Cached Input Tokens", Some(Class::CacheRead)),
            ("Cache Write Tokens, 1 Hour", Some(Class::CacheWrite1h)),
            ("Reasoning Tokens", Some(Class::Reasoning)),
            ("gpt 4o audio Outp glbl Tokens", Some(Class::OutputAudio)),
            ("USE1-Guardrail-ContentPolicyUnitsConsumed", None),
        ] {
            assert_eq!(class(meter), expected, "{meter}");
        }
    }

    #[test]
    fn units_say_how_many_tokens_they_are() {
        for (unit, expected) in [
            ("1K tokens", Some(1_000)),
            ("1M Tokens", Some(1_000_000)),
            ("Tokens", Some(1)),
            ("1000 Tokens", Some(1_000)),
            ("1000000 Tokens", Some(1_000_000)),
            ("1K", Some(1_000)),
            ("Million Input Tokens", Some(1_000_000)),
            ("usage|us-east-1|Million Response Tokens", Some(1_000_000)),
            ("Units", None),
            ("Hours", None),
        ] {
            assert_eq!(tokens_per_unit(unit), expected, "{unit}");
        }
    }

    #[test]
    fn names_fall_apart_into_letters_and_numbers_without_dates() {
        let apart = |text: &str| letters_and_numbers(plain_words(text));
        let words =
            |letters: &[&str], numbers: &[u64]| (letters.iter().map(|l| (*l).to_owned()).collect(), numbers.to_vec());
        assert_eq!(apart("Claude4.6Sonnet"), words(&["claude", "sonnet"], &[4, 6]));
        assert_eq!(apart("Nova2.0Lite"), words(&["nova", "lite"], &[2]));
        assert_eq!(apart("gpt 4o 1120 cached Inp glbl Tokens"), words(&["gpt", "o"], &[4]));
        assert_eq!(apart("gpt-4o-2024-11-20"), words(&["gpt", "o"], &[4, 11, 20]));
        assert_eq!(apart("Llama4-Maverick-17B"), words(&["llama", "maverick", "b"], &[4, 17]));
    }
}
