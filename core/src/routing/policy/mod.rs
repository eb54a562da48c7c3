//! Policies: in which order candidates are asked. Pure functions over what is known at the moment; adding one is one file
//! and one row in [`POLICIES`].

mod balanced;
mod cheapest;
mod fastest;
mod ordered;
mod sticky;
mod weighted;

use std::cell::OnceCell;

use super::need::{ASSUMED_ANSWER, Need};
use super::offered::Offered;
use super::{Health, Observed};
use crate::catalog::nearest::did_you_mean;
use crate::types::Sort;

/// One backend of a model, with what is known of it now.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// What does not change between calls: target, weight, limits.
    pub offered: &'a Offered,
    /// What the request is expected to cost there, in pico-USD; `None`: unknown, or not asked for by the policy.
    pub cost: Option<u64>,
    /// How it fares.
    pub observed: Observed,
}

impl Candidate<'_> {
    /// Whether nothing speaks against asking it.
    pub fn healthy(&self) -> bool {
        self.observed.health == Health::Closed
    }
}

/// What policies may read of the request.
pub struct Asked<'a> {
    need: &'a dyn Need,
    prompt: OnceCell<u64>,
    output: u64,
    /// Seconds since 1970-01-01 UTC.
    unix: u64,
}

impl<'a> Asked<'a> {
    /// Of a request that is made at this moment, in seconds since 1970-01-01 UTC.
    pub fn new(need: &'a dyn Need, unix: u64) -> Self {
        Asked { need, prompt: OnceCell::new(), output: need.output_limit().unwrap_or(ASSUMED_ANSWER), unix }
    }

    /// The same number for requests that share a session or the beginning of their prompts.
    pub fn affinity(&self) -> u64 {
        self.need.affinity()
    }

    /// Tokens of the answer, as far as can be told before: its limit, or else [`ASSUMED_ANSWER`], and no more than the
    /// model can give.
    pub fn output_tokens(&self, most: Option<u64>) -> u64 {
        most.map_or(self.output, |most| self.output.min(most))
    }

    /// What the request is expected to cost at a candidate, in pico-USD: its prompt, of which as much is taken to come
    /// from the cache as lately did, and its answer, at the rates of the hour.
    pub fn cost(&self, offered: &Offered, observed: &Observed) -> Option<u64> {
        let prompt = *self.prompt.get_or_init(|| self.need.prompt_tokens());
        let cached = observed.cached_share.map_or(0, |share| (prompt as f64 * f64::from(share.clamp(0.0, 1.0))) as u64);
        let output = self.output_tokens(offered.max_output);
        match offered.flat {
            Some(flat) => flat.expected(prompt, cached, output),
            None => offered.target.price.as_ref()?.0.expected(prompt, cached, output, self.unix),
        }
    }
}

/// Gives every candidate a score, the lowest first; equal ones keep their order. Health is no concern of a policy: who
/// failed too often comes last whatever its score.
pub type Score = fn(&[Candidate<'_>], &Asked<'_>, &mut fastrand::Rng, &mut Vec<u64>);

/// One policy.
pub struct Policy {
    /// Name in configurations, requests and explanations.
    pub name: &'static str,
    /// Whether it reads [`Candidate::cost`].
    pub costs: bool,
    /// How it scores.
    pub score: Score,
}

/// Score of what is not known: after all that is.
pub(crate) const UNKNOWN: u64 = u64::MAX;

/// As the catalogue ranks them.
pub static ORDERED: Policy = Policy { name: "ordered", costs: false, score: ordered::score };
/// In proportion to weights.
pub static WEIGHTED: Policy = Policy { name: "weighted", costs: false, score: weighted::score };
/// By what the request is expected to cost.
pub static CHEAPEST: Policy = Policy { name: "cheapest", costs: true, score: cheapest::score };
/// By what the answer is expected to take.
pub static FASTEST: Policy = Policy { name: "fastest", costs: false, score: fastest::score };
/// By cost, time and failures.
pub static BALANCED: Policy = Policy { name: "balanced", costs: true, score: balanced::score };
/// Where a session or a prompt's beginning was before.
pub static STICKY: Policy = Policy { name: "sticky", costs: false, score: sticky::score };

/// Every policy, the default first.
pub static POLICIES: &[&Policy] = &[&ORDERED, &WEIGHTED, &CHEAPEST, &FASTEST, &BALANCED, &STICKY];

// What `sort` asks for: strict orders, without the chance by which policies spread load.
static PRICE: Policy = Policy { name: "price", costs: true, score: cheapest::score };
static THROUGHPUT: Policy = Policy { name: "throughput", costs: false, score: fastest::by_throughput };
static LATENCY: Policy = Policy { name: "latency", costs: false, score: fastest::by_latency };

/// The policy of this name.
///
/// # Errors
/// Why there is none, with the nearest name, for the caller to place.
pub fn policy(name: &str) -> Result<&'static Policy, String> {
    POLICIES.iter().find(|p| p.name == name).copied().ok_or_else(|| {
        let near = did_you_mean(name, POLICIES.iter().map(|p| p.name));
        let all: Vec<&str> = POLICIES.iter().map(|p| p.name).collect();
        format!("unknown policy `{name}`{near}; there are {}", all.join(", "))
    })
}

/// What orders by one measure.
pub(super) fn sort(by: Sort) -> &'static Policy {
    match by {
        Sort::Price => &PRICE,
        Sort::Throughput => &THROUGHPUT,
        Sort::Latency => &LATENCY,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
