//! An evaluation: models and fusions answer the same questions, and figures say what each is worth.
//!
//! Items are worked on a few at a time, and all contenders answer an item together, so that a model that several ask is asked
//! once ([`shared`]) and an interrupted run loses no more than the items under way ([`crate::checkpoint`]). Every contender is booked
//! with what it would have cost and taken alone. Answers are read and compared with `gold` as `calibrate` does; where no answer
//! is known, a judge that takes no part says whether an answer is right ([`grade`]). What was learnt from feedback plays no role.

mod grade;
mod html;
mod shared;
mod statistics;
mod summary;
mod text;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{BoxStream, Stream, StreamExt, iter, poll_fn};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, Keeping, Kept, Kind};
use crate::digest::sha256_hex;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger;
use crate::money::NanoUsd;
use crate::types::{
    ChatRequest, Config, Evaluation, EvaluationEvent, EvaluationRequest, FuseRequest, FusionMode, FusionOptions,
    ItemOutcome, Labelled, Member, Message, Pool,
};

use super::ask::Ask;
use super::calibration_text::items;
use super::memory::Memory;
use super::plan::{self, Plan};
use super::run::{Run, bare};

use grade::Grader;
use shared::{Answers, Contending, Meter};

const CONCURRENCY: u32 = 4;
const MOST_AT_ONCE: u32 = 64;
/// An item has many calls, so that it is made safe before the next.
const CHECKPOINT: Kind =
    Kind { name: "evaluation", differs: "items, models, fusions or their options differ", sync: Duration::ZERO };

/// An item that is done, as the checkpoint has it. It has the fields of a labelled item too, so that `calibrate` reads it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Done {
    /// Place among the items; absent where a line only tells what was spent on items that could not be finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gold: Option<String>,
    /// The single models' texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    answers: BTreeMap<String, String>,
    /// Of each contender, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outcomes: BTreeMap<String, ItemOutcome>,
}

/// An evaluation as it goes on; the last event is `done` with the result. Dropping it cancels every call under way; what is in
/// the checkpoint stays.
pub struct EvaluationStream(BoxStream<'static, Result<EvaluationEvent>>);

impl EvaluationStream {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<EvaluationEvent>> {
        self.0.next().await
    }
}

impl Stream for EvaluationStream {
    type Item = Result<EvaluationEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// Runs an evaluation to its end.
pub async fn evaluate(engine: &Engine, request: EvaluationRequest) -> Result<Evaluation> {
    let prepared = Prepared::new(Arc::new(engine.clone()), engine.config(), request)?;
    prepared.run(&|_| {}).await
}

/// Runs an evaluation and tells how far it is. Nothing is sent before the stream is polled.
///
/// # Errors
/// What is wrong with the request; what fails later comes as the stream's last item.
pub fn evaluate_stream(engine: &Engine, request: EvaluationRequest) -> Result<EvaluationStream> {
    let prepared = Prepared::new(Arc::new(engine.clone()), engine.config(), request)?;
    let told: Arc<Mutex<VecDeque<EvaluationEvent>>> = Arc::default();
    let tell = told.clone();
    let work: BoxFuture<'static, Result<Evaluation>> = async move {
        let tell = |event| tell.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        prepared.run(&tell).await
    }
    .boxed();
    let (mut work, mut end) = (Some(work), None);
    let events = poll_fn(move |cx| {
        if let Some(found) = work.as_mut().map(|w| w.as_mut().poll(cx))
            && let Poll::Ready(result) = found
        {
            (work, end) = (None, Some(result));
        }
        if let Some(event) = told.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            return Poll::Ready(Some(Ok(event)));
        }
        match end.take() {
            Some(result) => Poll::Ready(Some(result.map(|result| EvaluationEvent::Done { result }))),
            None if work.is_none() => Poll::Ready(None),
            None => Poll::Pending,
        }
    });
    Ok(EvaluationStream(events.boxed()))
}

/// Who answers: a model, or a fusion.
struct Contestant {
    name: String,
    mode: Option<FusionMode>,
    options: FusionOptions,
}

/// An evaluation that was found in order.
struct Prepared {
    ask: Arc<dyn Ask>,
    config: Config,
    request: EvaluationRequest,
    items: Vec<Labelled>,
    contestants: Vec<Contestant>,
    grader: Option<Grader>,
    cap: Option<NanoUsd>,
    at_once: usize,
}

impl Prepared {
    fn new(ask: Arc<dyn Ask>, config: &Config, mut request: EvaluationRequest) -> Result<Prepared> {
        let items = items(std::mem::take(&mut request.items))?;
        if items.is_empty() {
            return Err(wrong("items", "it is empty"));
        }
        if request.models.is_empty() {
            return Err(wrong("models", "it is empty: name the single models that fusions are compared with"));
        }
        let at_once = request.concurrency.unwrap_or(CONCURRENCY);
        if !(1..=MOST_AT_ONCE).contains(&at_once) {
            return Err(wrong("concurrency", &format!("it must be from 1 to {MOST_AT_ONCE}")));
        }
        let cap = request.max_cost_usd.as_deref().map(str::parse::<NanoUsd>).transpose();
        let cap = cap.map_err(|e| wrong("max_cost_usd", &e.to_string()))?;
        let contestants = contestants(&request)?;
        let mut prepared = Prepared {
            ask,
            config: config.clone(),
            request,
            items,
            contestants,
            grader: None,
            cap,
            at_once: at_once as usize,
        };
        prepared.check()?;
        let judge = prepared.request.judge.clone().map(|mut judge| {
            judge.provider = judge.provider.or_else(|| prepared.request.provider.clone());
            judge
        });
        prepared.grader = judge.map(Grader::new).transpose()?;
        Ok(prepared)
    }

    /// Refuses what is wrong with any question, model or fusion before anything is sent.
    fn check(&self) -> Result<()> {
        for (i, item) in self.items.iter().enumerate() {
            if item.prompt.as_deref().is_none_or(|p| p.trim().is_empty()) {
                return Err(wrong(&format!("items[{i}].prompt"), "it is missing or empty"));
            }
            if item.gold.is_none() && self.request.judge.is_none() {
                let why = "it is missing, and no `judge` is named that could say what is right";
                return Err(wrong(&format!("items[{i}].gold"), why));
            }
        }
        let mut taking_part = BTreeSet::new();
        for contestant in &self.contestants {
            let plan = self.plan(contestant, &self.items[0]).map_err(|mut error| {
                let body = error.body_mut();
                body.message = format!("`{}`: {}", contestant.name, body.message);
                error
            })?;
            taking_part.extend(plan.members.iter().map(|seat| bare(&seat.member.model).to_owned()));
            if contestant.mode.is_some() {
                taking_part.insert(bare(&plan.judge.model).to_owned());
            }
        }
        match &self.request.judge {
            Some(judge) if taking_part.contains(bare(&judge.model)) => {
                let why = format!(
                    "`{}` takes part itself; name a model that is neither asked nor judges in a fusion",
                    judge.model
                );
                Err(wrong("judge", &why))
            }
            _ => Ok(()),
        }
    }

    fn plan(&self, contestant: &Contestant, item: &Labelled) -> Result<Plan> {
        let mut fusion = contestant.options.clone();
        fusion.extract = fusion.extract.or_else(|| self.request.extract.clone());
        let mut messages: Vec<Message> = self.request.system.iter().map(Message::system).collect();
        messages.push(Message::user(item.prompt.as_deref().unwrap_or_default()));
        let asked = &self.request;
        let chat = ChatRequest {
            messages,
            provider: asked.provider.clone(),
            temperature: asked.temperature,
            max_tokens: asked.max_tokens,
            max_retries: asked.max_retries,
            extra_headers: asked.extra_headers.clone(),
            timeout_ms: asked.timeout_ms.filter(|_| fusion.deadline_ms.is_none()),
            tags: asked.tags.clone(),
            ..Default::default()
        };
        plan::from_fuse(FuseRequest { prompt: None, fusion, chat }, &self.config)
    }

    /// What the checkpoint is about: everything that an answer or its grade depends on.
    fn hash(&self) -> String {
        let mut asked = self.request.clone();
        (asked.concurrency, asked.max_cost_usd, asked.checkpoint, asked.report, asked.tags) =
            (None, None, None, None, None);
        (asked.max_retries, asked.extra_headers, asked.timeout_ms) = (None, None, None);
        let question =
            |item: &Labelled| Labelled { prompt: item.prompt.clone(), gold: item.gold.clone(), ..Default::default() };
        asked.items = self.items.iter().map(question).collect::<Vec<_>>().into();
        let pools = serde_json::to_string(&self.config.pools).unwrap_or_default();
        let text = format!("{}{pools}", serde_json::to_string(&asked).unwrap_or_default());
        sha256_hex(text.as_bytes())
    }

    /// The checkpoint and what stands in it.
    async fn opened(&self, path: &str) -> Result<(Checkpoint, Vec<Kept<Done>>)> {
        let mut lines = Vec::new();
        let mut each = |_, text: &str| {
            lines.push(serde_json::from_str(text)?);
            Ok(())
        };
        let file = Checkpoint::open(path, &CHECKPOINT, &self.hash(), &mut each).await?;
        Ok((file, lines))
    }

    async fn run(self, tell: &(dyn Fn(EvaluationEvent) + Send + Sync)) -> Result<Evaluation> {
        let (file, lines) = match self.request.checkpoint.as_deref() {
            Some(path) => self.opened(path).await.map(|(file, lines)| (Some(file), lines))?,
            None => (None, Vec::new()),
        };
        let before = lines.iter().map(|l| (l.spent_nanos, l.unknown_calls)).max().unwrap_or_default();
        let planned = self.items.len();
        let mut done: BTreeMap<usize, BTreeMap<String, ItemOutcome>> =
            lines.into_iter().filter_map(|l| Some((l.line.item.filter(|i| *i < planned)?, l.line.outcomes))).collect();
        let meter = Meter::new(self.cap, before.0, before.1);
        let spending = meter.clone();
        // Also of what was paid for items that an interruption left unfinished.
        let mut file = file.map(|file| {
            Keeping::new(file, before, move || {
                let spent = spending.spent();
                (spent.nanos, spent.unknown_calls)
            })
        });
        let progress = |done: usize| EvaluationEvent::Progress {
            done: done as u32,
            of: planned as u32,
            spent_nanos: meter.spent().nanos,
        };
        tell(progress(done.len()));

        let open: Vec<usize> = (0..planned).filter(|i| !done.contains_key(i)).collect();
        let mut working = iter(open).map(|i| self.item(i, &meter)).buffer_unordered(self.at_once);
        while let Some(finished) = working.next().await {
            // An item of which a call was not made for want of money does not count.
            let Some(line) = finished? else { continue };
            if let Some(file) = &mut file {
                file.append(&line)?;
            }
            if let Some(item) = line.item {
                done.insert(item, line.outcomes);
            }
            tell(progress(done.len()));
        }
        drop(working);
        if let Some(file) = file {
            file.end()?;
        }
        let spent = meter.spent();
        let names: Vec<(&str, Option<FusionMode>)> =
            self.contestants.iter().map(|c| (c.name.as_str(), c.mode)).collect();
        let found = summary::summarise(&names, planned, done.into_values().collect(), &spent);
        if let Some(path) = &self.request.report {
            let page = html::page(&found);
            let unwritten = |e| Error::new(ErrorKind::Storage, format!("{path} cannot be written: {e}"));
            ledger::whole(Path::new(path), |out| out.write_all(page.as_bytes()).map_err(unwritten))
                .map_err(|e| e.with_param("report"))?;
        }
        Ok(found)
    }

    /// All contestants on one item; nothing when a call would have passed the cap.
    async fn item(&self, i: usize, meter: &Arc<Meter>) -> Result<Option<Done>> {
        if meter.spent().refused.is_some() {
            return Ok(None);
        }
        let item = &self.items[i];
        let answers: Arc<Answers> = Arc::default();
        let mut asked: Vec<BoxFuture<'_, Result<(ItemOutcome, String)>>> = Vec::new();
        for contestant in &self.contestants {
            let plan = self.plan(contestant, item)?;
            let contending = Contending {
                ask: self.ask.clone(),
                meter: meter.clone(),
                answers: answers.clone(),
                times: Mutex::default(),
            };
            asked.push(self.contest(plan, contending, item).boxed());
        }
        let results = join_all(asked).await.into_iter().collect::<Result<Vec<_>>>()?;
        let (mut outcomes, mut texts) = (BTreeMap::new(), Vec::new());
        for (contestant, (outcome, text)) in self.contestants.iter().zip(results) {
            outcomes.insert(contestant.name.clone(), outcome);
            texts.push((contestant, text));
        }
        if item.gold.is_none()
            && let Some(grader) = &self.grader
        {
            self.judged(grader, item, meter, &texts, &mut outcomes).await;
        }
        if meter.spent().refused.is_some() {
            return Ok(None);
        }
        let single =
            |(c, text): (&Contestant, String)| (c.mode.is_none() && !text.is_empty()).then(|| (c.name.clone(), text));
        Ok(Some(Done {
            item: Some(i),
            prompt: item.prompt.clone(),
            gold: item.gold.clone(),
            answers: texts.into_iter().filter_map(single).collect(),
            outcomes,
        }))
    }

    async fn contest(&self, plan: Plan, contending: Contending, item: &Labelled) -> Result<(ItemOutcome, String)> {
        let reader = plan.reader.clone();
        let started = tokio::time::Instant::now();
        match Run::new(plan, Arc::new(contending), Arc::<Memory>::default(), false).execute().await {
            Ok(fused) => {
                let right = item.gold.as_deref().map(|gold| reader.gives(&fused.text, gold));
                let cost = &fused.report.cost;
                let outcome = ItemOutcome {
                    right,
                    cost_nanos: cost.known_nanos,
                    unknown_calls: cost.unknown_calls,
                    calls: cost.calls,
                    latency_ms: fused.report.latency.total_ms,
                    error: None,
                };
                Ok((outcome, fused.text))
            }
            Err(error) => {
                let body = error.body();
                let outcome = ItemOutcome {
                    right: Some(false),
                    cost_nanos: body.cost_nanos.unwrap_or(0),
                    unknown_calls: u32::from(body.cost_nanos.is_none()),
                    calls: (body.members.len() as u32).max(1),
                    latency_ms: super::ask::ms(started.elapsed()),
                    error: Some(error.kind()),
                };
                Ok((outcome, String::new()))
            }
        }
    }

    /// Fills in what the judge says; equal texts are judged once.
    async fn judged(
        &self,
        grader: &Grader,
        item: &Labelled,
        meter: &Arc<Meter>,
        texts: &[(&Contestant, String)],
        outcomes: &mut BTreeMap<String, ItemOutcome>,
    ) {
        let answered = |name: &str| outcomes.get(name).is_some_and(|o| o.error.is_none());
        let distinct: BTreeSet<&str> =
            texts.iter().filter(|(c, _)| answered(&c.name)).map(|(_, t)| t.as_str()).collect();
        let question = item.prompt.as_deref().unwrap_or_default();
        let verdicts = distinct.into_iter().map(|text| async move {
            let asking = Arc::new(Contending {
                ask: self.ask.clone(),
                meter: meter.clone(),
                answers: Arc::default(),
                times: Mutex::default(),
            });
            (text, grader.grade(asking, question, text, self.request.tags.clone().unwrap_or_default()).await)
        });
        let verdicts: BTreeMap<&str, Option<bool>> = join_all(verdicts).await.into_iter().collect();
        for (contestant, text) in texts {
            if let Some(outcome) = outcomes.get_mut(&contestant.name).filter(|o| o.error.is_none()) {
                outcome.right = verdicts.get(text.as_str()).copied().flatten();
            }
        }
    }
}

/// Models first, then fusions, each under a name of its own.
fn contestants(request: &EvaluationRequest) -> Result<Vec<Contestant>> {
    let mut all: Vec<Contestant> = Vec::new();
    for (i, member) in request.models.iter().enumerate() {
        let name = member.name.clone().unwrap_or_else(|| member.model.clone());
        if all.iter().any(|c| c.name == name) {
            return Err(wrong(
                &format!("models[{i}]"),
                &format!("`{name}` is there already; give one of them a `name`"),
            ));
        }
        // A member's name stands in a report only; without it, fusions that list the model ask the same.
        let options = FusionOptions {
            pool: Some(Pool::Members(vec![Member { name: None, ..member.clone() }])),
            deadline_ms: member.timeout_ms,
            ..Default::default()
        };
        all.push(Contestant { name, mode: None, options });
    }
    for (name, options) in &request.fusions {
        if all.iter().any(|c| c.name == *name) {
            return Err(wrong(&format!("fusions.{name}"), "a model has that name"));
        }
        let mode = Some(options.mode.unwrap_or_default());
        all.push(Contestant { name: name.clone(), mode, options: options.clone() });
    }
    Ok(all)
}

fn wrong(param: &str, why: &str) -> Error {
    Error::invalid_request(format!("`{param}`: {why}")).with_param(param)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
