//! SIGTERM: what is under way is finished, within the deadline.

use crate::support::{
    PATIENCE, eventually,
    origin::Behaviour,
    process::Process,
    site::{Documents, Site, Slot},
    wire::Connection,
};
use rustix::process::Signal;
use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

fn site(drain: &str) -> Site {
    Site::new(Documents {
        proxy: format!("timeouts: {{drain: {drain}}}"),
        ..Documents::default()
    })
}

/// Sends a request that hangs, and waits until its origin has it.
fn request_under_way(site: &Site, process: &Process) -> Connection {
    site.blue.behave(Behaviour::Hanging);
    let mut connection = Connection::open(process.listener).unwrap();
    connection.send("GET /slow", "", "").unwrap();
    eventually("the request is under way", || site.blue.requests() == 1);
    connection
}

#[test]
fn a_request_under_way_is_finished_and_no_new_one_is_taken() {
    let site = site("60s");
    let mut process = site.start();
    let mut connection = request_under_way(&site, &process);
    let mut idle = Connection::open(process.listener).unwrap();
    process.terminate();
    process.logs(&["received SIGTERM; draining"]);
    eventually("connections are refused", || {
        TcpStream::connect(process.listener).is_err()
    });
    assert!(idle.is_closed(), "an idle connection is not waited for");
    site.blue.behave(Behaviour::Good);
    let answer = connection.response().unwrap();
    assert_eq!(
        (answer.status(), answer.version(), answer.text()),
        (200, "v1", "ok\n")
    );
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
fn a_request_that_outlasts_the_deadline_is_cut() {
    let site = site("500ms");
    let mut process = site.start();
    let mut connection = request_under_way(&site, &process);
    let asked = Instant::now();
    process.terminate();
    let status = process.ended();
    let took = asked.elapsed();
    assert!(
        took >= Duration::from_millis(500) && took < PATIENCE / 2,
        "{took:?}"
    );
    assert_eq!(status.code(), Some(0));
    assert!(connection.is_closed());
    process.logs(&["1 connections were cut at the drain deadline of 500ms"]);
}

#[test]
fn readiness_ends_before_health() {
    let site = site("60s");
    let mut process = site.start();
    let _busy = request_under_way(&site, &process);
    let status = |path| process.get(path).status();
    assert_eq!((status("/readyz"), status("/healthz")), (200, 200));
    process.terminate();
    eventually("the process is not ready", || status("/readyz") == 503);
    assert_eq!(status("/healthz"), 200);
    site.blue.behave(Behaviour::Good);
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
fn a_second_signal_cuts_what_is_under_way() {
    let site = site("10m");
    for second in [Signal::TERM, Signal::INT] {
        let mut process = site.start();
        site.blue.deploy("v1", Behaviour::Good);
        let mut connection = request_under_way(&site, &process);
        process.terminate();
        process.logs(&["received SIGTERM; draining"]);
        process.signal(second);
        assert_eq!(process.ended().code(), Some(0));
        assert!(connection.is_closed());
        process.logs(&["again; cutting what is still under way"]);
    }
}

#[test]
fn an_idle_process_ends_at_once_and_keeps_its_state() {
    let mut site = site("60s");
    let mut process = site.start();
    // A listener for events is connected for ever, and must not hold the end up.
    let mut events = Connection::open(process.admin).unwrap();
    events.send("GET /api/v1/events", "", "").unwrap();
    site.ship("v2", Slot::Green, Behaviour::Good);
    let before = process.until_phase("Paused", 50.0);
    let asked = Instant::now();
    process.terminate();
    assert_eq!(process.ended().code(), Some(0));
    assert!(asked.elapsed() < PATIENCE / 2, "{:?}", asked.elapsed());
    drop(process);
    let again = site.start();
    let after = again.until_phase("Paused", 50.0);
    for field in ["canary", "stable"] {
        assert_eq!(after[field]["revision"], before[field]["revision"]);
    }
    assert_eq!(after["decisions"], before["decisions"]);
    assert_eq!(after["steps"], before["steps"]);
}
