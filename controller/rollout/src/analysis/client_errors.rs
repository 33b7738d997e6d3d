//! The test of client errors: does the canary answer more of its requests with a 4xx than the stable?
//!
//! Such an answer says that the client is at fault, and so it is no failure. But where chance alone splits the requests,
//! both versions have the same clients, and one that refuses far more of them has lost a route, or turns away who has a
//! right to come in. It may be meant so too: a version that checks what it is sent refuses more. So the rollout holds,
//! and somebody decides; only where that is asked for is the canary rolled back.
//!
//! What is compared are shares of the requests that did not fail, as one that failed had no say in this: otherwise a
//! stable that fails half of its requests would have half of its client errors, and a sound canary would be held.

use super::{
    baseline::Baseline,
    block::{Dispersion, Margin},
    blocks::{Seen, Tally, Tick},
    config::{Config, Parameters},
    interval::{Grown, Interval},
    reading::{Judgement, Limit, Test, TestReading},
    watch::{Null, Watch},
};
use serde::{Deserialize, Serialize};

/// The test of one canary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ClientErrors(Watch);

impl ClientErrors {
    /// The test, if `config` asks for it.
    pub(super) fn new(config: &Config, step_starts: usize) -> Option<Self> {
        config.parameters().client_errors?;
        Some(Self(Watch::new(config.client_errors_alpha(), step_starts)))
    }

    pub(super) fn start_step(&mut self) {
        self.0.start_step();
    }

    /// Takes the client errors of `interval`, of which the canary's last `forgiven` are an earlier canary's.
    pub(super) fn take(
        &mut self,
        start: f64,
        interval: &Interval<'_>,
        forgiven: u64,
        baseline: &Baseline,
    ) {
        let tally = |grown: &Grown<'_>, forgiven| Tally {
            requests: grown.requests().saturating_sub(grown.failures()),
            bad: grown.client_errors().saturating_sub(forgiven),
        };
        self.0.take(&Tick {
            start,
            seen: Seen {
                canary: tally(interval.canary(), forgiven),
                stable: tally(interval.stable(), 0),
            },
            stable_ratio: baseline.client_error_ratio(),
            unanswered: interval.canary().after().in_flight(),
        });
    }

    /// Clients do not come endpoint by endpoint, as outages do: each answer is taken by itself.
    pub(super) fn close(&mut self, parameters: &Parameters) {
        let null = Null::Within(margin(parameters));
        self.0.close(null, Dispersion::NONE, parameters);
    }

    fn is_shown(&self, config: &Config) -> bool {
        self.0.convicts(config.parameters().min_canary_failures)
    }

    /// Whether they roll the canary back.
    pub(super) fn convicts(&self, config: &Config) -> bool {
        config.convicts_refusals() && self.is_shown(config)
    }

    /// Why the rollout holds, if it does.
    pub(super) fn hold(&self, config: &Config) -> Option<Judgement> {
        self.is_shown(config).then(|| Judgement::ClientErrors {
            canary_requests: self.0.canary().requests,
            canary_errors: self.0.canary().bad,
            stable_requests: self.0.stable().requests,
            stable_errors: self.0.stable().bad,
        })
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.0
    }

    pub(super) fn reading(&self, config: &Config) -> TestReading {
        let limit = Limit::Ratio(margin(config.parameters()));
        super::trial::test_reading(Test::ClientErrors, &self.0, limit, Dispersion::NONE)
    }
}

pub(super) fn margin(parameters: &Parameters) -> Margin {
    let config = parameters.client_errors.unwrap_or_default();
    Margin {
        relative: config.relative_margin,
        absolute: config.absolute_margin,
    }
}

#[cfg(test)]
mod tests;
