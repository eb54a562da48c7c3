//! Addresses from a provider's templates: placeholders, hosts as people write them, models in paths.

use std::collections::BTreeMap;

use super::providers::{Env, Provider};
use crate::error::{Error, Result};

impl Provider {
    /// The values of this row's placeholders: from `given`, then from the variables in `vars`, then from `values`; and
    /// those that follow from others (`derived`). One without a value is left out.
    ///
    /// # Errors
    /// `invalid_config` for a value that could turn an address into another host's.
    pub fn values(&self, given: &BTreeMap<String, String>, env: Env<'_>) -> Result<BTreeMap<String, String>> {
        let mut values = self.values.clone();
        for (name, vars) in &self.vars {
            let value = given.get(name).cloned().or_else(|| vars.iter().find_map(|v| env(v)));
            if let Some(value) = value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()) {
                if !value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                    let at = format!("providers.{}.vars.{name}", self.id);
                    return Err(Error::invalid_config(at, "only letters, digits, `-`, `_` and `.` can stand here"));
                }
                values.insert(name.clone(), value);
            }
        }
        for (name, derived) in &self.derived {
            if let Some(from) = values.get(&derived.from) {
                let value = derived.cases.get(from).unwrap_or(&derived.other);
                let value = value.replace(&format!("{{{}}}", derived.from), from);
                values.insert(name.clone(), value);
            }
        }
        Ok(values)
    }

    /// The base URL, placeholders still in it. `given` is used as it is, unless `base_cut` says that people write this
    /// vendor's addresses in many ways; otherwise the first set variable of `base_url_vars` (completed by scheme, port and
    /// `base_path` where it is a bare host), otherwise the row's.
    pub fn base_url(&self, given: Option<&str>, env: Env<'_>) -> String {
        let from_env = || self.base_url_vars.iter().find_map(|var| env(var).filter(|v| !v.trim().is_empty()));
        match given {
            Some(url) if self.base_cut.is_empty() => url.trim().trim_end_matches('/').to_owned(),
            Some(url) => self.complete(url),
            None => from_env().map_or_else(|| self.base_url.clone(), |host| self.complete(&host)),
        }
    }

    /// `template` with its placeholders filled, `{model}` and `{+model}` excepted.
    ///
    /// # Errors
    /// `invalid_config` naming the placeholder without a value and the variables that may hold it.
    pub fn fill(&self, template: &str, values: &BTreeMap<String, String>) -> Result<String> {
        let mut url = template.to_owned();
        for name in placeholders(template).filter(|name| !is_model(name)) {
            let value = values.get(name).ok_or_else(|| self.missing_value(name))?;
            url = url.replace(&format!("{{{name}}}"), value);
        }
        Ok(url)
    }

    fn missing_value(&self, name: &str) -> Error {
        let name = self.derived.get(name).map_or(name, |d| d.from.as_str());
        let vars = self.vars.get(name).map_or(&[][..], Vec::as_slice);
        let or = if vars.is_empty() { String::new() } else { format!(" or the variable {}", vars.join(" or ")) };
        let path = format!("providers.{}.vars.{name}", self.id);
        Error::invalid_config(path, format!("{} needs a {name}: set it here{or}", self.name))
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
        let path = self.base_cut.iter().find_map(|cut| path.find(cut.as_str())).map_or(path, |at| &path[..at]);
        let path = match self.base_path.as_deref() {
            Some(full) if full.strip_prefix(path).is_some_and(|r| r.is_empty() || r.starts_with('/')) => {
                full.to_owned()
            }
            // A gateway's own path in front of the vendor's.
            Some(full) if !self.base_cut.is_empty() => format!("{path}{full}"),
            _ => path.to_owned(),
        };
        format!("{scheme}://{authority}{path}")
    }
}

/// An address of a call, the model put where the template wants it: `{model}` as one segment (everything but letters,
/// digits and `-._~` percent-encoded), `{+model}` with `/`, `:` and `@` kept (notation of RFC 6570).
///
/// # Errors
/// `invalid_request` for a model whose name would lead elsewhere in the tree of paths.
pub fn expand(template: &str, model: &str) -> Result<String> {
    let fault = |why: &str| {
        let why = format!("the model's name stands in the address there; `{model}` {why}");
        Err(Error::invalid_request(why).with_param("model"))
    };
    let kept = template.contains("{+model}");
    if model.is_empty() || model.chars().any(|c| c.is_control() || c == ' ') {
        return fault("is empty or holds blanks");
    }
    if model.split('/').any(|part| part.starts_with('.') || (kept && part.is_empty())) {
        return fault("has a part that is empty or begins with a dot");
    }
    if kept && model.contains(['?', '#', '%', '\\']) {
        return fault("is not an id like `owner/name`");
    }
    Ok(template.replace("{+model}", &encode(model, b"-._~/:@")).replace("{model}", &encode(model, b"-._~")))
}

fn encode(text: &str, plain: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Names in braces.
pub(super) fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// Whether a placeholder stands for the model.
pub(super) fn is_model(name: &str) -> bool {
    matches!(name, "model" | "+model")
}
