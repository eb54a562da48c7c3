//! Packs the table of models: 345 KB of text in every library would be a thirtieth of it, deflated they are 22 KB.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    const TABLE: &str = "data/models.json";
    println!("cargo::rerun-if-changed={TABLE}");
    let packed = miniz_oxide::deflate::compress_to_vec(&fs::read(TABLE)?, 10);
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&out).join("models.json.deflate"), packed)
}
