//! One row per provider: where it listens, which key it takes, how it deviates. Format: `core/data/providers.toml`.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::address::{is_model, placeholders};
use super::embeddings::EmbeddingApi;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::types::{Quirks, place, toml_value, unplaced};

/// Looks up an environment variable; the caller decides whether the environment is read at all.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The name in requests, records and reports.
    pub id: String,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Name for people.
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
    /// Whether it can be relied on.
    #[serde(default)]
    pub status: ProviderStatus,
    /// Why the status is not plain.
    #[serde(default)]
    pub status_note: Option<String>,
    /// Protocol it speaks: a name of the wire's table (`openai-chat`).
    pub wire: String,
    /// Base URL, possibly with `{placeholders}`.
    pub base_url: String,
    /// Path of chat completions after the base URL.
    #[serde(default = "chat_path")]
    pub chat_path: String,
    /// Path of a streamed chat, where it is another.
    #[serde(default)]
    pub stream_path: Option<String>,
    /// Headers of every request that the vendor wants beside the key.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Further protocols it speaks, for some of its models or in some set-ups.
    #[serde(default)]
    pub api: Vec<Api>,
    /// How it embeds, where it does: for some of its models, or all.
    #[serde(default)]
    pub embeddings: Vec<EmbeddingApi>,
    /// Path of the list of models, or a whole URL.
    #[serde(default)]
    pub models_path: Option<String>,
    /// How a call proves who makes it.
    #[serde(default)]
    pub auth: Auth,
    /// Variables its key may stand in, in order of precedence.
    pub key_vars: Vec<String>,
    /// Works without a key.
    #[serde(default)]
    pub key_optional: bool,
    /// Variables that may hold another base URL, in order of precedence.
    #[serde(default)]
    pub base_url_vars: Vec<String>,
    /// Path given to an address from `base_url_vars` that has none.
    #[serde(default)]
    pub base_path: Option<String>,
    /// People write this vendor's addresses in many ways: their path is cut off where one of these begins.
    #[serde(default)]
    pub base_cut: Vec<String>,
    /// Variables for each placeholder of base URL and paths, in order of precedence.
    #[serde(default)]
    pub vars: BTreeMap<String, Vec<String>>,
    /// Values of placeholders that nobody sets.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Placeholders whose value follows from another's.
    #[serde(default)]
    pub derived: BTreeMap<String, Derived>,
    /// Takes model names the catalogue does not list for it.
    #[serde(default)]
    pub any_model: bool,
    /// Understands `model:suffix` itself, so suffixes are passed on.
    #[serde(default)]
    pub own_suffixes: bool,
    /// Where the vendor documents it.
    #[serde(default)]
    pub docs: Option<String>,
    /// Declared deviations.
    #[serde(default)]
    pub quirks: Quirks,
}

fn chat_path() -> String {
    "/chat/completions".to_owned()
}

/// One more protocol of a provider, beside its main one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Protocol: a name of the wire's table. The catalogue's models may ask for it by this name.
    pub wire: String,
    /// Ids (as sent) of the models that need it; `*` stands for any text. The first match wins.
    #[serde(default)]
    pub models: Vec<String>,
    /// Taken only, and then for all models, where this placeholder has a value.
    #[serde(default)]
    pub when: Option<String>,
    /// Base URL, where it is another; never another vendor's.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Path of chat completions after the base URL.
    #[serde(default = "chat_path")]
    pub chat_path: String,
    /// Path of a streamed chat, where it is another.
    #[serde(default)]
    pub stream_path: Option<String>,
    /// Headers beside the provider's own.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Header that carries a key, where it is not the provider's.
    #[serde(default)]
    pub key_header: Option<String>,
    /// Declared deviations.
    #[serde(default)]
    pub quirks: Quirks,
}

impl Api {
    /// Whether a model needs this protocol.
    pub fn serves(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| matches(pattern, model))
    }
}

/// Whether `text` has the form of `pattern`, in which `*` stands for any text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(tail) = text.strip_prefix(head) else { return false };
    rest.is_empty() || tail.char_indices().any(|(at, _)| matches(rest, &tail[at..]))
}

/// A placeholder's value that follows from another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The other placeholder.
    pub from: String,
    /// Its values, and what follows.
    #[serde(default)]
    pub cases: BTreeMap<String, String>,
    /// What follows from any other value, which may stand in it in braces.
    pub other: String,
}

/// What a provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Runs models.
    Cloud,
    /// Passes requests on to others.
    Aggregator,
    /// A server of the user's own, here or elsewhere: it calls its models what it likes, so names go out as written.
    Local,
}

/// Whether a provider can be relied on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderStatus {
    /// In service.
    #[default]
    Active,
    /// Reported closed or closing; not confirmed.
    Uncertain,
    /// The vendor does not mean it for production.
    Test,
}

/// How a call proves who makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Header that carries a key.
    pub header: String,
    /// Word before the key; empty: the key alone.
    pub scheme: String,
    /// What else than a key is accepted, where none is set.
    pub identity: Option<Identity>,
}

/// Proof of who calls that is made or fetched, not typed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Identity {
    /// Requests signed with AWS Signature Version 4.
    Aws {
        /// Name of the service in the signature's scope.
        service: String,
    },
    /// Access tokens of Google Cloud (application default credentials).
    Google {
        /// OAuth scope.
        scope: String,
    },
    /// Access tokens of Microsoft Entra ID.
    Entra {
        /// OAuth scope.
        scope: String,
    },
}

impl Default for Auth {
    fn default() -> Self {
        Auth { header: "Authorization".to_owned(), scheme: "Bearer".to_owned(), identity: None }
    }
}

impl Provider {
    /// A server of one's own that speaks OpenAI's chat wire; nothing else is known of it.
    pub fn own(id: &str, base_url: &str) -> Provider {
        Provider {
            id: id.to_owned(),
            aliases: Vec::new(),
            name: id.to_owned(),
            kind: ProviderKind::Local,
            status: ProviderStatus::Active,
            status_note: None,
            wire: "openai-chat".to_owned(),
            base_url: base_url.trim_end_matches('/').to_owned(),
            chat_path: chat_path(),
            stream_path: None,
            headers: BTreeMap::new(),
            api: Vec::new(),
            embeddings: vec![EmbeddingApi::openai()],
            models_path: Some("/models".to_owned()),
            auth: Auth::default(),
            key_vars: Vec::new(),
            key_optional: true,
            base_url_vars: Vec::new(),
            base_path: None,
            base_cut: Vec::new(),
            vars: BTreeMap::new(),
            values: BTreeMap::new(),
            derived: BTreeMap::new(),
            any_model: true,
            own_suffixes: false,
            docs: None,
            quirks: Quirks::default(),
        }
    }

    /// A server of one's own that behaves as `other` does: its protocols, paths and deviations, not its keys.
    pub fn like(id: &str, base_url: &str, other: &Provider) -> Provider {
        Provider {
            wire: other.wire.clone(),
            chat_path: other.chat_path.clone(),
            stream_path: other.stream_path.clone(),
            headers: other.headers.clone(),
            api: other.api.clone(),
            embeddings: other.embeddings.clone(),
            auth: other.auth.clone(),
            vars: other.vars.clone(),
            values: other.values.clone(),
            derived: other.derived.clone(),
            quirks: other.quirks.clone(),
            ..Provider::own(id, base_url)
        }
    }

    /// Whether it has an API of this protocol.
    pub fn speaks(&self, wire: &str) -> bool {
        self.wire == wire || self.api.iter().any(|api| api.wire == wire)
    }

    /// The first key variable that is set, and its value.
    pub fn key(&self, env: Env) -> Option<(&str, Secret)> {
        self.key_vars.iter().find_map(|var| {
            let value = env(var).filter(|v| !v.trim().is_empty())?;
            Some((var.as_str(), Secret::new(value)))
        })
    }

    /// The error for a call without a key: which variable to set.
    pub fn missing_key(&self) -> Error {
        let own = format!("`providers.{}.api_key` of the configuration", self.id);
        let how = match self.key_vars.split_first() {
            None => format!("set {own}"),
            Some((first, [])) => format!("set the variable {first} or {own}"),
            Some((first, rest)) => format!("set the variable {first} (or {}) or {own}", rest.join(", ")),
        };
        Error::new(ErrorKind::Authentication, format!("no key for {}: {how}", self.name)).with_provider(&self.id)
    }

    fn validate(&self) -> Result<()> {
        let fault = |field: &str, why: &str| Err(Error::invalid_config(format!("providers.{}.{field}", self.id), why));
        if self.id.is_empty() || self.id.contains(['/', ':', ' ']) {
            return fault("id", "an id is not empty and has no `/`, `:` or space");
        }
        if let Some(alias) = self.aliases.iter().find(|a| a.is_empty() || a.contains(['/', ':', ' '])) {
            return fault("aliases", &format!("`{alias}`: an alias is not empty and has no `/`, `:` or space"));
        }
        if !self.base_url.starts_with("https://") && !self.base_url.starts_with("http://") {
            return fault("base_url", "must start with https:// or http://");
        }
        let paths = self.api.iter().flat_map(|a| [a.base_url.as_ref(), Some(&a.chat_path), a.stream_path.as_ref()]);
        let own = [Some(&self.base_url), Some(&self.chat_path), self.stream_path.as_ref()];
        let embeddings = self.embeddings.iter().flat_map(|e| [e.base_url.as_ref(), Some(&e.path)]);
        let known = |n: &str| is_model(n) || self.vars.contains_key(n) || self.derived.contains_key(n);
        for template in own.into_iter().chain(paths).chain(embeddings).flatten() {
            if let Some(name) = placeholders(template).find(|n| !known(n)) {
                return fault("vars", &format!("the placeholder {{{name}}} of `{template}` is missing here"));
            }
        }
        let vars = self.key_vars.iter().chain(&self.base_url_vars).chain(self.vars.values().flatten());
        for var in vars {
            let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if var.is_empty() || !var.chars().all(plain) {
                return fault("key_vars", &format!("`{var}` is not the name of a variable"));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    as_of: String,
    provider: Vec<Provider>,
}

/// All providers, found by any of their names.
#[derive(Debug, Clone)]
pub struct Providers {
    rows: Vec<Provider>,
    by_name: HashMap<String, usize>,
    as_of: String,
}

impl Providers {
    /// Parses a document in the format of `providers.toml`.
    ///
    /// # Errors
    /// `invalid_config` naming row and field.
    pub fn parse(text: &str) -> Result<Providers> {
        let text = toml_value(text)?.to_string();
        let document: Document = place::read(&text).map_err(|e| located(&text, &e.path, &unplaced(&e.why)))?;
        if document.schema != 1 {
            let why = format!("schema {} is unknown, this version reads schema 1", document.schema);
            return Err(Error::invalid_config("providers.toml", why));
        }
        Providers::index(document.provider, document.as_of)
    }

    /// With one more row; one of the same id is replaced.
    pub(super) fn with(&self, row: Provider) -> Result<Providers> {
        let mut rows: Vec<Provider> = self.rows.iter().filter(|r| r.id != row.id).cloned().collect();
        rows.push(row);
        Providers::index(rows, self.as_of.clone())
    }

    fn index(rows: Vec<Provider>, as_of: String) -> Result<Providers> {
        let mut by_name = HashMap::with_capacity(rows.len() * 2);
        for (at, row) in rows.iter().enumerate() {
            row.validate()?;
            for name in std::iter::once(&row.id).chain(&row.aliases) {
                if let Some(other) = by_name.insert(name.to_lowercase(), at) {
                    let why = format!("the name `{name}` belongs to provider `{}` already", rows[other].id);
                    return Err(Error::invalid_config(format!("providers.{}", row.id), why));
                }
            }
        }
        Ok(Providers { rows, by_name, as_of })
    }

    /// By id or alias, in any letter case.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.by_name.get(&name.to_lowercase()).map(|at| &self.rows[*at])
    }

    /// All rows, in the document's order.
    pub fn rows(&self) -> &[Provider] {
        &self.rows
    }

    /// Every id and alias.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().flat_map(|row| std::iter::once(row.id.as_str()).chain(row.aliases.iter().map(String::as_str)))
    }

    /// Date of the facts.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }
}

/// The fault of a document, with the row's id in its path in place of the row's number (`provider[3].kind`).
fn located(document: &str, path: &str, fault: &str) -> Error {
    let row = || {
        let number: usize = path.strip_prefix("provider[")?.split(']').next()?.parse().ok()?;
        let document: serde_json::Value = serde_json::from_str(document).ok()?;
        let id = document["provider"][number]["id"].as_str()?;
        Some(path.replacen(&format!("provider[{number}]"), &format!("providers.{id}"), 1))
    };
    let path = row().unwrap_or_else(|| if path == "." { "providers.toml" } else { path }.to_owned());
    Error::invalid_config(path, fault)
}

#[cfg(test)]
#[path = "providers_tests.rs"]
mod tests;
