mod extremes;

use super::*;
use crate::{
    analysis::{Limit, OnLowRate, OnUnhealthyBaseline, Parameters, Reason, Shortfall, Test},
    sim::{Behaviour, Traffic},
};
use jiff::SignedDuration;
use proptest::prelude::*;
use std::{net::SocketAddr, time::Duration};
use traffic::{
    Bucket, Counting, EndpointCounts, FailureRule, HalfOctave, HalfOctaves, SECTORS, SectorCounts,
    UserCounts, Weight,
};

fn percent(percent: u8) -> Weight {
    Weight::from_percent(percent).unwrap()
}

fn target(from: u8, to: u8) -> Target {
    Target {
        step: usize::from(from),
        from: percent(from),
        to: percent(to),
        harm_budget: 0.005,
        beta: 0.05,
    }
}

fn config(change: impl FnOnce(&mut Parameters)) -> Config {
    let mut parameters = Parameters::default();
    change(&mut parameters);
    Config::new(parameters).unwrap()
}

/// A judge and the traffic that it looks at.
struct Scene {
    judge: Judge,
    traffic: Traffic,
    target: Option<Target>,
    /// What stable's users met, where they are split.
    users: Option<UserCounts>,
}

impl Scene {
    /// A stable that has been watched for half a minute, and a canary that begins now at `weight` per cent.
    fn new(rps: f64, weight: u8, seed: u64, config: Config) -> Self {
        Self::with_stable(rps, weight, seed, config, Behaviour::default())
    }

    fn with_stable(rps: f64, weight: u8, seed: u64, config: Config, stable: Behaviour) -> Self {
        let mut scene = Self {
            judge: Judge::new(config),
            traffic: Traffic::new(rps, Weight::ZERO, seed),
            target: None,
            users: None,
        };
        scene.traffic.stable = stable;
        scene.traffic.canary = stable;
        scene.run(30.0);
        scene.judge.begin(scene.traffic.now(), 3);
        scene.traffic.set_weight(percent(weight));
        scene
    }

    fn canary(mut self, change: impl FnOnce(&mut Behaviour)) -> Self {
        change(&mut self.traffic.canary);
        self
    }

    fn tick(&mut self) {
        let snapshot = Snapshot {
            users: self.users.clone(),
            ..self.traffic.tick()
        };
        self.judge
            .observe(&snapshot, self.target, self.traffic.now());
    }

    fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * 10.0).round() as usize {
            self.tick();
        }
    }

    /// Runs until `done`, and tells after how many seconds.
    fn until(&mut self, limit: f64, done: impl Fn(&Judge) -> bool) -> Option<f64> {
        (1..=(limit * 10.0) as usize).find_map(|tick| {
            self.tick();
            done(&self.judge).then_some(tick as f64 / 10.0)
        })
    }

    fn until_rollback(&mut self, limit: f64) -> Option<f64> {
        self.until(limit, |judge| {
            matches!(judge.judgement(), Judgement::RollBack { .. })
        })
    }

    /// Goes on with what another process reads from the stored state, on counters that begin at 0.
    fn restart_judge(&mut self) {
        let json = serde_json::to_string(&self.judge).unwrap();
        self.judge = serde_json::from_str(&json).unwrap();
        self.traffic.restart();
        let snapshot = self.traffic.snapshot();
        self.judge
            .observe(&snapshot, self.target, self.traffic.now());
    }
}

#[test]
fn a_dead_canary_is_found_after_a_handful_of_failures() {
    let check = |rps: f64, weight: u8, at_most: u64, within: f64| {
        let mut failed: Vec<u64> = (0..9)
            .map(|seed| {
                let mut scene = Scene::new(rps, weight, seed, Config::default())
                    .canary(|canary| canary.failure_ratio = 1.0);
                let took = scene.until_rollback(within * 10.0);
                assert!(took.is_some(), "{rps} rps, {weight} %, seed {seed}");
                let reading = scene.judge.reading();
                let test = Test::Errors;
                assert_eq!(reading.judgement, Judgement::RollBack { test });
                assert!(reading.canary.failures >= 3);
                reading.canary.failures
            })
            .collect();
        failed.sort_unstable();
        assert!(failed[4] <= at_most, "{rps} rps, {weight} %: {failed:?}");
    };
    check(1_000.0, 10, 15, 0.3);
    check(100.0, 5, 5, 3.0);
    check(100.0, 50, 15, 1.0);
    check(10.0, 10, 5, 10.0);
}

#[test]
fn a_canary_that_dies_later_is_found_too() {
    let mut scene = Scene::new(300.0, 10, 1, Config::default());
    scene.run(60.0);
    assert_eq!(scene.judge.judgement(), Judgement::Undecided);
    scene.traffic.canary.failure_ratio = 1.0;
    let took = scene.until_rollback(20.0).unwrap();
    assert!(took < 8.0, "{took}");
}

#[test]
fn a_second_of_failures_convicts_nobody() {
    for seed in 0..5 {
        let mut scene = Scene::new(300.0, 10, seed, Config::default());
        scene.run(30.0);
        scene.traffic.canary.failure_ratio = 1.0;
        scene.run(0.7);
        scene.traffic.canary.failure_ratio = 0.001;
        assert_eq!(scene.until_rollback(30.0), None);
    }
}

#[test]
fn a_slow_canary_is_found() {
    let mut scene = Scene::new(500.0, 50, 1, Config::default())
        .canary(|canary| canary.latency = Duration::from_millis(100));
    let took = scene.until_rollback(30.0).unwrap();
    assert!((5.0..8.0).contains(&took), "{took}");
    let reading = scene.judge.reading();
    assert!(
        matches!(
            reading.judgement,
            Judgement::RollBack {
                test: Test::Latency { .. }
            }
        ),
        "{reading:?}"
    );
    let Limit::Latency {
        stable: Some(stable),
        canary: Some(canary),
        ..
    } = reading.tests[1].limit
    else {
        panic!("{:?}", reading.tests[1].limit)
    };
    assert!((0.045..0.06).contains(&stable) && (1.4..1.5).contains(&(canary / stable)));
}

#[test]
fn a_canary_within_the_latency_margin_is_left_alone() {
    let mut scene = Scene::new(200.0, 50, 1, Config::default())
        .canary(|canary| canary.latency = Duration::from_millis(60));
    assert_eq!(scene.until_rollback(60.0), None);
}

#[test]
fn a_difference_of_a_millisecond_is_negligible() {
    let fast = Behaviour {
        latency: Duration::from_micros(400),
        ..Behaviour::default()
    };
    let mut scene = Scene::with_stable(200.0, 50, 1, Config::default(), fast)
        .canary(|canary| canary.latency = Duration::from_millis(1));
    assert_eq!(scene.until_rollback(30.0), None);
}

#[test]
fn a_canary_that_hangs_is_found_before_any_request_ends() {
    let mut scene = Scene::new(200.0, 25, 1, Config::default()).canary(|c| c.hang_ratio = 1.0);
    let took = scene.until_rollback(30.0).unwrap();
    assert!(took < 8.0, "{took}");
    let canary = scene.traffic.snapshot().canary;
    assert_eq!((canary.failed, canary.latency.count()), (0, 0));
}

#[test]
fn a_canary_that_hangs_is_not_accepted() {
    let mut scene =
        Scene::new(1_000.0, 10, 1, config(|p| p.latency = None)).canary(|c| c.hang_ratio = 0.2);
    scene.target = Some(target(10, 25));
    assert_eq!(scene.until(15.0, Judge::is_accepted), None);
    let acceptance = scene.judge.reading().acceptance.unwrap();
    assert_eq!(acceptance.waits_for, Some(Reason::RequestsUnderWay));
    assert!(acceptance.ln_e > acceptance.ln_threshold);
}

#[test]
fn a_good_canary_is_accepted_when_the_dwell_time_has_passed() {
    let mut scene = Scene::new(1_000.0, 10, 1, Config::default());
    scene.target = Some(target(10, 25));
    scene.run(2.0);
    let acceptance = scene.judge.reading().acceptance.unwrap();
    assert!(!acceptance.met);
    let eta = acceptance.eta.unwrap();
    assert!((2.9..3.3).contains(&eta), "{eta}");
    let took = scene.until(30.0, Judge::is_accepted).unwrap() + 2.0;
    assert!((5.0..6.0).contains(&took), "{took}");
    let acceptance = scene.judge.reading().acceptance.unwrap();
    assert!(acceptance.met && acceptance.waits_for.is_none());
    assert!(acceptance.excludable.unwrap() < 0.04);
}

#[test]
fn the_time_that_a_step_takes_is_foretold() {
    let mut scene = Scene::new(30.0, 10, 4, Config::default());
    scene.target = Some(target(10, 25));
    scene.run(5.0);
    let foretold = scene.judge.reading().acceptance.unwrap().eta.unwrap() + 5.0;
    let rule = 3.9 * 2.5 / (0.005 * 30.0);
    assert!(
        (0.5..2.0).contains(&(foretold / rule)),
        "{foretold}, {rule}"
    );
    let took = scene.until(300.0, Judge::is_accepted).unwrap() + 5.0;
    assert!(
        (0.4..2.5).contains(&(took / foretold)),
        "{took}, {foretold}"
    );
}

#[test]
fn another_target_begins_without_evidence() {
    let mut scene = Scene::new(1_000.0, 10, 1, Config::default());
    scene.target = Some(target(10, 25));
    scene.until(30.0, Judge::is_accepted).unwrap();
    scene.traffic.set_weight(percent(25));
    scene.target = Some(target(25, 50));
    scene.tick();
    let acceptance = scene.judge.reading().acceptance.unwrap();
    assert!(!acceptance.met);
    // The tick across two route tables is nobody's.
    assert_eq!((acceptance.step, acceptance.canary_requests), (25, 0));
    scene.tick();
    assert!(scene.judge.reading().acceptance.unwrap().canary_requests > 0);
}

#[test]
fn a_step_between_two_targets_changes_nothing_about_the_second() {
    let run = |pause: bool| {
        let mut scene = Scene::new(100.0, 10, 1, Config::default());
        scene.target = Some(target(10, 25));
        scene.run(5.0);
        if pause {
            scene.target = None;
            scene.tick();
            assert_eq!(scene.judge.reading().acceptance, None);
        } else {
            scene.tick();
        }
        scene.target = Some(target(25, 50));
        scene.run(5.0);
        scene.judge.reading()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_publish_that_changes_no_weight_costs_no_evidence() {
    let mut scene = Scene::new(100.0, 10, 1, Config::default());
    scene.target = Some(target(10, 25));
    scene.run(10.0);
    let before = scene.judge.reading().acceptance.unwrap();
    let snapshot = scene.traffic.snapshot();
    scene.judge.close(&snapshot, scene.traffic.now());
    scene.tick();
    let after = scene.judge.reading().acceptance.unwrap();
    assert!(after.canary_requests >= before.canary_requests && before.canary_requests > 50);
}

#[test]
fn no_canary_requests_never_pass() {
    let mut scene = Scene::new(100.0, 0, 1, Config::default());
    scene.target = Some(target(10, 25));
    assert_eq!(scene.until(30.0, Judge::is_accepted), None);
    let acceptance = scene.judge.reading().acceptance.unwrap();
    assert_eq!(acceptance.waits_for, Some(Reason::NoCanaryRequests));
    assert_eq!((acceptance.eta, acceptance.excludable), (None, None));
}

#[test]
fn little_traffic_is_neither_good_nor_bad() {
    let mut scene = Scene::new(2.0, 5, 1, Config::default()).canary(|c| c.failure_ratio = 0.02);
    scene.target = Some(target(5, 25));
    scene.run(60.0);
    let reading = scene.judge.reading();
    assert_eq!(reading.judgement, Judgement::Undecided);
    let acceptance = reading.acceptance.unwrap();
    assert_eq!(acceptance.waits_for, Some(Reason::Evidence));
    assert!(acceptance.eta.unwrap() > 300.0, "{acceptance:?}");
    assert!(acceptance.excludable.unwrap() > 0.3);
}

fn sick() -> Behaviour {
    Behaviour {
        failure_ratio: 0.2,
        ..Behaviour::default()
    }
}

#[test]
fn a_stable_that_fails_holds_and_convicts_nobody() {
    let mut scene = Scene::with_stable(500.0, 25, 1, Config::default(), sick());
    scene.target = Some(target(25, 50));
    assert_eq!(scene.until(60.0, Judge::is_accepted), None);
    let reading = scene.judge.reading();
    assert!(
        matches!(reading.judgement, Judgement::Hold { .. }),
        "{reading:?}"
    );
    let waits_for = reading.acceptance.unwrap().waits_for;
    assert_eq!(waits_for, Some(Reason::BaselineUnhealthy));
}

#[test]
fn a_canary_that_is_worse_than_a_failing_stable_is_rolled_back() {
    let mut scene = Scene::with_stable(500.0, 25, 1, Config::default(), sick())
        .canary(|canary| canary.failure_ratio = 0.9);
    assert!(scene.until_rollback(10.0).is_some());
}

/// With a limit of 5 %, and margins so wide that the error test says nothing.
fn limited() -> Config {
    config(|parameters| {
        parameters.max_failure_ratio = Some(0.05);
        parameters.relative_margin = 10.0;
        parameters.absolute_margin = 0.5;
        parameters.baseline_unhealthy_above = 0.99;
        parameters.latency = None;
    })
}

#[test]
fn above_the_failure_limit_a_canary_is_rolled_back_if_the_stable_is_well() {
    #[derive(Debug, PartialEq)]
    enum End {
        RolledBack,
        Held,
        Undecided,
    }
    let check = |stable: f64, canary: f64, weight: u8, wanted: End| {
        let behaviour = Behaviour {
            failure_ratio: stable,
            ..Behaviour::default()
        };
        let mut scene = Scene::with_stable(200.0, weight, 3, limited(), behaviour)
            .canary(|it| it.failure_ratio = canary);
        scene.run(60.0);
        let found = match scene.judge.judgement() {
            Judgement::RollBack { test } => {
                assert_eq!(test, Test::FailureLimit);
                End::RolledBack
            }
            Judgement::Unattributed { limit, .. } => {
                assert_eq!(limit, 0.05);
                End::Held
            }
            Judgement::Undecided => End::Undecided,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, wanted, "stable {stable}, canary {canary}");
    };
    check(0.001, 0.3, 10, End::RolledBack);
    check(0.001, 0.01, 10, End::Undecided);
    check(0.03, 0.04, 50, End::Undecided);
    // What drives both above the limit is nobody's fault, until the canary is shown to be worse.
    check(0.3, 0.3, 10, End::Held);
    check(0.08, 0.6, 50, End::RolledBack);
}

#[test]
fn a_canary_whose_users_failed_above_the_limit_before_is_not_at_fault_for_that() {
    let check = |canary: f64, wanted: Option<Test>| {
        let mut scene = Scene::new(200.0, 0, 3, limited());
        scene.judge.end();
        let mut users = UserCounts {
            counting: Counting {
                salt: 7,
                rule: FailureRule::DEFAULT,
            },
            sectors: Box::new([SectorCounts::default(); SECTORS]),
        };
        for _ in 0..100 {
            for (sector, counts) in users.sectors.iter_mut().enumerate() {
                counts.requests += 100;
                counts.failed += if sector < 6 { 12 } else { 1 };
            }
            scene.users = Some(users.clone());
            scene.tick();
        }
        scene.judge.begin(scene.traffic.now(), 3);
        scene.traffic.set_weight(percent(10));
        scene.judge.start_step(percent(10));
        scene.traffic.stable.failure_ratio = 0.01;
        scene.traffic.canary.failure_ratio = canary;
        scene.run(120.0);
        let found = match scene.judge.judgement() {
            Judgement::RollBack { test } => Some(test),
            Judgement::Unattributed { .. } => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, wanted, "{canary}");
        let (record, reading) = (scene.judge.record().unwrap(), scene.judge.reading());
        let replay = record.replay(&reading).unwrap();
        assert_eq!(replay.first_difference(), None);
    };
    check(0.12, None);
    check(0.5, Some(Test::FailureLimit));
}

#[test]
fn a_sound_canary_of_a_sick_stable_goes_forward_where_that_is_asked_for() {
    let check = |policy, canary: f64, forward: bool| {
        let config = config(|parameters| parameters.on_unhealthy_baseline = policy);
        let mut scene = Scene::with_stable(500.0, 25, 1, config, sick())
            .canary(|behaviour| behaviour.failure_ratio = canary);
        scene.judge.start_step(percent(25));
        scene.run(20.0);
        let judgement = scene.judge.judgement();
        let found = match judgement {
            Judgement::RollForward { .. } => true,
            Judgement::Hold { .. } => false,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, forward, "{policy:?} {canary}: {judgement:?}");
    };
    check(OnUnhealthyBaseline::Hold, 0.001, false);
    check(OnUnhealthyBaseline::RollForward, 0.001, true);
    // As sick as the stable.
    check(
        OnUnhealthyBaseline::RollForward,
        sick().failure_ratio,
        false,
    );
}

#[test]
fn a_cure_is_told_by_what_the_canary_does_at_its_present_weight() {
    let config =
        config(|parameters| parameters.on_unhealthy_baseline = OnUnhealthyBaseline::RollForward);
    let mut scene = Scene::with_stable(500.0, 25, 1, config, sick())
        .canary(|behaviour| behaviour.failure_ratio = 0.0);
    scene.judge.start_step(percent(25));
    scene.run(20.0);
    scene.judge.start_step(percent(50));
    let judgement = scene.judge.judgement();
    assert!(matches!(judgement, Judgement::Hold { .. }), "{judgement:?}");
}

#[test]
fn a_canary_that_gets_no_requests_is_held_and_not_passed() {
    let mut scene = Scene::new(100.0, 0, 1, Config::default());
    scene.run(10.0);
    assert_eq!(scene.judge.judgement(), Judgement::Undecided);
    // The step gives it a tenth, of which it never sees anything.
    scene.judge.start_step(percent(10));
    scene.run(10.0);
    let judgement = scene.judge.judgement();
    assert!(
        matches!(
            judgement,
            Judgement::TooLittle(Shortfall::NoCanaryRequests { stable_requests }) if stable_requests > 500
        ),
        "{judgement:?}"
    );
    scene.traffic.set_weight(percent(10));
    scene.run(10.0);
    assert_eq!(scene.judge.judgement(), Judgement::Undecided);
}

#[test]
fn a_rate_that_falls_holds_the_canary_or_rolls_it_back() {
    let check = |action, rps: f64, wanted: Option<Judgement>| {
        let config = config(|parameters| {
            parameters.min_request_rate = Some(100.0);
            parameters.on_low_request_rate = action;
        });
        let mut scene = Scene::new(rps, 10, 1, config);
        scene.run(60.0);
        let judgement = scene.judge.judgement();
        match wanted {
            Some(wanted) => assert_eq!(judgement, wanted, "{action:?} {rps}"),
            None => assert!(
                matches!(judgement, Judgement::TooLittle(Shortfall::LowRate { .. })),
                "{action:?} {rps}: {judgement:?}"
            ),
        }
    };
    let convicted = Judgement::RollBack {
        test: Test::RequestRate,
    };
    check(OnLowRate::Hold, 200.0, Some(Judgement::Undecided));
    check(OnLowRate::Hold, 50.0, None);
    check(OnLowRate::RollBack, 200.0, Some(Judgement::Undecided));
    check(OnLowRate::RollBack, 50.0, Some(convicted));
}

#[test]
fn an_unhealthy_stable_suspends_the_failure_limit() {
    let config = config(|parameters| {
        *parameters = limited().parameters().clone();
        parameters.baseline_unhealthy_above = 0.05;
    });
    let mut scene = Scene::with_stable(200.0, 50, 3, config, sick())
        .canary(|canary| canary.failure_ratio = 0.6);
    scene.run(60.0);
    let judgement = scene.judge.judgement();
    assert!(matches!(judgement, Judgement::Hold { .. }), "{judgement:?}");
}

#[test]
fn a_hold_ends_when_the_stable_is_well_again() {
    let mut scene = Scene::with_stable(100.0, 0, 1, Config::default(), sick());
    assert!(matches!(scene.judge.judgement(), Judgement::Hold { .. }));
    scene.traffic.stable.failure_ratio = 0.0;
    let took = scene.until(70.0, |judge| judge.judgement() == Judgement::Undecided);
    assert!(took.is_some());
}

#[test]
fn a_rollback_stays_as_it_was_found_until_the_canary_ends() {
    let mut scene = Scene::new(100.0, 50, 1, Config::default()).canary(|c| c.failure_ratio = 1.0);
    scene.target = Some(target(50, 100));
    scene.until_rollback(10.0).unwrap();
    let found = scene.judge.reading();
    assert_eq!(
        found.acceptance.unwrap().waits_for,
        Some(Reason::RolledBack)
    );
    scene.traffic.canary.failure_ratio = 0.0;
    scene.run(60.0);
    assert_eq!(scene.judge.reading(), found);
    assert!(!scene.judge.is_accepted());
    scene.judge.end();
    let reading = scene.judge.reading();
    assert_eq!(reading.judgement, Judgement::Undecided);
    assert_eq!((reading.tests.len(), reading.acceptance), (0, None));
    scene.judge.begin(scene.traffic.now(), 1);
    scene.run(10.0);
    assert_eq!(scene.judge.judgement(), Judgement::Undecided);
}

#[test]
fn a_restart_changes_no_reading() {
    // Answers within a tick, so that the restart loses no request that is under way.
    let prompt = Behaviour {
        latency: Duration::from_millis(2),
        failure_ratio: 0.02,
        ..Behaviour::default()
    };
    let run = |restarts: bool| {
        let mut scene = Scene::with_stable(200.0, 10, 7, Config::default(), prompt);
        scene.target = Some(target(10, 50));
        for _ in 0..4 {
            scene.run(5.0);
            if restarts {
                scene.restart_judge();
            } else {
                scene.traffic.restart();
                scene.judge.base = Some(scene.traffic.snapshot());
            }
        }
        scene.run(5.0);
        scene.judge
    };
    let (with, without) = (run(true), run(false));
    assert_eq!(with.reading(), without.reading());
    assert_eq!(with, without);
    assert!(with.reading().canary.requests > 400);
}

#[test]
fn counters_that_begin_again_are_only_a_new_base() {
    let mut scene = Scene::new(200.0, 25, 1, Config::default());
    scene.run(10.0);
    let before = scene.judge.reading();
    scene.traffic.restart();
    scene.tick();
    let after = scene.judge.reading();
    assert_eq!(after.canary.requests, before.canary.requests);
    assert_eq!(after.tests, before.tests);
    scene.traffic.canary.failure_ratio = 1.0;
    assert!(scene.until_rollback(10.0).is_some());
}

#[test]
fn an_earlier_canarys_requests_do_not_convict_the_next() {
    let timing_out = |canary: &mut Behaviour| {
        canary.failure_ratio = 1.0;
        canary.failure_latency = Some(Duration::from_secs(15));
    };
    let mut scene = Scene::new(200.0, 10, 1, config(|p| p.latency = None)).canary(timing_out);
    scene.run(10.0);
    scene.traffic.set_weight(Weight::ZERO);
    scene.tick();
    scene.judge.begin(scene.traffic.now(), 1);
    scene.traffic.canary = Behaviour::default();
    scene.traffic.set_weight(percent(10));
    assert_eq!(scene.until_rollback(30.0), None);
    let reading = scene.judge.reading();
    assert!(reading.canary.failures <= 5, "{:?}", reading.canary);
}

#[test]
fn new_parameters_wait_for_the_next_canary() {
    let mut scene = Scene::new(100.0, 10, 1, Config::default());
    let threshold = |judge: &Judge| judge.reading().tests[0].ln_threshold;
    let before = threshold(&scene.judge);
    scene.judge.reconfigure(config(|p| p.alpha = 1e-4));
    scene.run(1.0);
    assert_eq!(threshold(&scene.judge), before);
    scene.judge.begin(scene.traffic.now(), 1);
    assert!((threshold(&scene.judge) - 20_000f64.ln()).abs() < 1e-12);
}

#[test]
fn what_another_rule_counted_as_failures_is_forgotten() {
    let check = |failure_rule: FailureRule, forgets: bool| {
        let mut scene = Scene::new(100.0, 10, 1, Config::default());
        let known = scene.judge.baseline().clone();
        scene
            .judge
            .reconfigure(config(|p| p.failure_rule = failure_rule));
        assert_eq!(*scene.judge.baseline(), known, "under way nothing changes");
        scene.judge.end();
        let baseline = scene.judge.baseline();
        assert_eq!(baseline.latency(), known.latency());
        assert_eq!(*baseline != known, forgets, "{failure_rule}");
        assert_eq!(baseline.counted() == (0.0, 0.0), forgets, "{failure_rule}");
        assert_eq!(
            baseline.health().counts() == (0, 0),
            forgets,
            "{failure_rule}"
        );
        // The first counts by the other rule are only the base for the next.
        scene.tick();
        assert_eq!(scene.judge.baseline().counted() == (0.0, 0.0), forgets);
        scene.tick();
        assert!(scene.judge.baseline().counted().0 > 0.0);
    };
    check(FailureRule::DEFAULT, false);
    check(FailureRule::DEFAULT.with_statuses(429, 429), true);
}

#[test]
fn a_target_out_of_range_is_never_met() {
    let check = |change: &dyn Fn(&mut Target)| {
        let mut scene = Scene::new(1_000.0, 10, 1, Config::default());
        let mut out_of_range = target(10, 25);
        change(&mut out_of_range);
        scene.target = Some(out_of_range);
        assert_eq!(scene.until(10.0, Judge::is_accepted), None);
        assert_eq!(scene.judge.reading().acceptance, None);
    };
    check(&|target| target.harm_budget = f64::NAN);
    check(&|target| target.harm_budget = 0.0);
    check(&|target| target.beta = f64::NAN);
    check(&|target| target.beta = 1.0);
    check(&|target| target.to = Weight::ZERO);
}

fn arbitrary_snapshot() -> impl Strategy<Value = (u64, Snapshot)> {
    let counts = || {
        (
            0u64..2_000,
            0u64..2_000,
            0u64..50,
            proptest::collection::vec((0usize..482, 0u64..500), 0..5),
        )
    };
    (0u64..20_000, counts(), counts()).prop_map(|(millis, stable, canary)| {
        let counts =
            |(dispatched, failed, cancelled, cells): (u64, u64, u64, Vec<(usize, u64)>)| {
                let mut counts = traffic::Counts {
                    dispatched,
                    failed,
                    cancelled,
                    ..traffic::Counts::default()
                };
                // Endpoints that come and go, and do not fit the sums.
                for (index, requests) in cells.iter().filter(|(index, _)| index % 3 == 0) {
                    let mut took = HalfOctaves::default();
                    took.add(HalfOctave::holding(Bucket::at(*index).unwrap()), *requests);
                    counts.endpoints.push(EndpointCounts {
                        address: SocketAddr::from(([127, 0, 0, 1], (*index % 6) as u16)),
                        dispatched: *requests,
                        failed: failed / 3,
                        took,
                    });
                }
                counts.endpoints.sort_by_key(|endpoint| endpoint.address);
                counts.endpoints.dedup_by_key(|endpoint| endpoint.address);
                for (index, requests) in cells {
                    let bucket = Bucket::at(index).unwrap();
                    counts.latency.add(bucket, requests);
                    counts.waiting.push((bucket, requests / 3));
                }
                counts
            };
        let snapshot = Snapshot {
            stable: counts(stable),
            canary: counts(canary),
            ..Snapshot::default()
        };
        (millis, snapshot)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_counters_show_the_state_stays_finite_and_round_trips(
        steps in proptest::collection::vec((arbitrary_snapshot(), 0u8..=101, any::<bool>()), 1..30),
    ) {
        let mut judge = Judge::new(config(|parameters| parameters.max_failure_ratio = Some(0.05)));
        judge.begin(Timestamp::UNIX_EPOCH, 2);
        let mut sum = Snapshot::default();
        let mut now = Timestamp::UNIX_EPOCH;
        for ((millis, more), weight, reset) in steps {
            if reset {
                sum = Snapshot::default();
                judge.begin(now, 2);
            }
            sum.at += Duration::from_millis(millis);
            now += SignedDuration::from_millis(millis as i64 - 100);
            for (sum, more) in [(&mut sum.stable, &more.stable), (&mut sum.canary, &more.canary)] {
                sum.dispatched += more.dispatched;
                sum.failed += more.failed;
                sum.cancelled += more.cancelled;
                for (index, requests) in more.latency.buckets().iter().enumerate() {
                    sum.latency.add(Bucket::at(index).unwrap(), *requests);
                }
                sum.waiting.clone_from(&more.waiting);
                sum.endpoints.clone_from(&more.endpoints);
            }
            // Users who come, and stand elsewhere after a restart.
            let counting = Counting { salt: u64::from(reset), rule: FailureRule::DEFAULT };
            let users = sum.users.get_or_insert_with(|| UserCounts {
                counting,
                sectors: Box::new([SectorCounts::default(); SECTORS]),
            });
            users.counting = counting;
            for (sector, bucket) in users.sectors.iter_mut().zip(more.stable.latency.buckets()) {
                sector.requests += bucket;
                sector.failed += bucket / 7;
            }
            let target = (weight <= 100).then(|| target(weight, 100 - weight));
            judge.observe(&sum, target, now);
            // What is not finite is stored as null, and would not come back.
            let json = serde_json::to_string(&judge).unwrap();
            let mut read: Judge = serde_json::from_str(&json).unwrap();
            read.base.clone_from(&judge.base);
            prop_assert_eq!(&read, &judge);
            let reading = judge.reading();
            let json = serde_json::to_string(&reading).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Reading>(&json).unwrap(), &reading);
            let replay = judge.record().unwrap().replay(&reading).unwrap();
            prop_assert_eq!(replay.first_difference(), None);
        }
    }
}
