//! Bodies of requests to vendors whose words are not OpenAI's: what the wire says, then what the caller and the
//! provider's row say in the vendor's own words. The caller's words win, the row's give way.

use serde::Serialize;
use serde_json::Value;

use super::{WireTarget, fields};
use crate::error::{Error, Result};
use crate::types::{ChatRequest, Content, ContentPart, Extra};

/// A JSON object being written; values go into the text as they are given, with no tree in between.
#[derive(Debug)]
pub struct Body<'a> {
    request: &'a ChatRequest,
    target: &'a WireTarget<'a>,
    text: Vec<u8>,
    written: Vec<String>,
}

impl<'a> Body<'a> {
    /// An empty one.
    pub fn new(request: &'a ChatRequest, target: &'a WireTarget<'a>) -> Self {
        let mut text = Vec::with_capacity(room(request));
        text.push(b'{');
        Body { request, target, text, written: Vec::new() }
    }

    /// Writes a field, unless the row leaves it out or the caller says it in the vendor's words.
    ///
    /// # Errors
    /// `invalid_request` when the value cannot be written as JSON.
    pub fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        let quirks = self.target.quirks;
        let name = quirks.rename.get(name).map_or(name, String::as_str);
        if self.said(name).next().is_some() || quirks.drop.iter().any(|d| d == name) {
            return Ok(());
        }
        self.write(name, value)
    }

    /// Writes a field that has OpenAI's name, but another form: what the caller says of it in OpenAI's words is what was put
    /// into this form, so that only `extra_body` wins.
    ///
    /// # Errors
    /// As for [`Body::put`].
    pub fn translated<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        let said = self.request.extra_body.as_ref().is_some_and(|b| b.contains_key(name));
        if said || self.target.quirks.drop.iter().any(|d| d == name) {
            return Ok(());
        }
        self.write(name, value)
    }

    /// Writes an object whose fields the row, the wire and the caller say together; nothing when it is empty.
    ///
    /// # Errors
    /// `invalid_request` when the caller says something that is no object.
    pub fn merge(&mut self, name: &str, ours: Extra) -> Result<()> {
        let mut all = match self.target.quirks.set.get(name) {
            Some(Value::Object(set)) => set.clone(),
            _ => Extra::new(),
        };
        all.extend(ours);
        for said in self.said(name) {
            let Value::Object(said) = said else {
                return Err(self
                    .target
                    .at(Error::invalid_request(format!("`{name}` must be an object")))
                    .with_param(name));
            };
            all.extend(said.clone());
        }
        if all.is_empty() { Ok(()) } else { self.write(name, &all) }
    }

    /// Adds what the caller and the row say themselves, and gives the text. `taken` are fields of the request that the
    /// wire has put into its own words, or left out.
    ///
    /// # Errors
    /// As for [`Body::put`].
    pub fn finish(mut self, taken: impl Fn(&str) -> bool) -> Result<Vec<u8>> {
        let request = self.request;
        for (name, value) in request.extra_body.iter().flatten() {
            self.add(name, value)?;
        }
        for (name, value) in request.extra.iter().filter(|(name, _)| !taken(name)) {
            self.add(name, value)?;
        }
        for (name, value) in fields::preset(request, self.target) {
            self.add(name, value)?;
        }
        self.text.push(b'}');
        Ok(self.text)
    }

    /// What the caller says under this name, weakest first.
    fn said(&self, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let request = self.request;
        [request.extra.get(name), request.extra_body.as_ref().and_then(|b| b.get(name))].into_iter().flatten()
    }

    fn add(&mut self, name: &str, value: &Value) -> Result<()> {
        if self.written.iter().any(|w| w == name) { Ok(()) } else { self.write(name, value) }
    }

    fn write<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        let written = serde_json::to_writer(&mut self.text, name).and_then(|()| {
            self.text.push(b':');
            serde_json::to_writer(&mut self.text, value)
        });
        self.written.push(name.to_owned());
        written.map_err(|e| {
            self.target
                .at(Error::invalid_request(format!("the request cannot be written as JSON: {e}")).with_param(name))
        })
    }
}

/// Bytes that a body will mostly need, so that one with images is not moved as it grows. Close to what is needed: glibc
/// tidies its whole heap before it gives a kilobyte or more.
pub fn room(request: &ChatRequest) -> usize {
    let content = |content: &Content| match content {
        Content::Text(text) => text.len(),
        Content::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                ContentPart::Text(text) => text.text.len(),
                ContentPart::Image(image) => image.image_url.url.len(),
                ContentPart::Other(_) => 0,
            })
            .sum(),
    };
    request.messages.iter().map(|m| 48 + m.content.as_ref().map_or(0, content)).sum::<usize>() + 256
}
