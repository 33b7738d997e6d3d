//! What routes do to requests and answers.

use crate::support::{
    eventually, origin, run,
    speak::{Client, Message},
    tls::Authority,
    wire,
    world::{self, World},
};
use http::{HeaderName, HeaderValue, StatusCode, Version};
use proxy::Listener;
use std::{
    net::Ipv4Addr,
    num::NonZeroU32,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};
use traffic::{
    Actions, Backend, BackendId, Failure, Role, RolloutId, Route, RouteTable, Target, Weight,
    action::{
        Cors, HeaderEdits, Mirror, PathRewrite, RateKey, RateLimit, Redirect, Rewrite,
        RouteTimeouts,
    },
    matches::{HostMatch, PathMatch, RequestMatch},
};

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn value(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

/// A route of everything below `path`.
fn below(path: &str, target: Target, actions: Actions) -> Route {
    let below = RequestMatch {
        path: PathMatch::Prefix(path.into()),
        ..RequestMatch::any()
    };
    Route {
        actions: Arc::new(actions),
        ..Route::plain(vec![HostMatch::Any], vec![below], target)
    }
}

fn publish(world: &World, routes: Vec<Route>) {
    world
        .routes
        .publish(RouteTable::new(routes, Vec::new()).unwrap());
}

fn to(world: &World, origin: &origin::Origin) -> Target {
    Target::Backend(world.backend(Role::Stable, &[origin.address]))
}

#[test]
fn headers_are_changed_on_the_way_there_and_back() {
    let origin = origin::http().run();
    let world = world::start();
    let edits = HeaderEdits {
        set: vec![(name("x-set"), value("new"))],
        add: vec![(name("x-add"), value("two"))],
        remove: vec![name("x-gone"), name("server")],
    };
    let actions = Actions {
        request_headers: edits.clone(),
        response_headers: edits,
        ..Actions::default()
    };
    world.route(to(&world, &origin), actions.clone());
    let sent = "x-set: old\r\nx-set: older\r\nx-add: one\r\nx-gone: 1\r\n";
    let answer = world.connect().get("/", sent);
    assert_eq!(answer.header("x-set"), Some("new"));
    let seen = &origin.seen()[0];
    assert_eq!(seen.header("x-set"), Some("new"));
    assert_eq!(seen.header("x-gone"), None);
    let added: Vec<_> = seen.headers.iter().filter(|(n, _)| n == "x-add").collect();
    assert_eq!(added.len(), 2);
    // The proxy's own answers are the route's answers, too.
    let nowhere = Target::Backend(world.backend(Role::Stable, &[]));
    world.route(nowhere, actions);
    let answer = world.connect().get("/", "");
    assert_eq!(
        (answer.status(), answer.header("x-set")),
        (503, Some("new"))
    );
}

#[test]
fn hosts_and_paths_are_rewritten() {
    let origin = origin::http().run();
    let world = world::start();
    let full = PathRewrite::ReplaceFullPath("/all".into());
    let prefix = |with: &str| PathRewrite::ReplacePrefixMatch(with.into());
    for (matched, rewrite, asked, expected) in [
        ("/", full, "/a/b?q=1", "/all?q=1"),
        ("/old", prefix("/new"), "/old/x?q=1", "/new/x?q=1"),
        ("/old", prefix("/new"), "/old", "/new"),
        ("/old", prefix("/"), "/old/x", "/x"),
        ("/old", prefix("/"), "/old", "/"),
        ("/", prefix("/v1"), "/x", "/v1/x"),
    ] {
        let actions = Actions {
            rewrite: Some(Rewrite {
                hostname: Some(value("inner.example")),
                path: Some(rewrite),
            }),
            ..Actions::default()
        };
        publish(&world, vec![below(matched, to(&world, &origin), actions)]);
        assert_eq!(world.connect().get(asked, "").status(), 200);
        let seen = origin.seen().pop().unwrap();
        assert_eq!(seen.start, format!("GET {expected} HTTP/1.1"));
        assert_eq!(seen.header("host"), Some("inner.example"));
    }
}

#[test]
fn clients_are_sent_elsewhere() {
    let world = world::start();
    let port = world.address().port();
    let plain = Redirect {
        scheme: None,
        hostname: None,
        port: None,
        path: None,
        status: StatusCode::MOVED_PERMANENTLY,
    };
    let host = "other.example".to_owned();
    for (redirect, status, location) in [
        (
            Redirect {
                scheme: Some("https".into()),
                ..plain.clone()
            },
            301,
            "https://shop.example/a/b?q=1".to_owned(),
        ),
        (
            Redirect {
                scheme: Some("https".into()),
                port: Some(8443),
                status: StatusCode::PERMANENT_REDIRECT,
                ..plain.clone()
            },
            308,
            "https://shop.example:8443/a/b?q=1".to_owned(),
        ),
        (
            Redirect {
                hostname: Some(host.into()),
                status: StatusCode::FOUND,
                ..plain.clone()
            },
            302,
            format!("http://other.example:{port}/a/b?q=1"),
        ),
        (
            Redirect {
                path: Some(PathRewrite::ReplacePrefixMatch("/c".into())),
                port: Some(80),
                status: StatusCode::TEMPORARY_REDIRECT,
                ..plain
            },
            307,
            "http://shop.example/c/b?q=1".to_owned(),
        ),
    ] {
        let route = below("/a", Target::Redirect(redirect), Actions::default());
        publish(&world, vec![route]);
        let answer = world.connect().get("/a/b?q=1", "");
        assert_eq!(answer.status(), status, "{answer:?}");
        assert_eq!(answer.header("location"), Some(&*location));
    }
}

#[test]
fn plain_text_leads_to_tls_by_the_listeners_names() {
    let authority = Authority::new("redirects");
    let pair = authority.sign("shop.example");
    let origin = origin::http().run();
    let world = world::start_with(1, |config| {
        let at = (Ipv4Addr::LOCALHOST, 0).into();
        let mut secure = Listener::plain("secure", at);
        secure.tls = Some(authority.listener(&[&pair]));
        config.listeners = vec![Listener::plain("plain", at), secure];
    });
    let redirect = Redirect {
        scheme: Some("https".into()),
        hostname: None,
        port: None,
        path: None,
        status: StatusCode::MOVED_PERMANENTLY,
    };
    let only = |name: &str, target| Route {
        listeners: vec![name.into()],
        ..below("/", target, Actions::default())
    };
    publish(
        &world,
        vec![
            only("plain", Target::Redirect(redirect)),
            only("secure", to(&world, &origin)),
        ],
    );
    let answer = world.connect().get("/x", "");
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.header("location"), Some("https://shop.example/x"));
    run(async {
        let config = authority.client(&["h2"], None);
        let address = world.proxy.addresses()[1];
        let tls = Some((&config, "shop.example"));
        let socket = crate::support::speak::connect(address, tls).await.unwrap();
        let mut client = Client::begin(Version::HTTP_2, socket).await;
        assert_eq!(client.ask(Message::ask("GET", "/x")).await.status, 200);
    });
}

#[test]
fn browsers_are_told_who_may_read_answers() {
    let origin = origin::http().run();
    let world = world::start();
    let cors = Cors {
        allow_origins: vec!["https://*.shop.example".into()],
        allow_credentials: true,
        allow_methods: vec!["PUT".into()],
        allow_headers: vec!["x-a".into()],
        expose_headers: vec!["x-b".into()],
        max_age: Some(60),
    };
    let actions = Actions {
        cors: Some(cors),
        ..Actions::default()
    };
    world.route(to(&world, &origin), actions);
    let mut client = world.connect();
    let mut preflight = |from: &str| {
        client.send(format!(
            "OPTIONS / HTTP/1.1\r\nhost: a\r\norigin: {from}\r\naccess-control-request-method: PUT\r\n\
             access-control-request-headers: x-a\r\n\r\n"
        ));
        client.response()
    };
    let allowed = preflight("https://www.shop.example");
    let header = |name| allowed.header(name);
    let origin_header = "access-control-allow-origin";
    assert_eq!(header(origin_header), Some("https://www.shop.example"));
    assert_eq!(header("access-control-allow-credentials"), Some("true"));
    assert_eq!(header("access-control-max-age"), Some("60"));
    assert!(
        header("access-control-allow-methods")
            .unwrap()
            .contains("PUT")
    );
    assert_eq!(
        preflight("https://evil.example").header(origin_header),
        None
    );
    assert!(origin.seen().is_empty(), "the proxy answers by itself");
    for (from, allowed) in [
        ("https://www.shop.example", true),
        ("https://evil.example", false),
    ] {
        let answer = client.get("/", &format!("origin: {from}\r\n"));
        assert_eq!((answer.status(), answer.text()), (200, "ok"));
        assert_eq!(answer.header(origin_header), allowed.then_some(from));
        assert_eq!(
            answer.header("access-control-expose-headers").is_some(),
            allowed
        );
    }
}

/// A mirror to `origin` of everything, with bodies up to 1000 bytes.
fn mirror(world: &World, address: std::net::SocketAddr) -> Mirror {
    let id = BackendId::new("default", "shadow");
    let none = RolloutId::new("default", "shadow");
    Mirror {
        backend: Backend::plain(
            id,
            [address].into(),
            world.stats.series(&none, Role::Stable),
        ),
        share: Weight::FULL,
        max_concurrent: 100,
        max_body_bytes: 1000,
    }
}

fn mirrored(mirror: Mirror) -> Actions {
    Actions {
        mirrors: vec![mirror],
        ..Actions::default()
    }
}

#[test]
fn copies_leave_whole_and_are_not_judged() {
    let (origin, shadow) = (origin::http().run(), origin::http().status(500).run());
    let world = world::start();
    world.route(
        to(&world, &origin),
        mirrored(mirror(&world, shadow.address)),
    );
    let mut client = world.connect();
    let mut sent = 0;
    for body in [
        "content-length: 0\r\n\r\n".to_owned(),
        "content-length: 2\r\n\r\nhi".to_owned(),
        "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n ho\r\n0\r\n\r\n".to_owned(),
    ] {
        client.send(format!(
            "POST /x?y HTTP/1.1\r\nhost: a\r\nx-mine: 1\r\n{body}"
        ));
        assert_eq!(client.response().status(), 200);
        sent += 1;
        eventually("the copy comes", || shadow.seen().len() == sent);
        let (copy, own) = (shadow.seen().pop().unwrap(), origin.seen().pop().unwrap());
        assert_eq!(copy.body, own.body);
        assert_eq!(copy.start, "POST /x?y HTTP/1.1");
        assert_eq!(copy.header("x-mine"), Some("1"));
        assert!(copy.header("x-sluice-mirror").is_some(), "{copy:?}");
        assert_eq!(own.header("x-sluice-mirror"), None);
    }
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        client
            .ask(Message::ask("PUT", "/x").body(&["hel", "lo"]))
            .await;
        client.ask(Message::ask("GET", "/x")).await;
    });
    eventually("the copies come", || shadow.seen().len() == sent + 2);
    let bodies: Vec<_> = shadow.seen().iter().map(|seen| seen.body.clone()).collect();
    assert!(bodies.contains(&b"hello".to_vec()), "{bodies:?}");
    // What is too large is not copied, whether that was announced or not.
    let large = "x".repeat(1001);
    for body in [
        format!("content-length: 1001\r\n\r\n{large}"),
        format!("transfer-encoding: chunked\r\n\r\n3e9\r\n{large}\r\n0\r\n\r\n"),
    ] {
        client.send(format!("POST /large HTTP/1.1\r\nhost: a\r\n{body}"));
        assert_eq!(client.response().status(), 200);
    }
    assert_eq!(client.get("/last", "").status(), 200);
    eventually("the last copy comes", || {
        shadow
            .seen()
            .iter()
            .any(|seen| seen.start.contains("/last"))
    });
    assert!(
        !shadow
            .seen()
            .iter()
            .any(|seen| seen.start.contains("/large"))
    );
    let totals = world.stable();
    assert_eq!((totals.dispatched, totals.failed), (8, 0));
}

#[test]
fn a_mirror_that_is_slow_or_dead_slows_nobody() {
    let origin = origin::http().run();
    let silent = origin::after_head(|wire| while !wire.is_closed() {});
    for (what, address) in [("silent", silent.address), ("dead", origin::refusing())] {
        let world = world::start();
        let few = Mirror {
            max_concurrent: 3,
            ..mirror(&world, address)
        };
        world.route(to(&world, &origin), mirrored(few));
        let mut client = world.connect();
        for _ in 0..50 {
            assert_eq!(client.get("/", "").status(), 200, "{what}");
        }
        assert_eq!(world.stable().failed, 0, "{what}");
    }
    assert!(silent.connections() <= 3);
    // A share is a share.
    let shadow = origin::http().run();
    let world = world::start();
    let half = Mirror {
        share: Weight::from_percent(50).unwrap(),
        ..mirror(&world, shadow.address)
    };
    world.route(to(&world, &origin), mirrored(half));
    let mut client = world.connect();
    for _ in 0..100 {
        client.get("/", "");
    }
    eventually("the copies come", || shadow.seen().len() >= 49);
    assert!(shadow.seen().len() <= 51);
}

#[test]
fn a_request_for_another_protocol_is_not_copied() {
    let switching = origin::answering(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    );
    let shadow = origin::http().run();
    let world = world::start();
    world.route(
        to(&world, &switching),
        mirrored(mirror(&world, shadow.address)),
    );
    let answer = world
        .connect()
        .get("/", "connection: upgrade\r\nupgrade: x\r\n");
    assert_eq!(answer.status(), 101);
    world.route(
        to(&world, &origin::http().run()),
        mirrored(mirror(&world, shadow.address)),
    );
    assert_eq!(world.connect().get("/plain", "").status(), 200);
    eventually("a copy comes", || !shadow.seen().is_empty());
    let seen = shadow.seen();
    assert!(
        seen.iter().all(|seen| seen.start.contains("/plain")),
        "{seen:?}"
    );
}

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
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let held = origin::raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        while wire.try_message(false).is_some() {
            let _ = wait.lock().unwrap().recv();
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
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
