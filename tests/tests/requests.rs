//! Recorded requests are written again as they were; needs the large collection beside the checkout.

#![allow(clippy::print_stdout)]

use std::path::Path;

use interfuse_tests::requests::{compare_collection, report};

/// Why a recorded request may be refused: a field that OpenAI requires is missing, or the server would ignore one that
/// changes the answer.
const REFUSED: &[&str] =
    &["missing field `type`", "missing field `name`", "invalid type: string", "it does not honour that field"];

/// Folders that hold requests of every wire.
const WIRES: &[&str] =
    &["openai", "anthropic", "gemini", "vertex", "bedrock-converse", "cohere", "ollama", "openai-responses"];

#[test]
fn recorded_requests_come_out_as_they_were() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures");
    if !dir.is_dir() {
        println!("recorded collection: not present beside the checkout, nothing was run");
        return;
    }
    let (mut different, mut equal) = (Vec::new(), Vec::new());
    for (folder, compared) in compare_collection(&dir) {
        different.extend(report(&folder, &compared));
        equal.push((folder.clone(), compared.equal));
        let unexpected = |refused: &&String| !REFUSED.iter().any(|why| refused.contains(why));
        different.extend(compared.refused.iter().filter(unexpected).cloned());
    }
    for wire in WIRES {
        assert!(equal.iter().any(|(folder, count)| folder == wire && *count > 0), "no requests of {wire}");
    }
    assert!(different.is_empty(), "{} different:\n{}", different.len(), different.join("\n"));
}
