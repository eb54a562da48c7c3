//! One backend: its addresses and protocols, its headers, its credential.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use super::api::{Address, Api, put};
use super::aws::identity::{AwsIdentity, Keys};
use super::credential::{FileKey, FixedKey, HostKey, KeyHeader};
use super::entra::EntraIdentity;
use super::google::{self, GoogleIdentity};
use super::pool::PooledKey;
use super::{AwsCredentials, AwsSettings, Credential, Environment, KeySource};
use crate::catalog::{self, Identity, Provider};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::types::{CredentialConfig, DataCollection, LimitConfig, ProviderConfig, Quantization};
use crate::wire;
use crate::wire::embeddings::{self, EmbeddingProtocol};

/// One backend, ready to be called.
pub struct Endpoint {
    /// The catalogue's row, or the one made for a server of the user's own.
    pub provider: Provider,
    /// Where the key was found; `None` when none was.
    pub key_from: Option<String>,
    /// The user's model names -> ids sent.
    pub models: BTreeMap<String, String>,
    /// The key's name and share, where there are several.
    pub key: Option<PooledKey>,
    /// How much may be asked of it, whatever the key.
    pub limits: Option<LimitConfig>,
    /// What the configuration tells of it.
    pub declared: Declared,
    /// `None` where no key was found.
    credential: Option<Arc<dyn Credential>>,
    /// Values of the configuration's own headers that are credentials by their names.
    secret_headers: Vec<Secret>,
    /// The proof stands in the headers already.
    stands: bool,
    base_url: String,
    /// The configuration gave the address, so keys for the vendor's own do not go there.
    moved: bool,
    /// The first is the row's own.
    apis: Vec<(catalog::Api, Arc<Api>)>,
    embeddings: Embeddings,
}

/// What the configuration tells of a backend that nobody else knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Share of the requests, relative to the others'.
    pub weight: f64,
    /// Whether it collects what it is sent; `None`: unknown.
    pub data_collection: Option<DataCollection>,
    /// Whether it retains nothing; `None`: unknown.
    pub zdr: Option<bool>,
    /// Precision of its weights; `None`: unknown.
    pub quantization: Option<Quantization>,
    /// Region or location it listens in, where it has several.
    pub region: Option<String>,
}

/// More than anyone needs, and far from where sums of weights lose their meaning.
const MAX_WEIGHT: f64 = 1e6;

impl Declared {
    fn new(id: &str, given: &ProviderConfig, values: &BTreeMap<String, String>) -> Result<Self> {
        let weight = given.weight.unwrap_or(1.0);
        if !(0.0..=MAX_WEIGHT).contains(&weight) {
            let why = format!("{weight} is no weight: it must be from 0 to {MAX_WEIGHT}");
            return Err(Error::invalid_config(format!("providers.{id}.weight"), why));
        }
        let (data_collection, zdr) = (given.data_collection, given.zdr);
        let region = values.get("region").or_else(|| values.get("location")).cloned();
        Ok(Declared { weight, data_collection, zdr, quantization: given.quantization, region })
    }
}

/// Ways to embed, each with the row that says for which models it is.
type Embeddings = Vec<(catalog::EmbeddingApi, Api<dyn EmbeddingProtocol>)>;

impl Endpoint {
    /// Provider id.
    pub fn id(&self) -> &str {
        &self.provider.id
    }

    /// Where it listens.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Whether calls can be made.
    pub fn ready(&self) -> bool {
        self.key_from.is_some() || self.provider.key_optional
    }

    /// Whether a call that names this backend is worth a try: the machine itself may be known to the vendor.
    pub fn may_be_ready(&self) -> bool {
        self.ready() || self.credential.is_some()
    }

    /// The protocol for a model: the one that the catalogue names for it, the first that lists it, or the backend's own.
    pub fn api(&self, model: &str, named: Option<&str>) -> &Arc<Api> {
        let by_name = named.and_then(|wire| self.apis.iter().find(|(row, _)| row.wire == wire));
        let by_model = || self.apis.iter().find(|(row, _)| row.serves(model));
        &by_name.or_else(by_model).unwrap_or(&self.apis[0]).1
    }

    /// How a model embeds; `None` where it does not, as far as the catalogue knows.
    pub fn embeddings(&self, model: &str) -> Option<&Api<dyn EmbeddingProtocol>> {
        self.embeddings.iter().find(|(row, _)| row.serves(model)).map(|(_, api)| api)
    }

    /// What has to authorize each request, where no header stands for it.
    pub fn credential(&self) -> Option<&dyn Credential> {
        self.credential.as_deref().filter(|_| !self.stands)
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

    /// Takes keys out of everything an error tells: some vendors repeat the key they refuse.
    pub fn redact(&self, mut error: Error) -> Error {
        let told = error.body_mut();
        let held = self.credential.iter().flat_map(|credential| credential.secrets());
        for secret in held.chain(self.secret_headers.iter().cloned()) {
            secret.redact(&mut told.message);
            let texts = [&mut told.body, &mut told.code, &mut told.param, &mut told.request_id];
            texts.into_iter().flatten().for_each(|text| secret.redact(text));
            for detail in told.details.values_mut() {
                if let serde_json::Value::String(text) = detail {
                    secret.redact(text);
                }
            }
        }
        error
    }

    pub(super) fn new(
        provider: Provider,
        key: Option<PooledKey>,
        given: &ProviderConfig,
        source: Option<Arc<dyn KeySource>>,
        environment: &Environment,
    ) -> Result<Self> {
        let env = |name: &str| environment(name);
        let vars = told_by_identity(&provider, given, environment);
        let values = provider.values(&vars, &env)?;
        let base_url = provider.fill(&provider.base_url(given.base_url.as_deref(), &env), &values)?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        let declared = Declared::new(&provider.id, given, &values)?;
        let found = Found::look(&provider, given, source, &values, environment)?;
        // With room for the credential and what the transport adds, in every copy.
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("interfuse/", env!("CARGO_PKG_VERSION"))));
        put(&mut headers, &provider.headers, &provider.id)?;
        put(&mut headers, &given.headers, &provider.id)?;
        let standing = found.as_ref().and_then(|found| found.credential.standing());
        let stands = standing.is_some();
        if let Some((name, value)) = standing {
            headers.insert(name, value);
        }

        let ways = Ways { provider: &provider, given, values, base_url: &base_url, headers };
        let (apis, embeddings) = (ways.chat()?, ways.embeddings()?);
        let (credential, key_from) = found.map(|f| (f.credential, f.from)).unzip();
        let key_from = key_from.flatten();
        Ok(Endpoint {
            key_from,
            models: given.models.clone(),
            key,
            limits: given.limits.clone(),
            declared,
            credential,
            secret_headers: given
                .headers
                .iter()
                .filter(|(name, _)| names_secret(name))
                .map(|(_, v)| Secret::new(v))
                .collect(),
            stands,
            base_url,
            moved: given.base_url.is_some(),
            apis,
            embeddings,
            provider,
        })
    }
}

/// Whether a header's name says that its value proves who calls.
fn names_secret(name: &str) -> bool {
    const WORDS: [&str; 7] = ["auth", "cookie", "credential", "key", "password", "secret", "token"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// What the protocols of a backend are made from.
struct Ways<'a> {
    provider: &'a Provider,
    given: &'a ProviderConfig,
    values: BTreeMap<String, String>,
    base_url: &'a str,
    headers: HeaderMap,
}

impl Ways<'_> {
    /// An address of the row's; `None` where it lacks a value and is only for those who set it: a set-up of its own, or
    /// the row's main way and reported then.
    fn address(&self, own_base: Option<&String>, path: &str, when: Option<&String>) -> Result<Option<Address>> {
        // An address of the user's own stands for all of a vendor's hosts.
        let own = own_base.filter(|_| self.given.base_url.is_none());
        let own = own.and_then(|own| self.provider.fill(own, &self.values).ok());
        let base = own.as_deref().unwrap_or(self.base_url);
        match self.provider.fill(&format!("{base}{path}"), &self.values) {
            Ok(text) => Address::new(&self.provider.id, text).map(Some),
            Err(_) if when.is_some() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The AWS region it listens in.
    fn region(&self) -> Option<String> {
        let signed = matches!(self.provider.auth.identity, Some(Identity::Aws { .. }));
        self.values.get("region").filter(|_| signed).cloned()
    }

    fn is_set(&self, when: Option<&String>) -> bool {
        when.is_some_and(|name| self.values.contains_key(name))
    }

    fn chat(&self) -> Result<Vec<(catalog::Api, Arc<Api>)>> {
        let provider = self.provider;
        let row = catalog::Api {
            wire: provider.wire.clone(),
            models: Vec::new(),
            when: None,
            base_url: None,
            chat_path: provider.chat_path.clone(),
            stream_path: provider.stream_path.clone(),
            headers: BTreeMap::new(),
            key_header: None,
            quirks: provider.quirks.clone(),
        };
        // Another way in, asked for by a value that only it needs, stands in for the row's own.
        let chosen = provider.api.iter().find(|api| self.is_set(api.when.as_ref()));
        let mut apis = Vec::with_capacity(1 + provider.api.len());
        for api in std::iter::once(chosen.unwrap_or(&row)).chain(&provider.api) {
            let address = |path: &str| self.address(api.base_url.as_ref(), path, api.when.as_ref());
            let Some(chat) = address(&api.chat_path)? else { continue };
            let stream = match &api.stream_path {
                Some(path) => match address(path)? {
                    Some(stream) => Some(stream),
                    None => continue,
                },
                None => None,
            };
            let mut headers = self.headers.clone();
            put(&mut headers, &api.headers, &provider.id)?;
            let protocol = wire::protocol(&api.wire).ok_or_else(|| self.unknown("wire", &api.wire))?;
            let key_header = api.key_header.as_ref().map(|to| Ok((provider.auth.header.parse()?, to.parse()?)));
            let key_header = key_header.transpose().map_err(|e: http::header::InvalidHeaderName| {
                Error::invalid_config(format!("providers.{}.api.key_header", provider.id), e)
            })?;
            let (quirks, region) = (api.quirks.clone(), self.region());
            let mut made = Api { protocol, quirks, headers, key_header, address: chat, stream, region };
            let mut headers = std::mem::take(&mut made.headers);
            made.place_key(&mut headers);
            made.headers = headers;
            apis.push((api.clone(), Arc::new(made)));
        }
        Ok(apis)
    }

    fn embeddings(&self) -> Result<Embeddings> {
        let mut all = Vec::with_capacity(self.provider.embeddings.len());
        for row in &self.provider.embeddings {
            let Some(address) = self.address(row.base_url.as_ref(), &row.path, row.when.as_ref())? else { continue };
            let protocol = embeddings::protocol(&row.wire).ok_or_else(|| self.unknown("embeddings.wire", &row.wire))?;
            let quirks = row.quirks.as_ref().unwrap_or(&self.provider.quirks).clone();
            let headers = self.headers.clone();
            let region = self.region();
            let made = Api { protocol, quirks, headers, key_header: None, address, stream: None, region };
            all.push((row.clone(), made));
        }
        all.sort_by_key(|(row, _)| !self.is_set(row.when.as_ref()));
        Ok(all)
    }

    fn unknown(&self, field: &str, wire: &str) -> Error {
        let at = format!("providers.{}.{field}", self.provider.id);
        Error::invalid_config(at, format!("the wire `{wire}` is not built in"))
    }
}

/// Values of placeholders that an identity brings along; what is set outright outranks them.
fn told_by_identity(
    provider: &Provider,
    given: &ProviderConfig,
    environment: &Environment,
) -> BTreeMap<String, String> {
    let mut vars = given.vars.clone();
    let (name, told) = match &provider.auth.identity {
        Some(Identity::Google { .. }) => ("project", {
            let file = given.credentials.as_ref().and_then(|c| c.key_file.as_ref()).map(Into::into);
            google::project(file, environment)
        }),
        Some(Identity::Aws { .. }) => {
            ("region", AwsCredentials::new(aws_settings(given, &vars), environment.clone()).region())
        }
        _ => return vars,
    };
    let set = provider.vars.get(name).into_iter().flatten().find_map(|var| environment(var));
    if let (Some(told), None) = (told, set.filter(|v| !v.trim().is_empty())) {
        vars.entry(name.to_owned()).or_insert(told);
    }
    vars
}

fn aws_settings(given: &ProviderConfig, values: &BTreeMap<String, String>) -> AwsSettings {
    AwsSettings {
        profile: given.credentials.as_ref().and_then(|c| c.profile.clone()),
        region: values.get("region").cloned(),
        no_metadata: false,
    }
}

/// # Errors
/// `invalid_config` without a region: a signature holds for one.
fn aws_identity(
    provider: &Provider,
    service: &str,
    keys: Keys,
    values: &BTreeMap<String, String>,
) -> Result<AwsIdentity> {
    Ok(AwsIdentity { keys, region: provider.fill("{region}", values)?, service: service.to_owned() })
}

/// A credential and where it was found; `None`: only asking can tell whether it is there.
struct Found {
    credential: Arc<dyn Credential>,
    from: Option<String>,
}

impl Found {
    /// The environment's key of a catalogue row goes to that row's own address only: another `base_url` needs a key named
    /// beside it.
    fn look(
        provider: &Provider,
        given: &ProviderConfig,
        source: Option<Arc<dyn KeySource>>,
        values: &BTreeMap<String, String>,
        environment: &Environment,
    ) -> Result<Option<Found>> {
        let at = |field: &str| format!("providers.{}.{field}", provider.id);
        let header = KeyHeader {
            name: provider.auth.header.parse().map_err(|e| Error::invalid_config(at("auth"), e))?,
            scheme: provider.auth.scheme.clone(),
        };
        if let (Some(source), Some(Identity::Aws { service })) = (&source, &provider.auth.identity) {
            let identity = aws_identity(provider, service, Keys::Handed(source.clone(), Mutex::default()), values)?;
            return Ok(Some(Found { credential: Arc::new(identity), from: Some("callable".to_owned()) }));
        }
        if let Some(source) = source {
            let credential = Arc::new(HostKey { header, source, last: Mutex::default() });
            return Ok(Some(Found { credential, from: Some("callable".to_owned()) }));
        }
        if let Some(file) = &given.api_key_file {
            let key = FileKey { header, file: file.into(), setting: at("api_key_file"), read: Mutex::default() };
            key.key()?;
            return Ok(Some(Found { credential: Arc::new(key), from: Some(format!("file {file}")) }));
        }
        let fixed = |key: Secret, from: String| {
            let value = header.value(&key).map_err(|e| Error::invalid_config(at("api_key"), e.message()))?;
            let credential = Arc::new(FixedKey { header: header.clone(), value, key });
            Ok(Some(Found { credential, from: Some(from) }))
        };
        if let Some(key) = &given.api_key {
            return match key.trim() {
                "" => Ok(None),
                key => fixed(Secret::new(key), "configuration".to_owned()),
            };
        }
        if let Some(var) = &given.api_key_env {
            let value = std::env::var(var).ok().filter(|v| !v.trim().is_empty());
            let why = || Error::invalid_config(at("api_key_env"), format!("the variable {var} is not set"));
            return fixed(Secret::new(value.ok_or_else(why)?), format!("variable {var}"));
        }
        if given.base_url.is_some() && given.credentials.is_none() {
            return Ok(None);
        }
        match provider.key(&|name| environment(name)) {
            Some((var, key)) if given.credentials.is_none() => fixed(key, format!("variable {var}")),
            _ => Found::identity(provider, given, values, environment),
        }
    }

    /// Who calls, where the vendor takes identities.
    fn identity(
        provider: &Provider,
        given: &ProviderConfig,
        values: &BTreeMap<String, String>,
        environment: &Environment,
    ) -> Result<Option<Found>> {
        let at = format!("providers.{}.credentials", provider.id);
        let none = CredentialConfig::default();
        let who = given.credentials.as_ref().unwrap_or(&none);
        let found = match &provider.auth.identity {
            None if given.credentials.is_some() => {
                return Err(Error::invalid_config(at, format!("{} takes keys only; use `api_key`", provider.name)));
            }
            None => return Ok(None),
            Some(Identity::Google { scope }) => {
                let identity = GoogleIdentity::new(scope, who.key_file.as_ref().map(Into::into), environment);
                Found { from: identity.found(environment), credential: Arc::new(identity) }
            }
            Some(Identity::Entra { scope }) => {
                let identity = EntraIdentity::new(scope, who, &at, environment)?;
                Found { from: identity.found(), credential: Arc::new(identity) }
            }
            Some(Identity::Aws { service }) => {
                let credentials = AwsCredentials::new(aws_settings(given, values), environment.clone());
                let from = credentials.found();
                Found { from, credential: Arc::new(aws_identity(provider, service, Keys::Found(credentials), values)?) }
            }
        };
        // What the configuration names is meant to be used, wherever it will be found.
        let from = found.from.or_else(|| given.credentials.as_ref().map(|_| "configuration".to_owned()));
        Ok(Some(Found { from, ..found }))
    }
}
