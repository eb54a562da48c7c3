//! The recorded collection of vendors' own dialects decodes, when it is there beside the checkout.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;

use interfuse_tests::fixtures::{Outcome, report};
use interfuse_tests::native::{DIALECTS, check_dialect};
use interfuse_tests::vectors;

#[test]
fn the_recorded_dialects_decode() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/native");
    if !dir.is_dir() {
        println!("recorded dialects: not present beside the checkout, nothing was run");
        return;
    }
    let mut failed = Vec::new();
    for dialect in DIALECTS {
        let checked = check_dialect(&dir, *dialect);
        assert!(!checked.is_empty(), "{}: no recordings", dialect.folder());
        failed.extend(report(dialect.folder(), &checked));
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn published_and_made_frames_decode_or_are_refused() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/native");
    if !dir.is_dir() {
        println!("vectors of the event stream: not present beside the checkout, nothing was run");
        return;
    }
    let checked = vectors::check(&dir, &dir.join("aws-eventstream"));
    let failed = report("aws-eventstream", &checked);
    assert!(checked.iter().any(|c| c.file.contains("generated")) && checked.iter().any(|c| c.file.contains("smithy")));
    assert!(checked.iter().all(|c| c.outcome == Outcome::Decoded), "{}", failed.join("\n"));
}
