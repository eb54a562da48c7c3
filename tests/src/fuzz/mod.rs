//! What must hold for any input, as functions that panic where it does not. The fuzz targets in `fuzz/` call them with
//! what a fuzzer makes up, and the tests with every file of the corpus that is kept beside those.
//!
//! An input is told apart by its first byte where a function has several things to read it as; it is a printable one, so
//! that seeds can be written by hand.

// A panic is how a property tells that it does not hold.
#![allow(clippy::expect_used)]

mod config;
mod judge;
mod streams;

pub use config::config;
pub use judge::judge;
pub use streams::{answers, chunks, event_stream, sse};

/// A function that panics where something does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("sse", sse),
    ("event_stream", event_stream),
    ("chunks", chunks),
    ("answers", answers),
    ("config", config),
    ("judge", judge),
];

/// The first byte's choice among `all`, and the rest.
fn choose<'d, 'a, T>(data: &'d [u8], all: &'a [T]) -> Option<(&'a T, &'d [u8])> {
    let (first, rest) = data.split_first()?;
    Some((&all[first.wrapping_sub(b'0') as usize % all.len()], rest))
}
