//! Canonical models and who serves them under which id at what price. Format: `core/data/models.json`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::prices::Price;
use crate::error::{Error, Result};

/// One model, wherever it is served.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    /// Offers by provider name, in the document's order.
    #[serde(deserialize_with = "ordered")]
    pub serves: Vec<(String, Arc<Offer>)>,
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

/// A place in the table: model and offer.
type Place = (usize, usize);

/// All models, found by any of their names or by a provider's id.
#[derive(Debug, Clone)]
pub struct Models {
    rows: Vec<Model>,
    /// Canonical ids and aliases, lower case.
    by_name: HashMap<String, usize>,
    /// Ids at providers, lower case; the same id may stand at several.
    by_offer: HashMap<String, Vec<Place>>,
    /// Providers with at least one row.
    listed: HashSet<String>,
    as_of: String,
    sources: Vec<Source>,
}

impl Models {
    /// Parses a document in the format of `models.json`.
    ///
    /// # Errors
    /// `invalid_config` naming row and field.
    pub fn parse(text: &str) -> Result<Models> {
        let document: Document = match serde_json::from_str(text) {
            Ok(document) => document,
            // Only a faulty document pays for knowing where.
            Err(e) => return Err(located(text).unwrap_or_else(|| Error::invalid_config("models.json", e))),
        };
        if document.schema != 1 {
            let why = format!("schema {} is unknown, this version reads schema 1", document.schema);
            return Err(Error::invalid_config("models.json", why));
        }
        let mut models = Models {
            by_name: HashMap::with_capacity(document.models.len() * 6),
            by_offer: HashMap::with_capacity(document.models.len() * 8),
            listed: HashSet::new(),
            rows: document.models,
            as_of: document.as_of,
            sources: document.sources,
        };
        models.index()?;
        Ok(models)
    }

    fn index(&mut self) -> Result<()> {
        for (at, model) in self.rows.iter().enumerate() {
            for name in std::iter::once(&model.id).chain(&model.aliases) {
                if let Some(other) = self.by_name.insert(name.to_lowercase(), at) {
                    let why = format!("the name `{name}` belongs to `{}` already", self.rows[other].id);
                    return Err(Error::invalid_config(format!("models.{}.aliases", model.id), why));
                }
            }
            for (n, (provider, offer)) in model.serves.iter().enumerate() {
                if !self.listed.contains(provider) {
                    self.listed.insert(provider.clone());
                }
                for id in std::iter::once(&offer.id).chain(offer.other_ids.values()) {
                    self.by_offer.entry(id.to_lowercase()).or_default().push((at, n));
                }
            }
        }
        for places in self.by_offer.values() {
            for (i, (model, n)) in places.iter().enumerate() {
                let (provider, offer) = &self.rows[*model].serves[*n];
                let twice = |(m, n): &Place| (*m != *model).then(|| &self.rows[*m].serves[*n].0) == Some(provider);
                if places[i + 1..].iter().any(twice) {
                    let why = format!("two models have the id `{}` there", offer.id);
                    return Err(Error::invalid_config(
                        format!("models.{}.serves.{provider}", self.rows[*model].id),
                        why,
                    ));
                }
            }
        }
        Ok(())
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
        let places = self.by_offer.get(&id.to_lowercase()).map_or(&[][..], Vec::as_slice);
        places.iter().map(|(m, n)| {
            let model = &self.rows[*m];
            let (provider, offer) = &model.serves[*n];
            (model, provider.as_str(), offer)
        })
    }

    /// Whether any row names this provider.
    pub fn lists(&self, provider: &str) -> bool {
        self.listed.contains(&provider.to_lowercase())
    }

    /// Providers named by rows.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(String::as_str)
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
fn located(text: &str) -> Option<Error> {
    let mut de = serde_json::Deserializer::from_str(text);
    let e = serde_path_to_error::deserialize::<_, Document>(&mut de).err()?;
    let path = e.path().to_string();
    let id = || {
        let number: usize = path.strip_prefix("models[")?.split(']').next()?.parse().ok()?;
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let id = value.get("models")?.get(number)?.get("id")?.as_str()?.to_owned();
        Some(path.replacen(&format!("models[{number}]"), &format!("models.{id}"), 1))
    };
    let whole = || if path.len() > 1 { path.clone() } else { "models.json".to_owned() };
    Some(Error::invalid_config(id().unwrap_or_else(whole), e.inner()))
}

/// A JSON object as a list of pairs, in its order; a key that comes twice is refused.
fn ordered<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<(String, Arc<Offer>)>, D::Error> {
    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, Arc<Offer>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of offers by provider")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs: Self::Value = Vec::with_capacity(8);
            while let Some((provider, offer)) = map.next_entry::<String, Offer>()? {
                if pairs.iter().any(|(p, _)| *p == provider) {
                    return Err(serde::de::Error::custom(format!("provider `{provider}` twice")));
                }
                pairs.push((provider, Arc::new(offer)));
            }
            Ok(pairs)
        }
    }

    d.deserialize_map(Pairs)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalog::{Catalog, MODELS_JSON};

    /// Providers that models name and that no row of `providers.toml` answers to, because their wire is not written yet.
    const WIRE_MISSING: [&str; 1] = ["vertex"];

    #[test]
    fn every_embedded_row_parses_and_is_sound() {
        let models = Models::parse(MODELS_JSON).unwrap();
        assert_eq!(models.rows().len(), 197);
        let tags: Vec<&str> = models.sources().iter().map(|s| s.tag.as_str()).collect();
        let mut priced = 0;
        for model in models.rows() {
            let id = &model.id;
            assert!(!model.serves.is_empty() && !model.modalities_in.is_empty(), "{id}");
            assert!(model.max_output.is_none_or(|m| model.context.is_none_or(|c| m <= c)), "{id}");
            for (provider, offer) in &model.serves {
                let at = format!("{id} at {provider}");
                assert!(tags.iter().any(|tag| offer.source.contains(tag)) || offer.source.contains("list"), "{at}");
                assert!(
                    offer.status != OfferStatus::Retired
                        || offer.ends.is_some()
                        || offer.note.is_some()
                        || offer.price.is_some(),
                    "{at}"
                );
                for date in std::iter::once(&offer.as_of).chain(&offer.ends) {
                    let parts: Vec<usize> = date.split('-').map(str::len).collect();
                    assert_eq!(parts, [4, 2, 2], "{at}: {date}");
                }
                let Some(price) = &offer.price else { continue };
                priced += 1;
                assert!(
                    price.cache_read.is_none_or(|r| r <= price.input),
                    "{at}: cached tokens dearer than fresh ones"
                );
                assert!(price.long_context.iter().all(|t| t.input >= price.input && t.above_input_tokens > 0), "{at}");
                assert!(price.batch.is_none_or(|b| b.input <= price.input), "{at}");
            }
        }
        assert!(priced > 900, "{priced}");
    }

    #[test]
    fn every_provider_named_has_a_row_or_is_known_to_lack_a_wire() {
        let catalog = Catalog::builtin();
        let models = catalog.models().unwrap();
        let rowless: BTreeSet<&str> = models.listed().filter(|p| catalog.provider(p).is_err()).collect();
        assert_eq!(rowless, BTreeSet::from(WIRE_MISSING));
        for model in models.rows() {
            for (_, offer) in &model.serves {
                assert!(offer.via.as_deref().is_none_or(|via| catalog.provider(via).is_ok()), "{}", model.id);
            }
        }
    }

    const ONE: &str = r#"{"schema": 1, "as_of": "2026-01-01", "sources": [], "models": [
        {"id": "v/m", "vendor": "v", "aliases": ["m"], "modalities_in": ["text"], "serves": {
        "groq": {"id": "m-1", "price": {"input": "1", "output": "2"}, "confidence": "high", "source": "x", "as_of": "2026-01-01"}}}]}"#;

    #[test]
    fn faults_name_row_and_field() {
        Models::parse(ONE).unwrap();
        for (from, to, parts) in [
            (r#""input": "1""#, r#""input": "1e3""#, &["models.v/m.serves", "1e3"][..]),
            (r#""input": "1""#, r#""input": 1"#, &["models.v/m.serves", "string"]),
            (r#""input": "1", "#, "", &["models.v/m.serves", "input"]),
            (r#""vendor": "v""#, r#""vendr": "v""#, &["models.v/m", "vendr"]),
            (r#""high""#, r#""hihg""#, &["models.v/m.serves", "hihg"]),
            (r#"["m"]"#, r#"["V/M"]"#, &["models.v/m.aliases", "already"]),
            (r#""schema": 1"#, r#""schema": 2"#, &["schema 2"]),
            (r#"{"schema""#, r#"{,"schema""#, &["models.json", "line 1"]),
        ] {
            let e = Models::parse(&ONE.replacen(from, to, 1)).unwrap_err();
            assert_eq!(e.kind(), crate::ErrorKind::InvalidConfig);
            assert!(parts.iter().all(|p| e.message().contains(p)), "{to} -> {e}");
        }
        let two = ONE.replace(r#"]}"#, "]}").replace(
            r#"}}}]}"#,
            r#"}}},
            {"id": "v/n", "vendor": "v", "aliases": [], "modalities_in": ["text"], "serves": {
            "groq": {"id": "M-1", "confidence": "high", "source": "x", "as_of": "2026-01-01"}}}]}"#,
        );
        let e = Models::parse(&two).unwrap_err();
        assert!(e.message().contains("two models have the id"), "{e}");
    }
}
