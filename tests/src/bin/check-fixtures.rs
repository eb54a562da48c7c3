//! Replays recorded exchanges: `check-fixtures DIR`, where DIR is laid out like a collection with `native/<dialect>/` and
//! `openai-compatible/<provider>/`, or like the inside of one of the two. Prints, per folder and in all, how many decode,
//! which were skipped and why, and which failed; then the same of the recorded requests, read in OpenAI's words and written
//! again: how many come out as they were, which Chat Completions cannot say, which are refused and why, and which come out
//! otherwise; and whether they go where they went, by the same headers. The exit code is 1 when anything failed or came out otherwise, 2 when there was nothing.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use interfuse_tests::fixtures::{Outcome, check_collection, report};
use interfuse_tests::requests::{self, compare_collection};

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: check-fixtures DIR");
        return ExitCode::from(2);
    };
    let (mut decoded, mut skipped, mut failed) = (0, 0, Vec::new());
    for (name, checked) in check_collection(&dir) {
        if checked.is_empty() {
            continue;
        }
        decoded += checked.iter().filter(|c| c.outcome == Outcome::Decoded).count();
        skipped += checked.iter().filter(|c| matches!(c.outcome, Outcome::Skipped(_))).count();
        failed.extend(report(&name, &checked));
    }
    let (mut equal, mut unsaid, mut refused, mut different) = (0, 0, 0, Vec::new());
    let (mut addressed, mut otherwise) = (0, 0);
    for (name, compared) in compare_collection(&dir) {
        equal += compared.equal;
        unsaid += compared.unsaid.len();
        refused += compared.refused.len();
        addressed += compared.addressed;
        otherwise += compared.otherwise.len();
        different.extend(requests::report(&name, &compared));
    }
    for why in &failed {
        println!("failed {why}");
    }
    for why in &different {
        println!("different {why}");
    }
    println!("all: {decoded} decoded, {skipped} skipped, {} failed", failed.len());
    println!(
        "all requests: {equal} equal, {unsaid} not sayable in Chat Completions, {refused} refused, {} different",
        different.len()
    );
    println!("all addresses: {addressed} equal, {otherwise} by another way in");
    match (decoded + skipped, failed.len() + different.len()) {
        (0, 0) => ExitCode::from(2),
        (_, 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
