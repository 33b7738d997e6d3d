//! By how much the canary may fail more than stable: the margin of the parameters, and what follows from who its users are.

use super::{
    baseline::Baseline,
    block::Margin,
    config::Parameters,
    errors,
    users::{PrePeriod, Users},
};
use serde::{Deserialize, Serialize};
use traffic::Weight;

/// The margin of failures at the canary's present weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Allowance {
    /// What the users of the present weight met before; nothing where requests are split by themselves.
    now: Option<PrePeriod>,
    /// The same for every weight so far, each once.
    all: Vec<PrePeriod>,
    /// The logarithm of how many times as large the failure ratio is of the users whom stable still has, compared with
    /// those of whom its usual ratio was learnt. It fades as that is learnt anew.
    ln_skew: f64,
}

impl Allowance {
    /// The canary begins to have `weight`; `users` are known where they are kept on one version.
    pub(super) fn begin(&mut self, weight: Weight, users: Option<&Users>) {
        let Some(users) = users.filter(|_| weight != Weight::ZERO) else {
            self.now = None;
            return;
        };
        let last = self.now.as_ref().map_or(Weight::ZERO, PrePeriod::weight);
        if last == weight {
            return;
        }
        let left = if weight == Weight::FULL { last } else { weight };
        let known = users.before(weight, left);
        let learnt_of = self.now.unwrap_or_else(|| users.before(last, last));
        self.ln_skew += (known.others() / learnt_of.others()).ln();
        self.now = Some(known);
        if !self.all.contains(&known) {
            self.all.push(known);
        }
    }

    /// Lets `seconds` pass, in which stable's usual ratio is learnt of the users whom it has.
    pub(super) fn pass(&mut self, seconds: f64, parameters: &Parameters) {
        let half_lives = seconds / parameters.stable_half_life.as_secs_f64();
        self.ln_skew *= (-half_lives).exp2();
    }

    pub(super) fn margin(&self, parameters: &Parameters) -> Margin {
        let margin = errors::margin(parameters);
        self.now.map_or(margin, |known| known.widen(margin))
    }

    /// What is allowed where a canary may fail no more than stable: nothing, for users who are alike.
    pub(super) fn none(&self) -> Margin {
        self.now
            .map_or(Margin::NONE, |known| known.widen(Margin::NONE))
    }

    /// What the users whom stable has usually fail.
    pub(super) fn stable_ratio(&self, baseline: &Baseline) -> f64 {
        Baseline::possible(baseline.failure_ratio() * self.ln_skew.exp())
    }

    /// What the users of the present weight met before.
    pub(super) fn pre_period(&self) -> Option<PrePeriod> {
        self.now
    }

    /// The same for every weight so far.
    pub(super) fn pre_periods(&self) -> &[PrePeriod] {
        &self.all
    }
}
