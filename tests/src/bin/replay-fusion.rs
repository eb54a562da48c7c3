//! Replays recorded answers through the fusion engine: `replay-fusion DIR [--pool a,b,c] [--strong MODEL] [--live N]`, where
//! DIR has `items.jsonl`, or folders that have. Prints a table per pool. Pools are those of `golden.json` in DIR or beside it,
//! or the one given, or all models of the folder. The exit code is 1 when a count differs from `golden.json`, when reading
//! texts differs from it by more than a point, or when a run over sockets differs from the same without; 2 when there was nothing.
//!
//! A star marks what was chosen on other items (five folds).

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use interfuse_tests::recorded::{Item, Source, closed, items, lines, live, verdicts};
use serde_json::Value;

struct Arguments {
    dir: PathBuf,
    pool: Option<Vec<String>>,
    strong: Option<String>,
    live: usize,
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments { dir: PathBuf::new(), pool: None, strong: None, live: 25 };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--pool" => found.pool = Some(given.next()?.split(',').map(|m| m.trim().to_owned()).collect()),
            "--strong" => found.strong = Some(given.next()?),
            "--live" => found.live = given.next()?.parse().ok()?,
            dir if !dir.starts_with("--") => found.dir = PathBuf::from(dir),
            _ => return None,
        }
    }
    (!found.dir.as_os_str().is_empty()).then_some(found)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("usage: replay-fusion DIR [--pool a,b,c] [--strong MODEL] [--live N]");
        return ExitCode::from(2);
    };
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&arguments.dir)
        .map(|entries| entries.flatten().map(|e| e.path()).filter(|p| p.join("items.jsonl").exists()).collect())
        .unwrap_or_default();
    folders.sort();
    if arguments.dir.join("items.jsonl").exists() {
        folders.push(arguments.dir.clone());
    }
    if folders.is_empty() {
        eprintln!("{}: no items.jsonl here or one folder below", arguments.dir.display());
        return ExitCode::from(2);
    }
    let mut failed = Vec::new();
    for folder in folders {
        if let Err(why) = replay(&folder, &arguments, &mut failed).await {
            failed.push(why);
        }
    }
    for why in &failed {
        println!("FAILED {why}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Names of pools with their members and what is expected of them.
type Pools = Vec<(String, Vec<String>, Value)>;

async fn replay(folder: &Path, arguments: &Arguments, failed: &mut Vec<String>) -> Result<(), String> {
    let folder = folder.canonicalize().map_err(|e| format!("{}: {e}", folder.display()))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let rows = lines(&folder.join("items.jsonl"))?;
    if let Some(table) = verdicts::pairs(&rows) {
        println!("## {name}, verdicts in two orders\n{table}");
    }
    for file in ["items.jsonl", "scores.jsonl"] {
        let rows = if folder.join(file).exists() { lines(&folder.join(file))? } else { Vec::new() };
        if let Some(table) = verdicts::scores(&rows, arguments.pool.as_deref()) {
            println!("## {name}, scores of two judges, {file}\n{table}");
        }
    }
    // Pairs of texts without models are for judges alone.
    if rows.iter().all(|r| r.get("finals").is_none()) {
        return Ok(());
    }
    let (finals, texts, wide) =
        (items(&folder, Source::Finals)?, items(&folder, Source::Texts)?, items(&folder, Source::Wide)?);
    for (pool_name, pool, golden) in pools(&folder, &name, &finals, arguments) {
        for (source, items) in [(Source::Finals, &finals), (Source::Texts, &texts), (Source::Wide, &wide)] {
            let missing = pool.iter().any(|m| !items.iter().any(|i| i.keys.contains_key(m)));
            if items.is_empty() || missing {
                continue;
            }
            let replayed = closed::replay(items, source, &pool, &cascades(&golden, items, &pool, arguments));
            println!("{}", replayed.table(&pool_name));
            let (compared, wrong) = replayed.against(&golden);
            match source {
                Source::Finals if compared > 0 => {
                    println!("golden: {} of {compared} counts equal\n", compared - wrong.len());
                    failed.extend(wrong.into_iter().map(|w| format!("{pool_name}: {w}")));
                }
                Source::Texts if compared > 0 => failed.extend(far(&replayed, &golden, &pool_name)),
                _ => {}
            }
        }
        if arguments.live > 0 && !texts.is_empty() {
            let found = live::compare(&texts, &pool, arguments.live).await?;
            println!("over sockets: {} of {} runs decide the same\n", found.runs - found.different.len(), found.runs);
            failed.extend(found.different.into_iter().map(|d| format!("{pool_name}, over sockets: {d}")));
        }
    }
    Ok(())
}

/// What reading texts changes by more than a point.
fn far(replayed: &closed::Replayed, golden: &Value, pool: &str) -> Vec<String> {
    let point = replayed.items as f64 / 100.0;
    let mut found = Vec::new();
    let mut check = |what: &str, expected: &Value, is: usize| {
        if expected.as_f64().is_some_and(|e| (e - is as f64).abs() > point) {
            found.push(format!("{pool}, texts: {what}: {is}, more than a point from {expected}"));
        }
    };
    for (model, right) in &replayed.right {
        check(model, &golden["right"][model], *right);
    }
    for (row, expected) in [("vote", "majority"), ("auto (first two)", "first_two_to_agree")] {
        check(row, &golden[expected], replayed.row(row).map_or(0, |r| r.right));
    }
    for name in replayed.escalated.keys() {
        check(name, &golden[name]["right"], replayed.row(name).map_or(0, |r| r.right));
    }
    found
}

fn pools(folder: &Path, name: &str, items: &[Item], arguments: &Arguments) -> Pools {
    let golden = [Some(folder), folder.parent()]
        .into_iter()
        .flatten()
        .find_map(|d| std::fs::read_to_string(d.join("golden.json")).ok())
        .and_then(|text| serde_json::from_str::<serde_json::Map<String, Value>>(&text).ok())
        .unwrap_or_default();
    let listed = |expected: &Value| serde_json::from_value::<Vec<String>>(expected["pool"].clone()).unwrap_or_default();
    let own: Pools = golden
        .iter()
        .filter(|(pool, _)| pool.split('/').next() == Some(name))
        .map(|(pool, expected)| (pool.clone(), listed(expected), expected.clone()))
        .collect();
    if let Some(pool) = &arguments.pool {
        let expected = own.iter().find(|p| p.1 == *pool).map_or(Value::Null, |p| p.2.clone());
        return vec![(format!("{name}/given"), pool.clone(), expected)];
    }
    if !own.is_empty() {
        return own;
    }
    let all: BTreeSet<&String> = items.iter().flat_map(|i| i.keys.keys()).collect();
    vec![(format!("{name}/all"), all.into_iter().cloned().collect(), Value::Null)]
}

/// Two and three cheap members in front of whom `golden.json` names, or the caller, or the best model outside the pool.
fn cascades(golden: &Value, items: &[Item], pool: &[String], arguments: &Arguments) -> Vec<(usize, String)> {
    let named = golden.as_object().into_iter().flat_map(|g| g.keys()).filter_map(|key| {
        let (cheap, strong) = key.strip_prefix("cascade_")?.split_once("_to_")?;
        Some((cheap.parse().ok()?, strong.to_owned()))
    });
    let named: Vec<(usize, String)> = named.collect();
    if !named.is_empty() && arguments.strong.is_none() {
        return named;
    }
    let others: BTreeSet<&String> = items.iter().flat_map(|i| i.keys.keys()).filter(|m| !pool.contains(m)).collect();
    let best = others.into_iter().max_by_key(|m| items.iter().filter(|i| i.is_right(m)).count());
    let strong = arguments.strong.clone().or_else(|| best.cloned());
    strong.map_or_else(Vec::new, |s| vec![(2, s.clone()), (3, s)])
}
