//! The promised error rates, by simulation. Every bound has three standard deviations of the count of runs on top, so
//! that a right implementation fails none of them by chance, whatever the seeds.

use super::{
    Config, Judge, Judgement, Margin, Parameters, Target,
    block::Block,
    baseline::Baseline,
    errors,
    watch::{Tick, Watch},
};
use crate::sim::Random;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use traffic::{Generation, RouteTable, Routes, Snapshot, Weight};

/// Two versions with constant failure ratios, counted a block at a time.
#[derive(Clone, Copy)]
struct Arms {
    rps: f64,
    weight: f64,
    stable: f64,
    canary: f64,
}

impl Arms {
    fn block(&self, seconds: f64, random: &mut Random) -> Block {
        let canary = random.poisson(self.rps * seconds * self.weight);
        let stable = random.poisson(self.rps * seconds * (1.0 - self.weight));
        Block {
            canary,
            canary_bad: random.binomial(canary, self.canary),
            stable,
            stable_bad: random.binomial(stable, self.stable),
        }
    }
}

/// The blocks of five minutes: fine at first, where most is at stake, then by seconds.
fn blocks() -> impl Iterator<Item = (f64, f64)> {
    let fine = (0..20).map(|i| (f64::from(i) * 0.1, 0.1));
    fine.chain((2..300).map(|i| (f64::from(i), 1.0)))
}

/// The usual ratio that five minutes of history have shown, learnt further block by block.
struct History {
    requests: f64,
    failures: f64,
}

impl History {
    fn of(arms: &Arms, random: &mut Random) -> Self {
        let requests = random.poisson(arms.rps * 300.0);
        Self {
            requests: requests as f64,
            failures: random.binomial(requests, arms.stable) as f64,
        }
    }

    fn ratio(&self) -> f64 {
        ((self.failures + 0.01) / (self.requests + 10.0)).clamp(1e-5, 0.95)
    }
}

/// When, if ever, the error test convicts.
fn convicted(arms: &Arms, alpha: f64, margin: Margin, seed: u64) -> Option<f64> {
    let parameters = Parameters::default();
    let random = &mut Random::new(seed);
    let mut history = History::of(arms, random);
    let mut watch = Watch::new(alpha, 1);
    watch.start_step();
    for (start, seconds) in blocks() {
        let block = arms.block(seconds, random);
        let tick = Tick {
            start,
            seen: block,
            stable_ratio: history.ratio(),
            margin,
        };
        watch.observe(&tick, &parameters);
        history.requests += block.stable as f64;
        history.failures += block.stable_bad as f64;
        if watch.convicts(parameters.min_canary_failures) {
            return Some(start + seconds);
        }
    }
    None
}

fn slack(chance: f64, runs: f64) -> f64 {
    3.0 * (chance * (1.0 - chance) / runs).sqrt()
}

#[test]
fn a_canary_like_the_stable_is_hardly_ever_rolled_back() {
    const RUNS: u64 = 150;
    let check = |stable: f64, rps: f64, weight: f64, alpha: f64, margin: Margin| {
        let arms = Arms {
            rps,
            weight,
            stable,
            canary: margin.at(stable),
        };
        let false_ones = (0..RUNS).filter(|seed| convicted(&arms, alpha, margin, *seed).is_some());
        let rate = false_ones.count() as f64 / RUNS as f64;
        assert!(
            rate <= alpha + slack(alpha, RUNS as f64),
            "{stable} at {rps} rps, weight {weight}, alpha {alpha}: {rate}"
        );
    };
    // No margin and a large alpha: the hardest case for the bound.
    check(0.01, 100.0, 0.5, 0.05, Margin::NONE);
    check(0.05, 100.0, 0.05, 0.05, Margin::NONE);
    check(0.001, 1_000.0, 0.1, 0.05, Margin::NONE);
    check(0.2, 30.0, 0.1, 0.05, Margin::NONE);
    // As shipped, with a canary exactly on the margin.
    let shipped = errors::margin(&Parameters::default());
    check(0.001, 1_000.0, 0.1, 0.005, shipped);
    check(0.05, 100.0, 0.5, 0.005, shipped);
}

#[test]
fn a_bad_canary_is_found_as_fast_as_promised() {
    const RUNS: u64 = 41;
    let margin = errors::margin(&Parameters::default());
    // The promised medians, of a larger simulation, with room for chance.
    let check = |canary: f64, rps: f64, weight: f64, promised: f64| {
        let arms = Arms {
            rps,
            weight,
            stable: 0.001,
            canary,
        };
        let mut times: Vec<f64> = (0..RUNS)
            .map(|seed| convicted(&arms, 0.005, margin, seed).unwrap_or(f64::INFINITY))
            .collect();
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        assert!(
            median <= 1.5 * promised + 0.21,
            "{canary} at {rps} rps, weight {weight}: {median} s, not {promised} s"
        );
    };
    check(1.0, 1_000.0, 0.10, 0.1);
    check(1.0, 100.0, 0.05, 0.6);
    check(1.0, 10.0, 0.50, 1.3);
    check(0.5, 100.0, 0.10, 0.7);
    check(0.1, 100.0, 0.10, 5.0);
    check(0.1, 1_000.0, 0.50, 2.1);
    check(0.02, 1_000.0, 0.10, 5.0);
}

fn generation() -> Generation {
    Routes::default().publish(RouteTable::default())
}

/// Whether the step from 10 % to 25 % is left within half a minute.
fn accepted(arms: &Arms, seed: u64) -> bool {
    let config = Config::new(Parameters {
        latency: None,
        alpha: 1e-9,
        ..Parameters::default()
    });
    let mut judge = Judge::new(config.unwrap());
    let (mut now, random) = (Timestamp::UNIX_EPOCH, &mut Random::new(seed));
    let mut snapshot = Snapshot {
        generation: Some(generation()),
        ..Snapshot::default()
    };
    let target = Target {
        step: 0,
        from: Weight::from_percent(10).unwrap(),
        to: Weight::from_percent(25).unwrap(),
        harm_budget: 0.005,
        beta: 0.05,
    };
    judge.begin(now, 1);
    judge.observe(&snapshot, Some(target), now);
    for _ in 0..60 {
        let block = arms.block(0.5, random);
        now += SignedDuration::from_millis(500);
        snapshot.at += Duration::from_millis(500);
        snapshot.canary.dispatched += block.canary;
        snapshot.canary.failed += block.canary_bad;
        snapshot.stable.dispatched += block.stable;
        snapshot.stable.failed += block.stable_bad;
        judge.observe(&snapshot, Some(target), now);
        if judge.is_accepted() {
            return true;
        }
    }
    false
}

#[test]
fn a_canary_on_the_harm_bound_is_hardly_ever_accepted() {
    const RUNS: u64 = 120;
    let stable = 0.001;
    let margin = super::eta::margin(Weight::from_percent(25).unwrap(), 0.005, 0.1);
    let arms = Arms {
        rps: 1_000.0,
        weight: 0.1,
        stable,
        canary: margin.at(stable),
    };
    let wrong = (0..RUNS).filter(|seed| accepted(&arms, *seed)).count();
    let rate = wrong as f64 / RUNS as f64;
    assert!(rate <= 0.05 + slack(0.05, RUNS as f64), "{rate}");
    let good = Arms {
        canary: stable,
        ..arms
    };
    assert!((0..20).all(|seed| accepted(&good, seed)));
}

#[test]
fn both_failing_alike_convicts_nobody() {
    for ratio in [0.2, 0.5, 1.0] {
        let arms = Arms {
            rps: 200.0,
            weight: 0.1,
            stable: ratio,
            canary: ratio,
        };
        let margin = errors::margin(&Parameters::default());
        let wrong = (0..40).filter(|seed| convicted(&arms, 0.005, margin, *seed).is_some());
        assert!(wrong.count() <= 1, "{ratio}");
    }
}

#[test]
fn a_weight_that_rises_while_the_stable_gets_worse_convicts_nobody() {
    // Simpson's paradox: pooled over both weights, the canary looks three times as bad.
    let margin = Margin::NONE;
    let parameters = Parameters::default();
    let convicts = |seed| {
        let random = &mut Random::new(seed);
        let mut watch = Watch::new(0.01, 1);
        watch.start_step();
        let mut history = History {
            requests: 30_000.0,
            failures: 30.0,
        };
        blocks().any(|(start, seconds)| {
            let late = start >= 150.0;
            let ratio = if late { 0.03 } else { 0.001 };
            let arms = Arms {
                rps: 300.0,
                weight: if late { 0.5 } else { 0.05 },
                stable: ratio,
                canary: ratio,
            };
            let seen = arms.block(seconds, random);
            let tick = Tick {
                start,
                seen,
                stable_ratio: history.ratio(),
                margin,
            };
            watch.observe(&tick, &parameters);
            history.requests += seen.stable as f64;
            history.failures += seen.stable_bad as f64;
            watch.convicts(3)
        })
    };
    assert!((0..60).filter(|seed| convicts(*seed)).count() <= 3);
}

#[test]
fn an_unknown_stable_is_taken_for_a_good_one() {
    assert_eq!(Baseline::default().failure_ratio(), 1e-3);
    assert_eq!(
        Judge::new(Config::default()).judgement(),
        Judgement::Undecided
    );
}
