//! Servers that speak HTTP/2 and break off, refuse, flood or stall; and clients that hold up others at them.

use crate::support::{
    PATIENCE, eventually,
    frames::{self, END_HEADERS, END_STREAM, Peer, block, frame},
    http2, origin, wire,
    world::{self, World, awaiting},
};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};
use traffic::{
    BackendPolicy, Failure,
    policy::{BackendLimits, Protocol},
};

const SHORT: Duration = Duration::from_millis(150);

fn http2_policy() -> BackendPolicy {
    BackendPolicy {
        protocol: Protocol::Http2,
        // An endpoint that fails on purpose is to be asked again.
        ejection: None,
        ..BackendPolicy::default()
    }
}

fn serve(world: &World, endpoint: SocketAddr) {
    world.serve_with(&[endpoint], http2_policy());
}

/// The head of an answer of 200.
fn ok(stream: u32) -> Vec<u8> {
    frame(frames::HEADERS, END_HEADERS, stream, &[0x88])
}

/// A whole answer.
fn answer(stream: u32) -> Vec<u8> {
    let mut bytes = ok(stream);
    bytes.extend(frame(frames::DATA, END_STREAM, stream, b"ok"));
    bytes
}

/// GOAWAY without an error, with `last` as the last stream that is acted on.
fn goaway(last: u32) -> Vec<u8> {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend([0; 4]);
    frame(frames::GOAWAY, 0, 0, &payload)
}

/// Does what `act` does at each request, with its stream.
fn at_request(act: impl Fn(&mut Peer, u32) + Send + Sync + 'static) -> origin::Origin {
    frames::origin(&[], move |mut peer| {
        while let Some(head) = peer.find(frames::HEADERS) {
            act(&mut peer, head.stream);
        }
    })
}

#[test]
fn an_endpoint_that_gives_no_answer_is_reported_and_counted() {
    let hanging = at_request(|_, _| {});
    let resetting = at_request(|peer, stream| {
        peer.try_send(frame(frames::RST_STREAM, 0, stream, &[0, 0, 0, 2]));
    });
    let garbage = at_request(|peer, _| {
        peer.try_send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let refusing = at_request(|peer, stream| {
        peer.try_send(frame(frames::RST_STREAM, 0, stream, &[0, 0, 0, 7]));
    });
    let interim = at_request(|peer, stream| {
        let head = block(&[(":status", "103")]);
        for _ in 0..1000 {
            peer.try_send(frame(frames::HEADERS, END_HEADERS, stream, &head));
        }
    });
    let bomb = at_request(|peer, stream| {
        let part = block(&[("x", &"y".repeat(16_000))]);
        peer.try_send(frame(frames::HEADERS, 0, stream, &[0x88]));
        for _ in 0..1000 {
            peer.try_send(frame(frames::CONTINUATION, 0, stream, &part));
        }
    });
    let storm = at_request(
        |peer, _| {
            while peer.try_send(frame(frames::SETTINGS, 0, 0, &[])) {}
        },
    );
    let http1 = origin::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    for (what, endpoint, status, reasons) in [
        ("hangs", &hanging, 504, &[Failure::ResponseTimeout][..]),
        ("resets", &resetting, 502, &[Failure::Reset]),
        (
            "garbage",
            &garbage,
            502,
            &[Failure::Protocol, Failure::Reset],
        ),
        ("refuses", &refusing, 502, &[Failure::Reset]),
        ("interim answers", &interim, 502, &[Failure::Protocol]),
        (
            "header bomb",
            &bomb,
            502,
            &[Failure::Protocol, Failure::Reset],
        ),
        ("SETTINGS", &storm, 504, &[Failure::ResponseTimeout]),
        ("HTTP/1", &http1, 502, &[Failure::Protocol, Failure::Reset]),
    ] {
        let world = world::start_with(1, awaiting(reasons[0], SHORT));
        serve(&world, endpoint.address);
        let mut client = world.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut answer = client.response_head();
        while answer.status() == 103 {
            answer = client.response_head();
        }
        assert_eq!(answer.status(), status, "{what}");
        let totals = world.stable();
        assert_eq!((totals.dispatched, totals.failed), (1, 1), "{what}");
        let counted = |reason: &Failure| totals.failures[*reason as usize] == 1;
        assert!(reasons.iter().any(counted), "{what}: {:?}", totals.failures);
    }
}

#[test]
fn an_answer_that_breaks_off_is_cut_and_counted() {
    let resetting = at_request(|peer, stream| {
        peer.send(ok(stream));
        peer.send(frame(frames::DATA, 0, stream, b"half"));
        peer.send(frame(frames::RST_STREAM, 0, stream, &[0, 0, 0, 2]));
    });
    let closing = frames::origin(&[], |mut peer| {
        if let Some(head) = peer.find(frames::HEADERS) {
            peer.send(ok(head.stream));
            peer.send(frame(frames::DATA, 0, head.stream, b"half"));
        }
    });
    let shorter = at_request(|peer, stream| {
        let head = block(&[(":status", "200"), ("content-length", "10")]);
        peer.send(frame(frames::HEADERS, END_HEADERS, stream, &head));
        peer.send(frame(frames::DATA, END_STREAM, stream, b"half"));
    });
    let stalling = at_request(|peer, stream| {
        peer.send(ok(stream));
        peer.send(frame(frames::DATA, 0, stream, b"half"));
    });
    for (what, endpoint, reason) in [
        ("reset", &resetting, Failure::BodyCut),
        ("close", &closing, Failure::BodyCut),
        ("short", &shorter, Failure::BodyCut),
        ("stall", &stalling, Failure::IdleTimeout),
    ] {
        let world = world::start_with(1, awaiting(reason, SHORT));
        serve(&world, endpoint.address);
        for n in 1..=2 {
            let mut client = world.connect();
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            let answer = client.response();
            assert_eq!((answer.status(), answer.is_cut), (200, true), "{what}");
            assert_eq!(world.stable().failures[reason as usize], n, "{what}");
        }
    }
}

#[test]
fn what_an_endpoint_has_not_acted_on_is_sent_again() {
    for (what, refuse) in [
        (
            "GOAWAY",
            (|peer, _| assert!(peer.try_send(goaway(0)))) as fn(&mut Peer, u32),
        ),
        ("REFUSED_STREAM", |peer, stream| {
            peer.try_send(frame(frames::RST_STREAM, 0, stream, &[0, 0, 0, 7]));
        }),
    ] {
        let is_next_refused = AtomicBool::new(true);
        let origin = at_request(move |peer, stream| {
            if is_next_refused.fetch_xor(true, SeqCst) {
                refuse(peer, stream);
            } else {
                peer.try_send(answer(stream));
            }
        });
        let world = world::start();
        serve(&world, origin.address);
        let mut client = world.connect();
        for _ in 0..50 {
            client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
            assert_eq!(client.response().status(), 200, "{what}");
        }
        assert_eq!(world.stable().failed, 0, "{what}");
    }
}

#[test]
fn a_connection_that_says_goodbye_ends_its_requests_first() {
    let origin = at_request(|peer, stream| {
        peer.try_send(goaway(stream));
        peer.try_send(answer(stream));
    });
    let world = world::start();
    serve(&world, origin.address);
    let mut client = world.connect();
    for _ in 0..50 {
        assert_eq!(client.get("/", "").text(), "ok");
    }
    assert_eq!(world.stable().failed, 0);
}

#[test]
fn a_get_survives_a_connection_that_is_closed_as_it_is_sent() {
    for close_at in ["answer", "request"] {
        let origin = frames::origin(&[], move |mut peer| {
            if let Some(head) = peer.find(frames::HEADERS) {
                peer.send(answer(head.stream));
                if close_at == "request" {
                    peer.find(frames::HEADERS);
                }
            }
        });
        let world = world::start();
        serve(&world, origin.address);
        let mut client = world.connect();
        for n in 0..200 {
            assert_eq!(client.get("/", "").status(), 200, "{close_at}, {n}");
        }
        assert_eq!(world.stable().failed, 0, "{close_at}");
    }
}

#[test]
fn an_endpoint_that_takes_no_body_is_given_up() {
    // SETTINGS_INITIAL_WINDOW_SIZE (4) of 0.
    let origin = frames::origin(&[0, 4, 0, 0, 0, 0], |mut peer| drop(peer.rest()));
    let world = world::start_with(1, awaiting(Failure::ResponseTimeout, SHORT));
    serve(&world, origin.address);
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(client.response().status(), 504);
    let totals = world.stable();
    assert_eq!(totals.failures[Failure::ResponseTimeout as usize], 1);
}

#[test]
fn one_request_goes_out_before_the_endpoint_says_how_many_it_takes() {
    const TOGETHER: u64 = 8;
    /// SETTINGS_MAX_CONCURRENT_STREAMS (3) of 2.
    const SETTINGS: [u8; 6] = [0, 3, 0, 0, 0, 2];
    let (all_sent, are_sent) = mpsc::channel::<()>();
    let are_sent = Mutex::new(are_sent);
    let origin = origin::raw(move |stream| {
        let mut peer = Peer::accept(stream);
        are_sent.lock().unwrap().recv().unwrap();
        // What was sent before this is answered came before SETTINGS.
        peer.send(frame(frames::PING, 0, 0, &[7; 8]));
        let mut waiting = Vec::new();
        while let Some(next) = peer.next() {
            match next.kind {
                frames::HEADERS => waiting.push(next.stream),
                frames::PING => break,
                _ => {}
            }
        }
        assert_eq!(waiting, [1], "without SETTINGS");
        peer.send(frame(frames::SETTINGS, 0, 0, &SETTINGS));
        peer.send(answer(1));
        while let Some(head) = peer.find(frames::HEADERS) {
            peer.send(answer(head.stream));
        }
    });
    let world = world::start_with(1, |config| config.timeouts.connect = PATIENCE);
    let limits = BackendLimits {
        connections: 1,
        ..BackendLimits::default()
    };
    let policy = BackendPolicy {
        limits,
        ..http2_policy()
    };
    world.serve_with(&[origin.address], policy);
    let mut clients: Vec<_> = (0..TOGETHER).map(|_| world.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    eventually("all are under way", || world.in_flight() == TOGETHER);
    all_sent.send(()).unwrap();
    for client in &mut clients {
        assert_eq!(client.response().text(), "ok");
    }
    assert_eq!(world.stable().failed, 0);
}

#[test]
fn a_client_that_goes_away_ends_its_stream() {
    let cancelled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cancelled);
    let origin = frames::origin(&[], move |mut peer| {
        while peer.find(frames::RST_STREAM).is_some() {
            counted.fetch_add(1, SeqCst);
        }
    });
    let world = world::start();
    serve(&world, origin.address);
    for n in 1..=20 {
        let mut client = world.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        eventually("the request is under way", || world.in_flight() == 1);
        drop(client);
        eventually("its stream is reset", || cancelled.load(SeqCst) == n);
    }
    assert_eq!(world.stable().cancelled, 20);
    assert_eq!(origin.connections(), 1);
}

/// Serves `/large` with more than anybody reads, in pieces of `piece` bytes, and anything else with two bytes.
fn large(piece: usize) -> origin::Origin {
    http2::origin(move |request, respond| async move {
        if request.uri().path() != "/large" {
            return http2::say(respond, Bytes::from_static(b"ok")).await;
        }
        let mut respond = respond;
        let mut stream = respond.send_response(http::Response::new(()), false)?;
        let piece = Bytes::from(vec![1; piece]);
        loop {
            http2::send_part(&mut stream, piece.clone()).await?;
        }
    })
}

#[test]
fn clients_that_do_not_read_hold_up_no_others() {
    for (piece, readers) in [(1 << 16, 8), (16, 1)] {
        let origin = large(piece);
        let world = world::start();
        serve(&world, origin.address);
        let stalled: Vec<wire::Client> = (0..readers)
            .map(|_| {
                let mut client = world.connect();
                client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n");
                assert_eq!(client.response_head().status(), 200);
                client
            })
            .collect();
        let mut other = world.connect();
        for _ in 0..300 {
            assert_eq!(other.get("/", "").text(), "ok", "pieces of {piece}");
        }
        assert_eq!(origin.connections(), 1, "all share a connection");
        assert_eq!(world.in_flight(), readers, "pieces of {piece}");
        drop(stalled);
        let totals = world.stable();
        assert_eq!((totals.cancelled, totals.failed), (readers, 0));
    }
}
