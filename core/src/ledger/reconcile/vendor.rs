//! What reports are read into: rows of one shape, whatever vendor they come from, and a reader that lists what is wrong
//! with the others.

use std::collections::{BTreeMap, HashMap};

use super::amount::Amount;
use crate::types::{Class, RefusedRow};

/// Longest text of a row that is kept in a reason.
const SHOWN: usize = 200;
/// So many numbers that are all round show that they were rounded.
const PROOF: u32 = 8;
/// Decimals that are supposed otherwise.
const FINE: u32 = 6;
/// Reasons kept per report; the rest is counted.
const LISTED: usize = 1000;

/// What a report tells of, and what it leaves together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Format {
    OpenAiCosts,
    OpenAiUsage,
    AnthropicCost,
    AnthropicUsage,
    OpenRouterGeneration,
    OpenRouterGenerations,
    OpenRouterActivity,
    HuggingFace,
    AwsCur,
    AwsFocus,
    AzureFocus,
    Focus,
}

impl Format {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Format::OpenAiCosts => "openai.costs",
            Format::OpenAiUsage => "openai.usage",
            Format::AnthropicCost => "anthropic.cost",
            Format::AnthropicUsage => "anthropic.usage",
            Format::OpenRouterGeneration => "openrouter.generation",
            Format::OpenRouterGenerations => "openrouter.generations",
            Format::OpenRouterActivity => "openrouter.activity",
            Format::HuggingFace => "huggingface.usage",
            Format::AwsCur => "aws.cur",
            Format::AwsFocus => "aws.focus",
            Format::AzureFocus => "azure.focus",
            Format::Focus => "focus",
        }
    }

    /// Whether it says of single calls only what was asked: what it leaves out is not missing.
    pub fn partial(self) -> bool {
        self == Format::OpenRouterGeneration
    }

    /// Whether it has nothing to say of times at which there was nothing: it is about all from its first row to its last.
    fn gapless(self) -> bool {
        !matches!(
            self,
            Format::OpenAiCosts
                | Format::OpenAiUsage
                | Format::AnthropicCost
                | Format::AnthropicUsage
                | Format::HuggingFace
        )
    }

    /// Whether its counts are the models' own, as answers tell them.
    pub fn counts_as_models_do(self) -> bool {
        self != Format::OpenRouterGenerations
    }

    /// Whether fees for tools stand in rows of their own, not within the model's.
    pub fn separate_fees(self) -> bool {
        !matches!(
            self,
            Format::OpenRouterGeneration
                | Format::OpenRouterGenerations
                | Format::OpenRouterActivity
                | Format::HuggingFace
        )
    }

    /// The class under which this report counts units of a class: it does not tell all apart.
    pub fn fold(self, class: Class) -> Class {
        let class = if class == Class::Reasoning { Class::Output } else { class };
        let one_cache = match class {
            Class::CacheWrite5m | Class::CacheWrite1h => Class::CacheWrite,
            Class::CacheReadAudio => Class::InputAudio,
            Class::CacheReadImage => Class::InputImage,
            other => other,
        };
        match self {
            Format::OpenRouterActivity | Format::OpenRouterGenerations | Format::HuggingFace => match class {
                class if class.in_prompt() => Class::Input,
                Class::OutputAudio | Class::OutputImage => Class::Output,
                other => other,
            },
            Format::OpenRouterGeneration => match one_cache {
                Class::CacheWrite | Class::InputAudio | Class::InputImage => Class::Input,
                Class::OutputAudio | Class::OutputImage => Class::Output,
                other => other,
            },
            Format::AnthropicCost | Format::AnthropicUsage => match class {
                Class::InputImage | Class::InputAudio => Class::Input,
                Class::CacheReadImage | Class::CacheReadAudio => Class::CacheRead,
                // What is not told is the vendor's default, five minutes.
                Class::CacheWrite => Class::CacheWrite5m,
                other => other,
            },
            _ => one_cache,
        }
    }
}

/// What a row is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    /// Tokens: of one class (money and units), or of all that `units` tells.
    Tokens(Option<Class>),
    /// A fee of a class that ledgers count: searches, tools, requests.
    Fee(Class),
    /// Anything else, in the vendor's words.
    Other(String),
}

/// One row of a report.
#[derive(Debug, Clone)]
pub(super) struct VendorRow {
    /// Its number, from 1.
    pub row: u64,
    /// Index of its report.
    pub file: u32,
    pub format: Format,
    /// Provider id, as the ledger calls it.
    pub provider: String,
    /// The vendor's id or name of the key.
    pub key: Option<String>,
    /// The vendor's name of the model.
    pub model: Option<Named>,
    pub subject: Subject,
    /// The hour, day or period; a single call's moment.
    pub from_ms: i64,
    pub until_ms: i64,
    /// The vendor's ids, where the row is one call.
    pub ids: Vec<String>,
    /// Units by class; empty where the report tells none.
    pub units: Vec<(Class, u64)>,
    /// Requests, where it counts them.
    pub requests: Option<u64>,
    /// Pico-USD; `None` where the report is of counts only.
    pub pico: Option<i128>,
}

/// How a report names a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Named {
    /// As in requests.
    Id(String),
    /// In words of a price list's meter, to be compared with the models that were used.
    Words(String),
}

impl VendorRow {
    /// Whether it is one call.
    pub fn is_call(&self) -> bool {
        !self.ids.is_empty()
    }
}

/// A report being read.
pub(super) struct Reader {
    /// Index of the report.
    pub file: u32,
    /// The provider that the caller named.
    pub provider: Option<String>,
    pub rows: Vec<VendorRow>,
    /// Every form that its parts have.
    pub formats: Vec<Format>,
    pub skipped: u64,
    pub refused: Vec<RefusedRow>,
    /// Refused beyond those listed.
    pub unlisted: u64,
    /// Times that the report is about, also where it has nothing to tell.
    pub covered: Vec<(Format, String, i64, i64)>,
    /// The same where it only tells what there was: from the first to the last.
    pub spans: Vec<(Format, String, i64, i64)>,
    /// Most decimals that any amount has, whether any tells its unit, and how many do not.
    decimals: u32,
    told: bool,
    round: u32,
    number: u64,
    /// Texts of results by hash of what was read, to find pages that were kept twice.
    seen: HashMap<u64, u64>,
}

impl Reader {
    pub fn new(file: u32, provider: Option<String>) -> Self {
        Reader {
            file,
            provider,
            rows: Vec::new(),
            formats: Vec::new(),
            skipped: 0,
            refused: Vec::new(),
            unlisted: 0,
            covered: Vec::new(),
            spans: Vec::new(),
            decimals: 0,
            told: false,
            round: 0,
            number: 0,
            seen: HashMap::new(),
        }
    }

    /// The provider of rows, unless the caller named another.
    pub fn provider_or(&self, usual: &str) -> String {
        self.provider.clone().unwrap_or_else(|| usual.to_owned())
    }

    /// A row of which nothing is known but whose it is, and of when; of tokens until it says otherwise.
    pub fn blank(&self, row: u64, format: Format, usual: &str, (from_ms, until_ms): (i64, i64)) -> VendorRow {
        VendorRow {
            row,
            file: self.file,
            format,
            provider: self.provider_or(usual),
            key: None,
            model: None,
            subject: Subject::Tokens(None),
            from_ms,
            until_ms,
            ids: Vec::new(),
            units: Vec::new(),
            requests: None,
            pico: None,
        }
    }

    /// Begins the next row.
    pub fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Leaves the current row out.
    pub fn refuse(&mut self, reason: impl Into<String>) {
        self.leave(reason.into(), false);
    }

    fn leave(&mut self, mut reason: String, repeated: bool) {
        if let Some((at, _)) = reason.char_indices().nth(SHOWN) {
            reason.truncate(at);
            reason.push('…');
        }
        match self.refused.len() < LISTED {
            true => self.refused.push(RefusedRow { row: self.number, reason, repeated }),
            false => self.unlisted += 1,
        }
    }

    /// Whether the current row is one that stood there before, word for word: a page that was kept twice. Only for reports
    /// that give one row per group, so that two equal ones are one.
    pub fn repeats(&mut self, row: impl std::hash::Hash) -> bool {
        use std::hash::{BuildHasher as _, RandomState};
        thread_local!(static KEYS: RandomState = RandomState::new());
        let hash = KEYS.with(|keys| keys.hash_one(row));
        match self.seen.insert(hash, self.number) {
            None => false,
            Some(first) => {
                self.seen.insert(hash, first);
                self.leave(format!("says the same as row {first}, of a page that was kept twice"), true);
                true
            }
        }
    }

    /// Notes a form.
    pub fn form(&mut self, format: Format) {
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
    }

    /// Notes that the report is about everything from one moment to another.
    fn span(&mut self, format: Format, provider: &str, from_ms: i64, until_ms: i64) {
        match self.spans.iter_mut().find(|(f, p, ..)| *f == format && p == provider) {
            Some(span) => (span.2, span.3) = (span.2.min(from_ms), span.3.max(until_ms)),
            None => self.spans.push((format, provider.to_owned(), from_ms, until_ms)),
        }
    }

    /// Notes times that the report is about.
    pub fn cover(&mut self, format: Format, provider: &str, from_ms: i64, until_ms: i64) {
        if let Some(last) = self
            .covered
            .iter_mut()
            .find(|(f, p, from, until)| *f == format && p == provider && from_ms <= *until && until_ms >= *from)
        {
            (last.2, last.3) = (last.2.min(from_ms), last.3.max(until_ms));
            return;
        }
        self.covered.push((format, provider.to_owned(), from_ms, until_ms));
    }

    /// Notes how finely an amount was written.
    pub fn note(&mut self, amount: Amount) {
        self.decimals = self.decimals.max(amount.decimals);
        self.told |= amount.told;
        self.round = self.round.saturating_add(u32::from(!amount.told && amount.pico != 0));
    }

    /// Decimals that amounts were rounded to, as far as one can see. A few round numbers prove nothing.
    pub fn decimals(&self) -> u32 {
        let proven = self.told || self.round >= PROOF;
        if proven { self.decimals } else { self.decimals.max(FINE) }
    }

    /// Takes a row.
    pub fn take(&mut self, row: VendorRow) {
        self.form(row.format);
        match row.is_call() || row.format.gapless() {
            true => self.span(row.format, &row.provider, row.from_ms, row.until_ms),
            false => self.cover(row.format, &row.provider, row.from_ms, row.until_ms),
        }
        self.rows.push(row);
    }

    /// Whether nothing was understood at all.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.covered.is_empty() && self.spans.is_empty() && self.skipped == 0
    }
}

/// Units by class as a list without zeros, several of one class added.
pub(super) fn units(of: impl IntoIterator<Item = (Class, Option<u64>)>) -> Vec<(Class, u64)> {
    let mut sums: BTreeMap<Class, u64> = BTreeMap::new();
    for (class, number) in of {
        let sum = sums.entry(class).or_default();
        *sum = sum.saturating_add(number.unwrap_or(0));
    }
    sums.into_iter().filter(|(_, number)| *number > 0).collect()
}
