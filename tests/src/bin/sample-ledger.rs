//! Writes a made-up month out of a ledger: `sample-ledger EXPORT_REQUEST_JSON FILE [ATTEMPTS]`. Prints what was written, as
//! JSON. For who judges exports from outside: FOCUS' validator, a browser.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use interfuse::ledger::{export, whole};
use interfuse::types::{ExportRequest, from_json};
use interfuse::{Error, ErrorKind, Result};
use interfuse_tests::sample;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (request, file, attempts) = match arguments.as_slice() {
        [request, file] => (request, file, 3_000),
        [request, file, attempts] => match attempts.parse() {
            Ok(attempts) => (request, file, attempts),
            Err(_) => return ExitCode::from(2),
        },
        _ => return ExitCode::from(2),
    };
    match write(request, file, attempts) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(request: &str, file: &str, attempts: u64) -> Result<String> {
    let request: ExportRequest = from_json("request", request)?;
    let ledger = sample::ledger(sample::records(7, attempts))?;
    let around = sample::surroundings(&ledger)?;
    let exported = whole(file.as_ref(), |out| export(&ledger, &request, &around, out))?;
    serde_json::to_string(&exported).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
}
