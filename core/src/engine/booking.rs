//! One ledger record per attempt, whatever becomes of it: a dropped attempt books itself as cancelled.

use tokio::time::Instant;

use super::{CallContext, Engine};
use crate::error::{Error, ErrorKind};
use crate::ledger::Priced;
use crate::money::NanoUsd;
use crate::routing::Target;
use crate::types::{LedgerRecord, Outcome, Usage};

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
}

impl Booking {
    pub fn open(engine: &Engine, cx: &CallContext, target: &Target, number: u32) -> Self {
        let mut tags = engine.config().tags.clone();
        tags.extend(cx.tags.iter().map(|(k, v)| (k.clone(), v.clone())));
        let record = LedgerRecord {
            id: crate::ids::new(),
            run_id: cx.run_id.clone(),
            at_ms: engine.clock().unix_ms(),
            purpose: cx.purpose,
            provider: target.endpoint.id().to_owned(),
            model: target.model_asked.clone(),
            model_sent: target.model.clone(),
            attempt: number,
            outcome: Outcome::Cancelled,
            error: Some(ErrorKind::Cancelled),
            usage: None,
            cost_nanos: None,
            cost_source: None,
            latency_ms: 0,
            ttft_ms: None,
            tags,
        };
        Booking {
            engine: engine.clone(),
            started: Instant::now(),
            sent: false,
            output: false,
            bytes: 0,
            record: Some(Box::new(record)),
        }
    }

    /// When the attempt started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Notes the time to the first output.
    pub fn first_output(&mut self) -> Option<u64> {
        self.output = true;
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
        record.latency_ms = self.started.elapsed().as_millis() as u64;
        if let Err(e) = self.engine.ledger().record(*record) {
            tracing::error!(target: "interfuse", error = %e, "an attempt could not be booked");
        }
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.close(Outcome::Cancelled, Some(ErrorKind::Cancelled));
    }
}
