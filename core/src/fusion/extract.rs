//! Reads a closed answer (a letter, a number, a literal, a few words) out of a text, so that votes can be counted. What is
//! looked for follows from the question; where nothing is found the text is free, and compared as a whole.

use regex_lite::Regex;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::types::{Content, Extract, Message, Role};

use super::{canonical, parse};

/// Longer than this, a text after "the answer is" or in a field `answer` is prose.
const MAX_ANSWER: usize = 400;
const MAX_OPTIONS: usize = 26;

/// Knows what kind of answer a question wants.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    rule: Rule,
    /// Texts of the lettered options, from A on; empty when the question offers none.
    options: Vec<String>,
    /// The question asks for a number.
    number: bool,
    /// The question is about code, so case and space matter.
    code: bool,
}

#[derive(Debug, Default)]
enum Rule {
    #[default]
    Auto,
    Regex(Regex),
    Pointer(String),
}

impl Reader {
    /// A reader for the last question of a conversation.
    ///
    /// # Errors
    /// `invalid_request` naming `extract` when its pattern or pointer cannot be read.
    pub fn new(messages: &[Message], extract: Option<&Extract>) -> Result<Reader> {
        let last = messages.iter().rev().find(|m| m.role == Role::User).and_then(|m| m.content.as_ref());
        let question = last.map(Content::to_text).unwrap_or_default();
        let wrong = |field: &str, why: &str| {
            Err(Error::invalid_request(format!("`{field}`: {why}")).with_param(field.to_owned()))
        };
        let rule = match extract.map(|e| (&e.regex, &e.pointer)) {
            None => Rule::Auto,
            Some((Some(pattern), None)) => match Regex::new(pattern) {
                Ok(regex) => Rule::Regex(regex),
                Err(fault) => return wrong("extract.regex", &fault.to_string()),
            },
            Some((None, Some(pointer))) if pointer.is_empty() || pointer.starts_with('/') => {
                Rule::Pointer(pointer.clone())
            }
            Some((None, Some(_))) => return wrong("extract.pointer", "a JSON pointer starts with `/`"),
            Some(_) => return wrong("extract", "give either `regex` or `pointer`"),
        };
        Ok(Reader { rule, ..Self::of_question(&question) })
    }

    /// A reader for a question alone.
    pub fn of_question(question: &str) -> Reader {
        let lower = question.to_lowercase();
        let code = ["```python", "def ", "assert ", "print("].iter().any(|sign| question.contains(sign));
        Reader {
            rule: Rule::Auto,
            options: options(question),
            number: !code && NUMBER_SIGNS.iter().any(|sign| lower.contains(sign)),
            code,
        }
    }

    /// Whether the caller said how to read.
    pub fn is_explicit(&self) -> bool {
        !matches!(self.rule, Rule::Auto)
    }

    /// The closed answer in a text, in one spelling.
    pub fn read(&self, text: &str) -> Option<String> {
        let text = parse::after_thinking(text).trim();
        let found = match &self.rule {
            Rule::Auto => self.auto(text),
            Rule::Regex(regex) => {
                let last = regex.captures_iter(text).last()?;
                let found = last.get(1).or_else(|| last.get(0))?;
                Some(self.spelled(found.as_str()))
            }
            Rule::Pointer(pointer) => {
                let (object, _) = parse::object(text, &|_| true)?;
                Value::Object(object).pointer(pointer).map(|v| self.value(v))
            }
        };
        found.filter(|key| !key.is_empty())
    }

    /// What counts as right: the same spelling of a known answer.
    pub fn gold(&self, gold: &str) -> String {
        self.letter_of(gold).unwrap_or_else(|| self.spelled(gold))
    }

    /// Whether a text gives a known answer: it is read out of it, or is all that it says.
    pub fn gives(&self, text: &str, gold: &str) -> bool {
        let said = self.read(text).unwrap_or_else(|| self.spelled(parse::after_thinking(text)));
        said == self.gold(gold)
    }

    fn auto(&self, text: &str) -> Option<String> {
        if let Some(field) = answer_field(text) {
            let inside = boxed(&field).unwrap_or(&field);
            return self.letter_of(inside).or_else(|| self.short(inside));
        }
        if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(parse::strip(text)) {
            return Some(canonical::json(&value));
        }
        if !self.options.is_empty() {
            return self.choice(text);
        }
        if let Some(inside) = boxed(text) {
            return self.short(inside);
        }
        if let Some(found) = labelled(text).and_then(|said| self.short(said)) {
            return Some(found);
        }
        if self.number {
            return last_number(text);
        }
        canonical::literal(text).map(|_| self.spelled(text))
    }

    fn spelled(&self, text: &str) -> String {
        canonical::answer(text, self.code)
    }

    fn value(&self, value: &Value) -> String {
        match value {
            Value::String(text) => self.letter_of(text).unwrap_or_else(|| self.spelled(text)),
            other => self.spelled(&other.to_string()),
        }
    }

    /// A text that is short enough to be an answer; of one with a unit, its only number.
    fn short(&self, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_ANSWER {
            return None;
        }
        if self.number && canonical::number(text).is_none() && canonical::literal(text).is_none() {
            let after = text.rsplit('=').next().unwrap_or(text);
            let mut numbers = numbers(after);
            if let (Some(only), None) = (numbers.next(), numbers.next()) {
                return canonical::number(only);
            }
        }
        Some(self.spelled(text))
    }

    /// The letter that a whole text names, by itself or by the option's words.
    fn letter_of(&self, text: &str) -> Option<String> {
        if self.options.is_empty() {
            return None;
        }
        let text = text.trim().trim_matches(['*', '`', '"', '$']).trim_end_matches('.').trim();
        if let Some(letter) = self.letter_at(text) {
            return Some(letter);
        }
        let spelled = canonical::answer(text, false);
        let at = self.options.iter().position(|o| canonical::answer(o, false) == spelled)?;
        Some(letter(at))
    }

    /// The letter that a text begins with, in or without brackets.
    fn letter_at(&self, text: &str) -> Option<String> {
        let text = text.trim_start_matches([' ', ':', '*', '(', '[', '$', '`', '"']);
        let text = ["\\boxed{", "\\text{", "option ", "Option ", "choice "]
            .iter()
            .fold(text, |text, lead| text.strip_prefix(lead).unwrap_or(text))
            .trim_start_matches(['(', '*']);
        let mut chars = text.chars();
        let c = chars.next()?;
        let at = (c.to_ascii_uppercase() as usize).checked_sub('A' as usize)?;
        let alone = !chars.next().is_some_and(|next| next.is_alphanumeric() || next == '\'');
        (c.is_ascii_alphabetic() && alone && at < self.options.len()).then(|| letter(at))
    }

    /// "the answer is (X)", the first; else "answer: X", the last; else the last letter that stands alone.
    fn choice(&self, text: &str) -> Option<String> {
        let lower = text.to_ascii_lowercase();
        let said = |cue: &'static str| lower.match_indices(cue).map(move |(at, _)| &text[at + cue.len()..]);
        let named = said("answer is").find_map(|rest| self.letter_at(rest));
        let named = named.or_else(|| said("answer:").filter_map(|rest| self.letter_at(rest)).last());
        named.or_else(|| self.letter_of(text)).or_else(|| self.last_letter(text))
    }

    fn last_letter(&self, text: &str) -> Option<String> {
        let bytes = text.as_bytes();
        let word =
            |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let at = (0..bytes.len()).rev().find(|&i| {
            let place = usize::from(bytes[i].wrapping_sub(b'A'));
            if place >= self.options.len() || word(i.checked_sub(1)) || word(Some(i + 1)) {
                return false;
            }
            // "I" and "A" are words when a word follows.
            let follows = bytes.get(i + 1) == Some(&b' ') && bytes.get(i + 2).is_some_and(u8::is_ascii_lowercase);
            let contracted = bytes.get(i + 1) == Some(&b'\'');
            !(matches!(bytes[i], b'I' | b'A') && follows || contracted)
        })?;
        Some(letter(usize::from(bytes[at] - b'A')))
    }
}

/// Signs that a question wants a number.
const NUMBER_SIGNS: &[&str] = &[
    "how many",
    "how much",
    "how old",
    "how long",
    "how far",
    "how tall",
    "how fast",
    "how high",
    "what number",
    "what percent",
    "what fraction",
    "calculate",
    "compute",
    "evaluate",
    "solve for",
    "what is the sum",
    "what is the value",
    "what is the total",
    "what is the number",
    "what is the product",
    "what is the difference",
    "what is the remainder",
    "what is the area",
    "what is the perimeter",
    "what is the volume",
    "what is the average",
    "what is the probability",
    "what is the cost",
    "what is the price",
    "what was the",
    "find the sum",
    "find the value",
    "find the number",
    "find the area",
];

fn letter(at: usize) -> String {
    char::from(b'A' + at as u8).to_string()
}

/// The texts of options that stand on lines of their own as A, B, C and so on; two at least.
fn options(question: &str) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for line in question.lines() {
        let line = line.trim().trim_start_matches(['(', '[', '*', '-']).trim_start();
        let mut chars = line.chars();
        let (Some(first), Some(')' | '.' | ':' | ']')) = (chars.next(), chars.next()) else { continue };
        let next = char::from(b'A' + options.len() as u8);
        if first == next && options.len() < MAX_OPTIONS {
            options.push(chars.as_str().trim().to_owned());
        } else if first == 'A' {
            // Another list of options begins.
            options = vec![chars.as_str().trim().to_owned()];
        }
    }
    if options.len() >= 2 { options } else { Vec::new() }
}

/// The value of the last JSON field `answer`, even where the JSON around it is broken.
fn answer_field(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let mut fields: Vec<usize> = ["\"answer\"", "\"final_answer\""]
        .iter()
        .flat_map(|k| lower.rmatch_indices(k).map(|(at, k)| at + k.len()))
        .collect();
    fields.sort_unstable_by(|a, b| b.cmp(a));
    fields.into_iter().find_map(|at| {
        let value = text[at..].trim_start().strip_prefix(':')?.trim_start();
        if let Some(Ok(value)) = serde_json::Deserializer::from_str(value).into_iter::<Value>().next() {
            return Some(match value {
                Value::String(text) => text,
                other => other.to_string(),
            });
        }
        Some(match value.strip_prefix('"') {
            Some(inside) => loose_string(inside),
            None => value.split(['\n', '}']).next().unwrap_or_default().trim().trim_end_matches(',').to_owned(),
        })
    })
}

/// What stands before the quote that ends a broken JSON text: one before a comma, a bracket or the end of the line.
fn loose_string(text: &str) -> String {
    let ends = text.match_indices('"').find(|(at, _)| {
        let escaped = text[..*at].ends_with('\\') && !text[..*at].ends_with("\\\\");
        let rest = text[at + 1..].trim_start_matches([' ', '\t']);
        !escaped && (rest.is_empty() || rest.starts_with([',', '}', ']', '\n', '\r']))
    });
    let inside = ends.map_or(text, |(at, _)| &text[..at]);
    inside.replace("\\\"", "\"").replace("\\\\", "\\").replace("\\n", "\n").trim().to_owned()
}

/// What stands in the last `\boxed{...}`.
fn boxed(text: &str) -> Option<&str> {
    let at = text.rfind("\\boxed{")? + "\\boxed{".len();
    let mut depth = 1;
    let end = text[at..].char_indices().find_map(|(i, c)| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        (depth == 0).then_some(at + i)
    })?;
    Some(&text[at..end])
}

/// What follows the last "####", "the answer is", "answer:" or "A:", up to the end of its sentence.
fn labelled(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let after = |cue: &str| lower.rfind(cue).map(|at| at + cue.len());
    let line_start = lower.rfind("\na:").map(|at| at + 3);
    let at = [after("####"), after("answer is"), after("answer:"), line_start].into_iter().flatten().max()?;
    let rest = text[at..].trim_start_matches([':', ' ', '*']);
    let line = rest.lines().next().unwrap_or_default();
    let end = line.match_indices(". ").next().map_or(line.len(), |(at, _)| at);
    let said = line[..end].trim().trim_end_matches(['.', '*']).trim();
    (!said.is_empty()).then_some(said)
}

/// The last number of a text's last line that has one, if that is among its last two.
fn last_number(text: &str) -> Option<String> {
    let lines = text.lines().rev().filter(|l| !l.trim().is_empty()).take(2);
    lines.filter_map(|line| numbers(line).last()).next().and_then(canonical::number)
}

/// The numbers in a text, as written.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '/' | '-' | '\u{2212}');
    text.split(move |c: char| !part(c)).filter_map(|piece| {
        let piece = piece.trim_end_matches(['.', ',', '/', '-', '\u{2212}']).trim_start_matches([',', '/']);
        let piece = piece.trim_start_matches("--");
        canonical::number(piece).map(|_| piece)
    })
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
