//! What routes do not let through, or not for so long.

use super::{name, to};
use crate::support::{
    eventually, origin, run,
    speak::{Client, Message},
    world,
};
use http::Version;
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};
use traffic::{
    Actions, Failure,
    action::{RateKey, RateLimit, RouteTimeouts},
};

#[test]
fn requests_beyond_a_rate_are_turned_away() {
    let origin = origin::http().run();
    let (one, other) = ("x-user: 1\r\n", "x-user: 2\r\n");
    for (what, key, second_user) in [
        ("route", RateKey::Route, 429),
        ("client", RateKey::ClientAddress, 429),
        ("header", RateKey::Header(name("x-user")), 200),
    ] {
        let world = world::start();
        let actions = Actions {
            rate_limit: Some(RateLimit {
                per_second: 0.001,
                burst: NonZeroU32::new(2).unwrap(),
                key,
            }),
            ..Actions::default()
        };
        world.route(to(&world, &origin), actions);
        let mut client = world.connect();
        for status in [200, 200, 429, 429] {
            let answer = client.get("/", one);
            assert_eq!(answer.status(), status, "{what}");
            assert_eq!(
                answer.header("retry-after").is_some(),
                status == 429,
                "{what}"
            );
        }
        assert_eq!(client.get("/", other).status(), second_user, "{what}");
        let served = 2 + u64::from(second_user == 200);
        assert_eq!(world.stable().dispatched, served, "{what}");
    }
}

#[test]
fn no_more_requests_are_under_way_than_a_route_lets_be() {
    let (held, go) = origin::held();
    let world = world::start();
    let actions = Actions {
        max_concurrent: NonZeroU32::new(1),
        ..Actions::default()
    };
    world.route(to(&world, &held), actions);
    let mut first = world.connect();
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it has come", || held.connections() == 1);
    let mut second = world.connect();
    assert_eq!(second.get("/", "").status(), 503);
    go.send(()).unwrap();
    assert_eq!(first.response().status(), 200);
    go.send(()).unwrap();
    eventually("its place is free", || {
        let mut third = world.connect();
        let status = third.get("/", "").status();
        status == 200
    });
    assert_eq!(world.stable().failed, 0, "that is not the version's doing");
}

#[test]
fn bodies_beyond_a_routes_limit_are_refused() {
    let origin = origin::http().run();
    let world = world::start();
    let actions = Actions {
        max_body_bytes: Some(4),
        ..Actions::default()
    };
    world.route(to(&world, &origin), actions);
    for (body, status) in [
        ("content-length: 4\r\n\r\nfour", 200),
        ("content-length: 5\r\n\r\nfives", 413),
        (
            "transfer-encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n",
            200,
        ),
        (
            "transfer-encoding: chunked\r\n\r\n3\r\nthr\r\n2\r\nee\r\n0\r\n\r\n",
            413,
        ),
    ] {
        let mut client = world.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{body}"));
        let answer = client.response();
        assert_eq!(answer.status(), status, "{body:?}");
        if status == 413 {
            assert_eq!(answer.header("sluice-error"), Some("body_too_large"));
            assert_eq!(answer.header("connection"), Some("close"));
        }
    }
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        for (length, pieces, status) in [
            (None, &["fo", "ur"], 200),
            (None, &["thr", "ee"], 413),
            (Some("5"), &["thr", "ee"], 413),
            (None, &["fo", "ur"], 200),
        ] {
            let mut request = Message::ask("POST", "/").body(pieces);
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let answer = client.ask(request).await;
            assert_eq!(answer.status, status, "{pieces:?}");
        }
    });
    let totals = world.stable();
    assert_eq!(totals.failed, 0, "that is not the version's doing");
}

#[test]
fn routes_have_timeouts_of_their_own() {
    let short = Some(Duration::from_millis(100));
    let silent = || origin::after_head(|wire| while !wire.is_closed() {});
    let begun = || {
        origin::after_head(|wire| {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegun");
            while !wire.is_closed() {}
        })
    };
    let of = |request, response_header, idle| RouteTimeouts {
        request,
        response_header,
        idle,
    };
    for (what, origin, timeouts, status, failure) in [
        (
            "request",
            silent(),
            of(short, None, None),
            504,
            Failure::ResponseTimeout,
        ),
        (
            "header",
            silent(),
            of(None, short, None),
            504,
            Failure::ResponseTimeout,
        ),
        (
            "request, begun",
            begun(),
            of(short, None, None),
            200,
            Failure::IdleTimeout,
        ),
        (
            "idle",
            begun(),
            of(None, None, short),
            200,
            Failure::IdleTimeout,
        ),
    ] {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let world = world::start();
            let actions = Actions {
                timeouts,
                ..Actions::default()
            };
            world.route(to(&world, &origin), actions);
            let began = Instant::now();
            run(async {
                let mut client = Client::plain(version, world.address()).await;
                if status == 504 {
                    let answer = client.ask(Message::ask("GET", "/")).await;
                    assert_eq!(answer.status, status, "{what}");
                } else {
                    assert!(
                        client.send(Message::ask("GET", "/")).await.is_err(),
                        "{what}"
                    );
                }
            });
            assert!(began.elapsed() < Duration::from_secs(15), "{what}");
            let totals = world.stable();
            assert_eq!(
                totals.failures[failure as usize], 1,
                "{what} {:?}",
                totals.failures
            );
        }
    }
}
