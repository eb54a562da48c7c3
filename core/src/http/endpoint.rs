//! Backends as configured: address, headers, credential. A credential is bound to the origin it was configured for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::catalog::{Catalog, Env, Provider};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::types::{Config, ProviderConfig, ProviderInfo};
use crate::wire::{self, Protocol};

/// One backend, ready to be called.
pub struct Endpoint {
    /// The catalogue's row, or the one made for a server of the user's own.
    pub provider: Provider,
    /// Its wire.
    pub protocol: &'static dyn Protocol,
    /// Where the key was found; `None` when none was.
    pub key_from: Option<String>,
    /// The user's model names -> ids sent.
    pub models: BTreeMap<String, String>,
    base_url: String,
    /// The configuration gave the address, so keys for the vendor's own do not go there.
    moved: bool,
    /// The address, when no model stands in it.
    url: Option<Arc<url::Url>>,
    headers: HeaderMap,
    /// The key, to take it out of what a vendor says.
    secret: Option<Secret>,
}

impl Endpoint {
    /// Provider id.
    pub fn id(&self) -> &str {
        &self.provider.id
    }

    /// Whether calls can be made.
    pub fn ready(&self) -> bool {
        self.key_from.is_some() || self.provider.key_optional
    }

    /// The error for a call without a key: what to set.
    pub fn missing_key(&self) -> Error {
        if !self.moved {
            return self.provider.missing_key();
        }
        let at = format!("providers.{}", self.id());
        let why = format!(
            "no key for {} at {}: the vendor's usual variables hold keys for its own address; set `{at}.api_key` or \
             `{at}.api_key_env` beside `{at}.base_url`",
            self.provider.name, self.base_url
        );
        Error::new(ErrorKind::Authentication, why).with_provider(self.id())
    }

    /// Address of a call.
    ///
    /// # Errors
    /// `invalid_config` or `invalid_request` when the address is none.
    pub fn url(&self, model: &str) -> Result<Arc<url::Url>> {
        match &self.url {
            Some(url) => Ok(url.clone()),
            None => Ok(Arc::new(parse(&self.provider.id, &self.provider.chat_url(&self.base_url, model)?)?)),
        }
    }

    /// Headers of a call, the credential among them.
    pub fn headers(&self, extra: Option<&BTreeMap<String, String>>) -> Result<HeaderMap> {
        let mut headers = self.headers.clone();
        for (name, value) in extra.into_iter().flatten() {
            let (name, value) =
                header(name, value).map_err(|why| Error::invalid_request(format!("extra_headers: {why}")))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// Takes the key out of everything an error tells: some vendors repeat the key they refuse.
    pub fn redact(&self, mut error: Error) -> Error {
        // A placeholder such as `x` is no secret, and replacing it would garble the text.
        let Some(key) = self.secret.as_ref().map(Secret::expose).filter(|key| key.len() >= 8) else { return error };
        let told = error.body_mut();
        let texts = [Some(&mut told.message), told.body.as_mut(), told.code.as_mut(), told.param.as_mut()];
        for text in texts.into_iter().flatten().filter(|text| text.contains(key)) {
            *text = text.replace(key, "***");
        }
        error
    }

    fn new(provider: Provider, config: Option<&ProviderConfig>, env: Env<'_>) -> Result<Self> {
        let id = provider.id.clone();
        let path = |field: &str| format!("providers.{id}.{field}");
        let protocol = wire::protocol(&provider.wire).ok_or_else(|| {
            Error::invalid_config(path("wire"), format!("the wire `{}` is not built in", provider.wire))
        })?;
        let none = ProviderConfig::default();
        let given = config.unwrap_or(&none);
        let base_url = provider.base_url(given.base_url.as_deref(), &given.vars, env)?;
        let url = if base_url.contains("{model}") {
            None
        } else {
            Some(Arc::new(parse(&id, &provider.chat_url(&base_url, "")?)?))
        };

        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("interfuse/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in &given.headers {
            let (name, value) = header(name, value).map_err(|why| Error::invalid_config(path("headers"), why))?;
            headers.insert(name, value);
        }
        let key = key(&provider, given, env)?;
        if let Some((secret, _)) = &key {
            let bad = || Error::invalid_config(path("api_key"), "the key holds characters that no header can carry");
            let name: HeaderName = provider.auth.header.parse().map_err(|e| Error::invalid_config(path("auth"), e))?;
            let text = match provider.auth.scheme.as_str() {
                "" => zeroize::Zeroizing::new(secret.expose().to_owned()),
                scheme => zeroize::Zeroizing::new(format!("{scheme} {}", secret.expose())),
            };
            let mut value = HeaderValue::from_str(&text).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Endpoint {
            protocol,
            secret: key.as_ref().map(|(secret, _)| secret.clone()),
            key_from: key.map(|(_, from)| from),
            models: given.models.clone(),
            base_url,
            moved: given.base_url.is_some(),
            url,
            headers,
            provider,
        })
    }
}

/// The key of a backend and where it was found. The environment's key of a catalogue row goes to that row's own
/// address only: another `base_url` needs a key named beside it.
fn key(provider: &Provider, given: &ProviderConfig, env: Env<'_>) -> Result<Option<(Secret, String)>> {
    let path = |field: &str| format!("providers.{}.{field}", provider.id);
    if let Some(key) = &given.api_key {
        return Ok((!key.trim().is_empty()).then(|| (Secret::new(key.as_str()), "configuration".to_owned())));
    }
    if let Some(var) = &given.api_key_env {
        let value = std::env::var(var).ok().filter(|v| !v.trim().is_empty());
        let value = value
            .ok_or_else(|| Error::invalid_config(path("api_key_env"), format!("the variable {var} is not set")))?;
        return Ok(Some((Secret::new(value), format!("variable {var}"))));
    }
    if let Some(file) = &given.api_key_file {
        let value = std::fs::read_to_string(file)
            .map_err(|e| Error::invalid_config(path("api_key_file"), format!("{file}: {e}")))?;
        return Ok(Some((Secret::new(value), format!("file {file}"))));
    }
    if given.base_url.is_some() {
        return Ok(None);
    }
    Ok(provider.key(env).map(|(var, secret)| (secret, format!("variable {var}"))))
}

fn parse(id: &str, text: &str) -> Result<url::Url> {
    let path = format!("providers.{id}.base_url");
    let url: url::Url =
        text.parse().map_err(|e| Error::invalid_config(&path, format!("`{text}` is not a URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Error::invalid_config(
            &path,
            format!("`{text}` must start with http:// or https:// and name a host"),
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid_config(&path, "a credential in the URL would end up in logs; use `api_key`"));
    }
    Ok(url)
}

fn header(name: &str, value: &str) -> std::result::Result<(HeaderName, HeaderValue), String> {
    let parsed: HeaderName = name.parse().map_err(|_| format!("`{name}` is not a header's name"))?;
    let value = HeaderValue::from_str(value).map_err(|_| format!("the value of `{name}` cannot stand in a header"))?;
    Ok((parsed, value))
}

/// Every backend: the catalogue's rows, changed and completed by the configuration.
pub struct Endpoints {
    by_id: HashMap<String, std::result::Result<Arc<Endpoint>, Error>>,
    /// Ids in the catalogue's order, the user's own last.
    order: Vec<String>,
    /// How many of them are catalogue rows.
    from_catalog: usize,
}

impl Endpoints {
    /// Reads keys now: from the configuration, named variables and files, and, unless switched off, from the vendors'
    /// usual variables.
    ///
    /// # Errors
    /// `invalid_config` for any backend that the configuration names. A catalogue row that cannot be used (a
    /// placeholder without a value) is an error when it is called.
    pub fn new(config: &Config, catalog: &Catalog) -> Result<Self> {
        let use_environment = config.use_environment.unwrap_or(true);
        let env = |name: &str| if use_environment { std::env::var(name).ok() } else { None };
        let mut by_id = HashMap::new();
        let mut order = Vec::new();
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
            let given = named.get(row.id.as_str()).copied();
            let endpoint = Endpoint::new(row.clone(), given, &env);
            if given.is_some() {
                endpoint.as_ref().map_err(Clone::clone)?;
            }
            order.push(row.id.clone());
            by_id.insert(row.id.clone(), endpoint.map(Arc::new));
        }
        let from_catalog = order.len();
        for (name, given, unknown) in own {
            let Some(base_url) = &given.base_url else {
                return Err(Error::invalid_config(format!("providers.{name}"), unknown.message()));
            };
            let mut row = Provider::own(name, base_url);
            if let Some(like) = &given.like {
                let other = catalog
                    .provider(like)
                    .map_err(|e| Error::invalid_config(format!("providers.{name}.like"), e.message()))?;
                row.quirks = other.quirks.clone();
                row.auth = other.auth.clone();
                row.chat_path = other.chat_path.clone();
            }
            // Checks the row as the catalogue's own are checked.
            catalog.with_provider(row.clone())?;
            order.push(name.clone());
            by_id.insert(name.clone(), Ok(Arc::new(Endpoint::new(row, Some(given), &env)?)));
        }
        Ok(Endpoints { by_id, order, from_catalog })
    }

    /// The backend of this id.
    ///
    /// # Errors
    /// What keeps it from being called.
    pub fn get(&self, id: &str) -> Option<Result<Arc<Endpoint>>> {
        self.by_id.get(id).cloned()
    }

    /// Rows of the user's own servers, which are not in the catalogue.
    pub fn own(&self) -> impl Iterator<Item = &Provider> {
        self.order
            .iter()
            .skip(self.from_catalog)
            .filter_map(|id| self.by_id.get(id)?.as_ref().ok())
            .map(|e| &e.provider)
    }

    /// All backends, for `doctor` and lists.
    pub fn infos(&self, catalog: &Catalog) -> Result<Vec<ProviderInfo>> {
        let mut infos = Vec::with_capacity(self.order.len());
        for id in &self.order {
            let Some(endpoint) = self.by_id.get(id) else { continue };
            let (row, endpoint) = match endpoint {
                Ok(endpoint) => (&endpoint.provider, Some(endpoint)),
                Err(_) => (catalog.provider(id)?, None),
            };
            infos.push(ProviderInfo {
                id: row.id.clone(),
                name: row.name.clone(),
                aliases: row.aliases.clone(),
                base_url: endpoint.map_or_else(|| row.base_url.clone(), |e| e.base_url.clone()),
                key_vars: row.key_vars.clone(),
                key_from: endpoint.and_then(|e| e.key_from.clone()),
                ready: endpoint.is_some_and(|e| e.ready()),
            });
        }
        Ok(infos)
    }
}
