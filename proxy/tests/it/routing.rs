//! Which version a request reaches.

use crate::support::{eventually, origin, wire, world};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};
use traffic::{
    BackendPolicy, Role, SplitRule, Sticky, StickyKey, Target,
    matches::{FieldMatch, ValueMatch},
    policy::Balancing,
    split::Side,
};

#[test]
fn without_a_table_or_a_route_there_is_a_404() {
    let world = world::start();
    let mut client = world.connect();
    let check = |response: &wire::Message| {
        assert_eq!(response.status(), 404);
        assert_eq!(response.header("sluice-error"), Some("no_route"));
        assert_eq!(response.text(), "no route is for this host and path\n");
    };
    check(&client.get("/", ""));
    let target = Target::Backend(world.backend(Role::Stable, &[]));
    world.publish(&[("/shop", target)], Vec::new());
    check(&client.get("/shopping", ""));
    assert_eq!(client.get("/shop/cart", "").status(), 503);
    assert_eq!(world.proxy.counters().read().no_route, 2);
}

#[test]
fn the_share_is_exact_over_many_connections() {
    const CONNECTIONS: usize = 20;
    const REQUESTS: usize = 10_000;
    const WORKERS: usize = 2;
    let world = world::start_with(WORKERS, |_| {});
    let (stable, canary) = (origin::http().run(), origin::http().run());
    world.split(stable.address, canary.address).weight(2_550);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = world.connect();
                for _ in 0..REQUESTS / CONNECTIONS {
                    assert_eq!(client.get("/", "").status(), 200);
                }
            });
        }
    });
    let (stable, canary) = (world.stable(), world.totals(Role::Canary));
    assert_eq!(stable.dispatched + canary.dispatched, REQUESTS as u64);
    assert_eq!(stable.split + canary.split, REQUESTS as u64);
    let expected = 0.255 * REQUESTS as f64;
    let off = (canary.dispatched as f64 - expected).abs();
    assert!(
        off <= 3.0 * WORKERS as f64,
        "{} of {expected}",
        canary.dispatched
    );
    assert_eq!(stable.failed + canary.failed, 0);
}

#[test]
fn a_sticky_user_never_moves_back_while_the_weight_rises() {
    let world = world::start_with(2, |_| {});
    let stable = origin::http().body("stable").run();
    let canary = origin::http().body("canary").run();
    let sticky = Sticky {
        keys: vec![
            StickyKey::Header("x-user".parse().unwrap()),
            StickyKey::Cookie {
                name: "bucket".into(),
                max_age: None,
            },
        ],
        salt: 7,
    };
    let mut cookies: Vec<Option<String>> = vec![None; 40];
    let mut on_canary = HashMap::new();
    let mut last = 0;
    for weight in [0, 500, 2_000, 5_000, 8_000, 10_000] {
        world
            .split(stable.address, canary.address)
            .sticky(sticky.clone())
            .weight(weight);
        for (user, cookie) in cookies.iter_mut().enumerate() {
            // Every request comes on a new connection, so from either worker.
            let mut client = world.connect();
            let header = match cookie {
                Some(cookie) => format!("cookie: a=b; {cookie}\r\n"),
                None if user % 2 == 0 => format!("x-user: {user}\r\n"),
                None => String::new(),
            };
            let response = client.get("/", &header);
            if let Some(set) = response.header("set-cookie") {
                let value = set.split(';').next().unwrap().to_owned();
                assert!(
                    cookie.replace(value).is_none(),
                    "a known user got a new bucket"
                );
            }
            let is_on_canary = response.text() == "canary";
            let was = on_canary.insert(user, is_on_canary).unwrap_or(false);
            assert!(is_on_canary || !was, "user {user} moved back at {weight}");
        }
        let now = on_canary.values().filter(|on| **on).count();
        assert!(now >= last);
        last = now;
    }
    assert_eq!(last, cookies.len());
    assert_eq!(cookies.iter().filter(|c| c.is_some()).count(), 20);
}

#[test]
fn rules_come_before_the_weight() {
    let world = world::start();
    let stable = origin::http().body("stable").run();
    let canary = origin::http().body("canary").run();
    let rule = SplitRule {
        name: "beta".into(),
        matches: vec![FieldMatch {
            headers: vec![("x-beta".parse().unwrap(), ValueMatch::Present)],
            ..FieldMatch::default()
        }],
        to: Side::Canary,
    };
    world
        .split(stable.address, canary.address)
        .rule(rule)
        .weight(0);
    let mut client = world.connect();
    assert_eq!(client.get("/", "x-beta: 1\r\n").text(), "canary");
    assert_eq!(client.get("/", "").text(), "stable");
    assert_eq!(world.totals(Role::Canary).split, 0);
    assert_eq!(world.stable().split, 1);
}

#[test]
fn a_request_after_a_publish_uses_the_new_table() {
    let world = world::start_with(2, |_| {});
    let versions = ["a", "b"].map(|name| origin::http().body(name).run());
    let mut clients: Vec<wire::Client> = (0..4).map(|_| world.connect()).collect();
    for round in 0..40 {
        let version = &versions[round % 2];
        world.serve(&[version.address]);
        for client in &mut clients {
            assert_eq!(client.get("/", "").text(), ["a", "b"][round % 2]);
        }
    }
}

#[test]
fn tables_are_swapped_under_traffic_without_an_error() {
    let world = world::start_with(2, |_| {});
    let (stable, canary) = (origin::http().run(), origin::http().run());
    world.split(stable.address, canary.address).weight(0);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = world.connect();
                while !is_over.load(SeqCst) {
                    assert_eq!(client.get("/", "").status(), 200);
                }
            });
        }
        for swap in 0..100u16 {
            let role = [Role::Stable, Role::Canary][usize::from(swap % 2)];
            let before = world.totals(role).dispatched;
            world
                .split(stable.address, canary.address)
                .weight(swap % 2 * 10_000);
            let published = world.routes.published();
            eventually("all workers serve it", || {
                world.routes.acknowledged() == Some(published)
            });
            eventually("requests follow it", || {
                world.totals(role).dispatched > before
            });
        }
        is_over.store(true, SeqCst);
    });
    assert_eq!(world.stable().failed + world.totals(Role::Canary).failed, 0);
}

#[test]
fn idle_workers_acknowledge_a_table() {
    let world = world::start_with(3, |_| {});
    assert_eq!(world.routes.acknowledged(), Some(world.routes.published()));
    world.serve(&[]);
    eventually("all workers serve it", || {
        world.routes.acknowledged() == Some(world.routes.published())
    });
    assert_eq!(world.routes.served().len(), 3);
}

#[test]
fn endpoints_take_turns_and_connections_are_reused() {
    let world = world::start();
    let endpoints = [origin::http().run(), origin::http().run()];
    world.serve_with(
        &[endpoints[0].address, endpoints[1].address],
        BackendPolicy {
            balancing: Balancing::RoundRobin,
            ..BackendPolicy::default()
        },
    );
    let mut client = world.connect();
    for _ in 0..20 {
        assert_eq!(client.get("/", "").status(), 200);
    }
    for endpoint in &endpoints {
        assert_eq!((endpoint.seen().len(), endpoint.connections()), (10, 1));
    }
    assert_eq!(world.proxy.counters().read().accepted, 1);
}

#[test]
fn an_endpoint_that_refuses_is_passed_over() {
    let world = world::start();
    let alive = origin::http().run();
    world.serve(&[origin::refusing(), origin::refusing(), alive.address]);
    let mut client = world.connect();
    for _ in 0..6 {
        assert_eq!(client.get("/", "").status(), 200);
    }
    let totals = world.stable();
    assert_eq!((totals.dispatched, totals.failed), (6, 0));
}
