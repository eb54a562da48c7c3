//! The work of a batch: which request is asked when, what becomes of its row, and what is kept of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::checkpoint::{Checkpoint, Keeping, Kind, Span, Spent};
use crate::client::Client;
use crate::digest::sha256_hex;
use crate::engine::{Purse, Whose};
use crate::error::{Error, ErrorKind, Result};
use crate::fusion::Reply;
use crate::money::{NanoUsd, usd};
use crate::types::{
    BatchEvent, BatchOptions, BatchRequest, BatchRow, ChatRequest, Message, OverBudget, from_json, from_value,
};

use super::count::Counts;
use super::wrong;

/// A row is one call, so that a loss of power may cost a second of them.
const CHECKPOINT: Kind = Kind {
    name: "batch",
    differs: "its first request or the pools of the configuration differ",
    sync: Duration::from_secs(1),
};
/// Between two events that tell how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// What a line of the checkpoint holds of a row.
#[derive(Serialize)]
struct Done<'a> {
    /// Digest of the request that it answers.
    request: u64,
    row: &'a BatchRow,
}

/// What is read of every line when the checkpoint is opened.
#[derive(Deserialize)]
struct Line {
    request: Option<u64>,
    row: Option<Head>,
    spent_nanos: u64,
    unknown_calls: u32,
}

#[derive(Deserialize)]
struct Head {
    index: u64,
    error: Option<serde::de::IgnoredAny>,
}

/// A row that stands in the checkpoint, and where.
struct Mark {
    span: Span,
    request: u64,
    failed: bool,
}

/// What was spent on rows that are done, and how many are under way.
#[derive(Default)]
struct Meter {
    purse: Option<Arc<Purse>>,
    nanos: AtomicU64,
    unknown: AtomicU32,
    under_way: AtomicU32,
}

impl Meter {
    /// Of calls under way it is not known what they have cost so far.
    fn spent(&self) -> Spent {
        let nanos = self.purse.as_ref().map_or_else(|| self.nanos.load(Ordering::Relaxed), |purse| purse.spent());
        (nanos, self.unknown.load(Ordering::Relaxed) + self.under_way.load(Ordering::Relaxed))
    }
}

/// A request under way. One that is dropped before it is over has cost nobody knows what.
struct UnderWay {
    meter: Arc<Meter>,
    over: bool,
}

impl UnderWay {
    fn new(meter: &Arc<Meter>) -> Self {
        meter.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay { meter: meter.clone(), over: false }
    }

    fn over(mut self) {
        self.over = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.meter.unknown.fetch_add(u32::from(!self.over), Ordering::Relaxed);
        self.meter.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request on its way: its place, itself, and its digest where there is a checkpoint.
struct Asked {
    index: u64,
    request: Box<ChatRequest>,
    digest: u64,
}

/// One that has an answer or an error. Where it may have to be asked once more, the request is still there.
struct Finished {
    index: u64,
    request: Option<Box<ChatRequest>>,
    digest: u64,
    reply: Reply,
}

/// A batch whose options are in order.
pub(super) struct Run {
    client: Client,
    options: BatchOptions,
    at_once: usize,
    budget: Option<NanoUsd>,
}

impl Run {
    pub fn new(client: Client, options: BatchOptions, at_once: usize, budget: Option<NanoUsd>) -> Self {
        Run { client, options, at_once, budget }
    }

    /// All requests, from the first to the report.
    ///
    /// # Errors
    /// Of the checkpoint, after the rows under way.
    pub async fn through(
        mut self,
        requests: impl Stream<Item = Result<BatchRequest>>,
        tell: &UnboundedSender<Result<BatchEvent>>,
    ) -> Result<()> {
        let common = self.options.common.take().unwrap_or_default();
        let mut requests = std::pin::pin!(requests.map(|request| whole(request?, &common)).peekable());
        let (file, marks, before) = match self.options.checkpoint.as_deref() {
            None => (None, HashMap::new(), (0, 0)),
            Some(path) => {
                let first = match requests.as_mut().peek().await {
                    Some(Ok(request)) => digest(request),
                    _ => 0,
                };
                let pools = serde_json::to_string(&self.client.config().pools).unwrap_or_default();
                let (file, marks, before) = opened(path, &sha256_hex(format!("{first}{pools}").as_bytes())).await?;
                (Some(file), marks, before)
            }
        };
        let (checked, again) = (file.is_some(), self.options.retry_failed == Some(true));
        let purse = self.budget.map(|budget| Purse::of_batch(budget, before.0));
        if let Some(purse) = &purse {
            self.client = self.client.paid_from(purse.clone());
        }
        let meter = Arc::new(Meter { purse, nanos: before.0.into(), unknown: before.1.into(), ..Default::default() });
        let mut out = Out::new(tell, &self.options, meter.clone(), file, before);
        out.progress();

        // Dropped before the file, which then also holds what they have cost.
        let mut calls = FuturesUnordered::new();
        // Refused while others were under way, of whose money some may come back.
        let mut parked: Vec<Asked> = Vec::new();
        let (mut index, mut open) = (0, true);
        loop {
            let pulling = open && parked.is_empty() && out.failed.is_none() && calls.len() < self.at_once;
            tokio::select! {
                biased;
                Some(finished) = calls.next(), if !calls.is_empty() => match finished {
                    Finished { request: Some(request), index, digest, reply } if !calls.is_empty() && waits(&reply) => {
                        parked.push(Asked { index, request, digest });
                    }
                    finished => {
                        out.done(finished);
                        calls.extend(parked.drain(..).map(|asked| self.call(&meter, asked)));
                    }
                },
                request = requests.next(), if pulling => {
                    let (place, mark) = (index, marks.get(&index));
                    index += 1;
                    match request {
                        None => open = false,
                        Some(Err(error)) => out.refused(place, error),
                        Some(Ok(request)) => {
                            let digest = if checked { digest(&request) } else { 0 };
                            match mark {
                                Some(mark) if mark.request != digest => out.fail(another(place)),
                                Some(mark) if !(mark.failed && again) => out.kept(place, mark),
                                _ => calls.push(self.call(&meter, Asked { index: place, request, digest })),
                            }
                        }
                    }
                }
                else => break,
            }
        }
        drop(calls);
        out.end(self.budget)
    }

    fn call(&self, meter: &Arc<Meter>, asked: Asked) -> impl Future<Output = Finished> + use<> {
        let (client, budgeted, under_way) = (self.client.clone(), self.budget.is_some(), UnderWay::new(meter));
        let Asked { index, request, digest } = asked;
        async move {
            let started = Instant::now();
            let (now, request) = if budgeted { ((*request).clone(), Some(request)) } else { (*request, None) };
            let result = client.chat(now).await;
            let latency_ms = started.elapsed().as_millis() as u64;
            under_way.over();
            Finished { index, request, digest, reply: Reply { result, started, latency_ms } }
        }
    }
}

/// Where rows go.
struct Out<'a, S: Fn() -> Spent> {
    tell: &'a UnboundedSender<Result<BatchEvent>>,
    ordered: bool,
    /// The row that is told next, of ordered ones, and those that wait for it.
    next: u64,
    waiting: BTreeMap<u64, BatchRow>,
    counts: Counts,
    /// When progress was told, and of how many rows.
    told: (Instant, u64),
    meter: Arc<Meter>,
    file: Option<Keeping<S>>,
    /// Why nothing more is asked.
    failed: Option<Error>,
}

impl<'a> Out<'a, Box<dyn Fn() -> Spent + Send>> {
    fn new(
        tell: &'a UnboundedSender<Result<BatchEvent>>,
        options: &BatchOptions,
        meter: Arc<Meter>,
        file: Option<Checkpoint>,
        before: Spent,
    ) -> Self {
        let spending = meter.clone();
        let spent: Box<dyn Fn() -> Spent + Send> = Box::new(move || spending.spent());
        Out {
            tell,
            ordered: options.ordered.unwrap_or(true),
            next: 0,
            waiting: BTreeMap::new(),
            counts: Counts::new(options.total),
            told: (Instant::now(), 0),
            meter,
            file: file.map(|file| Keeping::new(file, before, spent)),
            failed: None,
        }
    }
}

impl<S: Fn() -> Spent> Out<'_, S> {
    /// A call is over.
    fn done(&mut self, finished: Finished) {
        let Finished { index, digest, reply, .. } = finished;
        let (cost, attempts, latency_ms) = (reply.cost().nanos(), attempts(&reply), reply.latency_ms);
        self.meter.nanos.fetch_add(cost.unwrap_or(0), Ordering::Relaxed);
        self.meter.unknown.fetch_add(u32::from(cost.is_none()), Ordering::Relaxed);
        let mut row =
            BatchRow { index, cost_nanos: cost, cost_usd: cost.map(usd), attempts, latency_ms, ..Default::default() };
        match reply.result {
            Ok(response) => row.response = Some(Box::new(response)),
            Err(error) => row.error = Some(Box::new(error.into_body())),
        }
        // What was not asked is asked when the batch goes on.
        if let Some(file) = self.file.as_mut().filter(|_| attempts > 0 && self.failed.is_none())
            && let Err(error) = file.append(&Done { request: digest, row: &row })
        {
            self.fail(error);
        }
        self.row(row);
    }

    /// A request could not be read.
    fn refused(&mut self, index: u64, error: Error) {
        let error = Some(Box::new(error.into_body()));
        self.row(BatchRow { index, error, cost_nanos: Some(0), cost_usd: Some(usd(0)), ..Default::default() });
    }

    /// A row stands in the checkpoint.
    fn kept(&mut self, index: u64, mark: &Mark) {
        let Some(file) = &mut self.file else { return };
        match file.read(mark.span).and_then(|text| from_json::<Kept>("checkpoint", &text)) {
            Ok(Kept { row }) => self.row(BatchRow { index, kept: true, ..row }),
            Err(error) => self.fail(error),
        }
    }

    /// Nothing more is asked.
    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    fn row(&mut self, row: BatchRow) {
        self.counts.add(&row);
        if self.ordered {
            self.waiting.insert(row.index, row);
            while let Some(row) = self.waiting.remove(&self.next) {
                self.next += 1;
                self.event(BatchEvent::Row { row: Box::new(row) });
            }
        } else {
            self.event(BatchEvent::Row { row: Box::new(row) });
        }
        if self.told.0.elapsed() >= TOLD_EVERY {
            self.progress();
        }
    }

    fn progress(&mut self) {
        let progress = self.counts.progress(self.meter.spent().0);
        self.told = (Instant::now(), progress.done);
        self.event(BatchEvent::Progress { progress });
    }

    fn event(&self, event: BatchEvent) {
        // A reader that is gone drops the work as well.
        let _ = self.tell.send(Ok(event));
    }

    /// Nothing is under way any more.
    fn end(mut self, budget: Option<NanoUsd>) -> Result<()> {
        for row in std::mem::take(&mut self.waiting).into_values() {
            self.event(BatchEvent::Row { row: Box::new(row) });
        }
        if let Some(file) = self.file.take()
            && let Err(error) = file.end()
        {
            self.fail(error);
        }
        if self.told.1 < self.counts.rows() {
            self.progress();
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let report = self.counts.report(self.meter.spent(), budget.map(NanoUsd::nanos));
        let _ = self.tell.send(Ok(BatchEvent::Done { report: Box::new(report) }));
        Ok(())
    }
}

/// A row as a line of the checkpoint holds it.
#[derive(Deserialize)]
struct Kept {
    row: BatchRow,
}

/// The checkpoint, the rows in it and what was spent on them.
async fn opened(path: &str, of: &str) -> Result<(Checkpoint, HashMap<u64, Mark>, Spent)> {
    let (mut marks, mut spent) = (HashMap::new(), (0, 0));
    let mut each = |span, text: &str| {
        let line: Line = serde_json::from_str(text)?;
        spent = (line.spent_nanos, line.unknown_calls);
        if let (Some(request), Some(row)) = (line.request, line.row) {
            marks.insert(row.index, Mark { span, request, failed: row.error.is_some() });
        }
        Ok(())
    };
    let file = Checkpoint::open(path, &CHECKPOINT, of, &mut each).await?;
    Ok((file, marks, spent))
}

fn another(place: u64) -> Error {
    wrong(
        "checkpoint",
        &format!(
            "it belongs to another batch: request {place}, counted from 0, is another than it was; name another file"
        ),
    )
}

/// A request with all that it does not say itself.
fn whole(request: BatchRequest, common: &ChatRequest) -> Result<Box<ChatRequest>> {
    match request {
        BatchRequest::Prompt(prompt) => asked(vec![Message::user(prompt)], common),
        BatchRequest::Messages(messages) => asked(messages, common),
        BatchRequest::Request(request) if *common == ChatRequest::default() => Ok(request),
        BatchRequest::Request(request) => {
            let told = |request: &ChatRequest| serde_json::to_value(request).unwrap_or_default();
            let mut whole = told(&request);
            if let (Value::Object(whole), Value::Object(common)) = (&mut whole, told(common)) {
                for (name, value) in common {
                    // What no request is without counts as not said when it is empty.
                    let unsaid = |said: &Value| *said == "" || said.as_array().is_some_and(Vec::is_empty);
                    if whole.get(&name).is_none_or(unsaid) {
                        whole.insert(name, value);
                    }
                }
            }
            from_value("request", &whole).map(Box::new)
        }
    }
}

fn asked(messages: Vec<Message>, common: &ChatRequest) -> Result<Box<ChatRequest>> {
    // Instructions that all share come first.
    let messages = common.messages.iter().cloned().chain(messages).collect();
    Ok(Box::new(ChatRequest { messages, ..common.clone() }))
}

/// Of everything that an answer depends on.
fn digest(request: &ChatRequest) -> u64 {
    let mut asked = request.clone();
    (asked.timeout_ms, asked.timeouts, asked.max_retries, asked.hedge) = (None, None, None, None);
    (asked.extra_headers, asked.tags, asked.explain, asked.max_cost_usd) = (None, None, None, None);
    let hex = sha256_hex(&serde_json::to_vec(&asked).unwrap_or_default());
    u64::from_str_radix(&hex[..16], 16).unwrap_or_default()
}

/// Whether a call was refused for want of money that others hold.
fn waits(reply: &Reply) -> bool {
    let of_batch = |error: &Error| match error.body().details.get("budgets") {
        Some(refused) => serde_json::from_value(refused.clone()).is_ok_and(|refused: Vec<OverBudget>| {
            refused.iter().any(|over| over.budget == Whose::Batch.name() && over.estimate_nanos.is_some())
        }),
        // A fusion of which no member could be asked.
        None => !error.body().members.is_empty(),
    };
    reply.refused() && reply.error().is_some_and(of_batch)
}

/// Attempts of a call, or calls of a fusion.
fn attempts(reply: &Reply) -> u32 {
    let calls = match &reply.result {
        Ok(_) => reply.meta().and_then(|meta| meta.fusion.as_ref()).map_or(0, |fusion| fusion.cost.calls),
        Err(error) => {
            error.body().members.iter().filter(|member| member.kind != ErrorKind::BudgetExceeded).count() as u32
        }
    };
    reply.attempts().max(calls)
}
