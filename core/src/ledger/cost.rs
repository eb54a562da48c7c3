//! What one answer cost: the provider's own figure first, then what its units cost at the user's price, at a loaded list's,
//! at the catalogue's. Both figures are kept.

use serde_json::Value;

use super::usage::Counted;
use crate::catalog::{Circumstances, Cost, Price, Unpriced, cost_at};
use crate::money::NanoUsd;
use crate::types::quirks::{CostUnit, StatedCost};
use crate::types::{Confidence, CostSource, Extra, LedgerRecord, PriceRow, Usage, UsageVector};

/// The provider states less or more than its units cost at the price known.
pub const DRIFT: &str = "drift";
/// The answer tells no usage.
pub const USAGE_MISSING: &str = "usage_missing";
/// The vendor bills the caller's own key; what is stated here is the sum of its bill and the router's fee.
pub const OWN_KEY: &str = "byok";

/// A cost and how it is known; unknown is `None`, never zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Priced {
    /// The amount.
    pub cost: Option<NanoUsd>,
    /// How it is known.
    pub source: Option<CostSource>,
    /// What the units cost at the price known, whatever the provider states.
    pub computed: Option<NanoUsd>,
    /// The same, and the cost, in pico-USD, before they were rounded.
    pub exact: Exact,
    /// The price the units were computed at.
    pub row: Option<PriceRow>,
    /// The units, by class.
    pub units: UsageVector,
    /// What is odd or missing.
    pub flags: Vec<String>,
}

impl Priced {
    /// How sure the cost is.
    pub fn confidence(&self) -> Confidence {
        match (self.cost, self.source) {
            (None, _) => Confidence::Unknown,
            (Some(_), Some(CostSource::Provider)) => Confidence::Reported,
            (Some(_), _) if self.units.estimated() => Confidence::Estimated,
            (Some(_), _) => Confidence::Reported,
        }
    }
}

/// Amounts in pico-USD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exact {
    /// The cost.
    pub cost: Option<u128>,
    /// What the units cost at the price known.
    pub computed: Option<u128>,
}

/// An answer, as far as its cost depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its counts.
    pub usage: Option<&'a Usage>,
    /// Its other fields.
    pub extra: &'a Extra,
    /// Name of the protocol it came in.
    pub wire: &'a str,
    /// Where this provider states its own price.
    pub stated: Option<&'a StatedCost>,
    /// `provider/model`, for the name of the price row.
    pub target: (&'a str, &'a str),
    /// What the price depends on.
    pub circumstances: Circumstances<'a>,
}

impl<'a> Answer<'a> {
    /// The tier that served, wherever the vendor tells it: beside the answer, or among its counts.
    fn tier(&self) -> Option<&'a str> {
        let word = |value: Option<&'a Value>| value.and_then(|v| v.as_str().or_else(|| v.get("type")?.as_str()));
        let counts = self.usage.map(|usage| &usage.extra);
        let among = |name: &str| word(counts.and_then(|counts| counts.get(name)));
        among("speed")
            .filter(|speed| *speed == "fast")
            .or(self.circumstances.service_tier)
            .or_else(|| ["service_tier", "serviceTier", "trafficType"].iter().find_map(|name| among(name)))
            .or_else(|| word(self.extra.get("serviceTier")))
    }
}

impl Priced {
    /// Cost of an answer at a price from a source.
    pub fn of(answer: &Answer<'_>, price: Option<(&Price, CostSource)>) -> Self {
        let mut priced = Priced::default();
        let stated = answer.stated.and_then(|s| Stated::read(s, answer.usage, answer.extra));
        let counted = answer.usage.map(|usage| Counted::of(usage, answer.wire));
        match &counted {
            None => priced.flag(USAGE_MISSING),
            Some(counted) => {
                counted.flags.iter().for_each(|flag| priced.flag(*flag));
                match compute(answer, counted, price.map(|(price, _)| price)) {
                    Ok(Some((cost, row))) => {
                        (priced.computed, priced.cost) = (Some(cost.amount), Some(cost.amount));
                        priced.exact = Exact { cost: Some(cost.pico), computed: Some(cost.pico) };
                        priced.source = price.map(|(_, source)| source);
                        priced.row = Some(row);
                    }
                    Ok(None) => {}
                    // Nobody misses a price where the cost is told.
                    Err(_) if stated.is_some() => {}
                    Err(why) => priced.flag(why.to_string()),
                }
            }
        }
        priced.units = counted.map(|c| c.units).unwrap_or_default();
        if let Some(stated) = stated {
            if stated.own_key {
                priced.flag(OWN_KEY);
            }
            if let Some(amount) = NanoUsd::from_pico(stated.pico) {
                // What a router bills is not compared with what it passes on.
                if priced.exact.computed.is_some_and(|computed| computed != stated.pico) && !stated.own_key {
                    priced.flag(DRIFT);
                }
                (priced.cost, priced.source) = (Some(amount), Some(CostSource::Provider));
                priced.exact.cost = Some(stated.pico);
            }
        }
        priced
    }

    fn flag(&mut self, flag: impl Into<String>) {
        self.flags.push(flag.into());
    }
}

fn compute(
    answer: &Answer<'_>,
    counted: &Counted,
    price: Option<&Price>,
) -> Result<Option<(Cost, PriceRow)>, Unpriced> {
    let price = price.ok_or(Unpriced::Price)?;
    if !counted.sound() {
        return Ok(None);
    }
    let row = price.at(answer.circumstances.completed_ms).ok_or(Unpriced::Price)?;
    let circumstances = Circumstances { service_tier: answer.tier(), ..answer.circumstances };
    let selected = price.select(&circumstances, counted.units.prompt())?;
    let cost = selected.cost(&counted.units)?;
    let (provider, model) = answer.target;
    let mut id = format!("{provider}/{model}");
    for part in [row.as_of.as_deref().unwrap_or(""), &selected.label] {
        if !part.is_empty() {
            id.push('@');
            id.push_str(part);
        }
    }
    let fallbacks = cost.fallbacks.iter().map(|(of, at)| (of.name().to_owned(), at.name().to_owned())).collect();
    let row = PriceRow { id, source: row.source.clone(), as_of: row.as_of.clone(), rates: selected.rates(), fallbacks };
    Ok(Some((cost, row)))
}

/// What a record's units cost at the price it carries: to the nano-USD what was computed when it was booked. `None` where
/// nothing was computed.
pub fn recompute(record: &LedgerRecord) -> Option<NanoUsd> {
    cost_at(&record.price.as_ref()?.rates, &record.units).ok().map(|cost| cost.amount)
}

/// Sum of costs; unknown as soon as one of them is.
pub fn total(costs: impl IntoIterator<Item = Option<NanoUsd>>) -> Option<NanoUsd> {
    costs.into_iter().try_fold(NanoUsd::default(), |sum, cost| sum.checked_add(cost?))
}

/// A cost that a provider states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stated {
    /// The amount in pico-USD; digits beyond are rounded half up.
    pub pico: u128,
    /// Whether the caller's own key at the vendor was used, whose bill is in the amount.
    pub own_key: bool,
}

impl Stated {
    /// Reads it from an answer.
    pub fn read(stated: &StatedCost, usage: Option<&Usage>, extra: &Extra) -> Option<Stated> {
        let amount = |path: &str| {
            let number = match at(path, usage, extra)? {
                Value::Number(n) => n.to_string(),
                Value::String(s) => s.clone(),
                _ => return None,
            };
            match stated.unit {
                CostUnit::Usd => NanoUsd::pico_from_stated(&number),
                CostUnit::UsdTicks => number.parse::<u128>().ok()?.checked_mul(100),
            }
        };
        let own = amount(&stated.path)?;
        let Some(key) = stated.own_key.as_ref().filter(|key| at(&key.flag, usage, extra) == Some(&Value::Bool(true)))
        else {
            return Some(Stated { pico: own, own_key: false });
        };
        Some(Stated { pico: own.checked_add(amount(&key.upstream)?)?, own_key: true })
    }
}

/// What stands at a dotted path of the response body.
fn at<'a>(path: &str, usage: Option<&'a Usage>, extra: &'a Extra) -> Option<&'a Value> {
    let mut path = path.split('.');
    let first = path.next()?;
    let mut value: &Value = if first == "usage" { usage?.extra.get(path.next()?)? } else { extra.get(first)? };
    for key in path {
        value = value.get(key)?;
    }
    Some(value)
}

#[cfg(test)]
#[path = "cost_tests.rs"]
mod tests;
