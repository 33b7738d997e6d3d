//! What changes under load: tables, endpoints, certificates. No request may fail by it.

use crate::{
    asked_for,
    support::{http2, origin, tls::Authority, wire, world},
};
use rustls::{ClientConnection, StreamOwned};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

const LASTS: Duration = Duration::from_secs(8);

#[test]
fn a_hundred_tables_a_second_fail_no_request() {
    if !asked_for() {
        return;
    }
    let world = world::start_with(2, |_| {});
    let origins: Vec<_> = (0..6).map(|_| origin::http().run()).collect();
    let addresses: Vec<SocketAddr> = origins.iter().map(|origin| origin.address).collect();
    world.serve(&addresses);
    let is_over = AtomicBool::new(false);
    let sent = AtomicUsize::new(0);
    let tables = thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = world.connect();
                while !is_over.load(SeqCst) {
                    assert_eq!(client.get("/", "").status(), 200);
                    sent.fetch_add(1, SeqCst);
                }
            });
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    assert_eq!(http2::get(world.address(), "/").unwrap().status, 200);
                    sent.fetch_add(1, SeqCst);
                }
            });
        }
        let began = Instant::now();
        let mut tables = 0;
        while began.elapsed() < LASTS {
            // Two or three of the endpoints, each time others, and once in a while one that is not there yet.
            let mut serving: Vec<_> = (0..2 + tables % 2)
                .map(|n| addresses[(tables + 2 * n) % addresses.len()])
                .collect();
            if tables % 10 == 0 {
                serving.push(origin::refusing());
            }
            world.serve(&serving);
            tables += 1;
            let next = began + tables as u32 * Duration::from_millis(10);
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
        is_over.store(true, SeqCst);
        tables
    });
    let totals = world.stable();
    let sent = sent.load(SeqCst);
    println!(
        "{tables} tables in {LASTS:?}, {sent} requests, {} failed",
        totals.failed
    );
    assert_eq!(totals.statuses, [(200, sent as u64)]);
    assert_eq!(totals.failed, 0);
}

#[test]
fn certificates_that_are_renewed_fail_no_connection() {
    if !asked_for() {
        return;
    }
    let authority = Authority::new("authority");
    let first = authority.sign("shop.example");
    let renewed: Vec<_> = (0..10).map(|_| authority.sign("shop.example")).collect();
    let world = world::start_with(2, |config| {
        config.listeners[0].tls = Some(authority.listener(&[&first]));
    });
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    let config = Arc::new(authority.client(&["http/1.1"], None));
    let connect = || {
        let name = "shop.example".try_into().unwrap();
        let session = ClientConnection::new(Arc::clone(&config), name).unwrap();
        StreamOwned::new(session, TcpStream::connect(world.address()).unwrap())
    };
    let ask = |stream: &mut StreamOwned<ClientConnection, TcpStream>| {
        let request = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            let mut bytes = [0; 1024];
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&bytes[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    };
    let is_over = AtomicBool::new(false);
    let (fresh, kept) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    ask(&mut connect());
                    fresh.fetch_add(1, SeqCst);
                }
            });
            scope.spawn(|| {
                let mut stream = connect();
                while !is_over.load(SeqCst) {
                    ask(&mut stream);
                    kept.fetch_add(1, SeqCst);
                }
            });
        }
        let began = Instant::now();
        for n in 1.. {
            if began.elapsed() > LASTS {
                break;
            }
            // One file after the other, as many tools do: for a moment chain and key are of two certificates.
            let pair = &renewed[n as usize % renewed.len()];
            fs::write(&first.chain_file, &pair.chain).unwrap();
            thread::yield_now();
            fs::write(&first.key_file, &pair.key).unwrap();
            let next = began + n * Duration::from_millis(100);
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
        is_over.store(true, SeqCst);
    });
    let (fresh, kept) = (fresh.load(SeqCst), kept.load(SeqCst));
    println!(
        "certificates renewed for {LASTS:?}: {fresh} new connections, {kept} requests on kept ones"
    );
    assert_eq!(world.stable().statuses, [(200, (fresh + kept) as u64)]);
    assert_eq!(world.proxy.counters().read().handshakes_failed, 0);
}

/// Not judged: how evenly the system deals connections is not in the proxy's hands.
#[test]
fn long_lived_connections_are_dealt_to_workers() {
    if !asked_for() {
        return;
    }
    for count in [8, 32] {
        let world = world::start_with(4, |_| {});
        let origin = origin::http().run();
        world.serve(&[origin.address]);
        let mut clients: Vec<wire::Client> = (0..count).map(|_| world.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/", "").status(), 200);
        }
        // Every worker keeps connections of its own to the origin.
        println!(
            "{count} connections over 4 workers: {} of them have some",
            origin.connections()
        );
    }
}
