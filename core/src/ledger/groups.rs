//! Attempts as stores keep them, and their sums in groups.

use std::borrow::Cow;
use std::collections::HashMap;

use super::question::Question;
use super::sums::Sums;
use crate::types::{Correction, LedgerRecord, UsageReport};

/// An attempt as a store keeps it.
pub trait Booked {
    /// Provider id.
    fn provider(&self) -> &str;
    /// Model as asked for.
    fn model(&self) -> &str;
    /// Model as sent.
    fn model_sent(&self) -> &str;
    /// Id of its call or fusion; `None` where the store does not know any more.
    fn run_id(&self) -> Option<Cow<'_, str>>;
    /// When it began; `None` where the store does not know any more.
    fn at_ms(&self) -> Option<u64>;
    /// Everything else.
    fn rest(&self) -> &LedgerRecord;
}

impl Booked for LedgerRecord {
    fn provider(&self) -> &str {
        &self.provider
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn model_sent(&self) -> &str {
        &self.model_sent
    }

    fn run_id(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.run_id))
    }

    fn at_ms(&self) -> Option<u64> {
        Some(self.at_ms)
    }

    fn rest(&self) -> &LedgerRecord {
        self
    }
}

/// One value in a key: its length first, so that no two lists of values are one key.
fn key_part(key: &mut Vec<u8>, value: Option<&str>) {
    key.extend_from_slice(&value.map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
    key.extend_from_slice(value.unwrap_or_default().as_bytes());
}

/// Adds attempts up in groups.
pub struct Groups<'a> {
    question: &'a Question,
    groups: HashMap<Vec<u8>, (Vec<Option<String>>, Sums)>,
    /// The values of the attempt at hand as one key.
    key: Vec<u8>,
}

impl<'a> Groups<'a> {
    /// No attempt so far.
    pub fn new(question: &'a Question) -> Self {
        Groups { question, groups: HashMap::new(), key: Vec::new() }
    }

    /// Adds sums of attempts that are alike in everything the question names, if it is about them.
    pub fn add(&mut self, booked: &dyn Booked, sums: &Sums) {
        if !self.question.chooses(booked) {
            return;
        }
        let values = || self.question.by.iter().map(|column| self.question.value(column, booked));
        self.key.clear();
        values().for_each(|value| key_part(&mut self.key, value.as_deref()));
        if let Some((_, group)) = self.groups.get_mut(&self.key) {
            group.add(sums);
        } else {
            let values = values().map(|value| value.map(Cow::into_owned)).collect();
            self.groups.insert(self.key.clone(), (values, sums.clone()));
        }
    }

    /// Adds one attempt, if the question is about it.
    pub fn add_one(&mut self, booked: &dyn Booked) {
        let mut sums = Sums::default();
        sums.count(booked.rest(), self.question.latencies);
        self.add(booked, &sums);
    }

    /// Adds a correction, if the question is about it.
    pub fn add_correction(&mut self, correction: &Correction) {
        if self.question.corrects(correction) {
            let sums = Sums { corrections_nanos: correction.delta_nanos, ..Sums::default() };
            let values = self.question.by.iter().map(|column| self.question.value_of(column, correction)).collect();
            self.put(values, &sums);
        }
    }

    fn put(&mut self, values: Vec<Option<String>>, sums: &Sums) {
        self.key.clear();
        values.iter().for_each(|value| key_part(&mut self.key, value.as_deref()));
        match self.groups.get_mut(&self.key) {
            Some((_, group)) => group.add(sums),
            None => drop(self.groups.insert(self.key.clone(), (values, sums.clone()))),
        }
    }

    /// The report.
    pub fn report(self, complete: bool) -> UsageReport {
        self.question.report(self.groups.into_values().collect(), complete)
    }
}
