//! Recorded exchanges decode: the project's own always, the large collection beside the checkout when it is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;

use interfuse_tests::fixtures::{Outcome, check_dir, check_verbatim, report};

#[test]
fn our_own_exchanges_decode() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let checked = check_dir(&dir);
    let failed = report("own", &checked);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(checked.iter().filter(|c| c.outcome == Outcome::Decoded).count() >= 10, "the fixtures are missing");
}

#[test]
fn the_recorded_collection_decodes() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/openai-compatible");
    if !dir.is_dir() {
        println!("recorded collection: not present beside the checkout, nothing was run");
        return;
    }
    let mut checked = check_dir(&dir);
    checked.extend(check_verbatim(&dir.join("_vercel-ai")));
    let failed = report("recorded", &checked);
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}
