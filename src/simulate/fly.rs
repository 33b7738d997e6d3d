//! One version, shipped many times.

use super::{cases::Case, load::Load};
use controller::spec::RolloutSpec;
use rollout::{
    Plan, Revision, Step, Steps,
    sim::{Ending, Flight, Pilot, Random, Traffic},
};
use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::Duration,
};
use traffic::Weight;

/// For so long stable is watched before a version is shipped.
const BEFORE: Duration = Duration::from_secs(30);
/// A rollout that takes longer than all its steps may, and this, is held.
const GRACE: Duration = Duration::from_secs(60);

/// What became of a version in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flown {
    /// How it ended.
    pub(super) ending: Ending,
    /// How long after the shipping, in seconds.
    pub(super) seconds: f64,
    /// The requests that failed because they were sent to it.
    pub(super) failed: u64,
}

impl From<Flight> for Flown {
    fn from(flight: Flight) -> Self {
        Self {
            ending: flight.ending,
            seconds: flight.took.as_secs_f64(),
            failed: flight.canary_failures,
        }
    }
}

/// Ships the version `runs` times, on as many threads as there are processors. The order is that of the runs, whatever
/// thread flew them.
pub(super) fn all(
    rollout: &RolloutSpec,
    load: &Load,
    case: &Case,
    runs: u32,
    seed: u64,
) -> Vec<Flown> {
    let plan = unattended(&rollout.plan);
    let first = Random::new(seed).bits();
    let next = AtomicU32::new(0);
    let work = || {
        let runs =
            std::iter::repeat_with(|| next.fetch_add(1, Relaxed)).take_while(|run| *run < runs);
        let fly = |run| {
            let seed = first.wrapping_add(u64::from(run));
            (run, one(&plan, rollout, load, *case, seed))
        };
        runs.map(fly).collect::<Vec<_>>()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut flown: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let flown = threads.into_iter().flat_map(|thread| {
            let flown = thread.join();
            flown.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        flown.collect()
    });
    flown.sort_unstable_by_key(|(run, _)| *run);
    flown.into_iter().map(|(_, flown)| flown).collect()
}

fn one(plan: &Plan, rollout: &RolloutSpec, load: &Load, case: Case, seed: u64) -> Flown {
    let begin = load.period().mul_f64(Random::new(!seed).unit());
    let steady = load.at(begin);
    let mut traffic = Traffic::new(steady.rps, Weight::ZERO, seed);
    traffic.stable = steady.stable;
    let mut pilot = Pilot::new(plan.clone(), rollout.guard.clone(), traffic);
    let limit = longest(plan) + GRACE;
    let mut is_shipped = false;
    loop {
        let flight = pilot.flight();
        if !is_shipped && flight.took >= BEFORE {
            pilot.ship(Revision::new("next"));
            is_shipped = true;
        } else if is_shipped && (pilot.has_landed() || flight.took >= limit) {
            return flight.into();
        }
        let traffic = pilot.traffic();
        let passed = Duration::try_from(traffic.now().duration_since(jiff::Timestamp::UNIX_EPOCH));
        let steady = load.at(begin + passed.unwrap_or_default());
        traffic.rps = steady.rps;
        traffic.stable = steady.stable;
        traffic.canary = case.beside(steady.stable);
        pilot.turn();
    }
}

/// The plan with nobody to wait for: pauses until somebody resumes are over at once.
fn unattended(plan: &Plan) -> Plan {
    let pass = |step: &Step| match step {
        Step::Pause(None) => Step::Pause(Some(Duration::ZERO)),
        step => step.clone(),
    };
    let steps = Steps::new(plan.steps.iter().map(pass).collect(), plan.steps.hash());
    Plan {
        steps: steps.unwrap_or_else(|_| plan.steps.clone()),
        paused: false,
        ..plan.clone()
    }
}

/// How long all its steps and the watch after them take at most.
fn longest(plan: &Plan) -> Duration {
    let longest = |step: &Step| match step {
        Step::Pause(time) => time.unwrap_or_default(),
        Step::Evidence(evidence) => evidence.max_duration,
        Step::SetWeight(_)
        | Step::SetHeaderRoute(_)
        | Step::SetMirrorRoute(_)
        | Step::NoEffect { .. } => Duration::ZERO,
    };
    plan.steps.iter().map(longest).sum::<Duration>() + plan.terms.watch
}
