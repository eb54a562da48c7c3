//! One ledger record per attempt, whatever becomes of it: a dropped attempt books itself as cancelled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::budgets::Held;
use super::course::unavailable;
use super::entry::Entry;
use super::{CallContext, Engine};
use crate::error::{Error, ErrorKind};
use crate::ledger::Priced;
use crate::money::NanoUsd;
use crate::routing::{Flight, Passes, Sample, Target};
use crate::types::{AttemptKind, Confidence, LedgerRecord, Outcome, Piece, Usage};

/// An attempt that is not booked yet.
pub(super) struct Booking {
    engine: Engine,
    started: Instant,
    /// The request was handed to the transport, so that the vendor may have seen it.
    pub sent: bool,
    /// Output has come, so that the vendor has worked for it.
    pub output: bool,
    /// Bytes of the answer's body that have come.
    pub bytes: u64,
    /// Taken when booked.
    record: Option<Box<LedgerRecord>>,
    /// Tells the target's memory how it ended; taken then.
    flight: Option<Flight>,
    /// Its place under the limits, given back when it is dropped.
    passes: Passes,
    /// What is held for it of the budgets that it falls under; taken when booked.
    held: Option<Held>,
    /// Tells others that output has come.
    shown: Option<Arc<AtomicBool>>,
}

/// What an attempt is.
pub(super) struct Opening<'a> {
    pub target: &'a Target,
    /// Counts the attempts of the call.
    pub number: u32,
    pub kind: Option<AttemptKind>,
    /// Id of the record of the call's first attempt; set by it.
    pub first: &'a OnceLock<String>,
}

impl Booking {
    pub fn open(engine: &Engine, cx: &CallContext, opening: Opening<'_>, entry: Entry) -> Self {
        let Opening { target, number, kind, first } = opening;
        let mut begun = begun(engine, cx);
        // The record settles what is held under its id.
        if let Some(held) = &entry.held {
            begun.id.clone_from(&held.id);
        }
        let id = first.get_or_init(|| begun.id.clone());
        let record = LedgerRecord {
            parent: (*id != begun.id).then(|| id.clone()),
            provider: target.endpoint.id().to_owned(),
            model: target.model_asked.clone(),
            model_sent: target.model.clone(),
            key: target.endpoint.key.as_ref().map(|key| key.name.clone()),
            attempt: number,
            kind,
            outcome: Outcome::Cancelled,
            error: Some(ErrorKind::Cancelled),
            ..begun
        };
        Booking {
            engine: engine.clone(),
            started: Instant::now(),
            sent: false,
            output: false,
            bytes: 0,
            record: Some(Box::new(record)),
            flight: Some(entry.flight),
            passes: entry.passes,
            held: entry.held,
            shown: None,
        }
    }

    /// What becomes true when output has come.
    pub fn shown(&mut self) -> Arc<AtomicBool> {
        self.shown.get_or_insert_default().clone()
    }

    /// When the attempt started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The time now, milliseconds since 1970-01-01 UTC.
    pub fn now_ms(&self) -> u64 {
        self.engine.clock().unix_ms()
    }

    /// Notes the time to the first output.
    pub fn first_output(&mut self) -> Option<u64> {
        self.output = true;
        if let Some(shown) = &self.shown {
            shown.store(true, Ordering::Relaxed);
        }
        let ms = self.started.elapsed().as_millis() as u64;
        let record = self.record.as_mut()?;
        record.ttft_ms = Some(ms);
        Some(ms)
    }

    /// Notes usage and cost as soon as they are known, so that a stream dropped later still books them.
    pub fn usage(&mut self, usage: Option<&Usage>, priced: Priced) {
        if let Some(record) = &mut self.record {
            record.usage = usage.cloned();
            record.cost_nanos = priced.cost.map(NanoUsd::nanos);
            record.cost_source = priced.source;
            record.confidence = priced.confidence();
            record.computed_nanos = priced.computed.map(NanoUsd::nanos);
            record.price = priced.row;
            record.units = priced.units;
            record.flags = priced.flags;
        }
    }

    /// Notes the vendor's id of the request.
    pub fn asked(&mut self, request_id: Option<&String>) {
        if let Some(record) = &mut self.record {
            record.request_id = request_id.cloned();
        }
    }

    /// Notes what the answer says of itself, once.
    pub fn answers(&mut self, id: &str, model: &str) {
        if let Some(record) = self.record.as_mut().filter(|record| record.response_id.is_none()) {
            record.response_id = Some(id.to_owned());
            record.model_served = (*model != record.model_sent).then(|| model.to_owned());
        }
    }

    /// Notes who really served.
    pub fn served_by(&mut self, served_by: Option<&String>) {
        if let Some(record) = &mut self.record {
            record.served_by = served_by.cloned();
        }
    }

    /// The cost noted so far.
    pub fn cost(&self) -> Option<NanoUsd> {
        self.record.as_ref()?.cost_nanos.and_then(NanoUsd::from_nanos)
    }

    /// Books an answer.
    pub fn answered(mut self) {
        self.close(Outcome::Ok, None);
    }

    /// Books a failure.
    pub fn failed(mut self, error: &Error) {
        let outcome = match error.kind() {
            ErrorKind::Interrupted => Outcome::Interrupted,
            ErrorKind::Cancelled => Outcome::Cancelled,
            _ => Outcome::Failed,
        };
        self.close(outcome, Some(error.kind()));
    }

    fn close(&mut self, outcome: Outcome, error: Option<ErrorKind>) {
        let Some(mut record) = self.record.take() else { return };
        record.outcome = outcome;
        record.error = error;
        if !self.sent && record.cost_nanos.is_none() {
            // What never left this machine costs nothing.
            (record.cost_nanos, record.confidence) = (Some(0), Confidence::Reported);
        }
        if let Some(held) = self.held.take() {
            held.settled(record.cost_nanos);
        }
        let took = self.started.elapsed();
        record.latency_ms = took.as_millis() as u64;
        if let Some(usage) = &record.usage {
            self.passes.used(usage.prompt_tokens + usage.completion_tokens);
        }
        if let Some(flight) = self.flight.take() {
            land(flight, error, took, &record);
        }
        self.engine.book(*record);
    }
}

/// Books a kept answer that was given again.
pub(super) fn kept(engine: &Engine, cx: &CallContext, by: &Piece, usage: Option<&Usage>) {
    let record = LedgerRecord {
        provider: by.provider.clone(),
        model: by.model.clone(),
        model_sent: by.model.clone(),
        usage: usage.cloned(),
        cost_nanos: Some(0),
        confidence: Confidence::Reported,
        cached: true,
        ..begun(engine, cx)
    };
    engine.book(record);
}

/// What every record of a call has when it begins: nobody was asked yet.
fn begun(engine: &Engine, cx: &CallContext) -> LedgerRecord {
    LedgerRecord {
        id: crate::ids::new(),
        run_id: cx.run_id.clone(),
        at_ms: engine.clock().unix_ms(),
        purpose: cx.purpose,
        tags: engine.tags(cx),
        ..LedgerRecord::default()
    }
}

/// Tells a target's memory how an attempt ended.
fn land(flight: Flight, error: Option<ErrorKind>, took: Duration, record: &LedgerRecord) {
    let now = Instant::now();
    match error {
        None => {
            let first_token = record.ttft_ms.map_or(took, Duration::from_millis);
            let usage = record.usage.as_ref();
            let cached = usage.and_then(|usage| {
                let told = usage.prompt_tokens_details.as_ref()?.cached_tokens?;
                (usage.prompt_tokens > 0).then(|| told as f64 / usage.prompt_tokens as f64)
            });
            flight.succeeded(
                now,
                Some(Sample {
                    first_token,
                    rest: took.saturating_sub(first_token),
                    tokens: usage.map(|usage| usage.completion_tokens),
                    cached_share: cached,
                }),
            );
        }
        Some(kind) if unavailable(kind) => flight.failed(now),
        // It answered, though with a refusal.
        Some(ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentFiltered) => {
            flight.succeeded(now, None);
        }
        // Says nothing of the target: of the key, of the caller.
        Some(_) => drop(flight),
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.close(Outcome::Cancelled, Some(ErrorKind::Cancelled));
    }
}
