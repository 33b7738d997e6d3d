//! Bodies that are sent more than once, that break off, or that come when nobody waits for them any more.

use crate::support::{eventually, frames, origin, wire, world};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use traffic::{
    Backend, BackendId, BackendPolicy, Role, Route, RouteTable, Split, Target, Weight,
    action::{Actions, Mirror, RouteTimeouts},
    matches::{HostMatch, RequestMatch},
    policy::{Ejection, Protocol, Retry},
};

/// One body of each framing, and what an endpoint gets of it.
const BODIES: [(&str, &str); 2] = [
    ("content-length: 11\r\n\r\nhello world", "hello world"),
    (
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        "hello world",
    ),
];

/// Publishes one route to `target` that does `actions`.
fn publish(world: &world::World, target: Target, splits: Vec<Split>, actions: Actions) {
    let route = Route {
        actions: Arc::new(actions),
        ..Route::plain(vec![HostMatch::Any], vec![RequestMatch::any()], target)
    };
    let table = RouteTable::new(vec![route], splits).unwrap();
    world.routes.publish(table);
}

/// A split that sends everything to the canary, and to stable what the canary fails.
fn rescue(world: &world::World, stable: &origin::Origin, canary: &origin::Origin) {
    let rollout = traffic::RolloutId::new("default", "shop");
    let split = Split {
        stable: world.backend(Role::Stable, &[stable.address]),
        canary: Some(world.backend(Role::Canary, &[canary.address])),
        weight: Weight::FULL,
        rules: Vec::new(),
        copies: Vec::new(),
        sticky: None,
        tickets: world.stats.tickets(&rollout),
        rollout,
        rescue: true,
        armed: None,
        counted: None,
    };
    publish(world, Target::Split(0), vec![split], Actions::default());
}

#[test]
fn what_stable_answers_for_the_canary_has_the_whole_body() {
    for (framed, body) in BODIES {
        let world = world::start();
        let (stable, canary) = (origin::http().run(), origin::http().status(500).run());
        rescue(&world, &stable, &canary);
        let mut client = world.connect();
        client.send(format!("PUT / HTTP/1.1\r\nhost: shop.example\r\n{framed}"));
        assert_eq!(client.response().status(), 200);
        let seen: Vec<_> = [stable, canary]
            .iter()
            .flat_map(|origin| origin.seen())
            .map(|request| String::from_utf8(request.body).unwrap())
            .collect();
        assert_eq!(seen, [body, body]);
        let canary = world.totals(Role::Canary);
        assert_eq!((canary.dispatched, canary.failed), (1, 1));
    }
}

#[test]
fn a_copy_has_the_whole_body() {
    for (framed, body) in BODIES {
        let world = world::start();
        let (stable, shadow) = (origin::http().run(), origin::http().run());
        let id = BackendId::new("default", "shadow");
        let mirror = Mirror {
            backend: Backend {
                id,
                ..world.backend(Role::Canary, &[shadow.address])
            },
            share: Weight::FULL,
            max_concurrent: 1,
            max_body_bytes: 64,
        };
        let actions = Actions {
            mirrors: vec![mirror],
            ..Actions::default()
        };
        let target = Target::Backend(world.backend(Role::Stable, &[stable.address]));
        publish(&world, target, Vec::new(), actions);
        let mut client = world.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: shop.example\r\n{framed}"));
        assert_eq!(client.response().status(), 200);
        eventually("the copy comes", || !shadow.seen().is_empty());
        assert_eq!(shadow.seen()[0].body, body.as_bytes());
    }
}

#[test]
fn a_body_that_ends_with_the_connection_ends_it() {
    let origin = origin::answering(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    let request = "GET / HTTP/1.0\r\nhost: shop.example\r\nconnection: keep-alive\r\n\r\n";
    client.send([request, request].concat());
    let response = client.response();
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(
        response.text(),
        "ok",
        "the second answer is no part of the first"
    );
}

#[test]
fn a_client_that_vanishes_after_the_answer_began_ends_the_exchange() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let origin = origin::after_head(move |wire| {
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n");
        while !wire.is_closed() {
            wire.discard();
        }
        counted.fetch_add(1, SeqCst);
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 100\r\n\r\nhalf");
    assert_eq!(client.response_head().status(), 200);
    drop(client);
    eventually("the endpoint is told", || ended.load(SeqCst) == 1);
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0));
}

#[test]
fn a_client_that_vanishes_while_nobody_takes_its_body_ends_the_exchange() {
    const FAR: Duration = Duration::from_secs(3600);
    // SETTINGS_INITIAL_WINDOW_SIZE (4) of 0: it takes the head only.
    let full = frames::origin(
        &[0, 4, 0, 0, 0, 0],
        |mut peer| while peer.next().is_some() {},
    );
    let connecting = crate::failures::full();
    for (what, endpoint, protocol, headers) in [
        ("no connection yet", connecting, Protocol::Http1, ""),
        (
            "not told to continue",
            connecting,
            Protocol::Http1,
            "expect: 100-continue\r\n",
        ),
        ("no room", full.address, Protocol::Http2, ""),
    ] {
        let world = world::start_with(1, |config| {
            config.timeouts.connect = FAR;
            config.timeouts.idle = FAR;
        });
        let policy = BackendPolicy {
            protocol,
            ..BackendPolicy::default()
        };
        world.serve_with(&[endpoint], policy);
        let mut client = world.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\n{headers}content-length: 10000\r\n\r\n"
        ));
        if headers.is_empty() {
            client.send([b'x'; 1000]);
        }
        eventually("it is under way", || world.in_flight() == 1);
        drop(client);
        eventually(what, || world.in_flight() == 0);
        let totals = world.stable();
        assert_eq!((totals.cancelled, totals.failed), (1, 0), "{what}");
    }
}

#[test]
fn the_time_of_a_whole_request_bounds_connecting_too() {
    let world = world::start_with(1, |config| {
        config.timeouts.connect = Duration::from_secs(3600);
    });
    let actions = Actions {
        timeouts: RouteTimeouts {
            request: Some(Duration::from_millis(150)),
            ..RouteTimeouts::default()
        },
        ..Actions::default()
    };
    let target = Target::Backend(world.backend(Role::Stable, &[crate::failures::full()]));
    publish(&world, target, Vec::new(), actions);
    let response = world.connect().get("/", "");
    assert_eq!(response.status(), 504);
    let totals = world.stable();
    assert_eq!((totals.failed, totals.cancelled), (1, 0));
}

#[test]
fn a_status_that_is_tried_again_counts_against_its_endpoint() {
    let (good, bad) = (origin::http().run(), origin::http().status(503).run());
    let world = world::start();
    let policy = BackendPolicy {
        balancing: traffic::policy::Balancing::RoundRobin,
        ejection: Some(Ejection {
            consecutive_failures: std::num::NonZeroU32::new(1),
            ..Ejection::default()
        }),
        retry: Retry {
            statuses: vec![503],
            min_per_second: 100,
            ..Retry::default()
        },
        ..BackendPolicy::default()
    };
    world.serve_with(&[good.address, bad.address], policy);
    let mut client = world.connect();
    for _ in 0..6 {
        assert_eq!(client.get("/", "").status(), 200);
    }
    assert_eq!(bad.seen().len(), 1, "it is ejected after its first failure");
}

#[test]
fn a_grpc_call_whose_body_is_refused_is_the_connections_last_request() {
    let origin = origin::after_head(|wire: &mut wire::Client| {
        while !wire.is_closed() {
            wire.discard()
        }
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send(
        "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n\
         0\r\nb ad: 1\r\n\r\nGET /next HTTP/1.1\r\nhost: shop.example\r\n\r\n",
    );
    assert_eq!(client.response().header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_client_that_answers_nothing_cannot_keep_an_http2_connection() {
    let world = world::start_with(1, |config| {
        config.timeouts.keep_alive = Duration::from_millis(50);
    });
    let mut client = world.connect();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    // Neither SETTINGS nor the PING that comes with GOAWAY are acknowledged.
    while !client.is_closed() {
        client.discard();
    }
}

#[test]
fn an_http2_client_that_holds_its_body_back_is_told_to_go_on() {
    let origin = origin::http().run();
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    // POST http, path / and authority a, and literal: expect: 100-continue.
    let mut block = vec![0x83, 0x86, 0x84, 0x41, 1, b'a', 0x0f, 20, 12];
    block.extend(b"100-continue");
    let mut frame = vec![0, 0, u8::try_from(block.len()).unwrap(), 1, 4, 0, 0, 0, 1];
    frame.extend(block);
    client.send(frame);
    // The head of the interim answer: HEADERS on stream 1 that begin with :status, literal.
    let mut seen = Vec::new();
    while !seen.windows(3).any(|window| window == b"100") && !has_huffman_100(&seen) {
        seen.extend(client.take(1));
    }
    client.send(b"\0\0\x02\0\x01\0\0\0\x01ok");
    eventually("the body comes", || !origin.seen().is_empty());
    assert_eq!(origin.seen()[0].body, b"ok");
}

/// Whether there is `100` in the code of RFC 7541 appendix B: 00001 00000 00000.
fn has_huffman_100(seen: &[u8]) -> bool {
    seen.windows(2).any(|window| window == [0x08, 0x01])
}

#[test]
fn connections_for_one_client_end_with_it() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let origin = origin::raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        while !wire.take(1).ends_with(b"\n") {}
        while wire.try_message(false).is_some() {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        counted.fetch_add(1, SeqCst);
    });
    let world = world::start_with(1, |config| {
        config.pool.idle_time = Duration::from_secs(3600);
    });
    let policy = BackendPolicy {
        proxy_protocol: Some(traffic::policy::ProxyProtocol::V1),
        ..BackendPolicy::default()
    };
    world.serve_with(&[origin.address], policy);
    let mut client = world.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/", "").status(), 200);
    }
    assert_eq!((origin.connections(), ended.load(SeqCst)), (1, 0));
    drop(client);
    eventually("the endpoint is told", || ended.load(SeqCst) == 1);
}
