//! Which price the vendor's amounts follow, where it is not the ledger's. Proposed, never applied.
//!
//! With equal counts every hour or day gives an interval for a class's rate: its money, half of the last digits up or down,
//! by its units. Where the vendor tells money in one sum, each class in turn is supposed to be the only one that changed.
//! A rate that all hours and days allow, in the fewest digits that any of them has, is the proposal; where several classes
//! could be the one, there is none.

use std::collections::BTreeMap;

use super::compare::{Outcome, own_lines, told_parts};
use super::report::day;
use super::sides::{Ours, Theirs};
use super::vendor::Format;
use crate::types::{Class, PriceProposal, Rate, Rates, Residual};

/// What is off: a class where it is told, the vendor's money, the ledger's.
type Off = (Option<Class>, i128, i128);

/// One hour or day whose counts are equal and whose money is not.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Class, units, the ledger's money, pico-USD.
    lines: Vec<(Class, u64, i128)>,
    /// The vendor's by class, where it tells that.
    told: Option<Vec<(Class, i128)>>,
    ours: i128,
    vendor: i128,
    bound: i128,
    /// Whether the ledger's money is known by class.
    split: bool,
    /// Whether the counts are only supposed to be equal.
    pub blind: bool,
}

impl Seen {
    pub fn of(ours: &Ours, theirs: &Theirs, format: Format, blind: bool) -> Self {
        let told = told_parts(theirs);
        Seen {
            lines: own_lines(ours, format, told.is_some()),
            told,
            ours: ours.cost,
            vendor: theirs.cost.unwrap_or(0),
            bound: theirs.bound + 500 * i128::from(ours.records),
            split: !ours.unsplit,
            blind,
        }
    }

    /// What is off: pairs of the vendor's and the ledger's money, by class where both are known so.
    fn off(&self) -> Vec<Off> {
        let Some(told) = self.told.as_ref().filter(|_| self.split) else { return vec![(None, self.vendor, self.ours)] };
        let classes: std::collections::BTreeSet<Class> =
            self.lines.iter().map(|line| line.0).chain(told.iter().map(|line| line.0)).collect();
        let all = classes.into_iter().map(|class| {
            let theirs = told.iter().filter(|(c, _)| *c == class).map(|(_, pico)| *pico).sum();
            let ours = self.lines.iter().filter(|(c, ..)| *c == class).map(|(.., pico)| *pico).sum();
            (Some(class), theirs, ours)
        });
        all.filter(|(_, theirs, ours): &Off| (theirs - ours).abs() > self.bound).collect()
    }

    /// Whether in every class that is off another hour or day is off by the same factor.
    pub fn off_by_the_same<'a>(&self, others: impl Iterator<Item = &'a Seen>) -> bool {
        let others: Vec<(i128, Vec<Off>)> = others.map(|seen| (seen.bound, seen.off())).collect();
        let off = self.off();
        let same = |(class, theirs, ours): &Off| {
            *ours > 0
                && others.iter().any(|(bound, off)| {
                    off.iter().filter(|(c, ..)| c == class).any(|(_, v, o)| {
                        // theirs / ours = v / o, as far as rounding lets one tell.
                        (theirs * o - v * ours).abs() <= self.bound * o.abs() + bound * ours.abs()
                    })
                })
        };
        !off.is_empty() && off.iter().all(same)
    }
}

/// Rates that a class can have: at least and at most so many pico-USD.
type Allowed = BTreeMap<Class, (i128, i128)>;

/// Proposes prices.
pub(super) fn propose(outcomes: &[Outcome]) -> Vec<PriceProposal> {
    let mut drifts: BTreeMap<(String, String), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        let drifted = outcome.parts.iter().any(|part| part.class == Residual::PriceDrift) && outcome.seen.is_some();
        if let Some(model) = outcome.place.model.clone().filter(|_| drifted) {
            drifts.entry((outcome.place.account.clone(), model)).or_default().push(outcome);
        }
    }
    drifts.into_iter().filter_map(|((provider, model), of)| one(provider, model, &of)).collect()
}

fn one(provider: String, model: String, of: &[&Outcome]) -> Option<PriceProposal> {
    let seen: Vec<&Seen> = of.iter().filter_map(|outcome| outcome.seen.as_deref()).collect();
    let by_class = seen.iter().all(|seen| seen.split && seen.told.is_some());
    let allowed: Allowed = if by_class { told_apart(&seen) } else { the_only_one(&seen)? };
    let (mut rates, mut were) = (Rates::default(), Rates::default());
    for (class, (low, high)) in allowed {
        let rate = u64::try_from(simplest(low, high)?).ok()?;
        rates.set(class, Rate::from_pico(class, rate).ok()?);
        let line =
            seen.iter().flat_map(|seen| &seen.lines).find(|(c, units, pico)| *c == class && *units > 0 && *pico > 0);
        if let Some((_, units, pico)) = line {
            let rate = u64::try_from(pico / i128::from(*units)).ok()?;
            Rate::from_pico(class, rate).into_iter().for_each(|rate| were.set(class, rate));
        }
    }
    if rates.is_empty() {
        return None;
    }
    let asked = of.iter().find_map(|outcome| outcome.asked.clone());
    let sent = asked.map_or(model, |asked| asked.strip_prefix(&format!("{provider}/")).unwrap_or(&asked).to_owned());
    let days: Vec<String> = of.iter().map(|outcome| day(outcome.place.from)).collect();
    let lines: Vec<String> =
        rates.iter().map(|(class, rate)| format!("{} = {}", class.rate_name(), written(class, rate))).collect();
    let snippet = format!("[prices.\"{provider}/{sent}\"]\n{}\n", lines.join("\n"));
    let (first, last) = (days.iter().min()?.clone(), days.iter().max()?.clone());
    Some(PriceProposal {
        provider,
        model: sent,
        rates,
        were,
        first_day: first,
        last_day: last,
        seen: seen.len() as u64,
        snippet,
    })
}

/// A rate as the configuration spells it.
fn written(class: Class, rate: Rate) -> String {
    let mut one = Rates::default();
    one.set(class, rate);
    serde_json::to_value(one)
        .ok()
        .and_then(|rates| rates.get(class.rate_name()).map(ToString::to_string))
        .unwrap_or_default()
}

/// Classes whose money is told apart: those that are off everywhere they are told.
fn told_apart(seen: &[&Seen]) -> Allowed {
    let mut allowed = Allowed::new();
    for one in seen {
        for (class, theirs, _) in one.off() {
            let Some(class) = class else { continue };
            let units: u64 = one.lines.iter().filter(|line| line.0 == class).map(|line| line.1).sum();
            narrow(&mut allowed, class, theirs, one.bound, units);
        }
    }
    allowed.retain(|_, (low, high)| low <= high);
    allowed
}

/// The one class whose rate alone explains every sum.
fn the_only_one(seen: &[&Seen]) -> Option<Allowed> {
    let classes: std::collections::BTreeSet<Class> =
        seen.iter().flat_map(|seen| &seen.lines).filter(|line| line.1 > 0).map(|line| line.0).collect();
    let mut able = Vec::new();
    for class in classes {
        let mut allowed = Allowed::new();
        let explained = seen.iter().all(|one| {
            let units: u64 = one.lines.iter().filter(|line| line.0 == class).map(|line| line.1).sum();
            let own: i128 = one.lines.iter().filter(|line| line.0 == class).map(|line| line.2).sum();
            let theirs = own + one.vendor - one.ours;
            units > 0 && theirs >= 0 && narrow(&mut allowed, class, theirs, one.bound, units)
        });
        let fits = allowed.get(&class).is_some_and(|(low, high)| low <= high && simplest(*low, *high).is_some());
        if explained && fits {
            able.push(allowed);
        }
    }
    // One sum alone could be any class's; several classes could be it where their shares never change.
    (able.len() == 1 && seen.iter().all(|seen| seen.split)).then(|| able.remove(0))
}

/// Narrows what a class's rate can be; `false` where nothing is left.
fn narrow(allowed: &mut Allowed, class: Class, money: i128, bound: i128, units: u64) -> bool {
    let Some(units) = Some(i128::from(units)).filter(|units| *units > 0) else { return false };
    let low = (money - bound).max(0);
    let (low, high) = ((low + units - 1) / units, (money + bound) / units);
    let known = allowed.entry(class).or_insert((0, i128::MAX));
    *known = (known.0.max(low), known.1.min(high));
    known.0 <= known.1
}

/// The number of the fewest digits between two.
fn simplest(low: i128, high: i128) -> Option<i128> {
    if low > high || high <= 0 {
        return None;
    }
    let mut unit = 1_i128;
    while unit.checked_mul(10)? <= high {
        unit *= 10;
    }
    while unit >= 1 {
        let first = (low + unit - 1) / unit * unit;
        if first <= high {
            return Some(first);
        }
        unit /= 10;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simplest_number_between_two_is_found() {
        for (low, high, expected) in
            [(149_996, 150_004, Some(150_000)), (1, 9, Some(1)), (123, 123, Some(123)), (5, 4, None), (0, 7, Some(0))]
        {
            assert_eq!(simplest(low, high), expected, "{low}..={high}");
        }
    }
}
