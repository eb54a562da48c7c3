//! What vendors do otherwise than the ledger expects, and the classes that must be found for it.

use std::collections::BTreeSet;

use fastrand::Rng;
use interfuse::types::{Class, Residual};

use super::{Charge, DAY, Extra, Form, START, World};

impl World {
    pub(super) fn faults_of_sums(&mut self, rng: &mut Rng) {
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

    pub(super) fn faults_of_calls(&mut self, rng: &mut Rng) {
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
    pub(super) fn whole(&mut self, rng: &mut Rng) {
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
