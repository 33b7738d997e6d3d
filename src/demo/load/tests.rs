use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::{Config, Load, Outcomes, Totals};
use crate::demo::app::App;
use crate::demo::behaviour::Behaviour;

const INSTANT: Behaviour = Behaviour {
    failures: 0.0,
    hangs: 0.0,
    latency: Duration::ZERO,
    spread: 0.0,
};

fn config(target: std::net::SocketAddr, rps: f64) -> Config {
    Config {
        target,
        rps,
        in_flight: 1024,
        patience: Duration::from_secs(10),
    }
}

/// Waits until `reached` holds, and fails when it does not within ten seconds.
fn until(load: &Load, reached: impl Fn(&Totals) -> bool) -> Totals {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let totals = load.totals();
        if reached(&totals) {
            return totals;
        }
        assert!(Instant::now() < deadline, "not reached: {totals:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_load_keeps_its_rate_and_counts_every_answer() {
    let app = App::start("v1", INSTANT).unwrap();
    let started = Instant::now();
    let load = Load::start(config(app.address(), 500.0)).unwrap();
    until(&load, |totals| totals.due >= 250);
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(498),
        "250 requests at 500 per second took {took:?}"
    );
    let totals = until(&load, |totals| totals.ok >= 250);
    assert_eq!((totals.failed, totals.unsent), (0, 0));
    assert_eq!(totals.latency.count(), totals.ok);
    assert_eq!(
        totals.versions["v1"],
        Outcomes {
            ok: totals.ok,
            failed: 0
        }
    );

    app.deploy("v2", INSTANT.failing(1.0));
    let totals = until(&load, |totals| totals.failed >= 50);
    assert_eq!(
        totals.versions["v2"],
        Outcomes {
            ok: 0,
            failed: totals.failed
        }
    );
    let totals = load.stop();
    assert!(totals.due >= totals.ok + totals.failed);
}

#[test]
fn a_load_does_not_slow_down_when_nothing_is_answered() {
    let app = App::start("v1", INSTANT.hanging(1.0)).unwrap();
    let started = Instant::now();
    let load = Load::start(config(app.address(), 500.0)).unwrap();
    let totals = until(&load, |totals| totals.due >= 250);
    assert_eq!((totals.ok, totals.failed), (0, 0));
    // Half a second by schedule; a load that waits for answers would never get here.
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn what_is_under_way_is_bounded() {
    let app = App::start("v1", INSTANT.hanging(1.0)).unwrap();
    let load = Load::start(Config {
        in_flight: 10,
        ..config(app.address(), 1000.0)
    })
    .unwrap();
    let totals = until(&load, |totals| totals.due >= 50);
    assert_eq!(totals.failed, totals.unsent);
    assert!(totals.unsent.abs_diff(totals.due - 10) <= 1, "{totals:?}");
    assert!(app.deployed().requests <= 10);
}

#[test]
fn users_lose_patience() {
    let app = App::start("v1", INSTANT.hanging(1.0)).unwrap();
    let patience = Duration::from_millis(50);
    let load = Load::start(Config {
        patience,
        ..config(app.address(), 200.0)
    })
    .unwrap();
    let totals = until(&load, |totals| totals.failed >= 10);
    assert_eq!((totals.ok, totals.unsent), (0, 0));
}

#[test]
fn nobody_at_the_target_is_a_failure_and_no_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    drop(listener);
    let load = Load::start(config(target, 200.0)).unwrap();
    let totals = until(&load, |totals| totals.failed >= 20);
    assert_eq!((totals.ok, totals.unsent), (0, 0));
    assert!(totals.versions.is_empty());
}

#[test]
fn a_target_that_goes_away_becomes_failures() {
    let app = App::start("v1", INSTANT).unwrap();
    let address = app.address();
    let load = Load::start(config(address, 500.0)).unwrap();
    until(&load, |totals| totals.ok >= 50);
    drop(app);
    let totals = until(&load, |totals| totals.failed >= 10);
    assert!(totals.ok >= 50);
}
