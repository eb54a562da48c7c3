//! Why two sums differ: the difference taken apart into classes, whose parts add up to it.
//!
//! With `V` and `O` the units of vendor and ledger in a class, `M` and `C` their money and `r = C / O` the ledger's rate, the
//! difference `M - C` is `(V - O) r`, the counts' part, and `M - V r`, the price's. What is within rounding is rounding.

use super::sides::{ByClass, Ours, Theirs};
use super::vendor::Format;
use crate::types::{Class, Residual};

/// Half a nano-USD: what the ledger rounded each attempt's cost by, pico-USD.
const HALF_NANO: i128 = 500;

/// A part of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub class: Residual,
    /// Pico-USD.
    pub pico: i128,
    /// In words.
    pub why: String,
}

/// What became of a comparison.
#[derive(Debug, Clone, Default)]
pub(super) struct Settled {
    pub parts: Vec<Part>,
    /// The vendor's money, pico-USD; from its counts where it tells none.
    pub vendor: i128,
    /// Whether it is from counts.
    pub priced_here: bool,
    /// Units of the vendor without a known price.
    pub unpriced: u64,
    /// Whether the counts are known to be equal and only the money differs: the price's evidence.
    pub price: bool,
    /// Whether there are no counts to tell price from usage by.
    pub blind: bool,
}

/// The ledger's units as a report counts them.
pub(super) fn folded(ours: &Ours, format: Format) -> (ByClass<u64>, ByClass<i128>) {
    let (mut units, mut parts) = (ByClass::default(), ByClass::default());
    for (class, number) in ours.units.iter() {
        *units.of(format.fold(class)) += number;
    }
    for (class, pico) in ours.parts.iter() {
        *parts.of(format.fold(class)) += pico;
    }
    (units, parts)
}

/// Whether a class is of tokens, which reports count; of requests and seconds they count what they like.
pub(super) fn counted(class: Class) -> bool {
    class < Class::Request
}

/// Rates of last resort: pico-USD per unit of a class.
pub(super) type ListRate<'a> = &'a dyn Fn(Class) -> Option<u64>;

/// Compares what both sides have.
pub(super) fn settle(ours: &Ours, theirs: &Theirs, format: Format, fee: Option<Class>, list: ListRate<'_>) -> Settled {
    let (units, parts) = folded(ours, format);
    let classes: Vec<Class> = Class::ALL.into_iter().filter(|class| counted(*class) || fee == Some(*class)).collect();
    let differs: Vec<Class> = match theirs.counted {
        true => classes.iter().copied().filter(|class| theirs.units.get(*class) != units.get(*class)).collect(),
        false => Vec::new(),
    };
    let rates = Rates { units: &units, parts: &parts, ours, theirs, list };
    let mut settled = Settled::default();
    let counts_part = |settled: &mut Settled| -> i128 {
        differs.iter().fold(0, |sum, class| {
            let (v, o) = (theirs.units.get(*class), units.get(*class));
            match rates.cost(*class, i128::from(v) - i128::from(o)) {
                Some(pico) => sum + pico,
                None => {
                    settled.unpriced += v.saturating_sub(o);
                    sum
                }
            }
        })
    };
    let bound = theirs.bound + HALF_NANO * i128::from(ours.records);
    let Some(money) = theirs.cost else {
        // Counts only: what they cost at the prices known.
        let by_counts = counts_part(&mut settled);
        settled.vendor = ours.cost + by_counts;
        settled.priced_here = true;
        let class = if differs.is_empty() { Residual::Matched } else { usage_class(ours, theirs, &units, &classes) };
        settled.parts.push(Part { class, pico: by_counts, why: say_counts(&differs, &units, theirs) });
        return settled;
    };
    settled.vendor = money;
    let delta = money - ours.cost;
    let part = |class, pico, why: String| Part { class, pico, why };
    if delta.abs() <= bound {
        let class = if super::amount::nanos(delta) == 0 { Residual::Matched } else { Residual::Rounded };
        settled.parts.push(part(class, delta, format!("of {} amounts", theirs.all_rows)));
        return settled;
    }
    if !theirs.counted {
        // More requests for more money, or fewer for less, say on which side some are missing.
        let class = match theirs.requests {
            Some(requests) if requests > ours.records && delta > 0 => Residual::MissingLocal,
            Some(requests) if requests < ours.records && delta < 0 => Residual::MissingVendor,
            _ => Residual::UsageDrift,
        };
        settled.blind = class == Residual::UsageDrift;
        let why = "the amounts differ, and the report tells no counts of tokens".to_owned();
        settled.parts.push(part(class, delta, why));
        return settled;
    }
    if differs.is_empty() {
        settled.price = true;
        let why =
            if ours.unknown > 0 { "the price is not known here" } else { "the counts are equal, the amounts are not" };
        settled.parts.push(part(Residual::PriceDrift, delta, why.to_owned()));
        return settled;
    }
    let by_counts = counts_part(&mut settled);
    let rest = delta - by_counts;
    let class = usage_class(ours, theirs, &units, &classes);
    let why = say_counts(&differs, &units, theirs);
    // A rate that is a quotient of sums is no more exact than these; and counts that are told together may be of any of
    // the rates that they have.
    let slack = bound + HALF_NANO * differs.len() as i128;
    let (least, most) = mixed(&differs, ours, &units, theirs, format);
    let by_mix = least < most && (least - slack..=most + slack).contains(&delta);
    if rest.abs() <= slack || by_mix || settled.unpriced > 0 {
        settled.parts.push(part(class, delta, why));
        return settled;
    }
    settled.parts.push(part(class, by_counts, why));
    settled.parts.push(part(Residual::PriceDrift, rest, "beyond what the counts explain".to_owned()));
    settled
}

/// What a vendor tells and the ledger has nothing of: its money, or its counts at list prices.
pub(super) fn alone(theirs: &Theirs, fee: Option<Class>, list: ListRate<'_>) -> Settled {
    let mut settled = Settled::default();
    settled.vendor = theirs.cost.unwrap_or_else(|| {
        settled.priced_here = true;
        let classes = Class::ALL.into_iter().filter(|class| counted(*class) || fee == Some(*class));
        classes.fold(0, |sum, class| {
            let number = theirs.units.get(class);
            match list(class) {
                _ if number == 0 => sum,
                Some(rate) => sum + i128::from(number) * i128::from(rate),
                None => {
                    settled.unpriced += number;
                    sum
                }
            }
        })
    });
    let class = if fee.is_some() { Residual::NonToken } else { Residual::MissingLocal };
    let pico = settled.vendor;
    settled.parts.push(Part { class, pico, why: "the ledger has nothing of it".to_owned() });
    settled
}

/// What units cost.
struct Rates<'a> {
    units: &'a ByClass<u64>,
    parts: &'a ByClass<i128>,
    ours: &'a Ours,
    theirs: &'a Theirs,
    list: ListRate<'a>,
}

impl Rates<'_> {
    /// So many units of a class, pico-USD: at the ledger's own rate, the vendor's, the list's, or all tokens' average.
    fn cost(&self, class: Class, number: i128) -> Option<i128> {
        let times = |money: i128, units: i128| number * money / units;
        let own = i128::from(self.units.get(class));
        if own > 0 && !self.ours.unsplit && self.parts.get(class) != 0 {
            return Some(times(self.parts.get(class), own));
        }
        let theirs = i128::from(self.theirs.units.get(class));
        if theirs > 0 && !self.theirs.unsplit && self.theirs.parts.get(class) != 0 {
            return Some(times(self.theirs.parts.get(class), theirs));
        }
        if let Some(rate) = (self.list)(class) {
            return Some(number * i128::from(rate));
        }
        let all: i128 = self.units.iter().filter(|(class, _)| counted(*class)).map(|(_, n)| i128::from(n)).sum();
        (all > 0 && self.ours.unknown == 0).then(|| times(self.ours.cost, all))
    }
}

/// The least and the most that differing counts can cost where a report counts several classes as one.
fn mixed(differs: &[Class], ours: &Ours, units: &ByClass<u64>, theirs: &Theirs, format: Format) -> (i128, i128) {
    differs.iter().fold((0, 0), |(least, most), class| {
        let of_class =
            |(one, number): (Class, u64)| (format.fold(one) == *class && number > 0).then_some((one, number));
        let number = i128::from(theirs.units.get(*class)) - i128::from(units.get(*class));
        let costs =
            ours.units.iter().filter_map(of_class).map(|(one, own)| number * ours.parts.get(one) / i128::from(own));
        let costs: Vec<i128> = costs.collect();
        (least + costs.iter().min().copied().unwrap_or(0), most + costs.iter().max().copied().unwrap_or(0))
    })
}

/// Which of the classes differing counts are of: where requests are counted, more or fewer of them say that some are missing
/// on one side.
fn usage_class(ours: &Ours, theirs: &Theirs, units: &ByClass<u64>, classes: &[Class]) -> Residual {
    let more =
        |by: &dyn Fn(u64, u64) -> bool| classes.iter().all(|class| by(theirs.units.get(*class), units.get(*class)));
    match theirs.requests {
        Some(requests) if requests > ours.records && more(&|v, o| v >= o) => Residual::MissingLocal,
        Some(requests) if requests < ours.records && more(&|v, o| v <= o) => Residual::MissingVendor,
        _ => Residual::UsageDrift,
    }
}

fn say_counts(differs: &[Class], units: &ByClass<u64>, theirs: &Theirs) -> String {
    let say =
        |class: &Class| format!("{} {} there, {} here", class.name(), theirs.units.get(*class), units.get(*class));
    differs.iter().take(3).map(say).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::sides::Attempted;
    use super::*;

    const NO_LIST: ListRate<'static> = &|_| None;

    /// `count` attempts of 1000 tokens in at 2 and 100 out at 8 pico-USD a token (in millions).
    fn ours(count: u64) -> Ours {
        let mut ours = Ours::default();
        let (input, output) = (2_000_000 * 1000, 8_000_000 * 100);
        let attempt = Attempted {
            cost: Some(input + output),
            units: vec![(Class::Input, 1000), (Class::Output, 100)],
            parts: Some(vec![(Class::Input, input), (Class::Output, output)]),
        };
        (0..count).for_each(|_| ours.count(&attempt, 1));
        ours
    }

    fn theirs(input: u64, output: u64, cost: i128) -> Theirs {
        let mut theirs = Theirs { cost: Some(cost), counted: true, unsplit: true, all_rows: 1, ..Theirs::default() };
        (*theirs.units.of(Class::Input), *theirs.units.of(Class::Output)) = (input, output);
        theirs
    }

    fn parts(ours: &Ours, theirs: &Theirs) -> Vec<(Residual, i128)> {
        let settled = settle(ours, theirs, Format::Focus, None, NO_LIST);
        settled.parts.iter().map(|part| (part.class, part.pico)).collect()
    }

    #[test]
    fn a_difference_falls_apart_into_counts_and_price_and_adds_up() {
        let cost: i128 = 10 * 2_800_000_000;
        assert_eq!(parts(&ours(10), &theirs(10_000, 1000, cost)), [(Residual::Matched, 0)]);
        let dearer = cost + 10_000 * 500_000;
        assert_eq!(parts(&ours(10), &theirs(10_000, 1000, dearer)), [(Residual::PriceDrift, 5_000_000_000)]);
        let more = cost + 500 * 2_000_000;
        assert_eq!(parts(&ours(10), &theirs(10_500, 1000, more)), [(Residual::UsageDrift, 1_000_000_000)]);
        let both = 10_500 * 2_500_000 + 1000 * 8_000_000;
        assert_eq!(
            parts(&ours(10), &theirs(10_500, 1000, both)),
            [(Residual::UsageDrift, 1_000_000_000), (Residual::PriceDrift, 10_500 * 500_000)]
        );
    }

    #[test]
    fn requests_say_on_which_side_some_are_missing() {
        let with = |requests, theirs: Theirs| Theirs { requests: Some(requests), ..theirs };
        let more = with(11, theirs(11_000, 1100, 11 * 2_800_000_000));
        assert_eq!(parts(&ours(10), &more), [(Residual::MissingLocal, 2_800_000_000)]);
        let fewer = with(9, theirs(9000, 900, 9 * 2_800_000_000));
        assert_eq!(parts(&ours(10), &fewer), [(Residual::MissingVendor, -2_800_000_000)]);
        let same = with(10, theirs(9000, 1000, 10 * 2_800_000_000 - 1000 * 2_000_000));
        assert_eq!(parts(&ours(10), &same), [(Residual::UsageDrift, -2_000_000_000)]);
    }

    #[test]
    fn rounding_is_what_the_last_digits_allow_and_no_more() {
        let cost: i128 = 10 * 2_800_000_000;
        let rounded = |off: i128| Theirs { bound: 5_000_000_000, ..theirs(10_000, 1000, cost + off) };
        assert_eq!(parts(&ours(10), &rounded(5_000_000_000)), [(Residual::Rounded, 5_000_000_000)]);
        assert_eq!(parts(&ours(10), &rounded(5_000_006_000)), [(Residual::PriceDrift, 5_000_006_000)]);
    }

    #[test]
    fn counts_alone_cost_what_they_cost_here() {
        let counts = Theirs { cost: None, ..theirs(12_000, 1000, 0) };
        let settled = settle(&ours(10), &counts, Format::Focus, None, NO_LIST);
        assert!(settled.priced_here);
        assert_eq!(settled.vendor, 10 * 2_800_000_000 + 2000 * 2_000_000);
        assert_eq!(settled.parts[0].class, Residual::UsageDrift);
    }
}
