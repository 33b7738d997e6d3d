use super::*;
use crate::{
    EvidenceStep, OnInconclusive, Step, Steps, Terms,
    sim::{Behaviour, TICK},
};
use traffic::RolloutId;

mod thousands;

fn percent(percent: u8) -> Weight {
    Weight::from_percent(percent).unwrap()
}

/// `weight evidence` for each of `weights`, of which none may take longer than `max_duration`.
fn plan(weights: &[u8], max_duration: Duration, on_inconclusive: OnInconclusive) -> Plan {
    let evidence = EvidenceStep {
        harm_budget: 0.005,
        beta: 0.05,
        min_duration: Duration::ZERO,
        max_duration,
        on_inconclusive,
    };
    let steps = weights.iter().flat_map(|weight| {
        [
            Step::SetWeight(percent(*weight)),
            Step::Evidence(evidence.clone()),
        ]
    });
    Plan {
        rollout: RolloutId::new("default", "shop"),
        revision: Revision::new("v1"),
        steps: Steps::new(steps.collect(), "steps").unwrap(),
        paused: false,
        guard: true,
        terms: Terms::default(),
    }
}

/// A pilot whose stable was watched for half a minute, and whose canary was shipped just now.
fn shipped(plan: Plan, rps: f64, seed: u64) -> Pilot {
    let traffic = Traffic::new(rps, Weight::ZERO, seed);
    let mut pilot = Pilot::new(plan, Config::default(), traffic);
    pilot.pass(Duration::from_secs(30));
    assert_eq!(pilot.traffic().snapshot().canary.dispatched, 0);
    pilot.ship(Revision::new("v2"));
    pilot
}

const HOUR: Duration = Duration::from_secs(3600);

fn usual() -> Plan {
    plan(&[5, 25, 50], HOUR, OnInconclusive::Hold)
}

/// The weights that were served, one after the other.
fn weights(pilot: &mut Pilot, limit: Duration) -> Vec<Weight> {
    let mut weights = vec![pilot.traffic.weight()];
    let end = pilot.traffic.at + limit;
    while pilot.flight().ending == Ending::UnderWay && pilot.traffic.at < end {
        pilot.turn();
        let weight = pilot.traffic.weight();
        if weights.last() != Some(&weight) {
            weights.push(weight);
        }
    }
    weights
}

#[test]
fn a_good_version_goes_through_all_weights_and_becomes_the_stable() {
    let mut pilot = shipped(usual(), 200.0, 1);
    let wanted: Vec<_> = [0, 5, 25, 50, 100].map(percent).into();
    assert_eq!(weights(&mut pilot, HOUR), wanted);
    let flight = pilot.fly(HOUR);
    assert_eq!(
        (flight.ending, flight.weight),
        (Ending::Promoted, Weight::FULL)
    );
    assert!(flight.canary_requests > 1_000);
    // From now on it is what other versions are compared with.
    let before = pilot.traffic.snapshot();
    pilot.pass(Duration::from_secs(10));
    let after = pilot.traffic.snapshot();
    assert_eq!(after.canary.dispatched, before.canary.dispatched);
    assert!(after.stable.dispatched > before.stable.dispatched + 1_500);
}

#[test]
fn versions_follow_one_another() {
    let mut pilot = shipped(usual(), 300.0, 1);
    pilot.traffic().canary.latency = Duration::from_millis(20);
    assert_eq!(pilot.fly(HOUR).ending, Ending::Promoted);
    pilot.ship(Revision::new("v3"));
    assert_eq!(pilot.flight().ending, Ending::UnderWay);
    // As fast as v1, which is too slow for those who are used to v2.
    pilot.traffic().canary.latency = Duration::from_millis(50);
    let flight = pilot.fly(HOUR);
    assert_eq!(
        (flight.ending, flight.weight),
        (Ending::RolledBack, Weight::ZERO)
    );
    assert_eq!(pilot.traffic.weight(), Weight::ZERO);
    pilot.ship(Revision::new("v4"));
    assert_eq!(pilot.flight().ending, Ending::UnderWay);
    assert_eq!(pilot.flight().canary_requests, 0);
    pilot.traffic().canary.latency = Duration::from_millis(20);
    assert_eq!(pilot.fly(HOUR).ending, Ending::Promoted);
}

#[test]
fn evidence_that_stays_away_ends_as_the_step_says() {
    let check = |on_inconclusive, ending, weight| {
        let plan = plan(&[5], Duration::from_secs(20), on_inconclusive);
        let flight = shipped(plan, 3.0, 1).fly(HOUR);
        assert_eq!((flight.ending, flight.weight), (ending, weight));
        assert!(flight.took < Duration::from_secs(22), "{flight:?}");
    };
    check(OnInconclusive::Hold, Ending::Inconclusive, percent(5));
    check(OnInconclusive::Abort, Ending::Aborted, Weight::ZERO);
    check(OnInconclusive::Promote, Ending::Promoted, Weight::FULL);
}

#[test]
fn a_table_is_served_when_its_time_has_come_and_not_before() {
    let check = |delay: Duration| {
        let mut pilot = shipped(usual(), 1_000.0, 1).with_delay(delay);
        // The table that knows of a canary comes first, and gives it nothing.
        let begun = pilot.traffic.at;
        while pilot.traffic.weight() == Weight::ZERO {
            pilot.turn();
        }
        let took = pilot.traffic.at - begun;
        let least = delay + delay;
        assert!(took >= least, "{took:?}");
        assert!(took < least + 3 * TICK, "{took:?}");
    };
    check(Duration::from_millis(1));
    check(Duration::from_millis(37));
    check(Duration::from_millis(400));
}

#[test]
fn a_process_that_is_killed_again_and_again_still_rolls_back_and_promotes() {
    let check = |failure_ratio: f64, wanted: Ending| {
        let mut pilot = shipped(usual(), 300.0, 1);
        pilot.traffic().canary.failure_ratio = failure_ratio;
        let mut restarts = 0;
        let flight = loop {
            let flight = pilot.fly(pilot.flight().took + Duration::from_millis(1_700));
            if flight.ending != Ending::UnderWay {
                break flight;
            }
            let json = serde_json::to_string(pilot.kept()).unwrap();
            pilot.restart(serde_json::from_str(&json).unwrap());
            restarts += 1;
            assert!(restarts < 1_000);
        };
        assert_eq!(flight.ending, wanted, "{flight:?}");
        assert!(
            restarts > 0 && flight.canary_requests > 30,
            "{restarts} {flight:?}"
        );
    };
    check(0.001, Ending::Promoted);
    check(0.1, Ending::RolledBack);
}

#[test]
fn a_cold_version_is_slow_at_first() {
    let cold = crate::sim::Cold {
        factor: 10.0,
        time: Duration::from_secs(2),
    };
    let mut traffic = Traffic::new(500.0, Weight::FULL, 1);
    traffic.canary = Behaviour {
        spread: 0.0,
        cold: Some(cold),
        ..Behaviour::default()
    };
    let slow = traffic::Bucket::of(Duration::from_millis(100));
    let counted = |traffic: &mut Traffic, seconds: u64| {
        let before = traffic.snapshot().canary;
        traffic.pass(Duration::from_secs(seconds));
        let after = traffic.snapshot().canary;
        (
            after.dispatched - before.dispatched,
            after.latency.above(slow) - before.latency.above(slow),
        )
    };
    let (requests, slow_ones) = counted(&mut traffic, 1);
    assert!(slow_ones > requests / 2);
    counted(&mut traffic, 2);
    assert_eq!(counted(&mut traffic, 10).1, 0);
}
