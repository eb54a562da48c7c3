//! What a batch counts: for its progress, and for its report. A row takes four bytes of it.

use tokio::time::Instant;

use crate::money::usd;
use crate::types::{BATCH_SCHEMA, BatchProgress, BatchReport, BatchRow};

pub(super) struct Counts {
    started: Instant,
    total: Option<u64>,
    report: BatchReport,
    /// Of answers, milliseconds.
    latencies: Vec<u32>,
}

impl Counts {
    pub fn new(total: Option<u64>) -> Self {
        let report = BatchReport { schema: BATCH_SCHEMA, ..Default::default() };
        Counts { started: Instant::now(), total, report, latencies: Vec::new() }
    }

    pub fn add(&mut self, row: &BatchRow) {
        let report = &mut self.report;
        report.rows += 1;
        report.kept += u64::from(row.kept);
        if let Some(error) = &row.error {
            *report.errors.entry(error.kind.as_str().to_owned()).or_default() += 1;
            let place = if row.attempts == 0 { &mut report.not_asked } else { &mut report.failed };
            *place += 1;
        }
        if let Some(response) = &row.response {
            report.answered += 1;
            self.latencies.push(u32::try_from(row.latency_ms).unwrap_or(u32::MAX));
            if let Some(usage) = &response.usage {
                report.prompt_tokens += usage.prompt_tokens;
                report.completion_tokens += usage.completion_tokens;
            }
        }
    }

    pub fn rows(&self) -> u64 {
        self.report.rows
    }

    pub fn progress(&self, spent_nanos: u64) -> BatchProgress {
        let report = &self.report;
        let rows_per_s = self.rate();
        let left = self.total.map(|total| total.saturating_sub(report.rows));
        BatchProgress {
            done: report.rows,
            failed: report.failed + report.not_asked,
            of: self.total,
            spent_nanos,
            rows_per_s,
            eta_ms: left.filter(|_| rows_per_s > 0.0).map(|left| (left as f64 / rows_per_s * 1000.0) as u64),
        }
    }

    pub fn report(mut self, (spent_nanos, unknown_calls): (u64, u32), budget_nanos: Option<u64>) -> BatchReport {
        self.latencies.sort_unstable();
        let took = |percent: usize| {
            let place = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
            self.latencies.get(place).copied().map_or(0, u64::from)
        };
        BatchReport {
            spent_nanos,
            spent_usd: usd(spent_nanos),
            unknown_calls,
            budget_nanos,
            p50_ms: took(50),
            p95_ms: took(95),
            p99_ms: took(99),
            took_ms: self.started.elapsed().as_millis() as u64,
            rows_per_s: self.rate(),
            ..self.report
        }
    }

    /// Rows that this run has done per second.
    fn rate(&self) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        let rows = (self.report.rows - self.report.kept) as f64;
        if seconds > 0.0 { rows / seconds } else { 0.0 }
    }
}
