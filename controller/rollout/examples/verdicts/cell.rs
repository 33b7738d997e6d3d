//! The cells of the table: what two versions do, and what becomes of many rollouts of it.

use crate::{
    crowd::{Crowd, StickyStream},
    watched::{Flight, Seen, Stream, Watched},
};
use rollout::{
    analysis::Judgement,
    sim::{Burst, Bursts, Climate, Conditions, Drift, Loss, Rival, Rule, Traffic, Weather},
};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use traffic::Weight;

/// How long a canary is watched that is like the stable: fifteen windows of the rivals.
const LONG: Duration = Duration::from_secs(900);
/// And a bad one: what a rival does not find in five windows, it hardly ever finds.
const SHORT: Duration = Duration::from_secs(340);
/// How long the stable is alone before.
pub(crate) const HISTORY: Duration = Duration::from_secs(120);

/// What is asked of a cell's canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is as good as the stable: each rollback is a false one.
    Alike,
    /// It is worse: how long, and how many failed requests, until it is gone?
    Bad,
}

/// Two versions, and how many requests they get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    rps: f64,
    /// The canary's share in percent.
    weight: u8,
    stable: f64,
    canary: f64,
    /// How many times as long as the stable the canary takes.
    slower: u32,
    climate: Sky,
    /// Who is kept on a version, if users are split and not requests.
    crowd: Option<Crowd>,
    /// The shares of the requests which do not fail that stable and canary answer with a 4xx, where it is asked how
    /// often the canary is held for that.
    refused: Option<[f64; 2]>,
}

/// The climates of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sky {
    Fair,
    /// Each of four endpoints a side fails everything for a second, every half hour.
    Bursts,
    /// The same, with one endpoint for the canary: its bursts hit all of it.
    OneEndpoint,
    /// The same, every ten minutes.
    Often,
    /// Every thirty seconds, with four endpoints a side.
    Harsh,
    /// The same, with one endpoint for the canary.
    HarshOneEndpoint,
    /// The same, with one endpoint for each side.
    HarshAlone,
    /// A day in a quarter of an hour.
    Drift,
    /// Each of four endpoints a side is ten times as slow for a second, every half hour.
    Slow,
    /// The same every ten minutes, with one endpoint for the canary.
    SlowOften,
    /// Every thirty seconds, with four endpoints a side.
    SlowHarsh,
    /// The same, with one endpoint for the canary.
    SlowHarshOneEndpoint,
    /// The same, with one endpoint for each side.
    SlowHarshAlone,
}

const fn alike(rps: f64, ratio: f64, climate: Sky) -> Cell {
    Cell {
        kind: Kind::Alike,
        rps,
        weight: 10,
        stable: ratio,
        canary: ratio,
        slower: 1,
        climate,
        crowd: None,
        refused: None,
    }
}

/// A canary of one endpoint or several, at 10 %, that is `slower` while endpoints are slow in bursts.
const fn bad_beside(rps: f64, slower: u32, climate: Sky) -> Cell {
    Cell {
        climate,
        ..bad(rps, 10, 0.001, slower)
    }
}

/// Both versions have the same clients, and answer so large a share of them with a 4xx: the canary `canary`.
const fn refusing(rps: f64, stable: f64, canary: f64) -> Cell {
    Cell {
        refused: Some([stable, canary]),
        ..alike(rps, 0.001, Sky::Fair)
    }
}

/// Users are split, 200 requests a second. Those who are well fail one in a thousand, or `canary` on the canary.
const fn sticky(weight: u8, canary: f64, crowd: Crowd) -> Cell {
    Cell {
        kind: if canary > 0.001 {
            Kind::Bad
        } else {
            Kind::Alike
        },
        rps: 200.0,
        weight,
        stable: 0.001,
        canary,
        slower: 1,
        climate: Sky::Fair,
        crowd: Some(crowd),
        refused: None,
    }
}

const fn bad(rps: f64, weight: u8, canary: f64, slower: u32) -> Cell {
    Cell {
        kind: Kind::Bad,
        rps,
        weight,
        stable: 0.001,
        canary,
        slower,
        climate: Sky::Fair,
        crowd: None,
        refused: None,
    }
}

/// Users of whom the guard knows, and of whom it does not.
const KNOWN: Crowd = Crowd::new(true);
const UNKNOWN: Crowd = Crowd::new(false);
/// Users of a stable that has just begun.
const NEW: Crowd = Crowd {
    known: true,
    history: Duration::from_secs(10),
};

/// Every cell.
pub(crate) const CELLS: [Cell; 73] = [
    alike(10.0, 0.001, Sky::Fair),
    alike(10.0, 0.01, Sky::Fair),
    alike(10.0, 0.05, Sky::Fair),
    alike(100.0, 0.001, Sky::Fair),
    alike(100.0, 0.01, Sky::Fair),
    alike(100.0, 0.05, Sky::Fair),
    alike(100.0, 0.001, Sky::Bursts),
    alike(100.0, 0.01, Sky::Bursts),
    alike(100.0, 0.05, Sky::Bursts),
    alike(100.0, 0.001, Sky::OneEndpoint),
    alike(100.0, 0.01, Sky::OneEndpoint),
    alike(100.0, 0.001, Sky::Often),
    alike(100.0, 0.01, Sky::Often),
    alike(200.0, 0.001, Sky::Harsh),
    alike(200.0, 0.01, Sky::Harsh),
    alike(200.0, 0.001, Sky::HarshOneEndpoint),
    alike(200.0, 0.01, Sky::HarshOneEndpoint),
    alike(200.0, 0.001, Sky::HarshAlone),
    alike(200.0, 0.01, Sky::HarshAlone),
    alike(100.0, 0.001, Sky::Drift),
    alike(100.0, 0.01, Sky::Drift),
    alike(100.0, 0.05, Sky::Drift),
    bad(10.0, 10, 1.0, 1),
    bad(10.0, 10, 0.1, 1),
    bad(100.0, 5, 1.0, 1),
    bad(100.0, 5, 0.5, 1),
    bad(100.0, 5, 0.1, 1),
    bad(100.0, 5, 0.02, 1),
    bad(100.0, 5, 0.001, 2),
    bad(100.0, 10, 1.0, 1),
    bad(100.0, 10, 0.5, 1),
    bad(100.0, 10, 0.1, 1),
    bad(100.0, 10, 0.02, 1),
    bad(100.0, 10, 0.001, 2),
    bad(1_000.0, 5, 1.0, 1),
    bad(1_000.0, 10, 1.0, 1),
    bad(1_000.0, 10, 0.5, 1),
    bad(1_000.0, 10, 0.1, 1),
    bad(1_000.0, 10, 0.02, 1),
    bad(1_000.0, 10, 0.001, 2),
    sticky(1, 0.001, UNKNOWN),
    sticky(1, 0.001, KNOWN),
    sticky(5, 0.001, UNKNOWN),
    sticky(5, 0.001, KNOWN),
    sticky(10, 0.001, UNKNOWN),
    sticky(10, 0.001, KNOWN),
    sticky(10, 0.001, NEW),
    sticky(50, 0.001, UNKNOWN),
    sticky(50, 0.001, KNOWN),
    sticky(10, 1.0, UNKNOWN),
    sticky(10, 1.0, KNOWN),
    sticky(10, 1.0, NEW),
    sticky(10, 0.1, UNKNOWN),
    sticky(10, 0.1, KNOWN),
    sticky(10, 0.05, UNKNOWN),
    sticky(10, 0.05, KNOWN),
    refusing(10.0, 0.05, 0.05),
    refusing(100.0, 0.01, 0.01),
    refusing(100.0, 0.05, 0.05),
    refusing(100.0, 0.2, 0.2),
    refusing(100.0, 0.5, 0.5),
    refusing(1_000.0, 0.05, 0.05),
    // As many as the margins allow: 1.5 times stable's and a percentage point.
    refusing(100.0, 0.01, 0.025),
    refusing(100.0, 0.05, 0.085),
    alike(100.0, 0.001, Sky::Slow),
    alike(100.0, 0.001, Sky::SlowOften),
    alike(200.0, 0.001, Sky::SlowHarsh),
    alike(200.0, 0.001, Sky::SlowHarshOneEndpoint),
    alike(200.0, 0.001, Sky::SlowHarshAlone),
    bad_beside(200.0, 2, Sky::Fair),
    bad_beside(200.0, 2, Sky::SlowHarsh),
    bad_beside(200.0, 2, Sky::SlowHarshOneEndpoint),
    bad_beside(200.0, 2, Sky::SlowHarshAlone),
];

/// What became of one rollout, by each judge: what it had cost by the rollback, if there was one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) sluice: Option<Loss>,
    pub(crate) argo: Option<Loss>,
    pub(crate) flagger: Option<Loss>,
}

impl Cell {
    pub(crate) fn name(&self) -> String {
        let mut name = format!(
            "{} rps, {} %, stable {} %",
            self.rps,
            self.weight,
            percent(self.stable)
        );
        if self.canary != self.stable {
            name += &format!(", canary {} %", percent(self.canary));
        }
        if self.slower > 1 {
            name += &format!(", canary {} x latency", self.slower);
        }
        if let Some([stable, canary]) = self.refused {
            name += &format!(", 4xx {} % and {} %", percent(stable), percent(canary));
        }
        name += match self.climate {
            Sky::Fair => "",
            Sky::Bursts => ", bursts",
            Sky::OneEndpoint => ", bursts, one canary endpoint",
            Sky::Often => ", bursts every 10 min, one canary endpoint",
            Sky::Harsh => ", bursts every 30 s",
            Sky::HarshOneEndpoint => ", bursts every 30 s, one canary endpoint",
            Sky::HarshAlone => ", bursts every 30 s, one endpoint a side",
            Sky::Drift => ", drift",
            Sky::Slow => ", slow bursts",
            Sky::SlowOften => ", slow bursts every 10 min, one canary endpoint",
            Sky::SlowHarsh => ", slow bursts every 30 s",
            Sky::SlowHarshOneEndpoint => ", slow bursts every 30 s, one canary endpoint",
            Sky::SlowHarshAlone => ", slow bursts every 30 s, one endpoint a side",
        };
        if let Some(crowd) = self.crowd {
            name += ", sticky users, 1 % broken";
            name += match crowd {
                KNOWN => ", past known",
                NEW => ", past of 10 s known",
                _ => ", past unknown",
            };
        }
        name
    }

    /// Flies `runs` rollouts, on as many threads as there are processors.
    pub(crate) fn run(&self, runs: u64) -> Vec<Run> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicU64::new(0);
        let work = || {
            let seeds = std::iter::repeat_with(|| next.fetch_add(1, Relaxed));
            let seeds = seeds.take_while(|seed| *seed < runs);
            seeds.map(|seed| self.run_one(seed)).collect::<Vec<_>>()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let runs = threads.into_iter().filter_map(|thread| thread.join().ok());
            runs.flatten().collect()
        })
    }

    fn run_one(&self, seed: u64) -> Run {
        match (self.kind, self.crowd) {
            (Kind::Alike, None) => self.watch(Stream::new(self, seed), LONG),
            (Kind::Bad, None) => self.watch(Flight::new(self, seed), SHORT),
            (Kind::Alike, Some(crowd)) => self.watch(StickyStream::new(self, crowd, seed), LONG),
            (Kind::Bad, Some(crowd)) => self.watch(StickyStream::new(self, crowd, seed), SHORT),
        }
    }

    /// Shows a canary to all three judges. Nothing comes of their verdicts, so that all of them see the same requests;
    /// what is under way at a rollback comes on top, for all of them alike.
    fn watch(&self, mut canary: impl Watched, limit: Duration) -> Run {
        let (mut argo, mut flagger) = (Rival::new(Rule::ARGO), Rival::new(Rule::FLAGGER));
        let mut sluice = None;
        loop {
            let seen = canary.turn();
            let run = Run {
                sluice: convicted(&mut sluice, &seen),
                argo: told(&mut argo, &seen),
                flagger: told(&mut flagger, &seen),
            };
            let all = run.sluice.and(run.argo).and(run.flagger);
            if seen.elapsed >= limit || all.is_some() {
                return run;
            }
        }
    }

    pub(crate) fn weather(&self, seed: u64) -> Weather {
        let fair = Conditions {
            rps: self.rps,
            stable: self.stable,
            canary: self.canary,
        };
        Weather::new(self.climate.of(), fair, !seed)
    }

    pub(crate) fn rps(&self) -> f64 {
        self.rps
    }

    /// The failure ratio of the stable, of users who are well.
    pub(crate) fn stable(&self) -> f64 {
        self.stable
    }

    /// The same of the canary.
    pub(crate) fn canary(&self) -> f64 {
        self.canary
    }

    /// Whether requests have a latency, which is judged.
    pub(crate) fn has_latency(&self) -> bool {
        matches!(
            self.climate,
            Sky::Slow
                | Sky::SlowOften
                | Sky::SlowHarsh
                | Sky::SlowHarshOneEndpoint
                | Sky::SlowHarshAlone
        )
    }

    /// The shares of the requests that do not fail which stable and canary answer with a 4xx.
    pub(crate) fn refused(&self) -> [f64; 2] {
        self.refused.unwrap_or_default()
    }

    /// Whether `judgement` is what the cell counts: a rollback, or a hold for 4xx.
    pub(crate) fn counts(&self, judgement: Judgement) -> bool {
        match self.refused {
            Some(_) => matches!(judgement, Judgement::ClientErrors { .. }),
            None => matches!(judgement, Judgement::RollBack { .. }),
        }
    }

    pub(crate) fn share(&self) -> Weight {
        Weight::from_percent(self.weight).unwrap_or_default()
    }

    pub(crate) fn traffic(&self, seed: u64) -> Traffic {
        let mut traffic = Traffic::new(self.rps, Weight::ZERO, seed);
        traffic.canary.latency *= self.slower;
        traffic
    }
}

/// What the canary had cost when the guard convicted it.
fn convicted(loss: &mut Option<Loss>, seen: &Seen) -> Option<Loss> {
    if seen.convicted {
        loss.get_or_insert(Loss {
            took: seen.elapsed,
            failed: seen.failures,
        });
    }
    *loss
}

fn told(rival: &mut Rival, seen: &Seen) -> Option<Loss> {
    rival.take(seen.elapsed, seen.requests, seen.failures);
    rival.loss()
}

impl Sky {
    fn of(self) -> Climate {
        let all = |then, endpoints, apart| Climate {
            bursts: Some(Bursts {
                endpoints,
                apart: Duration::from_secs(apart),
                lasts: Duration::from_secs(1),
                then,
            }),
            drift: None,
        };
        let bursts = |endpoints, apart| all(Burst::Fails, endpoints, apart);
        let slow = |endpoints, apart| all(Burst::Slower(10.0), endpoints, apart);
        match self {
            Self::Fair => Climate::default(),
            Self::Bursts => bursts([4, 4], 1800),
            Self::OneEndpoint => bursts([4, 1], 1800),
            Self::Often => bursts([4, 1], 600),
            Self::Harsh => bursts([4, 4], 30),
            Self::HarshOneEndpoint => bursts([4, 1], 30),
            Self::HarshAlone => bursts([1, 1], 30),
            Self::Slow => slow([4, 4], 1800),
            Self::SlowOften => slow([4, 1], 600),
            Self::SlowHarsh => slow([4, 4], 30),
            Self::SlowHarshOneEndpoint => slow([4, 1], 30),
            Self::SlowHarshAlone => slow([1, 1], 30),
            Self::Drift => Climate {
                bursts: None,
                drift: Some(Drift {
                    period: LONG,
                    rate: 0.6,
                    failures: 0.8,
                }),
            },
        }
    }
}

/// Without the noise of binary fractions.
fn percent(ratio: f64) -> f64 {
    (ratio * 1e6).round() / 1e4
}
