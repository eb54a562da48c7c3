//! What was decided, in words: explanations, and the error when nobody is left.

use serde_json::json;

use super::decide::Decision;
use super::filter::{self, Filter};
use super::offered::Offered;
use super::policy::UNKNOWN;
use super::{Health, Observed, RouteOn, Router};
use crate::error::{Error, ErrorKind};
use crate::money::NanoUsd;
use crate::types::{ExplainedCandidate, Explanation};

impl Router {
    /// A decision as told to users.
    pub(super) fn explanation(&self, decision: &Decision<'_>) -> Explanation {
        let mut told = Explanation { policy: decision.policy.name.to_owned(), ..Explanation::default() };
        for at in decision.order() {
            let (candidate, on) = (&decision.candidates[at], decision.on(at));
            let row = row(candidate.offered, on, &candidate.observed, candidate.cost);
            if on == RouteOn::Any {
                told.order.push(format!("{}/{}", row.provider, row.model));
            }
            let score = Some(decision.scores[at]).filter(|score| *score != UNKNOWN);
            told.candidates.push(ExplainedCandidate { score, ..row });
        }
        for (offered, on, filter) in &decision.left_out {
            let observed = offered.target.track.observed(decision.now);
            let cost = decision.asked.cost(offered, &observed);
            told.candidates.push(ExplainedCandidate {
                filtered_by: Some(filter.name().to_owned()),
                reason: Some(reason(decision, *filter, offered)),
                ..row(offered, *on, &observed, cost)
            });
        }
        for group in decision.groups {
            told.candidates.extend(group.offers.unusable.iter().map(|e| ExplainedCandidate {
                provider: e.body().provider.clone().unwrap_or_default(),
                model: e.body().model.clone().unwrap_or_default(),
                after: after(group.on),
                filtered_by: Some("configuration".to_owned()),
                reason: Some(e.message().to_owned()),
                health: health(Health::Closed).to_owned(),
                ..ExplainedCandidate::default()
            }));
        }
        told
    }

    /// Why nobody can be asked: the one reason, or all of them.
    pub(super) fn nobody(&self, decision: &Decision<'_>, model: &str) -> Error {
        let out: Vec<&(&Offered, RouteOn, Filter)> =
            decision.left_out.iter().filter(|(_, on, _)| *on == RouteOn::Any).collect();
        let any = || decision.groups.iter().filter(|group| group.on == RouteOn::Any);
        let unusable: Vec<&Error> = any().flat_map(|group| &group.offers.unusable).collect();
        let model = Some(model).filter(|m| !m.is_empty());
        let asked = model.or(out.first().map(|(offered, ..)| offered.target.model_asked.as_str())).unwrap_or_default();
        let no_key = |filter: Filter| filter == Filter::Key;
        if let ([(offered, _, filter)], []) = (out.as_slice(), unusable.as_slice())
            && no_key(*filter)
        {
            return offered.target.endpoint.missing_key().with_model(asked);
        }
        if let ([], [only]) = (out.as_slice(), unusable.as_slice()) {
            return (*only).clone();
        }
        // Whoever passes all filters but has no key is what can be helped.
        let kind = if out.iter().any(|(.., filter)| no_key(*filter)) {
            ErrorKind::Authentication
        } else if out.is_empty() {
            ErrorKind::NotFound
        } else {
            ErrorKind::InvalidRequest
        };
        let mut reasons: Vec<String> = Vec::with_capacity(out.len() + unusable.len());
        let mut details = Vec::with_capacity(out.len());
        for (offered, _, filter) in &out {
            let (id, why) = (offered.target.endpoint.id(), reason(decision, *filter, offered));
            reasons.push(format!("{id}/{} ({}): {why}", offered.target.model, filter.name()));
            details.push(json!({
                "provider": id, "model": offered.target.model, "filtered_by": filter.name(), "reason": why,
            }));
        }
        reasons.extend(unusable.iter().map(|e| e.message().to_owned()));
        let mut message = format!("nobody can serve `{asked}`: {}", reasons.join("; "));
        let dear = out.iter().filter(|(.., filter)| *filter == Filter::MaxPrice).map(|(offered, ..)| *offered);
        if let Some((offered, (input, output))) =
            filter::cheapest(dear).and_then(|(offered, price)| Some((offered, price.token_rates(0)?)))
        {
            message.push_str(&format!(
                ". The cheapest offer that only `max_price` leaves out is {}/{}, at {input} USD per million prompt tokens and \
                 {output} USD per million completion tokens",
                offered.target.endpoint.id(),
                offered.target.model,
            ));
        }
        let mut error = Error::new(kind, message).with_model(asked);
        if kind == ErrorKind::InvalidRequest {
            error = error.with_param("provider");
        }
        error.body_mut().details.insert("candidates".to_owned(), details.into());
        error
    }
}

/// When the catalogue itself leads nowhere.
pub(super) fn nobody_at_all(model: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("nobody can serve `{model}`")).with_model(model)
}

fn reason(decision: &Decision<'_>, filter: Filter, offered: &Offered) -> String {
    let told = decision.filters.iter().filter(|f| f.leaves_out(offered) == Some(filter));
    let told = told.filter_map(|f| f.reason(filter, offered)).next();
    told.unwrap_or_else(|| match filter {
        Filter::Key => offered.target.endpoint.missing_key().message().to_owned(),
        _ => "`allow_fallbacks` is false".to_owned(),
    })
}

fn row(offered: &Offered, on: RouteOn, observed: &Observed, cost: Option<u64>) -> ExplainedCandidate {
    ExplainedCandidate {
        provider: offered.target.endpoint.id().to_owned(),
        model: offered.target.model.clone(),
        after: after(on),
        expected_cost_usd: cost.and_then(|pico| NanoUsd::from_pico(pico.into())).map(|usd| usd.to_string()),
        health: health(observed.health).to_owned(),
        pending: observed.pending,
        ttft_ms: observed.speed.map(|speed| (f64::from(speed.ttft_p50) * 1e3) as u64),
        tokens_per_second: observed.speed.map(|speed| speed.throughput_p50.into()),
        ..ExplainedCandidate::default()
    }
}

fn after(on: RouteOn) -> Option<String> {
    (on != RouteOn::Any).then(|| on.field().to_owned())
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Closed => "closed",
        Health::HalfOpen => "half_open",
        Health::Open(_) => "open",
    }
}
