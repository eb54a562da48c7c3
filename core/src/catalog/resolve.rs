//! From a model's name, and perhaps a provider's, to what is sent where.
//!
//! In this order, letter case aside:
//! 1. A provider is named (argument, or `:groq` after a name): the model is looked up there by canonical name, alias, or
//!    the provider's own id. A name the catalogue knows elsewhere but not there is an error that names who serves it,
//!    unless the provider takes any model; a name it knows nowhere is passed on as written (`llama3.2:3b` to Ollama).
//! 2. `head/rest` where `head` is a provider that serves `rest`: that provider. Closed models (`anthropic/claude-...`)
//!    mean their vendor even when it does not serve them. Open weights under their canonical id (`openai/gpt-oss-120b`,
//!    `Qwen/Qwen3-32B`) name a repository, not an endpoint: any backend may serve them.
//! 3. A canonical name or alias: every backend, in order.
//! 4. An id that only one model has at any provider (`accounts/fireworks/models/...`): the providers with that id.
//! 5. `head/rest` where `head` is a provider: `rest` is passed on as written.
//!
//! Anything else is an error with the nearest names. A suffix counts only where what stands before it is a known name or
//! has no provider in front, so that tags (`ollama/gpt-oss:20b`) stay what they are.

use std::sync::Arc;

use super::models::{Model, Models, Offer, OfferStatus};
use super::nearest::{did_you_mean, nearest};
use super::providers::{Provider, ProviderKind, ProviderStatus};
use super::target::{Policy, is_virtual, split_head, split_suffix};
use super::{Catalog, Confidence};
use crate::error::{Error, ErrorKind, Result};
use crate::types::Price;

/// One backend that can serve a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// Provider id.
    pub provider_id: String,
    /// Model id as the provider is sent it.
    pub model_id: String,
    /// Canonical id, where the catalogue knows the model.
    pub canonical: Option<String>,
    /// The catalogue's row, where it has one.
    pub offer: Option<Arc<Offer>>,
    /// Whether the row's price holds for this id (not for `:free` and the like).
    pub priced: bool,
}

impl Resolved {
    /// The catalogue's price; `None`: unknown.
    pub fn price(&self) -> Option<&Price> {
        self.offer.as_ref().filter(|_| self.priced)?.price.as_ref()
    }
}

/// Every backend a name can mean, best first; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// Backends, in the order to prefer them.
    pub candidates: Vec<Resolved>,
    /// Policy asked for by a suffix; whoever routes applies it.
    pub policy: Option<Policy>,
}

impl Catalog {
    /// What `model` (at `provider`, if given) means. The order of several candidates: the model's own vendor, then those
    /// who run models before those who pass on, active before ending, well attested before less, then the document's
    /// order.
    ///
    /// # Errors
    /// `not_found` with the nearest names, with who serves the model, or since when it is over; `unsupported` where only
    /// a protocol this version does not speak leads to it; `invalid_request` for contradictions.
    pub fn resolve(&self, model: &str, provider: Option<&str>) -> Result<Resolution> {
        let model = model.trim();
        if model.is_empty() {
            return Err(Error::invalid_request("the model's name is empty").with_param("model"));
        }
        if is_virtual(model) {
            let why = format!("`{model}` is a fusion, not a model that one provider serves");
            return Err(Error::invalid_request(why).with_param("model"));
        }
        match provider {
            Some(provider) => self.at(provider, model),
            None => self.anywhere(model),
        }
    }

    /// The price for a model at a provider, both by any of their names: a loaded list's, else the catalogue's. `None`:
    /// unknown.
    pub fn price(&self, provider: &str, model: &str) -> Option<&Price> {
        let row = self.provider(provider).ok()?;
        let found = find(self.models().ok()?, row, model);
        let sent = found.as_ref().filter(|(_, _, priced)| *priced).map(|(_, offer, _)| offer.id.as_str());
        let live = |model: &str| self.live_price(&row.id, model);
        if let Some(live) = live(model).or_else(|| live(sent?)) {
            return Some(live);
        }
        let (_, offer, priced) = found?;
        offer.price.as_ref().filter(|_| priced)
    }

    /// Backends of a model that can be called, best first; badly attested ones only while there is no other.
    pub fn candidates(&self, model: &Model) -> Vec<Resolved> {
        let mut ranked: Vec<(_, Resolved)> = Vec::new();
        let first_party = self.provider(&model.vendor).ok().map(|p| p.id.as_str());
        for (name, offer) in model.serves() {
            let Some(row) = self.backend(name, offer) else { continue };
            let resolved = resolved(row, model, offer);
            let rank = (
                offer.confidence == Confidence::Low,
                first_party != Some(row.id.as_str()),
                row.kind == ProviderKind::Aggregator,
                row.status == ProviderStatus::Uncertain,
                offer.status == OfferStatus::Ending,
                offer.confidence,
            );
            let same = |r: &Resolved| r.provider_id == resolved.provider_id && r.model_id == resolved.model_id;
            if !ranked.iter().any(|(_, r)| same(r)) {
                ranked.push((rank, resolved));
            }
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        if ranked.first().is_some_and(|(rank, _)| !rank.0) {
            ranked.retain(|(rank, _)| !rank.0);
        }
        ranked.into_iter().map(|(_, resolved)| resolved).collect()
    }

    fn at(&self, provider: &str, model: &str) -> Result<Resolution> {
        let row = self.provider(provider)?;
        let as_written = |canonical: Option<String>| Resolved {
            provider_id: row.id.clone(),
            model_id: model.to_owned(),
            canonical,
            offer: None,
            priced: false,
        };
        if row.kind == ProviderKind::Local {
            return self.only(as_written(None), None);
        }
        let models = self.models()?;
        if let Some((known, offer, priced)) = find(models, row, model) {
            return self.only(self.called(row, known, offer, priced, model)?, None);
        }
        if let Some((stem, suffix)) = split_suffix(model)
            && let Some((known, offer, priced)) = find(models, row, stem)
        {
            let mut resolved = self.called(row, known, offer, priced, stem)?;
            if row.own_suffixes {
                // The aggregator's own words; they change what is served and what it costs.
                resolved.model_id = format!("{}:{suffix}", resolved.model_id);
                resolved.priced = false;
                return self.only(resolved, None);
            }
            if let Some(policy) = Policy::parse(suffix) {
                return self.only(resolved, Some(policy));
            }
            if self.names_provider(suffix) {
                let other = self.provider(suffix)?;
                if other.id != row.id {
                    return Err(two_providers(model, &row.id, &other.id));
                }
                return self.only(resolved, None);
            }
        }
        if let Some((head, rest)) = split_head(model) {
            let own = self.provider(head).is_ok_and(|p| p.id == row.id);
            if own && (models.get(rest).is_some() || find(models, row, rest).is_some()) {
                return self.at(provider, rest);
            }
        }
        let known = models.get(model);
        if let Some(known) = known.filter(|_| !row.any_model && names(row).any(|n| models.lists(n))) {
            return Err(self.not_served(row, known));
        }
        self.only(as_written(known.map(|m| m.id.clone())), None)
    }

    fn anywhere(&self, model: &str) -> Result<Resolution> {
        let head = split_head(model).filter(|(head, _)| self.names_provider(head));
        let row = head.and_then(|(head, _)| self.provider(head).ok());
        if let (Some((head, rest)), Some(row)) = (head, row)
            && row.kind == ProviderKind::Local
        {
            return self.at(head, rest);
        }
        let models = self.models()?;
        if models.get(model).is_some() {
            return self.plain(model);
        }
        // The common case, answered without looking through the ids of all providers.
        if let (Some((head, rest)), Some(row)) = (head, row)
            && (row.own_suffixes || by_canonical_name(models, row, rest).is_some())
        {
            return self.at(head, rest);
        }
        if models.offers_called(model).next().is_some() {
            return self.plain(model);
        }
        let Some((stem, suffix)) = split_suffix(model) else { return self.plain(model) };
        let policy = Policy::parse(suffix);
        if policy.is_none() && !self.names_provider(suffix) {
            return self.plain(model);
        }
        let named = |name: &str| models.get(name).is_some() || models.offers_called(name).next().is_some();
        let behind_head = head.and_then(|(head, _)| split_head(stem).map(|(_, rest)| (head, rest)));
        match (policy, behind_head) {
            (Some(policy), behind) if named(stem) || behind.is_none_or(|(_, rest)| named(rest)) => {
                let mut found = self.plain(stem)?;
                found.policy = Some(policy);
                Ok(found)
            }
            (None, behind) if named(stem) || behind.is_none() => self.at(suffix, stem),
            (None, Some((head, rest))) if named(rest) => {
                let (first, second) = (self.provider(head)?, self.provider(suffix)?);
                if first.id != second.id {
                    return Err(two_providers(model, &first.id, &second.id));
                }
                self.at(head, rest)
            }
            _ => self.plain(model),
        }
    }

    fn plain(&self, model: &str) -> Result<Resolution> {
        let models = self.models()?;
        let known = models.get(model);
        let head = split_head(model).filter(|(head, _)| self.names_provider(head));
        if let Some((head, rest)) = head {
            let canonical = known.filter(|m| m.id.eq_ignore_ascii_case(model));
            match canonical {
                Some(m) if m.open_weights => {}
                Some(_) => return self.at(head, model),
                None => {
                    let row = self.provider(head)?;
                    if find(models, row, rest).is_some() {
                        return self.at(head, rest);
                    }
                }
            }
        }
        if let Some(known) = known {
            let candidates = self.candidates(known);
            if candidates.is_empty() {
                return Err(self.nowhere(known));
            }
            return Ok(Resolution { candidates, policy: None });
        }
        let mut called = models.offers_called(model);
        if let Some((only, _, _)) = called.next()
            && called.all(|(other, _, _)| other.id == only.id)
        {
            return self.by_offer_id(only, model);
        }
        match head {
            Some((head, rest)) => self.at(head, rest),
            None => Err(self.unknown(model)),
        }
    }

    /// The providers of `known` that call it `id`.
    fn by_offer_id(&self, known: &Model, id: &str) -> Result<Resolution> {
        let providers: Vec<&str> = self.models()?.offers_called(id).map(|(_, provider, _)| provider).collect();
        let mut candidates = Vec::new();
        for provider in &providers {
            match self.at(provider, id) {
                Ok(found) => candidates.extend(found.candidates),
                Err(e) if providers.len() == 1 => return Err(e),
                Err(_) => {}
            }
        }
        if candidates.is_empty() {
            return Err(self.nowhere(known));
        }
        Ok(Resolution { candidates, policy: None })
    }

    fn only(&self, resolved: Resolved, policy: Option<Policy>) -> Result<Resolution> {
        Ok(Resolution { candidates: vec![resolved], policy })
    }

    /// An offer found under `asked`, which stays as written where it is another of the offer's ids.
    fn called(&self, row: &Provider, model: &Model, offer: &Arc<Offer>, priced: bool, asked: &str) -> Result<Resolved> {
        let mut resolved = self.offered(row, model, offer)?;
        // A canonical name may look like the id of another door (`google/gemini-2.5-pro`), and means the first one.
        let other = offer.other_ids.values().any(|id| id.eq_ignore_ascii_case(asked));
        if other && offer.via.is_none() && !asked.eq_ignore_ascii_case(&model.id) {
            resolved.model_id = asked.to_owned();
        }
        resolved.priced = priced;
        Ok(resolved)
    }

    /// Who takes calls for an offer of `provider`; `None` when nobody can.
    fn backend(&self, provider: &str, offer: &Offer) -> Option<&Provider> {
        let row = self.table().ok()?.get(offer.via.as_deref().unwrap_or(provider))?;
        let speaks = offer.api.as_deref().is_none_or(|api| row.speaks(api));
        (offer.status != OfferStatus::Retired && speaks).then_some(row)
    }

    /// An offer as a target, or why it is none.
    fn offered(&self, row: &Provider, model: &Model, offer: &Arc<Offer>) -> Result<Resolved> {
        if let Some(backend) = self.backend(&row.id, offer) {
            return Ok(resolved(backend, model, offer));
        }
        let others = self.served_by(model);
        let (kind, why) = match (offer.status, &offer.api) {
            (OfferStatus::Retired, _) => {
                let since = offer.ends.as_deref().map(|d| format!(" on {d}")).unwrap_or_default();
                (ErrorKind::NotFound, format!("{} stopped serving `{}`{since}{others}", row.name, model.id))
            }
            (_, Some(api)) => {
                let why = format!("{} serves `{}` over the protocol `{api}`", row.name, model.id);
                (ErrorKind::Unsupported, format!("{why}, which this version does not speak{others}"))
            }
            (_, None) => {
                let via = offer.via.as_deref().unwrap_or_default();
                let why = format!("{} serves `{}` by the provider `{via}`", row.name, model.id);
                (ErrorKind::Unsupported, format!("{why}, which has no row{others}"))
            }
        };
        Err(Error::new(kind, why).with_provider(&row.id).with_model(&offer.id))
    }

    fn not_served(&self, row: &Provider, model: &Model) -> Error {
        let date = self.models().map(|m| m.as_of().to_owned()).unwrap_or_default();
        let why = format!(
            "{} does not serve `{}` as of {date}{}; if it does by now, name the id it uses there",
            row.name,
            model.id,
            self.served_by(model)
        );
        Error::new(ErrorKind::NotFound, why).with_provider(&row.id).with_model(&model.id)
    }

    /// Why a known model has no backend.
    fn nowhere(&self, model: &Model) -> Error {
        let mut kind = ErrorKind::NotFound;
        let mut reasons = Vec::new();
        for (name, offer) in model.serves() {
            match self.provider(name).and_then(|row| self.offered(row, model, offer)) {
                Err(e) if offer.status != OfferStatus::Retired => {
                    kind = ErrorKind::Unsupported;
                    reasons.push(e.message().to_owned());
                }
                Err(e) => reasons.push(e.message().to_owned()),
                Ok(_) => {}
            }
        }
        Error::new(kind, format!("no backend can serve `{}`: {}", model.id, reasons.join("; "))).with_model(&model.id)
    }

    /// `; served by a, b`, of those that can be called.
    fn served_by(&self, model: &Model) -> String {
        let mut ids: Vec<&str> = Vec::new();
        for (name, offer) in model.serves() {
            let Some(row) = self.backend(name, offer) else { continue };
            if !ids.contains(&row.id.as_str()) {
                ids.push(&row.id);
            }
        }
        if ids.is_empty() { String::new() } else { format!("; served by {}", ids.join(", ")) }
    }

    fn unknown(&self, model: &str) -> Error {
        // In `gorq/some-model` it is the provider that is misspelt.
        let providers = split_head(model).zip(self.table().ok()).map(|((head, rest), table)| {
            nearest(head, table.names()).into_iter().map(|name| format!("{name}/{rest}")).collect::<Vec<_>>()
        });
        let providers = providers.iter().flatten().map(String::as_str);
        let near = self.models().map(|m| did_you_mean(model, m.names().chain(providers))).unwrap_or_default();
        let why = format!(
            "unknown model `{model}`{near}; a model the catalogue does not list needs its provider: \
             `provider/{model}`, or `provider` beside `model`"
        );
        Error::new(ErrorKind::NotFound, why).with_model(model).with_param("model")
    }

    /// Whether a word is a provider's name, be it one without a wire.
    fn names_provider(&self, word: &str) -> bool {
        self.table().is_ok_and(|t| t.get(word).is_some())
    }
}

fn resolved(row: &Provider, model: &Model, offer: &Arc<Offer>) -> Resolved {
    Resolved {
        provider_id: row.id.clone(),
        model_id: offer.id.clone(),
        canonical: Some(model.id.clone()),
        offer: Some(Arc::clone(offer)),
        priced: true,
    }
}

/// The offer of `name` at a provider, and whether the offer's price holds for that name.
fn find<'a>(models: &'a Models, row: &Provider, name: &str) -> Option<(&'a Model, &'a Arc<Offer>, bool)> {
    if let Some((model, offer)) = by_canonical_name(models, row, name) {
        return Some((model, offer, true));
    }
    let (model, _, offer) = models.offers_called(name).find(|(_, provider, _)| answers_to(row, provider))?;
    // Ids that only spell the version out cost the same; `fast` and `turbo` do not.
    let same = ["dated", "explicit-version", "openai-compatible", "old-alias"];
    let spelt_out = |(label, id): (&String, &String)| same.contains(&label.as_str()) && id.eq_ignore_ascii_case(name);
    let priced = offer.id.eq_ignore_ascii_case(name) || offer.other_ids.iter().any(spelt_out);
    Some((model, offer, priced))
}

/// The offer at a provider of the model that goes by this canonical name or alias.
fn by_canonical_name<'a>(models: &'a Models, row: &Provider, name: &str) -> Option<(&'a Model, &'a Arc<Offer>)> {
    let model = models.get(name)?;
    let (_, offer) = model.serves().iter().find(|(provider, _)| answers_to(row, provider))?;
    Some((model, offer))
}

fn answers_to(row: &Provider, name: &str) -> bool {
    names(row).any(|n| n.eq_ignore_ascii_case(name))
}

fn names(row: &Provider) -> impl Iterator<Item = &str> {
    std::iter::once(row.id.as_str()).chain(row.aliases.iter().map(String::as_str))
}

fn two_providers(model: &str, first: &str, second: &str) -> Error {
    let why = format!("`{model}` names two providers, {first} and {second}; keep one");
    Error::invalid_request(why).with_param("model")
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
