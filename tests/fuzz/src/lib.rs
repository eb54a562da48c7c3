//! What the fuzz targets call: the tests' own, without the rest of the tests, whose dependencies would take most of the time
//! of a build that instruments everything.
#[path = "../../src/fuzz/mod.rs"]
pub mod fuzz;
#[path = "../../src/replay.rs"]
pub mod replay;
