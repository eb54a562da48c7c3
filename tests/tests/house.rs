//! The rules of the house that a compiler does not know: who may use whom, and where effects and `unsafe` may live.

#![allow(clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

/// Modules of the core from the ground up; each uses only modules of lower rows.
const LEVELS: &[&[&str]] = &[
    &["error", "clock", "digest", "figures", "html", "ids", "money", "schema", "secret"],
    &["types"],
    &["wire", "catalog"],
    &["http", "checkpoint"],
    &["backend"],
    &["routing", "ledger"],
    &["engine"],
    &["fusion", "telemetry"],
    &["client"],
    &["batch"],
    &["host"],
];

/// Crates that have one home, a file or a folder, and it.
const HOMES: &[(&str, &str)] = &[("reqwest", "core/src/http/reqwest.rs"), ("rusqlite", "core/src/ledger/sqlite/")];

/// Where `unsafe` may be written.
const UNSAFE: &[&str] = &["ffi/", "core/src/host/runtime.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// Rust files below a folder of the repository: path from the root, and text.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                walk(&path, files);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    let root = root();
    let mut files = Vec::new();
    walk(&root.join(folder), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no sources in {folder}");
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("a text");
            let name = file.strip_prefix(&root).expect("a path below the root");
            (name.to_string_lossy().replace('\\', "/"), text)
        })
        .collect()
}

/// The code without comments and without its tests, which may use anything.
fn code(text: &str) -> String {
    let code: Vec<&str> = text
        .split("\n#[cfg(test)]\n")
        .next()
        .unwrap_or_default()
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    code.join("\n")
}

fn is_test(name: &str) -> bool {
    name.ends_with("_tests.rs") || name.ends_with("/tests.rs")
}

/// Modules named after `crate::`, in paths and in `use crate::{...}`.
fn used(code: &str) -> BTreeSet<String> {
    let single = Regex::new(r"\bcrate::([a-z_]+)").expect("a pattern");
    let group = Regex::new(r"\bcrate::\{([^;]*)\};").expect("a pattern");
    let first = Regex::new(r"(?:^|,)\s*([a-z_]+)\b").expect("a pattern");
    let nested = Regex::new(r"\{[^{}]*\}").expect("a pattern");
    let mut used: BTreeSet<String> = single.captures_iter(code).map(|found| found[1].to_owned()).collect();
    for found in group.captures_iter(code) {
        // Only the outermost names are modules of the crate.
        let mut inside = found[1].to_owned();
        while nested.is_match(&inside) {
            inside = nested.replace_all(&inside, "").into_owned();
        }
        used.extend(first.captures_iter(&inside).map(|found| found[1].to_owned()));
    }
    used
}

#[test]
fn modules_use_only_lower_ones() {
    let level = |module: &str| LEVELS.iter().position(|row| row.contains(&module));
    let mut wrong = Vec::new();
    for (name, text) in sources("core/src").into_iter().filter(|(name, _)| !is_test(name)) {
        let module = name["core/src/".len()..].split(['/', '.']).next().unwrap_or_default().to_owned();
        if module == "lib" {
            continue;
        }
        let Some(own) = level(&module) else {
            wrong.push(format!("{name}: module `{module}` has no row in LEVELS"));
            continue;
        };
        for other in used(&code(&text)).into_iter().filter(|other| *other != module) {
            match level(&other) {
                Some(level) if level < own => {}
                Some(_) => wrong.push(format!("{name} uses `{other}`, which is not below `{module}`")),
                None => wrong.push(format!("{name} uses `{other}`, which has no row in LEVELS")),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_core_knows_no_language() {
    let foreign = Regex::new(r#"\b(pyo3|napi|cbindgen|pythonize)\b|extern "C""#).expect("a pattern");
    for (name, text) in sources("core/src") {
        assert!(!foreign.is_match(&code(&text)), "{name} names a binding");
    }
}

#[test]
fn bindings_depend_on_the_core_alone() {
    for (folder, foreign) in [
        ("core", "interfuse-ffi pyo3 napi cbindgen"),
        ("ffi", "pyo3 napi reqwest"),
        ("bindings-python", "interfuse-ffi napi reqwest"),
        ("bindings-node", "interfuse-ffi pyo3 reqwest"),
    ] {
        let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = text.parse().expect("TOML");
        for (name, value) in manifest["dependencies"].as_table().into_iter().flatten() {
            let name = value.get("package").and_then(|package| package.as_str()).unwrap_or(name);
            assert!(!foreign.split(' ').any(|other| other == name), "{folder} depends on {name}");
        }
    }
}

#[test]
fn every_effect_has_one_home() {
    for (krate, home) in HOMES {
        let named = Regex::new(&format!(r"\b{krate}::")).expect("a pattern");
        for (name, text) in sources("core/src").into_iter().filter(|(name, _)| !name.starts_with(home)) {
            // A module of the same name, used from its parent, is no use of the crate.
            assert!(
                !named.is_match(&code(&text).replace(&format!("self::{krate}::"), "")),
                "{name} uses {krate}; its home is {home}"
            );
        }
    }
}

#[test]
fn unsafe_code_is_where_it_may_be_and_says_why() {
    // What an exported function asks of its caller stands in the C header; each unsafe block inside says how it relies on it.
    let block = Regex::new(r#"\bunsafe (\{|impl\b|fn\b|extern "C" \{)"#).expect("a pattern");
    let mut wrong = Vec::new();
    for folder in ["core", "ffi", "bindings-python", "bindings-node", "tests"] {
        for (name, text) in sources(folder) {
            // This file names the word, and the benchmark, which ships nowhere, reads the processor's clock.
            if name == "tests/tests/house.rs" || name.starts_with("tests/bench/") {
                continue;
            }
            let lines: Vec<&str> = text.lines().collect();
            for (at, line) in lines.iter().enumerate() {
                if !block.is_match(line.split("//").next().unwrap_or_default()) {
                    continue;
                }
                if !UNSAFE.iter().any(|place| name.starts_with(place)) {
                    wrong.push(format!("{name}:{}: unsafe code may stand only in {}", at + 1, UNSAFE.join(" and ")));
                }
                let before = &lines[at.saturating_sub(6)..=at];
                if !before.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety")) {
                    wrong.push(format!("{name}:{}: say with `SAFETY:` why this holds", at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for folder in ["core", "ffi", "bindings-python", "bindings-node", "tests"] {
        // A build script says it by its name.
        for (name, text) in sources(folder).into_iter().filter(|(name, _)| !name.ends_with("/build.rs")) {
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            assert!(first.starts_with("//"), "{name}: the first line says what the file is for");
        }
    }
}

#[test]
fn the_reader_of_uses_sees_groups_and_paths() {
    let code = code(
        "use crate::{engine::{Engine, plan::Plan}, error, types::X};\nfn f() { crate::money::g() }\n// crate::client\n#[cfg(test)]\nmod t { use crate::host; }",
    );
    let used: Vec<String> = used(&code).into_iter().collect();
    assert_eq!(used, ["engine", "error", "money", "types"]);
}
