//! What clients see, and what is counted, when one side fails.

use crate::support::{
    eventually, origin, wire,
    world::{self, awaiting},
};
use proxy::Config;
use socket2::{Domain, Socket, Type};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use traffic::Failure;

const SHORT: Duration = Duration::from_millis(150);

fn soon_idle(config: &mut Config) {
    config.timeouts.idle = SHORT;
}

/// Ends the connection with a reset.
fn reset(wire: &mut wire::Client) {
    let socket = socket2::SockRef::from(&wire.stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Lets the other end wait until it goes away.
fn hang(wire: &mut wire::Client) {
    while !wire.is_closed() {}
}

#[test]
fn a_version_that_gives_no_answer_is_reported_and_counted() {
    let silent = origin::after_head(hang);
    let closing = origin::after_head(|_| {});
    let resetting = origin::after_head(reset);
    let garbage = origin::after_head(|wire| wire.send("hello, this is no HTTP\r\n\r\n"));
    let unasked = origin::after_head(|wire| {
        wire.send("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    });
    let half_a_head = origin::after_head(|wire| wire.send("HTTP/1.1 200 OK\r\ncontent-le"));
    let broken = origin::http().status(500).run();
    for (endpoints, status, reason) in [
        (vec![], 503, Failure::NoEndpoint),
        (vec![origin::refusing(); 4], 502, Failure::Connect),
        (vec![full()], 504, Failure::ConnectTimeout),
        (vec![silent.address], 504, Failure::ResponseTimeout),
        (vec![closing.address], 502, Failure::Reset),
        (vec![resetting.address], 502, Failure::Reset),
        (vec![half_a_head.address], 502, Failure::Reset),
        (vec![garbage.address], 502, Failure::Protocol),
        (vec![unasked.address], 502, Failure::Protocol),
        (vec![broken.address], 500, Failure::Status),
    ] {
        let world = world::start_with(1, awaiting(reason, SHORT));
        world.serve(&endpoints);
        let mut client = world.connect();
        for _ in 0..2 {
            let response = client.get("/", "");
            assert_eq!(response.status(), status, "{reason:?}");
            if reason != Failure::Status {
                assert_eq!(response.header("sluice-error"), Some(reason.as_str()));
                let named = "Service default/shop-stable (stable of default/shop) ";
                assert!(response.text().starts_with(named), "{}", response.text());
            }
        }
        let totals = world.stable();
        assert_eq!((totals.dispatched, totals.failed), (2, 2), "{reason:?}");
        assert_eq!(totals.failures[reason as usize], 2, "{reason:?}");
        assert_eq!(totals.statuses, [(status, 2)], "{reason:?}");
    }
}

/// An address whose queue of connections is full, so that connecting to it hangs.
pub(crate) fn full() -> SocketAddr {
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        let _ = filler.connect(&address);
        // Both ends stay open until the test process ends.
        std::mem::forget(filler);
    }
    std::mem::forget(listener);
    address.as_socket().unwrap()
}

#[test]
fn a_response_that_breaks_off_is_cut_and_counted() {
    for (response, then, reason) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            drop_it as fn(&mut wire::Client),
            Failure::BodyCut,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            hang,
            Failure::IdleTimeout,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            drop_it,
            Failure::BodyCut,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            hang,
            Failure::IdleTimeout,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
            hang,
            Failure::BodyCut,
        ),
    ] {
        let origin = origin::after_head(move |wire| {
            wire.send(response);
            then(wire);
        });
        let world = world::start_with(1, awaiting(reason, SHORT));
        world.serve(&[origin.address]);
        let mut client = world.connect();
        let response = client.get("/", "");
        assert_eq!(
            (response.status(), response.is_cut),
            (200, true),
            "{reason:?}"
        );
        assert!(client.is_closed());
        let totals = world.stable();
        assert_eq!(
            (totals.failed, totals.failures[reason as usize]),
            (1, 1),
            "{reason:?}"
        );
        assert_eq!(totals.statuses, [(200, 1)]);
    }
}

fn drop_it(_: &mut wire::Client) {}

#[test]
fn a_response_that_goes_on_moving_is_not_cut() {
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
        let mut last = Instant::now();
        for byte in b"hello" {
            wire.send([*byte]);
            // Longer than the idle timeout in sum, shorter in each part.
            eventually("a part of the timeout passes", || {
                last.elapsed() > SHORT / 3
            });
            last = Instant::now();
        }
    });
    let world = world::start_with(1, soon_idle);
    world.serve(&[origin.address]);
    // On a machine that is so busy that a part takes as long as the timeout, it proves nothing, and is tried again.
    eventually("it comes whole", || {
        world.connect().get("/", "").text() == "hello"
    });
    let totals = world.stable();
    assert_eq!(totals.dispatched - totals.failed, 1);
}

#[test]
fn a_client_that_goes_away_is_not_held_against_the_version() {
    type Leave = fn(wire::Client);
    let before_head: Leave = |client| drop(client);
    let half_closed: Leave = |mut client| {
        client.finish();
        assert!(client.is_closed(), "it gets no answer");
    };
    for leave in [before_head, half_closed] {
        let origin = origin::after_head(hang);
        let world = world::start();
        world.serve(&[origin.address]);
        let mut client = world.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        eventually("the request is under way", || world.in_flight() == 1);
        leave(client);
        let totals = world.stable();
        assert_eq!((totals.cancelled, totals.failed), (1, 0));
        assert_eq!(totals.statuses, [(499, 1)]);
    }
    // And while the response comes.
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
        hang(wire);
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response_head().status(), 200);
    drop(client);
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0));
}

#[test]
fn a_client_that_stops_or_breaks_its_body_is_told_so() {
    for (sent, status, reason) in [
        ("content-length: 9\r\n\r\nhalf", 408, "request_timeout"),
        (
            "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            408,
            "request_timeout",
        ),
        (
            "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
            400,
            "bad_request",
        ),
    ] {
        let origin = origin::after_head(hang);
        let world = world::start_with(1, soon_idle);
        world.serve(&[origin.address]);
        let mut client = world.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{sent}"));
        let response = client.response();
        assert_eq!(
            (response.status(), response.header("sluice-error")),
            (status, Some(reason))
        );
        let totals = world.stable();
        assert_eq!((totals.cancelled, totals.failed), (1, 0));
    }
}

#[test]
fn a_client_that_dribbles_or_lies_idle_is_closed() {
    let world = world::start_with(1, |config| {
        config.timeouts.request_header = SHORT;
        config.timeouts.keep_alive = SHORT;
    });
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    let began = Instant::now();
    let mut silent = world.connect();
    assert!(silent.is_closed());
    let mut idle = world.connect();
    assert_eq!(idle.get("/", "").status(), 200);
    assert!(idle.is_closed());
    assert!(began.elapsed() >= 2 * SHORT);
    let mut dribbling = world.connect();
    let dribble = std::io::Write::write;
    eventually("the dribble is cut", || {
        std::thread::yield_now();
        dribble(&mut dribbling.stream, b"x").is_err()
    });
    assert_eq!(world.stable().dispatched, 1);
}

#[test]
fn a_client_that_does_not_read_is_closed_and_not_held_against_the_version() {
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        while std::io::Write::write_all(&mut wire.stream, &[0; 1 << 16]).is_ok() {}
    });
    let world = world::start_with(1, soon_idle);
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request is under way", || world.in_flight() == 1);
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0));
}

#[test]
fn a_connection_that_the_endpoint_closed_meanwhile_is_not_used_again() {
    let closed = Arc::new(AtomicUsize::new(0));
    let closing = Arc::clone(&closed);
    let origin = origin::raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        if wire.try_message(false).is_some() {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        drop(wire);
        closing.fetch_add(1, SeqCst);
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    for n in 1..=20 {
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(client.response().status(), 200);
        eventually("the endpoint closes the connection", || {
            closed.load(SeqCst) == n
        });
    }
    assert_eq!(world.stable().statuses, [(200, 20)]);
}

#[test]
fn idle_connections_to_endpoints_are_closed() {
    let closed = Arc::new(AtomicUsize::new(0));
    let closing = Arc::clone(&closed);
    let origin = origin::raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        while wire.try_message(false).is_some() {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        closing.fetch_add(1, SeqCst);
    });
    let world = world::start_with(1, |config| config.pool.idle_time = SHORT);
    world.serve(&[origin.address]);
    assert_eq!(world.connect().get("/", "").status(), 200);
    eventually("the connection is closed", || closed.load(SeqCst) == 1);
}
