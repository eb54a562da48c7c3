//! One usable answer, and what makes an answer usable.

use std::sync::{Arc, OnceLock};

use crate::types::{AssistantMessage, ChatCompletion, ToolCall};

use super::agreement::Gist;
use super::extract::Reader;
use super::form::Form;
use super::{agreement, parse, shield};

/// A whole text of so many words, on one line, is compared as it is.
const FEW_WORDS: usize = 6;

/// One usable answer in the running.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// Place of its member in the pool.
    pub member: usize,
    /// Whether it is the member's second answer, given in a debate.
    pub revised: bool,
    pub message: AssistantMessage,
    pub finish_reason: Option<String>,
    /// Equal for answers that say the same.
    pub key: String,
    /// A closed answer could be read out of it, and is its key.
    pub closed: bool,
    /// Places of the members that stand by it.
    pub voters: Vec<usize>,
    /// It was cut off by a token limit.
    pub truncated: bool,
    /// It speaks to the judge instead of the asker.
    pub instructs_judge: bool,
    /// Its text is the document that was found in what the member wrote.
    pub repaired: bool,
    /// The pieces in which its text came, where it was streamed.
    pub pieces: Arc<[String]>,
    /// See [`Candidate::gist`].
    pub gist: Arc<OnceLock<Gist>>,
}

impl Candidate {
    pub fn new(member: usize, message: AssistantMessage, finish_reason: Option<String>) -> Self {
        let key = agreement::key(&message);
        let truncated = finish_reason.as_deref() == Some("length");
        let instructs_judge = shield::instructs_judge(message.content.as_deref().unwrap_or_default());
        Candidate {
            member,
            revised: false,
            message,
            finish_reason,
            key,
            closed: false,
            voters: vec![member],
            truncated,
            instructs_judge,
            repaired: false,
            pieces: Arc::default(),
            gist: Arc::default(),
        }
    }

    /// What of its text is compared with others' texts; worked out once, for its copies too.
    pub fn gist(&self) -> &Gist {
        self.gist.get_or_init(|| Gist::new(self.text()))
    }

    /// Takes the closed answer in its text as its key, if there is one.
    pub fn read(self, reader: &Reader) -> Self {
        let answer = if self.tool_calls().is_empty() { reader.read(self.text()) } else { None };
        self.reads(answer.as_deref())
    }

    /// Takes the closed answer that was once read out of its text as its key, if there was one.
    pub fn reads(mut self, answer: Option<&str>) -> Self {
        if let Some(answer) = answer {
            (self.key, self.closed) = (format!("answer:{answer}"), true);
        }
        self
    }

    /// The closed answer that was read out of it.
    pub fn answer(&self) -> Option<&str> {
        if self.closed { self.key.strip_prefix("answer:") } else { None }
    }

    /// Its text, empty when it only calls tools.
    pub fn text(&self) -> &str {
        self.message.content.as_deref().unwrap_or_default()
    }

    /// Its tool calls, empty when there are none.
    pub fn tool_calls(&self) -> &[ToolCall] {
        self.message.tool_calls.as_deref().unwrap_or_default()
    }

    /// Whether it says exactly what it says: a closed answer, tool calls, or a few words on one line.
    pub fn is_exact(&self) -> bool {
        let text = self.text().trim();
        let few = || !text.contains('\n') && text.len() <= 60 && text.split_whitespace().count() <= FEW_WORDS;
        self.closed || !self.tool_calls().is_empty() || few()
    }

    /// Marks for the report.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if self.truncated {
            flags.push("truncated".to_owned());
        }
        if self.instructs_judge {
            flags.push("instructs_judge".to_owned());
        }
        if self.repaired {
            flags.push("repaired".to_owned());
        }
        flags
    }
}

/// The usable answer in a response, or why there is none. Usable: not filtered, and some text beside the model's
/// thinking or a tool call, in the form that the request binds it to.
pub(crate) fn usable(member: usize, response: &ChatCompletion, form: &Form) -> Result<Candidate, String> {
    let choice = response.choices.first().ok_or("the response holds no answer")?;
    if choice.finish_reason.as_deref() == Some("content_filter") {
        return Err("the vendor's content filter stopped the answer".to_owned());
    }
    let message = &choice.message;
    let calls = message.tool_calls.as_deref().unwrap_or_default();
    let calls_tools = !calls.is_empty();
    let text = message.content.as_deref().unwrap_or_default();
    let said = parse::after_thinking(text).trim();
    if said.is_empty() && !calls_tools {
        return Err(match &message.refusal {
            Some(refusal) if !refusal.trim().is_empty() => format!("the model refused: {}", excerpt(refusal, 200)),
            _ if choice.finish_reason.as_deref() == Some("length") => {
                "the answer is empty: the token limit was used up before any text (raise max_tokens)".to_owned()
            }
            _ => "the answer is empty".to_owned(),
        });
    }
    form.called(calls)?;
    let whole = choice.finish_reason.as_deref() != Some("length");
    let found = if calls_tools { None } else { form.held(text, whole)? };
    let repaired = found.is_some();
    let message = AssistantMessage { content: found.or_else(|| message.content.clone()), ..message.clone() };
    Ok(Candidate { repaired, ..Candidate::new(member, message, choice.finish_reason.clone()) })
}

/// The first `max` characters, on one line.
pub(crate) fn excerpt(text: &str, max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", line[..at].trim_end()),
        None => line,
    }
}
