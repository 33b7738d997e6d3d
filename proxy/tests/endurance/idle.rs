//! Connections that wait.

use crate::{
    asked_for,
    child::{Child, Plan, all_descriptors},
    support::{
        frames::{self, Peer},
        origin::{self, Origin},
        tls::Authority,
        wire,
    },
};
use rustls::{ClientConnection, StreamOwned};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What tells that an answer is whole.
const BODY: &str = "that was all";

/// Whose answers differ in a header, and take most of what an endpoint's connection reads at once.
fn numbered() -> Origin {
    let count = AtomicU64::new(0);
    let filler = " ".repeat(3 * 1024);
    origin::raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        while wire.try_message(false).is_some() {
            let number = count.fetch_add(1, Relaxed);
            let length = filler.len() + BODY.len();
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nx-request-id: {number}\r\ncontent-length: {length}\r\n\r\n{filler}{BODY}"
            ));
        }
    })
}

/// Has connections made by `connect`, each after one exchange, and measures what each costs.
fn check<T>(what: &str, most_kib: u64, plan: &Plan, connect: impl Fn(SocketAddr) -> T) {
    let origin = numbered();
    let plan = Plan {
        endpoint: Some(origin.address),
        ..plan.clone()
    };
    let count = 10_000.min(all_descriptors() - 200);
    let mut child = Child::start(&plan);
    // What is taken once is taken before.
    drop((0..100).map(|_| connect(child.address)).collect::<Vec<_>>());
    child.is_left_alone();
    let before = child.resident();
    let idle: Vec<T> = (0..count).map(|_| connect(child.address)).collect();
    assert_eq!(child.counted().open, count, "{what}");
    let after = child.resident();
    let bytes = (after - before) * 1024 / count;
    println!("{count} idle connections, {what}: {bytes} bytes each");
    assert!(bytes < most_kib * 1024, "{what}: {bytes} bytes each");
    // All of them still work, and cost nothing while they wait.
    let worked = child.ticks();
    drop(idle);
    child.is_left_alone();
    println!(
        "  {} KiB before, {after} KiB with them, {} KiB after they left ({} ticks)",
        before,
        child.resident(),
        child.ticks() - worked
    );
    // Whatever the allocator keeps for a while, others can have it.
    let idle: Vec<T> = (0..count).map(|_| connect(child.address)).collect();
    let again = child.resident();
    println!("  {again} KiB with as many others");
    assert!(again < after + (after - before) / 8, "{what}: {again} KiB");
    drop(idle);
}

fn plain(address: SocketAddr) -> wire::Client {
    let mut client = wire::Client::connect(address);
    assert_eq!(client.get("/", "").status(), 200);
    client
}

#[test]
fn thousands_of_idle_connections_cost_little() {
    if !asked_for() {
        return;
    }
    check("HTTP/1.1", 5, &Plan::default(), plain);
    // What its compression remembers of answers keeps nothing else of them.
    for (what, answers) in [("HTTP/2", 1), ("HTTP/2 after ten answers", 10)] {
        check(what, 40, &Plan::default(), |address| {
            let mut peer = Peer::connect(address);
            for answer in 0..answers {
                peer.get(2 * answer + 1, "/");
                while peer.find(frames::DATA).unwrap().flags & frames::END_STREAM == 0 {}
            }
            peer
        });
    }
}

#[test]
fn thousands_of_idle_connections_over_tls_cost_little() {
    if !asked_for() {
        return;
    }
    let authority = Authority::new("authority");
    let pair = authority.sign("shop.example");
    let file = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let plan = Plan {
        tls: Some((file(&pair.chain_file), file(&pair.key_file))),
        ..Plan::default()
    };
    let http1: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let http2 = frames::opening("/");
    for (what, most_kib, alpn, request) in [
        ("HTTP/1.1 over TLS", 10, "http/1.1", http1),
        ("HTTP/2 over TLS", 48, "h2", &http2),
    ] {
        let config = Arc::new(authority.client(&[alpn], None));
        check(what, most_kib, &plan, |address| {
            let name = "shop.example".try_into().unwrap();
            let session = ClientConnection::new(Arc::clone(&config), name).unwrap();
            let tcp = TcpStream::connect(address).unwrap();
            let mut stream = StreamOwned::new(session, tcp);
            stream.write_all(request).unwrap();
            let mut answer = Vec::new();
            let mut bytes = [0; 1024];
            while !answer
                .windows(BODY.len())
                .any(|part| part == BODY.as_bytes())
            {
                let read = stream.read(&mut bytes).unwrap();
                assert!(read > 0, "{what}: the connection ended");
                answer.extend_from_slice(&bytes[..read]);
            }
            stream
        });
    }
}
