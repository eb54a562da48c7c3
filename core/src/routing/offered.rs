//! Who can serve a model: targets with what is known of them and does not change between calls. Worked out when a model is
//! first asked for, remembered then.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError};

use super::need::Facts;
use super::policy::{self, Policy};
use super::{Router, Target, Track};
use crate::backend::Endpoint;
use crate::catalog::{self, Flat, Price, Provider, ProviderKind, Resolved};
use crate::error::{Error, Result};
use crate::types::{CostSource, DataCollection, Quantization, Quirks, Sort};

/// One backend of a model.
pub struct Offered {
    /// Where it is.
    pub target: Arc<Target>,
    /// Whether a key was found, or none is needed.
    pub ready: bool,
    /// Precision of the weights; `None`: unknown.
    pub quantization: Option<Quantization>,
    /// Served otherwise than as the plain weights.
    pub variant: Option<String>,
    /// Window, tokens.
    pub context: Option<u64>,
    /// Most tokens of an answer.
    pub max_output: Option<u64>,
    /// The model reasons before it answers.
    pub reasoning: bool,
    /// What the model can do there.
    pub facts: Facts,
    /// Tells targets apart; the same in every process.
    pub hash: u64,
    /// Tells providers apart faster than their names do.
    pub(super) provider: u64,
    // The target's and its endpoint's own, here for decisions to find without following them.
    pub(super) track: Arc<Track>,
    /// Its share of the requests, relative to the others'.
    pub(super) weight: f64,
    pub(super) data_collection: Option<DataCollection>,
    pub(super) zdr: Option<bool>,
    /// Of the price, where that is all there is to it.
    pub(super) flat: Option<Flat>,
}

#[cfg(test)]
impl Offered {
    /// A target that is made up, with a window of so many tokens.
    pub fn made_up(target: Arc<Target>, context: Option<u64>) -> Self {
        Offered {
            ready: true,
            quantization: None,
            variant: None,
            context,
            max_output: None,
            reasoning: false,
            facts: Facts::default(),
            hash: 0,
            provider: 0,
            track: target.track.clone(),
            weight: 1.0,
            data_collection: None,
            zdr: None,
            flat: None,
            target,
        }
    }
}

/// Everyone who serves a model, or the one backend that was named.
pub(super) struct Known {
    /// As the caller named it.
    pub provider: Option<String>,
    pub offers: Arc<Offers>,
}

/// Everyone who serves a model, best first.
#[derive(Default)]
pub(super) struct Offers {
    pub list: Vec<Offered>,
    /// Backends that cannot be used as they are configured.
    pub unusable: Vec<Error>,
    /// What the model's suffix asks for.
    pub policy: Option<&'static Policy>,
    /// No backend has more than one key.
    pub one_key: bool,
}

/// How many models are remembered, and for each how many ways of naming its provider.
const KNOWN: (usize, usize) = (1024, 16);

impl Router {
    /// Everyone who serves a model, at the provider that was named or at any.
    ///
    /// # Errors
    /// Why there is nobody; of a provider that was named, also that it has no key.
    pub(super) fn offers(&self, model: &str, provider: Option<&str>) -> Result<Arc<Offers>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |k: &&Known| k.provider.as_deref() == provider;
        if let Some(found) = known().get(model).and_then(|all| all.iter().find(same)) {
            return Ok(found.offers.clone());
        }
        let mut offers = match provider {
            Some(name) => Offers { list: vec![self.at(name, model)?], ..Offers::default() },
            None => self.anywhere(model)?,
        };
        offers.one_key = offers.list.iter().all(|offered| offered.target.keys.is_empty());
        let offers = Arc::new(offers);
        let mut known = known();
        if known.len() < KNOWN.0 || known.contains_key(model) {
            let all = known.entry(model.to_owned()).or_default();
            if all.len() < KNOWN.1 {
                all.push(Known { provider: provider.map(str::to_owned), offers: offers.clone() });
            }
        }
        Ok(offers)
    }

    /// The one target at a provider that was named.
    fn at(&self, provider: &str, model: &str) -> Result<Offered> {
        let endpoint = self.endpoint(provider)?;
        let mut offered = match endpoint.models.get(model).cloned() {
            Some(id) => self.own(endpoint, model, id),
            None => {
                let found = self.catalog.resolve(model, Some(endpoint.id()))?.candidates;
                let Some(found) = found.into_iter().next() else { return Err(super::explain::nobody_at_all(model)) };
                // A model's row may name another door of the same vendor.
                let endpoint = self.endpoint(&found.provider_id)?;
                self.found(endpoint, model, &found)
            }
        };
        let endpoint = &offered.target.endpoint;
        if !endpoint.may_be_ready() {
            return Err(endpoint.missing_key().with_model(model));
        }
        // A call that names the backend is worth a try.
        offered.ready = true;
        Ok(offered)
    }

    fn anywhere(&self, model: &str) -> Result<Offers> {
        if let Some((head, rest)) = model.split_once('/') {
            // A name of the user's own (an Azure deployment, ...) outranks the catalogue.
            if self.endpoint(head).is_ok_and(|e| e.models.contains_key(rest)) {
                return Ok(Offers { list: vec![self.at(head, rest)?], ..Offers::default() });
            }
        }
        let resolution = self.catalog.resolve(model, None)?;
        let policy = resolution.policy.map(|asked| match asked {
            catalog::Policy::Cheapest => &policy::CHEAPEST,
            catalog::Policy::Fastest => &policy::FASTEST,
            catalog::Policy::Preferred => &policy::ORDERED,
            catalog::Policy::Throughput => policy::sort(Sort::Throughput),
            catalog::Policy::Price => policy::sort(Sort::Price),
        });
        let mut offers = Offers { policy, ..Offers::default() };
        for found in &resolution.candidates {
            match self.endpoint(&found.provider_id) {
                Ok(endpoint) => offers.list.push(self.found(endpoint, model, found)),
                Err(e) => {
                    offers.unusable.push(e.with_provider(&found.provider_id).with_model(&found.model_id));
                }
            }
        }
        Ok(offers)
    }

    /// A model by the user's own name for it.
    fn own(&self, endpoint: Arc<Endpoint>, asked: &str, id: String) -> Offered {
        let resolved = Resolved {
            provider_id: endpoint.id().to_owned(),
            model_id: id,
            canonical: None,
            offer: None,
            priced: false,
        };
        self.found(endpoint, asked, &resolved)
    }

    /// The target with the backend's first key, which holds those with the others.
    fn target(
        &self,
        endpoint: Arc<Endpoint>,
        found: &Resolved,
        asked: &str,
        price: Option<(Price, CostSource)>,
        track: Arc<Track>,
    ) -> Arc<Target> {
        let api = found.offer.as_deref().and_then(|offer| offer.api.as_deref());
        let with = |endpoint: &Arc<Endpoint>, keys: Vec<Arc<Target>>| {
            Arc::new(Target {
                api: endpoint.api(&found.model_id, api).clone(),
                gates: self.gates(endpoint),
                endpoint: endpoint.clone(),
                model_asked: asked.to_owned(),
                model: found.model_id.clone(),
                price: price.clone(),
                track: track.clone(),
                keys,
            })
        };
        let others = self.endpoints.pool(endpoint.id()).iter().filter(|other| !Arc::ptr_eq(other, &endpoint));
        let keys = others.map(|other| with(other, Vec::new())).collect();
        with(&endpoint, keys)
    }

    fn found(&self, endpoint: Arc<Endpoint>, asked: &str, found: &Resolved) -> Offered {
        let offer = found.offer.as_deref();
        let id = &found.model_id;
        let own = if self.prices.is_empty() { None } else { self.prices.get(&format!("{}/{id}", endpoint.id())) };
        let price = own
            .map(|p| (p.clone(), CostSource::Configured))
            .or_else(|| self.loaded_price(endpoint.id(), id).map(|p| (p, CostSource::Live)))
            .or_else(|| found.price().map(|p| (p.clone(), CostSource::Catalog)));
        let track = self.track(endpoint.id(), id);
        // Names that no row of the catalogue explains do not need its models read.
        let canonical = found.canonical.as_deref().and_then(|id| self.catalog.models().ok()?.get(id));
        let facts = Facts {
            described: described(&endpoint.provider),
            tools: canonical.and_then(|m| m.tools),
            structured_output: canonical.and_then(|m| m.structured_output),
        };
        let variant = offer.and_then(|offer| offer.variant.clone());
        let mut hash = DefaultHasher::new();
        (endpoint.id(), id).hash(&mut hash);
        Offered {
            ready: endpoint.ready(),
            quantization: variant.as_deref().and_then(Quantization::of_variant).or(endpoint.declared.quantization),
            variant,
            context: offer.and_then(|offer| offer.context).or(canonical.and_then(|m| m.context)),
            max_output: canonical.and_then(|m| m.max_output),
            reasoning: canonical.and_then(|m| m.reasoning) == Some(true),
            facts,
            hash: hash.finish(),
            provider: hashed(endpoint.id()),
            track: track.clone(),
            flat: price.as_ref().and_then(|(price, _)| price.flat()),
            weight: endpoint.declared.weight,
            data_collection: endpoint.declared.data_collection,
            zdr: endpoint.declared.zdr,
            target: self.target(endpoint, found, asked, price, track),
        }
    }
}

/// Whether something is known of how a server deviates: of a server of the user's own only what it is said to be like.
fn described(row: &Provider) -> bool {
    row.kind != ProviderKind::Local || row.wire != "openai-chat" || row.quirks != Quirks::default()
}

/// A name as a number.
pub(super) fn hashed(name: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    name.hash(&mut hash);
    hash.finish()
}
