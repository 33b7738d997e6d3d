//! Thousands of rollouts from begin to end, with restarts of the process in between: is what is promised of one
//! rollout true of many? Chance is bounded by three standard deviations of the count of runs, so that a right
//! implementation keeps every bound whatever the seeds.

use super::*;
use crate::sim::{Cold, Random};
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The guard's default chance of ever rolling back a version that keeps within the margins.
const ALPHA: f64 = 0.01;
/// And the chance of promoting one that breaks the harm budget.
const BETA: f64 = 0.05;
const WEIGHTS: [u8; 3] = [5, 25, 50];

/// A version beside another, many times over.
struct Scenario {
    name: &'static str,
    runs: u64,
    rps: f64,
    stable: Behaviour,
    canary: Behaviour,
    /// Seconds after which an evidence step is inconclusive.
    patience: u64,
    /// What both fail by from ten seconds after the shipping on, if they do.
    later: Option<f64>,
}

impl Scenario {
    fn new(name: &'static str, runs: u64) -> Self {
        Self {
            name,
            runs,
            rps: 100.0,
            stable: Behaviour::default(),
            canary: Behaviour::default(),
            patience: 900,
            later: None,
        }
    }

    /// Both fail this share of the requests.
    fn both(mut self, failure_ratio: f64) -> Self {
        self.stable.failure_ratio = failure_ratio;
        self.canary.failure_ratio = failure_ratio;
        self
    }

    fn canary(mut self, change: impl FnOnce(&mut Behaviour)) -> Self {
        change(&mut self.canary);
        self
    }

    /// Whatever both depend on fails ten seconds after the shipping: both fail this share of the requests then.
    fn later(self, failure_ratio: f64) -> Self {
        let later = Some(failure_ratio);
        Self { later, ..self }
    }

    fn rps(self, rps: f64) -> Self {
        Self { rps, ..self }
    }

    fn patience(self, patience: u64) -> Self {
        Self { patience, ..self }
    }

    /// No rollout may take longer than all its steps together.
    fn limit(&self) -> Duration {
        Duration::from_secs(self.patience * WEIGHTS.len() as u64 + 60)
    }

    /// Flies them all, on as many threads as there are processors.
    fn fly(&self) -> Outcomes {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicU64::new(0);
        let work = || {
            let seeds = std::iter::repeat_with(|| next.fetch_add(1, Relaxed));
            let seeds = seeds.take_while(|seed| *seed < self.runs);
            seeds.map(|seed| self.fly_one(seed)).collect::<Vec<_>>()
        };
        let flights = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let flights = threads.into_iter().flat_map(|t| t.join().unwrap());
            flights.collect()
        });
        Outcomes {
            name: self.name,
            flights,
        }
    }

    fn fly_one(&self, seed: u64) -> Flight {
        let random = &mut Random::new(!seed);
        let patience = Duration::from_secs(self.patience);
        let plan = plan(&WEIGHTS, patience, OnInconclusive::Hold);
        let mut traffic = Traffic::new(self.rps, Weight::ZERO, seed);
        traffic.stable = self.stable;
        let delay = Duration::from_micros(1_000 + random.bits() % 20_000);
        let mut pilot = Pilot::new(plan, Config::default(), traffic).with_delay(delay);
        pilot.pass(Duration::from_secs(15));
        pilot.traffic().canary = self.canary;
        pilot.ship(Revision::new("v2"));
        let mut witness = Witness::default();
        // Every third process is killed now and then.
        let mut killed = if seed.is_multiple_of(3) {
            random.exponential() * 20.0
        } else {
            f64::INFINITY
        };
        loop {
            pilot.turn();
            witness.look(&pilot);
            let flight = pilot.flight();
            if let Some(ratio) = self.later
                && flight.took > Duration::from_secs(10)
            {
                pilot.traffic().stable.failure_ratio = ratio;
                pilot.traffic().canary.failure_ratio = ratio;
            }
            if pilot.has_landed() || flight.took >= self.limit() {
                witness.check(&pilot, &flight);
                return flight;
            }
            if flight.took.as_secs_f64() > killed {
                killed += 1.0 + random.exponential() * 40.0;
                restart(&mut pilot);
            }
        }
    }
}

/// Kills the process and lets another go on with what was written down.
fn restart(pilot: &mut Pilot) {
    let json = serde_json::to_string(pilot.kept()).unwrap();
    let read: Kept = serde_json::from_str(&json).unwrap();
    assert_eq!(read.state, pilot.kept().state);
    assert_eq!(read.judge.reading(), pilot.kept().judge.reading());
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    pilot.restart(read);
}

/// Looks after each turn whether the rules are kept.
#[derive(Default)]
struct Witness {
    highest: Weight,
    convicted: bool,
}

impl Witness {
    fn look(&mut self, pilot: &Pilot) {
        let served = pilot.traffic.weight();
        let is_planned = [0, 5, 25, 50, 100].map(percent).contains(&served);
        assert!(is_planned, "{served} is no weight of the plan");
        let asked = pilot.state.canary().map(|canary| {
            let planned = pilot.plan.steps.share(canary.place).weight;
            assert_eq!(canary.share.weight, planned, "at {:?}", canary.place);
            planned
        });
        if self.convicted {
            assert!(asked.is_none(), "a canary that was convicted goes on");
            assert!(served <= self.highest, "{served} after a conviction");
        } else if served > self.highest {
            self.highest = served;
        }
        let judgement = pilot.judge.judgement();
        self.convicted |= matches!(judgement, analysis::Judgement::RollBack { .. })
            || matches!(pilot.state, State::Aborted(_));
    }

    fn check(&self, pilot: &Pilot, flight: &Flight) {
        let convicted = flight.ending == Ending::RolledBack;
        assert_eq!(convicted, self.convicted, "{flight:?}");
        let wanted = match flight.ending {
            Ending::RolledBack => Weight::ZERO,
            Ending::Promoted => Weight::FULL,
            _ => pilot.traffic.weight(),
        };
        assert_eq!(flight.weight, wanted, "{flight:?}");
        if flight.ending == Ending::Promoted {
            assert_eq!(self.highest, Weight::FULL, "{flight:?}");
        }
    }
}

/// What became of a scenario's rollouts.
struct Outcomes {
    name: &'static str,
    flights: Vec<Flight>,
}

impl Outcomes {
    fn runs(&self) -> usize {
        self.flights.len()
    }

    fn count(&self, ending: Ending) -> usize {
        let those = self.flights.iter().filter(|f| f.ending == ending);
        those.count()
    }

    /// The `quantile` of the seconds and of the failed requests.
    fn quantile(&self, quantile: f64) -> (f64, u64) {
        let mut seconds: Vec<_> = self.flights.iter().map(|f| f.took).collect();
        let mut failed: Vec<_> = self.flights.iter().map(|f| f.canary_failures).collect();
        seconds.sort_unstable();
        failed.sort_unstable();
        let index = ((self.runs() - 1) as f64 * quantile).round() as usize;
        (seconds[index].as_secs_f64(), failed[index])
    }

    /// At most the share `chance` ended so, but for chance.
    fn seldom(&self, ending: Ending, chance: f64) {
        let runs = self.runs() as f64;
        let sigma = (chance * (1.0 - chance) / runs).sqrt();
        let most = (chance + 3.0 * sigma) * runs;
        let count = self.count(ending);
        assert!(
            count as f64 <= most,
            "{}: {count} of {runs} {ending:?}, at most {most:.1} ({chance} and 3 sigma of {sigma:.4}) may be",
            self.name
        );
    }

    /// At least the share `chance` ended so.
    fn mostly(&self, ending: Ending, chance: f64) {
        let (count, runs) = (self.count(ending), self.runs());
        assert!(
            count as f64 >= chance * runs as f64,
            "{}: only {count} of {runs} {ending:?}, not {chance}",
            self.name
        );
    }

    /// Half of them took no longer and cost no more failed requests.
    fn median_within(&self, seconds: f64, failed: u64) {
        let (took, cost) = self.quantile(0.5);
        assert!(
            took <= seconds && cost <= failed,
            "{}: median {took:.1} s and {cost} failed, at most {seconds} s and {failed} were promised",
            self.name
        );
    }

    /// A version within the margins is hardly ever rolled back.
    fn harmless(&self) {
        self.seldom(Ending::RolledBack, ALPHA);
    }

    /// A version beyond the harm budget is hardly ever promoted.
    fn harmful(&self) {
        self.seldom(Ending::Promoted, BETA);
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((median, failed), (slow, most)) = (self.quantile(0.5), self.quantile(0.95));
        write!(
            f,
            "{:32} {:5} {:8} {:11} {:12} {:6} {median:8.1} {slow:8.1} {failed:8} {most:8}",
            self.name,
            self.runs(),
            self.count(Ending::Promoted),
            self.count(Ending::RolledBack),
            self.count(Ending::Inconclusive),
            self.count(Ending::Held),
        )
    }
}

/// Flies a scenario, and asserts what holds for all: whatever is shipped comes to an end in time.
fn fly(scenario: &Scenario) -> Outcomes {
    let outcomes = scenario.fly();
    println!("{outcomes}");
    for ending in [Ending::UnderWay, Ending::Aborted] {
        let stuck: Vec<_> = outcomes
            .flights
            .iter()
            .filter(|f| f.ending == ending)
            .collect();
        assert!(stuck.is_empty(), "{}: {stuck:?}", scenario.name);
    }
    outcomes
}

fn heading() {
    println!(
        "{:32} {:>5} {:>8} {:>11} {:>12} {:>6} {:>8} {:>8} {:>8} {:>8}",
        "scenario",
        "runs",
        "promoted",
        "rolled back",
        "inconclusive",
        "held",
        "med. s",
        "p95 s",
        "med. f.",
        "p95 f."
    );
}

#[test]
fn a_version_like_the_stable_is_promoted_and_hardly_ever_rolled_back() {
    heading();
    for (name, ratio, runs, promoted) in [
        ("the same, 0.1 % fail", 0.001, 250, 0.98),
        ("the same, 1 % fail", 0.01, 120, 0.95),
        ("the same, 5 % fail", 0.05, 60, 0.80),
    ] {
        let outcomes = fly(&Scenario::new(name, runs).both(ratio));
        outcomes.harmless();
        outcomes.mostly(Ending::Promoted, promoted);
    }
    let cold = Cold {
        factor: 8.0,
        time: Duration::from_secs(4),
    };
    let outcomes = fly(&Scenario::new("slow start", 120).canary(|c| c.cold = Some(cold)));
    outcomes.harmless();
    outcomes.mostly(Ending::Promoted, 0.98);
}

#[test]
fn a_version_that_fails_is_rolled_back_at_the_cost_of_a_handful_of_requests() {
    heading();
    let fails = |ratio| move |canary: &mut Behaviour| canary.failure_ratio = ratio;
    for (name, ratio, runs, seconds, failed) in [
        ("dead", 1.0, 500, 1.2, 6),
        ("50 % fail", 0.5, 400, 2.5, 8),
        ("10 % fail", 0.1, 300, 14.0, 8),
        ("2 % fail", 0.02, 150, 80.0, 20),
        ("0.7 % fail", 0.007, 60, 250.0, 40),
    ] {
        let outcomes = fly(&Scenario::new(name, runs).canary(fails(ratio)));
        outcomes.harmful();
        if ratio >= 0.1 {
            outcomes.mostly(Ending::RolledBack, 1.0);
        }
        outcomes.median_within(seconds, failed);
    }
    let dead = fly(&Scenario::new("dead, 1000 rps", 100)
        .rps(1_000.0)
        .canary(fails(1.0)));
    dead.mostly(Ending::RolledBack, 1.0);
    dead.median_within(0.5, 12);
}

#[test]
fn a_version_that_is_slow_or_hangs_is_rolled_back() {
    heading();
    let slow = Scenario::new("twice as slow", 150).canary(|c| c.latency = 2 * c.latency);
    let slow = fly(&slow);
    slow.harmful();
    slow.median_within(60.0, 3);
    let hangs = fly(&Scenario::new("hangs", 200).canary(|c| c.hang_ratio = 1.0));
    hangs.mostly(Ending::RolledBack, 1.0);
    hangs.median_within(12.0, 0);
}

#[test]
fn what_cannot_be_told_is_neither_promoted_nor_rolled_back() {
    heading();
    let thin = Scenario::new("the same, 3 rps", 200).rps(3.0).patience(60);
    let thin = fly(&thin);
    thin.harmless();
    thin.mostly(Ending::Inconclusive, 0.9);
    // A stable that fails holds for as long as it does.
    let sick = Scenario::new("both fail 20 %", 100).patience(20);
    let sick = fly(&sick.both(0.2));
    sick.harmless();
    sick.mostly(Ending::Held, 0.98);
    let ill = Scenario::new("both fail 20 % after 10 s", 100).patience(45);
    let ill = fly(&ill.later(0.2));
    ill.harmless();
    ill.mostly(Ending::Held, 0.9);
}
