//! A second attempt beside one that takes longer than most do: whoever answers first is heard, the other is cancelled and
//! booked. Only where the caller wants it, and for at most one call of twenty (source: J. Dean, L. A. Barroso, "The Tail
//! at Scale", CACM 56(2), 2013, which sends the second at the 95th percentile for a few per cent of load).

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Trial, Tried, make};
use super::operation::Operation;
use super::{Call, CallLog, entry};
use crate::error::{Attempt, AttemptKind, ErrorKind, Result};

/// One second attempt for so many calls.
const ONE_IN: u64 = 20;

/// How often second attempts were made, of how many calls that wanted one.
#[derive(Debug, Default)]
pub(super) struct Hedges {
    calls: AtomicU64,
    made: AtomicU64,
}

impl Hedges {
    /// Takes one, where the share allows it.
    fn take(&self) -> bool {
        let allowed = self.calls.load(Ordering::Relaxed) / ONE_IN;
        self.made
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |made| (made < allowed).then_some(made + 1))
            .is_ok()
    }
}

/// A second attempt that may be made.
pub(super) struct Hedge {
    /// When: the time within which 95 of 100 calls to the first target have had their first token.
    after: Duration,
    /// Where in the plan.
    place: usize,
}

impl Hedge {
    /// Of the first attempt of a call that wants one, where there is another target and enough is known of this one.
    pub fn of<O: Operation>(call: &mut Call<'_, O>) -> Option<Hedge> {
        let engine = &call.engine.0;
        let wanted = call.operation.terms().hedge.or(engine.config.routing.hedge) == Some(true);
        if !wanted || !call.way.log.attempts.is_empty() {
            return None;
        }
        engine.hedges.calls.fetch_add(1, Ordering::Relaxed);
        let routes = &call.way.plan.routes;
        let after = routes.at(call.way.course.place).target.track.p95(Instant::now())?;
        let place = call.way.course.beside(routes)?;
        Some(Hedge { after, place })
    }
}

/// Makes the attempt, and the second one should it take long. Notes all that were made, the one that counts last.
pub(super) async fn race<O: Operation>(call: &mut Call<'_, O>, mut first: Trial, hedge: Hedge) -> Result<O::Answer> {
    let (shown, number, place) = (first.booking.shown(), first.number(), hedge.place);
    let (raced, tried) = {
        let call = &*call;
        let (started, told) = (Instant::now(), first.attempt.clone());
        let mut one = pin!(make(call, first));
        let waits = tokio::select! {
            biased;
            tried = &mut one => Err(tried),
            () = tokio::time::sleep(hedge.after) => Ok(()),
        };
        // An answer that has begun is not long in coming.
        let entry = match waits {
            Ok(()) if !shown.load(Ordering::Relaxed) => second(call, place).await,
            _ => None,
        };
        match (waits, entry) {
            (Err(tried), _) => (None, tried),
            (Ok(()), None) => (None, one.await),
            (Ok(()), Some(entry)) => {
                let trial = Trial::new(call, place, entry, Some(AttemptKind::Hedge), number + 1, Duration::ZERO);
                let told_second = trial.attempt.clone();
                let (mut two, started_second) = (pin!(make(call, trial)), Instant::now());
                tokio::select! {
                    biased;
                    tried = &mut one => match tried.answered() {
                        true => (Some(Raced::lost(told_second, started_second, false)), tried),
                        false => (Some(Raced::Failed(tried)), two.await),
                    },
                    tried = &mut two => match tried.answered() {
                        true => (Some(Raced::lost(told, started, true)), tried),
                        false => (Some(Raced::FailedBeside(tried)), one.await),
                    },
                }
            }
        }
    };
    match raced {
        None => call.way.course.not_beside(),
        Some(raced) => {
            call.way.course.was_beside(place, raced.second_counts());
            raced.note(&mut call.way.log);
        }
    }
    tried.note(&mut call.way.log)
}

async fn second<O: Operation>(call: &Call<'_, O>, place: usize) -> Option<entry::Entry> {
    let route = call.way.plan.routes.at(place);
    let entry = entry::beside(call.engine, call.way, route, call.operation.need()).await?;
    call.engine.0.hedges.take().then_some(entry)
}

/// The attempt of two that does not count.
enum Raced<A> {
    /// Cancelled; whether it was the first.
    Lost(Attempt, bool),
    /// The first failed, and the second was waited for.
    Failed(Tried<A>),
    /// The second failed, and the first was waited for.
    FailedBeside(Tried<A>),
}

impl<A: super::operation::Answer> Raced<A> {
    fn lost(mut attempt: Attempt, started: Instant, first: bool) -> Self {
        attempt.ms = started.elapsed().as_millis() as u64;
        attempt.error = Some(ErrorKind::Cancelled);
        attempt.message = Some("the attempt beside it answered first".to_owned());
        Raced::Lost(attempt, first)
    }

    fn second_counts(&self) -> bool {
        matches!(self, Raced::Lost(_, true) | Raced::Failed(_))
    }

    fn note(self, log: &mut CallLog) {
        match self {
            Raced::Lost(attempt, _) => {
                log.attempts.push(attempt);
                // It may have been billed.
                log.costs.push(None);
            }
            // The error that counts is the other's.
            Raced::Failed(tried) | Raced::FailedBeside(tried) => drop(tried.note(log)),
        }
    }
}
