//! The committed generated files are what the generator writes today.

#![allow(clippy::unwrap_used)]

use interfuse_tests::codegen;

#[test]
fn generated_files_are_up_to_date() {
    let outputs = codegen::outputs().unwrap();
    assert!(outputs.len() > 5);
    let stale: Vec<&str> = outputs
        .iter()
        .filter(|(path, text)| std::fs::read_to_string(codegen::root().join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path.as_str())
        .collect();
    assert!(stale.is_empty(), "run `cargo run -p interfuse-tests --bin codegen`; stale: {stale:?}");
}

#[test]
fn the_first_line_says_that_a_file_is_generated() {
    for (path, text) in codegen::outputs().unwrap() {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.contains(codegen::MARKER), "{path}: {first}");
    }
}

#[test]
fn every_provider_has_its_page_and_nobody_else() {
    let expected: Vec<String> = codegen::outputs().unwrap().into_iter().map(|(path, _)| path).collect();
    for entry in std::fs::read_dir(codegen::root().join("docs/providers")).unwrap() {
        let path = format!("docs/providers/{}", entry.unwrap().file_name().to_string_lossy());
        assert!(expected.contains(&path), "{path} is of a provider that is gone: remove it");
    }
    let catalog = interfuse::Catalog::builtin();
    for provider in catalog.providers().unwrap() {
        assert!(expected.contains(&format!("docs/providers/{}.md", provider.id)), "{}", provider.id);
    }
}
