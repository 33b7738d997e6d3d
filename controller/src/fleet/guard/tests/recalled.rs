//! A guard that begins late knows what one knows that watched all along.

use super::{TICK, at_rest, split};
use crate::fleet::{
    Answers, Guard, Judging, RolloutReport, Split, Told,
    history::{History, Tried},
};
use crate::reconcile::Traffic;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rollout::{
    Acceptance, Judgement,
    analysis::{Reading, Target},
    sim::Random,
};
use std::{net::SocketAddr, time::Duration};
use traffic::{Bucket, Counts, Snapshot, Weight};

/// What the stable fails.
const USUAL: f64 = 0.002;
/// Evidence may be missing for so long: a moment, a tick, and a block that is not full.
const GRANULARITY: f64 = 20.0;

/// A proxy, its counters and what it remembers.
struct Proxy {
    process: u32,
    /// When the process began, by the clock of the world.
    began: Duration,
    /// Requests a second.
    rate: f64,
    /// How late it follows.
    lag: Duration,
    counted: Snapshot,
    /// By what it sends requests, and whether all its workers do that.
    sends: (Split, bool),
    follows: Option<(Duration, Split)>,
    changes: u64,
    trial: Option<Tried>,
    trials: u64,
    history: History,
    /// The canary's requests in the present trial, and those of them in the present step.
    truth: (u64, u64),
}

impl Proxy {
    fn follow(&mut self, at: Duration) {
        self.sends.1 = true;
        let Some((_, split)) = self.follows.take_if(|(due, _)| *due <= at) else {
            return;
        };
        self.changes += 1;
        if split.weight == Weight::ZERO {
            self.trial = None;
        } else if self.trial.is_none() {
            self.trials += 1;
            self.trial = Some(Tried {
                canary: split.canary.clone(),
                number: self.trials,
            });
        }
        self.sends = (split, false);
    }

    fn restart(&mut self, at: Duration) {
        self.process += 1;
        self.began = at;
        self.counted = Snapshot::default();
        self.history = History::default();
        self.changes = 0;
        self.truth = (0, 0);
    }

    fn send(&mut self, failing: f64, is_step: bool, random: &mut Random) {
        let all = random.poisson(self.rate * TICK.as_secs_f64());
        let canary = random.binomial(all, self.sends.0.weight.fraction());
        let mut add = |side: &mut Counts, requests: u64, ratio: f64| {
            side.dispatched += requests;
            side.failed += random.binomial(requests, ratio);
            side.latency
                .add(Bucket::of(Duration::from_millis(20)), requests);
        };
        add(&mut self.counted.canary, canary, failing);
        add(&mut self.counted.stable, all - canary, USUAL);
        self.truth.0 += canary;
        self.truth.1 += if is_step { canary } else { 0 };
    }

    fn report(&self, judging: &Judging) -> RolloutReport {
        let (split, is_served) = &self.sends;
        let rule = judging.config.parameters().failure_rule;
        let serving = split.clone();
        let serving = is_served.then_some(serving);
        RolloutReport::new(serving, self.changes, rule, &self.counted)
    }
}

/// Proxies, a Rollout, and a guard that watches all along.
struct World {
    proxies: Vec<Proxy>,
    judging: Judging,
    guard: Guard,
    known: Traffic,
    at: Duration,
    random: Random,
    failing: f64,
}

impl World {
    fn new(rates: &[(f64, u64)], seed: u64) -> Self {
        let judging = at_rest(3);
        let proxy = |(rate, lag): &(f64, u64)| Proxy {
            process: 0,
            began: Duration::ZERO,
            rate: *rate,
            lag: Duration::from_millis(*lag),
            counted: Snapshot::default(),
            sends: (split("old", "old", 0), true),
            follows: None,
            changes: 0,
            trial: None,
            trials: 0,
            history: History::default(),
            truth: (0, 0),
        };
        Self {
            proxies: rates.iter().map(proxy).collect(),
            guard: Guard::new(&judging),
            judging,
            known: Traffic::default(),
            at: Duration::ZERO,
            random: Random::new(seed),
            failing: USUAL,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::try_from(self.at).unwrap()
    }

    /// The Rollout's status says another weight.
    fn ask_for(&mut self, percent: u8) {
        let split = split("old", "new", percent);
        if !self.judging.on_trial {
            self.forget(|truth| truth.0 = 0);
        }
        self.judging.on_trial = percent > 0;
        self.judging.target = None;
        self.judging.step_since = None;
        for proxy in &mut self.proxies {
            proxy.follows = Some((self.at + proxy.lag, split.clone()));
        }
        self.judging.split = Some(split);
    }

    /// The present step asks for evidence from now on.
    fn ask_for_evidence(&mut self) {
        self.judging.target = self.judging.split.as_ref().map(|split| Target {
            step: 2,
            from: split.weight,
            to: Weight::FULL,
            harm_budget: 0.01,
            beta: 0.05,
        });
        self.judging.step_since = Some(self.now());
        self.forget(|truth| truth.1 = 0);
    }

    fn forget(&mut self, what: fn(&mut (u64, u64))) {
        for proxy in &mut self.proxies {
            what(&mut proxy.truth);
        }
    }

    /// Lets `seconds` pass, while another guard may look too.
    fn run(&mut self, seconds: u64, mut other: Option<&mut Guard>) -> Option<Traffic> {
        let mut found = None;
        for _ in 0..seconds * 4 {
            self.at += TICK;
            for proxy in &mut self.proxies {
                proxy.follow(self.at);
                let target = self.judging.target;
                let is_step = target.is_some_and(|target| target.from == proxy.sends.0.weight);
                proxy.send(self.failing, is_step, &mut self.random);
                let own = self.at - proxy.began;
                if proxy.history.is_due(own, proxy.trial.is_some()) {
                    let report = proxy.report(&self.judging);
                    proxy.history.push(own, proxy.trial.clone(), &report);
                }
            }
            let (at, now) = (self.at, self.now());
            let answers = self.answers(false);
            if let Some(other) = &mut other {
                // Its clock began with its process.
                let looked = other.look(&self.judging, answers.clone(), at - LATE, now);
                found = Some(looked.0);
            }
            let (known, unread) = self.guard.look(&self.judging, answers, at, now);
            assert_eq!(unread, Vec::new());
            self.known = known;
        }
        found
    }

    /// What the proxies tell, with what they remember if that is asked for.
    fn answers(&mut self, recalled: bool) -> Answers {
        let (judging, at) = (&self.judging, self.at);
        let told = |(proxy, last): (&mut Proxy, u8)| {
            let mut report = proxy.report(judging);
            let own = at - proxy.began;
            if recalled {
                proxy.history.push(own, proxy.trial.clone(), &report);
                report.history = proxy.history.told();
            }
            let told = Told {
                process: format!("{last} {}", proxy.process),
                at: own,
                report,
            };
            (SocketAddr::from(([10, 244, 0, last], 9091)), Some(told))
        };
        self.proxies.iter_mut().zip(1..).map(told).collect()
    }

    /// A guard that begins now.
    fn late(&mut self) -> (Guard, Traffic) {
        let mut guard = Guard::new(&self.judging);
        let answers = self.answers(true);
        let looked = guard.look(&self.judging, answers, self.at - LATE, self.now());
        assert_eq!(looked.1, Vec::new());
        (guard, looked.0)
    }

    /// What canaries got in the present trial and step, as far as any process can still tell.
    fn truth(&self) -> (u64, u64) {
        let truths = self.proxies.iter().map(|proxy| proxy.truth);
        truths.fold((0, 0), |(all, step), more| (all + more.0, step + more.1))
    }

    /// Checks the evidence of a guard that began now.
    fn check(&self, late: &Guard) {
        let (reading, record) = late.evidence().unwrap();
        assert_eq!(record.replay(&reading).unwrap().first_difference(), None);
        let (trial, step) = self.truth();
        let (early, _) = self.guard.evidence().unwrap();
        let weight = self.judging.split.as_ref().unwrap().weight.fraction();
        let rates = self.proxies.iter().map(|proxy| proxy.rate);
        let missing = rates.sum::<f64>() * weight * GRANULARITY + 20.0;
        let of = |reading: &Reading| {
            let acceptance = reading.acceptance.as_ref();
            acceptance.map_or(0, |acceptance| acceptance.canary_requests)
        };
        assert!(reading.canary.requests <= trial, "{reading:?}, {trial}");
        let found = of(&reading);
        assert!(found <= step, "{found} of {step}");
        assert!(found as f64 >= step as f64 - missing, "{found} of {step}");
        assert!(of(&early) as f64 >= found as f64 - missing, "{early:?}");
    }
}

/// When the process of the late guard began.
const LATE: Duration = Duration::from_secs(3);

fn is_convicted(traffic: &Traffic) -> bool {
    let finding = traffic.finding.as_ref().unwrap();
    matches!(finding.judgement, Judgement::RollBack { .. })
}

fn is_met(traffic: &Traffic) -> bool {
    let finding = traffic.finding.as_ref().unwrap();
    finding.evidence == Some((2, Acceptance::Met))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_late_guard_knows_what_one_knows_that_watched(
        rates in prop::collection::vec((5.0..60.0_f64, 0..900_u64), 1..4),
        retried in prop::option::of((1..40_u64, 5..40_u64)),
        (first, second) in (5..60_u64, 20..240_u64),
        (from, to) in (5..30_u8, 30..80_u8),
        restarted in prop::option::of(1..200_u64),
        failing in prop_oneof![Just(USUAL), Just(0.5)],
        seed in any::<u64>(),
    ) {
        let mut world = World::new(&rates, seed);
        world.run(30, None);
        if let Some((tried, rested)) = retried {
            world.ask_for(from);
            world.run(tried, None);
            world.ask_for(0);
            world.run(rested, None);
        }
        world.ask_for(from);
        world.run(first, None);
        world.ask_for(to);
        world.ask_for_evidence();
        let restarted = restarted.unwrap_or(0).min(second);
        world.run(restarted, None);
        if restarted > 0 {
            let at = world.at;
            world.proxies[0].restart(at);
        }
        world.run(second - restarted, None);
        let (mut late, _) = world.late();
        world.check(&late);
        // From now on it goes on as the other does.
        world.failing = failing;
        world.run(60, Some(&mut late));
        let early = is_met(&world.known);
        let found = world.run(60, Some(&mut late)).unwrap();
        prop_assert_eq!(is_convicted(&found), failing > USUAL);
        prop_assert_eq!(is_convicted(&world.known), failing > USUAL);
        // By what it misses it is met later, or sooner where that was a failure.
        if failing == USUAL {
            world.run(60, None);
            prop_assert!(is_met(&found) || !early);
            prop_assert!(is_met(&world.known) || !is_met(&found));
        }
    }
}

#[test]
fn a_canary_that_nobody_had_convicted_yet_is_convicted_by_what_is_remembered() {
    let mut world = World::new(&[(50.0, 0), (50.0, 500)], 1);
    world.run(60, None);
    world.failing = 0.02;
    world.ask_for(20);
    world.run(600, None);
    assert!(is_convicted(&world.known));
    let (late, found) = world.late();
    assert!(is_convicted(&found), "{:?}", late.evidence());
}

#[test]
fn evidence_that_was_enough_is_enough_at_once() {
    let mut world = World::new(&[(50.0, 0), (50.0, 300)], 2);
    world.run(60, None);
    world.ask_for(50);
    world.ask_for_evidence();
    world.run(3600, None);
    assert!(is_met(&world.known));
    let (late, found) = world.late();
    assert!(is_met(&found), "{:?}", late.evidence());
    world.check(&late);
}

#[test]
fn a_trial_before_lends_nothing_to_the_present_one() {
    let mut world = World::new(&[(50.0, 0), (50.0, 800)], 3);
    world.run(10, None);
    world.failing = 1.0;
    world.ask_for(20);
    world.run(5, None);
    world.ask_for(0);
    world.run(5, None);
    world.failing = USUAL;
    world.ask_for(20);
    world.run(5, None);
    assert!(!is_convicted(&world.known));
    let (late, found) = world.late();
    assert!(!is_convicted(&found));
    let (reading, _) = late.evidence().unwrap();
    assert!(reading.canary.requests > 0);
    assert!(reading.canary.requests <= world.truth().0, "{reading:?}");
}

#[test]
fn where_a_proxy_is_on_another_trial_nothing_is_recalled() {
    let mut world = World::new(&[(50.0, 0), (50.0, 0)], 4);
    world.ask_for(20);
    world.run(60, None);
    world.proxies[1].trial = None;
    let (late, _) = world.late();
    assert_eq!(late.evidence().unwrap().0.canary.requests, 0);
}

#[test]
fn proxies_that_remember_nothing_are_as_before() {
    let mut world = World::new(&[(50.0, 0), (50.0, 0)], 5);
    world.ask_for(20);
    world.run(60, None);
    let answers = world.answers(false);
    let mut late = Guard::new(&world.judging);
    late.look(&world.judging, answers, world.at - LATE, world.now());
    assert_eq!(late.evidence().unwrap().0.canary.requests, 0);
    world.run(60, Some(&mut late));
    assert!(late.evidence().unwrap().0.canary.requests > 500);
}
