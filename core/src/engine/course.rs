//! The course of one call: how often it has tried where, and what follows a failed attempt. The one place that counts
//! attempts, of whatever kind. Pure: time and chance are handed in.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Attempt, AttemptKind, Dispatch, Error, ErrorKind};
use crate::routing::{Route, RouteOn, Routes};
use crate::types::{RetryConfig, Timeout};

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The same route again, after this wait.
    Again(Duration),
    /// The route at this place of the plan, at once.
    Move(usize),
    /// Nothing; the error is the call's.
    Stop,
}

/// A vendor that asks for more than this is left for another route, where there is one.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a failure means for the call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub kind: ErrorKind,
    /// The same target may succeed.
    pub retryable: bool,
    /// What the vendor asks to wait.
    pub asked: Option<Duration>,
    /// Nothing was heard of the route in time.
    pub silent: bool,
    /// The vendor may have seen the request and bill it.
    pub uncertain: bool,
}

impl Failure {
    /// Of an attempt that is noted already.
    pub fn of(error: &Error, attempt: Option<&Attempt>) -> Self {
        let body = error.body();
        let refused = body.status.is_some_and(|s| s >= 400);
        Failure {
            kind: body.kind,
            // An answer that broke off before any of it was shown is like no answer.
            retryable: body.retryable || body.kind == ErrorKind::Interrupted,
            asked: error.retry_after(),
            silent: matches!(Timeout::of(error), Some("first_byte" | "first_token")),
            uncertain: !refused && attempt.and_then(|a| a.dispatch) != Some(Dispatch::NotSent),
        }
    }
}

/// How far a call has come.
#[derive(Debug)]
pub(super) struct Course {
    /// Place of the route being tried.
    pub place: usize,
    /// Attempts at it.
    here: u32,
    /// Attempts of the call.
    made: u32,
    /// Why the attempt being made is made.
    why: Option<AttemptKind>,
    /// Routes that were tried and left.
    left: Vec<usize>,
    /// Waited so far because vendors asked for it.
    waited: Duration,
    /// Most attempts of the call, and at one route.
    caps: (u32, u32),
    /// Of all waits for vendors, together.
    max_waited: Duration,
    /// Whether what may be billed is made again.
    uncertain: bool,
}

impl Course {
    pub fn new(config: &RetryConfig, max_retries: Option<u32>) -> Self {
        let per_route = max_retries.unwrap_or(config.max_retries).saturating_add(1);
        // Who asks for so many retries of one call wants more attempts of it, too.
        let asked = if max_retries.is_some() { per_route } else { 1 };
        Course {
            place: 0,
            here: 0,
            made: 0,
            why: None,
            left: Vec::new(),
            waited: Duration::ZERO,
            caps: (config.max_attempts.max(asked).max(1), per_route),
            max_waited: Duration::from_millis(config.max_retry_after_ms),
            uncertain: config.uncertain,
        }
    }

    /// Begins the attempt that was decided on; the only way to one. `false` where there may be no more.
    pub fn begin(&mut self) -> bool {
        let may = self.made < self.caps.0;
        if may {
            self.made += 1;
            self.here += 1;
        }
        may
    }

    /// Whether no attempt was made yet.
    pub fn is_first(&self) -> bool {
        self.made == 0
    }

    /// Routes that may take the next attempt: the one decided on, then those for when it is unavailable, then the others.
    pub fn open<'r>(&'r self, routes: &'r Routes) -> impl Iterator<Item = usize> + 'r {
        let fresh = |place: &usize| *place != self.place && !self.left.contains(place);
        let on = move |on: RouteOn| (0..routes.len()).filter(fresh).filter(move |place| routes.at(*place).on == on);
        std::iter::once(self.place).chain(on(RouteOn::Unavailable)).chain(on(RouteOn::Any))
    }

    /// The next attempt is made there; a probe where it finds out whether the target has recovered.
    pub fn go(&mut self, place: usize, probe: bool) {
        if place != self.place {
            (self.place, self.here) = (place, 0);
            if self.made > 0 {
                self.why = Some(AttemptKind::Fallback);
            }
        }
        if probe {
            self.why = Some(AttemptKind::Probe);
        }
    }

    /// A place for an attempt beside the one under way, at another target; `None` where there may be none. Not used, it
    /// is given back by [`Course::not_beside`].
    pub fn beside(&mut self, routes: &Routes) -> Option<usize> {
        let place = self.route(routes, ErrorKind::Timeout).filter(|_| self.made < self.caps.0)?;
        self.made += 1;
        Some(place)
    }

    /// The attempt beside was not made.
    pub fn not_beside(&mut self) {
        self.made -= 1;
    }

    /// The attempt beside was made: the call has been there, and goes on from there where that one `decided`.
    pub fn was_beside(&mut self, place: usize, decided: bool) {
        let left = if decided { std::mem::replace(&mut self.place, place) } else { place };
        self.left.push(left);
        if decided {
            self.here = 1;
        }
    }

    /// Why the attempt under way is made; `None` for the first.
    pub fn why(&self) -> Option<AttemptKind> {
        self.why
    }

    /// Whether there is a route to go to should the present one be unavailable.
    pub fn more(&self, routes: &Routes) -> bool {
        self.made < self.caps.0 && self.route(routes, ErrorKind::Timeout).is_some()
    }

    /// What follows a failed attempt: `time` is left for the call, `chance` is in 0..1. A step that leads to an attempt is
    /// taken by this.
    pub fn after(
        &mut self,
        failure: Failure,
        routes: &Routes,
        time: Duration,
        config: &RetryConfig,
        chance: f64,
    ) -> Step {
        let step = self.decide(failure, routes, time, config, chance);
        match step {
            Step::Again(wait) => {
                if failure.asked.is_some() {
                    self.waited += wait;
                }
                self.why = Some(AttemptKind::Retry);
            }
            Step::Move(place) => {
                let same = Arc::ptr_eq(&routes.at(self.place).target.track, &routes.at(place).target.track);
                self.left.push(self.place);
                self.place = place;
                self.here = 0;
                self.why = Some(if same { AttemptKind::Key } else { AttemptKind::Fallback });
            }
            Step::Stop => {}
        }
        step
    }

    fn decide(&self, failure: Failure, routes: &Routes, time: Duration, config: &RetryConfig, chance: f64) -> Step {
        let nothing_left = self.made >= self.caps.0 || time.is_zero();
        if nothing_left || final_for_all(failure.kind) || (failure.uncertain && !self.uncertain) {
            return Step::Stop;
        }
        let other = self.route(routes, failure.kind);
        let elsewhere = other.map_or(Step::Stop, Step::Move);
        if !failure.retryable || failure.silent || self.here >= self.caps.1 {
            return elsewhere;
        }
        // What has cost much time already, or tokens, is not tried there again while there is another route.
        if other.is_some() && matches!(failure.kind, ErrorKind::Timeout | ErrorKind::Interrupted) {
            return elsewhere;
        }
        let wait = match failure.asked {
            Some(asked) if self.waited + asked > self.max_waited => return elsewhere,
            Some(asked) if asked > PATIENCE && other.is_some() => return elsewhere,
            Some(asked) => asked,
            None => backoff(self.here, config, chance),
        };
        if wait < time { Step::Again(wait) } else { elsewhere }
    }

    /// The route to take after this failure, the present one apart.
    fn route(&self, routes: &Routes, kind: ErrorKind) -> Option<usize> {
        let untried = |place: usize| place != self.place && !self.left.contains(&place);
        // Another key of a target that does not answer is no other target.
        let other = |place: usize| !Arc::ptr_eq(&routes.at(self.place).target.track, &routes.at(place).target.track);
        let fresh = |place: usize| untried(place) && (!unavailable(kind) || other(place));
        let open = |on: RouteOn| (0..routes.len()).find(|place| fresh(*place) && routes.at(*place).on == on);
        match kind {
            ErrorKind::ContextLength => {
                let here = routes.get(self.place)?.context;
                let larger = |r: Route<'_>| r.on == RouteOn::Any && here.zip(r.context).is_some_and(|(h, r)| r > h);
                (0..routes.len())
                    .find(|place| fresh(*place) && larger(routes.at(*place)))
                    .or_else(|| open(RouteOn::ContextLength))
            }
            ErrorKind::ContentFiltered => open(RouteOn::ContentFiltered),
            ErrorKind::RateLimited => open(RouteOn::RateLimited).or_else(|| open(RouteOn::Any)),
            kind if unavailable(kind) => open(RouteOn::Unavailable).or_else(|| open(RouteOn::Any)),
            _ => open(RouteOn::Any),
        }
    }
}

/// The target could not be reached, failed or broke off.
pub(super) fn unavailable(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Overloaded
            | ErrorKind::ServerError
            | ErrorKind::Timeout
            | ErrorKind::Connection
            | ErrorKind::Interrupted
            | ErrorKind::Decode
    )
}

/// The same request would fail the same way everywhere, or the caller is gone.
fn final_for_all(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidRequest
            | ErrorKind::InvalidConfig
            | ErrorKind::Recursion
            | ErrorKind::Cancelled
            | ErrorKind::DeadlineExceeded
            | ErrorKind::BudgetExceeded
            | ErrorKind::Storage
            | ErrorKind::Misuse
            | ErrorKind::Internal
    )
}

/// Full jitter: anywhere between nothing and `min(base * 2^(tries-1), max)`.
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
fn backoff(tries: u32, config: &RetryConfig, chance: f64) -> Duration {
    let doublings = tries.saturating_sub(1).min(20);
    let ceiling = config.base_ms.saturating_mul(1 << doublings).min(config.max_ms);
    Duration::from_millis((ceiling as f64 * chance) as u64)
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
