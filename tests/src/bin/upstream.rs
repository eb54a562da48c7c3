//! The scripted upstream as a program, for tests in any language: prints one line of JSON with its base URL and serves
//! until stdin closes, so it never outlives the test that started it.

use std::io::{self, Write as _};
use std::process::ExitCode;

use interfuse_tests::upstream::{Script, Upstream};
use serde_json::{Value, json};

const USAGE: &str = "usage: upstream --script FILE|- [--port N]

FILE is the script; - reads one JSON document from stdin, which must then stay open.
Prints {\"base_url\": \"http://127.0.0.1:PORT\"} and serves until stdin closes.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let (mut script, mut port) = (None, 0);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match arg.as_str() {
            "--script" => script = Some(value),
            "--port" => port = value.parse().map_err(|_| USAGE)?,
            _ => return Err(USAGE.into()),
        }
    }
    let script = read_script(&script.ok_or(USAGE)?)?;
    let text = |error: io::Error| error.to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(text)?;
    let upstream = runtime.block_on(Upstream::start_on(port, script)).map_err(text)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", json!({"base_url": upstream.base_url()})).map_err(text)?;
    stdout.flush().map_err(text)?;
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(text)?;
    Ok(())
}

fn read_script(from: &str) -> Result<Script, String> {
    if from != "-" {
        let text = std::fs::read_to_string(from).map_err(|error| format!("{from}: {error}"))?;
        return Script::from_json(&text).map_err(|error| error.to_string());
    }
    // One document and not a byte more: the rest of stdin is the sign of life.
    let value = serde_json::Deserializer::from_reader(io::stdin())
        .into_iter::<Value>()
        .next()
        .ok_or("no script on stdin")?
        .map_err(|error| error.to_string())?;
    Script::from_value(value).map_err(|error| error.to_string())
}
