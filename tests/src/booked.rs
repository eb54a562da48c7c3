//! Records that are known by their number: what a writer books is what a checker expects.

use interfuse::types::{LedgerRecord, Tags, Usage};

/// The record `number` of a writer.
pub fn record(writer: &str, number: u64) -> LedgerRecord {
    LedgerRecord {
        id: format!("{writer}-{number}"),
        run_id: format!("{writer}-{}", number / 7),
        at_ms: 1_790_000_000_000 + number,
        provider: format!("provider-{}", number % 3),
        model: "m".to_owned(),
        model_sent: "m".to_owned(),
        attempt: 1,
        usage: Some(Usage { prompt_tokens: number % 1000, completion_tokens: 5, ..Usage::default() }),
        cost_nanos: (!number.is_multiple_of(11)).then_some(number * 7919 % 1_000_003),
        latency_ms: 3,
        tags: Tags::from([("writer".to_owned(), writer.to_owned())]),
        ..LedgerRecord::default()
    }
}
