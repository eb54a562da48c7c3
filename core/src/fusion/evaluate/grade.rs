//! The judge of an evaluation: says of one answer at a time whether it is right. It sees neither who gave it nor the others.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::catalog::is_virtual;
use crate::engine::CallContext;
use crate::error::Result;
use crate::types::{ChatRequest, Judge, Message, Purpose, Tags};

use super::super::ask::Ask;
use super::super::judge::ask_until_read;
use super::super::parse::{self, Object};
use super::super::{prompts, shield};
use super::wrong;

const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Grader(Judge);

impl Grader {
    /// # Errors
    /// `invalid_request` for a judge that is a fusion, or has a `trust`, which plays no role here.
    pub fn new(judge: Judge) -> Result<Grader> {
        if judge.model.trim().is_empty() || is_virtual(&judge.model) {
            return Err(wrong("judge", "it must name a model that answers by itself"));
        }
        if judge.trust.is_some() {
            return Err(wrong("judge.trust", "its word is taken as it is in an evaluation"));
        }
        Ok(Grader(judge))
    }

    /// Whether the answer is right; nothing when the judge failed or could not be read twice.
    pub async fn grade(&self, ask: Arc<dyn Ask>, question: &str, answer: &str, tags: Tags) -> Option<bool> {
        let judge = &self.0;
        let lines = [json!({ "question": question }), json!({ "answer": shield::judge_copy(answer) })];
        let data = shield::envelope(&shield::nonce(None), &lines);
        let request = ChatRequest {
            model: judge.model.clone(),
            provider: judge.provider.clone(),
            messages: vec![
                Message::system(prompts::grade_system()),
                Message::user(format!("{data}\n\n{}", prompts::grade_task(judge.criteria.as_deref()))),
            ],
            temperature: Some(judge.temperature.unwrap_or(0.0)),
            max_tokens: Some(judge.max_tokens.unwrap_or(1024)),
            response_format: Some(prompts::grade_schema()),
            ..Default::default()
        };
        let limit = Instant::now() + judge.timeout_ms.map_or(TIMEOUT, Duration::from_millis);
        let read = |text: &str| {
            let wanted = |o: &Object| o.get("right").is_some_and(Value::is_boolean);
            let (object, step) = parse::object(text, &wanted).ok_or("it has no `right` that is true or false")?;
            Ok((object.get("right").and_then(Value::as_bool).unwrap_or(false), step))
        };
        let asked = ask_until_read(ask, request, CallContext::new(Purpose::Judge, tags), limit, 1, None, read).await;
        asked.value
    }
}
