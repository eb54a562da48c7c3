//! The one configuration document. Never read implicitly; unknown fields are refused with their JSON path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DataCollection, FusionOptions, Quantization, RoutingConfig, Tags};
use crate::error::{Error, Result};

/// Configuration of a client (TOML or JSON, or built in code).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Backends by name: a catalogue id with changes, or an id of one's own with `base_url`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Named fusion pools, with their options. The pool `default` serves `interfuse/...` models that name none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, FusionOptions>,
    /// Prices that outrank the catalogue's, by `provider/model` as sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, PriceConfig>,
    /// How backends are chosen where a request does not say.
    #[serde(default)]
    pub routing: RoutingConfig,
    /// Retries.
    #[serde(default)]
    pub retries: RetryConfig,
    /// Timeouts.
    #[serde(default)]
    pub timeouts: TimeoutConfig,
    /// Network.
    #[serde(default)]
    pub network: NetworkConfig,
    /// Ledger.
    #[serde(default)]
    pub ledger: LedgerConfig,
    /// Labels put on every call.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Whether keys are looked up in the vendors' usual environment variables; true by default. Read when a client is
    /// made, never at import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_environment: Option<bool>,
}

impl Config {
    /// The document that the variable `INTERFUSE_CONFIG` names, or the defaults when it is not set.
    ///
    /// # Errors
    /// `invalid_config` when the file cannot be read or is faulty.
    pub fn from_environment() -> Result<Self> {
        match std::env::var("INTERFUSE_CONFIG") {
            Ok(path) if !path.is_empty() => Self::from_file(&path),
            _ => Ok(Config::default()),
        }
    }

    /// Reads a TOML or JSON file.
    ///
    /// # Errors
    /// `invalid_config` naming the file, and the path of the fault in it.
    pub fn from_file(path: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::invalid_config(".", format!("the file {path} cannot be read: {e}")))?;
        Self::parse(&text).map_err(|mut e| {
            let message = format!("{} (in {path})", e.message());
            e.body_mut().message = message;
            e
        })
    }

    /// Lays configurations of backends over those that are here, field by field; a key replaces any other.
    pub fn overlay(&mut self, providers: BTreeMap<String, ProviderConfig>) {
        for (name, over) in providers {
            self.providers.entry(name).or_default().overlaid(over);
        }
    }

    /// Parses a TOML or JSON document.
    ///
    /// # Errors
    /// `invalid_config` naming the path of the fault.
    pub fn parse(text: &str) -> Result<Self> {
        if text.trim_start().starts_with('{') {
            return super::from_json("configuration", text);
        }
        let de = toml::Deserializer::parse(text).map_err(|e| Error::invalid_config(".", e))?;
        serde_path_to_error::deserialize(de)
            .map_err(|e| Error::invalid_config(e.path().to_string(), e.inner().message()))
    }
}

/// One backend. A key is bound to this backend's origin and never sent elsewhere.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Base URL in place of the catalogue's (`https://host/v1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The key itself; never written back out. Prefer `api_key_env` or `api_key_file` in documents.
    #[serde(default, skip_serializing)]
    pub api_key: Option<String>,
    /// Name of the variable that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// File that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<String>,
    /// Headers added to every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Values of the base URL's placeholders (`region`, `resource`, `account_id`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// Model names of one's own: name in requests -> id sent (Azure deployments, ...).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, String>,
    /// Take the declared deviations of this catalogue provider (for a backend of one's own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// Who calls, at vendors that take identities in place of keys (AWS, Google Cloud, Azure); what is not given comes
    /// from the vendor's usual variables and files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialConfig>,
    /// Share of the requests that it gets under the policy `weighted`, relative to the others'; 1 by default, 0: only when
    /// the others fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Whether it collects what it is sent, as you have agreed with it; unknown by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<DataCollection>,
    /// Whether it retains nothing (zero data retention), as you have agreed with it; unknown by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zdr: Option<bool>,
    /// Precision of its weights, where the catalogue does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
}

/// Who calls, at vendors that take identities in place of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CredentialConfig {
    /// AWS: profile of the shared files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Google Cloud: key file (service account, workload identity, ...).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// Azure: tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Azure: client, or the managed identity's client where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Azure: name of the variable that holds the client's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_env: Option<String>,
}

impl ProviderConfig {
    /// Lays another configuration of the same backend over this one, field by field.
    fn overlaid(&mut self, over: ProviderConfig) {
        let ProviderConfig {
            base_url,
            api_key,
            api_key_env,
            api_key_file,
            headers,
            vars,
            models,
            like,
            credentials,
            weight,
            data_collection,
            zdr,
            quantization,
        } = over;
        if api_key.is_some() || api_key_env.is_some() || api_key_file.is_some() {
            // Another key replaces the one that is there, wherever that stands.
            (self.api_key, self.api_key_env, self.api_key_file) = (api_key, api_key_env, api_key_file);
        }
        self.base_url = base_url.or(self.base_url.take());
        self.like = like.or(self.like.take());
        self.credentials = credentials.or(self.credentials.take());
        self.weight = weight.or(self.weight);
        self.data_collection = data_collection.or(self.data_collection);
        self.zdr = zdr.or(self.zdr);
        self.quantization = quantization.or(self.quantization);
        self.headers.extend(headers);
        self.vars.extend(vars);
        self.models.extend(models);
    }
}

impl std::fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("base_url", &self.base_url)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .field("api_key_env", &self.api_key_env)
            .field("api_key_file", &self.api_key_file)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("vars", &self.vars)
            .field("models", &self.models)
            .field("like", &self.like)
            .field("credentials", &self.credentials)
            .field("weight", &self.weight)
            .field("data_collection", &self.data_collection)
            .field("zdr", &self.zdr)
            .field("quantization", &self.quantization)
            .finish()
    }
}

/// Price of one model, decimal USD per million tokens as text ("0.15").
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PriceConfig {
    /// Prompt tokens.
    pub input: String,
    /// Completion tokens.
    pub output: String,
    /// Prompt tokens read from the vendor's cache; `input` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<String>,
    /// Prompt tokens written to the vendor's cache; `input` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<String>,
    /// USD per request, beside its tokens; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// USD per image of a prompt, where images are not counted as tokens. Only compared with `max_price.image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// Retries: full jitter between 0 and `min(base * 2^n, max)`, the vendor's Retry-After first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Retries after the first attempt, per target; 2 by default.
    pub max_retries: u32,
    /// Attempts over all targets of a call; 8 by default.
    pub max_attempts: u32,
    /// First backoff, milliseconds; 500 by default.
    pub base_ms: u64,
    /// Longest backoff, milliseconds; 8000 by default.
    pub max_ms: u64,
    /// Longest Retry-After that is waited for before the next target is tried, milliseconds; 60000 by default.
    pub max_retry_after_ms: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig { max_retries: 2, max_attempts: 8, base_ms: 500, max_ms: 8_000, max_retry_after_ms: 60_000 }
    }
}

/// Timeouts, milliseconds. Each error says which one fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutConfig {
    /// Making the connection, TLS included; 10000 by default.
    pub connect_ms: u64,
    /// From the sent request to the response's head; 600000 by default.
    pub response_ms: u64,
    /// Between two pieces of a body; any byte counts; 120000 by default.
    pub idle_ms: u64,
    /// One call, retries and fallbacks included; 600000 by default. A request's `timeout_ms` outranks it.
    pub total_ms: u64,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        TimeoutConfig { connect_ms: 10_000, response_ms: 600_000, idle_ms: 120_000, total_ms: 600_000 }
    }
}

/// Network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Proxy URL, or `system` for the environment's; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// PEM file with further certificate authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// Records kept whole in memory; older ones are folded into sums, which keeps totals exact but loses their times; 4096
    /// by default.
    pub max_records: usize,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        LedgerConfig { max_records: 4096 }
    }
}
