//! The public data: plain serde structs that cross every language boundary unchanged.
//!
//! Requests and responses have the OpenAI Chat Completions shape. Fields interfuse does not know stay in `extra`:
//! in a request they go to the vendor untouched, in a response they reach the caller. Configuration and fusion options
//! refuse unknown fields instead, naming the JSON path.

pub mod bounds;
pub mod calibration;
pub mod chat;
pub mod chunk;
pub mod config;
pub mod embedding;
pub mod event;
pub mod explanation;
pub mod fusion;
pub mod ledger;
pub mod listing;
pub mod message;
pub mod meta;
pub mod price;
pub mod quirks;
pub mod report;
pub mod routing;
mod shorthand;
pub mod timeouts;
pub mod usage;

pub use bounds::*;
pub use calibration::*;
pub use chat::*;
pub use chunk::*;
pub use config::*;
pub use embedding::*;
pub use event::*;
pub use explanation::*;
pub use fusion::*;
pub use ledger::*;
pub use listing::*;
pub use message::*;
pub use meta::*;
pub use price::*;
pub use quirks::Quirks;
pub use report::*;
pub use routing::*;
pub use timeouts::*;
pub use usage::*;

pub use crate::error::{Attempt, AttemptKind, Dispatch, ErrorBody, ErrorKind, MemberFailure, Partial};

/// JSON object of fields that interfuse does not interpret.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// Parses JSON text, naming the JSON path of a fault: `what` is "request", "configuration", ...
pub fn from_json<'a, T: serde::Deserialize<'a>>(what: &str, text: &'a str) -> crate::Result<T> {
    let mut de = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut de).map_err(|e| fault(what, &e.path().to_string(), e.inner()))?;
    de.end().map_err(|e| fault(what, ".", &e))?;
    Ok(value)
}

/// What serde says of a value in the wrong place, without the value: it may be a key.
fn without_value(why: &str) -> String {
    match (why.find("string \""), why.rfind("\", expected")) {
        (Some(from), Some(to)) if from < to => format!("{}a string{}", &why[..from], &why[to + 1..]),
        _ => why.to_owned(),
    }
}

/// The error for a value in the wrong place: `what` is "request", "configuration", ..., `path` is where in it.
pub fn fault(what: &str, path: &str, why: &dyn std::fmt::Display) -> crate::Error {
    if what == "configuration" {
        return crate::Error::invalid_config(path, without_value(&why.to_string()));
    }
    crate::Error::invalid_request(format!("{what}, at `{path}`: {why}")).with_param(path)
}
