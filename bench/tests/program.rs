//! The comparison itself, shortened until its numbers mean nothing, with the contenders that need no other program.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it; clippy knows only #[test] functions as tests"
)]

use bench::rivals::CASES;
use std::{fs, process::Command};

/// A run of `bench rivals` and the lines of its CSV.
fn run(arguments: &[&str]) -> (String, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let csv = directory.path().join("rivals.csv");
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("rivals")
        .args(["--rounds", "1", "--seconds", "0.05"])
        .arg("--csv")
        .arg(&csv)
        .args(arguments)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    assert!(output.status.success(), "{told}");
    let csv = fs::read_to_string(csv).unwrap();
    (told, csv.lines().skip(1).map(str::to_owned).collect())
}

/// The columns `columns` of `lines`.
fn columns(lines: &[String], columns: std::ops::Range<usize>) -> Vec<Vec<&str>> {
    let lines = lines.iter().map(|line| line.split(',').collect::<Vec<_>>());
    lines.map(|cells| cells[columns.clone()].to_vec()).collect()
}

#[test]
fn every_case_measures_every_contender() {
    let (told, lines) = run(&["--contenders", "relay,proxy", "--no-latency"]);
    let expected: Vec<_> = CASES
        .iter()
        .flat_map(|case| {
            ["TCP relay (floor)", "Sluice's proxy alone"].map(|kind| vec![case.name, kind])
        })
        .collect();
    assert_eq!(columns(&lines, 0..2), expected, "{told}");
    for requests in columns(&lines, 4..5) {
        assert!(requests[0].parse::<u64>().unwrap() > 0, "{told}");
    }
}

#[test]
fn latency_is_measured_or_said_to_be_too_much() {
    let (told, lines) = run(&["--contenders", "proxy", "--cases", "plain"]);
    let found = columns(&lines, 10..16);
    assert_eq!(found.len(), 1, "{told}");
    let is_measured = |cells: &[&str]| cells.iter().all(|cell| cell.parse::<f64>().is_ok());
    for load in found[0].chunks(3) {
        assert!(
            is_measured(load) || load == ["", "", ""],
            "{load:?} in {told}"
        );
    }
}

#[test]
fn who_is_missing_is_named() {
    let (told, lines) = run(&[
        "--contenders",
        "pingora",
        "--cases",
        "plain",
        "--no-latency",
    ]);
    let is_named = told.contains("| Pingora | not installed, not measured |");
    assert!(is_named || lines.len() == 1, "{told}");
}
