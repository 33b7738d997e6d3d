//! Which endpoint of a Service gets how much: those that begin slowly, and those that fail more than the others.

use crate::support::{
    eventually, origin,
    speak::{self, Message},
    wire,
    world::{self, World},
};
use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};
use traffic::{
    BackendPolicy,
    policy::{Balancing, Ejection, Protocol, Retry},
};

/// Nothing that lasts so long ends while a test runs.
const FAR: Duration = Duration::from_secs(3600);

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

/// Publishes `endpoints` under `policy`, and has a request sent there.
fn publish(world: &World, endpoints: &[SocketAddr], policy: BackendPolicy) -> wire::Client {
    world.serve_with(endpoints, policy);
    let mut client = world.connect();
    client.get("/", "");
    client
}

#[test]
fn an_endpoint_that_joins_others_gets_its_share_slowly() {
    const REQUESTS: usize = 600;
    let share = |slow_start: Option<Duration>| {
        let (old, new) = (origin::http().run(), origin::http().run());
        let world = world::start();
        let policy = || BackendPolicy {
            slow_start,
            ..in_turns()
        };
        publish(&world, &[old.address], policy());
        let mut client = publish(&world, &[old.address, new.address], policy());
        let before = new.seen().len();
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/", "").status(), 200);
        }
        new.seen().len() - before
    };
    assert_eq!(share(None), REQUESTS / 2);
    // A tenth of a half at first.
    let slowly = share(Some(FAR));
    assert!((1..REQUESTS / 5).contains(&slowly), "{slowly}");
    // It has all of its share when that time is over.
    assert_eq!(share(Some(Duration::from_nanos(1))), REQUESTS / 2);
}

/// Fails every second request, and never two in a row.
fn lame() -> speak::Origin {
    let count = AtomicUsize::new(0);
    speak::origin(Protocol::Http1, None, move |_| {
        let is_even = count.fetch_add(1, SeqCst).is_multiple_of(2);
        Message::answer(if is_even { 500 } else { 200 })
    })
}

#[test]
fn an_endpoint_that_fails_more_than_the_others_is_left_out() {
    let is_left_out = |excess_failure_ratio: Option<f64>| {
        let (lame, well) = (lame(), [origin::http().run(), origin::http().run()]);
        let world = world::start();
        let ejection = Ejection {
            consecutive_failures: NonZeroU32::new(5),
            excess_failure_ratio,
            base_time: FAR,
            max_time: FAR,
            ..Ejection::default()
        };
        let policy = BackendPolicy {
            ejection: Some(ejection),
            ..in_turns()
        };
        let endpoints = [lame.address, well[0].address, well[1].address];
        let mut client = publish(&world, &endpoints, policy);
        let mut ask = |requests: usize| {
            let before = lame.seen().len();
            (0..requests).for_each(|_| drop(client.get("/", "")));
            lame.seen().len() - before
        };
        if excess_failure_ratio.is_none() {
            return ask(300) < 100;
        }
        eventually("it is left out", || ask(30) == 0);
        let failed = world.stable().failed;
        assert_eq!(ask(60), 0);
        world.stable().failed == failed
    };
    assert!(!is_left_out(None), "it never fails five times in a row");
    assert!(is_left_out(Some(0.3)));
}

/// Where all fail alike, it is not an endpoint's doing.
#[test]
fn endpoints_that_fail_alike_are_all_kept() {
    let all = [lame(), lame(), lame()];
    let world = world::start();
    let ejection = Ejection {
        consecutive_failures: None,
        excess_failure_ratio: Some(0.3),
        base_time: FAR,
        max_time: FAR,
        ..Ejection::default()
    };
    let policy = BackendPolicy {
        ejection: Some(ejection),
        ..in_turns()
    };
    let endpoints = all.each_ref().map(|origin| origin.address);
    let mut client = publish(&world, &endpoints, policy);
    (1..300).for_each(|_| drop(client.get("/", "")));
    let seen = all.each_ref().map(|origin| origin.seen().len());
    assert_eq!(seen, [100, 100, 100]);
}
