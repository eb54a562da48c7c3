//! One row per provider: where it listens, which key it takes, how it deviates. Format: `core/data/providers.toml`.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::types::Quirks;

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
    /// Path of the list of models, or a whole URL.
    #[serde(default)]
    pub models_path: Option<String>,
    /// Header that carries the key.
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
    /// Variables for each placeholder of the base URL, in order of precedence.
    #[serde(default)]
    pub vars: BTreeMap<String, Vec<String>>,
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

/// Header that carries the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Its name.
    pub header: String,
    /// Word before the key; empty: the key alone.
    pub scheme: String,
}

impl Default for Auth {
    fn default() -> Self {
        Auth { header: "Authorization".to_owned(), scheme: "Bearer".to_owned() }
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
            models_path: Some("/models".to_owned()),
            auth: Auth::default(),
            key_vars: Vec::new(),
            key_optional: true,
            base_url_vars: Vec::new(),
            base_path: None,
            vars: BTreeMap::new(),
            any_model: true,
            own_suffixes: false,
            docs: None,
            quirks: Quirks::default(),
        }
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

    /// The base URL with its placeholders filled, `{model}` excepted. `given` is used as it is; otherwise the first set
    /// variable of `base_url_vars` (completed by scheme, port and `base_path` where it is a bare host), otherwise the
    /// row's. Placeholders come from `values`, then from the variables in `vars`.
    ///
    /// # Errors
    /// `invalid_config` naming the placeholder without a usable value and the variables that may hold it.
    pub fn base_url(&self, given: Option<&str>, values: &BTreeMap<String, String>, env: Env) -> Result<String> {
        let from_env = || self.base_url_vars.iter().find_map(|var| env(var).filter(|v| !v.trim().is_empty()));
        let template = match given {
            Some(url) => url.trim().trim_end_matches('/').to_owned(),
            None => from_env().map_or_else(|| self.base_url.clone(), |host| self.complete(&host)),
        };
        self.fill(&template, values, env)
    }

    /// Address of a chat call to `model`.
    ///
    /// # Errors
    /// `invalid_request` when the model's name stands in the path and cannot.
    pub fn chat_url(&self, base_url: &str, model: &str) -> Result<String> {
        if !base_url.contains("{model}") {
            return Ok(format!("{base_url}{}", self.chat_path));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if !model.chars().all(plain) || model.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(Error::invalid_request(format!(
                "{} puts the model's name in the address; `{model}` is not a repository id like `owner/name`",
                self.name
            ))
            .with_param("model"));
        }
        Ok(format!("{}{}", base_url.replace("{model}", model), self.chat_path))
    }

    /// Address of the list of models, where there is one.
    pub fn models_url(&self, base_url: &str) -> Option<String> {
        let path = self.models_path.as_deref()?;
        if path.contains("://") {
            return Some(path.to_owned());
        }
        Some(format!("{base_url}{path}"))
    }

    /// Completes an address such as `gpu-box`, `0.0.0.0:11434` or `https://name.openai.azure.com/`.
    fn complete(&self, host: &str) -> String {
        let host = host.trim();
        let host = host.split(['?', '#']).next().unwrap_or(host).trim_end_matches('/');
        let (scheme, rest, bare) = match host.split_once("://") {
            Some((scheme, rest)) => (scheme, rest, false),
            None => (self.base_url.split("://").next().unwrap_or("https"), host, true),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        // "All interfaces" is an address to listen on, not one to call.
        let mut authority = authority.replace("0.0.0.0", "127.0.0.1");
        if bare && !authority.contains(':') {
            let own = self.base_url.split("://").nth(1).and_then(|r| r.split('/').next()).unwrap_or_default();
            if let Some((_, port)) = own.rsplit_once(':') {
                authority = format!("{authority}:{port}");
            }
        }
        let path = match self.base_path.as_deref() {
            Some(full) if full.strip_prefix(path).is_some_and(|r| r.is_empty() || r.starts_with('/')) => full,
            _ => path,
        };
        format!("{scheme}://{authority}{path}")
    }

    fn fill(&self, template: &str, values: &BTreeMap<String, String>, env: Env) -> Result<String> {
        let mut url = template.to_owned();
        for name in placeholders(template).filter(|name| *name != "model") {
            let vars = self.vars.get(name).map_or(&[][..], Vec::as_slice);
            let path = || format!("providers.{}.vars.{name}", self.id);
            let value = values.get(name).cloned().or_else(|| vars.iter().find_map(|v| env(v)));
            let value = value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).ok_or_else(|| {
                let or =
                    if vars.is_empty() { String::new() } else { format!(" or the variable {}", vars.join(" or ")) };
                Error::invalid_config(path(), format!("{} needs a {name}: set it here{or}", self.name))
            })?;
            // Anything else could turn the address into another host's.
            if !value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                return Err(Error::invalid_config(path(), "only letters, digits, `-`, `_` and `.` can stand here"));
            }
            url = url.replace(&format!("{{{name}}}"), &value);
        }
        Ok(url)
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
        if let Some(name) = placeholders(&self.base_url).find(|n| *n != "model" && !self.vars.contains_key(*n)) {
            return fault("vars", &format!("the base URL's placeholder {{{name}}} is missing here"));
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

/// Names in braces.
fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    as_of: String,
    #[serde(default)]
    without_wire: Vec<String>,
    provider: Vec<Provider>,
}

/// All providers, found by any of their names.
#[derive(Debug, Clone)]
pub struct Providers {
    rows: Vec<Provider>,
    by_name: HashMap<String, usize>,
    without_wire: Vec<String>,
    as_of: String,
}

impl Providers {
    /// Parses a document in the format of `providers.toml`.
    ///
    /// # Errors
    /// `invalid_config` naming row and field.
    pub fn parse(text: &str) -> Result<Providers> {
        // Only a faulty document pays for knowing where.
        let document: Document = toml::from_str(text).map_err(|e| located(text, &e))?;
        if document.schema != 1 {
            let why = format!("schema {} is unknown, this version reads schema 1", document.schema);
            return Err(Error::invalid_config("providers.toml", why));
        }
        Providers::index(document.provider, document.without_wire, document.as_of)
    }

    /// With one more row; one of the same id is replaced.
    pub(super) fn with(&self, row: Provider) -> Result<Providers> {
        let mut rows: Vec<Provider> = self.rows.iter().filter(|r| r.id != row.id).cloned().collect();
        rows.push(row);
        Providers::index(rows, self.without_wire.clone(), self.as_of.clone())
    }

    fn index(rows: Vec<Provider>, without_wire: Vec<String>, as_of: String) -> Result<Providers> {
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
        Ok(Providers { rows, by_name, without_wire, as_of })
    }

    /// By id or alias, in any letter case.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.by_name.get(&name.to_lowercase()).map(|at| &self.rows[*at])
    }

    /// All rows, in the document's order.
    pub fn rows(&self) -> &[Provider] {
        &self.rows
    }

    /// Whether this is a provider that models name and that has no row, because its wire is not written yet.
    pub fn lacks_wire(&self, name: &str) -> bool {
        self.without_wire.iter().any(|n| n.eq_ignore_ascii_case(name))
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

/// The fault of a document with the row's id in its path (`provider[3].kind`), where a second look finds it.
fn located(text: &str, fault: &toml::de::Error) -> Error {
    let path = || {
        let de = toml::Deserializer::parse(text).ok()?;
        let path = serde_path_to_error::deserialize::<_, Document>(de).err()?.path().to_string();
        let id = || {
            let number: usize = path.strip_prefix("provider[")?.split(']').next()?.parse().ok()?;
            let table: toml::Table = text.parse().ok()?;
            let id = table.get("provider")?.get(number)?.get("id")?.as_str()?.to_owned();
            Some(path.replacen(&format!("provider[{number}]"), &format!("providers.{id}"), 1))
        };
        Some(id().unwrap_or_else(|| path.clone()))
    };
    match path() {
        Some(path) => Error::invalid_config(path, fault.message()),
        None => Error::invalid_config("providers.toml", fault),
    }
}

#[cfg(test)]
#[path = "providers_tests.rs"]
mod tests;
