//! What is known of the stable: its usual failure ratio and latency, and whether it is well right now.

use super::{
    config::Parameters,
    dispersion::{Agreement, Slowness},
    distribution::Distribution,
    interval::Interval,
    mixture::{ABOVE, BELOW, alternative, ln_add},
    users::Users,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The usual failure ratio is pulled towards this as if so many requests had shown it.
const PRIOR_RATIO: f64 = 1e-3;
const PRIOR_REQUESTS: f64 = 10.0;

/// The stable's past, faded by its age. Made of earlier ticks only when a tick is judged, as the test demands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    requests: f64,
    failures: f64,
    #[serde(default)]
    client_errors: f64,
    latency: Distribution,
    health: Health,
    #[serde(default)]
    agreement: Agreement,
    #[serde(default)]
    slowness: Slowness,
    /// What its users met while they were all its own, where they are split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    users: Option<Users>,
}

impl Baseline {
    /// Adds what the stable did in `interval`, which ended `second` seconds after 1970.
    pub(super) fn learn(&mut self, interval: &Interval<'_>, second: i64, parameters: &Parameters) {
        let half_lives = interval.seconds() / parameters.stable_half_life.as_secs_f64();
        let kept = (-half_lives).exp2();
        let stable = interval.stable();
        self.requests = self.requests * kept + stable.requests() as f64;
        self.failures = self.failures * kept + stable.failures() as f64;
        self.client_errors = self.client_errors * kept + stable.client_errors() as f64;
        self.slowness.learn(interval, &self.latency, parameters);
        self.latency.fade(kept);
        self.latency.learn(stable.ended());
        self.health
            .learn(second, stable.requests(), stable.failures());
        self.agreement.learn(interval, parameters);
    }

    /// Adds what users met in `interval`, in which there was no canary. What breaks stable as a whole hits all users alike
    /// and would hide by its number who fails when it is well: while it is unhealthy, nothing is learnt.
    pub(super) fn learn_users(&mut self, interval: &Interval<'_>, parameters: &Parameters) {
        let Some((counting, met)) = interval.users() else {
            return;
        };
        let is_well = !self
            .health
            .is_unhealthy(parameters.baseline_unhealthy_above);
        if counting.rule == parameters.failure_rule && is_well {
            self.meet(counting.salt).learn(interval.seconds(), met);
        }
    }

    /// What users met who stand by `salt`: nothing yet, where the last ones stood by another.
    pub(super) fn meet(&mut self, salt: u64) -> &mut Users {
        let known = self.users.take().filter(|users| users.salt() == salt);
        self.users
            .insert(known.unwrap_or_else(|| Users::unknown(salt)))
    }

    /// Forgets what is known of failures: another rule says from now on what one is.
    pub(super) fn forget_failures(&mut self) {
        (self.requests, self.failures, self.client_errors) = (0.0, 0.0, 0.0);
        self.health = Health::default();
        self.users = None;
    }

    /// The requests and failures that it was made of, faded by their age.
    pub(super) fn counted(&self) -> (f64, f64) {
        (self.requests, self.failures.min(self.requests))
    }

    #[cfg(test)]
    pub(super) fn of_counts(requests: f64, failures: f64) -> Self {
        Self {
            requests,
            failures,
            ..Self::default()
        }
    }

    /// The usual failure ratio.
    pub fn failure_ratio(&self) -> f64 {
        usual_ratio(self.failures, self.requests)
    }

    /// The usual share of client errors among the requests that did not fail.
    pub(super) fn client_error_ratio(&self) -> f64 {
        usual_ratio(self.client_errors, (self.requests - self.failures).max(0.0))
    }

    /// `ratio`, as far as a usual one is believed.
    pub(super) fn possible(ratio: f64) -> f64 {
        ratio.clamp(1e-5, 0.95)
    }

    /// The usual latencies.
    pub fn latency(&self) -> &Distribution {
        &self.latency
    }

    /// The usual share of requests above a bucket that `above` faded requests out of `total` were above; at first
    /// taken to be what the `quantile` promises.
    pub(super) fn slow_ratio(quantile: f64, above: f64, total: f64) -> f64 {
        let ratio = (above + PRIOR_REQUESTS * (1.0 - quantile)) / (total + PRIOR_REQUESTS);
        ratio.clamp(1e-5, 0.95)
    }

    /// How far the failures of one endpoint's requests agree.
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// How far the latencies of one endpoint's requests agree at `quantile`, as [`Agreement::degree`] has it for
    /// failures.
    pub(super) fn slowness(&self, quantile: f64) -> f64 {
        self.slowness.degree(quantile)
    }

    /// Whether the stable fails by itself.
    pub fn health(&self) -> &Health {
        &self.health
    }
}

fn usual_ratio(bad: f64, requests: f64) -> f64 {
    let ratio = (bad + PRIOR_REQUESTS * PRIOR_RATIO) / (requests + PRIOR_REQUESTS);
    Baseline::possible(ratio)
}

/// The stable's last minute, by seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Second, requests, failures.
    seconds: VecDeque<(i64, u64, u64)>,
}

/// How far back [`Health`] looks, in seconds.
const WINDOW: i64 = 60;
/// The evidence at which the stable counts as unhealthy, 1 in 100. It holds a rollout but convicts nobody, so it is
/// looked at afresh each tick, and ends when the window no longer shows it.
const LN_UNHEALTHY: f64 = 4.605170185988091;

impl Health {
    /// A last minute with so many requests and failures.
    pub(super) fn of_counts(requests: u64, failures: u64) -> Self {
        Self {
            seconds: VecDeque::from([(0, requests, failures)]),
        }
    }

    pub(super) fn learn(&mut self, second: i64, requests: u64, failures: u64) {
        // Clocks may be set back; what was counted then stays with the last second.
        match self.seconds.back_mut() {
            Some((last, n, e)) if *last >= second => {
                *n += requests;
                *e += failures;
            }
            _ => self.seconds.push_back((second, requests, failures)),
        }
        while let Some((first, ..)) = self.seconds.front()
            && *first <= second - WINDOW
        {
            self.seconds.pop_front();
        }
    }

    /// Requests and failures of the last minute.
    pub fn counts(&self) -> (u64, u64) {
        self.seconds
            .iter()
            .fold((0, 0), |(n, e), (_, more, bad)| (n + more, e + bad))
    }

    /// Whether the last minute speaks against a failure ratio of at most `allowed`: an even mixture over alternatives
    /// `theta` of `(theta/p0)^e ((1-theta)/(1-p0))^(n-e)` reaches 100.
    pub fn is_unhealthy(&self, allowed: f64) -> bool {
        let (requests, failures) = self.counts();
        // Failures that are more than the requests come from requests before the window.
        let bad = failures.min(requests) as f64;
        bad > allowed * requests as f64
            && ln_e(&ABOVE, allowed, bad, requests as f64) >= LN_UNHEALTHY
    }

    /// Whether the last minute speaks, as strongly, against a failure ratio of at least `allowed`.
    pub(super) fn is_healthy(&self, allowed: f64) -> bool {
        let (requests, failures) = self.counts();
        let bad = failures.min(requests) as f64;
        bad < allowed * requests as f64
            && ln_e(&BELOW, allowed, bad, requests as f64) >= LN_UNHEALTHY
    }
}

/// The evidence of `bad` among `requests` for ratios at `offsets` from `allowed`, all on one side, in even parts.
fn ln_e(offsets: &[f64], allowed: f64, bad: f64, requests: f64) -> f64 {
    let ln_s = offsets.iter().map(|offset| {
        let ratio = alternative(allowed, *offset);
        let good = (-ratio).ln_1p() - (-allowed).ln_1p();
        bad * (ratio / allowed).ln() + (requests - bad) * good
    });
    ln_s.reduce(ln_add).unwrap_or(0.0) - (offsets.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_needs_evidence_and_not_only_a_ratio() {
        let check = |requests, failures, wanted| {
            let mut health = Health::default();
            health.learn(0, requests, failures);
            assert_eq!(
                health.is_unhealthy(0.05),
                wanted,
                "{failures} of {requests}"
            );
        };
        check(0, 0, false);
        check(1, 1, false);
        check(3, 3, true);
        check(1000, 50, false);
        check(1000, 60, false);
        check(1000, 100, true);
        check(100_000, 20_000, true);
        check(2, 9, true);
    }

    #[test]
    fn health_looks_back_a_minute() {
        let mut health = Health::default();
        health.learn(100, 50, 50);
        for second in 101..160 {
            health.learn(second, 1, 0);
            assert!(health.is_unhealthy(0.05), "{second}");
        }
        health.learn(160, 1, 0);
        assert_eq!(health.counts(), (60, 0));
        assert!(!health.is_unhealthy(0.05));
    }

    #[test]
    fn nothing_known_is_one_in_a_thousand() {
        assert_eq!(Baseline::default().failure_ratio(), 1e-3);
    }
}
