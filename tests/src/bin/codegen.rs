//! Writes every generated file of the repository: header, JSON Schema, TypeScript and Python types, error classes, pages.

use std::io::{self, Write as _};
use std::process::ExitCode;

use interfuse_tests::codegen;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    for (path, text) in codegen::outputs()? {
        let file = codegen::root().join(&path);
        let fault = |error: io::Error| format!("{path}: {error}");
        if std::fs::read_to_string(&file).is_ok_and(|old| old == text) {
            continue;
        }
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(fault)?;
        }
        std::fs::write(&file, text).map_err(fault)?;
        writeln!(io::stdout(), "wrote {path}").map_err(fault)?;
    }
    Ok(())
}
