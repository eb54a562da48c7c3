//! One API over every inference provider, and fusion of their answers.

pub mod clock;
pub mod error;
pub mod secret;
pub mod types;

pub use error::{Error, ErrorKind, Result};
