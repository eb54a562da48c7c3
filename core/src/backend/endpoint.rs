//! One backend: its addresses and protocols, its headers, its credential.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::aws::identity::{AwsIdentity, Keys};
use super::credential::{FileKey, FixedKey, HostKey, KeyHeader};
use super::entra::EntraIdentity;
use super::google::{self, GoogleIdentity};
use super::{AwsCredentials, AwsSettings, Credential, Environment, KeySource};
use crate::catalog::{self, Identity, Provider, expand};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::types::{CredentialConfig, ProviderConfig, Quirks};
use crate::wire::{self, Protocol};

/// One backend, ready to be called.
pub struct Endpoint {
    /// The catalogue's row, or the one made for a server of the user's own.
    pub provider: Provider,
    /// Where the key was found; `None` when none was.
    pub key_from: Option<String>,
    /// The user's model names -> ids sent.
    pub models: BTreeMap<String, String>,
    /// `None` where no key was found.
    pub credential: Option<Arc<dyn Credential>>,
    base_url: String,
    /// The configuration gave the address, so keys for the vendor's own do not go there.
    moved: bool,
    /// The first is the row's own.
    apis: Vec<Arc<Api>>,
}

/// One protocol of a backend: how to speak, and where.
pub struct Api {
    /// The wire.
    pub protocol: &'static dyn Protocol,
    row: catalog::Api,
    headers: HeaderMap,
    /// From the provider's header for keys to this protocol's, where it is another.
    key_header: Option<(HeaderName, HeaderName)>,
    chat: Address,
    stream: Address,
    /// AWS region it listens in, which the ARN of a model must name, too.
    region: Option<String>,
}

/// Where a call goes.
enum Address {
    /// The same for every model.
    Fixed(Arc<url::Url>),
    /// The model stands in it.
    PerModel(String),
}

impl Api {
    /// Declared deviations.
    pub fn quirks(&self) -> &Quirks {
        &self.row.quirks
    }

    /// Address of a call.
    ///
    /// # Errors
    /// `invalid_request` for a model that cannot stand in an address.
    pub fn url(&self, model: &str, stream: bool) -> Result<Arc<url::Url>> {
        if let Some(region) = &self.region {
            wire::bedrock::check_model(model, region)?;
        }
        match if stream { &self.stream } else { &self.chat } {
            Address::Fixed(url) => Ok(url.clone()),
            Address::PerModel(template) => {
                let text = expand(template, model)?;
                let url = text.parse().map_err(|e| Error::invalid_request(format!("`{text}` is no address: {e}")))?;
                Ok(Arc::new(url))
            }
        }
    }

    /// Moves a key to the header in which this protocol expects it.
    pub fn place_key(&self, headers: &mut HeaderMap) {
        if let Some((from, to)) = &self.key_header
            && let Some(key) = headers.remove(from)
        {
            headers.insert(to.clone(), key);
        }
    }

    /// Headers of a call, but for the credential.
    ///
    /// # Errors
    /// `invalid_request` for a name or value that cannot stand in a header.
    pub fn headers(&self, extra: Option<&BTreeMap<String, String>>) -> Result<HeaderMap> {
        let mut headers = self.headers.clone();
        for (name, value) in extra.into_iter().flatten() {
            let (name, value) =
                header(name, value).map_err(|why| Error::invalid_request(format!("extra_headers: {why}")))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

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
        let by_name = named.and_then(|wire| self.apis.iter().find(|api| api.protocol.name() == wire));
        let by_model = || self.apis.iter().find(|api| api.row.serves(model));
        by_name.or_else(by_model).unwrap_or(&self.apis[0])
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

    /// Takes the key out of everything an error tells: some vendors repeat the key they refuse.
    pub fn redact(&self, mut error: Error) -> Error {
        let told = error.body_mut();
        for secret in self.credential.iter().flat_map(|credential| credential.secrets()) {
            // A placeholder such as `x` is no secret, and replacing it would garble the text.
            let key = secret.expose();
            let texts = [Some(&mut told.message), told.body.as_mut(), told.code.as_mut(), told.param.as_mut()];
            for text in texts.into_iter().flatten().filter(|text| key.len() >= 8 && text.contains(key)) {
                *text = text.replace(key, "***");
            }
        }
        error
    }

    pub(super) fn new(
        provider: Provider,
        given: &ProviderConfig,
        source: Option<Arc<dyn KeySource>>,
        environment: &Environment,
    ) -> Result<Self> {
        let env = |name: &str| environment(name);
        let vars = told_by_identity(&provider, given, environment);
        let values = provider.values(&vars, &env)?;
        let base_url = provider.fill(&provider.base_url(given.base_url.as_deref(), &env), &values)?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        let found = Found::look(&provider, given, source, &values, environment)?;
        // With room for the credential and what the transport adds, in every copy.
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("interfuse/", env!("CARGO_PKG_VERSION"))));
        put(&mut headers, &provider.headers, &provider.id)?;
        put(&mut headers, &given.headers, &provider.id)?;

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
        let chosen = provider.api.iter().find(|api| api.when.as_ref().is_some_and(|name| values.contains_key(name)));
        let region = match provider.auth.identity {
            Some(Identity::Aws { .. }) => values.get("region").cloned(),
            _ => None,
        };
        let mut apis = Vec::with_capacity(1 + provider.api.len());
        for api in std::iter::once(chosen.unwrap_or(&row)).chain(&provider.api) {
            // An address of the user's own stands for all of a vendor's hosts.
            let own = api.base_url.as_ref().filter(|_| given.base_url.is_none());
            let own = own.and_then(|own| provider.fill(own, &values).ok());
            let base = own.as_ref().unwrap_or(&base_url);
            let address = |path: &str| -> Result<Option<Address>> {
                let template = format!("{base}{path}");
                // What lacks a value is not asked for: a set-up of its own, or the row's main way and reported then.
                match provider.fill(&template, &values) {
                    Ok(text) => Address::new(&provider.id, text).map(Some),
                    Err(_) if api.when.is_some() => Ok(None),
                    Err(e) => Err(e),
                }
            };
            let (Some(chat), Some(stream)) =
                (address(&api.chat_path)?, address(api.stream_path.as_deref().unwrap_or(&api.chat_path))?)
            else {
                continue;
            };
            let mut headers = headers.clone();
            put(&mut headers, &api.headers, &provider.id)?;
            let protocol = wire::protocol(&api.wire).ok_or_else(|| {
                let at = format!("providers.{}.wire", provider.id);
                Error::invalid_config(at, format!("the wire `{}` is not built in", api.wire))
            })?;
            let key_header = api.key_header.as_ref().map(|to| Ok((provider.auth.header.parse()?, to.parse()?)));
            let key_header = key_header.transpose().map_err(|e: http::header::InvalidHeaderName| {
                Error::invalid_config(format!("providers.{}.api.key_header", provider.id), e)
            })?;
            apis.push(Arc::new(Api {
                protocol,
                row: api.clone(),
                headers,
                key_header,
                chat,
                stream,
                region: region.clone(),
            }));
        }
        let (credential, key_from) = found.map(|f| (f.credential, f.from)).unzip();
        let key_from = key_from.flatten();
        Ok(Endpoint {
            key_from,
            models: given.models.clone(),
            credential,
            base_url,
            moved: given.base_url.is_some(),
            apis,
            provider,
        })
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

impl Address {
    fn new(id: &str, text: String) -> Result<Address> {
        if text.contains("model}") {
            // Whatever the model, the rest must be an address.
            parse(id, &text.replace("{model}", "m").replace("{+model}", "m"))?;
            return Ok(Address::PerModel(text));
        }
        Ok(Address::Fixed(Arc::new(parse(id, &text)?)))
    }
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

fn put(headers: &mut HeaderMap, given: &BTreeMap<String, String>, id: &str) -> Result<()> {
    for (name, value) in given {
        let at = || format!("providers.{id}.headers");
        let (name, value) = header(name, value).map_err(|why| Error::invalid_config(at(), why))?;
        headers.insert(name, value);
    }
    Ok(())
}

fn header(name: &str, value: &str) -> std::result::Result<(HeaderName, HeaderValue), String> {
    let parsed: HeaderName = name.parse().map_err(|_| format!("`{name}` is not a header's name"))?;
    let value = HeaderValue::from_str(value).map_err(|_| format!("the value of `{name}` cannot stand in a header"))?;
    Ok((parsed, value))
}
