//! How Services are spoken to: retries, rescue, ejection, health checks, limits, consistent hash.

use crate::support::{
    eventually, http2, origin, run,
    speak::{self, Client, Message},
    tls::Authority,
    wire,
    world::{self, World},
};
use http::Version;
use std::{
    future::pending,
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};
use traffic::{
    Backend, BackendPolicy, Failure, Role, Split, Target, Weight,
    action::{Actions, RouteTimeouts},
    policy::{BackendLimits, Balancing, Ejection, HashKey, HealthCheck, Protocol, Retry},
};

/// Endpoints take turns, none is ejected, and retries are as `retry` says.
fn in_turns(retry: Retry) -> BackendPolicy {
    BackendPolicy {
        balancing: Balancing::RoundRobin,
        ejection: None,
        retry,
        ..BackendPolicy::default()
    }
}

fn unbounded() -> Retry {
    Retry {
        min_per_second: 1000,
        ..Retry::default()
    }
}

/// Closes each connection when a request has come.
fn closing() -> origin::Origin {
    origin::after_head(|_| {})
}

/// Takes requests and says nothing.
fn silent() -> origin::Origin {
    origin::after_head(|wire| while !wire.is_closed() {})
}

#[test]
fn what_may_be_repeated_is_repeated_elsewhere_and_the_first_attempt_is_judged() {
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    let put = "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let statuses = Retry {
        statuses: vec![503],
        ..unbounded()
    };
    let impatient = Retry {
        attempt_timeout: Some(Duration::from_millis(100)),
        ..unbounded()
    };
    let never = Retry {
        attempts: 0,
        ..unbounded()
    };
    let busy = origin::http().status(503).run().address;
    let (closing, silent) = (closing().address, silent().address);
    let refusing = origin::refusing();
    let reset = Some(Failure::Reset);
    for (what, bad, request, retry, status, failure) in [
        ("refused GET", refusing, get, unbounded(), 200, None),
        ("refused POST", refusing, post, unbounded(), 200, None),
        ("reset GET", closing, get, unbounded(), 200, reset),
        ("reset PUT", closing, put, unbounded(), 200, reset),
        ("reset POST", closing, post, unbounded(), 502, reset),
        ("reset, no retry", closing, get, never.clone(), 502, reset),
        ("503", busy, get, unbounded(), 503, Some(Failure::Status)),
        (
            "503 in statuses",
            busy,
            get,
            statuses.clone(),
            200,
            Some(Failure::Status),
        ),
        (
            "503, POST",
            busy,
            post,
            statuses,
            503,
            Some(Failure::Status),
        ),
        (
            "slow",
            silent,
            get,
            impatient.clone(),
            200,
            Some(Failure::ResponseTimeout),
        ),
        (
            "slow PUT",
            silent,
            put,
            impatient,
            200,
            Some(Failure::ResponseTimeout),
        ),
    ] {
        // Where the round begins is drawn: the bad one is met within two requests.
        let good = origin::http().body("good").run();
        let world = world::start();
        world.serve_with(&[bad, good.address], in_turns(retry));
        let mut statuses = Vec::new();
        for _ in 0..2 {
            let mut client = world.connect();
            client.send(request);
            statuses.push(client.response().status());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, status], "{what}");
        for seen in good.seen() {
            assert!(seen.text() == "hi" || request == get, "{what}: {seen:?}");
        }
        let totals = world.stable();
        // A retry takes a turn, too, so that the bad one may be met twice.
        let counted = failure.map_or(0, |failure| totals.failures[failure as usize]);
        assert_eq!(totals.failed, counted, "{what}: {:?}", totals.failures);
        assert_eq!(counted > 0, failure.is_some(), "{what}");
        assert_eq!(totals.dispatched, 2, "{what}");
    }
}

#[test]
fn retries_keep_to_their_budget() {
    let world = world::start();
    let retry = Retry {
        budget: 0.1,
        min_per_second: 0,
        ..Retry::default()
    };
    let tried = closing();
    world.serve_with(&[tried.address], in_turns(retry));
    for _ in 0..100 {
        assert_eq!(world.connect().get("/", "").status(), 502);
    }
    let extra = tried.connections() - 100;
    assert!((5..=11).contains(&extra), "{extra} retries of 100 requests");
}

/// Publishes a split that sends everything to the canary, which stable comes to the rescue of.
fn rescued(world: &World, stable: SocketAddr, canary: SocketAddr) {
    let plain = |role, address| Backend {
        policy: Arc::new(in_turns(Retry {
            attempts: 0,
            ..Retry::default()
        })),
        ..world.backend(role, &[address])
    };
    let split = Split {
        weight: Weight::FULL,
        rescue: true,
        ..world.split_of(plain(Role::Stable, stable), plain(Role::Canary, canary))
    };
    world.publish(&[("/", Target::Split(0))], vec![split]);
}

#[test]
fn stable_answers_what_the_canary_failed_and_the_canary_is_judged() {
    let broken = origin::http().status(500).body("broken").run();
    let teapot = origin::http().status(418).run();
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let put = "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    let chunked =
        "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    for (what, canary, request, status, failed) in [
        ("500", broken.address, get, 200, 1),
        ("500 to PUT", broken.address, put, 200, 1),
        ("500 to chunked PUT", broken.address, chunked, 200, 1),
        ("500 to POST", broken.address, post, 500, 1),
        ("closed", closing().address, get, 200, 1),
        ("closed to PUT", closing().address, put, 200, 1),
        ("refused", origin::refusing(), get, 200, 1),
        ("418", teapot.address, get, 418, 0),
    ] {
        let stable = origin::http().body("stable").run();
        let world = world::start();
        rescued(&world, stable.address, canary);
        let mut client = world.connect();
        client.send(request);
        let answer = client.response();
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
        let totals = world.totals(Role::Canary);
        assert_eq!((totals.dispatched, totals.failed), (1, failed), "{what}");
        assert_eq!(world.totals(Role::Stable).dispatched, 0, "{what}");
        let seen = stable.seen();
        assert_eq!(seen.len(), usize::from(status == 200), "{what}");
        if request != get {
            assert!(
                seen.iter().all(|seen| seen.text() == "hi"),
                "{what}: {seen:?}"
            );
        }
    }
}

#[test]
fn an_endpoint_that_fails_is_left_out_and_comes_back() {
    let status = Arc::new(AtomicU16::new(500));
    let answered = Arc::clone(&status);
    let bad = speak::origin(Protocol::Http1, None, move |_| {
        Message::answer(answered.load(SeqCst))
    });
    let good = origin::http().run();
    let world = world::start();
    let ejection = Ejection {
        consecutive_failures: NonZeroU32::new(3),
        base_time: Duration::from_millis(300),
        ..Ejection::default()
    };
    let policy = BackendPolicy {
        ejection: Some(ejection),
        ..in_turns(Retry::default())
    };
    world.serve_with(&[bad.address, good.address], policy);
    let mut client = world.connect();
    let failed = (0..40).filter(|_| client.get("/", "").status() == 500);
    let failed = failed.count() as u64;
    // In turns it would be 20. Each time that it was left out for on a busy machine, it is tried once more.
    assert!((3..10).contains(&failed), "then it is left out: {failed}");
    // When it works again it is tried with one request, and takes part from then on.
    status.store(200, SeqCst);
    let before = bad.seen().len();
    eventually("it is tried again", || {
        client.get("/", "");
        bad.seen().len() > before + 5
    });
    assert_eq!(world.stable().failed, failed);
}

#[test]
fn endpoints_that_fail_their_checks_are_left_out() {
    let authority = Authority::new("checked");
    let pair = authority.sign("backend.example");
    for (protocol, is_tls) in [
        (Protocol::Http1, false),
        (Protocol::Http1, true),
        (Protocol::Http2, false),
        (Protocol::Http2, true),
    ] {
        let what = format!("{protocol:?} {is_tls}");
        let alpn = match protocol {
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
        };
        let server = is_tls.then(|| authority.server(&[alpn], &pair, false));
        let health = Arc::new(AtomicU16::new(503));
        let answered = Arc::clone(&health);
        let sick = speak::origin(protocol, server.clone(), move |request| {
            if request.target.ends_with("/healthz") {
                assert_eq!(request.method, "GET");
                Message::answer(answered.load(SeqCst))
            } else {
                Message::answer(200).header("x-by", "sick")
            }
        });
        let well = speak::origin(protocol, server, |_| Message::answer(200));
        let world = world::start();
        let policy = BackendPolicy {
            protocol,
            tls: is_tls.then(|| authority.backend("backend.example", None)),
            health_check: Some(HealthCheck {
                path: Some("/healthz".into()),
                host: Some("check.example".into()),
                interval: Duration::from_millis(20),
                timeout: Duration::from_secs(2),
                unhealthy_after: NonZeroU32::MIN,
                healthy_after: NonZeroU32::MIN,
            }),
            ..in_turns(Retry::default())
        };
        world.serve_with(&[sick.address, well.address], policy);
        let mut client = world.connect();
        let by_sick = |client: &mut wire::Client| {
            let both = [client.get("/", ""), client.get("/", "")];
            both.iter()
                .filter(|answer| answer.header("x-by").is_some())
                .count()
        };
        eventually(&format!("it is left out: {what}"), || {
            by_sick(&mut client) == 0
        });
        for _ in 0..10 {
            assert_eq!(by_sick(&mut client), 0, "{what}");
        }
        health.store(204, SeqCst);
        eventually(&format!("it is back: {what}"), || by_sick(&mut client) == 1);
        let totals = world.stable();
        assert_eq!(totals.failed, 0, "{what}");
        let checks = sick.seen();
        let check = checks
            .iter()
            .find(|seen| seen.target.ends_with("/healthz"))
            .unwrap();
        let host = check.one("host").map(str::to_owned);
        assert!(
            host.as_deref() == Some("check.example") || check.target.contains("//check.example/")
        );
    }
}

#[test]
fn what_is_beyond_a_services_limits_waits_or_is_turned_away() {
    let (held, go) = origin::held();
    let world = world::start();
    let limited = |limits: BackendLimits| BackendPolicy {
        limits,
        ..in_turns(Retry::default())
    };
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    // One request at a time.
    world.serve_with(
        &[held.address],
        limited(BackendLimits {
            requests: 1,
            ..BackendLimits::default()
        }),
    );
    let mut first = world.connect();
    first.send(get);
    eventually("it has come", || held.connections() == 1);
    let answer = world.connect().get("/", "");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("sluice-error"), Some("overload"));
    go.send(()).unwrap();
    assert_eq!(first.response().status(), 200);
    assert_eq!(world.stable().failures[Failure::Overload as usize], 1);
    // One connection, and one that waits for it.
    world.serve_with(
        &[held.address],
        limited(BackendLimits {
            connections: 1,
            pending: 1,
            ..BackendLimits::default()
        }),
    );
    first.send(get);
    eventually("it is under way", || world.in_flight() == 1);
    let mut second = world.connect();
    second.send(get);
    eventually("the other waits", || world.in_flight() == 2);
    assert_eq!(world.connect().get("/", "").status(), 503);
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(first.response().status(), 200);
    assert_eq!(second.response().status(), 200);
    assert_eq!(held.connections(), 1);
}

#[test]
fn whoever_waits_for_a_place_until_its_time_is_over_has_met_no_endpoint() {
    // As many requests as a connection of HTTP/2 carries.
    for (protocol, requests) in [(Protocol::Http1, 1), (Protocol::Http2, 128)] {
        let http1 = silent();
        let http2 = http2::origin(|request, respond| async move {
            let _held = (request, respond);
            pending().await
        });
        let address = match protocol {
            Protocol::Http1 => http1.address,
            Protocol::Http2 => http2.address,
        };
        let world = world::start_with(1, |_| ());
        let policy = BackendPolicy {
            protocol,
            limits: BackendLimits {
                connections: 1,
                pending: 1,
                ..BackendLimits::default()
            },
            ..in_turns(Retry::default())
        };
        let backend = Backend {
            policy: Arc::new(policy),
            ..world.backend(Role::Stable, &[address])
        };
        let target = Target::Backend(backend);
        world.publish(&[("/", target.clone())], Vec::new());
        let mut all: Vec<_> = (0..requests).map(|_| world.connect()).collect();
        for client in &mut all {
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        }
        eventually("they are under way", || world.in_flight() == requests);
        let timeouts = RouteTimeouts {
            request: Some(Duration::from_millis(150)),
            ..RouteTimeouts::default()
        };
        let actions = Actions {
            timeouts,
            ..Actions::default()
        };
        world.route(target, actions);
        let answer = world.connect().get("/", "");
        let found = (answer.status(), answer.header("sluice-error"));
        assert_eq!(found, (503, Some("overload")), "{protocol:?}");
    }
}

#[test]
fn a_key_stays_with_its_endpoint_until_that_goes() {
    let origins: Vec<_> = (0..5)
        .map(|i| origin::http().body(&format!("{i}")).run())
        .collect();
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    let header = HashKey::Header("x-user".parse().unwrap());
    let cookie = HashKey::Cookie("user".into());
    type Line = fn(usize) -> String;
    let by_header: Line = |user| format!("x-user: {user}\r\n");
    let by_cookie: Line = |user| format!("cookie: a=b; user={user}\r\n");
    for (key, line) in [(header, by_header), (cookie, by_cookie)] {
        let world = world::start();
        let policy = BackendPolicy {
            balancing: Balancing::ConsistentHash(key),
            ..BackendPolicy::default()
        };
        let ask = |user: usize| {
            let answer = world.connect().get("/", &line(user));
            answer.text().parse::<usize>().unwrap()
        };
        world.serve_with(&addresses, policy.clone());
        let before: Vec<_> = (0..50).map(ask).collect();
        assert_eq!(before, (0..50).map(ask).collect::<Vec<_>>());
        assert!((0..5).all(|i| before.contains(&i)), "{before:?}");
        // One goes: only its users move.
        world.serve_with(&addresses[..4], policy);
        for (user, &at) in before.iter().enumerate() {
            let now = ask(user);
            assert!(now != 4 && (at == 4 || now == at), "{user}: {at} {now}");
        }
    }
}

#[test]
fn requests_at_an_endpoint_that_is_removed_are_finished() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let old = origin::after_head(move |wire| {
        let _ = wait.lock().unwrap().recv();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold");
        while !wire.is_closed() {}
    });
    let new = origin::http().body("new").run();
    let world = world::start();
    world.serve(&[old.address]);
    let mut first = world.connect();
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it has come", || old.connections() == 1);
    world.serve(&[new.address]);
    for _ in 0..10 {
        assert_eq!(world.connect().get("/", "").text(), "new");
    }
    go.send(()).unwrap();
    assert_eq!(first.response().text(), "old");
    assert_eq!(world.stable().failed, 0);
}

#[test]
fn http2_requests_are_rescued_and_repeated_with_their_bodies() {
    let broken = speak::origin(Protocol::Http2, None, |_| Message::answer(500));
    let stable = speak::origin(Protocol::Http2, None, |request| {
        let mut answer = Message::answer(200);
        answer.body = request.body.clone();
        answer
    });
    let world = world::start();
    let of = |role, address| Backend {
        policy: Arc::new(BackendPolicy {
            protocol: Protocol::Http2,
            ..BackendPolicy::default()
        }),
        ..world.backend(role, &[address])
    };
    let split = Split {
        weight: Weight::FULL,
        rescue: true,
        ..world.split_of(
            of(Role::Stable, stable.address),
            of(Role::Canary, broken.address),
        )
    };
    world.publish(&[("/", Target::Split(0))], vec![split]);
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        let answer = client
            .ask(Message::ask("PUT", "/").body(&["hel", "lo"]))
            .await;
        assert_eq!((answer.status.as_u16(), &*answer.text()), (200, "hello"));
    });
    assert_eq!(world.totals(Role::Canary).failed, 1);
}
