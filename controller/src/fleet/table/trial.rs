//! The canary that a Rollout's status tries out, and how a proxy is to trip it by itself.

use crate::spec::SplitSpec;
use rollout::analysis::Config;
use traffic::{Arming, FailureRule, Margins, Weight};

/// By what a proxy takes a canary's traffic away by itself. It knows no more of users than what all of them are allowed, and
/// nothing of what stable was like before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tripping {
    margins: Margins,
    least_failures: u64,
    by_user: bool,
    rule: FailureRule,
}

/// A canary that gets requests by its weight, as the status says.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fleet) struct Trial {
    /// The canary, by its pod template hash.
    pub(in crate::fleet) canary: String,
    weight: Weight,
    tripping: Option<Tripping>,
}

impl Tripping {
    /// What the guard's parameters in `config` allow the canary of `split`.
    pub(super) fn new(config: &Config, split: &SplitSpec) -> Self {
        let parameters = config.parameters();
        Self {
            margins: Margins {
                relative: parameters.relative_margin,
                absolute: parameters.absolute_margin,
            },
            least_failures: parameters.min_canary_failures,
            by_user: !split.sticky.is_empty(),
            rule: parameters.failure_rule,
        }
    }
}

impl Trial {
    pub(super) fn new(canary: String, weight: Weight, tripping: Option<Tripping>) -> Self {
        Self {
            canary,
            weight,
            tripping,
        }
    }

    /// How the canary is to be tripped, when `trial` is the number that no other one of the Rollout has.
    pub(super) fn arming(&self, trial: u64) -> Option<Arming> {
        let tripping = self.tripping.as_ref()?;
        let mut margins = tripping.margins;
        if self.weight == Weight::FULL {
            // No stable is beside it, so that nothing convicts it here. If it was tripped before, it stays so.
            margins.absolute = 1.0;
        }
        Some(Arming {
            trial,
            weight: self.weight,
            margins,
            least_failures: tripping.least_failures,
            by_user: tripping.by_user,
            rule: tripping.rule,
        })
    }
}
