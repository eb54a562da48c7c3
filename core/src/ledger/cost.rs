//! What one answer cost: the provider's own figure first, then the configured price, then the catalogue's.

use serde_json::Value;

use crate::catalog::{Price, TokenClasses};
use crate::money::NanoUsd;
use crate::types::quirks::{CostUnit, StatedCost};
use crate::types::{CostSource, Extra, Usage};

/// A cost and how it is known; unknown is `None`, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Priced {
    /// The amount.
    pub cost: Option<NanoUsd>,
    /// How it is known.
    pub source: Option<CostSource>,
}

impl Priced {
    /// Cost of an answer. `stated` says where this provider tells the price, `extra` holds the answer's other fields,
    /// `price` is what its tokens cost and whether the user configured it.
    pub fn of(
        usage: Option<&Usage>,
        extra: &Extra,
        stated: Option<&StatedCost>,
        price: Option<(&Price, CostSource)>,
    ) -> Self {
        if let Some(cost) = stated.and_then(|s| read_stated(s, usage, extra)) {
            return Priced { cost: Some(cost), source: Some(CostSource::Provider) };
        }
        let (Some(usage), Some((price, source))) = (usage, price) else { return Priced::default() };
        match price.cost(&TokenClasses::of(usage)) {
            Some(cost) => Priced { cost: Some(cost.amount), source: Some(source) },
            None => Priced::default(),
        }
    }
}

/// Sum of costs; unknown as soon as one of them is.
pub fn total(costs: impl IntoIterator<Item = Option<NanoUsd>>) -> Option<NanoUsd> {
    costs.into_iter().try_fold(NanoUsd::default(), |sum, cost| sum.checked_add(cost?))
}

fn read_stated(stated: &StatedCost, usage: Option<&Usage>, extra: &Extra) -> Option<NanoUsd> {
    let mut path = stated.path.split('.');
    let first = path.next()?;
    let mut value: &Value = if first == "usage" { usage?.extra.get(path.next()?)? } else { extra.get(first)? };
    for key in path {
        value = value.get(key)?;
    }
    let number = match value {
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.clone(),
        _ => return None,
    };
    match stated.unit {
        CostUnit::Usd => NanoUsd::from_stated(&number),
        CostUnit::UsdTicks => NanoUsd::from_pico(number.parse::<u128>().ok()?.checked_mul(100)?),
    }
}
