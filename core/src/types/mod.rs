//! The public data: plain serde structs that cross every language boundary unchanged.
//!
//! Requests and responses have the OpenAI Chat Completions shape. Fields interfuse does not know stay in `extra`:
//! in a request they go to the vendor untouched, in a response they reach the caller. Configuration and fusion options
//! refuse unknown fields instead, naming the JSON path.

pub mod again;
mod batch;
pub mod bounds;
pub mod budget;
pub mod calibration;
pub mod chat;
pub mod chunk;
pub mod config;
pub mod embedding;
pub mod estimate;
mod evaluation;
pub mod event;
pub mod explanation;
pub mod fusion;
mod fusion_written;
pub mod ledger;
pub mod listing;
pub mod message;
pub mod meta;
pub(crate) mod place;
pub mod price;
pub mod quirks;
pub mod reconcile;
pub mod report;
pub mod routing;
mod shorthand;
pub mod timeouts;
pub mod usage;

pub use again::*;
pub use batch::*;
pub use bounds::*;
pub use budget::*;
pub use calibration::*;
pub use chat::*;
pub use chunk::*;
pub use config::*;
pub use embedding::*;
pub use estimate::*;
pub use evaluation::*;
pub use event::*;
pub use explanation::*;
pub use fusion::*;
pub use ledger::*;
pub use listing::*;
pub use message::*;
pub use meta::*;
pub use price::*;
pub use quirks::Quirks;
pub use reconcile::*;
pub use report::*;
pub use routing::*;
pub use timeouts::*;
pub use usage::*;

pub use crate::error::{Attempt, AttemptKind, Dispatch, ErrorBody, ErrorKind, MemberFailure, Partial};

/// JSON object of fields that interfuse does not interpret.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// Parses JSON text, naming the JSON path of a fault: `what` is "request", "configuration", ...
pub fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> crate::Result<T> {
    place::read(text).map_err(|e| fault(what, &e.path, &e.why))
}

/// The same from a value that another format was read into.
///
/// # Errors
/// `invalid_config` or `invalid_request` naming the JSON path.
pub fn from_value<T: serde::de::DeserializeOwned>(what: &str, value: &serde_json::Value) -> crate::Result<T> {
    let text = value.to_string();
    place::read(&text).map_err(|e| fault(what, &e.path, &unplaced(&e.why)))
}

/// What is wrong, without line and column of a text that nobody has seen.
pub(crate) fn unplaced(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
}

/// The value of a TOML document: our types are read from one format only, since every further one would be compiled
/// for each of them anew, which makes the libraries larger by megabytes.
///
/// # Errors
/// `invalid_config` naming the line.
pub(crate) fn toml_value(text: &str) -> crate::Result<serde_json::Value> {
    toml::from_str(text).map_err(|e| {
        // Without the line itself, which may hold a key.
        let line = e.span().and_then(|at| text.get(..at.start)).map_or(1, |before| before.split('\n').count());
        crate::Error::invalid_config(".", format!("line {line} is not TOML: {}", e.message()))
    })
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
