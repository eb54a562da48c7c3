//! Calls to the judge: with what it refuses left out, and asked once more when its reply cannot be read.

use std::sync::Arc;

use tokio::time::Instant;

use crate::engine::CallContext;
use crate::error::{Error, ErrorKind};
use crate::types::{ChatRequest, FusionStep, JudgeReport, Message, Purpose, ResponseFormat, Role};

use super::ask::{self, Ask, Reply};
use super::events::Events;
use super::parse::Step;
use super::run::Run;
use super::{modality, prompts, replies};

/// One reply of a judge, read or not.
pub(crate) struct Heard {
    pub reply: Reply,
    pub parsed: Option<Step>,
}

/// What asking came to.
pub(crate) struct Asked<T> {
    pub value: Option<T>,
    /// Every call made for it.
    pub heard: Vec<Heard>,
    /// Request fields the model refused, which were left out.
    pub refused: Vec<&'static str>,
    /// Why there is no value.
    pub fault: Option<(String, Option<ErrorKind>)>,
}

/// Asks until a reply can be read: at most once more after an unreadable one, and once per field that the model refuses.
/// `spare` is what asking again may cost, nano-USD, where there is a cap.
/// `read` says what is wrong with a reply in words that the model is told.
pub(crate) async fn ask_until_read<T>(
    ask: Arc<dyn Ask>,
    mut request: ChatRequest,
    cx: CallContext,
    limit: Instant,
    reasks: u32,
    mut spare: Option<u64>,
    read: impl Fn(&str) -> Result<(T, Step), String>,
) -> Asked<T> {
    let mut asked = Asked { value: None, heard: Vec::new(), refused: Vec::new(), fault: None };
    let mut left = reasks;
    let mut again = |more: u64| match &mut spare {
        Some(spare) if more > *spare => false,
        Some(spare) => {
            *spare -= more;
            true
        }
        None => true,
    };
    let estimate = |request: &ChatRequest| ask.estimate(request, cx.within.as_deref()).unwrap_or(0);
    loop {
        let reply = ask::call(ask.clone(), request.clone(), cx.clone(), limit).await;
        if let Some(error) = reply.error() {
            let before = estimate(&request);
            let refused = leave_out_refused(&mut request, error);
            asked.fault = Some((error.message().to_owned(), Some(error.kind())));
            asked.heard.push(Heard { reply, parsed: None });
            match refused {
                // A call that was refused cost nothing; only what the changed one may cost beyond it is new.
                Some(field) if again(estimate(&request).saturating_sub(before)) => asked.refused.push(field),
                _ => return asked,
            }
            continue;
        }
        match read(reply.text()) {
            Ok((value, step)) => {
                asked.value = Some(value);
                asked.fault = None;
                asked.heard.push(Heard { reply, parsed: Some(step) });
                return asked;
            }
            Err(fault) => {
                let used_up = reply.text().trim().is_empty() && reply.finish_reason() == Some("length");
                if used_up {
                    // Hidden reasoning used the tokens up; the same limit would do it again.
                    request.max_tokens = None;
                } else {
                    let said = reply.text().chars().take(2000).collect::<String>();
                    if !said.trim().is_empty() {
                        request.messages.push(Message::text(Role::Assistant, said));
                    }
                    request.messages.push(Message::user(prompts::ask_again(&fault)));
                }
                asked.fault = Some((format!("its reply could not be read: {fault}"), None));
                asked.heard.push(Heard { reply, parsed: None });
                if left == 0 || Instant::now() >= limit || !again(estimate(&request)) {
                    return asked;
                }
                left -= 1;
            }
        }
    }
}

/// Takes the field out that a model's refusal speaks of; if it names none, the schema, which most often is the reason. Of
/// a schema first only the bounds, if it is they that are refused.
fn leave_out_refused(request: &mut ChatRequest, error: &Error) -> Option<&'static str> {
    if !matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Unsupported) {
        return None;
    }
    let body = error.body();
    let said = format!("{} {}", body.param.as_deref().unwrap_or_default(), body.message).to_lowercase();
    if said.contains("temperature") && request.temperature.take().is_some() {
        return Some("temperature");
    }
    if (said.contains("max_tokens") || said.contains("max_completion_tokens")) && request.max_tokens.take().is_some() {
        return Some("max_tokens");
    }
    let bounds = ["maxlength", "minitems", "maxitems", "keyword", "permitted", "invalid schema"];
    if bounds.iter().any(|b| said.contains(b)) && request.response_format.as_mut().is_some_and(prompts::unbound) {
        return Some("response_format's bounds");
    }
    if request.response_format.take().is_some() {
        return Some("response_format");
    }
    request.temperature.take().map(|_| "temperature")
}

impl Run {
    /// A request to the judge: contract, data and task, and a form that holds its reply.
    pub fn judge_request(&self, system: String, user: String, format: ResponseFormat, max_tokens: u64) -> ChatRequest {
        let judge = &self.plan.judge;
        ChatRequest {
            model: judge.model.clone(),
            provider: judge.provider.clone(),
            messages: vec![Message::system(system), modality::asking(user, &self.plan.shown)],
            temperature: Some(judge.temperature.unwrap_or(0.0)),
            max_tokens: Some(judge.max_tokens.unwrap_or(max_tokens)),
            response_format: Some(format),
            seed: self.plan.base.seed,
            max_retries: self.plan.base.max_retries,
            ..Default::default()
        }
    }

    /// Asks the judge; nothing is booked yet, so that two can be asked at once.
    pub fn ask_judge<T, R>(
        &mut self,
        purpose: &'static str,
        request: ChatRequest,
        end: Instant,
        read: R,
    ) -> impl Future<Output = Asked<T>> + use<T, R>
    where
        R: Fn(&str) -> Result<(T, Step), String>,
    {
        let again = self.replies.as_mut().map(|replies| replies.next(purpose, &read));
        let (ask, cx, limit) = (self.ask.clone(), self.context(Purpose::Judge), self.judge_limit(end));
        let events: Events = self.events.clone();
        // Two verdicts, which are alike but for the order, share what is left beside their own cost.
        let spare = self.plan.cap.map(|cap| {
            let rest = cap.nanos().saturating_sub(self.report.cost.known_nanos) / 2;
            rest.saturating_sub(self.ask.estimate(&request, self.plan.within.as_deref()).unwrap_or(0))
        });
        async move {
            if let Some(asked) = again {
                return asked;
            }
            events.emit(FusionStep::JudgeStarted { purpose: purpose.to_owned() });
            let asked = ask_until_read(ask, request, cx, limit, 1, spare, read).await;
            let latency_ms = asked.heard.iter().map(|h| h.reply.latency_ms).sum();
            events.emit(FusionStep::JudgeDone { purpose: purpose.to_owned(), latency_ms });
            asked
        }
    }

    /// Books what was asked, a row per call. `order` are the ids of the candidates as shown; `best` and `reason` belong to
    /// the call that was read.
    pub fn book_judge<T>(
        &mut self,
        purpose: &str,
        order: &[String],
        asked: &Asked<T>,
        best: Option<(String, Option<String>)>,
    ) {
        for heard in &asked.heard {
            let read = heard.parsed.is_some();
            let row = JudgeReport {
                order: order.to_vec(),
                best: best.as_ref().filter(|_| read).map(|b| b.0.clone()),
                reason: best.as_ref().filter(|_| read).and_then(|b| b.1.clone()),
                parsed: heard.parsed.map(|s| s.as_str().to_owned()),
                ..self.judge_row(purpose, &heard.reply)
            };
            let stage = if purpose == "synthesis" { "synthesis" } else { "judge" };
            let cost_nanos = self.book(stage, &heard.reply);
            self.report.judges.push(JudgeReport { cost_nanos, ..row });
        }
        for field in &asked.refused {
            self.warn(format!("judge_field: `{}` refused `{field}`, so it was asked without", self.plan.judge.model));
        }
    }

    pub fn judge_row(&self, purpose: &str, reply: &Reply) -> JudgeReport {
        JudgeReport {
            purpose: purpose.to_owned(),
            model: self.plan.judge.model.clone(),
            provider: reply.provider(),
            reply: replies::kept(reply),
            finish_reason: reply.finish_reason().map(str::to_owned),
            error: reply.error().map(Error::kind),
            usage: reply.usage().cloned(),
            start_ms: Some(self.at(reply.started)),
            latency_ms: reply.latency_ms,
            ..Default::default()
        }
    }

    /// Records that a judge did not do its part: `judge` when its call failed, `judge_output` when it could not be read.
    pub fn degrade_judge<T>(&mut self, asked: &Asked<T>, instead: &str) {
        if let Some((cause, kind)) = &asked.fault {
            let step = match kind {
                Some(ErrorKind::DeadlineExceeded) => "deadline",
                Some(_) => "judge",
                None => "judge_output",
            };
            self.degrade(step, format!("{instead}: the judge {}: {cause}", self.plan.judge.model), *kind);
        }
    }
}
