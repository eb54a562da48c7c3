//! Attempts that stand on the other side of an edge: vendors date a call by its end, or by when they got to count it.
//!
//! An attempt near an edge is moved where the counts (or, without counts, the money) of both sides ask for exactly that:
//! one side has too few, the other too many, and afterwards one of them agrees.

use std::collections::BTreeMap;

use super::join::{AtEdge, Cell, Joined, Place};
use super::plan::Account;
use super::settle::{counted, folded};
use super::sides::{Attempted, together};
use super::vendor::Format;
use crate::types::Class;

/// Attempts at one edge that are tried one by one.
const TRIED: usize = 2000;

/// Pico-USD moved into (or, negative, out of) a place.
pub(super) type Moved = BTreeMap<Place, (i128, u64)>;

/// What a place has too much (positive: the vendor tells more) by class; the money's is in the last entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excess {
    units: Vec<(Class, i128)>,
    money: Option<i128>,
    bound: i128,
}

impl Excess {
    /// Of a place, as a form of reports counts; a vendor that tells nothing of it has nothing there.
    fn of(cell: Option<&Cell>, format: Format, counts: bool) -> Excess {
        let theirs = cell.map(|cell| together(&cell.theirs).0).unwrap_or_default();
        let ours = cell.and_then(|cell| cell.ours.clone()).unwrap_or_default();
        if counts {
            let (units, _) = folded(&ours, format);
            let classes = Class::ALL.into_iter().filter(|class| counted(*class));
            let units = classes.map(|c| (c, i128::from(theirs.units.get(c)) - i128::from(units.get(c)))).collect();
            return Excess { units, money: None, bound: 0 };
        }
        let bound = theirs.bound + 500 * i128::from(ours.records);
        Excess { units: Vec::new(), money: Some(theirs.cost.unwrap_or(0) - ours.cost), bound }
    }

    fn settled(&self) -> bool {
        self.units.iter().all(|(_, excess)| *excess == 0) && self.money.is_none_or(|money| money.abs() <= self.bound)
    }

    /// Takes an attempt in (1) or out (-1), as the report counts it; `false` where that would lead beyond zero.
    fn shift(&mut self, attempt: &Attempted, times: i128, fold: &dyn Fn(Class) -> Class) -> bool {
        if let Some(money) = &mut self.money {
            let Some(cost) = attempt.cost.filter(|cost| *cost > 0) else { return false };
            let after = *money - times * cost;
            let toward = if times > 0 { after >= -self.bound } else { after <= self.bound };
            *money = after;
            return toward;
        }
        let mut toward = !attempt.units.is_empty();
        for (class, number) in attempt.units.iter().filter(|(class, _)| counted(*class)) {
            let class = fold(*class);
            if let Some((_, excess)) = self.units.iter_mut().find(|(c, _)| *c == class) {
                *excess -= times * i128::from(*number);
                toward &= if times > 0 { *excess >= 0 } else { *excess <= 0 };
            }
        }
        toward
    }
}

/// Moves attempts over edges where both sides ask for it. Returns what was moved, by place.
pub(super) fn settle_edges(joined: &mut Joined, accounts: &BTreeMap<String, Account>) -> Moved {
    let mut moved = Moved::new();
    let mut groups: BTreeMap<(Place, Place), Vec<AtEdge>> = BTreeMap::new();
    for edge in std::mem::take(&mut joined.edges) {
        groups.entry((edge.home.clone(), edge.other.clone())).or_default().push(edge);
    }
    for ((home, other), mut edges) in groups {
        let Some(account) = accounts.get(&home.account) else { continue };
        let told = [&home, &other].iter().find_map(|place| {
            let (theirs, format) = together(&joined.cells.get(*place)?.theirs);
            format.map(|format| (format, theirs.counted))
        });
        let Some((format, counts)) = told else { continue };
        // A side that the reports are not about takes anything.
        let side = |place: &Place| {
            account.touches(place.from, place.until).then(|| Excess::of(joined.cells.get(place), format, counts))
        };
        let (from, to) = (side(&home), side(&other));
        if [&from, &to].into_iter().flatten().any(Excess::settled) {
            continue;
        }
        edges.sort_by_key(|edge| edge.distance);
        edges.truncate(TRIED);
        let fold = |class: Class| format.fold(class);
        for at in choose(&edges, &from, &to, &fold) {
            let attempt = &edges[at].attempt;
            for (place, times) in [(&home, -1), (&other, 1)] {
                if !account.touches(place.from, place.until) {
                    continue;
                }
                joined.cells.entry(place.clone()).or_default().ours.get_or_insert_default().count(attempt, times);
                let sum = moved.entry(place.clone()).or_default();
                sum.0 += attempt.cost.unwrap_or(0) * i128::from(times);
                sum.1 += 1;
            }
        }
    }
    moved
}

/// Which attempts to move: the nearest ones, or a single one, or the nearest that fit, whichever makes a side agree.
fn choose(edges: &[AtEdge], from: &Option<Excess>, to: &Option<Excess>, fold: &dyn Fn(Class) -> Class) -> Vec<usize> {
    let agrees = |from: &Option<Excess>, to: &Option<Excess>| {
        from.as_ref().is_some_and(Excess::settled) || to.as_ref().is_some_and(Excess::settled)
    };
    let shift = |from: &mut Option<Excess>, to: &mut Option<Excess>, at: usize| {
        let attempt = &edges[at].attempt;
        let out = from.as_mut().is_none_or(|from| from.shift(attempt, -1, fold));
        let into = to.as_mut().is_none_or(|to| to.shift(attempt, 1, fold));
        out && into
    };
    let (mut a, mut b) = (from.clone(), to.clone());
    for at in 0..edges.len() {
        if !shift(&mut a, &mut b, at) {
            break;
        }
        if agrees(&a, &b) {
            return (0..=at).collect();
        }
    }
    for at in 0..edges.len() {
        let (mut a, mut b) = (from.clone(), to.clone());
        if shift(&mut a, &mut b, at) && agrees(&a, &b) {
            return vec![at];
        }
    }
    let (mut a, mut b) = (from.clone(), to.clone());
    let mut chosen = Vec::new();
    for at in 0..edges.len() {
        let (mut next_a, mut next_b) = (a.clone(), b.clone());
        if shift(&mut next_a, &mut next_b, at) {
            (a, b) = (next_a, next_b);
            chosen.push(at);
        }
        if agrees(&a, &b) {
            return chosen;
        }
    }
    Vec::new()
}
