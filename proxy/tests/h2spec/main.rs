//! h2spec, a public test of HTTP/2 servers, against the proxy.
//!
//! Runs only when it is asked for, since it needs h2spec, a Go program that `.ci/install` installs:
//! `SLUICE_H2SPEC_TESTS=1 cargo test -p proxy --test h2spec`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it; clippy knows only #[test] functions as tests"
)]

#[path = "../asked/mod.rs"]
mod asked;
mod report;
#[path = "../it/support/mod.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    reason = "other tests use the rest of it"
)]
mod support;

use proxy::Listener;
use report::Report;
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
};
use support::{origin, tls::Authority, world};

/// Cases that do not pass in plain text. Who sends `INVALID CONNECTION PREFACE` there speaks HTTP/1 as far as the listener,
/// which speaks that too, can tell, and gets a 400. h2spec does not take that for the end that it is.
const PLAIN_TEXT: &[&str] = &["http2/3.5: Sends invalid connection preface"];

/// How many cases there are at least. Fewer would mean that the report was not understood.
const CASES: usize = 140;

/// Whether these tests were asked for.
fn asked_for() -> bool {
    asked::is_asked_for("SLUICE_H2SPEC_TESTS", "h2spec")
}

/// The program: in the path, or where Go puts programs.
fn h2spec() -> Command {
    let in_go = std::env::home_dir().map(|home| home.join("go/bin/h2spec"));
    match in_go.filter(|program| program.exists()) {
        Some(program) => Command::new(program),
        None => Command::new("h2spec"),
    }
}

/// What h2spec says of the server at `address`.
fn run(address: SocketAddr, options: &[&str]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.xml");
    let program = h2spec()
        .args(["--host", "127.0.0.1", "--port"])
        .arg(address.port().to_string())
        .args(["--timeout", "5", "--strict", "--junit-report"])
        .arg(&file)
        .args(options)
        .stdin(Stdio::null())
        .output();
    let output = program.unwrap_or_else(|e| panic!("h2spec, which .ci/install installs: {e}"));
    let report = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    Report::read(&report)
}

/// Fails unless just the `exceptions` of all cases fail.
fn check(report: &Report, exceptions: &[&str]) {
    assert!(report.cases >= CASES, "only {} cases", report.cases);
    let mut failed = Vec::new();
    for failure in &report.failures {
        eprintln!("{}: {}", failure.case, failure.what);
        failed.push(&*failure.case);
    }
    assert_eq!(failed, exceptions);
}

#[test]
fn all_cases_pass_over_plain_tcp_and_over_tls() {
    if !asked_for() {
        return;
    }
    let authority = Authority::new("authority");
    let certificate = authority.sign("localhost");
    let world = world::start_with(1, |config| {
        let mut tls = Listener::plain("tls", (Ipv4Addr::LOCALHOST, 0).into());
        tls.tls = Some(authority.listener(&[&certificate]));
        config.listeners.push(tls);
    });
    let origin = origin::http().body("hello").run();
    world.serve(&[origin.address]);
    let addresses = world.proxy.addresses();
    check(&run(addresses[0], &[]), PLAIN_TEXT);
    check(&run(addresses[1], &["--tls", "--insecure"]), &[]);
}
