//! The runners: which languages there are, how each one is started, and what is needed before it can be.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process;

/// One language.
#[derive(Debug)]
pub struct Language {
    /// Its name, as in `INTERFUSE_PARITY`.
    pub name: &'static str,
    /// The runner's source, from the root of the repository.
    pub source: &'static str,
    /// Variables it is started with.
    pub env: &'static [(&'static str, &'static str)],
    prepare: fn(&Place) -> Result<Vec<PathBuf>, String>,
}

/// Every language that must run every scenario; Python twice, because its two clients share little.
pub const LANGUAGES: &[Language] = &[
    Language { name: "rust", source: "tests/src/bin/parity-rust.rs", env: &[], prepare: rust },
    Language { name: "c", source: "tests/parity/runner.c", env: &[], prepare: c },
    Language { name: "python", source: "tests/parity/runner.py", env: &[("RUNNER_ASYNC", "0")], prepare: python },
    Language { name: "asyncio", source: "tests/parity/runner.py", env: &[("RUNNER_ASYNC", "1")], prepare: python },
    Language { name: "node", source: "tests/parity/runner.mjs", env: &[], prepare: node },
];

/// A runner, ready to be started.
#[derive(Debug)]
pub struct Runner {
    /// Program and first arguments.
    pub command: Vec<PathBuf>,
    /// Variables.
    pub env: &'static [(&'static str, &'static str)],
}

/// Where things lie.
#[derive(Debug)]
struct Place {
    root: PathBuf,
    /// `target/debug` or `target/release`, the one this very program was built into.
    built: PathBuf,
}

impl Runner {
    /// The command that makes it do this; nobody's keys and settings reach it.
    ///
    /// # Errors
    /// A runner without a command.
    pub fn start(&self, op: &str, config: &Value, request: &Value) -> Result<process::Command, String> {
        let [program, arguments @ ..] = self.command.as_slice() else {
            return Err("no command for the runner".into());
        };
        let mut runner = process::Command::new(program);
        runner
            .args(arguments)
            .args([op, &config.to_string(), &request.to_string()])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        // A key in the developer's environment must not change a result.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["_KEY", "_TOKEN"].iter().any(|end| text.ends_with(end)) || text.starts_with("INTERFUSE_") {
                runner.env_remove(&name);
            }
        }
        runner.envs(self.env.iter().copied());
        Ok(runner)
    }
}

/// What a runner printed, once it has ended.
///
/// # Errors
/// It does not start, or does not end within `limit`.
pub async fn output(mut runner: process::Command, limit: Duration) -> Result<Output, String> {
    tokio::time::timeout(limit, runner.output())
        .await
        .map_err(|_| format!("the runner did not end within {limit:?}"))?
        .map_err(|error| format!("{} does not start: {error}", runner.as_std().get_program().display()))
}

impl Language {
    /// The language of this name.
    ///
    /// # Errors
    /// The names there are.
    pub fn named(name: &str) -> Result<&'static Self, String> {
        LANGUAGES.iter().find(|language| language.name == name).ok_or_else(|| {
            let names: Vec<_> = LANGUAGES.iter().map(|language| language.name).collect();
            format!("no parity runner `{name}`; there are {}", names.join(", "))
        })
    }

    /// Whether `INTERFUSE_PARITY` (a list of names, for work on one language) leaves this one out.
    ///
    /// # Errors
    /// A name in it that is no language.
    pub fn left_out(&self) -> Result<bool, String> {
        let Ok(only) = std::env::var("INTERFUSE_PARITY") else {
            return Ok(false);
        };
        let mut left_out = true;
        for name in only.split(',').map(str::trim) {
            left_out &= Self::named(name)?.name != self.name;
        }
        Ok(left_out)
    }

    /// Builds what has to be built; gives what starts the runner.
    ///
    /// # Errors
    /// What is missing and what to do about it.
    pub fn prepare(&self) -> Result<Runner, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
        if !root.join(self.source).is_file() {
            return Err(format!("{} is missing: every language needs its parity runner", self.source));
        }
        let mut built = std::env::current_exe().map_err(|error| format!("cannot find the build results: {error}"))?;
        built.pop();
        // Test programs lie in `<profile>/deps`.
        if built.ends_with("deps") {
            built.pop();
        }
        let command = (self.prepare)(&Place { root, built })?;
        Ok(Runner { command, env: self.env })
    }
}

fn rust(place: &Place) -> Result<Vec<PathBuf>, String> {
    let program = place.built.join("parity-rust");
    // Cargo builds the programs of a package before its integration tests.
    match program.is_file() {
        true => Ok(vec![program]),
        false => Err("parity-rust is not built; run the tests with cargo test".into()),
    }
}

fn c(place: &Place) -> Result<Vec<PathBuf>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", "interfuse-ffi"]).current_dir(&place.root);
    if place.built.ends_with("release") {
        build.arg("--release");
    }
    if let Some(target) = place.built.parent() {
        build.arg("--target-dir").arg(target);
    }
    run(&mut build, "build the shared library")?;

    let program = place.built.join("parity-c");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut compile = Command::new(compiler);
    compile
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_POSIX_C_SOURCE=200809L", "-g"])
        .arg("-I")
        .arg(place.root.join("include"))
        .arg(place.root.join("tests/parity/runner.c"))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(&place.built)
        .args(["-linterfuse", "-lpthread"])
        .arg(format!("-Wl,-rpath,{}", place.built.display()));
    run(&mut compile, "compile the C runner (CC names another compiler)")?;
    Ok(vec![program])
}

fn python(place: &Place) -> Result<Vec<PathBuf>, String> {
    let python = match std::env::var_os("PYTHON") {
        Some(python) => PathBuf::from(python),
        None => place.root.join(".venv/bin/python"),
    };
    run(
        Command::new(&python).args(["-c", "import interfuse"]),
        "import interfuse in Python: `make setup` builds it into .venv, PYTHON names another interpreter",
    )?;
    Ok(vec![python, place.root.join("tests/parity/runner.py")])
}

fn node(place: &Place) -> Result<Vec<PathBuf>, String> {
    run(Command::new("node").arg("--version"), "run node: install Node 20 or newer")?;
    Ok(vec!["node".into(), place.root.join("tests/parity/runner.mjs")])
}

fn run(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot {what}: {}: {error}", command.get_program().display()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("cannot {what}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
