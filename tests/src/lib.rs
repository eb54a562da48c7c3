//! Everything interfuse is tested with: the scripted upstream, the parity scenarios, code generation.

pub mod booked;
pub mod codegen;
pub mod docs;
pub mod faults;
pub mod fixtures;
pub mod fuzz;
pub mod native;
pub mod parity;
pub mod prices;
pub mod recorded;
pub mod replay;
pub mod requests;
pub mod sample;
pub mod soak;
pub mod switch;
pub mod upstream;
pub mod vectors;
