//! What is left of a worker that a panic happened in.

use crate::support::{
    eventually,
    frames::{self, Peer},
    origin, run, soon,
    world::{self, World},
};
use std::{env, process::Command};
use tracing::{Event, Metadata, Subscriber, span};
use traffic::{Backend, Role, RolloutId, Stats, Target};

/// A proxy of two workers and its origin. The path `/broken` counts into a series that was made for one worker: a
/// mistake of whoever publishes such a table, which ends in a panic of the second.
fn start() -> (World, origin::Origin) {
    let world = world::start_with(2, |_| {});
    let origin = origin::http().run();
    let good = world.backend(Role::Stable, &[origin.address]);
    let rollout = RolloutId::new("default", "broken");
    let broken = Backend {
        series: Stats::new(1).series(&rollout, Role::Stable),
        ..good.clone()
    };
    let routes = [
        ("/broken", Target::Backend(broken)),
        ("/", Target::Backend(good)),
    ];
    world.publish(&routes, Vec::new());
    (world, origin)
}

#[test]
fn a_panic_ends_one_connection_and_the_worker_goes_on() {
    let (world, _origin) = start();
    // Enough for both workers to have some.
    let mut others: Vec<_> = (0..16).map(|_| world.connect()).collect();
    for other in &mut others {
        assert_eq!(other.get("/", "").status(), 200);
    }
    let mut lost = 0;
    eventually("the second worker accepts after panics", || {
        let mut client = world.connect();
        client.send("GET /broken HTTP/1.1\r\nhost: a\r\n\r\n");
        match client.try_message(true) {
            Some(answer) => assert_eq!(answer.status(), 200),
            None => lost += 1,
        }
        lost == 3
    });
    for other in &mut others {
        assert_eq!(other.get("/", "").status(), 200);
    }
    let counters = world.proxy.counters();
    eventually("what was lost is closed", || counters.read().open == 16);
    assert_eq!(counters.read().panics, 3);
    assert_eq!(world.stable().statuses, [(200, 32)]);
}

#[test]
fn a_panic_ends_one_request_of_an_http2_connection() {
    let (world, _origin) = start();
    eventually("a request meets the second worker", || {
        let mut peer = Peer::connect(world.address());
        peer.get(1, "/broken");
        let is_lost = loop {
            let frame = peer.next().expect("the connection stays");
            match frame.kind {
                frames::RST_STREAM => break true,
                frames::DATA if frame.flags & frames::END_STREAM > 0 => break false,
                _ => {}
            }
        };
        peer.get(3, "/");
        while peer.find(frames::DATA).expect("an answer").flags & frames::END_STREAM == 0 {}
        is_lost
    });
    let counters = world.proxy.counters();
    eventually("all connections end", || counters.read().open == 0);
    assert_eq!(counters.read().panics, 1);
    assert_eq!(world.stable().failed, 0);
}

/// Panics over a warning, which a worker gives outside of all connections when memory is short.
struct Broken;

impl Subscriber for Broken {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        panic!("a warning");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// In a process of its own, as whoever is told of what is logged is told of it by all threads.
const CHILD: &str = "SLUICE_PANICKING_WORKER";

#[test]
fn whoever_runs_a_worker_that_panics_is_told_and_the_others_go_on() {
    let child = Command::new(env::current_exe().unwrap())
        .args(["panics::child", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    let expected = "worker 0 of the proxy ended by a panic; 20 answers";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    tracing::subscriber::set_global_default(Broken).unwrap();
    let world = world::start_with(2, |config| config.limits.memory_bytes = Some(1));
    let panicked = run(soon("a worker panics", world.proxy.panicked()));
    // Its sockets are closed, so that nobody waits there in vain.
    let answers = (0..20).filter(|_| world.connect().get("/", "").status() == 404);
    println!("{panicked}; {} answers", answers.count());
}
