//! The facade: everything a user of the library calls.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;

use crate::backend::KeySources;
use crate::catalog::{self, Catalog, LoadedPrices};
use crate::clock::SystemClock;
use crate::engine::{CallContext, ChatStream, Engine, Parts, Purse};
use crate::error::{Error, ErrorKind, Result};
use crate::fusion::{self, EvaluationStream, FusionStream};
use crate::ledger::reconcile::{self, Report};
use crate::ledger::{self, Burn, Party, Surroundings};
use crate::types::{
    BudgetState, ChatCompletion, ChatRequest, Config, CostEstimate, EmbeddingRequest, EmbeddingResponse, Estimable,
    Evaluation, EvaluationRequest, Explanation, ExportFormat, ExportRequest, Exported, Feedback, FuseRequest, Fused,
    FusionReport, LedgerRecord, ModelInfo, ProviderInfo, Purpose, ReconcileOptions, ReconcileRequest, Reconciliation,
    UsageQuery, UsageReport,
};

/// A client. Cheap to clone; all clones share connections and ledger. Needs an ambient tokio runtime for its calls.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    engine: Engine,
    memory: Arc<fusion::Memory>,
}

impl Client {
    /// A client with every vendor's usual key variables, read now, and the configuration that `INTERFUSE_CONFIG` names,
    /// if that is set.
    ///
    /// # Errors
    /// `invalid_config` naming the path of the fault, `storage` for a ledger that cannot be opened; so for all that follow.
    pub fn new() -> Result<Self> {
        Self::from_config(Config::from_environment()?)
    }

    /// A client with a configuration built in code or parsed.
    ///
    /// # Errors
    /// `invalid_config` naming the path of the fault.
    pub fn from_config(config: Config) -> Result<Self> {
        Self::with_keys(config, KeySources::new())
    }

    /// A client from a TOML or JSON document.
    ///
    /// # Errors
    /// `invalid_config` naming the path of the fault.
    pub fn from_document(text: &str) -> Result<Self> {
        Self::from_config(Config::parse(text)?)
    }

    /// A client whose keys for some providers come from callables, asked before every request.
    ///
    /// # Errors
    /// `invalid_config` naming the path of the fault.
    pub fn with_keys(config: Config, keys: KeySources) -> Result<Self> {
        let clock = Arc::new(SystemClock);
        Self::with_parts(
            config,
            Parts { catalog: Catalog::builtin(), transport: None, web: None, ledger: None, clock, keys },
        )
    }

    /// A client with parts of one's own: transport, ledger, clock, catalogue.
    ///
    /// # Errors
    /// `invalid_config` naming the path of the fault.
    pub fn with_parts(config: Config, parts: Parts) -> Result<Self> {
        let memory = Arc::new(fusion::Memory::open(config.fusion.memory.as_deref())?);
        let client = Client(Arc::new(Inner { engine: Engine::new(config, parts)?, memory }));
        if !client.0.engine.config().ledger.billing.is_empty() {
            client.parties()?;
        }
        Ok(client)
    }

    /// The same client, all of whose calls are paid from one budget.
    pub(crate) fn paid_from(&self, purse: Arc<Purse>) -> Self {
        Client(Arc::new(Inner { engine: self.0.engine.paid_from(purse), memory: self.0.memory.clone() }))
    }

    /// What the configuration says.
    pub(crate) fn config(&self) -> &Config {
        self.0.engine.config()
    }

    /// One answer. A model `interfuse/...` runs a fusion and answers in the same shape.
    pub async fn chat(&self, mut request: ChatRequest) -> Result<ChatCompletion> {
        let fusion = fusion::adopt(&mut request)? || is_fusion(&request)?;
        let deadline = self.0.engine.fetch_images(&mut request).await?;
        if fusion {
            // In a box, as all that few calls come to: a call's future is moved about, and each byte of it takes its time.
            return Box::pin(fusion::chat(&self.0.engine, &self.0.memory, request)).await;
        }
        let tags = request.tags.clone().unwrap_or_default();
        let cx = CallContext { deadline, ..CallContext::new(Purpose::Chat, tags) };
        self.0.engine.chat(&request, &cx).await
    }

    /// One streamed answer.
    pub async fn chat_stream(&self, mut request: ChatRequest) -> Result<ChatStream> {
        let fusion = fusion::adopt(&mut request)? || is_fusion(&request)?;
        let deadline = self.0.engine.fetch_images(&mut request).await?;
        if fusion {
            return Box::pin(fusion::chat_stream(&self.0.engine, &self.0.memory, request)).await;
        }
        let tags = request.tags.clone().unwrap_or_default();
        let cx = CallContext { deadline, ..CallContext::new(Purpose::Chat, tags) };
        self.0.engine.stream(&request, &cx).await
    }

    /// Embeddings of one or several inputs, in their order.
    ///
    /// # Errors
    /// As for chat; `unsupported` where a provider gives none, or not of such inputs.
    pub async fn embeddings(&self, request: EmbeddingRequest) -> Result<EmbeddingResponse> {
        if catalog::is_virtual(&request.model) {
            let message = "`model`: a fusion gives no embeddings; name one model";
            return Err(Error::new(ErrorKind::Unsupported, message).with_param("model"));
        }
        if request.input.is_empty() {
            return Err(Error::invalid_request("no `input` given: a text, or a list of texts").with_param("input"));
        }
        let cx = CallContext::new(Purpose::Embedding, request.tags.clone().unwrap_or_default());
        self.0.engine.embeddings(&request, &cx).await
    }

    /// Asks a pool and combines the answers.
    pub async fn fuse(&self, mut request: FuseRequest) -> Result<Fused> {
        self.0.engine.fetch_images(&mut request.chat).await?;
        Box::pin(fusion::fuse(&self.0.engine, &self.0.memory, request)).await
    }

    /// Asks a pool, combines the answers and tells the progress.
    pub async fn fuse_stream(&self, mut request: FuseRequest) -> Result<FusionStream> {
        self.0.engine.fetch_images(&mut request.chat).await?;
        fusion::fuse_stream(&self.0.engine, &self.0.memory, request).await
    }

    /// Asks models and fusions the same questions and tells what each is worth: accuracy with its interval, cost, latency, calls,
    /// wins and losses beside the best single model, and what to use. With a checkpoint it goes on where it was interrupted.
    ///
    /// # Errors
    /// `invalid_request` before anything is sent, also for a checkpoint of another evaluation and for a judge that takes part;
    /// `storage` when the checkpoint or the report cannot be written. Calls that fail count as wrong answers.
    pub async fn evaluate(&self, request: EvaluationRequest) -> Result<Evaluation> {
        fusion::evaluate(&self.0.engine, request).await
    }

    /// The same, told as it goes on. Nothing is sent before the stream is polled.
    ///
    /// # Errors
    /// `invalid_request`; what fails later comes as the stream's last item.
    pub fn evaluate_stream(&self, request: EvaluationRequest) -> Result<EvaluationStream> {
        fusion::evaluate_stream(&self.0.engine, request)
    }

    /// Combines the answers that a fusion's report holds once more: with another judge, in another mode or by other priors, as
    /// the request says, which also holds the question. Its `pool` may name some of the report's members, with their priors. No
    /// member is asked, so that only judges cost anything. See also [`fusion::replay`].
    ///
    /// # Errors
    /// `invalid_request` for a report without a usable answer, for a `pool` or `preset` of others, for `debate`, which asks the
    /// members again, and for `quorum` and `grace_ms`; as [`Client::fuse`] otherwise.
    pub async fn rejudge(&self, report: &FusionReport, request: FuseRequest) -> Result<Fused> {
        fusion::rejudge(&self.0.engine, &self.0.memory, report, request).await
    }

    /// Tells what became of a fusion, which moves the priors of its members and the trust in its judge for the runs that
    /// follow: on this client, and with `fusion.memory` in the configuration on every client that names the same file. Writing
    /// that takes milliseconds.
    ///
    /// # Errors
    /// `not_found` for a run that is not among the last 1024 of this client, or had its feedback; `invalid_request` when the
    /// outcome names a member that gave no answer, or calls a merged answer right or wrong; `storage` when the file cannot be
    /// written, and the feedback may then be given again.
    pub fn feedback(&self, run_id: &str, outcome: &Feedback) -> Result<()> {
        fusion::feedback(&self.0.memory, run_id, outcome)
    }

    /// How the backend of a chat would be chosen now: who is considered, who is left out and why, in which order. Sends
    /// nothing. When nobody is left, `refused` is the error that a call would end with.
    ///
    /// # Errors
    /// `invalid_request` without a model or for preferences that are wrong by themselves, `not_found` for a model that
    /// nobody knows.
    pub fn explain(&self, request: &ChatRequest) -> Result<Explanation> {
        one_model(request, "explain")?;
        self.0.engine.router().explain(&request.terms(), request)
    }

    /// What a request may cost: hardly less, likely, at most. Of a chat at every place it may go to, of a fusion stage by
    /// stage. Sends nothing.
    ///
    /// # Errors
    /// As the call itself before anything is sent, and when nobody is left that would be asked.
    pub fn estimate(&self, request: impl Into<Estimable>) -> Result<CostEstimate> {
        let engine = &self.0.engine;
        match request.into() {
            Estimable::Fusion(request) => fusion::estimate(engine, *request),
            Estimable::Chat(mut request) => match fusion::adopt(&mut request)? || is_fusion(&request)? {
                true => fusion::estimate_chat(engine, *request),
                false => engine.estimate(&request),
            },
        }
    }

    /// Where the configured budgets stand: spent, held for attempts under way, left. A budget with `each` has a row for every
    /// value that there was.
    ///
    /// # Errors
    /// `storage` when the ledger cannot be read.
    pub fn budgets(&self) -> Result<Vec<BudgetState>> {
        self.0.engine.budgets()
    }

    /// Sums over the ledger, everything booked so far included. Of a ledger in a file that is read from the disk, for which
    /// a large one takes some tenths of a second.
    ///
    /// # Errors
    /// `invalid_request` for a time that cannot be read, an unknown time zone, or a value that an attempt never has, `storage`
    /// when the ledger cannot be written or read.
    pub fn usage(&self, query: UsageQuery) -> Result<UsageReport> {
        let engine = &self.0.engine;
        engine.ledger().usage(&ledger::resolve(query, engine.clock().unix_ms())?)
    }

    /// The records of a question's times and filter, one by one, oldest first. What is not read is not fetched: a ledger may
    /// hold more than memory does.
    ///
    /// # Errors
    /// As for `usage`; what goes wrong while reading comes as an item.
    pub fn records(&self, query: UsageQuery) -> Result<RecordStream> {
        let engine = self.0.engine.clone();
        let query = self.understood(query)?;
        let (sender, records) = mpsc::channel(RECORDS_AHEAD);
        tokio::task::spawn_blocking(move || {
            let gone = || Error::new(ErrorKind::Cancelled, "nobody reads the records any more");
            let each = &mut |record: &LedgerRecord| sender.blocking_send(Ok(record.clone())).map_err(|_| gone());
            if let Err(error) = engine.ledger().records(&query, each) {
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(RecordStream(records))
    }

    /// A question with its times as milliseconds, if the ledger can answer it; for who asks later and wants to be told now.
    ///
    /// # Errors
    /// As for `usage`.
    pub fn understood(&self, query: UsageQuery) -> Result<UsageQuery> {
        let query = ledger::resolve(query, self.0.engine.clock().unix_ms())?;
        ledger::Question::new(&query).map(|_| query)
    }

    /// Writes records, sums, charges (FOCUS) or a page for people out of the ledger.
    ///
    /// # Errors
    /// As for `usage`; `storage` when the ledger cannot be read or `out` not be written to, which then holds a part.
    pub fn export(&self, request: &ExportRequest, out: &mut dyn Write) -> Result<Exported> {
        let engine = &self.0.engine;
        // Only the page shows budgets.
        let budgets = if request.format == ExportFormat::Html { self.burns()? } else { Vec::new() };
        let around = Surroundings { parties: self.parties()?, budgets, now_ms: engine.clock().unix_ms() };
        ledger::export(engine.ledger(), request, &around, out)
    }

    /// The same into a file, which is there whole or, after an error, as it was before.
    ///
    /// # Errors
    /// As for `export`.
    pub fn export_file(&self, request: &ExportRequest, path: impl AsRef<Path>) -> Result<Exported> {
        ledger::whole(path.as_ref(), |out| self.export(request, out))
    }

    /// The budgets, with what falls under each.
    fn burns(&self) -> Result<Vec<Burn>> {
        let config = self.0.engine.config();
        let burn = |state: BudgetState| {
            let mut of = config.budgets.get(&state.budget).map(|budget| budget.of.clone()).unwrap_or_default();
            let mut name = state.budget;
            // What has no label cannot be asked for, so that only its sums are shown.
            let askable = state.group.values().all(Option::is_some);
            for (label, value) in state.group {
                name = format!("{name}: {}", value.as_deref().unwrap_or("(none)"));
                of.extend(value.map(|value| (label, value)));
            }
            Burn {
                name,
                of,
                limit_nanos: state.limit_nanos,
                spent_nanos: state.spent_nanos,
                held_nanos: state.held_nanos,
                starts_ms: state.since_ms.filter(|_| askable),
                ends_ms: state.until_ms,
                mode: state.mode,
            }
        };
        Ok(self.budgets()?.into_iter().map(burn).collect())
    }

    /// Who stands behind each provider's id: its name, and what the configuration says of its bills.
    fn parties(&self) -> Result<BTreeMap<String, Party>> {
        let config = self.0.engine.config();
        let infos = self.0.engine.router().providers()?;
        let is = |info: &ProviderInfo, name: &String| info.id == *name || info.aliases.contains(name);
        if let Some(name) = config.ledger.billing.keys().find(|name| !infos.iter().any(|info| is(info, name))) {
            let near = catalog::did_you_mean(name, infos.iter().map(|info| info.id.as_str()));
            return Err(Error::invalid_config(
                format!("ledger.billing.{name}"),
                format!("no provider is called `{name}`{near}"),
            ));
        }
        let party = |info: ProviderInfo| {
            let billing = config.ledger.billing.iter().find(|(name, _)| is(&info, name));
            let vars = config.providers.iter().find(|(name, _)| is(&info, name)).map(|(_, provider)| &provider.vars);
            let region = vars.and_then(|vars| vars.get("region").or_else(|| vars.get("location")));
            let party = Party {
                region: region.cloned(),
                billing: billing.map(|(_, billing)| billing.clone()).unwrap_or_default(),
                name: Some(info.name),
            };
            (info.id, party)
        };
        Ok(infos.into_iter().map(party).collect())
    }

    /// Compares vendors' own reports with the ledger and says why they differ; with `post`, the differences are posted as
    /// corrections, which [`Client::usage`] shows beside the cost. Takes costs and usage of OpenAI, usage and cost report of
    /// Anthropic, activity and generations of OpenRouter, usage by resource group of Hugging Face, AWS CUR 2.0, and FOCUS of
    /// AWS, Azure and others, seen from their shape; those of one vendor are read together. The same report again changes
    /// nothing.
    ///
    /// # Errors
    /// `invalid_request` for a report of no known form or a tolerance that is no share, `unsupported` when `post` is asked of
    /// a store that keeps no corrections, `storage`.
    pub fn reconcile(&self, reports: &[Report<'_>], options: &ReconcileOptions) -> Result<Reconciliation> {
        reconcile::reconcile(self.0.engine.ledger(), &self.0.engine.router().catalog(), reports, options)
    }

    /// The same, with reports and options in one document.
    ///
    /// # Errors
    /// As [`Client::reconcile`].
    pub fn reconcile_request(&self, request: &ReconcileRequest) -> Result<Reconciliation> {
        let reports: Vec<Report<'_>> = request.files.iter().map(Report::from).collect();
        self.reconcile(&reports, &request.options)
    }

    /// Returns when everything booked so far is durable. Blocks until then, milliseconds as a rule; in a task that must not
    /// wait, call it on a thread for that (`tokio::task::spawn_blocking`). A ledger in memory has nothing to do. Dropping the
    /// last clone of a client does the same, but tells no error.
    ///
    /// # Errors
    /// `storage` when something could not be written.
    pub fn flush(&self) -> Result<()> {
        self.0.engine.ledger().flush()
    }

    /// Takes the prices of a published list: LiteLLM's map, models.dev's `api.json`, the list of models of OpenRouter or of
    /// Hugging Face's router, or genai-prices' `data.json`, seen from its shape. They hold for calls that begin from now
    /// on; configured prices outrank them, and they outrank the catalogue's.
    ///
    /// # Errors
    /// `invalid_request` for a document of no known form, or one of which no row can be taken.
    pub fn load_prices(&self, list: &[u8]) -> Result<LoadedPrices> {
        self.0.engine.router().load_prices(list)
    }

    /// Models of the catalogue, with who serves them at what price.
    pub fn models(&self) -> Result<Vec<ModelInfo>> {
        self.0.engine.router().models()
    }

    /// Backends, with whether a key was found (never the key).
    pub fn providers(&self) -> Result<Vec<ProviderInfo>> {
        self.0.engine.router().providers()
    }
}

/// Records fetched before they are read.
const RECORDS_AHEAD: usize = 256;

/// Records of a ledger, one by one. Dropping it ends the reading.
pub struct RecordStream(mpsc::Receiver<Result<LedgerRecord>>);

impl Stream for RecordStream {
    type Item = Result<LedgerRecord>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// Refuses what asks several models.
fn one_model(request: &ChatRequest, what: &str) -> Result<()> {
    match fusion::adopt(&mut request.clone())? || is_fusion(request)? {
        false => Ok(()),
        true => {
            let message = format!("`model`: a fusion asks several models; {what} one of its members");
            Err(Error::invalid_request(message).with_param("model"))
        }
    }
}

/// Whether a chat request asks for a fusion.
fn is_fusion(request: &ChatRequest) -> Result<bool> {
    let fusion = catalog::is_virtual(&request.model);
    if !fusion && request.fusion.is_some() {
        let message = "`fusion`: it needs a model `interfuse/auto`, `interfuse/best-of`, `interfuse/merge` or the like";
        return Err(Error::invalid_request(message).with_param("fusion"));
    }
    Ok(fusion)
}
