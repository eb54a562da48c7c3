//! One door to the models for all contenders of an item: what several ask alike is asked once, and whoever asks it again gets
//! the same answer, after as long as it took. What is sent is counted against the evaluation's cap.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::time::{Instant, sleep_until};

use crate::engine::{CallContext, ChatStream};
use crate::error::{Error, ErrorKind, Result};
use crate::money::{NanoUsd, usd};
use crate::types::{ChatCompletion, ChatRequest, ProviderChoice, ProviderPreferences, Purpose};

use super::super::ask::{self, Ask, Cost};

/// What an evaluation has spent.
#[derive(Default)]
pub(super) struct Meter {
    cap: Option<u64>,
    state: Mutex<Spent>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Spent {
    pub nanos: u64,
    pub unknown_calls: u32,
    /// Estimates of calls under way.
    held: u64,
    /// Why a call was not made.
    pub refused: Option<String>,
    /// Models without a known price.
    pub unpriced: Vec<String>,
}

impl Meter {
    pub fn new(cap: Option<NanoUsd>, nanos: u64, unknown_calls: u32) -> Arc<Meter> {
        let state = Mutex::new(Spent { nanos, unknown_calls, ..Default::default() });
        Arc::new(Meter { cap: cap.map(NanoUsd::nanos), state })
    }

    pub fn spent(&self) -> Spent {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds what a call may cost.
    fn hold(self: &Arc<Self>, model: &str, estimate: Option<u64>) -> Result<Held> {
        let mut state = self.lock();
        if estimate.is_none() && !state.unpriced.iter().any(|m| m == model) {
            state.unpriced.push(model.to_owned());
        }
        let estimate = estimate.unwrap_or(0);
        let reached = state.nanos.saturating_add(state.held);
        if let Some(cap) = self.cap.filter(|cap| reached.saturating_add(estimate) > *cap || reached >= *cap) {
            let why = format!(
                "up to {} USD more for `{model}` on top of {} USD would pass the cap of {} USD",
                usd(estimate),
                usd(reached),
                usd(cap)
            );
            let error = Error::new(ErrorKind::BudgetExceeded, why.clone()).with_param("max_cost_usd");
            state.refused.get_or_insert(why);
            return Err(error);
        }
        state.held += estimate;
        Ok(Held { meter: self.clone(), estimate, cost: None })
    }
}

/// An estimate that is held until the call is over; a call that is dropped before has an unknown cost.
struct Held {
    meter: Arc<Meter>,
    estimate: u64,
    cost: Option<Cost>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.meter.lock();
        state.held -= self.estimate;
        match self.cost {
            Some(Cost::Known(nanos)) => state.nanos += nanos,
            _ => state.unknown_calls += 1,
        }
    }
}

type Answer = Arc<(Result<ChatCompletion>, std::time::Duration)>;
type Asking = Shared<BoxFuture<'static, Answer>>;

/// A question that was asked: under way as long as somebody waits for it, or answered.
enum Asked {
    UnderWay(WeakShared<BoxFuture<'static, Answer>>),
    Answered(Answer),
}

/// The answers to one item's questions.
#[derive(Default)]
pub(super) struct Answers(Mutex<HashMap<(String, u32), Asked>>);

impl Answers {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, u32), Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How one contender asks.
pub(super) struct Contending {
    pub ask: Arc<dyn Ask>,
    pub meter: Arc<Meter>,
    pub answers: Arc<Answers>,
    /// How often this contender asked each question: a pool that has a model twice gets two answers of it.
    pub times: Mutex<HashMap<String, u32>>,
}

impl Contending {
    fn send(&self, request: &ChatRequest, cx: &CallContext) -> Asking {
        let (ask, meter, request, cx) = (self.ask.clone(), self.meter.clone(), request.clone(), cx.clone());
        async move {
            let started = Instant::now();
            let estimate = ask.estimate(&request, cx.within.as_deref());
            let result = match meter.hold(&request.model, estimate) {
                Err(error) => Err(error),
                Ok(mut held) => {
                    let reply = ask::Reply { result: ask.chat(&request, &cx).await, started, latency_ms: 0 };
                    held.cost = Some(reply.cost());
                    reply.result
                }
            };
            Arc::new((result, started.elapsed()))
        }
        .boxed()
        .shared()
    }

    async fn member(&self, request: &ChatRequest, cx: &CallContext) -> Result<ChatCompletion> {
        let started = Instant::now();
        // The deadline of a call is its caller's; everything else about it must be alike.
        let within = serde_json::to_string(&cx.within.as_deref()).unwrap_or_default();
        let question = format!("{within}{}", serde_json::to_string(request).unwrap_or_default());
        let turn = {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = times.entry(question.clone()).or_default();
            *turn += 1;
            *turn
        };
        let key = (question, turn);
        let asking = {
            let mut all = self.answers.lock();
            match all.get(&key) {
                Some(Asked::Answered(answer)) => Err(answer.clone()),
                Some(Asked::UnderWay(weak)) if weak.upgrade().is_some() => Ok(weak.upgrade()),
                _ => {
                    let asking = self.send(request, cx);
                    if let Some(weak) = asking.downgrade() {
                        all.insert(key.clone(), Asked::UnderWay(weak));
                    }
                    Ok(Some(asking))
                }
            }
        };
        let answer = match asking {
            Err(answer) => answer,
            Ok(Some(asking)) => {
                let answer = asking.await;
                self.answers.lock().insert(key, Asked::Answered(answer.clone()));
                answer
            }
            Ok(None) => return Err(Error::new(ErrorKind::Internal, "a shared answer was dropped while it was taken")),
        };
        sleep_until(started + answer.1).await;
        answer.0.clone()
    }
}

impl Ask for Contending {
    fn chat<'a>(&'a self, request: &'a ChatRequest, cx: &'a CallContext) -> BoxFuture<'a, Result<ChatCompletion>> {
        async move {
            match cx.purpose {
                Purpose::Member => self.member(request, cx).await,
                _ => self.send(request, cx).await.0.clone(),
            }
        }
        .boxed()
    }

    /// Nobody listens to an evaluation, so nothing is streamed.
    fn stream<'a>(&'a self, request: &'a ChatRequest, cx: &'a CallContext) -> BoxFuture<'a, Result<ChatStream>> {
        let _ = (request, cx);
        async { Err(Error::new(ErrorKind::Unsupported, "an evaluation streams nothing")) }.boxed()
    }

    fn unix_ms(&self) -> u64 {
        self.ask.unix_ms()
    }

    fn takes(&self, model: &str, provider: Option<&ProviderChoice>) -> Option<Vec<String>> {
        self.ask.takes(model, provider)
    }

    fn estimate(&self, request: &ChatRequest, within: Option<&ProviderPreferences>) -> Option<u64> {
        self.ask.estimate(request, within)
    }
}
