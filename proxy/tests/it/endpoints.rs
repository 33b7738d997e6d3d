//! Which of a Service's endpoints gets a request: new ones, those that fail more than the others, and those that a
//! client's address stands for.

use crate::support::{
    eventually,
    origin::{self, Origin},
    speak::{self, Message},
    world::{self, World},
};
use proxy::Network;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use traffic::{
    Backend, BackendPolicy, Role, Split, Target, Weight,
    policy::{Balancing, Ejection, HashKey, Protocol, Retry},
};

const HOUR: Duration = Duration::from_secs(3600);

/// Endpoints take turns, and nothing is sent twice.
fn in_turns() -> BackendPolicy {
    BackendPolicy {
        balancing: Balancing::RoundRobin,
        ejection: None,
        retry: Retry {
            attempts: 0,
            ..Retry::default()
        },
        ..BackendPolicy::default()
    }
}

/// What was counted at each endpoint of `role`: address, requests, failures.
fn counted(world: &World, role: Role) -> Vec<(SocketAddr, u64, u64)> {
    let all = world.totals(role);
    let counts = world.counts(role);
    let endpoints = counts.endpoints.iter();
    let endpoints: Vec<_> = endpoints
        .map(|e| (e.address, e.dispatched, e.failed))
        .collect();
    let sum = endpoints
        .iter()
        .fold((0, 0), |sum, (_, n, e)| (sum.0 + n, sum.1 + e));
    assert_eq!(sum, (all.dispatched, all.failed), "{endpoints:?}");
    endpoints
}

/// What the origins saw, which fail all or none.
fn seen(origins: &[(&Origin, bool)]) -> Vec<(SocketAddr, u64, u64)> {
    let of = |(origin, fails): &(&Origin, bool)| {
        let requests = origin.seen().len() as u64;
        (origin.address, requests, if *fails { requests } else { 0 })
    };
    let mut seen: Vec<_> = origins.iter().map(of).collect();
    seen.sort_unstable();
    seen
}

#[test]
fn requests_are_counted_at_the_endpoints_that_got_them() {
    let origin = |status| origin::http().status(status).run();
    let (good, broken, canary) = (origin(200), origin(500), origin(503));
    let world = world::start_with(2, |_| {});
    let serve = |stable: &[SocketAddr]| {
        let backend = |role, endpoints: &[SocketAddr]| Backend {
            policy: Arc::new(in_turns()),
            ..world.backend(role, endpoints)
        };
        let canary = backend(Role::Canary, &[canary.address]);
        let split = Split {
            weight: Weight::from_percent(30).unwrap(),
            ..world.split_of(backend(Role::Stable, stable), canary)
        };
        world.publish(&[("/", Target::Split(0))], vec![split]);
        for _ in 0..4 {
            let mut client = world.connect();
            for _ in 0..20 {
                client.get("/", "");
            }
        }
    };
    serve(&[good.address, broken.address]);
    let check = || {
        let stable = [(&good, false), (&broken, true)];
        assert_eq!(counted(&world, Role::Stable), seen(&stable));
        assert_eq!(counted(&world, Role::Canary), seen(&[(&canary, true)]));
    };
    check();
    assert!(good.seen().len() >= 10 && broken.seen().len() >= 10);
    // One has left, and what was counted there stays.
    serve(&[good.address]);
    check();
}

#[test]
fn a_request_that_reaches_none_is_counted_at_the_first_and_one_that_goes_on_where_it_comes() {
    let world = world::start();
    let (refusing, good) = (origin::refusing(), origin::http().run());
    world.serve_with(&[refusing], in_turns());
    let mut client = world.connect();
    assert_eq!(client.get("/", "").status(), 502);
    assert_eq!(counted(&world, Role::Stable), [(refusing, 1, 1)]);
    world.serve_with(&[refusing, good.address], in_turns());
    for _ in 0..4 {
        assert_eq!(client.get("/", "").status(), 200);
    }
    let mut wanted = [(refusing, 1, 1), (good.address, 4, 0)];
    wanted.sort_unstable();
    assert_eq!(counted(&world, Role::Stable), wanted);
}

#[test]
fn a_new_endpoint_gets_less_at_first() {
    const REQUESTS: usize = 400;
    for (slow_start, least, most) in [
        (None, REQUESTS / 2, REQUESTS / 2),
        // A tenth of an equal share, give or take chance.
        (Some(HOUR), 5, REQUESTS / 5),
    ] {
        let (old, new) = (origin::http().run(), origin::http().run());
        let world = world::start();
        let policy = BackendPolicy {
            slow_start,
            ..in_turns()
        };
        world.serve_with(&[old.address], policy.clone());
        let mut client = world.connect();
        assert_eq!(client.get("/", "").status(), 200);
        world.serve_with(&[old.address, new.address], policy);
        eventually("the new one is known", || {
            client.get("/", "");
            !new.seen().is_empty()
        });
        let before = new.seen().len();
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/", "").status(), 200);
        }
        let got = new.seen().len() - before;
        assert!((least..=most).contains(&got), "{slow_start:?}: {got}");
    }
}

#[test]
fn a_new_endpoint_gets_its_whole_share_when_it_has_started() {
    let (old, new) = (origin::http().run(), origin::http().run());
    let world = world::start();
    let policy = BackendPolicy {
        slow_start: Some(Duration::from_millis(100)),
        ..in_turns()
    };
    world.serve_with(&[old.address], policy.clone());
    let mut client = world.connect();
    assert_eq!(client.get("/", "").status(), 200);
    world.serve_with(&[old.address, new.address], policy);
    eventually("turns are even", || {
        let before = (old.seen().len(), new.seen().len());
        for _ in 0..20 {
            assert_eq!(client.get("/", "").status(), 200);
        }
        (old.seen().len() - before.0, new.seen().len() - before.1) == (10, 10)
    });
}

/// An endpoint that fails one of `every` requests.
fn failing(every: usize) -> speak::Origin {
    let count = AtomicUsize::new(0);
    speak::origin(Protocol::Http1, None, move |_| {
        let nth = count.fetch_add(1, SeqCst);
        Message::answer(if nth.is_multiple_of(every) { 500 } else { 200 })
    })
}

#[test]
fn an_endpoint_that_fails_more_than_the_others_is_left_out() {
    for (rates, is_ejected) in [
        ([2, 20, 20], true),
        // Where all fail, it is not the endpoint.
        ([2, 2, 2], false),
        ([20, 20, 20], false),
    ] {
        let origins = rates.map(failing);
        let addresses = origins.each_ref().map(|origin| origin.address);
        let world = world::start();
        let policy = BackendPolicy {
            ejection: Some(Ejection {
                consecutive_failures: None,
                excess_failure_ratio: Some(0.3),
                min_requests: 10,
                base_time: HOUR,
                max_time: HOUR,
                max_ejected: Weight::FULL,
            }),
            ..in_turns()
        };
        world.serve_with(&addresses, policy);
        let mut client = world.connect();
        // How many of 30 requests each got.
        let mut round = || {
            let before = origins.each_ref().map(|origin| origin.seen().len());
            for _ in 0..30 {
                client.get("/", "");
            }
            [0, 1, 2].map(|n| origins[n].seen().len() - before[n])
        };
        if is_ejected {
            eventually("it is left out", || round()[0] == 0);
            assert_eq!(round()[0], 0, "{rates:?}");
        } else {
            for _ in 0..10 {
                assert_eq!(round(), [10, 10, 10], "{rates:?}");
            }
        }
    }
}

#[test]
fn a_clients_address_stands_for_an_endpoint_until_that_goes() {
    let world = world::start_with(1, |config| {
        config.listeners[0].proxy_protocol = vec![Network {
            address: Ipv4Addr::LOCALHOST.into(),
            prefix: 8,
        }];
    });
    let origins: Vec<_> = (0..4)
        .map(|n| origin::http().body(&n.to_string()).run())
        .collect();
    let addresses: Vec<SocketAddr> = origins.iter().map(|origin| origin.address).collect();
    let policy = BackendPolicy {
        balancing: Balancing::ConsistentHash(HashKey::ClientAddress),
        ..BackendPolicy::default()
    };
    // Each time from another port: it is the address that counts.
    let ports = AtomicUsize::new(1000);
    let ask = |host: usize| {
        let port = ports.fetch_add(1, SeqCst);
        let mut client = world.connect();
        client.send(format!(
            "PROXY TCP4 192.0.2.{host} 198.51.100.1 {port} 80\r\n"
        ));
        let answer = client.get("/", "");
        answer.text().parse::<usize>().unwrap()
    };
    world.serve_with(&addresses, policy.clone());
    let before: Vec<_> = (0..60).map(ask).collect();
    assert_eq!(before, (0..60).map(ask).collect::<Vec<_>>());
    assert!((0..4).all(|n| before.contains(&n)), "{before:?}");
    world.serve_with(&addresses[..3], policy);
    for (host, &at) in before.iter().enumerate() {
        let now = ask(host);
        assert!(now != 3 && (at == 3 || now == at), "{host}: {at} {now}");
    }
}
