//! Parity: the same scenarios, run unchanged by every language, compared here and nowhere else.

pub mod matching;
pub mod run;
pub mod runner;
pub mod scenario;
