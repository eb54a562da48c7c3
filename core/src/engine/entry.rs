//! Who takes the next attempt: the route that the course is at, or the next one that is healthy and has room. Where all
//! that are healthy are full, it waits; where none is healthy, the first attempt goes to the one that may be first to
//! recover, and nothing is tried after it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budgets::{Held, Leave, Spending};
use super::refusal::exceeded;
use super::{Engine, Way};
use crate::error::{Dispatch, Error, ErrorKind, Result};
use crate::routing::{ASSUMED_ANSWER, Flight, Full, Gate, Need, Passes, Route, Target, room};
use crate::types::{OverBudget, Timeout};

/// Leave to make one attempt. Dropped, it gives back what it holds, and the attempt counts as cancelled.
pub(super) struct Entry {
    pub flight: Flight,
    pub passes: Passes,
    /// What is held for it of the budgets that it falls under.
    pub held: Option<Held>,
}

/// Why a target takes no attempt now.
enum Shut {
    /// It failed too often, or refused its key.
    Sick(Duration),
    Full(Full, Arc<Gate>),
}

/// Leave to go to a target that is healthy, has room and fits into the budgets; `None` where any of that fails.
pub(super) async fn beside(engine: &Engine, way: &Way, route: Route<'_>, need: &dyn Need) -> Option<Entry> {
    let entry = admit(route.target, Instant::now(), need, false).ok()?;
    pay(engine, way, route, entry).await.ok()?.ok()
}

/// Holds what the attempt may cost, or says what it does not fit into.
async fn pay(
    engine: &Engine,
    way: &Way,
    route: Route<'_>,
    entry: Entry,
) -> Result<std::result::Result<Entry, Vec<OverBudget>>> {
    let Some(spending) = &way.spending else { return Ok(Ok(entry)) };
    let left = way.log.deadline.saturating_duration_since(Instant::now());
    let refused = match Box::pin(spending.hold(engine, route, left)).await {
        Ok(Leave::Granted(held)) => return Ok(Ok(Entry { held, ..entry })),
        Ok(Leave::Refused(over)) => Ok(Err(over)),
        Err(error) => Err(error),
    };
    entry.passes.undo();
    refused
}

fn admit(target: &Target, now: Instant, need: &dyn Need, anyway: bool) -> std::result::Result<Entry, Shut> {
    let flight = target.track.depart(now, anyway).map_err(Shut::Sick)?;
    let tokens = || need.prompt_tokens() + need.output_limit().unwrap_or(ASSUMED_ANSWER);
    match target.gates.enter(now, tokens) {
        Ok(passes) => Ok(Entry { flight, passes, held: None }),
        Err((Full::Refused(wait), _)) => Err(Shut::Sick(wait)),
        Err((full, gate)) => Err(Shut::Full(full, gate)),
    }
}

/// Finds the route for the next attempt and sets the course to it; `None` where there is none left that is worth trying.
///
/// # Errors
/// `timeout` of `pool_wait`, `rate_limited` where the wait would be longer than the call may take, `budget_exceeded` where
/// a route that would take it fits into no budget, and no other takes it.
pub(super) async fn enter(
    engine: &Engine,
    way: &mut Way,
    pool_wait: Option<Duration>,
    need: &dyn Need,
) -> Result<Option<Entry>> {
    let mut waiting_since = None;
    loop {
        let mut dear: Vec<OverBudget> = Vec::new();
        let now = Instant::now();
        let routes = &way.plan.routes;
        // Until when the soonest is sick, and what the soonest has room for.
        let mut sick: Option<(Duration, usize)> = None;
        let mut full: Option<(Full, Arc<Gate>, usize)> = None;
        let mut found = None;
        for place in way.course.open(routes) {
            match admit(routes.at(place).target, now, need, false) {
                Ok(entry) => match pay(engine, way, routes.at(place), entry).await? {
                    Ok(entry) => {
                        found = Some((place, entry));
                        break;
                    }
                    Err(over) => dear.extend(over),
                },
                Err(Shut::Sick(wait)) if sick.is_none_or(|(least, _)| wait < least) => sick = Some((wait, place)),
                Err(Shut::Full(new, gate)) if full.as_ref().is_none_or(|(least, ..)| sooner(new, *least)) => {
                    full = Some((new, gate, place));
                }
                Err(_) => {}
            }
        }
        if let Some((place, entry)) = found {
            way.course.go(place, entry.flight.probes());
            return Ok(Some(entry));
        }
        let Some((full, gate, place)) = full else {
            if !dear.is_empty() {
                return Err(exceeded(dear, limited(way)));
            }
            let Some((_, place)) = sick.filter(|_| way.course.is_first()) else { return Ok(None) };
            return anyway(engine, way, place, need).await.map(Some);
        };
        let since = *waiting_since.get_or_insert(now);
        wait(way, routes.at(place).target, full, &gate, since, pool_wait).await?;
    }
}

/// Goes where it should not: all others are as bad. Its limits hold all the same.
async fn anyway(engine: &Engine, way: &mut Way, place: usize, need: &dyn Need) -> Result<Entry> {
    let target = way.plan.routes.at(place).target;
    let now = Instant::now();
    let leave = target.track.depart(now, true).ok();
    // A key that was refused goes again where there is no other.
    target.gates.key.key_taken();
    let tokens = || need.prompt_tokens() + need.output_limit().unwrap_or(ASSUMED_ANSWER);
    let passes = target.gates.enter(now, tokens);
    match (leave, passes) {
        (Some(flight), Ok(passes)) => {
            let entry = Entry { flight, passes, held: None };
            let entry = pay(engine, way, way.plan.routes.at(place), entry).await?;
            let entry = entry.map_err(|over| exceeded(over, limited(way)))?;
            way.course.go(place, false);
            Ok(entry)
        }
        (_, Err((full, _))) => Err(no_room(target, known(full))),
        (None, _) => Err(no_room(target, None)),
    }
}

/// Waits for room at the target that will have some first.
async fn wait(
    way: &Way,
    target: &Target,
    full: Full,
    gate: &Gate,
    since: Instant,
    pool_wait: Option<Duration>,
) -> Result<()> {
    let end = pool_wait.map_or(way.log.deadline, |limit| way.log.deadline.min(since + limit));
    let now = Instant::now();
    if let Some(wait) = known(full).filter(|wait| now + *wait >= end) {
        return Err(no_room(target, Some(wait)));
    }
    if tokio::time::timeout_at(end, room(gate, full)).await.is_ok() {
        return Ok(());
    }
    let waited = since.elapsed();
    Err(match pool_wait {
        Some(limit) if since + limit <= way.log.deadline => Timeout::PoolWait.fired(limit, waited, 0),
        _ => way.log.deadline_passed(0),
    }
    .with_provider(target.endpoint.id())
    .with_model(&target.model))
}

/// Whether the request limits its answer.
fn limited(way: &Way) -> bool {
    way.spending.as_ref().is_some_and(Spending::limited)
}

fn known(full: Full) -> Option<Duration> {
    match full {
        Full::For(wait) | Full::Refused(wait) => Some(wait),
        Full::UntilOneEnds => None,
    }
}

fn sooner(new: Full, old: Full) -> bool {
    match (known(new), known(old)) {
        (Some(new), Some(old)) => new < old,
        (new, old) => new.is_none() && old.is_some(),
    }
}

fn no_room(target: &Target, wait: Option<Duration>) -> Error {
    let id = target.endpoint.id();
    let why = match wait {
        Some(wait) => format!(
            "the limits of `{id}` have room in {} ms, which is longer than the call may wait; raise `timeout_ms` (or \
             `timeouts.pool_wait_ms`), or name further providers or keys",
            wait.as_millis()
        ),
        None => format!("the limits of `{id}` have no room; raise `providers.{id}.limits`, or name further providers"),
    };
    Error::new(ErrorKind::RateLimited, why)
        .with_retry_after(wait)
        .with_dispatch(Dispatch::NotSent)
        .with_provider(id)
        .with_model(&target.model)
}
