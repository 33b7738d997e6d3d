mod recalled;

use super::Guard;
use crate::{
    fleet::{Answers, Judging, RolloutReport, Split, Told, TripReport},
    reconcile::{Finding, Traffic},
};
use jiff::{SignedDuration, Timestamp};
use rollout::{
    Acceptance, Judgement,
    analysis::{Config, Target, Tripped},
};
use std::{net::SocketAddr, time::Duration};
use traffic::{Counts, Margins, Snapshot, Trip, TripCounts, Weight, trip::TripTest};

/// How often proxies are asked.
const TICK: Duration = Duration::from_millis(250);

/// A Rollout, two proxies that split its requests, and its guard.
struct Scene {
    guard: Guard,
    judging: Judging,
    proxies: [Snapshot; 2],
    /// Whether the second proxy answers.
    both_answer: bool,
    /// What the second proxy tells that it tripped.
    tripped: Option<TripReport>,
    at: Duration,
    now: Timestamp,
}

/// A Rollout whose stable is old, with nothing on trial, and with so many steps.
fn at_rest(step_starts: usize) -> Judging {
    Judging {
        config: Config::default(),
        split: Some(split("old", "old", 0)),
        on_trial: false,
        target: None,
        step_since: None,
        step_starts,
    }
}

impl Scene {
    fn new() -> Self {
        let judging = at_rest(1);
        let mut scene = Self {
            guard: Guard::new(&judging),
            judging,
            proxies: Default::default(),
            both_answer: true,
            tripped: None,
            at: Duration::ZERO,
            now: Timestamp::UNIX_EPOCH,
        };
        // A minute of the stable alone.
        scene.run(60, 0.0);
        scene
    }

    fn try_out(&mut self, canary: &str, percent: u8) {
        self.judging.split = Some(split("old", canary, percent));
        self.judging.on_trial = true;
    }

    /// Goes on for `seconds` with 100 requests a second at each proxy, of which the canary fails the share `failing`.
    /// Returns what is known in the end.
    fn run(&mut self, seconds: u64, failing: f64) -> Traffic {
        let mut known = Traffic::default();
        for _ in 0..seconds * 4 {
            let weight = self
                .judging
                .split
                .as_ref()
                .map_or(0, |split| split.weight.basis_points());
            for proxy in &mut self.proxies {
                let canary = 25 * u64::from(weight) / 10_000;
                send(&mut proxy.stable, 25 - canary, 0);
                send(&mut proxy.canary, canary, (canary as f64 * failing) as u64);
            }
            self.at += TICK;
            self.now += SignedDuration::try_from(TICK).unwrap();
            let answers = self.answers();
            let (traffic, unread) = self.guard.look(&self.judging, answers, self.at, self.now);
            assert_eq!(unread, Vec::new());
            known = traffic;
        }
        known
    }

    fn answers(&self) -> Answers {
        let rule = self.judging.config.parameters().failure_rule;
        let told = |(snapshot, last): (&Snapshot, u8)| {
            let mut report = RolloutReport::new(self.judging.split.clone(), 0, rule, snapshot);
            report.tripped = self.tripped.clone().filter(|_| last == 2);
            let told = Told {
                process: last.to_string(),
                at: self.at,
                report,
            };
            let answers = last == 1 || self.both_answer;
            (
                SocketAddr::from(([10, 244, 0, last], 9091)),
                answers.then_some(told),
            )
        };
        self.proxies.iter().zip(1..).map(told).collect()
    }
}

fn split(stable: &str, canary: &str, percent: u8) -> Split {
    Split {
        stable: stable.to_owned(),
        canary: canary.to_owned(),
        weight: Weight::from_percent(percent).unwrap(),
    }
}

fn send(side: &mut Counts, requests: u64, failed: u64) {
    side.dispatched += requests;
    side.failed += failed;
}

fn judgement(traffic: &Traffic) -> (&str, &Judgement) {
    let Finding {
        canary, judgement, ..
    } = traffic.finding.as_ref().unwrap();
    (canary, judgement)
}

#[test]
fn a_canary_is_judged_by_what_all_proxies_counted() {
    let mut scene = Scene::new();
    scene.try_out("bad", 20);
    let known = scene.run(1, 1.0);
    assert_eq!(known.proxies, 2);
    let ("bad", Judgement::RollBack { why }) = judgement(&known) else {
        panic!("found {known:?}");
    };
    // Neither proxy alone has sent that many to it by then.
    let canary = scene
        .proxies
        .iter()
        .map(|proxy| proxy.canary.dispatched)
        .max()
        .unwrap();
    let counted = why
        .split(" of ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    assert!(
        counted
            .and_then(|n| n.parse().ok())
            .is_some_and(|n: u64| n > 0 && n <= 2 * canary),
        "{why}"
    );
    let (reading, record) = scene.guard.evidence().unwrap();
    assert_eq!(record.replay(&reading).unwrap().first_difference(), None);
}

#[test]
fn a_good_canary_is_spared() {
    let mut scene = Scene::new();
    scene.try_out("good", 20);
    assert_eq!(
        judgement(&scene.run(60, 0.0)),
        ("good", &Judgement::Undecided)
    );
}

#[test]
fn another_canary_begins_anew() {
    let mut scene = Scene::new();
    scene.try_out("bad", 20);
    scene.run(2, 1.0);
    // It is aborted, and the next version is shipped.
    scene.judging.split = Some(split("old", "bad", 0));
    scene.judging.on_trial = false;
    assert_eq!(scene.run(1, 0.0).finding, None);
    scene.try_out("good", 20);
    assert_eq!(
        judgement(&scene.run(30, 0.0)),
        ("good", &Judgement::Undecided)
    );
    // Or the same one is tried again.
    scene.judging.on_trial = false;
    scene.run(1, 0.0);
    scene.try_out("bad", 20);
    assert_eq!(
        judgement(&scene.run(30, 0.0)),
        ("bad", &Judgement::Undecided)
    );
}

#[test]
fn what_one_proxy_tripped_is_convicted_and_can_be_added_up_again() {
    let mut scene = Scene::new();
    scene.try_out("dead", 20);
    let margins = Margins {
        relative: 1.1,
        absolute: 0.001,
    };
    let weight = Weight::from_percent(20).unwrap();
    let counts = TripCounts {
        canary_requests: 25,
        canary_failures: 25,
        independent: 25,
        stable_failures: 1,
    };
    let test = TripTest::new(weight, margins, 3, 0).unwrap();
    let trip = |canary: &str| TripReport {
        canary: canary.to_owned(),
        trip: Tripped::from(&Trip {
            trial: 7,
            weight,
            margins,
            least_failures: 3,
            earlier: 0,
            counts,
            ln_e: test.ln_e(&counts),
            ln_threshold: test.ln_threshold(),
        }),
    };
    // One that is not on trial any more says nothing of this one.
    scene.tripped = Some(trip("earlier"));
    assert_eq!(
        judgement(&scene.run(1, 0.0)),
        ("dead", &Judgement::Undecided)
    );
    scene.tripped = Some(trip("dead"));
    let known = scene.run(1, 0.0);
    let ("dead", Judgement::Tripped { why }) = judgement(&known) else {
        panic!("found {known:?}");
    };
    assert!(
        why.starts_with(
            "at proxy 10.244.0.2:9091, 25 of 25 canary requests failed at 20%, 1 of stable"
        ),
        "{why}"
    );
    let (reading, record) = scene.guard.evidence().unwrap();
    let replay = record.replay(&reading).unwrap();
    assert_eq!(replay.first_difference(), None);
    assert_eq!(replay.tests.last().unwrap().name, "proxy's trip");
}

#[test]
fn evidence_is_there_when_all_proxies_have_told_enough() {
    let mut scene = Scene::new();
    scene.try_out("good", 20);
    scene.judging.target = Some(Target {
        step: 1,
        from: Weight::from_percent(20).unwrap(),
        to: Weight::from_percent(50).unwrap(),
        harm_budget: 0.01,
        beta: 0.05,
    });
    let evidence = |traffic: &Traffic| traffic.finding.as_ref().unwrap().evidence;
    // What one of them sent since nobody knows by which split.
    scene.both_answer = false;
    assert_eq!(
        evidence(&scene.run(120, 0.0)),
        Some((1, Acceptance::Pending))
    );
    scene.both_answer = true;
    assert_eq!(evidence(&scene.run(120, 0.0)), Some((1, Acceptance::Met)));
}
