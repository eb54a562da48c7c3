//! One protocol of a backend: how to speak, and where.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::catalog::expand;
use crate::error::{Error, Result};
use crate::secret::without_userinfo;
use crate::types::Quirks;
use crate::wire::{Protocol, bedrock};

/// One protocol of a backend, for chat unless `P` says otherwise.
pub struct Api<P: ?Sized + 'static = dyn Protocol> {
    /// The wire.
    pub protocol: &'static P,
    pub(super) quirks: Quirks,
    pub(super) headers: HeaderMap,
    /// From the provider's header for keys to this protocol's, where it is another.
    pub(super) key_header: Option<(HeaderName, HeaderName)>,
    pub(super) address: Address,
    /// Of a stream, where it is another.
    pub(super) stream: Option<Address>,
    /// AWS region it listens in, which the ARN of a model must name, too.
    pub(super) region: Option<String>,
}

/// Where a call goes.
pub(super) enum Address {
    /// The same for every model.
    Fixed(Arc<url::Url>),
    /// The model stands in it.
    PerModel(String),
}

impl<P: ?Sized> Api<P> {
    /// Declared deviations.
    pub fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    /// Address of a call.
    ///
    /// # Errors
    /// `invalid_request` for a model that cannot stand in an address.
    pub fn url(&self, model: &str, stream: bool) -> Result<Arc<url::Url>> {
        if let Some(region) = &self.region {
            bedrock::check_model(model, region)?;
        }
        match self.stream.as_ref().filter(|_| stream).unwrap_or(&self.address) {
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

impl Address {
    /// From an address whose placeholders are filled, the model's excepted; `id` is the provider's.
    pub fn new(id: &str, text: String) -> Result<Address> {
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
    let shown = without_userinfo(text);
    let url: url::Url =
        text.parse().map_err(|e| Error::invalid_config(&path, format!("`{shown}` is not a URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Error::invalid_config(
            &path,
            format!("`{shown}` must start with http:// or https:// and name a host"),
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid_config(&path, "a credential in the URL would end up in logs; use `api_key`"));
    }
    Ok(url)
}

/// Lays the headers of a provider's row or configuration over those that are there.
pub(super) fn put(headers: &mut HeaderMap, given: &BTreeMap<String, String>, id: &str) -> Result<()> {
    for (name, value) in given {
        let at = || format!("providers.{id}.headers");
        let (name, value) = header(name, value).map_err(|why| Error::invalid_config(at(), why))?;
        headers.insert(name, value);
    }
    Ok(())
}

fn header(name: &str, value: &str) -> std::result::Result<(HeaderName, HeaderValue), String> {
    let parsed: HeaderName = name.parse().map_err(|_| format!("`{name}` is not a header's name"))?;
    let mut value =
        HeaderValue::from_str(value).map_err(|_| format!("the value of `{name}` cannot stand in a header"))?;
    // It may be a credential, whatever its name; HTTP/2 would write it into its logs.
    value.set_sensitive(true);
    Ok((parsed, value))
}
