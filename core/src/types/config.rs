//! The one configuration document. Never read implicitly; unknown fields are refused with their JSON path.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use super::{BudgetConfig, DataCollection, FusionOptions, Price, Quantization, RoutingConfig, Tags, TimeoutConfig};
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
    /// What holds for all fusions.
    #[serde(default)]
    pub fusion: FusionConfig,
    /// Prices that outrank every list's, by `provider/model` as sent: rows as in the catalogue, decimal texts in USD per
    /// million tokens or, where the name says so, per thousand.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, Price>,
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
    /// Limits to what may be spent, by name. A request's `max_cost_usd` is one more, for that call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub budgets: BTreeMap<String, BudgetConfig>,
    /// Keeps answers and gives them again to requests that are the same; none by default. A request's `cache` outranks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheConfig>,
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
        super::from_value("configuration", &super::toml_value(text)?)
    }
}

/// What holds for all fusions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// A file that keeps what is learnt from feedback, shared by all clients and processes that name it: each adds to it under a
    /// lock (a file beside it), so that none loses another's. Its folder must be there. Without one it is gone with the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
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
    /// Several keys in place of one: calls are shared among them by weight; one that is refused or busy leaves the call to
    /// the next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyConfig>,
    /// How much may be asked of this backend, whatever the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitConfig>,
    /// Share of the requests that it gets under the policy `weighted`, relative to the others'; 1 by default, 0: only when
    /// the others fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// `deny`: it does not collect what it is sent, as you have agreed with it; `allow`: it may. Unknown by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<DataCollection>,
    /// Whether it retains nothing (zero data retention), as you have agreed with it; unknown by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zdr: Option<bool>,
    /// Precision of its weights, where the catalogue does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
}

/// One key of several.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// How attempts and reports call it; never the key itself.
    pub name: String,
    /// The key itself; never written back out.
    #[serde(default, skip_serializing)]
    pub api_key: Option<String>,
    /// Name of the variable that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// File that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<String>,
    /// Share of the calls, beside the other keys' weights; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// How much may be asked with this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitConfig>,
}

impl std::fmt::Debug for KeyConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyConfig")
            .field("name", &self.name)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .field("api_key_env", &self.api_key_env)
            .field("api_key_file", &self.api_key_file)
            .field("weight", &self.weight)
            .field("limits", &self.limits)
            .finish()
    }
}

/// How much may be asked of a key or of a backend; what is not given is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Requests per minute; a minute's worth may go at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU64>,
    /// Tokens per minute, prompt and answer together, estimated before the call and corrected after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Calls under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
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
            keys,
            limits,
            weight,
            data_collection,
            zdr,
            quantization,
        } = over;
        if api_key.is_some() || api_key_env.is_some() || api_key_file.is_some() || !keys.is_empty() {
            // Other keys replace those that are there, wherever they stand.
            (self.api_key, self.api_key_env, self.api_key_file) = (api_key, api_key_env, api_key_file);
            self.keys = keys;
        }
        self.limits = limits.or(self.limits.take());
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
            .field("keys", &self.keys)
            .field("limits", &self.limits)
            .field("weight", &self.weight)
            .field("data_collection", &self.data_collection)
            .field("zdr", &self.zdr)
            .field("quantization", &self.quantization)
            .finish()
    }
}

/// Retries: full jitter between 0 and `min(base * 2^n, max)`, the vendor's Retry-After first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Retries after the first attempt, per target; 1 by default.
    pub max_retries: u32,
    /// Attempts over all targets of a call, of whatever kind; 4 by default. A request's own `max_retries` may raise it.
    pub max_attempts: u32,
    /// First backoff, milliseconds; 500 by default.
    pub base_ms: u64,
    /// Longest backoff, milliseconds; 8000 by default.
    pub max_ms: u64,
    /// Longest wait of a call for what vendors ask by Retry-After, all waits together, before the next target is tried,
    /// milliseconds; 60000 by default.
    pub max_retry_after_ms: u64,
    /// Whether a request that the vendor may have seen, and may bill, is made again; true by default. What it cost is then
    /// unknown. False: only what never left this machine, or what the vendor refused, is made again.
    pub uncertain: bool,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            max_retries: 1,
            max_attempts: 4,
            base_ms: 500,
            max_ms: 8_000,
            max_retry_after_ms: 60_000,
            uncertain: true,
        }
    }
}

/// Network.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
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

impl std::fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let proxy = self.proxy.as_deref().map(crate::secret::without_userinfo);
        f.debug_struct("NetworkConfig").field("proxy", &proxy).field("ca_file", &self.ca_file).finish()
    }
}

/// Ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// A file for the records, opened when the client is made and made where there is none; its folder must be there, on a
    /// disk of this machine. Any number of clients and processes may share it. Without a path the ledger lives in memory and
    /// ends with the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of a ledger in memory: records kept whole; older ones are folded into sums, which keeps totals exact but loses their times; 4096
    /// by default.
    pub max_records: usize,
    /// Who is billed by whom, by provider; for exports.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub billing: BTreeMap<String, BillingConfig>,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        LedgerConfig { path: None, max_records: 4096, billing: BTreeMap::new() }
    }
}

/// The account that a provider bills, as its own invoices and reports call it, so that rows can be joined with them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BillingConfig {
    /// Id of the account or organization; the key's name by default, where it has one, else the provider's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    /// Id of the vendor's project, workspace or resource group that the calls belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_account_id: Option<String>,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_account_name: Option<String>,
    /// What it is called there (`Project`, `Workspace`, `Resource Group`); `Project` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_account_type: Option<String>,
    /// Who writes the invoice; the provider by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice_issuer: Option<String>,
}

/// Answers kept in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// How long an answer is given again, milliseconds; 300000 by default.
    pub ttl_ms: u64,
    /// Sum of the answers' sizes as JSON, bytes; 64 MiB by default.
    pub max_bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig { ttl_ms: 300_000, max_bytes: 64 << 20 }
    }
}
