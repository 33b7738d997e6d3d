//! A process that has no descriptor or memory left.

use crate::{
    asked_for,
    child::{Child, Plan},
    support::{eventually, origin, wire},
};
use std::{
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

#[test]
fn without_descriptors_it_waits_and_recovers() {
    if !asked_for() {
        return;
    }
    let origin = origin::http().run();
    let mut child = Child::start(&Plan {
        endpoint: Some(origin.address),
        descriptors: Some(120),
        ..Plan::default()
    });
    let mut early = wire::Client::connect(child.address);
    assert_eq!(early.get("/", "").status(), 200);
    let crowd: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(child.address).unwrap())
        .collect();
    eventually("it cannot accept any more", || {
        child.counted().accept_failures > 3
    });
    // It does not burn the processor over it.
    let (began, worked) = (Instant::now(), child.ticks());
    while began.elapsed() < Duration::from_secs(1) {
        thread::park_timeout(Duration::from_millis(100));
    }
    let worked = child.ticks() - worked;
    println!("without descriptors: {worked} ticks of processor time in a second");
    assert!(worked < 50, "{worked} ticks");
    // A connection to the endpoint that is kept still serves; a new one would be the process's failure.
    for _ in 0..20 {
        let status = early.get("/", "").status();
        assert!(status == 200 || status == 503, "{status}");
    }
    assert_eq!(
        child.counted().failed,
        0,
        "it is not held against the version"
    );
    drop(crowd);
    eventually("it serves again", || {
        wire::Client::connect(child.address).get("/", "").status() == 200
    });
    drop(early);
    child.is_left_alone();
}

#[test]
fn without_memory_it_turns_requests_away() {
    if !asked_for() {
        return;
    }
    let origin = origin::http().run();
    let probe = Child::start(&Plan {
        endpoint: Some(origin.address),
        ..Plan::default()
    });
    wire::Client::connect(probe.address).get("/", "");
    let most = (probe.resident() + 12 * 1024) * 1024;
    drop(probe);
    let mut child = Child::start(&Plan {
        endpoint: Some(origin.address),
        memory: Some(most),
        ..Plan::default()
    });
    let mut client = wire::Client::connect(child.address);
    assert_eq!(client.get("/", "").status(), 200);
    // Heads that never end are held in memory.
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(40_000));
    let mut hoard = Vec::new();
    while client.get("/", "").status() == 200 {
        assert!(hoard.len() < 5000, "it is never short");
        for _ in 0..50 {
            let mut greedy = wire::Client::connect(child.address);
            greedy.send(&head);
            hoard.push(greedy);
        }
    }
    println!(
        "short of memory with {} heads of 40 KB; {} KiB of {} held",
        hoard.len(),
        child.resident(),
        most / 1024
    );
    assert!(child.counted().shed > 0);
    drop(hoard);
    eventually("memory suffices again", || {
        client.get("/", "").status() == 200
    });
    println!("  {} KiB afterwards", child.resident());
}
