//! Places for connections to a Service, which idle ones give up to requests that wait.

use crate::support::{
    eventually,
    speak::{self, Message},
    world::{self, World},
};
use std::time::Duration;
use traffic::{
    BackendPolicy,
    policy::{BackendLimits, Balancing, Protocol},
};

/// A proxy with `workers` before `endpoints` endpoints in turns, which may have one connection altogether and keeps it.
fn start(workers: usize, endpoints: usize, protocol: Protocol) -> (World, Vec<speak::Origin>) {
    let origin = |_| speak::origin(protocol, None, |_| Message::answer(200));
    let origins: Vec<_> = (0..endpoints).map(origin).collect();
    let world = world::start_with(workers, |config| {
        config.pool.idle_time = Duration::from_secs(3600);
        config.timeouts.connect = Duration::from_secs(10);
    });
    let policy = BackendPolicy {
        protocol,
        balancing: Balancing::RoundRobin,
        limits: BackendLimits {
            connections: 1,
            ..BackendLimits::default()
        },
        ..BackendPolicy::default()
    };
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    world.serve_with(&addresses, policy);
    (world, origins)
}

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

#[test]
fn a_connection_that_idles_does_not_keep_another_endpoint_from_being_reached() {
    for protocol in BOTH {
        let (world, origins) = start(1, 2, protocol);
        let mut client = world.connect();
        for n in 0..4 {
            assert_eq!(client.get("/", "").status(), 200, "{protocol:?}, {n}");
        }
        let seen: Vec<_> = origins.iter().map(|origin| origin.seen().len()).collect();
        assert_eq!(seen, [2, 2], "{protocol:?}");
    }
}

#[test]
fn a_connection_that_idles_makes_room_for_another_worker() {
    for protocol in BOTH {
        let (world, _origins) = start(2, 1, protocol);
        let mut clients = [world.connect(), world.connect()];
        eventually("each worker has a client", || {
            let counters = world.proxy.counters();
            counters.by_worker().all(|worker| worker.open == 1)
        });
        for n in 0..4 {
            for client in &mut clients {
                assert_eq!(client.get("/", "").status(), 200, "{protocol:?}, {n}");
            }
        }
        assert_eq!(world.stable().failed, 0, "{protocol:?}");
    }
}
