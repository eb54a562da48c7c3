//! Every input that is kept for the fuzz targets, without a fuzzer; and what a fuzzer would try first, in bounded number.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use interfuse_tests::fuzz::{TARGETS, Target};

/// Mutations of each kept input.
const MUTATIONS: u64 = 24;

fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs a target and says which input it was that it does not hold for.
fn hold(target: Target, data: &[u8], what: &str) {
    if panic::catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        panic!("{what}: {:?}", String::from_utf8_lossy(data));
    }
}

#[test]
fn every_kept_input_holds() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "no corpus for {name}");
        for file in files {
            hold(*target, &fs::read(&file).unwrap(), &file.display().to_string());
        }
    }
}

#[test]
fn every_kept_input_holds_when_it_is_changed_a_little() {
    for (name, target) in TARGETS {
        let inputs: Vec<Vec<u8>> = corpus(name).iter().map(|file| fs::read(file).unwrap()).collect();
        for (at, input) in inputs.iter().enumerate() {
            let mut chance = Chance(at as u64 + 1);
            for _ in 0..MUTATIONS {
                let changed = chance.changed(input, &inputs);
                hold(*target, &changed, name);
            }
        }
    }
}

#[test]
fn every_target_is_one_of_the_fuzzers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(files, names);
}

/// The same changes every time.
struct Chance(u64);

impl Chance {
    /// Steele and Vigna's splitmix64.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }

    fn changed(&mut self, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut out = input.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(out.len());
            match self.below(6) {
                0 => out.truncate(at),
                1 if at < out.len() => out[at] ^= 1 << self.below(8),
                2 => {
                    drop(out.splice(
                        at..at,
                        [b"\xff" as &[u8], b"\"", b"\r", b"[[[[[[[[", b"\\u0000"][self.below(5)].to_vec(),
                    ))
                }
                3 => drop(out.drain(at..(at + 1 + self.below(16)).min(out.len()))),
                4 => {
                    let other = &others[self.below(others.len())];
                    let from = self.below(other.len());
                    out.truncate(at);
                    out.extend_from_slice(&other[from..]);
                }
                _ => {
                    let end = (at + 1 + self.below(64)).min(out.len());
                    let piece = out[at.min(end)..end].to_vec();
                    out.splice(at..at, piece);
                }
            }
        }
        out
    }
}
