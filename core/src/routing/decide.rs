//! The decision: who is left after the filters, in which order.

use std::sync::PoisonError;

use tokio::time::Instant;

use super::filter::{Filter, Filters};
use super::need::Need;
use super::offered::Offered;
use super::policy::{self, Asked, Candidate, Policy};
use super::routes::{Later, Place};
use super::{Group, Health, RouteOn, Router, Spread};
use crate::error::{Error, Result};
use crate::types::{Partition, ProviderChoice, ProviderPreferences, Terms, Threshold};

/// What was decided.
pub(super) struct Decision<'a> {
    pub groups: &'a [Group],
    /// What ordered the first model's candidates.
    pub policy: &'static Policy,
    pub filters: Vec<Filters<'a>>,
    /// Who may be asked, group by group.
    pub candidates: Vec<Candidate<'a>>,
    /// Per candidate: where it stands in the groups.
    found: Vec<Place>,
    /// Per candidate.
    pub scores: Vec<u64>,
    /// All of them; the first [`FIRST`] in the order to ask, the others after these in any.
    ranks: Vec<Rank>,
    /// Who may not be asked, and what left it out.
    pub left_out: Vec<(&'a Offered, RouteOn, Filter)>,
    /// What is known of the request, for those that were left out, too.
    pub asked: Asked<'a>,
    pub now: Instant,
}

impl Decision<'_> {
    /// Whether anybody may be asked at once.
    pub fn serves(&self) -> bool {
        self.ranks.first().is_some_and(|first| self.on(first.at()) == RouteOn::Any)
    }

    /// When a candidate may be asked.
    pub fn on(&self, at: usize) -> RouteOn {
        self.groups[self.found[at].group()].on
    }

    /// Places in `candidates`, in the order to ask.
    pub fn order(&self) -> Vec<usize> {
        let mut ranks = self.ranks.clone();
        ranks.sort_unstable();
        ranks.into_iter().map(Rank::at).collect()
    }

    /// Whom to ask, in order: first, and later.
    pub fn places(self) -> (Vec<Place>, Later) {
        let Decision { mut ranks, found, .. } = self;
        let later = ranks.split_off(ranks.len().min(FIRST));
        let first = ranks.into_iter().map(|rank| found[rank.at()]).collect();
        (first, Later::new(later, found))
    }
}

/// A candidate's place: all in one number, so that sorting is fast. From the left: when it may be asked, whether it
/// failed too often, its model, whether it is known to be slower than wished, its place in the caller's order, its score, and
/// its place before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u128);

/// So many are put in order at once: more than a call tries. To sort hundreds takes longer than all else.
const FIRST: usize = 16;

/// Most candidates of a plan, models of a request and names of an order that are told apart.
const MOST: (usize, usize, usize) = (1 << 16, 1 << 12, 1 << 12);

impl Rank {
    fn new(on: RouteOn, health: Health, group: usize, slow: bool, place: Option<usize>, score: u64, at: usize) -> Rank {
        let failing = match health {
            // Whoever comes to a target that may have recovered finds that out, so it keeps its place.
            Health::Closed | Health::HalfOpen => 0u128,
            Health::Open(_) => 1,
        };
        let group = group.min(MOST.1 - 1) as u128;
        let place = place.map_or(MOST.2 - 1, |place| place.min(MOST.2 - 2)) as u128;
        let high = ((on as u128) << 27) | (failing << 25) | (group << 13) | (u128::from(slow) << 12) | place;
        Rank((high << 80) | (u128::from(score) << 16) | at as u128)
    }

    pub fn at(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    /// The same for candidates of one model that may be asked at the same time.
    fn group(self) -> u128 {
        let high = self.0 >> 80;
        ((high >> 27) << 12) | ((high >> 13) & 0xfff)
    }
}

impl Router {
    /// Filters and orders the candidates of some models.
    ///
    /// # Errors
    /// For preferences that are wrong by themselves.
    pub(super) fn decide<'a>(
        &'a self,
        groups: &'a [Group],
        terms: &Terms<'a>,
        need: &'a dyn Need,
    ) -> Result<Decision<'a>> {
        let own = match terms.provider {
            Some(ProviderChoice::Preferences(preferences)) => Some(&**preferences),
            _ => None,
        };
        let mut filters = Vec::with_capacity(2);
        for preferences in own.into_iter().chain(terms.within) {
            filters.push(Filters::new(self, preferences, need)?);
        }
        let wanted = own.map(chosen).transpose()?.flatten();
        let together = own.and_then(|p| p.sort).is_some_and(|sort| sort.partition() == Partition::None);
        let of = |group: &Group| wanted.or(group.offers.policy).unwrap_or(self.policy);

        let asked = Asked::new(need, self.clock.unix().as_secs());
        let now = Instant::now();
        let total = groups.iter().map(|group| group.offers.list.len()).sum::<usize>().min(MOST.0);
        let mut decision = Decision {
            groups,
            policy: groups.first().map_or(self.policy, of),
            filters,
            candidates: Vec::with_capacity(total),
            found: Vec::with_capacity(total),
            scores: Vec::with_capacity(total),
            ranks: Vec::new(),
            left_out: Vec::new(),
            asked,
            now,
        };
        // Only `order` of the request itself puts anybody first.
        let ordering = own.is_some().then(|| &decision.filters[0]).filter(|f| f.orders()).is_some();
        let no_others = own.and_then(|p| p.allow_fallbacks) == Some(false);
        let mut rng = self.rng();
        let mut ranks: Vec<Rank> = Vec::with_capacity(total);
        // Where candidates that are scored together begin.
        let (mut start, mut places): (usize, Vec<Option<usize>>) = (0, Vec::with_capacity(total));
        for (number, group) in groups.iter().enumerate() {
            let policy = of(group);
            for (at, offered) in group.offers.list.iter().enumerate() {
                if decision.candidates.len() == MOST.0 || decision.has(offered, group.on, number) {
                    continue;
                }
                let place = if ordering { decision.filters[0].place(offered) } else { None };
                let out = decision.filters.iter().find_map(|filter| filter.leaves_out(offered));
                let out = out.or((no_others && ordering && place.is_none()).then_some(Filter::AllowFallbacks));
                if let Some(filter) = out.or((!offered.ready).then_some(Filter::Key)) {
                    decision.left_out.push((offered, group.on, filter));
                    continue;
                }
                let observed = offered.track.observed(now);
                let costs = policy.costs || terms.explain || self.explain;
                let cost = if costs { decision.asked.cost(offered, &observed) } else { None };
                decision.candidates.push(Candidate { offered, cost, observed });
                decision.found.push(Place::new(number, at));
                places.push(place);
            }
            let more = groups.get(number + 1).is_some_and(|next| together && next.on == group.on);
            if more {
                continue;
            }
            (policy.score)(&decision.candidates[start..], &decision.asked, &mut rng, &mut decision.scores);
            let rank_group = if together { 0 } else { number };
            for (at, place) in places.iter().enumerate().skip(start) {
                let candidate = &decision.candidates[at];
                let (health, slow) = (
                    candidate.observed.health,
                    own.is_some_and(|p| wishes(p) && slow(p, candidate.offered.track.spread(now))),
                );
                ranks.push(Rank::new(group.on, health, rank_group, slow, *place, decision.scores[at], at));
            }
            start = decision.candidates.len();
        }
        if no_others && !ordering {
            // Of each model only the first one.
            ranks.sort_unstable();
            let mut firsts: Vec<u128> = Vec::new();
            ranks.retain(|rank| {
                let first = !firsts.contains(&rank.group());
                if first {
                    firsts.push(rank.group());
                } else {
                    let (offered, on) = (decision.candidates[rank.at()].offered, decision.on(rank.at()));
                    decision.left_out.push((offered, on, Filter::AllowFallbacks));
                }
                first
            });
        } else {
            if ranks.len() > FIRST {
                ranks.select_nth_unstable(FIRST);
            }
            let first = ranks.len().min(FIRST);
            ranks[..first].sort_unstable();
        }
        decision.ranks = ranks;
        Ok(decision)
    }

    /// Chance.
    pub(super) fn rng(&self) -> fastrand::Rng {
        match &self.seeded {
            Some(seeded) => seeded.lock().unwrap_or_else(PoisonError::into_inner).fork(),
            None => fastrand::Rng::new(),
        }
    }
}

impl Decision<'_> {
    /// Whether a target is among the candidates already, from another model's name; within one model all differ.
    fn has(&self, offered: &Offered, on: RouteOn, group: usize) -> bool {
        let same = |(at, c): (usize, &Candidate<'_>)| c.offered.hash == offered.hash && self.on(at) == on;
        group > 0 && self.candidates.iter().enumerate().any(same)
    }
}

/// What the preferences order by.
fn chosen(preferences: &ProviderPreferences) -> Result<Option<&'static Policy>> {
    if let Some(name) = &preferences.policy {
        let wrong = |why| Error::invalid_request(format!("`provider.policy`: {why}")).with_param("provider.policy");
        return policy::policy(name).map(Some).map_err(wrong);
    }
    Ok(preferences.sort.map(|sort| policy::sort(sort.by())))
}

/// Whether speed is wished for at all.
fn wishes(preferences: &ProviderPreferences) -> bool {
    preferences.preferred_min_throughput.is_some() || preferences.preferred_max_latency.is_some()
}

/// Whether a candidate is measured to be slower than wished. One that was not measured is not.
fn slow(preferences: &ProviderPreferences, measured: Option<Spread>) -> bool {
    let Some(measured) = measured else { return false };
    let beyond = |wish: Option<Threshold>, measured: [f64; 4], beyond: fn(f64, f64) -> bool| {
        wish.is_some_and(|wish| {
            wish.bounds().iter().zip(measured).any(|(bound, is)| bound.is_some_and(|bound| beyond(is, bound)))
        })
    };
    let of = |p: super::Percentiles| [p.p50, p.p75, p.p90, p.p99].map(f64::from);
    beyond(preferences.preferred_min_throughput, of(measured.throughput), |is, least| is < least)
        || beyond(preferences.preferred_max_latency, of(measured.ttft), |is, most| is > most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Percentiles;
    use crate::types::ThresholdAt;
    use std::time::Duration;

    #[test]
    fn what_outranks_what() {
        let open = Health::Open(Duration::from_secs(9));
        let rank = |on, health, group, slow, place, score, at| Rank::new(on, health, group, slow, place, score, at);
        let any = RouteOn::Any;
        let in_order = [
            rank(any, Health::Closed, 0, false, Some(0), u64::MAX, 9),
            rank(any, Health::Closed, 0, false, Some(1), 0, 8),
            rank(any, Health::Closed, 0, false, None, 3, 7),
            rank(any, Health::Closed, 0, false, None, 3, 8),
            rank(any, Health::Closed, 0, false, None, u64::MAX, 0),
            rank(any, Health::Closed, 0, true, Some(0), 0, 0),
            rank(any, Health::Closed, 1, false, None, 0, 0),
            rank(any, open, 0, false, Some(0), 0, 0),
            rank(any, open, 1, false, None, 0, 0),
            rank(RouteOn::ContextLength, Health::Closed, 0, false, None, 0, 0),
        ];
        assert!(in_order.is_sorted() && in_order.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(in_order.map(Rank::at), [9, 8, 7, 8, 0, 0, 0, 0, 0, 0]);
        let same = |a: usize, b: usize| in_order[a].group() == in_order[b].group();
        assert!(same(0, 5) && same(0, 7) && same(6, 8) && !same(0, 6) && !same(0, 9));
    }

    #[test]
    fn who_is_measured_to_be_slower_than_wished() {
        let at = |p50: f32, p90: f32| Percentiles { p50, p75: p50, p90, p95: p90, p99: p90 };
        let measured = Some(Spread { ttft: at(0.5, 2.0), throughput: at(80.0, 20.0) });
        let p90 = |n| Some(Threshold::At(ThresholdAt { p90: Some(n), ..ThresholdAt::default() }));
        let p50 = |n| Some(Threshold::Median(n));
        for (least, most, want) in [
            (None, None, false),
            (p50(80.0), p50(0.5), false),
            (p50(81.0), None, true),
            (None, p50(0.4), true),
            (p90(20.0), p90(2.0), false),
            (p90(21.0), None, true),
            (None, p90(1.9), true),
        ] {
            let wish = ProviderPreferences {
                preferred_min_throughput: least,
                preferred_max_latency: most,
                ..ProviderPreferences::default()
            };
            assert_eq!(slow(&wish, measured), want, "{least:?} {most:?}");
            assert!(!slow(&wish, None), "who was not measured gets its chance");
        }
    }
}
