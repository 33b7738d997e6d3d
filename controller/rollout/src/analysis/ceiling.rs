//! The failure limit: does the canary fail more than a fixed share of its requests?
//!
//! The limit says nothing of whose fault that is: an outage of something that both versions need drives both above it.
//! So it convicts only a canary whose stable is shown to be well, which is one of
//!
//! - the stable's failure ratio of the last minute lies below the limit with all of its confidence interval;
//! - the canary is shown to be worse than the stable, without any margin, at a level of 5 %.
//!
//! Where users are kept on one version, both make the allowance for the canary's users that [`users`](super::users)
//! tells of.
//!
//! Otherwise the rollout holds. Asking for more than the limit's own evidence only ever makes rollbacks rarer, so what
//! bounds false ones is the limit's part of alpha alone.

use super::{
    baseline::Health,
    block::{Dispersion, Margin},
    blocks::Tick,
    confidence,
    config::{Config, Parameters},
    watch::{Null, Watch},
};
use serde::{Deserialize, Serialize};

/// The chance of error of what tells whose fault it is.
pub(super) const ATTRIBUTION_ALPHA: f64 = 0.05;

/// The test of one canary against the limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ceiling {
    /// A share of requests, as the parameter was when the canary began.
    limit: f64,
    above: Watch,
    /// Whether the canary is worse than the stable at all.
    worse: Watch,
}

/// What becomes of a canary that is above the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is the canary's own.
    Canary,
    /// It may be something that both versions share.
    Unknown,
}

impl Ceiling {
    /// The test, if `config` sets a limit.
    pub(super) fn new(config: &Config, step_starts: usize) -> Option<Self> {
        let limit = config.parameters().max_failure_ratio?;
        Some(Self {
            limit,
            above: Watch::new(config.limit_alpha(), step_starts),
            worse: Watch::new(ATTRIBUTION_ALPHA, step_starts),
        })
    }

    /// A test that has come so far.
    pub(super) fn of(limit: f64, above: Watch, worse: Watch) -> Self {
        Self {
            limit,
            above,
            worse,
        }
    }

    pub(super) fn start_step(&mut self) {
        self.above.start_step();
        self.worse.start_step();
    }

    pub(super) fn take(&mut self, errors: &Tick) {
        self.above.take(errors);
        self.worse.take(errors);
    }

    /// Ends the block under way. The canary's users may fail more than the others by `allowance`.
    pub(super) fn close(
        &mut self,
        dispersion: Dispersion,
        allowance: Margin,
        parameters: &Parameters,
    ) {
        self.above
            .close(Null::AtMost(self.limit), dispersion, parameters);
        self.worse
            .close(Null::Within(allowance), dispersion, parameters);
    }

    /// Whose fault it is that the canary is above the limit, if it is shown to be. Its users may fail more than the
    /// others by `allowance`.
    pub(super) fn fault(
        &self,
        health: &Health,
        allowance: Margin,
        parameters: &Parameters,
    ) -> Option<Fault> {
        let min_bad = parameters.min_canary_failures;
        if !self.above.convicts(min_bad) {
            return None;
        }
        let is_canary = !health.is_unhealthy(parameters.baseline_unhealthy_above)
            && (self.is_below(health, allowance) || self.worse.convicts(min_bad));
        Some(if is_canary {
            Fault::Canary
        } else {
            Fault::Unknown
        })
    }

    fn is_below(&self, health: &Health, allowance: Margin) -> bool {
        let (requests, failures) = health.counts();
        let (_, most) = confidence::interval(failures, requests, ATTRIBUTION_ALPHA);
        allowance.at(most) < self.limit
    }

    pub(super) fn limit(&self) -> f64 {
        self.limit
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.above
    }

    /// The test that tells whose fault it is.
    pub(super) fn worse(&self) -> &Watch {
        &self.worse
    }
}
