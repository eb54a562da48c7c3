//! Everything interfuse is tested with: the scripted upstream, the parity scenarios, code generation.

pub mod codegen;
pub mod faults;
pub mod fixtures;
pub mod native;
pub mod parity;
pub mod prices;
pub mod replay;
pub mod requests;
pub mod switch;
pub mod upstream;
pub mod vectors;
