//! What is asked of a store before an attempt is sent, and what it answers.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Budget, Span};
use crate::error::Result;

/// The most that one attempt may cost, to be held against every budget that it falls under until its record takes its
/// place. All budgets or none: the store looks at all and writes all in one transaction.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Id of the record that will settle it.
    pub id: String,
    /// Who holds: one client in one process.
    pub owner: Arc<str>,
    /// When the attempt begins, milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// When an owner that has not been heard of by then is taken to be gone; the hold then counts as spent, as the attempt
    /// may have been billed. A record that comes later still puts it right.
    pub lease_ms: u64,
    /// What is held, budget by budget.
    pub claims: Vec<Claim>,
}

/// What is held against one budget.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The budget.
    pub budget: Arc<Budget>,
    /// Of a budget with `each`: the value that it is for.
    pub value: Option<Arc<str>>,
    /// Where in time it counts.
    pub span: Span,
    /// The most that the attempt may cost, nano-USD. `None`: its price is not known and the budget allows that; it may go
    /// while anything is left.
    pub nanos: Option<u64>,
}

impl Claim {
    /// Whether it does not fit beside what is spent and held.
    pub fn exceeds(&self, spent: u64, held: u64) -> bool {
        let taken = spent.saturating_add(held);
        match self.nanos {
            Some(nanos) => taken.saturating_add(nanos) > self.budget.limit,
            None => taken >= self.budget.limit,
        }
    }
}

/// What a store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// Everything is held; in these budgets, which are not enforced, it does not fit.
    Held(Vec<Over>),
    /// Nothing is held: in these budgets, which are enforced, it does not fit.
    Refused(Vec<Over>),
}

/// A claim that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Its place among the claims.
    pub claim: usize,
    /// Spent in the window, nano-USD.
    pub spent: u64,
    /// Held for other attempts in the window, nano-USD.
    pub held: u64,
}

/// An answer, there at once or later. A store that answers later gives the hold back by itself when nobody waits for the
/// answer any more.
pub enum Reserving {
    /// Now.
    Done(Result<Reserved>),
    /// Later.
    Later(BoxFuture<'static, Result<Reserved>>),
}

impl Reserving {
    /// The answer.
    ///
    /// # Errors
    /// `storage` where the store could not look or write.
    pub async fn outcome(self) -> Result<Reserved> {
        match self {
            Reserving::Done(outcome) => outcome,
            Reserving::Later(outcome) => outcome.await,
        }
    }
}

/// Where a budget stands in its present window, nano-USD.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Of a budget with `each`: the value that it is for.
    pub value: Option<Arc<str>>,
    /// Spent; `unknown` is in it.
    pub spent: u64,
    /// What stands for attempts whose cost is not known: what was held for them.
    pub unknown: u64,
    /// Held for attempts under way.
    pub held: u64,
    /// Attempts that cost more than was held for them.
    pub over: u64,
    /// By how much together.
    pub over_nanos: u64,
    /// Attempts that did not fit.
    pub exceeded: u64,
}
