//! Which of a Service's endpoints gets a request: new ones, those that fail more than the others, and those that a
//! client's address stands for.

use crate::support::{
    eventually, origin,
    speak::{self, Message},
    world,
};
use proxy::Network;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};
use traffic::{
    BackendPolicy, Weight,
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
