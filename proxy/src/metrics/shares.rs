//! The canary's measured share, beside its weight.
//!
//! The share of all requests since the process began says nothing of the weight of today, and a scraper's window
//! mixes the requests before a change of weight with those after it. So a window is kept here that begins anew with
//! each change of weight.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    time::Duration,
};
use traffic::{RolloutId, RouteTable, Split, Weight};

/// How far back a share looks.
const WINDOW: Duration = Duration::from_secs(10);
/// How far apart two readings of the counters are at least. Bounds what a rollout costs to twelve readings.
const RESOLUTION: Duration = Duration::from_secs(1);

/// The canary's side of a split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The weight that the table gives it; zero while there is no canary.
    pub weight: Weight,
    /// Its part, 0 to 1, of the requests that the weight decided within the last ten seconds, or since the weight
    /// was changed when that is less. Nothing while there were none.
    pub measured: Option<f64>,
}

/// Measured shares of all rollouts in the table.
#[derive(Debug, Default)]
pub struct Shares {
    rollouts: BTreeMap<RolloutId, Window>,
}

impl Shares {
    /// Reads the splits of `table` and their counters at `now` (from the process's epoch, never going back). Rollouts
    /// that the table does not have are forgotten. Calls in quick succession cost little: counters are read once a
    /// second, and when a weight has changed.
    pub fn observe(&mut self, table: &RouteTable, now: Duration) {
        let mut before = mem::take(&mut self.rollouts);
        for split in table.splits() {
            let (rollout, window) = match before.remove_entry(&split.rollout) {
                Some((rollout, mut window)) => {
                    window.observe(split, now);
                    (rollout, window)
                }
                None => (split.rollout.clone(), Window::new(split, now)),
            };
            self.rollouts.insert(rollout, window);
        }
    }

    /// The share of `rollout`'s canary, as last observed.
    pub fn of(&self, rollout: &RolloutId) -> Option<Share> {
        self.rollouts.get(rollout).map(Window::share)
    }

    /// All shares, by rollout.
    pub fn iter(&self) -> impl Iterator<Item = (&RolloutId, Share)> {
        self.rollouts
            .iter()
            .map(|(rollout, window)| (rollout, window.share()))
    }
}

/// The readings of one rollout under one weight.
#[derive(Debug)]
struct Window {
    /// Nothing while there is no canary, and all requests go to stable.
    weight: Option<Weight>,
    /// Oldest first; never empty.
    readings: VecDeque<Reading>,
}

/// Requests that the weight had sent to each side by a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    at: Duration,
    stable: u64,
    canary: u64,
}

impl Reading {
    fn of(split: &Split, at: Duration) -> Self {
        Self {
            at,
            stable: split.stable.series.split(),
            canary: split
                .canary
                .as_ref()
                .map_or(0, |canary| canary.series.split()),
        }
    }
}

/// The canary's weight, if there is a canary.
fn canary_weight(split: &Split) -> Option<Weight> {
    split.canary.as_ref().map(|_| split.weight)
}

impl Window {
    fn new(split: &Split, now: Duration) -> Self {
        Self {
            weight: canary_weight(split),
            readings: VecDeque::from([Reading::of(split, now)]),
        }
    }

    fn observe(&mut self, split: &Split, now: Duration) {
        if canary_weight(split) != self.weight {
            *self = Self::new(split, now);
            return;
        }
        let is_due = self
            .readings
            .back()
            .is_none_or(|last| now.saturating_sub(last.at) >= RESOLUTION);
        if !is_due {
            return;
        }
        let reading = Reading::of(split, now);
        let went_back =
            |last: &Reading| reading.stable < last.stable || reading.canary < last.canary;
        if self.readings.back().is_some_and(went_back) {
            // The rollout was deleted and came back between two readings: its counters began anew.
            self.readings.clear();
        }
        self.readings.push_back(reading);
        // The oldest reading kept is the last that lies a whole window back.
        while self
            .readings
            .get(1)
            .is_some_and(|second| now.saturating_sub(second.at) >= WINDOW)
        {
            self.readings.pop_front();
        }
    }

    fn share(&self) -> Share {
        let measured = match (self.readings.front(), self.readings.back()) {
            (Some(first), Some(last)) => {
                let canary = last.canary - first.canary;
                let all = canary + (last.stable - first.stable);
                (all > 0).then(|| canary as f64 / all as f64)
            }
            _ => None,
        };
        Share {
            weight: self.weight.unwrap_or(Weight::ZERO),
            measured,
        }
    }
}

#[cfg(test)]
mod tests;
