//! Gate: how many instructions the steps of a request's way take, as valgrind counts them.
//!
//! Runs only when it is asked for, since it needs valgrind (a package of Debian) and a release build:
//! `RUSTC_WRAPPER= SLUICE_CALLGRIND_TESTS=1 cargo test --release -p bench --test instructions --target-dir target/plain`.
//! Without the wrapper there is no profile to optimise by (`pgo/`), so that the counts are those of the code, whenever the
//! profile was recorded; in a directory of its own nothing is found that was built with it.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it; clippy knows only #[test] functions as tests"
)]

mod asked;
mod observed;

use bench::origin;
use observed::Load;
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};
use tokio::net::TcpListener;

/// What each operation takes at most. It is what was measured with the compiler that the workspace names, and may only
/// be lowered, or raised with a new compiler.
const CEILINGS: &[(&str, f64)] = &[
    ("read the table", 31.0),
    ("match, 1 rule", 448.0),
    ("match, the last of 50 rules", 470.0),
    ("split by weight", 87.0),
    ("split, sticky by header", 943.0),
    ("split, sticky by cookie", 2_509.0),
    ("record, begin and end", 194.0),
];

/// What a ceiling may be passed by: compilers, and the processor's features that libraries look for, change some.
const SLACK: f64 = 0.08;
/// The same, in instructions: what the compiler decides about one call more or less, anywhere in the program, is more
/// than the share for the shortest operations.
const SLACK_OF_A_CALL: f64 = 20.0;
/// When less than this share of a ceiling is taken, it is to be lowered.
const LOWER: f64 = 0.9;

/// What a forwarded request takes at most, all of the proxy's own together. The answer has two headers and a body of 63
/// bytes.
const FORWARDED: &[(&str, Load, f64)] = &[
    ("a GET", Load::Get, 15_980.0),
    ("a GET on one of 256 connections", Load::Crowd, 14_680.0),
    ("a POST of 1 KiB", Load::Post, 17_380.0),
    ("a GET on a connection of its own", Load::Fresh, 24_960.0),
    ("a GET by HTTP/2", Load::Http2, 18_780.0),
];

/// A multiple of what a crowd asks at once, as [`MANY`].
const FEW: u64 = 1_024;
const MANY: u64 = 11_264;

#[test]
fn an_operation_takes_no_more_instructions_than_it_did() {
    let command = "cargo test --release -p bench --test instructions";
    if !asked::is_asked_for("SLUICE_CALLGRIND_TESTS", command, "valgrind") {
        return;
    }
    assert!(
        is_release(),
        "instructions are those of a release build: {command}"
    );
    let directory = tempfile::tempdir().unwrap();
    let (mut faults, mut table) = (Vec::new(), String::new());
    for &(name, ceiling) in CEILINGS {
        // What the program does besides, to begin with, is the same in both.
        let [few, many] = [FEW, MANY].map(|times| count(name, times, directory.path()));
        let each = (many - few) as f64 / (MANY - FEW) as f64;
        table += &format!("| {name} | {each:.1} |\n");
        faults.extend(fault(name, each, ceiling));
    }
    println!("{table}");
    assert!(faults.is_empty(), "{faults:#?}\n{table}");
}

#[tokio::test]
async fn a_forwarded_request_takes_no_more_instructions_than_it_did() {
    let command = "cargo test --release -p bench --test instructions";
    if !asked::is_asked_for("SLUICE_CALLGRIND_TESTS", command, "valgrind") {
        return;
    }
    assert!(
        is_release(),
        "instructions are those of a release build: {command}"
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = listener.local_addr().unwrap();
    tokio::spawn(origin::serve(listener, 63, Arc::default()));
    let directory = tempfile::tempdir().unwrap();
    let (mut faults, mut table) = (Vec::new(), String::new());
    for &(name, load, ceiling) in FORWARDED {
        let mut counts = Vec::new();
        for requests in [FEW, MANY] {
            let profile = directory.path().join("profile");
            observed::forward(callgrind(&profile), endpoint, load, requests).await;
            counts.push(total(&fs::read_to_string(profile).unwrap()).unwrap());
        }
        let each = (counts[1] - counts[0]) as f64 / (MANY - FEW) as f64;
        table += &format!("| {name} | {each:.0} |\n");
        faults.extend(fault(name, each, ceiling));
    }
    println!("{table}");
    assert!(faults.is_empty(), "{faults:#?}\n{table}");
}

/// What is wrong with `each` instructions where `ceiling` are allowed.
fn fault(name: &str, each: f64, ceiling: f64) -> Option<String> {
    if each > ceiling + (ceiling * SLACK).max(SLACK_OF_A_CALL) {
        Some(format!(
            "{name}: {each:.1} instructions, {ceiling} are allowed"
        ))
    } else if each < ceiling * LOWER - SLACK_OF_A_CALL {
        Some(format!(
            "{name}: {each:.1} instructions, lower the ceiling of {ceiling}"
        ))
    } else {
        None
    }
}

/// Valgrind, to run a program and write its profile.
fn callgrind(profile: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .stderr(Stdio::piped());
    command
}

fn is_release() -> bool {
    !cfg!(debug_assertions)
}

/// The instructions of the program that repeats `name` so many times.
fn count(name: &str, times: u64, directory: &Path) -> u64 {
    let profile = directory.join("profile");
    let output = callgrind(&profile)
        .arg(env!("CARGO_BIN_EXE_micro"))
        .args(["--repeat", name, &times.to_string()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {told}");
    total(&fs::read_to_string(profile).unwrap()).unwrap()
}

/// The sum in a profile of callgrind's.
fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().find_map(|line| {
        let rest = line.strip_prefix("totals:");
        rest.or_else(|| line.strip_prefix("summary:"))
    });
    line?.trim().parse().ok()
}

#[test]
fn a_profile_ends_with_its_sum() {
    for (profile, expected) in [
        ("events: Ir\nsummary: 123\n\nfn=main\n1 2\n", Some(123)),
        ("events: Ir\nfn=main\n1 2\ntotals: 45\n", Some(45)),
        ("events: Ir\n", None),
    ] {
        assert_eq!(total(profile), expected, "{profile}");
    }
}
