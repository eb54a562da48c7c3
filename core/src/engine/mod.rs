//! The only owner of attempts: sends, waits, retries, moves to the next target, books every attempt.

mod attempt;
mod booking;
mod held;
mod images;
mod operation;
mod retry;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::{Endpoints, KeySources};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::{Attempt, Error, ErrorKind, Result};
use crate::http::{ReqwestTransport, Transport, Web};
use crate::ledger::{self, LedgerStore, MemoryLedger, Priced};
use crate::money::NanoUsd;
use crate::routing::{RouteOn, Router, Target};
use crate::types::{
    ChatCompletion, ChatRequest, Config, EmbeddingRequest, EmbeddingResponse, Explanation, ProviderPreferences,
    Purpose, RateLimit, ResponseMeta, Tags, Terms,
};
use operation::{Chat, Embeddings, Operation, StreamedChat, Whole};

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
pub struct Engine(Arc<Inner>);

struct Inner {
    config: Config,
    router: Router,
    transport: Arc<dyn Transport>,
    web: Arc<dyn Web>,
    ledger: Arc<dyn LedgerStore>,
    clock: Arc<dyn Clock>,
}

/// Parts of an engine that can be replaced.
pub struct Parts {
    /// Providers, models, prices.
    pub catalog: Arc<Catalog>,
    /// What sends requests; reqwest by default.
    pub transport: Option<Arc<dyn Transport>>,
    /// What reaches addresses that a request names; reqwest by default.
    pub web: Option<Arc<dyn Web>>,
    /// Where records go; memory by default.
    pub ledger: Option<Arc<dyn LedgerStore>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Keys of the host's own making, by provider.
    pub keys: KeySources,
}

impl Engine {
    /// An engine for a configuration. Reads keys; connects to nothing.
    ///
    /// # Errors
    /// `invalid_config` naming the path of the fault.
    pub fn new(config: Config, parts: Parts) -> Result<Self> {
        let endpoints = Endpoints::new(&config, &parts.catalog, parts.keys)?;
        let router = Router::new(&parts.catalog, endpoints, &config, parts.clock.clone())?;
        let ours = Arc::new(ReqwestTransport::new(config.network.clone(), &config.timeouts));
        let web = parts.web.unwrap_or_else(|| ours.clone());
        let transport = parts.transport.unwrap_or(ours);
        let ledger = parts.ledger.unwrap_or_else(|| Arc::new(MemoryLedger::new(config.ledger.max_records)));
        Ok(Engine(Arc::new(Inner { config, router, transport, web, ledger, clock: parts.clock })))
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

    /// Fetches the images of a request that asks for it. When it did, returns when the call must be over.
    pub(crate) async fn fetch_images(&self, request: &mut ChatRequest) -> Result<Option<Instant>> {
        images::inline(self, request).await
    }

    /// One answer. `response.interfuse` tells provider, attempts, latency and cost. Dropping the future closes the
    /// connection and books the attempt as cancelled.
    pub async fn chat(&self, request: &ChatRequest, cx: &CallContext) -> Result<ChatCompletion> {
        let mut call = Call::new(self, Chat(request), cx)?;
        let Whole { mut answer, served } = call.run().await?;
        answer.interfuse = Some(call.log.meta(served));
        Ok(answer)
    }

    /// One streamed answer; returns when the first output is there, so that failures before it are retried like any
    /// other. The last chunk carries `interfuse`. Dropping the stream closes the connection.
    pub async fn stream(&self, request: &ChatRequest, cx: &CallContext) -> Result<ChatStream> {
        let mut call = Call::new(self, StreamedChat(request), cx)?;
        let open = call.run().await?;
        let with_usage = request.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false);
        Ok(open.into_stream(call.log, with_usage))
    }

    /// Embeddings, booked and told as [`Engine::chat`] does.
    pub async fn embeddings(&self, request: &EmbeddingRequest, cx: &CallContext) -> Result<EmbeddingResponse> {
        let mut call = Call::new(self, Embeddings(request), cx)?;
        let Whole { mut answer, served } = call.run().await?;
        answer.interfuse = Some(call.log.meta(served));
        Ok(answer)
    }
}

/// What is known of the attempt that answered.
#[derive(Default)]
struct Served {
    provider: String,
    model: String,
    priced: Priced,
    served_by: Option<String>,
    rate_limit: Option<RateLimit>,
    dropped: Vec<String>,
    request_id: Option<String>,
    ttft_ms: Option<u64>,
}

/// One call on its way: its targets, its attempts so far.
struct Call<'a, O> {
    engine: &'a Engine,
    operation: O,
    cx: &'a CallContext,
    targets: Vec<Arc<Target>>,
    log: CallLog,
}

/// What a call has tried and spent; outlives the request of a stream.
struct CallLog {
    started: Instant,
    deadline: Instant,
    timeout: Duration,
    attempts: Vec<Attempt>,
    /// Cost of each attempt, unknown ones included.
    costs: Vec<Option<NanoUsd>>,
    /// How the targets were chosen, when that was asked for.
    explanation: Option<Box<Explanation>>,
}

impl<'a, O: Operation> Call<'a, O> {
    fn new(engine: &'a Engine, operation: O, cx: &'a CallContext) -> Result<Self> {
        let terms = Terms { within: cx.within.as_deref(), ..operation.terms() };
        let plan = engine.0.router.plan(&terms, operation.need())?;
        let targets = plan.routes.into_iter().filter(|r| r.on == RouteOn::Any).map(|r| r.target).collect();
        let started = Instant::now();
        let timeout = Duration::from_millis(terms.timeout_ms.unwrap_or(engine.0.config.timeouts.total_ms));
        let mut deadline = started + timeout;
        if let Some(outer) = cx.deadline {
            deadline = deadline.min(outer);
        }
        let log = CallLog {
            started,
            deadline,
            timeout,
            attempts: Vec::new(),
            costs: Vec::new(),
            explanation: plan.explanation,
        };
        Ok(Call { engine, operation, cx, targets, log })
    }

    /// Tries targets until one answers.
    async fn run(&mut self) -> Result<O::Answer> {
        let retries = &self.engine.0.config.retries;
        let max_retries = self.operation.terms().max_retries.unwrap_or(retries.max_retries);
        let (mut place, mut tries_here, mut waited) = (0, 0, Duration::ZERO);
        loop {
            let error = match attempt::make(self, place, waited).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            tries_here += 1;
            let more_targets = place + 1 < self.targets.len();
            let may_try = self.log.attempts.len() < retries.max_attempts as usize;
            let step = retry::next(&error, tries_here, max_retries, more_targets, retries);
            match step {
                retry::Step::Again(wait) if may_try && Instant::now() + wait < self.log.deadline => {
                    tokio::time::sleep(wait).await;
                    waited = wait;
                }
                retry::Step::NextTarget if may_try => {
                    place += 1;
                    tries_here = 0;
                    waited = Duration::ZERO;
                }
                _ => return Err(self.log.finish(error)),
            }
        }
    }
}

impl CallLog {
    /// The error of the whole call: the last one, with all attempts and what they cost.
    fn finish(&self, mut error: Error) -> Error {
        let body = error.body_mut();
        body.details.remove("dispatch");
        body.attempts = self.attempts.clone();
        body.cost_nanos = ledger::total(self.costs.iter().copied()).map(NanoUsd::nanos);
        error
    }

    /// What a call that was answered tells of itself.
    fn meta(&mut self, served: Served) -> ResponseMeta {
        let cost = ledger::total(self.costs.iter().copied());
        ResponseMeta {
            provider: served.provider,
            model: served.model,
            attempts: std::mem::take(&mut self.attempts),
            cost_nanos: cost.map(NanoUsd::nanos),
            cost_usd: cost.map(|c| c.to_string()),
            cost_source: cost.and(served.priced.source),
            served_by: served.served_by,
            rate_limit: served.rate_limit,
            dropped: served.dropped,
            request_id: served.request_id,
            latency_ms: self.started.elapsed().as_millis() as u64,
            ttft_ms: served.ttft_ms,
            explanation: self.explanation.take(),
            fusion: None,
        }
    }

    fn deadline_passed(&self) -> Error {
        Error::new(
            ErrorKind::DeadlineExceeded,
            format!(
                "the call took longer than its timeout of {} ms; raise `timeout_ms` (or `timeouts.total_ms`)",
                self.timeout.as_millis().min(self.deadline.duration_since(self.started).as_millis())
            ),
        )
    }
}
