//! A month of made-up attempts, the same for every seed: what pages, exports and their judges are tried on.

use std::collections::BTreeMap;

use interfuse::catalog::cost_at;
use interfuse::ledger::{Burn, LedgerStore, MemoryLedger, Party, Surroundings};
use interfuse::types::{
    AttemptKind, BillingConfig, BudgetMode, Class, Confidence, CostSource, ErrorKind, LedgerRecord, Outcome, PriceRow,
    PromptTokensDetails, Purpose, Rate, Rates, Usage, UsageVector,
};

/// Noon of the day after it, 2026-11-01, milliseconds since 1970-01-01 UTC.
pub const NOW_MS: u64 = 1_793_534_400_000;
const DAY_MS: u64 = 24 * 3_600_000;
const DAYS: u64 = 31;

/// Provider, model, prices of input, cache and output in USD per million, typical latency in milliseconds, share.
type Row = (&'static str, &'static str, [&'static str; 3], u64, u64);

const MODELS: &[Row] = &[
    ("openai", "gpt-5-mini", ["0.25", "0.025", "2"], 1_900, 30),
    ("anthropic", "claude-haiku-4.5", ["1", "0.1", "5"], 1_400, 24),
    ("anthropic", "claude-sonnet-4.5", ["3", "0.3", "15"], 3_600, 10),
    ("gemini", "gemini-2.5-flash", ["0.3", "0.075", "2.5"], 900, 20),
    ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", ["1", "0.1", "5"], 1_700, 8),
    ("groq", "openai/gpt-oss-120b", ["0.15", "0.075", "0.6"], 420, 16),
    ("mistral", "mistral-large-latest", ["2", "0.2", "6"], 2_300, 6),
    ("openrouter", "deepseek/deepseek-v3.2", ["0.28", "0.028", "0.42"], 2_900, 7),
    // Nobody knows its price.
    ("lab", "own-model-7b", ["", "", ""], 700, 3),
];

const PROJECTS: &[(&str, &str, u64)] = &[
    ("search", "core", 40),
    ("assistant", "product", 30),
    ("nightly evaluation", "research", 18),
    ("support", "product", 12),
];

/// Numbers that look random (SplitMix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// One of these, by their weights.
    fn of<'a, T>(&mut self, all: &'a [T], weight: impl Fn(&T) -> u64) -> Option<&'a T> {
        let mut at = self.below(all.iter().map(&weight).sum());
        all.iter().find(|one| {
            let hit = at < weight(one);
            at = at.saturating_sub(weight(one));
            hit
        })
    }
}

/// About so many attempts of that month, oldest first.
pub fn records(seed: u64, attempts: u64) -> Vec<LedgerRecord> {
    let mut dice = Dice(seed);
    let start = NOW_MS - NOW_MS % DAY_MS - DAYS * DAY_MS;
    let mut records = Vec::new();
    for day in 0..DAYS {
        // Weekends are quiet, and one day an outage lets calls fail over.
        let quiet = matches!(day % 7, 2 | 3);
        let outage = day == 19;
        let share = attempts / DAYS * if quiet { 45 } else { 80 + dice.below(60) } / 100;
        let mut times: Vec<u64> = (0..share).map(|_| start + day * DAY_MS + dice.below(DAY_MS)).collect();
        times.sort_unstable();
        for at_ms in times {
            let (Some(model), Some(project)) = (dice.of(MODELS, |m| m.4), dice.of(PROJECTS, |p| p.2)) else { continue };
            let mut first = attempt(&mut dice, records.len(), at_ms, model, project);
            let failing = dice.below(1000) < if outage && model.0 == "openai" { 450 } else { 18 };
            if !failing {
                records.push(first);
                continue;
            }
            fail(&mut dice, &mut first);
            let fallback = dice.of(MODELS, |m| if m.0 == model.0 { 0 } else { m.4 });
            let parent = first.id.clone();
            let later = first.at_ms + first.latency_ms;
            records.push(first);
            if let Some(fallback) = fallback {
                let second = attempt(&mut dice, records.len(), later, fallback, project);
                let kind = if dice.below(3) == 0 { AttemptKind::Retry } else { AttemptKind::Fallback };
                records.push(LedgerRecord { parent: Some(parent), kind: Some(kind), attempt: 2, ..second });
            }
        }
    }
    records
}

fn attempt(dice: &mut Dice, number: usize, at_ms: u64, model: &Row, project: &(&str, &str, u64)) -> LedgerRecord {
    let (provider, name, prices, typical, _) = *model;
    let prompt = 200 + dice.below(6_000);
    let cached = if dice.below(3) == 0 { prompt * dice.below(80) / 100 } else { 0 };
    let completion = 20 + dice.below(900);
    let mut units = UsageVector::default();
    for (class, number) in [(Class::Input, prompt - cached), (Class::CacheRead, cached), (Class::Output, completion)] {
        units.report(class, number);
    }
    let mut rates = Rates::default();
    for (class, price) in [Class::Input, Class::CacheRead, Class::Output].into_iter().zip(prices) {
        if let Ok(rate) = Rate::parse_for(class, price) {
            rates.set(class, rate);
        }
    }
    let cost = cost_at(&rates, &units).ok().map(|cost| cost.amount.nanos());
    // Sums of several dice: most near the typical time, few far above.
    let latency_ms = typical / 3
        + (0..3).map(|_| dice.below(typical / 2)).sum::<u64>()
        + typical * dice.below(40) / 10 * u64::from(dice.below(12) == 0);
    let streamed = dice.below(2) == 0;
    LedgerRecord {
        id: format!("01932f00-0000-7000-8000-{number:012}"),
        run_id: format!("01932f00-0000-7000-9000-{number:012}"),
        at_ms,
        provider: provider.to_owned(),
        model: name.to_owned(),
        model_sent: name.to_owned(),
        model_served: Some(name.to_owned()),
        key: (provider == "openai").then(|| "main".to_owned()),
        request_id: Some(format!("req_{number}")),
        attempt: 1,
        usage: Some(Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: Some(PromptTokensDetails { cached_tokens: Some(cached), ..Default::default() }),
            ..Usage::default()
        }),
        cost_nanos: cost,
        computed_nanos: cost,
        cost_source: cost.map(|_| if provider == "openrouter" { CostSource::Provider } else { CostSource::Catalog }),
        confidence: if cost.is_some() { Confidence::Reported } else { Confidence::Unknown },
        price: cost.map(|_| PriceRow {
            id: format!("{provider}/{name}@2026-09-20"),
            as_of: Some("2026-09-20".to_owned()),
            rates,
            ..PriceRow::default()
        }),
        units,
        flags: if cost.is_some() { Vec::new() } else { vec!["price_unknown".to_owned()] },
        latency_ms,
        ttft_ms: streamed.then(|| latency_ms / 4 + dice.below(latency_ms / 4)),
        purpose: if project.0 == "nightly evaluation" { Purpose::Member } else { Purpose::Chat },
        tags: BTreeMap::from([("project".to_owned(), project.0.to_owned()), ("team".to_owned(), project.1.to_owned())]),
        ..LedgerRecord::default()
    }
}

/// What is left of an attempt that failed; an interrupted one may have cost something.
fn fail(dice: &mut Dice, record: &mut LedgerRecord) {
    const KINDS: &[(Outcome, ErrorKind, u64)] = &[
        (Outcome::Failed, ErrorKind::RateLimited, 5),
        (Outcome::Failed, ErrorKind::Overloaded, 4),
        (Outcome::Failed, ErrorKind::Timeout, 3),
        (Outcome::Interrupted, ErrorKind::Interrupted, 2),
        (Outcome::Cancelled, ErrorKind::Cancelled, 2),
    ];
    let Some((outcome, error, _)) = dice.of(KINDS, |kind| kind.2) else { return };
    (record.outcome, record.error) = (*outcome, Some(*error));
    if *outcome == Outcome::Failed {
        let none = LedgerRecord::default();
        (record.usage, record.units, record.price) = (none.usage, none.units, none.price);
        // What was refused costs nothing; what became of a request that was only waited for, nobody knows.
        let refused = *error != ErrorKind::Timeout;
        (record.cost_nanos, record.computed_nanos, record.cost_source) = (refused.then_some(0), None, None);
        record.confidence = if refused { Confidence::Reported } else { Confidence::Unknown };
        record.model_served = None;
    } else {
        record.confidence = if record.cost_nanos.is_some() { Confidence::Estimated } else { Confidence::Unknown };
    }
}

/// A ledger with these.
///
/// # Errors
/// What a store says.
pub fn ledger(records: Vec<LedgerRecord>) -> interfuse::Result<MemoryLedger> {
    let ledger = MemoryLedger::new(records.len());
    records.into_iter().try_for_each(|record| ledger.record(record))?;
    Ok(ledger)
}

/// Who bills, and budgets of that month: one in order, one nearly used up, one passed.
pub fn surroundings(ledger: &MemoryLedger) -> interfuse::Result<Surroundings> {
    let account = |id: &str, sub: Option<&str>| BillingConfig {
        account_id: Some(id.to_owned()),
        account_name: Some(format!("Account {id}")),
        sub_account_id: sub.map(str::to_owned),
        ..BillingConfig::default()
    };
    let party = |name: &str, billing| Party { name: Some(name.to_owned()), region: None, billing };
    let parties = BTreeMap::from([
        ("openai".to_owned(), party("OpenAI", account("org-9", Some("proj-4")))),
        ("anthropic".to_owned(), party("Anthropic", account("ws-2", Some("default")))),
        ("gemini".to_owned(), party("Google Gemini API", account("01-AB", Some("search-prod")))),
        ("bedrock".to_owned(), party("Amazon Bedrock", account("123456789012", None))),
    ]);
    let (starts, ends) = (NOW_MS - NOW_MS % DAY_MS - DAYS * DAY_MS, NOW_MS - NOW_MS % DAY_MS);
    let mut budgets = Vec::new();
    for (name, share) in [("search", 160), ("assistant", 107), ("nightly evaluation", 92)] {
        let of = BTreeMap::from([("project".to_owned(), name.to_owned())]);
        let query = interfuse::types::UsageQuery { filter: of.clone(), ..Default::default() };
        let spent = ledger.usage(&query)?.total.cost_nanos;
        budgets.push(Burn {
            name: format!("projects: {name}"),
            of,
            limit_nanos: spent / 100 * share,
            spent_nanos: spent,
            held_nanos: if name == "search" { 12_000_000 } else { 0 },
            starts_ms: Some(starts),
            ends_ms: Some(ends),
            mode: BudgetMode::Enforce,
        });
    }
    Ok(Surroundings { parties, budgets, now_ms: ends - 1 })
}
