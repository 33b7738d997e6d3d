//! One version's numbers since the canary began, for people to read.

use super::{confidence, distribution::Distribution, interval::Grown, reading::Side};
use serde::{Deserialize, Serialize};

/// What the shown interval may miss the truth by.
const DISPLAYED_ALPHA: f64 = 0.05;
/// The time, in seconds, over which the request rate is averaged.
const RATE_TIME: f64 = 10.0;

/// The running count of one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    requests: u64,
    failures: u64,
    latency: Distribution,
    rate: Rate,
}

impl Account {
    /// Adds what one interval of `seconds` brought, of which `failures` are this version's.
    pub(super) fn add(&mut self, grown: &Grown<'_>, failures: u64, seconds: f64) {
        self.requests += grown.requests();
        self.failures += failures;
        self.latency.learn(grown.ended());
        self.rate.add(grown.requests(), seconds);
    }

    /// The weight changed: the rate of before says nothing any more.
    pub(super) fn forget_rate(&mut self) {
        self.rate = Rate::default();
    }

    pub(super) fn rps(&self) -> f64 {
        self.rate.per_second()
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    pub(super) fn reading(&self) -> Side {
        let total = self.latency.total();
        Side {
            requests: self.requests,
            failures: self.failures,
            failure_ratio: confidence::interval(self.failures, self.requests, DISPLAYED_ALPHA),
            rps: self.rps(),
            p50: self.latency.seconds(0.5, total),
            p90: self.latency.seconds(0.9, total),
            p99: self.latency.seconds(0.99, total),
        }
    }
}

/// Requests a second, where older ones count less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rate {
    requests: f64,
    seconds: f64,
}

impl Rate {
    fn add(&mut self, requests: u64, seconds: f64) {
        let kept = (-seconds / RATE_TIME).exp();
        self.requests = self.requests * kept + requests as f64;
        self.seconds = self.seconds * kept + seconds;
    }

    fn per_second(&self) -> f64 {
        if self.seconds > 0.0 {
            self.requests / self.seconds
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_right_from_the_start_and_follows() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(), 0.0);
        rate.add(5, 0.1);
        assert!((rate.per_second() - 50.0).abs() < 1e-9);
        for _ in 0..600 {
            rate.add(10, 0.1);
        }
        assert!((rate.per_second() - 100.0).abs() < 1.0);
    }
}
