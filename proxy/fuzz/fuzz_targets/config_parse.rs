//! Documents: any text. Whatever is wrong with it is told, with its place.

#![no_main]

use controller::{
    document::{Strictness, check_together, parse},
    spec,
};
use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    // YAML ends lines with either, or both.
    let lines = text.matches(['\r', '\n']).count() + 1;
    for strictness in [Strictness::Lint, Strictness::Run] {
        let parsed = parse("fuzz.yaml", &text, strictness);
        let together = check_together(&parsed.documents);
        let read = spec::read(&parsed.documents, Path::new("/nowhere"));
        let faults = read.err().unwrap_or_default();
        for finding in parsed.findings.iter().chain(&together).chain(&faults) {
            let line = finding.location.line as usize;
            assert!(line <= lines, "beyond the end of the file: {finding:?}");
            assert!(!finding.message.is_empty());
        }
    }
});
