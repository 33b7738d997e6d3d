//! Servers that speak HTTP/1.1 and break off, flood, say too much, or close at the worst moment.

use crate::support::{
    eventually, origin, wire,
    world::{self, awaiting},
};
use socket2::SockRef;
use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use traffic::Failure;

const SHORT: Duration = Duration::from_millis(150);

/// Has the connection end with a reset.
fn reset(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Sends as long as somebody takes it.
fn flood(wire: &mut wire::Client, bytes: &[u8]) {
    while std::io::Write::write_all(&mut wire.stream, bytes).is_ok() {}
}

#[test]
fn heads_that_never_end_are_given_up() {
    let interim = origin::after_head(|wire| flood(wire, b"HTTP/1.1 103 X\r\nlink: <a>\r\n\r\n"));
    let headers = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\n");
        flood(wire, b"x-more: and more\r\n");
    });
    let value = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\nx: ");
        flood(wire, &[b'y'; 1 << 16]);
    });
    let line = origin::after_head(|wire| flood(wire, &[b'H'; 1 << 16]));
    let stopped = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-le");
        while !wire.is_closed() {}
    });
    for (endpoint, status, reason) in [
        (interim.address, 502, Failure::Protocol),
        (headers.address, 502, Failure::Protocol),
        (value.address, 502, Failure::Protocol),
        (line.address, 502, Failure::Protocol),
        (stopped.address, 504, Failure::ResponseTimeout),
    ] {
        let world = world::start_with(1, awaiting(reason, SHORT));
        world.serve(&[endpoint]);
        let mut client = world.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut answer = client.response_head();
        while answer.status() == 103 {
            answer = client.response_head();
        }
        assert_eq!(answer.status(), status, "{reason:?}");
        let totals = world.stable();
        assert_eq!(totals.failures[reason as usize], 1, "{reason:?}");
    }
}

#[test]
fn a_body_up_to_the_end_of_a_connection_that_is_reset_is_cut() {
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\n\r\nhalf");
        // The proxy has what came before the reset.
        reset(&wire.stream);
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    // The reset may come before the head was read.
    if let Some(answer) = client.try_message(true) {
        assert!(answer.status() == 502 || answer.is_cut, "{answer:?}");
    }
    assert_eq!(world.stable().failed, 1);
}

#[test]
fn what_comes_after_an_answer_is_never_taken_for_the_next_one() {
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    for answer in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{evil}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more than was announced".to_owned(),
    ] {
        let answer: &'static str = answer.leak();
        let origin = origin::raw(move |stream| {
            let mut wire = wire::Client::from(stream);
            while wire.try_message(false).is_some() {
                if std::io::Write::write_all(&mut wire.stream, answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let world = world::start();
        world.serve(&[origin.address]);
        let mut clients = [world.connect(), world.connect()];
        for n in 0..100 {
            let response = clients[n % 2].get("/", "");
            assert_eq!((response.status(), response.text()), (200, "ok"));
        }
        assert_eq!(world.stable().statuses, [(200, 100)]);
    }
}

/// A body that is cut short is not completed with the next answer.
#[test]
fn a_body_shorter_than_announced_is_cut() {
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort");
    });
    let world = world::start();
    world.serve(&[origin.address]);
    for _ in 0..10 {
        let response = world.connect().get("/", "");
        assert_eq!((response.text(), response.is_cut), ("short", true));
    }
    assert_eq!(world.stable().failures[Failure::BodyCut as usize], 10);
}

/// How a server ends a connection that has carried a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// As soon as it has answered.
    AfterAnswer,
    /// When the next request has come.
    AtRequest,
    /// The same, with a reset.
    Reset,
    /// When the first byte of the next request has come.
    AtFirstByte,
}

const ALL: [Close; 4] = [
    Close::AfterAnswer,
    Close::AtRequest,
    Close::Reset,
    Close::AtFirstByte,
];

/// A server that answers one request of each connection and then closes it as `how` says. Counts the requests that it has
/// seen whole.
fn closing(how: Close) -> (origin::Origin, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let origin = origin::raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        if wire.try_message(false).is_none() {
            return;
        }
        counted.fetch_add(1, SeqCst);
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        match how {
            Close::AfterAnswer => {}
            Close::AtFirstByte => {
                let mut byte = [0];
                let _ = std::io::Read::read(&mut wire.stream, &mut byte);
            }
            Close::AtRequest | Close::Reset => {
                if wire.try_message(false).is_some() {
                    counted.fetch_add(1, SeqCst);
                }
                if how == Close::Reset {
                    reset(&wire.stream);
                }
            }
        }
    });
    (origin, seen)
}

#[test]
fn a_get_survives_a_connection_that_is_closed_as_it_is_sent() {
    for how in ALL {
        let (origin, _) = closing(how);
        let world = world::start();
        world.serve(&[origin.address]);
        let mut client = world.connect();
        for n in 0..300 {
            assert_eq!(client.get("/", "").status(), 200, "{how:?}, request {n}");
        }
        let totals = world.stable();
        assert_eq!((totals.dispatched, totals.failed), (300, 0), "{how:?}");
    }
}

#[test]
fn a_post_is_never_seen_twice_and_fails_only_when_it_may_have_been_seen() {
    for how in ALL {
        let (origin, seen) = closing(how);
        let world = world::start();
        world.serve(&[origin.address]);
        let mut client = world.connect();
        let mut failed = 0;
        for _ in 0..200 {
            client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
            match client.response().status() {
                200 => {}
                502 => failed += 1,
                status => panic!("{status}"),
            }
        }
        let reached = |count| match how {
            Close::AtRequest | Close::Reset => count == 200,
            Close::AfterAnswer | Close::AtFirstByte => count == 200 - failed,
        };
        assert!(reached(seen.load(SeqCst)), "{how:?}: {seen:?}, {failed}");
        if how != Close::AfterAnswer {
            assert_eq!(failed, 100, "{how:?}: every second is written in vain");
        }
        assert_eq!(world.stable().failed, failed as u64, "{how:?}");
    }
}

#[test]
fn an_endpoint_that_answers_early_and_closes_takes_nothing_with_it() {
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 401 No\r\ncontent-length: 3\r\n\r\nno!");
    });
    let world = world::start();
    world.serve(&[origin.address]);
    for _ in 0..50 {
        let mut client = world.connect();
        let length = 1 << 20;
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"
        ));
        // It may be closed at any point of this.
        let _ = std::io::Write::write_all(&mut client.stream, &vec![1; length]);
        let answer = client.try_message(true);
        // The endpoint's reset may have overtaken its answer.
        if let Some(answer) = answer {
            assert!(matches!(answer.status(), 401 | 502), "{answer:?}");
        }
    }
    eventually("all connections end", || {
        world.proxy.counters().read().open == 0
    });
    assert_eq!(world.stable().in_flight, 0);
}
