//! One API over every inference provider, and fusion of their answers.

pub mod backend;
pub mod batch;
pub mod catalog;
mod checkpoint;
pub mod client;
pub mod clock;
mod digest;
pub mod engine;
pub mod error;
mod figures;
pub mod fusion;
#[cfg(feature = "host")]
pub mod host;
mod html;
pub mod http;
mod ids;
pub mod ledger;
pub mod money;
pub mod routing;
pub mod schema;
pub mod secret;
pub mod types;
pub mod wire;

pub use batch::BatchStream;
pub use catalog::Catalog;
pub use client::{Client, RecordStream};
pub use engine::ChatStream;
pub use error::{Error, ErrorKind, Result};
pub use fusion::{EvaluationStream, FusionStream};
