//! Google's contents: turns of parts, borrowed from the request and written from there.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::types::Extra;

/// One turn.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    pub parts: Vec<Part<'a>>,
}

/// A piece of a turn.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub what: What<'a>,
    /// Signature of the thoughts that led to it.
    pub signature: Option<&'a str>,
}

#[derive(Debug)]
pub(super) enum What<'a> {
    Text(Cow<'a, str>),
    InlineData(Blob<'a>),
    FileData(File<'a>),
    FunctionCall(Call<'a>),
    FunctionResponse(Answer<'a>),
    /// A part as Google sent it, or as the caller wrote it in Google's words.
    Verbatim(&'a Extra),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    pub mime_type: Cow<'a, str>,
    pub data: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<&'a str>,
    pub file_uri: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    pub name: &'a str,
    pub args: &'a RawValue,
}

#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    pub name: &'a str,
    pub response: Output<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part<'a>>,
}

/// What a function gave back: an object as it is, anything else as `{"output": text}`; why it failed as `{"error": text}`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Output<'a> {
    Object(Cow<'a, RawValue>),
    Text { output: Cow<'a, str> },
    Failure { error: Cow<'a, str> },
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        match &self.what {
            What::Text(text) => map.serialize_entry("text", text)?,
            What::InlineData(blob) => map.serialize_entry("inlineData", blob)?,
            What::FileData(file) => map.serialize_entry("fileData", file)?,
            What::FunctionCall(call) => map.serialize_entry("functionCall", call)?,
            What::FunctionResponse(answer) => map.serialize_entry("functionResponse", answer)?,
            What::Verbatim(part) => part.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?,
        }
        if let Some(signature) = self.signature {
            map.serialize_entry("thoughtSignature", signature)?;
        }
        map.end()
    }
}

impl<'a> From<What<'a>> for Part<'a> {
    fn from(what: What<'a>) -> Self {
        Part { what, signature: None }
    }
}

impl<'a> From<&'a str> for Part<'a> {
    fn from(text: &'a str) -> Self {
        What::Text(Cow::Borrowed(text)).into()
    }
}
