//! Where a recorded request went and by what headers, against where interfuse sends the same and by which: path, query,
//! host, version, kind of body, and the name of the header that proves who calls.

use std::collections::BTreeSet;

use interfuse::Catalog;
use interfuse::backend::{Endpoints, KeySources};
use interfuse::catalog::ProviderKind;
use interfuse::types::{Config, ProviderConfig};
use serde_json::json;
use url::Url;

use super::Exchange;

/// What became of the address of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Addressed {
    /// It goes where it went, with the same headers.
    Equal,
    /// Another way in is taken there, and why.
    Otherwise(String),
    /// What is different.
    Different(Vec<String>),
}

/// Ways in that interfuse does not take: what the recorded address has, and why another one stands in the catalogue.
const OTHERWISE: &[(&str, &str)] = &[
    (".services.ai.azure.com/models/chat/completions", "Azure's older way to all vendors; the v1 path serves the same"),
    ("anthropic.com/api/v1/messages", "an address that Anthropic's own clients do not use"),
    ("aiplatform.googleapis.com/v1/projects/", "Vertex's older version, which knows fewer fields"),
    ("router.huggingface.co/", "one backend's own path at the router, which takes its name with the model"),
    ("api.cohere.com/compatibility/", "the compatibility layer has a row of its own, under the host its pages name"),
    ("api.novita.ai/v3/openai/", "Novita's older path"),
    ("api.studio.nebius.ai/", "Nebius' older host"),
    ("api.together.xyz/", "Together's older host"),
];

/// Providers of which a wire is another row of the catalogue: provider, wire, row.
const DOORS: &[(&str, &str, &str)] = &[("ollama", "ollama", "ollama-native")];

/// What stands in recorded addresses in place of values that were taken out, and a value of that form.
const MASKED: &[(&str, &str)] = &[
    ("<AWS_REGION>", "us-east-1"),
    ("<aws_region>", "us-east-1"),
    ("<GOOGLE_CLOUD_PROJECT>", "a-project"),
    ("<GOOGLE_CLOUD_LOCATION>", "global"),
];

/// Parts of a query that are no part of the address: a key, which interfuse sends in a header alone; the names of features
/// in use, which are headers too; and a spelling of the answer that one client asks for.
const NOT_COMPARED: &[&str] = &["key", "beta", "$alt"];

/// Headers that are compared, where the recording has them.
const HEADERS: &[&str] = &["content-type", "anthropic-version"];

/// Headers that prove who calls: their values were taken out, their names are compared.
const PROOFS: &[&str] = &["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Compares one; `None` where the recording has no address, or the provider is not in the catalogue.
pub(super) fn compare(exchange: &Exchange, provider: &str, wire: &str, model: &str, stream: bool) -> Option<Addressed> {
    let recorded = MASKED.iter().fold(exchange.url.clone(), |url, (mask, value)| url.replace(mask, value));
    let catalog = Catalog::builtin();
    let door = DOORS.iter().find(|(id, spoken, _)| *id == provider && *spoken == wire);
    let row = catalog.provider(door.map_or(provider, |(.., row)| row)).ok()?;
    if recorded.is_empty() {
        return None;
    }
    // Where the recording has no host, it went to the vendor's own.
    let hosted = recorded.contains("://");
    let went: Url = if hosted { recorded.parse() } else { Url::parse("http://nowhere").ok()?.join(&recorded) }.ok()?;
    if let Some((_, why)) = OTHERWISE.iter().find(|(part, _)| recorded.contains(part)) {
        return Some(Addressed::Otherwise((*why).to_owned()));
    }
    if recorded.ends_with(":streamGenerateContent") {
        return Some(Addressed::Otherwise("a stream that is one list; interfuse asks for events".to_owned()));
    }
    // A deployment stands in the path, whatever the body says.
    let deployment = between(&recorded, "/deployments/", "/");
    let goes = match sent(&row.id, wire, deployment.unwrap_or(model), stream, &recorded) {
        Ok(goes) => goes,
        Err(Unsent::Otherwise(why)) => return Some(Addressed::Otherwise(why)),
        Err(Unsent::Failed(why)) => return Some(Addressed::Different(vec![format!("address: {why}")])),
    };
    let mut different = Vec::new();
    let mut note = |what: &str, wanted: String, seen: String| {
        if wanted != seen {
            different.push(format!("{what}: {wanted} is written as {seen}"));
        }
    };
    note("path", decoded(went.path()), decoded(goes.url.path()));
    note("query", query(&went), query(&goes.url));
    if hosted && row.kind != ProviderKind::Local {
        note("host", host(&went), host(&goes.url));
    }
    let text = |headers: &interfuse::http::HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    for name in HEADERS {
        if let Some(wanted) = text(&exchange.asked, name) {
            note(name, wanted, text(&goes.headers, name).unwrap_or_else(|| "nothing".into()));
        }
    }
    for name in PROOFS.iter().filter(|name| exchange.asked.contains_key(**name)) {
        if !goes.headers.contains_key(*name) {
            different.push(format!("{name}: another header proves who calls"));
        }
    }
    Some(if different.is_empty() { Addressed::Equal } else { Addressed::Different(different) })
}

/// Where interfuse sends a request, and its headers.
struct Sent {
    url: Url,
    headers: interfuse::http::HeaderMap,
}

enum Unsent {
    Otherwise(String),
    Failed(String),
}

fn sent(provider: &str, wire: &str, model: &str, stream: bool, recorded: &str) -> Result<Sent, Unsent> {
    let failed = |why: interfuse::Error| Unsent::Failed(why.to_string());
    let mut given = ProviderConfig { api_key: Some("a-key".to_owned()), ..Default::default() };
    for (name, before, after) in VALUES {
        if let Some(value) = between(recorded, before, after) {
            given.vars.insert((*name).to_owned(), value.to_owned());
        }
    }
    let mut config = Config { use_environment: Some(false), ..Default::default() };
    config.providers.insert(provider.to_owned(), given);
    let endpoints = Endpoints::new(&config, &Catalog::builtin(), KeySources::default()).map_err(failed)?;
    let endpoint = endpoints.get(provider).ok_or_else(|| Unsent::Failed("no such backend".into()))?.map_err(failed)?;
    let api = endpoint.api(model, Some(wire));
    if api.protocol.name() != wire {
        return Err(Unsent::Otherwise(format!("`{wire}` is not spoken there, but {}", api.protocol.name())));
    }
    let url = api.url(model, stream).map_err(failed)?.as_ref().clone();
    Ok(Sent { url, headers: api.headers(None).map_err(failed)? })
}

/// Values of placeholders as they stand in addresses: name, what comes before and what after.
const VALUES: &[(&str, &str, &str)] = &[
    ("resource", "https://", ".openai.azure.com"),
    ("resource", "https://", ".services.ai.azure.com"),
    ("api_version", "api-version=", "&"),
    ("region", "//bedrock-runtime.", "."),
    ("region", "//bedrock-mantle.", "."),
    ("project", "/projects/", "/"),
    ("location", "/locations/", "/"),
];

/// What stands between two texts, up to the end where the second does not come.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    match rest.split_once(after) {
        Some((value, _)) => Some(value),
        None => (after == "&").then_some(rest),
    }
}

/// A path with the two characters of models' ids as they are that may be written as numbers or not.
fn decoded(path: &str) -> String {
    path.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/").replace("%2f", "/")
}

/// Azure's resources have a name under each of two domains.
fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().replace(".services.ai.azure.com", ".openai.azure.com")
}

/// What a query says, in whatever order.
fn query(url: &Url) -> String {
    let pairs = url.query_pairs().filter(|(name, _)| !NOT_COMPARED.contains(&name.as_ref()));
    let pairs: BTreeSet<String> = pairs.map(|(name, value)| json!([name, value]).to_string()).collect();
    pairs.into_iter().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use interfuse::http::HeaderMap;
    use serde_json::Value;

    fn at(url: &str, proof: &'static str) -> Exchange {
        let asked: HeaderMap = [(proof, "x"), ("anthropic-version", "2023-06-01")]
            .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
            .into_iter()
            .collect();
        Exchange {
            name: String::new(),
            url: url.to_owned(),
            asked,
            request: Value::Null,
            status: 200,
            headers: HeaderMap::new(),
            streamed: false,
            body: Vec::new(),
        }
    }

    #[test]
    fn another_path_query_host_or_header_is_seen() {
        let told = |url: &str, proof| match compare(&at(url, proof), "anthropic", "anthropic", "claude-x", false) {
            Some(Addressed::Different(what)) => what.iter().map(|w| w.split(':').next().unwrap().to_owned()).collect(),
            other => vec![format!("{other:?}")],
        };
        assert_eq!(told("https://api.anthropic.com/v1/messages?beta=true", "x-api-key"), ["Some(Equal)"]);
        assert_eq!(told("/v1/messages", "x-api-key"), ["Some(Equal)"]);
        assert_eq!(told("https://api.anthropic.com/v2/messages", "x-api-key"), ["path"]);
        assert_eq!(told("https://api.anthropic.com/v1/messages?a=b", "x-api-key"), ["query"]);
        assert_eq!(told("https://example.com/v1/messages", "x-api-key"), ["host"]);
        assert_eq!(told("https://api.anthropic.com/v1/messages", "authorization"), ["authorization"]);
        assert_eq!(told("", "x-api-key"), ["None"]);
    }
}
