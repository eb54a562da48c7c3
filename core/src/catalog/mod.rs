//! What is known of providers, models and prices: dated, sourced data, embedded and replaceable at run time.
//!
//! Pure: no network, no file, no environment (a caller passes a lookup function where variables matter). The embedded
//! documents are parsed on first use, once per process, and never change after.

mod address;
mod embeddings;
pub(crate) mod models;
pub(crate) mod nearest;
mod prices;
mod providers;
mod resolve;
mod target;

use std::sync::Arc;

use once_cell::sync::OnceCell;

use crate::error::{Error, ErrorKind, Result};

pub use address::expand;
pub use embeddings::EmbeddingApi;
pub use models::{Confidence, Model, Models, Offer, OfferStatus, Profile, Source};
use nearest::did_you_mean;
pub use prices::{BatchRates, Cost, LongContext, OffPeak, Price, Rate, Rates, TokenClasses};
pub use providers::{Api, Auth, Derived, Env, Identity, Provider, ProviderKind, ProviderStatus, Providers};
pub use resolve::{Resolution, Resolved};
pub use target::{Policy, is_virtual};

/// Embedded providers.
pub const PROVIDERS_TOML: &str = include_str!("../../data/providers.toml");
/// Embedded models and prices.
pub const MODELS_JSON: &str = include_str!("../../data/models.json");

static PROVIDERS: OnceCell<Arc<Providers>> = OnceCell::new();
static MODELS: OnceCell<Arc<Models>> = OnceCell::new();

/// Providers, models and prices. Cheap to make and to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// `None`: the embedded document.
    providers: Option<Arc<Providers>>,
    /// `None`: the embedded document.
    models: Option<Arc<Models>>,
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
        Ok(Catalog { providers, models })
    }

    /// This catalogue with one more provider; a row of the same id is replaced.
    ///
    /// # Errors
    /// `invalid_config` when the row is faulty or one of its names belongs to another row.
    pub fn with_provider(&self, row: Provider) -> Result<Catalog> {
        let providers = Some(Arc::new(self.table()?.with(row)?));
        Ok(Catalog { providers, models: self.models.clone() })
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
            None => Ok(MODELS.get_or_try_init(|| Models::read(MODELS_JSON).map(Arc::new))?),
        }
    }

    fn table(&self) -> Result<&Providers> {
        match &self.providers {
            Some(own) => Ok(own),
            None => Ok(PROVIDERS.get_or_try_init(|| Providers::parse(PROVIDERS_TOML).map(Arc::new))?),
        }
    }
}
