//! The replies of a judge that a report holds, in place of asking it, for a replay.

use std::collections::VecDeque;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::engine::{CallContext, ChatStream};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{
    AssistantMessage, ChatCompletion, ChatRequest, Choice, DebateTurn, FusionReport, JudgeReport, ProviderPreferences,
    ResponseFormat, ResponseMeta,
};

use super::ask::{Ask, Reply};
use super::judge::{Asked, Heard};
use super::parse::Step;

/// Most of a reply that a report keeps, bytes.
const MOST: usize = 65_536;

/// A reply as a report keeps it.
pub(crate) fn kept(reply: &Reply) -> Option<String> {
    Some(reply.text()).filter(|text| reply.error().is_none() && text.len() <= MOST).map(str::to_owned)
}

/// Whether a report keeps such a form.
pub(crate) fn small(form: &ResponseFormat) -> bool {
    serde_json::to_vec(form).is_ok_and(|text| text.len() <= MOST)
}

/// What is left of them.
#[derive(Default)]
pub(crate) struct Replies {
    judges: VecDeque<JudgeReport>,
    debate: Vec<DebateTurn>,
}

impl Replies {
    /// The replies in a report.
    ///
    /// # Errors
    /// `invalid_request` when one is missing.
    pub fn of(report: &FusionReport) -> Result<Replies> {
        let judge = report.judges.iter().any(|row| row.reply.is_none() && row.error.is_none());
        let debate = report.debate.iter().any(|turn| turn.reply.is_none() && turn.error.is_none());
        if judge || debate {
            let message = format!(
                "`report`: it does not hold every reply that its decision rested on: one is longer than {MOST} bytes, or an \
                 older version wrote the report; it can be judged anew"
            );
            return Err(Error::invalid_request(message).with_param("report"));
        }
        Ok(Replies { judges: report.judges.iter().cloned().collect(), debate: report.debate.clone() })
    }

    /// Why nobody was asked for this, if nobody was.
    pub fn lack(&self, purpose: &str) -> Option<String> {
        let there = match purpose {
            "debate" => !self.debate.is_empty(),
            _ => self.judges.iter().any(|row| row.purpose == purpose),
        };
        (!there).then(|| "the run did not ask for it".to_owned())
    }

    /// What the next question for this purpose came to: the rows of one question stand together and show one order.
    pub fn next<T>(&mut self, purpose: &str, read: impl Fn(&str) -> Result<(T, Step), String>) -> Asked<T> {
        let mut rows = Vec::new();
        while let Some(at) = self.judges.iter().position(|row| row.purpose == purpose)
            && rows.last().is_none_or(|last: &JudgeReport| last.order == self.judges[at].order)
        {
            rows.extend(self.judges.remove(at));
        }
        heard_again(rows.into_iter().map(reply), read)
    }

    /// The text that was written in the end.
    pub fn written(&mut self) -> Reply {
        let (written, rest) = self.judges.drain(..).partition(|row| row.purpose == "synthesis");
        self.judges = rest;
        let written: VecDeque<JudgeReport> = written;
        reply(written.into_iter().last().unwrap_or_default())
    }

    /// A member's second look.
    pub fn look<T>(&self, member: &str, read: impl Fn(&str) -> Result<(T, Step), String>) -> Asked<T> {
        let turns = self.debate.iter().filter(|turn| turn.member == member);
        let rows =
            turns.map(|turn| JudgeReport { reply: turn.reply.clone(), error: turn.error, ..JudgeReport::default() });
        heard_again(rows.map(reply), read)
    }

    /// The closed answer that was read out of a member's new answer.
    pub fn new_answer(&self, member: &str) -> Option<&str> {
        self.debate.iter().find(|turn| turn.member == member)?.answer.as_deref()
    }
}

/// What replies come to, read once more.
fn heard_again<T>(replies: impl Iterator<Item = Reply>, read: impl Fn(&str) -> Result<(T, Step), String>) -> Asked<T> {
    let missing = Some(("nobody was asked".to_owned(), None));
    let mut asked = Asked { value: None, heard: Vec::new(), refused: Vec::new(), fault: missing };
    for reply in replies {
        let mut parsed = None;
        match reply.error() {
            Some(error) => asked.fault = Some((error.message().to_owned(), Some(error.kind()))),
            None => match read(reply.text()) {
                Ok((value, step)) => (asked.value, asked.fault, parsed) = (Some(value), None, Some(step)),
                Err(fault) => asked.fault = Some((format!("its reply could not be read: {fault}"), None)),
            },
        }
        asked.heard.push(Heard { reply, parsed });
    }
    asked
}

/// A row's reply.
fn reply(row: JudgeReport) -> Reply {
    let result = match row.error {
        Some(kind) => Err(Error::new(kind, "the call failed, as the report says")),
        None => {
            let message =
                AssistantMessage { role: "assistant".to_owned(), content: row.reply, ..AssistantMessage::default() };
            let choice = Choice { message, finish_reason: row.finish_reason, ..Choice::default() };
            let meta = ResponseMeta { provider: row.provider.unwrap_or_default(), ..ResponseMeta::default() };
            Ok(ChatCompletion { choices: vec![choice], interfuse: Some(Box::new(meta)), ..ChatCompletion::default() })
        }
    };
    Reply { result, started: Instant::now(), latency_ms: 0 }
}

/// Whom a replay asks.
pub(crate) struct Nobody {
    /// When the run began that is replayed.
    pub started_ms: u64,
}

impl Nobody {
    fn refusal() -> Error {
        Error::new(ErrorKind::Internal, "a replay asks nobody")
    }
}

impl Ask for Nobody {
    fn chat<'a>(&'a self, _: &'a ChatRequest, _: &'a CallContext) -> BoxFuture<'a, Result<ChatCompletion>> {
        async { Err(Nobody::refusal()) }.boxed()
    }

    fn stream<'a>(&'a self, _: &'a ChatRequest, _: &'a CallContext) -> BoxFuture<'a, Result<ChatStream>> {
        async { Err(Nobody::refusal()) }.boxed()
    }

    fn unix_ms(&self) -> u64 {
        self.started_ms
    }

    fn estimate(&self, _: &ChatRequest, _: Option<&ProviderPreferences>) -> Option<u64> {
        None
    }
}
