//! What units cost at a price row: which rates hold (tier, lane, hours, length of the prompt), and the exact sum at them.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::money::NanoUsd;
use crate::types::{Class, LongContext, OffPeak, Price, Rate, Rates, UsageVector};

/// What a price depends on beside the units.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// Tier that served, in the provider's words.
    pub service_tier: Option<&'a str>,
    /// Whether it was served in the batch lane.
    pub batch: bool,
    /// Prefix of the geographic profile asked (Bedrock).
    pub geo: Option<&'a str>,
    /// Milliseconds since 1970-01-01 UTC when the answer was complete.
    pub completed_ms: u64,
}

/// Why there is no cost. It is unknown then, never zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpriced {
    /// No row at all, or none that held at that time.
    Price,
    /// The row has no rates for the tier or lane that served.
    Tier(String),
    /// The row has no rate for a class with units.
    Rate(Class),
    /// Beyond [`NanoUsd::MAX`].
    TooMuch,
}

/// As it stands among a record's flags.
impl std::fmt::Display for Unpriced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unpriced::Price => f.write_str("price_unknown"),
            Unpriced::Tier(tier) => write!(f, "tier_price_unknown:{tier}"),
            Unpriced::Rate(class) => write!(f, "rate_missing:{class}"),
            Unpriced::TooMuch => f.write_str("cost_too_large"),
        }
    }
}

/// The rates that hold for one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected<'a> {
    /// The rates.
    pub rates: &'a Rates,
    /// The base row, where these are others: it goes on to say what fees are.
    base: Option<&'a Rates>,
    /// Whether the base row also goes on to say what the cache costs.
    cache: bool,
    /// What replaced the base row, in that order: `us`, `batch`, `flex`, `off_peak`, `above_272000`; empty for the base.
    pub label: String,
    /// Index of the row for long prompts.
    pub tier: Option<usize>,
}

/// What units cost, and how the figure came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The amount, rounded once: the exact sum in pico-USD, half up to nano-USD.
    pub amount: NanoUsd,
    /// The exact sum in pico-USD.
    pub pico: u128,
    /// Class, units, rate: what was added up.
    pub lines: Vec<(Class, u64, Rate)>,
    /// Classes priced at another class's rate because they have none of their own: class, class whose rate was used.
    pub fallbacks: Vec<(Class, Class)>,
}

/// Words for the tier that every row is about.
const STANDARD: &[&str] = &["", "default", "standard", "auto", "on_demand", "on-demand", "unspecified"];

impl Price {
    /// The row that held at a time: this one or one of its history.
    pub fn at(&self, unix_ms: u64) -> Option<&Price> {
        let at = i64::try_from(unix_ms).unwrap_or(i64::MAX);
        let holds = |row: &Price| {
            row.valid_from.as_ref().is_none_or(|from| from.unix_ms() <= at)
                && row.valid_until.as_ref().is_none_or(|until| at < until.unix_ms())
        };
        // Of two rows that hold, the one that began later.
        let rows = std::iter::once(self).chain(&self.history).filter(|row| holds(row));
        rows.max_by_key(|row| row.valid_from.as_ref().map_or(i64::MIN, |from| from.unix_ms()))
    }

    /// The rates that hold under these circumstances for a prompt of so many tokens. Tiers re-price the whole request.
    ///
    /// # Errors
    /// Where the row does not say.
    pub fn select(&self, of: &Circumstances<'_>, prompt: u64) -> Result<Selected<'_>, Unpriced> {
        let row = self.at(of.completed_ms).ok_or(Unpriced::Price)?;
        let mut label: Vec<String> = Vec::new();
        let word = of.service_tier.unwrap_or("").to_ascii_lowercase();
        let word = word.strip_prefix("on_demand_").unwrap_or(&word);
        let lane = match word {
            "batch" => Some("batch"),
            _ if of.batch => Some("batch"),
            tier if STANDARD.contains(&tier) => None,
            tier => Some(tier),
        };
        let geo = of.geo.and_then(|geo| row.geo.get(geo).map(|lane| (geo, lane)));
        let off_peak = row.off_peak.as_ref().filter(|hours| hours.holds(of.completed_ms));
        // What no source says is how two of these go together.
        let unknown = |what: &str| Err(Unpriced::Tier(what.to_owned()));
        let (rates, long, cache) = match (lane, geo, off_peak) {
            (Some(lane), None, None) => {
                label.push(lane.to_owned());
                let found = row.service_tiers.get(lane).or(row.batch.as_ref().filter(|_| lane == "batch"));
                let Some(found) = found else { return unknown(lane) };
                (&found.rates, &found.long_context, true)
            }
            (Some(lane), _, _) => return unknown(lane),
            (None, Some((geo, lane)), None) => {
                label.push(geo.to_owned());
                (&lane.rates, &lane.long_context, false)
            }
            (None, Some((geo, _)), Some(_)) => return unknown(geo),
            (None, None, Some(hours)) => {
                label.push("off_peak".to_owned());
                (&hours.rates, &hours.long_context, false)
            }
            (None, None, None) => (&row.rates, &row.long_context, false),
        };
        let Some((tier, found)) = reached(long, prompt) else {
            // A lane that says nothing of long prompts, beside a base that does.
            if !std::ptr::eq(rates, &row.rates) && reached(&row.long_context, prompt).is_some() {
                return unknown(&format!("{} of a long prompt", label.join("+")));
            }
            let base = (!std::ptr::eq(rates, &row.rates)).then_some(&row.rates);
            return Ok(Selected { rates, base, cache, label: label.join("+"), tier: None });
        };
        label.push(format!("above_{}", found.above_input_tokens));
        let base = Some(&row.rates);
        Ok(Selected { rates: &found.rates, base, cache: false, label: label.join("+"), tier: Some(tier) })
    }

    /// Cost of units under these circumstances.
    ///
    /// # Errors
    /// Why it is unknown.
    pub fn cost(&self, units: &UsageVector, of: &Circumstances<'_>) -> Result<Cost, Unpriced> {
        self.select(of, units.prompt())?.cost(units)
    }

    /// What a request is expected to cost at the standard tier, in pico-USD: prompt tokens, how many of them come from the
    /// cache, completion tokens, and when it is made (seconds since 1970-01-01 UTC). Cache writes are not expected. `None`
    /// where the row does not say.
    pub fn expected(&self, prompt: u64, cached: u64, output: u64, unix: u64) -> Option<u64> {
        let of = Circumstances { completed_ms: unix.saturating_mul(1000), ..Circumstances::default() };
        Flat::of(&self.select(&of, prompt).ok()?)?.expected(prompt, cached, output)
    }

    /// The rates that hold at every hour and for every length of a prompt; `None` where they differ.
    pub fn flat(&self) -> Option<Flat> {
        let varies = !self.long_context.is_empty()
            || self.off_peak.is_some()
            || self.valid_from.is_some()
            || self.valid_until.is_some()
            || !self.history.is_empty();
        if varies { None } else { Flat::of(&self.select(&Circumstances::default(), 0).ok()?) }
    }

    /// Rates of prompt and completion tokens for a prompt of this length, in the dear hours.
    pub fn token_rates(&self, prompt: u64) -> Option<(Rate, Rate)> {
        let rates = reached(&self.long_context, prompt).map_or(&self.rates, |(_, row)| &row.rates);
        Some((rates.get(Class::Input)?, rates.get(Class::Output)?))
    }
}

/// What is needed to tell what a request is expected to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flat {
    input: Rate,
    cache_read: Rate,
    output: Option<Rate>,
    request: Option<Rate>,
}

impl Flat {
    fn of(rates: &Selected<'_>) -> Option<Flat> {
        let input = rates.rate(Class::Input)?;
        Some(Flat {
            input,
            cache_read: rates.rate(Class::CacheRead).unwrap_or(input),
            output: rates.rate(Class::Output),
            request: rates.rate(Class::Request),
        })
    }

    /// As [`Price::token_rates`], whatever the length.
    pub fn token_rates(&self) -> Option<(Rate, Rate)> {
        Some((self.input, self.output?))
    }

    /// As [`Price::expected`].
    pub fn expected(&self, prompt: u64, cached: u64, output: u64) -> Option<u64> {
        let cached = cached.min(prompt);
        let cost = |count: u64, rate: Rate| count.saturating_mul(rate.pico());
        let sum = self
            .request
            .map_or(0, Rate::pico)
            .saturating_add(cost(prompt - cached, self.input))
            .saturating_add(cost(cached, self.cache_read));
        match output {
            0 => Some(sum),
            output => Some(sum.saturating_add(cost(output, self.output?))),
        }
    }
}

impl Selected<'_> {
    /// Cost of units at these rates.
    ///
    /// # Errors
    /// Why it is unknown.
    pub fn cost(&self, units: &UsageVector) -> Result<Cost, Unpriced> {
        add_up(units, |class| self.rate(class))
    }

    /// The rates as one list, with which the same units cost the same.
    pub fn rates(&self) -> Rates {
        let mut all = Rates::default();
        for class in Class::ALL {
            if let Some(rate) = self.rate(class) {
                all.set(class, rate);
            }
        }
        all
    }

    /// The rate of a class. Fees are not of tiers or hours; a lane without a rate for a class of the cache leaves it at its
    /// usual price.
    pub fn rate(&self, class: Class) -> Option<Rate> {
        if let Some(own) = self.rates.get(class) {
            return Some(own);
        }
        let of_cache =
            matches!(class, Class::CacheRead | Class::CacheWrite | Class::CacheWrite5m | Class::CacheWrite1h);
        let usual = self.base.filter(|_| class >= Class::Request || (of_cache && self.cache))?.get(class)?;
        // Never dearer than what is not cached at all.
        let input = self.rates.get(Class::Input);
        (class != Class::CacheRead || input.is_none_or(|input| usual <= input)).then_some(usual)
    }
}

/// Cost of units at plain rates.
///
/// # Errors
/// Why it is unknown.
pub fn cost_at(rates: &Rates, units: &UsageVector) -> Result<Cost, Unpriced> {
    add_up(units, |class| rates.get(class))
}

/// A class without a rate of its own takes another's: where vendors define it so, silently; where it is the next dearer
/// known one, as a fallback that the result tells.
fn add_up(units: &UsageVector, rate: impl Fn(Class) -> Option<Rate>) -> Result<Cost, Unpriced> {
    let mut cost = Cost { amount: NanoUsd::ZERO, pico: 0, lines: Vec::new(), fallbacks: Vec::new() };
    for (class, count) in units.iter().filter(|(_, count)| count.number > 0) {
        let (same, other): (&[Class], &[Class]) = match class {
            Class::CacheWrite => (&[Class::CacheWrite, Class::CacheWrite5m], &[Class::Input]),
            Class::CacheWrite5m => (&[Class::CacheWrite5m, Class::CacheWrite], &[Class::Input]),
            Class::CacheWrite1h => (&[Class::CacheWrite1h], &[Class::CacheWrite5m, Class::CacheWrite, Class::Input]),
            Class::Reasoning => (&[Class::Reasoning, Class::Output], &[]),
            Class::CacheRead => (&[Class::CacheRead], &[Class::Input]),
            Class::CacheReadAudio => (&[Class::CacheReadAudio], &[Class::InputAudio]),
            Class::InputImage => (&[Class::InputImage], &[Class::Input]),
            Class::CacheReadImage => (&[Class::CacheReadImage], &[Class::CacheRead, Class::InputImage, Class::Input]),
            _ => (std::slice::from_ref(&class), &[]),
        };
        let found = |of: &[Class]| of.iter().find_map(|c| rate(*c).map(|rate| (*c, rate)));
        let (used, rate) = match (found(same), found(other)) {
            (Some((_, rate)), _) => (class, rate),
            (None, Some(other)) => other,
            // A fee that nobody asks.
            (None, None) if class == Class::Request => continue,
            (None, None) => return Err(Unpriced::Rate(class)),
        };
        let amount = u128::from(count.number).checked_mul(u128::from(rate.pico()));
        cost.pico = amount.and_then(|a| cost.pico.checked_add(a)).ok_or(Unpriced::TooMuch)?;
        cost.lines.push((class, count.number, rate));
        if used != class {
            cost.fallbacks.push((class, used));
        }
    }
    cost.amount = NanoUsd::from_pico(cost.pico).ok_or(Unpriced::TooMuch)?;
    Ok(cost)
}

/// The row of the highest threshold that a prompt passes, and its index.
fn reached(rows: &[LongContext], prompt: u64) -> Option<(usize, &LongContext)> {
    rows.iter().enumerate().filter(|(_, row)| passes(row, prompt)).max_by_key(|(_, row)| row.above_input_tokens)
}

/// Whether a prompt passes the threshold of a row.
pub(super) fn passes(row: &LongContext, prompt: u64) -> bool {
    prompt > row.above_input_tokens || (row.inclusive && prompt == row.above_input_tokens)
}

impl OffPeak {
    /// Whether a moment lies in the cheaper hours. A moment that no calendar holds does not.
    pub fn holds(&self, unix_ms: u64) -> bool {
        let Some(at) = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) else {
            return false;
        };
        if self.since.as_ref().is_some_and(|since| at.as_millisecond() < since.unix_ms()) {
            return false;
        }
        let at = at.to_zoned(TimeZone::UTC);
        let minute = at.hour() as u16 * 60 + at.minute() as u16;
        let within = |windows: &[(crate::types::TimeOfDay, crate::types::TimeOfDay)]| {
            windows.iter().map(|(from, to)| (from.minutes(), to.minutes())).any(|(from, to)| match from < to {
                true => (from..to).contains(&minute),
                // Past midnight.
                false => minute >= from || minute < to,
            })
        };
        let free_day = (self.weekends_off_peak && matches!(at.weekday(), Weekday::Saturday | Weekday::Sunday))
            || self.holidays.contains(&at.date().to_string());
        free_day || within(&self.hours_utc) || (!self.peak_hours_utc.is_empty() && !within(&self.peak_hours_utc))
    }
}

#[cfg(test)]
#[path = "prices_tests.rs"]
mod tests;
