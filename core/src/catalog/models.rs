//! Canonical models and who serves them under which id at what price. Format: `core/data/models.json`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::types::{Price, place};

/// One model, wherever it is served.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Canonical id: the Hugging Face repository of open weights, `vendor/model` otherwise.
    pub id: String,
    /// Who made it: a provider's name where the vendor is one.
    pub vendor: String,
    /// Weights are published, under whatever licence.
    #[serde(default)]
    pub open_weights: bool,
    /// Other names of the same model; letter case does not matter.
    pub aliases: Vec<String>,
    /// The model's own window, tokens.
    #[serde(default)]
    pub context: Option<u64>,
    /// Usual limit of an answer, tokens; absent: no limit known but the window.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// What prompts may hold (`text`, `image`, `audio`, `video`, `pdf`), as the vendor states; a host may take less.
    pub modalities_in: Vec<String>,
    /// Calls tools; absent: unknown.
    #[serde(default)]
    pub tools: Option<bool>,
    /// Holds a JSON schema; absent: unknown.
    #[serde(default)]
    pub structured_output: Option<bool>,
    /// Reasons before it answers; absent: unknown.
    #[serde(default)]
    pub reasoning: Option<bool>,
    /// Offers as text: most models are never asked for, and reading all of them would show in a program's start.
    serves: Box<RawValue>,
    #[serde(skip)]
    offers: OnceCell<Offers>,
}

impl Model {
    /// Offers by provider name, in the document's order.
    pub fn serves(&self) -> &[(String, Arc<Offer>)] {
        // A document of one's own was checked when it came in, the embedded one is by the tests.
        self.offers.get_or_init(|| serde_json::from_str(self.serves.get()).unwrap_or_default()).as_slice()
    }

    /// Reads the offers now.
    fn check(&self) -> Result<()> {
        place::read::<Offers>(self.serves.get())
            .map(drop)
            .map_err(|e| Error::invalid_config(format!("models.{}.serves.{}", self.id, e.path), e.why))
    }
}

/// One provider's offer of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// What goes into the request.
    pub id: String,
    /// Served otherwise than as the plain weights (`fp8`, `turbo`).
    #[serde(default)]
    pub variant: Option<String>,
    /// The host's window where clearly smaller than the model's, tokens.
    #[serde(default)]
    pub context: Option<u64>,
    /// Standard on-demand price; absent: unknown, or not per token in USD.
    #[serde(default)]
    pub price: Option<Price>,
    /// Whether it is still served.
    #[serde(default)]
    pub status: OfferStatus,
    /// Announced end, `YYYY-MM-DD`; some vendors mean "not before".
    #[serde(default)]
    pub ends: Option<String>,
    /// How well the row is attested.
    pub confidence: Confidence,
    /// Protocol of this model where it is not the provider's usual one: a name of the wire's table.
    #[serde(default)]
    pub api: Option<String>,
    /// Provider that takes the call in this one's stead.
    #[serde(default)]
    pub via: Option<String>,
    /// Further ids of the same weights there, by what distinguishes them (`dated`, `fast`).
    #[serde(default)]
    pub other_ids: BTreeMap<String, String>,
    /// Bedrock: the id without the profile's prefix.
    #[serde(default)]
    pub base_id: Option<String>,
    /// Bedrock: inference profiles.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Anything else a caller should know.
    #[serde(default)]
    pub note: Option<String>,
    /// Catalogues the row rests on, by their tags in the document's `sources`.
    pub source: String,
    /// Date of the source of the price, or of the latest sighting.
    pub as_of: String,
}

/// Whether an offer stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferStatus {
    /// In service.
    #[default]
    Active,
    /// An end is announced.
    Ending,
    /// Over; kept so that an error can say since when.
    Retired,
}

/// How well a row is attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Two independent sources, one of them recent, or the provider's own list.
    High,
    /// One recent source.
    Medium,
    /// Older or weaker evidence: never chosen unasked while there is another.
    Low,
}

/// Bedrock's inference profiles of one model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `always`, or `elsewhere` than in the on-demand regions.
    pub required: String,
    /// Prefixes that exist.
    pub geos: Vec<String>,
    /// Regions where the bare id works.
    #[serde(default)]
    pub on_demand_regions: Vec<String>,
}

/// Where a document's facts come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name in the rows.
    pub tag: String,
    /// What it is.
    pub what: String,
    /// Version or commit.
    #[serde(default)]
    pub version: Option<String>,
    /// Date, `YYYY-MM-DD`.
    pub date: String,
    /// Licence.
    #[serde(default)]
    pub licence: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    as_of: String,
    sources: Vec<Source>,
    models: Vec<Model>,
}

/// All models, found by any of their names or by a provider's id.
#[derive(Debug, Clone)]
pub struct Models {
    rows: Vec<Model>,
    /// Canonical ids and aliases, lower case.
    by_name: HashMap<String, usize>,
    by_offer: OnceCell<OfferIndex>,
    as_of: String,
    sources: Vec<Source>,
}

/// Where ids of providers stand; made when the first of them is looked up.
#[derive(Debug, Clone, Default)]
struct OfferIndex {
    /// Model and offer by id, lower case; the same id may stand at several providers.
    places: HashMap<String, Vec<(usize, usize)>>,
    /// Providers with at least one row.
    listed: HashSet<String>,
}

impl Models {
    /// Parses and checks a document in the format of `models.json`.
    ///
    /// # Errors
    /// `invalid_config` naming row and field.
    pub fn parse(text: &str) -> Result<Models> {
        let models = Models::read(text)?;
        models.rows.iter().try_for_each(Model::check)?;
        models.check_ids()?;
        Ok(models)
    }

    /// Parses a document that is known to be sound, without looking at its offers.
    pub(super) fn read(text: &str) -> Result<Models> {
        let document: Document = place::read(text).map_err(|e| located(text, &e))?;
        if document.schema != 1 {
            let why = format!("schema {} is unknown, this version reads schema 1", document.schema);
            return Err(Error::invalid_config("models.json", why));
        }
        let rows = document.models;
        let mut by_name = HashMap::with_capacity(rows.len() * 6);
        for (at, model) in rows.iter().enumerate() {
            for name in std::iter::once(&model.id).chain(&model.aliases) {
                if let Some(other) = by_name.insert(name.to_lowercase(), at) {
                    let why = format!("the name `{name}` belongs to `{}` already", rows[other].id);
                    return Err(Error::invalid_config(format!("models.{}.aliases", model.id), why));
                }
            }
        }
        let (as_of, sources) = (document.as_of, document.sources);
        Ok(Models { rows, by_name, by_offer: OnceCell::new(), as_of, sources })
    }

    /// No id may mean two models at one provider.
    fn check_ids(&self) -> Result<()> {
        let mut seen: HashMap<(&str, String), &str> = HashMap::new();
        for model in &self.rows {
            for (provider, offer) in model.serves() {
                for id in std::iter::once(&offer.id).chain(offer.other_ids.values()) {
                    let other = seen.insert((provider, id.to_lowercase()), &model.id);
                    if let Some(other) = other.filter(|other| *other != model.id) {
                        let why = format!("the id `{id}` belongs to `{other}` already");
                        return Err(Error::invalid_config(format!("models.{}.serves.{provider}", model.id), why));
                    }
                }
            }
        }
        Ok(())
    }

    fn by_offer(&self) -> &OfferIndex {
        self.by_offer.get_or_init(|| {
            let mut index = OfferIndex::default();
            for (at, model) in self.rows.iter().enumerate() {
                for (n, (provider, offer)) in model.serves().iter().enumerate() {
                    if !index.listed.contains(provider) {
                        index.listed.insert(provider.clone());
                    }
                    for id in std::iter::once(&offer.id).chain(offer.other_ids.values()) {
                        index.places.entry(id.to_lowercase()).or_default().push((at, n));
                    }
                }
            }
            index
        })
    }

    /// All models, in the document's order.
    pub fn rows(&self) -> &[Model] {
        &self.rows
    }

    /// By canonical id or alias, in any letter case.
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.by_name.get(&name.to_lowercase()).map(|at| &self.rows[*at])
    }

    /// Every offer that goes by this id at its provider, in any letter case.
    pub fn offers_called<'a>(
        &'a self,
        id: &str,
    ) -> impl Iterator<Item = (&'a Model, &'a str, &'a Arc<Offer>)> + use<'a> {
        let places = self.by_offer().places.get(&id.to_lowercase()).map_or(&[][..], Vec::as_slice);
        places.iter().map(|(m, n)| {
            let model = &self.rows[*m];
            let (provider, offer) = &model.serves()[*n];
            (model, provider.as_str(), offer)
        })
    }

    /// Whether any row names this provider.
    pub fn lists(&self, provider: &str) -> bool {
        self.by_offer().listed.contains(&provider.to_lowercase())
    }

    /// Providers named by rows.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.by_offer().listed.iter().map(String::as_str)
    }

    /// Every canonical id and alias.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().flat_map(|m| std::iter::once(m.id.as_str()).chain(m.aliases.iter().map(String::as_str)))
    }

    /// Date of the facts.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// Where the facts come from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}

/// The fault of a document with the model's id in its path, where a second look finds it.
fn located(text: &str, fault: &place::Fault) -> Error {
    let path = &fault.path;
    let id = || {
        let number: usize = path.strip_prefix("models[")?.split(']').next()?.parse().ok()?;
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let id = value.get("models")?.get(number)?.get("id")?.as_str()?.to_owned();
        Some(path.replacen(&format!("models[{number}]"), &format!("models.{id}"), 1))
    };
    let whole = || if path.len() > 1 { path.clone() } else { "models.json".to_owned() };
    Error::invalid_config(id().unwrap_or_else(whole), &fault.why)
}

/// Offers in the document's order; a provider that comes twice is refused.
#[derive(Debug, Clone, Default)]
struct Offers(Vec<(String, Arc<Offer>)>);

impl Offers {
    fn as_slice(&self) -> &[(String, Arc<Offer>)] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Offers {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Offers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of offers by provider")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Offers, A::Error> {
                let mut pairs: Vec<(String, Arc<Offer>)> = Vec::with_capacity(8);
                while let Some((provider, mut offer)) = map.next_entry::<String, Offer>()? {
                    if let Some(price) = &mut offer.price {
                        price.source.get_or_insert_with(|| offer.source.clone());
                        price.as_of.get_or_insert_with(|| offer.as_of.clone());
                    }
                    if pairs.iter().any(|(p, _)| *p == provider) {
                        return Err(serde::de::Error::custom(format!("provider `{provider}` twice")));
                    }
                    pairs.push((provider, Arc::new(offer)));
                }
                Ok(Offers(pairs))
            }
        }

        d.deserialize_map(Pairs)
    }
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
