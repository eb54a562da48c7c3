//! What counts of one budget in one slot of time, and how holds and costs change it; the same in every store.

use std::sync::Arc;

use super::hold::Standing;

/// Sums of one slot, nano-USD and numbers of attempts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::ledger) struct Slot {
    pub spent: u64,
    pub unknown: u64,
    pub held: u64,
    /// Holds that are not settled yet, of whatever amount.
    pub open: u64,
    pub over: u64,
    pub over_nanos: u64,
    pub exceeded: u64,
}

impl Slot {
    pub fn add(&mut self, other: &Slot) {
        self.spent = self.spent.saturating_add(other.spent);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.held = self.held.saturating_add(other.held);
        self.open += other.open;
        self.over += other.over;
        self.over_nanos = self.over_nanos.saturating_add(other.over_nanos);
        self.exceeded += other.exceeded;
    }

    /// Something is held.
    pub fn hold(&mut self, nanos: Option<u64>) {
        self.held = self.held.saturating_add(nanos.unwrap_or(0));
        self.open += 1;
    }

    /// The lease of a hold has ended: it counts as spent.
    pub fn lapse(&mut self, held: Option<u64>) {
        let held = held.unwrap_or(0);
        self.held = self.held.saturating_sub(held);
        self.spent = self.spent.saturating_add(held);
        self.unknown = self.unknown.saturating_add(held);
    }

    /// A hold is no more.
    pub fn close(&mut self, held: Option<u64>, lapsed: bool) {
        let held = held.unwrap_or(0);
        self.open = self.open.saturating_sub(1);
        if lapsed {
            self.spent = self.spent.saturating_sub(held);
            self.unknown = self.unknown.saturating_sub(held);
        } else {
            self.held = self.held.saturating_sub(held);
        }
    }

    /// An attempt's cost takes the place of what was held; where it is not known, what was held stays spent.
    pub fn settle(&mut self, held: Option<u64>, cost: Option<u64>) {
        match cost {
            Some(cost) => {
                self.spent = self.spent.saturating_add(cost);
                if let Some(more) = held.and_then(|held| cost.checked_sub(held)).filter(|more| *more > 0) {
                    self.over += 1;
                    self.over_nanos = self.over_nanos.saturating_add(more);
                }
            }
            None => {
                self.spent = self.spent.saturating_add(held.unwrap_or(0));
                self.unknown = self.unknown.saturating_add(held.unwrap_or(0));
            }
        }
    }

    /// Sums of the slots that count, as a budget's standing.
    pub fn standing(self, value: Option<Arc<str>>) -> Standing {
        let Slot { spent, unknown, held, over, over_nanos, exceeded, .. } = self;
        Standing { value, spent, unknown, held, over, over_nanos, exceeded }
    }
}
