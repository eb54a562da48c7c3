//! What was posted before, laid against what is found now: the same report again leaves nothing, a later one only what it
//! says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::amount::nanos;
use super::compare::Outcome;
use super::join::Place;
use super::names::Names;
use super::plan::Account;
use crate::digest::sha256_hex;
use crate::error::Result;
use crate::ledger::LedgerStore;
use crate::types::{Correction, Residual, Tags, UsageQuery};

/// Sums by class, nano-USD.
type Sums = BTreeMap<Residual, i64>;

/// What was posted.
#[derive(Debug, Default)]
pub(super) struct Posted {
    places: BTreeMap<Place, Sums>,
    records: BTreeMap<String, Sums>,
    vendor_ids: BTreeMap<String, Sums>,
    /// Account, model and time of sums that were corrected and that the reports are not about as a whole.
    elsewhere: BTreeSet<(String, Option<String>, i64)>,
    /// Corrections by the report that they came from.
    pub by_file: BTreeMap<String, u64>,
}

impl Posted {
    /// Reads it for the times that reports are about. Corrections of single calls that are not told singly now count where
    /// their moment lies.
    pub fn read(
        store: &dyn LedgerStore,
        accounts: &BTreeMap<String, Account>,
        names: &mut Names<'_>,
        outcomes: &[Outcome],
    ) -> Result<Posted> {
        let records: BTreeSet<&str> = outcomes.iter().filter_map(|o| o.record.as_deref()).collect();
        let ids: BTreeSet<&str> = outcomes.iter().filter_map(|o| o.vendor_id.as_deref()).collect();
        let mut posted = Posted::default();
        store.corrections(&UsageQuery::default(), &mut |correction| {
            *posted.by_file.entry(correction.file.clone()).or_default() += 1;
            let account = names.account(&correction.provider);
            let Some(plan) = accounts.get(&account) else { return Ok(()) };
            let sums = match (&correction.record, &correction.vendor_id) {
                (Some(record), _) if records.contains(record.as_str()) => {
                    posted.records.entry(record.clone()).or_default()
                }
                (None, Some(id)) if ids.contains(id.as_str()) => posted.vendor_ids.entry(id.clone()).or_default(),
                _ => {
                    let at = i64::try_from(correction.at_ms).unwrap_or(i64::MAX);
                    let (from, until) = plan.grain.around(at);
                    let model = correction.model.as_ref().filter(|_| plan.modelled);
                    let model = model.map(|model| {
                        let bare = model.strip_prefix(&format!("{}/", correction.provider)).unwrap_or(model);
                        names.model(&account, bare)
                    });
                    if !plan.touches(from, until) {
                        if correction.record.is_none() && correction.vendor_id.is_none() {
                            posted.elsewhere.insert((account, model, from));
                        }
                        return Ok(());
                    }
                    let key = correction.key.clone().filter(|_| plan.keyed);
                    posted.places.entry(Place { account, key, model, fee: None, from, until }).or_default()
                }
            };
            *sums.entry(correction.residual).or_default() += correction.delta_nanos;
            Ok(())
        })?;
        Ok(posted)
    }

    /// Sums that were posted for a call.
    fn of_call(&mut self, outcome: &Outcome) -> Option<Sums> {
        match (&outcome.record, &outcome.vendor_id) {
            (Some(record), _) => self.records.remove(record),
            (None, Some(id)) => self.vendor_ids.remove(id),
            _ => None,
        }
    }
}

/// What is compared as one, with what is left of its difference.
#[derive(Debug, Clone)]
pub(super) struct Net {
    pub place: Place,
    pub record: Option<String>,
    pub vendor_id: Option<String>,
    pub at: Option<i64>,
    pub ours: i64,
    pub corrections: i64,
    pub vendor: i64,
    pub unknown: u64,
    pub priced_here: bool,
    pub unpriced: u64,
    /// By class: what is left of the difference, how much was posted, why, and which rows.
    pub left: BTreeMap<Residual, Left>,
    pub asked: Option<String>,
    pub tags: Tags,
    /// Its day was corrected as a whole before: what is found of a single call stands in that sum already.
    pub held: bool,
    /// Whether every outcome had the same labels so far.
    labelled: bool,
}

/// What is left of a difference in one class.
#[derive(Debug, Clone, Default)]
pub(super) struct Left {
    pub nanos: i64,
    pub posted: i64,
    pub why: String,
    pub rows: Vec<(u32, u64)>,
}

/// Adds up what stands at one place, and takes away what was posted.
pub(super) fn net(outcomes: &[Outcome], mut posted: Posted, accounts: &BTreeMap<String, Account>) -> Vec<Net> {
    let mut calls: Vec<Net> = Vec::new();
    let mut places: BTreeMap<Place, Net> = BTreeMap::new();
    for outcome in outcomes {
        if outcome.vendor_id.is_some() {
            let mut net = Net::of(outcome, outcome.place.clone());
            net.add(outcome);
            net.less(posted.of_call(outcome).unwrap_or_default());
            let Place { account, model, from, .. } = &net.place;
            let of = |model: Option<String>| posted.elsewhere.contains(&(account.clone(), model, *from));
            net.held = of(model.clone()) || of(None);
            calls.push(net);
            continue;
        }
        let place = Place { fee: None, ..outcome.place.clone() };
        places.entry(place.clone()).or_insert_with(|| Net::of(outcome, place)).add(outcome);
    }
    for (place, sums) in posted.places {
        // What was said of a day before and is not said any more is taken back, where the report is about that day.
        let covered = accounts.get(&place.account).is_some_and(|account| account.touches(place.from, place.until));
        if covered || places.contains_key(&place) {
            places.entry(place.clone()).or_insert_with(|| Net::empty(place)).less(sums);
        }
    }
    places.into_values().chain(calls).collect()
}

impl Net {
    fn empty(place: Place) -> Net {
        Net {
            place,
            record: None,
            vendor_id: None,
            at: None,
            ours: 0,
            corrections: 0,
            vendor: 0,
            unknown: 0,
            priced_here: false,
            unpriced: 0,
            left: BTreeMap::new(),
            asked: None,
            tags: Tags::new(),
            held: false,
            labelled: false,
        }
    }

    fn of(outcome: &Outcome, place: Place) -> Net {
        let (record, vendor_id) = (outcome.record.clone(), outcome.vendor_id.clone());
        Net { record, vendor_id, at: outcome.at, ..Net::empty(place) }
    }

    /// Adds a comparison; its parts in whole nano-USD are made to add up to its difference.
    fn add(&mut self, outcome: &Outcome) {
        let (ours, vendor) = (nanos(outcome.ours), nanos(outcome.vendor));
        self.ours += ours;
        self.vendor += vendor;
        self.unknown += outcome.unknown;
        self.priced_here |= outcome.priced_here;
        self.unpriced += outcome.unpriced;
        if !self.labelled {
            (self.asked, self.tags, self.labelled) = (outcome.asked.clone(), outcome.tags.clone(), true);
        } else if ours != 0 {
            self.asked = self.asked.take().filter(|asked| outcome.asked.as_ref() == Some(asked));
            self.tags.retain(|name, value| outcome.tags.get(name) == Some(value));
        }
        let mut rest = vendor - ours;
        for (at, part) in outcome.parts.iter().enumerate() {
            // The last part takes what rounding left.
            let amount = if at + 1 == outcome.parts.len() { rest } else { nanos(part.pico) };
            rest -= amount;
            let left = self.left.entry(part.class).or_default();
            left.nanos += amount;
            if left.why.is_empty() {
                left.why.clone_from(&part.why);
            }
            if left.rows.len() < 8 {
                left.rows.extend(outcome.rows.iter().take(8 - left.rows.len()));
            }
        }
    }

    fn less(&mut self, posted: Sums) {
        for (class, amount) in posted {
            self.corrections += amount;
            let left = self.left.entry(class).or_default();
            left.nanos -= amount;
            left.posted += amount;
            if left.why.is_empty() {
                left.why = "said before and not any more".to_owned();
            }
        }
    }

    /// What would have to be posted.
    pub fn correction(&self, class: Residual, left: &Left, files: &[String]) -> Correction {
        let (file, row) = match left.rows.first() {
            Some((file, row)) => (*file as usize, Some(*row)),
            None => (0, None),
        };
        let file = files.get(file).cloned().unwrap_or_default();
        let ms = |at: i64| u64::try_from(at).unwrap_or(0);
        let model = self.asked.clone().or_else(|| self.place.model.clone());
        let Place { account, key, model: canonical, from, .. } = &self.place;
        let what = [
            file.as_str(),
            &row.map(|row| row.to_string()).unwrap_or_default(),
            account,
            key.as_deref().unwrap_or_default(),
            canonical.as_deref().unwrap_or_default(),
            &from.to_string(),
            self.record.as_deref().unwrap_or_default(),
            self.vendor_id.as_deref().unwrap_or_default(),
            class.name(),
            // A ledger that has changed since needs another one.
            &left.posted.to_string(),
            &left.nanos.to_string(),
        ];
        Correction {
            id: sha256_hex(what.join("\u{1f}").as_bytes())[..32].to_owned(),
            at_ms: ms(self.at.unwrap_or(*from)),
            until_ms: self.at.is_none().then(|| ms(self.place.until)),
            provider: account.clone(),
            model,
            key: key.clone(),
            tags: self.tags.clone(),
            record: self.record.clone(),
            vendor_id: self.vendor_id.clone(),
            residual: class,
            delta_nanos: left.nanos,
            file,
            row,
        }
    }
}
