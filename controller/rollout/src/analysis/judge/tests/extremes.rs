//! One request, and a million million of them, in every tick.

use super::*;
use traffic::{Counts, RouteTable, Routes};

const MANY: u64 = 1_000_000_000_000;

/// What one version does with the requests of each tick.
#[derive(Clone, Copy, Debug)]
struct Does {
    requests: u64,
    failed: u64,
    latency: Duration,
}

impl Does {
    fn to(self, counts: &mut Counts) {
        counts.dispatched += self.requests;
        counts.failed += self.failed;
        counts
            .latency
            .add(Bucket::of(self.latency), self.requests - self.failed);
    }
}

/// Twelve seconds of `stable` and then as many of both, judged with all tests.
fn judged(stable: Does, canary: Does) -> Judge {
    let mut judge = Judge::new(config(|parameters| {
        parameters.max_failure_ratio = Some(0.1)
    }));
    let generation = Routes::default().publish(RouteTable::default());
    let mut snapshot = Snapshot {
        generation: Some(generation),
        ..Snapshot::default()
    };
    let mut now = Timestamp::UNIX_EPOCH;
    for tick in 0..240 {
        if tick == 120 {
            judge.begin(now, 1);
        }
        now += SignedDuration::from_millis(100);
        snapshot.at += Duration::from_millis(100);
        stable.to(&mut snapshot.stable);
        if tick >= 120 {
            canary.to(&mut snapshot.canary);
        }
        judge.observe(&snapshot, Some(target(10, 50)), now);
    }
    judge
}

#[test]
fn every_test_stays_a_number_and_can_be_judged_again() {
    let (fast, slow) = (Duration::from_millis(20), Duration::from_secs(2));
    for requests in [1, MANY] {
        let does = |failed, latency| Does {
            requests,
            failed,
            latency,
        };
        let versions = [
            does(0, fast),
            does(1, fast),
            does(requests / 2, slow),
            does(requests, fast),
            does(0, slow),
        ];
        for stable in versions {
            for canary in versions {
                let judge = judged(stable, canary);
                // What is not finite is written as null, which is no number to read.
                let reading = judge.reading();
                let written = serde_json::to_string(&reading).unwrap();
                let read: Reading = serde_json::from_str(&written).unwrap();
                assert_eq!(read, reading, "{stable:?} {canary:?}");
                let replay = judge.record().unwrap().replay(&reading).unwrap();
                assert_eq!(replay.first_difference(), None, "{stable:?} {canary:?}");
            }
        }
    }
}

#[test]
fn nothing_is_lost_among_a_million_million() {
    let (fast, slow) = (Duration::from_millis(20), Duration::from_secs(2));
    let does = |failed, latency| Does {
        requests: MANY,
        failed,
        latency,
    };
    let well = does(MANY / 1000, fast);
    let check = |canary: Does, wanted: Judgement, accepted: bool| {
        let judge = judged(well, canary);
        assert_eq!(judge.judgement(), wanted, "{canary:?}");
        assert_eq!(
            judge.is_accepted(),
            accepted,
            "{canary:?} {:?}",
            judge.reading().acceptance
        );
    };
    let by = |test| Judgement::RollBack { test };
    check(well, Judgement::Undecided, true);
    check(does(MANY / 1000 + 1, fast), Judgement::Undecided, true);
    check(does(MANY / 50, fast), by(Test::Errors), false);
    check(does(MANY, fast), by(Test::Errors), false);
    let median = Test::Latency { quantile: 0.5 };
    check(does(MANY / 1000, slow), by(median), false);
}
