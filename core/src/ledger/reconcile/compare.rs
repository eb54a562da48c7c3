//! Every place and every call compared: what the ledger has, what the vendor tells, and the parts of the difference.

use std::collections::BTreeMap;

use super::join::{Cell, Joined, Place};
use super::plan::Account;
use super::propose::Seen;
use super::settle::{Part, Settled, alone, counted, folded, settle};
use super::sides::{ByClass, Ours, Theirs, together};
use super::timing::Moved;
use super::vendor::Format;
use crate::catalog::Catalog;
use crate::types::{Class, Residual, Tags};

/// One comparison and its end.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub place: Place,
    /// The record and the vendor's id, where it is of one call.
    pub record: Option<String>,
    pub vendor_id: Option<String>,
    /// Moment of the record or call.
    pub at: Option<i64>,
    /// Pico-USD, before attempts were moved over edges.
    pub ours: i128,
    pub unknown: u64,
    /// Pico-USD.
    pub vendor: i128,
    pub priced_here: bool,
    pub unpriced: u64,
    pub parts: Vec<Part>,
    pub rows: Vec<(u32, u64)>,
    /// The model's name as the attempts asked for it, and the labels they share.
    pub asked: Option<String>,
    pub tags: Tags,
    /// The evidence of another price.
    pub seen: Option<Box<Seen>>,
}

impl Outcome {
    fn new(place: Place, ours: &Ours, settled: Settled, rows: Vec<(u32, u64)>) -> Self {
        Outcome {
            place,
            record: None,
            vendor_id: None,
            at: None,
            ours: ours.cost,
            unknown: ours.unknown,
            vendor: settled.vendor,
            priced_here: settled.priced_here,
            unpriced: settled.unpriced,
            parts: settled.parts,
            rows,
            asked: ours.asked.one().cloned(),
            tags: ours.tags.one().cloned().unwrap_or_default(),
            seen: None,
        }
    }
}

/// Compares everything.
pub(super) fn compare(
    joined: &mut Joined,
    accounts: &BTreeMap<String, Account>,
    moved: &Moved,
    catalog: &Catalog,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut cells = std::mem::take(&mut joined.cells);
    by_account(&mut cells);
    for (place, cell) in cells {
        let list = |class: Class| {
            let price = catalog.price(&place.account, place.model.as_deref()?)?;
            price.at(u64::try_from(place.from).ok()?)?.rates.get(class).map(|rate| rate.pico())
        };
        let (theirs, format) = together(&cell.theirs);
        let ours = cell.ours.unwrap_or_default();
        let mut outcome = match format {
            Some(format) if ours.records > 0 || ours.cost != 0 => {
                let settled = settle(&ours, &theirs, format, place.fee, &list);
                let seen =
                    (settled.price || settled.blind).then(|| Box::new(Seen::of(&ours, &theirs, format, settled.blind)));
                Outcome { seen, ..Outcome::new(place.clone(), &ours, settled, theirs.rows) }
            }
            Some(_) => Outcome::new(place.clone(), &ours, alone(&theirs, place.fee, &list), theirs.rows),
            None => {
                let why = "the vendor tells nothing of it".to_owned();
                let part = Part { class: Residual::MissingVendor, pico: -ours.cost, why };
                let parts = if ours.cost == 0 { Vec::new() } else { vec![part] };
                Outcome::new(place.clone(), &ours, Settled { parts, ..Settled::default() }, Vec::new())
            }
        };
        if let Some((pico, attempts)) = moved.get(&place).filter(|_| place.fee.is_none()) {
            outcome.ours -= pico;
            let why = format!("{attempts} attempts near the edge stand on its other side");
            outcome.parts.push(Part { class: Residual::Timing, pico: *pico, why });
        }
        outcomes.push(outcome);
    }
    for (place, what, theirs) in std::mem::take(&mut joined.others) {
        let vendor = theirs.cost.unwrap_or(0);
        let parts = vec![Part { class: Residual::NonToken, pico: vendor, why: what }];
        let settled = Settled { parts, vendor, ..Settled::default() };
        outcomes.push(Outcome::new(Place { model: None, ..place }, &Ours::default(), settled, theirs.rows));
    }
    calls(joined, accounts, catalog, &mut outcomes);
    see_prices(&mut outcomes);
    outcomes
}

/// Sums that are told of an account's day without a model: what of the ledger's is told nowhere else goes there.
fn by_account(cells: &mut BTreeMap<Place, Cell>) {
    let whole: Vec<Place> = cells
        .iter()
        .filter(|(p, c)| p.model.is_none() && p.fee.is_none() && !c.theirs.is_empty())
        .map(|(p, _)| p.clone())
        .collect();
    for place in whole {
        let taken: Vec<Place> = cells
            .iter()
            .filter(|(p, c)| {
                let same = (&p.account, &p.key, p.from) == (&place.account, &place.key, place.from);
                same && p.model.is_some() && p.fee.is_none() && c.theirs.is_empty()
            })
            .map(|(p, _)| p.clone())
            .collect();
        for other in taken {
            let Some(ours) = cells.remove(&other).and_then(|cell| cell.ours) else { continue };
            if let Some(cell) = cells.get_mut(&place) {
                cell.ours.get_or_insert_default().merge(&ours);
            }
        }
    }
}

/// Single calls, with their records and without.
fn calls(joined: &mut Joined, accounts: &BTreeMap<String, Account>, catalog: &Catalog, outcomes: &mut Vec<Outcome>) {
    let again = std::mem::take(&mut joined.again).into_iter().map(|call| (call, true));
    for (call, twice) in std::mem::take(&mut joined.calls).into_iter().map(|call| (call, false)).chain(again) {
        let Some(account) = accounts.get(&call.account) else { continue };
        let at = call.record.as_ref().map_or(call.at, |joined| i64::try_from(joined.0.at_ms).unwrap_or(call.at));
        let (from, until) = account.grain.around(at);
        let key = call.key.clone().filter(|_| account.keyed);
        let place = Place { account: call.account.clone(), key, model: call.model.clone(), fee: None, from, until };
        let list = |class: Class| {
            let price = catalog.price(&place.account, place.model.as_deref()?)?;
            price.at(u64::try_from(at).ok()?)?.rates.get(class).map(|rate| rate.pico())
        };
        let mut ours = Ours::default();
        let (settled, record) = match &call.record {
            Some(joined) => {
                ours.add(&joined.1, &joined.0);
                let told =
                    || folded(&ours, call.format).0.iter().all(|(c, n)| !counted(c) || call.theirs.units.get(c) == n);
                let counted = call.theirs.counted && (call.format.counts_as_models_do() || told());
                let theirs = Theirs { counted, ..call.theirs.clone() };
                (settle(&ours, &theirs, call.format, None, &list), Some(joined.0.id.clone()))
            }
            None => {
                let mut settled = alone(&call.theirs, None, &list);
                if let Some(part) = settled.parts.first_mut().filter(|_| twice) {
                    part.why = "the same call stands in the report a second time".to_owned();
                }
                (settled, None)
            }
        };
        let seen = settled.price.then(|| Box::new(Seen::of(&ours, &call.theirs, call.format, false)));
        let vendor_id =
            if twice { format!("{}#{}", call.id, call.theirs.rows.first().map_or(0, |row| row.1)) } else { call.id };
        let outcome = Outcome::new(place.clone(), &ours, settled, call.theirs.rows.clone());
        outcomes.push(Outcome { record, vendor_id: Some(vendor_id), at: Some(at), seen, ..outcome });
    }
}

/// Where a report tells no counts, a price shows in that several hours or days are off by the same factor.
fn see_prices(outcomes: &mut [Outcome]) {
    let key = |outcome: &Outcome| (outcome.place.account.clone(), outcome.place.model.clone());
    let mut blind: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, outcome) in outcomes.iter().enumerate() {
        if outcome.seen.as_ref().is_some_and(|seen| seen.blind) {
            blind.entry(key(outcome)).or_default().push(at);
        }
    }
    for many in blind.into_values() {
        let seen: Vec<Seen> = many.iter().filter_map(|at| outcomes[*at].seen.as_deref().cloned()).collect();
        for (n, at) in many.iter().enumerate() {
            let others = || seen.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, seen)| seen);
            let outcome = &mut outcomes[*at];
            match seen[n].off_by_the_same(others()) {
                true => {
                    if let Some(part) = outcome.parts.iter_mut().find(|part| part.class == Residual::UsageDrift) {
                        part.class = Residual::PriceDrift;
                        part.why = "several of its hours or days are off by the same factor".to_owned();
                    }
                }
                false => outcome.seen = None,
            }
        }
    }
}

/// The ledger's units and money by class: as the report counts them where it tells money so, else as they were priced.
pub(super) fn own_lines(ours: &Ours, format: Format, as_told: bool) -> Vec<(Class, u64, i128)> {
    let (units, parts) = if as_told { folded(ours, format) } else { by_price(ours) };
    let all = units.iter().map(|(class, number)| (class, number, parts.get(class)));
    all.filter(|(_, number, pico)| *number > 0 || *pico != 0).collect()
}

/// Reasoning is priced as what is answered.
fn by_price(ours: &Ours) -> (ByClass<u64>, ByClass<i128>) {
    let (mut units, mut parts) = (ours.units, ours.parts);
    *units.of(Class::Output) += std::mem::take(units.of(Class::Reasoning));
    *parts.of(Class::Output) += std::mem::take(parts.of(Class::Reasoning));
    (units, parts)
}

/// The same of the vendor.
pub(super) fn told_parts(theirs: &Theirs) -> Option<Vec<(Class, i128)>> {
    let split = !theirs.unsplit && theirs.cost.is_some();
    split.then(|| theirs.parts.iter().filter(|(_, pico)| *pico != 0).collect())
}
