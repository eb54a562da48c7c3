//! Recorded requests are written again as they were; needs the large collection beside the checkout.

#![allow(clippy::print_stdout)]

use std::path::Path;

use interfuse_tests::requests::compare_dir;

/// Why a recorded request may be refused: a field that OpenAI requires is missing, or the server would ignore one that
/// changes the answer.
const REFUSED: &[&str] = &["missing field `type`", "missing field `name`", "it does not honour that field"];

#[test]
fn recorded_requests_come_out_as_they_were() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/openai-compatible");
    if !dir.is_dir() {
        println!("recorded collection: not present beside the checkout, nothing was run");
        return;
    }
    let compared = compare_dir(&dir);
    let (equal, told, refused) = (compared.equal, compared.told, &compared.refused);
    println!("requests: {equal} equal ({told} of them without a field, and said so), {} refused", refused.len());
    for refused in refused {
        println!("  refused {refused}");
        assert!(REFUSED.iter().any(|why| refused.contains(why)), "{refused}");
    }
    assert!(equal > 0, "the requests are missing");
    assert!(compared.different.is_empty(), "{}", compared.different.join("\n"));
}
