//! Made-up ledgers, what vendors would bill for them, faults in that, and the reports the vendors would give.

pub mod write;

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

    fn faults_of_sums(&mut self, rng: &mut Rng) {
        // Reports of counts alone show no price.
        let repriced = (self.form != Form::OpenAiUsage && rng.bool()).then(|| rng.usize(..3));
        for model in 0..3 {
            if repriced == Some(model) {
                self.reprice(rng, model);
                continue;
            }
            let places = self.places(model);
            let mut at = 0;
            while at < places.len() {
                let from = places[at];
                let next = places.get(at + 1).copied().filter(|next| *next == from + self.width());
                match (rng.u8(..10), next) {
                    (0, _) => {
                        let (form, bucket) = (self.form.width(), from);
                        self.charges.retain(|c| c.model != model || c.at - c.at.rem_euclid(form) != bucket);
                        self.expect(from, Some(model), Residual::MissingVendor);
                    }
                    (1, _) => {
                        self.doubled.insert((from, model));
                        if !self.form.pages() {
                            self.expect(from, Some(model), Residual::UsageDrift);
                        }
                    }
                    (2, _) => {
                        let percent = rng.u64(10..=40);
                        self.of_place(model, from).for_each(|c| c.units[0].1 += c.units[0].1 * percent / 100);
                        self.expect(from, Some(model), Residual::UsageDrift);
                    }
                    (3, _) => {
                        let mut charge = self.of_place(model, from).next().unwrap().clone();
                        charge.units.iter_mut().for_each(|(_, n)| *n += 1 + *n / 3);
                        self.charges.push(charge);
                        let found = self.form.counts_requests();
                        self.expect(
                            from,
                            Some(model),
                            if found { Residual::MissingLocal } else { Residual::UsageDrift },
                        );
                    }
                    (4, _) => {
                        let first = self.of_place(model, from).nth(3).unwrap().id.clone();
                        self.charges.retain(|c| c.id != first);
                        let found = self.form.counts_requests();
                        self.expect(
                            from,
                            Some(model),
                            if found { Residual::MissingVendor } else { Residual::UsageDrift },
                        );
                    }
                    (5 | 6, Some(next)) => {
                        let mut near: Vec<&mut Charge> =
                            self.of_place(model, from).filter(|c| next - c.at < 120_000).collect();
                        near.sort_by_key(|c| next - c.at);
                        let some = rng.usize(1..=near.len());
                        near.into_iter().take(some).for_each(|c| c.at = next + 1);
                        self.expect(from, Some(model), Residual::Timing);
                        self.expect(next, Some(model), Residual::Timing);
                        at += 1;
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        if rng.bool() {
            // Somebody else's model.
            let template = self.charges[rng.usize(..self.charges.len())].clone();
            let from = self.bucket(template.at);
            self.charges.push(Charge { model: 3, id: "gen-foreign".into(), ..template });
            self.expect(from, Some(3), Residual::MissingLocal);
        }
        if self.form.others() {
            for (what, credit, pico) in [("storage", false, 1_250_000_000_000), ("credit", true, -3_330_000_000_000)] {
                if rng.bool() {
                    let from = START + rng.i64(0..self.days) * DAY;
                    self.extras.push(Extra { from, what, credit, pico });
                    self.expect(from, None, Residual::NonToken);
                }
            }
        }
    }

    fn reprice(&mut self, rng: &mut Rng, model: usize) {
        let class = if rng.bool() { Class::Input } else { Class::Output };
        let mut rate = 0;
        for charge in self.charges.iter_mut().filter(|c| c.model == model) {
            let old = charge.rates[&class];
            rate = old + old / 5 + 250_000;
            charge.rates.insert(class, rate);
        }
        for from in self.places(model) {
            self.expect(from, Some(model), Residual::PriceDrift);
        }
        self.repriced = Some((model, class, rate));
    }

    fn of_place(&mut self, model: usize, from: i64) -> impl Iterator<Item = &mut Charge> {
        let width = self.form.width();
        self.charges.iter_mut().filter(move |c| c.model == model && c.at - c.at.rem_euclid(width) == from)
    }

    fn faults_of_calls(&mut self, rng: &mut Rng) {
        let list = self.form == Form::OpenRouterList;
        let repriced = rng.bool().then(|| rng.usize(..3));
        let mut gone = BTreeSet::new();
        // The first and the last of a list say from when to when it is.
        let (first, last) = (self.charges.iter().map(|c| c.at).min(), self.charges.iter().map(|c| c.at).max());
        for at in 0..self.charges.len() {
            let end = Some(self.charges[at].at) == first || Some(self.charges[at].at) == last;
            let (model, from) = (self.charges[at].model, self.bucket(self.charges[at].at - 500));
            let charge = &mut self.charges[at];
            if repriced == Some(model) {
                let rate = charge.rates[&Class::Output] + 2_000_000;
                charge.rates.insert(Class::Output, rate);
                self.expect(from, Some(model), Residual::PriceDrift);
                self.repriced = Some((model, Class::Output, rate));
                continue;
            }
            match rng.u8(if end { 4..30 } else { 0..30 }) {
                0 => {
                    charge.units[0].1 += 999;
                    self.expect(from, Some(model), Residual::UsageDrift);
                }
                1 => {
                    charge.times = 2;
                    self.expect(from, Some(model), Residual::MissingLocal);
                }
                2 => {
                    charge.id = format!("gen-foreign-{at}");
                    // The ledger's own call is then told by nobody: known where the list claims to be whole.
                    self.expect(from, Some(model), Residual::MissingLocal);
                    if list {
                        self.expect(from, Some(model), Residual::MissingVendor);
                    }
                }
                3 => {
                    gone.insert(charge.id.clone());
                    if list {
                        self.expect(from, Some(model), Residual::MissingVendor);
                    }
                }
                _ => {}
            }
        }
        self.charges.retain(|c| !gone.contains(&c.id));
    }

    /// One sum for the month: nothing, somebody else's calls, or calls that were free.
    fn whole(&mut self, rng: &mut Rng) {
        match rng.u8(..3) {
            0 => {
                let charge = Charge { id: "gen-foreign".into(), ..self.charges[0].clone() };
                self.charges.push(charge);
                self.expected.entry((START, None)).or_default().insert(Residual::MissingLocal);
            }
            1 => {
                self.charges.remove(0);
                self.expected.entry((START, None)).or_default().insert(Residual::MissingVendor);
            }
            _ => {}
        }
        if rng.bool() {
            self.extras.push(Extra { from: START, what: "spaces", credit: false, pico: 2_500_000_000_000 });
            self.expected.entry((START, None)).or_default().insert(Residual::NonToken);
        }
    }
}

fn id(rng: &mut Rng) -> String {
    format!("{:016x}", rng.u64(..))
}
