//! A canary that the proxy trips by itself. No controller runs in these tests: tables are published by hand.

use crate::support::{origin, world, world::World};
use std::{net::SocketAddr, thread, time::Duration};
use traffic::{
    Arming, Margins, Role, RolloutId, Split, SplitRule, Target, Trip, Weight,
    matches::{FieldMatch, ValueMatch},
    split::Side,
};

fn rollout() -> RolloutId {
    RolloutId::new("default", "shop")
}

/// The canary of `trial`, armed at 10 %.
fn arming(trial: u64) -> Arming {
    Arming {
        trial,
        weight: Weight::from_percent(10).unwrap(),
        margins: Margins {
            relative: 1.1,
            absolute: 0.001,
        },
        least_failures: 3,
        by_user: false,
    }
}

/// Two versions that the tests publish tables for.
struct Site {
    world: World,
    stable: SocketAddr,
    canary: SocketAddr,
}

impl Site {
    fn new(workers: usize, canary: SocketAddr) -> Self {
        let stable = origin::http().body("stable").run();
        Self {
            world: world::start_with(workers, |_| {}),
            stable: stable.address,
            canary,
        }
    }

    /// Publishes a split as `arming` says, with a rule that sends testers to the canary.
    fn publish(&self, arming: &Arming) {
        let backend = |role, address| self.world.backend(role, &[address]);
        let rule = SplitRule {
            name: "testers".into(),
            matches: vec![FieldMatch {
                headers: vec![("x-tester".parse().unwrap(), ValueMatch::Present)],
                ..FieldMatch::default()
            }],
            to: Side::Canary,
        };
        let split = Split {
            weight: arming.weight,
            armed: self.world.stats.arm(&rollout(), Some(arming)),
            rules: vec![rule],
            ..self.world.split_of(
                backend(Role::Stable, self.stable),
                backend(Role::Canary, self.canary),
            )
        };
        self.world.publish(&[("/", Target::Split(0))], vec![split]);
    }

    /// Sends so many requests, one after the other, and tells how many of them stable answered.
    fn ask(&self, requests: usize, headers: &str) -> usize {
        let mut client = self.world.connect();
        let answers = (0..requests).map(|_| client.get("/", headers).text() == "stable");
        answers.filter(|is_stable| *is_stable).count()
    }

    fn sent_to_canary(&self) -> u64 {
        self.world.totals(Role::Canary).dispatched
    }

    fn trip(&self) -> Option<Trip> {
        let snapshot = self.world.stats.snapshot(&rollout(), None, Duration::ZERO);
        snapshot.trip
    }
}

#[test]
fn a_dead_canary_gets_no_requests_until_another_one_is_armed() {
    for (what, canary) in [
        ("500", origin::http().status(500).run().address),
        ("closed", origin::raw(drop).address),
    ] {
        let site = Site::new(1, canary);
        site.publish(&arming(1));
        let stable = site.ask(300, "");
        let failed = 300 - stable;
        assert!((5..=12).contains(&failed), "{what}: {failed} failed");
        let trip = site.trip().unwrap();
        assert_eq!(trip.counts.canary_failures, failed as u64, "{what}");
        // Nobody gets to the canary any more: not by the weight, not by a rule, not by the same table published again.
        site.publish(&arming(1));
        assert_eq!(site.ask(100, ""), 100, "{what}");
        assert_eq!(site.ask(20, "x-tester: 1\r\n"), 20, "{what}");
        assert_eq!(site.sent_to_canary(), failed as u64, "{what}");

        site.publish(&arming(2));
        assert_eq!(site.trip(), None, "{what}");
        assert_eq!(site.ask(5, "x-tester: 1\r\n"), 0, "{what}: another canary");
    }
}

#[test]
fn a_canary_that_answers_is_left_alone() {
    let canary = origin::http().body("canary").run();
    let site = Site::new(1, canary.address);
    site.publish(&arming(1));
    let stable = site.ask(300, "");
    assert!((268..=272).contains(&stable), "{stable} of 300 at 90 %");
    assert_eq!(site.trip(), None);
}

#[test]
fn all_workers_stop_sending_at_once() {
    let site = Site::new(4, origin::http().status(500).run().address);
    site.publish(&arming(1));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    site.ask(10, "");
                    if site.trip().is_some() {
                        break;
                    }
                }
            });
        }
    });
    let sent = site.sent_to_canary();
    assert_eq!(site.ask(200, ""), 200);
    assert_eq!(site.sent_to_canary(), sent, "nothing after the trip");
    assert_eq!(site.world.stats.trips(), [(rollout(), 1)], "once");
}
