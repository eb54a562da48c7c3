//! Where a request may go: an ordered plan of targets, decided before anything is sent. Pure.

mod gate;
mod health;
mod limits;
mod listing;
mod speed;
mod track;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::{Api, Endpoint, Endpoints};
use crate::catalog::{Catalog, Price, Resolved};
use crate::error::{Error, ErrorKind, Result};

pub use gate::{Gate, Gates, Passes, room};
pub use health::Admission;
pub use limits::{Full, Limits};
pub use speed::Sample;
pub use track::{Flight, Health, Observed, Percentiles, Speed, Track};

use crate::types::{CostSource, PriceConfig, ProviderChoice, ProviderPreferences, Sort, Terms};

/// One place a request may go to.
#[derive(Clone)]
pub struct Target {
    /// The backend.
    pub endpoint: Arc<Endpoint>,
    /// Its protocol for this model.
    pub api: Arc<Api>,
    /// Model as the caller asked for it.
    pub model_asked: String,
    /// Model id as the backend calls it.
    pub model: String,
    /// What its tokens cost and whether the user configured that; `None` when unknown.
    pub price: Option<(Price, CostSource)>,
    /// What is remembered of it; shared by all targets of the same backend and model.
    pub track: Arc<Track>,
}

/// Where a request may go, in the order of preference.
pub struct Plan {
    /// At least one.
    pub routes: Vec<Route>,
}

/// A target, and when the engine may come to it.
#[derive(Clone)]
pub struct Route {
    /// The target.
    pub target: Arc<Target>,
    /// After which failures.
    pub on: RouteOn,
    /// Window in tokens, where known.
    pub context: Option<u64>,
    /// The model reasons before it answers, as far as is known.
    pub reasoning: bool,
}

impl From<Arc<Target>> for Route {
    fn from(target: Arc<Target>) -> Self {
        Route { target, on: RouteOn::Any, context: None, reasoning: false }
    }
}

/// After which failures a route is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteOn {
    /// At the beginning, and after every failure that another target may not share.
    Any,
    /// Where the prompt did not fit.
    ContextLength,
    /// Where a content policy refused.
    ContentFiltered,
    /// Where there were too many requests.
    RateLimited,
    /// Where the target could not be reached, failed or broke off.
    Unavailable,
}

/// Everything a plan is made from.
pub struct Router {
    /// Providers, models, prices; the user's own servers among them.
    pub catalog: Catalog,
    /// Backends as configured.
    pub endpoints: Endpoints,
    /// The user's prices, by `provider/model` as sent.
    prices: BTreeMap<String, Price>,
    /// Targets asked for before, by model, then by the provider named: nothing they are made from changes.
    known: Mutex<HashMap<String, Vec<Known>>>,
    /// What is remembered of targets, by backend and model as sent.
    tracks: Mutex<HashMap<(String, String), Arc<Track>>>,
}

/// The targets of a model at the provider that was named, or at any.
struct Known {
    provider: Option<String>,
    targets: Vec<Arc<Target>>,
}

/// How many models are remembered, and for each how many ways of naming its provider.
const KNOWN: (usize, usize) = (1024, 16);

impl Router {
    /// A router over these backends.
    ///
    /// # Errors
    /// `invalid_config` for a price that is none.
    pub fn new(catalog: &Catalog, endpoints: Endpoints, prices: &BTreeMap<String, PriceConfig>) -> Result<Self> {
        let prices = prices
            .iter()
            .map(|(name, price)| Ok((name.clone(), Price::configured(price, &format!("prices.{name}"))?)))
            .collect::<Result<_>>()?;
        let mut catalog = catalog.clone();
        for row in endpoints.own() {
            catalog = catalog.with_provider(row.clone())?;
        }
        Ok(Router { catalog, endpoints, prices, known: Mutex::default(), tracks: Mutex::default() })
    }

    /// The targets of a request, in the order they are to be tried.
    ///
    /// # Errors
    /// Of the first model that leads nowhere, when no other model does either.
    pub fn plan(&self, terms: &Terms<'_>) -> Result<Plan> {
        if terms.model.is_empty() && terms.models.is_empty() {
            return Err(
                Error::invalid_request("no `model` given, for example \"openai/gpt-5-mini\"").with_param("model")
            );
        }
        let mut routes: Vec<Route> = Vec::new();
        let mut first_error = None;
        let first = (!terms.model.is_empty()).then_some(terms.model);
        for model in first.into_iter().chain(terms.models.iter().map(String::as_str)) {
            match self.targets(model, terms.provider) {
                Ok(new) => {
                    for target in new {
                        let known = |r: &Route| {
                            r.target.endpoint.id() == target.endpoint.id() && r.target.model == target.model
                        };
                        if !routes.iter().any(known) {
                            routes.push(target.into());
                        }
                    }
                }
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        match first_error {
            Some(e) if routes.is_empty() => Err(e),
            _ => Ok(Plan { routes }),
        }
    }

    /// Targets of one model.
    fn targets(&self, model: &str, choice: Option<&ProviderChoice>) -> Result<Vec<Arc<Target>>> {
        let provider = match choice {
            Some(ProviderChoice::Preferences(preferences)) => return self.preferred(model, preferences),
            Some(ProviderChoice::Name(name)) => Some(name),
            None => None,
        };
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = |all: &Vec<Known>| all.iter().find(|k| k.provider.as_ref() == provider).map(|k| k.targets.clone());
        if let Some(targets) = known().get(model).and_then(found) {
            return Ok(targets);
        }
        let targets = match provider {
            Some(name) => vec![self.at(name, model)?],
            None => self.preferred(model, &ProviderPreferences::default())?,
        };
        let mut known = known();
        if known.len() < KNOWN.0 || known.contains_key(model) {
            let all = known.entry(model.to_owned()).or_default();
            if all.len() < KNOWN.1 {
                all.push(Known { provider: provider.cloned(), targets: targets.clone() });
            }
        }
        Ok(targets)
    }

    /// The one target at a provider that was named.
    fn at(&self, provider: &str, model: &str) -> Result<Arc<Target>> {
        let endpoint = self.endpoint(provider)?;
        let target = match endpoint.models.get(model).cloned() {
            Some(id) => self.target(endpoint, model, id, None, None),
            None => {
                let found = self.catalog.resolve(model, Some(endpoint.id()))?.candidates;
                let Some(found) = found.into_iter().next() else { return Err(nobody(model, Vec::new())) };
                // A model's row may name another door of the same vendor.
                let endpoint = self.endpoint(&found.provider_id)?;
                self.found(endpoint, model, &found)
            }
        };
        if !target.endpoint.may_be_ready() {
            return Err(target.endpoint.missing_key().with_model(model));
        }
        Ok(Arc::new(target))
    }

    /// Every target that serves a model, the preferred ones first.
    fn preferred(&self, model: &str, preferences: &ProviderPreferences) -> Result<Vec<Arc<Target>>> {
        for name in preferences.order.iter().chain(&preferences.only).chain(&preferences.ignore) {
            self.endpoint(name)?;
        }
        if let Some((head, rest)) = model.split_once('/') {
            // A name of the user's own (an Azure deployment, ...) outranks the catalogue.
            if self.endpoint(head).is_ok_and(|e| e.models.contains_key(rest)) {
                return Ok(vec![self.at(head, rest)?]);
            }
        }
        let mut reasons = Vec::new();
        let mut targets = Vec::new();
        for found in self.catalog.resolve(model, None)?.candidates {
            let endpoint = match self.endpoint(&found.provider_id) {
                Ok(endpoint) => endpoint,
                Err(e) => {
                    reasons.push(e);
                    continue;
                }
            };
            let named = |list: &[String]| list.iter().position(|n| self.is(n, endpoint.id()));
            if named(&preferences.ignore).is_some()
                || (!preferences.only.is_empty() && named(&preferences.only).is_none())
            {
                let why = format!("`{}` is excluded by the preferences", endpoint.id());
                reasons.push(Error::new(ErrorKind::Unsupported, why));
                continue;
            }
            if !endpoint.ready() {
                reasons.push(endpoint.missing_key().with_model(model));
                continue;
            }
            let place = named(&preferences.order).unwrap_or(usize::MAX);
            targets.push((place, self.found(endpoint, model, &found)));
        }
        if preferences.sort == Some(Sort::Price) {
            targets.sort_by_key(|(_, t)| t.price.as_ref().map_or(u128::MAX, |(p, _)| p.blended()));
        }
        targets.sort_by_key(|(place, _)| *place);
        if preferences.allow_fallbacks == Some(false) {
            targets.truncate(1);
        }
        if targets.is_empty() {
            return Err(nobody(model, reasons));
        }
        Ok(targets.into_iter().map(|(_, t)| Arc::new(t)).collect())
    }

    fn found(&self, endpoint: Arc<Endpoint>, asked: &str, found: &Resolved) -> Target {
        let api = found.offer.as_ref().and_then(|offer| offer.api.as_deref());
        self.target(endpoint, asked, found.model_id.clone(), found.price(), api)
    }

    fn target(
        &self,
        endpoint: Arc<Endpoint>,
        asked: &str,
        id: String,
        listed: Option<&Price>,
        api: Option<&str>,
    ) -> Target {
        let own = if self.prices.is_empty() { None } else { self.prices.get(&format!("{}/{id}", endpoint.id())) };
        let price = own
            .map(|p| (p.clone(), CostSource::Configured))
            .or_else(|| listed.map(|p| (p.clone(), CostSource::Catalog)));
        let api = endpoint.api(&id, api).clone();
        let track = self.track(endpoint.id(), &id);
        Target { endpoint, api, model_asked: asked.to_owned(), model: id, price, track }
    }

    /// What is remembered of a model at a backend.
    fn track(&self, provider: &str, model: &str) -> Arc<Track> {
        let mut tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        tracks.entry((provider.to_owned(), model.to_owned())).or_default().clone()
    }

    /// A backend by name or alias.
    fn endpoint(&self, name: &str) -> Result<Arc<Endpoint>> {
        if let Some(endpoint) = self.endpoints.get(name) {
            return endpoint;
        }
        let row = self.catalog.provider(name)?;
        self.endpoints.get(&row.id).unwrap_or_else(|| {
            Err(Error::new(ErrorKind::NotFound, format!("the provider `{name}` is not configured"))
                .with_param("provider"))
        })
    }

    fn is(&self, name: &str, id: &str) -> bool {
        name == id || self.catalog.provider(name).is_ok_and(|row| row.id == id)
    }
}

/// Why nobody can serve a model: the one reason, or all of them.
fn nobody(model: &str, mut reasons: Vec<Error>) -> Error {
    if reasons.len() == 1 {
        return reasons.remove(0);
    }
    let keys_only = !reasons.is_empty() && reasons.iter().all(|e| e.kind() == ErrorKind::Authentication);
    let kind = if keys_only { ErrorKind::Authentication } else { ErrorKind::NotFound };
    let list = reasons.iter().map(Error::message).collect::<Vec<_>>().join("; ");
    Error::new(kind, format!("nobody can serve `{model}`: {list}")).with_model(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Config;
    use serde_json::json;

    #[test]
    fn what_is_remembered_of_a_model_depends_on_the_provider_named() {
        let config: Config = serde_json::from_value(json!({"use_environment": false, "providers": {
            "one": {"base_url": "http://127.0.0.1:1/v1", "models": {"m": "m-at-one"}},
            "two": {"base_url": "http://127.0.0.1:2/v1", "models": {"m": "m-at-two"}},
        }}))
        .unwrap();
        let catalog = Catalog::builtin();
        let router =
            Router::new(&catalog, Endpoints::new(&config, &catalog, Default::default()).unwrap(), &BTreeMap::new())
                .unwrap();
        let sent = |provider: Option<&str>, model: &str| {
            let provider = provider.map(|name| ProviderChoice::Name(name.to_owned()));
            let terms = Terms { model, provider: provider.as_ref(), ..Terms::default() };
            router.plan(&terms).map(|plan| plan.routes[0].target.model.clone()).map_err(|e| e.kind())
        };
        // Twice: what was made, then what was remembered.
        for _ in 0..2 {
            assert_eq!(sent(Some("one"), "m").unwrap(), "m-at-one");
            assert_eq!(sent(Some("two"), "m").unwrap(), "m-at-two");
            assert_eq!(sent(None, "two/m").unwrap(), "m-at-two");
            assert!(sent(None, "m").is_err());
            assert!(sent(Some(""), "m").is_err());
        }
    }
}
