//! The definitions of the faults are whole: every fault of the benchmark, streaming and not. They are played by
//! `make test-faults`.

use std::collections::BTreeSet;
use std::path::Path;

use interfuse_tests::faults::definition::{Folder, Form};

#[test]
fn sixteen_faults_each_whole_and_streamed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults");
    let folder = Folder::read(&folder).unwrap_or_else(|message| panic!("\n{message}\n"));
    let ids: Vec<_> = folder.faults.iter().map(|fault| fault.id.clone()).collect();
    assert_eq!(ids, (1..=16).map(|n| format!("S{n:02}")).collect::<Vec<_>>());
    for fault in &folder.faults {
        let plain = fault.cases.iter().filter(|case| case.name.is_empty());
        let forms: BTreeSet<Form> = plain.flat_map(|case| case.on.iter().copied()).collect();
        assert_eq!(forms.len(), 2, "{}: its plain case is played whole and streamed", fault.id);
    }
}
