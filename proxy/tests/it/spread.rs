//! How connections spread over several workers.

use crate::support::{
    PATIENCE, eventually, origin, run,
    speak::{self, Client, Message},
    tls::Authority,
    wire,
    world::{self, World},
};
use http::Version;
use proxy::{Clock, Config, Listeners, Network};
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};
use traffic::{
    Backend, BackendId, Role, RolloutId, Route, RouteTable, Routes, Stats, Target,
    matches::{HostMatch, RequestMatch},
};

const WORKERS: usize = 4;

/// A proxy with several workers, and its origin.
fn start(set: impl FnOnce(&mut Config)) -> (World, origin::Origin) {
    let world = world::start_with(WORKERS, set);
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    (world, origin)
}

/// How many connections each worker has.
fn open(world: &World) -> Vec<u64> {
    let counters = world.proxy.counters();
    counters.by_worker().map(|worker| worker.open).collect()
}

/// Checks that `connections` which came to `world` are with its workers in equal parts.
fn check(world: &World, connections: usize, what: &str) {
    let each = vec![(connections / WORKERS) as u64; WORKERS];
    assert_eq!(open(world), each, "{what}: {connections} connections");
}

#[test]
fn connections_that_stay_are_with_all_workers_alike() {
    for connections in [8, 32] {
        let (world, _origin) = start(|_| {});
        let mut clients = Vec::new();
        for _ in 0..connections {
            let mut client = world.connect();
            assert_eq!(client.get("/", "").status(), 200);
            clients.push(client);
        }
        check(&world, connections, "one after the other");

        let (world, _origin) = start(|_| {});
        let mut clients: Vec<_> = (0..connections).map(|_| world.connect()).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.response().status(), 200);
        }
        check(&world, connections, "all at once");
        let read = world.proxy.counters().read();
        assert_eq!(read.accepted, connections as u64);
    }
}

#[test]
fn connections_of_http2_and_over_tls_are_with_all_workers_alike() {
    let authority = Authority::new("spread");
    let pair = authority.sign("shop.example");
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for is_tls in [false, true] {
            let (world, _origin) = start(|config| {
                config.listeners[0].tls = is_tls.then(|| authority.listener(&[&pair]));
            });
            let alpn = if version == Version::HTTP_2 {
                "h2"
            } else {
                "http/1.1"
            };
            let tls = authority.client(&[alpn], None);
            run(async {
                let mut clients = Vec::new();
                for _ in 0..8 {
                    let tls = is_tls.then_some((&tls, "shop.example"));
                    let socket = speak::connect(world.address(), tls).await.unwrap();
                    let mut client = Client::begin(version, socket).await;
                    let answer = client.send(Message::ask("GET", "/")).await.unwrap();
                    assert_eq!(answer.status, 200);
                    clients.push(client);
                }
                check(&world, 8, &format!("{version:?}, TLS: {is_tls}"));
            });
        }
    }
}

#[test]
fn a_client_that_comes_alone_is_served_where_it_came() {
    let (world, _origin) = start(|_| {});
    for _ in 0..32 {
        let mut client = world.connect();
        assert_eq!(client.get("/", "").status(), 200);
        drop(client);
        eventually("it is gone", || open(&world) == [0; WORKERS]);
    }
    assert_eq!(world.proxy.counters().read().passed, 0);
}

#[test]
fn whoever_accepts_there_is_room_for_as_many_as_may_be() {
    let (world, origin) = start(|config| {
        config.limits.connections = 8;
        config.listeners[0].proxy_protocol = vec![Network {
            address: Ipv4Addr::LOCALHOST.into(),
            prefix: 8,
        }];
    });
    let connect = || {
        let mut client = world.connect();
        let header = "PROXY TCP4 192.0.2.7 198.51.100.1 1000 80\r\n";
        client.send(format!("{header}GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        client
    };
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = connect();
            assert_eq!(client.response().status(), 200);
            client
        })
        .collect();
    assert!(connect().try_message(true).is_none(), "one too many");
    check(&world, 8, "as many as may be");
    for seen in origin.seen() {
        assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7"));
    }
    drop(clients);
}

/// Connects anew for one request after the other and keeps other connections as long as they are kept, until `is_over`.
fn ask(address: SocketAddr, is_over: &AtomicBool, answered: &AtomicUsize) {
    let mut kept = wire::Client::connect(address);
    while !is_over.load(SeqCst) {
        let mut single = wire::Client::connect(address);
        assert_eq!(single.get("/", "").status(), 200);
        let answer = kept.get("/", "");
        assert_eq!(answer.status(), 200);
        if answer.header("connection") == Some("close") {
            kept = wire::Client::connect(address);
        }
        answered.fetch_add(2, SeqCst);
    }
}

/// A proxy on sockets that are there, which serves from the first request on.
fn start_on(config: &Config, listeners: Listeners, origin: &origin::Origin) -> World {
    let (stats, routes) = (Arc::new(Stats::new(WORKERS)), Arc::new(Routes::default()));
    let series = stats.series(&RolloutId::new("default", "shop"), Role::Stable);
    let id = BackendId::new("default", "shop-stable");
    let backend = Backend::plain(id, [origin.address].into(), series);
    let all = (vec![HostMatch::Any], vec![RequestMatch::any()]);
    let route = Route::plain(all.0, all.1, Target::Backend(backend));
    routes.publish(RouteTable::new(vec![route], Vec::new()).unwrap());
    let proxy = proxy::start_on(config, listeners, &routes, Clock::start()).unwrap();
    World {
        stats,
        routes,
        proxy,
    }
}

#[test]
fn none_is_lost_when_another_process_takes_the_sockets_over() {
    let (mut world, origin) = start(|_| {});
    let address = world.address();
    let workers = NonZeroUsize::new(WORKERS).unwrap();
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| ask(address, &is_over, &answered));
        }
        let more = |answered: &AtomicUsize| {
            let before = answered.load(SeqCst);
            eventually("more requests are answered", || {
                answered.load(SeqCst) > before + 60
            });
        };
        for _ in 0..5 {
            more(&answered);
            let config = Config::new(vec![address], workers);
            let sockets = world.proxy.sockets().unwrap();
            let listeners = Listeners::take_over(&config, sockets).unwrap();
            let before = std::mem::replace(&mut world, start_on(&config, listeners, &origin));
            assert_eq!(before.proxy.hand_over(PATIENCE).cut, 0);
        }
        more(&answered);
        is_over.store(true, SeqCst);
    });
    let passed = world.proxy.counters().read().passed;
    assert!(passed > 0, "some were on their way from worker to worker");
    world.shutdown(Duration::ZERO);
}
