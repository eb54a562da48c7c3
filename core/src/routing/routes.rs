//! The places of a plan, in the order they are to be tried. Hundreds of backends may serve a model and hardly ever more than
//! the first is asked, so a place is three numbers until somebody comes to it, and those far behind are put in order then.

use std::sync::{Arc, OnceLock};

use super::decide::Rank;
use super::{Group, RouteOn, Target};

/// One place of a plan.
#[derive(Clone, Copy)]
pub struct Route<'a> {
    /// The place.
    pub target: &'a Arc<Target>,
    /// When a request may come here.
    pub on: RouteOn,
    /// Window of the model there, tokens; `None`: unknown.
    pub context: Option<u64>,
    /// Most tokens of an answer of the model; `None`: unknown.
    pub max_output: Option<u64>,
    /// The model reasons before it answers, as far as is known.
    pub reasoning: bool,
}

/// The places of a plan in their order; those of each kind of failure after those for any.
#[derive(Default)]
pub struct Routes {
    groups: Vec<Group>,
    first: Vec<Place>,
    later: Later,
    /// The request itself asks the model to reason.
    asks_reasoning: bool,
}

/// The places after the first ones.
#[derive(Default)]
pub(super) struct Later {
    /// In any order.
    ranks: Vec<Rank>,
    /// Per rank, and more.
    found: Vec<Place>,
    ordered: OnceLock<Vec<Place>>,
}

impl Later {
    /// Of ranks, each of which says where in `found` its place is.
    pub fn new(ranks: Vec<Rank>, found: Vec<Place>) -> Self {
        Later { ranks, found, ordered: OnceLock::new() }
    }

    fn ordered(&self) -> &[Place] {
        self.ordered.get_or_init(|| {
            let mut ranks = self.ranks.clone();
            ranks.sort_unstable();
            ranks.into_iter().map(|rank| self.found[rank.at()]).collect()
        })
    }
}

/// Whom a place is with.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Which of the groups.
    group: u16,
    /// Which of the backend's keys; 0 is the first.
    key: u16,
    /// Which of the group's list.
    at: u32,
}

impl Place {
    /// Of a backend of a group, with its first key.
    pub fn new(group: usize, at: usize) -> Self {
        Place { group: group as u16, key: 0, at: at as u32 }
    }

    /// Which of the groups.
    pub fn group(self) -> usize {
        self.group.into()
    }
}

impl Routes {
    /// Of these groups, places in order.
    pub(super) fn new(groups: Vec<Group>, first: Vec<Place>, later: Later, asks_reasoning: bool) -> Self {
        Routes { groups, first, later, asks_reasoning }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.first.len() + self.later.ranks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The one at this place of the plan.
    pub fn get(&self, place: usize) -> Option<Route<'_>> {
        let beyond = |place: usize| self.later.ordered().get(place - self.first.len());
        let place = *self.first.get(place).or_else(|| beyond(place))?;
        let Group { offers, on } = &self.groups[place.group()];
        let offered = &offers.list[place.at as usize];
        let target = with_key(&offered.target, place.key);
        let reasoning = offered.reasoning || self.asks_reasoning;
        Some(Route { target, on: *on, context: offered.context, max_output: offered.max_output, reasoning })
    }

    /// The one at this place, which a course has led to.
    ///
    /// # Panics
    /// Where there is none, as the index of a slice does.
    #[allow(clippy::expect_used, reason = "like an index")]
    pub fn at(&self, place: usize) -> Route<'_> {
        self.get(place).expect("a place of this plan")
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Route<'_>> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// Puts all keys of a backend in the place of its first one, drawn by their weights, so that a key that is refused or
    /// busy leaves the call to the next.
    pub(super) fn spread(mut self, rng: impl FnOnce() -> fastrand::Rng) -> Self {
        if self.groups.iter().all(|group| group.offers.one_key) {
            return self;
        }
        let (mut rng, mut all) = (rng(), Vec::with_capacity(self.len() + 4));
        for place in self.first.iter().chain(self.later.ordered()) {
            let first = &self.groups[place.group()].offers.list[place.at as usize].target;
            let weight = |key: &u16| with_key(first, *key).endpoint.key.as_ref().map_or(1, |key| u64::from(key.weight));
            let mut keys: Vec<u16> = (0..=first.keys.len() as u16).collect();
            while !keys.is_empty() {
                let total: u64 = keys.iter().map(weight).sum();
                // Keys of weight 0 are for when all others fail.
                let mut drawn = if total == 0 { 0 } else { rng.u64(..total) };
                let at = keys.iter().position(|key| {
                    let found = drawn < weight(key) || total == 0;
                    drawn = drawn.saturating_sub(weight(key));
                    found
                });
                all.push(Place { key: keys.remove(at.unwrap_or(0)), ..*place });
            }
        }
        (self.first, self.later) = (all, Later::default());
        self
    }
}

/// The target with this of its backend's keys.
fn with_key(first: &Arc<Target>, key: u16) -> &Arc<Target> {
    match key {
        0 => first,
        key => &first.keys[usize::from(key) - 1],
    }
}

#[cfg(test)]
impl Routes {
    /// Of targets that are made up.
    pub fn made_up(all: impl IntoIterator<Item = (RouteOn, super::Offered)>) -> Self {
        let one = |offered| Arc::new(super::offered::Offers { list: vec![offered], ..Default::default() });
        let groups: Vec<_> = all.into_iter().map(|(on, offered)| Group { offers: one(offered), on }).collect();
        let places = (0..groups.len()).map(|group| Place::new(group, 0)).collect();
        Routes::new(groups, places, Later::default(), false)
    }
}
