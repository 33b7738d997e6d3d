//! What passes of a head, and what is refused.

use crate::support::{origin, world};
use proptest::prelude::*;
use std::{cell::RefCell, time::Duration};

#[test]
fn only_what_concerns_both_ends_passes() {
    let world = world::start();
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send(
        "GET http://shop.example:81/a?b=c HTTP/1.1\r\nHost: shop.example:81\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=9\r\nProxy-Connection: close\r\nTE: gzip\r\nX-Kept: yes\r\n\
         X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n",
    );
    assert_eq!(client.response().status(), 200);
    let seen = origin.seen().remove(0);
    assert_eq!(seen.start, "GET /a?b=c HTTP/1.1");
    let mut headers = seen.headers;
    headers.sort();
    let expected = [
        ("host", "shop.example:81"),
        ("x-forwarded-for", "192.0.2.1, 127.0.0.1"),
        ("x-forwarded-host", "shop.example:81"),
        ("x-forwarded-proto", "http"),
        ("x-kept", "yes"),
    ];
    assert_eq!(headers, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
}

#[test]
fn a_response_says_nothing_of_the_endpoints_connection_or_of_the_proxy() {
    let world = world::start();
    let origin = origin::answering(
        b"HTTP/1.1 299 My Reason\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
          Upgrade: h2c\r\nX-Kept: a\r\nX-Kept: b\r\nDate: then\r\nContent-Length: 2\r\n\r\nok",
    );
    world.serve(&[origin.address]);
    let mut client = world.connect();
    for _ in 0..2 {
        let response = client.get("/", "");
        assert_eq!(response.start, "HTTP/1.1 299 My Reason");
        let mut headers = response.headers;
        headers.sort();
        let expected = [
            ("content-length", "2"),
            ("date", "then"),
            ("x-kept", "a"),
            ("x-kept", "b"),
        ];
        assert_eq!(headers, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
    assert_eq!(
        origin.connections(),
        2,
        "the endpoint closes its connections"
    );
    assert_eq!(world.proxy.counters().read().accepted, 1);
}

#[test]
fn what_two_servers_may_understand_differently_is_refused() {
    let world = world::start();
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    let large = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "y".repeat(70_000)
    );
    for (request, status, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", 400, Some("bad_request")),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        (
            "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        (
            "GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        (
            "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",
            501,
            Some("bad_request"),
        ),
        (
            "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        ("nonsense\r\n\r\n", 400, Some("bad_request")),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 60\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        (
            "GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
            400,
            Some("bad_request"),
        ),
        (&large, 431, Some("bad_request")),
    ] {
        let mut client = world.connect();
        client.send(request);
        let response = client.response();
        assert_eq!(
            (response.status(), response.header("sluice-error")),
            (status, reason),
            "{request:.60}"
        );
        assert!(client.is_closed(), "{request:.60}");
    }
    assert!(origin.seen().is_empty());
    assert_eq!(world.proxy.counters().read().bad_requests, 13);
}

/// Lines that requests are made of, of which some go badly together.
const LINES: [&str; 24] = [
    "GET / HTTP/1.1\r\n",
    "POST /a HTTP/1.1\r\n",
    "POST /b HTTP/1.0\r\n",
    "GET http://b/ HTTP/1.1\r\n",
    "host: a\r\n",
    "host: a\r\n",
    "host : a\r\n",
    "content-length: 3\r\n",
    "content-length: 3, 3\r\n",
    "content-length: +3\r\n",
    "content-length: 30\r\n",
    "transfer-encoding: chunked\r\n",
    "transfer-encoding: chunked\r\n",
    "transfer-encoding: identity\r\n",
    "transfer-encoding:\tchunked\r\n",
    "connection: close\r\n",
    "connection: content-length, transfer-encoding\r\n",
    "expect: 100-continue\r\n",
    "upgrade: h2c\r\n",
    " folded\r\n",
    "\r\n",
    "\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "3;x=\"\r\n\"\r\nabc\r\n00\r\nt: 1\r\n\r\n",
];

#[test]
fn whatever_a_client_sends_the_endpoint_sees_the_requests_that_were_counted() {
    let world = world::start_with(1, |config| {
        config.timeouts.request_header = Duration::from_millis(50);
        config.timeouts.keep_alive = Duration::from_millis(50);
        config.timeouts.idle = Duration::from_millis(50);
    });
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    let world = RefCell::new(world);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(60)
    };
    let line = || prop::sample::select(&LINES[..]);
    proptest!(config, |(
        start in prop::sample::select(&LINES[..4]),
        lines in prop::collection::vec(line(), 0..14),
        cut in 0usize..200,
    )| {
        let world = world.borrow();
        let mut sent = start.to_owned() + &lines.concat();
        sent.truncate(sent.len().saturating_sub(cut % (sent.len() * 2)));
        let mut client = world.connect();
        // The proxy may have closed the connection before it has got all of it.
        let _ = std::io::Write::write_all(&mut client.stream, sent.as_bytes());
        while !client.is_closed() {
            client.discard();
        }
        let totals = world.stable();
        let whole = totals.dispatched - totals.cancelled;
        let seen = origin.seen().len() as u64;
        prop_assert!(seen >= whole && seen <= totals.dispatched, "{sent:?}: {seen} seen, {totals:?}");
        prop_assert_eq!(totals.failed, 0, "{:?}", sent);
        prop_assert!(origin.seen().iter().all(|request| request.header("host").is_some()));
    });
}
