//! What two versions do, how many requests come, and what became of the canaries.

use super::origin::Seen;
use super::rivals::{Record, Rivals};
use super::script::Behaviour;
use rollout::sim::Loss;
use std::time::Duration;

/// Two versions under one load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Requests a second.
    pub rps: f64,
    /// The canary's share in percent, 1 to 100.
    pub weight: u8,
    /// How the stable behaves.
    pub stable: Behaviour,
    /// How the canary behaves.
    pub canary: Behaviour,
    /// How long a canary is watched that is not rolled back.
    pub limit: Duration,
}

/// What became of one canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// From the first request to the canary, as its origin saw it, to the last one before the weight was 0 again.
    pub took: Duration,
    /// Requests to the canary.
    pub requests: u64,
    /// Those that users saw fail because of it.
    pub failed: u64,
    /// Whether the guard rolled it back; otherwise the limit was reached.
    pub rolled_back: bool,
    /// What other tools would have made of the same requests.
    pub rivals: Rivals,
}

/// A canary that is over: what came to it, and whether the guard rolled it back.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) seen: Seen,
    pub(crate) record: Record,
    pub(crate) rolled_back: bool,
}

impl Trial {
    /// What became of a canary of `cell`.
    pub(crate) fn of(cell: &Cell, ended: Ended) -> Self {
        let Ended {
            seen,
            record,
            rolled_back,
        } = ended;
        let ends = record.arrivals.first().zip(record.arrivals.last());
        Self {
            took: ends.map_or(Duration::ZERO, |(first, last)| last.at - first.at),
            requests: seen.requests,
            failed: seen.failed,
            rolled_back,
            rivals: record.judge(cell.rps * f64::from(cell.weight) / 100.0),
        }
    }

    /// What it cost with Sluice, if that rolled it back.
    pub fn loss(&self) -> Option<Loss> {
        self.rolled_back.then_some(Loss {
            took: self.took,
            failed: self.failed,
        })
    }
}

/// What became of a cell.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The cell.
    pub cell: Cell,
    /// Each canary, in order.
    pub trials: Vec<Trial>,
    /// Requests a second, in fact.
    pub rate: f64,
    /// Requests that users saw fail though no origin failed them: the proxy's own failures. To be 0.
    pub unexplained: u64,
}

const LATENCY: Duration = Duration::from_millis(20);

/// A version that fails so.
pub(crate) const fn failing(failure_ratio: f64) -> Behaviour {
    Behaviour {
        failure_ratio,
        latency: LATENCY,
        bursts: None,
    }
}

impl Cell {
    /// A stable that fails one request in a thousand, and a canary that fails `ratio` of them.
    pub fn bad(rps: f64, weight: u8, ratio: f64, limit: Duration) -> Self {
        Self {
            rps,
            weight,
            stable: failing(0.001),
            canary: failing(ratio),
            limit,
        }
    }

    /// A canary like the stable, that takes twice as long.
    pub(crate) fn slow(rps: f64, weight: u8, limit: Duration) -> Self {
        let mut cell = Self::bad(rps, weight, 0.001, limit);
        cell.canary.latency = 2 * LATENCY;
        cell
    }

    /// Two versions that are alike.
    pub(crate) fn alike(rps: f64, ratio: f64, bursts: Option<Duration>, limit: Duration) -> Self {
        let version = Behaviour {
            bursts,
            ..failing(ratio)
        };
        Self {
            rps,
            weight: 10,
            stable: version,
            canary: version,
            limit,
        }
    }

    /// What it is called in the table.
    pub fn name(&self) -> String {
        let percent = |ratio: f64| (ratio * 1e6).round() / 1e4;
        let (stable, canary) = (self.stable, self.canary);
        let mut name = format!("{} rps, {} %, ", self.rps, self.weight);
        name += &if stable == canary {
            format!("both {} %", percent(stable.failure_ratio))
        } else if stable.latency == canary.latency {
            format!("canary {} %", percent(canary.failure_ratio))
        } else {
            "canary 2 x latency".to_owned()
        };
        if let Some(apart) = canary.bursts {
            name += &format!(", bursts every {} s", apart.as_secs());
        }
        name
    }
}

impl Outcome {
    /// How many canaries were rolled back.
    pub fn rolled_back(&self) -> usize {
        self.trials.iter().filter(|trial| trial.rolled_back).count()
    }
}
