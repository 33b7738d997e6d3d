//! Copies of requests.

use super::to;
use crate::support::{
    eventually, origin, run,
    speak::{Client, Message},
    world::{self, World},
};
use http::Version;
use traffic::{
    Actions, Backend, BackendId, CopyRule, Role, RolloutId, SplitRule, Target, Weight,
    action::Mirror,
    matches::{CopyMatch, FieldMatch, ValueMatch},
    split::Side,
};

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
    // A share is a share: of any 100 points of the sequence, 48 to 52 lie in one half.
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
    eventually("the copies come", || shadow.seen().len() >= 48);
    assert!(shadow.seen().len() <= 52);
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
fn a_canary_gets_copies_of_what_stable_gets() {
    let (stable, canary) = (origin::http().run(), origin::http().status(500).run());
    let world = world::start();
    let side = |role, address| world.backend(role, &[address]);
    let mut split = world.split_of(
        side(Role::Stable, stable.address),
        side(Role::Canary, canary.address),
    );
    split.rules.push(SplitRule {
        name: "testers".into(),
        matches: vec![FieldMatch {
            headers: vec![("x-tester".parse().unwrap(), ValueMatch::Present)],
            ..FieldMatch::default()
        }],
        to: Side::Canary,
    });
    split.copies.push(CopyRule {
        matches: vec![CopyMatch {
            method: Some(ValueMatch::Exact("POST".into())),
            ..CopyMatch::default()
        }],
        mirror: mirror(&world, canary.address),
    });
    world.publish(&[("/", Target::Split(0))], vec![split]);
    let mut client = world.connect();
    let mut post = |path: &str, header: &str| {
        client.send(format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\n{header}content-length: 2\r\n\r\nhi"
        ));
        client.response().status()
    };
    // The canary fails, and nobody but its own users sees it.
    assert_eq!(post("/copied", ""), 200);
    assert_eq!(post("/own", "x-tester: 1\r\n"), 500);
    assert_eq!(client.get("/got", "").status(), 200);
    eventually("the copy comes", || canary.seen().len() == 2);
    let mut seen = canary.seen();
    seen.sort_by(|a, b| a.start.cmp(&b.start));
    let told: Vec<_> = seen
        .iter()
        .map(|seen| (&*seen.start, &*seen.body, seen.header("x-sluice-mirror")))
        .collect();
    let expected = [
        ("POST /copied HTTP/1.1", &b"hi"[..], Some("true")),
        ("POST /own HTTP/1.1", b"hi", None),
    ];
    assert_eq!(told, expected);
    let (of_stable, of_canary) = (world.stable(), world.totals(Role::Canary));
    assert_eq!((of_stable.dispatched, of_stable.failed), (2, 0));
    assert_eq!((of_canary.dispatched, of_canary.failed), (1, 1));
}
