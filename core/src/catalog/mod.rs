//! What is known of providers, models and prices: dated, sourced data, embedded and replaceable at run time.
//!
//! Pure: no network, no file, no environment (a caller passes a lookup function where variables matter). The embedded
//! documents are parsed on first use, once per process, and never change after.

mod address;
mod bound;
mod embeddings;
mod lists;
pub(crate) mod models;
pub(crate) mod nearest;
mod prices;
mod providers;
mod resolve;
mod target;

use std::sync::Arc;

use once_cell::sync::OnceCell;

use crate::error::{Error, ErrorKind, Result};

pub use crate::types::{Class, Lane, LoadedPrices, LongContext, OffPeak, Price, Rate, Rates};
pub use address::expand;
pub use bound::{Ceiling, Most};
pub use embeddings::EmbeddingApi;
pub use lists::PriceBook;
pub use models::{Confidence, Model, Models, Offer, OfferStatus, Profile, Source};
pub(crate) use nearest::did_you_mean;
pub use prices::{Circumstances, Cost, Flat, Selected, Unpriced, cost_at};
pub use providers::{Api, Auth, Derived, Env, Identity, Provider, ProviderKind, ProviderStatus, Providers};
pub use resolve::{Resolution, Resolved};
pub use target::{Policy, is_virtual};

/// Embedded providers.
pub const PROVIDERS_TOML: &str = include_str!("../../data/providers.toml");
/// Embedded models and prices, `data/models.json`, as the build packed them.
const MODELS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/models.json.deflate"));

/// The embedded models and prices as the document they were written as.
///
/// # Errors
/// `internal` if the library is damaged.
pub fn models_json() -> Result<String> {
    let unpacked = miniz_oxide::inflate::decompress_to_vec(MODELS).ok().and_then(|text| String::from_utf8(text).ok());
    unpacked.ok_or_else(|| Error::new(ErrorKind::Internal, "the embedded table of models cannot be unpacked"))
}

static PROVIDERS: OnceCell<Arc<Providers>> = OnceCell::new();
static BUILTIN: OnceCell<Arc<Models>> = OnceCell::new();

/// Providers, models and prices. Cheap to make and to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// `None`: the embedded document.
    providers: Option<Arc<Providers>>,
    /// `None`: the embedded document.
    models: Option<Arc<Models>>,
    /// Prices of lists that were loaded; they outrank those of the models.
    live: Option<Arc<PriceBook>>,
}

impl Catalog {
    /// The embedded catalogue. Costs nothing until it is asked something.
    pub fn builtin() -> Arc<Catalog> {
        Arc::new(Catalog::default())
    }

    /// A catalogue from documents in the embedded ones' format; `None` keeps the embedded one.
    ///
    /// # Errors
    /// `invalid_config` naming document, row and field.
    pub fn from_documents(providers_toml: Option<&str>, models_json: Option<&str>) -> Result<Catalog> {
        let providers = providers_toml.map(Providers::parse).transpose()?.map(Arc::new);
        let models = models_json.map(Models::parse).transpose()?.map(Arc::new);
        Ok(Catalog { providers, models, live: None })
    }

    /// This catalogue with one more provider; a row of the same id is replaced.
    ///
    /// # Errors
    /// `invalid_config` when the row is faulty or one of its names belongs to another row.
    pub fn with_provider(&self, row: Provider) -> Result<Catalog> {
        let providers = Some(Arc::new(self.table()?.with(row)?));
        Ok(Catalog { providers, ..self.clone() })
    }

    /// Takes the prices of a published list: LiteLLM's map, models.dev's `api.json`, the list of models of OpenRouter or of
    /// Hugging Face's router, or genai-prices' `data.json`; which one it is, is seen from its shape. They outrank the
    /// catalogue's own, and of two lists the one loaded later.
    ///
    /// # Errors
    /// `invalid_request` for a document of no known form, or one of which no row can be taken; single rows that are
    /// negative, no numbers or in another unit are left out and told.
    pub fn load_prices(&mut self, list: &[u8]) -> Result<LoadedPrices> {
        let (book, loaded) = lists::read(self, list)?;
        let mut all = self.live.as_deref().cloned().unwrap_or_default();
        all.extend(book);
        self.live = Some(Arc::new(all));
        Ok(loaded)
    }

    /// A loaded list's price for a model, both named as in requests.
    pub fn live_price(&self, provider: &str, model: &str) -> Option<&Arc<Price>> {
        self.live.as_ref()?.get(provider, model)
    }

    /// All providers, in the document's order.
    pub fn providers(&self) -> Result<&[Provider]> {
        Ok(self.table()?.rows())
    }

    /// A provider by id or alias, in any letter case.
    ///
    /// # Errors
    /// `not_found`, naming the nearest names and how to reach a server that is not listed.
    pub fn provider(&self, name: &str) -> Result<&Provider> {
        let table = self.table()?;
        table.get(name).ok_or_else(|| {
            let near = did_you_mean(name, table.names());
            let why = format!(
                "unknown provider `{name}`{near}; a server that is not listed needs `base_url` and `api_key` under \
                 `providers.{name}` of the configuration"
            );
            Error::new(ErrorKind::NotFound, why).with_param("provider")
        })
    }

    /// All models.
    pub fn models(&self) -> Result<&Models> {
        match &self.models {
            Some(own) => Ok(own),
            None => Ok(BUILTIN.get_or_try_init(|| Models::read(&models_json()?).map(Arc::new))?),
        }
    }

    fn table(&self) -> Result<&Providers> {
        match &self.providers {
            Some(own) => Ok(own),
            None => Ok(PROVIDERS.get_or_try_init(|| Providers::parse(PROVIDERS_TOML).map(Arc::new))?),
        }
    }
}
