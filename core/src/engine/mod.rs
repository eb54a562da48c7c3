//! The only owner of attempts: sends, waits, retries, moves to the next target, books every attempt.

mod attempt;
mod booking;
mod budgets;
mod cache;
mod course;
mod entry;
mod estimate;
mod hedge;
mod held;
mod images;
mod interrupt;
mod limits;
mod operation;
mod reading;
mod refusal;
mod seam;
mod stream;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use once_cell::sync::OnceCell;
use tokio::time::Instant;

use crate::backend::{Endpoints, KeySources};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::{Attempt, Error, ErrorKind, Result};
use crate::http::{ReqwestTransport, Transport, Web};
use crate::ledger::budget::Budget;
use crate::ledger::{self, LedgerStore};
use crate::money::NanoUsd;
use crate::routing::{Plan, Router};
use crate::types::{
    ChatCompletion, ChatRequest, Config, CostSource, EmbeddingRequest, EmbeddingResponse, Explanation, LedgerRecord,
    OnInterrupt, Piece, ProviderPreferences, Purpose, RateLimit, ResponseMeta, RetryConfig, Tags, Terms, Timeout,
    TimeoutConfig,
};
use attempt::Trial;
use budgets::{Budgets, Spending};
use cache::{AnswerCache, Kept, Look};
use course::{Course, Failure, Step};
use entry::Entry;
use hedge::{Hedge, Hedges};
use interrupt::Recovery;
use operation::{Chat, Embeddings, Operation, StreamedChat, Whole};

pub(crate) use budgets::Purse;
pub(crate) use estimate::{Added, Spread};
pub(crate) use refusal::Whose;
pub use stream::ChatStream;

/// What a call is made for, by whom it is paid, and until when it may run.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Id shared by all calls of one run; the ledger's key.
    pub run_id: String,
    /// What the call is for.
    pub purpose: Purpose,
    /// When the call must be over, beside its own timeout.
    pub deadline: Option<Instant>,
    /// Labels for the ledger.
    pub tags: Tags,
    /// Preferences of whoever the call is made for, whose hard filters hold beside those of the request.
    pub within: Option<Arc<ProviderPreferences>>,
}

impl CallContext {
    /// A new run.
    pub fn new(purpose: Purpose, tags: Tags) -> Self {
        CallContext { run_id: crate::ids::new(), purpose, deadline: None, tags, within: None }
    }
}

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>, Option<Arc<Purse>>);

struct Inner {
    config: Config,
    router: Router,
    transport: Arc<dyn Transport>,
    web: Arc<dyn Web>,
    ledger: Arc<dyn LedgerStore>,
    clock: Arc<dyn Clock>,
    budgets: Budgets,
    /// Why the latest attempt that could not be booked could not, until an answer tells it.
    unbooked: Mutex<Option<Error>>,
    hedges: Hedges,
    /// Answers kept; made when the first request asks for it.
    cache: OnceCell<Arc<AnswerCache>>,
}

/// Parts of an engine that can be replaced.
pub struct Parts {
    /// Providers, models, prices.
    pub catalog: Arc<Catalog>,
    /// What sends requests; reqwest by default.
    pub transport: Option<Arc<dyn Transport>>,
    /// What reaches addresses that a request names; reqwest by default.
    pub web: Option<Arc<dyn Web>>,
    /// Where records go; what the configuration says by default.
    pub ledger: Option<Arc<dyn LedgerStore>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Keys of the host's own making, by provider.
    pub keys: KeySources,
}

impl Engine {
    /// An engine for a configuration. Reads keys, opens the ledger; connects to nothing.
    ///
    /// # Errors
    /// `invalid_config` naming the path of the fault, `storage` for a ledger that cannot be opened.
    pub fn new(config: Config, parts: Parts) -> Result<Self> {
        let endpoints = Endpoints::new(&config, &parts.catalog, parts.keys)?;
        let router = Router::new(&parts.catalog, endpoints, &config, parts.clock.clone())?;
        let budgets = Budgets::new(Budget::all(&config.budgets)?);
        let ours = Arc::new(ReqwestTransport::new(config.network.clone(), &config.timeouts));
        let web = parts.web.unwrap_or_else(|| ours.clone());
        let transport = parts.transport.unwrap_or(ours);
        let ledger = parts.ledger.map_or_else(|| ledger::open(&config.ledger), Ok)?;
        let inner = Inner {
            config,
            router,
            transport,
            web,
            ledger,
            clock: parts.clock,
            budgets,
            unbooked: Mutex::default(),
            hedges: Hedges::default(),
            cache: OnceCell::new(),
        };
        Ok(Engine(Arc::new(inner), None))
    }

    /// The same, all of whose calls are paid from one budget.
    pub(crate) fn paid_from(&self, purse: Arc<Purse>) -> Self {
        Engine(self.0.clone(), Some(purse))
    }

    /// The wall clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Where requests may go.
    pub fn router(&self) -> &Router {
        &self.0.router
    }

    /// The ledger.
    pub fn ledger(&self) -> &dyn LedgerStore {
        &*self.0.ledger
    }

    /// Books an attempt. Whatever becomes of that, its call goes on; the next answer tells.
    fn book(&self, record: LedgerRecord) {
        log(&record);
        if let Err(why) = self.0.ledger.record(record) {
            tracing::error!(target: "interfuse", error = %why, "an attempt could not be booked");
            *self.0.unbooked.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        }
    }

    /// What keeps attempts out of the ledger, for an answer to tell.
    pub(crate) fn ledger_error(&self) -> Option<String> {
        let unbooked = self.0.unbooked.lock().unwrap_or_else(PoisonError::into_inner).take();
        unbooked.or_else(|| self.0.ledger.failure()).map(|why| why.message().to_owned())
    }

    /// Fetches the images of a request that asks for it. When it did, returns when the call must be over.
    pub(crate) async fn fetch_images(&self, request: &mut ChatRequest) -> Result<Option<Instant>> {
        images::inline(self, request).await
    }

    /// One answer. `response.interfuse` tells provider, attempts, latency and cost. Dropping the future closes the
    /// connection and books the attempt as cancelled.
    pub async fn chat(&self, request: &ChatRequest, cx: &CallContext) -> Result<ChatCompletion> {
        let place = match self.kept(request, cx).await? {
            Some(Look::Kept(kept)) => return Ok(self.again(&kept, cx)),
            Some(Look::Mine(place)) => Some(place),
            None => None,
        };
        let operation = Chat(request);
        let mut way = Way::new(self, &operation, cx)?;
        let mut call = Call { engine: self, operation, cx, way: &mut way };
        let Whole { mut answer, served } = call.run().await?;
        answer.interfuse = Some(Box::new(way.meta(served)));
        if let Some(place) = place {
            place.keep(&answer);
        }
        Ok(answer)
    }

    /// One streamed answer; returns when the first output is there, so that failures before it are retried like any
    /// other. What follows a failure after it, the request's `on_interrupt` says. The last chunk carries `interfuse`.
    /// Dropping the stream closes the connection.
    pub async fn stream(&self, request: &ChatRequest, cx: &CallContext) -> Result<ChatStream> {
        let with_usage = request.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false);
        let place = match self.kept(request, cx).await? {
            Some(Look::Kept(kept)) => return Ok(stream::whole(self.again(&kept, cx), with_usage)),
            Some(Look::Mine(place)) => Some(place),
            None => None,
        };
        let operation = StreamedChat { request, rest: None };
        let mut way = Way::new(self, &operation, cx)?;
        let open = Call { engine: self, operation, cx, way: &mut way }.run().await?;
        // Only who wants to go on after an interruption pays for keeping the request.
        let recovery = match request.on_interrupt.unwrap_or_default() {
            OnInterrupt::Error => None,
            how => Some(Recovery::new(self, request, cx, how)),
        };
        Ok(stream::caller(open, way, with_usage, recovery, place))
    }

    /// Looks whether the answer to a request is there already, where the request or the configuration wants that.
    async fn kept(&self, request: &ChatRequest, cx: &CallContext) -> Result<Option<Look>> {
        let config = &self.0.config;
        if !request.cache.unwrap_or(config.cache.is_some()) {
            return Ok(None);
        }
        let made = || Arc::new(AnswerCache::new(&config.cache.clone().unwrap_or_default()));
        let cache = self.0.cache.get_or_init(made);
        let key = cache::key(request, &self.tags(cx))?;
        // The turn may be another call's, which takes as long as it takes.
        let started = Instant::now();
        let timeout = total(request.timeout_ms, request.timeouts.as_ref(), config);
        let end = cx.deadline.map_or(started + timeout, |outer| outer.min(started + timeout));
        let look = tokio::time::timeout_at(end, cache.look(key)).await;
        look.map(Some).map_err(|_| Timeout::Total.fired(end - started, started.elapsed(), 0))
    }

    /// A kept answer, booked: it costs nothing.
    fn again(&self, kept: &Kept, cx: &CallContext) -> ChatCompletion {
        let mut answer = kept.answer.clone();
        booking::kept(self, cx, &kept.by, answer.usage.as_ref());
        let cost = NanoUsd::ZERO;
        answer.interfuse = Some(Box::new(ResponseMeta {
            provider: kept.by.provider.clone(),
            model: kept.by.model.clone(),
            cost_nanos: Some(cost.nanos()),
            cost_usd: Some(cost.to_string()),
            cached_ms: Some(kept.at.elapsed().as_millis() as u64),
            ledger_error: self.ledger_error(),
            ..Default::default()
        }));
        answer
    }

    /// Labels of a call: the client's, and its own.
    fn tags(&self, cx: &CallContext) -> Tags {
        let mut tags = self.0.config.tags.clone();
        tags.extend(cx.tags.iter().map(|(k, v)| (k.clone(), v.clone())));
        tags
    }

    /// Embeddings, booked and told as [`Engine::chat`] does.
    pub async fn embeddings(&self, request: &EmbeddingRequest, cx: &CallContext) -> Result<EmbeddingResponse> {
        let operation = Embeddings(request);
        let mut way = Way::new(self, &operation, cx)?;
        let mut call = Call { engine: self, operation, cx, way: &mut way };
        let Whole { mut answer, served } = call.run().await?;
        answer.interfuse = Some(Box::new(way.meta(served)));
        Ok(answer)
    }
}

/// What is known of the attempt that answered.
#[derive(Default)]
struct Served {
    provider: String,
    model: String,
    cost: Option<NanoUsd>,
    cost_source: Option<CostSource>,
    served_by: Option<String>,
    rate_limit: Option<RateLimit>,
    dropped: Vec<String>,
    request_id: Option<String>,
    ttft_ms: Option<u64>,
}

/// One call on its way.
struct Call<'a, O> {
    engine: &'a Engine,
    operation: O,
    cx: &'a CallContext,
    way: &'a mut Way,
}

/// Where a call may go, where it has been; outlives the request of a stream.
struct Way {
    plan: Plan,
    course: Course,
    log: CallLog,
    /// What it may spend, where anything limits that.
    spending: Option<Spending>,
}

/// What a call has tried and spent.
struct CallLog {
    /// Whose call it is.
    engine: Engine,
    started: Instant,
    deadline: Instant,
    timeout: Duration,
    attempts: Vec<Attempt>,
    /// Id of the record of the first attempt.
    first: OnceLock<String>,
    /// Cost of each attempt, unknown ones included.
    costs: Vec<Option<NanoUsd>>,
    /// Who gave the pieces of an answer that was continued; empty when it was not.
    pieces: Vec<Piece>,
    /// How the targets were chosen, when that was asked for.
    explanation: Option<Box<Explanation>>,
}

impl Way {
    fn new(engine: &Engine, operation: &impl Operation, cx: &CallContext) -> Result<Self> {
        let terms = Terms { within: cx.within.as_deref(), ..operation.terms() };
        let spending = Spending::of(engine, cx, operation.need(), estimate::cap(&terms)?);
        let mut plan = engine.0.router.plan(&terms, operation.need())?;
        let config = &engine.0.config;
        let started = Instant::now();
        let timeout = total(terms.timeout_ms, terms.timeouts, config);
        let mut deadline = started + timeout;
        if let Some(outer) = cx.deadline {
            deadline = deadline.min(outer);
        }
        let course = Course::new(&config.retries, terms.max_retries);
        let log = CallLog {
            engine: engine.clone(),
            started,
            deadline,
            timeout,
            attempts: Vec::new(),
            first: OnceLock::new(),
            costs: Vec::new(),
            pieces: Vec::new(),
            explanation: plan.explanation.take(),
        };
        Ok(Way { plan, course, log, spending })
    }

    /// What a call that was answered tells of itself.
    fn meta(&mut self, served: Box<Served>) -> ResponseMeta {
        let budget_warnings = self.spending.as_ref().map(Spending::warnings).unwrap_or_default();
        ResponseMeta { budget_warnings, ..self.log.meta(served) }
    }

    /// What follows the attempt that was noted last.
    fn after(&mut self, error: &Error, config: &RetryConfig) -> Step {
        let failure = Failure::of(error, self.log.attempts.last());
        let time = self.log.deadline.saturating_duration_since(Instant::now());
        self.course.after(failure, &self.plan.routes, time, config, fastrand::f64())
    }
}

impl<O: Operation> Call<'_, O> {
    /// Tries routes until one answers.
    async fn run(&mut self) -> Result<O::Answer> {
        let (mut waited, mut last) = (Duration::ZERO, None);
        loop {
            let entry = match self.enter().await {
                Ok(Some(entry)) => entry,
                Ok(None) => return Err(self.way.log.finish(last.unwrap_or_else(nowhere))),
                Err(error) => return Err(self.way.log.finish(after(error, last.as_ref()))),
            };
            let error = match self.attempt(entry, waited).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match self.way.after(&error, &self.engine.0.config.retries) {
                Step::Again(wait) => {
                    tokio::time::sleep(wait).await;
                    waited = wait;
                }
                Step::Move(_) => waited = Duration::ZERO,
                Step::Stop => return Err(self.way.log.finish(error)),
            }
            last = Some(error);
        }
    }

    /// Leave for the next attempt, which the course has then begun.
    async fn enter(&mut self) -> Result<Option<Entry>> {
        let given = self.operation.terms().timeouts.and_then(|timeouts| timeouts.get(Timeout::PoolWait));
        let pool_wait = given.or_else(|| self.engine.0.config.timeouts.get(Timeout::PoolWait));
        let entry = entry::enter(self.engine, self.way, pool_wait, self.operation.need()).await?;
        Ok(entry.filter(|_| self.way.course.begin()))
    }

    /// The attempt that the course has begun, and one beside it where it takes long and the caller wants that; notes both.
    async fn attempt(&mut self, entry: Entry, waited: Duration) -> Result<O::Answer> {
        let course = &self.way.course;
        let number = self.way.log.attempts.len() as u32 + 1;
        let trial = Trial::new(self, course.place, entry, course.why(), number, waited);
        match Hedge::of(self) {
            None => attempt::make(self, trial).await.note(&mut self.way.log),
            Some(hedge) => Box::pin(hedge::race(self, trial, hedge)).await,
        }
    }
}

/// Tells the log how an attempt ended, in words that hold nothing of what was asked or answered.
fn log(record: &LedgerRecord) {
    let LedgerRecord { run_id, attempt, latency_ms, cost_nanos, .. } = record;
    let (provider, model) = (record.provider.as_str(), record.model.as_str());
    match record.error {
        None => tracing::debug!(
            target: "interfuse", provider, model, attempt, latency_ms, cost_nanos, cached = record.cached, %run_id,
            "an attempt was answered"
        ),
        Some(ErrorKind::Cancelled) => tracing::debug!(
            target: "interfuse", provider, model, attempt, latency_ms, cost_nanos, %run_id, "an attempt was cancelled"
        ),
        Some(kind) => tracing::info!(
            target: "interfuse", provider, model, attempt, kind = kind.as_str(), latency_ms, cost_nanos, %run_id,
            "an attempt failed"
        ),
    }
}

/// An error that leaves no attempt to be made, with that of the attempt before it.
fn after(mut error: Error, last: Option<&Error>) -> Error {
    if let (ErrorKind::BudgetExceeded, Some(last)) = (error.kind(), last) {
        let body = error.body_mut();
        body.message = body.message.replacen("nothing was sent", "nothing more was sent", 1);
        body.message = format!("{}; before that: {last}", body.message);
    }
    error
}

/// The error of a call that was not let anywhere.
fn nowhere() -> Error {
    Error::new(ErrorKind::Internal, "no route was taken")
}

/// How long a call may take.
fn total(timeout_ms: Option<u64>, timeouts: Option<&TimeoutConfig>, config: &Config) -> Duration {
    timeout_ms
        .map(Duration::from_millis)
        .or_else(|| timeouts?.get(Timeout::Total))
        .or_else(|| config.timeouts.get(Timeout::Total))
        .unwrap_or(TOTAL)
}

/// How long a call may take where nobody says.
const TOTAL: Duration = Duration::from_secs(600);

impl CallLog {
    /// The error of the whole call: the last one, with all attempts and what they cost.
    fn finish(&self, mut error: Error) -> Error {
        let body = error.body_mut();
        body.details.remove("dispatch");
        body.details.extend(self.engine.ledger_error().map(|why| ("ledger_error".to_owned(), why.into())));
        body.attempts = self.attempts.clone();
        body.cost_nanos = ledger::total(self.costs.iter().copied()).map(NanoUsd::nanos);
        error
    }

    /// What a call that was answered tells of itself.
    fn meta(&mut self, served: Box<Served>) -> ResponseMeta {
        let cost = ledger::total(self.costs.iter().copied());
        ResponseMeta {
            provider: served.provider,
            model: served.model,
            attempts: std::mem::take(&mut self.attempts),
            cost_nanos: cost.map(NanoUsd::nanos),
            cost_usd: cost.map(|c| c.to_string()),
            cost_source: cost.and(served.cost_source),
            served_by: served.served_by,
            rate_limit: served.rate_limit,
            dropped: served.dropped,
            request_id: served.request_id,
            latency_ms: self.started.elapsed().as_millis() as u64,
            ttft_ms: served.ttft_ms,
            reset: None,
            spliced: !self.pieces.is_empty(),
            pieces: std::mem::take(&mut self.pieces),
            cached_ms: None,
            budget_warnings: Vec::new(),
            explanation: self.explanation.take(),
            ledger_error: self.engine.ledger_error(),
            fusion: None,
        }
    }

    fn deadline_passed(&self, bytes_seen: u64) -> Error {
        let whole = self.deadline.duration_since(self.started);
        Timeout::Total.fired(self.timeout.min(whole), self.started.elapsed(), bytes_seen)
    }
}

#[cfg(test)]
mod tests;
