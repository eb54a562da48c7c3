//! One reply that compares and then writes: a JSON object, a line with a code that nobody else knows, then the answer,
//! which is heard as it comes. Where the code is missing, what follows the object is the answer; without an object, all of
//! it is.

use serde_json::Value;

use super::analysis;
use super::ask::Listener;
use super::events::Events;
use super::parse;

/// Takes a reply apart while it comes.
pub(crate) struct SinglePass<'a> {
    code: &'a str,
    events: &'a Events,
    /// All of the reply until the code's line is over.
    held: String,
    /// What stood before that line; set once it is over.
    before: Option<String>,
    /// What was told of the answer.
    answer: String,
}

/// The parts of a whole reply.
#[derive(Debug, PartialEq)]
pub(crate) struct Parts {
    /// Where the comparison stands, if there is any.
    pub comparison: Option<String>,
    pub answer: String,
}

impl<'a> SinglePass<'a> {
    pub fn new(code: &'a str, events: &'a Events) -> Self {
        SinglePass { code, events, held: String::new(), before: None, answer: String::new() }
    }

    /// Whether any of the answer was told.
    pub fn sent(&self) -> bool {
        !self.answer.is_empty()
    }

    fn tell(&mut self, text: &str) {
        // An answer does not begin with line breaks.
        let text = if self.answer.is_empty() { text.trim_start_matches(['\n', '\r']) } else { text };
        if !text.is_empty() {
            self.answer.push_str(text);
            self.events.final_delta(text);
        }
    }

    /// The reply is over.
    pub fn finish(self) -> Parts {
        match self.before {
            Some(before) => Parts { comparison: Some(before), answer: self.answer },
            None => parted(&self.held, self.code),
        }
    }
}

impl Listener for SinglePass<'_> {
    fn text(&mut self, text: &str) {
        if self.before.is_some() {
            return self.tell(text);
        }
        self.held.push_str(text);
        if let Some((before, after)) = at_code(&self.held, self.code) {
            self.before = Some(before.to_owned());
            let after = after.to_owned();
            self.held = String::new();
            self.tell(&after);
        }
    }

    fn reset(&mut self) {}
}

/// What stands before the line with the code and after it, once that line is over. What only sets the line off (`**`,
/// `---`) belongs to it; an answer that begins on it does not.
fn at_code<'t>(held: &'t str, code: &str) -> Option<(&'t str, &'t str)> {
    let at = held.find(code)?;
    let before = &held[..held[..at].rfind('\n').unwrap_or(0)];
    let after = &held[at + code.len()..];
    let line = after.find('\n').unwrap_or(after.len());
    match after[..line].find(char::is_alphanumeric) {
        Some(_) => {
            let decoration = |c: char| c.is_whitespace() || "*=:-_#`>)]".contains(c);
            Some((before, after.trim_start_matches(decoration)))
        }
        None if line < after.len() => Some((before, &after[line + 1..])),
        None => None,
    }
}

/// A reply without a line for the code.
fn parted(text: &str, code: &str) -> Parts {
    let text = parse::after_thinking(text);
    // The code's line was the last one: nothing follows.
    if let Some(at) = text.find(code) {
        return Parts { comparison: Some(text[..at].to_owned()), answer: String::new() };
    }
    let object = text.find('{').and_then(|start| {
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        let found = values.next()?.ok()?;
        // An answer may hold JSON of its own.
        analysis::is_one(&found).then(|| start + values.byte_offset())
    });
    match object {
        Some(end) => {
            let answer = text[end..].trim_start();
            let answer = answer.strip_prefix("```").unwrap_or(answer).trim();
            Parts { comparison: Some(text[..end].to_owned()), answer: answer.to_owned() }
        }
        None => Parts { comparison: None, answer: text.trim().to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const CODE: &str = "7f3a9c21";

    /// Told pieces and parts of a reply that comes in pieces of so many characters.
    fn heard(reply: &str, size: usize) -> (Vec<String>, Parts) {
        let events = Events::new("r".to_owned(), Instant::now(), true);
        let mut pass = SinglePass::new(CODE, &events);
        let all: Vec<char> = reply.chars().collect();
        all.chunks(size).for_each(|piece| pass.text(&piece.iter().collect::<String>()));
        let parts = pass.finish();
        (events.told(), parts)
    }

    const COMPARISON: &str = r#"{"consensus": ["a"], "contradictions": [], "partial_coverage": [], "unique_insights": [], "blind_spots": []}"#;

    #[tokio::test]
    async fn the_answer_is_told_from_the_first_word_after_the_codes_line() {
        for mark in ["ANSWER 7f3a9c21", "**ANSWER 7f3a9c21**", "--- 7f3a9c21 ---", "7f3a9c21:", "```\n7f3a9c21"] {
            for size in [1, 2, 7, 1000] {
                let (told, parts) = heard(&format!("{COMPARISON}\n{mark}\n\n# Bern\n\nis it: **so**\n"), size);
                assert_eq!(told.concat(), "# Bern\n\nis it: **so**\n", "{mark}, {size}");
                assert_eq!(parts.answer, told.concat());
                assert!(parts.comparison.as_deref().is_some_and(|c| c.starts_with(COMPARISON)), "{parts:?}");
                assert!(size > 7 || told.len() > 2);
            }
        }
        let (told, _) = heard(&format!("{COMPARISON}\nANSWER 7f3a9c21: Bern is it"), 1000);
        assert_eq!(told, ["Bern is it"], "on the same line");
    }

    #[tokio::test]
    async fn without_the_code_what_follows_the_object_is_the_answer() {
        for between in ["\n", "\n\n", "\n```\n", " "] {
            let (told, parts) = heard(&format!("```json\n{COMPARISON}{between}Bern is it."), 3);
            assert_eq!((told.len(), parts.answer.as_str()), (0, "Bern is it."), "{between:?}");
            assert!(parts.comparison.is_some());
        }
        assert_eq!(heard(COMPARISON, 5).1.answer, "");
        assert_eq!(heard(&format!("{COMPARISON}\nANSWER 7f3a9c21"), 5).1.answer, "", "cut off at the code");
    }

    #[tokio::test]
    async fn without_an_object_all_of_it_is_the_answer() {
        for text in ["Bern is it.", r#"Use {"a": 1} for that."#, "Use { and }."] {
            assert_eq!(heard(text, 4).1, Parts { comparison: None, answer: text.to_owned() });
        }
        assert_eq!(heard("<think>so</think>Bern", 4).1.answer, "Bern");
    }
}
