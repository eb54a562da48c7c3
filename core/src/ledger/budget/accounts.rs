//! What is spent and held of every budget, in memory: sums by slot of time, and the holds of attempts under way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::hold::{Claim, Hold, Over, Reserved, Standing};
use super::slot::Slot;
use super::{Budget, Span};
use crate::types::BudgetMode;

/// Accounts above this number are looked through for those that no longer count.
const SWEEP: usize = 1024;

/// All accounts of a ledger.
#[derive(Debug, Default)]
pub struct Accounts {
    accounts: HashMap<Name, Account>,
    holds: HashMap<String, Held>,
    /// When the first of the leases ends.
    lapses_ms: Option<u64>,
    /// The number of accounts at which they are looked through again.
    sweep: usize,
}

/// A budget, and the value of a budget with `each`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name(Arc<str>, Option<Arc<str>>);

#[derive(Debug)]
struct Account {
    budget: Arc<Budget>,
    slots: BTreeMap<u64, Slot>,
}

/// One hold.
#[derive(Debug)]
struct Held {
    lease_ms: u64,
    /// Its lease has ended: it counts as spent until its record comes.
    lapsed: bool,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: Name,
    slot: u64,
    nanos: Option<u64>,
}

impl Account {
    /// Sums over the slots that count.
    fn sums(&self, since: u64) -> Slot {
        let mut sums = Slot::default();
        for slot in self.slots.range(since..).map(|(_, slot)| slot) {
            sums.add(slot);
        }
        sums
    }

    /// Drops slots that will not count again.
    fn forget(&mut self, since: u64) {
        while let Some(first) = self.slots.first_entry().filter(|slot| *slot.key() < since && slot.get().open == 0) {
            first.remove();
        }
    }
}

impl Accounts {
    /// Holds an attempt's most against every budget that it falls under, or against none.
    pub fn reserve(&mut self, hold: &Hold) -> Reserved {
        // Asked again: it is held already.
        if self.holds.contains_key(&hold.id) {
            return Reserved::Held(Vec::new());
        }
        self.lapse(hold.at_ms);
        self.sweep(hold.at_ms);
        let (mut over, mut refused) = (Vec::new(), false);
        for (place, claim) in hold.claims.iter().enumerate() {
            let Span { since, slot, .. } = claim.span;
            let account = self.account(claim);
            account.forget(since);
            let Slot { spent, held, .. } = account.sums(since);
            if claim.exceeds(spent, held) {
                account.slots.entry(slot).or_default().exceeded += 1;
                refused |= claim.budget.mode == BudgetMode::Enforce;
                over.push(Over { claim: place, spent, held });
            }
        }
        if refused {
            over.retain(|over| hold.claims[over.claim].budget.mode == BudgetMode::Enforce);
            return Reserved::Refused(over);
        }
        let mut parts = Vec::with_capacity(hold.claims.len());
        for claim in &hold.claims {
            let slot = self.account(claim).slots.entry(claim.span.slot).or_default();
            slot.hold(claim.nanos);
            parts.push(Part { name: name(claim), slot: claim.span.slot, nanos: claim.nanos });
        }
        self.holds.insert(hold.id.clone(), Held { lease_ms: hold.lease_ms, lapsed: false, parts });
        self.lapses_ms = Some(self.lapses_ms.map_or(hold.lease_ms, |first| first.min(hold.lease_ms)));
        Reserved::Held(over)
    }

    /// Puts an attempt's cost in the place of its hold; where it is not known, what was held stays spent.
    pub fn settle(&mut self, id: &str, cost: Option<u64>) {
        self.close(id, |slot, held| slot.settle(held, cost));
    }

    /// Gives back what was held for an attempt that was never sent.
    pub fn release(&mut self, id: &str) {
        self.close(id, |_, _| ());
    }

    fn close(&mut self, id: &str, settle: impl Fn(&mut Slot, Option<u64>)) {
        let Some(Held { lapsed, parts, .. }) = self.holds.remove(id) else { return };
        for Part { name, slot, nanos } in parts {
            let Some(slot) = self.accounts.get_mut(&name).and_then(|account| account.slots.get_mut(&slot)) else {
                continue;
            };
            slot.close(nanos, lapsed);
            settle(slot, nanos);
        }
    }

    /// Takes holds whose lease has ended for spent.
    fn lapse(&mut self, now_ms: u64) {
        if self.lapses_ms.is_none_or(|first| now_ms < first) {
            return;
        }
        self.lapses_ms = None;
        for held in self.holds.values_mut().filter(|held| !held.lapsed) {
            if now_ms < held.lease_ms {
                self.lapses_ms = Some(self.lapses_ms.map_or(held.lease_ms, |first| first.min(held.lease_ms)));
                continue;
            }
            held.lapsed = true;
            for Part { name, slot, nanos } in &held.parts {
                if let Some(slot) = self.accounts.get_mut(name).and_then(|account| account.slots.get_mut(slot)) {
                    slot.lapse(*nanos);
                }
            }
        }
    }

    /// Where budgets stand: one without `each` always, one with it for every value that there was.
    pub fn standings(&mut self, budgets: &[Arc<Budget>], now_ms: u64) -> Vec<Vec<Standing>> {
        self.lapse(now_ms);
        let standing = |budget: &Budget, value: Option<Arc<str>>, account: Option<&Account>| {
            let since = budget.window.span(now_ms).since;
            account.map(|account| account.sums(since)).unwrap_or_default().standing(value)
        };
        let of = |budget: &Arc<Budget>| match budget.each {
            None => vec![standing(budget, None, self.accounts.get(&Name(budget.name.clone(), None)))],
            Some(_) => {
                let mine = self.accounts.iter().filter(|(Name(name, _), _)| *name == budget.name);
                let mut rows: Vec<_> =
                    mine.map(|(Name(_, value), account)| standing(budget, value.clone(), Some(account))).collect();
                rows.sort_by(|a, b| a.value.cmp(&b.value));
                rows
            }
        };
        budgets.iter().map(of).collect()
    }

    fn account(&mut self, claim: &Claim) -> &mut Account {
        let new = || Account { budget: claim.budget.clone(), slots: BTreeMap::new() };
        self.accounts.entry(name(claim)).or_insert_with(new)
    }

    /// Drops accounts in which nothing counts any more, now and then.
    fn sweep(&mut self, now_ms: u64) {
        if self.accounts.len() < self.sweep.max(SWEEP) {
            return;
        }
        self.accounts.retain(|_, account| {
            account.forget(account.budget.window.span(now_ms).since);
            !account.slots.is_empty()
        });
        self.sweep = self.accounts.len().saturating_mul(2);
    }
}

fn name(claim: &Claim) -> Name {
    Name(claim.budget.name.clone(), claim.value.clone())
}
