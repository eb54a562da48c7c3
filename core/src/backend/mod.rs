//! Backends as configured: where each listens, over which protocols, and with what proof of who calls. A credential is
//! bound to the origin it was configured for.

mod api;
mod aws;
mod credential;
mod endpoint;
mod entra;
mod exchange;
mod google;
mod pool;
#[cfg(test)]
mod scripted;
mod sigv4;
mod token;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use once_cell::sync::OnceCell;

use crate::catalog::{Catalog, Provider};
use crate::error::{Error, Result};
use crate::types::{Config, ProviderConfig, ProviderInfo};

pub use api::Api;
pub use aws::{AwsCredentials, AwsSettings};
pub use credential::{AwsKeys, Credential, Host, Key, KeySource, KeySources};
pub use endpoint::{Declared, Endpoint};
pub use pool::PooledKey;
pub use sigv4::Signer;

/// Looks up an environment variable; knows nothing where the environment is not to be read.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Every backend: the catalogue's rows, changed and completed by the configuration.
pub struct Endpoints {
    by_id: HashMap<String, Slot>,
    /// Ids in the catalogue's order, the user's own last.
    order: Vec<String>,
    /// How many of them are catalogue rows.
    from_catalog: usize,
    environment: Environment,
    sources: KeySources,
}

/// A backend, made when it is first asked for.
struct Slot {
    row: Provider,
    given: ProviderConfig,
    /// One for each of its keys; at least one.
    made: OnceCell<std::result::Result<Vec<Arc<Endpoint>>, Error>>,
}

impl Endpoints {
    /// Keys are read from the configuration, named variables and files, `sources`, and, unless switched off, the vendors'
    /// usual variables: of backends that the configuration names now, of others when they are first asked for.
    ///
    /// # Errors
    /// `invalid_config` for any backend that the configuration names. A catalogue row that cannot be used (a
    /// placeholder without a value) is an error when it is called.
    pub fn new(config: &Config, catalog: &Catalog, sources: KeySources) -> Result<Self> {
        let environment: Environment = match config.use_environment {
            Some(false) => Arc::new(|_| None),
            _ => Arc::new(|name| std::env::var(name).ok()),
        };
        let mut all = Endpoints {
            by_id: HashMap::new(),
            order: Vec::new(),
            from_catalog: 0,
            environment,
            sources: by_row(sources, catalog),
        };
        let mut named: HashMap<&str, &ProviderConfig> = HashMap::new();
        let mut own = Vec::new();
        for (name, given) in &config.providers {
            match catalog.provider(name) {
                Ok(row) => {
                    if named.insert(&row.id, given).is_some() {
                        return Err(Error::invalid_config(
                            format!("providers.{name}"),
                            format!("names the provider `{}` a second time", row.id),
                        ));
                    }
                }
                Err(unknown) => own.push((name, given, unknown)),
            }
        }
        for row in catalog.providers()? {
            all.add(row.clone(), named.get(row.id.as_str()).copied())?;
        }
        all.from_catalog = all.order.len();
        for (name, given, unknown) in own {
            let Some(base_url) = &given.base_url else {
                return Err(Error::invalid_config(format!("providers.{name}"), unknown.message()));
            };
            let row = match &given.like {
                None => Provider::own(name, base_url),
                Some(like) => {
                    let other = catalog
                        .provider(like)
                        .map_err(|e| Error::invalid_config(format!("providers.{name}.like"), e.message()))?;
                    Provider::like(name, base_url, other)
                }
            };
            // Checks the row as the catalogue's own are checked.
            catalog.with_provider(row.clone())?;
            all.add(row, Some(given))?;
        }
        match all.sources.keys().find(|name| !all.by_id.contains_key(*name)) {
            None => Ok(all),
            Some(name) => Err(Error::invalid_config(
                format!("providers.{name}"),
                "there are keys for it, and no such provider; a server of one's own needs `base_url` here",
            )),
        }
    }

    fn add(&mut self, row: Provider, given: Option<&ProviderConfig>) -> Result<()> {
        let id = row.id.clone();
        let slot = Slot { row, given: given.cloned().unwrap_or_default(), made: OnceCell::new() };
        if given.is_some() {
            self.made(&slot)?;
        }
        self.order.push(id.clone());
        self.by_id.insert(id, slot);
        Ok(())
    }

    fn made<'s>(&self, slot: &'s Slot) -> Result<&'s [Arc<Endpoint>]> {
        let make = || {
            let source = self.sources.get(&slot.row.id).cloned();
            pool::endpoints(&slot.row, &slot.given, source, &self.environment)
        };
        slot.made.get_or_init(make).as_deref().map_err(Error::clone)
    }

    /// The backend of this id, with the first of its keys.
    ///
    /// # Errors
    /// What keeps it from being called.
    pub fn get(&self, id: &str) -> Option<Result<Arc<Endpoint>>> {
        Some(self.made(self.by_id.get(id)?).map(|all| all[0].clone()))
    }

    /// The backend of this id with each of its keys: one, where it has no pool of keys.
    pub fn pool(&self, id: &str) -> &[Arc<Endpoint>] {
        self.by_id.get(id).and_then(|slot| self.made(slot).ok()).unwrap_or_default()
    }

    /// Rows of the user's own servers, which are not in the catalogue.
    pub fn own(&self) -> impl Iterator<Item = &Provider> {
        self.order.iter().skip(self.from_catalog).filter_map(|id| Some(&self.by_id.get(id)?.row))
    }

    /// All backends, for `doctor` and lists.
    pub fn infos(&self) -> Vec<ProviderInfo> {
        self.order.iter().filter_map(|id| Some(self.info(self.by_id.get(id)?))).collect()
    }

    fn info(&self, slot: &Slot) -> ProviderInfo {
        let (row, endpoint) = (&slot.row, self.made(slot).ok().map(|all| &all[0]));
        ProviderInfo {
            id: row.id.clone(),
            name: row.name.clone(),
            aliases: row.aliases.clone(),
            base_url: endpoint.map_or_else(|| row.base_url.clone(), |e| e.base_url().to_owned()),
            key_vars: row.key_vars.clone(),
            key_from: endpoint.and_then(|e| e.key_from.clone()),
            ready: endpoint.is_some_and(|e| e.ready()),
        }
    }
}

/// Sources under the ids of their rows, whatever name of it the caller used.
fn by_row(sources: KeySources, catalog: &Catalog) -> KeySources {
    let id = |name: String| catalog.provider(&name).map_or(name, |row| row.id.clone());
    sources.into_iter().map(|(name, source)| (id(name), source)).collect::<BTreeMap<_, _>>()
}
