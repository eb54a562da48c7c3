//! Several keys of one backend: the same backend once for each of them.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Endpoint, Environment, KeySource};
use crate::catalog::Provider;
use crate::error::{Error, Result};
use crate::types::{LimitConfig, ProviderConfig};

/// One key of several.
#[derive(Debug, Clone, PartialEq)]
pub struct PooledKey {
    /// How reports call it.
    pub name: String,
    /// Its share of the calls.
    pub weight: u32,
    /// How much may be asked with it.
    pub limits: Option<LimitConfig>,
}

/// A backend with each of its keys.
pub(super) fn endpoints(
    row: &Provider,
    given: &ProviderConfig,
    source: Option<Arc<dyn KeySource>>,
    environment: &Environment,
) -> Result<Vec<Arc<Endpoint>>> {
    if given.keys.is_empty() {
        return Ok(vec![Arc::new(Endpoint::new(row.clone(), None, given, source, environment)?)]);
    }
    let at = |place: usize, field: &str| format!("providers.{}.keys[{place}]{field}", row.id);
    if given.api_key.is_some() || given.api_key_env.is_some() || given.api_key_file.is_some() || source.is_some() {
        let why = "there is a single key beside it; put all keys into the list";
        return Err(Error::invalid_config(format!("providers.{}.keys", row.id), why));
    }
    let mut names = HashSet::new();
    let mut all = Vec::with_capacity(given.keys.len());
    for (place, key) in given.keys.iter().enumerate() {
        if key.name.trim().is_empty() || !names.insert(&key.name) {
            let why = format!("`{}` is empty or another key's name already", key.name);
            return Err(Error::invalid_config(at(place, ".name"), why));
        }
        if [&key.api_key, &key.api_key_env, &key.api_key_file].iter().all(|one| one.is_none()) {
            return Err(Error::invalid_config(at(place, ""), "give one of `api_key`, `api_key_env`, `api_key_file`"));
        }
        let with = ProviderConfig {
            api_key: key.api_key.clone(),
            api_key_env: key.api_key_env.clone(),
            api_key_file: key.api_key_file.clone(),
            keys: Vec::new(),
            ..given.clone()
        };
        let pooled = PooledKey { name: key.name.clone(), weight: key.weight.unwrap_or(1), limits: key.limits.clone() };
        all.push(Arc::new(Endpoint::new(row.clone(), Some(pooled), &with, None, environment)?));
    }
    if all.iter().all(|one| one.key.as_ref().is_some_and(|key| key.weight == 0)) {
        let why = "every key has the weight 0, so none would ever be used";
        return Err(Error::invalid_config(format!("providers.{}.keys", row.id), why));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::backend::Endpoints;
    use crate::catalog::Catalog;
    use crate::types::Config;

    fn made(keys: Value) -> Result<Endpoints> {
        let document = json!({"use_environment": false, "providers": {"own": {"base_url": "http://127.0.0.1:1/v1", "keys": keys}}});
        Endpoints::new(&serde_json::from_value::<Config>(document).unwrap(), &Catalog::builtin(), Default::default())
    }

    #[test]
    fn each_key_is_the_same_backend_with_another_proof() {
        let all =
            made(json!([{"name": "a", "api_key": "key-a"}, {"name": "b", "api_key": "key-b", "weight": 3}])).unwrap();
        let pool = all.pool("own");
        let header =
            |at: usize| pool[at].api("m", None).headers(None).unwrap()["authorization"].to_str().unwrap().to_owned();
        assert_eq!((header(0), header(1)), ("Bearer key-a".to_owned(), "Bearer key-b".to_owned()));
        let key = |at: usize| pool[at].key.as_ref().map(|k| (k.name.as_str(), k.weight));
        assert_eq!((key(0), key(1)), (Some(("a", 1)), Some(("b", 3))));
        assert!(all.get("own").unwrap().unwrap().ready());
        assert!(all.pool("nobody").is_empty());
    }

    #[test]
    fn faults_name_their_path() {
        for (keys, path) in [
            (json!([{"name": "", "api_key": "x"}]), "providers.own.keys[0].name"),
            (json!([{"name": "a", "api_key": "x"}, {"name": "a", "api_key": "y"}]), "providers.own.keys[1].name"),
            (json!([{"name": "a"}]), "providers.own.keys[0]"),
            (json!([{"name": "a", "api_key": "x", "weight": 0}]), "providers.own.keys"),
        ] {
            let error = made(keys).err().unwrap();
            assert_eq!(error.body().param.as_deref(), Some(path), "{error}");
        }
    }
}
