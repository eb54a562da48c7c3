//! Faults: what a backend can do wrong, as data, played on real sockets against every language, and judged here.
//!
//! The scenarios are those of the public fault benchmark for gateways (failoverbench, methodology v0.1), told in our own
//! words. Unlike the parity scenarios they have bounds in time, because the benchmark has.

pub mod definition;
pub mod judge;
pub mod play;
pub mod seen;
pub mod table;
