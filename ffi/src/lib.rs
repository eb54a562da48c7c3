//! The C ABI: opaque handles, JSON text in and out, `int32_t` status, typed errors. One file per handle, one for what is
//! found out about fusions, one for the ledger, one for what people look at.
//!
//! Rules that every function keeps: no panic leaves it, pointers from the host are checked for NULL and text for UTF-8,
//! `*out` and `*err` are NULL unless the function gives something there, every `_free` takes NULL.

#![allow(non_camel_case_types, clippy::missing_safety_doc)]

mod batch;
mod boundary;
mod call;
mod card;
mod client;
mod error;
mod fork;
mod fusion;
mod handle;
mod ledger;
mod log;
mod ready;
mod stream;
mod text;
mod version;

pub use batch::*;
pub use call::*;
pub use card::*;
pub use client::*;
pub use error::*;
pub use fusion::*;
pub use ledger::*;
pub use log::*;
pub use ready::*;
pub use stream::*;
pub use text::{interfuse_json_get, interfuse_string_free};
pub use version::*;
