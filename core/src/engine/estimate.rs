//! What an attempt at one target may cost, before it is made: hardly less, likely, at most. The one place that says so, for
//! budgets, fusions and whoever asks.

use std::time::Duration;

use crate::catalog::{Ceiling, Circumstances, Most, Unpriced};
use crate::error::{Error, Result};
use crate::money::NanoUsd;
use crate::routing::{ASSUMED_ANSWER, Extent, Need, Route};
use crate::types::{ChatRequest, Class, CostEstimate, ProviderPreferences, RouteEstimate, Terms, UsageVector};

use super::{Engine, total};

/// Bytes of text per token: hardly more, and likely less than most texts have.
const BYTES_PER_TOKEN: (u64, u64) = (8, 3);

/// The most that an attempt may cost, for every length of its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    ceiling: Ceiling,
    choices: u64,
    /// Tokens of a choice, as the request limits them.
    limit: Option<u64>,
    /// Tokens of a choice, as the model limits them.
    most: Option<u64>,
}

impl Bound {
    /// Of an attempt on a route that is over by then (milliseconds since 1970-01-01 UTC: now, and the last moment).
    ///
    /// # Errors
    /// Why it is not known.
    pub fn of(extent: &Extent, route: Route<'_>, completed_ms: (u64, u64)) -> Result<Self, Unpriced> {
        let target = route.target;
        let (price, _) = target.price.as_ref().ok_or(Unpriced::Price)?;
        let ceiling = price.most(&Most {
            prompt: extent.prompt(route.context),
            images: extent.image_tokens(&target.model),
            audio: extent.audio,
            answers: extent.limit != Some(0),
            speaks: extent.speaks,
            searches: extent.searches,
            tool_runs: extent.tool_runs,
            tier: extent.tier.as_deref(),
            geo: target.model.split_once('.').map(|(geo, _)| geo),
            completed_ms,
        })?;
        // What a model can write fits into its window.
        let most = route.max_output.or(route.context);
        Ok(Bound { ceiling, choices: extent.choices, limit: extent.limit, most })
    }

    /// Tokens of all choices together. `assumed` stands for the model's own limit where the request sets none.
    pub fn output(&self, assumed: Option<u64>) -> u64 {
        let each = self.limit.or(assumed).or(self.most).unwrap_or(ASSUMED_ANSWER);
        each.saturating_mul(self.choices)
    }

    /// The most, nano-USD.
    pub fn nanos(&self, assumed: Option<u64>) -> u64 {
        self.ceiling.nanos(self.output(assumed)).min(NanoUsd::MAX.nanos())
    }
}

impl Engine {
    /// What a chat may cost wherever it may go; sends nothing.
    ///
    /// # Errors
    /// Of a request that leads nowhere.
    pub fn estimate(&self, request: &ChatRequest) -> Result<CostEstimate> {
        let plan = self.router().plan(&request.terms(), request)?;
        let extent = request.extent();
        let mut routes: Vec<Route<'_>> = Vec::with_capacity(plan.routes.len());
        for route in plan.routes.iter() {
            // Another key of the same place costs the same.
            if !routes.iter().any(|seen| std::sync::Arc::ptr_eq(&seen.target.track, &route.target.track)) {
                routes.push(route);
            }
        }
        let timeout = total(request.timeout_ms, request.timeouts.as_ref(), self.config());
        let routes: Vec<RouteEstimate> = routes.into_iter().map(|route| self.row(&extent, route, timeout)).collect();
        Ok(CostEstimate {
            low_nanos: least(routes.iter().map(|route| route.low_nanos)),
            expected_nanos: routes.first().and_then(|route| route.expected_nanos),
            high_nanos: most(routes.iter().map(|route| route.high_nanos)),
            routes,
            ..CostEstimate::default()
        })
    }

    /// The same in sums, of a call whose prompt is not all there yet: `likely` and `most` are the bytes of what will be
    /// added to it.
    ///
    /// # Errors
    /// Of a request that leads nowhere.
    pub(crate) fn spread(
        &self,
        request: &ChatRequest,
        within: Option<&ProviderPreferences>,
        added: Added,
    ) -> Result<Spread> {
        let plan = self.router().plan(&Terms { within, ..request.terms() }, request)?;
        let own = request.extent();
        let mut extent = own.clone();
        extent.text = extent.text.saturating_add(added.most);
        extent.likely = extent.likely.saturating_add(added.likely);
        let timeout = total(request.timeout_ms, request.timeouts.as_ref(), self.config());
        let rows: Vec<RouteEstimate> = plan.routes.iter().map(|route| self.row(&extent, route, timeout)).collect();
        let now = self.clock().unix_ms();
        let longest = rows.iter().filter_map(|row| row.max_output_tokens).max();
        Ok(Spread {
            low: least(plan.routes.iter().map(|route| low(&own, route, now))),
            expected: rows.first().and_then(|row| row.expected_nanos),
            high: most(rows.iter().map(|row| row.high_nanos)),
            likely_tokens: extent.limit.unwrap_or(ASSUMED_ANSWER),
            most_tokens: longest.or(extent.limit).unwrap_or(ASSUMED_ANSWER),
        })
    }

    fn row(&self, extent: &Extent, route: Route<'_>, timeout: Duration) -> RouteEstimate {
        let target = route.target;
        let now = self.clock().unix_ms();
        let bound = Bound::of(extent, route, (now, now.saturating_add(timeout.as_millis() as u64)));
        let expected = self.expected(extent, route);
        let row = RouteEstimate {
            provider: target.endpoint.id().to_owned(),
            model: target.model.clone(),
            low_nanos: low(extent, route, now),
            price_source: target.price.as_ref().map(|(_, source)| *source),
            ..RouteEstimate::default()
        };
        match bound {
            Ok(bound) => RouteEstimate {
                expected_nanos: expected.ok(),
                high_nanos: Some(bound.nanos(None)),
                max_output_tokens: Some(bound.output(None)),
                ..row
            },
            Err(why) => RouteEstimate { expected_nanos: expected.ok(), unknown: Some(why.to_string()), ..row },
        }
    }

    /// What an attempt is likely to cost at most, nano-USD.
    fn expected(&self, extent: &Extent, route: Route<'_>) -> Result<u64, Unpriced> {
        let (price, _) = route.target.price.as_ref().ok_or(Unpriced::Price)?;
        let mut units = UsageVector::default();
        units.estimate(Class::Input, extent.likely / BYTES_PER_TOKEN.1 + 1);
        units.estimate(Class::Output, extent.limit.unwrap_or(ASSUMED_ANSWER).saturating_mul(extent.choices));
        units.report(Class::Request, 1);
        let now = Circumstances { completed_ms: self.clock().unix_ms(), ..Default::default() };
        price.cost(&units, &now).map(|cost| cost.amount.nanos())
    }

    /// The same of a chat at the first place it would go to; `None` where its price is not known.
    pub(crate) fn likely(&self, request: &ChatRequest, within: Option<&ProviderPreferences>) -> Option<u64> {
        let plan = self.router().plan(&Terms { within, ..request.terms() }, request).ok()?;
        self.expected(&request.extent(), plan.routes.get(0)?).ok()
    }
}

/// Bytes that a prompt will have beside those it has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Added {
    pub likely: u64,
    pub most: u64,
}

impl Added {
    /// Answers of so many tokens.
    pub(crate) fn answers(likely_tokens: u64, most_tokens: u64) -> Self {
        Added {
            likely: likely_tokens.saturating_mul(BYTES_PER_TOKEN.1),
            most: most_tokens.saturating_mul(BYTES_PER_TOKEN.0),
        }
    }
}

/// What a call may cost, nano-USD, and how long its answer may be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    pub low: Option<u64>,
    pub expected: Option<u64>,
    pub high: Option<u64>,
    pub likely_tokens: u64,
    pub most_tokens: u64,
}

/// The least of amounts that are all known.
fn least(amounts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    amounts.collect::<Option<Vec<u64>>>()?.into_iter().min()
}

/// The most of amounts that are all known.
fn most(amounts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    amounts.collect::<Option<Vec<u64>>>()?.into_iter().max()
}

/// Hardly less than what an attempt costs, nano-USD: the prompt from the vendor's cache, and no answer.
fn low(extent: &Extent, route: Route<'_>, now_ms: u64) -> Option<u64> {
    let (price, _) = route.target.price.as_ref()?;
    let prompt = extent.text / BYTES_PER_TOKEN.0;
    let pico = price.expected(prompt, prompt, 0, now_ms / 1000)?;
    Some(pico / 1000)
}

/// The most that all attempts of a call may cost, where it says so.
///
/// # Errors
/// `invalid_request` where it is no amount.
pub(super) fn cap(terms: &Terms<'_>) -> Result<Option<NanoUsd>> {
    let amount = terms.max_cost_usd.map(str::parse::<NanoUsd>).transpose();
    amount.map_err(|e| Error::invalid_request(format!("`max_cost_usd`: {e}")).with_param("max_cost_usd"))
}
