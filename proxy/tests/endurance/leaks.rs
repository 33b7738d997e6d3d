//! Memory after tens of thousands of requests of every kind.

use crate::{
    asked_for,
    child::{Child, Plan},
    support::{
        frames::{self, Peer, frame, request},
        origin, wire,
    },
};
use std::{
    io::Write,
    net::{Shutdown, SocketAddr},
};

/// One of each kind, some of which end badly.
fn round(address: SocketAddr) {
    let mut client = wire::Client::connect(address);
    for _ in 0..20 {
        assert_eq!(client.get("/", "").status(), 200);
    }
    client.send(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    assert_eq!(client.response().status(), 200);
    for end in [
        "GET / HT",
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf",
        "GET /cut HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /reset HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let mut client = wire::Client::connect(address);
        client.send(end);
        client.stream.shutdown(Shutdown::Write).unwrap();
        while !client.is_closed() {
            client.discard();
        }
    }
    let mut peer = Peer::connect(address);
    for n in 0..10 {
        peer.get(4 * n + 1, "/");
        // Given up at once.
        let head = request("GET", "/");
        let whole = frames::END_HEADERS | frames::END_STREAM;
        peer.send(frame(frames::HEADERS, whole, 4 * n + 3, &head));
        peer.send(frame(frames::RST_STREAM, 0, 4 * n + 3, &[0, 0, 0, 8]));
        loop {
            let data = peer.find(frames::DATA).unwrap();
            if data.stream == 4 * n + 1 && data.flags & frames::END_STREAM > 0 {
                break;
            }
        }
    }
}

#[test]
fn memory_does_not_grow_with_requests() {
    if !asked_for() {
        return;
    }
    let origin = origin::raw(|stream| {
        let mut wire = wire::Client::from(stream);
        while let Some(request) = wire.try_message(false) {
            let answer: &[u8] = match request.start.split(' ').nth(1) {
                Some("/cut") => b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
                Some("/reset") => b"",
                _ => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            };
            if wire.stream.write_all(answer).is_err() || answer.len() != 40 {
                return;
            }
        }
    });
    let mut child = Child::start(&Plan {
        endpoint: Some(origin.address),
        ..Plan::default()
    });
    let mut measured = Vec::new();
    for _ in 0..5 {
        (0..200).for_each(|_| round(child.address));
        child.is_left_alone();
        measured.push(child.resident());
    }
    println!("memory after each 9,000 requests, in KiB: {measured:?}");
    assert!(measured[4] < measured[1] + 4096, "{measured:?}");
}
