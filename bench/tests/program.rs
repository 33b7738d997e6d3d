//! The comparison itself, shortened until its numbers mean nothing.
#![cfg(target_os = "linux")]

use std::process::Command;

#[test]
fn every_contender_is_measured_or_named_as_missing() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([
            "forward",
            "--bodies",
            "64",
            "--connections",
            "2",
            "--rounds",
            "1",
            "--span",
            "250",
        ])
        .output()
        .unwrap();
    let (told, failed) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{failed}");
    let row = |name: &str| {
        let row = told
            .lines()
            .find(|line| line.starts_with(&format!("| {name}")));
        row.unwrap_or_else(|| panic!("no {name} in {told}"))
    };
    for name in ["TCP relay", "Sluice"] {
        let micros: Option<f64> = row(name)
            .split('|')
            .nth(2)
            .and_then(|cell| cell.trim().parse().ok());
        assert!(micros.is_some_and(|micros| micros > 0.0), "{told}");
    }
    for name in ["nginx", "HAProxy"] {
        assert!(
            row(name).contains("not installed") || row(name).contains(" to "),
            "{told}"
        );
    }
}
