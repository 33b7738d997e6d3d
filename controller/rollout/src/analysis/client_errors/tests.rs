use super::*;
use crate::{
    analysis::{ClientErrorConfig, Judge, OnClientErrors, OnUnhealthyBaseline},
    sim::Traffic,
};
use traffic::Weight;

/// The shares of client errors of stable and canary.
type Shares = [f64; 2];

/// A canary at 10 % of 200 requests a second, after half a minute of the stable alone.
struct Scene {
    judge: Judge,
    traffic: Traffic,
}

impl Scene {
    fn new([stable, canary]: Shares, seed: u64, change: impl FnOnce(&mut Parameters)) -> Self {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        let mut scene = Self {
            judge: Judge::new(Config::new(parameters).unwrap()),
            traffic: Traffic::new(200.0, Weight::ZERO, seed),
        };
        scene.traffic.stable.client_error_ratio = stable;
        scene.traffic.canary.client_error_ratio = canary;
        scene.run(300);
        scene.judge.begin(scene.traffic.now(), 2);
        scene.traffic.set_weight(Weight::from_percent(10).unwrap());
        scene
    }

    fn tick(&mut self) {
        let snapshot = self.traffic.tick();
        self.judge.observe(&snapshot, None, self.traffic.now());
    }

    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.tick();
        }
    }

    /// Until the guard says something; nothing after so many ticks.
    fn judged_within(&mut self, ticks: usize) -> Option<Judgement> {
        (0..ticks).find_map(|_| {
            self.tick();
            let judgement = self.judge.judgement();
            (judgement != Judgement::Undecided).then_some(judgement)
        })
    }

    fn said(&self) -> TestReading {
        let tests = self.judge.reading().tests;
        *tests
            .iter()
            .find(|said| said.test == Test::ClientErrors)
            .unwrap()
    }
}

fn is_hold(judgement: Option<Judgement>) -> bool {
    matches!(judgement, Some(Judgement::ClientErrors { .. }))
}

fn roll_back(parameters: &mut Parameters) {
    parameters.client_errors = Some(ClientErrorConfig {
        then: OnClientErrors::RollBack,
        ..ClientErrorConfig::default()
    });
}

#[test]
fn a_canary_that_refuses_more_is_held_and_not_convicted() {
    // A tenth of a second is a tick; the slowest of ten.
    let check = |shares: Shares, within: usize| {
        for seed in 0..10 {
            let mut scene = Scene::new(shares, seed, |_| {});
            let judgement = scene.judged_within(within);
            assert!(is_hold(judgement), "{shares:?} {seed}: {judgement:?}");
            scene.run(600);
            assert!(is_hold(Some(scene.judge.judgement())), "{shares:?} {seed}");
        }
    };
    check([0.0, 1.0], 20);
    check([0.02, 1.0], 20);
    check([0.02, 0.3], 60);
    check([0.2, 0.6], 60);
}

#[test]
fn a_canary_with_the_same_clients_is_left_alone() {
    let runs = 30;
    let check = |shares: Shares| {
        let held = (0..runs).filter(|seed| {
            let mut scene = Scene::new(shares, *seed, |_| {});
            scene.judged_within(900).is_some()
        });
        let held = held.count();
        assert!(held <= 1, "{shares:?}: {held} of {runs}");
    };
    check([0.001, 0.001]);
    check([0.05, 0.05]);
    check([0.5, 0.5]);
    // What the margins allow.
    check([0.04, 0.07]);
}

#[test]
fn it_convicts_where_that_is_asked_for() {
    let mut scene = Scene::new([0.02, 0.8], 1, roll_back);
    let test = Test::ClientErrors;
    assert_eq!(scene.judged_within(40), Some(Judgement::RollBack { test }));
    let said = scene.said();
    assert!(said.ln_e >= said.ln_threshold);
    // What convicts shares what failures have of alpha.
    assert_eq!(said.ln_threshold, -0.0025_f64.ln());
}

#[test]
fn nothing_is_said_where_it_is_off() {
    let mut scene = Scene::new([0.0, 1.0], 1, |p| p.client_errors = None);
    assert_eq!(scene.judged_within(600), None);
    let tests = scene.judge.reading().tests;
    assert!(tests.iter().all(|said| said.test != Test::ClientErrors));
}

#[test]
fn a_hold_ends_when_the_canary_is_mended() {
    let mut scene = Scene::new([0.02, 0.5], 3, |_| {});
    assert!(is_hold(scene.judged_within(60)));
    scene.traffic.canary.client_error_ratio = 0.02;
    let ended = (0..3_000).position(|_| {
        scene.tick();
        scene.judge.judgement() == Judgement::Undecided
    });
    assert!(ended.is_some());
}

#[test]
fn requests_that_failed_are_not_counted() {
    // Half of stable's requests fail, and so it has half as many client errors in all.
    let broken = |shares: Shares, seed| {
        let mut scene = Scene::new(shares, seed, |p| {
            p.on_unhealthy_baseline = OnUnhealthyBaseline::RollForward;
        });
        scene.traffic.stable.failure_ratio = 0.5;
        scene.run(100);
        scene
    };
    let mut cure = broken([0.1, 0.1], 1);
    cure.run(300);
    let judgement = cure.judge.judgement();
    assert!(
        matches!(judgement, Judgement::RollForward { .. }),
        "{judgement:?}"
    );
    // One that refuses everybody fails nobody, and is no cure.
    let mut refusing = broken([0.1, 1.0], 2);
    refusing.run(300);
    assert!(is_hold(Some(refusing.judge.judgement())));
}

#[test]
fn a_verdict_can_be_added_up_again() {
    for change in [roll_back, |_: &mut Parameters| {}] {
        let mut scene = Scene::new([0.02, 0.8], 5, change);
        assert!(scene.judged_within(60).is_some());
        let (record, reading) = (scene.judge.record().unwrap(), scene.judge.reading());
        let replay = record.replay(&reading).unwrap();
        assert_eq!(replay.first_difference(), None);
        let found = replay
            .tests
            .iter()
            .find(|test| test.test == Some(Test::ClientErrors));
        assert!(found.unwrap().ln_e >= found.unwrap().ln_threshold);
    }
}
