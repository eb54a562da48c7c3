//! Made-up ledgers, what vendors would bill for them, faults in that, and the reports the vendors would give.

mod faults;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use interfuse::catalog::cost_at;
use interfuse::types::{Class, LedgerRecord, Outcome, PriceRow, Rate, Rates, Residual, UsageVector};

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
/// 2026-11-01T00:00:00Z.
pub const START: i64 = 1_793_491_200_000;

/// A form of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    OpenAiCostsAndUsage,
    OpenAiUsage,
    Anthropic,
    AnthropicCost,
    OpenRouterActivity,
    OpenRouterGeneration,
    OpenRouterList,
    HuggingFace,
    Cur,
    AwsFocus,
    AzureFocus,
    Focus,
}

impl Form {
    pub const ALL: [Form; 12] = [
        Form::OpenAiCostsAndUsage,
        Form::OpenAiUsage,
        Form::Anthropic,
        Form::AnthropicCost,
        Form::OpenRouterActivity,
        Form::OpenRouterGeneration,
        Form::OpenRouterList,
        Form::HuggingFace,
        Form::Cur,
        Form::AwsFocus,
        Form::AzureFocus,
        Form::Focus,
    ];

    /// Provider, then per model: id as sent, the vendor's name for it, canonical id. The last one is never called here.
    fn models(self) -> (&'static str, [(&'static str, &'static str, &'static str); 4]) {
        match self {
            Form::OpenAiCostsAndUsage | Form::OpenAiUsage | Form::Focus => (
                "openai",
                [
                    ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
                    ("gpt-5-mini", "gpt-5-mini-2025-08-07", "openai/gpt-5-mini"),
                    ("gpt-4.1", "gpt-4.1-2025-04-14", "openai/gpt-4.1"),
                    ("", "gpt-4.1-nano-2025-04-14", "openai/gpt-4.1-nano"),
                ],
            ),
            Form::Anthropic | Form::AnthropicCost => (
                "anthropic",
                [
                    ("claude-haiku-4-5", "claude-haiku-4-5-20251001", "anthropic/claude-haiku-4.5"),
                    ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
                    ("claude-opus-4-6", "claude-opus-4-6", "anthropic/claude-opus-4.6"),
                    ("", "claude-opus-4-5-20251101", "anthropic/claude-opus-4.5"),
                ],
            ),
            Form::OpenRouterActivity | Form::OpenRouterGeneration | Form::OpenRouterList => (
                "openrouter",
                [
                    ("openai/gpt-4.1", "openai/gpt-4.1", "openai/gpt-4.1"),
                    ("anthropic/claude-haiku-4.5", "anthropic/claude-haiku-4.5", "anthropic/claude-haiku-4.5"),
                    ("z-ai/glm-5", "z-ai/glm-5", "zai-org/GLM-5"),
                    ("", "openai/gpt-4.1-nano", "openai/gpt-4.1-nano"),
                ],
            ),
            Form::HuggingFace => (
                "hf-router",
                [
                    ("zai-org/GLM-5:together", "", ""),
                    ("openai/gpt-oss-120b:groq", "", ""),
                    ("moonshotai/Kimi-K2.5", "", ""),
                    ("", "", ""),
                ],
            ),
            Form::Cur | Form::AwsFocus => (
                "bedrock",
                [
                    ("us.amazon.nova-lite-v1:0", "NovaLite", "amazon/nova-lite"),
                    ("global.anthropic.claude-sonnet-4-6", "Claude4.6Sonnet", "anthropic/claude-sonnet-4.6"),
                    ("us.amazon.nova-pro-v1:0", "NovaPro", "amazon/nova-pro"),
                    ("", "NovaMicro", "amazon/nova-micro"),
                ],
            ),
            Form::AzureFocus => (
                "azure",
                [
                    ("gpt-4o", "gpt 4o 1120", "openai/gpt-4o"),
                    ("gpt-4o-mini", "gpt 4o mini 0718", "openai/gpt-4o-mini"),
                    ("gpt-5-mini", "GPT 5 Mini", "openai/gpt-5-mini"),
                    ("", "gpt 4.1 nano", "openai/gpt-4.1-nano"),
                ],
            ),
        }
    }

    fn width(self) -> i64 {
        if matches!(self, Form::Cur | Form::AwsFocus) { HOUR } else { DAY }
    }

    /// Whether single calls are told.
    fn calls(self) -> bool {
        matches!(self, Form::OpenRouterGeneration | Form::OpenRouterList)
    }

    /// Whether requests are counted.
    fn counts_requests(self) -> bool {
        matches!(self, Form::OpenAiCostsAndUsage | Form::OpenAiUsage | Form::OpenRouterActivity)
    }

    /// Whether a row that stands there twice is known for a page that was kept twice.
    fn pages(self) -> bool {
        matches!(
            self,
            Form::OpenAiCostsAndUsage
                | Form::OpenAiUsage
                | Form::Anthropic
                | Form::AnthropicCost
                | Form::OpenRouterActivity
        )
    }

    /// Whether charges that are not for tokens have rows.
    fn others(self) -> bool {
        matches!(
            self,
            Form::OpenAiCostsAndUsage
                | Form::Anthropic
                | Form::AnthropicCost
                | Form::Cur
                | Form::AwsFocus
                | Form::AzureFocus
                | Form::Focus
        )
    }

    /// Whether amounts may come rounded to cents.
    fn rounds(self) -> bool {
        !matches!(self, Form::OpenAiUsage | Form::AnthropicCost) && !self.calls()
    }
}

/// What the vendor bills for one call.
#[derive(Debug, Clone)]
pub struct Charge {
    pub id: String,
    pub at: i64,
    pub model: usize,
    pub units: Vec<(Class, u64)>,
    /// Pico-USD per unit by class.
    pub rates: BTreeMap<Class, u64>,
    /// How often it stands in a list of calls.
    pub times: u32,
}

impl Charge {
    pub fn pico(&self) -> i128 {
        self.units.iter().map(|(class, n)| i128::from(*n) * i128::from(self.rates[class])).sum()
    }
}

/// A charge that is not for tokens.
#[derive(Debug, Clone)]
pub struct Extra {
    pub from: i64,
    pub what: &'static str,
    pub credit: bool,
    pub pico: i128,
}

/// A month of a vendor's: what the ledger has, what the vendor bills, and what should be found.
pub struct World {
    pub form: Form,
    pub provider: &'static str,
    pub models: [(&'static str, &'static str, &'static str); 4],
    pub records: Vec<LedgerRecord>,
    pub charges: Vec<Charge>,
    pub extras: Vec<Extra>,
    /// Beginning of the hour or day and model whose rows stand there twice.
    pub doubled: BTreeSet<(i64, usize)>,
    /// Decimals of amounts.
    pub decimals: u32,
    pub days: i64,
    /// Classes that must be found, by hour or day and canonical model.
    pub expected: BTreeMap<(i64, Option<String>), BTreeSet<Residual>>,
    /// A class whose price changed, with the model and the new rate.
    pub repriced: Option<(usize, Class, u64)>,
}

const CLASSES: [Class; 3] = [Class::Input, Class::CacheRead, Class::Output];

impl World {
    pub fn bucket(&self, at: i64) -> i64 {
        at - at.rem_euclid(self.form.width())
    }

    pub fn width(&self) -> i64 {
        self.form.width()
    }

    fn expect(&mut self, from: i64, model: Option<usize>, class: Residual) {
        let model = model.map(|model| self.models[model].2.to_owned());
        self.expected.entry((from, model)).or_default().insert(class);
    }

    /// Makes a ledger and a vendor's month with faults.
    pub fn new(form: Form, seed: u64) -> World {
        let mut rng = Rng::with_seed(seed);
        let (provider, models) = form.models();
        let mut world = World {
            form,
            provider,
            models,
            records: Vec::new(),
            charges: Vec::new(),
            extras: Vec::new(),
            doubled: BTreeSet::new(),
            // What a binary float holds of a month's sum in cents.
            decimals: match form {
                _ if form.rounds() && rng.u8(..3) == 0 => 2,
                Form::HuggingFace => 9,
                _ => 12,
            },
            days: if form == Form::HuggingFace { 28 } else { 5 },
            expected: BTreeMap::new(),
            repriced: None,
        };
        let rates: Vec<BTreeMap<Class, u64>> =
            (0..3).map(|_| CLASSES.iter().map(|class| (*class, rng.u64(1..=40) * 125_000)).collect()).collect();
        world.call(&mut rng, &rates);
        if form == Form::HuggingFace {
            world.whole(&mut rng);
        } else if form.calls() {
            world.faults_of_calls(&mut rng);
        } else {
            world.faults_of_sums(&mut rng);
        }
        world
    }

    /// The calls: in each hour or day of a model some, a few of them near its end.
    fn call(&mut self, rng: &mut Rng, rates: &[BTreeMap<Class, u64>]) {
        let width = self.form.width();
        let buckets = self.days * DAY / width;
        for bucket in 0..buckets {
            // Not every hour has calls.
            if width == HOUR && rng.u8(..4) > 0 {
                continue;
            }
            let from = START + bucket * width;
            for (model, rates) in rates.iter().enumerate() {
                for n in 0..rng.u64(6..=12) {
                    // Off the edges, but for one or two near the end.
                    let margin = width / 10;
                    let before_end = if n < 2 { rng.i64(2_000..120_000) } else { rng.i64(margin..width - margin) };
                    self.one(rng, from + width - before_end, model, rates);
                }
            }
            // An attempt that failed unanswered and a kept answer cost nobody anything.
            let blank = self.records[rng.usize(..self.records.len())].clone();
            let failed = LedgerRecord {
                id: id(rng),
                outcome: Outcome::Failed,
                usage: None,
                units: UsageVector::default(),
                cost_nanos: None,
                computed_nanos: None,
                price: None,
                response_id: None,
                request_id: None,
                ..blank.clone()
            };
            let kept = LedgerRecord {
                id: id(rng),
                cached: true,
                cost_nanos: Some(0),
                response_id: None,
                request_id: None,
                ..blank
            };
            self.records.extend([failed, kept]);
        }
        self.records.sort_by_key(|record| record.at_ms);
    }

    fn one(&mut self, rng: &mut Rng, at: i64, model: usize, rates: &BTreeMap<Class, u64>) {
        let mut units = UsageVector::default();
        units.report(Class::Request, 1);
        let reasoning = rng.u64(..5_000);
        let told: Vec<(Class, u64)> = vec![
            (Class::Input, rng.u64(20_000..200_000)),
            (Class::CacheRead, rng.u64(1..90_000)),
            (Class::Output, rng.u64(2_000..20_000) + reasoning),
        ];
        for (class, number) in &told {
            let own = if *class == Class::Output { number - reasoning } else { *number };
            units.report(*class, own);
        }
        units.report(Class::Reasoning, reasoning);
        let mut at_rates = Rates::default();
        for (class, rate) in rates {
            at_rates.set(*class, Rate::from_pico(*class, *rate).unwrap());
        }
        let cost = cost_at(&at_rates, &units).unwrap().amount.nanos();
        let response = format!("gen-{}", id(rng));
        self.records.push(LedgerRecord {
            id: id(rng),
            run_id: id(rng),
            at_ms: at as u64,
            provider: self.provider.into(),
            model: format!("{}/{}", self.provider, self.models[model].0),
            model_sent: self.models[model].0.into(),
            response_id: Some(response.clone()),
            request_id: Some(format!("req-{}", id(rng))),
            attempt: 1,
            units,
            cost_nanos: Some(cost),
            computed_nanos: Some(cost),
            price: Some(PriceRow { id: "made".into(), rates: at_rates, ..PriceRow::default() }),
            latency_ms: 500,
            ..LedgerRecord::default()
        });
        self.charges.push(Charge { id: response, at: at + 500, model, units: told, rates: rates.clone(), times: 1 });
    }

    /// Hours or days of a model with calls, in order.
    fn places(&self, model: usize) -> Vec<i64> {
        let all: BTreeSet<i64> = self.charges.iter().filter(|c| c.model == model).map(|c| self.bucket(c.at)).collect();
        all.into_iter().collect()
    }
}

fn id(rng: &mut Rng) -> String {
    format!("{:016x}", rng.u64(..))
}
