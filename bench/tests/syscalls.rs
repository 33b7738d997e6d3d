//! Gate: the system calls of a forwarded keep-alive request, as strace counts them.
//!
//! Runs only when it is asked for, since it needs strace (a package of Debian) and the right to trace:
//! `SLUICE_STRACE_TESTS=1 cargo test -p bench --test syscalls`.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it; clippy knows only #[test] functions as tests"
)]

mod asked;
mod observed;

use bench::origin;
use observed::Load;
use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
    sync::Arc,
};
use tokio::net::TcpListener;

/// What each request may take. It is what was measured and may only be lowered: one reception and one sending on either
/// side, and a wait before each reception.
const ALLOWED: &[(&str, u64)] = &[("epoll_wait", 2), ("recvfrom", 2), ("sendto", 2)];

const FEW: u64 = 200;
const MANY: u64 = 1_200;

type Calls = BTreeMap<String, u64>;

#[tokio::test]
async fn a_forwarded_request_takes_no_more_system_calls_than_it_did() {
    let command = "cargo test -p bench --test syscalls";
    if !asked::is_asked_for("SLUICE_STRACE_TESTS", command, "strace") {
        return;
    }
    if !may_trace() {
        asked::tell("SKIPPED: strace may trace nothing here (ptrace is not allowed)\n");
        return;
    }
    for body_bytes in [0, 63] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = listener.local_addr().unwrap();
        tokio::spawn(origin::serve(listener, body_bytes, Arc::default()));
        // What comes with the process and the connections is the same in both.
        let few = calls(endpoint, FEW).await;
        let many = calls(endpoint, MANY).await;
        let allowed: Calls = ALLOWED
            .iter()
            .map(|(name, n)| (String::from(*name), *n))
            .collect();
        assert_eq!(
            per_request(&few, &many, MANY - FEW),
            allowed,
            "body of {body_bytes} bytes; when there are fewer now, lower what is allowed"
        );
    }
}

/// Whether this machine lets one process trace another. Containers often do not.
fn may_trace() -> bool {
    let traced = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    traced.unwrap().success()
}

/// The calls that one request takes: those of `many` beyond `few`, over `requests`. Rounded, as a timer that rings now and
/// then is a call too.
fn per_request(few: &Calls, many: &Calls, requests: u64) -> Calls {
    let each = many.iter().map(|(name, calls)| {
        let before = few.get(name).copied().unwrap_or(0);
        let each = calls.saturating_sub(before) as f64 / requests as f64;
        (name.clone(), each.round() as u64)
    });
    each.filter(|(_, each)| *each > 0).collect()
}

/// All calls of a proxy that forwards `requests` requests of one client to `endpoint`.
async fn calls(endpoint: SocketAddr, requests: u64) -> Calls {
    let directory = tempfile::tempdir().unwrap();
    let counts = directory.path().join("counts");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o"]).arg(&counts);
    observed::forward(strace, endpoint, Load::Get, requests).await;
    parse(&fs::read_to_string(counts).unwrap())
}

/// The table that strace writes: a line for each call, with its name last and how often it was made fourth. The kernel has
/// two calls to wait on epoll, of which some processors know only the newer.
fn parse(table: &str) -> Calls {
    let lines = table.lines().filter_map(|line| {
        let cells: Vec<_> = line.split_whitespace().collect();
        let calls = cells.get(3)?.parse().ok()?;
        let name = match *cells.last()? {
            "epoll_pwait" => "epoll_wait",
            name => name,
        };
        (name != "total").then(|| (name.to_owned(), calls))
    });
    lines.collect()
}

#[test]
fn a_table_of_calls_is_read() {
    let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.010000           5      2000           sendto
 40.00    0.008000           4      2010        10 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.018000           4      4010        10 total
";
    let expected = [("sendto", 2_000), ("recvfrom", 2_010)];
    let expected: Calls = expected.map(|(name, n)| (name.to_owned(), n)).into();
    assert_eq!(parse(table), expected);
    let few = [("sendto".to_owned(), 1_000), ("recvfrom".to_owned(), 2_000)].into();
    assert_eq!(
        per_request(&few, &expected, 500),
        [("sendto".to_owned(), 2)].into()
    );
}
