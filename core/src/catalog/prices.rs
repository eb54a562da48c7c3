//! Unit prices as integers and the cost of tokens at them. USD per million tokens becomes pico-USD (1e-12 USD) per token
//! without rounding: one USD per million is exactly 1,000,000 pico-USD per token.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::money::{NanoUsd, parse_decimal, write_decimal};
use crate::types::{PriceConfig, Usage, Usd};

/// Price of one token in pico-USD. In documents: decimal text, USD per million tokens, at most six decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    /// Parses USD per million tokens (`"0.15"`).
    ///
    /// # Errors
    /// What is wrong with the text, for the caller to place.
    pub fn parse(usd_per_million: &str) -> Result<Rate, String> {
        let wrong = |why| format!("`{usd_per_million}` is not a price in USD per million tokens: {why}");
        parse_decimal(usd_per_million, 6).map(Rate).map_err(wrong)
    }

    /// Pico-USD per token.
    pub fn pico_per_token(self) -> u64 {
        self.0
    }
}

/// USD per million tokens, decimal.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, 6)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Rate::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What one provider asks for one model: the standard on-demand tier, and the rows that may replace it. A rate that is
/// not known separately is `None`, never zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Prompt tokens that were neither read from nor written to a cache.
    pub input: Rate,
    /// Completion tokens, reasoning included.
    pub output: Rate,
    /// Prompt tokens read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Prompt tokens written to the cache (five minutes, or the only lifetime).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
    /// Prompt tokens written to the cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<Rate>,
    /// Rows that replace the base for the whole request once its prompt is long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long_context: Vec<LongContext>,
    /// Batch lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchRates>,
    /// Rates of Bedrock's geographic profiles, by prefix (`us`, `eu`), where they differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub geo: BTreeMap<String, Rates>,
    /// Cheaper hours; the base is the dear ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_peak: Option<OffPeak>,
    /// Per request, beside its tokens; absent: not known to be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Usd>,
    /// Per image of a prompt; absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Usd>,
}

/// Rates of one tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Uncached prompt tokens.
    pub input: Rate,
    /// Completion tokens.
    pub output: Rate,
    /// Cached prompt tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Prompt tokens written to the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
}

/// Rates for a long prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongContext {
    /// Threshold: uncached, cached and written prompt tokens together.
    pub above_input_tokens: u64,
    /// `true`: the row holds at the threshold already.
    pub inclusive: bool,
    /// Uncached prompt tokens.
    pub input: Rate,
    /// Completion tokens.
    pub output: Rate,
    /// Cached prompt tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Prompt tokens written to the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
}

/// Rates of the batch lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRates {
    /// Prompt tokens.
    pub input: Rate,
    /// Completion tokens.
    pub output: Rate,
}

/// Rates of the cheaper hours. Either their hours are stated (`hours_utc`) or the dear ones (`peak_hours_utc`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffPeak {
    /// Uncached prompt tokens.
    pub input: Rate,
    /// Completion tokens.
    pub output: Rate,
    /// Cached prompt tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Cheaper hours, `[from, to]` in UTC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours_utc: Vec<(String, String)>,
    /// Dear hours, `[from, to]` in UTC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peak_hours_utc: Vec<(String, String)>,
    /// Days that have dear hours; absent: every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_days: Option<String>,
    /// Which moment of a request decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Since when.
    pub since: String,
}

impl OffPeak {
    /// Whether a moment, seconds since 1970-01-01 UTC, is known to be in the cheaper hours.
    fn holds(&self, unix: u64) -> bool {
        const DAY: u64 = 86_400;
        let minute = (unix % DAY) / 60;
        let inside = |hours: &[(String, String)]| hours.iter().any(|(from, to)| within(minute, from, to));
        if !self.hours_utc.is_empty() {
            return inside(&self.hours_utc);
        }
        // 1970-01-01 was a Thursday; Monday is 0.
        let weekday = (unix / DAY + 3) % 7;
        let working_days = self.peak_days.as_deref().is_some_and(|days| days.starts_with("mon-fri"));
        (working_days && weekday >= 5) || (!self.peak_hours_utc.is_empty() && !inside(&self.peak_hours_utc))
    }
}

/// Whether a minute of the day lies in `[from, to)`, which may pass midnight. Hours that cannot be read hold nothing.
fn within(minute: u64, from: &str, to: &str) -> bool {
    let read = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        Some(hour.parse::<u64>().ok()? * 60 + minute.parse::<u64>().ok()?)
    };
    match (read(from), read(to)) {
        (Some(from), Some(to)) if from <= to => (from..to).contains(&minute),
        (Some(from), Some(to)) => minute >= from || minute < to,
        _ => false,
    }
}

/// Tokens of one answer in disjoint classes: each token is in exactly one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenClasses {
    /// Prompt, neither read from nor written to a cache.
    pub input: u64,
    /// Prompt, read from the cache.
    pub cache_read: u64,
    /// Prompt, written to the cache (five minutes, or the only lifetime).
    pub cache_write: u64,
    /// Prompt, written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Completion, reasoning included.
    pub output: u64,
    /// Tokens of classes the catalogue has no rates for (audio): any of them makes a cost unknown.
    pub unpriced: u64,
}

impl TokenClasses {
    /// The classes of a usage in OpenAI's counting: cached and written tokens are parts of `prompt_tokens`, reasoning is
    /// part of `completion_tokens`. Parts larger than the whole are cut to it, cached ones last.
    pub fn of(usage: &Usage) -> TokenClasses {
        let prompt = usage.prompt_tokens_details.as_ref();
        let written = prompt.and_then(|d| d.cache_write_tokens).unwrap_or(0);
        let audio_in = prompt.and_then(|d| d.audio_tokens).unwrap_or(0);
        let audio_out = usage.completion_tokens_details.as_ref().and_then(|d| d.audio_tokens).unwrap_or(0);
        let cache_read = usage.cached_tokens().unwrap_or(0).min(usage.prompt_tokens);
        let cache_write = written.min(usage.prompt_tokens - cache_read);
        TokenClasses {
            input: usage.prompt_tokens - cache_read - cache_write,
            cache_read,
            cache_write,
            cache_write_1h: 0,
            output: usage.completion_tokens,
            unpriced: audio_in.saturating_add(audio_out),
        }
    }

    fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write).saturating_add(self.cache_write_1h)
    }
}

/// What tokens cost, and how the figure came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The amount, rounded once: the exact sum in pico-USD, half up to nano-USD.
    pub amount: NanoUsd,
    /// The exact sum in pico-USD.
    pub pico: u128,
    /// Index into [`Price::long_context`] of the row that replaced the base.
    pub tier: Option<usize>,
    /// Classes priced at another class's rate because they have none of their own: class, class whose rate was used.
    pub fallbacks: Vec<(&'static str, &'static str)>,
}

impl Price {
    /// A price the user configured.
    ///
    /// # Errors
    /// `invalid_config` at `path` and the field.
    pub fn configured(price: &PriceConfig, path: &str) -> Result<Price> {
        let rate = |field: &str, text: &str| {
            Rate::parse(text).map_err(|why| Error::invalid_config(format!("{path}.{field}"), why))
        };
        let usd = |field: &str, text: &str| {
            Usd::parse(text).map_err(|why| Error::invalid_config(format!("{path}.{field}"), why))
        };
        Ok(Price {
            input: rate("input", &price.input)?,
            output: rate("output", &price.output)?,
            cache_read: price.cache_read.as_deref().map(|t| rate("cache_read", t)).transpose()?,
            cache_write: price.cache_write.as_deref().map(|t| rate("cache_write", t)).transpose()?,
            request: price.request.as_deref().map(|t| usd("request", t)).transpose()?,
            image: price.image.as_deref().map(|t| usd("image", t)).transpose()?,
            ..Price::default()
        })
    }

    /// Cost of `tokens` at the standard on-demand tier. A class without a rate of its own takes the next dearer known
    /// one (`cache_write_1h` -> `cache_write` -> `input`, `cache_read` -> `input`), which the result tells.
    ///
    /// `None` (unknown) when there are tokens of a class no rate fits, or the amount is beyond [`NanoUsd::MAX`].
    pub fn cost(&self, tokens: &TokenClasses) -> Option<Cost> {
        if tokens.unpriced > 0 {
            return None;
        }
        let tier = self.tier(tokens.prompt());
        let base = (self.input, self.output, self.cache_read, self.cache_write, self.cache_write_1h);
        let (input, output, read, write, write_1h) = match tier.map(|i| &self.long_context[i]) {
            Some(t) => (t.input, t.output, t.cache_read, t.cache_write, None),
            None => base,
        };
        let mut pico = u128::from(self.request.map_or(0, Usd::pico));
        let mut fallbacks = Vec::new();
        let input = ("input", Some(input));
        let write = ("cache_write", write);
        // Each class with the rates to try, its own first.
        let lines = [
            (tokens.input, [input; 3]),
            (tokens.cache_read, [("cache_read", read), input, input]),
            (tokens.cache_write, [write, input, input]),
            (tokens.cache_write_1h, [("cache_write_1h", write_1h), write, input]),
            (tokens.output, [("output", Some(output)); 3]),
        ];
        for (count, rates) in lines.iter().filter(|(count, _)| *count > 0) {
            let (used, rate) = rates.iter().find_map(|(class, rate)| rate.map(|r| (*class, r)))?;
            pico = pico.checked_add(u128::from(*count) * u128::from(rate.0))?;
            if used != rates[0].0 {
                fallbacks.push((rates[0].0, used));
            }
        }
        Some(Cost { amount: NanoUsd::from_pico(pico)?, pico, tier, fallbacks })
    }

    /// What a request is expected to cost, in pico-USD: prompt tokens, how many of them come from the cache, completion
    /// tokens, and when it is made (seconds since 1970-01-01 UTC). The dear hours count where it is not known whether a
    /// day has them; cache writes are not expected.
    pub fn expected(&self, prompt: u64, cached: u64, output: u64, unix: u64) -> u64 {
        let off_peak = self.off_peak.as_ref().filter(|off| off.holds(unix));
        let (input, out, read) = match (self.tier(prompt).map(|i| &self.long_context[i]), off_peak) {
            (Some(t), _) => (t.input, t.output, t.cache_read),
            (None, Some(off)) => (off.input, off.output, off.cache_read),
            (None, None) => (self.input, self.output, self.cache_read),
        };
        let cached = cached.min(prompt);
        let cost = |count: u64, rate: Rate| count.saturating_mul(rate.0);
        self.request
            .map_or(0, Usd::pico)
            .saturating_add(cost(prompt - cached, input))
            .saturating_add(cost(cached, read.unwrap_or(input)))
            .saturating_add(cost(output, out))
    }

    /// Rates of prompt and completion tokens for a prompt of this length, in the dear hours.
    pub fn rates(&self, prompt: u64) -> (Rate, Rate) {
        self.tier(prompt)
            .map_or((self.input, self.output), |i| (self.long_context[i].input, self.long_context[i].output))
    }

    /// The row that replaces the base for a prompt of this length.
    fn tier(&self, prompt: u64) -> Option<usize> {
        let reached =
            |t: &LongContext| prompt > t.above_input_tokens || (t.inclusive && prompt == t.above_input_tokens);
        (0..self.long_context.len())
            .filter(|i| reached(&self.long_context[*i]))
            .max_by_key(|i| self.long_context[*i].above_input_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn price(value: serde_json::Value) -> Price {
        serde_json::from_value(value).unwrap()
    }

    fn usd(p: &Price, tokens: TokenClasses) -> Option<String> {
        p.cost(&tokens).map(|c| c.amount.to_string())
    }

    #[test]
    fn rates_are_exact_integers() {
        for (text, pico) in [("0.15", 150_000), ("1", 1_000_000), ("0.000001", 1), ("0", 0), ("13.2", 13_200_000)] {
            assert_eq!(Rate::parse(text).unwrap().pico_per_token(), pico);
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "-1", "1e-3", "0.0000001", "x"] {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn classes_are_summed_then_rounded_once() {
        let p = price(json!({"input": "2", "output": "10", "cache_read": "0.2", "cache_write": "2.5"}));
        let t = TokenClasses { input: 1000, cache_read: 6000, cache_write: 3000, output: 500, ..Default::default() };
        assert_eq!(usd(&p, t).unwrap(), "0.0157");
        // Three single tokens at 0.4 nano each: 1.2 nano together is 1, rounded one by one they would be 0.
        let p = price(json!({"input": "0.0004", "output": "0.0004", "cache_read": "0.0004"}));
        let t = TokenClasses { input: 1, cache_read: 1, output: 1, ..Default::default() };
        let cost = p.cost(&t).unwrap();
        assert_eq!((cost.pico, cost.amount.nanos()), (1_200, 1));
    }

    #[test]
    fn a_missing_rate_falls_back_and_says_so() {
        let p = price(json!({"input": "0.15", "output": "0.6"}));
        let t = TokenClasses { input: 79, cache_read: 192, output: 103, ..Default::default() };
        let cost = p.cost(&t).unwrap();
        assert_eq!(cost.fallbacks, [("cache_read", "input")]);
        assert_eq!(cost.amount.to_string(), "0.00010245");
        let p = price(json!({"input": "3", "output": "15", "cache_write": "3.75"}));
        let t = TokenClasses { cache_write_1h: 1000, ..Default::default() };
        assert_eq!(p.cost(&t).unwrap().fallbacks, [("cache_write_1h", "cache_write")]);
    }

    #[test]
    fn a_long_prompt_reprices_the_whole_request() {
        let row = |inclusive| {
            let tier = json!({"above_input_tokens": 200, "inclusive": inclusive, "input": "2", "output": "20"});
            price(json!({"input": "1", "output": "10", "long_context": [tier]}))
        };
        let t = |input, cache_read| TokenClasses { input, cache_read, output: 1, ..Default::default() };
        assert_eq!(row(false).cost(&t(200, 0)).unwrap().tier, None);
        assert_eq!(row(true).cost(&t(200, 0)).unwrap().tier, Some(0));
        let over = row(false).cost(&t(100, 101)).unwrap();
        assert_eq!((over.tier, over.amount.nanos()), (Some(0), 201 * 2_000 + 20_000));
    }

    #[test]
    fn what_is_expected_follows_tier_and_hour() {
        let hours = |off: serde_json::Value| {
            price(json!({"input": "2", "output": "4", "cache_read": "0.5", "off_peak": off, "long_context":
                [{"above_input_tokens": 1000, "inclusive": false, "input": "4", "output": "8"}]}))
        };
        let night = hours(json!({"input": "1", "output": "2", "since": "x", "hours_utc": [["14:00", "00:00"]]}));
        let at = |hour: u64| hour * 3600;
        assert_eq!(night.expected(100, 0, 10, at(13)), 100 * 2_000_000 + 10 * 4_000_000);
        assert_eq!(night.expected(100, 40, 10, at(13)), 60 * 2_000_000 + 40 * 500_000 + 10 * 4_000_000);
        assert_eq!(night.expected(100, 0, 10, at(23)), 100 * 1_000_000 + 10 * 2_000_000);
        assert_eq!(night.expected(1001, 0, 10, at(23)), 1001 * 4_000_000 + 10 * 8_000_000);
        let peak = hours(json!({"input": "1", "output": "2", "since": "x", "peak_days": "mon-fri",
            "peak_hours_utc": [["01:00", "04:00"], ["06:00", "10:00"]]}));
        let cheap = |unix| peak.expected(1, 0, 0, unix) == 1_000_000;
        // 1970-01-01 was a Thursday, the 3rd a Saturday.
        assert_eq!([at(2), at(5), at(7), at(24 + 3), at(48 + 2)].map(cheap), [false, true, false, false, true]);
    }

    #[test]
    fn a_price_per_request_is_part_of_the_cost() {
        let config =
            PriceConfig { input: "1".into(), output: "1".into(), request: Some("0.005".into()), ..Default::default() };
        let p = Price::configured(&config, "prices.x").unwrap();
        assert_eq!(usd(&p, TokenClasses { input: 1000, ..Default::default() }).unwrap(), "0.006");
        assert_eq!(p.expected(1000, 0, 0, 0), 6_000_000_000);
    }

    #[test]
    fn unknown_stays_unknown() {
        let p = price(json!({"input": "1", "output": "1"}));
        assert_eq!(p.cost(&TokenClasses { input: 5, unpriced: 1, ..Default::default() }), None);
        assert_eq!(p.cost(&TokenClasses { input: u64::MAX, ..Default::default() }), None);
        assert_eq!(p.cost(&TokenClasses::default()).unwrap().amount, NanoUsd::ZERO);
    }

    #[test]
    fn usage_is_split_into_disjoint_classes() {
        let usage = |v: serde_json::Value| TokenClasses::of(&serde_json::from_value(v).unwrap());
        let t = usage(json!({"prompt_tokens": 10000, "completion_tokens": 500, "total_tokens": 10500,
            "prompt_tokens_details": {"cached_tokens": 6000, "cache_write_tokens": 3000, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 128}}));
        let want = TokenClasses { input: 1000, cache_read: 6000, cache_write: 3000, output: 500, ..Default::default() };
        assert_eq!(t, want);
        let t = usage(json!({"prompt_tokens": 293, "completion_tokens": 58, "total_tokens": 351,
            "prompt_tokens_details": {"cached_tokens": 387}}));
        assert_eq!((t.input, t.cache_read), (0, 293), "more cached than there was: cut, never negative");
        let t =
            usage(json!({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": 4}}));
        assert_eq!(t.unpriced, 4);
    }

    #[test]
    fn a_configured_price_names_its_path() {
        let config = PriceConfig { input: "0.15".into(), output: "cheap".into(), ..Default::default() };
        let e = Price::configured(&config, "prices.groq/m").unwrap_err();
        assert!(e.message().contains("prices.groq/m.output") && e.message().contains("cheap"), "{e}");
    }
}
