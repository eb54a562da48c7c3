//! Several keys of one backend in a plan: one route for each, drawn by weight, so that a key that is refused or busy leaves
//! the call to the next.

use super::Route;

/// Puts the routes of all keys in place of the first one's.
pub(super) fn spread(routes: &mut Vec<Route>, rng: impl FnOnce() -> fastrand::Rng) {
    if routes.iter().all(|route| route.target.keys.is_empty()) {
        return;
    }
    let mut rng = rng();
    let mut all = Vec::with_capacity(routes.len() + 4);
    for route in routes.drain(..) {
        let mut keys: Vec<_> = std::iter::once(&route.target).chain(&route.target.keys).cloned().collect();
        while !keys.is_empty() {
            let weight = |at: usize| keys[at].endpoint.key.as_ref().map_or(1, |key| u64::from(key.weight));
            let total: u64 = (0..keys.len()).map(weight).sum();
            // Keys of weight 0 are for when all others fail.
            let mut drawn = if total == 0 { 0 } else { rng.u64(..total) };
            let at = (0..keys.len()).find(|at| {
                let found = drawn < weight(*at) || total == 0;
                drawn = drawn.saturating_sub(weight(*at));
                found
            });
            let target = keys.remove(at.unwrap_or(0));
            all.push(Route { target, ..route.clone() });
        }
    }
    *routes = all;
}
