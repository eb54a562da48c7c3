//! Money before it is spent: what an attempt may cost at most is held against every budget that it falls under, or it is not
//! made. One place for all attempts: first, retry, key, fallback, hedge, probe; of calls, members and judges alike.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::estimate::Bound;
use super::refusal::{Whose, over_budget, over_purse, unpriced};
use super::{CallContext, Engine};
use crate::catalog::Unpriced;
use crate::error::Result;
use crate::ledger::budget::{Budget, Claim, Hold, Over, Reserved, Standing};
use crate::money::{NanoUsd, usd};
use crate::routing::{Extent, Need, Route, Target};
use crate::types::{BudgetMode, BudgetState, OverBudget, SettledOver, Tags};

/// How much longer a hold counts as under way than its attempt may take. A hold weighs what a charge weighs, so that
/// nothing depends on noticing early that its owner is gone.
const LEASE_MORE: Duration = Duration::from_secs(60);

/// The budgets of a client.
pub(super) struct Budgets {
    all: Vec<Arc<Budget>>,
    owner: Arc<str>,
    /// Of those that only warn: the ones that the log has told of and that have had no room since.
    told: Mutex<HashSet<Name>>,
}

/// A budget, and the value of a budget with `each`.
type Name = (Arc<str>, Option<Arc<str>>);

impl Budgets {
    pub fn new(all: Vec<Arc<Budget>>) -> Self {
        let owner = format!("{}-{}", std::process::id(), crate::ids::new());
        Budgets { all, owner: owner.into(), told: Mutex::default() }
    }
}

/// What one call may spend.
pub(super) struct Spending {
    extent: Extent,
    tags: Tags,
    purpose: String,
    /// The call's own limit, shared by its attempts, and that of the batch it belongs to.
    purses: Vec<Arc<Purse>>,
    /// Budgets that it did not fit into and that only warn.
    warnings: Mutex<Vec<OverBudget>>,
}

/// The budget of one call, or of all calls of a batch.
pub(crate) struct Purse {
    whose: Whose,
    limit: u64,
    /// Spent, and held for attempts under way.
    taken: Mutex<(u64, u64)>,
}

impl Purse {
    /// Of a batch, of which so much is spent already.
    pub(crate) fn of_batch(limit: NanoUsd, spent: u64) -> Arc<Self> {
        Arc::new(Purse { whose: Whose::Batch, limit: limit.nanos(), taken: Mutex::new((spent, 0)) })
    }

    /// Nano-USD; an attempt whose cost is not known counts with the most that it may have cost.
    pub(crate) fn spent(&self) -> u64 {
        self.taken().0
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, (u64, u64)> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds an amount; where it does not fit, what is spent and held.
    fn hold(&self, nanos: u64) -> std::result::Result<(), (u64, u64)> {
        let mut taken = self.taken();
        let (spent, held) = *taken;
        if spent.saturating_add(held).saturating_add(nanos) > self.limit {
            return Err((spent, held));
        }
        taken.1 += nanos;
        Ok(())
    }

    /// Puts a cost in the place of a hold.
    fn settle(&self, held: u64, cost: u64) {
        let mut taken = self.taken();
        taken.1 = taken.1.saturating_sub(held);
        taken.0 = taken.0.saturating_add(cost);
    }
}

/// Whether an attempt may be made.
pub(super) enum Leave {
    /// With what is held for it.
    Granted(Option<Held>),
    /// What it does not fit into.
    Refused(Vec<OverBudget>),
}

/// What is held for an attempt. Dropped, it is given back, as the attempt was not sent.
pub(super) struct Held {
    engine: Engine,
    /// Id of the attempt's record.
    pub id: String,
    /// The ledger's store has it.
    stored: bool,
    /// With how much each holds, nano-USD.
    purses: Vec<(Arc<Purse>, u64)>,
    /// The most that it may cost, by budget.
    most: Vec<(Arc<str>, u64)>,
}

impl Held {
    /// The attempt's record is about to be booked, which settles what the store holds.
    pub fn settled(mut self, cost: Option<u64>) {
        self.stored = false;
        for (purse, held) in self.purses.drain(..) {
            purse.settle(held, cost.unwrap_or(held));
        }
        for (budget, most) in self.most.iter().filter(|(_, most)| cost.is_some_and(|cost| cost > *most)) {
            tracing::warn!(
                target: "interfuse", budget = %budget, record = %self.id, held_nanos = most, cost_nanos = cost,
                "an attempt cost more than the most that was held for it"
            );
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for (purse, held) in self.purses.drain(..) {
            purse.settle(held, 0);
        }
        if self.stored
            && let Err(e) = self.engine.ledger().release(&self.id)
        {
            tracing::error!(target: "interfuse", error = %e, "a hold could not be given back; it counts as spent");
        }
    }
}

impl Spending {
    /// Of a call; `None` where nothing limits it.
    pub fn of(engine: &Engine, cx: &CallContext, need: &dyn Need, cap: Option<NanoUsd>) -> Option<Self> {
        if engine.0.budgets.all.is_empty() && cap.is_none() && engine.1.is_none() {
            return None;
        }
        let purpose = serde_json::to_value(cx.purpose).ok();
        let own = cap.map(|cap| Arc::new(Purse { whose: Whose::Call, limit: cap.nanos(), taken: Mutex::default() }));
        Some(Spending {
            extent: need.extent(),
            tags: engine.tags(cx),
            purpose: purpose.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default(),
            purses: own.into_iter().chain(engine.1.clone()).collect(),
            warnings: Mutex::default(),
        })
    }

    /// The prompt has become longer by so many bytes.
    pub fn longer(&mut self, bytes: usize) {
        self.extent.text += bytes as u64;
    }

    /// Whether the request limits its answer.
    pub fn limited(&self) -> bool {
        self.extent.limit.is_some()
    }

    /// Warnings so far.
    pub fn warnings(&self) -> Vec<OverBudget> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Holds the most that an attempt may cost, which is over in `left`.
    ///
    /// # Errors
    /// `storage` where the ledger cannot hold it and a budget is enforced.
    pub async fn hold(&self, engine: &Engine, route: Route<'_>, left: Duration) -> Result<Leave> {
        let now = engine.clock().unix_ms();
        let end = now.saturating_add((left + LEASE_MORE).as_millis() as u64);
        let bound = Bound::of(&self.extent, route, (now, end));
        let (claims, mut refused) = self.claims(engine, route.target, &bound, now);
        if let Err(why) = &bound {
            let unpriced = |purse: &Arc<Purse>| unpriced(purse.whose.name(), purse.limit, route.target, why);
            refused.extend(self.purses.iter().map(unpriced));
        }
        if !refused.is_empty() {
            return Ok(Leave::Refused(refused));
        }
        let most = claims.iter().filter_map(|claim| Some((claim.budget.name.clone(), claim.nanos?))).collect();
        let mut held = Held { engine: engine.clone(), id: crate::ids::new(), stored: false, purses: Vec::new(), most };
        if let Ok(bound) = &bound {
            let nanos = bound.nanos(None);
            for purse in &self.purses {
                if let Err(taken) = purse.hold(nanos) {
                    let over = over_purse(purse.whose, purse.limit, route.target, taken, nanos);
                    return Ok(Leave::Refused(vec![over]));
                }
                held.purses.push((purse.clone(), nanos));
            }
        }
        if claims.is_empty() {
            return Ok(Leave::Granted((!held.purses.is_empty()).then_some(held)));
        }
        let hold = Hold {
            id: held.id.clone(),
            owner: engine.0.budgets.owner.clone(),
            at_ms: now,
            lease_ms: end,
            claims: claims.clone(),
        };
        match engine.ledger().reserve(hold).outcome().await {
            Ok(Reserved::Held(over)) => {
                held.stored = true;
                self.note(engine, route.target, &claims, &over);
                Ok(Leave::Granted(Some(held)))
            }
            Ok(Reserved::Refused(over)) => {
                let tell = |over: &Over| Some(over_budget(claims.get(over.claim)?, over, route.target));
                Ok(Leave::Refused(over.iter().filter_map(tell).collect()))
            }
            Err(error) if claims.iter().any(|claim| claim.budget.mode == BudgetMode::Enforce) => Err(error),
            Err(error) => {
                tracing::error!(target: "interfuse", %error, "the budgets of an attempt could not be looked at");
                Ok(Leave::Granted(Some(held)))
            }
        }
    }

    /// What an attempt claims of the budgets that it falls under, and those that refuse it because its price is not known.
    fn claims(
        &self,
        engine: &Engine,
        target: &Target,
        bound: &std::result::Result<Bound, Unpriced>,
        now: u64,
    ) -> (Vec<Claim>, Vec<OverBudget>) {
        let label = |name: &str| match name {
            "provider" => Some(target.endpoint.id()),
            "model" => Some(target.model_asked.as_str()),
            "key" => target.endpoint.key.as_ref().map(|key| key.name.as_str()),
            "purpose" => Some(self.purpose.as_str()),
            tag => self.tags.get(tag).map(String::as_str),
        };
        let (mut claims, mut refused) = (Vec::new(), Vec::new());
        for budget in engine.0.budgets.all.iter().filter(|budget| budget.covers(label)) {
            let nanos = match bound {
                Ok(bound) => Some(bound.nanos(budget.assumed_output)),
                Err(why) if budget.refuses_unpriced => {
                    refused.push(unpriced(&budget.name, budget.limit, target, why));
                    continue;
                }
                Err(_) => None,
            };
            let value = budget.each.as_deref().and_then(label).map(Arc::from);
            claims.push(Claim { budget: budget.clone(), value, span: budget.window.span(now), nanos });
        }
        (claims, refused)
    }

    /// Notes what does not fit into budgets that only warn; the log is told once until there is room again.
    fn note(&self, engine: &Engine, target: &Target, claims: &[Claim], over: &[Over]) {
        for (place, claim) in claims.iter().enumerate().filter(|(_, claim)| claim.budget.mode == BudgetMode::Warn) {
            let name = (claim.budget.name.clone(), claim.value.clone());
            let mut told = engine.0.budgets.told.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(over) = over.iter().find(|over| over.claim == place) else {
                told.remove(&name);
                continue;
            };
            let over = over_budget(claim, over, target);
            if told.insert(name) {
                tracing::warn!(target: "interfuse", "{}", over.message);
            }
            self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(over);
        }
    }
}

impl Engine {
    /// Where the budgets stand.
    ///
    /// # Errors
    /// `storage` where the ledger cannot be read.
    pub fn budgets(&self) -> Result<Vec<BudgetState>> {
        let (all, now) = (&self.0.budgets.all, self.clock().unix_ms());
        let standings = self.ledger().standings(all, now)?;
        let of = |(budget, rows): (&Arc<Budget>, Vec<Standing>)| {
            rows.into_iter().map(|row| state(budget, &row, now)).collect::<Vec<_>>()
        };
        Ok(all.iter().zip(standings).flat_map(of).collect())
    }
}

fn state(budget: &Budget, row: &Standing, now: u64) -> BudgetState {
    let left = budget.limit.saturating_sub(row.spent).saturating_sub(row.held);
    BudgetState {
        budget: budget.name.to_string(),
        group: budget.group(row.value.as_deref()),
        mode: budget.mode,
        since_ms: budget.window.begins(now),
        until_ms: budget.window.span(now).until,
        limit_nanos: budget.limit,
        limit_usd: usd(budget.limit),
        spent_nanos: row.spent,
        spent_usd: usd(row.spent),
        unknown_nanos: row.unknown,
        held_nanos: row.held,
        left_nanos: left,
        left_usd: usd(left),
        settled_over: SettledOver { count: row.over, nanos: row.over_nanos },
        exceeded: row.exceeded,
    }
}
