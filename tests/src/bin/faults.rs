//! Plays every fault of a folder in every language and prints the table; exit code 1 when a cell does not pass.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use interfuse_tests::faults::definition::Folder;
use interfuse_tests::faults::table::Table;
use interfuse_tests::parity::runner::Language;

const USAGE: &str = "usage: faults [--languages rust,c,python,node] [--only S01,S02] FOLDER";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let (mut languages, mut only, mut folder) = ("rust,c,python,node".to_owned(), None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--languages" => languages = args.next().ok_or(USAGE)?,
            "--only" => only = Some(args.next().ok_or(USAGE)?),
            _ if arg.starts_with('-') || folder.is_some() => return Err(USAGE.into()),
            _ => folder = Some(PathBuf::from(arg)),
        }
    }
    let mut folder = Folder::read(&folder.ok_or(USAGE)?)?;
    if let Some(only) = only {
        let wanted: Vec<&str> = only.split(',').collect();
        if let Some(none) = wanted.iter().find(|id| folder.faults.iter().all(|fault| fault.id != **id)) {
            return Err(format!("no fault `{none}`"));
        }
        folder.faults.retain(|fault| wanted.contains(&fault.id.as_str()));
    }
    let mut runners = Vec::new();
    for name in languages.split(',') {
        let language = Language::named(name)?;
        runners.push((language.name, language.prepare().map_err(|message| format!("{name}: {message}"))?));
    }
    let text = |error: io::Error| error.to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(text)?;
    let table = runtime.block_on(Table::play(folder, runners));
    let (passed, failed) = table.tally();
    writeln!(io::stdout(), "{}\n\n{passed} passed, {failed} failed", table.show()).map_err(text)?;
    Ok(failed == 0)
}
