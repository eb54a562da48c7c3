//! Where a request may go: an ordered plan of targets, decided before anything is sent. Pure.

mod decide;
mod explain;
mod extent;
mod fallbacks;
mod filter;
mod gate;
mod health;
mod limits;
mod listing;
mod need;
mod offered;
pub mod policy;
mod routes;
mod speed;
mod track;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::{Api, Endpoint, Endpoints};
use crate::catalog::{Catalog, LoadedPrices, Price};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Config, CostSource, Explanation, Fallbacks, LimitConfig, ProviderChoice, Terms};
use fallbacks::FallbackTable;
use offered::{Known, Offers};
use routes::{Later, Place};

pub use extent::Extent;
pub use gate::{Gate, Gates, Passes, room};
pub use health::Admission;
pub use limits::{Full, Limits};
pub use need::{ASSUMED_ANSWER, Need, prompt_bytes};
pub use offered::Offered;
pub use policy::{POLICIES, Policy};
pub use routes::{Route, Routes};
pub use speed::Sample;
pub use track::{Flight, Health, Observed, Percentiles, Speed, Spread, Track};

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
    /// Limits of its key and its backend.
    pub gates: Gates,
    /// The same with each further key of the backend; of the first key's target only.
    pub keys: Vec<Arc<Target>>,
}

impl Target {
    /// Learns from a failure what holds for later calls with this key.
    pub fn learn(&self, error: &Error) {
        let now = tokio::time::Instant::now();
        match (error.kind(), error.body().status) {
            (ErrorKind::Authentication | ErrorKind::Permission | ErrorKind::InsufficientCredits, Some(_)) => {
                self.gates.key.key_refused(now);
            }
            (ErrorKind::RateLimited, Some(_)) => {
                if let Some(after) = error.retry_after() {
                    self.gates.key.refused(now, after);
                }
            }
            _ => {}
        }
    }
}

/// Where a request may go, and why.
#[derive(Default)]
pub struct Plan {
    /// In the order they are to be tried; those of each kind of failure after those for any.
    pub routes: Routes,
    /// How they were chosen, when that was asked for.
    pub explanation: Option<Box<Explanation>>,
}

/// When a request may come to a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteOn {
    /// In order.
    #[default]
    Any,
    /// Only after a prompt did not fit.
    ContextLength,
    /// Only after a content policy refused.
    ContentFiltered,
    /// Only after a rate limit.
    RateLimited,
    /// Only after a backend failed or could not be reached.
    Unavailable,
}

impl RouteOn {
    /// Every kind.
    pub const ALL: [RouteOn; 5] =
        [RouteOn::Any, RouteOn::ContextLength, RouteOn::ContentFiltered, RouteOn::RateLimited, RouteOn::Unavailable];

    /// Its field in [`Fallbacks`].
    pub fn field(self) -> &'static str {
        match self {
            RouteOn::Any => "any",
            RouteOn::ContextLength => "context_length",
            RouteOn::ContentFiltered => "content_filtered",
            RouteOn::RateLimited => "rate_limited",
            RouteOn::Unavailable => "unavailable",
        }
    }

    fn of(self, fallbacks: &Fallbacks) -> &[String] {
        match self {
            RouteOn::Any => &fallbacks.any,
            RouteOn::ContextLength => &fallbacks.context_length,
            RouteOn::ContentFiltered => &fallbacks.content_filtered,
            RouteOn::RateLimited => &fallbacks.rate_limited,
            RouteOn::Unavailable => &fallbacks.unavailable,
        }
    }

    fn of_mut(self, fallbacks: &mut Fallbacks) -> &mut Vec<String> {
        match self {
            RouteOn::Any => &mut fallbacks.any,
            RouteOn::ContextLength => &mut fallbacks.context_length,
            RouteOn::ContentFiltered => &mut fallbacks.content_filtered,
            RouteOn::RateLimited => &mut fallbacks.rate_limited,
            RouteOn::Unavailable => &mut fallbacks.unavailable,
        }
    }
}

/// Everything a plan is made from.
pub struct Router {
    /// Providers, models, prices; the user's own servers among them.
    pub catalog: Catalog,
    /// Backends as configured.
    pub endpoints: Endpoints,
    /// The user's prices, by `provider/model` as sent.
    prices: BTreeMap<String, Price>,
    /// The same catalogue with the price lists loaded since.
    lists: Mutex<Catalog>,
    /// The user's policy.
    policy: &'static Policy,
    /// The user's fallback models.
    fallbacks: FallbackTable,
    /// Whether every plan is explained.
    explain: bool,
    /// Chance, where it is to be repeatable.
    seeded: Option<Mutex<fastrand::Rng>>,
    /// Prices depend on the hour.
    clock: Arc<dyn Clock>,
    /// Models asked for before, then by the provider named: nothing they are made from changes.
    known: Mutex<HashMap<String, Vec<Known>>>,
    /// What is remembered of targets, by backend and model as sent.
    tracks: Mutex<HashMap<(String, String), Arc<Track>>>,
    /// Gates of keys and backends, by backend and name of the key; without a name: of the backend.
    gates: Mutex<HashMap<GateName, Arc<Gate>>>,
}

/// A backend, and one of its keys.
type GateName = (String, Option<String>);

impl Router {
    /// A router over these backends.
    ///
    /// # Errors
    /// `invalid_config` with the path of a policy that is none, a fallback that leads nowhere or back.
    pub fn new(catalog: &Catalog, endpoints: Endpoints, config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let mut catalog = catalog.clone();
        for row in endpoints.own() {
            catalog = catalog.with_provider(row.clone())?;
        }
        let routing = &config.routing;
        let policy = match &routing.policy {
            None => &policy::ORDERED,
            Some(name) => policy::policy(name).map_err(|why| Error::invalid_config("routing.policy", why))?,
        };
        Ok(Router {
            fallbacks: FallbackTable::new(&catalog, &routing.fallbacks)?,
            lists: Mutex::new(catalog.clone()),
            catalog,
            endpoints,
            prices: config.prices.clone(),
            policy,
            explain: routing.explain == Some(true),
            seeded: routing.seed.map(|seed| Mutex::new(fastrand::Rng::with_seed(seed))),
            clock,
            known: Mutex::default(),
            tracks: Mutex::default(),
            gates: Mutex::default(),
        })
    }

    /// Takes the prices of a published list; they hold for calls that begin from now on.
    ///
    /// # Errors
    /// See [`Catalog::load_prices`].
    pub fn load_prices(&self, list: &[u8]) -> Result<LoadedPrices> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = lists.load_prices(list)?;
        // Targets carry their prices.
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(loaded)
    }

    /// The catalogue, with the providers of the configuration and the price lists loaded since.
    pub fn catalog(&self) -> Catalog {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A loaded list's price.
    fn loaded_price(&self, provider: &str, model: &str) -> Option<Price> {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.live_price(provider, model).map(|price| Price::clone(price))
    }

    /// Where a request may go, in the order to be tried.
    ///
    /// # Errors
    /// Of the first model that leads nowhere, when no other model does either; `invalid_request` for preferences that
    /// leave nobody, with what left each candidate out under `details.candidates`.
    pub fn plan(&self, terms: &Terms<'_>, need: &dyn Need) -> Result<Plan> {
        if let Some(routes) = self.straight(terms, need)? {
            return Ok(Plan { routes: routes.spread(|| self.rng()), explanation: None });
        }
        let groups = self.groups(terms)?;
        let decision = self.decide(&groups, terms, need)?;
        let explained = || Box::new(self.explanation(&decision));
        let explanation = (terms.explain || self.explain).then(explained);
        if !decision.serves() {
            return Err(self.nobody(&decision, terms.model));
        }
        let (first, later) = decision.places();
        let routes = Routes::new(groups, first, later, need.asks_reasoning());
        Ok(Plan { routes: routes.spread(|| self.rng()), explanation })
    }

    /// How the backend of a request would be chosen now; says so, too, when nobody is left.
    ///
    /// # Errors
    /// For a request without a model, with a model nobody knows, or with preferences that name no provider.
    pub fn explain(&self, terms: &Terms<'_>, need: &dyn Need) -> Result<Explanation> {
        let terms = Terms { explain: true, ..*terms };
        let groups = self.groups(&terms)?;
        let decision = self.decide(&groups, &terms, need)?;
        let mut explanation = self.explanation(&decision);
        if !decision.serves() {
            explanation.refused = Some(Box::new(self.nobody(&decision, terms.model).into_body()));
        }
        Ok(explanation)
    }

    /// The plan of a request that asks for nothing special, without looking at more than that.
    fn straight(&self, terms: &Terms<'_>, need: &dyn Need) -> Result<Option<Routes>> {
        let provider = match terms.provider {
            None => None,
            Some(ProviderChoice::Name(name)) => Some(name.as_str()),
            Some(ProviderChoice::Preferences(_)) => return Ok(None),
        };
        let special = !terms.models.is_empty()
            || terms.model.is_empty()
            || terms.fallbacks.is_some()
            || terms.within.is_some()
            || terms.explain
            || self.explain
            || !self.fallbacks.is_empty();
        if special {
            return Ok(None);
        }
        let offers = self.offers(terms.model, provider)?;
        let all = |offers: Arc<Offers>| {
            let ready = offers.list.iter().enumerate().filter(|(_, o)| o.ready);
            let places = ready.map(|(at, _)| Place::new(0, at)).collect();
            Ok(Some(Routes::new(
                vec![Group { offers, on: RouteOn::Any }],
                places,
                Later::default(),
                need.asks_reasoning(),
            )))
        };
        if let [only] = offers.list.as_slice()
            && only.ready
        {
            return all(offers);
        }
        if !std::ptr::eq(offers.policy.unwrap_or(self.policy), &policy::ORDERED) {
            return Ok(None);
        }
        let now = tokio::time::Instant::now();
        let healthy = |o: &Offered| o.track.observed(now).health == Health::Closed;
        let ready = || offers.list.iter().filter(|o| o.ready);
        if ready().next().is_none() || !ready().all(healthy) {
            return Ok(None);
        }
        all(offers)
    }

    /// Who is asked for, model by model.
    fn groups(&self, terms: &Terms<'_>) -> Result<Vec<Group>> {
        if terms.model.is_empty() && terms.models.is_empty() {
            return Err(
                Error::invalid_request("no `model` given, for example \"openai/gpt-5-mini\"").with_param("model")
            );
        }
        let provider = match terms.provider {
            Some(ProviderChoice::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        let first = (!terms.model.is_empty()).then_some(terms.model);
        let asked: Vec<&str> = first.into_iter().chain(terms.models.iter().map(String::as_str)).collect();
        let (mut groups, mut first_error) = (Vec::with_capacity(asked.len()), None);
        for model in &asked {
            match self.offers(model, provider) {
                Ok(offers) => groups.push(Group { offers, on: RouteOn::Any }),
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        if let (Some(error), true) = (first_error, groups.is_empty()) {
            return Err(error);
        }
        let mut any = asked;
        for on in RouteOn::ALL {
            let told = terms.fallbacks.map_or(&[][..], |fallbacks| on.of(fallbacks));
            for (i, model) in told.iter().enumerate() {
                let misspelt = |e: Error| e.with_param(format!("fallbacks.{}[{i}]", on.field()));
                match self.offers(model, provider) {
                    Ok(offers) => groups.push(Group { offers, on }),
                    // A missing key is no reason to refuse a request that may never come here.
                    Err(e) if e.kind() == ErrorKind::Authentication => {}
                    Err(e) => return Err(misspelt(e)),
                }
            }
            if on == RouteOn::Any {
                any.extend(told.iter().map(String::as_str));
            }
            if self.fallbacks.is_empty() {
                continue;
            }
            let mut configured: Vec<&str> = Vec::new();
            for model in &any {
                let after = self.fallbacks.after(&self.catalog, model, on);
                configured.extend(after.iter().map(String::as_str));
            }
            for model in &configured {
                if let Ok(offers) = self.offers(model, provider) {
                    groups.push(Group { offers, on });
                }
            }
            if on == RouteOn::Any {
                any.extend(configured);
            }
        }
        Ok(groups)
    }

    /// What the prompts of a model may hold, as its maker states (`text`, `image`, `audio`, ...); `None` of a model that the
    /// catalogue does not know, or that goes by a name of the user's own.
    pub fn modalities(&self, model: &str, provider: Option<&str>) -> Option<Vec<String>> {
        let own = |provider: &str, name: &str| self.endpoint(provider).is_ok_and(|e| e.models.contains_key(name));
        let named = match provider {
            Some(provider) => own(provider, model),
            None => model.split_once('/').is_some_and(|(head, rest)| own(head, rest)),
        };
        if named {
            return None;
        }
        let found = self.catalog.resolve(model, provider).ok()?.candidates;
        let canonical = found.iter().find_map(|place| place.canonical.as_deref())?;
        Some(self.catalog.models().ok()?.get(canonical)?.modalities_in.clone())
    }

    /// What is remembered of a model at a backend.
    fn track(&self, provider: &str, model: &str) -> Arc<Track> {
        let mut tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        tracks.entry((provider.to_owned(), model.to_owned())).or_default().clone()
    }

    /// The gates before a backend, with the key that it has here.
    fn gates(&self, endpoint: &Endpoint) -> Gates {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gate = |name: Option<String>, limits: Option<&LimitConfig>| {
            gates.entry((endpoint.id().to_owned(), name)).or_insert_with(|| Gate::new(limits)).clone()
        };
        match &endpoint.key {
            // A lone key and its backend are one.
            None => Gates { key: gate(None, endpoint.limits.as_ref()), backend: None },
            Some(key) => Gates {
                key: gate(Some(key.name.clone()), key.limits.as_ref()),
                backend: endpoint.limits.as_ref().map(|limits| gate(None, Some(limits))),
            },
        }
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
}

/// Those who serve one model, and when a request may come to them.
struct Group {
    offers: Arc<Offers>,
    on: RouteOn,
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
